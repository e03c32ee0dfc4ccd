//! A server, peers, and a client of it behind a NAT.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::stun::LongTermCredentials;
use frazil::turn::{Allocated, Client, Config, Event, PeerData, SendError, Sent, Transport};
use frazil::{Instant, Path, Protocol};
use frazil_internet::{
    Access, Endpoint, HostId, Internet, RouterConfig, RouterId, ServerId, StreamInput, StreamRequest, TurnServer,
};

pub(crate) const SERVER: &str = "198.51.100.1:3478";
pub(crate) const SERVER_6: &str = "[2001:db8:1::1]:3478";
pub(crate) const PEER: &str = "198.51.100.2:1000";
/// At the same address.
pub(crate) const NEIGHBOUR: &str = "198.51.100.2:1001";
pub(crate) const STRANGER: &str = "198.51.100.3:1000";
pub(crate) const PEER_6: &str = "[2001:db8:1::2]:1000";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn credentials(password: &str) -> LongTermCredentials {
    LongTermCredentials::new("alice", password).unwrap()
}

/// What somebody has said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Client(Event),
    /// Has come from a peer to the client.
    Data(SocketAddr, Vec<u8>),
    /// Has come to a peer's socket: from where, to where.
    Peer(SocketAddr, SocketAddr, Vec<u8>),
}

pub(crate) enum Machine {
    Client(Box<Driven>),
    Peer { outbox: VecDeque<(Path, Vec<u8>)>, inbox: VecDeque<Said> },
}

/// A client with its driver.
pub(crate) struct Driven {
    pub(crate) client: Client,
    path: Path,
    outbox: VecDeque<Vec<u8>>,
    said: VecDeque<Said>,
    streams: VecDeque<StreamRequest>,
    /// Changes what arrives, or swallows it.
    pub(crate) tamper: Option<fastrand::Rng>,
}

impl Driven {
    fn new(client: Client, path: Path) -> Self {
        let (outbox, said, streams) = Default::default();
        let mut driven = Self { client, path, outbox, said, streams, tamper: None };
        driven.pump();
        driven
    }

    pub(crate) fn send(&mut self, peer: SocketAddr, data: &[u8], now: Instant) -> Result<(), SendError> {
        let mut buf = vec![0; data.len() + Client::SEND_OVERHEAD];
        if let Sent::Now(transmit) = self.client.send(peer, data, &mut buf, now)? {
            assert_eq!(transmit.to, self.path.remote);
            buf.truncate(transmit.len);
            self.outbox.push_back(buf);
        }
        Ok(())
    }

    fn pump(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::OpenStream { server, .. } => {
                    self.streams.push_back(StreamRequest::Connect { local: self.path.local, remote: server });
                }
                Event::CloseStream => self.streams.push_back(StreamRequest::Close(self.path)),
                event => self.said.push_back(Said::Client(event)),
            }
        }
    }

    fn tampered(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let Some(rng) = &mut self.tamper else { return bytes };
        match rng.u8(..10) {
            0 if !bytes.is_empty() => {
                let at = rng.usize(..bytes.len());
                bytes[at] ^= 1 << rng.u8(..8);
            }
            1 if bytes.len() > 24 => {
                // An attribute becomes another one.
                bytes[20..22].copy_from_slice(&rng.u16(..0x30).to_be_bytes());
            }
            2 => bytes.truncate(rng.usize(..=bytes.len())),
            3 => {
                bytes.resize(rng.usize(..200), 0);
                rng.fill(&mut bytes);
            }
            4 if bytes.len() > 24 => {
                let len = rng.usize(..bytes.len() - 20);
                bytes[20..20 + len].fill_with(|| rng.u8(..));
            }
            _ => {}
        }
        bytes
    }
}

impl Endpoint for Machine {
    type Event = Said;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        match self {
            Self::Client(driven) => {
                let datagram = driven.tampered(datagram);
                if let Some(PeerData { peer, data }) = driven.client.handle_datagram(path.remote, &datagram, now) {
                    driven.said.push_back(Said::Data(peer, data.to_vec()));
                }
                driven.pump();
            }
            Self::Peer { inbox, .. } => inbox.push_back(Said::Peer(path.remote, path.local, datagram.to_vec())),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Self::Client(driven) = self {
            driven.client.handle_timeout(now);
            driven.pump();
            assert!(driven.client.poll_timeout().is_none_or(|next| next > now), "time stands still");
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        match self {
            Self::Client(driven) => {
                if let Some(datagram) = driven.outbox.pop_front() {
                    buffer[..datagram.len()].copy_from_slice(&datagram);
                    return Some((driven.path, datagram.len()));
                }
                let transmit = driven.client.poll_transmit(buffer)?;
                assert_eq!(transmit.to, driven.path.remote, "nobody has asked for that");
                Some((driven.path, transmit.len))
            }
            Self::Peer { outbox, .. } => {
                let (path, datagram) = outbox.pop_front()?;
                buffer[..datagram.len()].copy_from_slice(&datagram);
                Some((path, datagram.len()))
            }
        }
    }

    fn poll_event(&mut self) -> Option<Said> {
        match self {
            Self::Client(driven) => driven.said.pop_front(),
            Self::Peer { inbox, .. } => inbox.pop_front(),
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        match self {
            Self::Client(driven) => driven.client.poll_timeout(),
            Self::Peer { .. } => None,
        }
    }

    fn handle_stream(&mut self, _: Path, input: StreamInput<'_>, now: Instant) {
        let Self::Client(driven) = self else { panic!("a peer has no streams") };
        match input {
            StreamInput::Opened => driven.client.handle_stream_opened(now),
            StreamInput::Refused | StreamInput::Closed => driven.client.handle_stream_closed(now),
            StreamInput::Data(data) => {
                let data = driven.tampered(data);
                let said = &mut driven.said;
                driven.client.handle_stream_data(&data, now, |PeerData { peer, data }| {
                    said.push_back(Said::Data(peer, data.to_vec()));
                });
            }
        }
        driven.pump();
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        let Self::Client(driven) = self else { return None };
        driven.streams.pop_front()
    }
}

pub(crate) struct Site {
    pub(crate) internet: Internet<Machine>,
    pub(crate) server: ServerId,
    pub(crate) router: RouterId,
    pub(crate) client: HostId,
    local: SocketAddr,
    peer: HostId,
    seed: u8,
}

/// What a site is made of.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) server: TurnServer,
    pub(crate) seed: u64,
    /// Between the client and its router, each way.
    pub(crate) access: Access,
}

impl Plan {
    pub(crate) fn new(server: &str, transport: Transport) -> Self {
        Self {
            config: Config::new(address(server), transport, credentials("secret")),
            server: TurnServer { pads_channel_data: true, ..TurnServer::with_user("alice", "secret") },
            seed: 1,
            access: Access::delay(Duration::from_millis(10)),
        }
    }

