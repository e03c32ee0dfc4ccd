//! What an address that a server names can be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether two addresses name the same socket. The zone of an IPv6 address is known to one machine only.
pub(super) fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    (one.ip(), one.port()) == (other.ip(), other.port())
}

/// Whether an address that `server` names can be one outside: a host's, of the same family and as far away as the server
/// is, and not one of ours. Otherwise a server could make us send into our own network, or to ourselves (RFC 5780
/// section 9).
pub(super) fn is_plausible(named: SocketAddr, server: SocketAddr, ours: &[IpAddr]) -> bool {
    let scope = Scope::of(named.ip());
    named.port() != 0
        && named.is_ipv4() == server.is_ipv4()
        && scope.is_some()
        && scope == Scope::of(server.ip())
        && !ours.contains(&named.ip())
}

/// Whether there can be a server or a socket of ours.
pub(super) fn is_host(address: SocketAddr) -> bool {
    address.port() != 0 && Scope::of(address.ip()).is_some()
}

/// How far an address reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Machine,
    Link,
    /// A home's or a company's network, or that of an operator (RFC 6598).
    Site,
    World,
}

impl Scope {
    /// None where it is not one host's address.
    fn of(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        let [first, second, ..] = ip.octets();
        match first {
            0 | 224.. => None,
            127 => Some(Self::Machine),
            169 if second == 254 => Some(Self::Link),
            100 if second & 0xC0 == 64 => Some(Self::Site),
            _ if ip.is_private() => Some(Self::Site),
            _ => Some(Self::World),
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Option<Self> {
        if ip.is_unspecified() || ip.is_multicast() || ip.to_ipv4_mapped().is_some() {
            None
        } else if ip.is_loopback() {
            Some(Self::Machine)
        } else if ip.is_unicast_link_local() {
            Some(Self::Link)
        } else if ip.is_unique_local() {
            Some(Self::Site)
        } else {
            Some(Self::World)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_send_us_anywhere_but_to_its_like() {
        let ours = ["10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let hosts = [
            &["198.51.100.1:3478", "203.0.113.2:3479", "8.8.8.8:53"][..],
            &["10.0.0.2:3478", "192.168.1.1:3479", "172.31.0.1:1", "100.64.0.1:1"],
            &["169.254.0.1:3478", "169.254.7.7:3479"],
            &["127.0.0.1:3478", "127.0.0.2:3479"],
            &["[2001:db8::1]:3478", "[2001:db8::2]:3479"],
            &["[fd00::1]:3478", "[fc00::2]:3479"],
            &["[fe80::1]:3478", "[fe80::2]:3479"],
            &["[::1]:3478", "[::1]:3479"],
        ];
        let nobody = [
            "0.0.0.0:1",
            "0.1.2.3:1",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "240.0.0.1:1",
            "198.51.100.1:0",
            "[::]:1",
            "[ff02::1]:1",
            "[::ffff:198.51.100.1]:1",
            "10.0.0.1:9",
            "192.0.2.1:9",
            "[2001:db8::7]:9",
            "127.0.0.1:0",
        ];
        for (nth, like) in hosts.iter().enumerate() {
            for server in like.iter().map(|text| text.parse().unwrap()) {
                for (other, alike) in hosts.iter().enumerate() {
                    for named in *alike {
                        assert_eq!(
                            is_plausible(named.parse().unwrap(), server, &ours),
                            nth == other,
                            "{server} {named}"
                        );
                    }
                }
                for named in nobody {
                    assert!(!is_plausible(named.parse().unwrap(), server, &ours), "{server} {named}");
                }
            }
        }
    }
}
