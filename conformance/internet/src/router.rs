//! A router between two realms: a NAT, a firewall, or both.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use frazil::{Instant, Protocol};

use crate::drops::Dropped;
use crate::fabric::RealmId;
use crate::internet::LinkId;
use crate::nat::{Dependence, Hairpinning, Nat, Refusal};
use crate::packet::{Body, Packet};
use crate::translator::{TCP_LIFETIME, Translator};

/// What a router does with what comes from inside and from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouterConfig {
    /// What it does with IPv4. With [`RouterConfig::nat64`], how that translates.
    pub v4: Family,
    /// What it does with IPv6.
    pub v6: Family,
    /// What it lets through.
    pub firewall: Firewall,
    /// The /96 prefix under which hosts inside reach IPv4 (RFC 6146, RFC 6052); they have IPv6 only.
    pub nat64: Option<Ipv6Addr>,
}

/// What a router does with one family of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Nothing goes through.
    Absent,
    /// Addresses inside are known outside; the firewall alone decides.
    Routed,
    /// Addresses inside stay inside.
    Translated(Nat),
}

/// What a router lets through, whatever it translates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Firewall {
    /// Of UDP.
    pub udp: Udp,
    /// Of TCP.
    pub tcp: Tcp,
    /// How long an exchange of datagrams is remembered without a packet in either direction.
    pub lifetime: Duration,
}

/// What a firewall does with UDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Udp {
    /// All of it goes through, also from outside.
    Allowed,
    /// Nothing goes through.
    Blocked,
    /// From outside only what answers a datagram from inside. A NAT filters by itself, so this is about routed
    /// families only.
    #[default]
    StatefulOutboundOnly,
}

/// What a firewall does with TCP.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Tcp {
    /// All of it goes through, also connections from outside.
    Allowed,
    /// Nothing goes through.
    Blocked,
    /// Connections from inside to these ports, and none from outside.
    OnlyPorts(Vec<u16>),
    /// Connections from inside. A NAT filters by itself, so this is about routed families only.
    #[default]
    StatefulOutboundOnly,
}

impl Default for Firewall {
    fn default() -> Self {
        Self { udp: Udp::default(), tcp: Tcp::default(), lifetime: Duration::from_secs(300) }
    }
}

/// The prefix that is known everywhere (RFC 6052 section 2.1).
pub const WELL_KNOWN_PREFIX: Ipv6Addr = Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, 0, 0);

impl RouterConfig {
    /// IPv4 through this NAT and no IPv6.
    #[must_use]
    pub fn ipv4(nat: Nat) -> Self {
        Self { v4: Family::Translated(nat), v6: Family::Absent, firewall: Firewall::default(), nat64: None }
    }

    /// Endpoint-independent mapping and filtering.
    #[must_use]
    pub fn full_cone() -> Self {
        Self::ipv4(Nat::cone(Dependence::EndpointIndependent))
    }

    /// Endpoint-independent mapping, address-dependent filtering.
    #[must_use]
    pub fn address_restricted() -> Self {
        Self::ipv4(Nat::cone(Dependence::AddressDependent))
    }

    /// Endpoint-independent mapping, address- and port-dependent filtering: what most homes have.
    #[must_use]
    pub fn port_restricted() -> Self {
        Self::ipv4(Nat::cone(Dependence::AddressAndPortDependent))
    }

    /// Address- and port-dependent mapping and filtering, random ports.
    #[must_use]
    pub fn symmetric() -> Self {
        Self::ipv4(Nat::symmetric())
    }

    /// A port-restricted NAT that lets no UDP through.
    #[must_use]
    pub fn udp_blocked() -> Self {
        Self { firewall: Firewall { udp: Udp::Blocked, ..Firewall::default() }, ..Self::port_restricted() }
    }

    /// A port-restricted NAT that lets nothing through but TCP to the ports 443 and 3478.
    #[must_use]
    pub fn tcp_only() -> Self {
        let firewall = Firewall { udp: Udp::Blocked, tcp: Tcp::OnlyPorts(vec![443, 3478]), ..Firewall::default() };
        Self { firewall, ..Self::port_restricted() }
    }

    /// What an operator puts before many homes (RFC 6888): endpoint-independent mapping, address-dependent filtering,
    /// random ports, hairpinning.
    #[must_use]
    pub fn carrier_grade() -> Self {
        let mut nat = Nat::cone(Dependence::AddressDependent);
        nat.ports = crate::nat::PortAssignment::Random;
        nat.hairpinning = Hairpinning::ExternalSource;
        Self::ipv4(nat)
    }

