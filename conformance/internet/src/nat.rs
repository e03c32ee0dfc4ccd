//! How a NAT behaves, in the terms of RFC 4787 (UDP) and RFC 5382 (TCP).

use std::time::Duration;

/// How a NAT translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nat {
    /// On what an outside address and port depends beside the inside one (section 4.1).
    pub mapping: Dependence,
    /// Whom a mapping lets in (section 5).
    pub filtering: Dependence,
    /// Which outside port a mapping gets (section 4.2.1).
    pub ports: PortAssignment,
    /// Whether even ports stay even and odd ones odd (section 4.2.2).
    pub parity: bool,
    /// Whether an odd inside port gets the outside port after that of the even one before it (section 4.2.3).
    pub contiguity: bool,
    /// Which of several outside addresses a mapping gets (section 4.1).
    pub pooling: Pooling,
    /// What happens to packets from inside to an outside address of this NAT (section 6).
    pub hairpinning: Hairpinning,
    /// How long a UDP mapping lives without being refreshed (section 4.3); so does the permission of a remote address.
    pub lifetime: Duration,
    /// Whether packets from outside refresh a mapping; those from inside do.
    pub refreshed_by_inbound: bool,
    /// The same for TCP.
    pub tcp: TcpNat,
}

/// On what of the remote address something depends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dependence {
    /// On nothing of it.
    EndpointIndependent,
    /// On the address.
    AddressDependent,
    /// On the address and the port.
    AddressAndPortDependent,
}

/// Which outside port a mapping gets. Ports below 1024 stay there, and so do those above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortAssignment {
    /// That of the inside; a random one if it is taken.
    Preserving,
    /// That of the inside, even if another mapping has it: who is meant is told by the remote address (port overloading).
    PreservingOrOverload,
    /// A random one.
    Random,
    /// The one after that of the mapping before.
    Sequential,
}

/// Which of several outside addresses a mapping gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pooling {
    /// An inside address always the same.
    Paired,
    /// A random one for each mapping.
    Arbitrary,
}

/// What happens to packets from inside to an outside address of the same NAT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hairpinning {
    /// They are dropped.
    None,
    /// They come back inside with the source address that they had.
    InternalSource,
    /// They come back inside with the sender's outside address as their source.
    ExternalSource,
}

/// How a NAT treats TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpNat {
    /// As [`Nat::mapping`].
    pub mapping: Dependence,
    /// As [`Nat::filtering`].
    pub filtering: Dependence,
    /// What answers a connection from outside that is not let in (RFC 5382 REQ-4).
    pub refuses: Refusal,
}

/// What answers a connection that is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Nothing, so that a simultaneous open can succeed.
    Silently,
    /// A reset.
    WithReset,
}

impl Nat {
    /// A well-behaved NAT that filters this way: endpoint-independent mapping, ports preserved, no hairpinning,
    /// two minutes.
    #[must_use]
    pub const fn cone(filtering: Dependence) -> Self {
        Self::new(Dependence::EndpointIndependent, filtering, PortAssignment::Preserving)
    }

    /// A mapping and a permission for each remote address and port, with outside ports that nobody can foretell.
    #[must_use]
    pub const fn symmetric() -> Self {
        let each = Dependence::AddressAndPortDependent;
        Self::new(each, each, PortAssignment::Random)
    }

    const fn new(mapping: Dependence, filtering: Dependence, ports: PortAssignment) -> Self {
        Self {
            mapping,
            filtering,
            ports,
            parity: false,
            contiguity: false,
            pooling: Pooling::Paired,
            hairpinning: Hairpinning::None,
            lifetime: Duration::from_secs(120),
            refreshed_by_inbound: false,
            tcp: TcpNat { mapping, filtering, refuses: Refusal::Silently },
        }
    }
}
