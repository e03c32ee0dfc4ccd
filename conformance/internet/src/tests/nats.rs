//! Each behaviour of RFC 4787, and of RFC 5382 where TCP has its own.

use super::*;

const KINDS: [Dependence; 3] =
    [Dependence::EndpointIndependent, Dependence::AddressDependent, Dependence::AddressAndPortDependent];

/// Two hosts in public, and a NAT with two hosts behind it that have sockets at the port 5000.
struct Home {
    world: World,
    outside: [(HostId, IpAddr); 2],
    router: RouterId,
    realm: RealmId,
    inside: [(HostId, IpAddr); 2],
}

impl Home {
    fn behind(nat: Nat) -> Self {
        Self::behind_addresses(nat, &["203.0.113.1"])
    }

    fn behind_addresses(nat: Nat, addresses: &[&str]) -> Self {
        let mut world = World::new();
        let outside = ["198.51.100.1", "198.51.100.2"].map(|address| world.public(address));
        let (router, realm) = world.router(world.internet.public(), addresses, RouterConfig::ipv4(nat));
        let inside = ["192.168.0.2", "192.168.0.3"].map(|address| world.host(realm, address));
        for (host, address) in inside {
            world.internet.bind(host, at(address, 5000));
        }
        Self { world, outside, router, realm, inside }
    }

    fn bind(&mut self, nth: usize, port: u16) {
        let (host, address) = self.inside[nth];
        self.world.internet.bind(host, at(address, port));
    }

    /// What a socket inside looks like from a port of a host outside.
    fn mapped(&mut self, (nth, port): (usize, u16), (to, to_port): (usize, u16)) -> SocketAddr {
        let (host, address) = self.inside[nth];
        self.world.mapped(host, at(address, port), at(self.outside[to].1, to_port))
    }

    /// Which host inside hears a datagram from outside.
    fn enters(&mut self, (nth, port): (usize, u16), to: SocketAddr) -> Option<HostId> {
        let (host, address) = self.outside[nth];
        self.world.try_datagram(host, at(address, port), to).map(|(host, _)| host)
    }
}

#[test]
fn mapping_depends_on_what_it_is_said_to() {
    for mapping in KINDS {
        let mut home = Home::behind(Nat { mapping, ports: PortAssignment::Random, ..Nat::symmetric() });
        let first = home.mapped((0, 5000), (0, 1000));
        assert_eq!(home.mapped((0, 5000), (0, 1000)), first);
        let same = [(0, 1001), (1, 1000)].map(|to| home.mapped((0, 5000), to) == first);
        let expected = match mapping {
            Dependence::EndpointIndependent => [true, true],
            Dependence::AddressDependent => [true, false],
            Dependence::AddressAndPortDependent => [false, false],
        };
        assert_eq!(same, expected, "{mapping:?}");
    }
}

#[test]
fn filtering_depends_on_what_it_is_said_to_whatever_mapping_does() {
    for mapping in KINDS {
        for filtering in KINDS {
            let mut home = Home::behind(Nat { mapping, filtering, ..Nat::symmetric() });
            let mapped = home.mapped((0, 5000), (0, 1000));
            let entered = [(0, 1000), (0, 1001), (1, 1000)].map(|from| home.enters(from, mapped).is_some());
            let expected = match filtering {
                Dependence::EndpointIndependent => [true, true, true],
                Dependence::AddressDependent => [true, true, false],
                Dependence::AddressAndPortDependent => [true, false, false],
            };
            assert_eq!(entered, expected, "{mapping:?}, {filtering:?}");
            let filtered = entered.iter().filter(|entered| !**entered).count() as u64;
            assert_eq!(home.world.internet.drops().of(Dropped::Filtered), filtered);
            assert_eq!(home.world.internet.drops().total(), filtered);
        }
    }
}

#[test]
fn nothing_enters_where_there_is_no_mapping() {
    let mut home = Home::behind(Nat::cone(Dependence::EndpointIndependent));
    assert_eq!(home.enters((0, 1000), "203.0.113.1:5000".parse().unwrap()), None);
    home.mapped((0, 5000), (0, 1000));
    assert_eq!(home.enters((0, 1000), "203.0.113.1:5001".parse().unwrap()), None);
    assert_eq!(home.enters((0, 1000), "203.0.113.1:5000".parse().unwrap()), Some(home.inside[0].0));
}

