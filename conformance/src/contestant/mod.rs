//! An ICE implementation without sockets, as everything here drives it.
//!
//! [`Contestant`] is the seam between what is the same for everyone (the loop that measures, the network, gathering)
//! and an implementation. The adapters of foreign ones are in the crate under `compare/`.

mod frazil;

use core::fmt;
use std::net::{IpAddr, SocketAddr};

use ::frazil::Instant;
pub use ::frazil::ice::{CandidateKind, Role};

pub use self::frazil::Frazil;

/// Room for one datagram.
pub const MAX_DATAGRAM: usize = 1500;

/// One ICE agent.
///
/// An adapter does what the implementation's documentation asks of a driver and nothing cheaper or dearer; its own
/// work is measured too, so it only passes on.
pub trait Contestant: Sized {
    /// The crate and its version.
    const NAME: &'static str;

    /// User name fragment and password, in the implementation's own type, so that nobody pays for text.
    type Credentials: Clone;

    /// A candidate as the other side is told of it, in the implementation's own type.
    type Candidate: Clone;

    /// An agent with credentials of its own. One that takes a seed gets this one.
    fn new(role: Role, seed: u64, now: Instant) -> Self;

    /// What the other side is told first.
    fn credentials(&self) -> Self::Credentials;

    /// The other side's credentials arrive; checks may begin.
    fn set_remote_credentials(&mut self, credentials: Self::Credentials, now: Instant);

    /// Adds a candidate of the agent's own. Gives what the other side is to be told, if the agent takes it.
    fn add_local_candidate(&mut self, gathered: Gathered, now: Instant) -> Option<Self::Candidate>;

    /// No more candidates of the agent's own follow.
    fn end_of_local_candidates(&mut self, now: Instant);

    /// A candidate of the other side arrives.
    fn add_remote_candidate(&mut self, candidate: Self::Candidate, now: Instant);

    /// No more candidates of the other side follow.
    fn end_of_remote_candidates(&mut self, now: Instant);

    /// A datagram arrives at `base`, a socket or a relayed address, from `remote`.
    fn handle_datagram(&mut self, base: SocketAddr, remote: SocketAddr, datagram: &[u8], now: Instant);

    /// The time that [`Contestant::poll_timeout`] named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Writes the next datagram and says where it goes.
    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], now: Instant) -> Option<Outgoing>;

    /// When to call [`Contestant::handle_timeout`] at the latest.
    fn poll_timeout(&mut self) -> Option<Instant>;

    /// The path that application data may take now, if there is one.
    fn selected(&mut self) -> Option<Selected>;

    /// Whether and why the agent has given up.
    fn failure(&mut self) -> Option<Failure>;
}

/// A candidate that was gathered for an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gathered {
    /// How it was learnt: host, server-reflexive or relayed.
    pub kind: CandidateKind,
    /// The address that the other side sends to.
    pub address: SocketAddr,
    /// Where checks leave from: the socket, or the relayed address itself.
    pub base: SocketAddr,
    /// For a relayed or reflexive candidate, the address behind it.
    pub related: Option<SocketAddr>,
    /// The server that it was learnt from.
    pub server: Option<IpAddr>,
    /// Ranks the sockets of the machine, 65535 being the best.
    pub preference: u16,
}

impl Gathered {
    /// A socket's own address.
    #[must_use]
    pub fn host(address: SocketAddr, preference: u16) -> Self {
        Self { kind: CandidateKind::Host, address, base: address, related: None, server: None, preference }
    }

    /// The address that `server` saw a request from `base` come from.
    #[must_use]
    pub fn server_reflexive(address: SocketAddr, base: SocketAddr, server: IpAddr, preference: u16) -> Self {
        let kind = CandidateKind::ServerReflexive;
        Self { kind, address, base, related: Some(base), server: Some(server), preference }
    }

    /// The address that `server` lends to a client that it sees at `mapped`.
    #[must_use]
    pub fn relayed(address: SocketAddr, mapped: SocketAddr, server: IpAddr, preference: u16) -> Self {
        let kind = CandidateKind::Relayed;
        Self { kind, address, base: address, related: Some(mapped), server: Some(server), preference }
    }
}

/// Where a datagram that an agent has written goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// The socket or the relayed address that it leaves from.
    pub base: SocketAddr,
    /// Whom it is for.
    pub remote: SocketAddr,
    /// How many bytes of the buffer it takes.
    pub len: usize,
}

/// The path that an agent has chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Selected {
    /// The socket or the relayed address that data leave from.
    pub base: SocketAddr,
    /// Where they go.
    pub remote: SocketAddr,
    /// Whether it was nominated, so that it is meant to stay.
    pub nominated: bool,
}

/// Why an agent has given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// No candidate of one side goes with one of the other.
    NoPairs,
    /// Pairs were checked, and none answered.
    NoPairSucceeded,
    /// The implementation says that it has failed, and never why.
    Unexplained,
    /// Something else.
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPairs => f.write_str("no pairs"),
            Self::NoPairSucceeded => f.write_str("no pair succeeded"),
            Self::Unexplained => f.write_str("failed"),
            Self::Other(what) => f.write_str(what),
        }
    }
}
