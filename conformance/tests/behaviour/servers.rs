//! Servers that do not do what they should, and networks that change meanwhile.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use frazil::nat::{Config, Filtering, Hairpinning, Mapping, Unknown};
use frazil_conformance::seeds;
use frazil_internet::{Access, RouterConfig, Scheduled, WELL_KNOWN_PREFIX, synthesise};

use crate::liar::{Liar, Manners, Mapped, Obedience, Whims};
use crate::site::{Machine, OTHER, Run, SECOND, SERVER, Site, address, ip};

const BASE: &str = "192.168.7.2:4000";
const OUTSIDE: &str = "203.0.113.1";

fn delay() -> Access {
    Access::delay(Duration::from_millis(20))
}

fn config() -> Config {
    Config { second_base: Some(address("192.168.7.2:4001")), ..Config::new(address(BASE), at(SERVER, 3478)) }
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(address), port)
}

/// A server that keeps all rules.
fn decent() -> Manners {
    Manners {
        mapped: Mapped::Truth,
        other: Some(at(OTHER, 3479)),
        change: Obedience::Obeys,
        dead: Vec::new(),
        error: None,
    }
}

fn with_liar(liar: Liar, router: RouterConfig, config: Config, seed: u64) -> Run {
    let mut site = Site::new(seed);
    let public = site.internet.public();
    let server = site.internet.add_host(site.internet.now(), |_| Machine::Liar(liar));
    site.internet.attach(server, public, &[SERVER, OTHER].map(ip), delay());
    for (ip, port) in [(SERVER, 3478), (SERVER, 3479), (OTHER, 3478), (OTHER, 3479)] {
        site.internet.bind(server, at(ip, port));
    }
    site.internet.add_server(public, &[ip(SECOND)], delay(), frazil_internet::TurnServer::default());
    let realm = site.add_router(public, &[ip(OUTSIDE)], Access::default(), router);
    site.internet.start_record();
    let host = site.add_prober(realm, delay(), config, 7);
    site.run(host)
}

fn with_manners(manners: Manners, router: RouterConfig) -> Run {
    with_liar(Liar::with_manners(manners), router, config(), 1)
}

#[test]
fn with_a_decent_server_it_takes_moments() {
    let run = with_manners(decent(), RouterConfig::full_cone());
    assert_eq!(
        (run.found.mapping, run.found.filtering),
        (Ok(Mapping::EndpointIndependent), Ok(Filtering::EndpointIndependent))
    );
    assert_eq!(run.found.hairpinning, Ok(Hairpinning::None));
    // What waits for an answer that does not come is hairpinning.
    let alone = Config { second_base: None, ..config() };
    let run = with_liar(Liar::with_manners(decent()), RouterConfig::full_cone(), alone, 1);
    assert_eq!(run.took, Duration::from_millis(3 * 80));
    // Three plain requests and two filter tests.
    assert_eq!(run.sent.len(), 5);
}

#[test]
fn a_dead_address_is_no_filter() {
    let dead = vec![at(OTHER, 3478), at(OTHER, 3479)];
    let nobody = Unknown::NoAnswer(at(OTHER, 3478));
    for (router, mapping) in [
        (RouterConfig::full_cone(), Err(nobody.clone())),
        (RouterConfig::port_restricted(), Err(nobody)),
        // Two ports of one address tell that.
        (RouterConfig::symmetric(), Ok(Mapping::AddressAndPortDependent)),
    ] {
        let run = with_manners(Manners { dead: dead.clone(), ..decent() }, router);
        assert_eq!(run.found.filtering, Err(Unknown::NoAnswer(at(OTHER, 3479))));
        assert_eq!(run.found.mapping, mapping);
    }
    // Nor is a dead port; and for the mapping another server does.
    let manners = Manners { dead: vec![at(SERVER, 3479), at(OTHER, 3478)], ..decent() };
    let config = Config { second_server: Some(at(SECOND, 3478)), ..config() };
    let run = with_liar(Liar::with_manners(manners), RouterConfig::port_restricted(), config, 1);
    assert_eq!(run.found.filtering, Err(Unknown::NoAnswer(at(SERVER, 3479))));
    assert_eq!(run.found.mapping, Ok(Mapping::EndpointIndependent));
}

#[test]
fn a_server_that_does_not_change_its_address_tells_nothing_of_filters() {
    for (change, why) in [
        (Obedience::Ignores, Unknown::ChangeIgnored(at(SERVER, 3478))),
        (Obedience::Falls, Unknown::ChangeUnanswered(at(SERVER, 3478))),
        (
            Obedience::Refuses,
            Unknown::Refused { server: at(SERVER, 3478), code: 420, reason: "as it likes".to_owned() },
        ),
    ] {
        for router in [RouterConfig::full_cone(), RouterConfig::port_restricted()] {
            let run = with_manners(Manners { change, ..decent() }, router);
            assert_eq!(run.found.filtering, Err(why.clone()), "{change:?}");
            assert_eq!(run.found.mapping, Ok(Mapping::EndpointIndependent), "{change:?}");
        }
    }
}

