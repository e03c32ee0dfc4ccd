//! STUN: message codec, integrity and transactions (RFC 8489).
//!
//! [`Message`] reads a datagram in place and [`MessageWriter`] writes into the caller's buffer; neither
//! allocates. [`IntegrityKey`] holds the HMAC state of one password, so that a message costs only its
//! own bytes. [`Authentication`] answers the challenge of a server that knows a user by a long-term password.
//! [`Retransmission`] is the timer of one request.

mod attribute;
mod integrity;
mod long_term;
mod message;
mod retransmission;
#[cfg(test)]
mod rfc5769;
mod writer;

pub use attribute::{AttributeType, ErrorCode, InvalidAttribute, UnknownAttributes, plain_address, xor_address};
pub use integrity::{IntegrityError, IntegrityKey, IntegrityKeySha256};
pub use long_term::{
    Authentication, Challenge, ChallengeError, InvalidLongTermCredentials, LongTermCredentials, LongTermKey,
    PasswordAlgorithm, userhash,
};
pub use message::{Attribute, Attributes, Class, Message, Method, ParseError, TransactionId};
pub use retransmission::{Due, Retransmission, RetransmissionConfig};
pub use writer::{BufferTooSmall, MessageWriter};

/// The value in bytes 4 to 8 of every message (RFC 8489 section 5).
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 20;
