//! Two agents in virtual time, at the points where a fault would hurt.
//!
//! The random schedules are in the `conformance` crate; here is what must hold exactly.

mod faults;
mod streams;
mod trouble;
mod upkeep;

use core::time::Duration;
use std::net::SocketAddr;

use super::pair::pair_priority;
use super::*;
use crate::{Instant, Path, PathId, Protocol};

/// Two agents joined by a link of 20 ms unless told otherwise, with an optional NAT before the left one.
struct Pair {
    now: Instant,
    agents: [Agent; 2],
    /// Arrival, source, destination, bytes.
    flying: Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    /// Whether a datagram from the first address to the second gets through.
    passes: fn(SocketAddr, SocketAddr) -> bool,
    /// The address that the first of the two shows to the outside.
    nat: Option<(SocketAddr, SocketAddr)>,
    delay: Duration,
    sent: usize,
    states: [Vec<State>; 2],
    /// Other events of each side.
    events: [Vec<Event>; 2],
    /// When application datagrams arrived at each side, and what.
    heard: [Vec<(Instant, Vec<u8>)>; 2],
}

const LEFT: &str = "192.0.2.1:1000";
const RIGHT: &str = "198.51.100.1:2000";
const SECOND_LEFT: &str = "192.0.2.2:1000";

/// Both sides send a datagram that often.
const RHYTHM: Duration = Duration::from_millis(20);

const ROUND_TRIP: Duration = Duration::from_millis(100);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn host(text: &str, preference: u16) -> LocalCandidate {
    LocalCandidate::host(Protocol::Udp, address(text), preference)
}

fn socket(text: &str, interface: InterfaceKind) -> HostSocket {
    HostSocket::on(interface, 0, address(text), Protocol::Udp)
}

fn restart(agent: &mut Agent, now: Instant) {
    let credentials = agent.draw_credentials();
    agent.restart(credentials, now);
}

impl Pair {
    fn new(left: Role, right: Role) -> Self {
        let now = Instant::from_millis(1);
        Self {
            now,
            agents: [
                Agent::new(Config::default(), left, [1; 32], now),
                Agent::new(Config::default(), right, [2; 32], now),
            ],
            flying: Vec::new(),
            passes: |_, _| true,
            nat: None,
            delay: Duration::from_millis(20),
            sent: 0,
            states: [vec![], vec![]],
            events: [vec![], vec![]],
            heard: [vec![], vec![]],
        }
    }

    fn with_hosts() -> Self {
        let mut pair = Self::new(Role::Controlling, Role::Controlled);
        pair.agents[0].add_local_candidate(host(LEFT, 1), pair.now).unwrap();
        pair.agents[1].add_local_candidate(host(RIGHT, 1), pair.now).unwrap();
        pair
    }

    /// Tells each side all of the other.
    fn signal(&mut self) {
        for (from, to) in [(0, 1), (1, 0)] {
            let credentials = self.agents[from].local_credentials().clone();
            let candidates: Vec<_> = self.agents[from].local_candidates().iter().map(|c| c.candidate).collect();
            self.agents[from].end_of_local_candidates(self.now);
            self.agents[to].set_remote_credentials(credentials, self.now);
            for candidate in candidates {
                self.agents[to].add_remote_candidate(candidate, self.now).unwrap();
            }
            self.agents[to].end_of_remote_candidates(self.now);
        }
    }

    fn drain(&mut self) {
        let mut buf = [0; Agent::MIN_BUFFER];
        for side in 0..2 {
            while let Some(transmit) = self.agents[side].poll_transmit(&mut buf) {
                let path = self.agents[side].path(transmit.path).unwrap();
                self.sent += 1;
                let mut source = path.local;
                let mut to = path.remote;
                if let Some((inside, outside)) = self.nat {
                    source = if source == inside { outside } else { source };
                    // Nothing reaches the inside address from outside but what the NAT lets through.
                    if to == inside {
                        continue;
                    }
                    to = if to == outside { inside } else { to };
                }
                if (self.passes)(source, to) {
                    self.flying.push((self.now + self.delay, source, to, buf[..transmit.len].to_vec()));
                }
            }
            while let Some(event) = self.agents[side].poll_event() {
                match event {
                    Event::StateChange(state) => self.states[side].push(state),
                    event => self.events[side].push(event),
                }
            }
        }
    }

