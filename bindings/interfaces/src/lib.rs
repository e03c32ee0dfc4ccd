//! The machine's addresses, as the system lists them, and which of them are gathered. What every driver needs, whatever
//! its language.

#![forbid(unsafe_code)]

mod kind;

use frazil::Protocol;
use frazil::ice::{HostPolicy, HostSocket, InterfaceKind, rank};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// One address of one of the machine's network interfaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The interface's name, such as `eth0`.
    pub name: String,
    /// The interface's index; it scopes link-local addresses.
    pub index: Option<u32>,
    /// What the interface is, as far as the system tells.
    pub kind: InterfaceKind,
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
    /// One that is up and has many other ends, with an address that is meant to last.
    #[must_use]
    pub fn new(name: &str, kind: InterfaceKind, index: u32, address: IpAddr, prefix_len: u8) -> Self {
        Self {
            name: name.to_owned(),
            index: Some(index),
            kind,
            address,
            prefix_len,
            point_to_point: false,
            running: true,
            temporary: false,
            deprecated: false,
        }
    }

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

    /// What is known of the address before there is a socket.
    #[must_use]
    pub fn unbound(&self) -> HostSocket {
        self.socket(SocketAddr::new(self.address, 0), Protocol::Udp)
    }

    /// What the core is told of a socket on this address.
    #[must_use]
    pub fn socket(&self, base: SocketAddr, protocol: Protocol) -> HostSocket {
        HostSocket {
            // One that may not carry anything now is tried last.
            cost: if self.running { self.kind.typical_cost() } else { HostSocket::MAX_COST },
            temporary: self.temporary,
            deprecated: self.deprecated,
            ..HostSocket::on(self.kind, self.index.unwrap_or(0), base, protocol)
        }
    }
}

/// Whether `address` is valid on its link only: `169.254.0.0/16` or `fe80::/10`.
#[must_use]
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// The machine's addresses as the system lists them, IPv4 and IPv6. IPv6 addresses that are not known to be
/// the machine's alone yet, or known not to be (RFC 4862 section 5.4), are left out where the system tells.
///
/// # Errors
/// Fails when the system does not list its interfaces.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let notes = ipv6_notes();
    let mut found = Vec::new();
    for listed in if_addrs::get_if_addrs()? {
        use if_addrs::IfOperStatus::{Down, LowerLayerDown, NotPresent};
        if matches!(listed.oper_status, Down | NotPresent | LowerLayerDown) {
            continue;
        }
        let address = listed.ip();
        let note = notes.iter().find(|note| note.address == address && Some(note.index) == listed.index);
        let flags = note.map_or(0, |note| note.flags);
        if flags & IFA_F_DADFAILED != 0 || flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC) == IFA_F_TENTATIVE {
            continue;
        }
        let point_to_point = listed.is_p2p();
        found.push(Interface {
            running: listed.is_oper_up(),
            kind: kind::of(&listed.name, address, point_to_point),
            point_to_point,
            prefix_len: match &listed.addr {
                if_addrs::IfAddr::V4(v4) => v4.prefixlen,
                if_addrs::IfAddr::V6(v6) => v6.prefixlen,
            },
            temporary: flags & IFA_F_TEMPORARY != 0,
            deprecated: flags & IFA_F_DEPRECATED != 0,
            index: listed.index,
            name: listed.name,
            address,
        });
    }
    Ok(found)
}

/// Which interfaces' addresses become host candidates.
///
/// The default is what RFC 8445 section 5.1.1.1 and RFC 8835 section 3.3 ask for: where there is anything else, no
/// loopback, no deprecated address and no IPv6 link-local one; and no permanent IPv6 address beside a temporary one
/// of the same subnet, since it would tell more about its owner than needed. [`HostPolicy`] has the details.
#[derive(Clone, Default)]
pub struct InterfacePolicy {
    /// Take loopback addresses too. They reach peers on the same machine only.
    pub loopback: bool,
    /// Take IPv6 link-local addresses too. They reach peers on the same link only.
    pub link_local: bool,
    /// Only addresses for which it gives true are taken; of the others nothing is known to the rest.
    pub filter: Option<InterfaceFilter>,
}

/// How many addresses are gathered at most: the best ones. A machine with many virtual networks has more,
/// and each costs the other side checks.
pub const MAX_SOCKETS: usize = 32;

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
    /// The addresses of `listed` that are gathered, best first.
    #[must_use]
    pub fn select(&self, listed: Vec<Interface>) -> Vec<Interface> {
        let mut allowed = self.allowed(listed);
        let addresses: Vec<HostSocket> = allowed.iter().map(Interface::unbound).collect();
        let core = HostPolicy { loopback: self.loopback, link_local: self.link_local };
        let ranked = rank(&core.select(&addresses));
        let place = |interface: &Interface| {
            let address = interface.unbound();
            ranked.iter().position(|(socket, _)| socket.base == address.base && socket.index == address.index)
        };
        allowed.retain(|interface| place(interface).is_some());
        allowed.sort_by_key(place);
        allowed.dedup_by_key(|interface| place(interface));
        allowed
    }

    /// The addresses of `listed` that the filter lets pass.
    #[must_use]
    pub fn allowed(&self, mut listed: Vec<Interface>) -> Vec<Interface> {
        listed.retain(|interface| self.filter.as_ref().is_none_or(|allows| allows(interface)));
        listed
    }
}