    /// IPv6 without translation behind a firewall that lets in what answers; no IPv4.
    #[must_use]
    pub fn ipv6_stateful() -> Self {
        Self { v4: Family::Absent, v6: Family::Routed, firewall: Firewall::default(), nat64: None }
    }

    /// IPv6 as [`RouterConfig::ipv6_stateful`], IPv4 as [`RouterConfig::port_restricted`].
    #[must_use]
    pub fn dual_stack() -> Self {
        Self { v6: Family::Routed, ..Self::port_restricted() }
    }

    /// IPv6 as [`RouterConfig::ipv6_stateful`], and IPv4 under the [`WELL_KNOWN_PREFIX`], with endpoint-independent
    /// mapping and address-dependent filtering.
    #[must_use]
    pub fn nat64() -> Self {
        let v4 = Family::Translated(Nat::cone(Dependence::AddressDependent));
        Self { v4, nat64: Some(WELL_KNOWN_PREFIX), ..Self::ipv6_stateful() }
    }
}

/// The IPv6 address that stands for an IPv4 address behind a NAT64 (RFC 6052 section 2.2), as DNS64 gives it out.
#[must_use]
pub fn synthesise(prefix: Ipv6Addr, address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.to_bits() >> 32 << 32 | u128::from(address.to_bits()))
}

/// The IPv4 address that an IPv6 address stands for.
fn embedded(prefix: Ipv6Addr, address: Ipv6Addr) -> Option<Ipv4Addr> {
    (prefix.to_bits() >> 32 == address.to_bits() >> 32).then(|| Ipv4Addr::from_bits(address.to_bits() as u32))
}

/// A router in a realm of its own making.
pub(crate) struct Router {
    pub(crate) outer: RealmId,
    pub(crate) inner: RealmId,
    pub(crate) link: LinkId,
    pub(crate) outside: Vec<IpAddr>,
    config: RouterConfig,
    v4: Option<Translator>,
    v6: Option<Translator>,
    /// What has gone out through a routed family: from where to where, and when there was a packet last.
    flows: BTreeMap<(Protocol, SocketAddr, SocketAddr), Instant>,
}

/// What becomes of a packet.
pub(crate) enum Verdict {
    /// On into the outer realm.
    Out(Packet),
    /// Into the inner realm.
    In(Packet),
    /// It is dropped; where it asked for a connection, this goes back.
    Dropped(Dropped, Option<Packet>),
}

impl Router {
    pub(crate) fn new(
        [outer, inner]: [RealmId; 2],
        link: LinkId,
        outside: &[IpAddr],
        config: RouterConfig,
        mut rng: fastrand::Rng,
    ) -> Self {
        let mut translator = |family| match family {
            Family::Translated(nat) => Some(Translator::new(nat, rng.fork())),
            Family::Absent | Family::Routed => None,
        };
        let (v4, v6) = (translator(config.v4), translator(config.v6));
        let mut router = Self { outer, inner, link, outside: Vec::new(), config, v4, v6, flows: BTreeMap::new() };
        router.set_outside(outside);
        router
    }

    /// Whether an address inside is known outside.
    pub(crate) fn routes(&self, inside: IpAddr) -> bool {
        let family = if inside.is_ipv4() { self.config.v4 } else { self.config.v6 };
        family == Family::Routed
    }

    pub(crate) fn set_outside(&mut self, outside: &[IpAddr]) {
        self.outside = outside.to_vec();
        if let Some(v4) = &mut self.v4 {
            v4.set_outside(outside.iter().copied().filter(IpAddr::is_ipv4).collect());
        }
        if let Some(v6) = &mut self.v6 {
            v6.set_outside(outside.iter().copied().filter(IpAddr::is_ipv6).collect());
        }
    }

    /// Forgets all mappings and all that has gone out; new mappings get other ports.
    pub(crate) fn rebind(&mut self) {
        self.translators().for_each(Translator::rebind);
        self.flows.clear();
    }

    /// Forgets the mappings of one inside socket.
    pub(crate) fn forget(&mut self, inside: SocketAddr) {
        self.translators().for_each(|translator| translator.forget(inside));
        self.flows.retain(|(_, from, _), _| *from != inside);
    }

    fn translators(&mut self) -> impl Iterator<Item = &mut Translator> {
        [&mut self.v4, &mut self.v6].into_iter().flatten()
    }

