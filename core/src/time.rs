//! Time as a number that the caller supplies.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A moment: a count of nanoseconds since an epoch that the caller chooses.
///
/// It cannot read a clock. The caller reads its own monotonic clock and passes the number in; the
/// same number crosses every language border and goes into a trace. 64 bits of nanoseconds last
/// 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The caller's epoch.
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` nanoseconds after the caller's epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment `millis` milliseconds after the caller's epoch, or the last one there is.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the caller's epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the last moment that 64 bits can name.
    fn add(self, after: Duration) -> Self {
        let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// The caller's clock with its steps backwards taken out.
///
/// A caller's clock ought to be monotonic; where it is not, deadlines must still come. Inside, time
/// stands still for a step back and goes on from there; deadlines are given out on the caller's scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    theirs: Instant,
    ours: Instant,
}

impl Timeline {
    pub(crate) fn new(now: Instant) -> Self {
        Self { theirs: now, ours: now }
    }

    /// Takes the caller's reading and gives the moment inside.
    pub(crate) fn advance(&mut self, now: Instant) -> Instant {
        self.ours += now.saturating_duration_since(self.theirs);
        self.theirs = now;
        self.ours
    }

    /// The last moment inside.
    pub(crate) fn now(&self) -> Instant {
        self.ours
    }

    /// A moment inside as the caller's clock will show it.
    pub(crate) fn to_callers(self, moment: Instant) -> Instant {
        if moment >= self.ours {
            self.theirs + (moment - self.ours)
        } else {
            Instant(self.theirs.0.saturating_sub(self.ours.0 - moment.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_neither_moves_nor_freezes_time() {
        let mut line = Timeline::new(Instant::from_millis(5_000));
        assert_eq!(line.advance(Instant::from_millis(6_000)), Instant::from_millis(6_000));
        let deadline = Instant::from_millis(6_100);
        // The caller's clock falls back by four seconds: the deadline is still 100 ms away.
        assert_eq!(line.advance(Instant::from_millis(2_000)), Instant::from_millis(6_000));
        assert_eq!(line.to_callers(deadline), Instant::from_millis(2_100));
        assert_eq!(line.advance(Instant::from_millis(2_100)), deadline);
    }

    #[test]
    fn additions_saturate() {
        assert_eq!(Instant::from_nanos(u64::MAX) + Duration::from_secs(1), Instant::from_nanos(u64::MAX));
        assert_eq!(Instant::from_nanos(1) + Duration::MAX, Instant::from_nanos(u64::MAX));
        assert_eq!(Instant::ZERO - Instant::from_nanos(7), Duration::ZERO);
    }
}
