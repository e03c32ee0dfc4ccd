//! What RFC 8445 asks of gathering in so many words.

use core::time::Duration;

use super::bench::{Bench, address, servers};
use crate::ice::{
    Agent, Candidate, CandidateKind, Credentials, Event, Foundation, GatheringState, ServerOutcome, Transport,
};
use crate::stun::{AttributeType, Class, ErrorCode, Method};
use crate::{Instant, Protocol};

const MAPPED: &str = "203.0.113.1:1000";

fn bench_with(bases: &[&str], uris: &[&str]) -> Bench {
    let mut bench = Bench::new();
    bench.call(|agent, now| agent.set_servers(servers(uris), now));
    for (base, preference) in bases.iter().zip((0..u16::MAX).rev()) {
        bench.add_base(base, preference);
    }
    bench.call(Agent::end_of_local_candidates);
    bench
}

/// A candidate of the other side.
fn theirs() -> Candidate {
    Candidate {
        kind: CandidateKind::Host,
        transport: Transport::Udp,
        address: address("203.0.113.9:2000"),
        priority: 1,
        foundation: "1".parse::<Foundation>().unwrap(),
        related: None,
    }
}

#[test]
fn a_server_of_rfc_3489_is_understood() {
    let mut bench = Bench::asking(&["stun:198.51.100.1"]);
    let asked = bench.take_one("198.51.100.1:3478");
    bench.answer(&asked, Class::Success, |writer| {
        writer.attribute(AttributeType::MAPPED_ADDRESS, &[0, 1, 0x03, 0xE8, 203, 0, 113, 1]);
    });
    assert_eq!(bench.candidates(CandidateKind::ServerReflexive), [address(MAPPED)]);
}

/// Over all servers and bases; those for our own address go first.
#[test]
fn questions_are_one_ta_apart() {
    let uris = ["turn:198.51.100.2", "stun:198.51.100.1", "stun:198.51.100.3", "turn:198.51.100.4"];
    let mut bench = bench_with(&["192.0.2.1:1000", "192.0.2.2:1000"], &uris);
    bench.millis(400);
    let mut asked = core::mem::take(&mut bench.asked);
    asked.sort_by_key(|asked| asked.at);
    let times: Vec<Instant> = asked.iter().map(|asked| asked.at).collect();
    assert_eq!(times.len(), 8, "{times:?}");
    assert!(times.is_sorted_by(|one, next| *next >= *one + Duration::from_millis(20)), "{times:?}");
    let methods: Vec<Method> = asked.iter().map(|asked| asked.message().method()).collect();
    assert!(methods[..4].iter().all(|method| *method == Method::BINDING), "{methods:?}");
}

#[test]
fn the_more_questions_the_longer_the_timers() {
    let uris: Vec<String> = (1..=40).map(|last| format!("stun:198.51.100.{last}")).collect();
    let mut bench = Bench::asking(&uris.iter().map(String::as_str).collect::<Vec<_>>());
    bench.millis(1_300);
    let first = address("198.51.100.1:3478");
    let times: Vec<Instant> = bench.asked.iter().filter(|asked| asked.path.remote == first).map(|a| a.at).collect();
    assert_eq!(times[1] - times[0], Duration::from_millis(40 * 20), "RTO is Ta times their number");
}

#[test]
fn a_machine_with_ipv6_alone_asks_through_its_nat64() {
    let mut bench = bench_with(&["[2001:db8::1]:1000"], &["stun:198.51.100.9"]);
    assert!(bench.events.iter().any(|event| matches!(event, Event::Resolve { name, .. } if name == "ipv4only.arpa")));
    bench.resolve(&["192.0.0.170", "64:ff9b::c000:aa"]);
    bench.millis(100);
    let asked = bench.take_one("[64:ff9b::c633:6409]:3478");
    bench.reflect(&asked, MAPPED);
    assert_eq!(bench.candidates(CandidateKind::ServerReflexive), [address(MAPPED)]);
}

#[test]
fn where_there_is_no_nat64_a_server_of_ipv4_is_no_failure_of_ipv6() {
    let mut bench = bench_with(&["[2001:db8::1]:1000", "192.0.2.1:1000"], &["stun:198.51.100.9"]);
    bench.resolve(&["192.0.0.170"]);
    let asked = bench.take_one("198.51.100.9:3478");
    bench.reflect(&asked, MAPPED);
    assert!(matches!(bench.outcome("stun:198.51.100.9"), ServerOutcome::Answered { .. }));
    assert_eq!(bench.codes(), []);
    assert_eq!(bench.states(), [GatheringState::Gathering, GatheringState::Complete]);
}

#[test]
fn a_permission_goes_before_a_check() {
    const TURN: &str = "198.51.100.2:3478";
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    bench.allocate(TURN, "198.51.100.2:50000", MAPPED);
    let credentials: Credentials = Agent::draw_credentials(&mut bench.agent);
    bench.call(|agent, now| agent.set_remote_credentials(credentials, now));
    bench.call(|agent, now| agent.add_remote_candidate(theirs(), now)).unwrap();
    let asked = bench.take_one(TURN);
    assert_eq!(asked.message().method(), Method::CREATE_PERMISSION, "as soon as the address is known");
    bench.millis(200);
    let sent = bench.take(TURN);
    assert!(sent.iter().all(|sent| sent.message().method() != Method::SEND), "the check waits: {sent:?}");
    bench.grant_permission(&asked);
    assert_eq!(bench.take_one(TURN).message().method(), Method::SEND);
}

#[test]
fn a_peer_that_a_relay_refuses_is_not_waited_for() {
    const TURN: &str = "198.51.100.2:3478";
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    bench.allocate(TURN, "198.51.100.2:50000", MAPPED);
    let credentials = bench.agent.draw_credentials();
    bench.call(|agent, now| agent.set_remote_credentials(credentials, now));
    bench.call(|agent, now| agent.add_remote_candidate(theirs(), now)).unwrap();
    let asked = bench.take_one(TURN);
    bench.refuse(&asked, ErrorCode::FORBIDDEN.code);
    let failed = bench.agent.pairs().find(|pair| pair.local.candidate.kind == CandidateKind::Relayed).unwrap();
    assert_eq!(failed.fate, Some(crate::ice::PairFate::Refused(403)));
}

/// Over UDP before over TCP, and the servers in the order in which they were given.
#[test]
fn relays_have_priorities_of_their_own() {
    let uris = ["turn:198.51.100.4?transport=tcp", "turn:198.51.100.2", "turn:198.51.100.3"];
    let mut bench = Bench::asking(&uris);
    bench.millis(100);
    bench.open("198.51.100.4:3478");
    for server in ["198.51.100.4", "198.51.100.3", "198.51.100.2"] {
        bench.allocate(&format!("{server}:3478"), &format!("{server}:50000"), MAPPED);
    }
    let locals = bench.agent.local_candidates().iter().map(|local| local.candidate);
    let mut relays: Vec<Candidate> = locals.filter(|local| local.kind == CandidateKind::Relayed).collect();
    relays.sort_by_key(|relay| core::cmp::Reverse(relay.priority));
    let order: Vec<String> = relays.iter().map(|relay| relay.address.ip().to_string()).collect();
    assert_eq!(order, ["198.51.100.2", "198.51.100.3", "198.51.100.4"]);
    assert!(relays.is_sorted_by(|one, next| one.priority > next.priority), "{relays:?}");
    assert!(relays.iter().all(|relay| relay.transport.protocol() == Protocol::Udp));
}
