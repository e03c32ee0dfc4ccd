//! The messages of TURN, with the attributes of RFC 8656, RFC 6062 and the long-term credentials of RFC 8489, as
//! `turn-types` and `stun-types` write and read them.

use std::net::SocketAddr;

use frazil::stun::{
    AttributeType, Class, ErrorCode, IntegrityKey, IntegrityKeySha256, LongTermCredentials, LongTermKey, Message,
    MessageWriter, Method, PasswordAlgorithm, TransactionId, UnknownAttributes, plain_address, userhash, xor_address,
};
use frazil_conformance::seeds;
use stun_types::attribute::{self as stun, AttributeWrite, PasswordAlgorithmValue};
use stun_types::message::{
    self as theirs, IntegrityAlgorithm, LongTermKeyCredentials, MessageIntegrityCredentials, MessageType,
    MessageWriteVec,
};
use stun_types::prelude::*;
use turn_types::AddressFamily;
use turn_types::attribute as turn;

use crate::{random_address, their_class, their_id};

/// What an attribute says.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Says {
    Number(u32),
    Token(u64),
    Flag(bool),
    Nothing,
    Address(SocketAddr),
    /// Whether it is IPv4.
    Family(bool),
    Bytes(Vec<u8>),
    Text(String),
    Error(u16, String),
    FamilyError(bool, u16, String),
    Types(Vec<u16>),
    Algorithms(Vec<PasswordAlgorithm>),
}

/// Each attribute that is tried, with what it can say: how it is drawn.
type Draw = fn(&mut fastrand::Rng) -> Says;

const KINDS: [(AttributeType, Draw); 23] = [
    (AttributeType::CHANNEL_NUMBER, |rng| Says::Number(rng.u32(0x4000..0x5000))),
    (AttributeType::LIFETIME, |rng| Says::Number(rng.u32(..))),
    (AttributeType::XOR_PEER_ADDRESS, |rng| Says::Address(random_address(rng))),
    (AttributeType::XOR_RELAYED_ADDRESS, |rng| Says::Address(random_address(rng))),
    (AttributeType::XOR_MAPPED_ADDRESS, |rng| Says::Address(random_address(rng))),
    (AttributeType::ALTERNATE_SERVER, |rng| Says::Address(random_address(rng))),
    (AttributeType::DATA, |rng| {
        let len = rng.usize(..1300);
        Says::Bytes(core::iter::repeat_with(|| rng.u8(..)).take(len).collect())
    }),
    (AttributeType::REQUESTED_ADDRESS_FAMILY, |rng| Says::Family(rng.bool())),
    (AttributeType::ADDITIONAL_ADDRESS_FAMILY, |_| Says::Family(false)),
    (AttributeType::ADDRESS_ERROR_CODE, |rng| Says::FamilyError(rng.bool(), rng.u16(300..700), text(rng, 0..60))),
    (AttributeType::EVEN_PORT, |rng| Says::Flag(rng.bool())),
    (AttributeType::REQUESTED_TRANSPORT, |rng| Says::Number(rng.u32(..256))),
    (DONT_FRAGMENT, |_| Says::Nothing),
    (AttributeType::RESERVATION_TOKEN, |rng| Says::Token(rng.u64(..))),
    (AttributeType::CONNECTION_ID, |rng| Says::Number(rng.u32(..))),
    (AttributeType::USERNAME, |rng| Says::Text(text(rng, 1..500))),
    (AttributeType::REALM, |rng| Says::Text(text(rng, 0..128))),
    (AttributeType::NONCE, |rng| Says::Text(text(rng, 0..128))),
    (AttributeType::SOFTWARE, |rng| Says::Text(text(rng, 0..128))),
    (AttributeType::ALTERNATE_DOMAIN, |rng| Says::Text(text(rng, 0..255))),
    (AttributeType::ERROR_CODE, |rng| Says::Error(rng.u16(300..700), text(rng, 0..60))),
    (AttributeType::UNKNOWN_ATTRIBUTES, |rng| {
        let mut types: Vec<u16> = core::iter::repeat_with(|| rng.u16(..)).take(5).collect();
        types.dedup();
        Says::Types(types)
    }),
    (AttributeType::PASSWORD_ALGORITHMS, |rng| {
        let (algorithms, count) = ([PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5], rng.usize(1..4));
        Says::Algorithms(core::iter::repeat_with(|| algorithms[rng.usize(..2)]).take(count).collect())
    }),
];

