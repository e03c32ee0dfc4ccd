//! What must come of a cell, from its drawing alone.
//!
//! No packet is run and no time passes. An address is a term: a port that a NAT draws for a destination is "the
//! port that this NAT draws for this destination", whatever its number, so that two ports are the same exactly if
//! they must be. What can happen then grows until nothing new follows: whoever knows an address sends to it; what a
//! machine has sent, its routers remember; what arrives tells its receiver the address that it came from. A pair
//! works if what one end sends to an address of the other arrives, and the answer comes back from that very address
//! (RFC 8445 section 7.2.5.2.1).

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use frazil::Protocol;
use frazil_internet::{Dependence, Family, Firewall, Hairpinning, Nat, PortAssignment, Tcp, Udp};

use super::topology::{PUBLIC, RELAY, Realm, SERVER, SERVER_PORT, Topology};
use crate::contestant::Failure;

/// How two machines reach each other; a better way is less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PathKind {
    /// Between addresses that the machines have themselves.
    Direct,
    /// To an address that a NAT gave at one end or both.
    Translated,
    /// Through a relay of one side.
    RelayedOnce,
    /// Through a relay of each side.
    RelayedTwice,
}

impl PathKind {
    /// The name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Translated => "punched",
            Self::RelayedOnce => "relayed",
            Self::RelayedTwice => "relayed-twice",
        }
    }
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What must come of a cell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The two connect, and the best way is of this kind.
    Connects(PathKind),
    /// There is no way, and this is why, as each of the two must see it.
    Fails([Failure; 2]),
}

/// Looks at a cell.
#[must_use]
pub fn foresee(topology: &Topology) -> Verdict {
    let mut world = World::new(topology);
    world.gather();
    while world.exchange() {}
    match world.best_pair() {
        Some(kind) => Verdict::Connects(kind),
        None => Verdict::Fails([0, 1].map(|side| world.failure_of(side))),
    }
}

/// How many NATs' ports may depend on each other in one address. Only pairs of symmetric NATs that filter nothing
/// would come to more, and those have long met by then.
const MAX_DEPTH: usize = 6;

type Address = Rc<Term>;

/// An address with its port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Term {
    /// The socket of a machine's address.
    Socket { side: usize, place: usize },
    /// What a router shows of an inside address.
    Outside { router: usize, inside: Address, toward: Toward },
    /// What the TURN server lends to a side.
    Relay { side: usize },
    /// The server itself, at its IPv4 or IPv6 address.
    Server { v4: bool },
    /// An IPv4 address, as it is seen from behind a NAT64.
    Synthesised(Address),
}

/// The destinations that a mapping is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Toward {
    All,
    Ip(Ip),
    Exactly(Address),
}

/// An address without its port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Ip {
    Machine { side: usize, place: usize },
    Router(usize),
    Relays,
    Server { v4: bool },
    Synthesised(Box<Ip>),
}

/// What a router or a server remembers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Memory {
    /// A NAT has this mapping, and this destination was sent to through it.
    Mapping { router: usize, inside: Address, toward: Toward, to: Address },
    /// A firewall has seen this.
    Flow { router: usize, from: Address, to: Address },
    /// The TURN server lets this side's relay talk to that address.
    Permission { side: usize, ip: Ip },
}

/// Who sends and receives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    Socket { side: usize, place: usize },
    Relay { side: usize },
}

/// A packet that has reached its receiver.
struct Arrival {
    at: Receiver,
    /// Where it seems to come from.
    from: Address,
}

#[derive(PartialEq, Eq)]
enum Receiver {
    End(End),
    Server,
}

struct World<'a> {
    topology: &'a Topology,
    remembered: BTreeSet<Memory>,
    relays: [bool; 2],
    /// What each side has told of itself.
    told: [BTreeSet<Address>; 2],
    /// Where packets to an end have come from.
    seen: BTreeSet<(End, Address)>,
}

impl<'a> World<'a> {
    fn new(topology: &'a Topology) -> Self {
        let sockets = |side: usize| {
            let places = 0..topology.machines[side].addresses.len();
            places.map(move |place| Rc::new(Term::Socket { side, place })).collect()
        };
        Self {
            topology,
            remembered: BTreeSet::new(),
            relays: [false; 2],
            told: [sockets(0), sockets(1)],
            seen: BTreeSet::new(),
        }
    }

