//! Reading a message in place (RFC 8489 section 5).

use core::fmt;

use super::attribute::AttributeType;
use super::integrity::{IntegrityError, IntegrityKey, IntegrityKeySha256};
use super::{HEADER_LEN, MAGIC_COOKIE};

/// What part a message plays in a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Asks, and wants a response.
    Request,
    /// Tells, and wants none.
    Indication,
    /// Answers a request.
    Success,
    /// Refuses a request.
    Error,
}

/// A method: 12 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method(u16);

impl Method {
    /// The only method of STUN itself.
    pub const BINDING: Self = Self(0x001);
    /// RFC 8656 section 7.
    pub const ALLOCATE: Self = Self(0x003);
    /// RFC 8656 section 8.
    pub const REFRESH: Self = Self(0x004);
    /// RFC 8656 section 11.1; an indication.
    pub const SEND: Self = Self(0x006);
    /// RFC 8656 section 11.3; an indication.
    pub const DATA: Self = Self(0x007);
    /// RFC 8656 section 10.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// RFC 8656 section 12.
    pub const CHANNEL_BIND: Self = Self(0x009);

    /// RFC 6062 section 4.3.
    pub const CONNECT: Self = Self(0x00A);
    /// RFC 6062 section 4.3.
    pub const CONNECTION_BIND: Self = Self(0x00B);
    /// RFC 6062 section 4.4; an indication.
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);

    /// The method with this number; none if it needs more than 12 bits.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < 1 << 12 { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Names a transaction: 96 bits that a stranger must not guess.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 12]);

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A message, read in place.
///
/// Its header is right, its attributes fit exactly, and a FINGERPRINT, if there is one, is the last of
/// them. Integrity and fingerprint are checked on demand.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    method: Method,
    /// Where the attributes end that MESSAGE-INTEGRITY covers, which is where it starts itself.
    integrity_at: Option<usize>,
    /// Likewise of MESSAGE-INTEGRITY-SHA256, with the length of its value.
    integrity_sha256_at: Option<(usize, usize)>,
    fingerprint_at: Option<usize>,
}

impl<'a> Message<'a> {
    /// Whether a datagram's first byte and cookie say STUN (RFC 7983, RFC 8489 section 5).
    #[must_use]
    pub fn looks_like(datagram: &[u8]) -> bool {
        datagram.len() >= HEADER_LEN && datagram[0] < 4 && datagram[4..8] == MAGIC_COOKIE.to_be_bytes()
    }

