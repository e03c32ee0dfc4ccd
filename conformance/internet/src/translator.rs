//! The mappings of one NAT.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use frazil::{Instant, Protocol};

use crate::nat::{Dependence, Nat, Pooling, PortAssignment};

/// How long a TCP mapping lives without a segment (RFC 5382 REQ-5).
pub(crate) const TCP_LIFETIME: Duration = Duration::from_secs(2 * 3600 + 4 * 60);

pub(crate) struct Translator {
    nat: Nat,
    outside: Vec<IpAddr>,
    rng: fastrand::Rng,
    /// The port that a sequential assignment tries next.
    next_port: u16,
    /// Which outside address an inside one has, where they are paired.
    paired: BTreeMap<IpAddr, usize>,
    udp: Table,
    tcp: Table,
}

#[derive(Default)]
struct Table {
    mappings: BTreeMap<u32, Mapping>,
    by_inside: BTreeMap<Inside, u32>,
    /// More than one where ports are overloaded.
    by_outside: BTreeMap<SocketAddr, Vec<u32>>,
    /// Not given out again after a rebinding.
    burnt: BTreeSet<SocketAddr>,
    made: u32,
}

/// What has a mapping of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Inside {
    socket: SocketAddr,
    towards: Option<SocketAddr>,
}

struct Mapping {
    inside: Inside,
    outside: SocketAddr,
    refreshed: Instant,
    /// To whom there were packets, as far as the filter cares, and when last.
    permissions: BTreeMap<SocketAddr, Instant>,
}

/// What of a remote address matters. What does not is left out.
fn relevant(dependence: Dependence, remote: SocketAddr) -> Option<SocketAddr> {
    match dependence {
        Dependence::EndpointIndependent => None,
        Dependence::AddressDependent => Some(SocketAddr::new(remote.ip(), 0)),
        Dependence::AddressAndPortDependent => Some(remote),
    }
}

impl Translator {
    pub(crate) fn new(nat: Nat, mut rng: fastrand::Rng) -> Self {
        let next_port = rng.u16(1024..=32_767);
        Self {
            nat,
            outside: Vec::new(),
            rng,
            next_port,
            paired: BTreeMap::new(),
            udp: Table::default(),
            tcp: Table::default(),
        }
    }

    /// Has these addresses outside from now on, and no mapping any more.
    pub(crate) fn set_outside(&mut self, outside: Vec<IpAddr>) {
        self.outside = outside;
        self.paired.clear();
        (self.udp, self.tcp) = (Table::default(), Table::default());
    }

    pub(crate) fn rebind(&mut self) {
        for table in [&mut self.udp, &mut self.tcp] {
            let burnt = std::mem::take(&mut table.by_outside).into_keys().collect();
            *table = Table { burnt, made: table.made, ..Table::default() };
        }
    }

    pub(crate) fn forget(&mut self, inside: SocketAddr) {
        for table in [&mut self.udp, &mut self.tcp] {
            let of_it = table.mappings.iter().filter(|(_, mapping)| mapping.inside.socket == inside);
            for id in of_it.map(|(id, _)| *id).collect::<Vec<_>>() {
                table.remove(id);
            }
        }
    }

    /// The outside address of a packet from inside; none when no port is left.
    pub(crate) fn outbound(
        &mut self,
        protocol: Protocol,
        from: SocketAddr,
        to: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        let (mapping, filtering, lifetime) = self.behaviour(protocol);
        let inside = Inside { socket: from, towards: relevant(mapping, to) };
        self.table(protocol).expire(&inside, now, lifetime);
        let id = match self.table(protocol).by_inside.get(&inside) {
            Some(&id) => id,
            None => {
                let outside = self.assign(protocol, inside, now)?;
                self.table(protocol).insert(inside, outside, now)
            }
        };
        let mapping = self.table(protocol).mappings.get_mut(&id).expect("found or made just now");
        mapping.refreshed = now;
        // An overloaded port needs to know whose answers these are, whatever the filter lets in.
        let remembered = relevant(filtering, to).unwrap_or(to);
        mapping.permissions.insert(remembered, now);
        Some(mapping.outside)
    }

    /// Where inside a packet from outside belongs; none when it is not let in.
    pub(crate) fn inbound(
        &mut self,
        protocol: Protocol,
        from: SocketAddr,
        to: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        let (_, filtering, lifetime) = self.behaviour(protocol);
        let refreshes = protocol == Protocol::Tcp || self.nat.refreshed_by_inbound;
        let table = self.table(protocol);
        let ids = table.by_outside.get(&to)?;
        let remembered = relevant(filtering, from).unwrap_or(from);
        let live = |id: &&u32| now - table.mappings[*id].refreshed < lifetime;
        let awaits =
            |id: &&u32| table.mappings[*id].permissions.get(&remembered).is_some_and(|&since| now - since < lifetime);
        let awaited = ids.iter().filter(live).find(awaits);
        let anybody = || ids.iter().find(live).filter(|_| filtering == Dependence::EndpointIndependent);
        let id = *awaited.or_else(anybody)?;
        let mapping = table.mappings.get_mut(&id).expect("indexed mappings exist");
        if refreshes {
            mapping.refreshed = now;
            if let Some(since) = mapping.permissions.get_mut(&remembered) {
                *since = now;
            }
        }
        Some(mapping.inside.socket)
    }

