//! No panic crosses a border: a host process outlives whatever goes wrong in the core.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Reason};

/// The next guarded call panics.
static INJECTED: AtomicBool = AtomicBool::new(false);

/// Calls `call`, and gives a panic in it as an [`Error`] for the reason [`Reason::Panicked`].
///
/// # Errors
/// Those of `call`, and that it panicked.
pub fn guarded<R>(call: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        if INJECTED.load(Ordering::Relaxed) && INJECTED.swap(false, Ordering::Relaxed) {
            panic!("injected, as asked for");
        }
        call()
    }));
    caught.unwrap_or_else(|panic| Err(Error::new(Reason::Panicked, format!("the core broke down: {}", words(&panic)))))
}

/// Makes the next guarded call in this process panic, to see what a program does then.
pub fn inject_panic() {
    INJECTED.store(true, Ordering::Relaxed);
}

fn words(panic: &Box<dyn Any + Send>) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}