/// We do not send it.
const DONT_FRAGMENT: AttributeType = AttributeType(0x001A);

const METHODS: [Method; 11] = [
    Method::BINDING,
    Method::ALLOCATE,
    Method::REFRESH,
    Method::SEND,
    Method::DATA,
    Method::CREATE_PERMISSION,
    Method::CHANNEL_BIND,
    Method::CONNECT,
    Method::CONNECTION_BIND,
    Method::CONNECTION_ATTEMPT,
    match Method::new(0xFFF) {
        Some(method) => method,
        None => unreachable!(),
    },
];

fn text(rng: &mut fastrand::Rng, len: core::ops::Range<usize>) -> String {
    let len = rng.usize(len);
    core::iter::repeat_with(|| rng.alphanumeric()).take(len).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Signed {
    No,
    Sha1,
    Sha256,
    Twice,
}

#[derive(Debug)]
struct Sample {
    class: Class,
    method: Method,
    id: [u8; 12],
    attributes: Vec<(AttributeType, Says)>,
    signed: Signed,
    /// Name, password and realm.
    user: [String; 3],
    has_fingerprint: bool,
}

impl Sample {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let mut kinds = KINDS;
        rng.shuffle(&mut kinds);
        let count = rng.usize(..10);
        Self {
            class: [Class::Request, Class::Indication, Class::Success, Class::Error][rng.usize(..4)],
            method: METHODS[rng.usize(..METHODS.len())],
            id: rng.u128(..).to_be_bytes()[4..].try_into().unwrap(),
            attributes: kinds[..count].iter().map(|(kind, draw)| (*kind, draw(rng))).collect(),
            signed: [Signed::No, Signed::Sha1, Signed::Sha256, Signed::Twice][rng.usize(..4)],
            user: [(); 3].map(|()| text(rng, 1..100)),
            has_fingerprint: rng.bool(),
        }
    }

    fn our_key(&self, algorithm: PasswordAlgorithm) -> Vec<u8> {
        let [name, password, realm] = &self.user;
        algorithm.key(&LongTermCredentials::new(name, password).unwrap(), realm.as_bytes())
    }

    fn their_key(&self) -> MessageIntegrityCredentials {
        let [name, password, realm] = self.user.clone();
        LongTermKeyCredentials::new(name, password, realm).into()
    }

    fn sha1(&self) -> IntegrityKey {
        IntegrityKey::new(&self.our_key(PasswordAlgorithm::Md5))
    }

    fn sha256(&self) -> IntegrityKeySha256 {
        IntegrityKeySha256::new(&self.our_key(PasswordAlgorithm::Sha256))
    }

    fn written_by_us(&self) -> Vec<u8> {
        let mut buffer = vec![0xEE; 8192];
        let mut writer = MessageWriter::new(&mut buffer, self.class, self.method, TransactionId(self.id));
        for (kind, says) in &self.attributes {
            write_ours(&mut writer, *kind, says);
        }
        if matches!(self.signed, Signed::Sha1 | Signed::Twice) {
            writer.integrity(&self.sha1());
        }
        if matches!(self.signed, Signed::Sha256 | Signed::Twice) {
            writer.integrity_sha256(&self.sha256());
        }
        let len = if self.has_fingerprint { writer.finish_with_fingerprint() } else { writer.finish() }.unwrap();
        buffer.truncate(len);
        buffer
    }

    fn written_by_them(&self) -> Vec<u8> {
        let kind = MessageType::from_class_method(their_class(self.class), theirs::Method::new(self.method.number()));
        let id = their_id(self.id);
        let mut message = theirs::Message::builder(kind, id, MessageWriteVec::new());
        for (kind, says) in &self.attributes {
            message.add_attribute(&*their_attribute(*kind, says, id)).unwrap();
        }
        if matches!(self.signed, Signed::Sha1 | Signed::Twice) {
            message.add_message_integrity(&self.their_key(), IntegrityAlgorithm::Sha1).unwrap();
        }
        if matches!(self.signed, Signed::Sha256 | Signed::Twice) {
            message.add_message_integrity(&self.their_key(), IntegrityAlgorithm::Sha256).unwrap();
        }
        if self.has_fingerprint {
            message.add_fingerprint().unwrap();
        }
        message.finish()
    }

    fn assert_we_read(&self, bytes: &[u8]) {
        let message = Message::parse(bytes).unwrap();
        assert_eq!((message.class(), message.method()), (self.class, self.method));
        assert_eq!(message.transaction_id(), TransactionId(self.id));
        let read: Vec<(AttributeType, Says)> = message
            .attributes()
            .zip(&self.attributes)
            .map(|(read, (_, as_this))| (read.kind, read_by_us(read.kind, read.value, as_this, self.id)))
            .collect();
        assert_eq!((&read, message.attributes().count()), (&self.attributes, read.len()));
        assert_eq!(message.has_fingerprint(), self.has_fingerprint);
        assert_eq!(message.has_valid_fingerprint(), self.has_fingerprint);
        let has_sha1 = matches!(self.signed, Signed::Sha1 | Signed::Twice);
        let has_sha256 = matches!(self.signed, Signed::Sha256 | Signed::Twice);
        assert_eq!(LongTermKey::Sha1(self.sha1()).check(&message).is_ok(), has_sha1);
        assert_eq!(LongTermKey::Sha256(self.sha256()).check(&message).is_ok(), has_sha256);
    }

    fn assert_they_read(&self, bytes: &[u8]) {
        let message = theirs::Message::from_bytes(bytes).unwrap();
        assert_eq!((message.class(), message.method().value()), (their_class(self.class), self.method.number()));
        let id = their_id(self.id);
        assert_eq!(message.transaction_id(), id);
        for (kind, says) in &self.attributes {
            assert_eq!(read_by_them(&message, *kind, says, id), *says, "{kind}");
        }
        assert_eq!(message.has_attribute(stun::Fingerprint::TYPE), self.has_fingerprint);
        let algorithm = match self.signed {
            Signed::No => None,
            Signed::Sha1 => Some(IntegrityAlgorithm::Sha1),
            Signed::Sha256 | Signed::Twice => Some(IntegrityAlgorithm::Sha256),
        };
        assert_eq!(message.validate_integrity(&self.their_key()).ok(), algorithm);
    }
}

