//! One pacing budget for the checks of many peers.

use frazil::Instant;
use frazil::hub::{MemberId, Pacer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::clock::Clock;

/// After this long without a grant that was due, another peer minds the time: the one that did may be on a runtime
/// that does not run.
const STALL: Duration = Duration::from_secs(1);

static PROCESS: LazyLock<Pace> = LazyLock::new(|| Pace::new(Pacer::LEAST_PACING));

/// A pacing budget that peers share (RFC 8445 section 14.2): they take turns in sending connectivity checks. Clones are
/// the same budget.
///
/// All peers of a process share one unless they are [told otherwise](crate::Builder::pace). They may be on different
/// runtimes.
#[derive(Clone, Debug)]
pub struct Pace {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    pacer: Pacer,
    seats: BTreeMap<MemberId, Seat>,
    /// Those who have a check to send.
    waiting: BTreeSet<MemberId>,
    /// The one of them who minds the time for all. A timer for each would wake thousands for every grant.
    watch: Option<MemberId>,
}

#[derive(Default, Debug)]
struct Seat {
    driver: Option<Waker>,
    /// There is something for its driver to see to.
    stirred: bool,
    granted: bool,
}

impl Pace {
    /// A budget of its own: one check of all its peers together in `pacing`.
    #[must_use]
    pub fn new(pacing: Duration) -> Self {
        let clock = Clock::new();
        let inner = Inner {
            pacer: Pacer::new(pacing, clock.now()),
            clock,
            seats: BTreeMap::new(),
            waiting: BTreeSet::new(),
            watch: None,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// The budget of the process: one check in 5 ms, the most that RFC 8445 section 14.2 allows.
    #[must_use]
    pub fn process() -> Self {
        PROCESS.clone()
    }

    pub(crate) fn join(&self) -> Turns {
        let mut inner = self.lock();
        let member = inner.pacer.join();
        inner.seats.insert(member, Seat::default());
        drop(inner);
        Turns { pace: self.clone(), member, waits: false }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A peer's part in the budget.
#[derive(Debug)]
pub(crate) struct Turns {
    pace: Pace,
    member: MemberId,
    /// It has a check to send. Otherwise nobody wakes it, and the budget is none of its business.
    waits: bool,
}

/// What a peer is to do about its next check.
pub(crate) enum Turn {
    /// Send it.
    Granted,
    /// Ask again after this time, or when woken.
    Wait(Option<Duration>),
}

impl Turns {
    /// Asks for the next turn. `from` is how long the peer's own pace makes it wait, if it has a check to send at all.
    pub(crate) fn poll(&mut self, from: Option<Duration>) -> Turn {
        if from.is_none() && !self.waits {
            return Turn::Wait(None);
        }
        let mut inner = self.pace.lock();
        let (turn, woken) = inner.poll(self.member, from);
        drop(inner);
        self.waits = from.is_some() || matches!(turn, Turn::Granted);
        woken.into_iter().for_each(Waker::wake);
        turn
    }

    /// Gives a turn back that was of no use.
    pub(crate) fn give_back(&mut self) {
        self.pace.lock().pacer.return_grant(self.member);
    }

    /// Whether there is something to [`poll`](Self::poll) for. If not, `driver` is woken when there is.
    pub(crate) fn was_stirred(&mut self, driver: &Waker) -> bool {
        if !self.waits {
            return false;
        }
        let mut inner = self.pace.lock();
        let Some(seat) = inner.seats.get_mut(&self.member) else { return false };
        if std::mem::take(&mut seat.stirred) {
            return true;
        }
        seat.driver = Some(driver.clone());
        false
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        let mut inner = self.pace.lock();
        let woken = inner.leave(self.member);
        drop(inner);
        if let Some(driver) = woken {
            driver.wake();
        }
    }
}

impl Inner {
    fn poll(&mut self, member: MemberId, from: Option<Duration>) -> (Turn, Vec<Waker>) {
        let now = self.clock.now();
        let mut woken = Vec::new();
        let granted = self.seats.get_mut(&member).is_some_and(|seat| std::mem::take(&mut seat.granted));
        if granted {
            return (Turn::Granted, woken);
        }
        self.pacer.set_demand(member, from.map(|from| now + from), now);
        match from {
            Some(_) => self.waiting.insert(member),
            None => self.waiting.remove(&member),
        };
        while let Some(granted) = self.pacer.poll_grant() {
            if granted == member {
                return (Turn::Granted, woken);
            }
            if let Some(seat) = self.seats.get_mut(&granted) {
                seat.granted = true;
                woken.extend(seat.stir());
            }
        }
        let wait = self.mind_time(member, now, &mut woken);
        (Turn::Wait(wait), woken)
    }

    /// How long until `member` is to ask again. Somebody who waits always minds the time.
    fn mind_time(&mut self, member: MemberId, now: Instant, woken: &mut Vec<Waker>) -> Option<Duration> {
        if !self.waiting.contains(&member) {
            woken.extend(self.relieve(member));
            return None;
        }
        let at = self.pacer.poll_timeout()?;
        if self.watch.is_none_or(|watch| watch == member) || at + STALL <= now {
            self.watch = Some(member);
            return Some(at.saturating_duration_since(now));
        }
        Some(STALL)
    }

    /// Lets another mind the time if `member` does, and gives whom to wake for it.
    fn relieve(&mut self, member: MemberId) -> Option<Waker> {
        if self.watch != Some(member) {
            return None;
        }
        self.watch = self.waiting.first().copied();
        self.seats.get_mut(&self.watch?)?.stir()
    }

    fn leave(&mut self, member: MemberId) -> Option<Waker> {
        self.pacer.return_grant(member);
        self.pacer.leave(member);
        self.seats.remove(&member);
        self.waiting.remove(&member);
        self.relieve(member)
    }
}

impl Seat {
    fn stir(&mut self) -> Option<Waker> {
        self.stirred = true;
        self.driver.take()
    }
}
