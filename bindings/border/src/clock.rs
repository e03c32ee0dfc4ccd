//! The caller's clock.

use frazil::Instant;

/// How late a reading may be handed in after a later one, in nanoseconds.
const OUT_OF_ORDER: u64 = 1_000_000_000;

/// The latest reading of a monotonic clock.
///
/// Threads that read it and then wait for one another hand in their readings in another order. The core would take that for
/// a clock that fell back, and count the difference once more with the next reading that is in order.
pub(crate) struct Clock {
    latest: u64,
}

impl Clock {
    pub(crate) fn start(now: u64) -> Self {
        Self { latest: now }
    }

    /// Takes a reading, and gives the moment that it is now. A clock that did fall back is left to the core.
    pub(crate) fn read(&mut self, now: u64) -> Instant {
        if now > self.latest || self.latest - now > OUT_OF_ORDER {
            self.latest = now;
        }
        Instant::from_nanos(self.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_in_another_order_make_no_time_of_their_own() {
        let second = 1_000_000_000;
        let mut clock = Clock::start(5 * second);
        let mut late = 5 * second;
        for now in (5 * second..6 * second).step_by(10_000_000) {
            assert_eq!(clock.read(now), Instant::from_nanos(now));
            // A thread that was held up.
            assert_eq!(clock.read(late), Instant::from_nanos(now));
            late = now - (now - 5 * second) / 2;
        }
        assert_eq!(clock.read(second), Instant::from_nanos(second), "that is a clock that fell back");
    }
}
