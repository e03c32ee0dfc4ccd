//! What one ICE connection costs.
//!
//! Two agents with one host candidate each, in memory, 20 ms apart, from their creation until both have
//! selected a pair and are dropped. [`Contender`] is the seam between this loop, which is the same for
//! everyone, and an implementation; [`command`] is the command line around it.

pub mod command;
mod frazil;
mod instructions;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use ::frazil::Instant;

pub use self::frazil::Frazil;
pub use wire::Wire;

/// How long a datagram is under way.
pub const ONE_WAY_DELAY: Duration = Duration::from_millis(20);

/// More than any implementation needs; one that is not connected by then never will be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for one datagram.
pub const MAX_DATAGRAM: usize = 1500;

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

/// An ICE implementation, as the measured loop drives it.
///
/// An adapter does what the implementation's documentation asks of a driver and nothing cheaper or dearer;
/// its own work is counted too, so it only passes on.
pub trait Contender: Sized {
    /// The crate and its version.
    const NAME: &'static str;

    /// What signalling carries from one agent to the other: credentials and the candidate, in the
    /// implementation's own types, so that nobody pays for text.
    type Signal;

    /// An agent with fresh random credentials and its one host candidate.
    fn new(side: Side, now: Instant) -> Self;

    /// What the other side is told.
    fn signal(&self) -> Self::Signal;

    /// The other side's signal arrives; checks may begin.
    fn handle_signal(&mut self, signal: Self::Signal, now: Instant);

    /// A datagram arrives from the other side's address.
    fn handle_datagram(&mut self, datagram: &[u8], now: Instant);

    /// The time that [`Contender::poll_timeout`] named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Writes the next datagram, which can only be for the other side, and gives its length.
    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], now: Instant) -> Option<usize>;

    /// When to call [`Contender::handle_timeout`] at the latest.
    fn poll_timeout(&mut self) -> Option<Instant>;

    /// Whether a pair is selected, so that application data may flow.
    fn is_connected(&mut self) -> bool;
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
pub fn connect<C: Contender>(wire: &mut Wire) -> Connection {
    wire.clear();
    let mut now = Instant::ZERO;
    let mut controlling = C::new(Side::Controlling, now);
    let mut controlled = C::new(Side::Controlled, now);
    let (offer, answer) = (controlling.signal(), controlled.signal());
    controlled.handle_signal(offer, now);
    controlling.handle_signal(answer, now);
    loop {
        wire.send(Side::Controlling, &mut controlling, now);
        wire.send(Side::Controlled, &mut controlled, now);
        if controlling.is_connected() && controlled.is_connected() {
            return Connection { time: now - Instant::ZERO, datagrams: wire.datagrams(), bytes: wire.bytes() };
        }
        let timeouts = [controlling.poll_timeout(), controlled.poll_timeout()];
        let next = [timeouts[0], timeouts[1], wire.next_arrival()].into_iter().flatten().min();
        // A deadline in the past means: at once.
        now = next.unwrap_or_else(|| panic!("{} waits for nothing", C::NAME)).max(now);
        assert!(now - Instant::ZERO < PATIENCE, "{} is not connected after {PATIENCE:?}", C::NAME);
        if let Some((to, datagram)) = wire.receive(now) {
            match to {
                Side::Controlling => controlling.handle_datagram(datagram, now),
                Side::Controlled => controlled.handle_datagram(datagram, now),
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
