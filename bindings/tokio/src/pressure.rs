//! What happens when the application reads slower than the other side sends.
//!
//! The core hands a message over as soon as it is complete, so SCTP's receive window never closes by itself.
//! What can be held back are datagrams. While some queue is full, those that carry bulk data are kept from
//! the core: the other side takes that for loss, and slows down as SCTP does for loss, to a trickle of
//! retransmissions. The last ones held are kept, and are handed on when the queue has been read: they, or the
//! retransmissions among them, are what the other side waits to have acknowledged, so its data flows again at
//! once. (The first ones would be of no use: DTLS takes records for replays that are far behind.)
//!
//! What is never held at this stage:
//!
//! - STUN, so that consent, keepalives and path changes go on;
//! - short datagrams. Acknowledgements, heartbeats, resets and closes are short, so our own sending goes on
//!   and the other side's association stays alive, however long the application sleeps.
//!
//! Messages that are short themselves come in short datagrams too. If they alone fill a queue to twice its
//! limit, every datagram of the secured session is held, until the queue is back at its limit.
//!
//! The price: one channel that nobody reads holds up the bulk data of all channels of its peer.

use frazil::PathId;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How full the fullest queue is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Level {
    /// Everything flows.
    #[default]
    Free,
    /// Above its limit.
    Full,
    /// Above twice its limit.
    Overfull,
}

impl Level {
    /// The level of a queue that was at this one and now holds `len`. A queue must be read half empty before
    /// it counts as free, so that data flows in stretches.
    pub(crate) fn after(self, len: usize, limit: usize) -> Self {
        if len > limit.saturating_mul(2) || (self == Self::Overfull && len > limit) {
            Self::Overfull
        } else if len > limit || (self >= Self::Full && len > limit / 2) {
            Self::Full
        } else {
            Self::Free
        }
    }
}

/// How many of a peer's queues are above their limits.
#[derive(Default, Debug)]
pub(crate) struct Pressure {
    full: AtomicUsize,
    overfull: AtomicUsize,
}

impl Pressure {
    /// Takes note that a queue went from one level to another; gives whether the peer's level fell.
    pub(crate) fn shift(&self, from: Level, to: Level) -> bool {
        if from == to {
            return false;
        }
        let before = self.level();
        // Up before down, so that no moment between looks freer than both.
        if let Some(count) = self.count(to) {
            count.fetch_add(1, Ordering::AcqRel);
        }
        if let Some(count) = self.count(from) {
            count.fetch_sub(1, Ordering::AcqRel);
        }
        self.level() < before
    }

    fn count(&self, level: Level) -> Option<&AtomicUsize> {
        match level {
            Level::Free => None,
            Level::Full => Some(&self.full),
            Level::Overfull => Some(&self.overfull),
        }
    }

    pub(crate) fn level(&self) -> Level {
        if self.overfull.load(Ordering::Acquire) > 0 {
            Level::Overfull
        } else if self.full.load(Ordering::Acquire) > 0 {
            Level::Full
        } else {
            Level::Free
        }
    }
}

/// Datagrams up to this length pass while queues are full: an acknowledgement with 40 gaps, in a DTLS record.
const SHORT: usize = 256;

/// How much is kept of what is held back.
const MAX_HELD: usize = 256 << 10;

/// The datagrams held back.
#[derive(Default, Debug)]
pub(crate) struct Held {
    datagrams: VecDeque<(PathId, Box<[u8]>)>,
    len: usize,
}

impl Held {
    /// Whether `datagram` must be kept from the core at `level`.
    pub(crate) fn holds(level: Level, datagram: &[u8]) -> bool {
        // RFC 7983: DTLS.
        let secured = matches!(datagram.first(), Some(20..=63));
        secured
            && match level {
                Level::Free => false,
                Level::Full => datagram.len() > SHORT,
                Level::Overfull => true,
            }
    }

    /// Keeps a datagram that is held back, instead of the oldest ones if there is no room.
    pub(crate) fn keep(&mut self, path: PathId, datagram: &[u8]) {
        self.len += datagram.len();
        self.datagrams.push_back((path, datagram.into()));
        while self.len > MAX_HELD
            && let Some((_, oldest)) = self.datagrams.pop_front()
        {
            self.len -= oldest.len();
        }
    }

    /// The oldest of the datagrams that `level` does not hold back any more.
    pub(crate) fn release(&mut self, level: Level) -> Option<(PathId, Box<[u8]>)> {
        if Self::holds(level, &self.datagrams.front()?.1) {
            return None;
        }
        let (path, datagram) = self.datagrams.pop_front()?;
        self.len -= datagram.len();
        Some((path, datagram))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_at_the_limit_and_fall_at_half_of_it() {
        let mut level = Level::Free;
        let mut seen = Vec::new();
        for len in [100, 101, 200, 201, 150, 101, 100, 51, 50, 100] {
            level = level.after(len, 100);
            seen.push(level);
        }
        use Level::{Free, Full, Overfull};
        assert_eq!(seen, [Free, Full, Full, Overfull, Overfull, Overfull, Full, Full, Free, Free]);
    }

    #[test]
    fn the_peers_level_is_that_of_its_fullest_queue() {
        let pressure = Pressure::default();
        assert!(!pressure.shift(Level::Free, Level::Full));
        assert!(!pressure.shift(Level::Free, Level::Overfull));
        assert_eq!(pressure.level(), Level::Overfull);
        assert!(pressure.shift(Level::Overfull, Level::Free));
        assert_eq!(pressure.level(), Level::Full);
        assert!(pressure.shift(Level::Full, Level::Free));
        assert_eq!(pressure.level(), Level::Free);
    }

    #[test]
    fn bulk_is_held_before_acknowledgements_and_stun_never() {
        let (stun, bulk, short) = ([1; 1_000], [23; 1_200], [23; 90]);
        for level in [Level::Free, Level::Full, Level::Overfull] {
            assert!(!Held::holds(level, &stun));
            assert!(!Held::holds(level, &[]));
            assert_eq!(Held::holds(level, &bulk), level >= Level::Full);
            assert_eq!(Held::holds(level, &short), level == Level::Overfull);
        }
    }

    #[test]
    fn what_is_held_is_bounded_and_comes_out_in_order() {
        let mut held = Held::default();
        let path = PathId::from_u32(0);
        for n in 0..10_000_u32 {
            let mut datagram = [23; 1_200];
            datagram[1..5].copy_from_slice(&n.to_be_bytes());
            held.keep(path, &datagram);
        }
        assert!(held.len <= MAX_HELD);
        assert!(held.release(Level::Full).is_none());
        for n in 10_000 - (MAX_HELD / 1_200) as u32..10_000 {
            let (_, datagram) = held.release(Level::Free).unwrap();
            assert_eq!(datagram[1..5], n.to_be_bytes());
        }
        assert!(held.release(Level::Free).is_none());
        assert_eq!(held.len, 0);
    }
}
