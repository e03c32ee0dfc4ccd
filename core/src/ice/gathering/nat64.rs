//! IPv4 servers for a machine that has IPv6 alone (RFC 7050, RFC 6052; RFC 8445 section 5.1.1.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A name that has IPv4 addresses only: where it has others, a NAT64's name server has made them.
pub(super) const IPV4_ONLY: &str = "ipv4only.arpa";

/// Its addresses (RFC 7050 section 2.2).
const WELL_KNOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// Where the four bytes stand, for each length of a prefix (RFC 6052 section 2.2). The commonest is first.
const PLACES: [[usize; 4]; 6] =
    [[12, 13, 14, 15], [9, 10, 11, 12], [7, 9, 10, 11], [6, 7, 9, 10], [5, 6, 7, 9], [4, 5, 6, 7]];

/// The addresses of `server` behind the NAT64s that have answered for [`IPV4_ONLY`] with `resolved`.
pub(super) fn synthesise(resolved: &[IpAddr], server: Ipv4Addr) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in resolved {
        let IpAddr::V6(address) = address else { continue };
        let octets = address.octets();
        let is_known = |places: &&[usize; 4]| WELL_KNOWN.contains(&Ipv4Addr::from(places.map(|place| octets[place])));
        let Some(places) = PLACES.iter().find(is_known) else { continue };
        let mut synthesised = octets;
        for (place, byte) in places.iter().zip(server.octets()) {
            synthesised[*place] = byte;
        }
        let synthesised = IpAddr::V6(Ipv6Addr::from(synthesised));
        if !found.contains(&synthesised) {
            found.push(synthesised);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 6052 section 2.4, and the well-known prefix.
    #[test]
    fn addresses_are_made_under_prefixes_of_every_length() {
        let server = Ipv4Addr::new(192, 0, 2, 33);
        let made = [
            ("2001:db8:c000:aa::", "2001:db8:c000:221::"),
            ("2001:db8:1c0:0:aa::", "2001:db8:1c0:2:21::"),
            ("2001:db8:122:c000:0:aa00::", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:3c0:0:aa::", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344:c0:0:aa00::", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::192.0.0.171", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::192.0.0.170", "64:ff9b::192.0.2.33"),
        ];
        for (resolved, expected) in made {
            let resolved: IpAddr = resolved.parse().unwrap();
            assert_eq!(synthesise(&[resolved], server), [expected.parse::<IpAddr>().unwrap()], "{resolved}");
        }
        let others: [IpAddr; 2] = ["192.0.0.170".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert!(synthesise(&others, server).is_empty());
    }
}