#[test]
fn ports_are_preserved_until_they_are_taken() {
    let mut home = Home::behind(Nat::cone(Dependence::AddressAndPortDependent));
    assert_eq!(home.mapped((0, 5000), (0, 1000)).port(), 5000);
    let second = home.mapped((1, 5000), (0, 1000));
    assert_ne!(second.port(), 5000);
    assert_eq!(home.mapped((0, 5000), (1, 1000)).port(), 5000);
    assert_eq!(home.enters((0, 1000), second), Some(home.inside[1].0));
}

#[test]
fn an_overloaded_port_tells_its_owners_apart_by_who_answers() {
    let nat = Nat { ports: PortAssignment::PreservingOrOverload, ..Nat::cone(Dependence::AddressAndPortDependent) };
    let mut home = Home::behind(nat);
    let first = home.mapped((0, 5000), (0, 1000));
    let second = home.mapped((1, 5000), (1, 1000));
    assert_eq!((first.port(), second), (5000, first));
    assert_eq!(home.enters((0, 1000), first), Some(home.inside[0].0));
    assert_eq!(home.enters((1, 1000), first), Some(home.inside[1].0));
}

#[test]
fn sequential_ports_can_be_foretold_and_random_ones_cannot() {
    let gaps = |ports| {
        let mut home = Home::behind(Nat { ports, ..Nat::symmetric() });
        let seen = [(0, 1000), (0, 1001), (1, 1000), (1, 1001)].map(|to| home.mapped((0, 5000), to).port());
        seen.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect::<Vec<_>>()
    };
    assert_eq!(gaps(PortAssignment::Sequential), [1, 1, 1]);
    assert!(gaps(PortAssignment::Random).iter().all(|gap| *gap != 1));
}

#[test]
fn ports_below_1024_stay_there_and_those_above_too() {
    for ports in [PortAssignment::Preserving, PortAssignment::Random, PortAssignment::Sequential] {
        let mut home = Home::behind(Nat { ports, ..Nat::cone(Dependence::EndpointIndependent) });
        for nth in [0, 1] {
            home.bind(nth, 123);
        }
        let low = [0, 1].map(|nth| home.mapped((nth, 123), (0, 1000)).port());
        assert!(low.iter().all(|port| *port < 1024) && low[0] != low[1], "{ports:?}: {low:?}");
        assert!(home.mapped((0, 5000), (0, 1000)).port() >= 1024);
    }
}

#[test]
fn parity_is_kept() {
    for ports in [PortAssignment::Random, PortAssignment::Sequential, PortAssignment::Preserving] {
        let nat = Nat { ports, parity: true, ..Nat::cone(Dependence::EndpointIndependent) };
        let mut home = Home::behind(nat);
        for port in 5001..5021 {
            for nth in [0, 1] {
                home.bind(nth, port);
            }
        }
        for port in 5001..5021 {
            for nth in [0, 1] {
                assert_eq!(home.mapped((nth, port), (0, 1000)).port() % 2, port % 2);
            }
        }
    }
}

#[test]
fn contiguous_ports_follow_one_another() {
    let nat = Nat { ports: PortAssignment::Random, parity: true, contiguity: true, ..Nat::symmetric() };
    let mut home = Home::behind(nat);
    for nth in [0, 1] {
        home.bind(nth, 5001);
    }
    for nth in [0, 1] {
        let pair = [5000, 5001].map(|port| home.mapped((nth, port), (0, 1000)).port());
        assert_eq!(pair[0] + 1, pair[1]);
    }
}

#[test]
fn hairpins_come_back_as_they_are_said_to() {
    let [_, inside_address] = [1, 2].map(|_| ip("192.168.0.2"));
    for hairpinning in [Hairpinning::None, Hairpinning::InternalSource, Hairpinning::ExternalSource] {
        let mut home = Home::behind(Nat { hairpinning, ..Nat::cone(Dependence::EndpointIndependent) });
        let from_outside = [0, 1].map(|nth| home.mapped((nth, 5000), (0, 1000)));
        let (host, address) = home.inside[0];
        let heard = home.world.try_datagram(host, at(address, 5000), from_outside[1]);
        let source = match hairpinning {
            Hairpinning::None => None,
            Hairpinning::InternalSource => Some(at(inside_address, 5000)),
            Hairpinning::ExternalSource => Some(from_outside[0]),
        };
        assert_eq!(heard, source.map(|source| (home.inside[1].0, source)), "{hairpinning:?}");
    }
}

