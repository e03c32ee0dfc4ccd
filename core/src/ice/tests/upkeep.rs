//! What keeps a path: silence noticed, other pairs at hand, sockets that come and go.

use super::*;
use crate::ice::{NetworkChange, PathAfterChange};

fn network_change(pair: &Pair, side: usize) -> Option<&NetworkChange> {
    let mut changes = pair.events[side].iter().filter_map(|event| match event {
        Event::NetworkChange(change) => Some(change),
        _ => None,
    });
    changes.next_back()
}

#[test]
fn another_base_is_held_ready() {
    let mut pair = two_ways();
    talk(&mut pair, Duration::from_secs(60));
    assert_eq!(pair.selected(0).0, address(LEFT));
    let spare = pair.agents[0].pairs().find(|report| report.local.base == address(SECOND_LEFT)).unwrap();
    assert_eq!((spare.state, spare.selected), (PairState::Succeeded, None));
    // Once a second until it is found, then every ten seconds from each side.
    assert!((5..=9).contains(&spare.stats.requests_sent), "{:?}", spare.stats);
}

#[test]
fn a_path_that_dies_silently_is_replaced_within_two_round_trips() {
    for direction in 0..3 {
        let mut pair = two_ways();
        talk(&mut pair, Duration::from_secs(5));
        let cut = pair.now;
        // There, back, or both: the first interface is gone, and nobody says so.
        pair.passes = [
            |from, _| from != address(LEFT),
            |_, to| to != address(LEFT),
            |from, to| from != address(LEFT) && to != address(LEFT),
        ][direction];
        talk(&mut pair, Duration::from_secs(5));
        for side in [0, 1] {
            assert_eq!(pair.selected(0).0, address(SECOND_LEFT), "direction {direction}");
            let gap = longest_gap(&pair, side, cut);
            // Where one direction still works only one side can notice, and has to tell the other by moving.
            let bound = if direction == 2 { ROUND_TRIP * 2 } else { ROUND_TRIP * 7 / 2 };
            assert!(gap < bound, "direction {direction}: side {side} heard nothing for {gap:?}");
            // First, nominated; then a move or two until both agree.
            assert!(causes(&pair, side).len() <= 4, "direction {direction}: side {side} {:?}", causes(&pair, side));
            assert!(pair.agents[side].selected_pair().unwrap().nominated, "both have settled on it");
        }
    }
}

#[test]
fn other_addresses_of_an_interface_die_with_it() {
    const THIRD_LEFT: &str = "192.0.2.3:1000";
    let mut pair = Pair::new(Role::Controlling, Role::Controlled);
    pair.delay = ROUND_TRIP / 2;
    let on = |text, interface, index| HostSocket::on(interface, index, address(text), Protocol::Udp);
    let wifi = [LEFT, THIRD_LEFT].map(|text| on(text, InterfaceKind::Wifi, 1));
    let sockets = [wifi[0], wifi[1], on(SECOND_LEFT, InterfaceKind::Cellular, 2)];
    pair.agents[0].handle_network_change(&sockets, pair.now);
    pair.agents[1].handle_network_change(&[on(RIGHT, InterfaceKind::Ethernet, 1)], pair.now);
    pair.signal();
    talk(&mut pair, Duration::from_secs(8));
    assert_eq!(pair.selected(0).0, address(LEFT));
    let cut = pair.now;
    pair.passes = |from, to| ![LEFT, THIRD_LEFT].iter().any(|wifi| [from, to].contains(&address(wifi)));
    talk(&mut pair, Duration::from_secs(5));
    for side in [0, 1] {
        let gap = longest_gap(&pair, side, cut);
        assert!(gap < ROUND_TRIP * 2, "side {side} heard nothing for {gap:?}");
        // First, better, nominated; then one move, and its nomination.
        assert!(causes(&pair, side).len() <= 5, "side {side}: {:?}", causes(&pair, side));
    }
    assert_eq!(pair.selected(0).0, address(SECOND_LEFT));
}

#[test]
fn silence_of_an_application_moves_nothing() {
    let mut pair = two_ways();
    talk(&mut pair, Duration::from_secs(5));
    let before = [0, 1].map(|side| causes(&pair, side).len());
    for _ in 0..30 {
        pair.run_for(Duration::from_millis(700));
        talk(&mut pair, Duration::from_millis(300));
    }
    assert_eq!([0, 1].map(|side| causes(&pair, side).len()), before);
}