fn write_ours(writer: &mut MessageWriter<'_>, kind: AttributeType, says: &Says) {
    let family = |v4: &bool| if *v4 { 1 } else { 2 };
    match says {
        Says::Address(address) if kind == AttributeType::ALTERNATE_SERVER => {
            let mut value = vec![0, family(&address.is_ipv4())];
            value.extend(address.port().to_be_bytes());
            match address {
                SocketAddr::V4(address) => value.extend(address.ip().octets()),
                SocketAddr::V6(address) => value.extend(address.ip().octets()),
            }
            writer.attribute(kind, &value)
        }
        Says::Address(address) => writer.xor_address(kind, *address),
        Says::Number(number) => match kind {
            AttributeType::CHANNEL_NUMBER => writer.attribute(kind, &(number << 16).to_be_bytes()),
            AttributeType::REQUESTED_TRANSPORT => writer.attribute(kind, &(number << 24).to_be_bytes()),
            _ => writer.attribute(kind, &number.to_be_bytes()),
        },
        Says::Token(token) => writer.attribute(kind, &token.to_be_bytes()),
        Says::Flag(flag) => writer.attribute(kind, &[u8::from(*flag) << 7]),
        Says::Nothing => writer.attribute(kind, &[]),
        Says::Family(v4) => writer.attribute(kind, &[family(v4), 0, 0, 0]),
        Says::Bytes(bytes) => writer.attribute(kind, bytes),
        Says::Text(text) => writer.attribute(kind, text.as_bytes()),
        Says::Error(code, reason) => writer.error_code(ErrorCode { code: *code, reason }),
        Says::FamilyError(v4, code, reason) => {
            let head = [family(v4), 0, (code / 100) as u8, (code % 100) as u8];
            writer.attribute(kind, &[&head, reason.as_bytes()].concat())
        }
        Says::Types(types) => {
            let value: Vec<u8> = types.iter().flat_map(|kind| kind.to_be_bytes()).collect();
            writer.attribute(kind, &value)
        }
        Says::Algorithms(algorithms) => {
            let value: Vec<u8> = algorithms.iter().flat_map(|one| [0, one.number() as u8, 0, 0]).collect();
            writer.attribute(kind, &value)
        }
    };
}

