//! Firewalls, IPv6 and NAT64.

use super::*;

const SERVER: &str = "198.51.100.1";
const SERVER_6: &str = "2001:db8:1::1";

/// A host in public with both families, and a host behind a router.
struct Site {
    world: World,
    server: HostId,
    host: HostId,
}

impl Site {
    fn behind(config: RouterConfig, outside: &[&str], inside: &[&str]) -> Self {
        let mut world = World::new();
        let public = world.internet.public();
        let server = world.internet.add_host(Instant::ZERO, |_| Probe::default());
        world.internet.attach(server, public, &[ip(SERVER), ip(SERVER_6)], Access::default());
        let (_, realm) = world.router(public, outside, config);
        let host = world.internet.add_host(Instant::ZERO, |_| Probe::default());
        let inside: Vec<IpAddr> = inside.iter().map(|text| ip(text)).collect();
        world.internet.attach(host, realm, &inside, Access::default());
        for (host, addresses) in [(server, vec![ip(SERVER), ip(SERVER_6)]), (host, inside)] {
            for address in addresses {
                for port in [443, 1000] {
                    world.internet.bind(host, at(address, port));
                }
                for port in [443, 1000] {
                    world.internet.listen(host, at(address, port));
                }
            }
        }
        Self { world, server, host }
    }

    fn out(&mut self, from: &str, to: &str) -> Option<SocketAddr> {
        let heard = self.world.try_datagram(self.host, from.parse().unwrap(), to.parse().unwrap())?;
        assert_eq!(heard.0, self.server);
        Some(heard.1)
    }

    fn inward(&mut self, from: &str, to: &str) -> Option<SocketAddr> {
        let heard = self.world.try_datagram(self.server, from.parse().unwrap(), to.parse().unwrap())?;
        assert_eq!(heard.0, self.host);
        Some(heard.1)
    }

    /// Whether a connection is accepted.
    fn connects(&mut self, host: HostId, local: &str, remote: &str) -> bool {
        self.world.heard.clear();
        let (local, remote) = (at(ip(local), 0), remote.parse().unwrap());
        self.world.request(host, StreamRequest::Connect { local, remote });
        self.world.pass(seconds(90));
        self.world.take_heard().iter().any(|(who, heard)| *who == host && matches!(heard, Heard::Opened(_)))
    }
}

#[test]
fn a_firewall_that_blocks_udp_lets_tcp_through() {
    let mut site = Site::behind(RouterConfig::udp_blocked(), &["203.0.113.1"], &["192.168.0.2"]);
    assert_eq!(site.out("192.168.0.2:1000", "198.51.100.1:443"), None);
    assert_eq!(site.world.internet.drops().of(Dropped::Blocked), 1);
    assert!(site.connects(site.host, "192.168.0.2", "198.51.100.1:1000"));
}

#[test]
fn a_firewall_for_some_ports_lets_only_those_through() {
    let mut site = Site::behind(RouterConfig::tcp_only(), &["203.0.113.1"], &["192.168.0.2"]);
    assert_eq!(site.out("192.168.0.2:1000", "198.51.100.1:443"), None);
    assert!(!site.connects(site.host, "192.168.0.2", "198.51.100.1:1000"));
    assert!(site.connects(site.host, "192.168.0.2", "198.51.100.1:443"));
}

#[test]
fn ipv6_is_routed_and_only_what_answers_comes_in() {
    let mut site = Site::behind(RouterConfig::ipv6_stateful(), &[], &["2001:db8:2::2"]);
    let (here, there) = ("[2001:db8:2::2]:1000", "[2001:db8:1::1]:1000");
    assert_eq!(site.inward(there, here), None);
    assert_eq!(site.world.internet.drops().of(Dropped::Filtered), 1);
    assert_eq!(site.out(here, there), Some(here.parse().unwrap()), "no translation");
    assert_eq!(site.inward(there, here), Some(there.parse().unwrap()));
    assert_eq!(site.inward("[2001:db8:1::1]:443", here), None);
    // Whoever answers keeps the exchange alive; nobody does it for ever.
    for _ in 0..3 {
        site.world.pass(seconds(250));
        assert!(site.inward(there, here).is_some());
    }
    site.world.pass(seconds(300));
    assert_eq!(site.inward(there, here), None);
    // The same for connections.
    assert!(!site.connects(site.server, "2001:db8:1::1", here));
    assert!(site.connects(site.host, "2001:db8:2::2", there));
    // IPv4 is not there at all.
    site.world.internet.bind(site.host, "192.168.0.2:1000".parse().unwrap());
    assert_eq!(site.out("192.168.0.2:1000", "198.51.100.1:1000"), None);
}

