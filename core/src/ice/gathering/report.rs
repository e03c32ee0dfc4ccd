//! What is told of the servers that were asked.

use core::fmt;
use core::time::Duration;
use std::net::SocketAddr;

use crate::ice::ServerUri;

/// How far the gathering of our candidates is, as W3C's `RTCIceGathererState` names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GatheringState {
    /// It has not begun.
    New,
    /// There may be more.
    Gathering,
    /// All are known.
    Complete,
}

impl GatheringState {
    /// W3C's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gathering => "gathering",
            Self::Complete => "complete",
        }
    }
}

impl fmt::Display for GatheringState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A server gave us no candidate, or takes back what it gave: W3C's `icecandidateerror`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatheringError {
    /// The server.
    pub uri: ServerUri,
    /// From which base it was asked; none if it was not.
    pub local: Option<SocketAddr>,
    /// At which of its addresses.
    pub server: Option<SocketAddr>,
    /// The code of a STUN error, or 701 where the server was not reached or said none.
    pub code: u16,
    /// What happened.
    pub text: String,
}

impl GatheringError {
    /// W3C's code for a server that cannot be reached.
    pub const UNREACHABLE: u16 = 701;
}

impl fmt::Display for GatheringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.uri, self.code, self.text)
    }
}

impl std::error::Error for GatheringError {}

/// What became of asking one server from one base.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerReport {
    /// The server.
    pub uri: ServerUri,
    /// The base that it was asked from.
    pub local: SocketAddr,
    /// The address of the server that answered, or was asked last; none if none was asked yet.
    pub server: Option<SocketAddr>,
    /// What came of it.
    pub outcome: ServerOutcome,
}

/// What came of asking a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerOutcome {
    /// It was not asked yet, or has not answered.
    Waiting,
    /// It gave what it was asked for.
    Answered {
        /// How long that took, with all that had to be said before.
        after: Duration,
        /// Our address as the server sees it.
        mapped: SocketAddr,
        /// The addresses that it lends us.
        relayed: Vec<SocketAddr>,
    },
    /// The same server is asked under another name already.
    Redundant,
    /// It gave nothing.
    Failed(GatheringError),
}