    /// Each side asks its servers.
    fn gather(&mut self) {
        for side in [0, 1] {
            for place in 0..self.topology.machines[side].addresses.len() {
                if self.topology.stun
                    && let Some(mapped) = self.ask(side, place)
                {
                    self.told[side].insert(mapped);
                }
            }
            let reached = match self.topology.turn {
                None => false,
                // The client asks from a socket of its own; what it leaves in the routers is for that one.
                Some(Protocol::Udp) => self.ask(side, 0).is_some(),
                Some(_) => self.reaches_over_tcp(side),
            };
            if reached {
                self.relays[side] = true;
                self.told[side].insert(Rc::new(Term::Relay { side }));
            }
        }
    }

    /// The address that the server sees a socket at.
    fn ask(&mut self, side: usize, place: usize) -> Option<Address> {
        let socket = Rc::new(Term::Socket { side, place });
        let is_v4 = self.is_v4(&socket);
        let server = match self.topology.prefix(&self.topology.machines[side]) {
            Some(_) => Rc::new(Term::Synthesised(Rc::new(Term::Server { v4: true }))),
            None => Rc::new(Term::Server { v4: is_v4 }),
        };
        let arrival = self.send(End::Socket { side, place }, &server)?;
        (arrival.at == Receiver::Server).then_some(arrival.from)
    }

    fn reaches_over_tcp(&self, side: usize) -> bool {
        let machine = &self.topology.machines[side];
        let Some(first) = machine.addresses.first() else { return false };
        let mut realm = machine.realm;
        while let Some(router) = self.topology.way_out(realm) {
            let family = if first.is_ipv4() { router.config.v4 } else { router.config.v6 };
            let lets_out = match &router.config.firewall.tcp {
                Tcp::Allowed | Tcp::StatefulOutboundOnly => true,
                Tcp::Blocked => false,
                Tcp::OnlyPorts(ports) => ports.contains(&SERVER_PORT),
            };
            if family == Family::Absent || !lets_out {
                return false;
            }
            realm = router.outer;
        }
        true
    }

    /// Everybody sends to every address that there is to know. Says whether anything new has come of it.
    fn exchange(&mut self) -> bool {
        let before = (self.remembered.len(), self.seen.len());
        for end in self.ends() {
            for to in self.known_to(end) {
                if let Some(Arrival { at: Receiver::End(at), from }) = self.send(end, &to)
                    && at.side() != end.side()
                {
                    self.seen.insert((at, from));
                }
            }
        }
        before != (self.remembered.len(), self.seen.len())
    }

    fn ends(&self) -> Vec<End> {
        let sockets = [0, 1].into_iter().flat_map(|side| {
            (0..self.topology.machines[side].addresses.len()).map(move |place| End::Socket { side, place })
        });
        let relays = [0, 1].into_iter().filter(|&side| self.relays[side]).map(|side| End::Relay { side });
        sockets.chain(relays).collect()
    }

    /// What the other side has told, and where packets to this end have come from: those that its family goes with.
    fn known_to(&self, end: End) -> Vec<Address> {
        let own = self.is_v4(&end.address());
        let seen = self.seen.iter().filter(|(at, _)| *at == end).map(|(_, from)| from);
        let known = self.told[1 - end.side()].iter().chain(seen);
        known.filter(|address| self.is_v4(address) == own).cloned().collect()
    }

    /// The best kind among the pairs that work.
    fn best_pair(&mut self) -> Option<PathKind> {
        let mut best = None;
        for end in self.ends().into_iter().filter(|end| end.side() == 0) {
            for to in self.known_to(end) {
                let Some(Arrival { at: Receiver::End(other), from }) = self.send(end, &to) else { continue };
                if other.side() == 0 {
                    continue;
                }
                let Some(answer) = self.send(other, &from) else { continue };
                if answer.at == Receiver::End(end) && answer.from == to {
                    let kind = kind_of([end, other], [&from, &to]);
                    best = Some(best.map_or(kind, |best: PathKind| best.min(kind)));
                }
            }
        }
        best
    }

