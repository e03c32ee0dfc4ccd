//! Two peers where datagrams do not get through, and streams do.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::super::*;
use super::{DELAY, address};
use crate::ice::TcpType;
use crate::{Instant, Path, PathId, Protocol, ice};

const LISTENER: &str = "198.51.100.1:443";

/// The first peer has sent something to the second, or the other way round.
enum Arrival {
    Accept { path: PathId, remote: SocketAddr },
    Opened,
    Bytes(Vec<u8>),
    Closed,
}

/// The second peer listens; there is one stream at a time.
struct World {
    now: Instant,
    peers: [Peer; 2],
    flying: VecDeque<(Instant, usize, Arrival)>,
    paths: [Option<PathId>; 2],
    connects: usize,
    events: [Vec<Event>; 2],
}

impl World {
    fn new(config: Config) -> Self {
        let now = Instant::from_millis(1);
        let mut peers = [1, 2].map(|seed| Peer::new(config.clone(), [seed; 32], now).unwrap());
        for (side, peer) in peers.iter_mut().enumerate() {
            peer.add_host_candidate(address(side), 65_535, now).unwrap();
        }
        peers[1].add_tcp_candidate(TcpType::Passive, LISTENER.parse().unwrap(), 65_535, now).unwrap();
        for peer in &mut peers {
            peer.end_of_candidates(now);
        }
        Self { now, peers, flying: VecDeque::new(), paths: [None; 2], connects: 0, events: [vec![], vec![]] }
    }

    fn negotiate(&mut self) {
        let now = self.now;
        let [left, right] = &mut self.peers;
        left.create_data_channel(ChannelConfig { label: "first".into(), ..ChannelConfig::default() }, now).unwrap();
        let offer = left.create_offer().unwrap();
        left.set_local_description(&offer, now).unwrap();
        right.set_remote_description(&offer, now).unwrap();
        let answer = right.create_answer().unwrap();
        right.set_local_description(&answer, now).unwrap();
        left.set_remote_description(&answer, now).unwrap();
    }

    fn drain(&mut self) {
        let mut buf = [0; Peer::MIN_BUFFER];
        for side in 0..2 {
            while let Some(transmit) = self.peers[side].poll_transmit(&mut buf) {
                let path = self.peers[side].path(transmit.path).unwrap();
                if path.protocol == Protocol::Tcp {
                    assert_eq!(self.paths[side], Some(transmit.path));
                    self.send(1 - side, Arrival::Bytes(buf[..transmit.len].to_vec()));
                }
            }
            while let Some(event) = self.peers[side].poll_event() {
                match event {
                    Event::OpenStream { path, local, remote, .. } => {
                        assert_eq!(
                            (side, local, remote),
                            (0, SocketAddr::new(address(0).ip(), 0), LISTENER.parse().unwrap())
                        );
                        self.connects += 1;
                        self.send(1, Arrival::Accept { path, remote: SocketAddr::new(local.ip(), 50_000) });
                    }
                    Event::CloseStream { path } => {
                        assert_eq!(self.paths[side].take(), Some(path));
                        self.send(1 - side, Arrival::Closed);
                    }
                    event => self.events[side].push(event),
                }
            }
        }
    }

    fn send(&mut self, to: usize, arrival: Arrival) {
        self.flying.push_back((self.now + DELAY, to, arrival));
    }

    fn run_until(&mut self, longest: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + longest;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let timeouts = self.peers.iter().filter_map(Peer::poll_timeout);
            let arrival = self.flying.front().map(|flying| flying.0);
            let Some(next) = timeouts.chain(arrival).min().filter(|&next| next <= end) else { return false };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                let (_, to, arrival) = self.flying.pop_front().unwrap();
                self.arrive(to, arrival);
                continue;
            }
            for peer in &mut self.peers {
                if peer.poll_timeout().is_some_and(|at| at <= self.now) {
                    peer.handle_timeout(self.now);
                }
            }
        }
    }

    fn arrive(&mut self, to: usize, arrival: Arrival) {
        let now = self.now;
        match arrival {
            Arrival::Accept { path, remote } => {
                let accepted = Path { protocol: Protocol::Tcp, local: LISTENER.parse().unwrap(), remote };
                let accepted = self.peers[to].handle_stream_accepted(accepted, now).unwrap();
                self.paths = [Some(path), Some(accepted)];
                self.send(0, Arrival::Opened);
            }
            Arrival::Opened => self.peers[to].handle_stream_opened(self.paths[to].unwrap(), now),
            Arrival::Bytes(bytes) => {
                let Some(path) = self.paths[to] else { return };
                self.peers[to].handle_stream_data(path, &bytes, now);
            }
            Arrival::Closed => {
                let Some(path) = self.paths[to].take() else { return };
                self.peers[to].handle_stream_closed(path, now);
            }
        }
    }

    fn connected(&self) -> bool {
        self.peers.iter().all(|peer| peer.connection_state() == ConnectionState::Connected)
    }
}

