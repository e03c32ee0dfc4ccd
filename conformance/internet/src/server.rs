//! A STUN and TURN server: `turn-server-proto` with sockets in this internet.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use frazil::{Instant, Protocol};
use turn_server_proto::api::{SocketAllocateError, TcpConnectError, Transmit, TurnServerApi, TurnServerPollRet};
use turn_server_proto::server::TurnServer as Engine;
use turn_server_proto::types::stun::TransportType;
use turn_server_proto::types::{AddressFamily, Instant as EngineInstant};

use crate::frames::Frames;
use crate::internet::InterfaceId;
use crate::nonces::Nonces;
use crate::other_address::answer;
use crate::queue::Ticket;

/// A server's configuration. Binding requests are answered on each port, to anybody; allocations are for its users.
///
/// It relays UDP only: an allocation for TCP (RFC 6062) is answered with 508.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TurnServer {
    /// The authentication realm.
    pub realm: String,
    /// Names and passwords.
    pub users: Vec<(String, String)>,
    /// The ports for UDP, on each address.
    pub udp: Vec<u16>,
    /// The ports for TCP, on each address.
    pub tcp: Vec<u16>,
    /// The address for relayed addresses of its family; otherwise the first one of the server's.
    pub relay: Option<IpAddr>,
    /// The ports for relayed addresses.
    pub relay_ports: RangeInclusive<u16>,
    /// How long a nonce is good, at least 30 s.
    pub nonce_lifetime: Duration,
    /// Whether channel data that the server writes to a stream is padded, as RFC 8656 section 12.5 has it. The client
    /// of the same library does not know of that. What clients write may be padded or not.
    pub pads_channel_data: bool,
    /// Whether Binding requests over UDP are answered as by a server with two addresses, on two ports each: with
    /// OTHER-ADDRESS, and from where CHANGE-REQUEST asks (RFC 5780). It takes two addresses of a family and two ports.
    pub has_other_address: bool,
}

impl Default for TurnServer {
    /// UDP and TCP on port 3478, no users.
    fn default() -> Self {
        Self {
            realm: "example.org".to_owned(),
            users: Vec::new(),
            udp: vec![3478],
            tcp: vec![3478],
            relay: None,
            relay_ports: 49_152..=65_535,
            nonce_lifetime: Duration::from_secs(3600),
            pads_channel_data: false,
            has_other_address: false,
        }
    }
}

impl TurnServer {
    /// [`TurnServer::default`] with one user.
    #[must_use]
    pub fn with_user(name: &str, password: &str) -> Self {
        Self { users: vec![(name.to_owned(), password.to_owned())], ..Self::default() }
    }

    /// [`TurnServer::default`] with the ports 3478 and 3479 and another address.
    #[must_use]
    pub fn with_other_address() -> Self {
        Self { udp: vec![3478, 3479], has_other_address: true, ..Self::default() }
    }
}

/// A server that runs.
pub(crate) struct Server {
    config: TurnServer,
    addresses: Vec<IpAddr>,
    rng: fastrand::Rng,
    engines: BTreeMap<Socket, Engine>,
    /// By relayed address.
    relays: BTreeMap<SocketAddr, Socket>,
    pub(crate) interface: InterfaceId,
    pub(crate) up: bool,
    pub(crate) timer: Option<Ticket>,
    nonces: Nonces,
    /// What has come of each client's stream and is not complete.
    frames: BTreeMap<(SocketAddr, SocketAddr), Frames>,
    acts: VecDeque<Act>,
    /// Whose packet came last.
    asker: Option<SocketAddr>,
}

/// Where clients reach an engine.
type Socket = (Protocol, SocketAddr);

/// What a server does.
pub(crate) enum Act {
    Send { from: SocketAddr, to: SocketAddr, datagram: Vec<u8> },
    Write { local: SocketAddr, remote: SocketAddr, data: Vec<u8> },
    Close { local: SocketAddr, remote: SocketAddr },
}