    fn failure_of(&self, side: usize) -> Failure {
        let has_pair = self.ends().into_iter().any(|end| end.side() == side && !self.known_to(end).is_empty());
        if has_pair { Failure::NoPairSucceeded } else { Failure::NoPairs }
    }

    /// Sends from an end to an address. What routers and servers remember of it stays, even if it does not arrive.
    fn send(&mut self, end: End, to: &Address) -> Option<Arrival> {
        match end {
            End::Socket { side, .. } => self.carry(self.topology.machines[side].realm, end.address(), to.clone()),
            End::Relay { side } => {
                let ip = self.ip(to);
                self.remembered.insert(Memory::Permission { side, ip });
                self.carry(PUBLIC, end.address(), to.clone())
            }
        }
    }

    /// Carries a packet that is in `realm` to wherever it goes.
    fn carry(&mut self, realm: Realm, from: Address, to: Address) -> Option<Arrival> {
        if depth(&from) > MAX_DEPTH {
            return None;
        }
        if let Some(router) = self.router_for(realm, &to) {
            return self.enter(router, from, to);
        }
        match &*to {
            Term::Socket { side, place } if self.topology.machines[*side].realm == realm => {
                Some(Arrival { at: Receiver::End(End::Socket { side: *side, place: *place }), from })
            }
            Term::Relay { side } if realm == PUBLIC => {
                let asked = Memory::Permission { side: *side, ip: self.ip(&from) };
                let permitted = self.relays[*side] && self.remembered.contains(&asked);
                permitted.then_some(Arrival { at: Receiver::End(End::Relay { side: *side }), from })
            }
            Term::Server { .. } if realm == PUBLIC => Some(Arrival { at: Receiver::Server, from }),
            _ => self.leave(realm.checked_sub(1)?, from, to),
        }
    }

    /// The router in this realm that has the address, or knows the way to it because it does not translate.
    fn router_for(&self, realm: Realm, to: &Address) -> Option<usize> {
        let (owner, mut at) = match &**to {
            Term::Socket { side, .. } => (None, self.topology.machines[*side].realm),
            Term::Outside { router, .. } => (Some(*router), self.topology.routers[*router].outer),
            _ => return None,
        };
        if at == realm {
            return owner;
        }
        let is_v4 = self.is_v4(to);
        loop {
            let router = self.topology.way_out(at)?;
            let family = if is_v4 { router.config.v4 } else { router.config.v6 };
            if family != Family::Routed {
                return None;
            }
            if router.outer == realm {
                return Some(at - 1);
            }
            at = router.outer;
        }
    }

    /// Through a router from inside.
    fn leave(&mut self, number: usize, from: Address, mut to: Address) -> Option<Arrival> {
        let router = &self.topology.routers[number];
        if !lets_udp_through(&router.config.firewall) {
            return None;
        }
        let mut is_v4 = self.is_v4(&to);
        if router.config.nat64.is_some() {
            if let Term::Synthesised(real) = &*to {
                to = real.clone();
                is_v4 = true;
            } else if is_v4 {
                return None;
            }
        }
        match if is_v4 { router.config.v4 } else { router.config.v6 } {
            Family::Absent => None,
            Family::Routed => {
                let outer = router.outer;
                self.remembered.insert(Memory::Flow { router: number, from: from.clone(), to: to.clone() });
                self.carry(outer, from, to)
            }
            Family::Translated(nat) => {
                let toward = self.toward(&nat, &to);
                let shown = Rc::new(Term::Outside { router: number, inside: from.clone(), toward: toward.clone() });
                let outer = router.outer;
                self.remembered.insert(Memory::Mapping {
                    router: number,
                    inside: from.clone(),
                    toward,
                    to: to.clone(),
                });
                let turns_back = matches!(&*to, Term::Outside { router, .. } if *router == number);
                match nat.hairpinning {
                    _ if !turns_back => self.carry(outer, shown, to),
                    Hairpinning::None => None,
                    Hairpinning::InternalSource => self.enter_from(number, shown, from, to),
                    Hairpinning::ExternalSource => self.enter_from(number, shown.clone(), shown, to),
                }
            }
        }
    }

    /// Through a router from outside.
    fn enter(&mut self, number: usize, from: Address, to: Address) -> Option<Arrival> {
        self.enter_from(number, from.clone(), from, to)
    }

