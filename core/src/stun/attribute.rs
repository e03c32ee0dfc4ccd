//! Attribute types and the values that need more than bytes (RFC 8489 section 14).

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::MAGIC_COOKIE;
use super::message::TransactionId;

/// The type of an attribute. Those below 0x8000 must be understood by who processes the message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u16);

impl AttributeType {
    /// RFC 8489 section 14.1: what servers of RFC 3489 answer with.
    pub const MAPPED_ADDRESS: Self = Self(0x0001);
    /// RFC 5780 section 7.2.
    pub const CHANGE_REQUEST: Self = Self(0x0003);
    /// RFC 8489 section 14.3.
    pub const USERNAME: Self = Self(0x0006);
    /// RFC 8489 section 14.5.
    pub const MESSAGE_INTEGRITY: Self = Self(0x0008);
    /// RFC 8489 section 14.8.
    pub const ERROR_CODE: Self = Self(0x0009);
    /// RFC 8489 section 14.13.
    pub const UNKNOWN_ATTRIBUTES: Self = Self(0x000A);
    /// RFC 8656 section 18.1.
    pub const CHANNEL_NUMBER: Self = Self(0x000C);
    /// RFC 8656 section 18.2.
    pub const LIFETIME: Self = Self(0x000D);
    /// RFC 8656 section 18.3.
    pub const XOR_PEER_ADDRESS: Self = Self(0x0012);
    /// RFC 8656 section 18.4.
    pub const DATA: Self = Self(0x0013);
    /// RFC 8489 section 14.9.
    pub const REALM: Self = Self(0x0014);
    /// RFC 8489 section 14.10.
    pub const NONCE: Self = Self(0x0015);
    /// RFC 8656 section 18.5.
    pub const XOR_RELAYED_ADDRESS: Self = Self(0x0016);
    /// RFC 8656 section 18.6.
    pub const REQUESTED_ADDRESS_FAMILY: Self = Self(0x0017);
    /// RFC 8656 section 18.7.
    pub const EVEN_PORT: Self = Self(0x0018);
    /// RFC 8656 section 18.8.
    pub const REQUESTED_TRANSPORT: Self = Self(0x0019);
    /// RFC 8489 section 14.6.
    pub const MESSAGE_INTEGRITY_SHA256: Self = Self(0x001C);
    /// RFC 8489 section 14.12.
    pub const PASSWORD_ALGORITHM: Self = Self(0x001D);
    /// RFC 8489 section 14.4.
    pub const USERHASH: Self = Self(0x001E);
    /// RFC 8489 section 14.2.
    pub const XOR_MAPPED_ADDRESS: Self = Self(0x0020);
    /// RFC 8656 section 18.10.
    pub const RESERVATION_TOKEN: Self = Self(0x0022);
    /// RFC 8445 section 16.1.
    pub const PRIORITY: Self = Self(0x0024);
    /// RFC 8445 section 16.1.
    pub const USE_CANDIDATE: Self = Self(0x0025);
    /// RFC 8656 section 18.11.
    pub const ADDITIONAL_ADDRESS_FAMILY: Self = Self(0x8000);
    /// RFC 8656 section 18.12.
    pub const ADDRESS_ERROR_CODE: Self = Self(0x8001);
    /// RFC 6062 section 6.2.1.
    pub const CONNECTION_ID: Self = Self(0x002A);
    /// RFC 8489 section 14.11.
    pub const PASSWORD_ALGORITHMS: Self = Self(0x8002);
    /// RFC 8489 section 14.16.
    pub const ALTERNATE_DOMAIN: Self = Self(0x8003);
    /// RFC 8656 section 18.13.
    pub const ICMP: Self = Self(0x8004);
    /// Numbers a nomination. It belongs to the ICE option `renomination` and is not registered; the number is that of
    /// libwebrtc.
    pub const NOMINATION: Self = Self(0xC001);
    /// RFC 8489 section 14.14.
    pub const SOFTWARE: Self = Self(0x8022);
    /// RFC 8489 section 14.15.
    pub const ALTERNATE_SERVER: Self = Self(0x8023);
    /// RFC 8489 section 14.7.
    pub const FINGERPRINT: Self = Self(0x8028);
    /// RFC 8445 section 16.1.
    pub const ICE_CONTROLLED: Self = Self(0x8029);
    /// RFC 8445 section 16.1.
    pub const ICE_CONTROLLING: Self = Self(0x802A);
    /// RFC 5780 section 7.3.
    pub const RESPONSE_ORIGIN: Self = Self(0x802B);
    /// RFC 5780 section 7.4.
    pub const OTHER_ADDRESS: Self = Self(0x802C);

