//! The machine's own addresses: which of them become candidates, and how they rank.
//!
//! A driver lists the addresses, has [`HostPolicy::select`] say on which to bind sockets, and hands those sockets
//! in. Their order of preference is [`rank`]'s alone, so that every driver and every platform has the same.

use core::cmp::Ordering;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::path::Protocol;

/// What a network interface is. Of two that cost the same, the one named first here is preferred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum InterfaceKind {
    /// A wire.
    Ethernet,
    /// A wireless LAN.
    Wifi,
    /// The driver cannot tell.
    #[default]
    Unknown,
    /// A mobile network.
    Cellular,
    /// A tunnel or a VPN: what it carries goes through another interface as well.
    Vpn,
    /// The machine itself.
    Loopback,
}

impl InterfaceKind {
    /// The [`HostSocket::cost`] of such an interface where the driver knows no better.
    #[must_use]
    pub const fn typical_cost(self) -> u16 {
        match self {
            Self::Ethernet | Self::Loopback => 0,
            Self::Wifi => 10,
            Self::Unknown => 50,
            Self::Vpn => 100,
            Self::Cellular => 900,
        }
    }
}

/// A socket on one of the machine's addresses; before it is bound, the address alone with the port 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HostSocket {
    /// The address that the socket is bound to.
    pub base: SocketAddr,
    /// What it carries.
    pub protocol: Protocol,
    /// What kind of interface has the address.
    pub interface: InterfaceKind,
    /// The system's number for that interface, 0 if it has none. Tells whether two addresses share one.
    pub index: u32,
    /// What it costs to use the interface, in money or battery: 0 for nothing, 999 at the most. It decides
    /// before the kind does.
    pub cost: u16,
    /// An IPv6 address that is changed often, so that its owner cannot be followed by it (RFC 8981).
    pub temporary: bool,
    /// An address that nothing new ought to use; what uses it may go on (RFC 4862 section 5.5.4).
    pub deprecated: bool,
}

impl HostSocket {
    /// The largest [`cost`](Self::cost); what is above counts as this.
    pub const MAX_COST: u16 = 999;

    /// A socket of which nothing else is known.
    #[must_use]
    pub const fn new(base: SocketAddr, protocol: Protocol) -> Self {
        Self::on(InterfaceKind::Unknown, 0, base, protocol)
    }

    /// A socket on an interface of this kind and number, at the typical cost of its kind.
    #[must_use]
    pub const fn on(interface: InterfaceKind, index: u32, base: SocketAddr, protocol: Protocol) -> Self {
        let cost = interface.typical_cost();
        Self { base, protocol, interface, index, cost, temporary: false, deprecated: false }
    }

    fn is_loopback(&self) -> bool {
        self.interface == InterfaceKind::Loopback || self.base.ip().is_loopback()
    }

    fn is_ipv6_link_local(&self) -> bool {
        matches!(self.base.ip(), IpAddr::V6(v6) if v6.is_unicast_link_local())
    }

    /// Whether the address was made for privacy, so that `other` must not be told beside it: one that does not
    /// change, of the same interface, and of the same prefix or of the link alone (RFC 8445 section 5.1.1.1).
    fn hides(&self, other: &Self) -> bool {
        let (IpAddr::V6(ours), IpAddr::V6(theirs)) = (self.base.ip(), other.base.ip()) else { return false };
        // Such addresses are formed under prefixes of 64 bits only (RFC 8981 section 3.3.1).
        let same_prefix = ours.segments()[..4] == theirs.segments()[..4];
        self.temporary
            && !self.deprecated
            && !other.temporary
            && self.index == other.index
            && (same_prefix || other.is_ipv6_link_local())
    }
}

/// Which of the machine's addresses a driver binds sockets on.
///
/// By default those that RFC 8445 section 5.1.1.1 and RFC 8835 section 3.3 ask for. Addresses of lesser worth
/// are taken where there is nothing better, since a machine that has only them may still reach somebody with
/// them: first deprecated ones, then those of IPv6 that are valid on the link only, then those of the loopback
/// interface, which is more than the RFC allows and tells nobody anything.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HostPolicy {
    /// Take loopback addresses beside others. They reach peers on the same machine only.
    pub loopback: bool,
    /// Take IPv6 link-local addresses beside others, unless there is one made for privacy on the interface.
    /// They reach peers on the same link only.
    pub link_local: bool,
}

