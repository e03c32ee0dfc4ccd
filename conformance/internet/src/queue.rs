//! What is to happen, in the order of time; at the same time, in the order of scheduling.

use std::collections::BTreeMap;

use frazil::Instant;

pub(crate) struct Queue<T> {
    entries: BTreeMap<Ticket, T>,
    scheduled: u64,
}

/// Names an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    at: Instant,
    nth: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { entries: BTreeMap::new(), scheduled: 0 }
    }

    pub(crate) fn push(&mut self, at: Instant, what: T) -> Ticket {
        let ticket = Ticket { at, nth: self.scheduled };
        self.scheduled += 1;
        self.entries.insert(ticket, what);
        ticket
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        self.entries.remove(&ticket);
    }

    /// The next entry, unless it is after `until`.
    pub(crate) fn pop_until(&mut self, until: Instant) -> Option<(Instant, T)> {
        let first = self.entries.first_entry().filter(|entry| entry.key().at <= until)?;
        let (ticket, what) = first.remove_entry();
        Some((ticket.at, what))
    }
}
