//! The sockets around one protocol server.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::debug;
use turn_server_proto::api::{SocketAllocateError, TcpConnectError, Transmit, TurnServerApi, TurnServerPollRet};
use turn_server_proto::server::TurnServer;
use turn_server_proto::types::prelude::DelayedTransmitBuild;
use turn_server_proto::types::{AddressFamily, Instant, TransportType};

use crate::streams::fill;

/// How many relayed addresses there may be at once.
const MAX_RELAYS: usize = 64;
const MAX_DATAGRAM: usize = 65_536;

pub(crate) enum Input {
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
pub(crate) enum Front {
    Datagrams(Arc<UdpSocket>),
    Streams(BTreeMap<SocketAddr, Stream>),
}

pub(crate) struct Stream {
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
    /// How many there are.
    count: watch::Sender<usize>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.reader.abort();
        self.count.send_modify(|count| *count -= 1);
    }
}

/// The sockets and the server.
pub(crate) struct Shell {
    server: TurnServer,
    address: SocketAddr,
    front: Front,
    /// Where relayed addresses are.
    relay: IpAddr,
    relays: BTreeMap<SocketAddr, Relay>,
    count: watch::Sender<usize>,
    started: std::time::Instant,
}

impl Shell {
    pub(crate) fn new(
        server: TurnServer,
        address: SocketAddr,
        front: Front,
        relay: IpAddr,
        count: watch::Sender<usize>,
    ) -> Self {
        Self { server, address, front, relay, relays: BTreeMap::new(), count, started: std::time::Instant::now() }
    }

    /// Goes on until it is aborted.
    pub(crate) async fn run(mut self, inputs: mpsc::Sender<Input>, mut queue: mpsc::Receiver<Input>) {
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
            // `turn-server-proto` 0.7 addresses the answer to a Binding request to itself.
            let to = if transmit.to == self.address { remote } else { transmit.to };
            self.send(transmit.from, to, transmit.data.build());
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
        self.count.send_modify(|count| *count += 1);
        self.relays.insert(address, Relay { socket, reader, count: self.count.clone() });
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

pub(crate) async fn read_datagrams(socket: Arc<UdpSocket>, local: SocketAddr, inputs: mpsc::Sender<Input>) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
