//! Allocations, and what goes through them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use frazil::stun::{AttributeType, Class, MessageWriter, Method, TransactionId};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::State;
use super::transport::Client;

/// One client's relayed addresses, with whom they may talk. It ends when it is dropped.
pub(super) struct Allocation {
    pub(super) sockets: Vec<Arc<UdpSocket>>,
    /// Until when.
    permitted: BTreeMap<IpAddr, Instant>,
    /// To whom and until when.
    channels: BTreeMap<u16, (SocketAddr, Instant)>,
    expires_at: Instant,
    tasks: Vec<JoinHandle<()>>,
}

/// The least that RFC 8656 section 7.2 lets a server give.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 section 9.
const PERMISSION: Duration = Duration::from_secs(300);
/// RFC 8656 section 12.
const CHANNEL: Duration = Duration::from_secs(600);

impl Allocation {
    /// Opens a relayed address at each of `ips`.
    pub(super) async fn open(state: &Arc<State>, client: &Client, ips: &[IpAddr]) -> io::Result<Self> {
        let mut sockets = Vec::new();
        let mut tasks = Vec::new();
        for ip in ips {
            let socket = Arc::new(UdpSocket::bind((*ip, 0)).await?);
            tasks.push(tokio::spawn(to_client(state.clone(), client.clone(), socket.clone())));
            sockets.push(socket);
        }
        let expires_at = Instant::now() + LIFETIME;
        Ok(Self { sockets, permitted: BTreeMap::new(), channels: BTreeMap::new(), expires_at, tasks })
    }

    pub(super) fn prolong(&mut self) {
        self.expires_at = Instant::now() + LIFETIME;
    }

    pub(super) fn permit(&mut self, peer: IpAddr) {
        let until = Instant::now() + PERMISSION;
        self.permitted.entry(peer).and_modify(|before| *before = until.max(*before)).or_insert(until);
    }

    /// The permission lasts as long as the channel, as coturn has it.
    pub(super) fn bind(&mut self, number: u16, peer: SocketAddr) {
        let until = Instant::now() + CHANNEL;
        self.channels.insert(number, (peer, until));
        self.permitted.insert(peer.ip(), until);
    }

    fn is_permitted(&self, peer: IpAddr) -> bool {
        self.permitted.get(&peer).is_some_and(|until| *until > Instant::now())
    }

    /// The peer that a channel is bound to.
    pub(super) fn peer_on(&self, number: u16) -> Option<SocketAddr> {
        self.channels.get(&number).filter(|(_, until)| *until > Instant::now()).map(|(peer, _)| *peer)
    }

    fn channel_of(&self, peer: SocketAddr) -> Option<u16> {
        self.channels.keys().copied().find(|number| self.peer_on(*number) == Some(peer))
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expires_at < Instant::now()
    }

    /// The relayed addresses.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Sends to a peer, if it is permitted.
    pub(super) fn send(&self, peer: SocketAddr, data: &[u8]) -> bool {
        let family = |socket: &&Arc<UdpSocket>| socket.local_addr().is_ok_and(|at| at.is_ipv4() == peer.is_ipv4());
        let socket = self.sockets.iter().find(family).filter(|_| self.is_permitted(peer.ip()));
        // What the network has no room for now is lost, as datagrams are.
        socket.is_some_and(|socket| socket.try_send_to(data, peer).is_ok())
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn to_client(state: Arc<State>, client: Client, socket: Arc<UdpSocket>) {
    let mut buf = vec![0; 65_536];
    loop {
        let Ok((len, peer)) = socket.recv_from(&mut buf).await else { continue };
        let data = &buf[..len];
        let mut inner = state.lock();
        let Some(allocation) = inner.allocations.get(&client.address) else { continue };
        if inner.script.is_silent || allocation.is_expired() || !allocation.is_permitted(peer.ip()) {
            continue;
        }
        let channel = allocation.channel_of(peer);
        inner.relayed += 1;
        client.send(match channel {
            Some(number) => channel_data(number, data),
            None => data_indication(peer, data),
        });
    }
}

fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).expect("a datagram is shorter");
    [&number.to_be_bytes()[..], &len.to_be_bytes(), data].concat()
}

fn data_indication(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut buf = vec![0; data.len() + 64];
    let mut writer = MessageWriter::new(&mut buf, Class::Indication, Method::DATA, TransactionId([7; 12]));
    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer).attribute(AttributeType::DATA, data);
    let len = writer.finish().expect("there is room for it");
    buf.truncate(len);
    buf
}
