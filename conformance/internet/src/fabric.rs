//! What lies between the machines: realms, routers, links, and the way of a packet through them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use frazil::Instant;

use crate::drops::{Dropped, Drops};
use crate::host::Node;
use crate::internet::{InterfaceId, LinkId, RouterId};
use crate::link::{Access, Conditions, Direction, Link};
use crate::packet::{Body, Packet};
use crate::router::{Router, RouterConfig, Verdict};

/// An address realm (RFC 2663 section 2.1): addresses in it reach one another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RealmId(pub(crate) usize);

/// The realm that all others are behind.
pub(crate) const PUBLIC: RealmId = RealmId(0);

pub(crate) struct Fabric {
    links: Vec<Link>,
    /// By both ends, in both orders.
    wires: BTreeMap<(IpAddr, IpAddr), (LinkId, Direction)>,
    /// The router that leads out of each realm.
    gateways: Vec<Option<RouterId>>,
    routers: Vec<Router>,
    interfaces: Vec<Interface>,
    /// Which interface a machine has an address on.
    homes: BTreeMap<(Node, IpAddr), InterfaceId>,
    /// Who takes what is sent to an address, and behind which link.
    addresses: BTreeMap<(RealmId, IpAddr), (LinkId, Place)>,
    chance: Chance,
    pub(crate) drops: Drops,
}

struct Interface {
    node: Node,
    link: LinkId,
    /// Where it is attached, and with which addresses.
    attached: Option<(RealmId, Vec<IpAddr>)>,
}

/// Where a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// At whichever machine has a socket at the end of a wire.
    Wire,
    /// At a machine.
    Node(Node),
    /// Before the outer side of a router.
    Router(RouterId),
    /// In a realm.
    Realm(RealmId),
}

/// A packet on a link, and where that takes it.
pub(crate) struct Moving {
    via: LinkId,
    to: Place,
    packet: Packet,
}

/// Takes what arrives later.
pub(crate) type Later<'a> = &'a mut dyn FnMut(Instant, Moving);

/// What is left to chance. Each has a sequence of its own, so that what happens to one kind of packet does not
/// depend on how many of another kind there are: protected ones are not the same in every run.
pub(crate) struct Chance {
    pub(crate) stun: fastrand::Rng,
    pub(crate) others: fastrand::Rng,
    pub(crate) segments: fastrand::Rng,
    pub(crate) routers: fastrand::Rng,
}

impl Chance {
    fn of(&mut self, packet: &Packet) -> &mut fastrand::Rng {
        match &packet.body {
            Body::Datagram(payload) if crate::is_stun(payload) => &mut self.stun,
            Body::Datagram(_) => &mut self.others,
            Body::Segment(_) => &mut self.segments,
        }
    }
}

impl Fabric {
    pub(crate) fn new(chance: Chance) -> Self {
        Self {
            links: Vec::new(),
            wires: BTreeMap::new(),
            gateways: vec![None],
            routers: Vec::new(),
            interfaces: Vec::new(),
            homes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            chance,
            drops: Drops::default(),
        }
    }

    pub(crate) fn link_mut(&mut self, link: LinkId) -> &mut Link {
        &mut self.links[link.0]
    }

    pub(crate) fn router_mut(&mut self, router: RouterId) -> &mut Router {
        &mut self.routers[router.0]
    }

    pub(crate) fn access(&self, interface: InterfaceId) -> LinkId {
        self.interfaces[interface.0].link
    }

    pub(crate) fn uplink(&self, router: RouterId) -> LinkId {
        self.routers[router.0].link
    }

    fn lay(&mut self, there: Conditions, back: Conditions) -> LinkId {
        self.links.push(Link::new(there, back));
        LinkId(self.links.len() - 1)
    }

    pub(crate) fn wire(&mut self, a: IpAddr, b: IpAddr, there: Conditions, back: Conditions) -> LinkId {
        let id = self.lay(there, back);
        for (ends, direction) in [((a, b), Direction::There), ((b, a), Direction::Back)] {
            let taken = self.wires.insert(ends, (id, direction));
            assert_eq!(taken, None, "{a} and {b} are joined already");
        }
        id
    }

    pub(crate) fn add_interface(&mut self, node: Node, access: Access) -> InterfaceId {
        let link = self.lay(access.up, access.down);
        self.interfaces.push(Interface { node, link, attached: None });
        InterfaceId(self.interfaces.len() - 1)
    }

    pub(crate) fn attach(&mut self, interface: InterfaceId, realm: RealmId, addresses: &[IpAddr]) {
        self.detach(interface);
        let Interface { node, link, attached } = &mut self.interfaces[interface.0];
        *attached = Some((realm, addresses.to_vec()));
        let (node, link) = (*node, *link);
        for &address in addresses {
            let taken = self.homes.insert((node, address), interface);
            assert_eq!(taken, None, "{node:?} has {address} already");
            self.register(realm, address, link, Place::Node(node));
        }
    }

    pub(crate) fn detach(&mut self, interface: InterfaceId) {
        let Interface { node, attached, .. } = &mut self.interfaces[interface.0];
        let node = *node;
        let Some((realm, addresses)) = attached.take() else { return };
        for address in addresses {
            self.homes.remove(&(node, address));
            self.unregister(realm, address);
        }
    }

    pub(crate) fn add_router(
        &mut self,
        outer: RealmId,
        outside: &[IpAddr],
        access: Access,
        config: RouterConfig,
    ) -> (RouterId, RealmId) {
        let (id, inner) = (RouterId(self.routers.len()), RealmId(self.gateways.len()));
        let link = self.lay(access.up, access.down);
        self.gateways.push(Some(id));
        self.routers.push(Router::new([outer, inner], link, outside, config, self.chance.routers.fork()));
        for &address in outside {
            self.register(outer, address, link, Place::Router(id));
        }
        (id, inner)
    }

