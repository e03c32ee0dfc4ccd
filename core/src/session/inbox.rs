//! Events that wait for the caller.

use std::collections::VecDeque;

use super::event::Event;

/// Messages of so many bytes may wait. The next one over it is the last that is taken from the network.
const MAX_BYTES: usize = 1024 * 1024;

/// So many events may wait.
const MAX_COUNT: usize = 4096;

/// A queue that says when it has had enough, so that the other side is slowed down by SCTP's own means.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    events: VecDeque<Event>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn push(&mut self, event: Event) {
        self.bytes += payload(&event);
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= payload(&event);
        Some(event)
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes > MAX_BYTES || self.events.len() >= MAX_COUNT
    }
}

fn payload(event: &Event) -> usize {
    match event {
        Event::Message { data, .. } => data.len(),
        _ => 0,
    }
}