    /// Whether a message with it must be refused by who does not know it (RFC 8489 section 14).
    #[must_use]
    pub const fn must_be_understood(self) -> bool {
        self.0 < 0x8000
    }

    /// The name in the registry, if the attribute is known here.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::CHANGE_REQUEST => "CHANGE-REQUEST",
            Self::USERNAME => "USERNAME",
            Self::MESSAGE_INTEGRITY => "MESSAGE-INTEGRITY",
            Self::ERROR_CODE => "ERROR-CODE",
            Self::UNKNOWN_ATTRIBUTES => "UNKNOWN-ATTRIBUTES",
            Self::CHANNEL_NUMBER => "CHANNEL-NUMBER",
            Self::LIFETIME => "LIFETIME",
            Self::XOR_PEER_ADDRESS => "XOR-PEER-ADDRESS",
            Self::DATA => "DATA",
            Self::REALM => "REALM",
            Self::NONCE => "NONCE",
            Self::XOR_RELAYED_ADDRESS => "XOR-RELAYED-ADDRESS",
            Self::REQUESTED_ADDRESS_FAMILY => "REQUESTED-ADDRESS-FAMILY",
            Self::EVEN_PORT => "EVEN-PORT",
            Self::REQUESTED_TRANSPORT => "REQUESTED-TRANSPORT",
            Self::MESSAGE_INTEGRITY_SHA256 => "MESSAGE-INTEGRITY-SHA256",
            Self::PASSWORD_ALGORITHM => "PASSWORD-ALGORITHM",
            Self::USERHASH => "USERHASH",
            Self::MAPPED_ADDRESS => "MAPPED-ADDRESS",
            Self::XOR_MAPPED_ADDRESS => "XOR-MAPPED-ADDRESS",
            Self::RESERVATION_TOKEN => "RESERVATION-TOKEN",
            Self::PRIORITY => "PRIORITY",
            Self::USE_CANDIDATE => "USE-CANDIDATE",
            Self::ADDITIONAL_ADDRESS_FAMILY => "ADDITIONAL-ADDRESS-FAMILY",
            Self::ADDRESS_ERROR_CODE => "ADDRESS-ERROR-CODE",
            Self::CONNECTION_ID => "CONNECTION-ID",
            Self::PASSWORD_ALGORITHMS => "PASSWORD-ALGORITHMS",
            Self::ALTERNATE_DOMAIN => "ALTERNATE-DOMAIN",
            Self::ICMP => "ICMP",
            Self::NOMINATION => "NOMINATION",
            Self::SOFTWARE => "SOFTWARE",
            Self::ALTERNATE_SERVER => "ALTERNATE-SERVER",
            Self::FINGERPRINT => "FINGERPRINT",
            Self::ICE_CONTROLLED => "ICE-CONTROLLED",
            Self::ICE_CONTROLLING => "ICE-CONTROLLING",
            Self::RESPONSE_ORIGIN => "RESPONSE-ORIGIN",
            Self::OTHER_ADDRESS => "OTHER-ADDRESS",
            _ => return None,
        })
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An attribute's value is not what its type asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidAttribute {
    /// Its type.
    pub kind: AttributeType,
    /// The length of its value in bytes.
    pub len: usize,
}

impl fmt::Display for InvalidAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} bytes of attribute {} have no legal meaning", self.len, self.kind)
    }
}

impl std::error::Error for InvalidAttribute {}

/// Reads the value of an XOR-MAPPED-ADDRESS or another attribute of that form (RFC 8489 section 14.2).
///
/// # Errors
/// If family and length do not go together.
pub fn xor_address(kind: AttributeType, value: &[u8], id: TransactionId) -> Result<SocketAddr, InvalidAttribute> {
    let invalid = InvalidAttribute { kind, len: value.len() };
    let (&[_, family, port_high, port_low], address) = value.split_first_chunk::<4>().ok_or(invalid)?;
    let port = u16::from_be_bytes([port_high, port_low]) ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match family {
        1 => IpAddr::V4(Ipv4Addr::from(u32::from_be_bytes(address.try_into().map_err(|_| invalid)?) ^ MAGIC_COOKIE)),
        2 => IpAddr::V6(Ipv6Addr::from(u128::from_be_bytes(address.try_into().map_err(|_| invalid)?) ^ ipv6_mask(id))),
        _ => return Err(invalid),
    };
    Ok(SocketAddr::new(ip, port))
}