/// What the kernel notes on an IPv6 address.
struct Ipv6Note {
    address: IpAddr,
    index: u32,
    flags: u32,
}

const IFA_F_TEMPORARY: u32 = 0x01;
const IFA_F_OPTIMISTIC: u32 = 0x04;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_DEPRECATED: u32 = 0x20;
const IFA_F_TENTATIVE: u32 = 0x40;

/// Only Linux tells without a routing socket. Where there is no such file nothing is known. This thread may be in
/// another network namespace than the process's first one.
fn ipv6_notes() -> Vec<Ipv6Note> {
    let table = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
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

    fn wired(name: &str, index: u32, address: &str, prefix_len: u8) -> Interface {
        Interface::new(name, InterfaceKind::Ethernet, index, address.parse().unwrap(), prefix_len)
    }

    fn texts(interfaces: &[Interface]) -> Vec<String> {
        interfaces.iter().map(|i| i.address.to_string()).collect()
    }

    #[test]
    fn the_core_decides_and_its_order_is_kept() {
        let permanent = wired("wlan0", 3, "2001:db8:1::1", 64);
        let temporary = Interface { temporary: true, ..wired("wlan0", 3, "2001:db8:1::abcd", 64) };
        let old = Interface { deprecated: true, ..wired("eth0", 2, "2001:db8:3::1", 64) };
        let tunnel = Interface { kind: InterfaceKind::Vpn, ..wired("tun0", 4, "10.8.0.2", 24) };
        let idle = Interface { running: false, ..wired("eth1", 5, "192.0.2.9", 24) };
        let auto = wired("eth2", 6, "169.254.7.7", 16);
        let plain = wired("eth0", 2, "192.0.2.1", 24);
        let lo = Interface { kind: InterfaceKind::Loopback, ..wired("lo", 1, "127.0.0.1", 8) };
        let link = wired("eth0", 2, "fe80::1", 64);
        let site = wired("eth0", 2, "fec0::1", 64);
        let twice = plain.clone();
        let listed = vec![idle, auto, lo, tunnel, plain, permanent, temporary, old, link, site, twice];
        let order = texts(&InterfacePolicy::default().select(listed.clone()));
        assert_eq!(order, ["2001:db8:1::abcd", "192.0.2.1", "10.8.0.2", "192.0.2.9", "169.254.7.7"]);
        let all = InterfacePolicy { loopback: true, link_local: true, filter: None };
        let order = texts(&all.select(listed));
        assert_eq!(
            order,
            ["2001:db8:1::abcd", "192.0.2.1", "10.8.0.2", "192.0.2.9", "fe80::1", "169.254.7.7", "127.0.0.1"]
        );
    }

    #[test]
    fn of_what_the_filter_drops_nothing_is_known() {
        let policy =
            InterfacePolicy { filter: Some(Arc::new(|i: &Interface| i.name == "lo")), ..InterfacePolicy::default() };
        let listed = vec![wired("eth0", 2, "192.0.2.1", 24), wired("lo", 1, "127.0.0.1", 8)];
        assert_eq!(texts(&policy.select(listed)), ["127.0.0.1"], "there is nothing better");
    }

    #[test]
    fn subnets_hold_their_addresses() {
        let v4 = wired("eth0", 2, "192.0.2.1", 24);
        assert!(v4.contains("192.0.2.254".parse().unwrap()));
        assert!(!v4.contains("192.0.3.1".parse().unwrap()));
        assert!(!v4.contains("2001:db8::1".parse().unwrap()));
        assert!(wired("x", 1, "192.0.2.1", 0).contains("8.8.8.8".parse().unwrap()));
        let host = wired("x", 1, "2001:db8::1", 128);
        assert!(host.contains("2001:db8::1".parse().unwrap()));
        assert!(!host.contains("2001:db8::2".parse().unwrap()));
        assert!(wired("x", 1, "2001:db8::1", 0).contains("::1".parse().unwrap()));
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
        let all = InterfacePolicy { loopback: true, ..InterfacePolicy::default() };
        let taken = all.select(listed);
        assert!(taken.iter().any(Interface::is_loopback));
        assert!(taken.iter().filter(|i| i.is_loopback()).all(|i| i.kind == InterfaceKind::Loopback), "{taken:?}");
    }
}
