//! Servers that fail, lie, go and come back.

use core::time::Duration;

use crate::ice::{Agent, CandidateKind, Config, Event, GatheringState, Pace, ServerOutcome};
use crate::stun::{AttributeType, Class, ErrorCode, Method};

use super::bench::{BASE, Bench, REALM, address, servers};

const BOTH: &str = "198.51.100.1:3478";
const TURN: &str = "198.51.100.2:3478";
const MAPPED: &str = "203.0.113.1:7";
const ELSEWHERE: &str = "203.0.113.1:8";
const RELAYED: &str = "198.51.100.2:50000";

/// Has the server forget us, which is noticed when it is asked for more time.
fn lose(bench: &mut Bench) {
    bench.take(TURN);
    bench.seconds(545);
    let refresh = bench.take(TURN).into_iter().find(|asked| asked.message().method() == Method::REFRESH);
    bench.refuse(&refresh.expect("it is refreshed in time"), 437);
    assert_eq!(bench.codes(), [701]);
}

fn reflexive(bench: &Bench) -> Vec<std::net::SocketAddr> {
    bench.candidates(CandidateKind::ServerReflexive)
}

#[test]
fn a_change_of_the_mapping_is_noticed_where_one_server_does_all() {
    let mut bench = Bench::asking(&["stun:198.51.100.1", "turn:198.51.100.1"]);
    let asked = bench.take_one(BOTH);
    bench.reflect(&asked, MAPPED);
    bench.millis(100);
    bench.allocate(BOTH, "198.51.100.1:50000", MAPPED);
    bench.seconds(16);
    let keepalive = bench.take(BOTH).into_iter().find(|asked| asked.message().class() == Class::Request);
    bench.reflect(&keepalive.expect("the mapping is looked after"), ELSEWHERE);
    assert_eq!(reflexive(&bench), [address(ELSEWHERE)]);
}

#[test]
fn a_change_of_the_mapping_is_noticed_where_a_server_has_two_ports() {
    let mut bench = Bench::asking(&["stun:198.51.100.1", "stun:198.51.100.1:3479"]);
    bench.millis(100);
    for server in [BOTH, "198.51.100.1:3479"] {
        let asked = bench.take_one(server);
        bench.reflect(&asked, MAPPED);
    }
    bench.seconds(16);
    let keepalive = bench.take_one(BOTH);
    bench.reflect(&keepalive, ELSEWHERE);
    assert_eq!(reflexive(&bench), [address(ELSEWHERE)]);
    // And again.
    bench.seconds(16);
    let keepalive = bench.take_one(BOTH);
    bench.reflect(&keepalive, MAPPED);
    assert_eq!(reflexive(&bench), [address(MAPPED)]);
}

#[test]
fn a_refused_keepalive_is_not_the_last() {
    let mut bench = Bench::asking(&["stun:198.51.100.1"]);
    let asked = bench.take_one(BOTH);
    bench.reflect(&asked, MAPPED);
    for _ in 0..3 {
        bench.seconds(16);
        let keepalive = bench.take_one(BOTH);
        bench.refuse(&keepalive, 500);
    }
    assert_eq!(reflexive(&bench), [address(MAPPED)]);
}

#[test]
fn a_stun_server_that_is_asked_after_the_relay_on_its_port_is_heard() {
    let mut bench = Bench::asking(&["turn:198.51.100.1"]);
    bench.allocate(BOTH, "198.51.100.1:50000", MAPPED);
    bench.call(|agent, now| agent.set_servers(servers(&["turn:198.51.100.1", "stun:198.51.100.1"]), now));
    bench.millis(100);
    let asked = bench.take_one(BOTH);
    bench.reflect(&asked, MAPPED);
    assert!(matches!(bench.outcome("stun:198.51.100.1"), ServerOutcome::Answered { .. }));
}

