//! A server that grants everything to the user that it knows.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use frazil::stun::{
    AttributeType, Class, ErrorCode, IntegrityKey, LongTermCredentials, Message, MessageWriter, Method,
    PasswordAlgorithm, TransactionId,
};

pub(crate) const LOCAL: SocketAddr = address([192, 0, 2, 1], 40_000);
pub(crate) const SERVER: SocketAddr = address([192, 0, 2, 2], 3478);
pub(crate) const PEER: SocketAddr = address([198, 51, 100, 1], 50_000);
const RELAYED: SocketAddr = address([192, 0, 2, 2], 60_000);

pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "secret";
const REALM: &[u8] = b"here";

const fn address([a, b, c, d]: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// How a datagram travels between client and server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Channel,
    Indication,
}

pub(crate) struct Server {
    key: IntegrityKey,
    /// The channel that was bound last.
    pub(crate) channel: u16,
}

impl Server {
    pub(crate) fn new() -> Self {
        let credentials = LongTermCredentials::new(USER, PASSWORD).expect("a name");
        Self { key: IntegrityKey::new(&PasswordAlgorithm::Md5.key(&credentials, REALM)), channel: 0 }
    }

    /// Answers a request; nothing else is answered.
    pub(crate) fn answer(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let request = Message::parse(request).ok().filter(|request| request.class() == Class::Request)?;
        let id = request.transaction_id();
        let mut buf = vec![0; 1000];
        if request.check_integrity(&self.key).is_err() {
            let mut answer = MessageWriter::new(&mut buf, Class::Error, request.method(), id);
            answer.error_code(ErrorCode { code: 401, reason: "Unauthorized" });
            answer.attribute(AttributeType::REALM, REALM).attribute(AttributeType::NONCE, b"0123456789abcdef");
            let len = answer.finish().ok()?;
            buf.truncate(len);
            return Some(buf);
        }
        if let Some(&[high, low, _, _]) = request.get(AttributeType::CHANNEL_NUMBER) {
            self.channel = u16::from_be_bytes([high, low]);
        }
        let mut answer = MessageWriter::new(&mut buf, Class::Success, request.method(), id);
        if request.method() == Method::ALLOCATE {
            answer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, RELAYED);
            answer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, LOCAL);
        }
        answer.attribute(AttributeType::LIFETIME, &600_u32.to_be_bytes());
        answer.integrity(&self.key);
        let len = answer.finish().ok()?;
        buf.truncate(len);
        Some(buf)
    }
}

/// What the server sends for a datagram of the peer's. What a client sends for one is as long.
pub(crate) fn frame_from_peer(form: Form, channel: u16, data: &[u8], transport: Transport) -> Vec<u8> {
    match form {
        Form::Channel => {
            let len = u16::try_from(data.len()).expect("a datagram");
            let mut frame = [&channel.to_be_bytes()[..], &len.to_be_bytes(), data].concat();
            if transport == Transport::Tcp {
                frame.resize(frame.len().next_multiple_of(4), 0);
            }
            frame
        }
        Form::Indication => {
            let mut frame = vec![0; data.len() + 100];
            let mut writer = MessageWriter::new(&mut frame, Class::Indication, Method::DATA, TransactionId([9; 12]));
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, PEER).attribute(AttributeType::DATA, data);
            let len = writer.finish().expect("there is room");
            frame.truncate(len);
            frame
        }
    }
}
