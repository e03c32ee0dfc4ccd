//! Trouble in mid-session.

use std::net::IpAddr;
use std::time::Duration;

use frazil::Protocol;
use frazil::ice::{
    Agent, CandidateKind, Config, Event, HostSocket, InterfaceKind, LocalCandidate, Role, ServerOutcome, State,
};
use frazil_internet::{Access, Family, RouterConfig, RouterId, Scheduled, TurnServer};

use crate::site::{DELAY, Site, address, relay_only, seconds, server, server_as, turn_server};

const A: &str = "203.0.113.1:5000";
const B: &str = "203.0.113.2:5000";
const INSIDE: &str = "192.168.1.2:5000";
const STUN: &str = "stun:198.51.100.1";
const WAYS: [&str; 2] = ["turn:198.51.100.1", "turn:198.51.100.1?transport=tcp"];

/// One side with a relay only and one without any, connected.
fn over_a_relay(way: &str, role: Role) -> Site {
    let mut site = Site::new(3);
    site.add_server(&["198.51.100.1"], turn_server());
    let public = site.internet.public();
    site.add_agent(public, &[A], relay_only(), role);
    site.add_agent(public, &[B], Config::default(), role.opposite());
    site.introduce();
    site.begin(0, &[A], vec![server(way)]);
    site.begin(1, &[B], Vec::new());
    site.pass(seconds(15));
    assert!(site.are_connected() && site.exchange(b"before"), "{way}");
    site
}

/// One side behind a NAT, with its router.
fn behind(config: RouterConfig) -> (Site, RouterId) {
    let mut site = Site::new(4);
    site.add_server(&["198.51.100.1"], turn_server());
    let public = site.internet.public();
    let outside: [IpAddr; 1] = ["203.0.113.10".parse().unwrap()];
    let (router, inside) = site.internet.add_router(public, &outside, Access::delay(DELAY), config);
    site.add_agent(inside, &[INSIDE], Config::default(), Role::Controlling);
    (site, router)
}

#[test]
fn a_session_comes_back_over_a_new_relay_when_its_server_was_restarted() {
    for way in WAYS {
        for role in [Role::Controlling, Role::Controlled] {
            let mut site = over_a_relay(way, role);
            let before = site.candidates(0, CandidateKind::Relayed);
            let (server, now) = (site.servers[0], site.internet.now());
            site.internet.at(now, Scheduled::ServerRestart(server));
            // Within the life of the consent that there was.
            site.pass(seconds(29));
            let after = site.candidates(0, CandidateKind::Relayed);
            assert!(after.len() == 1 && after != before, "{way}, {role:?}: {after:?} {:#?}", &site.said[0]);
            assert!(site.are_connected(), "{way}, {role:?}: {:?}", site.said[0]);
            assert!(site.exchange(b"after"), "{way}, {role:?}");
            let errors = site.errors(0);
            assert!(errors.len() == 1 && errors[0].code == 701, "{errors:?}");
            assert_eq!(site.internet.relayed(server).len(), 1);
        }
    }
}

#[test]
fn a_nat_that_forgets_costs_neither_the_relay_nor_the_session() {
    for way in WAYS {
        let (mut site, router) = behind(RouterConfig::symmetric());
        let public = site.internet.public();
        site.add_agent(public, &[B], relay_only(), Role::Controlled);
        site.introduce();
        site.begin(0, &[INSIDE], vec![server(way)]);
        site.begin(1, &[B], vec![server("turn:198.51.100.1")]);
        site.pass(seconds(15));
        assert!(site.are_connected() && site.exchange(b"before"), "{way}");
        site.internet.after(seconds(1), Scheduled::Rebind(router));
        site.pass(seconds(40));
        assert!(site.are_connected() && site.exchange(b"after"), "{way}: {:?}", site.said[0]);
    }
}

#[test]
fn where_there_is_another_path_a_dead_server_is_no_matter() {
    for way in WAYS {
        let mut site = Site::new(5);
        site.add_server(&["198.51.100.1"], turn_server());
        let public = site.internet.public();
        site.add_agent(public, &[A], Config::default(), Role::Controlling);
        site.add_agent(public, &[B], Config::default(), Role::Controlled);
        site.introduce();
        site.begin(0, &[A], vec![server(way), server(STUN)]);
        site.begin(1, &[B], vec![server(way)]);
        site.pass(seconds(15));
        let server = site.servers[0];
        site.internet.after(seconds(1), Scheduled::ServerDown(server));
        site.pass(seconds(1500));
        assert!(site.are_connected() && site.exchange(b"after"), "{way}");
        let lost = |event: &Event| matches!(event, Event::StateChange(State::Disconnected | State::Failed));
        assert!(!site.said.iter().flatten().any(|(_, event)| lost(event)));
        assert_eq!((site.candidates(0, CandidateKind::Relayed), site.errors(0).len()), (vec![], 1), "{way}");
        // It is back, and found.
        site.internet.after(seconds(1), Scheduled::ServerRestart(server));
        site.pass(seconds(60));
        assert_eq!(site.candidates(0, CandidateKind::Relayed).len(), 1, "{way}");
    }
}

