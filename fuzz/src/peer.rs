use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use frazil::stun::{AttributeType, Class, IntegrityKey, Message, MessageWriter, Method, TransactionId};

use crate::world::{STRANGERS_PASSWORD, World};

/// A script of datagrams and pauses, played to one of two connected peers.
///
/// The first byte says to whom (bit 0), and whether the datagrams may be signed with the right passwords (bit 1). Then
/// follow records of a control byte, a length and as many bytes. The control byte says where the datagram comes from
/// (bits 0 and 1), what the bytes mean (bits 2 and 3) and how long a pause there is before it (bits 4 to 7).
///
/// Whoever does not know the passwords, even if he sits on the path, sees everything and sends as the other side, does
/// not move the path or end the session. Who knows them is the other side; then nothing must break but the connection.
pub fn peer(input: &[u8]) {
    let Some((&first, mut script)) = input.split_first() else { return };
    let victim = usize::from(first & 1);
    let trusted = first & 2 != 0;
    let mut world = World::connected();
    if let Some(key) = trusted.then(|| key_of(&world, 1 - victim)).flatten() {
        world.strangers_key = key;
    }
    let mut patience = Duration::from_secs(120);

    while let Some((&[control, len], rest)) = script.split_first_chunk::<2>() {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(len)));
        script = rest;
        let pause = match control >> 4 {
            0 => Duration::ZERO,
            exponent => Duration::from_millis(1 << (exponent - 1)).min(patience),
        };
        patience -= pause;
        world.run(pause, |_| false);

        let source = source(control, world.ends[1 - victim].address);
        let datagram = match control >> 2 & 3 {
            0 => Some(bytes.to_vec()),
            1 => tampered(&world, victim, bytes),
            2 => replayed(&world, victim, bytes),
            _ => forged(&world, victim, trusted, bytes),
        };
        if let Some(datagram) = datagram {
            world.inject(victim, source, &datagram);
        }
    }

    // What was under way arrives, and what was begun for nothing is given up.
    world.run(Duration::from_secs(10), |_| false);
    if !trusted {
        assert!(world.keeps_to_its_path(), "a stranger has moved the path");
        for from in [victim, 1 - victim] {
            assert!(world.delivers(from, b"still here"), "a stranger has broken the session");
        }
    }
}

/// The other side itself, its host, or others.
fn source(control: u8, other: SocketAddr) -> SocketAddr {
    match control & 3 {
        0 => other,
        1 => SocketAddr::new(other.ip(), other.port() + 1),
        2 => SocketAddr::from((Ipv4Addr::new(198, 51, 100, 7), 7)),
        // Many, to fill what has room for some.
        _ => SocketAddr::from((Ipv4Addr::new(203, 0, 113, control), 1024 + u16::from(control))),
    }
}

/// One of the last datagrams that the other side sent; the first byte counts back from the latest.
fn seen<'a>(world: &'a World, victim: usize, bytes: &[u8]) -> Option<&'a [u8]> {
    let sent = &world.ends[1 - victim].sent;
    let back = usize::from(*bytes.first()?) % sent.len().max(1);
    sent.iter().rev().nth(back).map(Vec::as_slice)
}

fn replayed(world: &World, victim: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    seen(world, victim, bytes).map(<[u8]>::to_vec)
}

/// With some bytes changed: each two bytes are a position, as a share of the length, and what to change there.
fn tampered(world: &World, victim: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut datagram = seen(world, victim, bytes)?.to_vec();
    let original = datagram.clone();
    for change in bytes[1..].chunks_exact(2) {
        let position = usize::from(change[0]) * datagram.len() / 256;
        datagram[position] ^= change[1];
    }
    (datagram != original).then_some(datagram)
}

/// A request of the other side as a model, with another class and more attributes, a right fingerprint and somebody's
/// integrity. A response answers the victim's last request.
fn forged(world: &World, victim: usize, trusted: bool, bytes: &[u8]) -> Option<Vec<u8>> {
    let (&[head, tail], mut rest) = bytes.split_first_chunk::<2>()?;
    let requests = &world.ends[1 - victim].requests;
    let model = requests.iter().rev().nth(usize::from(head >> 5)).and_then(|datagram| Message::parse(datagram).ok())?;

    let class = [Class::Request, Class::Indication, Class::Success, Class::Error][usize::from(head & 3)];
    let id = match class {
        _ if head & 4 != 0 => TransactionId([tail; 12]),
        Class::Request | Class::Indication => model.transaction_id(),
        Class::Success | Class::Error => {
            let request = world.ends[victim].requests.back()?;
            Message::parse(request).ok()?.transaction_id()
        }
    };
    let mut buf = [0; 2048];
    let mut writer = MessageWriter::new(&mut buf, class, Method::BINDING, id);
    if head & 8 == 0 {
        for attribute in model.attributes() {
            writer.attribute(attribute.kind, attribute.value);
        }
    }
    while let Some((&[kind, len], after)) = rest.split_first_chunk::<2>() {
        let (value, after) = after.split_at(after.len().min(usize::from(len)));
        rest = after;
        writer.attribute(kind_of(kind), value);
    }
    if head & 16 == 0 {
        let key = match (trusted, class) {
            (false, _) => IntegrityKey::new(STRANGERS_PASSWORD),
            // A request is signed with the password of who gets it, a response with that of who sends it.
            (true, Class::Request | Class::Indication) => key_of(world, victim)?,
            (true, Class::Success | Class::Error) => key_of(world, 1 - victim)?,
        };
        writer.integrity(&key);
    }
    let len = writer.finish_with_fingerprint().ok()?;
    Some(buf[..len].to_vec())
}

fn kind_of(kind: u8) -> AttributeType {
    const KNOWN: &[AttributeType] = &[
        AttributeType::USERNAME,
        AttributeType::ERROR_CODE,
        AttributeType::UNKNOWN_ATTRIBUTES,
        AttributeType::XOR_MAPPED_ADDRESS,
        AttributeType::PRIORITY,
        AttributeType::USE_CANDIDATE,
        AttributeType::ICE_CONTROLLED,
        AttributeType::ICE_CONTROLLING,
    ];
    KNOWN.get(usize::from(kind)).copied().unwrap_or(AttributeType(u16::from(kind) << 8))
}

fn key_of(world: &World, end: usize) -> Option<IntegrityKey> {
    let description = world.ends[end].peer.local_description()?;
    let password = description.sdp.lines().find_map(|line| line.strip_prefix("a=ice-pwd:"))?;
    Some(IntegrityKey::new(password.as_bytes()))
}
