//! Candidates: kinds, priorities, foundations (RFC 8445 section 5.1).

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, SocketAddr};

use super::tcp::{TcpType, Transport};

/// How a candidate was learnt (RFC 8445 section 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CandidateKind {
    /// An address of an interface of the machine itself.
    Host,
    /// The address that a STUN server saw.
    ServerReflexive,
    /// The address that the other peer saw, learnt from a connectivity check.
    PeerReflexive,
    /// An address that a TURN server lends.
    Relayed,
}

impl CandidateKind {
    /// The type preference that RFC 8445 section 5.1.2.2 recommends; over TCP it is less.
    #[must_use]
    pub const fn type_preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    /// The `cand-type` token of RFC 8839 section 5.1.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Groups candidates of the same kind, base address, server and transport (RFC 8445 section 5.1.1.3).
///
/// One to 32 characters of RFC 8839's `ice-char`: letters, digits, `+` and `/`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foundation {
    chars: [u8; 32],
    len: u8,
}

impl Foundation {
    /// The foundation as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.chars[..usize::from(self.len)]).expect("ice-chars are ASCII")
    }

    /// The foundation of a local candidate: a number that depends on the four things that the RFC
    /// names and on nothing else, so that it stays the same over a restart.
    pub(crate) fn of(kind: CandidateKind, base: IpAddr, server: Option<IpAddr>, transport: Transport) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(kind.as_str().as_bytes());
        crc.update(&[match transport {
            Transport::Udp => 0,
            Transport::Tcp(TcpType::Active) => 1,
            Transport::Tcp(TcpType::Passive) => 2,
            Transport::Tcp(TcpType::SimultaneousOpen) => 3,
        }]);
        for address in [Some(base), server].into_iter().flatten() {
            match address {
                IpAddr::V4(v4) => crc.update(&v4.octets()),
                IpAddr::V6(v6) => crc.update(&v6.octets()),
            }
        }
        Self::from_number(crc.finalize())
    }

    /// The foundation of a candidate learnt from a check. It must differ from all others
    /// (RFC 8445 section 7.3.1.3); only we see it.
    pub(super) fn of_peer_reflexive(place: usize) -> Self {
        let mut foundation = Self::from_number(place as u32);
        // A character that no number has keeps it apart from the foundations that are numbers.
        foundation.chars[usize::from(foundation.len)] = b'+';
        foundation.len += 1;
        foundation
    }

    fn from_number(mut number: u32) -> Self {
        let mut digits = [0; 32];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        let mut chars = [0; 32];
        let len = digits.len() - first;
        chars[..len].copy_from_slice(&digits[first..]);
        Self { chars, len: len as u8 }
    }
}

/// Why a text is no foundation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidFoundation(
    /// The text as given.
    pub String,
);

impl fmt::Display for InvalidFoundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "foundation {:?} is not 1 to 32 letters, digits, '+' or '/'", self.0)
    }
}

impl std::error::Error for InvalidFoundation {}

impl FromStr for Foundation {
    type Err = InvalidFoundation;

    fn from_str(text: &str) -> Result<Self, InvalidFoundation> {
        let valid = matches!(text.len(), 1..=32) && text.bytes().all(is_ice_char);
        if !valid {
            return Err(InvalidFoundation(text.to_owned()));
        }
        let mut chars = [0; 32];
        chars[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { chars, len: text.len() as u8 })
    }
}

impl fmt::Display for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Foundation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Whether `byte` is an `ice-char` (RFC 8839 section 5.1).
pub(crate) fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// A candidate as one agent tells the other.
///
/// The component is always 1: frazil bundles everything on one transport.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Candidate {
    /// How it was learnt.
    pub kind: CandidateKind,
    /// The transport, and over TCP who connects.
    pub transport: Transport,
    /// The transport address to send to. That of an active TCP candidate has a port that means nothing.
    pub address: SocketAddr,
    /// RFC 8445 section 5.1.2; at least 1.
    pub priority: u32,
    /// Groups related candidates.
    pub foundation: Foundation,
    /// For a reflexive or relayed candidate, the address behind it (RFC 8839 `raddr` and `rport`),
    /// told for diagnosis only.
    pub related: Option<SocketAddr>,
}

/// A candidate of our own: what the other side is told, and the socket behind it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LocalCandidate {
    /// What the other side is told.
    pub candidate: Candidate,
    /// The address that checks for this candidate are sent from (RFC 8445 section 4). The streams of an active TCP
    /// candidate have other ports than this.
    pub base: SocketAddr,
}

impl LocalCandidate {
    /// A host candidate: an address that a socket of the driver is bound to. Over TCP, one that it listens at
    /// (passive), connects from (active, where the port means nothing), or does both at once (simultaneous-open).
    ///
    /// `local_preference` ranks the machine's interfaces, 65535 being the best
    /// (RFC 8445 section 5.1.2.1); each candidate of an agent should have its own. Over TCP only the 8,192 best
    /// are told apart (RFC 6544 section 4.2).
    #[must_use]
    pub fn host(transport: impl Into<Transport>, base: SocketAddr, local_preference: u16) -> Self {
        let transport = transport.into();
        let base = transport.told(base);
        Self::new(CandidateKind::Host, transport, base, base, None, None, local_preference)
    }

