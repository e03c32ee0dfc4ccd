//! What a connected agent does per datagram, it does without the heap.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use frazil::ice::{Agent, Config, LocalCandidate, Received, Role, Sent, State};
use frazil::{Instant, Path, PathId, Protocol, Transmit};
use frazil_conformance::allocations;

use crate::counted;

const DATAGRAMS: u32 = 10_000;

/// As in a call at a high rate: the 10,000 datagrams span 50 s, ten rounds of consent checks on each side.
const BETWEEN_DATAGRAMS: Duration = Duration::from_millis(5);

/// One of two agents, with the number of the path to the other one.
struct Side {
    agent: Agent,
    path: PathId,
    received: u32,
    /// Blocks allocated for application datagrams.
    for_data: u64,
    /// Blocks allocated for STUN and timers.
    for_stun: u64,
}

impl Side {
    fn new(role: Role, address: SocketAddr, other: SocketAddr, now: Instant) -> Self {
        let seed = [if role == Role::Controlling { 1 } else { 2 }; 32];
        let mut agent = Agent::new(Config::default(), role, seed, now);
        agent.add_local_candidate(LocalCandidate::host(Protocol::Udp, address, u16::MAX), now).unwrap();
        agent.end_of_local_candidates(now);
        let path = agent.path_id(Path { protocol: Protocol::Udp, local: address, remote: other });
        Self { agent, path, received: 0, for_data: 0, for_stun: 0 }
    }

    fn meet(&mut self, other: &Self, now: Instant) {
        self.agent.set_remote_credentials(other.agent.local_credentials().clone(), now);
        self.agent.add_remote_candidate(other.agent.local_candidates()[0].candidate, now).unwrap();
        self.agent.end_of_remote_candidates(now);
    }

    /// Fires the timer if it is due, and hands all that this side wants to send to the other one.
    fn attend(&mut self, other: &mut Self, now: Instant) -> bool {
        let Self { agent, for_stun, .. } = self;
        let mut worked = false;
        counted(for_stun, || {
            if agent.poll_timeout().is_some_and(|at| at <= now) {
                agent.handle_timeout(now);
            }
        });
        let mut buffer = [0; 1500];
        while let Some(transmit) = counted(for_stun, || agent.poll_transmit(&mut buffer)) {
            counted(&mut other.for_stun, || {
                assert_eq!(other.agent.handle_datagram(other.path, &buffer[..transmit.len], now), Received::Consumed);
            });
            worked = true;
        }
        counted(for_stun, || while agent.poll_event().is_some() {});
        worked
    }

    /// Sends one application datagram to the other side.
    fn send(&mut self, other: &mut Self, datagram: &[u8], now: Instant) {
        let Self { agent, for_data, .. } = self;
        let mut buffer = [0; 1500];
        buffer[..datagram.len()].copy_from_slice(datagram);
        let sent = counted(for_data, || {
            let sent = agent.send(&mut buffer, datagram.len(), now);
            (sent, agent.poll_timeout(), agent.poll_event()).0
        });
        let sent_whole = Transmit { path: self.path, len: datagram.len() };
        assert_eq!(sent, Sent::Now(sent_whole), "it is connected and has its path");
        let Self { agent, path, received, for_data, .. } = other;
        counted(for_data, || {
            assert_eq!(agent.handle_datagram(*path, datagram, now), Received::Application(datagram));
            (agent.poll_timeout(), agent.poll_event(), agent.poll_transmit(&mut []))
        });
        *received += 1;
    }
}

fn exchange_stun(a: &mut Side, b: &mut Side, now: Instant) {
    while a.attend(b, now) | b.attend(a, now) {}
}

fn connected(now: &mut Instant) -> (Side, Side) {
    assert!(allocations::are_counted());
    let address = |last, port| SocketAddr::new(Ipv4Addr::new(192, 0, 2, last).into(), port);
    let (here, there) = (address(1, 4000), address(2, 5000));
    let mut a = Side::new(Role::Controlling, here, there, *now);
    let mut b = Side::new(Role::Controlled, there, here, *now);
    a.meet(&b, *now);
    b.meet(&a, *now);
    // Until the first consent checks have come and gone.
    for _ in 0..4_000 {
        exchange_stun(&mut a, &mut b, *now);
        *now += BETWEEN_DATAGRAMS;
    }
    assert_eq!([a.agent.state(), b.agent.state()], [State::Completed; 2]);
    assert!(a.for_stun > 0, "to connect takes the heap, and the count sees it");
    (a.for_stun, b.for_stun) = (0, 0);
    (a, b)
}

#[test]
fn application_datagrams_and_consent_take_no_heap() {
    let mut now = Instant::from_millis(1_000);
    let (mut a, mut b) = connected(&mut now);
    let datagram = [0x80; 1200];
    let requests = |side: &Side| side.agent.selected_pair().unwrap().stats.requests_sent;
    let before = (requests(&a), requests(&b));
    for _ in 0..DATAGRAMS {
        exchange_stun(&mut a, &mut b, now);
        a.send(&mut b, &datagram, now);
        b.send(&mut a, &datagram, now);
        now += BETWEEN_DATAGRAMS;
    }
    assert_eq!((a.received, b.received), (DATAGRAMS, DATAGRAMS));
    assert!(requests(&a) >= before.0 + 8 && requests(&b) >= before.1 + 8, "consent was kept meanwhile");
    assert_eq!((a.for_data, b.for_data), (0, 0), "for application datagrams");
    assert_eq!((a.for_stun, b.for_stun), (0, 0), "for consent checks and timers");
}

#[test]
fn strangers_take_no_heap() {
    let mut now = Instant::from_millis(1_000);
    let (mut a, _b) = connected(&mut now);
    // As many as the table of paths remembers; a path that is new to it costs it a node now and then.
    let paths: Vec<PathId> = (0..200)
        .map(|nth| {
            let local = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), 4000);
            let remote = SocketAddr::new(Ipv4Addr::new(203, 0, 113, 9).into(), 10_000 + nth);
            a.agent.path_id(Path { protocol: Protocol::Udp, local, remote })
        })
        .collect();
    let data = [0x80; 100];
    let mut stun = [0; 20];
    stun[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]);
    let timeout = a.agent.poll_timeout();
    let mut blocks = 0;
    for nth in 0..DATAGRAMS as usize {
        for datagram in [&data[..], &stun] {
            counted(&mut blocks, || {
                assert_eq!(a.agent.handle_datagram(paths[nth % paths.len()], datagram, now), Received::Consumed);
                assert_eq!(a.agent.poll_event(), None);
                assert_eq!(a.agent.poll_transmit(&mut [0; 1500]), None);
            });
        }
    }
    assert_eq!(blocks, 0);
    assert_eq!(a.agent.poll_timeout(), timeout, "nothing that a stranger sends wakes anybody");
    assert_eq!(a.agent.counters().unknown_source, u64::from(DATAGRAMS));
}
