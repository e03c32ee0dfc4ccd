//! Streams to servers: one at a time on each path.

use crate::Protocol;
use crate::ice::{CandidateKind, GatheringState, HostSocket, InterfaceKind, ServerOutcome};
use crate::stun::{AttributeType, Class, ErrorCode};

use super::bench::{BASE, Bench, address};

const ONE: &str = "198.51.100.2:443";
const MAPPED: &str = "203.0.113.1:7";
const RELAYED: &str = "198.51.100.2:50000";

#[test]
fn where_one_port_may_speak_tcp_or_tls_both_are_tried() {
    let mut bench = Bench::asking(&["turn:198.51.100.2:443?transport=tcp", "turns:198.51.100.2:443"]);
    bench.millis(100);
    let path = bench.open(ONE);
    assert_eq!(bench.take(ONE).len(), 1);
    // It is TLS that is spoken there.
    bench.break_stream(path);
    bench.millis(100);
    bench.open(ONE);
    bench.allocate(ONE, RELAYED, MAPPED);
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address(RELAYED)]);
    assert_eq!(bench.codes(), [701]);
}

#[test]
fn who_takes_its_turn_late_has_no_more_time_than_all() {
    let mut bench = Bench::asking(&["turn:198.51.100.2:443?transport=tcp", "turns:198.51.100.2:443"]);
    bench.millis(9_900);
    bench.break_stream(bench.stream_to(ONE));
    bench.millis(101);
    assert_eq!(bench.states(), [GatheringState::Gathering, GatheringState::Complete]);
    assert_eq!((bench.codes(), bench.streams.len()), (vec![701, 701], 0));
}

#[test]
fn a_server_that_two_are_sent_to_is_asked_once() {
    let mut bench = Bench::asking(&["turn:198.51.100.2:443?transport=tcp", "turn:198.51.100.3:443?transport=tcp"]);
    bench.millis(100);
    let third = [0, 1, 0x01, 0xBB, 198, 51, 100, 4];
    for server in [ONE, "198.51.100.3:443"] {
        bench.open(server);
        let asked = bench.take_one(server);
        bench.answer(&asked, Class::Error, |writer| {
            writer.error_code(ErrorCode { code: 300, reason: "Try Alternate" });
            writer.attribute(AttributeType::ALTERNATE_SERVER, &third);
        });
    }
    bench.open("198.51.100.4:443");
    bench.allocate("198.51.100.4:443", "198.51.100.4:50000", MAPPED);
    assert_eq!(bench.outcome("turn:198.51.100.3:443?transport=tcp"), ServerOutcome::Redundant);
    assert_eq!((bench.candidates(CandidateKind::Relayed).len(), bench.codes()), (1, vec![]));
}

#[test]
fn a_socket_that_is_replaced_on_its_address_takes_the_relay_over() {
    let mut bench = Bench::asking(&["turn:198.51.100.2:443?transport=tcp"]);
    let path = bench.open(ONE);
    bench.allocate(ONE, RELAYED, MAPPED);
    let socket = HostSocket::on(InterfaceKind::Unknown, 0, address("192.0.2.1:1001"), Protocol::Udp);
    assert_ne!(address(BASE), socket.base);
    bench.call(|agent, now| agent.handle_network_change(&[socket], now));
    bench.millis(100);
    assert_eq!(bench.candidates(CandidateKind::Relayed), []);
    assert_ne!(bench.open(ONE), path, "it is another stream");
    bench.allocate(ONE, "198.51.100.2:50001", MAPPED);
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address("198.51.100.2:50001")]);
}
