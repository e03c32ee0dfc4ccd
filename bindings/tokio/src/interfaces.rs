//! Which of the machine's addresses are gathered, and in which order of preference.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// One address of one of the machine's network interfaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The interface's name, such as `eth0`.
    pub name: String,
    /// The interface's index; it scopes link-local addresses.
    pub index: Option<u32>,
    /// The address.
    pub address: IpAddr,
    /// How many leading bits of the address name its subnet.
    pub prefix_len: u8,
    /// Whether the interface has one other end only, as tunnels and VPNs do.
    pub point_to_point: bool,
    /// Whether the interface is known to be able to carry packets now.
    pub running: bool,
    /// Where the system says so (Linux): an IPv6 address made to be changed often (RFC 8981).
    pub temporary: bool,
    /// Where the system says so (Linux): an address that new connections ought not to use (RFC 4862).
    pub deprecated: bool,
}

impl Interface {
    /// Whether the address is `127.0.0.0/8` or `::1`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address.is_loopback()
    }

    /// Whether the address is valid on its link only: `169.254.0.0/16` or `fe80::/10`.
    #[must_use]
    pub fn is_link_local(&self) -> bool {
        is_link_local(self.address)
    }

    /// Whether `address` is in the subnet of this interface.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix_len);
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(32_u32.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(128_u32.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Whether `address` is valid on its link only.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// The machine's addresses as the system lists them, IPv4 and IPv6.
///
/// # Errors
/// Fails when the system does not list its interfaces.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let notes = ipv6_notes();
    let listed = if_addrs::get_if_addrs()?;
    Ok(listed
        .into_iter()
        .filter(|listed| {
            use if_addrs::IfOperStatus::{Down, LowerLayerDown, NotPresent};
            !matches!(listed.oper_status, Down | NotPresent | LowerLayerDown)
        })
        .map(|listed| {
            let address = listed.ip();
            let note = notes.iter().find(|note| note.address == address && Some(note.index) == listed.index);
            Interface {
                running: listed.is_oper_up(),
                point_to_point: listed.is_p2p(),
                prefix_len: match &listed.addr {
                    if_addrs::IfAddr::V4(v4) => v4.prefixlen,
                    if_addrs::IfAddr::V6(v6) => v6.prefixlen,
                },
                temporary: note.is_some_and(|note| note.flags & IFA_F_TEMPORARY != 0),
                deprecated: note.is_some_and(|note| note.flags & IFA_F_DEPRECATED != 0),
                index: listed.index,
                name: listed.name,
                address,
            }
        })
        .collect())
}

/// Which interfaces' addresses become host candidates.
///
/// The default is what RFC 8445 section 5.1.1.1 and RFC 8835 section 3.3 ask for: no loopback, no deprecated
/// address, no IPv6 link-local one, and no permanent IPv6 address beside a temporary one of the same subnet,
/// since it would tell more about its owner than needed.
#[derive(Clone, Default)]
pub struct InterfacePolicy {
    /// Take loopback addresses too. They reach peers on the same machine only.
    pub loopback: bool,
    /// Take IPv6 link-local addresses too. They reach peers on the same link only.
    pub link_local: bool,
    /// The last word: only addresses for which it gives true are taken.
    pub filter: Option<InterfaceFilter>,
}

/// Decides whether an address may be gathered.
pub type InterfaceFilter = Arc<dyn Fn(&Interface) -> bool + Send + Sync>;

impl fmt::Debug for InterfacePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterfacePolicy")
            .field("loopback", &self.loopback)
            .field("link_local", &self.link_local)
            .field("filter", &self.filter.is_some())
            .finish()
    }
}

impl InterfacePolicy {
    /// The addresses of `listed` that may be gathered, best first.
    #[must_use]
    pub fn select(&self, listed: Vec<Interface>) -> Vec<Interface> {
        let mut allowed: Vec<Interface> = Vec::with_capacity(listed.len());
        for interface in &listed {
            let hidden = listed.iter().any(|other| hides(other, interface));
            let twice = allowed.iter().any(|a| a.address == interface.address && a.index == interface.index);
            if self.allows(interface) && !hidden && !twice {
                allowed.push(interface.clone());
            }
        }
        in_order_of_preference(allowed)
    }

    fn allows(&self, interface: &Interface) -> bool {
        let usable = match interface.address {
            IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
            IpAddr::V6(v6) => is_usable_ipv6(v6) && (self.link_local || !v6.is_unicast_link_local()),
        };
        usable
            && !interface.deprecated
            && (self.loopback || !interface.is_loopback())
            && self.filter.as_ref().is_none_or(|allows| allows(interface))
    }
}