#[test]
fn a_socket_that_is_closed_moves_the_path_at_once() {
    let mut pair = two_ways();
    talk(&mut pair, Duration::from_secs(5));
    let now = pair.now;
    pair.agents[0].handle_network_change(&[socket(SECOND_LEFT, InterfaceKind::Cellular)], now);
    assert_eq!(pair.selected(0).0, address(SECOND_LEFT), "without a round trip");
    talk(&mut pair, Duration::from_secs(2));
    let change = network_change(&pair, 0).unwrap();
    assert_eq!((change.removed.as_slice(), change.path), (&[address(LEFT)][..], PathAfterChange::Moved));
    assert!(longest_gap(&pair, 0, now) < ROUND_TRIP * 2 && longest_gap(&pair, 1, now) < ROUND_TRIP * 2);
    let gone = pair.agents[0].pairs().find(|report| report.local.base == address(LEFT)).unwrap();
    assert_eq!(gone.fate, Some(PairFate::BaseGone));
}

#[test]
fn sockets_that_come_later_have_priorities_of_their_own() {
    let mut agent = Agent::new(Config::default(), Role::Controlling, [1; 32], Instant::ZERO);
    let mut sockets = Vec::new();
    for n in 1..=9 {
        sockets.insert(0, socket(&format!("192.0.2.{n}:1000"), InterfaceKind::Ethernet));
        agent.handle_network_change(&sockets, Instant::ZERO);
    }
    let priorities: std::collections::BTreeSet<u32> =
        agent.local_candidates().iter().map(|local| local.candidate.priority).collect();
    assert_eq!(priorities.len(), 9);
}

#[test]
fn an_only_socket_that_is_replaced_finds_back_without_signalling() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    talk(&mut pair, Duration::from_secs(5));
    let now = pair.now;
    pair.agents[0].handle_network_change(&[], now);
    talk(&mut pair, Duration::from_secs(3));
    assert_eq!(network_change(&pair, 0).unwrap().path, PathAfterChange::Lost);
    assert_eq!(pair.agents[0].state(), State::Disconnected, "a new socket may come");
    let now = pair.now;
    pair.agents[0].handle_network_change(&[socket(SECOND_LEFT, InterfaceKind::Cellular)], now);
    assert!(pair.run_until(now + Duration::from_secs(2), |pair| pair.both(State::Completed)));
    assert_eq!(pair.selected(1).1, address(SECOND_LEFT));
    talk(&mut pair, Duration::from_secs(1));
    assert!(pair.heard[1].last().unwrap().0 > now + Duration::from_millis(900));
}

#[test]
fn a_cheaper_interface_is_moved_to_without_a_gap_if_both_know_renomination() {
    for agreed in [false, true] {
        let mut pair = Pair::new(Role::Controlling, Role::Controlled);
        pair.delay = ROUND_TRIP / 2;
        pair.agents.iter_mut().for_each(|agent| agent.set_renomination(agreed));
        pair.agents[0].handle_network_change(&[socket(LEFT, InterfaceKind::Cellular)], pair.now);
        pair.agents[1].handle_network_change(&[socket(RIGHT, InterfaceKind::Ethernet)], pair.now);
        pair.signal();
        talk(&mut pair, Duration::from_secs(10));
        let now = pair.now;
        let both = [socket(LEFT, InterfaceKind::Cellular), socket(SECOND_LEFT, InterfaceKind::Wifi)];
        pair.agents[0].handle_network_change(&both, now);
        talk(&mut pair, Duration::from_secs(30));
        assert_eq!(network_change(&pair, 0).unwrap().path, PathAfterChange::Kept);
        assert_eq!(pair.selected(0).0, address(if agreed { SECOND_LEFT } else { LEFT }));
        assert_eq!(pair.selected(1).1, pair.selected(0).0);
        for side in [0, 1] {
            assert!(longest_gap(&pair, side, now) <= RHYTHM, "side {side}, agreed {agreed}");
        }
    }
}

#[test]
fn an_address_that_a_nat_changes_is_followed() {
    let mut pair = Pair::with_hosts();
    let outside = |port: u16| SocketAddr::new(address("203.0.113.7:1").ip(), port);
    pair.nat = Some((address(LEFT), outside(5000)));
    pair.delay = ROUND_TRIP / 2;
    pair.signal();
    talk(&mut pair, Duration::from_secs(5));
    // More often than there is room for candidates of the other side.
    for port in 5001..5101 {
        let now = pair.now;
        pair.nat = Some((address(LEFT), outside(port)));
        talk(&mut pair, Duration::from_secs(20));
        assert_eq!(pair.selected(1).1, outside(port));
        let seen = pair.agents[0].selected_pair().unwrap().local.candidate;
        assert_eq!((seen.kind, seen.address), (CandidateKind::PeerReflexive, outside(port)));
        for side in [0, 1] {
            let gap = longest_gap(&pair, side, now);
            assert!(gap < Duration::from_secs(2), "port {port}: side {side} heard nothing for {gap:?}");
        }
    }
    assert!(pair.agents[1].pairs().count() <= Config::default().max_remote_candidates);
}

