//! The long-term credential mechanism, the client's side (RFC 8489 section 9.2).
//!
//! Strings are taken as they are: whoever has names or passwords outside of ASCII prepares them by the OpaqueString
//! profile of RFC 8265 first, which changes nothing in ASCII.

use core::fmt;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::attribute::AttributeType;
use super::integrity::{IntegrityError, IntegrityKey, IntegrityKeySha256};
use super::message::Message;
use super::writer::MessageWriter;

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct LongTermCredentials {
    username: String,
    password: String,
}

impl LongTermCredentials {
    /// RFC 8489 section 14.3: fewer than 509 bytes.
    const MAX_USERNAME: usize = 508;

    /// Credentials that a request can carry.
    ///
    /// # Errors
    /// If the name is empty or longer than 508 bytes.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Result<Self, InvalidLongTermCredentials> {
        let username = username.into();
        match username.len() {
            1..=Self::MAX_USERNAME => Ok(Self { username, password: password.into() }),
            len => Err(InvalidLongTermCredentials { len }),
        }
    }

    /// The user's name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The user's password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

/// Shows nothing of the password.
impl fmt::Debug for LongTermCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongTermCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The user's name has this many bytes, which is none or more than 508.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidLongTermCredentials {
    /// How many bytes the name has.
    pub len: usize,
}

impl fmt::Display for InvalidLongTermCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a user name of {} bytes; it takes 1 to {}", self.len, LongTermCredentials::MAX_USERNAME)
    }
}

impl std::error::Error for InvalidLongTermCredentials {}

/// How a key is made of a password (RFC 8489 section 18.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordAlgorithm {
    /// For servers that know nothing better.
    Md5,
    /// SHA-256.
    Sha256,
}

impl PasswordAlgorithm {
    /// The algorithm with this number in the registry, if it is known here.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Md5),
            2 => Some(Self::Sha256),
            _ => None,
        }
    }

    /// Its number in the registry.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
        }
    }

    /// The key: 16 bytes of MD5 or 32 of SHA-256 (RFC 8489 section 9.2.2).
    #[must_use]
    pub fn key(self, credentials: &LongTermCredentials, realm: &[u8]) -> Vec<u8> {
        let username = trimmed(credentials.username.as_bytes());
        let password = without_nulls(credentials.password.as_bytes());
        let parts = [username, b":", trimmed(realm), b":", password];
        match self {
            Self::Md5 => parts.iter().fold(Md5::new(), |hash, part| hash.chain_update(part)).finalize().to_vec(),
            Self::Sha256 => parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().to_vec(),
        }
    }
}

/// The value of USERHASH (RFC 8489 section 14.4).
#[must_use]
pub fn userhash(username: &str, realm: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(username).chain_update(b":").chain_update(realm).finalize().into()
}

/// What a server asks of a client in a 401 or 438.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    passwords: Option<Passwords>,
    anonymous: bool,
}

/// What PASSWORD-ALGORITHMS said, and what was chosen of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Passwords {
    offered: Vec<u8>,
    chosen: PasswordAlgorithm,
}

impl Challenge {
    /// RFC 8489 sections 14.9 and 14.10: at most 127 characters, of at most six bytes each, and one.
    const MAX_TEXT: usize = 763;
    /// For sixteen algorithms with some parameters. What is longer is not sent back.
    const MAX_ALGORITHMS: usize = 256;