#[test]
fn who_has_no_way_but_a_stream_opens_one_to_who_listens() {
    let mut world = World::new(Config::default());
    world.negotiate();
    assert!(world.run_until(Duration::from_secs(10), World::connected), "{:?}", world.peers);
    let told: Vec<String> =
        world.peers.iter().map(|peer| peer.local_description().unwrap().sdp).map(|sdp| sdp.to_string()).collect();
    assert!(!told[0].contains("tcptype"), "what one connects from is of no use to others: {}", told[0]);
    assert_eq!(told[1].matches("tcptype passive").count(), 1, "{}", told[1]);
    assert!(told[1].lines().any(|line| line.starts_with("m=application 2000 ")), "the default is for datagrams");
    assert!(world.events[0].iter().all(|event| !matches!(event, Event::IceCandidate(_))));

    let channel = |event: &Event| match event {
        Event::ChannelOpen(channel) => Some(*channel),
        _ => None,
    };
    assert!(world.run_until(Duration::from_secs(5), |world| world.events[0].iter().any(|e| channel(e).is_some())));
    let id = world.events[0].iter().find_map(channel).unwrap();
    let message = vec![7; 100_000];
    world.peers[0].send(id, MessageKind::Binary, &message, world.now).unwrap();
    let got =
        |world: &World| world.events[1].iter().any(|e| matches!(e, Event::Message { data, .. } if *data == message));
    assert!(world.run_until(Duration::from_secs(10), got));
    assert_eq!(world.connects, 1);
    let pair = world.peers[0].selected_pair().unwrap();
    assert_eq!(pair.local.candidate.transport, ice::Transport::Tcp(TcpType::Active));

    // The farewell arrives before the stream is closed.
    world.peers[0].close(world.now);
    assert!(
        world.run_until(Duration::from_secs(5), |world| world.peers[1].connection_state() == ConnectionState::Closed)
    );
    assert!(world.run_until(Duration::from_secs(5), |world| world.paths == [None; 2]));
}

#[test]
fn in_a_stream_too_what_nobody_reads_is_held_back() {
    const COUNT: usize = 40;
    const LEN: usize = 16 << 10;
    let mut world = World::new(Config { receive_buffer: Some(64 << 10), ..Config::default() });
    world.negotiate();
    let ends = |world: &World| {
        let ours = world.events[0].iter().find_map(|event| match event {
            Event::ChannelOpen(channel) => Some(*channel),
            _ => None,
        });
        let theirs = world.events[1].iter().find_map(|event| match event {
            Event::DataChannel { channel, .. } => Some(*channel),
            _ => None,
        });
        ours.zip(theirs)
    };
    assert!(world.run_until(Duration::from_secs(10), |world| ends(world).is_some()));
    let (ours, theirs) = ends(&world).unwrap();
    let came = |world: &World, side: usize| {
        world.events[side].iter().filter(|event| matches!(event, Event::Message { .. })).count()
    };
    for _ in 0..COUNT {
        world.peers[0].send(ours, MessageKind::Binary, &[7; LEN], world.now).unwrap();
    }
    assert!(!world.run_until(Duration::from_secs(100), |world| came(world, 1) == COUNT));
    assert!(world.peers[1].counters().records_held > 0);
    world.peers[1].send(theirs, MessageKind::Binary, &[8; LEN], world.now).unwrap();
    assert!(world.run_until(Duration::from_secs(1), |world| came(world, 0) == 1));
    let mut read = 0;
    while read < COUNT {
        let waits = came(&world, 1) - read;
        world.peers[1].release(theirs, waits * LEN, world.now);
        read += waits;
        assert!(world.run_until(Duration::from_secs(2), |world| came(world, 1) > read || read == COUNT));
    }
}

#[test]
fn a_peer_that_is_told_not_to_connect_does_not() {
    let mut world = World::new(Config { active_tcp: false, ..Config::default() });
    world.negotiate();
    let failed = |world: &World| world.peers.iter().all(|peer| peer.connection_state() == ConnectionState::Failed);
    assert!(world.run_until(Duration::from_secs(60), failed));
    assert_eq!(world.connects, 0);
}

#[test]
fn an_address_that_comes_later_is_connected_from_too() {
    let mut world = World::new(Config::default());
    world.negotiate();
    world.drain();
    let before: BTreeMap<_, _> = tcp_bases(&world.peers[0]);
    world.peers[0].add_host_candidate("192.0.2.77:5".parse().unwrap(), 1, world.now).unwrap();
    let after = tcp_bases(&world.peers[0]);
    assert_eq!((before.len(), after.len()), (1, 2));
    assert!(after.contains_key(&"192.0.2.77:9".parse().unwrap()));
}

fn tcp_bases(peer: &Peer) -> BTreeMap<SocketAddr, u32> {
    let tcp = peer.local_candidates().iter().filter(|local| local.candidate.transport.tcp_type().is_some());
    tcp.map(|local| (local.base, local.candidate.priority)).collect()
}