#[test]
fn an_allocation_is_replaced_though_other_addresses_were_not_asked() {
    let mut bench = Bench::asking(&["turn:turn.example"]);
    bench.resolve(&["198.51.100.2", "198.51.100.3"]);
    bench.allocate(TURN, RELAYED, MAPPED);
    lose(&mut bench);
    assert_eq!(bench.candidates(CandidateKind::Relayed), []);
    bench.millis(100);
    bench.resolve(&["198.51.100.2"]);
    bench.millis(100);
    bench.allocate(TURN, "198.51.100.2:50001", MAPPED);
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address("198.51.100.2:50001")]);
}

#[test]
fn a_server_that_is_away_for_long_is_found_again_and_said_once_to_be_lost() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    bench.allocate(TURN, RELAYED, MAPPED);
    lose(&mut bench);
    bench.seconds(1800);
    let tries = bench.take(TURN);
    assert!((40..100).contains(&tries.len()), "{}", tries.len());
    assert_eq!((bench.codes(), bench.states().last().copied()), (vec![], Some(GatheringState::Complete)));
    while bench.asked.is_empty() {
        bench.seconds(1);
    }
    bench.allocate(TURN, "198.51.100.2:50001", MAPPED);
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address("198.51.100.2:50001")]);
}

#[test]
fn a_server_that_gives_and_takes_is_asked_more_and_more_seldom() {
    let mut bench = Bench::asking(&["turn:198.51.100.2?transport=tcp"]);
    let mut grants = 0;
    for _ in 0..6000 {
        bench.millis(100);
        if !bench.streams.is_empty() {
            let path = bench.open(TURN);
            bench.allocate(TURN, RELAYED, MAPPED);
            bench.break_stream(path);
            grants += 1;
        }
    }
    assert!((15..40).contains(&grants), "{grants} in ten minutes");
}

#[test]
fn who_has_given_up_hears_the_answers_to_the_next_try() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    let asked = bench.take_one(TURN);
    bench.challenge(&asked);
    bench.seconds(11);
    assert_eq!(bench.codes(), [701]);
    bench.take(TURN);
    bench.call(|agent, now| {
        let credentials = agent.draw_credentials();
        agent.restart(credentials, now);
    });
    bench.millis(100);
    bench.allocate(TURN, RELAYED, MAPPED);
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address(RELAYED)]);
}

#[test]
fn a_server_that_was_taken_out_is_not_asked_again() {
    let mut bench = Bench::asking(&["turn:198.51.100.2", "stun:198.51.100.1", "turn:198.51.100.3"]);
    bench.millis(100);
    bench.allocate(TURN, RELAYED, MAPPED);
    let asked = bench.take_one("198.51.100.1:3478");
    bench.refuse(&asked, 500);
    let asked = bench.take_one("198.51.100.3:3478");
    bench.refuse(&asked, 403);
    assert_eq!(bench.codes(), [500, 403]);
    let for_our_address = bench.take_one("198.51.100.3:3478");
    bench.refuse(&for_our_address, 500);
    bench.call(|agent, now| agent.set_servers(Vec::new(), now));
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address(RELAYED)], "what it has lent stays");
    bench.call(|agent, now| {
        let credentials = agent.draw_credentials();
        agent.restart(credentials, now);
    });
    lose(&mut bench);
    bench.seconds(60);
    assert_eq!(bench.asked, []);
}

#[test]
fn a_server_that_is_put_back_in_is_still_the_same() {
    let mut bench = Bench::asking(&["turn:198.51.100.2", "stun:198.51.100.1"]);
    bench.millis(100);
    bench.allocate(TURN, RELAYED, MAPPED);
    let asked = bench.take_one("198.51.100.1:3478");
    bench.refuse(&asked, 500);
    let all = || servers(&["turn:198.51.100.2", "stun:198.51.100.1"]);
    for _ in 0..200 {
        bench.call(|agent, now| agent.set_servers(Vec::new(), now));
        bench.call(|agent, now| agent.set_servers(all(), now));
    }
    assert!(matches!(bench.outcome("turn:198.51.100.2"), ServerOutcome::Answered { .. }));
    bench.millis(100);
    let asked = bench.take_one("198.51.100.1:3478");
    bench.reflect(&asked, ELSEWHERE);
    assert!(matches!(bench.outcome("stun:198.51.100.1"), ServerOutcome::Answered { .. }));
}

