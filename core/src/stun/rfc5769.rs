//! The test vectors of RFC 5769 and of RFC 8489 appendix B, read and written byte for byte.

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::*;

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const ID: TransactionId = TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);

/// Section 2.1.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae\
    802200105354554e207465737420636c69656e74\
    002400046e0001ff\
    80290008932ff9b151263b36\
    000600096576746a3a68367659202020\
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2\
    80280004e57a3bcf";
/// Section 2.2.
const IPV4_RESPONSE: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae\
    8022000b7465737420766563746f7220\
    002000080001a147e112a643\
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7\
    80280004c07d4c96";
/// Section 2.3.
const IPV6_RESPONSE: &str = "010100482112a442b7e7a701bc34d686fa87dfae\
    8022000b7465737420766563746f7220\
    002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9\
    00080014a382954e4be67bf11784c97c8292c275bfe3ed41\
    80280004c8fb0b4c";
/// Section 2.4.
const LONG_TERM_REQUEST: &str = "000100602112a44278ad3433c6ad72c029da412e\
    00060012e3839ee38388e383aae38383e382afe382b90000\
    0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341\
    0014000b6578616d706c652e6f726700\
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

/// RFC 8489 appendix B.1 up to MESSAGE-INTEGRITY-SHA256.
///
/// The RFC prints the length 0x9c, which counts the header by mistake, and has it under the HMAC too. With the right
/// length the HMAC is another one; the two here were computed with Python's `hmac`, and the wrong one is the RFC's.
const SHA256_REQUEST: &str = "2112a44278ad3433c6ad72c029da412e\
    001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704\
    001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341000000\
    0014000b6578616d706c652e6f726700\
    001c0020";