    /// Reads the challenge in a response. The realm of `before` holds where the response has none; and a server that
    /// has listed password algorithms before does so again, unless somebody has taken them out.
    ///
    /// # Errors
    /// If the request must not be tried again on it (RFC 8489 section 9.2.5).
    pub fn read(response: &Message<'_>, before: Option<&Self>) -> Result<Self, ChallengeError> {
        let text = |kind| match response.get(kind) {
            Some(value) if value.len() > Self::MAX_TEXT => Err(ChallengeError::TooLong { kind, len: value.len() }),
            value => Ok(value),
        };
        let nonce = text(AttributeType::NONCE)?.ok_or(ChallengeError::Missing(AttributeType::NONCE))?;
        let realm = text(AttributeType::REALM)?.or(before.map(|before| &before.realm[..]));
        let realm = realm.ok_or(ChallengeError::Missing(AttributeType::REALM))?;
        let features = Features::of(nonce);
        let passwords = match response.get(AttributeType::PASSWORD_ALGORITHMS) {
            Some(offered) => Some(Passwords::choose(offered)?),
            None if features.password_algorithms || before.is_some_and(|before| before.passwords.is_some()) => {
                return Err(ChallengeError::BidDown);
            }
            None => None,
        };
        Ok(Self { realm: realm.to_vec(), nonce: nonce.to_vec(), passwords, anonymous: features.anonymity })
    }

    /// Whether a response breaks the promise of its own nonce that it lists password algorithms: a sign that somebody
    /// has taken them out (RFC 8489 sections 9.2.1 and 9.2.5).
    #[must_use]
    pub fn is_bid_down(response: &Message<'_>) -> bool {
        response.get(AttributeType::NONCE).is_some_and(|nonce| Features::of(nonce).password_algorithms)
            && response.get(AttributeType::PASSWORD_ALGORITHMS).is_none()
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &[u8] {
        &self.realm
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        &self.nonce
    }
}

impl Passwords {
    /// The first algorithm in the server's list that is known here.
    fn choose(offered: &[u8]) -> Result<Self, ChallengeError> {
        if offered.len() > Challenge::MAX_ALGORITHMS {
            let kind = AttributeType::PASSWORD_ALGORITHMS;
            return Err(ChallengeError::TooLong { kind, len: offered.len() });
        }
        let mut rest = offered;
        while let Some((&[number_high, number_low, len_high, len_low], after)) = rest.split_first_chunk::<4>() {
            let len = usize::from(u16::from_be_bytes([len_high, len_low]));
            let known = PasswordAlgorithm::from_number(u16::from_be_bytes([number_high, number_low]));
            // Those that are known have no parameters.
            if let Some(chosen) = known.filter(|_| len == 0) {
                return Ok(Self { offered: offered.to_vec(), chosen });
            }
            rest = after.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        Err(ChallengeError::NoKnownAlgorithm)
    }
}

/// The STUN security features that a nonce's cookie announces (RFC 8489 sections 9.2 and 18.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Features {
    password_algorithms: bool,
    anonymity: bool,
}

impl Features {
    fn of(nonce: &[u8]) -> Self {
        let Some([a, b, c, d, ..]) = nonce.strip_prefix(b"obMatJos2") else { return Self::default() };
        match [a, b, c, d].map(|&digit| sextet(digit)) {
            // Bits count from the most significant one.
            [Some(first), Some(_), Some(_), Some(_)] => {
                Self { password_algorithms: first & 0b10_0000 != 0, anonymity: first & 0b01_0000 != 0 }
            }
            _ => Self::default(),
        }
    }
}

/// The value of a base64 digit.
fn sextet(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Why a request must not be tried again on a challenge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChallengeError {
    /// This attribute is missing.
    Missing(AttributeType),
    /// This attribute is longer than RFC 8489 or reason allows.
    TooLong {
        /// Its type.
        kind: AttributeType,
        /// The length of its value in bytes.
        len: usize,
    },
    /// The nonce announces password algorithms, or the server has listed some before, and there are none: somebody may
    /// have taken them out on the way.
    BidDown,
    /// None of the server's password algorithms is known here.
    NoKnownAlgorithm,
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(kind) => write!(f, "the server's challenge has no {kind}"),
            Self::TooLong { kind, len } => write!(f, "the server's challenge has {len} bytes of {kind}"),
            Self::BidDown => f.write_str("password algorithms are announced and the server lists none"),
            Self::NoKnownAlgorithm => f.write_str("none of the server's password algorithms is known"),
        }
    }
}

impl std::error::Error for ChallengeError {}

