//! SCTP's first steps, repeated sooner than SCTP would.
//!
//! Before it has measured a round trip, SCTP waits three seconds to repeat a packet (RFC 9260 section 16),
//! and `str0m` has no way to say otherwise. Three exchanges go by until a channel is open, so with every
//! fifth datagram lost that takes ten seconds on average. The path's round trip is known to be short, since
//! ICE and DTLS just went over it; so what SCTP sends until its first acknowledgement is repeated here,
//! verbatim, as if the network had duplicated it.

use core::time::Duration;
use std::time::Instant as StdInstant;

use super::sctp::{Chunk, chunk_kinds};

/// When a packet is repeated for the first time; each time after twice as long.
const FIRST_REPETITION: Duration = Duration::from_millis(300);

/// The same for INIT. One that arrives when the association is there already has `sctp-proto` close it, and only
/// our own end of it knows better, so it is repeated only where the answer is all but certainly lost.
const FIRST_REPETITION_OF_INIT: Duration = Duration::from_millis(700);

/// How often. Later SCTP's own timers do as well.
const REPETITIONS: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Hurry {
    /// The last step of the association's own handshake.
    setup: Option<Waiting>,
    /// The first message.
    data: Option<Waiting>,
    /// SCTP has measured the round trip and needs no help any more.
    settled: bool,
}

#[derive(Debug)]
struct Waiting {
    packet: Vec<u8>,
    /// From the sending to the first repetition.
    first: Duration,
    repeated: u32,
    /// When to repeat it; `None` until the time is known.
    next: Option<StdInstant>,
}

impl Hurry {
    /// Notes a packet that SCTP sends.
    pub(super) fn sent(&mut self, packet: &[u8]) {
        if self.settled {
            return;
        }
        let waiting = |first| Some(Waiting { packet: packet.to_vec(), first, repeated: 0, next: None });
        for kind in chunk_kinds(packet) {
            match kind {
                Chunk::Init | Chunk::CookieEcho => {
                    // SCTP repeats it, too; that is no new step.
                    if self.setup.as_ref().is_none_or(|setup| setup.packet != packet) {
                        let is_init = matches!(kind, Chunk::Init);
                        self.setup = waiting(if is_init { FIRST_REPETITION_OF_INIT } else { FIRST_REPETITION });
                    }
                    return;
                }
                Chunk::Data if self.data.is_none() => {
                    self.data = waiting(FIRST_REPETITION);
                    return;
                }
                _ => {}
            }
        }
    }

    /// Notes a packet that SCTP receives.
    pub(super) fn received(&mut self, packet: &[u8]) {
        if self.settled {
            return;
        }
        for kind in chunk_kinds(packet) {
            match kind {
                Chunk::InitAck | Chunk::CookieAck => self.setup = None,
                Chunk::Sack => *self = Self { settled: true, ..Self::default() },
                _ => {}
            }
        }
    }

    /// When [`Self::due`] is to be called; a moment in the past if it is to learn the time.
    pub(super) fn next(&self, past: StdInstant) -> Option<StdInstant> {
        self.waiting().map(|waiting| waiting.next.unwrap_or(past)).min()
    }

    /// The packets to be sent again.
    pub(super) fn due(&mut self, now: StdInstant) -> Vec<Vec<u8>> {
        let mut due = Vec::new();
        for slot in [&mut self.setup, &mut self.data] {
            let Some(waiting) = slot.as_mut().filter(|waiting| waiting.repeated < REPETITIONS) else { continue };
            match waiting.next {
                Some(next) if now < next => continue,
                Some(_) => {
                    due.push(waiting.packet.clone());
                    waiting.repeated += 1;
                }
                None => {}
            }
            waiting.next = Some(now + waiting.first * (1 << waiting.repeated));
        }
        due
    }

    fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        [&self.setup, &self.data].into_iter().flatten().filter(|waiting| waiting.repeated < REPETITIONS)
    }
}