impl HostPolicy {
    /// Those of `addresses` that candidates are to be made of, in the same order, each once.
    #[must_use]
    pub fn select(&self, addresses: &[HostSocket]) -> Vec<HostSocket> {
        let known = distinct(addresses);
        let mut selected = known.clone();
        selected.retain(|address| !known.iter().any(|other| other.hides(address)));
        if let Some(best) = selected.iter().map(Worth::of).max() {
            selected.retain(|address| Worth::of(address) == best || self.asks_for(address));
        }
        selected
    }

    fn asks_for(&self, address: &HostSocket) -> bool {
        match Worth::of(address) {
            Worth::Loopback => self.loopback,
            Worth::LinkLocal => self.link_local,
            Worth::Deprecated | Worth::Good => false,
        }
    }
}

/// How much a new candidate of an address is worth; the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Loopback,
    LinkLocal,
    Deprecated,
    Good,
}

impl Worth {
    fn of(address: &HostSocket) -> Self {
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_ipv6_link_local() {
            Self::LinkLocal
        } else if address.deprecated {
            Self::Deprecated
        } else {
            Self::Good
        }
    }
}

/// Orders sockets from the best to the worst and gives each its own local preference, 65535 for the best
/// (RFC 8445 section 5.1.2.1). Sockets on addresses that no candidate may have are left out, and so is the
/// second of two that are the same.
///
/// - UDP is better than TCP.
/// - IPv6 begins, and the two families share every stretch of the order in proportion to how many sockets each
///   has, so that broken paths of one do not hold up the other (RFC 8421 section 4).
/// - Within a family the loopback interface is last, before it deprecated addresses (RFC 6724 section 5, rule
///   3), before these those of the link alone (rule 2). Then decide: the cost; the kind of interface; of IPv6
///   the precedence of RFC 6724 section 2.1, which puts 6to4, Teredo and unique local addresses behind global
///   ones; whether the address is temporary (rule 7).
///
/// The order does not depend on that of `sockets`: where nothing else decides, the interface's number and the
/// address do.
#[must_use]
pub fn rank(sockets: &[HostSocket]) -> Vec<(HostSocket, u16)> {
    let mut sockets = distinct(sockets);
    sockets.sort_unstable_by(by_worth);
    let (tcp, udp): (Vec<_>, Vec<_>) = sockets.into_iter().partition(|socket| socket.protocol == Protocol::Tcp);
    share_fairly(udp).into_iter().chain(share_fairly(tcp)).zip((0..=u16::MAX).rev()).collect()
}

/// The sockets on addresses that a candidate may have, each once.
fn distinct(sockets: &[HostSocket]) -> Vec<HostSocket> {
    let mut kept: Vec<HostSocket> = Vec::with_capacity(sockets.len());
    for socket in sockets {
        let known = |k: &HostSocket| (k.base, k.protocol, k.index) == (socket.base, socket.protocol, socket.index);
        if may_be_candidate(socket.base.ip()) && !kept.iter().any(known) {
            kept.push(*socket);
        }
    }
    kept
}

/// RFC 8445 section 5.1.1.1 forbids IPv4-compatible, IPv4-mapped and site-local addresses. Others have no single
/// machine behind them.
fn may_be_candidate(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => {
            let site_local = v6.segments()[0] & 0xffc0 == 0xfec0;
            let ipv4_compatible = v6.to_bits() >> 32 == 0 && !v6.is_loopback();
            !(site_local || ipv4_compatible || v6.is_multicast() || v6.to_ipv4_mapped().is_some())
        }
    }
}