#[test]
fn a_server_that_says_nothing_of_use_is_named() {
    let run = with_manners(Manners { mapped: Mapped::Nothing, ..decent() }, RouterConfig::full_cone());
    assert_eq!(run.found.mapping, Err(Unknown::Malformed(at(SERVER, 3478))));
    // That answers arrive is enough for this.
    assert_eq!(run.found.filtering, Ok(Filtering::EndpointIndependent));
    assert_eq!(run.found.hairpinning, Err(Unknown::Malformed(at(SERVER, 3478))));
    let run = with_manners(Manners { error: Some(500), ..decent() }, RouterConfig::full_cone());
    let refused = Unknown::Refused { server: at(SERVER, 3478), code: 500, reason: "as it likes".to_owned() };
    assert_eq!(run.found.mapping, Err(refused.clone()));
    assert_eq!(run.found.filtering, Err(refused));
}

/// What no server can have us send to.
const NOWHERE: [&str; 16] = [
    "127.0.0.1:22",
    "10.0.0.1:3479",
    "192.168.7.1:80",
    "192.168.7.2:3479",
    "172.16.0.1:3479",
    "100.64.0.1:3479",
    "169.254.1.1:3479",
    "0.0.0.0:3479",
    "224.0.0.251:5353",
    "255.255.255.255:9",
    "240.0.0.1:9",
    "198.51.100.2:0",
    "[2001:db8::1]:3479",
    "[::1]:3479",
    "[ff02::fb]:5353",
    "[::ffff:198.51.100.2]:3479",
];

#[test]
fn nothing_is_sent_to_where_no_server_can_be() {
    // The server's own address, its own port, and our outside address are no other ones either.
    let others = ["198.51.100.1:3479", "198.51.100.2:3478", "203.0.113.1:3479"];
    for named in NOWHERE.iter().chain(&others).map(|named| address(named)) {
        let run = with_manners(Manners { other: Some(named), ..decent() }, RouterConfig::full_cone());
        assert_eq!(run.found.filtering, Err(Unknown::Implausible(named)));
        assert_eq!(run.found.mapping, Err(Unknown::Implausible(named)));
        assert!(run.destinations().is_subset(&BTreeSet::from([
            at(SERVER, 3478),
            at(OUTSIDE, 4000),
            at(OUTSIDE, 4001)
        ])));
    }
    for named in NOWHERE.map(address) {
        let run = with_manners(Manners { mapped: Mapped::Lie(named), ..decent() }, RouterConfig::full_cone());
        assert_eq!(run.found.hairpinning, Err(Unknown::Implausible(named)));
        assert!(!run.destinations().contains(&named));
    }
}

#[test]
fn whatever_a_server_does_it_ends_and_nobody_else_is_bothered() {
    seeds::check("behaviour", "whatever_a_server_does_it_ends_and_nobody_else_is_bothered", 1_000, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let fine = [at(OTHER, 3479), at(OUTSIDE, 4000), at(OUTSIDE, 4001), address("198.51.100.99:3479")];
        let names = NOWHERE.map(address).into_iter().chain(fine.repeat(4)).collect();
        let liar = Liar::with_whims(Whims { rng: rng.fork(), names });
        let routers = [RouterConfig::full_cone, RouterConfig::port_restricted, RouterConfig::symmetric];
        let second_server = rng.bool().then(|| at(SECOND, 3478));
        let run = with_liar(liar, routers[rng.usize(..3)](), Config { second_server, ..config() }, seed);
        let fine_ips: BTreeSet<_> = fine.iter().map(SocketAddr::ip).chain([SERVER, SECOND].map(ip)).collect();
        let strange: Vec<_> = run.destinations().into_iter().filter(|to| !fine_ips.contains(&to.ip())).collect();
        assert!(strange.is_empty(), "{strange:?}");
        // Fourteen requests, seven times each.
        assert!(run.sent.len() <= 14 * 7, "{}", run.sent.len());
    });
}

#[test]
fn an_address_that_changes_meanwhile_is_no_mapping() {
    for router in [RouterConfig::port_restricted(), RouterConfig::symmetric()] {
        let mut site = Site::new(1);
        site.add_servers(delay());
        let public = site.internet.public();
        let (router, realm) = site.internet.add_router(public, &[ip(OUTSIDE)], Access::default(), router);
        let host = site.add_prober(realm, delay(), Config { second_base: None, ..config() }, 7);
        site.internet.after(Duration::from_secs(20), Scheduled::Rebind(router));
        let run = site.run(host);
        assert!(
            matches!(run.found.mapping, Err(Unknown::Unstable { before, .. }) if before.ip() == ip(OUTSIDE)),
            "{run:?}"
        );
        assert!(matches!(run.found.filtering, Err(Unknown::Unstable { .. })), "{run:?}");
    }
}

#[test]
fn behind_a_nat64_two_servers_tell_the_mapping() {
    let mut site = Site::new(1);
    site.add_servers(delay());
    let public = site.internet.public();
    let realm = site.add_router(public, &[ip(OUTSIDE)], Access::default(), RouterConfig::nat64());
    let synthesised = |text: &str| {
        let v4 = text.parse().unwrap();
        SocketAddr::new(synthesise(WELL_KNOWN_PREFIX, v4).into(), 3478)
    };
    let config = Config {
        second_server: Some(synthesised(SECOND)),
        ..Config::new(address("[fd00:7::2]:4000"), synthesised(SERVER))
    };
    let host = site.add_prober(realm, delay(), config, 7);
    let run = site.run(host);
    assert_eq!(run.found.mapping, Ok(Mapping::EndpointIndependent));
    // Its other address is of a family that we cannot send to.
    assert_eq!(run.found.filtering, Err(Unknown::Implausible(at(OTHER, 3479))));
}
