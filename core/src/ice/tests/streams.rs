//! Two agents joined by streams in virtual time (RFC 6544).

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::super::streams::MAX_UNNEEDED;
use super::super::*;
use super::{address, host, restart};
use crate::rng::Rng;
use crate::{Instant, Path, PathId, Protocol};

const LEFT: &str = "192.0.2.1:1000";
const RIGHT: &str = "198.51.100.1:2000";
const DELAY: Duration = Duration::from_millis(20);

/// What arrives.
#[derive(Debug)]
enum Arrival {
    /// At the one that did not begin.
    Syn {
        stream: usize,
        tries: u32,
    },
    /// At the one that did.
    SynAck {
        stream: usize,
    },
    Reset {
        stream: usize,
        to: usize,
    },
    Bytes {
        stream: usize,
        to: usize,
        bytes: Vec<u8>,
    },
    Datagram {
        to: usize,
        path: Path,
        bytes: Vec<u8>,
    },
}

/// A stream as its two ends know it.
#[derive(Debug)]
struct Stream {
    /// Who began.
    from: usize,
    source: SocketAddr,
    destination: SocketAddr,
    paths: [Option<PathId>; 2],
    is_open: bool,
}

struct World {
    now: Instant,
    agents: [Agent; 2],
    streams: Vec<Stream>,
    arrivals: BTreeMap<(Instant, usize), Arrival>,
    next: usize,
    next_port: u16,
    /// Whether who did not connect himself hears nothing of one who connects to him.
    filters: bool,
    /// Whether datagrams arrive.
    udp: bool,
    /// How streams are cut on their way; not at all without.
    cuts: Option<Rng>,
    /// All that was sent, with its time.
    log: Vec<(Instant, usize, Vec<u8>)>,
    received: [Vec<Vec<u8>>; 2],
    states: [Vec<State>; 2],
}

fn tcp(tcp_type: TcpType, text: &str) -> LocalCandidate {
    LocalCandidate::host(Transport::Tcp(tcp_type), address(text), u16::MAX)
}

impl World {
    fn new(left: &[LocalCandidate], right: &[LocalCandidate]) -> Self {
        Self::with(Config::default(), left, right)
    }

    fn with(config: Config, left: &[LocalCandidate], right: &[LocalCandidate]) -> Self {
        let now = Instant::from_millis(1);
        let agent = |role, seed| Agent::new(config, role, seed, now);
        let mut world = Self {
            now,
            agents: [agent(Role::Controlling, [1; 32]), agent(Role::Controlled, [2; 32])],
            streams: Vec::new(),
            arrivals: BTreeMap::new(),
            next: 0,
            next_port: 50_000,
            filters: false,
            udp: true,
            cuts: None,
            log: Vec::new(),
            received: [Vec::new(), Vec::new()],
            states: [Vec::new(), Vec::new()],
        };
        for (agent, candidates) in world.agents.iter_mut().zip([left, right]) {
            for &candidate in candidates {
                agent.add_local_candidate(candidate, now).unwrap();
            }
        }
        world
    }

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

    fn later(&mut self, arrival: Arrival) {
        self.arrivals.insert((self.now + DELAY, self.next), arrival);
        self.next += 1;
    }

    fn stream_of(&self, side: usize, path: PathId) -> Option<usize> {
        self.streams.iter().rposition(|stream| stream.paths[side] == Some(path))
    }

    fn drain(&mut self) {
        let mut buf = [0; Agent::MIN_BUFFER];
        for side in 0..2 {
            while let Some(transmit) = self.agents[side].poll_transmit(&mut buf) {
                self.post(side, transmit.path, buf[..transmit.len].to_vec());
            }
            while let Some(event) = self.agents[side].poll_event() {
                match event {
                    Event::OpenStream { path, local, remote, .. } => self.connect(side, path, local, remote),
                    Event::CloseStream { path } => self.close(side, path),
                    Event::StateChange(state) => self.states[side].push(state),
                    _ => {}
                }
            }
        }
    }

    fn post(&mut self, side: usize, id: PathId, bytes: Vec<u8>) {
        self.log.push((self.now, side, bytes.clone()));
        let path = self.agents[side].path(id).unwrap();
        let to = 1 - side;
        if path.protocol == Protocol::Udp {
            if self.udp {
                self.later(Arrival::Datagram {
                    to,
                    path: Path { local: path.remote, remote: path.local, ..path },
                    bytes,
                });
            }
            return;
        }
        let stream = self.stream_of(side, id).expect("nothing is sent before there is a stream");
        assert!(self.streams[stream].is_open, "nothing is sent before the stream is open");
        self.later(Arrival::Bytes { stream, to, bytes });
    }