    pub(crate) fn renumber(&mut self, router: RouterId, outside: &[IpAddr]) {
        let Router { outer, link, .. } = self.routers[router.0];
        for address in std::mem::take(&mut self.routers[router.0].outside) {
            self.unregister(outer, address);
        }
        self.routers[router.0].set_outside(outside);
        for &address in outside {
            self.register(outer, address, link, Place::Router(router));
        }
    }

    /// Makes an address known in a realm, and outside of it as far as routers do not translate.
    fn register(&mut self, realm: RealmId, address: IpAddr, link: LinkId, place: Place) {
        let taken = self.addresses.insert((realm, address), (link, place));
        assert_eq!(taken, None, "{address} is taken in {realm:?}");
        if let Some(gateway) = self.router_before(realm, address) {
            let Router { outer, link, .. } = self.routers[gateway.0];
            self.register(outer, address, link, Place::Router(gateway));
        }
    }

    fn unregister(&mut self, realm: RealmId, address: IpAddr) {
        self.addresses.remove(&(realm, address));
        if let Some(gateway) = self.router_before(realm, address) {
            self.unregister(self.routers[gateway.0].outer, address);
        }
    }

    /// The router that makes an address of a realm known outside.
    fn router_before(&self, realm: RealmId, address: IpAddr) -> Option<RouterId> {
        self.gateways[realm.0].filter(|gateway| self.routers[gateway.0].routes(address))
    }

    /// A machine sends a packet.
    pub(crate) fn emit(&mut self, node: Node, packet: Packet, now: Instant, later: Later<'_>) {
        let ends = (packet.from.ip(), packet.to.ip());
        if let Some(&(wire, direction)) = self.wires.get(&ends) {
            return self.cross(wire, direction, Place::Wire, packet, now, later);
        }
        let Some(&interface) = self.homes.get(&(node, ends.0)) else { return self.drops.count(Dropped::NoRoute) };
        let Interface { link, attached, .. } = &self.interfaces[interface.0];
        let (realm, _) = attached.as_ref().expect("an address is home on an attached interface");
        self.cross(*link, Direction::There, Place::Realm(*realm), packet, now, later);
    }

    /// A packet reaches the end of a link. Gives it back with the place if a machine is there.
    pub(crate) fn arrive(&mut self, moving: Moving, now: Instant, later: Later<'_>) -> Option<(Place, Packet)> {
        let Moving { via, to, packet } = moving;
        if !self.links[via.0].up {
            self.drops.count(Dropped::Down);
            return None;
        }
        if matches!(to, Place::Wire | Place::Node(_)) {
            return Some((to, packet));
        }
        self.pass(to, packet, now, later);
        None
    }

    fn cross(&mut self, via: LinkId, direction: Direction, to: Place, packet: Packet, now: Instant, later: Later<'_>) {
        let rng = self.chance.of(&packet);
        let (first, copy) = match self.links[via.0].carry(direction, packet.size(), now, rng) {
            Ok(delays) => delays,
            Err(reason) => return self.drops.count(reason),
        };
        if let Some(copy) = copy {
            later(now + copy, Moving { via, to, packet: packet.clone() });
        }
        // Where nothing holds it up, it need not stand in the queue; but machines get theirs one at a time.
        if first.is_zero() && matches!(to, Place::Realm(_) | Place::Router(_)) {
            self.pass(to, packet, now, later);
        } else {
            later(now + first, Moving { via, to, packet });
        }
    }

    fn pass(&mut self, at: Place, packet: Packet, now: Instant, later: Later<'_>) {
        match at {
            Place::Realm(realm) => self.enter(realm, packet, true, now, later),
            Place::Router(router) => {
                let verdict = self.routers[router.0].inbound(packet, now);
                self.route(router, verdict, PassedOn::ToOuter, now, later);
            }
            Place::Wire | Place::Node(_) => unreachable!("packets leave the fabric there"),
        }
    }

    /// A packet is in a realm. From inside, it may leave by the gateway.
    fn enter(&mut self, realm: RealmId, packet: Packet, from_inside: bool, now: Instant, later: Later<'_>) {
        if let Some(&(link, place)) = self.addresses.get(&(realm, packet.to.ip())) {
            return self.cross(link, Direction::Back, place, packet, now, later);
        }
        match self.gateways[realm.0].filter(|_| from_inside) {
            Some(gateway) => {
                let verdict = self.routers[gateway.0].outbound(packet, now);
                self.route(gateway, verdict, PassedOn::ToInner, now, later);
            }
            None => self.drops.count(Dropped::NoRoute),
        }
    }

    /// Does what a router says. A refusal goes back to where the packet came from.
    fn route(&mut self, router: RouterId, verdict: Verdict, back: PassedOn, now: Instant, later: Later<'_>) {
        let Router { outer, inner, link, .. } = self.routers[router.0];
        let out = |this: &mut Self, packet, later: Later<'_>| {
            this.cross(link, Direction::There, Place::Realm(outer), packet, now, later);
        };
        match verdict {
            Verdict::Out(packet) => out(self, packet, later),
            Verdict::In(packet) => self.enter(inner, packet, false, now, later),
            Verdict::Dropped(reason, refusal) => {
                self.drops.count(reason);
                match (refusal, back) {
                    (None, _) => {}
                    (Some(refusal), PassedOn::ToOuter) => out(self, refusal, later),
                    (Some(refusal), PassedOn::ToInner) => self.enter(inner, refusal, false, now, later),
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum PassedOn {
    ToOuter,
    ToInner,
}