/// The better one is less.
fn by_worth(a: &HostSocket, b: &HostSocket) -> Ordering {
    let key = |socket: &HostSocket| {
        let ip = socket.base.ip();
        let link_local = match ip {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        (
            (socket.is_loopback(), socket.deprecated, link_local),
            (socket.cost.min(HostSocket::MAX_COST), socket.interface),
            (unlike_global(ip), !socket.temporary),
            (socket.index, socket.base),
        )
    };
    key(a).cmp(&key(b))
}

/// How far the precedence of RFC 6724 section 2.1 puts an address behind a global one of its family.
fn unlike_global(ip: IpAddr) -> u8 {
    const SIX_TO_FOUR: u16 = 0x2002;
    const TEREDO: [u16; 2] = [0x2001, 0];
    let IpAddr::V6(v6) = ip else { return 0 };
    let segments = v6.segments();
    if v6.is_unique_local() {
        3
    } else if segments[..2] == TEREDO {
        2
    } else {
        u8::from(segments[0] == SIX_TO_FOUR)
    }
}

/// Merges the families, each of which is in order.
fn share_fairly(sockets: Vec<HostSocket>) -> Vec<HostSocket> {
    let (mut v6, mut v4): (VecDeque<_>, VecDeque<_>) = sockets.into_iter().partition(|s| s.base.is_ipv6());
    let (n6, n4) = (v6.len(), v4.len());
    let mut merged = Vec::with_capacity(n6 + n4);
    loop {
        let (taken6, taken4) = (n6 - v6.len(), n4 - v4.len());
        // Whose part of what it has is smaller: taken6 / n6 against taken4 / n4.
        let v6_is_next = v4.is_empty() || (!v6.is_empty() && taken6 * n4 <= taken4 * n6);
        let Some(next) = (if v6_is_next { v6.pop_front() } else { v4.pop_front() }) else { return merged };
        merged.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::net::Ipv6Addr;

    const ETHERNET: u32 = 2;
    const WIFI: u32 = 3;
    const TUNNEL: u32 = 4;

    fn on(interface: InterfaceKind, index: u32, address: &str) -> HostSocket {
        HostSocket::on(interface, index, SocketAddr::new(address.parse().unwrap(), 4000), Protocol::Udp)
    }

    fn ethernet(address: &str) -> HostSocket {
        on(InterfaceKind::Ethernet, ETHERNET, address)
    }

    fn texts<'a>(sockets: impl IntoIterator<Item = &'a HostSocket>) -> Vec<String> {
        sockets.into_iter().map(|socket| socket.base.ip().to_string()).collect()
    }

    fn ranked(sockets: &[HostSocket]) -> Vec<String> {
        texts(rank(sockets).iter().map(|(socket, _)| socket))
    }

    /// Addresses of every sort, close enough together that prefixes, interfaces and whole sockets repeat.
    fn socket() -> impl Strategy<Value = HostSocket> {
        let kinds = [
            InterfaceKind::Ethernet,
            InterfaceKind::Wifi,
            InterfaceKind::Unknown,
            InterfaceKind::Cellular,
            InterfaceKind::Vpn,
            InterfaceKind::Loopback,
        ];
        let prefixes = [
            "10.0.0.0",
            "192.0.2.0",
            "169.254.0.0",
            "127.0.0.0",
            "224.0.0.0",
            "0.0.0.0",
            "2001:db8::",
            "2001:db8:1::",
            "2001::",
            "2002::",
            "fd00::",
            "fe80::",
            "fec0::",
            "::",
            "::ffff:192.0.2.0",
            "ff02::",
        ];
        let address = (proptest::sample::select(prefixes.to_vec()), 0_u8..4).prop_map(|(prefix, host)| {
            match prefix.parse::<IpAddr>().unwrap() {
                IpAddr::V4(v4) => IpAddr::from(std::net::Ipv4Addr::from_bits(v4.to_bits() | u32::from(host))),
                IpAddr::V6(v6) => IpAddr::from(Ipv6Addr::from_bits(v6.to_bits() | u128::from(host))),
            }
        });
        let kind = proptest::sample::select(kinds.to_vec());
        let place = (address, 4000_u16..4002, any::<bool>(), kind, 0_u32..3);
        (place, 0_u16..1100, any::<bool>(), any::<bool>()).prop_map(
            |((ip, port, tcp, interface, index), cost, temporary, deprecated)| HostSocket {
                base: SocketAddr::new(ip, port),
                protocol: if tcp { Protocol::Tcp } else { Protocol::Udp },
                interface,
                index,
                cost,
                temporary,
                deprecated,
            },
        )
    }

    proptest! {
        #[test]
        fn every_usable_socket_is_ranked_once_with_a_preference_of_its_own(sockets in vec(socket(), 0..40)) {
            let ranked = rank(&sockets);
            let of = |s: &HostSocket| (s.base, s.protocol, s.index);
            let wanted: BTreeSet<_> =
                sockets.iter().filter(|s| may_be_candidate(s.base.ip())).map(of).collect();
            prop_assert_eq!(ranked.iter().map(|(s, _)| of(s)).collect::<BTreeSet<_>>(), wanted.clone());
            prop_assert_eq!(ranked.len(), wanted.len());
            for (place, (socket, preference)) in ranked.iter().enumerate() {
                prop_assert_eq!(usize::from(*preference), usize::from(u16::MAX) - place);
                prop_assert!(sockets.contains(socket));
            }
        }

        #[test]
        fn the_order_of_the_list_means_nothing(
            sockets in vec(socket(), 0..30), swaps in vec((0_usize..30, 0_usize..30), 30),
        ) {
            // Two that say different things of one socket are told apart by nothing but their order.
            let sockets = distinct(&sockets);
            let mut shuffled = sockets.clone();
            for (a, b) in swaps {
                if a < sockets.len() && b < sockets.len() {
                    shuffled.swap(a, b);
                }
            }
            prop_assert_eq!(rank(&sockets), rank(&shuffled));
        }

        #[test]
        fn each_family_has_its_share_of_every_stretch(sockets in vec(socket(), 0..60)) {
            let ranked = rank(&sockets);
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                let families: Vec<bool> =
                    ranked.iter().filter(|(s, _)| s.protocol == protocol).map(|(s, _)| s.base.is_ipv6()).collect();
                let (all, v6) = (families.len(), families.iter().filter(|v6| **v6).count());
                for first in 1..=all {
                    let among_first = families[..first].iter().filter(|v6| **v6).count();
                    // Within one socket of the exact share, v6 * first / all.
                    prop_assert!((among_first * all).abs_diff(v6 * first) <= all, "{:?}", families);
                }
                prop_assert!(v6 == 0 || families[0], "IPv6 begins");
            }
        }

        #[test]
        fn within_a_family_no_worse_socket_comes_first(sockets in vec(socket(), 0..40)) {
            let ranked = rank(&sockets);
            for (place, (better, _)) in ranked.iter().enumerate() {
                for (worse, _) in &ranked[place + 1..] {
                    if better.protocol == worse.protocol && better.base.is_ipv6() == worse.base.is_ipv6() {
                        prop_assert_eq!(by_worth(better, worse), Ordering::Less);
                    } else if better.protocol == Protocol::Tcp {
                        prop_assert_eq!(worse.protocol, Protocol::Tcp);
                    }
                }
            }
        }

        #[test]
        fn what_is_selected_is_allowed_and_stays_selected(
            addresses in vec(socket(), 0..30), loopback in any::<bool>(), link_local in any::<bool>(),
        ) {
            let policy = HostPolicy { loopback, link_local };
            // What is said first of an address counts.
            let addresses = distinct(&addresses);
            let selected = policy.select(&addresses);
            prop_assert_eq!(policy.select(&selected), selected.clone());
            prop_assert_eq!(rank(&selected).len(), selected.len());
            for one in &selected {
                prop_assert!(!addresses.iter().any(|other| other.hides(one)));
                let hidden = |other| addresses.iter().any(|third| third.hides(other));
                let good = addresses.iter().any(|other| Worth::of(other) == Worth::Good && !hidden(other));
                if good {
                    prop_assert!(!one.deprecated || one.is_loopback() || one.is_ipv6_link_local());
                    prop_assert!(loopback || !one.is_loopback());
                    prop_assert!(link_local || !one.is_ipv6_link_local() || one.is_loopback());
                }
            }
            prop_assert_eq!(selected.is_empty(), addresses.is_empty(), "something is selected where anything can be");
        }
    }

    #[test]
    fn the_families_take_turns_and_ipv6_begins() {
        let mut sockets: Vec<_> = (1..=6).map(|n| ethernet(&format!("2001:db8::{n}"))).collect();
        sockets.extend((1..=2).map(|n| ethernet(&format!("192.0.2.{n}"))));
        let order = [
            "2001:db8::1",
            "192.0.2.1",
            "2001:db8::2",
            "2001:db8::3",
            "2001:db8::4",
            "192.0.2.2",
            "2001:db8::5",
            "2001:db8::6",
        ];
        assert_eq!(ranked(&sockets), order);
    }

    #[test]
    fn cost_and_kind_decide_before_the_sort_of_address() {
        let wifi = on(InterfaceKind::Wifi, WIFI, "2001:db8:2::1");
        let cheap_cellular = HostSocket { cost: 5, ..on(InterfaceKind::Cellular, 7, "2001:db8:3::1") };
        let tunnel = on(InterfaceKind::Vpn, TUNNEL, "2001:db8:4::1");
        let metered = HostSocket { cost: 10, ..ethernet("2001:db8:5::1") };
        let sockets = [tunnel, wifi, cheap_cellular, metered, ethernet("fd00::1")];
        let order = ["fd00::1", "2001:db8:3::1", "2001:db8:5::1", "2001:db8:2::1", "2001:db8:4::1"];
        assert_eq!(ranked(&sockets), order);
    }

    #[test]
    fn of_one_interface_the_source_address_rules_decide() {
        let temporary = HostSocket { temporary: true, ..ethernet("2001:db8::beef") };
        let old = HostSocket { deprecated: true, temporary: true, ..ethernet("2001:db8::dead") };
        let others = ["fe80::1", "fd00::1", "2001::1", "2002::1", "2001:db8::1", "::1"].map(ethernet);
        let mut sockets = vec![old, temporary];
        sockets.extend(others);
        let order =
            ["2001:db8::beef", "2001:db8::1", "2002::1", "2001::1", "fd00::1", "fe80::1", "2001:db8::dead", "::1"];
        assert_eq!(ranked(&sockets), order);
    }

    #[test]
    fn addresses_of_lesser_worth_are_taken_where_there_is_nothing_better() {
        let loopback = on(InterfaceKind::Loopback, 1, "127.0.0.1");
        let deprecated = HostSocket { deprecated: true, ..ethernet("2001:db8::1") };
        let mut addresses = vec![loopback, ethernet("fe80::1"), deprecated, ethernet("192.0.2.1")];
        let plain = HostPolicy::default();
        for best in ["192.0.2.1", "2001:db8::1", "fe80::1", "127.0.0.1"] {
            assert_eq!(texts(&plain.select(&addresses)), [best]);
            addresses.pop();
        }
        assert_eq!(plain.select(&addresses), []);

        addresses = vec![loopback, ethernet("fe80::1"), deprecated, ethernet("192.0.2.1")];
        let all = HostPolicy { loopback: true, link_local: true };
        assert_eq!(texts(&all.select(&addresses)), ["127.0.0.1", "fe80::1", "192.0.2.1"]);
    }

    #[test]
    fn a_temporary_address_hides_the_others_of_its_prefix_and_of_the_link() {
        let wifi = |address| on(InterfaceKind::Wifi, WIFI, address);
        let temporary = HostSocket { temporary: true, ..wifi("2001:db8:1::abcd") };
        let old = HostSocket { temporary: true, deprecated: true, ..wifi("2001:db8:1::dead") };
        let addresses = [
            wifi("2001:db8:1::1"),
            temporary,
            old,
            ethernet("2001:db8:1::2"),
            wifi("2001:db8:2::1"),
            wifi("192.0.2.1"),
            wifi("fe80::1"),
            ethernet("fe80::2"),
        ];
        let policy = HostPolicy { link_local: true, ..HostPolicy::default() };
        let selected = ["2001:db8:1::abcd", "2001:db8:1::2", "2001:db8:2::1", "192.0.2.1", "fe80::2"];
        assert_eq!(texts(&policy.select(&addresses)), selected);
        assert_eq!(texts(&policy.select(&addresses[2..3])), ["2001:db8:1::dead"], "there is nothing else");
    }

    #[test]
    fn what_the_rfc_forbids_is_never_taken() {
        let addresses = ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "fec0::1", "::192.0.2.1"].map(ethernet);
        let more = ["::ffff:192.0.2.1", "ff02::1"].map(ethernet);
        for policy in [HostPolicy::default(), HostPolicy { loopback: true, link_local: true }] {
            assert_eq!(policy.select(&addresses), []);
            assert_eq!(policy.select(&more), []);
        }
        assert_eq!(rank(&addresses), []);
        assert_eq!(rank(&more), []);
    }
}
