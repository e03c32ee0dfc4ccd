//! Two sides that talk over a data channel, in virtual time, and what they take from the heap for it.

use std::collections::VecDeque;
use std::time::Duration;

use frazil::Instant;
use frazil_internet::is_stun;

use crate::counted;

const DELAY: Duration = Duration::from_millis(5);

/// One side, with one data channel.
pub(crate) trait Talker {
    /// Takes a datagram of the other side.
    fn handle_datagram(&mut self, datagram: &[u8], now: Instant);

    /// Lets time pass.
    fn handle_timeout(&mut self, now: Instant);

    /// Writes the next datagram for the other side.
    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<usize>;

    /// Takes all events, and tells how many messages are among them.
    fn poll_messages(&mut self) -> u32;

    /// When to let time pass at the latest.
    fn poll_timeout(&mut self) -> Option<Instant>;

    /// Whether the channel is open.
    fn is_open(&self) -> bool;

    /// Sends a message.
    fn say(&mut self, message: &[u8], now: Instant);
}

pub(crate) struct Talk<T> {
    pub(crate) sides: [T; 2],
    pub(crate) now: Instant,
    flying: VecDeque<(Instant, usize, Vec<u8>)>,
    pub(crate) taken: Taken,
}

/// What was counted on both sides together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    /// Messages that arrived.
    pub(crate) messages: u32,
    /// Blocks for STUN that arrived and what followed from it.
    pub(crate) for_stun: u64,
    /// STUN messages that arrived.
    pub(crate) stun: u32,
    /// All other blocks.
    pub(crate) blocks: u64,
}

impl<T: Talker> Talk<T> {
    /// Two sides that wait for each other to be told.
    pub(crate) fn new(sides: [T; 2], now: Instant) -> Self {
        Self { sides, now, flying: VecDeque::new(), taken: Taken::default() }
    }

    /// Lets things happen for a while.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for side in [0, 1] {
            self.drain(side, false);
        }
        loop {
            let timeouts = [0, 1].map(|side| self.sides[side].poll_timeout());
            let arrival = self.flying.front().map(|flying| flying.0);
            let next = timeouts.into_iter().flatten().chain(arrival).min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                let (_, side, datagram) = self.flying.pop_front().expect("it is there");
                let stun = is_stun(&datagram);
                self.taken.stun += u32::from(stun);
                let blocks = if stun { &mut self.taken.for_stun } else { &mut self.taken.blocks };
                counted(blocks, || self.sides[side].handle_datagram(&datagram, self.now));
                self.drain(side, stun);
            } else {
                for side in [0, 1] {
                    if timeouts[side].is_some_and(|at| at <= self.now) {
                        counted(&mut self.taken.blocks, || self.sides[side].handle_timeout(self.now));
                        self.drain(side, false);
                    }
                }
            }
        }
        self.now = end;
    }

    /// Each side sends a message every ten milliseconds.
    pub(crate) fn talk(&mut self, messages: u32) {
        let message = [0x5A; 1_000];
        for _ in 0..messages {
            for side in [0, 1] {
                counted(&mut self.taken.blocks, || self.sides[side].say(&message, self.now));
                self.drain(side, false);
            }
            self.run(Duration::from_millis(10));
        }
    }

    fn drain(&mut self, side: usize, stun: bool) {
        let mut buffer = [0; 1500];
        let blocks = if stun { &mut self.taken.for_stun } else { &mut self.taken.blocks };
        while let Some(len) = counted(blocks, || self.sides[side].poll_transmit(&mut buffer)) {
            self.flying.push_back((self.now + DELAY, 1 - side, buffer[..len].to_vec()));
        }
        self.taken.messages += counted(blocks, || self.sides[side].poll_messages());
    }
}
