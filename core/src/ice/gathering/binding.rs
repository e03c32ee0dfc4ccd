//! Asking a STUN server for our address, and again so that NATs keep it (RFC 8489 section 7, RFC 8445 section 5.1.1.4).

use core::time::Duration;
use std::net::SocketAddr;

use crate::ice::binding::mapped_address;
use crate::rng::Rng;
use crate::stun::{
    AttributeType, BufferTooSmall, Class, Due, ErrorCode, Message, MessageWriter, Method, Retransmission,
    RetransmissionConfig, TransactionId, plain_address,
};
use crate::time::Instant;
use crate::turn::Frames;

/// How long a mapping of a NAT is left alone: Tr (RFC 8445 section 11), well below the two minutes that NATs keep one
/// at least (RFC 4787 section 4.3).
const KEEPALIVE: Duration = Duration::from_secs(15);

/// One Binding request after the other to one server.
#[derive(Debug)]
pub(super) struct Binding {
    retransmission: RetransmissionConfig,
    transaction: Option<Transaction>,
    /// When to ask again.
    again_at: Option<Instant>,
    /// What the server saw us as last.
    pub(super) mapped: Option<SocketAddr>,
    /// There is a candidate that lives by this.
    pub(super) is_needed: bool,
    /// Over a stream, what it cuts into messages.
    pub(super) frames: Option<Frames>,
}

#[derive(Debug)]
struct Transaction {
    id: TransactionId,
    timer: Retransmission,
    to_send: bool,
}

/// A server that has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Silence {
    /// It never has.
    FromTheStart,
    /// It has before.
    Since,
}

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Mapped(SocketAddr),
    Refused {
        code: u16,
        reason: String,
    },
    /// There is no address in it that we could have.
    Nothing,
}

impl Binding {
    /// Over UDP. Nothing is asked before [`ask`](Self::ask).
    pub(super) fn over_udp(retransmission: RetransmissionConfig) -> Self {
        Self { retransmission, transaction: None, again_at: None, mapped: None, is_needed: false, frames: None }
    }

    /// Over a stream, in which nothing is repeated.
    pub(super) fn over_stream(patience: Duration) -> Self {
        Self { frames: Some(Frames::default()), ..Self::over_udp(RetransmissionConfig::reliable(patience)) }
    }

    pub(super) fn ask(&mut self, rng: &mut Rng, now: Instant) {
        let id = TransactionId(rng.array());
        self.again_at = None;
        self.transaction =
            Some(Transaction { id, timer: Retransmission::new(self.retransmission, now), to_send: true });
    }

    /// Whether there is something to send.
    pub(super) fn wants_transmit(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.to_send)
    }

    /// Writes the request if it is to be sent.
    pub(super) fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        let transaction = self.transaction.as_mut().filter(|transaction| transaction.to_send)?;
        transaction.to_send = false;
        write_request(buf, transaction.id).ok()
    }

    /// Reads the answer to what was asked; none if this is something else.
    pub(super) fn handle_answer(&mut self, message: &Message<'_>, now: Instant) -> Option<Answer> {
        let asked = self.transaction.as_ref()?.id;
        let is_answer = matches!(message.class(), Class::Success | Class::Error);
        if !is_answer || message.method() != Method::BINDING || message.transaction_id() != asked {
            return None;
        }
        if message.has_fingerprint() && !message.has_valid_fingerprint() {
            return None;
        }
        self.transaction = None;
        self.again_at = self.may_repeat().then(|| now + KEEPALIVE);
        if message.class() == Class::Error {
            let error = message.get(AttributeType::ERROR_CODE).and_then(|value| ErrorCode::parse(value).ok());
            let reason = |error: &ErrorCode<'_>| error.reason.chars().take(127).collect();
            return Some(match &error {
                Some(error) => Answer::Refused { code: error.code, reason: reason(error) },
                None => Answer::Nothing,
            });
        }
        // Servers of RFC 3489 know no other than the plain one.
        let plain = || plain_address(AttributeType::MAPPED_ADDRESS, message.get(AttributeType::MAPPED_ADDRESS)?).ok();
        let Some(mapped) = mapped_address(message).or_else(plain) else { return Some(Answer::Nothing) };
        self.mapped = Some(mapped);
        self.again_at = self.may_repeat().then(|| now + KEEPALIVE);
        Some(Answer::Mapped(mapped))
    }

    /// Lets time pass. Gives whether the server has failed to answer. `is_kept` says whether the mapping is to be kept.
    pub(super) fn handle_timeout(&mut self, is_kept: bool, rng: &mut Rng, now: Instant) -> Option<Silence> {
        let mut silence = None;
        if let Some(transaction) = &mut self.transaction {
            match transaction.timer.handle_timeout(now) {
                Due::Nothing => {}
                Due::Again => transaction.to_send = true,
                Due::Failed => {
                    self.transaction = None;
                    if self.mapped.is_none() {
                        return Some(Silence::FromTheStart);
                    }
                    self.again_at = Some(now + KEEPALIVE);
                    silence = Some(Silence::Since);
                }
            }
        }
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            if is_kept && self.is_needed {
                self.ask(rng, now);
            }
        }
        silence
    }

    /// Whether there is a mapping that can be kept: none for a stream.
    fn may_repeat(&self) -> bool {
        self.mapped.is_some() && self.frames.is_none()
    }

    /// Asks once more if the mapping was let go.
    pub(super) fn resume(&mut self, rng: &mut Rng, now: Instant) {
        if self.is_needed && self.again_at.is_none() && self.transaction.is_none() && self.frames.is_none() {
            self.ask(rng, now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let transaction = self.transaction.as_ref().map(|transaction| transaction.timer.poll_timeout());
        transaction.into_iter().chain(self.again_at).min()
    }
}

fn write_request(buf: &mut [u8], id: TransactionId) -> Result<usize, BufferTooSmall> {
    MessageWriter::new(buf, Class::Request, Method::BINDING, id).finish_with_fingerprint()
}
