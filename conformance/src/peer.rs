//! frazil's peer on a host.

use frazil::jsep::Description;
use frazil::peer::{Event, Peer};
use frazil::{Instant, Path};

use frazil_internet::Endpoint;

use crate::allocations;

/// A peer, and how much of the heap it holds.
pub struct PeerEndpoint {
    peer: Peer,
    held: i64,
    most_held: i64,
}

/// What a peer gives away, and how much of the heap goes with it.
pub trait Given {
    /// Bytes on the heap.
    fn heap(&self) -> usize;
}

impl PeerEndpoint {
    /// Puts a peer on a host.
    #[must_use]
    pub fn new(peer: impl FnOnce() -> Peer) -> Self {
        let before = allocations::so_far();
        let peer = peer();
        let held = allocations::so_far().since(before).held();
        Self { peer, held, most_held: held }
    }

    /// The peer, to be looked at.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Calls the peer. What it gives back is not the peer's any more.
    pub fn call<R: Given>(&mut self, call: impl FnOnce(&mut Peer) -> R) -> R {
        let before = allocations::so_far();
        let result = call(&mut self.peer);
        self.held += allocations::so_far().since(before).held() - result.heap() as i64;
        self.most_held = self.most_held.max(self.held);
        result
    }

    /// How many bytes of the heap the peer holds, and the most it ever held between two calls.
    ///
    /// Both are zero unless the [counting allocator](allocations::CountingAllocator) is installed.
    #[must_use]
    pub fn held(&self) -> (i64, i64) {
        (self.held, self.most_held)
    }
}

impl Endpoint for PeerEndpoint {
    type Event = Event;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        self.call(|peer| {
            let id = peer.path_id(path);
            peer.handle_datagram(id, datagram, now);
        });
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.call(|peer| peer.handle_timeout(now));
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        self.call(|peer| {
            let transmit = peer.poll_transmit(buffer)?;
            Some((peer.path(transmit.path).expect("a path that is sent over has a name"), transmit.len))
        })
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.call(Peer::poll_event)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.peer.poll_timeout()
    }
}

/// Has no heap.
macro_rules! plain {
    ($($kind:ty),*) => { $(impl Given for $kind { fn heap(&self) -> usize { 0 } })* };
}

plain!((), usize, (Path, usize), frazil::peer::ChannelId);

impl<T: Given> Given for Option<T> {
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, T::heap)
    }
}

/// The text of an error is short and rare, and is not counted.
impl<T: Given, E> Given for Result<T, E> {
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, T::heap)
    }
}

impl Given for String {
    fn heap(&self) -> usize {
        self.capacity()
    }
}

impl Given for Description {
    fn heap(&self) -> usize {
        self.sdp.heap()
    }
}

impl Given for Event {
    fn heap(&self) -> usize {
        match self {
            Self::IceCandidate(told) => told.candidate.heap() + told.mid.heap() + told.ufrag.heap(),
            Self::SelectedPairChange(report) => size_of_val(&**report),
            Self::Resolve { name, .. } => name.heap(),
            Self::DataChannel { config, .. } => config.label.heap() + config.protocol.heap(),
            Self::Message { data, .. } => data.capacity(),
            _ => 0,
        }
    }
}