#[test]
fn hairpins_are_filtered_as_what_comes_from_outside() {
    let nat = Nat { hairpinning: Hairpinning::ExternalSource, ..Nat::cone(Dependence::AddressAndPortDependent) };
    let mut home = Home::behind(nat);
    let from_outside = [0, 1].map(|nth| home.mapped((nth, 5000), (0, 1000)));
    let [a, b] = home.inside.map(|(host, address)| (host, at(address, 5000)));
    assert_eq!(home.world.try_datagram(a.0, a.1, from_outside[1]), None);
    assert_eq!(home.world.try_datagram(b.0, b.1, from_outside[0]), Some((a.0, from_outside[1])));
    assert_eq!(home.world.try_datagram(a.0, a.1, from_outside[1]), Some((b.0, from_outside[0])));
}

#[test]
fn a_mapping_lives_as_long_as_packets_from_inside_refresh_it() {
    let nat =
        Nat { ports: PortAssignment::Random, lifetime: seconds(30), ..Nat::cone(Dependence::EndpointIndependent) };
    let mut home = Home::behind(nat);
    let first = home.mapped((0, 5000), (0, 1000));
    for _ in 0..5 {
        home.world.pass(seconds(25));
        assert_eq!(home.mapped((0, 5000), (1, 1000)), first);
    }
    home.world.pass(seconds(31));
    assert_eq!(home.enters((0, 1000), first), None);
    let second = home.mapped((0, 5000), (0, 1000));
    assert_ne!(second, first);
    // A port whose mapping is over can be had again.
    assert_eq!(home.enters((0, 1000), second), Some(home.inside[0].0));
}

#[test]
fn packets_from_outside_refresh_a_mapping_only_where_they_do() {
    for refreshed_by_inbound in [false, true] {
        let nat = Nat { lifetime: seconds(30), refreshed_by_inbound, ..Nat::cone(Dependence::AddressDependent) };
        let mut home = Home::behind(nat);
        let mapped = home.mapped((0, 5000), (0, 1000));
        home.world.pass(seconds(20));
        assert!(home.enters((0, 1000), mapped).is_some());
        home.world.pass(seconds(20));
        assert_eq!(home.enters((0, 1000), mapped).is_some(), refreshed_by_inbound);
    }
}

#[test]
fn the_permission_of_one_remote_is_not_refreshed_by_packets_to_another() {
    let nat = Nat { lifetime: seconds(30), ..Nat::cone(Dependence::AddressDependent) };
    let mut home = Home::behind(nat);
    let mapped = home.mapped((0, 5000), (0, 1000));
    home.world.pass(seconds(20));
    assert_eq!(home.mapped((0, 5000), (1, 1000)), mapped);
    home.world.pass(seconds(20));
    assert_eq!(home.enters((0, 1000), mapped), None);
    assert!(home.enters((1, 1000), mapped).is_some());
}

#[test]
fn paired_pooling_gives_an_inside_address_one_outside_address() {
    let addresses = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    for pooling in [Pooling::Paired, Pooling::Arbitrary] {
        let mut home = Home::behind_addresses(Nat { pooling, ..Nat::symmetric() }, &addresses);
        (6000..6020).for_each(|port| home.bind(0, port));
        let mut seen: Vec<IpAddr> = (6000..6020).map(|port| home.mapped((0, port), (0, 1000)).ip()).collect();
        seen.sort();
        seen.dedup();
        match pooling {
            Pooling::Paired => {
                assert_eq!(seen.len(), 1);
                assert_ne!(home.mapped((1, 5000), (0, 1000)).ip(), seen[0], "the next host has the next address");
            }
            Pooling::Arbitrary => assert_eq!(seen.len(), 3),
        }
    }
}

#[test]
fn two_hosts_in_one_realm_need_no_router() {
    let mut home = Home::behind(Nat::symmetric());
    let [a, b] = home.inside.map(|(host, address)| (host, at(address, 5000)));
    assert_eq!(home.world.try_datagram(a.0, a.1, b.1), Some((b.0, a.1)));
}