#[test]
fn an_address_of_our_own_is_no_relay() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    bench.allocate(TURN, BASE, MAPPED);
    bench.seconds(11);
    assert_eq!(bench.candidates(CandidateKind::Relayed), []);
    assert_eq!(bench.codes(), [701]);
    bench.call(Agent::close);
    assert_eq!(bench.candidates(CandidateKind::Host), [address(BASE)]);
}

#[test]
fn an_address_that_another_server_lends_is_no_relay() {
    let mut bench = Bench::asking(&["turn:198.51.100.2", "turn:198.51.100.3"]);
    bench.millis(100);
    bench.allocate(TURN, RELAYED, MAPPED);
    bench.allocate("198.51.100.3:3478", RELAYED, MAPPED);
    assert!(matches!(bench.outcome("turn:198.51.100.3"), ServerOutcome::Failed(error) if error.code == 701));
    bench.seconds(60);
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address(RELAYED)]);
}

#[test]
fn who_closes_in_the_middle_is_not_told_that_gathering_is_complete() {
    let mut bench = Bench::asking(&["stun:198.51.100.1"]);
    bench.call(Agent::close);
    assert_eq!(bench.states(), [GatheringState::Gathering]);
    assert_eq!(bench.agent.poll_timeout(), None);
}

#[test]
fn the_mapping_that_an_allocation_shows_goes_with_it() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    bench.allocate(TURN, RELAYED, MAPPED);
    assert_eq!(reflexive(&bench), [address(MAPPED)]);
    // A NAT has forgotten us, so the server does not know who asks.
    lose(&mut bench);
    bench.millis(100);
    bench.allocate(TURN, "198.51.100.2:50001", ELSEWHERE);
    assert_eq!(reflexive(&bench), [address(ELSEWHERE)]);
}

#[test]
fn credentials_that_were_wrong_are_tried_again_when_they_are_others() {
    let mut bench = Bench::new();
    let with = |password: &str| {
        let uri = "turn:198.51.100.2".parse().unwrap();
        vec![crate::ice::Server::new(uri, Some(super::bench::alice(password))).unwrap()]
    };
    bench.call(|agent, now| agent.set_servers(with("wrong"), now));
    bench.add_base(BASE, 1000);
    bench.call(Agent::end_of_local_candidates);
    let asked = bench.take_one(TURN);
    bench.challenge(&asked);
    let asked = bench.take_one(TURN);
    bench.challenge(&asked);
    assert_eq!(bench.codes(), [401]);
    assert_eq!(bench.states(), [GatheringState::Gathering, GatheringState::Complete]);
    bench.call(|agent, now| agent.set_servers(with("secret"), now));
    bench.millis(100);
    bench.allocate(TURN, RELAYED, MAPPED);
    assert_eq!(bench.candidates(CandidateKind::Relayed), [address(RELAYED)]);
    assert_eq!(bench.states(), [GatheringState::Gathering, GatheringState::Complete]);
}

#[test]
fn a_second_name_of_a_server_is_used_where_the_first_has_failed() {
    let mut bench = Bench::asking(&["turn:one.example", "turn:two.example"]);
    bench.resolve(&["198.51.100.2"]);
    bench.resolve(&["198.51.100.2"]);
    bench.millis(100);
    let asked = bench.take_one(TURN);
    assert_eq!(bench.outcome("turn:two.example"), ServerOutcome::Redundant);
    bench.refuse(&asked, 403);
    bench.millis(100);
    bench.allocate(TURN, RELAYED, MAPPED);
    assert!(matches!(bench.outcome("turn:two.example"), ServerOutcome::Answered { .. }));
    assert_eq!(bench.states(), [GatheringState::Gathering, GatheringState::Complete]);
}

