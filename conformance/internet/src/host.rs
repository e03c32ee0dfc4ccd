//! A machine: a clock, an endpoint, and the driver's timer.

use std::time::Duration;

use frazil::Instant;

use crate::clock::Clock;
use crate::internet::{HostId, ServerId};
use crate::queue::Ticket;

/// More timeouts than this within one second of virtual time are an endpoint that never sleeps.
const BUSY: u32 = 10_000;

/// What has an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Node {
    Host(HostId),
    Server(ServerId),
}

pub(crate) struct Host<E> {
    pub(crate) clock: Clock,
    pub(crate) endpoint: E,
    pub(crate) timer: Option<Ticket>,
    pub(crate) timer_slack: Duration,
    pub(crate) suspended: bool,
    /// The timer fired while the machine was suspended.
    pub(crate) missed_timer: bool,
    pub(crate) counters: Counters,
    /// Timeouts in the second of virtual time that runs.
    wakes: u32,
    second: u64,
}

/// What is counted on a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Datagrams that the endpoint sent, and what it wrote to streams.
    pub sent: u64,
    /// Datagrams that reached the endpoint, and pieces of streams.
    pub received: u64,
    /// Calls of `handle_timeout`.
    pub timeouts: u64,
    /// The most calls of `handle_timeout` within one second of virtual time.
    pub busiest_second: u32,
    /// Calls of `handle_timeout` that gave nothing to send, no event, and a deadline that is not ahead.
    pub spins: u64,
}

impl<E> Host<E> {
    pub(crate) fn new(clock: Clock, endpoint: E) -> Self {
        Self {
            clock,
            endpoint,
            timer: None,
            timer_slack: Duration::ZERO,
            suspended: false,
            missed_timer: false,
            counters: Counters::default(),
            wakes: 0,
            second: 0,
        }
    }

    /// Notes a call of `handle_timeout` in virtual time `now`.
    pub(crate) fn count_wake(&mut self, now: Instant) {
        let second = (now - Instant::ZERO).as_secs();
        if second != self.second {
            (self.second, self.wakes) = (second, 0);
        }
        self.wakes += 1;
        assert!(self.wakes <= BUSY, "the endpoint was woken {BUSY} times within second {second} of virtual time");
        self.counters.timeouts += 1;
        self.counters.busiest_second = self.counters.busiest_second.max(self.wakes);
    }
}