    fn connect(&mut self, side: usize, path: PathId, mut local: SocketAddr, remote: SocketAddr) {
        if local.port() == 0 {
            local.set_port(self.next_port);
            self.next_port += 1;
        }
        let mut paths = [None; 2];
        paths[side] = Some(path);
        self.streams.push(Stream { from: side, source: local, destination: remote, paths, is_open: false });
        self.later(Arrival::Syn { stream: self.streams.len() - 1, tries: 0 });
    }

    fn close(&mut self, side: usize, path: PathId) {
        let Some(stream) = self.stream_of(side, path) else { return };
        self.streams[stream].paths[side] = None;
        self.later(Arrival::Reset { stream, to: 1 - side });
    }

    /// Breaks every stream there is, so that both ends notice.
    fn break_streams(&mut self) {
        for stream in 0..self.streams.len() {
            for to in 0..2 {
                self.later(Arrival::Reset { stream, to });
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let now = self.now;
        match arrival {
            Arrival::Syn { stream, tries } => self.arrive_syn(stream, tries),
            Arrival::SynAck { stream } => {
                let Stream { from, paths, .. } = self.streams[stream];
                let Some(path) = paths[from] else { return };
                self.streams[stream].is_open = true;
                self.agents[from].handle_stream_opened(path, now);
            }
            Arrival::Reset { stream, to } => {
                if let Some(path) = self.streams[stream].paths[to].take() {
                    self.agents[to].handle_stream_closed(path, now);
                }
            }
            Arrival::Bytes { stream, to, bytes } => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let Some(path) = self.streams[stream].paths[to] else { return };
                    let cut = self.cuts.as_mut().map_or(usize::MAX, |rng| 1 + rng.below(40) as usize);
                    let (piece, after) = rest.split_at(cut.min(rest.len()));
                    rest = after;
                    let received = &mut self.received[to];
                    self.agents[to].handle_stream_data(path, piece, now, |datagram| received.push(datagram.to_vec()));
                }
            }
            Arrival::Datagram { to, path, bytes } => {
                let path = self.agents[to].path_id(path);
                if let Received::Application(_) = self.agents[to].handle_datagram(path, &bytes, now) {
                    self.received[to].push(bytes);
                }
            }
        }
    }

    fn arrive_syn(&mut self, stream: usize, tries: u32) {
        let Stream { from, source, destination, paths, is_open } = self.streams[stream];
        let to = 1 - from;
        if paths[from].is_none() || is_open {
            return;
        }
        let crossing = self.streams.iter().position(|other| {
            other.from == to && other.source == destination && other.destination == source && other.paths[to].is_some()
        });
        if let Some(other) = crossing {
            // Both began: the two are one stream.
            let path = self.streams[other].paths[to].take();
            self.streams[stream].paths[to] = path;
            self.streams[stream].is_open = true;
            self.agents[to].handle_stream_opened(path.unwrap(), self.now);
            self.later(Arrival::SynAck { stream });
            return;
        }
        if self.filters {
            if tries < 5 {
                self.arrivals
                    .insert((self.now + Duration::from_secs(1), self.next), Arrival::Syn { stream, tries: tries + 1 });
                self.next += 1;
            }
            return;
        }
        let path = Path { protocol: Protocol::Tcp, local: destination, remote: source };
        match self.agents[to].handle_stream_accepted(path, self.now) {
            Ok(id) => {
                self.streams[stream].paths[to] = Some(id);
                self.streams[stream].is_open = true;
                self.later(Arrival::SynAck { stream });
            }
            Err(_) => self.later(Arrival::Reset { stream, to: from }),
        }
    }

