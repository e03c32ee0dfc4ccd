//! The clock that `str0m` runs on.

use core::time::Duration;
use std::time::Instant as StdInstant;

use crate::Instant;

/// A deadline further away than this is none: `str0m` says "never" with moments years ahead.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// As far as the inner clock can run. Adding more to a [`StdInstant`] could overflow it.
const END: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The caller's time as the [`StdInstant`]s that `str0m` wants.
///
/// It starts with the association and not before, so `str0m` never sees the wait for the first path.
/// Steps back of the caller's clock are taken out, as in [`crate::time::Timeline`].
#[derive(Debug)]
pub(super) struct Clock {
    base: StdInstant,
    elapsed: Duration,
    callers: Instant,
}

impl Clock {
    /// A clock that starts to run at the caller's `now`.
    ///
    /// `sctp-proto` reads the real clock when it creates the client's association, and arms its first
    /// timer by it: our time must be the real one at that moment, so this must be called right before.
    /// If our time lagged, a lost INIT would be repeated late by the lag; if it ran ahead, the INIT
    /// would be repeated at once.
    pub(super) fn start(now: Instant) -> Self {
        // The core's only reading of a clock. Nothing else follows from it: all later moments are this
        // one plus the time that the caller hands in.
        #[allow(clippy::disallowed_methods)]
        let base = StdInstant::now();
        Self { base, elapsed: Duration::ZERO, callers: now }
    }

    /// Takes the caller's reading. Time after `latest`, if it is given, is not counted.
    pub(super) fn advance(&mut self, now: Instant, latest: Option<Instant>) {
        let counted = latest.map_or(now, |latest| now.min(latest));
        self.elapsed = self.elapsed.saturating_add(counted.saturating_duration_since(self.callers)).min(END);
        self.callers = now;
    }

    /// The moment inside.
    pub(super) fn now(&self) -> StdInstant {
        self.base + self.elapsed
    }

    /// The caller's last reading.
    pub(super) fn callers_now(&self) -> Instant {
        self.callers
    }

    /// A moment inside as the caller's clock will show it; `None` if it never comes.
    pub(super) fn to_callers(&self, moment: StdInstant) -> Option<Instant> {
        let ahead = moment.saturating_duration_since(self.now());
        (ahead < NEVER).then(|| self.callers + ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_back_and_uncounted_time_are_taken_out() {
        let mut clock = Clock::start(Instant::from_millis(10_000));
        let base = clock.now();
        let deadline = base + Duration::from_secs(5);
        clock.advance(Instant::from_millis(4_000), None);
        assert_eq!(clock.now(), base);
        assert_eq!(clock.to_callers(deadline), Some(Instant::from_millis(9_000)));
        clock.advance(Instant::from_millis(64_000), Some(Instant::from_millis(5_000)));
        assert_eq!(clock.now(), base + Duration::from_secs(1));
        assert_eq!(clock.to_callers(deadline), Some(Instant::from_millis(68_000)));
        clock.advance(Instant::from_millis(65_000), Some(Instant::from_millis(5_000)));
        assert_eq!(clock.now(), base + Duration::from_secs(1), "a limit in the past stops the clock, no more");
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let mut clock = Clock::start(Instant::ZERO);
        for _ in 0..3 {
            clock.advance(Instant::from_nanos(u64::MAX), None);
            clock.advance(Instant::ZERO, None);
        }
        assert_eq!(clock.to_callers(clock.now() + END), None);
    }
}