/// Reads the value of an ALTERNATE-SERVER or another attribute of the form of MAPPED-ADDRESS, which is not obfuscated
/// (RFC 8489 sections 14.1 and 14.15).
///
/// # Errors
/// If family and length do not go together.
pub fn plain_address(kind: AttributeType, value: &[u8]) -> Result<SocketAddr, InvalidAttribute> {
    let invalid = InvalidAttribute { kind, len: value.len() };
    let (&[_, family, port_high, port_low], address) = value.split_first_chunk::<4>().ok_or(invalid)?;
    let ip = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(address).map_err(|_| invalid)?),
        2 => IpAddr::from(<[u8; 16]>::try_from(address).map_err(|_| invalid)?),
        _ => return Err(invalid),
    };
    Ok(SocketAddr::new(ip, u16::from_be_bytes([port_high, port_low])))
}

/// The inverse of [`xor_address`]: the value and how many of its bytes count.
pub(super) fn to_xor_address(address: SocketAddr, id: TransactionId) -> ([u8; 20], usize) {
    let mut value = [0; 20];
    value[2..4].copy_from_slice(&(address.port() ^ (MAGIC_COOKIE >> 16) as u16).to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&(u32::from(ip) ^ MAGIC_COOKIE).to_be_bytes());
            (value, 8)
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..].copy_from_slice(&(u128::from(ip) ^ ipv6_mask(id)).to_be_bytes());
            (value, 20)
        }
    }
}

fn ipv6_mask(id: TransactionId) -> u128 {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(&id.0);
    u128::from_be_bytes(mask)
}

/// The value of an ERROR-CODE (RFC 8489 section 14.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// For a person. Empty where it is not UTF-8.
    pub reason: &'a str,
}

impl<'a> ErrorCode<'a> {
    /// The request was malformed.
    pub const BAD_REQUEST: ErrorCode<'static> = ErrorCode { code: 400, reason: "Bad Request" };
    /// The credentials were missing or wrong.
    pub const UNAUTHENTICATED: ErrorCode<'static> = ErrorCode { code: 401, reason: "Unauthenticated" };
    /// An attribute that must be understood was not.
    pub const UNKNOWN_ATTRIBUTE: ErrorCode<'static> = ErrorCode { code: 420, reason: "Unknown Attribute" };
    /// RFC 7675 section 5.2: the other side does not want to receive any more.
    pub const FORBIDDEN: ErrorCode<'static> = ErrorCode { code: 403, reason: "Forbidden" };
    /// Both agents claim the same role (RFC 8445 section 16.2).
    pub const ROLE_CONFLICT: ErrorCode<'static> = ErrorCode { code: 487, reason: "Role Conflict" };

    /// Reads the value.
    ///
    /// # Errors
    /// If it is too short or the code is none.
    pub fn parse(value: &'a [u8]) -> Result<Self, InvalidAttribute> {
        let invalid = InvalidAttribute { kind: AttributeType::ERROR_CODE, len: value.len() };
        let (&[_, _, class, number], reason) = value.split_first_chunk::<4>().ok_or(invalid)?;
        let class = class & 7;
        if !(3..=6).contains(&class) || number > 99 {
            return Err(invalid);
        }
        let code = u16::from(class) * 100 + u16::from(number);
        Ok(Self { code, reason: core::str::from_utf8(reason).unwrap_or_default() })
    }
}

/// The types in an UNKNOWN-ATTRIBUTES (RFC 8489 section 14.13).
#[derive(Clone, Debug)]
pub struct UnknownAttributes<'a>(&'a [u8]);

impl<'a> UnknownAttributes<'a> {
    /// Reads the value; an odd last byte is ignored.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self(value)
    }
}

impl Iterator for UnknownAttributes<'_> {
    type Item = AttributeType;

    fn next(&mut self) -> Option<AttributeType> {
        let (first, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(AttributeType(u16::from_be_bytes(*first)))
    }
}
