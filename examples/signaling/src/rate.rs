//! A token bucket: so many events per second, and so many at once.

use std::time::Instant;

/// How often something may happen.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// How often in the long run, per second.
    pub per_second: f64,
    /// How often at once after a pause.
    pub burst: f64,
}

/// Counts events against a [`Rate`].
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    rate: Rate,
    tokens: f64,
    refilled: Instant,
}

impl TokenBucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: rate.burst, refilled: now }
    }

    /// Counts one event; false if it is one too many.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate.per_second).min(self.rate.burst);
        self.refilled = self.refilled.max(now);
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_grants_more_than_the_burst_and_the_time_allow(
            per_second in 0.5f64..100.0,
            burst in 1.0f64..50.0,
            pauses_ms in prop::collection::vec(0u64..200, 1..400),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut bucket = TokenBucket::new(Rate { per_second, burst }, start);
            let mut granted = 0u32;
            for pause in pauses_ms {
                now += Duration::from_millis(pause);
                granted += u32::from(bucket.take(now));
                let allowed = burst + (now - start).as_secs_f64() * per_second;
                prop_assert!(f64::from(granted) <= allowed + 1e-6, "{granted} granted, {allowed} allowed");
            }
        }

        #[test]
        fn grants_everything_at_a_pace_within_the_rate(per_second in 1.0f64..100.0, events in 1u32..200) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(Rate { per_second, burst: 1.0 }, start);
            for n in 0..events {
                let at = start + Duration::from_secs_f64(f64::from(n) * 1.000_001 / per_second);
                prop_assert!(bucket.take(at), "event {n}");
            }
        }
    }
}