    fn run_until(&mut self, longest: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let deadline = self.now + longest;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let arrival = self.arrivals.first_key_value().map(|(&(at, _), _)| at);
            let timeouts = self.agents.iter().filter_map(Agent::poll_timeout);
            let Some(next) = timeouts.chain(arrival).min().filter(|&next| next <= deadline) else {
                self.now = deadline;
                return false;
            };
            assert!(next >= self.now);
            self.now = next;
            if let Some(entry) = self.arrivals.first_entry().filter(|entry| entry.key().0 <= next) {
                let arrival = entry.remove();
                self.arrive(arrival);
                continue;
            }
            for agent in &mut self.agents {
                if agent.poll_timeout().is_some_and(|at| at <= next) {
                    agent.handle_timeout(next);
                    assert!(agent.poll_timeout().is_none_or(|at| at > next), "a timer that does not move");
                }
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    fn complete(&mut self) {
        assert!(self.run_until(Duration::from_secs(10), |world| world.both(State::Completed)), "{:?}", self.states);
    }

    fn both(&self, state: State) -> bool {
        self.agents.iter().all(|agent| agent.state() == state)
    }

    fn open_streams(&self) -> usize {
        self.streams.iter().filter(|stream| stream.paths.iter().any(Option::is_some)).count()
    }

    fn selected(&self, side: usize) -> PairReport {
        self.agents[side].selected_pair().expect("a path")
    }

    /// Sends an application datagram each way and says whether both arrive, and nothing else.
    fn carries(&mut self, text: &[u8]) -> bool {
        for side in 0..2 {
            let Some(path) = self.agents[side].admit(text.len(), self.now) else { return false };
            let mut bytes = text.to_vec();
            if self.agents[side].headroom() > 0 {
                bytes.splice(0..0, frame_header(text.len() as u16));
            }
            self.post(side, path, bytes);
        }
        self.run_for(DELAY);
        core::mem::take(&mut self.received) == [[text.to_vec()], [text.to_vec()]]
    }
}

#[test]
fn who_is_active_connects_to_who_is_passive_whichever_controls() {
    for (left, right) in [(TcpType::Active, TcpType::Passive), (TcpType::Passive, TcpType::Active)] {
        let mut world = World::new(&[tcp(left, LEFT)], &[tcp(right, RIGHT)]);
        world.signal();
        let start = world.now;
        world.complete();
        assert!(world.now - start <= Duration::from_millis(250), "{:?}", world.now - start);
        for side in 0..2 {
            let pair = world.selected(side);
            let types = (pair.local.candidate.transport.tcp_type(), pair.remote.transport.tcp_type());
            assert_eq!(types, if side == 0 { (Some(left), Some(right)) } else { (Some(right), Some(left)) });
            assert_eq!((pair.local.candidate.kind, pair.remote.kind), (CandidateKind::Host, CandidateKind::Host));
            assert_eq!(pair.stats.round_trip, Some(DELAY * 2), "connecting does not count");
        }
        assert_eq!(world.selected(0).priority, world.selected(1).priority);
        assert!(world.carries(b"\xc8over a stream"));
        world.run_for(Duration::from_secs(300));
        assert!(world.both(State::Completed) && world.carries(b"\xc8still"));
        assert_eq!((world.streams.len(), world.open_streams()), (1, 1));
    }
}

#[test]
fn both_at_once_get_through_where_neither_could_be_connected_to() {
    let so = TcpType::SimultaneousOpen;
    let mut world = World::new(&[tcp(so, LEFT)], &[tcp(so, RIGHT)]);
    world.filters = true;
    world.signal();
    world.complete();
    assert_eq!(world.selected(0).remote.transport, Transport::Tcp(so));
    assert!(world.carries(b"\xc8through two firewalls"));

    // Without filters, the one that is faster is accepted.
    let mut world = World::new(&[tcp(so, LEFT)], &[tcp(so, RIGHT)]);
    let theirs = world.agents[1].local_credentials().clone();
    world.agents[0].set_remote_credentials(theirs, world.now);
    world.agents[0].add_remote_candidate(tcp(so, RIGHT).candidate, world.now).unwrap();
    world.run_for(Duration::from_secs(1));
    world.signal();
    world.complete();
    assert_eq!(world.streams.len(), 1);
}

#[test]
fn an_unknown_active_candidate_becomes_a_peer_reflexive_one() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    let (left, right) = (world.agents[0].local_credentials().clone(), world.agents[1].local_credentials().clone());
    // The right one is told nothing but the credentials.
    world.agents[1].set_remote_credentials(left, world.now);
    world.agents[0].set_remote_credentials(right, world.now);
    world.agents[0].add_remote_candidate(tcp(TcpType::Passive, RIGHT).candidate, world.now).unwrap();
    assert!(world.run_until(Duration::from_secs(5), |world| world.both(State::Connected)));
    let pair = world.selected(1);
    assert_eq!(
        (pair.remote.kind, pair.remote.transport),
        (CandidateKind::PeerReflexive, Transport::Tcp(TcpType::Active))
    );
    assert_eq!(pair.remote.priority >> 24, 74, "less than any over UDP");
}

#[test]
fn a_request_is_sent_once_over_a_stream_however_long_the_answer_takes() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    world.signal();
    world.run_until(Duration::from_secs(1), |world| world.agents[0].pairs().any(|pair| pair.stats.requests_sent > 0));
    // What is under way is lost, and with it the stream's life, but neither end notices.
    world.run_until(DELAY * 3, |world| world.arrivals.values().any(|a| matches!(a, Arrival::Bytes { .. })));
    world.arrivals.clear();
    let (start, sent) = (world.now, world.log.len());
    assert!(world.run_until(Duration::from_secs(60), |world| world.agents[0].state() == State::Failed));
    assert_eq!(world.log.len(), sent);
    assert!(world.now - start >= Duration::from_secs(39));
    assert_eq!(world.agents[0].failure(), Some(Failure::NoPairSucceeded));
    assert_eq!(world.agents[0].poll_timeout(), None);
}