#[test]
fn paths_that_fail_in_turn_are_not_flapped_between() {
    let mut pair = two_ways();
    pair.agents.iter_mut().for_each(|agent| agent.set_renomination(true));
    talk(&mut pair, Duration::from_secs(5));
    let before = causes(&pair, 0).len();
    for turn in 0..120 {
        pair.passes = [|from, to| from != address(LEFT) && to != address(LEFT), |_, _| true][turn % 2];
        talk(&mut pair, Duration::from_millis(500));
    }
    let moves = causes(&pair, 0).len() - before;
    assert!(moves <= 20, "{moves} in a minute in which the better path came and went sixty times");
}

#[test]
fn a_lite_agent_follows_and_two_of_them_agree() {
    let lite = |lite| Config { lite, ..Config::default() };
    for both in [false, true] {
        let mut pair = Pair::new(Role::Controlling, Role::Controlled);
        let now = pair.now;
        pair.agents = [
            Agent::new(lite(both), Role::Controlling, [1; 32], now),
            Agent::new(lite(true), Role::Controlled, [2; 32], now),
        ];
        pair.agents[0].set_remote_lite(true, now);
        pair.agents[1].set_remote_lite(both, now);
        pair.agents[0].add_local_candidate(host(LEFT, 1), now).unwrap();
        pair.agents[1].add_local_candidate(host(RIGHT, 1), now).unwrap();
        pair.signal();
        assert!(pair.run_until(now + Duration::from_secs(1), |pair| pair.both(State::Completed)), "both {both}");
        let checks = pair.agents[1].pairs().map(|report| report.stats.requests_sent).sum::<u64>();
        assert_eq!(checks, 0, "a lite agent sends none");
        talk(&mut pair, Duration::from_secs(90));
        assert!(pair.both(State::Completed));
        assert!(longest_gap(&pair, 1, now) <= RHYTHM);
        if !both {
            pair.passes = |_, _| false;
            assert!(pair.run_until(pair.now + Duration::from_secs(100), |pair| pair.both(State::Failed)));
            let now = pair.now;
            assert_eq!(pair.agents[1].admit(1, now), None);
        }
    }
}

#[test]
fn consent_that_is_taken_back_ends_sending() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(Duration::from_secs(1));
    pair.agents[1].revoke_consent();
    let revoked = pair.now;
    assert!(pair.run_until(revoked + Duration::from_secs(7), |pair| pair.agents[0].state() == State::Failed));
    let now = pair.now;
    assert_eq!((pair.agents[0].failure(), pair.agents[0].admit(1, now)), (Some(Failure::ConsentRevoked), None));
}

#[test]
fn a_restart_that_fails_leaves_the_path_and_says_so() {
    let mut pair = two_ways();
    talk(&mut pair, Duration::from_secs(5));
    let now = pair.now;
    // The left one restarts, and what it is told of the right one leads nowhere.
    restart(&mut pair.agents[0], now);
    let elsewhere = pair.agents[1].draw_credentials();
    pair.agents[0].set_remote_credentials(elsewhere, now);
    pair.agents[0].add_remote_candidate(host("198.51.100.99:9", 1).candidate, now).unwrap();
    pair.agents[0].end_of_remote_candidates(now);
    talk(&mut pair, Duration::from_secs(90));
    assert!(pair.events[0].contains(&Event::RestartFailed(Failure::NoPairSucceeded)));
    assert_eq!(pair.events[0].iter().filter(|event| matches!(event, Event::RestartFailed(_))).count(), 1);
    assert!(!pair.states[0].contains(&State::Failed));
    assert!(longest_gap(&pair, 1, now) <= RHYTHM);
    // And it is kept like any other path.
    pair.passes = |from, to| from != address(LEFT) && to != address(LEFT);
    let cut = pair.now;
    talk(&mut pair, Duration::from_secs(3));
    assert!(longest_gap(&pair, 1, cut) < ROUND_TRIP * 2, "{:?}", longest_gap(&pair, 1, cut));
}

#[test]
fn times_that_nobody_can_live_by_do_no_harm() {
    for time in [Duration::ZERO, Duration::MAX] {
        let mut config = Config::default();
        (config.pacing, config.nomination_patience) = (time, time);
        (config.consent_interval, config.consent_lifetime, config.silence) = (time, time, time);
        (config.backup_interval, config.renomination_interval) = (time, time);
        let mut pair = two_ways();
        let now = pair.now;
        pair.agents =
            [Agent::new(config, Role::Controlling, [1; 32], now), Agent::new(config, Role::Controlled, [2; 32], now)];
        pair.agents[0].add_local_candidate(host(LEFT, 1), now).unwrap();
        pair.agents[1].add_local_candidate(host(RIGHT, 1), now).unwrap();
        pair.signal();
        pair.run_for(Duration::from_secs(600));
        assert!(pair.agents.iter().all(|agent| agent.selected_pair().is_some()), "{time:?}");
        assert!(pair.sent < 600 * 50, "{} datagrams", pair.sent);
    }
}
