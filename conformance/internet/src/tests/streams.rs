//! TCP streams, with and without what lies between them.

use super::*;

const PORT: u16 = 1000;

/// A client and a server that listens, with these conditions between them.
struct Line {
    world: World,
    client: (HostId, IpAddr),
    server: (HostId, IpAddr),
}

impl Line {
    fn with(conditions: Conditions) -> Self {
        let mut world = World::new();
        let public = world.internet.public();
        let [client, server] = ["198.51.100.1", "198.51.100.2"].map(|address| {
            let host = world.internet.add_host(Instant::ZERO, |_| Probe::default());
            world.internet.attach(host, public, &[ip(address)], Access::symmetric(conditions));
            (host, ip(address))
        });
        world.internet.listen(server.0, at(server.1, PORT));
        Self { world, client, server }
    }

    fn behind(nat: Nat) -> Self {
        let mut world = World::new();
        let server = world.public("198.51.100.2");
        world.internet.listen(server.0, at(server.1, PORT));
        let (_, realm) = world.router(world.internet.public(), &["203.0.113.1"], RouterConfig::ipv4(nat));
        let client = world.host(realm, "192.168.0.2");
        Self { world, client, server }
    }

    /// Asks for a connection and gives what was heard within `time`.
    fn connect(&mut self, from: u16, time: Duration) -> Vec<(HostId, Heard)> {
        let (local, remote) = (at(self.client.1, from), at(self.server.1, PORT));
        self.world.request(self.client.0, StreamRequest::Connect { local, remote });
        self.world.pass(time);
        self.world.take_heard()
    }

    /// Both ends of a stream that opens.
    fn open(&mut self) -> [Path; 2] {
        let heard = self.connect(0, seconds(10));
        let opened = |host| {
            let mut paths = heard.iter().filter_map(|(who, heard)| match heard {
                Heard::Opened(path) if *who == host => Some(*path),
                _ => None,
            });
            paths.next().expect("it opens")
        };
        [opened(self.client.0), opened(self.server.0)]
    }

    /// What a host was told, with the data put together.
    fn told(&mut self, host: HostId) -> (Vec<u8>, bool) {
        let (mut all, mut closed) = (Vec::new(), false);
        for (_, heard) in self.world.take_heard().into_iter().filter(|(who, _)| *who == host) {
            assert!(!closed, "nothing comes after the end");
            match heard {
                Heard::Data(_, data) => all.extend(data),
                Heard::Closed(_) => closed = true,
                other => panic!("{other:?}"),
            }
        }
        (all, closed)
    }
}

fn bytes(count: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(9);
    (0..count).map(|_| rng.u8(..)).collect()
}

#[test]
fn a_stream_opens_in_one_round_trip_and_carries_bytes_both_ways() {
    let mut line = Line::with(Conditions::delay(millis(10)));
    let heard = line.connect(0, millis(40));
    // The client after one round trip of four accesses; the server half of one later.
    assert!(matches!(heard[..], [(host, Heard::Opened(path))] if host == line.client.0 && path.local.port() >= 49_152));
    line.world.pass(millis(20));
    let [(host, Heard::Opened(theirs))] = line.world.take_heard()[..] else { panic!("the server has a stream") };
    assert_eq!(host, line.server.0);
    let ours = Path { local: theirs.remote, remote: theirs.local, ..theirs };
    line.world.write(line.client.0, ours, b"question");
    line.world.write(line.server.0, theirs, b"answer");
    line.world.pass(millis(20));
    let expected = [
        (line.server.0, Heard::Data(theirs, b"question".to_vec())),
        (line.client.0, Heard::Data(ours, b"answer".to_vec())),
    ];
    let mut heard = line.world.take_heard();
    heard.sort_by_key(|(host, _)| *host != line.server.0);
    assert_eq!(heard, expected);
}

