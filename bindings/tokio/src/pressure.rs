//! What happens when the application reads slower than the other side sends.
//!
//! The core hands a message over as soon as it is complete, so SCTP's receive window never closes by itself.
//! It has a bound of its own: while too many events wait in it, it refuses what is received. To leave events
//! there while a queue is full would be simple, and is wrong: all of the session stands still then, its own
//! sending too, since acknowledgements are refused; and events that tell a state wait behind the messages. An
//! application that must send before it reads on, such as an echo, would never get out of that.
//!
//! So datagrams are held back here, and not all. While some queue is full, records that carry bulk data are
//! kept from the core: the other side takes that for loss, and slows down as SCTP does for loss, to a trickle
//! of retransmissions. The last ones held are kept, and are handed on when the queue has been read: they, or
//! the retransmissions among them, are what the other side waits to have acknowledged, so its data flows again
//! at once. (The first ones would be of no use: DTLS takes records for replays that are far behind.)
//!
//! What is not held at this stage:
//!
//! - STUN, so that consent, keepalives and path changes go on;
//! - short records of DTLS. Acknowledgements, heartbeats, resets and closes are short, so our own sending goes
//!   on and the other side's association stays alive, however long the application sleeps. A long record in
//!   the same datagram does not hold them up.
//!
//! Messages that are short themselves come in short records too. If they go on filling a queue far above its
//! limit, every record is held, until half of what is above the limit has been read.
//!
//! An acknowledgement may be among what is held, and the application may wait for just that one before it
//! reads on. So for a moment now and then, at intervals that double until something is read, a few records
//! pass as if the queues were one level less full. That adds at most a megabyte in a day.
//!
//! What comes through a relay is treated alike once a channel is bound for it, which is so after a few datagrams.
//!
//! The price: one channel that nobody reads holds up the bulk data of all channels of its peer.

use frazil::{Instant, PathId};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::relayed::{channel_data, in_channel};

/// How full the fullest queue is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Level {
    /// Everything flows.
    #[default]
    Free,
    /// Above its limit.
    Full,
    /// Far above its limit.
    Overfull,
}

impl Level {
    /// The level of a queue that was at this one and now holds `len`, so much above its limit being far. A
    /// queue must be read half empty before it counts as free, so that data flows in stretches.
    pub(crate) fn after(self, len: usize, limit: usize, far: usize) -> Self {
        if len > limit.saturating_add(far) || (self == Self::Overfull && len > limit.saturating_add(far / 2)) {
            Self::Overfull
        } else if len > limit || (self >= Self::Full && len > limit / 2) {
            Self::Full
        } else {
            Self::Free
        }
    }
}

impl Level {
    fn lower(self) -> Self {
        if self == Self::Overfull { Self::Full } else { Self::Free }
    }
}

/// How many of a peer's queues are above their limits.
#[derive(Default, Debug)]
pub(crate) struct Pressure {
    full: AtomicUsize,
    overfull: AtomicUsize,
    read: AtomicBool,
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

    /// Takes note that something was read.
    pub(crate) fn note_read(&self) {
        self.read.store(true, Ordering::Release);
    }