#[test]
fn an_open_router_lets_everything_in_and_a_blocking_one_nothing() {
    let (here, there) = ("[2001:db8:2::2]:1000", "[2001:db8:1::1]:1000");
    let with =
        |firewall| Site::behind(RouterConfig { firewall, ..RouterConfig::ipv6_stateful() }, &[], &["2001:db8:2::2"]);
    let mut open = with(Firewall { udp: Udp::Allowed, tcp: Tcp::Allowed, ..Firewall::default() });
    assert!(open.inward(there, here).is_some());
    assert!(open.connects(open.server, "2001:db8:1::1", here));
    let mut closed = with(Firewall { udp: Udp::Blocked, tcp: Tcp::Blocked, ..Firewall::default() });
    assert!(closed.out(here, there).is_none() && closed.inward(there, here).is_none());
    assert!(!closed.connects(closed.host, "2001:db8:2::2", there));
}

#[test]
fn routed_addresses_are_known_outside_of_all_routers_around_them() {
    let mut world = World::new();
    let public = world.internet.public();
    let (server, address) = world.public("2001:db8:1::1");
    let (_, outer) = world.router(public, &[], RouterConfig::ipv6_stateful());
    let (_, inner) = world.router(outer, &[], RouterConfig::ipv6_stateful());
    let (host, inside) = world.host(inner, "2001:db8:2::2");
    world.internet.bind(host, at(inside, 1000));
    assert_eq!(world.try_datagram(server, at(address, 1000), at(inside, 1000)), None);
    assert_eq!(world.internet.drops().of(Dropped::Filtered), 1, "the outer one has a route and does not let it in");
    assert_eq!(world.mapped(host, at(inside, 1000), at(address, 1000)), at(inside, 1000));
    assert_eq!(world.try_datagram(server, at(address, 1000), at(inside, 1000)), Some((host, at(address, 1000))));
    // Nobody has this one: it goes up, and not in circles.
    assert_eq!(world.try_datagram(host, at(inside, 1000), at(ip("2001:db8:2::3"), 1000)), None);
    assert_eq!(world.internet.drops().of(Dropped::NoRoute), 1);
}

#[test]
fn dual_stack_translates_one_family_and_routes_the_other() {
    let inside = ["192.168.0.2", "2001:db8:2::2"];
    let mut site = Site::behind(RouterConfig::dual_stack(), &["203.0.113.1"], &inside);
    let outside = site.out("192.168.0.2:1000", "198.51.100.1:1000").unwrap();
    assert_eq!(outside.ip(), ip("203.0.113.1"));
    let here = "[2001:db8:2::2]:1000";
    assert_eq!(site.out(here, "[2001:db8:1::1]:1000"), Some(here.parse().unwrap()));
}

#[test]
fn behind_a_nat64_ipv4_is_reached_through_the_prefix_only() {
    let mut site = Site::behind(RouterConfig::nat64(), &["203.0.113.1"], &["2001:db8:2::2"]);
    let here = "[2001:db8:2::2]:1000";
    let through = synthesise(WELL_KNOWN_PREFIX, "198.51.100.1".parse().unwrap());
    assert_eq!(through, "64:ff9b::c633:6401".parse::<std::net::Ipv6Addr>().unwrap());
    let outside = site.out(here, &format!("[{through}]:1000")).unwrap();
    assert_eq!(outside.ip(), ip("203.0.113.1"));
    // What answers comes from the prefix.
    assert_eq!(site.inward("198.51.100.1:1000", &outside.to_string()), Some(at(through.into(), 1000)));
    assert!(site.connects(site.host, "2001:db8:2::2", &format!("[{through}]:443")));
    // IPv6 goes as it is.
    assert_eq!(site.out(here, "[2001:db8:1::1]:1000"), Some(here.parse().unwrap()));
    // An IPv4 literal leads nowhere, even from an address that somebody has given himself.
    site.world.internet.bind(site.host, "192.0.0.2:1000".parse().unwrap());
    assert_eq!(site.out("192.0.0.2:1000", "198.51.100.1:1000"), None);
    assert_eq!(site.world.internet.drops().of(Dropped::NoRoute), 1);
}