    /// A server-reflexive candidate: the address from which the STUN server at `server` saw datagrams of the
    /// socket at `base` come. The host candidate of the same base sends its checks.
    #[must_use]
    pub fn server_reflexive(
        transport: impl Into<Transport>,
        address: SocketAddr,
        base: SocketAddr,
        server: IpAddr,
        local_preference: u16,
    ) -> Self {
        let transport = transport.into();
        let (kind, base) = (CandidateKind::ServerReflexive, transport.told(base));
        Self::new(kind, transport, transport.told(address), base, Some(server), Some(base), local_preference)
    }

    /// A relayed candidate: an address that the TURN server at `server` lends to who it sees as `mapped`. It is its
    /// own base: what is sent from it goes through the server.
    #[must_use]
    pub fn relayed(
        transport: impl Into<Transport>,
        address: SocketAddr,
        mapped: SocketAddr,
        server: IpAddr,
        local_preference: u16,
    ) -> Self {
        let kind = CandidateKind::Relayed;
        Self::new(kind, transport.into(), address, address, Some(server), Some(mapped), local_preference)
    }

    fn new(
        kind: CandidateKind,
        transport: Transport,
        address: SocketAddr,
        base: SocketAddr,
        server: Option<IpAddr>,
        related: Option<SocketAddr>,
        local_preference: u16,
    ) -> Self {
        let local_preference = transport.local_preference(kind, local_preference);
        let priority = priority(transport.type_preference(kind), local_preference);
        let foundation = Foundation::of(kind, base.ip(), server, transport);
        Self { candidate: Candidate { kind, transport, address, priority, foundation, related }, base }
    }
}

impl Candidate {
    /// Refuses addresses that nothing can be sent to, or that would reach more than one machine.
    pub(super) fn check_address(&self) -> Result<(), CandidateError> {
        let ip = self.address.ip();
        let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
        if self.address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || broadcast {
            return Err(CandidateError::Unusable(self.address));
        }
        Ok(())
    }
}

/// Why an agent does not take a candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CandidateError {
    /// The address is unspecified, multicast or broadcast, or its port is 0.
    Unusable(SocketAddr),
    /// There is one with this address already.
    Duplicate(SocketAddr),
    /// There are already this many, as many as the configuration allows.
    TooMany(usize),
    /// The agent has failed or was closed.
    Over,
}

impl fmt::Display for CandidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(address) => write!(f, "no datagram can be sent to the candidate address {address}"),
            Self::Duplicate(address) => write!(f, "there is a candidate with address {address} already"),
            Self::TooMany(limit) => write!(f, "there are {limit} candidates already, as many as are allowed"),
            Self::Over => f.write_str("the agent has failed or was closed"),
        }
    }
}

impl std::error::Error for CandidateError {}

/// The priority of the peer-reflexive candidate that a check from a candidate with priority `of` may
/// uncover: the same but for the type (RFC 8445 section 7.1.1).
pub(super) const fn peer_reflexive_priority(transport: Transport, of: u32) -> u32 {
    (transport.type_preference(CandidateKind::PeerReflexive) << 24) | (of & 0x00FF_FFFF)
}

/// RFC 8445 section 5.1.2.1 for component 1.
const fn priority(type_preference: u32, local_preference: u16) -> u32 {
    (type_preference << 24) | ((local_preference as u32) << 8) | 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_follow_the_formula() {
        // 2^24 * 126 + 2^8 * 65535 + 2^0 * (256 - 1), the value every implementation shows.
        assert_eq!(priority(126, 65535), 2_130_706_431);
    }

    #[test]
    fn foundations_group_by_kind_base_server_and_transport() {
        let base: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let of = |kind, base, server| Foundation::of(kind, base, server, Transport::Udp);
        let host = of(CandidateKind::Host, base, None);
        assert_eq!(host, of(CandidateKind::Host, base, None));
        assert_ne!(host, of(CandidateKind::Host, other, None));
        assert_ne!(host, of(CandidateKind::ServerReflexive, base, Some(other)));
        let active = Foundation::of(CandidateKind::Host, base, None, Transport::Tcp(TcpType::Active));
        let passive = Foundation::of(CandidateKind::Host, base, None, Transport::Tcp(TcpType::Passive));
        assert!(host != active && host != passive && active != passive);
        assert_eq!(host.as_str().parse::<Foundation>().unwrap(), host);
    }

    #[test]
    fn foundations_refuse_what_the_grammar_refuses() {
        for bad in ["", "a b", "é", "x-y", &"1".repeat(33)] {
            assert_eq!(bad.parse::<Foundation>(), Err(InvalidFoundation(bad.to_owned())));
        }
        assert_eq!(Foundation::from_number(0).as_str(), "0");
        assert_eq!(Foundation::from_number(4_234_997_325).as_str(), "4234997325");
    }
}