    /// Whether something was read since this was asked last.
    pub(crate) fn was_read(&self) -> bool {
        self.read.swap(false, Ordering::AcqRel)
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

/// Records up to this length pass while queues are full: an acknowledgement with 40 gaps is one.
const SHORT: usize = 256;

/// How much is kept of what is held back.
const MAX_HELD: usize = 256 << 10;

/// How long nothing of what is held passes, at first and at last.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(600));

/// How long some of it passes then: long enough for a few round trips.
const OPEN: Duration = Duration::from_millis(200);

/// How many bytes of it pass then at most.
const ALLOWANCE: usize = 8 << 10;

/// The records held back.
#[derive(Default, Debug)]
pub(crate) struct Held {
    records: VecDeque<(PathId, Box<[u8]>)>,
    len: usize,
    gate: Option<Gate>,
}

/// When some of what is held passes.
#[derive(Debug)]
struct Gate {
    opens: Instant,
    /// How long it stays shut after it opened next.
    wait: Duration,
    shuts: Instant,
    /// What may still pass until then.
    allowance: usize,
}

impl Held {
    /// Keeps `record`, which came in at `level`, if it is to be held back; instead of the oldest ones if there
    /// is no room.
    pub(crate) fn keep(&mut self, level: Level, path: PathId, record: &[u8], now: Instant) -> bool {
        if !is_held(level, record) || (!is_held(level.lower(), record) && self.passes(record.len(), now)) {
            return false;
        }
        self.len += record.len();
        self.records.push_back((path, record.into()));
        while self.len > MAX_HELD
            && let Some((_, oldest)) = self.records.pop_front()
        {
            self.len -= oldest.len();
        }
        true
    }

    fn passes(&mut self, len: usize, now: Instant) -> bool {
        let (first, longest) = WAIT;
        let gate = self.gate.get_or_insert(Gate { opens: now + first, wait: first * 2, shuts: now, allowance: 0 });
        if now >= gate.opens {
            let wait = gate.wait;
            *gate = Gate { opens: now + wait, wait: longest.min(wait * 2), shuts: now + OPEN, allowance: ALLOWANCE };
        }
        let passes = now < gate.shuts && len <= gate.allowance;
        if passes {
            gate.allowance -= len;
        }
        passes
    }

    /// Something was read: the application may be in need of the next acknowledgement.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if let Some(gate) = &mut self.gate {
            let (first, _) = WAIT;
            gate.opens = gate.opens.min(now + first);
            gate.wait = first * 2;
        }
    }

    /// The oldest of the records that `level` does not hold back any more.
    pub(crate) fn release(&mut self, level: Level) -> Option<(PathId, Box<[u8]>)> {
        if is_held(level, &self.records.front()?.1) {
            return None;
        }
        let (path, record) = self.records.pop_front()?;
        self.len -= record.len();
        Some((path, record))
    }
}

fn is_held(level: Level, record: &[u8]) -> bool {
    let record = channel_data(record).map_or(record, |(_, data)| data);
    is_dtls(record)
        && match level {
            Level::Free => false,
            Level::Full => record.len() > SHORT,
            Level::Overfull => true,
        }
}

/// RFC 7983.
fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// The DTLS records of a datagram, each of which might have come alone, and through a relay if the datagram did. Of
/// another datagram, the whole. So is what is not understood.
pub(crate) fn records(datagram: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let has_several = |data: &[u8]| record_len(data).is_some_and(|len| len < data.len());
    let relayed = channel_data(datagram).filter(|(_, data)| has_several(data));
    let mut rest = relayed.map_or(datagram, |(_, data)| data);
    std::iter::from_fn(move || {
        let len = record_len(rest).unwrap_or(rest.len()).min(rest.len());
        let (record, others) = rest.split_at(len);
        rest = others;
        let record = match relayed {
            Some((number, _)) if !record.is_empty() => Cow::Owned(in_channel(number, record)),
            _ => Cow::Borrowed(record),
        };
        (!record.is_empty()).then_some(record)
    })
}

