//! What one cell looks like, as a drawing: neither the network nor an agent is in it.
//!
//! Two read it: `stage` builds it in the virtual internet, and [`super::oracle`] thinks about it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use frazil::Protocol;
use frazil_internet::RouterConfig;

use super::kind::{Kind, Networks, Servers, Shared};

/// The STUN and TURN server, on the public internet.
pub const SERVER: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x5, 0, 0, 0, 0, 1))];

/// The address whose ports the TURN server lends.
pub const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));

/// Where the server listens.
pub const SERVER_PORT: u16 = 3478;

/// A realm by its number: 0 is the public internet, and router `n` makes realm `n + 1`.
pub type Realm = usize;

/// The public internet.
pub const PUBLIC: Realm = 0;

/// Two machines, what is between them, and the servers that they may ask.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The routers; one that is inside another comes after it.
    pub routers: Vec<Router>,
    /// The controlling machine and the controlled one.
    pub machines: [Machine; 2],
    /// Whether there is a STUN server.
    pub stun: bool,
    /// How the TURN server is asked, if there is one.
    pub turn: Option<Protocol>,
}

/// A router between two realms.
#[derive(Clone, Debug)]
pub struct Router {
    /// The realm outside.
    pub outer: Realm,
    /// Its addresses there.
    pub outside: Vec<IpAddr>,
    /// What it does.
    pub config: RouterConfig,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where it is.
    pub realm: Realm,
    /// Its addresses, the preferred one first: IPv6 before IPv4.
    pub addresses: Vec<IpAddr>,
}

impl Topology {
    /// Draws a cell.
    #[must_use]
    pub fn new(networks: Networks, servers: Servers) -> Self {
        let mut topology = Self {
            routers: Vec::new(),
            machines: [Machine::nowhere(), Machine::nowhere()],
            stun: servers != Servers::None,
            turn: match servers {
                Servers::None | Servers::Stun => None,
                Servers::TurnUdp => Some(Protocol::Udp),
                Servers::TurnTcp => Some(Protocol::Tcp),
            },
        };
        match networks {
            Networks::Apart(a, b) => {
                topology.place(0, a);
                topology.place(1, b);
            }
            Networks::Together(shared) => topology.place_together(shared),
        }
        topology
    }

    fn place(&mut self, side: usize, kind: Kind) {
        let realm = kind.routers().into_iter().fold(PUBLIC, |outer, config| self.add_router(side, outer, config));
        let mut addresses = Vec::new();
        if kind.has_ipv6() {
            addresses.push(ipv6(side, realm));
        }
        if kind.has_ipv4() {
            addresses.push(if realm == PUBLIC { outside(side) } else { inside(side) });
        }
        self.machines[side] = Machine { realm, addresses };
    }

    fn place_together(&mut self, shared: Shared) {
        let common = self.add_router(0, PUBLIC, shared.router());
        for side in [0, 1] {
            let realm = match shared.own_router() {
                Some(own) => self.add_router(side, common, own),
                None => common,
            };
            self.machines[side] = Machine { realm, addresses: vec![inside(side)] };
        }
    }

    fn add_router(&mut self, side: usize, outer: Realm, config: RouterConfig) -> Realm {
        let ipv4 = if outer == PUBLIC { outside(side) } else { between(side) };
        self.routers.push(Router { outer, outside: vec![ipv4], config });
        self.routers.len()
    }

    /// The router that leads out of a realm.
    #[must_use]
    pub fn way_out(&self, realm: Realm) -> Option<&Router> {
        self.routers.get(realm.checked_sub(1)?)
    }

    /// The prefix under which a machine reaches IPv4, if it is behind a NAT64.
    #[must_use]
    pub fn prefix(&self, machine: &Machine) -> Option<Ipv6Addr> {
        self.way_out(machine.realm)?.config.nat64
    }
}

impl Machine {
    fn nowhere() -> Self {
        Self { realm: PUBLIC, addresses: Vec::new() }
    }
}

/// A side's address on the public internet, the machine's or its router's.
fn outside(side: usize) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, 10 + 10 * side as u8).into()
}

/// The address of a home's router inside the carrier's network (RFC 6598).
fn between(side: usize) -> IpAddr {
    Ipv4Addr::new(100, 64, 0, 10 + 10 * side as u8).into()
}

/// All homes number their machines alike.
fn inside(side: usize) -> IpAddr {
    Ipv4Addr::new(192, 168, 1, 10 + 10 * side as u8).into()
}

fn ipv6(side: usize, realm: Realm) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xA + side as u16, realm as u16, 0, 0, 0, 0x10).into()
}
