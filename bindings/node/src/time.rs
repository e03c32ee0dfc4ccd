//! Time in milliseconds, as `performance.now()` gives it, and in nanoseconds, as the core counts it.

use crate::error::{Result, argument};

const NANOS: u128 = 1_000_000;

/// The digits of a double.
const DIGITS: u32 = 52;

/// The nanoseconds nearest to so many milliseconds.
///
/// Every count below 2^33 milliseconds, 99 days, comes back as it was from [`to_milliseconds`]; a double has no digits for
/// nanoseconds beyond that.
pub(crate) fn to_nanos(milliseconds: f64) -> Result<u64> {
    let wrong = || argument(format!("{milliseconds} is no time in milliseconds"));
    if !(milliseconds >= 0.0 && milliseconds.is_finite()) {
        return Err(wrong());
    }
    // A product of doubles would be rounded before it is rounded to a whole number, so that it is made exactly: of the digits.
    // There is a zero below zero, which `performance.now() - start` does not give, but rounding does.
    let bits = milliseconds.abs().to_bits();
    let digits = u128::from(bits & ((1 << DIGITS) - 1));
    let power = (bits >> DIGITS) as u32;
    let (digits, power) = if power == 0 { (digits, 1) } else { (digits | 1 << DIGITS, power) };
    // The value is digits * 2^(power - 1075).
    let product = digits * NANOS;
    let nanos = match 1075_u32.checked_sub(power) {
        Some(0) => product,
        Some(below) if below > 127 => 0,
        Some(below) => (product + (1 << (below - 1))) >> below,
        None if power - 1075 > 11 => return Err(wrong()),
        None => product << (power - 1075),
    };
    u64::try_from(nanos).map_err(|_| wrong())
}

/// The least milliseconds that are not fewer than so many nanoseconds, in the sense of [`to_nanos`]: who waits for them is not
/// early.
pub(crate) fn to_milliseconds(nanos: u64) -> f64 {
    let nearest = nanos as f64 / NANOS as f64;
    match to_nanos(nearest) {
        Ok(back) if back < nanos => nearest.next_up(),
        _ => nearest,
    }
}
