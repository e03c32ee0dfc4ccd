//! Whether the path in use has fallen silent, told from its traffic, long before consent would tell.
//!
//! Consent needs 30 s to expire, and checks for it come every 5 s. But where datagrams came every 20 ms and then
//! none comes for 60, or where nothing answers what we send, it is worth asking at once. A suspicion costs one
//! request and is often wrong, as an application may simply have nothing to say; so each wrong one makes the next
//! wait longer.

use core::time::Duration;

use crate::time::Instant;

/// So many gaps make a rhythm.
const RHYTHM: u32 = 8;

/// Datagrams that come closer together were sent together.
const BURST: Duration = Duration::from_millis(1);

/// No silence shorter than this means anything.
const SHORTEST: Duration = Duration::from_millis(40);

/// SCTP may hold an acknowledgement back for 200 ms (RFC 9260 section 6.2).
const ACKNOWLEDGED_AFTER: Duration = Duration::from_millis(250);

/// How long nothing is suspected after the first wrong suspicion, and at the most. Consent checks do the rest.
const REST: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What the traffic on a path was like so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liveness {
    last_datagram: Option<Instant>,
    /// The mean time between two datagrams, and the mean deviation from it.
    gap: Duration,
    deviation: Duration,
    gaps: u32,
    /// When we sent the first datagram since something was heard.
    unanswered: Option<Instant>,
    rest: Duration,
    /// Nothing is suspected before this.
    rests_until: Option<Instant>,
}

impl Liveness {
    pub(super) fn new() -> Self {
        Self {
            last_datagram: None,
            gap: Duration::ZERO,
            deviation: Duration::ZERO,
            gaps: 0,
            unanswered: None,
            rest: REST.0,
            rests_until: None,
        }
    }

    /// An application datagram was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
    }

    /// Anything arrived.
    pub(super) fn heard(&mut self) {
        self.unanswered = None;
    }

    /// An application datagram arrived.
    pub(super) fn heard_datagram(&mut self, now: Instant) {
        self.heard();
        let Some(last) = self.last_datagram.replace(now) else { return };
        let gap = now - last;
        if gap < BURST {
            return;
        }
        if self.gaps >= RHYTHM && gap > self.longest_gap() * 4 {
            // It had nothing to say for a while. What comes now has a rhythm of its own.
            self.gaps = 0;
            return;
        }
        if self.gaps == 0 {
            (self.gap, self.deviation) = (gap, gap / 2);
        } else {
            self.deviation = (self.deviation * 3 + self.gap.abs_diff(gap)) / 4;
            self.gap = (self.gap * 7 + gap) / 8;
        }
        self.gaps = self.gaps.saturating_add(1);
    }

    /// When the path becomes suspect if nothing more is heard, once there is traffic to tell it from.
    pub(super) fn suspect_at(&self, round_trip: Duration) -> Option<Instant> {
        let rhythm = self.last_datagram.filter(|_| self.gaps >= RHYTHM);
        let rhythm = rhythm.map(|last| last + self.longest_gap().max(round_trip / 2).max(SHORTEST));
        let unanswered = self.unanswered.map(|sent| sent + round_trip * 2 + ACKNOWLEDGED_AFTER);
        let at = [rhythm, unanswered].into_iter().flatten().min()?;
        Some(self.rests_until.map_or(at, |rests_until| at.max(rests_until)))
    }

    /// It was suspected and lives.
    pub(super) fn false_alarm(&mut self, now: Instant) {
        let calm = self.rests_until.is_some_and(|rested| now > rested + REST.1 * 6);
        let rest = if calm { REST.0 } else { self.rest };
        self.rests_until = Some(now + rest);
        self.rest = (rest * 2).min(REST.1);
        self.gaps = 0;
        self.unanswered = None;
    }

    fn longest_gap(&self) -> Duration {
        self.gap * 2 + self.deviation * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn every_20_ms() -> Liveness {
        let mut liveness = Liveness::new();
        (0..50).for_each(|n| liveness.heard_datagram(at(n * 20)));
        liveness
    }

    #[test]
    fn a_break_in_a_rhythm_is_noticed_within_a_round_trip() {
        let suspect = every_20_ms().suspect_at(ROUND_TRIP).unwrap();
        assert!(suspect <= at(980) + ROUND_TRIP, "{suspect:?}");
    }

    #[test]
    fn without_traffic_nothing_is_suspected() {
        let mut liveness = Liveness::new();
        assert_eq!(liveness.suspect_at(ROUND_TRIP), None);
        liveness.heard_datagram(at(1));
        assert_eq!(liveness.suspect_at(ROUND_TRIP), None);
    }

    #[test]
    fn what_is_sent_wants_an_answer() {
        let mut liveness = Liveness::new();
        liveness.sent(at(10));
        liveness.sent(at(20));
        assert_eq!(liveness.suspect_at(ROUND_TRIP), Some(at(10) + ROUND_TRIP * 2 + ACKNOWLEDGED_AFTER));
        liveness.heard();
        assert_eq!(liveness.suspect_at(ROUND_TRIP), None);
    }

    #[test]
    fn wrong_suspicions_become_rare() {
        let mut liveness = Liveness::new();
        let (mut now, mut alarms) = (at(0), 0);
        // An application that speaks for 300 ms of every second.
        while now < at(600_000) {
            (0..15).for_each(|n| liveness.heard_datagram(now + Duration::from_millis(20 * n)));
            now += Duration::from_secs(1);
            if liveness.suspect_at(ROUND_TRIP).is_some_and(|suspect| suspect <= now) {
                alarms += 1;
                liveness.false_alarm(now);
            }
        }
        assert!(alarms < 130, "{alarms} in ten minutes");
    }
}