fn read_by_us(kind: AttributeType, value: &[u8], as_this: &Says, id: [u8; 12]) -> Says {
    let number = || u32::from_be_bytes(value.try_into().unwrap());
    let text = || String::from_utf8(value.to_vec()).unwrap();
    match as_this {
        Says::Address(_) if kind == AttributeType::ALTERNATE_SERVER => {
            Says::Address(plain_address(kind, value).unwrap())
        }
        Says::Address(_) => Says::Address(xor_address(kind, value, TransactionId(id)).unwrap()),
        Says::Number(_) => match kind {
            AttributeType::CHANNEL_NUMBER => Says::Number(number() >> 16),
            AttributeType::REQUESTED_TRANSPORT => Says::Number(number() >> 24),
            _ => Says::Number(number()),
        },
        Says::Token(_) => Says::Token(u64::from_be_bytes(value.try_into().unwrap())),
        Says::Flag(_) => Says::Flag(value[0] >> 7 == 1),
        Says::Nothing => Says::Nothing,
        Says::Family(_) => Says::Family(value[0] == 1),
        Says::Bytes(_) => Says::Bytes(value.to_vec()),
        Says::Text(_) => Says::Text(text()),
        Says::Error(..) => {
            let error = ErrorCode::parse(value).unwrap();
            Says::Error(error.code, error.reason.to_owned())
        }
        Says::FamilyError(..) => {
            let error = ErrorCode::parse(value).unwrap();
            Says::FamilyError(value[0] == 1, error.code, error.reason.to_owned())
        }
        Says::Types(_) => Says::Types(UnknownAttributes::new(value).map(|kind| kind.0).collect()),
        Says::Algorithms(_) => {
            let read = |chunk: &[u8]| PasswordAlgorithm::from_number(u16::from_be_bytes([chunk[0], chunk[1]])).unwrap();
            Says::Algorithms(value.chunks(4).map(read).collect())
        }
    }
}

fn their_family(v4: bool) -> AddressFamily {
    if v4 { AddressFamily::IPV4 } else { AddressFamily::IPV6 }
}