/// Both sides with a socket for datagrams, listening, and connecting.
fn with_all(config: Config) -> World {
    let of = |text| [host(text, 1), tcp(TcpType::Active, text), tcp(TcpType::Passive, text)];
    World::with(config, &of(LEFT), &of(RIGHT))
}

#[test]
fn udp_is_preferred_and_the_streams_that_are_not_needed_are_closed() {
    for backups in [0, 1] {
        let mut world = with_all(Config { backups, ..Config::default() });
        world.signal();
        world.complete();
        world.run_for(Duration::from_secs(60));
        assert_eq!(world.selected(0).local.candidate.transport, Transport::Udp);
        let opened = world.streams.len();
        assert!((1..=2).contains(&opened), "one each way at the most, and none twice: {opened}");
        // Each side holds one ready, if it is to; perhaps the same one.
        let open = world.open_streams();
        assert!((backups..=2 * backups).contains(&open), "{open}");
        world.run_for(Duration::from_secs(300));
        assert_eq!((world.streams.len(), world.open_streams()), (opened, open));
    }
}

#[test]
fn when_datagrams_stop_getting_through_a_stream_that_was_held_ready_takes_over() {
    let mut world = with_all(Config::default());
    world.signal();
    world.complete();
    world.run_for(Duration::from_secs(60));
    world.udp = false;
    let streams = |world: &World| (0..2).all(|side| world.selected(side).local.candidate.transport != Transport::Udp);
    assert!(world.run_until(Duration::from_secs(12), streams), "{:?}", world.states);
    assert!(world.carries(b"\xc8by stream"));
    assert!(!world.states.iter().flatten().any(|&state| state == State::Failed));
}

#[test]
fn where_datagrams_never_get_through_one_stream_of_two_is_used() {
    let mut world = with_all(Config { backups: 0, ..Config::default() });
    world.udp = false;
    world.signal();
    world.complete();
    assert!(world.carries(b"\xc8by stream"));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.streams.len(), 2);
    assert_eq!(world.open_streams(), 1);
    assert!(world.carries(b"\xc8by stream"));
}

#[test]
fn a_broken_stream_is_opened_again_by_who_opened_it() {
    for (left, right) in [(TcpType::Active, TcpType::Passive), (TcpType::Passive, TcpType::Active)] {
        let mut world = World::new(&[tcp(left, LEFT)], &[tcp(right, RIGHT)]);
        world.signal();
        world.complete();
        // Long after the time in which failure would not be told.
        world.run_for(Duration::from_secs(100));
        for again in 1..4 {
            world.break_streams();
            world.run_for(DELAY);
            assert!(world.agents.iter().all(|agent| agent.selected_pair().is_none()));
            world.complete();
            assert!(world.carries(b"\xc8again"));
            assert_eq!((world.streams.len(), world.open_streams()), (1 + again, 1));
        }
        assert!(!world.states.iter().flatten().any(|&state| state == State::Failed));
    }
}

#[test]
fn a_broken_stream_that_cannot_be_opened_again_is_the_failure() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    world.signal();
    world.complete();
    world.run_for(Duration::from_secs(100));
    world.filters = true;
    world.break_streams();
    assert!(world.run_until(Duration::from_secs(60), |world| world.both(State::Failed)));
    assert_eq!(world.agents.each_ref().map(Agent::failure), [Some(Failure::StreamLost); 2]);
    world.drain();
    assert_eq!(world.open_streams(), 0);
}

