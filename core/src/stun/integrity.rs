//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 sections 9.1.1, 14.5 and 14.6).

use core::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::Sha256;

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
        let mut mac = self.0.clone();
        covered(message, 24, |bytes| mac.update(bytes));
        mac.finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, message: &[u8], value: &[u8]) -> Result<(), IntegrityError> {
        let mut mac = self.0.clone();
        covered(message, 24, |bytes| mac.update(bytes));
        mac.verify_slice(value).map_err(|_| IntegrityError::Mismatch)
    }
}

/// The key of MESSAGE-INTEGRITY-SHA256, with the HMAC state that depends on the key alone.
#[derive(Clone)]
pub struct IntegrityKeySha256(Hmac<Sha256>);

impl IntegrityKeySha256 {
    /// The key is the same as that of MESSAGE-INTEGRITY: see [`IntegrityKey::new`].
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of every length"))
    }

    /// The value over `message`, which ends where the attribute starts.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        covered(message, 36, |bytes| mac.update(bytes));
        mac.finalize().into_bytes().into()
    }

    /// Compares in constant time. The value must not be truncated, as no usage that we know allows it.
    pub(super) fn verify(&self, message: &[u8], value: &[u8]) -> Result<(), IntegrityError> {
        let mut mac = self.0.clone();
        covered(message, 36, |bytes| mac.update(bytes));
        mac.verify_slice(value).map_err(|_| IntegrityError::Mismatch)
    }
}

/// Shows nothing of the key.
impl fmt::Debug for IntegrityKeySha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrityKeySha256(..)")
    }
}

/// What the HMAC covers. The length in the header counts up to the end of the attribute, whatever follows it.
fn covered(message: &[u8], attribute_len: usize, mut update: impl FnMut(&[u8])) {
    let len = (message.len() + attribute_len - super::HEADER_LEN) as u16;
    update(&message[..2]);
    update(&len.to_be_bytes());
    update(&message[4..]);
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
    /// There is no MESSAGE-INTEGRITY, or no MESSAGE-INTEGRITY-SHA256 where that is wanted.
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