/// RFC 8445 section 5.1.1.1 forbids IPv4-compatible, IPv4-mapped and site-local addresses.
fn is_usable_ipv6(address: Ipv6Addr) -> bool {
    let site_local = address.segments()[0] & 0xffc0 == 0xfec0;
    let v4_compatible = address.to_bits() >> 32 == 0 && !address.is_loopback();
    !(site_local || v4_compatible || address.is_multicast() || address.to_ipv4_mapped().is_some())
}

/// Whether `temporary` is an address made for privacy beside which `other` must not be told
/// (RFC 8445 section 5.1.1.1).
fn hides(temporary: &Interface, other: &Interface) -> bool {
    temporary.temporary
        && !temporary.deprecated
        && !other.temporary
        && temporary.index == other.index
        && (temporary.contains(other.address) || (other.address.is_ipv6() && other.is_link_local()))
}

/// The local preference of the address at `position` of the order of preference (RFC 8445 section 5.1.2.1):
/// every address its own, 65535 for the best.
pub(crate) fn local_preference(position: usize) -> u16 {
    u16::MAX.saturating_sub(u16::try_from(position).unwrap_or(u16::MAX))
}

/// Best first within each family; the families share the list evenly and IPv6 begins, so that no family's
/// broken paths hold up the other's checks (RFC 8421 section 4).
fn in_order_of_preference(mut interfaces: Vec<Interface>) -> Vec<Interface> {
    // Stable: the system's own order decides between equals.
    interfaces.sort_by_key(|interface| {
        let unique_local = matches!(interface.address, IpAddr::V6(v6) if v6.is_unique_local());
        Reverse((
            !interface.is_loopback(),
            interface.running,
            !interface.is_link_local(),
            !interface.point_to_point,
            !unique_local,
        ))
    });
    let (mut v6, mut v4): (VecDeque<_>, VecDeque<_>) = interfaces.into_iter().partition(|i| i.address.is_ipv6());
    let (n6, n4) = (v6.len(), v4.len());
    let mut ordered = Vec::with_capacity(n6 + n4);
    while !(v6.is_empty() && v4.is_empty()) {
        let (taken6, taken4) = (n6 - v6.len(), n4 - v4.len());
        // Whose share of what it has is smaller: taken6 / n6 against taken4 / n4.
        let from_v6 = v4.is_empty() || (!v6.is_empty() && taken6 * n4 <= taken4 * n6);
        ordered.extend(if from_v6 { v6.pop_front() } else { v4.pop_front() });
    }
    ordered
}

/// What the kernel notes on an IPv6 address.
struct Ipv6Note {
    address: IpAddr,
    index: u32,
    flags: u32,
}

const IFA_F_TEMPORARY: u32 = 0x01;
const IFA_F_DEPRECATED: u32 = 0x20;

/// Only Linux tells without a routing socket. Where there is no such file nothing is known.
fn ipv6_notes() -> Vec<Ipv6Note> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    table.lines().filter_map(ipv6_note).collect()
}

