//! What scenarios draw.

use std::time::Duration;

/// A time between nothing and so many milliseconds, with a fraction of one: things rarely happen at the very same time.
pub fn millis(rng: &mut fastrand::Rng, most: u64) -> Duration {
    Duration::from_millis(most).mul_f64(rng.f64())
}
