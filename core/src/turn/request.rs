//! The messages of a client, written (RFC 8656 sections 7 to 12).

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use super::streams::ConnectionId;
use super::terms::{Terms, write_lifetime};
use super::{Config, DataStream, Relay};
use crate::stun::{
    AttributeType, Authentication, BufferTooSmall, Class, HEADER_LEN, Message, MessageWriter, Method, TransactionId,
    xor_address,
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
    /// To have the server connect to this peer.
    Connect(DataStream, SocketAddr),
    /// To join this stream with the connection to a peer.
    Join(DataStream, ConnectionId),
}

impl Purpose {
    pub(super) fn method(self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh | Self::Release => Method::REFRESH,
            Self::Permit(_) => Method::CREATE_PERMISSION,
            Self::Bind(..) => Method::CHANNEL_BIND,
            Self::Connect(..) => Method::CONNECT,
            Self::Join(..) => Method::CONNECTION_BIND,
        }
    }

    /// The data stream that the request goes into, and the answer comes from; none where that is the server's own.
    pub(super) fn stream(self) -> Option<DataStream> {
        match self {
            Self::Join(stream, _) => Some(stream),
            _ => None,
        }
    }
}

/// The longest request: SOFTWARE, REALM and NONCE of 763 bytes each, USERNAME of 508, 256 bytes of PASSWORD-ALGORITHMS,
/// and the small ones.
pub(super) const MAX_REQUEST: usize = 4096;

/// Writes a request; signed, if the server has asked for that.
pub(super) fn write_request(
    purpose: Purpose,
    id: TransactionId,
    config: &Config,
    terms: &Terms,
    authentication: Option<&Authentication>,
) -> Vec<u8> {
    let mut buf = vec![0; MAX_REQUEST];
    let mut writer = MessageWriter::new(&mut buf, Class::Request, purpose.method(), id);
    terms.write_software(&mut writer, config);
    match purpose {
        Purpose::Allocate => {
            let protocol = match config.relay {
                Relay::Udp => 17,
                Relay::Tcp => 6,
            };
            writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0]);
            terms.write(&mut writer, config);
        }
        Purpose::Refresh => terms.write_lifetime(&mut writer, config),
        Purpose::Release => write_lifetime(&mut writer, Duration::ZERO),
        Purpose::Permit(peer) => {
            // The port does not matter to the server (RFC 8656 section 10.1).
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, SocketAddr::new(peer, 0));
        }
        Purpose::Connect(_, peer) => {
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        }
        Purpose::Join(_, id) => {
            writer.attribute(AttributeType::CONNECTION_ID, &id.0);
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

/// Makes a Send indication of the `len` bytes that stand [`indication_header_len`] into `buf` (RFC 8656 section 11.1).
pub(super) fn write_send_indication(
    buf: &mut [u8],
    id: TransactionId,
    peer: SocketAddr,
    len: usize,
) -> Result<usize, BufferTooSmall> {
    let mut writer = MessageWriter::new(buf, Class::Indication, Method::SEND, id);
    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer).attribute_in_place(AttributeType::DATA, len);
    writer.finish()
}

/// What a Send indication has before its data: the header, the peer's address, the header of DATA.
pub(super) const fn indication_header_len(peer: SocketAddr) -> usize {
    HEADER_LEN + if peer.is_ipv4() { 12 } else { 24 } + 4
}

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
