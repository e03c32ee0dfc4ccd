//! What happens to machines and interfaces while they run.

use super::*;

#[test]
fn an_interface_that_goes_is_silent_and_another_takes_over() {
    let mut world = World::new();
    let (server, server_address) = world.public("198.51.100.1");
    let to = at(server_address, 1000);
    let public = world.internet.public();
    let (_, wifi) = world.router(public, &["203.0.113.1"], RouterConfig::port_restricted());
    let (_, cellular) = world.router(public, &["203.0.113.2"], RouterConfig::symmetric());
    let host = world.internet.add_host(Instant::ZERO, |_| Probe::default());
    let addresses = ["192.168.0.2", "10.0.0.2"].map(ip);
    let first = world.internet.attach(host, wifi, &addresses[..1], Access::default());
    let second = world.internet.attach(host, cellular, &addresses[1..], Access::default());
    for address in addresses {
        world.internet.bind(host, at(address, 5000));
    }
    let before = addresses.map(|address| world.mapped(host, at(address, 5000), to));
    assert_eq!(before.map(|mapped| mapped.ip()), ["203.0.113.1", "203.0.113.2"].map(ip));
    world.internet.after(Duration::ZERO, Scheduled::Detach(first));
    world.pass(millis(1));
    assert_eq!(world.try_datagram(host, at(addresses[0], 5000), to), None);
    assert_eq!(world.try_datagram(server, to, before[0]), None, "what is sent to it is lost");
    assert_eq!(world.mapped(host, at(addresses[1], 5000), to), before[1]);
    // It comes back elsewhere, with another address; and the old one at last, with its socket.
    let elsewhere = Scheduled::Attach { interface: first, realm: cellular, addresses: vec![ip("10.0.0.3")] };
    world.internet.after(Duration::ZERO, elsewhere);
    world.internet.bind(host, "10.0.0.3:5000".parse().unwrap());
    world.pass(millis(1));
    assert_eq!(world.mapped(host, "10.0.0.3:5000".parse().unwrap(), to).ip(), ip("203.0.113.2"));
    let back = Scheduled::Attach { interface: first, realm: wifi, addresses: vec![addresses[0]] };
    world.internet.after(Duration::ZERO, back);
    world.pass(millis(1));
    assert_eq!(world.try_datagram(host, at(addresses[0], 5000), to), Some((server, before[0])));
    world.internet.detach(second);
    assert_eq!(world.try_datagram(host, at(addresses[1], 5000), to), None);
}

#[test]
fn an_access_that_is_down_loses_what_is_on_it() {
    let mut world = World::new();
    let (server, server_address) = world.public("198.51.100.1");
    let (router, realm) = world.router(world.internet.public(), &["203.0.113.1"], RouterConfig::full_cone());
    let (host, address) = world.host(realm, "192.168.0.2");
    let (socket, to) = (at(address, 5000), at(server_address, 1000));
    world.internet.bind(host, socket);
    let mapped = world.mapped(host, socket, to);
    let uplink = world.internet.uplink(router);
    // Under way on the uplink when that goes down.
    world.internet.after(millis(15), Scheduled::LinkDown(uplink));
    assert_eq!(world.try_datagram(host, socket, to), None);
    assert_eq!(world.try_datagram(server, to, mapped), None);
    assert_eq!(world.internet.drops().of(Dropped::Down), 2);
    world.internet.after(Duration::ZERO, Scheduled::LinkUp(uplink));
    assert_eq!(world.try_datagram(server, to, mapped), Some((host, to)));
}

#[test]
fn a_suspended_machine_hears_nothing() {
    let mut world = World::new();
    let [(a, a_ip), (b, b_ip)] = ["198.51.100.1", "198.51.100.2"].map(|address| world.public(address));
    world.internet.after(Duration::ZERO, Scheduled::Suspend(b));
    assert_eq!(world.try_datagram(a, at(a_ip, 1000), at(b_ip, 1000)), None);
    world.internet.after(Duration::ZERO, Scheduled::Resume(b));
    assert_eq!(world.try_datagram(a, at(a_ip, 1000), at(b_ip, 1000)), Some((b, at(a_ip, 1000))));
    assert_eq!(world.internet.drops().of(Dropped::Down), 1);
}

#[test]
fn the_same_address_in_two_realms_is_two_hosts() {
    let mut world = World::new();
    let (_, server) = world.public("198.51.100.1");
    let hosts = ["203.0.113.1", "203.0.113.2"].map(|outside| {
        let (_, realm) = world.router(world.internet.public(), &[outside], RouterConfig::full_cone());
        let (host, address) = world.host(realm, "192.168.0.2");
        world.internet.bind(host, at(address, 5000));
        (host, at(address, 5000), at(ip(outside), 5000))
    });
    for (host, socket, outside) in hosts {
        assert_eq!(world.mapped(host, socket, at(server, 1000)), outside);
    }
    assert_eq!(world.try_datagram(hosts[0].0, hosts[0].1, hosts[1].2), Some((hosts[1].0, hosts[0].2)));
}

#[test]
#[should_panic(expected = "is taken in")]
fn an_address_is_given_once_in_a_realm() {
    let mut world = World::new();
    world.public("198.51.100.1");
    world.public("198.51.100.1");
}