#[test]
fn homes_behind_a_carrier_are_two_mappings_from_public() {
    let mut world = World::new();
    let (server, server_address) = world.public("198.51.100.1");
    let (carrier, shared) = world.router(world.internet.public(), &["203.0.113.1"], RouterConfig::carrier_grade());
    let homes = ["100.64.0.1", "100.64.0.2"].map(|outside| {
        let (_, realm) = world.router(shared, &[outside], RouterConfig::port_restricted());
        // The same address in both homes.
        let (host, address) = world.host(realm, "192.168.0.2");
        world.internet.bind(host, at(address, 5000));
        (host, at(address, 5000))
    });
    let mapped = homes.map(|(host, socket)| world.mapped(host, socket, at(server_address, 1000)));
    assert!(mapped.iter().all(|mapped| mapped.ip() == ip("203.0.113.1")) && mapped[0] != mapped[1]);
    for ((home, _), mapped) in homes.iter().zip(mapped) {
        // The carrier lets the address in, the home the port too.
        let from = |port| at(server_address, port);
        assert_eq!(world.try_datagram(server, from(1000), mapped), Some((*home, from(1000))));
        assert_eq!(world.try_datagram(server, from(1001), mapped), None);
    }
    // Through the carrier's hairpin they find each other: both open, then both are heard.
    assert_eq!(world.try_datagram(homes[0].0, homes[0].1, mapped[1]), None);
    assert_eq!(world.try_datagram(homes[1].0, homes[1].1, mapped[0]), Some((homes[0].0, mapped[1])));
    assert_eq!(world.try_datagram(homes[0].0, homes[0].1, mapped[1]), Some((homes[1].0, mapped[0])));
    // The carrier forgets; the home does not, and its host gets another address.
    world.internet.after(Duration::ZERO, Scheduled::Rebind(carrier));
    assert_ne!(world.mapped(homes[0].0, homes[0].1, at(server_address, 1000)), mapped[0]);
}

#[test]
fn a_rebinding_changes_the_port_even_of_a_nat_that_preserves_ports() {
    for ports in [PortAssignment::Preserving, PortAssignment::PreservingOrOverload, PortAssignment::Random] {
        let mut home = Home::behind(Nat { ports, ..Nat::cone(Dependence::EndpointIndependent) });
        let first = home.mapped((0, 5000), (0, 1000));
        home.world.internet.after(Duration::ZERO, Scheduled::Rebind(home.router));
        home.world.pass(millis(1));
        assert_eq!(home.enters((0, 1000), first), None);
        let second = home.mapped((0, 5000), (0, 1000));
        assert_ne!(second, first);
        assert!(home.enters((0, 1000), second).is_some());
    }
}

#[test]
fn a_renumbered_router_has_its_mappings_at_the_new_address() {
    let mut home = Home::behind(Nat::cone(Dependence::EndpointIndependent));
    let first = home.mapped((0, 5000), (0, 1000));
    let renumber = Scheduled::Renumber(home.router, vec![ip("203.0.113.9")]);
    home.world.internet.after(Duration::ZERO, renumber);
    let second = home.mapped((0, 5000), (0, 1000));
    assert_eq!(second.ip(), ip("203.0.113.9"));
    assert_eq!(home.enters((0, 1000), first), None);
    assert_eq!(home.world.internet.drops().of(Dropped::NoRoute), 1);
    assert!(home.enters((0, 1000), second).is_some());
}

#[test]
fn a_dropped_mapping_is_that_of_one_socket() {
    let mut home = Home::behind(Nat { ports: PortAssignment::Random, ..Nat::cone(Dependence::EndpointIndependent) });
    let before = [0, 1].map(|nth| home.mapped((nth, 5000), (0, 1000)));
    let dropped = Scheduled::DropMapping(home.router, at(home.inside[0].1, 5000));
    home.world.internet.after(Duration::ZERO, dropped);
    home.world.pass(millis(1));
    assert_eq!(home.enters((0, 1000), before[0]), None);
    assert_eq!(home.enters((0, 1000), before[1]), Some(home.inside[1].0));
}

#[test]
fn a_nat_without_ports_left_says_so() {
    let mut home = Home::behind(Nat { ports: PortAssignment::Random, ..Nat::symmetric() });
    let (host, address) = home.world.host(home.realm, "192.168.0.4");
    (1..=1023).for_each(|port| home.world.internet.bind(host, at(address, port)));
    let to = at(home.outside[0].1, 1000);
    (1..=1023).for_each(|port| home.world.send(host, at(address, port), to, b""));
    home.world.pass(seconds(1));
    let mut seen: Vec<SocketAddr> = home
        .world
        .take_heard()
        .into_iter()
        .map(|(_, heard)| match heard {
            Heard::Datagram(path, _) => path.remote,
            other => panic!("{other:?}"),
        })
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1023, "each has its own");
    home.bind(0, 80);
    let (host, address) = home.inside[0];
    assert_eq!(home.world.try_datagram(host, at(address, 80), to), None);
    assert_eq!(home.world.internet.drops().of(Dropped::NoPort), 1);
}