impl Server {
    pub(crate) fn new(
        config: TurnServer,
        addresses: &[IpAddr],
        mut rng: fastrand::Rng,
        interface: InterfaceId,
    ) -> Self {
        let nonces = Nonces::new(config.realm.clone(), config.users.clone(), rng.fork());
        let mut server = Self {
            config,
            addresses: addresses.to_vec(),
            rng,
            interface,
            engines: BTreeMap::new(),
            relays: BTreeMap::new(),
            up: true,
            timer: None,
            nonces,
            frames: BTreeMap::new(),
            acts: VecDeque::new(),
            asker: None,
        };
        server.restart();
        server
    }

    /// Runs again, without knowing anything of before.
    pub(crate) fn restart(&mut self) {
        self.up = true;
        self.relays.clear();
        self.frames.clear();
        self.acts.clear();
        self.nonces.forget();
        let ports = |protocol, ports: &[u16]| ports.iter().map(|port| (protocol, *port)).collect::<Vec<_>>();
        let udp = ports(Protocol::Udp, &self.config.udp);
        let tcp = ports(Protocol::Tcp, &self.config.tcp);
        let sockets = self.addresses.iter().flat_map(|&address| {
            udp.iter().chain(&tcp).map(move |&(protocol, port)| (protocol, SocketAddr::new(address, port)))
        });
        self.engines = sockets.map(|socket| (socket, self.config.engine(socket))).collect();
    }

    /// Whether it takes datagrams at this address.
    pub(crate) fn has_socket(&self, address: SocketAddr) -> bool {
        self.engines.contains_key(&(Protocol::Udp, address)) || self.relays.contains_key(&address)
    }

    /// The addresses that it lends.
    pub(crate) fn relayed(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.relays.keys().copied()
    }

    pub(crate) fn listens(&self, address: SocketAddr) -> bool {
        self.engines.contains_key(&(Protocol::Tcp, address))
    }

    pub(crate) fn handle_datagram(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>, now: Instant) {
        if let Some(&socket) = self.relays.get(&to) {
            return self.give(socket, Transmit::new(datagram, TransportType::Udp, from, to), now);
        }
        if self.config.has_other_address
            && let Some((origin, datagram)) = answer(&datagram, from, to, &self.addresses, &self.config.udp)
        {
            return self.acts.push_back(Act::Send { from: origin, to: from, datagram });
        }
        let datagram = self.nonces.inward(from, datagram);
        self.give((Protocol::Udp, to), Transmit::new(datagram, TransportType::Udp, from, to), now);
    }

    /// Bytes of a client's stream.
    pub(crate) fn handle_stream(&mut self, from: SocketAddr, to: SocketAddr, data: &[u8], now: Instant) {
        self.frames.entry((from, to)).or_default().push(data);
        while let Some(frame) = self.frames.get_mut(&(from, to)).and_then(Frames::pop) {
            let frame = self.nonces.inward(from, frame);
            self.give((Protocol::Tcp, to), Transmit::new(frame, TransportType::Tcp, from, to), now);
        }
    }

    /// A client's stream is closed.
    pub(crate) fn handle_closed(&mut self, from: SocketAddr, to: SocketAddr, now: Instant) {
        self.frames.remove(&(from, to));
        // Nothing at all is how the engine is told.
        self.give((Protocol::Tcp, to), Transmit::new(Vec::new(), TransportType::Tcp, from, to), now);
    }

    fn give(&mut self, socket: Socket, transmit: Transmit<Vec<u8>>, now: Instant) {
        let Some(engine) = self.engines.get_mut(&socket) else { return };
        self.asker = Some(transmit.from);
        if let Some(answer) = engine.recv(transmit, at(now)) {
            self.perform(answer.build());
        }
    }

    /// Does what is due, and tells when to come again.
    pub(crate) fn poll(&mut self, now: Instant) -> Instant {
        let mut next = None;
        for socket in self.engines.keys().copied().collect::<Vec<_>>() {
            let until = self.poll_engine(socket, now);
            next = Some(next.map_or(until, |next: Instant| next.min(until)));
        }
        // An engine can ask for right now over and over, when something is over at exactly this moment.
        next.unwrap_or(now + Duration::from_secs(3600)).max(now + Duration::from_millis(1))
    }

