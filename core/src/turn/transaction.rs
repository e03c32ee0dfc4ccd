//! One request that waits for its answer.

use super::request::Purpose;
use super::{Config, Failure, Refusal};
use crate::Instant;
use crate::stun::{AttributeType, Authentication, Due, Retransmission, RetransmissionConfig};

/// A request under way.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) purpose: Purpose,
    /// The same bytes each time it is sent.
    pub(super) bytes: Vec<u8>,
    /// How it was signed, if it was.
    pub(super) authentication: Option<Authentication>,
    /// How often the credentials had been replaced.
    pub(super) credentials: u32,
    /// How often the server has asked to try again.
    pub(super) tries: u8,
    pub(super) begun: Instant,
    /// An answer was discarded because its integrity was missing or wrong.
    pub(super) is_violated: bool,
    timer: Retransmission,
}

impl Transaction {
    pub(super) fn new(purpose: Purpose, bytes: Vec<u8>, config: &Config, now: Instant) -> Self {
        let timing = if config.transport.is_stream() {
            // A stream repeats by itself (RFC 8489 section 6.2.2).
            RetransmissionConfig { rto: config.stream_patience, rc: 1, rm: 1 }
        } else {
            config.retransmission
        };
        Self {
            purpose,
            bytes,
            authentication: None,
            credentials: 0,
            tries: 0,
            begun: now,
            is_violated: false,
            timer: Retransmission::new(timing, now),
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.timer.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Due {
        self.timer.handle_timeout(now)
    }
}

/// How a request has ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// By an error response.
    Refused(Refusal),
    /// By an answer with this attribute, which must be understood and is not.
    NotUnderstood(AttributeType),
    /// No answer came in time, or none that counts.
    Unanswered {
        /// There were answers whose integrity was missing or wrong.
        is_violated: bool,
    },
}

impl From<Outcome> for Failure {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Refused(refusal) => Self::Refused(refusal),
            Outcome::NotUnderstood(kind) => Self::NotUnderstood(kind),
            Outcome::Unanswered { is_violated: true } => Self::Integrity,
            Outcome::Unanswered { is_violated: false } => Self::NoAnswer,
        }
    }
}
