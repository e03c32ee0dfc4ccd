//! Every kind of NAT that there is, and what lies about it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::nat::{Config, Filtering, Hairpinning, Mapping, Unknown};
use frazil_conformance::{draw, seeds};
use frazil_internet::{
    Access, Conditions, Dependence, Family, Firewall, Nat, PerMille, Pooling, PortAssignment, Reorder, RouterConfig,
    Udp,
};

use crate::site::{Found, OTHER, OTHER_6, Run, SECOND, SECOND_6, SERVER, SERVER_6, Site, ip};

/// What is before the host.
#[derive(Clone, Debug)]
enum Before {
    Nothing,
    /// A firewall that does not translate.
    Firewall(Udp),
    /// One NAT, or one behind another: the outermost first.
    Nats(Vec<Nat>),
}

/// Which servers the host knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Servers {
    WithOtherAddress,
    /// None has another address.
    One,
    Two,
}

#[derive(Clone, Debug)]
struct Scenario {
    before: Before,
    servers: Servers,
    v6: bool,
    /// Of the host and of the servers.
    access: [Access; 2],
}

/// How many kinds there are: 27 NATs, twice as many double ones, and those without.
const KINDS: u64 = 100;

fn dependence(nth: u64) -> Dependence {
    [Dependence::EndpointIndependent, Dependence::AddressDependent, Dependence::AddressAndPortDependent]
        [nth as usize % 3]
}

fn hairpinning(nth: u64) -> frazil_internet::Hairpinning {
    use frazil_internet::Hairpinning::*;
    [None, InternalSource, ExternalSource][nth as usize % 3]
}

fn nat(nth: u64, rng: &mut fastrand::Rng) -> Nat {
    use PortAssignment::*;
    Nat {
        mapping: dependence(nth),
        hairpinning: hairpinning(nth / 9),
        ports: [Preserving, PreservingOrOverload, Random, Sequential][rng.usize(..4)],
        parity: rng.bool(),
        contiguity: rng.bool(),
        pooling: if rng.bool() { Pooling::Paired } else { Pooling::Arbitrary },
        lifetime: Duration::from_secs(rng.u64(30..300)),
        refreshed_by_inbound: rng.bool(),
        ..Nat::cone(dependence(nth / 3))
    }
}

fn conditions(rng: &mut fastrand::Rng, most_lost: u16) -> Conditions {
    Conditions {
        delay: draw::millis(rng, 150),
        jitter: draw::millis(rng, 100),
        loss: PerMille(rng.u16(..=most_lost)),
        duplication: PerMille(rng.u16(..=100)),
        reorder: Reorder { chance: PerMille(rng.u16(..=200)), extra_delay: draw::millis(rng, 2000) },
        ..Conditions::default()
    }
}

