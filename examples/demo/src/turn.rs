//! STUN and TURN for the demo: the protocol is `turn-server-proto`'s, the sockets are tokio's.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket, tcp};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::debug;
use turn_server_proto::api::{SocketAllocateError, TcpConnectError, Transmit, TurnServerApi, TurnServerPollRet};
use turn_server_proto::server::TurnServer;
use turn_server_proto::types::prelude::DelayedTransmitBuild;
use turn_server_proto::types::{AddressFamily, Instant, TransportType};

const REALM: &str = "frazil-demo";
/// How many relayed addresses there may be at once, and how many TCP clients.
const MAX_RELAYS: usize = 64;
const MAX_STREAMS: usize = 64;
/// How long a TCP client may say nothing; an allocation is refreshed more often.
const STREAM_SILENCE: Duration = Duration::from_secs(900);
/// How many packets may wait to be handled, or to be read by one TCP client. One more is lost, as UDP packets are.
const QUEUE: usize = 256;
const MAX_DATAGRAM: usize = 65_536;

/// A running STUN and TURN server on UDP and TCP; dropping it stops it.
pub(crate) struct Turn {
    address: SocketAddr,
    username: String,
    password: String,
    _tasks: JoinSet<()>,
}

impl Turn {
    /// Starts a server that listens on `ip`, on the same port for UDP and TCP, and relays from `relay`; port 0 lets
    /// the system choose. Both addresses are concrete ones of this machine.
    pub(crate) async fn start(ip: IpAddr, port: u16, relay: IpAddr) -> io::Result<Self> {
        let (udp, tcp) = bind(ip, port).await?;
        let address = udp.local_addr()?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let username = "frazil".to_owned();
        let password: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();

        let mut tasks = JoinSet::new();
        let shell = |transport, front| {
            let mut server = TurnServer::new(transport, address, REALM.to_owned());
            server.add_user(username.clone(), password.clone());
            Shell { server, address, front, relay, relays: BTreeMap::new(), started: std::time::Instant::now() }
        };
        let (inputs, queue) = mpsc::channel(QUEUE);
        let udp = Arc::new(udp);
        tasks.spawn(read_datagrams(udp.clone(), address, inputs.clone()));
        tasks.spawn(shell(TransportType::Udp, Front::Datagrams(udp)).run(inputs, queue));
        let (inputs, queue) = mpsc::channel(QUEUE);
        tasks.spawn(accept(tcp, inputs.clone()));
        tasks.spawn(shell(TransportType::Tcp, Front::Streams(BTreeMap::new())).run(inputs, queue));
        Ok(Self { address, username, password, _tasks: tasks })
    }

    /// The servers as the W3C `RTCConfiguration` names them.
    pub(crate) fn ice_servers(&self) -> Value {
        let Self { address, username, password, .. } = self;
        json!([
            { "urls": [format!("stun:{address}")] },
            {
                "urls": [format!("turn:{address}?transport=udp"), format!("turn:{address}?transport=tcp")],
                "username": username,
                "credential": password,
            },
        ])
    }
}

