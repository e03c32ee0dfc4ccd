//! On what an outside address depends.

use core::fmt;
use std::net::SocketAddr;

use super::address::is_same;

/// On what the address depends that a NAT gives a socket (RFC 4787 section 4.1).
///
/// Where several NATs are in a row, this is what comes of all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mapping {
    /// There is no NAT: others see the socket's own address.
    None,
    /// On the socket alone: whatever server tells it, everybody sees the same.
    EndpointIndependent,
    /// Also on the address that is sent to, not on its port.
    AddressDependent,
    /// Also on the address and the port that is sent to.
    AddressAndPortDependent,
    /// Also on where is sent to. Whether the port matters, or the address alone, was not seen: two servers with an
    /// address each do not tell.
    EndpointDependent,
}

/// From where a server has seen a socket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Observation {
    /// The server's address, as the request was sent to it.
    pub server: SocketAddr,
    /// The reflexive address: what its XOR-MAPPED-ADDRESS says.
    pub mapped: SocketAddr,
}

impl Mapping {
    /// What observations of one socket, bound to `base`, tell; none where they do not suffice. It takes one of no NAT,
    /// two from different addresses to tell whether the endpoint matters, and two from different ports of one address
    /// to tell whether the port does.
    ///
    /// What is observed under another family than that of `base` (behind a NAT64) counts only if nothing else is.
    #[must_use]
    pub fn observed(base: SocketAddr, observations: &[Observation]) -> Option<Self> {
        let of_family = |seen: &&Observation| seen.mapped.is_ipv4() == base.is_ipv4();
        let has_family = observations.iter().any(|seen| of_family(&seen));
        let seen: Vec<&Observation> = observations.iter().filter(|seen| !has_family || of_family(seen)).collect();
        if seen.is_empty() {
            return None;
        }
        if seen.iter().all(|seen| is_same(seen.mapped, base)) {
            return Some(Self::None);
        }
        let pairs =
            || seen.iter().enumerate().flat_map(|(nth, one)| seen[nth + 1..].iter().map(move |other| (one, other)));
        // Some if there is such a pair, and then whether one of them differs.
        let differs = |among: fn(SocketAddr, SocketAddr) -> bool| {
            let among = pairs().filter(|(one, other)| among(one.server, other.server));
            among.map(|(one, other)| !is_same(one.mapped, other.mapped)).max()
        };
        let by_address = differs(|one, other| one.ip() != other.ip());
        let by_port = differs(|one, other| one.ip() == other.ip() && one.port() != other.port());
        match (by_address, by_port) {
            (_, Some(true)) => Some(Self::AddressAndPortDependent),
            (Some(true), Some(false)) => Some(Self::AddressDependent),
            (Some(true), None) => Some(Self::EndpointDependent),
            (Some(false), _) => Some(Self::EndpointIndependent),
            (None, _) => None,
        }
    }

    /// Whether everybody sees the same, so that the reflexive address that one server tells is good for others.
    #[must_use]
    pub const fn is_endpoint_independent(self) -> bool {
        matches!(self, Self::None | Self::EndpointIndependent)
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no NAT",
            Self::EndpointIndependent => "endpoint-independent mapping",
            Self::AddressDependent => "address-dependent mapping",
            Self::AddressAndPortDependent => "address- and port-dependent mapping",
            Self::EndpointDependent => "endpoint-dependent mapping",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "10.0.0.1:4000";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// What a NAT of a kind shows to a server.
    fn seen_through(kind: Mapping, server: SocketAddr) -> Observation {
        let SocketAddr::V4(v4) = server else { unreachable!("the servers below are of IPv4") };
        let (ip, port) = (v4.ip().to_bits(), u32::from(v4.port()));
        let tells = match kind {
            Mapping::None => return Observation { server, mapped: at(BASE) },
            Mapping::EndpointIndependent => 0,
            Mapping::AddressDependent => ip % 16,
            _ => ip % 16 * 16 + port % 16,
        };
        Observation { server, mapped: SocketAddr::new([192, 0, 2, 1].into(), 5000 + tells as u16) }
    }

    fn servers() -> impl Strategy<Value = Vec<SocketAddr>> {
        let server =
            (1..5_u8, 3478..3482_u16).prop_map(|(last, port)| SocketAddr::new([198, 51, 100, last].into(), port));
        prop::collection::vec(server, 0..6)
    }

    proptest! {
        /// Never a guess: what is told is what is there, or less where the servers do not suffice.
        #[test]
        fn what_is_told_is_so(servers in servers(), kind in 0..4_usize) {
            use Mapping::*;
            let kind = [None, EndpointIndependent, AddressDependent, AddressAndPortDependent][kind];
            let observations: Vec<Observation> = servers.iter().map(|server| seen_through(kind, *server)).collect();
            let pair = |is: fn(&SocketAddr, &SocketAddr) -> bool| {
                servers.iter().any(|one| servers.iter().any(|other| is(one, other)))
            };
            let addresses = pair(|one, other| one.ip() != other.ip());
            let ports = pair(|one, other| one.ip() == other.ip() && one.port() != other.port());
            let expected = match kind {
                None if servers.is_empty() => Option::None,
                None => Some(None),
                AddressAndPortDependent if ports => Some(AddressAndPortDependent),
                _ if !addresses => Option::None,
                EndpointIndependent => Some(EndpointIndependent),
                AddressDependent if ports => Some(AddressDependent),
                _ => Some(EndpointDependent),
            };
            prop_assert_eq!(Mapping::observed(at(BASE), &observations), expected);
        }
    }

    #[test]
    fn what_a_nat64_shows_counts_where_there_is_nothing_else() {
        let base = at("[2001:db8::1]:4000");
        let through = |server, mapped| Observation { server: at(server), mapped: at(mapped) };
        let translated = [
            through("[64:ff9b::c633:6401]:3478", "192.0.2.1:5000"),
            through("[64:ff9b::c633:6402]:3478", "192.0.2.1:5000"),
        ];
        assert_eq!(Mapping::observed(base, &translated), Some(Mapping::EndpointIndependent));
        let direct = through("[2001:db8:1::1]:3478", "[2001:db8::1]:4000");
        assert_eq!(Mapping::observed(base, &[translated[0], direct]), Some(Mapping::None));
    }
}