#[test]
fn bytes_arrive_complete_and_in_order_whatever_the_links_do() {
    let (mut lost, mut crowded) = (0, 0);
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bad = Conditions {
            delay: millis(rng.u64(..50)),
            jitter: millis(rng.u64(..50)),
            loss: PerMille(rng.u16(..50)),
            duplication: PerMille(rng.u16(..50)),
            reorder: Reorder { chance: PerMille(rng.u16(..50)), extra_delay: millis(rng.u64(..200)) },
            rate: rng.bool().then_some(rng.u64(1_000_000..50_000_000)),
            queue: rng.u32(10_000..100_000),
            mtu: Some(1280),
        };
        let mut line = Line::with(bad);
        let [ours, theirs] = line.open();
        let data = bytes(100_000);
        line.world.write(line.client.0, ours, &data);
        line.world.write(line.server.0, theirs, &data[..30_000]);
        line.world.pass(seconds(3000));
        let heard = line.world.heard.clone();
        assert!(line.told(line.client.0) == (data[..30_000].to_vec(), false), "seed {seed}: {bad:?}");
        line.world.heard = heard;
        assert!(line.told(line.server.0) == (data.clone(), false), "seed {seed}: {bad:?}");
        line.world.write(line.client.0, ours, &data[..1000]);
        line.world.request(line.client.0, StreamRequest::Close(ours));
        line.world.pass(seconds(1000));
        assert!(line.told(line.server.0) == (data[..1000].to_vec(), true), "seed {seed}: {bad:?}");
        for host in [line.client.0, line.server.0] {
            assert_eq!(line.world.internet.streams_of(host), [], "both have forgotten it");
        }
        let drops = line.world.internet.drops();
        (lost, crowded) = (lost + drops.of(Dropped::Loss), crowded + drops.of(Dropped::QueueFull));
        assert_eq!(drops.of(Dropped::TooBig), 0);
    }
    assert!(lost > 100 && crowded > 100, "{lost} lost, {crowded} without room");
}

#[test]
fn a_clean_line_is_used_at_its_round_trip() {
    let mut line = Line::with(Conditions::delay(millis(10)));
    let [ours, _] = line.open();
    let before = line.world.internet.now();
    line.world.write(line.client.0, ours, &bytes(640_000));
    line.world.pass(seconds(10));
    let last = line.world.heard.last().expect("it arrives").0;
    // Ten windows of 64 KiB, a round trip of 40 ms each.
    assert!(last - before < millis(450), "{:?}", last - before);
    assert_eq!(line.told(line.server.0).0.len(), 640_000);
}

#[test]
fn a_port_without_a_listener_refuses_and_an_address_that_nobody_has_is_silent() {
    let mut line = Line::with(Conditions::delay(millis(10)));
    line.world.internet.unlisten(line.server.0, at(line.server.1, PORT));
    let heard = line.connect(7000, millis(40));
    let path = Path { protocol: Protocol::Tcp, local: at(line.client.1, 7000), remote: at(line.server.1, PORT) };
    assert_eq!(heard, [(line.client.0, Heard::Refused(path))]);
    line.server.1 = ip("198.51.100.77");
    let path = Path { remote: at(line.server.1, PORT), ..path };
    assert_eq!(line.connect(7000, seconds(55)), []);
    line.world.pass(seconds(30));
    assert_eq!(line.world.take_heard(), [(line.client.0, Heard::Refused(path))]);
}

#[test]
fn closing_is_told_to_the_other_side_after_all_data() {
    let mut line = Line::with(Conditions::delay(millis(10)));
    let [ours, theirs] = line.open();
    line.world.write(line.server.0, theirs, b"goodbye");
    line.world.request(line.server.0, StreamRequest::Close(theirs));
    line.world.pass(seconds(1));
    let expected = [Heard::Data(ours, b"goodbye".to_vec()), Heard::Closed(ours)];
    assert_eq!(line.world.take_heard(), expected.map(|heard| (line.client.0, heard)));
    // Nothing is left of it: what is written now is lost, and the port can be had again.
    line.world.write(line.client.0, ours, b"too late");
    line.world.pass(seconds(200));
    assert_eq!(line.world.take_heard(), []);
    assert_eq!(line.connect(ours.local.port(), seconds(1)).len(), 2);
}