    /// Runs until `done` or the deadline; says whether it was done.
    fn run_until(&mut self, deadline: Instant, done: impl Fn(&Self) -> bool) -> bool {
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let arrival = self.flying.iter().map(|f| f.0).min();
            let timeouts = self.agents.iter().filter_map(Agent::poll_timeout);
            let Some(next) = timeouts.chain(arrival).min().filter(|&next| next <= deadline) else { return false };
            assert!(next >= self.now);
            self.now = next;
            if let Some(at) = self.flying.iter().position(|f| f.0 == self.now) {
                let (_, source, to, bytes) = self.flying.remove(at);
                let has = |side: &usize| self.agents[*side].local_candidates().iter().any(|c| c.base == to);
                let Some(side) = [0, 1].into_iter().find(has) else { continue };
                let path = Path { protocol: Protocol::Udp, local: to, remote: source };
                let path = self.agents[side].path_id(path);
                if let Received::Application(_) = self.agents[side].handle_datagram(path, &bytes, self.now) {
                    self.heard[side].push((self.now, bytes));
                }
            } else {
                for agent in &mut self.agents {
                    if agent.poll_timeout().is_some_and(|at| at <= self.now) {
                        agent.handle_timeout(self.now);
                        assert!(agent.poll_timeout().is_none_or(|at| at > self.now), "a timer that does not move");
                    }
                }
            }
        }
    }

    /// Sends an application datagram over the path in use; false if there is none.
    fn say(&mut self, side: usize, bytes: &[u8]) -> bool {
        self.drain();
        let Some(path) = self.agents[side].admit(bytes.len(), self.now) else { return false };
        let path = self.agents[side].path(path).unwrap();
        let (mut source, mut to) = (path.local, path.remote);
        if let Some((inside, outside)) = self.nat {
            source = if source == inside { outside } else { source };
            to = if to == outside { inside } else { to };
        }
        if (self.passes)(source, to) {
            self.flying.push((self.now + self.delay, source, to, bytes.to_vec()));
        }
        true
    }

    fn run_for(&mut self, time: Duration) {
        let deadline = self.now + time;
        self.run_until(deadline, |_| false);
        self.now = deadline;
    }

    fn both(&self, state: State) -> bool {
        self.agents.iter().all(|agent| agent.state() == state)
    }

    fn selected(&self, side: usize) -> (SocketAddr, SocketAddr) {
        let path = self.agents[side].path(self.agents[side].selected_pair().unwrap().path).unwrap();
        (path.local, path.remote)
    }
}

/// Two interfaces on the left, one on the right, links of 50 ms.
fn two_ways() -> Pair {
    let mut pair = Pair::new(Role::Controlling, Role::Controlled);
    pair.delay = ROUND_TRIP / 2;
    let sockets = [socket(LEFT, InterfaceKind::Wifi), socket(SECOND_LEFT, InterfaceKind::Cellular)];
    pair.agents[0].handle_network_change(&sockets, pair.now);
    pair.agents[1].handle_network_change(&[socket(RIGHT, InterfaceKind::Ethernet)], pair.now);
    pair.signal();
    pair
}

/// Has both sides talk for a while.
fn talk(pair: &mut Pair, time: Duration) {
    let until = pair.now + time;
    while pair.now < until {
        for side in [0, 1] {
            let words = (pair.now.as_nanos() | 1 << 63).to_be_bytes();
            pair.say(side, &words);
        }
        pair.run_for(RHYTHM);
    }
}

/// The longest time without a datagram at a side.
fn longest_gap(pair: &Pair, side: usize, from: Instant) -> Duration {
    let heard = pair.heard[side].iter().map(|&(at, _)| at).filter(|&at| at >= from);
    let times: Vec<Instant> = heard.chain([pair.now]).collect();
    times.windows(2).map(|two| two[1] - two[0]).max().unwrap()
}

fn causes(pair: &Pair, side: usize) -> Vec<SelectionCause> {
    let selected = |event: &Event| match event {
        Event::SelectedPairChange(report) => report.selected,
        _ => None,
    };
    pair.events[side].iter().filter_map(selected).collect()
}

