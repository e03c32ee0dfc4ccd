//! STUN and TURN servers, asked by `turn-client-proto`.

use std::net::Ipv4Addr;

use turn_client_proto::api::{TurnClientApi, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::{AddressFamily, Instant as TurnInstant, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;
use turn_server_proto::api::Transmit;
use turn_server_proto::types::stun::TransportType;

use super::*;

turn_client_proto::impl_client!(TurnClient, (Udp, TurnClientUdp), (Tcp, TurnClientTcp));

const RELAYS: std::ops::RangeInclusive<u16> = 50_000..=50_009;

/// A client of a TURN server, or a plain socket.
enum Machine {
    Client(Box<Client>),
    Peer(Probe),
}

struct Client {
    path: Path,
    turn: TurnClient,
    to_send: VecDeque<Vec<u8>>,
    said: VecDeque<Said>,
    connect: bool,
    connected: bool,
    due: Option<Instant>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    Relayed(SocketAddr),
    Failed,
    Permitted(IpAddr),
    Bound(SocketAddr),
    FromPeer(SocketAddr, Vec<u8>),
    Refused,
    Plain(Heard),
}

fn turn(now: Instant) -> TurnInstant {
    TurnInstant::from_nanos(now.as_nanos() as i64)
}

impl Client {
    fn new(path: Path, password: &str) -> Self {
        let mut config = TurnConfig::new(TurnCredentials::new("alice", password));
        let v6 = path.remote.is_ipv6() && !path.remote.ip().to_string().starts_with("64:ff9b");
        config.set_address_family(if v6 { AddressFamily::IPV6 } else { AddressFamily::IPV4 });
        let tcp = path.protocol == Protocol::Tcp;
        let turn = match tcp {
            true => TurnClientTcp::allocate(path.local, path.remote, config).into(),
            false => TurnClientUdp::allocate(path.local, path.remote, config).into(),
        };
        Self { path, turn, to_send: VecDeque::new(), said: VecDeque::new(), connect: tcp, connected: !tcp, due: None }
    }

    fn send_to(&mut self, peer: SocketAddr, data: &[u8], now: Instant) {
        let transmit = self.turn.send_to(TransportType::Udp, peer, data.to_vec(), turn(now)).expect("it is permitted");
        self.to_send.extend(transmit.map(|transmit| transmit.build().data));
    }

    fn receive(&mut self, data: &[u8], now: Instant) {
        let transport = if self.path.protocol == Protocol::Tcp { TransportType::Tcp } else { TransportType::Udp };
        let transmit = Transmit::new(data.to_vec(), transport, self.path.remote, self.path.local);
        match self.turn.recv(transmit, turn(now)) {
            TurnRecvRet::PeerData(data) => self.said.push_back(Said::FromPeer(data.peer, data.data().to_vec())),
            // An answer that came after its request was given up is ignored.
            TurnRecvRet::Handled | TurnRecvRet::Ignored(_) => {}
            other => panic!("{other:?}"),
        }
        while let Some(data) = self.turn.poll_recv(turn(now)) {
            self.said.push_back(Said::FromPeer(data.peer, data.data().to_vec()));
        }
        self.poll(now);
    }

    fn poll(&mut self, now: Instant) {
        if !self.connected {
            return;
        }
        let wait = self.turn.poll(turn(now));
        while let Some(transmit) = self.turn.poll_transmit(turn(now)) {
            self.to_send.push_back(transmit.data.to_vec());
        }
        while let Some(event) = self.turn.poll_event() {
            self.said.push_back(match event {
                TurnEvent::AllocationCreated(_, relayed) => Said::Relayed(relayed),
                TurnEvent::AllocationCreateFailed(_) => Said::Failed,
                TurnEvent::PermissionCreated(_, peer) => Said::Permitted(peer),
                TurnEvent::ChannelCreated(_, peer) => Said::Bound(peer),
                other => panic!("{other:?}"),
            });
        }
        self.due = match wait {
            // It asks for right now over and over when something is due at exactly this moment.
            TurnPollRet::WaitUntil(until) => Some(Instant::from_nanos(until.as_nanos() as u64).max(now + millis(1))),
            _ => None,
        };
    }
}

impl Endpoint for Machine {
    type Event = Said;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        match self {
            Self::Client(client) => client.receive(datagram, now),
            Self::Peer(probe) => probe.handle_datagram(path, datagram, now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Self::Client(client) = self {
            client.poll(now);
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        match self {
            Self::Client(client) => {
                let data = client.to_send.pop_front()?;
                buffer[..data.len()].copy_from_slice(&data);
                Some((client.path, data.len()))
            }
            Self::Peer(probe) => probe.poll_transmit(buffer),
        }
    }

    fn poll_event(&mut self) -> Option<Said> {
        match self {
            Self::Client(client) => client.said.pop_front(),
            Self::Peer(probe) => probe.poll_event().map(Said::Plain),
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let Self::Client(client) = self else { return None };
        client.due
    }

    fn handle_stream(&mut self, _: Path, input: StreamInput<'_>, now: Instant) {
        let Self::Client(client) = self else { panic!("a peer has no streams") };
        match input {
            StreamInput::Opened => {
                client.connected = true;
                client.poll(now);
            }
            StreamInput::Refused | StreamInput::Closed => client.said.push_back(Said::Refused),
            StreamInput::Data(data) => client.receive(data, now),
        }
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        let Self::Client(client) = self else { return None };
        std::mem::take(&mut client.connect)
            .then_some(StreamRequest::Connect { local: client.path.local, remote: client.path.remote })
    }
}

const SERVER: &str = "198.51.100.1";
const SERVER_6: &str = "2001:db8:1::1";

/// A server, a peer with a socket at the port 1000 of each family, and a client behind a NAT.
struct Site {
    internet: Internet<Machine>,
    server: ServerId,
    peer: HostId,
    client: HostId,
}

const PEER: &str = "198.51.100.2:1000";
const STRANGER: &str = "198.51.100.3:1000";

impl Site {
    fn new(protocol: Protocol, config: RouterConfig, local: &str, remote: SocketAddr, password: &str) -> Self {
        let mut internet = Internet::new(1);
        let public = internet.public();
        let access = Access::delay(millis(10));
        let turn = TurnServer { relay_ports: RELAYS, ..TurnServer::with_user("alice", "secret") };
        let server = internet.add_server(public, &[ip(SERVER), ip(SERVER_6)], access, turn);
        let peer = internet.add_host(Instant::ZERO, |_| Machine::Peer(Probe::default()));
        let addresses = ["198.51.100.2", "198.51.100.3", "2001:db8:1::2"].map(ip);
        internet.attach(peer, public, &addresses, access);
        for address in addresses {
            internet.bind(peer, at(address, 1000));
        }
        let (_, realm) = internet.add_router(public, &[ip("203.0.113.1")], access, config);
        let local: SocketAddr = local.parse().unwrap();
        let path = Path { protocol, local, remote };
        let client = internet.add_host(Instant::ZERO, |_| Machine::Client(Box::new(Client::new(path, password))));
        internet.attach(client, realm, &[local.ip()], access);
        internet.bind(client, local);
        internet.with(client, |machine, now| machine.client().poll(now));
        Self { internet, server, peer, client }
    }

    fn ipv4(protocol: Protocol, config: RouterConfig) -> Self {
        Self::new(protocol, config, "192.168.0.2:5000", at(ip(SERVER), 3478), "secret")
    }

    fn pass(&mut self, time: Duration) -> Vec<Said> {
        let until = self.internet.now() + time;
        let mut said = Vec::new();
        self.internet.run(until, |_, event| said.push(event));
        said
    }

    fn relayed(&mut self) -> SocketAddr {
        let said = self.pass(seconds(2));
        let [Said::Relayed(relayed)] = said[..] else { panic!("{said:?}") };
        relayed
    }

    fn permit(&mut self, peer: SocketAddr) {
        self.internet.with(self.client, |machine, now| {
            let client = machine.client();
            client.turn.create_permission(TransportType::Udp, peer.ip(), turn(now)).expect("there is an allocation");
            client.poll(now);
        });
        assert_eq!(self.pass(seconds(1)), [Said::Permitted(peer.ip())]);
    }

    fn client_says(&mut self, peer: SocketAddr, data: &[u8]) -> Vec<Said> {
        self.internet.with(self.client, |machine, now| machine.client().send_to(peer, data, now));
        self.pass(seconds(1))
    }

    fn peer_says(&mut self, peer: SocketAddr, to: SocketAddr, data: &[u8]) -> Vec<Said> {
        let path = Path { protocol: Protocol::Udp, local: peer, remote: to };
        self.internet.with(self.peer, |machine, _| match machine {
            Machine::Peer(probe) => probe.to_send.push_back((path, data.to_vec())),
            Machine::Client(_) => unreachable!(),
        });
        self.pass(seconds(1))
    }

    /// Data goes both ways between the client and this peer.
    fn assert_relays(&mut self, relayed: SocketAddr, peer: SocketAddr) {
        let path = Path { protocol: Protocol::Udp, local: peer, remote: relayed };
        assert_eq!(self.client_says(peer, b"there"), [Said::Plain(Heard::Datagram(path, b"there".to_vec()))]);
        assert_eq!(self.peer_says(peer, relayed, b"back"), [Said::FromPeer(peer, b"back".to_vec())]);
    }
}

impl Machine {
    fn client(&mut self) -> &mut Client {
        match self {
            Self::Client(client) => client,
            Self::Peer(_) => panic!("this is the peer"),
        }
    }
}

const PROTOCOLS: [Protocol; 2] = [Protocol::Udp, Protocol::Tcp];

#[test]
fn a_client_behind_a_nat_allocates_and_relays_both_ways() {
    for protocol in PROTOCOLS {
        let mut site = Site::ipv4(protocol, RouterConfig::symmetric());
        let relayed = site.relayed();
        assert!(relayed.ip() == ip(SERVER) && RELAYS.contains(&relayed.port()), "{relayed}");
        let (peer, stranger) = (PEER.parse().unwrap(), STRANGER.parse().unwrap());
        assert_eq!(site.peer_says(peer, relayed, b"early"), [], "nobody has permitted it");
        site.permit(peer);
        site.assert_relays(relayed, peer);
        assert_eq!(site.peer_says(stranger, relayed, b"stranger"), []);
        // The same by a channel.
        site.internet.with(site.client, |machine, now| {
            let client = machine.client();
            client.turn.bind_channel(TransportType::Udp, peer, turn(now)).expect("there is an allocation");
            client.poll(now);
        });
        assert_eq!(site.pass(seconds(1)), [Said::Bound(peer)]);
        site.assert_relays(relayed, peer);
        // Refreshed for hours, beyond the life of a nonce, as long as something keeps the mapping of the NAT alive.
        for _ in 0..3 * 60 {
            assert_eq!(site.client_says(peer, b"still there").len(), 1);
            assert_eq!(site.pass(seconds(59)), []);
        }
        site.assert_relays(relayed, peer);
    }
}

#[test]
fn an_allocation_is_lost_with_the_mapping_that_it_was_made_through() {
    let mut site = Site::ipv4(Protocol::Udp, RouterConfig::symmetric());
    let (relayed, peer) = (site.relayed(), PEER.parse().unwrap());
    site.permit(peer);
    assert_eq!(site.pass(seconds(130)), []);
    assert_eq!(site.client_says(peer, b"there"), [], "it comes from an address that the server does not know");
    assert_eq!(site.peer_says(peer, relayed, b"back"), []);
}

#[test]
fn where_udp_is_blocked_a_client_allocates_over_tcp() {
    let mut site = Site::ipv4(Protocol::Udp, RouterConfig::tcp_only());
    assert_eq!(site.pass(seconds(60)), [Said::Failed]);
    let mut site = Site::ipv4(Protocol::Tcp, RouterConfig::tcp_only());
    let relayed = site.relayed();
    site.permit(PEER.parse().unwrap());
    site.assert_relays(relayed, PEER.parse().unwrap());
}

#[test]
fn a_wrong_password_allocates_nothing() {
    for protocol in PROTOCOLS {
        let remote = at(ip(SERVER), 3478);
        let mut site = Site::new(protocol, RouterConfig::full_cone(), "192.168.0.2:5000", remote, "wrong");
        assert_eq!(site.pass(seconds(60)), []);
    }
}

#[test]
fn each_family_has_relayed_addresses_of_its_own() {
    let remote = at(ip(SERVER_6), 3478);
    let mut site = Site::new(Protocol::Udp, RouterConfig::ipv6_stateful(), "[2001:db8:2::2]:5000", remote, "secret");
    let relayed = site.relayed();
    assert_eq!(relayed.ip(), ip(SERVER_6));
    let peer = "[2001:db8:1::2]:1000".parse().unwrap();
    site.permit(peer);
    site.assert_relays(relayed, peer);
}

#[test]
fn a_client_behind_a_nat64_relays_for_ipv4() {
    let server: Ipv4Addr = SERVER.parse().unwrap();
    for protocol in PROTOCOLS {
        let remote = at(synthesise(WELL_KNOWN_PREFIX, server).into(), 3478);
        let mut site = Site::new(protocol, RouterConfig::nat64(), "[2001:db8:2::2]:5000", remote, "secret");
        let relayed = site.relayed();
        assert_eq!(relayed.ip(), ip(SERVER));
        site.permit(PEER.parse().unwrap());
        site.assert_relays(relayed, PEER.parse().unwrap());
    }
}

#[test]
fn a_server_that_is_down_is_silent_and_one_that_restarts_has_forgotten() {
    let mut site = Site::ipv4(Protocol::Udp, RouterConfig::port_restricted());
    let (relayed, peer) = (site.relayed(), PEER.parse().unwrap());
    site.permit(peer);
    site.internet.after(Duration::ZERO, Scheduled::ServerDown(site.server));
    site.pass(millis(1));
    assert_eq!(site.client_says(peer, b"there"), []);
    site.internet.after(Duration::ZERO, Scheduled::ServerUp(site.server));
    site.pass(millis(1));
    site.assert_relays(relayed, peer);
    site.internet.after(Duration::ZERO, Scheduled::ServerRestart(site.server));
    site.pass(millis(1));
    assert_eq!(site.peer_says(peer, relayed, b"back"), []);
    assert_eq!(site.client_says(peer, b"there"), []);
    assert!(site.internet.drops().of(Dropped::NoSocket) > 0, "the relayed address is gone");
}

#[test]
fn binding_requests_are_answered_with_the_outside_address() {
    let mut world = World::new();
    let public = world.internet.public();
    world.internet.add_server(public, &[ip(SERVER)], Access::default(), TurnServer::default());
    let (_, realm) = world.router(public, &["203.0.113.1"], RouterConfig::full_cone());
    let (host, address) = world.host(realm, "192.168.0.2");
    world.internet.bind(host, at(address, 5000));
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    request.extend([7; 12]);
    world.send(host, at(address, 5000), at(ip(SERVER), 3478), &request);
    world.pass(seconds(1));
    let [(_, Heard::Datagram(_, answer))] = &world.take_heard()[..] else { panic!("it answers") };
    assert_eq!((&answer[..2], &answer[8..20]), (&[1, 1][..], &[7; 12][..]));
    // XOR-MAPPED-ADDRESS: 203.0.113.1:5000, with the magic cookie in it.
    let expected = [0, 0x20, 0, 8, 0, 1, 0x13 ^ 0x21, 0x88 ^ 0x12, 203 ^ 0x21, 0x12, 113 ^ 0xA4, 1 ^ 0x42];
    assert!(answer.windows(expected.len()).any(|window| window == expected), "{answer:02x?}");
}

#[test]
fn a_server_with_another_address_answers_from_where_it_is_asked_to() {
    const OTHER: &str = "198.51.100.9";
    let mut world = World::new();
    let public = world.internet.public();
    let server = TurnServer::with_other_address();
    world.internet.add_server(public, &[ip(SERVER), ip(OTHER)], Access::default(), server);
    let (host, address) = world.host(public, "198.51.100.77");
    world.internet.bind(host, at(address, 5000));
    let servers = [(SERVER, 3478), (SERVER, 3479), (OTHER, 3478), (OTHER, 3479)];
    for (asked, (ip_asked, port_asked)) in servers.into_iter().enumerate() {
        for (flags, change) in [(0, 0), (2, 1), (4, 2), (6, 3)] {
            let mut request = vec![0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42];
            request.extend([7; 12]);
            request.extend([0, 3, 0, 4, 0, 0, 0, flags]);
            world.send(host, at(address, 5000), at(ip(ip_asked), port_asked), &request);
            world.pass(seconds(1));
            let [(_, Heard::Datagram(path, answer))] = &world.take_heard()[..] else { panic!("it answers once") };
            let socket = |nth: usize| at(ip(servers[nth].0), servers[nth].1);
            assert_eq!(path.remote, socket(asked ^ change));
            let says = |kind: [u8; 2], nth: usize| {
                let port = socket(nth).port().to_be_bytes();
                let IpAddr::V4(ip) = socket(nth).ip() else { unreachable!("written above") };
                let expected = [&kind[..], &[0, 8, 0, 1], &port, &ip.octets()].concat();
                answer.windows(expected.len()).any(|window| window == expected)
            };
            // RESPONSE-ORIGIN and OTHER-ADDRESS.
            assert!(says([0x80, 0x2B], asked ^ change) && says([0x80, 0x2C], asked ^ 3), "{answer:02x?}");
        }
    }
}

#[test]
fn relayed_ports_run_out_and_come_back() {
    // Each client has an allocation of its own; there are ten ports.
    let mut internet = Internet::new(1);
    let public = internet.public();
    let turn = TurnServer { relay_ports: RELAYS, ..TurnServer::with_user("alice", "secret") };
    internet.add_server(public, &[ip(SERVER)], Access::default(), turn);
    let clients: Vec<HostId> = (1..=11)
        .map(|nth| {
            let local = at(IpAddr::from([198, 51, 100, 100 + nth]), 5000);
            let path = Path { protocol: Protocol::Udp, local, remote: at(ip(SERVER), 3478) };
            let host = internet.add_host(Instant::ZERO, |_| Machine::Client(Box::new(Client::new(path, "secret"))));
            internet.attach(host, public, &[local.ip()], Access::default());
            internet.bind(host, local);
            host
        })
        .collect();
    let allocate = |internet: &mut Internet<Machine>, host| {
        internet.with(host, |machine, now| machine.client().poll(now));
        let mut said = Vec::new();
        let until = internet.now() + seconds(1);
        internet.run(until, |_, event| said.push(event));
        said
    };
    let mut relayed = Vec::new();
    for &host in &clients[..10] {
        let said = allocate(&mut internet, host);
        let [Said::Relayed(address)] = said[..] else { panic!("{said:?}") };
        relayed.push(address.port());
    }
    relayed.sort_unstable();
    assert_eq!(relayed, RELAYS.collect::<Vec<_>>());
    assert_eq!(allocate(&mut internet, clients[10]), [Said::Failed]);
}

#[test]
fn nonces_come_from_the_seed() {
    let refusal = |seed| {
        let mut internet: Internet<Probe> = Internet::new(seed);
        let public = internet.public();
        internet.add_server(public, &[ip(SERVER)], Access::default(), TurnServer::with_user("alice", "secret"));
        let local = at(ip("198.51.100.2"), 5000);
        let host = internet.add_host(Instant::ZERO, |_| Probe::default());
        internet.attach(host, public, &[local.ip()], Access::default());
        internet.bind(host, local);
        // An Allocate request with REQUESTED-TRANSPORT: UDP, without credentials.
        let mut request = vec![0, 3, 0, 8, 0x21, 0x12, 0xA4, 0x42];
        request.extend([7; 12]);
        request.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
        let path = Path { protocol: Protocol::Udp, local, remote: at(ip(SERVER), 3478) };
        internet.with(host, |probe, _| probe.to_send.push_back((path, request)));
        let mut heard = Vec::new();
        internet.run(Instant::from_millis(10), |_, event| heard.push(event));
        let [Heard::Datagram(_, answer)] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(answer[..2], [1, 0x13]);
        answer.clone()
    };
    let [first, again, other] = [5, 5, 6].map(refusal);
    assert_eq!(first, again);
    assert!(first.len() == other.len() && first != other);
}
