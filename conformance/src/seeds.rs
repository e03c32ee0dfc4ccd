//! Properties over many seeds, each of which can be replayed alone.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Checks a property for each seed below `count`.
///
/// `target` and `test` say where it stands (`cargo test --test TARGET TEST`), for the command that a failure
/// prints. That command sets `FRAZIL_SEED` to check one seed only; `FRAZIL_SEEDS` sets another count, to
/// search longer than the tests do.
///
/// # Panics
/// When the property does, and when a variable is set to something that is no number.
pub fn check(target: &str, test: &str, count: u64, property: impl Fn(u64)) {
    if let Some(seed) = number_in("FRAZIL_SEED") {
        return property(seed);
    }
    for seed in 0..number_in("FRAZIL_SEEDS").unwrap_or(count) {
        let _told = OnPanic { target, test, seed, others: None };
        property(seed);
    }
}

/// [`check`] with a thread for each processor, for properties that take long.
///
/// # Panics
/// As [`check`] does; the seeds that are under way in other threads are still finished.
pub fn check_all(target: &str, test: &str, count: u64, property: impl Fn(u64) + Sync) {
    if let Some(seed) = number_in("FRAZIL_SEED") {
        return property(seed);
    }
    let count = number_in("FRAZIL_SEEDS").unwrap_or(count);
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return;
            }
            let _told = OnPanic { target, test, seed, others: Some(&next) };
            property(seed);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
}

/// Whether one seed is being replayed, so that there is a reader for details.
#[must_use]
pub fn is_replay() -> bool {
    env::var_os("FRAZIL_SEED").is_some()
}

fn number_in(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number")))
}

struct OnPanic<'a> {
    target: &'a str,
    test: &'a str,
    seed: u64,
    /// Where the other threads take their seeds from; after a failure they get none.
    others: Option<&'a AtomicU64>,
}

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { target, test, seed, others } = self;
            if let Some(others) = others {
                others.store(u64::MAX / 2, Ordering::Relaxed);
            }
            eprintln!("replay: FRAZIL_SEED={seed} cargo test -p frazil-conformance --test {target} {test}");
        }
    }
}
