//! The same seed gives the same bytes at the same times.

use super::*;

/// A random internet with random traffic and random events, from one seed.
struct Story {
    rng: fastrand::Rng,
    world: World,
    realms: Vec<RealmId>,
    routers: Vec<RouterId>,
    interfaces: Vec<(InterfaceId, RealmId, IpAddr)>,
    hosts: Vec<(HostId, SocketAddr)>,
    servers: Vec<(ServerId, SocketAddr)>,
    /// Where something can be sent to, as far as anybody knows.
    known: Vec<SocketAddr>,
}

/// All that there is to see of a run.
type Seen = (Vec<Sent>, Vec<(Instant, HostId, Heard)>, Drops);

impl Story {
    fn new(seed: u64) -> Self {
        let mut world = World { internet: Internet::new(seed), heard: Vec::new() };
        world.internet.start_record();
        let mut story = Self {
            rng: fastrand::Rng::with_seed(seed),
            realms: vec![world.internet.public()],
            world,
            routers: Vec::new(),
            interfaces: Vec::new(),
            hosts: Vec::new(),
            servers: Vec::new(),
            known: Vec::new(),
        };
        for nth in 0..story.rng.u8(1..5) {
            story.add_router(nth);
        }
        for nth in 0..story.rng.u8(2..8) {
            story.add_host(nth);
        }
        for nth in 0..story.rng.u8(1..3) {
            let address = IpAddr::from([198, 51, 100, nth]);
            let access = story.access();
            let public = story.world.internet.public();
            let server = story.world.internet.add_server(public, &[address], access, TurnServer::with_user("u", "p"));
            story.servers.push((server, at(address, 3478)));
            story.known.push(at(address, 3478));
        }
        story
    }

    fn conditions(&mut self) -> Conditions {
        let rng = &mut self.rng;
        Conditions {
            delay: millis(rng.u64(..50)),
            jitter: millis(rng.u64(..50)),
            loss: PerMille(rng.u16(..100)),
            duplication: PerMille(rng.u16(..100)),
            reorder: Reorder { chance: PerMille(rng.u16(..100)), extra_delay: millis(rng.u64(..100)) },
            rate: rng.bool().then(|| rng.u64(10_000..10_000_000)),
            queue: rng.u32(1_000..100_000),
            mtu: rng.bool().then(|| rng.u16(576..1500)),
        }
    }

    fn access(&mut self) -> Access {
        Access { up: self.conditions(), down: self.conditions() }
    }

    fn realm(&mut self) -> RealmId {
        self.realms[self.rng.usize(..self.realms.len())]
    }

    fn add_router(&mut self, nth: u8) {
        let rng = &mut self.rng;
        let kinds =
            [Dependence::EndpointIndependent, Dependence::AddressDependent, Dependence::AddressAndPortDependent];
        let mut kind = || kinds[rng.usize(..3)];
        let (mapping, filtering) = (kind(), kind());
        let nat = Nat {
            mapping,
            filtering,
            ports: [PortAssignment::Preserving, PortAssignment::Random, PortAssignment::Sequential][rng.usize(..3)],
            pooling: if rng.bool() { Pooling::Paired } else { Pooling::Arbitrary },
            hairpinning: [Hairpinning::None, Hairpinning::ExternalSource][rng.usize(..2)],
            lifetime: seconds(rng.u64(5..60)),
            refreshed_by_inbound: rng.bool(),
            ..Nat::symmetric()
        };
        let outside = [[203, 0, 113, nth], [203, 0, 113, nth + 100]].map(IpAddr::from);
        let (outer, access) = (self.realm(), self.access());
        let (router, inner) = self.world.internet.add_router(outer, &outside, access, RouterConfig::ipv4(nat));
        self.routers.push(router);
        self.realms.push(inner);
    }

    fn add_host(&mut self, nth: u8) {
        let (realm, access) = (self.realm(), self.access());
        let address = IpAddr::from([10, 0, 0, nth]);
        let host = self.world.internet.add_host(Instant::ZERO, |_| Probe::default());
        let interface = self.world.internet.attach(host, realm, &[address], access);
        self.interfaces.push((interface, realm, address));
        self.world.internet.bind(host, at(address, 5000));
        self.world.internet.listen(host, at(address, 5000));
        self.hosts.push((host, at(address, 5000)));
        self.known.push(at(address, 5000));
    }

    fn one_thing(&mut self) {
        let (host, local) = self.hosts[self.rng.usize(..self.hosts.len())];
        let remote = self.known[self.rng.usize(..self.known.len())];
        let internet = &mut self.world.internet;
        match self.rng.u8(..20) {
            0 => internet.after(Duration::ZERO, Scheduled::Rebind(self.routers[self.rng.usize(..self.routers.len())])),
            1 => {
                let (interface, realm, address) = self.interfaces[self.rng.usize(..self.interfaces.len())];
                internet.after(Duration::ZERO, Scheduled::Detach(interface));
                internet.after(seconds(2), Scheduled::Attach { interface, realm, addresses: vec![address] });
            }
            2 => {
                let (server, _) = self.servers[self.rng.usize(..self.servers.len())];
                internet.after(Duration::ZERO, Scheduled::ServerRestart(server));
            }
            3 => {
                let link = internet.uplink(self.routers[self.rng.usize(..self.routers.len())]);
                internet.after(Duration::ZERO, Scheduled::LinkDown(link));
                internet.after(seconds(3), Scheduled::LinkUp(link));
            }
            4..8 => {
                let local = at(local.ip(), if self.rng.bool() { 0 } else { 5000 });
                self.world.request(host, StreamRequest::Connect { local, remote });
            }
            _ => {
                // A Binding request, which a server answers.
                let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
                request.extend((0..12).map(|_| self.rng.u8(..)));
                self.world.send(host, local, remote, &request);
            }
        }
        self.world.pass(millis(self.rng.u64(..500)));
        for (_, host, heard) in &self.world.heard {
            match heard {
                Heard::Datagram(path, _) if !self.known.contains(&path.remote) => self.known.push(path.remote),
                Heard::Opened(path) => {
                    let (host, path) = (*host, *path);
                    self.world.internet.with(host, |probe, _| probe.to_send.push_back((path, vec![7; 2000])));
                }
                _ => {}
            }
        }
    }

    fn tell(seed: u64) -> Seen {
        let mut story = Self::new(seed);
        let mut all = Vec::new();
        for _ in 0..60 {
            story.one_thing();
            all.append(&mut story.world.heard);
        }
        story.world.pass(seconds(200));
        all.append(&mut story.world.heard);
        (story.world.internet.record().to_vec(), all, *story.world.internet.drops())
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let mut kinds = [0; 4];
    for seed in 0..50 {
        let (first, second) = (Story::tell(seed), Story::tell(seed));
        assert!(first == second, "seed {seed}");
        assert!(first != Story::tell(seed + 1000));
        for (_, _, heard) in &first.1 {
            kinds[match heard {
                Heard::Datagram(..) => 0,
                Heard::Opened(_) => 1,
                Heard::Refused(_) => 2,
                Heard::Data(..) | Heard::Closed(_) => 3,
            }] += 1;
        }
    }
    assert!(kinds.iter().all(|many| *many > 50), "something of everything happens: {kinds:?}");
}
