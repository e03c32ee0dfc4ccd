//! What the handles of one peer and its driver share.

use frazil::ice;
use frazil::peer::{self, ChannelId, ConnectionState};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use tokio::sync::watch;

use crate::channel::Line;
use crate::clock::Clock;
use crate::grounds::Grounds;
use crate::peer::Stats;

/// One peer. The core is behind a lock that is held for one call, or for one batch of datagrams, and never
/// over an await: a call on a handle takes effect, and gives its error, at once, and costs no message to
/// another task. What it made the core want to send is sent by the driver, which is woken.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// How much of what the other side sent may wait in each channel.
    pub(crate) receive_limit: usize,
    pub(crate) connection: watch::Sender<ConnectionState>,
    pub(crate) ice: watch::Sender<ice::State>,
    pub(crate) gathering: watch::Sender<ice::GatheringState>,
    /// Whether the driver is gone; then no call reaches the core any more.
    pub(crate) ended: watch::Sender<bool>,
    state: Mutex<State>,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) core: peer::Peer,
    pub(crate) lines: BTreeMap<ChannelId, Arc<Line>>,
    pub(crate) stats: Stats,
    pub(crate) grounds: Grounds,
    /// The application wants the peer closed.
    pub(crate) closing: bool,
    /// The core was called since the driver last looked.
    stirred: bool,
    driver: Option<Waker>,
}

impl Shared {
    pub(crate) fn new(core: peer::Peer, clock: Clock, receive_limit: usize) -> Self {
        Self {
            clock,
            receive_limit,
            connection: watch::Sender::new(core.connection_state()),
            ice: watch::Sender::new(core.ice_state()),
            gathering: watch::Sender::new(core.gathering_state()),
            ended: watch::Sender::new(false),
            state: Mutex::new(State {
                core,
                lines: BTreeMap::new(),
                stats: Stats::default(),
                grounds: Grounds::default(),
                closing: false,
                stirred: false,
                driver: None,
            }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A core that panicked stays as it is; its driver has ended or will.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the core and lets the driver send what it wants sent. None once the peer is closed.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&mut State, frazil::Instant) -> T) -> Option<T> {
        let mut state = self.lock();
        if state.closing {
            return None;
        }
        // Read under the lock, so that no later call gives the core an earlier time.
        let result = call(&mut state, self.clock.now());
        let driver = state.stir();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Some(result)
    }

    /// Wakes the driver.
    pub(crate) fn stir(&self) {
        let driver = self.lock().stir();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Asks the driver to close the peer and end.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        let driver = state.stir();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

impl State {
    fn stir(&mut self) -> Option<Waker> {
        self.stirred = true;
        self.driver.take()
    }

    /// Tells the core what the application has read of a channel.
    pub(crate) fn tell_read(&mut self, line: &Line, now: frazil::Instant) {
        tell_read(&mut self.core, line, now);
    }

    /// Tells the core what the application has read: it waits for an acknowledgement, which may be among what is held
    /// back.
    pub(crate) fn tell_all_read(&mut self, now: frazil::Instant) {
        for line in self.lines.values() {
            tell_read(&mut self.core, line, now);
        }
    }

    /// Whether the core was called since the last time this was asked. If not, `driver` is woken when it is.
    pub(crate) fn was_stirred(&mut self, driver: &Waker) -> bool {
        if std::mem::take(&mut self.stirred) {
            return true;
        }
        self.driver = Some(driver.clone());
        false
    }
}

fn tell_read(core: &mut peer::Peer, line: &Line, now: frazil::Instant) {
    let read = line.take_read();
    if read > 0 {
        core.release(line.id(), read, now);
    }
}

/// Whether it makes a difference to the core that of `counted`, as far as it knows, only `waiting` are left: half of the
/// limit is gone, or no more than that is left. To tell of each would wake the driver for each.
pub(crate) fn is_worth_telling(counted: usize, waiting: usize, limit: usize) -> bool {
    let half = limit / 2;
    counted.saturating_sub(waiting) > half || (counted > half && waiting <= half)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("receive_limit", &self.receive_limit).finish_non_exhaustive()
    }
}

/// What every handle holds. When the last one goes, the peer is closed.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.close();
    }
}