/// A challenge and the answer to it: what each request to the server carries.
#[derive(Clone, Debug)]
pub struct Authentication {
    username: String,
    challenge: Challenge,
    key: LongTermKey,
}

impl Authentication {
    /// The answer of who has `credentials`.
    #[must_use]
    pub fn new(credentials: &LongTermCredentials, challenge: Challenge) -> Self {
        let key = match &challenge.passwords {
            // RFC 8489 section 9.2.5: where algorithms were listed, SHA-256 signs, whatever the key is made by.
            Some(passwords) => {
                LongTermKey::Sha256(IntegrityKeySha256::new(&passwords.chosen.key(credentials, &challenge.realm)))
            }
            None => LongTermKey::Sha1(IntegrityKey::new(&PasswordAlgorithm::Md5.key(credentials, &challenge.realm))),
        };
        Self { username: credentials.username.clone(), challenge, key }
    }

    /// The challenge.
    #[must_use]
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// What the answers to requests are checked with.
    #[must_use]
    pub fn key(&self) -> &LongTermKey {
        &self.key
    }

    /// Ends a request with who asks and the proof of it (RFC 8489 sections 9.2.3.2 and 9.2.5).
    pub fn sign(&self, request: &mut MessageWriter<'_>) {
        if self.challenge.anonymous {
            request.attribute(AttributeType::USERHASH, &userhash(&self.username, &self.challenge.realm));
        } else {
            request.attribute(AttributeType::USERNAME, self.username.as_bytes());
        }
        request.attribute(AttributeType::REALM, &self.challenge.realm);
        request.attribute(AttributeType::NONCE, &self.challenge.nonce);
        if let Some(passwords) = &self.challenge.passwords {
            let [high, low] = passwords.chosen.number().to_be_bytes();
            request
                .attribute(AttributeType::PASSWORD_ALGORITHMS, &passwords.offered)
                .attribute(AttributeType::PASSWORD_ALGORITHM, &[high, low, 0, 0]);
        }
        match &self.key {
            LongTermKey::Sha1(key) => request.integrity(key),
            LongTermKey::Sha256(key) => request.integrity_sha256(key),
        };
    }
}

/// The key of a long-term credential, and the hash that signs with it.
#[derive(Clone, Debug)]
pub enum LongTermKey {
    /// For MESSAGE-INTEGRITY.
    Sha1(IntegrityKey),
    /// For MESSAGE-INTEGRITY-SHA256.
    Sha256(IntegrityKeySha256),
}

impl LongTermKey {
    /// Checks the integrity of an answer to a request that was signed with this key. A weaker signature than the
    /// request's is none.
    ///
    /// # Errors
    /// If it is missing or wrong.
    pub fn check(&self, response: &Message<'_>) -> Result<(), IntegrityError> {
        match self {
            Self::Sha1(key) => response.check_integrity(key),
            Self::Sha256(key) => response.check_integrity_sha256(key),
        }
    }
}

/// RFC 8489 section 9.2.2: quotes and trailing nulls do not count.
fn trimmed(text: &[u8]) -> &[u8] {
    let text = without_nulls(text);
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text)
}

