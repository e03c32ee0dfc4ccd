//! Two codecs, one wire: what `frazil::stun` writes, `stun-types` reads, and the other way round.

mod turn;

use std::net::{IpAddr, SocketAddr};

use frazil::stun::{
    AttributeType, Class, ErrorCode, IntegrityKey, Message, MessageWriter, Method, TransactionId, xor_address,
};
use frazil_conformance::seeds;
use stun_types::attribute::{self as theirs_attribute, RawAttribute, XorMappedAddress};
use stun_types::message::{
    self as theirs, IntegrityAlgorithm, MessageClass, MessageIntegrityCredentials, MessageType, MessageWriteVec,
    ShortTermCredentials,
};
use stun_types::prelude::*;

/// A message as neither codec sees it.
struct Sample {
    class: Class,
    method: u16,
    id: [u8; 12],
    /// In any order; none of the types occurs twice.
    attributes: Vec<(u16, Vec<u8>)>,
    address: SocketAddr,
    error: (u16, String),
    password: Option<String>,
    fingerprint: bool,
}

impl Sample {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let mut attributes: Vec<(u16, Vec<u8>)> = Vec::new();
        for _ in 0..rng.usize(..8) {
            // Neither those that the codecs write themselves nor those that end a message.
            let kind = rng.u16(..);
            let reserved = matches!(kind, 0x0008 | 0x0009 | 0x001C | 0x0020 | 0x8028);
            if !reserved && attributes.iter().all(|(other, _)| *other != kind) {
                let len = if rng.u8(..8) == 0 { rng.usize(..600) } else { rng.usize(..40) };
                attributes.push((kind, core::iter::repeat_with(|| rng.u8(..)).take(len).collect()));
            }
        }
        let text = |rng: &mut fastrand::Rng, len| core::iter::repeat_with(|| rng.alphanumeric()).take(len).collect();
        let (reason_len, password_len) = (rng.usize(..60), rng.usize(22..=256));
        Self {
            class: [Class::Request, Class::Indication, Class::Success, Class::Error][rng.usize(..4)],
            method: rng.u16(..1 << 12),
            id: rng.u128(..).to_be_bytes()[4..].try_into().unwrap(),
            attributes,
            address: random_address(rng),
            error: (rng.u16(300..700), text(rng, reason_len)),
            password: rng.bool().then(|| text(rng, password_len)),
            fingerprint: rng.bool(),
        }
    }

    fn their_class(&self) -> MessageClass {
        their_class(self.class)
    }

    fn their_id(&self) -> theirs::TransactionId {
        their_id(self.id)
    }

    fn written_by_us(&self) -> Vec<u8> {
        let mut buffer = vec![0xEE; 8192];
        let method = Method::new(self.method).unwrap();
        let mut writer = MessageWriter::new(&mut buffer, self.class, method, TransactionId(self.id));
        for (kind, value) in &self.attributes {
            writer.attribute(AttributeType(*kind), value);
        }
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, self.address);
        writer.error_code(ErrorCode { code: self.error.0, reason: &self.error.1 });
        if let Some(password) = &self.password {
            writer.integrity(&IntegrityKey::new(password.as_bytes()));
        }
        let len = if self.fingerprint { writer.finish_with_fingerprint() } else { writer.finish() }.unwrap();
        buffer.truncate(len);
        buffer
    }

    fn written_by_them(&self) -> Vec<u8> {
        let kind = MessageType::from_class_method(self.their_class(), theirs::Method::new(self.method));
        let mut message = theirs::Message::builder(kind, self.their_id(), MessageWriteVec::new());
        for (kind, value) in &self.attributes {
            message.add_attribute(&RawAttribute::new((*kind).into(), value)).unwrap();
        }
        message.add_attribute(&XorMappedAddress::new(self.address, self.their_id())).unwrap();
        message.add_attribute(&theirs_attribute::ErrorCode::new(self.error.0, &self.error.1).unwrap()).unwrap();
        if let Some(password) = &self.password {
            message.add_message_integrity(&credentials(password), IntegrityAlgorithm::Sha1).unwrap();
        }
        if self.fingerprint {
            message.add_fingerprint().unwrap();
        }
        message.finish()
    }

    fn assert_they_read(&self, bytes: &[u8]) {
        let message = theirs::Message::from_bytes(bytes).unwrap();
        assert_eq!((message.class(), message.method().value()), (self.their_class(), self.method));
        assert_eq!(message.transaction_id(), self.their_id());
        for (kind, value) in &self.attributes {
            assert_eq!(&*message.raw_attribute((*kind).into()).unwrap().value, value.as_slice());
        }
        assert_eq!(message.attribute::<XorMappedAddress>().unwrap().addr(self.their_id()), self.address);
        let error = message.attribute::<theirs_attribute::ErrorCode>().unwrap();
        assert_eq!((error.code(), error.reason()), (self.error.0, self.error.1.as_str()));
        assert_eq!(message.has_attribute(theirs_attribute::Fingerprint::TYPE), self.fingerprint);
        match &self.password {
            Some(password) => assert!(message.validate_integrity(&credentials(password)).is_ok()),
            None => assert!(message.validate_integrity(&credentials("")).is_err()),
        }
    }

    fn assert_we_read(&self, bytes: &[u8]) {
        let message = Message::parse(bytes).unwrap();
        assert_eq!((message.class(), message.method().number()), (self.class, self.method));
        assert_eq!(message.transaction_id(), TransactionId(self.id));
        let read: Vec<(u16, &[u8])> = message.attributes().map(|a| (a.kind.0, a.value)).collect();
        let (ours, last_two) = read.split_at(self.attributes.len());
        assert!(ours.iter().copied().eq(self.attributes.iter().map(|(kind, value)| (*kind, value.as_slice()))));
        assert_eq!(last_two.len(), 2);
        let kind = AttributeType::XOR_MAPPED_ADDRESS;
        assert_eq!(xor_address(kind, message.get(kind).unwrap(), message.transaction_id()), Ok(self.address));
        let error = ErrorCode { code: self.error.0, reason: &self.error.1 };
        assert_eq!(ErrorCode::parse(message.get(AttributeType::ERROR_CODE).unwrap()), Ok(error));
        assert_eq!(message.has_valid_fingerprint(), self.fingerprint);
        assert_eq!(message.has_integrity(), self.password.is_some());
        if let Some(password) = &self.password {
            assert_eq!(message.check_integrity(&IntegrityKey::new(password.as_bytes())), Ok(()));
        }
    }
}

