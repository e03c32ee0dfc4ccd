use frazil::stun::{
    AttributeType, Class, ErrorCode, IntegrityKey, Message, MessageWriter, UnknownAttributes, xor_address,
};

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

/// A datagram read as a STUN message (RFC 8489). What is read can be written, and what was written is read as the same.
pub fn stun(datagram: &[u8]) {
    let Ok(message) = Message::parse(datagram) else { return };
    assert_eq!(datagram.len() % 4, 0, "a message is a multiple of four bytes long");
    read_everything(&message);

    let key = IntegrityKey::new(PASSWORD);
    let first = rewritten(&message, &key);
    let again = Message::parse(&first).expect("what was written is a message");
    assert!(again.has_valid_fingerprint());
    assert_eq!(again.check_integrity(&key), Ok(()));
    let head = |m: &Message<'_>| (m.class(), m.method(), m.transaction_id());
    assert_eq!(head(&again), head(&message));
    assert!(again.attributes().eq(message.attributes()), "{again:?} for {message:?}");
    assert_eq!(rewritten(&again, &key), first, "writing is the same every time");

    // A bit that has changed is noticed.
    let mut changed = first.clone();
    changed[8] ^= 1;
    let changed = Message::parse(&changed).expect("any transaction id is legal");
    assert!(!changed.has_valid_fingerprint() && changed.check_integrity(&key).is_err());
}

fn read_everything(message: &Message<'_>) {
    let _ = (message.has_integrity(), message.has_valid_fingerprint(), format!("{message:?}"));
    let _ = message.check_integrity(&IntegrityKey::new(PASSWORD));
    for attribute in message.attributes() {
        assert!(message.get(attribute.kind).is_some());
        if let Ok(address) = xor_address(attribute.kind, attribute.value, message.transaction_id()) {
            let mut buf = [0; 64];
            let mut writer = MessageWriter::new(&mut buf, Class::Success, message.method(), message.transaction_id());
            writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, address);
            let len = writer.finish().expect("room enough");
            let written = Message::parse(&buf[..len]).expect("what was written is a message");
            let value = written.get(AttributeType::XOR_MAPPED_ADDRESS).expect("it was written");
            assert_eq!(xor_address(AttributeType::XOR_MAPPED_ADDRESS, value, message.transaction_id()), Ok(address));
        }
        if let Ok(error) = ErrorCode::parse(attribute.value) {
            assert!((300..700).contains(&error.code), "{error:?}");
        }
        assert_eq!(UnknownAttributes::new(attribute.value).count(), attribute.value.len() / 2);
    }
}

/// The same head and attributes, with integrity and fingerprint of our own.
fn rewritten(message: &Message<'_>, key: &IntegrityKey) -> Vec<u8> {
    let mut buf = vec![0; 20 + 0xFFFF];
    let mut writer = MessageWriter::new(&mut buf, message.class(), message.method(), message.transaction_id());
    for attribute in message.attributes() {
        writer.attribute(attribute.kind, attribute.value);
    }
    writer.integrity(key);
    let len = writer.finish_with_fingerprint().expect("a datagram is far shorter than the length field can say");
    buf.truncate(len);
    buf
}