#[test]
fn two_hosts_connect_in_two_round_trips_and_nine_datagrams_or_fewer() {
    let mut pair = Pair::with_hosts();
    let start = pair.now;
    pair.signal();
    assert!(pair.run_until(start + Duration::from_secs(1), |pair| pair.both(State::Completed)));
    assert!(pair.now - start <= Duration::from_millis(110), "{:?}", pair.now - start);
    assert!(pair.sent <= 9, "{}", pair.sent);
    assert_eq!(pair.selected(0), (address(LEFT), address(RIGHT)));
    assert_eq!(pair.selected(1), (address(RIGHT), address(LEFT)));
    let report = pair.agents[0].selected_pair().unwrap();
    assert!(report.nominated && report.selected.is_some());
    assert_eq!(report.stats.round_trip, Some(Duration::from_millis(40)));
    assert_eq!(pair.states[0], [State::Checking, State::Connected, State::Completed]);
}

#[test]
fn the_best_pair_is_nominated_even_if_another_answers_first() {
    let mut pair = Pair::new(Role::Controlling, Role::Controlled);
    for (text, preference) in [("192.0.2.1:1000", 10), ("192.0.2.2:1000", 20)] {
        pair.agents[0].add_local_candidate(host(text, preference), pair.now).unwrap();
    }
    for (text, preference) in [("198.51.100.1:2000", 10), ("198.51.100.2:2000", 20)] {
        pair.agents[1].add_local_candidate(host(text, preference), pair.now).unwrap();
    }
    // The best pair's first checks are lost: 192.0.2.2 answers only after the others.
    pair.passes = |from, _| from.port() != 1000 || from.ip() != address("192.0.2.2:1").ip();
    pair.signal();
    let start = pair.now;
    assert!(pair.run_until(start + Duration::from_secs(1), |pair| pair.both(State::Connected)));
    pair.passes = |_, _| true;
    assert!(pair.run_until(start + Duration::from_secs(5), |pair| pair.both(State::Completed)));
    assert_eq!(pair.selected(0).1, pair.selected(1).0);
    assert_eq!(pair.selected(1).1, pair.selected(0).0);
}

#[test]
fn a_nat_on_one_side_makes_peer_reflexive_candidates() {
    let mut pair = Pair::with_hosts();
    let outside = address("203.0.113.5:7000");
    pair.nat = Some((address(LEFT), outside));
    pair.signal();
    let deadline = pair.now + Duration::from_secs(5);
    assert!(pair.run_until(deadline, |pair| {
        pair.agents.iter().all(|agent| agent.selected_pair().is_some_and(|pair| pair.nominated))
    }));
    let left = pair.agents[0].selected_pair().unwrap();
    assert_eq!((left.local.candidate.kind, left.local.candidate.address), (CandidateKind::PeerReflexive, outside));
    let right = pair.agents[1].selected_pair().unwrap();
    assert_eq!((right.remote.kind, right.remote.address), (CandidateKind::PeerReflexive, outside));
}

#[test]
fn a_candidate_whose_check_was_faster_than_its_signalling_is_paired_with_all_of_ours() {
    let mut pair = Pair::with_hosts();
    let second = "192.0.2.2:1000";
    pair.agents[0].add_local_candidate(host(second, 2), pair.now).unwrap();
    let (left, right) = (pair.agents[0].local_credentials().clone(), pair.agents[1].local_credentials().clone());
    // Only the right one knows anything, and of one address: its check comes first.
    pair.agents[1].set_remote_credentials(left, pair.now);
    pair.agents[1].add_remote_candidate(host(LEFT, 1).candidate, pair.now).unwrap();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.agents[0].pairs().count(), 1);
    pair.agents[0].set_remote_credentials(right, pair.now);
    pair.agents[0].add_remote_candidate(host(RIGHT, 1).candidate, pair.now).unwrap();
    assert_eq!(pair.agents[0].pairs().count(), 2);
    let first = pair.agents[0].pairs().next().unwrap();
    assert_eq!(first.remote.kind, CandidateKind::Host);
    let of_hosts = pair_priority(Role::Controlling, first.local.candidate.priority, host(RIGHT, 1).candidate.priority);
    assert_eq!(first.priority, of_hosts, "it is no worse for having come early");
}

#[test]
fn a_role_conflict_ends_with_one_of_each_whatever_both_began_with() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut pair = Pair::with_hosts();
        pair.agents.iter_mut().for_each(|agent| agent.set_role(role));
        pair.signal();
        let deadline = pair.now + Duration::from_secs(3);
        assert!(pair.run_until(deadline, |pair| pair.both(State::Completed)), "{role:?}");
        assert_ne!(pair.agents[0].role(), pair.agents[1].role());
    }
}

