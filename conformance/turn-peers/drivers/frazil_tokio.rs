//! Drives `frazil-tokio`: one peer that has the servers, and one that sends back what it gets.

mod task;

use std::sync::mpsc::Receiver;
use std::time::Duration;

use frazil::ice::{CandidateKind, GatheringState, LocalCandidate, TransportPolicy};
use frazil::peer::ChannelConfig;
use frazil_tokio::{Channel, Event, Events, IceServer, InterfacePolicy, Peer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use task::{Command, Server, Task, say, say_candidate};
use tokio::time::{interval, sleep};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (task, commands) = Task::receive();
    let root = CertificateDer::from_pem_file(&task.authority).expect("a certificate");
    let policy = if task.is_relay_only { TransportPolicy::Relay } else { TransportPolicy::All };
    let servers = task.servers.iter().map(ice_server);
    let near = Peer::builder().servers(servers).tls_roots([root]).transport_policy(policy).start();
    let (near, near_events) = near.expect("good servers");
    let (far, far_events) = Peer::builder().interfaces(InterfacePolicy::default()).start().expect("a peer");
    let channel = near
        .create_data_channel(ChannelConfig { label: "echo".to_owned(), ..ChannelConfig::default() })
        .await
        .expect("a channel");
    tokio::spawn(ping(channel));
    tokio::spawn(hear(near_events, far.clone(), true));
    tokio::spawn(hear(far_events, near.clone(), false));
    tokio::spawn(tell_candidates(near.clone()));

    let offer = near.create_offer().await.expect("an offer");
    near.set_local_description(&offer).await.expect("taken");
    far.set_remote_description(&offer).await.expect("taken");
    let answer = far.create_answer().await.expect("an answer");
    far.set_local_description(&answer).await.expect("taken");
    near.set_remote_description(&answer).await.expect("taken");
    obey(&task, &commands, &near).await;
    tokio::join!(near.close(), far.close());
    say("closed", json!({}));
    // The thread that reads the input does not end.
    std::process::exit(0);
}

/// Does what it is told until it is told to close.
async fn obey(task: &Task, commands: &Receiver<Command>, near: &Peer) {
    loop {
        match commands.try_recv() {
            Ok(Command::Close) => return,
            Ok(Command::Renew { username, password }) => {
                let renewed = |server: &Server| {
                    ice_server(&Server { username: username.clone(), password: password.clone(), ..server.clone() })
                };
                near.set_servers(task.servers.iter().map(renewed)).expect("good servers");
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

fn ice_server(server: &Server) -> IceServer {
    let named = IceServer::new([server.url.clone()]);
    if server.is_stun() { named } else { named.credentials(&server.username, &server.password) }
}

async fn ping(channel: Channel) {
    let mut times = interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            message = channel.recv() => match message {
                Some(_) => say("echo", json!({})),
                None => return,
            },
            _ = times.tick() => drop(channel.try_send("ping")),
        }
    }
}

/// Tells the other peer of candidates; says the rest, if it is the one with the servers.
async fn hear(mut events: Events, other: Peer, is_near: bool) {
    while let Some(event) = events.next().await {
        match event {
            // One that comes before the description is in it.
            Event::IceCandidate(candidate) => drop(other.add_ice_candidate(&candidate).await),
            Event::Channel(channel) => drop(tokio::spawn(async move {
                while let Some(message) = channel.recv().await {
                    let _ = channel.send(message).await;
                }
            })),
            Event::IceCandidateError(error) if is_near => {
                say("error", json!({ "code": error.code, "url": error.uri.to_string(), "text": error.text }));
            }
            Event::IceGatheringStateChange(GatheringState::Complete) if is_near => say("gathered", json!({})),
            Event::IceStateChange(state) if is_near => say("state", json!({ "state": state.to_string() })),
            _ => {}
        }
    }
}

/// Says each candidate once.
async fn tell_candidates(peer: Peer) {
    let mut told: Vec<LocalCandidate> = Vec::new();
    loop {
        for local in peer.local_candidates() {
            if !told.contains(&local) {
                let kind = match local.candidate.kind {
                    CandidateKind::Host => "host",
                    CandidateKind::ServerReflexive => "srflx",
                    CandidateKind::PeerReflexive => "prflx",
                    CandidateKind::Relayed => "relay",
                };
                say_candidate(kind, local.candidate.address);
                told.push(local);
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}
