//! What is let into the session while the application reads slower than the other side sends.
//!
//! A message is handed out as soon as it is complete, so SCTP's receive window never closes by itself. The session
//! has a bound of its own: while too many events wait to be taken from it, it refuses what is received. A driver
//! could leave events there while its application does not read, and that would be wrong: all of the session stands
//! still then, its own sending too, since acknowledgements are refused; and events that tell a state wait behind
//! the messages. An application that must send before it reads on, such as an echo, would never get out of that.
//!
//! So datagrams are held back here, and not all. While some channel is full, records that carry bulk data are kept
//! from the session: the other side takes that for loss, and slows down as SCTP does for loss, to a trickle of
//! retransmissions. The last ones held are kept, and are handed on when the channel has been read: they, or the
//! retransmissions among them, are what the other side waits to have acknowledged, so its data flows again at once.
//! (The first ones would be of no use: DTLS takes records for replays that are far behind.)
//!
//! What is not held at this stage:
//!
//! - STUN, which never comes here, so that consent, keepalives and path changes go on;
//! - short records of DTLS. Acknowledgements, heartbeats, resets and closes are short, so our own sending goes
//!   on and the other side's association stays alive, however long the application sleeps. A long record in
//!   the same datagram does not hold them up.
//!
//! Messages that are short themselves come in short records too. If they go on filling a channel far above its
//! limit, every record is held, until half of what is above the limit has been read.
//!
//! An acknowledgement may be among what is held, and the application may wait for just that one before it
//! reads on. So for a moment now and then, at intervals that double until something is read, a few records
//! pass as if the channels were one level less full. That adds at most a megabyte in a day. The moment begins with
//! a datagram that comes when it is time for one, so no deadline of ours stands for it: to what is held already,
//! only reading makes a difference.
//!
//! Whatever way a datagram came, through a relay or in a stream, it is plain DTLS by the time that it is here.
//!
//! The price: one channel that nobody reads holds up the bulk data of all channels of its peer.

use core::time::Duration;
use std::collections::VecDeque;

use crate::session::{Level, Session};
use crate::time::Instant;

/// How many events may wait for the application in its driver: above it as above the limit of a channel, and twice as
/// many are far above it.
pub(super) const EVENT_BACKLOG: usize = 256;

/// Records up to this length pass while channels are full: an acknowledgement with 40 gaps is one.
const SHORT: usize = 256;

/// How much is kept of what is held back: bytes, and records, as each takes some memory besides.
const MAX_HELD: usize = 256 << 10;
const MAX_RECORDS: usize = 4096;

/// How long nothing of what is held passes, at first and at last.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(600));

/// How long some of it passes then: long enough for a few round trips.
const OPEN: Duration = Duration::from_millis(200);

/// How many bytes of it pass then at most.
const ALLOWANCE: usize = 8 << 10;

/// The door of the session, and the records that were held back at it.
#[derive(Default, Debug)]
pub(super) struct Intake {
    /// Of the events that the driver keeps for the application.
    events: Level,
    held: Held,
    gate: Option<Gate>,
    /// How many were ever held.
    count: u64,
}

impl Intake {
    /// Hands a datagram to the session, but for what is to wait.
    pub(super) fn take(&mut self, datagram: &[u8], session: &mut Session, now: Instant) {
        if self.level(session) == Level::Free {
            return session.handle_datagram(datagram, now);
        }
        for record in records(datagram) {
            if self.holds(record, self.level(session), now) {
                self.held.keep(record);
                self.count += 1;
            } else {
                session.handle_datagram(record, now);
            }
        }
    }

    /// Hands on what was held, as far as there is room again.
    pub(super) fn hand_on(&mut self, session: &mut Session, now: Instant) {
        while !session.is_full()
            && let Some(record) = self.held.next(self.level(session))
        {
            session.handle_datagram(&record, now);
        }
    }

    /// Whether [`Self::hand_on`] has something to do.
    pub(super) fn is_due(&self, session: &Session) -> bool {
        self.held.has_next(self.level(session)) && !session.is_full()
    }

