//! What is tried: two networks and the servers, drawn once and laid twice, here by the kernel and in the virtual internet.

use std::fmt;
use std::net::IpAddr;

use frazil_conformance::matrix::topology::{Realm, Router};
use frazil_conformance::matrix::{self, Kind, Shared, Topology};
use frazil_internet::{Dependence, Family, Hairpinning, Nat, RouterConfig, Udp};

/// The kinds of network that the kernel can be.
pub(crate) const KINDS: [Kind; 7] = [
    Kind::Ipv4Only,
    Kind::FullCone,
    Kind::AddressRestricted,
    Kind::PortRestricted,
    Kind::Symmetric,
    Kind::DoubleNat,
    Kind::UdpBlocked,
];

/// Two networks and the servers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Cell {
    pub(crate) networks: Networks,
    pub(crate) servers: Servers,
}

/// Where the two sides are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Networks {
    /// As in the matrix of the virtual internet.
    Known(matrix::Networks),
    /// Both behind one port-restricted NAT, in a network that keeps its machines from each other, as those of guests do.
    Isolated {
        /// Whether the NAT lets them meet at its outside addresses.
        hairpins: bool,
    },
}

/// Whom they may ask.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Servers {
    /// Nobody.
    None,
    /// A STUN server.
    Stun,
    /// That and a TURN server, over UDP.
    TurnUdp,
    /// Over TCP.
    TurnTcp,
    /// Over TLS.
    TurnTls,
}

/// A drawing that the kernel can lay.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    pub(crate) topology: Topology,
    /// Whether machines in one realm are kept from each other.
    pub(crate) isolated: bool,
}

impl Cell {
    /// All of them, in the order of the table. Which side controls makes no difference to what is possible, so each pair of
    /// kinds is there once.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Networks::all().flat_map(|networks| Servers::ALL.map(|servers| Self { networks, servers }))
    }

    /// The four that are tried with Chromium on one side: a path that both must open, a NAT that gives each destination
    /// another port, and a relay that can be reached by a stream only.
    pub(crate) fn with_chromium() -> [Self; 4] {
        let apart = |a, b, servers| Self { networks: Networks::Known(matrix::Networks::Apart(a, b)), servers };
        [
            apart(Kind::PortRestricted, Kind::PortRestricted, Servers::Stun),
            apart(Kind::PortRestricted, Kind::Symmetric, Servers::TurnUdp),
            apart(Kind::PortRestricted, Kind::UdpBlocked, Servers::TurnTcp),
            apart(Kind::PortRestricted, Kind::UdpBlocked, Servers::TurnTls),
        ]
    }

    /// What the virtual internet is to lay. It knows no isolation: a machine of such a network has a router of its own
    /// there, which is open and translates, so that the two have no address of each other but an outside one.
    pub(crate) fn foreseen(self) -> Topology {
        let mut topology = self.networks.topology(self.servers.known());
        if matches!(self.networks, Networks::Isolated { .. }) {
            for side in [0, 1] {
                let outside = vec![IpAddr::from([100, 64, 0, 10 + 10 * side as u8])];
                topology.routers.push(Router { outer: COMMON, outside, config: RouterConfig::full_cone() });
                topology.machines[side].realm = topology.routers.len();
            }
        }
        topology
    }

    /// What the kernel is to lay.
    pub(crate) fn drawing(self) -> Drawing {
        self.networks.drawing(self.servers.known())
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.networks, self.servers.name())
    }
}

/// The realm behind the router that both share.
const COMMON: Realm = 1;