async fn bind(ip: IpAddr, port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let mut attempts = 0;
    loop {
        let udp = UdpSocket::bind((ip, port)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            // Another program's TCP port has the number that the system chose for UDP.
            Err(error) if port == 0 && attempts < 16 && error.kind() == io::ErrorKind::AddrInUse => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}

enum Input {
    /// A datagram on the listening socket or on a relayed one.
    Datagram {
        local: SocketAddr,
        remote: SocketAddr,
        data: Vec<u8>,
    },
    StreamOpened {
        client: SocketAddr,
        writer: mpsc::Sender<Vec<u8>>,
        reader: AbortHandle,
    },
    StreamData {
        client: SocketAddr,
        data: Vec<u8>,
    },
    StreamClosed {
        client: SocketAddr,
    },
}

/// Where clients come in.
enum Front {
    Datagrams(Arc<UdpSocket>),
    Streams(BTreeMap<SocketAddr, Stream>),
}

struct Stream {
    writer: mpsc::Sender<Vec<u8>>,
    reader: AbortHandle,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Relay {
    socket: Arc<UdpSocket>,
    reader: AbortHandle,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The sockets around one protocol server.
struct Shell {
    server: TurnServer,
    address: SocketAddr,
    front: Front,
    /// Where relayed addresses are.
    relay: IpAddr,
    relays: BTreeMap<SocketAddr, Relay>,
    started: std::time::Instant,
}

impl Shell {
    async fn run(mut self, inputs: mpsc::Sender<Input>, mut queue: mpsc::Receiver<Input>) {
        loop {
            let wait = self.drain(&inputs).await;
            tokio::select! {
                input = queue.recv() => match input {
                    Some(input) => self.handle(input),
                    None => return,
                },
                () = sleep(wait) => {}
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let (transport, remote, local, data) = match input {
            Input::Datagram { local, remote, data } => (TransportType::Udp, remote, local, data),
            Input::StreamOpened { client, writer, reader } => {
                if let Front::Streams(streams) = &mut self.front {
                    streams.insert(client, Stream { writer, reader });
                }
                return;
            }
            Input::StreamData { client, data } => (TransportType::Tcp, client, self.address, data),
            Input::StreamClosed { client } => {
                if let Front::Streams(streams) = &mut self.front {
                    streams.remove(&client);
                }
                // No data is the end of the stream.
                (TransportType::Tcp, client, self.address, Vec::new())
            }
        };
        let now = self.now();
        if let Some(transmit) = self.server.recv(Transmit::new(data, transport, remote, local), now) {
            let (from, to) = (transmit.from, transmit.to);
            self.send(from, to, transmit.data.build());
        }
    }

    /// Does all that the server asks for; gives how long it can wait then.
    async fn drain(&mut self, inputs: &mpsc::Sender<Input>) -> Duration {
        loop {
            let now = self.now();
            while let Some(transmit) = self.server.poll_transmit(now) {
                self.send(transmit.from, transmit.to, transmit.data);
            }
            match self.server.poll(now) {
                TurnServerPollRet::WaitUntil(until) => {
                    let wait = until.saturating_duration_since(now);
                    // What was pending may have become a transmit.
                    match self.server.poll_transmit(now) {
                        Some(transmit) => self.send(transmit.from, transmit.to, transmit.data),
                        None => return wait.clamp(Duration::from_millis(10), Duration::from_secs(60)),
                    }
                }
                TurnServerPollRet::AllocateSocket {
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                } => {
                    let relay = match allocation_transport {
                        TransportType::Udp => self.allocate(family, inputs).await,
                        TransportType::Tcp => Err(SocketAllocateError::InsufficientCapacity),
                    };
                    debug!(client = %client_addr, ?relay, "allocation");
                    let now = self.now();
                    self.server.allocated_socket(
                        transport,
                        listen_addr,
                        client_addr,
                        allocation_transport,
                        family,
                        relay,
                        now,
                    );
                }
                TurnServerPollRet::SocketClose { listen_addr, .. } => drop(self.relays.remove(&listen_addr)),
                TurnServerPollRet::TcpConnect { relayed_addr, peer_addr, listen_addr, client_addr } => {
                    let refused = Err(TcpConnectError::Forbidden);
                    self.server.tcp_connected(relayed_addr, peer_addr, listen_addr, client_addr, refused, now);
                }
                TurnServerPollRet::TcpClose { remote_addr, .. } => {
                    if let Front::Streams(streams) = &mut self.front {
                        streams.remove(&remote_addr);
                    }
                }
            }
        }
    }

    async fn allocate(
        &mut self,
        family: AddressFamily,
        inputs: &mpsc::Sender<Input>,
    ) -> Result<SocketAddr, SocketAllocateError> {
        let ours = if self.relay.is_ipv4() { AddressFamily::IPV4 } else { AddressFamily::IPV6 };
        if family != ours {
            return Err(SocketAllocateError::AddressFamilyNotSupported);
        }
        if self.relays.len() >= MAX_RELAYS {
            return Err(SocketAllocateError::InsufficientCapacity);
        }
        let bound = async {
            let socket = Arc::new(UdpSocket::bind((self.relay, 0)).await?);
            let address = socket.local_addr()?;
            Ok::<_, io::Error>((socket, address))
        };
        let (socket, address) = bound.await.map_err(|_| SocketAllocateError::InsufficientCapacity)?;
        let reader = tokio::spawn(read_datagrams(socket.clone(), address, inputs.clone())).abort_handle();
        self.relays.insert(address, Relay { socket, reader });
        Ok(address)
    }

    /// Sends a packet, or loses it where it cannot be sent at once.
    fn send(&self, from: SocketAddr, to: SocketAddr, data: Vec<u8>) {
        match &self.front {
            _ if from != self.address => {
                if let Some(relay) = self.relays.get(&from).filter(|_| may_relay(from.ip(), to.ip())) {
                    let _ = relay.socket.try_send_to(&data, to);
                }
            }
            Front::Datagrams(socket) => {
                let _ = socket.try_send_to(&data, to);
            }
            Front::Streams(streams) => {
                if let Some(stream) = streams.get(&to) {
                    let _ = stream.writer.try_send(fill(data));
                }
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }
}

/// Whether a relayed address may send there. A server that others can reach must not open to them what only this
/// machine can reach.
fn may_relay(relay: IpAddr, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    if peer.is_multicast() || peer.is_unspecified() {
        return false;
    }
    let link_local = match peer {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    relay.is_loopback() || !(peer.is_loopback() || link_local)
}

async fn read_datagrams(socket: Arc<UdpSocket>, local: SocketAddr, inputs: mpsc::Sender<Input>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        // An error tells of an earlier packet that did not arrive; the socket is well.
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else { continue };
        let input = Input::Datagram { local, remote, data: buffer[..length].to_vec() };
        if inputs.send(input).await.is_err() {
            return;
        }
    }
}

async fn accept(listener: TcpListener, inputs: mpsc::Sender<Input>) {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) if streams.len() < 2 * MAX_STREAMS => {
                    let _ = stream.set_nodelay(true);
                    open(stream, client, &inputs, &mut streams).await;
                }
                Ok(_) => {}
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
            Some(_) = streams.join_next() => {}
        }
    }
}

async fn open(stream: TcpStream, client: SocketAddr, inputs: &mpsc::Sender<Input>, streams: &mut JoinSet<()>) {
    let (read, write) = stream.into_split();
    let (writer, queue) = mpsc::channel(QUEUE);
    // The shell must know the stream before its first bytes.
    let (ready, opened) = tokio::sync::oneshot::channel::<()>();
    let reader = streams.spawn(read_stream(read, client, inputs.clone(), opened));
    streams.spawn(write_stream(write, queue));
    if inputs.send(Input::StreamOpened { client, writer, reader }).await.is_ok() {
        let _ = ready.send(());
    }
}

async fn read_stream(
    stream: tcp::OwnedReadHalf,
    client: SocketAddr,
    inputs: mpsc::Sender<Input>,
    opened: tokio::sync::oneshot::Receiver<()>,
) {
    if opened.await.is_err() {
        return;
    }
    let mut stream = BufReader::new(stream);
    while let Ok(Ok(data)) = timeout(STREAM_SILENCE, read_frame(&mut stream)).await {
        if inputs.send(Input::StreamData { client, data }).await.is_err() {
            return;
        }
    }
    let _ = inputs.send(Input::StreamClosed { client }).await;
}

/// Reads one STUN message or one piece of channel data. On a stream the latter is filled up to a multiple of four
/// bytes (RFC 8656, section 12.5), of which `turn-server-proto` 0.7 takes no account in either direction: it would
/// lose its place at the first one of another size. So it is given whole messages without the filling.
async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (size, filled) = match head[0] >> 6 {
        0b00 => (20 + length, 20 + length),
        0b01 => (4 + length, 4 + length.next_multiple_of(4)),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut data = vec![0; filled];
    data[..4].copy_from_slice(&head);
    stream.read_exact(&mut data[4..]).await?;
    data.truncate(size);
    Ok(data)
}

/// The reverse of [`read_frame`].
fn fill(mut data: Vec<u8>) -> Vec<u8> {
    if data.first().is_some_and(|first| first >> 6 == 0b01) {
        data.resize(data.len().next_multiple_of(4), 0);
    }
    data
}

async fn write_stream(mut stream: tcp::OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(data) = queue.recv().await {
        if stream.write_all(&data).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_as_they_went_in() {
        let stun = |length: usize| [vec![0, 1, 0, length as u8], vec![7; 16 + length]].concat();
        let channel = |length: usize| [vec![0x40, 0, 0, length as u8], vec![7; length]].concat();
        let frames: Vec<_> = (0..40).map(channel).chain([stun(0), stun(8)]).chain((0..5).map(channel)).collect();
        let stream: Vec<u8> = frames.iter().cloned().flat_map(fill).collect();
        let mut rest = stream.as_slice();
        for frame in &frames {
            assert_eq!(&read_frame(&mut rest).await.unwrap(), frame);
        }
        assert_eq!(read_frame(&mut rest).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_frame(&mut &b"GET / HTTP/1.1"[..]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_frame(&mut &[0x80; 40][..]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_relay_that_others_can_reach_does_not_lead_into_this_machine() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let lan = ip("192.168.1.5");
        for denied in ["127.0.0.1", "::ffff:127.0.0.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.251", "0.0.0.0"] {
            assert!(!may_relay(lan, ip(denied)), "{denied}");
        }
        for allowed in ["192.168.1.7", "203.0.113.1", "2001:db8::1"] {
            assert!(may_relay(lan, ip(allowed)), "{allowed}");
        }
        assert!(may_relay(ip("127.0.0.1"), ip("127.0.0.1")));
        assert!(!may_relay(ip("127.0.0.1"), ip("224.0.0.251")));
    }
}
