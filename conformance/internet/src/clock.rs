//! The clock that one host reads.

use std::time::Duration;

use frazil::Instant;

/// Runs as fast as virtual time, from a beginning of its own; it can jump.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What it showed at `set`.
    showed: Instant,
    /// In virtual time.
    set: Instant,
}

/// A step that a clock makes, as when a machine was suspended or somebody set its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Jump {
    /// It leaps over this much.
    Forward(Duration),
    /// It falls back by this much, though not below its epoch.
    Backward(Duration),
}

impl Clock {
    /// A clock that shows `shown` when virtual time is `now`.
    #[must_use]
    pub fn showing(shown: Instant, now: Instant) -> Self {
        Self { showed: shown, set: now }
    }

    /// What it shows when virtual time is `now`.
    #[must_use]
    pub fn read(&self, now: Instant) -> Instant {
        self.showed + (now - self.set)
    }

    /// Makes a step.
    pub fn jump(&mut self, now: Instant, jump: Jump) {
        let shown = self.read(now);
        let shown = match jump {
            Jump::Forward(by) => shown + by,
            Jump::Backward(by) => {
                Instant::from_nanos(shown.as_nanos().saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
            }
        };
        *self = Self::showing(shown, now);
    }
}
