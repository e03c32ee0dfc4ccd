//! Drives the gathering of `rice-proto`: one agent, one stream, one component.

mod task;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use rice_proto::agent::{Agent, AgentPoll};
use rice_proto::candidate::{CandidateType, TransportType};
use rice_proto::component::RTP;
use rice_proto::random_string;
use rice_proto::stream::Credentials;
use rice_proto::turn::{TurnConfig, TurnCredentials};
use serde_json::json;
use stun_proto::Instant;
use stun_proto::agent::{StunError, Transmit};
use task::{Command, Task, say, say_candidate};
use wire::{Came, Wire};

fn main() {
    let (task, commands) = Task::receive();
    if task.is_relay_only {
        say("no-api", json!({ "what": "a policy" }));
        return;
    }
    let epoch = Clock::now();
    let now = || Instant::from_nanos(epoch.elapsed().as_nanos() as i64);
    let mut agent = Agent::builder().trickle_ice(true).controlling(true).build();
    let id = agent.add_stream();
    let mut wires: BTreeMap<SocketAddr, Wire> = BTreeMap::new();
    let mut sockets = Vec::new();
    for ip in &task.local {
        let wire = Wire::udp(*ip).expect("a socket");
        sockets.push((TransportType::Udp, wire.local()));
        wires.insert(wire.local(), wire);
    }
    let of_family =
        |server: SocketAddr| sockets.iter().find(|(_, at)| at.is_ipv4() == server.is_ipv4()).map(|(_, at)| *at);
    let mut stun = Vec::new();
    let mut turn = Vec::new();
    for server in &task.servers {
        let address = server.address();
        if server.is_stun() {
            stun.push((TransportType::Udp, address));
            continue;
        }
        let transport = if server.transport() == "udp" { TransportType::Udp } else { TransportType::Tcp };
        let credentials = TurnCredentials::new(&server.username, &server.password);
        turn.push((of_family(address).expect("a socket"), TurnConfig::new(transport, address, credentials)));
    }
    let turn: Vec<_> = turn.iter().map(|(local, config)| (*local, config)).collect();
    {
        let mut stream = agent.mut_stream(id).expect("it was just made");
        stream.add_component().expect("a first component");
        stream.set_local_credentials(Credentials { ufrag: random_string(4), passwd: random_string(24) });
        let mut component = stream.mut_component(RTP).expect("it was just made");
        component.gather_candidates(&sockets, &stun, &turn).expect("gathering for the first time");
    }
    let mut buf = vec![0; 65_536];
    let mut end: Option<Clock> = None;
    loop {
        loop {
            match agent.poll(now()) {
                AgentPoll::WaitUntil(_) => break,
                AgentPoll::Closed => {
                    say("closed", json!({}));
                    return;
                }
                AgentPoll::AllocateSocket(socket) => {
                    let wire = Wire::tcp(socket.to);
                    let local = wire.as_ref().map(Wire::local).map_err(|_| StunError::ResourceNotFound);
                    if let Ok(wire) = wire {
                        wires.insert(wire.local(), wire);
                    }
                    agent.mut_stream(id).expect("it is there").allocated_socket(
                        socket.component_id,
                        socket.transport,
                        socket.from,
                        socket.to,
                        local,
                        now(),
                    );
                }
                AgentPoll::GatheredCandidate(found) => {
                    let candidate = &found.gathered.candidate;
                    let kind = match candidate.candidate_type {
                        CandidateType::Host => "host",
                        CandidateType::ServerReflexive => "srflx",
                        CandidateType::Relayed => "relay",
                        CandidateType::PeerReflexive => "prflx",
                    };
                    say_candidate(kind, candidate.address);
                    agent.mut_stream(id).expect("it is there").add_local_gathered_candidate(found.gathered);
                }
                AgentPoll::GatheringComplete(_) => say("gathered", json!({})),
                _ => {}
            }
        }
        while let Some(transmit) = agent.poll_transmit(now()) {
            if let Some(wire) = wires.get_mut(&transmit.transmit.from) {
                wire.send(&transmit.transmit.data, transmit.transmit.to);
            }
        }
        if end.is_some_and(|end| Clock::now() >= end) {
            return;
        }
        match commands.try_recv() {
            Ok(Command::Close) if end.is_none() => {
                agent.close(now());
                end = Some(Clock::now() + Duration::from_secs(3));
            }
            Ok(Command::Renew { .. }) => say("no-api", json!({ "what": "other credentials" })),
            _ => {}
        }
        let mut gone = Vec::new();
        for (local, wire) in &mut wires {
            let transport = if matches!(wire, Wire::Udp(_)) { TransportType::Udp } else { TransportType::Tcp };
            let mut stream = agent.mut_stream(id).expect("it is there");
            match wire.receive(&mut buf) {
                Came::From(from, len) => {
                    let transmit = Transmit::new(&buf[..len], transport, from, *local);
                    if stream.handle_incoming_data(RTP, transmit, now()).have_more_data {
                        while stream.poll_recv().is_some() {}
                    }
                }
                Came::Nothing => {}
                Came::Closed => gone.push(*local),
            }
        }
        wires.retain(|local, _| !gone.contains(local));
    }
}