const AS_PRINTED: (&str, &str) = ("0001009c", "e4686c8f0edeb59013e07090010a93efccbccc544c0a45d9f830aa6d6f735a01");
const AS_MEANT: (&str, &str) = ("00010088", "234112fbd4e27f983eb4032836f998216f5b23f8d927753fbc4f882bfbdf0dec");

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn written(class: Class, id: TransactionId, padding: u8, write: impl FnOnce(MessageWriter<'_>) -> usize) -> Vec<u8> {
    let mut buf = vec![0xAA; 256];
    let len = write(MessageWriter::new(&mut buf, class, Method::BINDING, id).pad_with(padding));
    buf.truncate(len);
    buf
}

#[test]
fn sample_request() {
    let vector = bytes(REQUEST);
    let message = Message::parse(&vector).unwrap();
    assert_eq!((message.class(), message.method(), message.transaction_id()), (Class::Request, Method::BINDING, ID));
    assert_eq!(message.get(AttributeType::SOFTWARE), Some(&b"STUN test client"[..]));
    assert_eq!(message.get(AttributeType::USERNAME), Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.get(AttributeType::PRIORITY), Some(&0x6e00_01ff_u32.to_be_bytes()[..]));
    assert_eq!(message.get(AttributeType::ICE_CONTROLLED), Some(&0x932f_f9b1_5126_3b36_u64.to_be_bytes()[..]));
    assert_eq!(message.check_integrity(&IntegrityKey::new(PASSWORD)), Ok(()));
    assert!(message.has_valid_fingerprint());

    let ours = written(Class::Request, ID, b' ', |mut m| {
        m.attribute(AttributeType::SOFTWARE, b"STUN test client")
            .attribute(AttributeType::PRIORITY, &0x6e00_01ff_u32.to_be_bytes())
            .attribute(AttributeType::ICE_CONTROLLED, &0x932f_f9b1_5126_3b36_u64.to_be_bytes())
            .username("evtj", "h6vY")
            .integrity(&IntegrityKey::new(PASSWORD));
        m.finish_with_fingerprint().unwrap()
    });
    assert_eq!(ours, vector);
}

#[test]
fn sample_responses() {
    for (vector, address) in
        [(IPV4_RESPONSE, "192.0.2.1:32853"), (IPV6_RESPONSE, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let vector = bytes(vector);
        let address: SocketAddr = address.parse().unwrap();
        let message = Message::parse(&vector).unwrap();
        assert_eq!((message.class(), message.transaction_id()), (Class::Success, ID));
        let value = message.get(AttributeType::XOR_MAPPED_ADDRESS).unwrap();
        assert_eq!(xor_address(AttributeType::XOR_MAPPED_ADDRESS, value, ID), Ok(address));
        assert_eq!(message.check_integrity(&IntegrityKey::new(PASSWORD)), Ok(()));
        assert!(message.has_valid_fingerprint());

        let ours = written(Class::Success, ID, b' ', |mut m| {
            m.attribute(AttributeType::SOFTWARE, b"test vector")
                .xor_address(AttributeType::XOR_MAPPED_ADDRESS, address)
                .integrity(&IntegrityKey::new(PASSWORD));
            m.finish_with_fingerprint().unwrap()
        });
        assert_eq!(ours, vector);
    }
}

#[test]
fn sample_request_with_long_term_authentication() {
    let vector = bytes(LONG_TERM_REQUEST);
    // MD5 of "<user name>:example.org:TheMatrIX" (RFC 8489 section 9.2.2).
    let key = IntegrityKey::new(&bytes("e8ca7ad59d5eb0518e312911d2dab2a9"));
    let id = TransactionId([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);
    let username = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";
    let message = Message::parse(&vector).unwrap();
    assert_eq!(message.transaction_id(), id);
    assert_eq!(message.get(AttributeType::USERNAME), Some(username.as_bytes()));
    assert_eq!(message.check_integrity(&key), Ok(()));
    assert!(!message.has_valid_fingerprint());

    let ours = written(Class::Request, id, 0, |mut m| {
        m.attribute(AttributeType::USERNAME, username.as_bytes())
            .attribute(AttributeType::NONCE, b"f//499k954d6OL34oL9FSTvy64sA")
            .attribute(AttributeType::REALM, b"example.org")
            .integrity(&key);
        m.finish().unwrap()
    });
    assert_eq!(ours, vector);
}

#[test]
fn sample_request_with_sha256_and_userhash() {
    let with = |(start, end): (&str, &str)| bytes(&[start, SHA256_REQUEST, end].concat());
    let printed = with(AS_PRINTED);
    assert_eq!(Message::parse(&printed).unwrap_err(), ParseError::Length { stated: 156, actual: 136 });
    let vector = with(AS_MEANT);
    let id = TransactionId([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);
    let username = "\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}";
    let credentials = LongTermCredentials::new(username, "TheMatrIX").unwrap();
    let key = PasswordAlgorithm::Sha256.key(&credentials, b"example.org");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(&printed[..printed.len() - 36]);
    assert!(mac.verify_slice(&printed[printed.len() - 32..]).is_ok(), "the key is that of the RFC");
    let key = IntegrityKeySha256::new(&key);
    let message = Message::parse(&vector).unwrap();
    assert_eq!(message.get(AttributeType::USERHASH), Some(&userhash(username, b"example.org")[..]));
    assert_eq!(message.check_integrity_sha256(&key), Ok(()));
    assert_eq!(message.check_integrity(&IntegrityKey::new(b"")), Err(IntegrityError::Missing));
    for bit in 0..vector.len() * 8 {
        let mut changed = vector.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let accepted = Message::parse(&changed).is_ok_and(|m| m.check_integrity_sha256(&key).is_ok());
        assert!(!accepted, "bit {bit}");
    }

    let ours = written(Class::Request, id, 0, |mut m| {
        m.attribute(AttributeType::USERHASH, &userhash(username, b"example.org"))
            .attribute(AttributeType::NONCE, b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
            .attribute(AttributeType::REALM, b"example.org")
            .integrity_sha256(&key);
        m.finish().unwrap()
    });
    assert_eq!(ours, vector);
}

#[test]
fn one_changed_bit_anywhere_is_noticed() {
    let vector = bytes(REQUEST);
    let key = IntegrityKey::new(PASSWORD);
    for bit in 0..vector.len() * 8 {
        let mut changed = vector.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let accepted = Message::parse(&changed).is_ok_and(|m| {
            m.has_valid_fingerprint() && m.check_integrity(&key).is_ok() && m.get(AttributeType::USERNAME).is_some()
        });
        assert!(!accepted, "bit {bit}");
    }
}

#[test]
fn a_buffer_one_byte_too_small_is_reported_and_not_overrun() {
    let vector = bytes(IPV4_RESPONSE);
    for room in 0..vector.len() {
        let mut buf = vec![0; room];
        let mut m = MessageWriter::new(&mut buf, Class::Success, Method::BINDING, ID);
        m.attribute(AttributeType::SOFTWARE, b"test vector")
            .xor_address(AttributeType::XOR_MAPPED_ADDRESS, "192.0.2.1:1".parse().unwrap())
            .integrity(&IntegrityKey::new(PASSWORD));
        assert_eq!(m.finish_with_fingerprint(), Err(BufferTooSmall { needed: vector.len(), room }));
    }
}