#[test]
fn a_relay_that_refuses_tells_our_address_at_least() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    bench.millis(100);
    let asked = bench.take_one(TURN);
    bench.refuse(&asked, 486);
    let asked = bench.take_one(TURN);
    assert!(asked.bytes.starts_with(&[0, 1]));
    bench.answer(&asked, Class::Success, |writer| {
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, address(MAPPED));
    });
    assert_eq!(bench.candidates(CandidateKind::ServerReflexive), [address(MAPPED)]);
    assert_eq!(bench.codes(), [486]);
    bench.seconds(15);
    assert!(bench.take_one(TURN).bytes.starts_with(&[0, 1]), "the mapping is kept");
}

#[test]
fn a_farewell_that_nobody_answers_takes_a_second() {
    let mut bench = Bench::asking(&["turn:198.51.100.2", "turn:198.51.100.3?transport=tcp"]);
    bench.millis(100);
    bench.allocate(TURN, RELAYED, MAPPED);
    bench.open("198.51.100.3:3478");
    bench.allocate("198.51.100.3:3478", "198.51.100.3:50000", MAPPED);
    bench.call(Agent::close);
    bench.millis(500);
    bench.call(Agent::close);
    bench.millis(501);
    assert!(bench.streams.is_empty() && bench.agent.poll_timeout().is_none());
    bench.events.clear();
    bench.seconds(60);
    assert_eq!(bench.events, []);
}

#[test]
fn a_farewell_that_is_answered_is_over_with_the_answer() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    bench.allocate(TURN, RELAYED, MAPPED);
    bench.call(Agent::close);
    let release = bench.take_one(TURN);
    assert_eq!(release.message().get(AttributeType::LIFETIME), Some(&[0; 4][..]));
    bench.answer(&release, Class::Success, |writer| {
        writer.attribute(AttributeType::LIFETIME, &[0; 4]);
        writer.integrity(&crate::stun::IntegrityKey::new(
            &crate::stun::PasswordAlgorithm::Md5.key(&super::bench::alice("secret"), REALM),
        ));
    });
    assert_eq!(bench.agent.poll_timeout(), None);
}

#[test]
fn patience_is_the_bound() {
    let patience = Duration::from_secs(3);
    let mut bench = Bench::with(Config { gathering_patience: patience, ..Config::default() });
    let uris =
        ["stun:198.51.100.1", "turn:198.51.100.2", "turn:198.51.100.2?transport=tcp", "turns:turn.example", "stun:a.b"];
    bench.call(|agent, now| agent.set_servers(servers(&uris), now));
    bench.add_base(BASE, 1000);
    bench.call(Agent::end_of_local_candidates);
    bench.pass(patience);
    assert_eq!(bench.states(), [GatheringState::Gathering, GatheringState::Complete]);
    let errors = bench.errors();
    let mut told: Vec<String> = errors.iter().map(|error| error.uri.to_string()).collect();
    told.sort();
    let mut all = uris.map(str::to_owned);
    all.sort();
    assert_eq!(told, all);
    assert!(errors.iter().all(|error| error.code == 701));
    let resolves = bench.told(|event| matches!(event, Event::Resolve { .. }).then_some(()));
    assert_eq!((resolves.len(), bench.streams.len()), (2, 0));
}

#[test]
fn a_redirection_in_a_circle_is_300() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    for (server, next) in [(TURN, 3), ("198.51.100.3:3478", 2)] {
        let asked = bench.take_one(server);
        bench.answer(&asked, Class::Error, |writer| {
            writer.error_code(ErrorCode { code: 300, reason: "Try Alternate" });
            writer.attribute(AttributeType::ALTERNATE_SERVER, &[0, 1, 0x0D, 0x96, 198, 51, 100, next]);
        });
    }
    assert_eq!(bench.codes(), [300]);
}

#[test]
fn who_is_granted_its_pace_asks_with_each_grant() {
    let mut bench = Bench::with(Config { pace: Pace::Granted, ..Config::default() });
    let uris = ["stun:198.51.100.1", "turn:198.51.100.2", "turn:198.51.100.3?transport=tcp"];
    bench.call(|agent, now| agent.set_servers(servers(&uris), now));
    bench.add_base(BASE, 1000);
    for asked in 0..uris.len() {
        bench.millis(100);
        assert_eq!(bench.asked.len() + bench.streams.len(), asked, "without a grant nobody is asked");
        assert!(bench.agent.wants_check().is_some_and(|at| at <= bench.now));
        assert!(bench.call(Agent::grant_check));
        assert!(!bench.call(Agent::grant_check), "its own Ta holds even so");
        // What only repeats a request is not paced.
        bench.asked.dedup_by(|a, b| a.bytes == b.bytes);
    }
    assert_eq!(bench.agent.wants_check(), None);
}

