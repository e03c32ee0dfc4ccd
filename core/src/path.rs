//! Paths, interned once so that per-datagram calls carry bytes and plain numbers.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// The transport protocol below a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// A stream with RFC 4571 framing.
    Tcp,
}

/// Where a datagram comes from and goes to, as the driver's sockets see it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Path {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The address that the driver's own socket is bound to.
    pub local: SocketAddr,
    /// The other side, as the socket sees it.
    pub remote: SocketAddr,
}

/// A [`Path`] as a small number.
///
/// Valid on the state machine that gave it out. The number of a path that carries no candidate pair
/// may be taken back when many strangers send; a datagram handed in with such a number is dropped and
/// counted, and the driver asks for the path's number anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathId(u32);

impl PathId {
    /// The number itself, to cross a language border.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The path id whose number is `n`. A number that was never given out names no path.
    #[must_use]
    pub const fn from_u32(n: u32) -> Self {
        Self(n)
    }

    fn new(slot: u16, lap: u16) -> Self {
        Self(u32::from(lap) << 16 | u32::from(slot))
    }

    fn slot(self) -> usize {
        usize::from(self.0 as u16)
    }

    fn lap(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

/// A datagram that was written into the caller's buffer and wants to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Where to send it: from the path's local to its remote address.
    pub path: PathId,
    /// How many bytes of the buffer it takes.
    pub len: usize,
}

/// How many paths without an occupant are remembered. Strangers can make no more.
const MAX_VACANT: usize = 256;

/// Interned paths. A path that is occupied by a `T` or held by a stream keeps its number; vacant ones are recycled,
/// oldest first.
#[derive(Debug)]
pub(crate) struct Paths<T> {
    index: BTreeMap<Path, PathId>,
    slots: Vec<Slot<T>>,
    /// Slots whose path was taken back.
    free: Vec<u16>,
    /// Vacant paths by age. An entry whose path was occupied since is skipped.
    vacant: VecDeque<PathId>,
    vacancies: usize,
}

#[derive(Debug)]
struct Slot<T> {
    path: Path,
    /// How often the slot was re-used; tells an old number from a new one.
    lap: u16,
    occupant: Option<T>,
    /// A stream is open on it.
    held: bool,
}

impl<T> Slot<T> {
    fn is_vacant(&self) -> bool {
        self.occupant.is_none() && !self.held
    }
}

impl<T> Paths<T> {
    pub(crate) fn new() -> Self {
        Self { index: BTreeMap::new(), slots: Vec::new(), free: Vec::new(), vacant: VecDeque::new(), vacancies: 0 }
    }

    /// The number of `path`, a new one if it has none.
    pub(crate) fn intern(&mut self, path: Path) -> PathId {
        if let Some(&id) = self.index.get(&path) {
            return id;
        }
        if self.vacancies >= MAX_VACANT {
            self.recycle_oldest();
        }
        let id = match self.free.pop() {
            Some(slot) => {
                let entry = &mut self.slots[usize::from(slot)];
                entry.path = path;
                PathId::new(slot, entry.lap)
            }
            None => {
                let slot = u16::try_from(self.slots.len()).expect("vacant paths and pairs are bounded far below 2^16");
                self.slots.push(Slot { path, lap: 0, occupant: None, held: false });
                PathId::new(slot, 0)
            }
        };
        self.index.insert(path, id);
        self.vacant.push_back(id);
        self.vacancies += 1;
        id
    }

    /// The path that `id` names, if it still names one.
    pub(crate) fn get(&self, id: PathId) -> Option<Path> {
        self.slot(id).map(|slot| slot.path)
    }

    /// Who occupies the path, if it is known and occupied.
    pub(crate) fn occupant(&self, id: PathId) -> Option<&T> {
        self.slot(id)?.occupant.as_ref()
    }

    /// Sets or clears the occupant of a known path.
    pub(crate) fn occupy(&mut self, id: PathId, occupant: Option<T>) {
        self.change(id, |slot| slot.occupant = occupant);
    }

    /// Says whether a stream is open on a known path.
    pub(crate) fn hold(&mut self, id: PathId, held: bool) {
        self.change(id, |slot| slot.held = held);
    }

    fn change(&mut self, id: PathId, change: impl FnOnce(&mut Slot<T>)) {
        let Some(slot) = self.slots.get_mut(id.slot()).filter(|slot| slot.lap == id.lap()) else { return };
        let was_vacant = slot.is_vacant();
        change(slot);
        match (was_vacant, slot.is_vacant()) {
            (true, false) => self.vacancies -= 1,
            (false, true) => {
                self.vacancies += 1;
                self.vacant.push_back(id);
            }
            _ => {}
        }
    }

    fn slot(&self, id: PathId) -> Option<&Slot<T>> {
        self.slots.get(id.slot()).filter(|slot| slot.lap == id.lap())
    }

    fn recycle_oldest(&mut self) {
        while let Some(id) = self.vacant.pop_front() {
            let Some(slot) = self.slots.get_mut(id.slot()).filter(|s| s.lap == id.lap()) else { continue };
            if slot.is_vacant() {
                self.index.remove(&slot.path);
                slot.lap = slot.lap.wrapping_add(1);
                self.free.push(id.slot() as u16);
                self.vacancies -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path {
            protocol: Protocol::Udp,
            local: "192.0.2.1:4000".parse().unwrap(),
            remote: SocketAddr::new("198.51.100.1".parse().unwrap(), port),
        }
    }

    #[test]
    fn strangers_cannot_grow_the_table_nor_push_out_an_occupied_path() {
        let mut paths = Paths::new();
        let kept = paths.intern(path(1));
        paths.occupy(kept, Some("pair"));
        let lost = paths.intern(path(2));
        for port in 3..20_000 {
            paths.intern(path(port));
        }
        assert!(paths.slots.len() <= MAX_VACANT + 2);
        assert!(paths.index.len() <= MAX_VACANT + 1);
        assert!(paths.vacant.len() <= MAX_VACANT + 2);
        assert_eq!(paths.get(kept), Some(path(1)));
        assert_eq!(paths.occupant(kept), Some(&"pair"));
        assert_eq!(paths.get(lost), None, "a stale number names no path, not another one");
        assert_eq!(paths.intern(path(1)), kept);
    }

    #[test]
    fn a_path_with_a_stream_is_kept_until_the_stream_is_gone() {
        let mut paths = Paths::<()>::new();
        let id = paths.intern(path(1));
        paths.hold(id, true);
        paths.occupy(id, Some(()));
        paths.occupy(id, None);
        for port in 2..1_000 {
            paths.intern(path(port));
        }
        assert_eq!(paths.get(id), Some(path(1)));
        paths.hold(id, false);
        for port in 1_000..2_000 {
            paths.intern(path(port));
        }
        assert_eq!(paths.get(id), None);
        assert!(paths.slots.len() <= MAX_VACANT + 2);
    }

    #[test]
    fn a_path_whose_pair_is_gone_is_recycled_like_any_other() {
        let mut paths = Paths::new();
        let id = paths.intern(path(1));
        paths.occupy(id, Some(()));
        paths.occupy(id, None);
        for port in 2..1_000 {
            paths.intern(path(port));
        }
        assert_eq!(paths.get(id), None);
    }
}