#[test]
fn a_refusal_is_known_at_once_and_lets_the_next_pair_go() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    let nobody = tcp(TcpType::Passive, "198.51.100.1:1").candidate;
    world.agents[0].add_remote_candidate(nobody, world.now).unwrap();
    world.signal();
    world.complete();
    assert!(world.now <= Instant::from_millis(500), "{:?}", world.now);
    let states: Vec<_> = world.agents[0].pairs().map(|pair| pair.state).collect();
    assert_eq!(states, [PairState::Failed, PairState::Succeeded]);
}

#[test]
fn silence_fails_who_connects_and_who_waits_in_bounded_time() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    world.filters = true;
    world.signal();
    let start = world.now;
    assert!(world.run_until(Duration::from_secs(60), |world| world.both(State::Failed)));
    assert!(world.now - start <= Duration::from_secs(40));
    assert_eq!(world.agents.each_ref().map(Agent::failure), [Some(Failure::NoPairSucceeded); 2]);
    assert_eq!(world.open_streams(), 0);
    assert!(world.log.is_empty());
}

#[test]
fn strangers_who_connect_cost_little_and_not_for_long() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    world.signal();
    world.complete();
    let listener = address(RIGHT);
    let mut open = std::collections::BTreeSet::new();
    for n in 0..1_000_u16 {
        let path =
            Path { protocol: Protocol::Tcp, local: listener, remote: SocketAddr::new(address(LEFT).ip(), 1 + n) };
        let id = world.agents[1].handle_stream_accepted(path, world.now).unwrap();
        open.insert(id);
        // A frame that never ends, and one that is nothing.
        world.agents[1].handle_stream_data(id, &[0, 1, 7, 0x40, 0, 0], world.now, |_| panic!("a stranger's"));
        while let Some(event) = world.agents[1].poll_event() {
            if let Event::CloseStream { path } = event {
                assert!(open.remove(&path));
            }
        }
        assert!(open.len() <= MAX_UNNEEDED);
    }
    assert_eq!(open.len(), MAX_UNNEEDED);
    assert_eq!(world.agents[1].counters().unknown_source, 1_000);
    world.run_for(Duration::from_secs(11));
    assert!(world.carries(b"\xc8undisturbed"));
    let late = open.first().copied().unwrap();
    let before = world.agents[1].counters().stale_path;
    world.agents[1].handle_stream_data(late, &[0, 1, 7], world.now, |_| panic!("a stranger's"));
    assert_eq!(world.agents[1].counters().stale_path, before + 1, "it was closed");
    let elsewhere = Path { protocol: Protocol::Tcp, local: address("198.51.100.1:9"), remote: address(LEFT) };
    assert_eq!(
        world.agents[1].handle_stream_accepted(elsewhere, world.now),
        Err(StreamError::NoCandidate(elsewhere.local))
    );
}

#[test]
fn a_hostile_peer_cannot_have_us_connect_without_bound() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[]);
    world.filters = true;
    world.signal();
    for n in 0..5_000_u32 {
        let to = SocketAddr::new(std::net::Ipv4Addr::from(0x0A00_0000 + n).into(), 80);
        let candidate = LocalCandidate::host(Transport::Tcp(TcpType::Passive), to, 1).candidate;
        let _ = world.agents[0].add_remote_candidate(candidate, world.now);
    }
    world.run_for(Duration::from_secs(1));
    assert!(world.streams.len() <= 21, "paced at 50 ms: {}", world.streams.len());
    world.run_for(Duration::from_secs(100));
    assert!(world.streams.len() <= Config::default().max_remote_candidates);
    assert_eq!(world.open_streams(), 0);
}

#[test]
fn a_restart_goes_on_over_the_stream_there_is() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    world.signal();
    world.complete();
    world.run_for(Duration::from_secs(60));
    for side in 0..2 {
        let now = world.now;
        restart(&mut world.agents[side], now);
        assert!(world.agents[side].admit(1, now).is_some());
    }
    world.run_for(Duration::from_secs(5));
    assert!(world.carries(b"\xc8between"));
    world.signal();
    world.complete();
    assert!(world.carries(b"\xc8after"));
    world.run_for(Duration::from_secs(20));
    assert!(world.carries(b"\xc8long after"));
    assert_eq!(world.open_streams(), 1);
}