/// The length that the first record says it has, with its header.
fn record_len(records: &[u8]) -> Option<usize> {
    if !is_dtls(records) {
        return None;
    }
    let length_at = match *records.first()? {
        // RFC 9147 section 4: no connection id, a sequence number of one or two bytes, a length.
        first @ 32..=63 if first & 0b1_0100 == 0b0_0100 => 2 + usize::from(first >> 3 & 1),
        32..=63 => return None,
        // RFC 6347 section 4.1.
        _ => 11,
    };
    let length = records.get(length_at..length_at + 2)?;
    Some(length_at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_at_the_limit_and_fall_at_half_of_it() {
        let mut level = Level::Free;
        let mut seen = Vec::new();
        for len in [100, 101, 200, 201, 150, 101, 100, 51, 50, 100] {
            level = level.after(len, 100, 100);
            seen.push(level);
        }
        use Level::{Free, Full, Overfull};
        assert_eq!(seen, [Free, Full, Full, Overfull, Full, Full, Full, Full, Free, Free]);
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

    fn tls12(len: usize) -> Vec<u8> {
        let mut record = vec![23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 1];
        record.extend((len as u16 - 13).to_be_bytes());
        record.resize(len, 7);
        record
    }

    fn tls13(len: usize) -> Vec<u8> {
        let mut record = vec![0b10_1110, 0, 1];
        record.extend((len as u16 - 5).to_be_bytes());
        record.resize(len, 7);
        record
    }

    #[test]
    fn bulk_is_held_before_acknowledgements_and_stun_never() {
        let (stun, bulk, short) = ([1; 1_000], tls12(1_200), tls13(90));
        let relayed = |data: &[u8]| in_channel([0x40, 1], data);
        for level in [Level::Free, Level::Full, Level::Overfull] {
            assert!(!is_held(level, &stun) && !is_held(level, &relayed(&stun)));
            assert!(!is_held(level, &[]) && !is_held(level, &relayed(&[])));
            for bulk in [&bulk, &relayed(&bulk)] {
                assert_eq!(is_held(level, bulk), level >= Level::Full);
            }
            for short in [&short, &relayed(&short)] {
                assert_eq!(is_held(level, short), level == Level::Overfull);
            }
        }
    }

    #[test]
    fn records_come_apart_and_nothing_of_a_datagram_is_lost() {
        let apart = [tls12(700), tls13(70), tls12(60), tls13(300)];
        assert_eq!(records(&apart.concat()).collect::<Vec<_>>(), apart);
        let through_a_relay = apart.each_ref().map(|record| in_channel([0x40, 1], record));
        assert_eq!(records(&in_channel([0x40, 1], &apart.concat())).collect::<Vec<_>>(), through_a_relay);
        // Not DTLS, cut short, and without a length.
        let no_length = [&[0b10_1010, 0][..], &tls12(60)].concat();
        let relayed = in_channel([0x40, 1], &tls12(700));
        for whole in [&[1; 100][..], &tls12(700)[..699], &tls13(70)[..3], &[23], &no_length, &relayed] {
            assert_eq!(records(whole).collect::<Vec<_>>(), [whole]);
        }
        assert_eq!(records(&[]).count(), 0);
    }

    #[test]
    fn what_is_held_is_bounded_and_comes_out_in_order() {
        let mut held = Held::default();
        let path = PathId::from_u32(0);
        let now = Instant::from_millis(1);
        for n in 0..10_000_u32 {
            let mut record = tls12(1_200);
            record[13..17].copy_from_slice(&n.to_be_bytes());
            assert!(held.keep(Level::Full, path, &record, now));
        }
        assert!(held.len <= MAX_HELD);
        assert!(held.release(Level::Full).is_none());
        for n in 10_000 - (MAX_HELD / 1_200) as u32..10_000 {
            let (_, record) = held.release(Level::Free).unwrap();
            assert_eq!(record[13..17], n.to_be_bytes());
        }
        assert!(held.release(Level::Free).is_none());
        assert_eq!(held.len, 0);
    }

    #[test]
    fn now_and_then_one_passes_and_ever_less_often() {
        let mut held = Held::default();
        let mut passed_between = |from: u64, to: u64, level, record: &[u8]| {
            held.hurry(Instant::from_millis(from));
            let times = (from..to).step_by(20).map(Instant::from_millis);
            times.filter(|&now| !held.keep(level, PathId::from_u32(0), record, now)).count()
        };
        const SECOND: u64 = 1_000;
        const DAY: u64 = 86_400 * SECOND;
        let soon = passed_between(0, SECOND, Level::Overfull, &tls13(90));
        assert!((10..=20).contains(&soon), "{soon}");
        let long = passed_between(SECOND, DAY, Level::Overfull, &tls13(90));
        assert!((100..=2_000).contains(&long), "{long}");
        // Once something was read, it begins anew.
        let bulk = passed_between(DAY, DAY + SECOND, Level::Full, &tls12(1_200));
        assert!((6..=12).contains(&bulk), "{bulk}");
        assert_eq!(passed_between(DAY + SECOND, DAY + 60 * SECOND, Level::Overfull, &tls12(1_200)), 0);
    }
}