    pub(crate) fn poll_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    fn perform(&mut self, transmit: Transmit<Vec<u8>>) {
        let Transmit { data, transport, from, mut to } = transmit;
        // The engine addresses what answers a Binding request to itself.
        if let Some(asker) = self.asker
            && to == from
        {
            to = asker;
        }
        // What is relayed to a peer is the client's, whatever it looks like.
        let mut data = if self.relays.contains_key(&from) { data } else { self.nonces.outward(to, data) };
        let is_channel_data = data.first().is_some_and(|first| first >> 6 == 1);
        if self.config.pads_channel_data && transport == TransportType::Tcp && is_channel_data {
            data.resize(data.len().next_multiple_of(4), 0);
        }
        self.acts.push_back(match transport {
            TransportType::Udp => Act::Send { from, to, datagram: data },
            TransportType::Tcp => Act::Write { local: from, remote: to, data },
        });
    }

    fn poll_engine(&mut self, socket: Socket, now: Instant) -> Instant {
        loop {
            let engine = self.engines.get_mut(&socket).expect("asked for by its key");
            if let Some(transmit) = engine.poll_transmit(at(now)) {
                self.perform(transmit);
                continue;
            }
            match engine.poll(at(now)) {
                TurnServerPollRet::WaitUntil(until) => return Instant::from_nanos(until.as_nanos().unsigned_abs()),
                TurnServerPollRet::AllocateSocket {
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                } => {
                    let relay = self.allocate(socket, allocation_transport, family);
                    let engine = self.engines.get_mut(&socket).expect("as above");
                    engine.allocated_socket(
                        transport,
                        listen_addr,
                        client_addr,
                        allocation_transport,
                        family,
                        relay,
                        at(now),
                    );
                }
                TurnServerPollRet::TcpConnect { relayed_addr, peer_addr, listen_addr, client_addr } => {
                    let refused = Err(TcpConnectError::Forbidden);
                    engine.tcp_connected(relayed_addr, peer_addr, listen_addr, client_addr, refused, at(now));
                }
                TurnServerPollRet::TcpClose { local_addr, remote_addr } => {
                    self.acts.push_back(Act::Close { local: local_addr, remote: remote_addr });
                }
                TurnServerPollRet::SocketClose { listen_addr, .. } => {
                    self.relays.remove(&listen_addr);
                }
            }
        }
    }

    fn allocate(
        &mut self,
        socket: Socket,
        transport: TransportType,
        family: AddressFamily,
    ) -> Result<SocketAddr, SocketAllocateError> {
        if transport != TransportType::Udp {
            return Err(SocketAllocateError::InsufficientCapacity);
        }
        let is_of_family = |ip: &&IpAddr| ip.is_ipv4() == (family == AddressFamily::IPV4);
        let ip = self.config.relay.iter().chain(&self.addresses).find(is_of_family);
        let ip = *ip.ok_or(SocketAllocateError::AddressFamilyNotSupported)?;
        let (first, last) = (*self.config.relay_ports.start(), *self.config.relay_ports.end());
        let drawn = self.rng.u16(first..=last);
        let mut ports = (drawn..=last).chain(first..drawn).map(|port| SocketAddr::new(ip, port));
        let relay = ports.find(|relay| !self.has_socket(*relay)).ok_or(SocketAllocateError::InsufficientCapacity)?;
        self.relays.insert(relay, socket);
        Ok(relay)
    }
}

impl TurnServer {
    fn engine(&self, (protocol, address): Socket) -> Engine {
        let transport = if protocol == Protocol::Tcp { TransportType::Tcp } else { TransportType::Udp };
        let mut engine = Engine::new(transport, address, self.realm.clone());
        for (name, password) in &self.users {
            engine.add_user(name.clone(), password.clone());
        }
        engine.set_nonce_expiry_duration(self.nonce_lifetime);
        engine
    }

    /// All addresses that it needs.
    pub(crate) fn addresses(&self, given: &[IpAddr]) -> Vec<IpAddr> {
        let relay = self.relay.filter(|relay| !given.contains(relay));
        given.iter().copied().chain(relay).collect()
    }
}

fn at(now: Instant) -> EngineInstant {
    EngineInstant::from_nanos(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}