#[test]
fn a_stream_whose_link_dies_is_given_up_and_one_whose_link_returns_goes_on() {
    for (lasts, survives) in [(30, true), (300, false)] {
        let mut line = Line::with(Conditions::delay(millis(10)));
        let [ours, _] = line.open();
        line.world.internet.after(Duration::ZERO, Scheduled::LinkDown(LinkId(1)));
        line.world.internet.after(seconds(lasts), Scheduled::LinkUp(LinkId(1)));
        line.world.pass(millis(1));
        line.world.write(line.client.0, ours, b"hello?");
        line.world.pass(seconds(400));
        let heard = line.world.take_heard();
        match survives {
            true => assert!(
                matches!(&heard[..], [(host, Heard::Data(_, data))] if *host == line.server.0 && data == b"hello?")
            ),
            false => assert_eq!(heard, [(line.client.0, Heard::Closed(ours))]),
        }
    }
}

#[test]
fn a_machine_that_sleeps_keeps_its_streams() {
    let mut line = Line::with(Conditions::delay(millis(10)));
    let [ours, _] = line.open();
    line.world.write(line.client.0, ours, b"before ");
    line.world.internet.after(millis(1), Scheduled::Suspend(line.client.0));
    line.world.internet.after(seconds(20), Scheduled::Resume(line.client.0));
    line.world.pass(seconds(21));
    line.world.write(line.client.0, ours, b"after");
    line.world.pass(seconds(5));
    assert_eq!(line.told(line.server.0), (b"before after".to_vec(), false));
}

#[test]
fn a_stream_through_a_nat_has_its_outside_address_and_dies_when_that_is_forgotten() {
    let mut line = Line::behind(Nat { ports: PortAssignment::Random, ..Nat::cone(Dependence::EndpointIndependent) });
    let [ours, theirs] = line.open();
    assert_eq!(theirs.remote.ip(), ip("203.0.113.1"));
    line.world.write(line.client.0, ours, b"hello");
    line.world.pass(seconds(1));
    assert_eq!(line.told(line.server.0).0, b"hello");
    // An idle stream outlives every UDP mapping.
    line.world.pass(seconds(3600));
    line.world.write(line.server.0, theirs, b"still there");
    line.world.pass(seconds(1));
    assert_eq!(line.told(line.client.0).0, b"still there");
    line.world.internet.after(Duration::ZERO, Scheduled::Rebind(RouterId(0)));
    line.world.pass(millis(1));
    line.world.write(line.client.0, ours, b"from a stranger");
    line.world.pass(seconds(1));
    assert_eq!(
        line.world.take_heard(),
        [(line.client.0, Heard::Closed(ours))],
        "the server resets what it does not know"
    );
}

#[test]
fn tcp_is_mapped_and_filtered_by_its_own_rules() {
    let kinds = [Dependence::EndpointIndependent, Dependence::AddressDependent, Dependence::AddressAndPortDependent];
    for filtering in kinds {
        for refuses in [Refusal::Silently, Refusal::WithReset] {
            let tcp = TcpNat { mapping: Dependence::EndpointIndependent, filtering, refuses };
            let mut line = Line::behind(Nat { tcp, ..Nat::symmetric() });
            line.world.internet.listen(line.client.0, at(line.client.1, 7000));
            line.connect(7000, seconds(1));
            let mapped = line.connect(7000, seconds(0));
            assert_eq!(mapped, [], "it is open already");
            let outside = at(ip("203.0.113.1"), line.outside_port());
            let stranger = line.world.public("198.51.100.3");
            let refusals = [line.server, stranger].map(|(host, local)| {
                line.world.request(host, StreamRequest::Connect { local: at(local, 0), remote: outside });
                line.world.pass(seconds(5));
                let heard = line.world.take_heard();
                let opened = heard.iter().any(|(who, heard)| *who == host && matches!(heard, Heard::Opened(_)));
                let refused = heard.iter().any(|(who, heard)| *who == host && matches!(heard, Heard::Refused(_)));
                (opened, refused)
            });
            let open = match filtering {
                Dependence::EndpointIndependent => [true, true],
                Dependence::AddressDependent => [true, false],
                Dependence::AddressAndPortDependent => [false, false],
            };
            let expected = open.map(|open| (open, !open && refuses == Refusal::WithReset));
            assert_eq!(refusals, expected, "{filtering:?}, {refuses:?}");
        }
    }
}

