//! What one ICE connection costs.
//!
//! Two agents with one host candidate each, in memory, 20 ms apart, from their creation until both have
//! selected a pair and are dropped. The loop is the same for every [`Contestant`]; [`command`] is the command line
//! around it.

pub mod command;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use frazil::Instant;

use crate::contestant::{Contestant, Gathered, Role};

pub use wire::Wire;

/// How long a datagram is under way.
pub const ONE_WAY_DELAY: Duration = Duration::from_millis(20);

/// More than any implementation needs; one that is not connected by then never will be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which of the two agents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// It nominates.
    Controlling,
    /// It follows.
    Controlled,
}

impl Side {
    /// The address of the side's one host candidate.
    #[must_use]
    pub const fn address(self) -> SocketAddr {
        let (ip, port) = match self {
            Self::Controlling => (Ipv4Addr::new(192, 0, 2, 1), 40_000),
            Self::Controlled => (Ipv4Addr::new(198, 51, 100, 1), 50_000),
        };
        SocketAddr::V4(SocketAddrV4::new(ip, port))
    }

    /// The side that a datagram of this one goes to.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

/// How one connection went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// From creation until both sides had a selected pair, in virtual time.
    pub time: Duration,
    /// Datagrams that both sides sent meanwhile.
    pub datagrams: u32,
    /// Their payload bytes in sum.
    pub bytes: u32,
}

/// Makes one connection.
///
/// # Panics
/// When both sides are not connected within 30 seconds of virtual time.
pub fn connect<C: Contestant>(wire: &mut Wire) -> Connection {
    wire.clear();
    let mut now = Instant::ZERO;
    let [mut controlling, mut controlled] =
        [(Side::Controlling, Role::Controlling), (Side::Controlled, Role::Controlled)].map(|(side, role)| {
            let mut agent = C::new(role, fresh_seed(), now);
            let host = Gathered::host(side.address(), u16::MAX);
            let candidate = agent.add_local_candidate(host, now).expect("a first candidate");
            agent.end_of_local_candidates(now);
            (agent, candidate)
        });
    introduce(&controlling, &mut controlled.0, now);
    introduce(&controlled, &mut controlling.0, now);
    let [(mut controlling, _), (mut controlled, _)] = [controlling, controlled];
    loop {
        wire.send(Side::Controlling, &mut controlling, now);
        wire.send(Side::Controlled, &mut controlled, now);
        if is_connected(&mut controlling) && is_connected(&mut controlled) {
            return Connection { time: now - Instant::ZERO, datagrams: wire.datagrams(), bytes: wire.bytes() };
        }
        let timeouts = [controlling.poll_timeout(), controlled.poll_timeout()];
        let next = [timeouts[0], timeouts[1], wire.next_arrival()].into_iter().flatten().min();
        // A deadline in the past means: at once.
        now = next.unwrap_or_else(|| panic!("{} waits for nothing", C::NAME)).max(now);
        assert!(now - Instant::ZERO < PATIENCE, "{} is not connected after {PATIENCE:?}", C::NAME);
        if let Some((to, datagram)) = wire.receive(now) {
            let (base, remote) = (to.address(), to.other().address());
            match to {
                Side::Controlling => controlling.handle_datagram(base, remote, datagram, now),
                Side::Controlled => controlled.handle_datagram(base, remote, datagram, now),
            }
            continue;
        }
        if timeouts[0].is_some_and(|at| at <= now) {
            controlling.handle_timeout(now);
        }
        if timeouts[1].is_some_and(|at| at <= now) {
            controlled.handle_timeout(now);
        }
    }
}

/// Tells `to` all there is to know of the other side.
fn introduce<C: Contestant>((from, candidate): &(C, C::Candidate), to: &mut C, now: Instant) {
    to.set_remote_credentials(from.credentials(), now);
    to.add_remote_candidate(candidate.clone(), now);
    to.end_of_remote_candidates(now);
}

fn is_connected<C: Contestant>(agent: &mut C) -> bool {
    agent.selected().is_some_and(|selected| selected.nominated)
}

/// Another one each time, as from the operating system.
fn fresh_seed() -> u64 {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    GIVEN.fetch_add(1, Ordering::Relaxed)
}
