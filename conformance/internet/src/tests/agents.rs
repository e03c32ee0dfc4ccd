//! Two of frazil's agents in this internet, each with a socket behind a router.

use frazil::Seed;
use frazil::ice::{Agent, CandidateKind, Config, LocalCandidate, Role, State};

use super::*;

/// Where each side is, and what it looks like from outside as long as its router preserves ports.
const INSIDE: [&str; 2] = ["192.168.0.2:5000", "192.168.0.3:5000"];
const OUTSIDE: [&str; 2] = ["203.0.113.1:5000", "203.0.113.2:5000"];

struct Pair {
    internet: Internet<IceEndpoint>,
    hosts: [HostId; 2],
    routers: [RouterId; 2],
}

impl Pair {
    fn behind(configs: [RouterConfig; 2]) -> Self {
        let mut internet = Internet::new(1);
        internet.start_record();
        let public = internet.public();
        let access = Access::delay(millis(10));
        let sides = [0, 1].map(|side| {
            let outside: SocketAddr = OUTSIDE[side].parse().unwrap();
            let inside: SocketAddr = INSIDE[side].parse().unwrap();
            let (router, realm) = internet.add_router(public, &[outside.ip()], access, configs[side].clone());
            let role = [Role::Controlling, Role::Controlled][side];
            let seed: Seed = [side as u8 + 1; 32];
            let agent = |now| IceEndpoint::new(Agent::new(Config::default(), role, seed, now));
            let host = internet.add_host(Instant::ZERO, agent);
            internet.attach(host, realm, &[inside.ip()], access);
            internet.bind(host, inside);
            (host, router)
        });
        let hosts = sides.map(|(host, _)| host);
        let mut pair = Self { internet, hosts, routers: sides.map(|(_, router)| router) };
        pair.introduce();
        pair
    }

    /// Tells each side its candidates, and the other side of them.
    fn introduce(&mut self) {
        let server = ip("198.51.100.1");
        let credentials = self.hosts.map(|host| self.internet.endpoint(host).agent.local_credentials().clone());
        let locals = [0, 1].map(|side| {
            let [inside, outside]: [SocketAddr; 2] = [INSIDE, OUTSIDE].map(|all| all[side].parse().unwrap());
            let reflexive = LocalCandidate::server_reflexive(Protocol::Udp, outside, inside, server, 65_000);
            [LocalCandidate::host(Protocol::Udp, inside, 65_000), reflexive]
        });
        for side in [0, 1] {
            self.internet.with(self.hosts[side], |endpoint, now| {
                let agent = &mut endpoint.agent;
                agent.set_remote_credentials(credentials[1 - side].clone(), now);
                for (ours, theirs) in locals[side].into_iter().zip(locals[1 - side]) {
                    agent.add_local_candidate(ours, now).unwrap();
                    agent.add_remote_candidate(theirs.candidate, now).unwrap();
                }
                agent.end_of_local_candidates(now);
                agent.end_of_remote_candidates(now);
            });
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.internet.now() + time;
        self.internet.run(until, |_, _| ());
    }

    fn states(&self) -> [State; 2] {
        self.hosts.map(|host| self.internet.endpoint(host).agent.state())
    }

    /// The kinds of the remote candidates that the two sides use.
    fn selected(&self) -> [Option<CandidateKind>; 2] {
        self.hosts.map(|host| Some(self.internet.endpoint(host).agent.selected_pair()?.remote.kind))
    }
}

#[test]
fn agents_behind_nats_with_endpoint_independent_mapping_meet_outside() {
    let kinds = [RouterConfig::full_cone(), RouterConfig::address_restricted(), RouterConfig::port_restricted()];
    for a in &kinds {
        for b in &kinds {
            let mut pair = Pair::behind([a.clone(), b.clone()]);
            pair.pass(seconds(5));
            assert_eq!(pair.states(), [State::Completed; 2], "{a:?}, {b:?}");
            assert_eq!(pair.selected(), [Some(CandidateKind::ServerReflexive); 2]);
        }
    }
}

#[test]
fn a_symmetric_nat_meets_what_filters_by_address_and_not_what_filters_by_port() {
    let mut pair = Pair::behind([RouterConfig::symmetric(), RouterConfig::address_restricted()]);
    pair.pass(seconds(5));
    assert_eq!(pair.states(), [State::Completed; 2]);
    // The port behind the symmetric one is learnt from its checks.
    let kinds = [CandidateKind::ServerReflexive, CandidateKind::PeerReflexive];
    assert_eq!(pair.selected(), kinds.map(Some));
    let mut pair = Pair::behind([RouterConfig::symmetric(), RouterConfig::port_restricted()]);
    pair.pass(seconds(120));
    assert_eq!(pair.states(), [State::Failed; 2]);
}

#[test]
fn agents_follow_a_rebinding_and_send_the_same_bytes_for_the_same_seed() {
    let tell = || {
        let mut pair = Pair::behind([RouterConfig::port_restricted(), RouterConfig::full_cone()]);
        pair.pass(seconds(5));
        pair.internet.after(Duration::ZERO, Scheduled::Rebind(pair.routers[0]));
        pair.pass(seconds(60));
        assert_eq!(pair.states(), [State::Completed; 2], "the other side answers where it is asked from");
        pair.internet.record().to_vec()
    };
    assert!(tell() == tell());
}