    /// Reads the message that fills `datagram`.
    ///
    /// # Errors
    /// Says which rule of RFC 8489 section 5, 14 or 14.7 is broken.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        if datagram.len() < HEADER_LEN {
            return Err(ParseError::TooShort(datagram.len()));
        }
        let kind = u16::from_be_bytes([datagram[0], datagram[1]]);
        if kind >> 14 != 0 {
            return Err(ParseError::NotStun(datagram[0]));
        }
        let cookie = u32::from_be_bytes([datagram[4], datagram[5], datagram[6], datagram[7]]);
        if cookie != MAGIC_COOKIE {
            return Err(ParseError::Cookie(cookie));
        }
        let stated = u16::from_be_bytes([datagram[2], datagram[3]]);
        if !stated.is_multiple_of(4) || usize::from(stated) != datagram.len() - HEADER_LEN {
            return Err(ParseError::Length { stated, actual: datagram.len() - HEADER_LEN });
        }
        let (class, method) = split_type(kind);
        let mut message = Self {
            bytes: datagram,
            class,
            method,
            integrity_at: None,
            integrity_sha256_at: None,
            fingerprint_at: None,
        };
        message.find_trailers()?;
        Ok(message)
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The transaction id.
    #[must_use]
    pub fn transaction_id(&self) -> TransactionId {
        TransactionId(self.bytes[8..HEADER_LEN].try_into().expect("the header has been checked"))
    }

    /// The attributes, up to the first MESSAGE-INTEGRITY of either kind where there is one: what comes after it is not
    /// protected and must be ignored (RFC 8489 sections 14.5 and 14.6).
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        let sha256_at = self.integrity_sha256_at.map(|(at, _)| at);
        let end = self.integrity_at.or(sha256_at).or(self.fingerprint_at).unwrap_or(self.bytes.len());
        Attributes { bytes: &self.bytes[HEADER_LEN..end] }
    }

    /// The value of the first attribute of this type; only the first counts (RFC 8489 section 14).
    #[must_use]
    pub fn get(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.attributes().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// The first attribute that must be understood and is not known here (RFC 8489 section 6.3).
    #[must_use]
    pub fn not_understood(&self) -> Option<AttributeType> {
        let mut kinds = self.attributes().map(|attribute| attribute.kind);
        kinds.find(|kind| kind.must_be_understood() && kind.name().is_none())
    }

    /// Whether a MESSAGE-INTEGRITY is there; says nothing about whether it is right.
    #[must_use]
    pub fn has_integrity(&self) -> bool {
        self.integrity_at.is_some()
    }

    /// Checks MESSAGE-INTEGRITY in constant time (RFC 8489 section 14.5).
    ///
    /// # Errors
    /// If it is missing or is not that of `key`.
    pub fn check_integrity(&self, key: &IntegrityKey) -> Result<(), IntegrityError> {
        let at = self.integrity_at.ok_or(IntegrityError::Missing)?;
        key.verify(&self.bytes[..at], &self.bytes[at + 4..at + 24])
    }

    /// Whether a MESSAGE-INTEGRITY-SHA256 is there; says nothing about whether it is right.
    #[must_use]
    pub fn has_integrity_sha256(&self) -> bool {
        self.integrity_sha256_at.is_some()
    }

    /// Checks MESSAGE-INTEGRITY-SHA256 in constant time (RFC 8489 section 14.6).
    ///
    /// # Errors
    /// If it is missing, is truncated or is not that of `key`.
    pub fn check_integrity_sha256(&self, key: &IntegrityKeySha256) -> Result<(), IntegrityError> {
        let (at, len) = self.integrity_sha256_at.ok_or(IntegrityError::Missing)?;
        key.verify(&self.bytes[..at], &self.bytes[at + 4..at + 4 + len])
    }

    /// Whether a FINGERPRINT is there; says nothing about whether it is right.
    #[must_use]
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint_at.is_some()
    }

    /// Whether a FINGERPRINT is there and right (RFC 8489 section 14.7).
    #[must_use]
    pub fn has_valid_fingerprint(&self) -> bool {
        self.fingerprint_at.is_some_and(|at| self.bytes[at + 4..at + 8] == fingerprint(&self.bytes[..at]).to_be_bytes())
    }

    /// Walks the attributes once: their lengths must fit, and the trailers must stand where they may.
    fn find_trailers(&mut self) -> Result<(), ParseError> {
        let mut at = HEADER_LEN;
        while at < self.bytes.len() {
            // The whole length is a multiple of four, so four bytes are left here.
            let kind = AttributeType(u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]));
            let len = u16::from_be_bytes([self.bytes[at + 2], self.bytes[at + 3]]);
            let next = at + 4 + usize::from(len).next_multiple_of(4);
            if next > self.bytes.len() {
                return Err(ParseError::AttributeTooLong { kind, len });
            }
            if self.fingerprint_at.is_some() {
                return Err(ParseError::AfterFingerprint(kind));
            }
            match kind {
                AttributeType::MESSAGE_INTEGRITY
                    if self.integrity_at.is_none() && self.integrity_sha256_at.is_none() =>
                {
                    if len != 20 {
                        return Err(ParseError::AttributeLength { kind, len });
                    }
                    self.integrity_at = Some(at);
                }
                AttributeType::MESSAGE_INTEGRITY_SHA256 if self.integrity_sha256_at.is_none() => {
                    if !(16..=32).contains(&len) || !len.is_multiple_of(4) {
                        return Err(ParseError::AttributeLength { kind, len });
                    }
                    self.integrity_sha256_at = Some((at, usize::from(len)));
                }
                AttributeType::FINGERPRINT => {
                    if len != 4 {
                        return Err(ParseError::AttributeLength { kind, len });
                    }
                    self.fingerprint_at = Some(at);
                }
                _ => {}
            }
            at = next;
        }
        Ok(())
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("class", &self.class)
            .field("method", &self.method)
            .field("transaction_id", &self.transaction_id())
            .field("attributes", &self.attributes().map(|a| a.kind).collect::<Vec<_>>())
            .finish()
    }
}

/// One attribute, read in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attribute<'a> {
    /// Its type.
    pub kind: AttributeType,
    /// Its value without the padding.
    pub value: &'a [u8],
}

/// The attributes of a message that has been checked.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (header, rest) = self.bytes.split_first_chunk::<4>()?;
        let kind = AttributeType(u16::from_be_bytes([header[0], header[1]]));
        let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let value = &rest[..len];
        self.bytes = &rest[len.next_multiple_of(4)..];
        Some(Attribute { kind, value })
    }
}

