//! Sockets that the agent asks for, and those that it must not touch.

use std::collections::BTreeSet;

use crate::Protocol;
use crate::ice::{
    Agent, CandidateError, CandidateKind, Config, Event, HostSocket, LocalCandidate, ServerOutcome, SocketId, TcpType,
    Transport, TransportPolicy,
};

use super::bench::{BASE, Bench, address, servers};

const STUN: &str = "198.51.100.1:3478";
const TURN: &str = "198.51.100.2:3478";
const MAPPED: &str = "203.0.113.1:7";
const RELAYED: &str = "198.51.100.2:50000";
const FRESH: &str = "192.0.2.1:1001";

#[test]
fn the_sockets_of_the_bases_are_left_to_the_driver() {
    for closes in [true, false] {
        let mut bench = Bench::asking(&["stun:198.51.100.1", "turn:198.51.100.2", "turn:198.51.100.3"]);
        bench.millis(100);
        let asked = bench.take_one(STUN);
        bench.reflect(&asked, MAPPED);
        bench.allocate(TURN, RELAYED, MAPPED);
        if closes {
            bench.call(Agent::close);
        } else {
            bench.call(|agent, now| agent.remove_local_base(Protocol::Udp, address(BASE), now));
        }
        // The bench refuses that a socket is closed which nobody has opened.
        bench.seconds(2);
    }
}

/// The server says that it knows our port from before, and another one is asked for.
fn known_from_before(bench: &mut Bench) -> SocketId {
    let asked = bench.take_one(TURN);
    bench.challenge(&asked);
    let asked = bench.take_one(TURN);
    bench.refuse(&asked, 437);
    let [socket] = bench.sockets_wanted()[..] else { panic!("{:?}", bench.events) };
    socket
}

#[test]
fn after_437_another_socket_serves_and_is_closed_once() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    let socket = known_from_before(&mut bench);
    bench.open_socket(socket, Some(FRESH));
    bench.millis(100);
    assert_eq!(bench.asked[0].path.local, address(FRESH));
    bench.allocate(TURN, RELAYED, MAPPED);
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address(RELAYED)]);
    assert_eq!(bench.codes(), []);
    bench.call(Agent::close);
    bench.seconds(2);
    assert!(bench.sockets.is_empty() && bench.agent.poll_timeout().is_none());
}

#[test]
fn after_437_and_no_socket_it_is_437() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    let socket = known_from_before(&mut bench);
    bench.open_socket(socket, None);
    assert_eq!(bench.codes(), [437]);
    assert!(matches!(bench.outcome("turn:198.51.100.2"), ServerOutcome::Failed(error) if error.code == 437));
    bench.seconds(60);
    assert_eq!(bench.take(TURN), []);
}

#[test]
fn a_socket_that_comes_too_late_is_closed() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    let asked = bench.take_one(TURN);
    bench.refuse(&asked, 437);
    let [socket] = bench.sockets_wanted()[..] else { panic!("{:?}", bench.events) };
    bench.seconds(11);
    assert_eq!(bench.codes(), [437]);
    bench.open_socket(socket, Some(FRESH));
    assert!(bench.sockets.is_empty());
}

#[test]
fn two_addresses_that_know_us_take_one_socket() {
    let mut bench = Bench::asking(&["turn:turn.example"]);
    bench.resolve(&["198.51.100.2", "198.51.100.3"]);
    bench.millis(600);
    let first = bench.take_one(TURN);
    let second = bench.take_one("198.51.100.3:3478");
    bench.refuse(&first, 437);
    bench.refuse(&second, 437);
    let [socket] = bench.sockets_wanted()[..] else { panic!("{:?}", bench.events) };
    // Nothing is asked from where it is known to be of no use.
    bench.millis(600);
    assert_eq!(bench.asked, []);
    bench.open_socket(socket, Some(FRESH));
    bench.seconds(1);
    assert_eq!(bench.take_one(TURN).path.local, address(FRESH));
    let second = bench.take_one("198.51.100.3:3478");
    assert_eq!(second.path.local, address(FRESH));
    bench.challenge(&second);
    let second = bench.take_one("198.51.100.3:3478");
    bench.grant(&second, RELAYED, MAPPED);
    assert_eq!(bench.sockets.len(), 1, "the one that has answered needs it, whatever becomes of the other");
    bench.call(Agent::close);
    bench.seconds(2);
    assert!(bench.sockets.is_empty());
}

#[test]
fn a_list_of_sockets_that_is_told_again_is_no_change_where_only_relays_may_be_used() {
    let mut bench = Bench::with(Config { transport_policy: TransportPolicy::Relay, ..Config::default() });
    let sockets = [Protocol::Udp, Protocol::Tcp].map(|protocol| HostSocket::new(address(BASE), protocol));
    let mut changes = |sockets: &[HostSocket]| {
        bench.call(|agent, now| agent.handle_network_change(sockets, now));
        bench.told(|event| match event {
            Event::NetworkChange(change) => Some((change.added.len(), change.removed.len())),
            _ => None,
        })
    };
    assert_eq!(changes(&sockets), [(1, 0)], "a listener is of no use there");
    assert_eq!(changes(&sockets), []);
    assert_eq!(changes(&sockets[1..]), [(0, 1)]);
    assert_eq!(changes(&[]), []);
}

#[test]
fn nothing_is_asked_from_a_socket_that_was_refused() {
    let mut bench = Bench::new();
    let add = |bench: &mut Bench, transport: Transport, port: u16| {
        let socket = LocalCandidate::host(transport, ([192, 0, 2, 1], port).into(), port);
        bench.call(|agent, now| agent.add_local_candidate(socket, now))
    };
    add(&mut bench, Transport::Udp, 1).unwrap();
    let listeners = (1000..).take_while(|port| add(&mut bench, Transport::Tcp(TcpType::Passive), *port).is_ok());
    assert_eq!(listeners.count(), 63);
    assert!(matches!(add(&mut bench, Transport::Udp, 2), Err(CandidateError::TooMany(_))));
    bench.call(|agent, now| agent.set_servers(servers(&["stun:198.51.100.1"]), now));
    bench.seconds(1);
    let ports: BTreeSet<u16> = bench.asked.iter().map(|asked| asked.path.local.port()).collect();
    assert_eq!(ports, [1].into(), "the driver has closed the other one");
}
