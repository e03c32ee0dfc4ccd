//! Why something could not be found out.

use core::fmt;
use std::net::SocketAddr;

/// Why something could not be found out.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Unknown {
    /// Nobody answers at this address.
    NoAnswer(SocketAddr),
    /// The server has answered with an error.
    Refused {
        /// The server.
        server: SocketAddr,
        /// 300 to 699.
        code: u16,
        /// Its reason phrase; may be empty.
        reason: String,
    },
    /// The answer from this address does not say where the request came from.
    Malformed(SocketAddr),
    /// The server has not shown an OTHER-ADDRESS, so it has one address only, or does not know RFC 5780.
    NoOtherAddress(SocketAddr),
    /// A server names this address, as its other one or as ours, and it cannot be that: nothing was sent there.
    Implausible(SocketAddr),
    /// The server has answered from the address that it was asked at, and should have answered from another.
    ChangeIgnored(SocketAddr),
    /// The answers that the server should send from its other address do not arrive, not even where nothing can hold
    /// them up any more.
    ChangeUnanswered(SocketAddr),
    /// The same server has seen us at one address and later at another.
    Unstable {
        /// At first.
        before: SocketAddr,
        /// Then.
        after: SocketAddr,
    },
    /// Hairpinning: nothing has arrived, but what filters would have held it up in any case.
    Filtered,
    /// Hairpinning: there is no NAT.
    NoNat,
    /// Hairpinning: the configuration has no second base.
    NoSecondBase,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(address) => write!(f, "nobody answers at {address}"),
            Self::Refused { server, code, reason } => write!(f, "{server} has refused: {code} {reason}"),
            Self::Malformed(address) => write!(f, "the answer of {address} does not say where the request came from"),
            Self::NoOtherAddress(server) => write!(f, "{server} has shown no other address"),
            Self::Implausible(address) => write!(f, "a server names {address}, which cannot be meant"),
            Self::ChangeIgnored(server) => write!(f, "{server} does not answer from its other address"),
            Self::ChangeUnanswered(server) => write!(f, "what {server} sends from its other address does not arrive"),
            Self::Unstable { before, after } => write!(f, "the outside address has changed from {before} to {after}"),
            Self::Filtered => f.write_str("filters would hold the packets up in any case"),
            Self::NoNat => f.write_str("there is no NAT"),
            Self::NoSecondBase => f.write_str("it takes a second socket"),
        }
    }
}

impl std::error::Error for Unknown {}