fn without_nulls(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::super::{Class, ErrorCode, Method, TransactionId};
    use super::*;

    fn challenge(write: impl FnOnce(&mut MessageWriter<'_>)) -> Result<Challenge, ChallengeError> {
        let mut buf = [0; 4096];
        let mut writer = MessageWriter::new(&mut buf, Class::Error, Method::ALLOCATE, TransactionId([1; 12]));
        writer.error_code(ErrorCode::UNAUTHENTICATED);
        write(&mut writer);
        let len = writer.finish().unwrap();
        let message = Message::parse(&buf[..len]).unwrap();
        let read = Challenge::read(&message, None);
        assert_eq!(read == Err(ChallengeError::BidDown), Challenge::is_bid_down(&message));
        read
    }

    #[test]
    fn the_key_is_that_of_the_rfc() {
        let user = LongTermCredentials::new("user", "pass").unwrap();
        let hex: String = PasswordAlgorithm::Md5.key(&user, b"realm").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "8493fbc53ba582fb4c044c456bdc40eb");
        let odd = LongTermCredentials::new("\"user\"\0", "pass\0\0").unwrap();
        for algorithm in [PasswordAlgorithm::Md5, PasswordAlgorithm::Sha256] {
            assert_eq!(algorithm.key(&odd, b"\"realm\""), algorithm.key(&user, b"realm"));
        }
    }

    #[test]
    fn names_that_no_request_can_carry_are_refused() {
        assert_eq!(LongTermCredentials::new("", "x"), Err(InvalidLongTermCredentials { len: 0 }));
        assert!(LongTermCredentials::new("u".repeat(508), "x").is_ok());
        assert_eq!(LongTermCredentials::new("u".repeat(509), "x"), Err(InvalidLongTermCredentials { len: 509 }));
    }

    #[test]
    fn the_features_are_the_first_two_bits_of_the_cookie() {
        for (nonce, password_algorithms, anonymity) in [
            (&b"obMatJos2gAAArandom"[..], true, false),
            (b"obMatJos2QAAArandom", false, true),
            (b"obMatJos2wAAA", true, true),
            (b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA", false, false),
            (b"obMatJos2wAA", false, false),
            (b"obMatJos2w-AA", false, false),
            (b"obMatJos3wAAA", false, false),
            (b"", false, false),
        ] {
            assert_eq!(Features::of(nonce), Features { password_algorithms, anonymity }, "{nonce:?}");
        }
    }

    #[test]
    fn a_challenge_that_was_weakened_or_makes_no_sense_is_not_answered() {
        let with = |nonce: &'static [u8], algorithms: Option<&'static [u8]>| {
            challenge(|writer| {
                writer.attribute(AttributeType::REALM, b"realm").attribute(AttributeType::NONCE, nonce);
                if let Some(algorithms) = algorithms {
                    writer.attribute(AttributeType::PASSWORD_ALGORITHMS, algorithms);
                }
            })
        };
        let chosen = |algorithms| with(b"obMatJos2gAAA1", Some(algorithms)).map(|c| c.passwords.unwrap().chosen);
        assert_eq!(with(b"plain", None).unwrap().passwords, None);
        assert_eq!(with(b"obMatJos2gAAA1", None), Err(ChallengeError::BidDown));
        assert_eq!(chosen(&[0, 2, 0, 0, 0, 1, 0, 0]), Ok(PasswordAlgorithm::Sha256));
        assert_eq!(chosen(&[0, 1, 0, 0, 0, 2, 0, 0]), Ok(PasswordAlgorithm::Md5));
        // An unknown one with five bytes of parameters, padded.
        assert_eq!(chosen(&[0, 9, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0, 2, 0, 0]), Ok(PasswordAlgorithm::Sha256));
        for nonsense in [&[][..], &[0, 9, 0, 0], &[0, 9, 255, 255, 0, 2, 0, 0], &[0, 2, 0, 4, 1, 2, 3, 4], &[0, 2]] {
            let read = with(b"obMatJos2gAAA1", Some(nonsense));
            assert_eq!(read, Err(ChallengeError::NoKnownAlgorithm), "{nonsense:?}");
        }
        assert_eq!(
            challenge(|writer| {
                writer.attribute(AttributeType::REALM, b"realm");
            }),
            Err(ChallengeError::Missing(AttributeType::NONCE))
        );
        assert_eq!(
            challenge(|writer| {
                writer.attribute(AttributeType::NONCE, b"nonce");
            }),
            Err(ChallengeError::Missing(AttributeType::REALM))
        );
        assert_eq!(
            challenge(|writer| {
                writer.attribute(AttributeType::NONCE, &[b'n'; 764]);
            }),
            Err(ChallengeError::TooLong { kind: AttributeType::NONCE, len: 764 })
        );
    }
}
