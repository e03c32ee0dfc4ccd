//! The data streams of a TCP allocation, and how far each of them is (RFC 6062).

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::frames::Frames;
use crate::Instant;
use crate::stun::TransactionId;

/// Names one data stream of a TCP allocation: a connection from the client to the server that carries what goes between
/// the client and one peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DataStream(u32);

/// CONNECTION-ID: what the server calls a connection to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ConnectionId(pub(super) [u8; 4]);

/// All data streams of a client.
#[derive(Default, Debug)]
pub(super) struct Streams {
    streams: BTreeMap<DataStream, Stream>,
    next: u32,
    /// Requests that want to be written into their streams.
    pub(super) outbox: VecDeque<TransactionId>,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) peer: SocketAddr,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// The server was asked to connect to the peer.
    Connecting,
    /// The peer has connected; nobody has taken that up yet. The server waits for so long.
    Offered { id: ConnectionId, until: Instant },
    /// The driver was asked to open the stream, until this at the latest.
    Opening { id: ConnectionId, until: Instant },
    /// The server was asked to join stream and peer.
    Binding(Frames),
    /// They are joined.
    Bound,
}

impl State {
    /// Whether the driver has a stream for it, or opens one.
    pub(super) fn has_stream(&self) -> bool {
        matches!(self, Self::Opening { .. } | Self::Binding(_) | Self::Bound)
    }

    fn until(&self) -> Option<Instant> {
        match self {
            Self::Offered { until, .. } | Self::Opening { until, .. } => Some(*until),
            _ => None,
        }
    }
}

impl Streams {
    /// More are not opened at a time.
    const MAX: usize = 256;
    /// Of peers that have connected and wait, no more are kept.
    const MAX_OFFERED: usize = 64;

    /// Notes another one; none if there are too many.
    pub(super) fn add(&mut self, peer: SocketAddr, state: State) -> Option<DataStream> {
        let is_offered = |stream: &&Stream| matches!(stream.state, State::Offered { .. });
        let offered = self.streams.values().filter(is_offered).count();
        let is_full = matches!(state, State::Offered { .. }) && offered == Self::MAX_OFFERED;
        if is_full || self.streams.len() == Self::MAX {
            return None;
        }
        // Numbers come again after 2^32 streams; those that last so long keep theirs.
        let name = loop {
            let name = DataStream(self.next);
            self.next = self.next.wrapping_add(1);
            if !self.streams.contains_key(&name) {
                break name;
            }
        };
        self.streams.insert(name, Stream { peer, state });
        Some(name)
    }

    /// Whether there is a connection to this peer, or soon will be.
    pub(super) fn has_peer(&self, peer: SocketAddr) -> bool {
        self.streams.values().any(|stream| stream.peer == peer)
    }

    pub(super) fn get_mut(&mut self, name: DataStream) -> Option<&mut Stream> {
        self.streams.get_mut(&name)
    }

    pub(super) fn remove(&mut self, name: DataStream) -> Option<Stream> {
        self.streams.remove(&name)
    }

    /// Forgets all, and gives those that the driver has streams for.
    pub(super) fn take_open(&mut self) -> impl Iterator<Item = DataStream> {
        self.outbox.clear();
        let all = core::mem::take(&mut self.streams);
        all.into_iter().filter(|(_, stream)| stream.state.has_stream()).map(|(name, _)| name)
    }

    /// The first one that has waited for too long.
    pub(super) fn overdue(&self, now: Instant) -> Option<DataStream> {
        let is_over = |stream: &Stream| stream.state.until().is_some_and(|until| now >= until);
        self.streams.iter().find(|(_, stream)| is_over(stream)).map(|(&name, _)| name)
    }

    /// When [`Streams::overdue`] has something to give.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.streams.values().filter_map(|stream| stream.state.until()).min()
    }
}
