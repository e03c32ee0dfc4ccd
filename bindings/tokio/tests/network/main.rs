//! Peers on machines of their own, whose addresses come and go under them. Linux alone lets a test make machines.

#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod machine;

use common::{incoming, ordered, soon};
use frazil::ice::{NetworkChange, PathAfterChange};
use frazil::peer::{Config, ConnectionState};
use frazil_tokio::{Builder, Channel, Event, Events, Peer};
use machine::Machine;
use std::net::IpAddr;

/// A peer on each machine, and a channel between them. What each side trickles from then on reaches the other.
struct Pair {
    peers: [Peer; 2],
    events: [Events; 2],
    channels: [Channel; 2],
}

async fn start(machine: &Machine, builder: Builder) -> (Peer, Events) {
    machine.run(async move { builder.start().unwrap() }).await
}

impl Pair {
    async fn connect(machines: [&Machine; 2], builder: &Builder) -> Self {
        let (offerer, offerer_events) = start(machines[0], builder.clone()).await;
        let (answerer, mut answerer_events) = start(machines[1], builder.clone()).await;
        let offered = offerer.create_data_channel(ordered("first")).await.unwrap();
        let answer = answerer.answer(&offerer.offer().await.unwrap()).await.unwrap();
        offerer.set_remote_description(&answer).await.unwrap();
        soon(offered.opened()).await.unwrap();
        let answered = incoming(&mut answerer_events).await;
        let pair = Self {
            peers: [offerer, answerer],
            events: [offerer_events, answerer_events],
            channels: [offered, answered],
        };
        pair.echo("first words").await;
        pair
    }

    async fn echo(&self, text: &str) {
        for (from, to) in [(0, 1), (1, 0)] {
            self.channels[from].send(text).await.unwrap();
            assert_eq!(soon(self.channels[to].recv()).await.unwrap().as_text(), Some(text));
        }
    }

    /// Waits until the first peer's network has changed as wanted; what it trickles reaches the other one. On the way
    /// the connection may be called disconnected, never failed.
    async fn change(&mut self, mut wanted: impl FnMut(&NetworkChange) -> bool) {
        soon(async {
            loop {
                match self.events[0].next().await.expect("the peer stays open") {
                    Event::NetworkChange(change) if wanted(&change) => return,
                    Event::IceCandidate(candidate) => self.peers[1].add_ice_candidate(&candidate).await.unwrap(),
                    // A socket may be lost a moment before the kernel's word is heard; each can be bound.
                    Event::SocketLost { local, error } if local.port() == 0 => panic!("{local}: {error}"),
                    Event::ConnectionStateChange(state) => assert_ne!(state, ConnectionState::Failed),
                    _ => {}
                }
            }
        })
        .await;
    }

    /// The addresses that data goes between, seen from the first peer.
    fn path(&self) -> (IpAddr, IpAddr) {
        let pair = self.peers[0].selected_pair().unwrap();
        (pair.local.base.ip(), pair.remote.address.ip())
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(addresses: &[std::net::SocketAddr]) -> Vec<IpAddr> {
    addresses.iter().map(std::net::SocketAddr::ip).collect()
}

/// What only runs where a network namespace can be made: `cargo xtask test network`.
mod in_namespaces {
    use super::*;

    #[tokio::test]
    #[ignore = "makes network namespaces"]
    async fn a_session_outlives_the_address_that_it_began_on() {
        let (one, other) = Machine::two().await;
        one.ip("address add 10.77.0.1/24 dev wire").await;
        other.ip("address add 10.77.0.2/24 dev wire").await;
        let mut pair = Pair::connect([&one, &other], &Peer::builder()).await;
        assert_eq!(pair.path(), (ip("10.77.0.1"), ip("10.77.0.2")));

        // One address goes, and later another comes.
        one.ip("address del 10.77.0.1/24 dev wire").await;
        pair.change(|change| ips(&change.removed) == [ip("10.77.0.1")] && change.path == PathAfterChange::Lost).await;
        assert!(pair.peers[0].local_candidates().is_empty());
        one.ip("address add 10.77.0.3/24 dev wire").await;
        pair.change(|change| ips(&change.added) == [ip("10.77.0.3")]).await;
        pair.echo("from the new address").await;
        assert_eq!(pair.path(), (ip("10.77.0.3"), ip("10.77.0.2")));

        // The same the other way round: the next address is there before the last one goes.
        one.ip("address add 10.77.0.4/32 dev wire").await;
        pair.change(|change| ips(&change.added) == [ip("10.77.0.4")] && change.path == PathAfterChange::Kept).await;
        pair.echo("with two addresses").await;
        one.ip("address del 10.77.0.3/24 dev wire").await;
        one.ip("route add 10.77.0.0/24 dev wire").await;
        pair.change(|change| ips(&change.removed) == [ip("10.77.0.3")]).await;
        pair.echo("from the last address").await;
        assert_eq!(pair.path(), (ip("10.77.0.4"), ip("10.77.0.2")));
    }

    #[tokio::test]
    #[ignore = "makes network namespaces"]
    async fn an_ipv6_address_is_used_when_it_is_the_machines_own() {
        let (one, other) = Machine::two().await;
        one.ip("address add 10.77.0.1/24 dev wire").await;
        other.ip("address add 10.77.0.2/24 dev wire").await;
        other.ip("address add fd77::2/64 dev wire nodad").await;
        let mut pair = Pair::connect([&one, &other], &Peer::builder()).await;
        // For a second or two the kernel asks whether somebody else has it. No socket can be bound meanwhile, and the
        // monitor is told of it before as well as after.
        one.ip("address add fd77::1/64 dev wire").await;
        pair.change(|change| ips(&change.added) == [ip("fd77::1")] && change.path == PathAfterChange::Kept).await;
        one.ip("address del 10.77.0.1/24 dev wire").await;
        pair.change(|change| ips(&change.removed) == [ip("10.77.0.1")]).await;
        pair.echo("over the other family").await;
        assert_eq!(pair.path(), (ip("fd77::1"), ip("fd77::2")));
    }

    #[tokio::test]
    #[ignore = "makes network namespaces"]
    async fn names_lead_from_machine_to_machine_in_both_families() {
        for (addresses, hidden) in
            [(["10.77.0.1/24", "10.77.0.2/24"], "10.77."), (["fd77::1/64", "fd77::2/64"], "fd77:")]
        {
            let (one, other) = Machine::two().await;
            for (machine, address) in [&one, &other].into_iter().zip(addresses) {
                let nodad = if address.contains(':') { " nodad" } else { "" };
                machine.ip(&format!("address add {address} dev wire{nodad}")).await;
            }
            let mut config = Config::default();
            config.mdns_candidates = true;
            let pair = Pair::connect([&one, &other], &Peer::builder().config(config)).await;
            for peer in &pair.peers {
                let told = peer.local_description().unwrap().sdp;
                assert!(told.contains(".local ") && !told.contains(hidden), "{told}");
            }
            for peer in &pair.peers {
                peer.close().await;
            }
        }
    }
}
