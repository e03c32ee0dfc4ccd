//! Why there is no allocation.

use core::fmt;
use core::time::Duration;
use std::net::SocketAddr;

use crate::stun::{AttributeType, ChallengeError};

/// A server's error response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// 300 to 699.
    pub code: u16,
    /// The server's reason phrase; may be empty.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

/// Why no allocation was made, or no data stream joined with a peer.
///
/// [`Failure::code`] and `to_string` are what W3C's `icecandidateerror` reports as `errorCode` and `errorText`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The server has refused.
    Refused(Refusal),
    /// The server's challenge cannot be answered.
    Challenge(ChallengeError),
    /// The server has redirected to a server that was asked already, or once too often (RFC 8489 section 10).
    Redirects(SocketAddr),
    /// The server has redirected and named no server that can be asked.
    NoAlternate,
    /// All answers that came were not the server's, or somebody has changed them (RFC 8489 section 9.2.5).
    Integrity,
    /// The answer has no relayed address, or makes no sense otherwise.
    Malformed,
    /// The answer has this attribute, which must be understood and is not (RFC 8489 sections 6.3.3 and 6.3.4).
    NotUnderstood(AttributeType),
    /// The relayed address is not of the family that was asked for; it has been given back.
    Family(SocketAddr),
    /// No answer came.
    NoAnswer,
    /// The stream could not be opened.
    NotOpened,
    /// The stream was closed.
    StreamClosed,
    /// What came in the stream is not TURN.
    Garbage,
}

impl Failure {
    /// The server's error code, or W3C's 701 where the server was not reached or has not said one.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Challenge(_) => 401,
            Self::Redirects(_) | Self::NoAlternate => 300,
            _ => 701,
        }
    }

    /// Whether another try from another local port is of use at once: the server has an allocation for this one
    /// already (437, RFC 8656 section 7.4).
    #[must_use]
    pub fn wants_fresh_port(&self) -> bool {
        matches!(self, Self::Refused(Refusal { code: 437, .. }))
    }

    /// How long to leave the server alone: a minute where it is at its limits (486 and 508, RFC 8656 section 7.4).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Refused(Refusal { code: 486 | 508, .. })).then_some(Duration::from_secs(60))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => f.write_str(&refusal.reason),
            Self::Challenge(error) => error.fmt(f),
            Self::Redirects(server) => write!(f, "redirected to {server}, once too often"),
            Self::NoAlternate => f.write_str("redirected to no server that can be asked"),
            Self::Integrity => f.write_str("the answers have no valid integrity"),
            Self::Malformed => f.write_str("the answer makes no sense"),
            Self::NotUnderstood(kind) => write!(f, "the answer has the attribute {kind}, which is not known"),
            Self::Family(address) => write!(f, "the relayed address {address} is not of the family that was asked for"),
            Self::NoAnswer => f.write_str("the server does not answer"),
            Self::NotOpened => f.write_str("the stream to the server could not be opened"),
            Self::StreamClosed => f.write_str("the stream to the server was closed"),
            Self::Garbage => f.write_str("what the server sends is not TURN"),
        }
    }
}

impl std::error::Error for Failure {}

/// Why an allocation is no more.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Loss {
    /// The server does not know of it (437): it was restarted, or a NAT gives us another address.
    Unknown,
    /// The server does not answer any more.
    NoAnswer,
    /// All answers that came were not the server's, or somebody has changed them.
    Integrity,
    /// Its lifetime is over, and the server would not prolong it: for this reason, if it gave one.
    Expired(Option<Refusal>),
    /// The stream was closed.
    StreamClosed,
    /// What came in the stream is not TURN.
    Garbage,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the server does not know of the allocation"),
            Self::NoAnswer => f.write_str("the server does not answer any more"),
            Self::Integrity => f.write_str("the answers have no valid integrity"),
            Self::Expired(None) => f.write_str("the allocation has expired"),
            Self::Expired(Some(refusal)) => write!(f, "the allocation has expired; the server said {refusal}"),
            Self::StreamClosed => f.write_str("the stream to the server was closed"),
            Self::Garbage => f.write_str("what the server sends is not TURN"),
        }
    }
}

impl std::error::Error for Loss {}