    fn behaviour(&self, protocol: Protocol) -> (Dependence, Dependence, Duration) {
        match protocol {
            Protocol::Tcp => (self.nat.tcp.mapping, self.nat.tcp.filtering, TCP_LIFETIME),
            _ => (self.nat.mapping, self.nat.filtering, self.nat.lifetime),
        }
    }

    fn table(&mut self, protocol: Protocol) -> &mut Table {
        if protocol == Protocol::Tcp { &mut self.tcp } else { &mut self.udp }
    }

    /// An outside address for a mapping to be made.
    fn assign(&mut self, protocol: Protocol, inside: Inside, now: Instant) -> Option<SocketAddr> {
        let (_, _, lifetime) = self.behaviour(protocol);
        let ip = self.address_for(inside.socket.ip())?;
        let wanted = inside.socket.port();
        if let Some(next) = self.contiguous(protocol, inside)
            && self.table(protocol).is_free(next, now, lifetime)
        {
            return Some(next);
        }
        let range = if wanted < 1024 { 1..=1023 } else { 1024..=65535 };
        let first = match self.nat.ports {
            PortAssignment::Preserving => {
                let same = SocketAddr::new(ip, wanted);
                if self.table(protocol).is_free(same, now, lifetime) {
                    return Some(same);
                }
                self.rng.u16(range.clone())
            }
            PortAssignment::PreservingOrOverload => {
                let same = SocketAddr::new(ip, wanted);
                if !self.table(protocol).burnt.contains(&same) {
                    return Some(same);
                }
                self.rng.u16(range.clone())
            }
            PortAssignment::Random => self.rng.u16(range.clone()),
            PortAssignment::Sequential if range.contains(&self.next_port) => self.next_port,
            PortAssignment::Sequential => *range.start(),
        };
        let parity = self.nat.parity.then_some(wanted % 2);
        let port = free_port(first, &range, parity, |port| {
            self.table(protocol).is_free(SocketAddr::new(ip, port), now, lifetime)
        })?;
        if wanted >= 1024 {
            self.next_port = port.checked_add(1).unwrap_or(1024);
        }
        Some(SocketAddr::new(ip, port))
    }

    fn address_for(&mut self, inside: IpAddr) -> Option<IpAddr> {
        let many = self.outside.len();
        if many == 0 {
            return None;
        }
        let nth = match self.nat.pooling {
            // One after the other, as inside addresses turn up.
            Pooling::Paired => {
                let next = self.paired.len() % many;
                *self.paired.entry(inside).or_insert(next)
            }
            Pooling::Arbitrary => self.rng.usize(..many),
        };
        Some(self.outside[nth])
    }

    /// The outside port after that of the even inside port before an odd one.
    fn contiguous(&mut self, protocol: Protocol, inside: Inside) -> Option<SocketAddr> {
        let port = inside.socket.port();
        if !self.nat.contiguity || port.is_multiple_of(2) {
            return None;
        }
        let before = Inside { socket: SocketAddr::new(inside.socket.ip(), port - 1), ..inside };
        let table = self.table(protocol);
        let outside = table.mappings[table.by_inside.get(&before)?].outside;
        Some(SocketAddr::new(outside.ip(), outside.port().checked_add(1)?))
    }
}

/// The first free port of a range from `first` on, around its end.
fn free_port(
    first: u16,
    range: &RangeInclusive<u16>,
    parity: Option<u16>,
    mut is_free: impl FnMut(u16) -> bool,
) -> Option<u16> {
    let fits = |port: &u16| parity.is_none_or(|parity| port % 2 == parity);
    (first..=*range.end()).chain(*range.start()..first).filter(fits).find(|port| is_free(*port))
}

impl Table {
    fn insert(&mut self, inside: Inside, outside: SocketAddr, now: Instant) -> u32 {
        let id = self.made;
        self.made += 1;
        self.mappings.insert(id, Mapping { inside, outside, refreshed: now, permissions: BTreeMap::new() });
        self.by_inside.insert(inside, id);
        self.by_outside.entry(outside).or_default().push(id);
        id
    }

    fn remove(&mut self, id: u32) {
        let Some(mapping) = self.mappings.remove(&id) else { return };
        self.by_inside.remove(&mapping.inside);
        if let Some(ids) = self.by_outside.get_mut(&mapping.outside) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_outside.remove(&mapping.outside);
            }
        }
    }

    /// Forgets the mapping of `inside` if nothing has refreshed it for its lifetime.
    fn expire(&mut self, inside: &Inside, now: Instant, lifetime: Duration) {
        if let Some(&id) = self.by_inside.get(inside)
            && now - self.mappings[&id].refreshed >= lifetime
        {
            self.remove(id);
        }
    }

    /// Whether a mapping can have this outside address. Forgets those whose lifetime is over.
    fn is_free(&mut self, outside: SocketAddr, now: Instant, lifetime: Duration) -> bool {
        let of_it = self.by_outside.get(&outside).map(Vec::as_slice).unwrap_or_default();
        let over = of_it.iter().filter(|id| now - self.mappings[id].refreshed >= lifetime);
        for id in over.copied().collect::<Vec<_>>() {
            self.remove(id);
        }
        !self.by_outside.contains_key(&outside) && !self.burnt.contains(&outside)
    }
}
