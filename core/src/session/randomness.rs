//! What `str0m` draws from the thread's generator.

use crate::rng::Rng;

/// One session's state of `fastrand`, lent to the thread's generator while `str0m` runs.
///
/// `str0m` draws what needs not be secret (transaction ids and the tie-breaker of its ICE agent, which
/// speaks to us alone, and media source numbers) from `fastrand`'s generator of the current thread. Lent
/// this way, the draws of a session depend on its seed only, not on what else runs in the thread, and
/// the thread's generator is left exactly as it was found, also when `str0m` panics.
///
/// Not covered, since they come from the operating system by way of the crypto provider and of `rand`:
/// keys, certificates, DTLS randoms and timer jitter, SCTP tags, initial sequence numbers and cookies.
#[derive(Debug)]
pub(super) struct Draws {
    state: u64,
}

impl Draws {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self { state: rng.u64() }
    }

    /// Runs `f` with this session's generator in place of the thread's.
    pub(super) fn lend<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let _lent = Lent::new(self);
        f()
    }
}

struct Lent<'a> {
    draws: &'a mut Draws,
    threads: u64,
}

impl<'a> Lent<'a> {
    fn new(draws: &'a mut Draws) -> Self {
        let threads = fastrand::get_seed();
        fastrand::seed(draws.state);
        Self { draws, threads }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.draws.state = fastrand::get_seed();
        fastrand::seed(self.threads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(draws: &mut Draws) -> [u64; 2] {
        draws.lend(|| [fastrand::u64(..), fastrand::u64(..)])
    }

    #[test]
    fn a_session_and_its_thread_do_not_see_each_other() {
        let mut alone = Draws::new(&mut Rng::new([7; 32]));
        let expected = [draw(&mut alone), draw(&mut alone)];

        fastrand::seed(1);
        let threads = [fastrand::u64(..), fastrand::u64(..)];
        fastrand::seed(1);
        let mut crowded = Draws::new(&mut Rng::new([7; 32]));
        let first = draw(&mut crowded);
        let between = fastrand::u64(..);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Draws::new(&mut Rng::new([8; 32])).lend(|| std::panic::resume_unwind(Box::new(())))
        }));
        assert!(caught.is_err());
        let second = draw(&mut crowded);
        assert_eq!([first, second], expected);
        assert_ne!(first, second);
        assert_eq!([between, fastrand::u64(..)], threads);
    }
}