    /// Something was read: the application may be in need of the next acknowledgement.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Some(gate) = &mut self.gate {
            let (first, _) = WAIT;
            gate.opens = gate.opens.min(now + first);
            gate.wait = first * 2;
        }
    }

    /// So many events wait for the application.
    pub(super) fn set_event_backlog(&mut self, waiting: usize) {
        self.events = self.events.after(waiting, EVENT_BACKLOG, EVENT_BACKLOG);
    }

    /// Forgets what is held: there is nobody to hand it to any more.
    pub(super) fn clear(&mut self) {
        self.held = Held::default();
    }

    /// How many records were ever held back.
    pub(super) fn records_held(&self) -> u64 {
        self.count
    }

    fn level(&self, session: &Session) -> Level {
        self.events.max(session.level())
    }

    fn holds(&mut self, record: &[u8], level: Level, now: Instant) -> bool {
        is_held(level, record) && (is_held(lower(level), record) || !self.passes(record.len(), now))
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

/// The last of the records held back, by age.
#[derive(Default, Debug)]
struct Held {
    records: VecDeque<Box<[u8]>>,
    /// How many bytes they have.
    len: usize,
    /// How many of them are short.
    short: usize,
}

impl Held {
    /// Keeps one more, instead of the oldest ones if there is no room.
    fn keep(&mut self, record: &[u8]) {
        self.len += record.len();
        self.short += usize::from(is_short(record));
        self.records.push_back(record.into());
        while (self.len > MAX_HELD || self.records.len() > MAX_RECORDS)
            && let Some(oldest) = self.records.pop_front()
        {
            self.forget(&oldest);
        }
    }

    /// Takes out the oldest of those that `level` does not hold back any more.
    fn next(&mut self, level: Level) -> Option<Box<[u8]>> {
        if !self.has_next(level) {
            return None;
        }
        let at = self.records.iter().position(|record| !is_held(level, record))?;
        let record = self.records.remove(at)?;
        self.forget(&record);
        Some(record)
    }

    fn has_next(&self, level: Level) -> bool {
        match level {
            Level::Free => !self.records.is_empty(),
            Level::Full => self.short > 0,
            Level::Overfull => false,
        }
    }

    fn forget(&mut self, record: &[u8]) {
        self.len -= record.len();
        self.short -= usize::from(is_short(record));
    }
}

fn lower(level: Level) -> Level {
    if level == Level::Overfull { Level::Full } else { Level::Free }
}

fn is_held(level: Level, record: &[u8]) -> bool {
    is_dtls(record)
        && match level {
            Level::Free => false,
            Level::Full => !is_short(record),
            Level::Overfull => true,
        }
}

fn is_short(record: &[u8]) -> bool {
    record.len() <= SHORT
}

/// RFC 7983.
fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// The DTLS records of a datagram, each of which might have come alone. What is not understood is one with what
/// comes after it, and so is another datagram.
fn records(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    core::iter::from_fn(move || {
        let len = record_len(rest).unwrap_or(rest.len()).min(rest.len());
        let (record, others) = rest.split_at(len);
        rest = others;
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
    use proptest::prelude::*;

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
    fn bulk_is_held_before_acknowledgements_and_what_is_not_dtls_never() {
        let (other, bulk, short) = ([1; 1_000], tls12(1_200), tls13(90));
        for level in [Level::Free, Level::Full, Level::Overfull] {
            assert!(!is_held(level, &other) && !is_held(level, &[]));
            assert_eq!(is_held(level, &bulk), level >= Level::Full);
            assert_eq!(is_held(level, &short), level == Level::Overfull);
        }
    }

    #[test]
    fn records_come_apart_and_nothing_of_a_datagram_is_lost() {
        let apart = [tls12(700), tls13(70), tls12(60), tls13(300)];
        assert_eq!(records(&apart.concat()).collect::<Vec<_>>(), apart);
        // Not DTLS, cut short, and without a length.
        let no_length = [&[0b10_1010, 0][..], &tls12(60)].concat();
        for whole in [&[1; 100][..], &tls12(700)[..699], &tls13(70)[..3], &[23], &no_length] {
            assert_eq!(records(whole).collect::<Vec<_>>(), [whole]);
        }
        assert_eq!(records(&[]).count(), 0);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_cut_into_parts_of_it(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(records(&datagram).collect::<Vec<_>>().concat(), datagram);
        }
    }

    #[test]
    fn what_is_held_is_bounded_and_comes_out_in_order() {
        let mut held = Held::default();
        let numbered = |mut record: Vec<u8>, n: u32| {
            record[13..17].copy_from_slice(&n.to_be_bytes());
            record
        };
        for n in 0..10_000 {
            held.keep(&numbered(tls12(1_200), n));
        }
        assert!((MAX_HELD - 1_200..=MAX_HELD).contains(&held.len));
        assert!(held.next(Level::Full).is_none());
        held.keep(&numbered(tls12(90), 10_000));
        held.keep(&numbered(tls12(90), 10_001));
        assert!(held.next(Level::Overfull).is_none());
        // What is short does not wait behind what is not.
        assert_eq!(held.next(Level::Full).unwrap()[..], numbered(tls12(90), 10_000));
        let left = core::iter::from_fn(|| held.next(Level::Free));
        let left: Vec<u32> = left.map(|record| u32::from_be_bytes(record[13..17].try_into().unwrap())).collect();
        let oldest = 10_000 - (MAX_HELD - 2 * 90) as u32 / 1_200;
        assert_eq!(left, (oldest..10_000).chain([10_001]).collect::<Vec<_>>());
        assert_eq!((held.len, held.short), (0, 0));
        // The shortest ones are not free.
        for _ in 0..10_000 {
            held.keep(&[23]);
        }
        assert_eq!((held.records.len(), held.len, held.short), (MAX_RECORDS, MAX_RECORDS, MAX_RECORDS));
    }

    #[test]
    fn now_and_then_one_passes_and_ever_less_often() {
        let mut intake = Intake::default();
        let mut passed_between = |from: u64, to: u64, level, record: &[u8]| {
            intake.hurry(Instant::from_millis(from));
            let times = (from..to).step_by(20).map(Instant::from_millis);
            times.filter(|&now| !intake.holds(record, level, now)).count()
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
