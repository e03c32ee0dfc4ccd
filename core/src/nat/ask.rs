//! The requests of a discovery, and what becomes of them.

use std::net::SocketAddr;

use crate::stun::{AttributeType, BufferTooSmall, Class, MessageWriter, Method, TransactionId};

/// What a Binding request is to find out. Each is asked at most once in a discovery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Ask {
    /// Where does the server see the base?
    Base,
    /// Where does the server see the second base?
    SecondBase,
    /// Does an answer from where nothing was sent to arrive?
    Filter(Change),
    /// Where does the server see the base at its other address, and is there anybody?
    Other(Change),
    /// Where does the second server see the base?
    SecondServer,
    /// Does the server still see the base where it did?
    Again,
    /// Does an answer from there arrive now, after something was sent to it?
    Control(Change),
    /// Does what one base sends arrive at where the other is seen?
    Hairpin(Way),
}

/// What of the server's address is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Change {
    Port,
    Address,
    Both,
}

impl Change {
    /// The server's address after it.
    pub(super) fn apply(self, server: SocketAddr, other: SocketAddr) -> SocketAddr {
        let mut changed = server;
        if self != Self::Port {
            changed.set_ip(other.ip());
        }
        if self != Self::Address {
            changed.set_port(other.port());
        }
        changed
    }

    /// The value of CHANGE-REQUEST (RFC 5780 section 7.2).
    fn flags(self) -> [u8; 4] {
        let flags = match self {
            Self::Port => 2,
            Self::Address => 4,
            Self::Both => 6,
        };
        [0, 0, 0, flags]
    }
}

/// From which base to which a hairpinned request goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Way {
    ToSecond,
    ToFirst,
}

/// A request, as it travels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// Says from where the server is to answer.
    pub(super) change: Option<Change>,
    pub(super) expected: Expected,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// A response from this address.
    Response(SocketAddr),
    /// The request itself, at this base.
    Itself(SocketAddr),
}

/// What has become of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// What was waited for has come from this address.
    Arrived {
        from: SocketAddr,
        /// XOR-MAPPED-ADDRESS.
        mapped: Option<SocketAddr>,
        /// OTHER-ADDRESS.
        other: Option<SocketAddr>,
    },
    /// The server has answered from where it was asked, and not from where it should have.
    Ignored,
    Refused {
        code: u16,
        reason: String,
    },
    Unanswered,
}

impl Request {
    /// Room for the longest.
    pub(super) const MAX_LEN: usize = 20 + 8 + 8;

    pub(super) fn write(&self, id: TransactionId, buf: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let mut writer = MessageWriter::new(buf, Class::Request, Method::BINDING, id);
        if let Some(change) = self.change {
            writer.attribute(AttributeType::CHANGE_REQUEST, &change.flags());
        }
        writer.finish_with_fingerprint()
    }
}
