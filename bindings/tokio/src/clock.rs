//! The machine's monotonic clock as the number that the core wants.

use frazil::Instant;
use std::time::Duration;

/// Counts from the moment the peer was made. It is tokio's clock, so that a runtime whose time is paused
/// shows the peer the same time as its timers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { epoch: tokio::time::Instant::now() }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    /// The moment on tokio's clock; None if it is further away than that clock can tell.
    pub(crate) fn to_tokio(self, moment: Instant) -> Option<tokio::time::Instant> {
        self.epoch.checked_add(Duration::from_nanos(moment.as_nanos()))
    }
}
