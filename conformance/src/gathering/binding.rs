//! One question to a STUN server: from which address do you see me? (RFC 8489)

use std::net::SocketAddr;
use std::time::Duration;

use frazil::stun::{
    AttributeType, Class, Due, Message, MessageWriter, Method, Retransmission, RetransmissionConfig, TransactionId,
    xor_address,
};
use frazil::{Instant, Path, Protocol};

use super::LIMIT;

pub(crate) struct Binding {
    path: Path,
    id: TransactionId,
    state: State,
}

enum State {
    Asking {
        timer: Retransmission,
        /// To be sent now.
        due: bool,
    },
    Answered(SocketAddr),
    Done,
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) base: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) mapped: SocketAddr,
}

impl Binding {
    /// Asks `server` from `base`. The transaction id is taken from `random`.
    pub(crate) fn new(base: SocketAddr, server: SocketAddr, random: u128, now: Instant) -> Self {
        let mut id = TransactionId([0; 12]);
        id.0.copy_from_slice(&random.to_le_bytes()[..12]);
        let config = RetransmissionConfig::within(Duration::from_millis(500), LIMIT, LIMIT);
        Self {
            path: Path { protocol: Protocol::Udp, local: base, remote: server },
            id,
            state: State::Asking { timer: Retransmission::new(config, now), due: true },
        }
    }

    /// From where it asks.
    pub(crate) fn base(&self) -> SocketAddr {
        self.path.local
    }

    /// Whether an answer may still come.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Asking { .. })
    }

    /// The answer, once.
    pub(crate) fn take_answer(&mut self) -> Option<Answer> {
        let State::Answered(mapped) = self.state else { return None };
        self.state = State::Done;
        Some(Answer { base: self.path.local, server: self.path.remote, mapped })
    }

    /// Takes the answer, and says whether the datagram is it.
    pub(crate) fn handle_datagram(&mut self, path: Path, datagram: &[u8]) -> bool {
        if path != self.path {
            return false;
        }
        let Ok(message) = Message::parse(datagram) else { return false };
        if message.transaction_id() != self.id {
            return false;
        }
        if self.is_open() {
            let mapped = message
                .get(AttributeType::XOR_MAPPED_ADDRESS)
                .filter(|_| message.class() == Class::Success)
                .and_then(|value| xor_address(AttributeType::XOR_MAPPED_ADDRESS, value, self.id).ok());
            self.state = mapped.map_or(State::Done, State::Answered);
        }
        true
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let State::Asking { timer, due } = &mut self.state else { return };
        match timer.handle_timeout(now) {
            Due::Nothing => {}
            Due::Again => *due = true,
            Due::Failed => self.state = State::Done,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Asking { timer, .. } => Some(timer.poll_timeout()),
            _ => None,
        }
    }

    pub(crate) fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let State::Asking { due, .. } = &mut self.state else { return None };
        if !std::mem::take(due) {
            return None;
        }
        let writer = MessageWriter::new(buffer, Class::Request, Method::BINDING, self.id);
        Some((self.path, writer.finish_with_fingerprint().expect("a datagram holds a header")))
    }
}
