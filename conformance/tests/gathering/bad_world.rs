//! Any number of servers, most of them bad.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use frazil::ice::{Config, Event, Role, Server, ServerOutcome};
use frazil::stun::{AttributeType, Class, Message, Method};
use frazil::{Instant, Protocol};
use frazil_conformance::seeds;
use frazil_internet::{Sent, TurnServer};

use crate::site::{DELAY, Name, Site, address, seconds, server};
use crate::villain::Vice;

const SOCKETS: [&str; 3] = ["203.0.113.1:5000", "203.0.113.2:5000", "[2001:db8:1::1]:5000"];

/// Where nobody is to send anything.
const FORBIDDEN: &str = "192.0.2.66:3478";

/// What good servers have.
const GOOD: [[&str; 2]; 2] = [["198.51.100.1", "2001:db8:5::1"], ["198.51.100.2", "2001:db8:5::2"]];

struct World {
    site: Site,
    servers: Vec<Server>,
    /// To where something may be sent.
    named: BTreeSet<SocketAddr>,
    /// Those that do what they should, and are not behind names.
    good: Vec<String>,
    /// To where villains send whoever asks them.
    redirects: BTreeSet<SocketAddr>,
    bases: usize,
}

fn dead(n: u8) -> [IpAddr; 2] {
    [Ipv4Addr::new(198, 51, 100, 200 + n).into(), Ipv6Addr::new(0x2001, 0xdb8, 6, 0, 0, 0, 0, u16::from(n)).into()]
}

impl World {
    fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xBAD);
        let mut site = Site::new(seed);
        let (mut named, mut redirects) = (BTreeSet::new(), BTreeSet::new());
        for addresses in GOOD {
            site.add_server(&addresses, TurnServer::with_user("alice", "secret"));
        }
        let port = |ip: IpAddr| SocketAddr::new(ip, 3478);
        let villains: Vec<[IpAddr; 2]> = (0..rng.u8(..8))
            .map(|n| {
                let v6 = Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, u16::from(n));
                [Ipv4Addr::new(198, 51, 100, 100 + n).into(), v6.into()]
            })
            .collect();
        for (n, ips) in villains.iter().enumerate() {
            let vice = match rng.u8(..13) {
                0 => Vice::Silent,
                1 => Vice::Late,
                2 => Vice::Refuses(rng.choice([400, 401, 403, 420, 437, 438, 441, 442, 486, 500, 508]).unwrap()),
                3 | 4 => {
                    let other = rng.choice(&villains).expect("there is one")[0];
                    let to = rng.choice([other, ips[0], GOOD[0][0].parse().unwrap()]).unwrap();
                    named.insert(port(to));
                    redirects.insert(port(to));
                    Vice::Redirects(port(to))
                }
                5 => Vice::Noise,
                6 => Vice::Truncates,
                7 => Vice::OtherTransaction(address(FORBIDDEN)),
                8 => Vice::OtherSource,
                9 => Vice::WrongFingerprint,
                10 => Vice::Unsigned,
                11 => Vice::WronglySigned,
                _ => rng.choice([Vice::Insatiable, Vice::Closes]).unwrap(),
            };
            site.add_villain(vice, ips, seed ^ n as u64);
        }
        let places: Vec<[IpAddr; 2]> = villains
            .iter()
            .copied()
            .chain((0..3).map(dead))
            .chain(GOOD.map(|ips| ips.map(|ip| ip.parse().unwrap())))
            .collect();
        let (mut servers, mut good) = (Vec::new(), Vec::new());
        for n in 0..rng.usize(1..10) {
            let form = rng.choice(["stun:{}", "turn:{}", "turn:{}?transport=tcp"]).unwrap();
            let mut place = *rng.choice(&places).unwrap();
            let host = if rng.u8(..3) == 0 {
                let name = format!("server{n}.example");
                let mut addresses = Vec::new();
                for _ in 0..rng.u8(..6) {
                    let place = rng.choice(&places).unwrap();
                    addresses.push(place[rng.usize(..2)]);
                }
                named.extend(addresses.iter().copied().map(port));
                let after = (rng.u8(..6) > 0).then(|| Duration::from_millis(rng.u64(..3000)));
                site.names.insert(name.clone(), Name { after, addresses });
                name
            } else {
                rng.shuffle(&mut place);
                named.insert(port(place[0]));
                match place[0] {
                    IpAddr::V4(v4) => v4.to_string(),
                    IpAddr::V6(v6) => format!("[{v6}]"),
                }
            };
            let uri = form.replace("{}", &host);
            if GOOD.iter().flatten().any(|ip| host.trim_matches(['[', ']']) == *ip) {
                good.push(uri.clone());
            }
            servers.push(server(&uri));
        }
        let bases = rng.usize(1..=SOCKETS.len());
        Self { site, servers, named, good, redirects, bases }
    }

    /// Lets it gather until its patience is over, and some time after.
    fn run(&mut self) -> usize {
        let public = self.site.internet.public();
        let sockets = &SOCKETS[..self.bases];
        let which = self.site.add_agent(public, sockets, Config::default(), Role::Controlling);
        self.site.begin(which, sockets, self.servers.clone());
        self.site.pass(seconds(90));
        which
    }
}