#[test]
fn failure_waits_for_the_patience_timer_and_says_why() {
    let mut pair = Pair::with_hosts();
    pair.passes = |_, _| false;
    pair.signal();
    let start = pair.now;
    assert!(pair.run_until(start + Duration::from_secs(60), |pair| pair.both(State::Failed)));
    assert!(pair.now - start >= Duration::from_millis(39_500));
    assert!(pair.now - start <= Duration::from_secs(40));
    assert_eq!(pair.agents[0].failure(), Some(Failure::NoPairSucceeded));
    assert_eq!(pair.agents[0].poll_timeout(), None);

    let cases: [(&[&str], &[&str], Failure); 3] = [
        (&[], &[RIGHT], Failure::NoLocalCandidates),
        (&[LEFT], &[], Failure::NoRemoteCandidates),
        (&[LEFT], &["[2001:db8::1]:2000"], Failure::NoPairs),
    ];
    for (left, right, why) in cases {
        let mut none = Pair::new(Role::Controlling, Role::Controlled);
        for (side, addresses) in [left, right].into_iter().enumerate() {
            let now = none.now;
            addresses.iter().for_each(|text| none.agents[side].add_local_candidate(host(text, 1), now).unwrap());
        }
        none.signal();
        assert!(none.run_until(none.now + Duration::from_secs(60), |pair| pair.both(State::Failed)));
        assert_eq!(none.agents[0].failure(), Some(why));
    }
}

#[test]
fn a_silent_path_is_disconnected_then_failed_and_sending_stops() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(Duration::from_secs(20));
    assert!(pair.both(State::Completed));
    let cut = pair.now;
    pair.passes = |_, _| false;
    assert!(pair.run_until(cut + Duration::from_secs(8), |pair| pair.both(State::Disconnected)));
    let now = pair.now;
    assert!(pair.agents[0].admit(1, now).is_some(), "consent still holds");
    assert!(pair.run_until(cut + Duration::from_secs(31), |pair| pair.both(State::Failed)));
    assert!(pair.now - cut >= Duration::from_secs(23), "the last answer is at most 6 s older than the cut");
    assert_eq!(pair.agents[0].failure(), Some(Failure::ConsentExpired));
    let now = pair.now;
    assert_eq!(pair.agents[0].admit(1, now), None);
}

#[test]
fn a_disconnected_path_comes_back_by_itself() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(Duration::from_secs(1));
    pair.passes = |_, _| false;
    assert!(pair.run_until(pair.now + Duration::from_secs(10), |pair| pair.both(State::Disconnected)));
    pair.passes = |_, _| true;
    assert!(pair.run_until(pair.now + Duration::from_secs(10), |pair| pair.both(State::Completed)));
}

#[test]
fn inbound_traffic_alone_does_not_extend_consent() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(Duration::from_secs(1));
    // From now on nothing of the left one arrives, while the right one goes on sending.
    pair.passes = |from, _| from != address(LEFT);
    let cut = pair.now;
    let path = Path { protocol: Protocol::Udp, local: address(LEFT), remote: address(RIGHT) };
    let mut failed_after = None;
    while failed_after.is_none() && pair.now - cut < Duration::from_secs(40) {
        pair.run_for(Duration::from_millis(500));
        let id = pair.agents[0].path_id(path);
        let now = pair.now;
        pair.agents[0].handle_datagram(id, &[23; 50], now);
        failed_after = (pair.agents[0].state() == State::Failed).then(|| pair.now - cut);
    }
    assert!(failed_after.is_some_and(|after| after <= Duration::from_secs(31)), "{failed_after:?}");
}

#[test]
fn a_restart_keeps_the_old_path_until_the_new_one_works() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(Duration::from_secs(1));
    pair.states = [vec![], vec![]];
    let old = pair.agents[0].local_credentials().clone();
    let now = pair.now;
    // Both ends get a better address, and the old one of the left is about to go.
    for (side, text) in [(0, "192.0.2.9:1000"), (1, "198.51.100.9:2000")] {
        restart(&mut pair.agents[side], now);
        pair.agents[side].add_local_candidate(host(text, 60_000), now).unwrap();
        let now = pair.now;
        assert!(pair.agents[side].admit(1, now).is_some(), "the old path is in use");
    }
    assert_ne!(pair.agents[0].local_credentials(), &old);
    pair.signal();
    let deadline = pair.now + Duration::from_secs(3);
    assert!(pair.run_until(deadline, |pair| pair.both(State::Completed)
        && pair.selected(0) == (address("192.0.2.9:1000"), address("198.51.100.9:2000"))));
    assert_eq!(pair.selected(1), (address("198.51.100.9:2000"), address("192.0.2.9:1000")));
    assert!(pair.states.iter().flatten().all(|state| matches!(state, State::Connected | State::Completed)));
}

