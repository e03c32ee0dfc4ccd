//! What comes over the network is asked for again: one hiccup of it must not be a failed test. Tests are never repeated.

use std::thread;
use std::time::Duration;

const TRIES: u32 = 3;
/// How long to wait before the second try. Before the third it is twice as long.
pub(crate) const PAUSE: Duration = Duration::from_secs(10);

/// Fetches something, up to three times if it fails.
pub(crate) fn with_patience<T, E>(
    pause: Duration,
    what: &str,
    mut fetch: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    for tried in 1..TRIES {
        if let Ok(fetched) = fetch() {
            return Ok(fetched);
        }
        println!("setup | {what} could not be had; it is tried again");
        thread::sleep(pause * tried);
    }
    fetch()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_the_third_try_has_come_and_there_is_no_fourth() {
        let comes_at = |number: u32| {
            let mut tries = 0;
            let fetched = with_patience(Duration::ZERO, "it", || {
                tries += 1;
                if tries >= number { Ok(tries) } else { Err(()) }
            });
            (fetched, tries)
        };
        assert_eq!(comes_at(1), (Ok(1), 1));
        assert_eq!(comes_at(3), (Ok(3), 3));
        assert_eq!(comes_at(4), (Err(()), 3));
    }
}
