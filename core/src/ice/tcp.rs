//! TCP candidates: who connects to whom, and what such a path is worth (RFC 6544).

use core::fmt;
use std::net::SocketAddr;

use super::CandidateKind;
use crate::path::Protocol;

/// What active candidates say instead of a port: each of their streams has another one (RFC 6544 section 4.1).
const ACTIVE_PORT: u16 = 9;

/// How much less a path over TCP is worth than one of the same kind over UDP: as much as makes every direct path over
/// UDP better than any over TCP, where one lost segment holds up all that follows.
///
/// RFC 6544 section 4.2 would have the two equal; other implementations lower it by this much too.
const WORSE_THAN_UDP: u32 = 36;

/// Which side of a TCP candidate opens the connection (RFC 6544 section 4.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TcpType {
    /// The candidate's owner opens it.
    Active,
    /// The candidate's owner waits for it.
    Passive,
    /// Both at once.
    SimultaneousOpen,
}

impl TcpType {
    /// The `tcp-type` token of RFC 6544 section 4.5.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        }
    }

    /// The type at the other end of a stream.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Active => Self::Passive,
            Self::Passive => Self::Active,
            Self::SimultaneousOpen => Self::SimultaneousOpen,
        }
    }

    /// Whether the candidate's owner connects.
    pub(super) const fn connects(self) -> bool {
        matches!(self, Self::Active | Self::SimultaneousOpen)
    }

    /// RFC 6544 section 4.2: a connection to the inside of a NAT needs one from the inside first.
    const fn direction_preference(self, kind: CandidateKind) -> u16 {
        match (kind, self) {
            (CandidateKind::Host | CandidateKind::Relayed, Self::Active)
            | (CandidateKind::ServerReflexive | CandidateKind::PeerReflexive, Self::SimultaneousOpen) => 6,
            (CandidateKind::Host | CandidateKind::Relayed, Self::Passive)
            | (CandidateKind::ServerReflexive | CandidateKind::PeerReflexive, Self::Active) => 4,
            (CandidateKind::Host | CandidateKind::Relayed, Self::SimultaneousOpen)
            | (CandidateKind::ServerReflexive | CandidateKind::PeerReflexive, Self::Passive) => 2,
        }
    }
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The transport of a candidate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Streams with RFC 4571 framing.
    Tcp(TcpType),
}

impl Transport {
    /// The protocol of its paths.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Udp => Protocol::Udp,
            Self::Tcp(_) => Protocol::Tcp,
        }
    }

    /// Its type, if it is TCP.
    #[must_use]
    pub const fn tcp_type(self) -> Option<TcpType> {
        match self {
            Self::Udp => None,
            Self::Tcp(tcp_type) => Some(tcp_type),
        }
    }

    /// The transport at the other end of a path.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Udp => Self::Udp,
            Self::Tcp(tcp_type) => Self::Tcp(tcp_type.opposite()),
        }
    }

    /// Whether a pair of the two is on our check list (RFC 6544 section 6.2). A passive candidate of ours is not: it
    /// can only wait, and has a pair once a stream has come.
    pub(super) const fn checks(self, remote: Self) -> bool {
        matches!(
            (self, remote),
            (Self::Udp, Self::Udp)
                | (Self::Tcp(TcpType::Active), Self::Tcp(TcpType::Passive))
                | (Self::Tcp(TcpType::SimultaneousOpen), Self::Tcp(TcpType::SimultaneousOpen))
        )
    }

    /// Whether a pair of the two may come of it that the other side connects to us.
    pub(super) const fn awaits(self, remote: Self) -> bool {
        matches!((self, remote), (Self::Tcp(TcpType::Passive), Self::Tcp(TcpType::Active)))
    }

    /// RFC 8445 section 5.1.2.2.
    pub(super) const fn type_preference(self, kind: CandidateKind) -> u32 {
        match self {
            Self::Udp => kind.type_preference(),
            Self::Tcp(_) => kind.type_preference().saturating_sub(WORSE_THAN_UDP),
        }
    }

    /// The local preference where the address has this one. Over TCP, the direction comes first, and of those of
    /// addresses the best 8,192 are told apart (RFC 6544 section 4.2).
    pub(super) const fn local_preference(self, kind: CandidateKind, of_address: u16) -> u16 {
        match self {
            Self::Udp => of_address,
            Self::Tcp(tcp_type) => {
                let other = 8_191_u16.saturating_sub(u16::MAX - of_address);
                (tcp_type.direction_preference(kind) << 13) | other
            }
        }
    }

    /// The address as a candidate says it: that of an active one has no port.
    #[must_use]
    pub const fn told(self, address: SocketAddr) -> SocketAddr {
        let mut address = address;
        if matches!(self, Self::Tcp(TcpType::Active)) {
            address.set_port(ACTIVE_PORT);
        }
        address
    }
}

/// A socket's protocol: one for TCP listens.
impl From<Protocol> for Transport {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp,
            Protocol::Tcp => Self::Tcp(TcpType::Passive),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp => f.write_str("udp"),
            Self::Tcp(tcp_type) => write!(f, "tcp {tcp_type}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: Transport = Transport::Tcp(TcpType::Active);
    const PASSIVE: Transport = Transport::Tcp(TcpType::Passive);
    const OPEN: Transport = Transport::Tcp(TcpType::SimultaneousOpen);

    #[test]
    fn local_preferences_are_those_of_the_rfcs_example() {
        let of = |transport: Transport, kind| transport.local_preference(kind, u16::MAX);
        let host = [ACTIVE, PASSIVE, OPEN].map(|transport| of(transport, CandidateKind::Host));
        assert_eq!(host, [0xDFFF, 0x9FFF, 0x5FFF]);
        let reflexive = [ACTIVE, PASSIVE, OPEN].map(|transport| of(transport, CandidateKind::ServerReflexive));
        assert_eq!(reflexive, [0x9FFF, 0x5FFF, 0xDFFF]);
        assert_eq!(of(Transport::Udp, CandidateKind::Host), u16::MAX);
        let second = PASSIVE.local_preference(CandidateKind::Host, u16::MAX - 1);
        let last = PASSIVE.local_preference(CandidateKind::Host, 0);
        assert_eq!((second, last), (0x9FFE, 0x8000));
    }

    #[test]
    fn every_direct_path_over_udp_is_better_than_any_over_tcp_and_those_better_than_a_relay() {
        let kinds = [CandidateKind::Host, CandidateKind::PeerReflexive, CandidateKind::ServerReflexive];
        for kind in kinds {
            for other in kinds {
                assert!(Transport::Udp.type_preference(kind) > ACTIVE.type_preference(other));
            }
            assert!(ACTIVE.type_preference(kind) > Transport::Udp.type_preference(CandidateKind::Relayed));
        }
    }

    #[test]
    fn who_connects_checks_and_who_waits_does_not() {
        for (ours, theirs, checks, awaits) in [
            (ACTIVE, PASSIVE, true, false),
            (PASSIVE, ACTIVE, false, true),
            (OPEN, OPEN, true, false),
            (ACTIVE, ACTIVE, false, false),
            (PASSIVE, PASSIVE, false, false),
            (OPEN, PASSIVE, false, false),
            (ACTIVE, OPEN, false, false),
            (Transport::Udp, PASSIVE, false, false),
            (Transport::Udp, Transport::Udp, true, false),
        ] {
            assert_eq!((ours.checks(theirs), ours.awaits(theirs)), (checks, awaits), "{ours} with {theirs}");
        }
    }
}