impl Line {
    /// The outside port of the stream that the server has.
    fn outside_port(&mut self) -> u16 {
        let record = self.world.internet.streams_of(self.server.0);
        record[0].remote.port()
    }
}

#[test]
fn both_sides_open_a_stream_simultaneously() {
    for behind in [false, true] {
        for late in [0, 5, 15, 25, 200] {
            let mut world = World::new();
            let ends = ["203.0.113.1", "203.0.113.2"].map(|outside| {
                let public = world.internet.public();
                if !behind {
                    let (host, address) = world.host(public, outside);
                    return (host, at(address, 7000), at(address, 7000));
                }
                let (_, realm) = world.router(public, &[outside], RouterConfig::port_restricted());
                let (host, address) = world.host(realm, "192.168.0.2");
                (host, at(address, 7000), at(ip(outside), 7000))
            });
            for (host, local, _) in ends {
                world.internet.listen(host, local);
            }
            let connect = |world: &mut World, nth: usize| {
                let (local, remote) = (ends[nth].1, ends[1 - nth].2);
                world.request(ends[nth].0, StreamRequest::Connect { local, remote });
            };
            connect(&mut world, 0);
            world.pass(millis(late));
            connect(&mut world, 1);
            world.pass(seconds(5));
            let mut opened: Vec<HostId> = world
                .take_heard()
                .into_iter()
                .map(|(host, heard)| match heard {
                    Heard::Opened(_) => host,
                    other => panic!("{other:?}"),
                })
                .collect();
            opened.sort();
            assert_eq!(opened, [ends[0].0, ends[1].0], "one stream, {late} ms apart, behind a NAT: {behind}");
            for nth in [0, 1] {
                let path = Path { protocol: Protocol::Tcp, local: ends[nth].1, remote: ends[1 - nth].2 };
                world.write(ends[nth].0, path, b"hello");
                world.pass(seconds(1));
                let heard = world.take_heard();
                assert!(
                    matches!(&heard[..], [(host, Heard::Data(_, data))] if *host == ends[1 - nth].0 && data == b"hello")
                );
            }
        }
    }
}

#[test]
fn a_server_that_forgot_a_connection_resets_it() {
    let mut world = World::new();
    let public = world.internet.public();
    let server =
        world.internet.add_server(public, &[ip("198.51.100.1")], Access::delay(millis(10)), TurnServer::default());
    let (host, address) = world.host(public, "198.51.100.2");
    let remote = "198.51.100.1:3478".parse().unwrap();
    world.request(host, StreamRequest::Connect { local: at(address, 0), remote });
    world.pass(seconds(1));
    let [(_, Heard::Opened(path))] = world.take_heard()[..] else { panic!("the server accepts") };
    world.internet.after(Duration::ZERO, Scheduled::ServerRestart(server));
    world.pass(millis(1));
    world.write(host, path, b"hello?");
    world.pass(seconds(1));
    assert_eq!(world.take_heard(), [(host, Heard::Closed(path))]);
}

#[test]
fn streams_go_over_wires_too() {
    let mut world = World::new();
    let hosts = ["192.0.2.1", "192.0.2.2"].map(|address| {
        let host = world.internet.add_host(Instant::ZERO, |_| Probe::default());
        (host, at(ip(address), 7000))
    });
    let [(client, local), (server, remote)] = hosts;
    let delay = Conditions::delay(millis(10));
    world.internet.wire(local.ip(), remote.ip(), delay, delay);
    world.internet.listen(server, remote);
    world.request(client, StreamRequest::Connect { local, remote });
    world.pass(seconds(1));
    let ours = Path { protocol: Protocol::Tcp, local, remote };
    let theirs = Path { local: remote, remote: local, ..ours };
    assert_eq!(world.take_heard(), [(client, Heard::Opened(ours)), (server, Heard::Opened(theirs))]);
    world.write(server, theirs, b"hello");
    world.pass(seconds(1));
    assert_eq!(world.take_heard(), [(client, Heard::Data(ours, b"hello".to_vec()))]);
}
