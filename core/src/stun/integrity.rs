//! MESSAGE-INTEGRITY (RFC 8489 sections 9.1.1 and 14.5).

use core::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// The key of one password, with the HMAC state that depends on the key alone.
///
/// Making it costs two SHA-1 blocks; after that a message costs only its own.
#[derive(Clone)]
pub struct IntegrityKey(Hmac<Sha1>);

impl IntegrityKey {
    /// The key of a short-term credential is the password itself (RFC 8489 section 9.1.1); that of a
    /// long-term one is a hash that the caller makes (section 9.2.2).
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of every length"))
    }

    /// The value over `message`, which ends where the attribute starts.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 20] {
        self.over(message).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, message: &[u8], value: &[u8]) -> Result<(), IntegrityError> {
        self.over(message).verify_slice(value).map_err(|_| IntegrityError::Mismatch)
    }

    /// The length in the header counts up to the end of MESSAGE-INTEGRITY, whatever follows it.
    fn over(&self, message: &[u8]) -> Hmac<Sha1> {
        let len = (message.len() + 24 - super::HEADER_LEN) as u16;
        let mut mac = self.0.clone();
        mac.update(&message[..2]);
        mac.update(&len.to_be_bytes());
        mac.update(&message[4..]);
        mac
    }
}

/// Shows nothing of the key.
impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrityKey(..)")
    }
}

/// Why a message is not known to be from who has the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntegrityError {
    /// There is no MESSAGE-INTEGRITY.
    Missing,
    /// It is that of another key or of other bytes.
    Mismatch,
}

impl fmt::Display for IntegrityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the message has no MESSAGE-INTEGRITY",
            Self::Mismatch => "MESSAGE-INTEGRITY does not match key and message",
        })
    }
}

impl std::error::Error for IntegrityError {}