#[test]
fn nonces_that_change_and_credentials_that_are_replaced_cost_nothing() {
    for way in WAYS {
        let mut site = Site::new(6);
        let lifetime = Duration::from_secs(30);
        site.add_server(&["198.51.100.1"], TurnServer { nonce_lifetime: lifetime, ..turn_server() });
        let public = site.internet.public();
        site.add_agent(public, &[A], relay_only(), Role::Controlling);
        site.add_agent(public, &[B], Config::default(), Role::Controlled);
        site.introduce();
        site.begin(0, &[A], vec![server(way)]);
        site.begin(1, &[B], Vec::new());
        site.pass(seconds(900));
        let before = site.candidates(0, CandidateKind::Relayed);
        site.with(0, |agent, now| agent.set_servers(vec![server_as(way, "wrong")], now));
        // Until that is said; a permission outlasts it.
        while site.errors(0).is_empty() {
            site.pass(seconds(10));
        }
        assert_eq!(site.errors(0).iter().map(|error| error.code).collect::<Vec<_>>(), [401], "{way}");
        site.with(0, |agent, now| agent.set_servers(vec![server(way)], now));
        site.pass(seconds(900));
        assert!(site.are_connected() && site.exchange(b"still"), "{way}");
        assert_eq!(site.candidates(0, CandidateKind::Relayed), before, "{way}: {:?}", site.errors(0));
    }
}

#[test]
fn a_base_that_comes_is_gathered_from_and_one_that_goes_takes_its_relay_along() {
    for way in WAYS {
        let mut site = Site::new(7);
        site.add_server(&["198.51.100.1"], turn_server());
        let public = site.internet.public();
        let sockets = ["203.0.113.1:5000", "203.0.113.7:5000"];
        site.add_agent(public, &sockets, Config::default(), Role::Controlling);
        let of = |text: &str| HostSocket::on(InterfaceKind::Unknown, 0, address(text), Protocol::Udp);
        site.with(0, |agent, now| {
            agent.set_servers(vec![server(way), server(STUN)], now);
            agent.handle_network_change(&[of(sockets[0])], now);
            agent.end_of_local_candidates(now);
        });
        site.pass(seconds(5));
        let first = site.candidates(0, CandidateKind::Relayed);
        assert_eq!((first.len(), site.completions(0).len()), (1, 1));
        site.with(0, |agent, now| agent.handle_network_change(&[of(sockets[0]), of(sockets[1])], now));
        site.pass(seconds(5));
        assert_eq!((site.candidates(0, CandidateKind::Relayed).len(), site.completions(0).len()), (2, 2));
        site.with(0, |agent, now| agent.handle_network_change(&[of(sockets[1])], now));
        site.pass(seconds(5));
        let left = site.candidates(0, CandidateKind::Relayed);
        assert!(left.len() == 1 && left != first, "{left:?}");
        assert!(site.agent(0).server_reports().all(|report| report.local.ip() == address(sockets[1]).ip()));
        assert_eq!(site.errors(0), []);
    }
}

#[test]
fn a_restart_asks_again_who_has_failed() {
    for uri in [WAYS[0], WAYS[1], STUN] {
        let mut site = Site::new(8);
        let server_id = site.add_server(&["198.51.100.1"], turn_server());
        let public = site.internet.public();
        site.add_agent(public, &[A], Config::default(), Role::Controlling);
        let now = site.internet.now();
        site.internet.at(now, Scheduled::ServerDown(server_id));
        site.pass(seconds(1));
        site.begin(0, &[A], vec![server(uri)]);
        site.pass(seconds(11));
        assert_eq!(site.errors(0).len(), 1);
        site.internet.after(seconds(1), Scheduled::ServerRestart(server_id));
        site.pass(seconds(2));
        site.with(0, |agent, now| {
            let credentials = agent.draw_credentials();
            agent.restart(credentials, now);
        });
        site.pass(seconds(2));
        let outcomes: Vec<_> = site.agent(0).server_reports().map(|report| report.outcome).collect();
        assert!(matches!(outcomes[..], [ServerOutcome::Answered { .. }]), "{outcomes:?}");
        assert_eq!(site.completions(0).len(), 2);
    }
}

#[test]
fn a_mapping_is_kept_until_the_answer_comes_and_a_change_is_told() {
    let mut config = RouterConfig::port_restricted();
    config.firewall.lifetime = seconds(20);
    if let Family::Translated(nat) = &mut config.v4 {
        nat.lifetime = seconds(20);
    }
    let (mut site, router) = behind(config);
    let public = site.internet.public();
    site.add_agent(public, &[B], Config::default(), Role::Controlled);
    site.begin(0, &[INSIDE], vec![server(STUN)]);
    site.begin(1, &[B], Vec::new());
    site.pass(seconds(600));
    let told = |site: &Site| {
        let told = site.said[0].iter().filter_map(|(_, event)| match event {
            Event::LocalCandidate(LocalCandidate { candidate, .. }) => Some(candidate.address),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(told(&site).len(), 2, "the host and what the server has seen");
    site.internet.after(seconds(1), Scheduled::Rebind(router));
    site.pass(seconds(20));
    let all = told(&site);
    assert_eq!(site.candidates(0, CandidateKind::ServerReflexive), all[2..], "the old one is gone");
    site.introduce();
    site.pass(seconds(10));
    assert!(site.are_connected() && site.exchange(b"at last"));
}

#[test]
fn who_was_there_before_a_crash_is_asked_from_another_port() {
    let mut site = Site::new(9);
    let server_id = site.add_server(&["198.51.100.1"], turn_server());
    let public = site.internet.public();
    site.add_agent(public, &[A], Config::default(), Role::Controlling);
    site.begin(0, &[A], vec![server(WAYS[0])]);
    site.pass(seconds(2));
    assert_eq!(site.internet.relayed(server_id).len(), 1);
    site.replace(0, Config::default());
    site.begin(0, &[A], vec![server(WAYS[0])]);
    site.pass(seconds(2));
    assert_eq!((site.candidates(0, CandidateKind::Relayed).len(), site.errors(0)), (1, vec![]));
    assert_eq!((site.internet.relayed(server_id).len(), site.open_sockets()), (2, 1));
    site.with(0, Agent::close);
    site.pass(seconds(2));
    assert_eq!((site.internet.relayed(server_id).len(), site.open_sockets()), (1, 0));
}