fn their_attribute(kind: AttributeType, says: &Says, id: theirs::TransactionId) -> Box<dyn AttributeWrite> {
    match (kind, says.clone()) {
        (AttributeType::CHANNEL_NUMBER, Says::Number(number)) => Box::new(turn::ChannelNumber::new(number as u16)),
        (AttributeType::LIFETIME, Says::Number(number)) => Box::new(turn::Lifetime::new(number)),
        (AttributeType::REQUESTED_TRANSPORT, Says::Number(number)) => {
            Box::new(turn::RequestedTransport::new(number as u8))
        }
        (AttributeType::CONNECTION_ID, Says::Number(number)) => Box::new(turn::ConnectionId::new(number)),
        (AttributeType::XOR_PEER_ADDRESS, Says::Address(address)) => Box::new(turn::XorPeerAddress::new(address, id)),
        (AttributeType::XOR_RELAYED_ADDRESS, Says::Address(address)) => {
            Box::new(turn::XorRelayedAddress::new(address, id))
        }
        (AttributeType::XOR_MAPPED_ADDRESS, Says::Address(address)) => {
            Box::new(stun::XorMappedAddress::new(address, id))
        }
        (AttributeType::ALTERNATE_SERVER, Says::Address(address)) => Box::new(stun::AlternateServer::new(address)),
        (AttributeType::REQUESTED_ADDRESS_FAMILY, Says::Family(v4)) => {
            Box::new(turn::RequestedAddressFamily::new(their_family(v4)))
        }
        (AttributeType::ADDITIONAL_ADDRESS_FAMILY, Says::Family(v4)) => {
            Box::new(turn::AdditionalAddressFamily::new(their_family(v4)))
        }
        (_, Says::FamilyError(v4, code, reason)) => {
            let error = stun::ErrorCode::new(code, &reason).unwrap();
            Box::new(turn::AddressErrorCode::new(their_family(v4), error))
        }
        (_, Says::Error(code, reason)) => Box::new(stun::ErrorCode::new(code, &reason).unwrap()),
        (_, Says::Flag(flag)) => Box::new(turn::EvenPort::new(flag)),
        (_, Says::Nothing) => Box::new(turn::DontFragment::new()),
        (_, Says::Token(token)) => Box::new(turn::ReservationToken::new(token)),
        (_, Says::Bytes(bytes)) => Box::new(stun::RawAttribute::new_owned(kind.0.into(), bytes.into_boxed_slice())),
        (AttributeType::USERNAME, Says::Text(text)) => Box::new(stun::Username::new(&text).unwrap()),
        (AttributeType::REALM, Says::Text(text)) => Box::new(stun::Realm::new(&text).unwrap()),
        (AttributeType::NONCE, Says::Text(text)) => Box::new(stun::Nonce::new(&text).unwrap()),
        (AttributeType::SOFTWARE, Says::Text(text)) => Box::new(stun::Software::new(&text).unwrap()),
        (AttributeType::ALTERNATE_DOMAIN, Says::Text(text)) => Box::new(stun::AlternateDomain::new(&text)),
        (_, Says::Types(types)) => {
            let types: Vec<stun::AttributeType> = types.into_iter().map(Into::into).collect();
            Box::new(stun::UnknownAttributes::new(&types))
        }
        (_, Says::Algorithms(algorithms)) => {
            let value = |one: &PasswordAlgorithm| match one {
                PasswordAlgorithm::Md5 => PasswordAlgorithmValue::MD5,
                PasswordAlgorithm::Sha256 => PasswordAlgorithmValue::SHA256,
            };
            Box::new(stun::PasswordAlgorithms::new(&algorithms.iter().map(value).collect::<Vec<_>>()))
        }
        (kind, says) => unreachable!("{kind} does not say {says:?}"),
    }
}

