//! The TCP connections and listeners of all machines.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::host::Node;
use crate::internet::HostId;
use crate::queue::Ticket;
use crate::tcp::Connection;

/// The ports that connections from any port have (RFC 6335 section 6).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

pub(crate) struct Streams {
    connections: BTreeMap<StreamKey, Stream>,
    listeners: BTreeSet<(Node, SocketAddr)>,
    ends: BTreeMap<SocketAddr, HostId>,
    /// Timers that fired while their machine did not run.
    missed: Vec<StreamKey>,
    next_ephemeral: u16,
    rng: fastrand::Rng,
}

/// A connection as one machine sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct StreamKey {
    pub(crate) node: Node,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

pub(crate) struct Stream {
    pub(crate) connection: Connection,
    pub(crate) timer: Option<Ticket>,
}

impl Streams {
    pub(crate) fn new(rng: fastrand::Rng) -> Self {
        Self {
            connections: BTreeMap::new(),
            listeners: BTreeSet::new(),
            ends: BTreeMap::new(),
            missed: Vec::new(),
            next_ephemeral: *EPHEMERAL.start(),
            rng,
        }
    }

    pub(crate) fn listen(&mut self, node: Node, address: SocketAddr) -> bool {
        self.note_end(node, address);
        self.listeners.insert((node, address))
    }

    pub(crate) fn unlisten(&mut self, node: Node, address: SocketAddr) {
        self.listeners.remove(&(node, address));
    }

    pub(crate) fn listens(&self, node: Node, address: SocketAddr) -> bool {
        self.listeners.contains(&(node, address))
    }

    /// Who has had a listener or a connection at this address last, to find the end of a wire. Hosts may share
    /// addresses only where realms keep them apart.
    pub(crate) fn host_at(&self, address: SocketAddr) -> Option<HostId> {
        self.ends.get(&address).copied()
    }

    fn note_end(&mut self, node: Node, address: SocketAddr) {
        if let Node::Host(host) = node {
            self.ends.insert(address, host);
        }
    }

    /// An initial sequence number, far from the end of its 64 bits.
    pub(crate) fn draw_sequence(&mut self) -> u64 {
        u64::from(self.rng.u32(..))
    }

    pub(crate) fn insert(&mut self, key: StreamKey, connection: Connection) {
        self.note_end(key.node, key.local);
        self.connections.insert(key, Stream { connection, timer: None });
    }

    pub(crate) fn get(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.connections.get_mut(&key)
    }

    pub(crate) fn of(&self, node: Node) -> impl Iterator<Item = StreamKey> + '_ {
        let lowest = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
        let from = StreamKey { node, local: lowest, remote: lowest };
        self.connections.range(from..).map(|(key, _)| *key).take_while(move |key| key.node == node)
    }

    pub(crate) fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        self.connections.remove(&key)
    }

    /// Forgets all connections of a machine, as it does itself when it restarts. Gives their timers back.
    pub(crate) fn forget(&mut self, node: Node) -> Vec<Ticket> {
        self.missed.retain(|key| key.node != node);
        let mut timers = Vec::new();
        self.connections.retain(|key, stream| {
            if key.node == node {
                timers.extend(stream.timer);
            }
            key.node != node
        });
        timers
    }

    /// A port for a connection from any.
    pub(crate) fn ephemeral(&mut self, node: Node, local: SocketAddr) -> Option<SocketAddr> {
        let first = self.next_ephemeral;
        let ports = (first..=*EPHEMERAL.end()).chain(*EPHEMERAL.start()..first);
        let found = ports.map(|port| SocketAddr::new(local.ip(), port)).find(|local| !self.is_used(node, *local))?;
        self.next_ephemeral = found.port().checked_add(1).unwrap_or(*EPHEMERAL.start());
        Some(found)
    }

    fn is_used(&self, node: Node, local: SocketAddr) -> bool {
        let lowest = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
        let from = StreamKey { node, local, remote: lowest };
        let connected =
            self.connections.range(from..).next().is_some_and(|(key, _)| key.node == node && key.local == local);
        connected || self.listens(node, local)
    }

    /// A timer fired on a machine that does not run.
    pub(crate) fn miss(&mut self, key: StreamKey) {
        self.missed.push(key);
    }

    /// The machine runs again: these timers fire now.
    pub(crate) fn take_missed(&mut self, node: Node) -> Vec<StreamKey> {
        self.missed.extract_if(.., |key| key.node == node).collect()
    }
}