impl Scenario {
    fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let before = match seed % KINDS {
            nth @ 0..27 => Before::Nats(vec![nat(nth, &mut rng)]),
            nth @ 27..54 => Before::Nats(vec![nat(nth, &mut rng)]),
            54..90 => Before::Nats(vec![nat(rng.u64(..27), &mut rng), nat(rng.u64(..27), &mut rng)]),
            90..93 => Before::Nothing,
            nth => Before::Firewall([Udp::Allowed, Udp::StatefulOutboundOnly, Udp::Blocked][nth as usize % 3]),
        };
        let servers = match rng.u8(..8) {
            0 => Servers::One,
            1 | 2 => Servers::Two,
            _ => Servers::WithOtherAddress,
        };
        // A request and its answer cross four of these.
        let most_lost = if rng.bool() { 50 } else { 0 };
        let mut access = || Access { up: conditions(&mut rng, most_lost), down: conditions(&mut rng, most_lost) };
        let access = [access(), access()];
        Self { before, servers, v6: rng.u8(..4) == 0, access }
    }

    /// The address of the host, of NATs from the outside to the inside, and of servers.
    fn host(&self) -> IpAddr {
        ip(match (&self.before, self.v6) {
            (Before::Nats(_), false) => "192.168.7.2",
            (_, false) => "203.0.113.77",
            (Before::Nats(_), true) => "fd00:7::2",
            (_, true) => "2001:db8:2::77",
        })
    }

    fn outside(&self, nth: usize) -> Vec<IpAddr> {
        let addresses = match (nth, self.v6) {
            (0, false) => ["203.0.113.1", "203.0.113.2"],
            (0, true) => ["2001:db8:2::1", "2001:db8:2::2"],
            (_, false) => ["100.64.0.1", "100.64.0.2"],
            (_, true) => ["fd00:1::1", "fd00:1::2"],
        };
        // Where ports are overloaded, what keeps its port and changes its address by chance looks like nothing that a
        // NAT is built to do.
        let overloads = |nat: &Nat| nat.ports == PortAssignment::PreservingOrOverload;
        let many = if matches!(&self.before, Before::Nats(nats) if nats.iter().any(overloads)) { 1 } else { 2 };
        addresses[..many].iter().copied().map(ip).collect()
    }

    fn server(&self) -> SocketAddr {
        let plain = self.servers != Servers::WithOtherAddress;
        let server = match (plain, self.v6) {
            (false, false) => SERVER,
            (false, true) => SERVER_6,
            (true, false) => SECOND,
            (true, true) => SECOND_6,
        };
        SocketAddr::new(ip(server), 3478)
    }

    /// To tell another server from the one without an other address, any will do: nothing is asked of it but an address.
    fn second_server(&self) -> Option<SocketAddr> {
        let second = if self.v6 { OTHER_6 } else { OTHER };
        (self.servers == Servers::Two).then(|| SocketAddr::new(ip(second), 3478))
    }

    /// Hairpinning by the outer one of two NATs depends on what the inner one does to it; that is left out.
    fn has_second_base(&self) -> bool {
        !matches!(&self.before, Before::Nats(nats) if nats.len() > 1)
    }

    fn config(&self) -> Config {
        Config {
            second_server: self.second_server(),
            second_base: self.has_second_base().then(|| SocketAddr::new(self.host(), 4001)),
            ..Config::new(SocketAddr::new(self.host(), 4000), self.server())
        }
    }

    fn run(&self, seed: u64) -> Run {
        let mut site = Site::new(seed);
        let [access, server_access] = self.access;
        site.add_servers(server_access);
        let public = site.internet.public();
        let realm = match &self.before {
            Before::Nothing => public,
            Before::Firewall(udp) => {
                let firewall = Firewall { udp: *udp, ..Firewall::default() };
                let config = RouterConfig { v4: Family::Routed, v6: Family::Routed, firewall, nat64: None };
                site.add_router(public, &[], Access::default(), config)
            }
            Before::Nats(nats) => nats.iter().enumerate().fold(public, |realm, (nth, nat)| {
                let family = Family::Translated(*nat);
                let config = RouterConfig { v4: family, v6: family, ..RouterConfig::ipv4(*nat) };
                site.add_router(realm, &self.outside(nth), Access::default(), config)
            }),
        };
        site.internet.start_record();
        let host = site.add_prober(realm, access, self.config(), seed as u8);
        site.run(host)
    }

    fn expected(&self) -> Found {
        let server = self.server();
        let (mapping, filtering, hairpinning) = match &self.before {
            Before::Firewall(Udp::Blocked) => {
                let nobody = Unknown::NoAnswer(server);
                let hairpinning = Err(nobody.clone());
                return Found { mapping: Err(nobody.clone()), filtering: Err(nobody), hairpinning };
            }
            Before::Nothing | Before::Firewall(Udp::Allowed) => {
                (Mapping::None, Filtering::EndpointIndependent, Err(Unknown::NoNat))
            }
            Before::Firewall(Udp::StatefulOutboundOnly) => {
                (Mapping::None, Filtering::AddressAndPortDependent, Err(Unknown::NoNat))
            }
            Before::Nats(nats) => {
                let mapping = nats.iter().map(looks).max().expect("there is one");
                let filtering = nats.iter().map(filters).max().expect("there is one");
                (mapping, filtering, self.expected_hairpinning(&nats[0], mapping, filtering))
            }
        };
        let silent = Unknown::NoOtherAddress(server);
        let mapping = match (self.servers, mapping) {
            (Servers::WithOtherAddress, mapping) | (_, mapping @ Mapping::None) => Ok(mapping),
            (Servers::Two, Mapping::EndpointIndependent) => Ok(mapping),
            (Servers::Two, _) => Ok(Mapping::EndpointDependent),
            (Servers::One, _) => Err(silent.clone()),
        };
        let filtering = if self.servers == Servers::WithOtherAddress { Ok(filtering) } else { Err(silent) };
        // Without knowing of mapping and filtering, nobody knows what has held a packet up.
        let knows = mapping == Ok(Mapping::EndpointIndependent) || filtering == Ok(Filtering::EndpointIndependent);
        let hairpinning = match hairpinning {
            Ok(Hairpinning::None) if !knows => Err(Unknown::Filtered),
            other => other,
        };
        Found { mapping, filtering, hairpinning }
    }

    fn expected_hairpinning(&self, nat: &Nat, mapping: Mapping, filtering: Filtering) -> Result<Hairpinning, Unknown> {
        let passes = mapping == Mapping::EndpointIndependent || filtering == Filtering::EndpointIndependent;
        match nat.hairpinning {
            _ if !self.has_second_base() => Err(Unknown::NoSecondBase),
            _ if !passes => Err(Unknown::Filtered),
            frazil_internet::Hairpinning::None => Ok(Hairpinning::None),
            frazil_internet::Hairpinning::InternalSource => Ok(Hairpinning::InternalSource),
            frazil_internet::Hairpinning::ExternalSource => Ok(Hairpinning::ExternalSource),
        }
    }

    /// Where something may be sent to.
    fn allowed(&self, destination: SocketAddr) -> bool {
        let servers = [SERVER, OTHER, SERVER_6, OTHER_6, SECOND, SECOND_6].map(ip);
        let outside: BTreeSet<IpAddr> = match &self.before {
            Before::Nats(_) => self.outside(0).into_iter().collect(),
            _ => BTreeSet::new(),
        };
        servers.contains(&destination.ip()) || outside.contains(&destination.ip())
    }
}