fn read_by_them(message: &theirs::Message<'_>, kind: AttributeType, says: &Says, id: theirs::TransactionId) -> Says {
    let v4 = |family| family == AddressFamily::IPV4;
    match (kind, says) {
        (AttributeType::CHANNEL_NUMBER, _) => {
            Says::Number(message.attribute::<turn::ChannelNumber>().unwrap().channel().into())
        }
        (AttributeType::LIFETIME, _) => Says::Number(message.attribute::<turn::Lifetime>().unwrap().seconds()),
        (AttributeType::REQUESTED_TRANSPORT, _) => {
            Says::Number(message.attribute::<turn::RequestedTransport>().unwrap().protocol().into())
        }
        (AttributeType::CONNECTION_ID, _) => Says::Number(message.attribute::<turn::ConnectionId>().unwrap().id()),
        (AttributeType::XOR_PEER_ADDRESS, _) => {
            Says::Address(message.attribute::<turn::XorPeerAddress>().unwrap().addr(id))
        }
        (AttributeType::XOR_RELAYED_ADDRESS, _) => {
            Says::Address(message.attribute::<turn::XorRelayedAddress>().unwrap().addr(id))
        }
        (AttributeType::XOR_MAPPED_ADDRESS, _) => {
            Says::Address(message.attribute::<stun::XorMappedAddress>().unwrap().addr(id))
        }
        (AttributeType::ALTERNATE_SERVER, _) => {
            Says::Address(message.attribute::<stun::AlternateServer>().unwrap().server())
        }
        (AttributeType::REQUESTED_ADDRESS_FAMILY, _) => {
            Says::Family(v4(message.attribute::<turn::RequestedAddressFamily>().unwrap().family()))
        }
        (AttributeType::ADDITIONAL_ADDRESS_FAMILY, _) => {
            Says::Family(v4(message.attribute::<turn::AdditionalAddressFamily>().unwrap().family()))
        }
        (_, Says::FamilyError(..)) => {
            let read = message.attribute::<turn::AddressErrorCode>().unwrap();
            Says::FamilyError(v4(read.family()), read.error().code(), read.error().reason().to_owned())
        }
        (_, Says::Error(..)) => {
            let read = message.attribute::<stun::ErrorCode>().unwrap();
            Says::Error(read.code(), read.reason().to_owned())
        }
        (_, Says::Flag(_)) => Says::Flag(message.attribute::<turn::EvenPort>().unwrap().requested()),
        (_, Says::Nothing) => message.attribute::<turn::DontFragment>().map(|_| Says::Nothing).unwrap(),
        (_, Says::Token(_)) => Says::Token(message.attribute::<turn::ReservationToken>().unwrap().token()),
        (_, Says::Bytes(_)) => Says::Bytes(message.attribute::<turn::Data<'_>>().unwrap().data().to_vec()),
        (AttributeType::USERNAME, _) => Says::Text(message.attribute::<stun::Username>().unwrap().username().into()),
        (AttributeType::REALM, _) => Says::Text(message.attribute::<stun::Realm>().unwrap().realm().into()),
        (AttributeType::NONCE, _) => Says::Text(message.attribute::<stun::Nonce>().unwrap().nonce().into()),
        (AttributeType::SOFTWARE, _) => Says::Text(message.attribute::<stun::Software>().unwrap().software().into()),
        (AttributeType::ALTERNATE_DOMAIN, _) => {
            Says::Text(message.attribute::<stun::AlternateDomain>().unwrap().domain().into())
        }
        (_, Says::Types(types)) => {
            let read = message.attribute::<stun::UnknownAttributes>().unwrap();
            Says::Types(types.iter().copied().filter(|kind| read.has_attribute((*kind).into())).collect())
        }
        (_, Says::Algorithms(_)) => {
            let read = message.attribute::<stun::PasswordAlgorithms>().unwrap();
            let ours = |one: &PasswordAlgorithmValue| match one {
                PasswordAlgorithmValue::MD5 => PasswordAlgorithm::Md5,
                PasswordAlgorithmValue::SHA256 => PasswordAlgorithm::Sha256,
            };
            Says::Algorithms(read.algorithms().iter().map(ours).collect())
        }
        (kind, says) => unreachable!("{kind} does not say {says:?}"),
    }
}

#[test]
fn each_codec_reads_what_the_other_writes_of_turn() {
    seeds::check("stun_codec", "each_codec_reads_what_the_other_writes_of_turn", 3_000, |seed| {
        let sample = Sample::random(&mut fastrand::Rng::with_seed(seed));
        let (ours, theirs) = (sample.written_by_us(), sample.written_by_them());
        assert_eq!(ours, theirs, "one message has one form");
        sample.assert_they_read(&ours);
        sample.assert_we_read(&theirs);
    });
}

#[test]
fn one_user_has_one_hash() {
    seeds::check("stun_codec", "one_user_has_one_hash", 300, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (name, realm) = (text(&mut rng, 1..400), text(&mut rng, 0..100));
        assert_eq!(userhash(&name, realm.as_bytes()), stun::Userhash::compute(&name, &realm));
    });
}
