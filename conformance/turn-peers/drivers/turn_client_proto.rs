//! Drives `turn-client-proto`, over TLS in `turn-client-rustls`.

mod task;
mod wire;

use std::time::{Duration, Instant as Clock};

use serde_json::json;
use stun_proto::Instant;
use stun_proto::types::TransportType;
use task::{Command, Task, say, say_candidate};
use turn_client_proto::api::{Transmit, TurnClientApi, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::prelude::DelayedTransmitBuild as _;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::stun::message::IntegrityAlgorithm;
use turn_client_proto::types::{AddressFamily, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;
use turn_client_rustls::TurnClientRustls;
use wire::{Came, Wire};

fn main() {
    let (task, commands) = Task::receive();
    let server = task.servers[0].clone();
    let address = server.address();
    let mut config = TurnConfig::new(TurnCredentials::new(&server.username, &server.password));
    if task.wants_both_families {
        config.add_address_family(AddressFamily::IPV6);
    }
    if task.wants_sha256 {
        config.add_supported_integrity(IntegrityAlgorithm::Sha256);
    }
    match server.transport() {
        "udp" => {
            let wire = Wire::udp(task.local_for(address)).expect("a socket");
            drive(&task, &commands, TurnClientUdp::allocate(wire.local(), address, config), wire);
        }
        "tcp" => {
            let wire = Wire::tcp(address).expect("the server takes it");
            drive(&task, &commands, TurnClientTcp::allocate(wire.local(), address, config), wire);
        }
        _ => {
            let wire = Wire::tcp(address).expect("the server takes it");
            let name = address.ip().to_string().try_into().expect("an address");
            let client = TurnClientRustls::allocate(wire.local(), address, config, name, task.tls());
            drive(&task, &commands, client, wire);
        }
    }
}

fn drive(task: &Task, commands: &std::sync::mpsc::Receiver<Command>, mut client: impl TurnClientApi, mut wire: Wire) {
    let epoch = Clock::now();
    let now = || Instant::from_nanos(epoch.elapsed().as_nanos() as i64);
    let transport = client.transport();
    let (local, server) = (client.local_addr(), client.remote_addr());
    let mut relayed = None;
    let mut ping_at = Clock::now();
    let mut end: Option<Clock> = None;
    let mut is_closed = false;
    let mut stream_ended = false;
    let mut buf = vec![0; 65_536];
    loop {
        loop {
            let next = client.poll(now());
            let mut has_worked = false;
            while let Some(transmit) = client.poll_transmit(now()) {
                wire.send(&transmit.data, transmit.to);
                has_worked = true;
            }
            if matches!(next, TurnPollRet::Closed) && !is_closed {
                is_closed = true;
                say(if end.is_some() { "closed" } else { "lost" }, json!({ "text": "closed" }));
                if relayed.is_none() {
                    say("gathered", json!({}));
                }
            }
            // A client that waits for a moment that is over is asked again at the next occasion.
            if !has_worked {
                break;
            }
        }
        while let Some(event) = client.poll_event() {
            match event {
                TurnEvent::AllocationCreated(_, address) => {
                    say_candidate("relay", address);
                    if relayed.is_none() {
                        relayed = Some(address);
                        say("gathered", json!({}));
                    }
                    let peer = task.echo_for(address).ip();
                    let _ = client.create_permission(TransportType::Udp, peer, now());
                }
                TurnEvent::AllocationCreateFailed(family) => {
                    say("error", json!({ "text": format!("AllocationCreateFailed({family})") }));
                    say("gathered", json!({}));
                }
                TurnEvent::PermissionCreateFailed(_, peer) => {
                    say("error", json!({ "text": format!("PermissionCreateFailed({peer})") }));
                }
                _ => {}
            }
        }
        if end.is_some_and(|end| Clock::now() >= end || is_closed) {
            return;
        }
        match commands.try_recv() {
            Ok(Command::Renew { .. }) => say("no-api", json!({ "what": "other credentials" })),
            Ok(Command::Close) if end.is_none() => {
                let _ = client.delete(now());
                end = Some(Clock::now() + Duration::from_secs(3));
            }
            _ => {}
        }
        if let Some(address) = relayed
            && Clock::now() >= ping_at
            && end.is_none()
        {
            ping_at = Clock::now() + Duration::from_millis(500);
            let peer = task.echo_for(address);
            if client.have_permission(TransportType::Udp, peer.ip())
                && let Ok(Some(transmit)) = client.send_to(TransportType::Udp, peer, b"ping", now())
            {
                let transmit = transmit.data.build();
                wire.send(&transmit, server);
            }
        }
        if stream_ended {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        }
        match wire.receive(&mut buf) {
            Came::From(from, len) => {
                let transmit = Transmit::new(buf[..len].to_vec(), transport, from, local);
                if let TurnRecvRet::PeerData(data) = client.recv(transmit, now()) {
                    say("echo", json!({ "n": data.data().len() }));
                }
                while client.poll_recv(now()).is_some() {
                    say("echo", json!({}));
                }
            }
            Came::Nothing => {}
            Came::Closed => {
                stream_ended = true;
                say("stream-closed", json!({}));
                client.tcp_closed(local, server, now());
                client.protocol_error();
            }
        }
    }
}
