//! Relays only.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use frazil::ice::{CandidateKind, Config, Event, Role};

use crate::site::{Name, Site, address, relay_only, seconds, server, turn_server};

const A: &str = "203.0.113.1:5000";
const B: &str = "203.0.113.2:5000";
const A6: &str = "[2001:db8:1::1]:5000";
const B6: &str = "[2001:db8:1::2]:5000";
const TURN: [&str; 2] = ["198.51.100.1", "2001:db8:5::1"];

fn site() -> Site {
    let mut site = Site::new(1);
    site.add_server(&TURN, turn_server());
    site
}

#[test]
fn two_that_use_relays_only_meet_there_and_nowhere_else() {
    let ways = [
        ([A, B], "turn:198.51.100.1", "turn:198.51.100.1"),
        ([A, B], "turn:198.51.100.1?transport=tcp", "turn:198.51.100.1?transport=tcp"),
        ([A, B], "turn:198.51.100.1?transport=tcp", "turn:198.51.100.1"),
        ([A6, B6], "turn:[2001:db8:5::1]", "turn:[2001:db8:5::1]"),
        ([A6, B6], "turn:[2001:db8:5::1]?transport=tcp", "turn:relay.example"),
        ([A, B6], "turn:relay.example", "turn:relay.example?transport=tcp"),
        ([A, B], "stun:198.51.100.1", "turn:relay.example"),
    ];
    for (sockets, ours, theirs) in ways {
        let mut site = site();
        let addresses = TURN.map(|ip| ip.parse().unwrap()).to_vec();
        site.names.insert("relay.example".to_owned(), Name { after: Some(seconds(1)), addresses });
        let public = site.internet.public();
        for (which, role) in [(0, Role::Controlling), (1, Role::Controlled)] {
            site.add_agent(public, &[sockets[which]], relay_only(), role);
        }
        site.introduce();
        site.begin(0, &[sockets[0]], vec![server(ours)]);
        site.begin(1, &[sockets[1]], vec![server(theirs)]);
        site.pass(seconds(20));
        let can = ours.starts_with("turn");
        assert_eq!(site.are_connected(), can, "{ours} and {theirs}");
        assert!(!can || site.exchange(b"there and back"), "{ours} and {theirs}");
        let servers: BTreeSet<SocketAddr> = TURN.map(|ip| SocketAddr::new(ip.parse().unwrap(), 3478)).into();
        for sent in site.internet.record() {
            assert!(servers.contains(&sent.path.remote), "{ours} and {theirs}: {:?}", sent.path);
        }
        let told = site.said.iter().flatten().filter_map(|(_, event)| match event {
            Event::LocalCandidate(local) => Some(local.candidate),
            _ => None,
        });
        for candidate in told {
            assert_eq!(candidate.kind, CandidateKind::Relayed);
            // RFC 8839 section 5.1, of who does not want to be known.
            assert!(candidate.related.is_some_and(|related| related.ip().is_unspecified() && related.port() == 9));
        }
    }
}

#[test]
fn a_check_that_comes_to_a_host_is_not_answered_whatever_it_says() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut site = site();
        let public = site.internet.public();
        site.add_agent(public, &[A], relay_only(), Role::Controlling);
        site.add_agent(public, &[B], Config::default(), role);
        // It has guessed where the other one is.
        let credentials = site.agent(0).local_credentials().clone();
        site.with(1, |agent, now| agent.set_remote_credentials(credentials, now));
        let guess = frazil::ice::LocalCandidate::host(frazil::Protocol::Udp, address(A), 1).candidate;
        site.begin(0, &[A], Vec::new());
        site.begin(1, &[B], Vec::new());
        site.with(1, |agent, now| agent.add_remote_candidate(guess, now)).unwrap();
        site.pass(seconds(30));
        let counters = site.internet.counters(site.agents[0]);
        assert!(counters.received > 3 && counters.sent == 0, "{role:?}: {counters:?}");
    }
}
