//! The datagrams under way between the two agents.

use frazil::Instant;

use super::{ONE_WAY_DELAY, Side};
use crate::contestant::{Contestant, MAX_DATAGRAM};

/// One implementation with one candidate pair has no business having more under way at once.
const SLOTS: usize = 64;

/// Datagrams under way, oldest first. It is made once and used for many connections, so that it takes no
/// part in their allocations.
pub struct Wire {
    slots: Vec<Slot>,
    first: usize,
    under_way: usize,
    datagrams: u32,
    bytes: u32,
}

struct Slot {
    to: Side,
    arrival: Instant,
    len: usize,
    datagram: [u8; MAX_DATAGRAM],
}

impl Wire {
    /// An empty wire.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is big and made once; nobody wants it by default")]
    pub fn new() -> Self {
        let empty = || Slot { to: Side::Controlled, arrival: Instant::ZERO, len: 0, datagram: [0; MAX_DATAGRAM] };
        let slots = core::iter::repeat_with(empty).take(SLOTS).collect();
        Self { slots, first: 0, under_way: 0, datagrams: 0, bytes: 0 }
    }

    pub(super) fn clear(&mut self) {
        (self.first, self.under_way, self.datagrams, self.bytes) = (0, 0, 0, 0);
    }

    /// Takes all that `from` has to send.
    pub(super) fn send<C: Contestant>(&mut self, from: Side, agent: &mut C, now: Instant) {
        loop {
            assert!(self.under_way < SLOTS, "{} has more than {SLOTS} datagrams under way", C::NAME);
            let slot = &mut self.slots[(self.first + self.under_way) % SLOTS];
            let Some(outgoing) = agent.poll_transmit(&mut slot.datagram, now) else { return };
            debug_assert_eq!((outgoing.base, outgoing.remote), (from.address(), from.other().address()));
            let len = outgoing.len;
            (slot.to, slot.arrival, slot.len) = (from.other(), now + ONE_WAY_DELAY, len);
            self.under_way += 1;
            self.datagrams += 1;
            self.bytes += len as u32;
        }
    }

    /// When the next datagram arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        (self.under_way > 0).then(|| self.slots[self.first].arrival)
    }

    /// The next datagram that has arrived at `now`, and whom it is for.
    pub(super) fn receive(&mut self, now: Instant) -> Option<(Side, &[u8])> {
        if self.next_arrival().is_none_or(|arrival| arrival > now) {
            return None;
        }
        let slot = &self.slots[self.first];
        self.first = (self.first + 1) % SLOTS;
        self.under_way -= 1;
        Some((slot.to, &slot.datagram[..slot.len]))
    }

    pub(super) fn datagrams(&self) -> u32 {
        self.datagrams
    }

    pub(super) fn bytes(&self) -> u32 {
        self.bytes
    }
}
