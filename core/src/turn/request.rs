//! The messages of a client, written (RFC 8656 sections 7 to 12).

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use super::{Config, Family};
use crate::stun::{
    AttributeType, Authentication, BufferTooSmall, Class, Message, MessageWriter, Method, TransactionId, xor_address,
};

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To make the allocation.
    Allocate,
    /// To prolong it.
    Refresh,
    /// To give it back.
    Release,
    /// To make or prolong the permission of this peer.
    Permit(IpAddr),
    /// To bind this channel to this peer, or to prolong that.
    Bind(u16, SocketAddr),
}

impl Purpose {
    pub(super) fn method(self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh | Self::Release => Method::REFRESH,
            Self::Permit(_) => Method::CREATE_PERMISSION,
            Self::Bind(..) => Method::CHANNEL_BIND,
        }
    }
}

/// The longest request: SOFTWARE, REALM and NONCE of 763 bytes each, USERNAME of 508, 256 bytes of PASSWORD-ALGORITHMS,
/// and the small ones.
pub(super) const MAX_REQUEST: usize = 4096;

/// What coturn takes for ADDITIONAL-ADDRESS-FAMILY, and only that: the number that the drafts had before the registry
/// gave it one. Others ignore it, as they must what they do not know in that range.
const DRAFT_ADDITIONAL_ADDRESS_FAMILY: AttributeType = AttributeType(0x8032);

/// Writes a request; signed, if the server has asked for that.
pub(super) fn write_request(
    purpose: Purpose,
    id: TransactionId,
    config: &Config,
    authentication: Option<&Authentication>,
) -> Vec<u8> {
    let mut buf = vec![0; MAX_REQUEST];
    let mut writer = MessageWriter::new(&mut buf, Class::Request, purpose.method(), id);
    if let Some(software) = &config.software {
        writer.attribute(AttributeType::SOFTWARE, software.as_bytes());
    }
    match purpose {
        Purpose::Allocate => {
            const UDP: [u8; 4] = [17, 0, 0, 0];
            const IPV6: [u8; 4] = [2, 0, 0, 0];
            writer.attribute(AttributeType::REQUESTED_TRANSPORT, &UDP);
            match config.family {
                Family::Ipv4 => &mut writer,
                Family::Ipv6 => writer.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY, &IPV6),
                Family::Both => writer
                    .attribute(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &IPV6)
                    .attribute(DRAFT_ADDITIONAL_ADDRESS_FAMILY, &IPV6),
            };
            write_lifetime(&mut writer, config.lifetime);
        }
        Purpose::Refresh => write_lifetime(&mut writer, config.lifetime),
        Purpose::Release => write_lifetime(&mut writer, Some(Duration::ZERO)),
        Purpose::Permit(peer) => {
            // The port does not matter to the server (RFC 8656 section 10.1).
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, SocketAddr::new(peer, 0));
        }
        Purpose::Bind(number, peer) => {
            let [high, low] = number.to_be_bytes();
            writer
                .attribute(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0])
                .xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        }
    }
    if let Some(authentication) = authentication {
        authentication.sign(&mut writer);
    }
    let len = writer.finish().expect("no request is longer");
    buf.truncate(len);
    buf.shrink_to_fit();
    buf
}

fn write_lifetime(writer: &mut MessageWriter<'_>, lifetime: Option<Duration>) {
    if let Some(lifetime) = lifetime {
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        writer.attribute(AttributeType::LIFETIME, &seconds.to_be_bytes());
    }
}

/// Writes a Send indication (RFC 8656 section 11.1).
pub(super) fn write_send_indication(
    buf: &mut [u8],
    id: TransactionId,
    peer: SocketAddr,
    data: &[u8],
) -> Result<usize, BufferTooSmall> {
    let mut writer = MessageWriter::new(buf, Class::Indication, Method::SEND, id);
    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer).attribute(AttributeType::DATA, data);
    writer.finish()
}

/// The longest that [`write_send_indication`] adds: the header, an IPv6 address, the header and padding of DATA.
pub(super) const SEND_OVERHEAD: usize = 20 + 24 + 4 + 3;

/// Writes a Binding indication, which asks for nothing.
pub(super) fn write_keepalive(buf: &mut [u8], id: TransactionId) -> Result<usize, BufferTooSmall> {
    MessageWriter::new(buf, Class::Indication, Method::BINDING, id).finish()
}

/// The address in an attribute of an answer or indication; none if there is none that makes sense.
pub(super) fn address_in(message: &Message<'_>, kind: AttributeType) -> Option<SocketAddr> {
    xor_address(kind, message.get(kind)?, message.transaction_id()).ok()
}

/// LIFETIME; none if there is none that makes sense.
pub(super) fn lifetime_in(message: &Message<'_>) -> Option<Duration> {
    let seconds = message.get(AttributeType::LIFETIME)?.try_into().ok()?;
    Some(Duration::from_secs(u32::from_be_bytes(seconds).into()))
}