#[test]
fn a_restart_that_finds_another_way_closes_the_stream_there_was() {
    let config = Config { backups: 0, ..Config::default() };
    let mut world = World::with(config, &[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    world.signal();
    world.complete();
    for side in 0..2 {
        let now = world.now;
        restart(&mut world.agents[side], now);
    }
    let better = host("198.51.100.9:2000", u16::MAX);
    world.agents[0].add_local_candidate(host(LEFT, u16::MAX), world.now).unwrap();
    world.agents[1].add_local_candidate(better, world.now).unwrap();
    world.signal();
    world.complete();
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.selected(0).remote.transport, Transport::Udp);
    assert_eq!(world.open_streams(), 0);
    assert!(world.carries(b"\xc8by the new way"));
}

#[test]
fn while_datagrams_may_still_get_through_a_stream_is_used_but_not_nominated_at_once() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    for (from, to) in [(0, 1), (1, 0)] {
        let credentials = world.agents[from].local_credentials().clone();
        let candidate = world.agents[from].local_candidates()[0].candidate;
        world.agents[to].set_remote_credentials(credentials, world.now);
        world.agents[to].add_remote_candidate(candidate, world.now).unwrap();
    }
    world.run_for(Duration::from_millis(300));
    assert!(world.carries(b"\xc8in the meantime"));
    assert!(!world.selected(0).nominated);
    world.agents[0].add_local_candidate(host(LEFT, u16::MAX), world.now).unwrap();
    world.agents[1].add_local_candidate(host(RIGHT, u16::MAX), world.now).unwrap();
    world.signal();
    world.complete();
    assert_eq!(world.selected(0).local.candidate.transport, Transport::Udp);
}

#[test]
fn a_new_stream_on_an_old_path_has_to_prove_itself_anew() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    world.signal();
    world.complete();
    let path = world.selected(0).path;
    world.break_streams();
    let opened = |world: &World| world.streams.len() == 2 && world.streams[1].is_open;
    assert!(world.run_until(Duration::from_secs(5), opened));
    let now = world.now;
    world.agents[0].handle_stream_opened(path, now);
    let before = world.agents[0].counters().unknown_source;
    world.agents[0].handle_stream_data(path, &[0, 1, 200], now, |_| panic!("from whom?"));
    assert_eq!(world.agents[0].counters().unknown_source, before + 1);
    world.complete();
    assert!(world.carries(b"\xc8again"));
}

#[test]
fn closing_closes_the_streams() {
    let mut world = World::new(&[tcp(TcpType::Active, LEFT)], &[tcp(TcpType::Passive, RIGHT)]);
    world.signal();
    world.complete();
    let now = world.now;
    world.agents[0].close(now);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.open_streams(), 0);
    assert_eq!(world.agents[1].failure(), Some(Failure::StreamLost));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the streams are cut on their way, the agents do the same to the byte.
    #[test]
    fn how_a_stream_is_cut_changes_nothing(seed in any::<[u8; 32]>(), so in any::<bool>()) {
        let types = if so {
            [TcpType::SimultaneousOpen; 2]
        } else {
            [TcpType::Active, TcpType::Passive]
        };
        let run = |cuts: Option<Rng>| {
            let mut world = World::new(&[tcp(types[0], LEFT)], &[tcp(types[1], RIGHT)]);
            world.cuts = cuts;
            world.signal();
            world.complete();
            assert!(world.carries(&[200; 1_000]));
            world.run_for(Duration::from_secs(20));
            (world.log, world.states)
        };
        prop_assert_eq!(run(Some(Rng::new(seed))), run(None));
    }

    /// Whatever a stranger writes into a stream, nothing comes of it, however it is cut.
    #[test]
    fn a_strangers_bytes_have_no_effect(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20),
        junk in prop::collection::vec(any::<u8>(), 0..200),
        cut in 1..60_usize,
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            bytes.extend(frame_header(frame.len() as u16));
            bytes.extend(frame);
        }
        bytes.extend(junk);
        let run = |cut: usize| {
            let mut world = World::new(&[], &[tcp(TcpType::Passive, RIGHT)]);
            world.signal();
            let path = Path { protocol: Protocol::Tcp, local: address(RIGHT), remote: address(LEFT) };
            let agent = &mut world.agents[1];
            let id = agent.handle_stream_accepted(path, world.now).unwrap();
            let before = agent.poll_timeout();
            for piece in bytes.chunks(cut) {
                agent.handle_stream_data(id, piece, world.now, |_| panic!("a stranger's"));
            }
            assert_eq!(agent.poll_transmit(&mut [0; Agent::MIN_BUFFER]), None);
            assert_eq!((agent.poll_timeout(), agent.pairs().count()), (before, 0));
            agent.counters()
        };
        prop_assert_eq!(run(cut), run(usize::MAX));
    }
}