fn random_address(rng: &mut fastrand::Rng) -> SocketAddr {
    let ip =
        if rng.bool() { IpAddr::from(rng.u32(..).to_be_bytes()) } else { IpAddr::from(rng.u128(..).to_be_bytes()) };
    SocketAddr::new(ip, rng.u16(..))
}

fn their_class(class: Class) -> MessageClass {
    match class {
        Class::Request => MessageClass::Request,
        Class::Indication => MessageClass::Indication,
        Class::Success => MessageClass::Success,
        Class::Error => MessageClass::Error,
    }
}

fn their_id(id: [u8; 12]) -> theirs::TransactionId {
    let mut wide = [0; 16];
    wide[4..].copy_from_slice(&id);
    u128::from_be_bytes(wide).into()
}

fn credentials(password: &str) -> MessageIntegrityCredentials {
    ShortTermCredentials::new(password.to_owned()).into()
}

#[test]
fn each_codec_reads_what_the_other_writes() {
    seeds::check("stun_codec", "each_codec_reads_what_the_other_writes", 2_000, |seed| {
        let sample = Sample::random(&mut fastrand::Rng::with_seed(seed));
        let ours = sample.written_by_us();
        assert_eq!(ours, sample.written_by_them(), "one message has one form");
        sample.assert_they_read(&ours);
        sample.assert_we_read(&ours);
    });
}

#[test]
fn no_flipped_bit_passes_the_integrity_check() {
    seeds::check("stun_codec", "no_flipped_bit_passes_the_integrity_check", 2_000, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let password = "a password of enough length";
        let sample = Sample { password: Some(password.to_owned()), fingerprint: false, ..Sample::random(&mut rng) };
        let mut bytes = sample.written_by_us();
        let bit = rng.usize(..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(message) = Message::parse(&bytes) {
            assert!(message.check_integrity(&IntegrityKey::new(password.as_bytes())).is_err(), "bit {bit}");
        }
    });
}