#[test]
fn where_the_server_that_a_mapping_lives_by_dies_another_one_keeps_it() {
    let mut bench = Bench::asking(&["stun:198.51.100.1", "stun:198.51.100.1:3479"]);
    bench.millis(100);
    for server in [BOTH, "198.51.100.1:3479"] {
        let asked = bench.take_one(server);
        bench.reflect(&asked, MAPPED);
    }
    bench.seconds(50);
    assert_eq!(bench.take(BOTH).len(), 1, "the first one is asked and does not answer");
    bench.seconds(10);
    let keepalive = bench.take_one("198.51.100.1:3479");
    bench.reflect(&keepalive, ELSEWHERE);
    assert_eq!(reflexive(&bench), [address(ELSEWHERE)]);
    bench.seconds(60);
    assert_eq!(bench.take(BOTH).len(), 0, "who does not answer is left alone");
}

#[test]
fn a_mapping_that_a_lost_allocation_has_shown_as_well_is_kept_by_a_stun_server() {
    let mut bench = Bench::asking(&["stun:198.51.100.1", "turn:198.51.100.2"]);
    bench.millis(100);
    bench.allocate(TURN, RELAYED, MAPPED);
    let asked = bench.take_one(BOTH);
    bench.reflect(&asked, MAPPED);
    lose(&mut bench);
    bench.take(BOTH);
    assert_eq!(reflexive(&bench), [address(MAPPED)]);
    bench.seconds(60);
    assert!(!bench.take(BOTH).is_empty());
}

#[test]
fn a_server_that_no_socket_reaches_is_told_once() {
    let mut bench = Bench::asking(&["stun:198.51.100.1", "stun:[2001:db8::1]", "stun:stun.example.org"]);
    bench.resolve(&["2001:db8::2"]);
    bench.millis(100);
    let asked = bench.take_one(BOTH);
    bench.reflect(&asked, MAPPED);
    bench.seconds(20);
    let errors = bench.errors();
    let told: Vec<_> = errors.iter().map(|error| (error.uri.to_string(), error.code, error.local)).collect();
    let unreached = |uri: &str| (uri.to_owned(), 701, None);
    assert_eq!(told, [unreached("stun:[2001:db8::1]"), unreached("stun:stun.example.org")]);
    bench.call(|agent, now| agent.set_servers(servers(&["stun:198.51.100.1", "stun:[2001:db8::1]"]), now));
    bench.seconds(20);
    assert_eq!(bench.codes(), []);
}

#[test]
fn a_server_whose_turn_has_not_come_has_not_failed_to_answer() {
    let mut bench = Bench::with(Config { pace: Pace::Granted, ..Config::default() });
    bench.call(|agent, now| agent.set_servers(servers(&["stun:198.51.100.1"]), now));
    bench.add_base(BASE, 1000);
    bench.seconds(20);
    assert!(bench.asked.is_empty());
    assert_eq!(bench.errors()[0].text, "there was no turn to ask the server in time");
}

/// Otherwise the other side would pass over what comes after the end.
#[test]
fn the_last_candidates_are_told_before_the_end() {
    let mut bench = Bench::asking(&["turn:198.51.100.2"]);
    bench.allocate(TURN, RELAYED, MAPPED);
    let told = bench.told(|event| match event {
        Event::LocalCandidate(local) => Some(Some(local.candidate.kind)),
        Event::GatheringStateChange(GatheringState::Complete) => Some(None),
        _ => None,
    });
    let kinds = [CandidateKind::Host, CandidateKind::ServerReflexive, CandidateKind::Relayed];
    assert_eq!(told, kinds.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
}