/// Why a datagram is no STUN message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseError {
    /// It has this many bytes, fewer than a header.
    TooShort(usize),
    /// Its first byte, this one, does not start with two zero bits.
    NotStun(u8),
    /// It has this in place of the magic cookie.
    Cookie(u32),
    /// The header states another length than the datagram has, or none that is a multiple of four.
    Length {
        /// What the header says.
        stated: u16,
        /// What there is, without the header.
        actual: usize,
    },
    /// An attribute does not fit into the message.
    AttributeTooLong {
        /// Its type.
        kind: AttributeType,
        /// The length that it states.
        len: u16,
    },
    /// An attribute of a fixed length has another one.
    AttributeLength {
        /// Its type.
        kind: AttributeType,
        /// The length that it states.
        len: u16,
    },
    /// FINGERPRINT is not the last attribute; this one follows it.
    AfterFingerprint(AttributeType),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(len) => write!(f, "{len} bytes are fewer than a STUN header's {HEADER_LEN}"),
            Self::NotStun(byte) => write!(f, "first byte {byte:#04x} does not start with two zero bits"),
            Self::Cookie(cookie) => write!(f, "{cookie:#010x} stands in place of the magic cookie"),
            Self::Length { stated, actual } => {
                write!(f, "header states {stated} bytes of attributes, the datagram has {actual}")
            }
            Self::AttributeTooLong { kind, len } => {
                write!(f, "attribute {kind} of {len} bytes does not fit into the message")
            }
            Self::AttributeLength { kind, len } => write!(f, "attribute {kind} has a wrong length of {len} bytes"),
            Self::AfterFingerprint(kind) => write!(f, "attribute {kind} follows FINGERPRINT"),
        }
    }
}

impl std::error::Error for ParseError {}

/// The bits of class and method are interleaved (RFC 8489 figure 3).
fn split_type(kind: u16) -> (Class, Method) {
    let class = match (kind >> 7 & 2) | (kind >> 4 & 1) {
        0 => Class::Request,
        1 => Class::Indication,
        2 => Class::Success,
        _ => Class::Error,
    };
    (class, Method(kind & 0x000F | kind >> 1 & 0x0070 | kind >> 2 & 0x0F80))
}

/// The inverse of [`split_type`].
pub(super) fn join_type(class: Class, method: Method) -> u16 {
    let class: u16 = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    class | method.0 & 0x000F | (method.0 & 0x0070) << 1 | (method.0 & 0x0F80) << 2
}

/// RFC 8489 section 14.7, over a message whose length field already counts the attribute.
pub(super) fn fingerprint(message: &[u8]) -> u32 {
    crc32fast::hash(message) ^ 0x5354_554E
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_and_method_survive_the_interleaving() {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            for number in 0..1 << 12 {
                let method = Method::new(number).unwrap();
                assert_eq!(split_type(join_type(class, method)), (class, method));
            }
        }
        assert_eq!(Method::new(1 << 12), None);
        assert_eq!(join_type(Class::Error, Method::BINDING), 0x0111);
    }

    #[test]
    fn every_broken_rule_is_named() {
        let header = |kind: u16, len: u16| {
            let mut bytes = vec![0; HEADER_LEN];
            bytes[..2].copy_from_slice(&kind.to_be_bytes());
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            bytes
        };
        let with = |attributes: &[u8]| {
            let mut bytes = header(1, attributes.len() as u16);
            bytes.extend_from_slice(attributes);
            bytes
        };
        let error = |bytes: &[u8]| Message::parse(bytes).unwrap_err();
        assert!(Message::parse(&header(1, 0)).is_ok());
        assert_eq!(error(&header(1, 0)[..19]), ParseError::TooShort(19));
        assert_eq!(error(&header(0x4001, 0)), ParseError::NotStun(0x40));
        assert_eq!(error(&[0; 20]), ParseError::Cookie(0));
        assert_eq!(error(&header(1, 4)), ParseError::Length { stated: 4, actual: 0 });
        let mut odd = header(1, 2);
        odd.extend([0, 0]);
        assert_eq!(error(&odd), ParseError::Length { stated: 2, actual: 2 });
        assert_eq!(
            error(&with(&[0, 6, 0, 5, 1, 2, 3, 4])),
            ParseError::AttributeTooLong { kind: AttributeType::USERNAME, len: 5 }
        );
        assert_eq!(
            error(&with(&[0, 8, 0, 4, 1, 2, 3, 4])),
            ParseError::AttributeLength { kind: AttributeType::MESSAGE_INTEGRITY, len: 4 }
        );
        assert_eq!(
            error(&with(&[0x80, 0x28, 0, 0])),
            ParseError::AttributeLength { kind: AttributeType::FINGERPRINT, len: 0 }
        );
        assert_eq!(
            error(&with(&[0x80, 0x28, 0, 4, 0, 0, 0, 0, 0, 6, 0, 0])),
            ParseError::AfterFingerprint(AttributeType::USERNAME)
        );
    }
}
