//! The virtual clock for those who take `std::time::Instant`.

use std::sync::OnceLock;
use std::time;

use frazil::Instant;

/// A std instant cannot be made from a number; one reading stands for the virtual clock's zero.
fn epoch() -> time::Instant {
    static EPOCH: OnceLock<time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(time::Instant::now)
}

pub(crate) fn on_std_clock(now: Instant) -> time::Instant {
    epoch() + (now - Instant::ZERO)
}

/// A moment before the virtual clock's zero becomes zero.
pub(crate) fn on_virtual_clock(at: time::Instant) -> Instant {
    Instant::ZERO + at.saturating_duration_since(epoch())
}