/// A line of the kernel's table: address, index, prefix length, scope and flags in hexadecimal, and the name.
fn ipv6_note(line: &str) -> Option<Ipv6Note> {
    let mut fields = line.split_ascii_whitespace();
    let address = u128::from_str_radix(fields.next()?, 16).ok()?;
    let index = u32::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(2)?, 16).ok()?;
    Some(Ipv6Note { address: Ipv6Addr::from_bits(address).into(), index, flags })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, index: u32, address: &str, prefix_len: u8) -> Interface {
        Interface {
            name: name.to_owned(),
            index: Some(index),
            address: address.parse().unwrap(),
            prefix_len,
            point_to_point: false,
            running: true,
            temporary: false,
            deprecated: false,
        }
    }

    fn texts(interfaces: &[Interface]) -> Vec<String> {
        interfaces.iter().map(|i| i.address.to_string()).collect()
    }

    #[test]
    fn the_families_share_the_list_evenly_and_ipv6_begins() {
        let mut listed: Vec<_> = (1..=6).map(|n| interface("eth0", 2, &format!("2001:db8::{n}"), 64)).collect();
        listed.extend((1..=2).map(|n| interface("eth0", 2, &format!("192.0.2.{n}"), 24)));
        let order = texts(&InterfacePolicy::default().select(listed));
        assert_eq!(
            order,
            [
                "2001:db8::1",
                "192.0.2.1",
                "2001:db8::2",
                "2001:db8::3",
                "2001:db8::4",
                "192.0.2.2",
                "2001:db8::5",
                "2001:db8::6"
            ]
        );
    }

    #[test]
    fn every_address_has_its_own_local_preference() {
        let preferences: std::collections::BTreeSet<_> = (0..1_000).map(local_preference).collect();
        assert_eq!(preferences.len(), 1_000);
        assert_eq!(preferences.last(), Some(&u16::MAX));
    }

    #[test]
    fn what_the_rfc_forbids_is_left_out() {
        let listed = ["127.0.0.1", "::1", "fe80::1", "fec0::1", "::192.0.2.1", "::ffff:192.0.2.1", "224.0.0.1"]
            .map(|address| interface("x", 1, address, 64));
        assert_eq!(texts(&InterfacePolicy::default().select(listed.to_vec())), [""; 0]);
        let all = InterfacePolicy { loopback: true, link_local: true, filter: None };
        assert_eq!(texts(&all.select(listed.to_vec())), ["fe80::1", "127.0.0.1", "::1"]);
    }

    #[test]
    fn a_temporary_address_hides_the_permanent_one_of_its_subnet() {
        let permanent = interface("wlan0", 3, "2001:db8:1::1", 64);
        let temporary = Interface { temporary: true, ..interface("wlan0", 3, "2001:db8:1::abcd", 64) };
        let old = Interface { deprecated: true, ..interface("wlan0", 3, "2001:db8:1::dead", 64) };
        let elsewhere = interface("eth0", 2, "2001:db8:1::2", 64);
        let other_net = interface("wlan0", 3, "2001:db8:2::1", 64);
        let order = InterfacePolicy::default().select(vec![permanent, temporary, old, elsewhere, other_net]);
        assert_eq!(texts(&order), ["2001:db8:1::abcd", "2001:db8:1::2", "2001:db8:2::1"]);
    }

    #[test]
    fn tunnels_link_local_and_idle_interfaces_come_last() {
        let tunnel = Interface { point_to_point: true, ..interface("tun0", 4, "10.8.0.2", 24) };
        let idle = Interface { running: false, ..interface("eth1", 5, "192.0.2.9", 24) };
        let auto = interface("eth2", 6, "169.254.7.7", 16);
        let plain = interface("eth0", 2, "192.0.2.1", 24);
        let order = InterfacePolicy::default().select(vec![idle, auto, tunnel, plain]);
        assert_eq!(texts(&order), ["192.0.2.1", "10.8.0.2", "169.254.7.7", "192.0.2.9"]);
    }

    #[test]
    fn the_filter_has_the_last_word() {
        let policy =
            InterfacePolicy { filter: Some(Arc::new(|i: &Interface| i.name == "eth0")), ..InterfacePolicy::default() };
        let listed = vec![interface("eth0", 2, "192.0.2.1", 24), interface("docker0", 3, "172.17.0.1", 16)];
        assert_eq!(texts(&policy.select(listed)), ["192.0.2.1"]);
    }

    #[test]
    fn subnets_hold_their_addresses() {
        let v4 = interface("eth0", 2, "192.0.2.1", 24);
        assert!(v4.contains("192.0.2.254".parse().unwrap()));
        assert!(!v4.contains("192.0.3.1".parse().unwrap()));
        assert!(!v4.contains("2001:db8::1".parse().unwrap()));
        assert!(interface("x", 1, "192.0.2.1", 0).contains("8.8.8.8".parse().unwrap()));
        let host = interface("x", 1, "2001:db8::1", 128);
        assert!(host.contains("2001:db8::1".parse().unwrap()));
        assert!(!host.contains("2001:db8::2".parse().unwrap()));
        assert!(interface("x", 1, "2001:db8::1", 0).contains("::1".parse().unwrap()));
    }

    #[test]
    fn the_kernels_table_is_understood() {
        let note = ipv6_note("20010db8000000000000000000000001 0a 40 00 21     wlan0").unwrap();
        assert_eq!(note.address, "2001:db8::1".parse::<IpAddr>().unwrap());
        assert_eq!(note.index, 10);
        assert_eq!(note.flags, IFA_F_TEMPORARY | IFA_F_DEPRECATED);
        assert!(ipv6_note("garbage").is_none());
    }

    #[test]
    fn this_machine_has_a_loopback_address() {
        let listed = interfaces().unwrap();
        assert!(listed.iter().any(Interface::is_loopback), "{listed:?}");
        let taken = InterfacePolicy::default().select(listed);
        assert!(!taken.iter().any(Interface::is_loopback));
    }
}