    /// The same for a packet whose filtered source may differ from the one that it shows.
    fn enter_from(&mut self, number: usize, filtered: Address, from: Address, to: Address) -> Option<Arrival> {
        let router = &self.topology.routers[number];
        if !lets_udp_through(&router.config.firewall) {
            return None;
        }
        if let Term::Outside { router: owner, inside, toward } = &*to
            && *owner == number
        {
            let is_v4 = self.is_v4(&to);
            let Family::Translated(nat) = (if is_v4 { router.config.v4 } else { router.config.v6 }) else {
                return None;
            };
            let source = self.ip(&filtered);
            let lets_in = self.remembered.iter().any(|memory| match memory {
                Memory::Mapping { router: at, inside: of, toward: mapping, to: sent } => {
                    let same = *at == number && of == inside && mapping == toward;
                    same && match nat.filtering {
                        Dependence::EndpointIndependent => true,
                        Dependence::AddressDependent => self.ip(sent) == source,
                        Dependence::AddressAndPortDependent => *sent == filtered,
                    }
                }
                _ => false,
            });
            let from = if router.config.nat64.is_some() { Rc::new(Term::Synthesised(from)) } else { from };
            return if lets_in { self.carry(number + 1, from, inside.clone()) } else { None };
        }
        let flow = Memory::Flow { router: number, from: to.clone(), to: filtered };
        let lets_in = router.config.firewall.udp == Udp::Allowed || self.remembered.contains(&flow);
        if lets_in { self.carry(number + 1, from, to) } else { None }
    }

    /// Which destinations share a mapping with this one.
    fn toward(&self, nat: &Nat, to: &Address) -> Toward {
        match nat.mapping {
            // The port is the same for all of them, if only because nothing keeps them apart.
            _ if nat.ports == PortAssignment::PreservingOrOverload => Toward::All,
            Dependence::EndpointIndependent => Toward::All,
            Dependence::AddressDependent => Toward::Ip(self.ip(to)),
            Dependence::AddressAndPortDependent => Toward::Exactly(to.clone()),
        }
    }

    fn is_v4(&self, address: &Address) -> bool {
        match &**address {
            Term::Socket { side, place } => self.topology.machines[*side].addresses[*place].is_ipv4(),
            // All outside addresses in these drawings are of IPv4.
            Term::Outside { router, .. } => self.topology.routers[*router].outside.iter().any(IpAddr::is_ipv4),
            Term::Relay { .. } => RELAY.is_ipv4(),
            Term::Server { v4 } => SERVER[usize::from(!v4)].is_ipv4(),
            Term::Synthesised(_) => false,
        }
    }

    fn ip(&self, address: &Address) -> Ip {
        match &**address {
            Term::Socket { side, place } => Ip::Machine { side: *side, place: *place },
            Term::Outside { router, .. } => Ip::Router(*router),
            Term::Relay { .. } => Ip::Relays,
            Term::Server { v4 } => Ip::Server { v4: *v4 },
            Term::Synthesised(real) => Ip::Synthesised(Box::new(self.ip(real))),
        }
    }
}

impl End {
    fn side(self) -> usize {
        match self {
            Self::Socket { side, .. } | Self::Relay { side } => side,
        }
    }

    fn address(self) -> Address {
        Rc::new(match self {
            Self::Socket { side, place } => Term::Socket { side, place },
            Self::Relay { side } => Term::Relay { side },
        })
    }
}

fn lets_udp_through(firewall: &Firewall) -> bool {
    firewall.udp != Udp::Blocked
}

/// The kind of a pair: its ends, and the addresses that each is seen at by the other.
fn kind_of(ends: [End; 2], seen_at: [&Address; 2]) -> PathKind {
    let relays = ends.iter().filter(|end| matches!(end, End::Relay { .. })).count();
    let bare = ends.iter().zip(seen_at).all(|(end, seen_at)| end.address() == *seen_at);
    match relays {
        0 if bare => PathKind::Direct,
        0 => PathKind::Translated,
        1 => PathKind::RelayedOnce,
        _ => PathKind::RelayedTwice,
    }
}

