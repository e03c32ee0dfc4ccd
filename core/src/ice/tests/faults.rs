//! What random schedules of faults have brought to light, each by itself.

use super::*;
use crate::ice::{HostSocket, NetworkChange, PathAfterChange};

const SECOND_LEFT: &str = "192.0.2.2:1000";

fn sockets(bases: &[&str]) -> Vec<HostSocket> {
    bases.iter().map(|base| HostSocket::new(address(base), Protocol::Udp)).collect()
}

fn last_change(pair: &Pair, side: usize) -> &NetworkChange {
    let change = |event: &'_ Event| matches!(event, Event::NetworkChange(_));
    match pair.events[side].iter().rfind(|event| change(event)) {
        Some(Event::NetworkChange(change)) => change,
        _ => panic!("no change was told"),
    }
}

#[test]
fn who_sends_first_after_a_long_sleep_has_no_consent() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(Duration::from_secs(1));
    let woken = pair.now + Duration::from_secs(31);
    // The timer has not fired yet.
    assert_eq!(pair.agents[0].admit(1, woken), None);
}

#[test]
fn a_base_that_came_back_can_go_again() {
    let mut pair = Pair::new(Role::Controlling, Role::Controlled);
    pair.agents[0].handle_network_change(&sockets(&[LEFT]), pair.now);
    pair.agents[1].handle_network_change(&sockets(&[RIGHT]), pair.now);
    pair.signal();
    for _ in 0..3 {
        let deadline = pair.now + Duration::from_secs(5);
        assert!(pair.run_until(deadline, |pair| pair.agents[0].selected_pair().is_some()));
        let now = pair.now;
        pair.agents[0].handle_network_change(&[], now);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(last_change(&pair, 0).path, PathAfterChange::Lost);
        assert_eq!(pair.agents[0].selected_pair(), None);
        let now = pair.now;
        pair.agents[0].handle_network_change(&sockets(&[LEFT]), now);
    }
}

#[test]
fn nothing_leaves_from_a_closed_socket() {
    // Whatever the moment: a triggered check may be waiting for its turn.
    for millis in 0..300 {
        let mut pair = Pair::new(Role::Controlling, Role::Controlled);
        let config = Config { pacing: Duration::from_millis(200), ..Config::default() };
        pair.agents[0] = Agent::new(config, Role::Controlling, [1; 32], pair.now);
        pair.agents[0].handle_network_change(&sockets(&[LEFT, SECOND_LEFT]), pair.now);
        pair.agents[1].handle_network_change(&sockets(&[RIGHT, "198.51.100.2:2000"]), pair.now);
        pair.signal();
        pair.run_for(Duration::from_millis(millis));
        pair.drain();
        let closed = pair.now;
        pair.agents[0].handle_network_change(&sockets(&[LEFT]), closed);
        let mut buf = [0; Agent::MIN_BUFFER];
        for step in 0..200 {
            let now = closed + Duration::from_millis(step * 10);
            pair.agents[0].handle_timeout(now);
            while let Some(transmit) = pair.agents[0].poll_transmit(&mut buf) {
                let from = pair.agents[0].path(transmit.path).unwrap().local;
                assert_eq!(from, address(LEFT), "closed after {millis} ms");
            }
        }
    }
}

#[test]
fn a_deadline_that_passes_unseen_still_comes() {
    let mut pair = Pair::with_hosts();
    let agent = &mut pair.agents[0];
    agent.set_remote_credentials(Credentials::new("abcd", "0123456789abcdefghijkl").unwrap(), pair.now);
    agent.end_of_local_candidates(pair.now);
    agent.end_of_remote_candidates(pair.now);
    // The clock leaps, and the first to be called is not the timer.
    let now = pair.now + Duration::from_secs(60);
    assert_eq!(agent.admit(1, now), None);
    assert!(agent.poll_timeout().is_some_and(|at| at <= now));
    agent.handle_timeout(now);
    assert_eq!(agent.state(), State::Failed);
}

#[test]
fn a_clock_that_stepped_back_does_not_leap_with_a_new_socket() {
    let mut pair = Pair::new(Role::Controlling, Role::Controlled);
    // Clocks have shown a lot already.
    pair.now = Instant::from_millis(1_000_000);
    pair.agents[0].handle_network_change(&sockets(&[LEFT]), pair.now);
    pair.agents[1].handle_network_change(&sockets(&[RIGHT]), pair.now);
    pair.signal();
    pair.run_for(Duration::from_secs(1));
    let stepped_back = Instant::from_millis(pair.now.as_nanos() / 1_000_000 - 60_000);
    pair.agents[0].handle_timeout(stepped_back);
    pair.agents[0].handle_network_change(&sockets(&[LEFT, SECOND_LEFT]), stepped_back);
    assert!(pair.agents[0].admit(1, stepped_back).is_some(), "no time has passed, so there is consent");
}