#[test]
fn each_server_ends_once_in_time_and_with_the_reason() {
    seeds::check("gathering", "each_server_ends_once_in_time_and_with_the_reason", 200, |seed| {
        let mut world = World::random(seed);
        let which = world.run();
        let site = &world.site;
        if seeds::is_replay() {
            eprintln!("{:#?}\n{:#?}", site.agent(which).server_reports().collect::<Vec<_>>(), site.said[which]);
        }
        let errors = site.errors(which);
        for report in site.agent(which).server_reports() {
            let is_of = |uri: &str, local: Option<SocketAddr>| {
                uri == report.uri.to_string() && local.is_some_and(|local| local.ip() == report.local.ip())
            };
            let told: Vec<_> = errors.iter().filter(|error| is_of(&error.uri.to_string(), error.local)).collect();
            match &report.outcome {
                ServerOutcome::Waiting => panic!("{report:?}"),
                ServerOutcome::Failed(error) => assert_eq!(told, [error], "{report:?}"),
                // A server may be left by its own doing, after it has answered.
                ServerOutcome::Answered { .. } | ServerOutcome::Redundant => assert!(told.is_empty(), "{told:?}"),
            }
        }
        let completions = site.completions(which);
        assert_eq!(completions.len(), 1);
        let patience = Config::default().gathering_patience;
        assert!(completions[0] <= Instant::ZERO + patience + Duration::from_millis(1), "{completions:?}");
        assert!(site.internet.counters(site.agents[which]).busiest_second < 300);
    });
}

#[test]
fn nobody_is_sent_anything_who_was_not_named() {
    seeds::check("gathering", "nobody_is_sent_anything_who_was_not_named", 100, |seed| {
        let mut world = World::random(seed);
        let which = world.run();
        let host = world.site.agents[which];
        let sent = world.site.internet.record().iter().filter(|sent| sent.host == host).map(|sent| sent.path.remote);
        let opened = world.site.said[which].iter().filter_map(|(_, event)| match event {
            Event::OpenStream { remote, .. } => Some(*remote),
            _ => None,
        });
        for remote in sent.chain(opened) {
            assert!(world.named.contains(&remote), "{remote} was not named");
        }
    });
}

#[test]
fn good_servers_answer_as_soon_as_if_they_were_alone() {
    let tried = std::cell::Cell::new(0);
    seeds::check("gathering", "good_servers_answer_as_soon_as_if_they_were_alone", 200, |seed| {
        let mut world = World::random(seed);
        let which = world.run();
        let asked = u32::try_from(world.servers.len() * world.bases * 4).unwrap();
        // Three round trips at the most: to open the stream, to be asked who we are, and to say so.
        let latest = Config::default().pacing * asked + DELAY * 4 * 3 + Duration::from_millis(1);
        for report in world.site.agent(which).server_reports() {
            if !world.good.contains(&report.uri.to_string()) {
                continue;
            }
            match report.outcome {
                ServerOutcome::Answered { after, .. } => assert!(after <= latest, "{report:?}"),
                ServerOutcome::Redundant => {}
                _ => panic!("{report:?}"),
            }
            tried.set(tried.get() + 1);
        }
    });
    assert!(tried.get() > 50 || seeds::is_replay(), "{tried:?}");
}

#[test]
fn no_two_servers_are_asked_within_ta() {
    seeds::check("gathering", "no_two_servers_are_asked_within_ta", 100, |seed| {
        let mut world = World::random(seed);
        let which = world.run();
        let host = world.site.agents[which];
        let mut seen = BTreeSet::new();
        let mut starts = Vec::new();
        for Sent { at, path, datagram, .. } in world.site.internet.record().iter().filter(|sent| sent.host == host) {
            let Ok(message) = Message::parse(datagram) else { continue };
            let is_first = message.class() == Class::Request
                && matches!(message.method(), Method::BINDING | Method::ALLOCATE)
                && message.get(AttributeType::NONCE).is_none();
            // What follows from an answer is not held back: a redirection, another term, another look at a mapping.
            if is_first && path.protocol == Protocol::Udp && seen.insert((*path, message.method() == Method::ALLOCATE))
            {
                starts.push((*at, *path));
            }
        }
        let direct: Vec<_> = starts.iter().filter(|(_, path)| !world.redirects.contains(&path.remote)).collect();
        for pair in direct.windows(2) {
            assert!(pair[1].0 >= pair[0].0 + Config::default().pacing, "{pair:?}");
        }
    });
}

#[test]
fn the_same_seed_sends_the_same_bytes() {
    seeds::check("gathering", "the_same_seed_sends_the_same_bytes", 20, |seed| {
        let runs = [(); 2].map(|()| {
            let mut world = World::random(seed);
            let which = world.run();
            (world.site.internet.record().to_vec(), world.site.said[which].clone())
        });
        assert!(runs[0] == runs[1]);
    });
}

#[test]
fn all_is_over_a_second_after_the_end() {
    seeds::check("gathering", "all_is_over_a_second_after_the_end", 100, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::random(seed);
        let public = world.site.internet.public();
        let sockets = &SOCKETS[..world.bases];
        let which = world.site.add_agent(public, sockets, Config::default(), Role::Controlling);
        world.site.begin(which, sockets, world.servers.clone());
        world.site.pass(Duration::from_millis(rng.u64(..12_000)));
        let site = &mut world.site;
        site.with(which, frazil::ice::Agent::close);
        site.pass(Duration::from_millis(1001));
        assert_eq!(site.agent(which).poll_timeout(), None);
        let said = site.said[which].len();
        let sent = site.internet.counters(site.agents[which]).sent;
        site.pass(seconds(70));
        assert_eq!((site.said[which].len(), site.internet.counters(site.agents[which]).sent), (said, sent));
        assert_eq!(site.open_sockets(), 0);
        assert_eq!(site.internet.streams_of(site.agents[which]), []);
        let (mut opened, mut closed) = (0, 0);
        for (_, event) in &site.said[which] {
            match event {
                Event::OpenStream { .. } => opened += 1,
                Event::CloseStream { .. } => closed += 1,
                _ => {}
            }
        }
        assert!(closed <= opened, "{closed} of {opened}");
        for server in 0..GOOD.len() {
            assert_eq!(site.internet.relayed(site.servers[server]), [], "they were given back");
        }
    });
}