    pub(crate) fn build(self) -> Site {
        let mut internet = Internet::new(self.seed);
        let public = internet.public();
        let access = Access::delay(Duration::from_millis(10));
        let addresses = [SERVER, SERVER_6].map(|text| address(text).ip());
        let server = internet.add_server(public, &addresses, access, self.server);
        let peer = internet.add_host(Instant::ZERO, |_| Machine::Peer { outbox: [].into(), inbox: [].into() });
        let sockets = [PEER, NEIGHBOUR, STRANGER, PEER_6].map(address);
        let mut addresses: Vec<IpAddr> = sockets.iter().map(SocketAddr::ip).collect();
        addresses.dedup();
        internet.attach(peer, public, &addresses, access);
        for socket in sockets {
            internet.bind(peer, socket);
        }
        let outside = ["203.0.113.1".parse().unwrap()];
        let (router, inside) = internet.add_router(public, &outside, access, RouterConfig::symmetric());
        // IPv6 needs no NAT.
        let (realm, local) = match self.config.server {
            SocketAddr::V4(_) => (inside, address("192.168.0.2:5000")),
            SocketAddr::V6(_) => (public, address("[2001:db8:2::2]:5000")),
        };
        let protocol = if self.config.transport.is_stream() { Protocol::Tcp } else { Protocol::Udp };
        let path = Path { protocol, local, remote: self.config.server };
        let nobody = || Machine::Peer { outbox: [].into(), inbox: [].into() };
        let client = internet.add_host(Instant::from_millis(77), |_| nobody());
        internet.attach(client, realm, &[local.ip()], self.access);
        internet.bind(client, local);
        internet.with(client, |machine, now| {
            let client = Client::new(self.config, [self.seed as u8; 32], now).unwrap();
            *machine = Machine::Client(Box::new(Driven::new(client, path)));
        });
        Site { internet, server, router, client, local, peer, seed: self.seed as u8 }
    }
}

impl Site {
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Said> {
        let until = self.internet.now() + time;
        let mut said = Vec::new();
        self.internet.run(until, |_, event| said.push(event));
        said
    }

    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut Driven, Instant) -> R) -> R {
        self.internet.with(self.client, |machine, now| match machine {
            Machine::Client(driven) => {
                let result = call(driven, now);
                driven.pump();
                result
            }
            Machine::Peer { .. } => unreachable!("it is a peer"),
        })
    }

    /// The driver starts anew, from another local port.
    pub(crate) fn start_anew(&mut self, config: Config) {
        self.seed = self.seed.wrapping_add(1);
        self.local.set_port(self.local.port() + 1);
        self.internet.bind(self.client, self.local);
        let (seed, local) = (self.seed, self.local);
        self.with(|driven, now| {
            let path = Path { local, ..driven.path };
            *driven = Driven::new(Client::new(config, [seed; 32], now).unwrap(), path);
        });
    }

    /// The driver starts anew, from the port that it had.
    pub(crate) fn restart_in_place(&mut self, config: Config) {
        self.with(|driven, now| *driven = Driven::new(Client::new(config, [99; 32], now).unwrap(), driven.path));
    }

    pub(crate) fn client(&self) -> &Client {
        match self.internet.endpoint(self.client) {
            Machine::Client(driven) => &driven.client,
            Machine::Peer { .. } => unreachable!("it is a peer"),
        }
    }

    /// Lets an allocation be made, which takes no longer than two seconds.
    pub(crate) fn allocated(&mut self) -> Allocated {
        let said = self.pass(seconds(2));
        let [Said::Client(Event::Allocated(allocated))] = &said[..] else {
            panic!("{said:?}, {:?}", self.client().counters())
        };
        allocated.clone()
    }

    /// What is heard in the second after the client has sent something.
    pub(crate) fn client_says(&mut self, to: SocketAddr, data: &[u8]) -> Vec<Said> {
        self.with(|driven, now| driven.send(to, data, now)).unwrap();
        self.pass(seconds(1))
    }

    /// What is heard in the second after a peer has sent something.
    pub(crate) fn peer_says(&mut self, from: SocketAddr, to: SocketAddr, data: &[u8]) -> Vec<Said> {
        let path = Path { protocol: Protocol::Udp, local: from, remote: to };
        self.internet.with(self.peer, |machine, _| match machine {
            Machine::Peer { outbox, .. } => outbox.push_back((path, data.to_vec())),
            Machine::Client(_) => unreachable!("it is the client"),
        });
        self.pass(seconds(1))
    }
}