/// What everybody sees of a NAT. Where all mappings of a socket have the same port, nobody can tell them apart.
fn looks(nat: &Nat) -> Mapping {
    match nat.mapping {
        _ if nat.ports == PortAssignment::PreservingOrOverload => Mapping::EndpointIndependent,
        Dependence::EndpointIndependent => Mapping::EndpointIndependent,
        Dependence::AddressDependent => Mapping::AddressDependent,
        Dependence::AddressAndPortDependent => Mapping::AddressAndPortDependent,
    }
}

fn filters(nat: &Nat) -> Filtering {
    match nat.filtering {
        Dependence::EndpointIndependent => Filtering::EndpointIndependent,
        Dependence::AddressDependent => Filtering::AddressDependent,
        Dependence::AddressAndPortDependent => Filtering::AddressAndPortDependent,
    }
}

#[test]
fn what_is_found_is_what_was_built() {
    seeds::check_all("behaviour", "what_is_found_is_what_was_built", 1_000, |seed| {
        let scenario = Scenario::random(seed);
        let run = scenario.run(seed);
        assert_eq!(run.found, scenario.expected(), "{scenario:#?}");
        let strange: Vec<_> = run.destinations().into_iter().filter(|to| !scenario.allowed(*to)).collect();
        assert!(strange.is_empty(), "{strange:?}: {scenario:#?}");
    });
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in 0..KINDS {
        let scenario = Scenario::random(seed);
        let [once, again] = [scenario.run(seed), scenario.run(seed)];
        assert_eq!((once.sent, once.took), (again.sent, again.took), "{scenario:#?}");
    }
}