fn depth(address: &Address) -> usize {
    match &**address {
        Term::Outside { inside, toward, .. } => {
            let toward = match toward {
                Toward::Exactly(address) => depth(address),
                _ => 0,
            };
            1 + depth(inside).max(toward)
        }
        Term::Synthesised(real) => depth(real),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::kind::{Kind, Networks, Servers, Shared};

    fn verdict(a: Kind, b: Kind, servers: Servers) -> Verdict {
        foresee(&Topology::new(Networks::Apart(a, b), servers))
    }

    fn connects(a: Kind, b: Kind, servers: Servers) -> Option<PathKind> {
        match verdict(a, b, servers) {
            Verdict::Connects(kind) => Some(kind),
            Verdict::Fails(_) => None,
        }
    }

    /// The table that every text on hole punching has.
    #[test]
    fn nats_with_a_stun_server_are_as_everybody_knows_them() {
        use Kind::*;
        let nats = [FullCone, AddressRestricted, PortRestricted, Symmetric];
        let punched =
            [[true, true, true, true], [true, true, true, true], [true, true, true, false], [true, true, false, false]];
        for (a, row) in nats.into_iter().zip(punched) {
            for (b, expected) in nats.into_iter().zip(row) {
                let kind = connects(a, b, Servers::Stun);
                assert_eq!(kind, expected.then_some(PathKind::Translated), "{a} and {b}");
                let relayed = connects(a, b, Servers::TurnUdp);
                let best = if expected { PathKind::Translated } else { PathKind::RelayedOnce };
                assert_eq!(relayed, Some(best), "{a} and {b}");
            }
        }
    }

    #[test]
    fn a_cell_does_not_depend_on_who_controls() {
        for networks in Networks::all() {
            let Networks::Apart(a, b) = networks else { continue };
            for servers in Servers::ALL {
                let mirrored = match verdict(b, a, servers) {
                    Verdict::Fails([b, a]) => Verdict::Fails([a, b]),
                    connects => connects,
                };
                assert_eq!(verdict(a, b, servers), mirrored, "{networks} {servers}");
            }
        }
    }

    #[test]
    fn more_servers_never_make_it_worse() {
        for networks in Networks::all() {
            let kinds = Servers::ALL.map(|servers| match foresee(&Topology::new(networks, servers)) {
                Verdict::Connects(kind) => kind as usize,
                Verdict::Fails(_) => usize::MAX,
            });
            assert!(kinds[1] <= kinds[0] && kinds[2] <= kinds[1] && kinds[3] <= kinds[1], "{networks}: {kinds:?}");
        }
    }

    #[test]
    fn turn_over_tcp_always_connects() {
        for networks in Networks::all() {
            assert!(matches!(foresee(&Topology::new(networks, Servers::TurnTcp)), Verdict::Connects(_)), "{networks}");
        }
    }

    #[test]
    fn what_is_special_is_seen() {
        use Kind::*;
        assert_eq!(connects(TcpOnly, UdpBlocked, Servers::TurnTcp), Some(PathKind::RelayedTwice));
        assert_eq!(connects(TcpOnly, UdpBlocked, Servers::TurnUdp), None);
        assert_eq!(connects(DualStack, Nat64, Servers::None), Some(PathKind::Direct), "two IPv6 firewalls");
        assert_eq!(connects(PortRestricted, Public, Servers::None), Some(PathKind::Translated), "peer-reflexive");
        assert_eq!(
            verdict(Ipv6Only, Ipv4Only, Servers::Stun),
            Verdict::Fails([Failure::NoPairs, Failure::NoPairs]),
            "families that do not meet"
        );
        // The side behind the NAT64 shows an IPv4 address, so that the other one has something to try.
        assert_eq!(
            verdict(Nat64, Ipv4Only, Servers::Stun),
            Verdict::Fails([Failure::NoPairs, Failure::NoPairSucceeded])
        );
        let shared = |shared| foresee(&Topology::new(Networks::Together(shared), Servers::Stun));
        assert_eq!(shared(Shared::Lan), Verdict::Connects(PathKind::Direct));
        assert_eq!(shared(Shared::Hairpinning), Verdict::Connects(PathKind::Translated));
        for broken in [Shared::HairpinningInside, Shared::NoHairpinning] {
            assert!(matches!(shared(broken), Verdict::Fails(_)), "{broken}");
        }
    }
}
