//! The kinds of network that a side may be in.

use std::fmt;

use frazil_internet::{Dependence, Hairpinning, Nat, PortAssignment, RouterConfig};

/// What lies between one machine and the public internet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Addresses of both families on the public internet, and nothing before them.
    Public,
    /// An IPv4 address on the public internet, and no IPv6.
    Ipv4Only,
    /// An IPv6 address on the public internet, and no IPv4.
    Ipv6Only,
    /// What many homes have: IPv4 behind a port-restricted NAT, IPv6 behind a firewall that lets in what answers.
    DualStack,
    /// IPv6 behind such a firewall, which translates to IPv4 for those who use its prefix.
    Nat64,
    /// A NAT with endpoint-independent mapping and filtering.
    FullCone,
    /// One that filters by address.
    AddressRestricted,
    /// One that filters by address and port.
    PortRestricted,
    /// A NAT with a mapping for each remote address and port, and random outside ports.
    Symmetric,
    /// The same, which keeps a port if it is free.
    SymmetricPreserving,
    /// The same, which counts its ports upwards.
    SymmetricSequential,
    /// A port-restricted NAT behind the carrier's own.
    DoubleNat,
    /// A port-restricted NAT that lets no UDP through.
    UdpBlocked,
    /// One that lets nothing through but TCP to the ports 443 and 3478.
    TcpOnly,
}

impl Kind {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 14] = [
        Self::Public,
        Self::Ipv4Only,
        Self::Ipv6Only,
        Self::DualStack,
        Self::Nat64,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::SymmetricPreserving,
        Self::SymmetricSequential,
        Self::DoubleNat,
        Self::UdpBlocked,
        Self::TcpOnly,
    ];

    /// The name in tables and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Ipv4Only => "ipv4-only",
            Self::Ipv6Only => "ipv6-only",
            Self::DualStack => "dual-stack",
            Self::Nat64 => "nat64",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "addr-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::SymmetricPreserving => "sym-preserving",
            Self::SymmetricSequential => "sym-sequential",
            Self::DoubleNat => "double-nat",
            Self::UdpBlocked => "udp-blocked",
            Self::TcpOnly => "tcp-only",
        }
    }

    /// Whether the machine has an IPv4 address.
    #[must_use]
    pub const fn has_ipv4(self) -> bool {
        !matches!(self, Self::Ipv6Only | Self::Nat64)
    }

    /// Whether the machine has an IPv6 address.
    #[must_use]
    pub const fn has_ipv6(self) -> bool {
        matches!(self, Self::Public | Self::Ipv6Only | Self::DualStack | Self::Nat64)
    }

    /// The routers before the machine, from the public internet inwards.
    #[must_use]
    pub fn routers(self) -> Vec<RouterConfig> {
        let symmetric = |ports| vec![RouterConfig::ipv4(Nat { ports, ..Nat::symmetric() })];
        match self {
            Self::Public | Self::Ipv4Only | Self::Ipv6Only => Vec::new(),
            Self::DualStack => vec![RouterConfig::dual_stack()],
            Self::Nat64 => vec![RouterConfig::nat64()],
            Self::FullCone => vec![RouterConfig::full_cone()],
            Self::AddressRestricted => vec![RouterConfig::address_restricted()],
            Self::PortRestricted => vec![RouterConfig::port_restricted()],
            Self::Symmetric => symmetric(PortAssignment::Random),
            Self::SymmetricPreserving => symmetric(PortAssignment::Preserving),
            Self::SymmetricSequential => symmetric(PortAssignment::Sequential),
            Self::DoubleNat => vec![RouterConfig::carrier_grade(), RouterConfig::port_restricted()],
            Self::UdpBlocked => vec![RouterConfig::udp_blocked()],
            Self::TcpOnly => vec![RouterConfig::tcp_only()],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Two machines that share more than the public internet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shared {
    /// Both in one local network, behind a port-restricted NAT.
    Lan,
    /// Each behind a port-restricted NAT of its own, both of those behind one NAT of the carrier's, which hairpins with
    /// outside source addresses as RFC 4787 REQ-9 wants.
    Hairpinning,
    /// The same, but the carrier's NAT shows the inside source address, which neither home has asked for.
    HairpinningInside,
    /// The same, but the carrier's NAT does not hairpin.
    NoHairpinning,
}

impl Shared {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Lan, Self::Hairpinning, Self::HairpinningInside, Self::NoHairpinning];

    /// The name in tables and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "same-lan",
            Self::Hairpinning => "same-nat",
            Self::HairpinningInside => "same-nat-inside",
            Self::NoHairpinning => "same-nat-none",
        }
    }

    /// The router that both are behind.
    #[must_use]
    pub fn router(self) -> RouterConfig {
        let carrier = |hairpinning| {
            RouterConfig::ipv4(Nat {
                ports: PortAssignment::Random,
                hairpinning,
                ..Nat::cone(Dependence::AddressAndPortDependent)
            })
        };
        match self {
            Self::Lan => RouterConfig::port_restricted(),
            Self::Hairpinning => carrier(Hairpinning::ExternalSource),
            Self::HairpinningInside => carrier(Hairpinning::InternalSource),
            Self::NoHairpinning => carrier(Hairpinning::None),
        }
    }

    /// The router that each has for itself behind that one.
    #[must_use]
    pub fn own_router(self) -> Option<RouterConfig> {
        (self != Self::Lan).then(RouterConfig::port_restricted)
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which networks the two sides are in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Networks {
    /// The controlling side's, and the controlled side's.
    Apart(Kind, Kind),
    /// One for both.
    Together(Shared),
}

impl Networks {
    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        let apart = Kind::ALL.into_iter().flat_map(|a| Kind::ALL.map(|b| Self::Apart(a, b)));
        apart.chain(Shared::ALL.map(Self::Together))
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Apart(a, b) => format!("{} {}", a.name(), b.name()),
            Self::Together(shared) => shared.name().to_owned(),
        };
        f.pad(&text)
    }
}

/// Which servers there are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Servers {
    /// None.
    None,
    /// A STUN server.
    Stun,
    /// A STUN server, and a TURN server that is asked over UDP.
    TurnUdp,
    /// A STUN server, and a TURN server that is asked over TCP.
    TurnTcp,
}

impl Servers {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::None, Self::Stun, Self::TurnUdp, Self::TurnTcp];

    /// The name in tables and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Stun => "stun",
            Self::TurnUdp => "turn-udp",
            Self::TurnTcp => "turn-tcp",
        }
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
