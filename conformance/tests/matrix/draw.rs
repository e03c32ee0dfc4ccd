//! Random networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use frazil::Protocol;
use frazil_conformance::matrix::topology::{Machine, PUBLIC, Realm, Router, Topology};
use frazil_internet::{Dependence, Family, Firewall, Hairpinning, Nat, PortAssignment, RouterConfig, TcpNat, Udp};

/// Up to two routers that both machines are behind, up to two more for each, and any servers.
pub(crate) fn topology(seed: u64) -> Topology {
    let mut rng = Rng::with_seed(seed);
    let mut routers = Vec::new();
    let common = add_routers(&mut routers, PUBLIC, *pick(&mut rng, &[0, 0, 0, 1, 1, 2]), &mut rng);
    let machines = [0, 1].map(|side| {
        let realm = add_routers(&mut routers, common, *pick(&mut rng, &[0, 1, 1, 1, 2]), &mut rng);
        let v6 = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xA, realm as u16, 0, 0, 0, 0x10 + side));
        let v4 = IpAddr::V4(Ipv4Addr::new(10, 0, realm as u8, 10 + side as u8));
        let addresses = match rng.u8(..10) {
            0 => vec![v6],
            1..4 => vec![v6, v4],
            _ => vec![v4],
        };
        Machine { realm, addresses }
    });
    let stun = rng.u8(..10) > 0;
    let turn = *pick(&mut rng, &[None, None, Some(Protocol::Udp), Some(Protocol::Tcp)]);
    Topology { routers, machines, stun, turn: turn.filter(|_| stun) }
}

fn add_routers(routers: &mut Vec<Router>, outer: Realm, count: usize, rng: &mut Rng) -> Realm {
    let mut realm = outer;
    for _ in 0..count {
        let number = routers.len() as u8;
        let outside = match realm {
            PUBLIC => Ipv4Addr::new(203, 0, 113, 10 + number),
            _ => Ipv4Addr::new(100, 64, number, 1),
        };
        routers.push(Router { outer: realm, outside: vec![outside.into()], config: config(rng) });
        realm = routers.len();
    }
    realm
}

fn config(rng: &mut Rng) -> RouterConfig {
    let udp = match rng.u8(..20) {
        0 => Udp::Blocked,
        1..4 => Udp::Allowed,
        _ => Udp::StatefulOutboundOnly,
    };
    RouterConfig {
        v4: if rng.u8(..8) == 0 { Family::Routed } else { Family::Translated(nat(rng)) },
        v6: if rng.u8(..8) == 0 { Family::Absent } else { Family::Routed },
        firewall: Firewall { udp, ..Firewall::default() },
        nat64: None,
    }
}

fn nat(rng: &mut Rng) -> Nat {
    const DEPENDENCE: [Dependence; 3] =
        [Dependence::EndpointIndependent, Dependence::AddressDependent, Dependence::AddressAndPortDependent];
    let (mapping, filtering) = (*pick(rng, &DEPENDENCE), *pick(rng, &DEPENDENCE));
    Nat {
        mapping,
        filtering,
        ports: *pick(rng, &[PortAssignment::Preserving, PortAssignment::Random, PortAssignment::Sequential]),
        parity: rng.bool(),
        hairpinning: *pick(rng, &[Hairpinning::None, Hairpinning::InternalSource, Hairpinning::ExternalSource]),
        tcp: TcpNat { mapping, filtering, ..Nat::symmetric().tcp },
        ..Nat::symmetric()
    }
}

fn pick<'a, T>(rng: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.usize(..choices.len())]
}
