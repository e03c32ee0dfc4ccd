//! The Binding messages of a connectivity check (RFC 8445 sections 7.2.2, 7.3 and 16.1).

use std::net::SocketAddr;

use super::checks::Check;
use super::{Credentials, Role};
use crate::stun::{
    AttributeType, BufferTooSmall, Class, ErrorCode, IntegrityKey, Message, MessageWriter, Method, TransactionId,
    xor_address,
};

/// What a Binding request says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// The fragment of who is asked, and of who asks.
    pub(super) username: Option<(&'a str, &'a str)>,
    pub(super) priority: Option<u32>,
    pub(super) use_candidate: bool,
    /// Which nomination it is; the one with the highest number counts.
    pub(super) nomination: Option<u32>,
    /// The role that the sender claims, with its tie-breaker.
    pub(super) role: Option<(Role, u64)>,
    /// An attribute that we should understand and do not.
    pub(super) unknown: Option<AttributeType>,
}

impl<'a> Request<'a> {
    /// Reads the attributes; none if a value makes no sense.
    pub(super) fn read(message: &Message<'a>) -> Option<Self> {
        let mut request =
            Self { username: None, priority: None, use_candidate: false, nomination: None, role: None, unknown: None };
        for attribute in message.attributes() {
            let value = attribute.value;
            match attribute.kind {
                AttributeType::USERNAME => {
                    let text = core::str::from_utf8(value).ok()?;
                    request.username = request.username.or(text.split_once(':'));
                }
                AttributeType::PRIORITY => {
                    request.priority = request.priority.or(Some(u32::from_be_bytes(value.try_into().ok()?)));
                }
                AttributeType::USE_CANDIDATE => request.use_candidate = true,
                AttributeType::NOMINATION => {
                    request.nomination = request.nomination.or(Some(u32::from_be_bytes(value.try_into().ok()?)));
                }
                kind @ (AttributeType::ICE_CONTROLLING | AttributeType::ICE_CONTROLLED) => {
                    let role =
                        if kind == AttributeType::ICE_CONTROLLING { Role::Controlling } else { Role::Controlled };
                    request.role = request.role.or(Some((role, u64::from_be_bytes(value.try_into().ok()?))));
                }
                kind if kind.must_be_understood() => request.unknown = request.unknown.or(Some(kind)),
                _ => {}
            }
        }
        Some(request)
    }
}

/// The address in a success response as its sender saw us; none if there is none.
pub(super) fn mapped_address(message: &Message<'_>) -> Option<SocketAddr> {
    let kind = AttributeType::XOR_MAPPED_ADDRESS;
    xor_address(kind, message.get(kind)?, message.transaction_id()).ok()
}

/// Writes a check.
pub(super) fn write_request(
    buf: &mut [u8],
    id: TransactionId,
    check: &Check,
    local: &Credentials,
    remote: (&Credentials, &IntegrityKey),
) -> Result<usize, BufferTooSmall> {
    let (remote, key) = remote;
    let role = match check.role {
        Role::Controlling => AttributeType::ICE_CONTROLLING,
        Role::Controlled => AttributeType::ICE_CONTROLLED,
    };
    let mut writer = MessageWriter::new(buf, Class::Request, Method::BINDING, id);
    writer
        .username(remote.ufrag(), local.ufrag())
        .attribute(AttributeType::PRIORITY, &check.priority.to_be_bytes())
        .attribute(role, &check.tie_breaker.to_be_bytes());
    if check.use_candidate {
        writer.attribute(AttributeType::USE_CANDIDATE, &[]);
    }
    if let Some(nomination) = check.nomination {
        writer.attribute(AttributeType::NOMINATION, &nomination.to_be_bytes());
    }
    writer.integrity(key);
    writer.finish_with_fingerprint()
}

/// Writes a success response that tells the other side its address.
pub(super) fn write_success(
    buf: &mut [u8],
    id: TransactionId,
    mapped: SocketAddr,
    key: &IntegrityKey,
) -> Result<usize, BufferTooSmall> {
    let mut writer = MessageWriter::new(buf, Class::Success, Method::BINDING, id);
    writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, mapped).integrity(key);
    writer.finish_with_fingerprint()
}

/// Writes an error response.
pub(super) fn write_error(
    buf: &mut [u8],
    id: TransactionId,
    error: ErrorCode<'_>,
    unknown: Option<AttributeType>,
    key: &IntegrityKey,
) -> Result<usize, BufferTooSmall> {
    let mut writer = MessageWriter::new(buf, Class::Error, Method::BINDING, id);
    writer.error_code(error);
    if let Some(kind) = unknown {
        writer.attribute(AttributeType::UNKNOWN_ATTRIBUTES, &kind.0.to_be_bytes());
    }
    writer.integrity(key);
    writer.finish_with_fingerprint()
}