    /// A packet that nobody inside has an address for.
    pub(crate) fn outbound(&mut self, mut packet: Packet, now: Instant) -> Verdict {
        let (protocol, from) = (packet.protocol(), packet.from);
        if !self.lets_out(&packet) {
            return Verdict::Dropped(Dropped::Blocked, None);
        }
        if let (Some(prefix), IpAddr::V6(to)) = (self.config.nat64, packet.to.ip())
            && let Some(to) = embedded(prefix, to)
        {
            packet.to.set_ip(to.into());
        } else if self.config.nat64.is_some() && packet.to.is_ipv4() {
            return Verdict::Dropped(Dropped::NoRoute, None);
        }
        let (family, translator) = match packet.to {
            SocketAddr::V4(_) => (self.config.v4, &mut self.v4),
            SocketAddr::V6(_) => (self.config.v6, &mut self.v6),
        };
        match (family, translator) {
            (Family::Routed, _) => {
                self.flows.insert((protocol, from, packet.to), now);
                Verdict::Out(packet)
            }
            (Family::Translated(nat), Some(translator)) => {
                let hairpin = self.outside.contains(&packet.to.ip());
                if hairpin && nat.hairpinning == Hairpinning::None {
                    return Verdict::Dropped(Dropped::Filtered, None);
                }
                match translator.outbound(protocol, from, packet.to, now) {
                    None => Verdict::Dropped(Dropped::NoPort, None),
                    Some(outside) => {
                        packet.from = outside;
                        if hairpin { self.hairpin(packet, from, nat, now) } else { Verdict::Out(packet) }
                    }
                }
            }
            _ => Verdict::Dropped(Dropped::NoRoute, None),
        }
    }

    fn hairpin(&mut self, packet: Packet, sender: SocketAddr, nat: Nat, now: Instant) -> Verdict {
        let mut verdict = self.inbound(packet, now);
        if let (Verdict::In(packet), Hairpinning::InternalSource) = (&mut verdict, nat.hairpinning) {
            packet.from = sender;
        }
        verdict
    }

    /// A packet from outside that was routed here.
    pub(crate) fn inbound(&mut self, mut packet: Packet, now: Instant) -> Verdict {
        let protocol = packet.protocol();
        let (family, translator) = match packet.to {
            SocketAddr::V4(_) => (self.config.v4, &mut self.v4),
            SocketAddr::V6(_) => (self.config.v6, &mut self.v6),
        };
        if !self.outside.contains(&packet.to.ip()) {
            return self.inbound_routed(packet, now);
        }
        let (Family::Translated(nat), Some(translator)) = (family, translator) else {
            return Verdict::Dropped(Dropped::NoSocket, None);
        };
        if self.config.firewall.blocks(protocol) {
            return Verdict::Dropped(Dropped::Blocked, None);
        }
        match translator.inbound(protocol, packet.from, packet.to, now) {
            None => {
                let refusal = if nat.tcp.refuses == Refusal::WithReset { packet.refusal() } else { None };
                Verdict::Dropped(Dropped::Filtered, refusal)
            }
            Some(inside) => {
                packet.to = inside;
                if let (SocketAddr::V4(from), SocketAddr::V6(_), Some(prefix)) =
                    (packet.from, inside, self.config.nat64)
                {
                    packet.from.set_ip(synthesise(prefix, *from.ip()).into());
                }
                Verdict::In(packet)
            }
        }
    }

    fn inbound_routed(&mut self, packet: Packet, now: Instant) -> Verdict {
        if !self.routes(packet.to.ip()) {
            return Verdict::Dropped(Dropped::NoRoute, None);
        }
        let firewall = &self.config.firewall;
        let protocol = packet.protocol();
        if firewall.blocks(protocol) {
            return Verdict::Dropped(Dropped::Blocked, None);
        }
        let (open, lifetime) = match protocol {
            Protocol::Tcp => (firewall.tcp == Tcp::Allowed, TCP_LIFETIME),
            _ => (firewall.udp == Udp::Allowed, firewall.lifetime),
        };
        // What answers keeps the exchange alive too (RFC 6092 section 3.2.1).
        match self.flows.get_mut(&(protocol, packet.to, packet.from)) {
            Some(last) if now - *last < lifetime => *last = now,
            _ if open => {}
            _ => return Verdict::Dropped(Dropped::Filtered, None),
        }
        Verdict::In(packet)
    }

    fn lets_out(&self, packet: &Packet) -> bool {
        let firewall = &self.config.firewall;
        match (&packet.body, &firewall.tcp) {
            (Body::Segment(_), Tcp::OnlyPorts(ports)) => ports.contains(&packet.to.port()),
            _ => !firewall.blocks(packet.protocol()),
        }
    }
}

impl Firewall {
    fn blocks(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Tcp => self.tcp == Tcp::Blocked,
            _ => self.udp == Udp::Blocked,
        }
    }
}