#[test]
fn a_restart_that_fails_leaves_the_old_path_alive() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(Duration::from_secs(1));
    // Only one side restarts and hears nothing of it: twice over.
    for _ in 0..2 {
        let now = pair.now;
        restart(&mut pair.agents[0], now);
        pair.run_for(Duration::from_secs(60));
    }
    for side in 0..2 {
        let now = pair.now;
        assert!(pair.agents[side].admit(1, now).is_some());
        assert!(matches!(pair.agents[side].state(), State::Connected | State::Completed));
    }
}

#[test]
fn a_round_trip_longer_than_the_pace_sets_off_no_storm() {
    let mut pair = Pair::with_hosts();
    pair.delay = Duration::from_millis(400);
    pair.signal();
    let deadline = pair.now + Duration::from_secs(5);
    assert!(pair.run_until(deadline, |pair| pair.both(State::Completed)));
    // Two checks a side at the most, repeated once or twice, the nomination, and as many answers.
    assert!(pair.sent <= 24, "{}", pair.sent);
}

#[test]
fn strangers_move_nothing() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(Duration::from_secs(1));
    let before = pair.agents[0].selected_pair();
    let deadline = pair.agents[0].poll_timeout();
    let now = pair.now;
    let path = Path { protocol: Protocol::Udp, local: address(LEFT), remote: address("203.0.113.66:6666") };
    let stranger = pair.agents[0].path_id(path);
    let mut request = [0; 256];
    let id = crate::stun::TransactionId([9; 12]);
    let mut writer =
        crate::stun::MessageWriter::new(&mut request, crate::stun::Class::Request, crate::stun::Method::BINDING, id);
    let ufrag = pair.agents[0].local_credentials().ufrag().to_owned();
    writer.username(&ufrag, "evil").integrity(&crate::stun::IntegrityKey::new(b"not the right password"));
    let len = writer.finish_with_fingerprint().unwrap();
    for bytes in [&[23; 100][..], &request[..len], &request[..len - 8], &[0; 3], &[]] {
        assert_eq!(pair.agents[0].handle_datagram(stranger, bytes, now), Received::Consumed);
    }
    assert_eq!(pair.agents[0].poll_transmit(&mut [0; Agent::MIN_BUFFER]), None);
    assert_eq!(pair.agents[0].poll_event(), None);
    assert_eq!(pair.agents[0].selected_pair(), before);
    assert_eq!(pair.agents[0].poll_timeout(), deadline);
    let counters = pair.agents[0].counters();
    assert_eq!((counters.unknown_source, counters.bad_credentials, counters.malformed), (3, 1, 1));
}

#[test]
fn a_hostile_peer_cannot_grow_the_agent() {
    let mut pair = Pair::with_hosts();
    // It never says that these were all.
    for (from, to) in [(0, 1), (1, 0)] {
        let credentials = pair.agents[from].local_credentials().clone();
        pair.agents[to].set_remote_credentials(credentials, pair.now);
    }
    let now = pair.now;
    for n in 0..5_000u32 {
        let candidate = Candidate {
            kind: CandidateKind::Host,
            transport: Transport::Udp,
            address: SocketAddr::new(std::net::Ipv4Addr::from(0x0A00_0000 + n).into(), 9),
            priority: 1 + n,
            foundation: "1".parse().unwrap(),
            related: None,
        };
        let _ = pair.agents[0].add_remote_candidate(candidate, now);
    }
    assert_eq!(pair.agents[0].pairs().count(), Config::default().max_remote_candidates);
    let before = pair.sent;
    pair.run_for(Duration::from_secs(1));
    assert!(pair.sent - before <= 110, "paced at 20 ms on each side: {}", pair.sent - before);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = || {
        let mut pair = Pair::with_hosts();
        pair.signal();
        let mut bytes = Vec::new();
        for _ in 0..50 {
            let deadline = pair.now + Duration::from_millis(200);
            pair.run_until(deadline, |_| false);
            bytes.extend(pair.flying.iter().flat_map(|f| f.3.clone()));
            pair.now = deadline;
        }
        (pair.sent, bytes)
    };
    assert_eq!(run(), run());
}