impl Networks {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let apart = (0..KINDS.len()).flat_map(|a| (a..KINDS.len()).map(move |b| (KINDS[a], KINDS[b])));
        let apart = apart.map(|(a, b)| Self::Known(matrix::Networks::Apart(a, b)));
        apart.chain(Self::together())
    }

    /// Those that the two sides share.
    pub(crate) fn together() -> impl Iterator<Item = Self> {
        let shared = Shared::ALL.map(|shared| Self::Known(matrix::Networks::Together(shared)));
        shared.into_iter().chain([true, false].map(|hairpins| Self::Isolated { hairpins }))
    }

    /// What the kernel is to lay, whoever may be asked.
    pub(crate) fn drawing(self, servers: matrix::Servers) -> Drawing {
        Drawing { topology: self.topology(servers), isolated: matches!(self, Self::Isolated { .. }) }
    }

    fn topology(self, servers: matrix::Servers) -> Topology {
        match self {
            Self::Known(networks) => Topology::new(networks, servers),
            Self::Isolated { hairpins } => {
                let mut topology = Topology::new(matrix::Networks::Together(Shared::Lan), servers);
                let hairpinning = if hairpins { Hairpinning::ExternalSource } else { Hairpinning::None };
                let nat = Nat { hairpinning, ..Nat::cone(Dependence::AddressAndPortDependent) };
                topology.routers[COMMON - 1].config = RouterConfig::ipv4(nat);
                topology
            }
        }
    }

    /// Whether both sides are in it.
    pub(crate) fn is_shared(self) -> bool {
        !matches!(self, Self::Known(matrix::Networks::Apart(..)))
    }

    /// What the two sides are called in the table.
    pub(crate) fn names(self) -> [&'static str; 2] {
        match self {
            Self::Known(matrix::Networks::Apart(a, b)) => [a, b].map(name_of),
            Self::Known(matrix::Networks::Together(shared)) => [shared.name(), "(shared)"],
            Self::Isolated { hairpins: true } => ["isolated", "(shared)"],
            Self::Isolated { hairpins: false } => ["isolated-none", "(shared)"],
        }
    }
}

/// IPv4 alone, without anything before it, is all there is of a public network here.
fn name_of(kind: Kind) -> &'static str {
    if kind == Kind::Ipv4Only { Kind::Public.name() } else { kind.name() }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.names();
        if self.is_shared() { f.write_str(a) } else { write!(f, "{a} {b}") }
    }
}

impl Servers {
    pub(crate) const ALL: [Self; 5] = [Self::None, Self::Stun, Self::TurnUdp, Self::TurnTcp, Self::TurnTls];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TurnTls => "turn-tls",
            other => other.known().name(),
        }
    }

    /// What the virtual internet knows that comes to the same.
    pub(crate) const fn known(self) -> matrix::Servers {
        match self {
            Self::None => matrix::Servers::None,
            Self::Stun => matrix::Servers::Stun,
            Self::TurnUdp => matrix::Servers::TurnUdp,
            Self::TurnTcp | Self::TurnTls => matrix::Servers::TurnTcp,
        }
    }
}

/// How everything between a machine and the public internet maps and filters together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behaviour {
    /// Nothing is translated and nothing is filtered.
    Open,
    /// No datagram comes through.
    Blocked,
    /// A NAT, or several.
    Translates {
        /// On what the outside port depends.
        mapping: Dependence,
        /// On what it depends who is let in.
        filtering: Dependence,
    },
}

impl Drawing {
    /// What the router that both sides share does with datagrams to its own outside address.
    pub(crate) fn hairpinning(&self) -> Hairpinning {
        match self.topology.routers.first().map(|router| router.config.v4) {
            Some(Family::Translated(nat)) => nat.hairpinning,
            _ => Hairpinning::None,
        }
    }

    /// How this side's network is drawn: as the strictest of what it is behind.
    pub(crate) fn behaviour(&self, side: usize) -> Behaviour {
        let mut behaviour = Behaviour::Open;
        let mut realm = self.topology.machines[side].realm;
        while let Some(router) = self.topology.way_out(realm) {
            if router.config.firewall.udp == Udp::Blocked {
                return Behaviour::Blocked;
            }
            if let Family::Translated(nat) = router.config.v4 {
                behaviour = match behaviour {
                    Behaviour::Translates { mapping, filtering } => Behaviour::Translates {
                        mapping: stricter(mapping, nat.mapping),
                        filtering: stricter(filtering, nat.filtering),
                    },
                    _ => Behaviour::Translates { mapping: nat.mapping, filtering: nat.filtering },
                };
            }
            realm = router.outer;
        }
        behaviour
    }
}

fn stricter(a: Dependence, b: Dependence) -> Dependence {
    let rank = |dependence| match dependence {
        Dependence::EndpointIndependent => 0,
        Dependence::AddressDependent => 1,
        Dependence::AddressAndPortDependent => 2,
    };
    if rank(a) < rank(b) { b } else { a }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brief = |dependence| match dependence {
            Dependence::EndpointIndependent => "any",
            Dependence::AddressDependent => "addr",
            Dependence::AddressAndPortDependent => "addr+port",
        };
        match *self {
            Self::Open => f.pad("none"),
            Self::Blocked => f.pad("no UDP"),
            Self::Translates { mapping, filtering } => f.pad(&format!("{}/{}", brief(mapping), brief(filtering))),
        }
    }
}
