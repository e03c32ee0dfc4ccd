//! The little of SCTP's wire format (RFC 9260) that `str0m` leaves to us.

use core::ops::Range;

/// Ports and verification tag, which open every packet of an association.
pub(super) const ADDRESS_LEN: usize = 8;

const HEADER_LEN: usize = 12;
const CHECKSUM: Range<usize> = 8..12;
const CHUNK_HEADER_LEN: usize = 4;

/// Up to the user data of a DATA chunk.
const DATA_HEADER_LEN: usize = 16;
const DATA: u8 = 0;
const PAYLOAD_PROTOCOL: Range<usize> = 12..16;

const ABORT: u8 = 6;
const USER_INITIATED_ABORT: u16 = 12;

/// Payload protocol identifiers of data channels (RFC 8831 section 8).
const STRING: u32 = 51;
const BINARY: u32 = 53;
const STRING_EMPTY: u32 = 56;
const BINARY_EMPTY: u32 = 57;

/// What an empty message is written as, on its way through `str0m`.
///
/// Chosen so that nobody can guess it: it is a digest over the session's private key.
pub(super) type EmptyMark = [u8; 16];

/// The packet with each marked message spelt as an empty one: a single zero byte, and the identifier that
/// says so (RFC 8831 section 6.6). `None` if there is no mark in it, which is nearly always.
pub(super) fn spell_empty_messages(packet: &[u8], mark: &EmptyMark) -> Option<Vec<u8>> {
    if !chunks(packet).any(|chunk| is_marked(chunk, mark)) {
        return None;
    }
    let mut spelt = packet[..HEADER_LEN].to_vec();
    for chunk in chunks(packet) {
        if is_marked(chunk, mark) {
            let text = chunk[PAYLOAD_PROTOCOL] == STRING.to_be_bytes();
            let protocol = if text { STRING_EMPTY } else { BINARY_EMPTY };
            spelt.extend_from_slice(&chunk[..2]);
            spelt.extend_from_slice(&(DATA_HEADER_LEN as u16 + 1).to_be_bytes());
            spelt.extend_from_slice(&chunk[CHUNK_HEADER_LEN..PAYLOAD_PROTOCOL.start]);
            spelt.extend_from_slice(&protocol.to_be_bytes());
            // The zero byte and its padding.
            spelt.extend_from_slice(&[0; 4]);
        } else {
            spelt.extend_from_slice(chunk);
            spelt.resize(spelt.len().next_multiple_of(4), 0);
        }
    }
    set_checksum(&mut spelt);
    Some(spelt)
}

/// Ports and tag of a packet we send, unless it is an INIT, which does not know the tag yet.
pub(super) fn address(packet: &[u8]) -> Option<[u8; ADDRESS_LEN]> {
    let address: [u8; ADDRESS_LEN] = packet.get(..ADDRESS_LEN)?.try_into().ok()?;
    (address[4..] != [0; 4]).then_some(address)
}

/// The packet that ends the association at once (RFC 9260 section 9.1).
pub(super) fn abort(address: [u8; ADDRESS_LEN]) -> Vec<u8> {
    let mut packet = address.to_vec();
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(&[ABORT, 0, 0, 8]);
    packet.extend_from_slice(&USER_INITIATED_ABORT.to_be_bytes());
    packet.extend_from_slice(&4u16.to_be_bytes());
    set_checksum(&mut packet);
    packet
}

/// The kinds of chunks that matter here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chunk {
    Data,
    Init,
    InitAck,
    Sack,
    CookieEcho,
    CookieAck,
    Other,
}

/// What a packet consists of.
pub(super) fn chunk_kinds(packet: &[u8]) -> impl Iterator<Item = Chunk> {
    chunks(packet).map(|chunk| match chunk[0] {
        DATA => Chunk::Data,
        1 => Chunk::Init,
        2 => Chunk::InitAck,
        3 => Chunk::Sack,
        10 => Chunk::CookieEcho,
        11 => Chunk::CookieAck,
        _ => Chunk::Other,
    })
}

/// The chunks without their padding. Ends at the first one that does not fit.
fn chunks(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = packet.get(HEADER_LEN..).unwrap_or_default();
    core::iter::from_fn(move || {
        let len = usize::from(u16::from_be_bytes(rest.get(2..CHUNK_HEADER_LEN)?.try_into().ok()?));
        let chunk = rest.get(..len).filter(|chunk| chunk.len() >= CHUNK_HEADER_LEN)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(chunk)
    })
}

fn is_marked(chunk: &[u8], mark: &EmptyMark) -> bool {
    chunk[0] == DATA
        && chunk.len() == DATA_HEADER_LEN + mark.len()
        && chunk[DATA_HEADER_LEN..] == *mark
        && [STRING.to_be_bytes(), BINARY.to_be_bytes()].iter().any(|protocol| chunk[PAYLOAD_PROTOCOL] == *protocol)
}

/// RFC 9260 section 6.8: over the packet with the field itself zero, least significant byte first.
fn set_checksum(packet: &mut [u8]) {
    packet[CHECKSUM].fill(0);
    let checksum = crc32c(packet);
    packet[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
}

/// Bit by bit, since it is needed for a packet in a blue moon.
fn crc32c(bytes: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82F6_3B78;
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ REVERSED_POLYNOMIAL } else { crc >> 1 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: EmptyMark = *b"an unlikely mark";

    fn data(protocol: u32, payload: &[u8]) -> Vec<u8> {
        let mut chunk = vec![DATA, 3];
        chunk.extend_from_slice(&((DATA_HEADER_LEN + payload.len()) as u16).to_be_bytes());
        chunk.extend_from_slice(&[0, 0, 0, 9, 0, 2, 0, 7]);
        chunk.extend_from_slice(&protocol.to_be_bytes());
        chunk.extend_from_slice(payload);
        chunk
    }

    fn packet(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut packet = [19, 136, 19, 136, 1, 2, 3, 4, 0, 0, 0, 0].to_vec();
        for chunk in chunks {
            packet.extend_from_slice(chunk);
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        set_checksum(&mut packet);
        packet
    }

    #[test]
    fn checksum_of_the_field() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn only_marked_messages_are_spelt_anew() {
        let sack = vec![3, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0];
        let original = packet(&[sack.clone(), data(STRING, b"hello"), data(BINARY, &MARK), data(STRING, &MARK)]);
        let expected = packet(&[sack, data(STRING, b"hello"), data(BINARY_EMPTY, &[0]), data(STRING_EMPTY, &[0])]);
        assert_eq!(spell_empty_messages(&original, &MARK), Some(expected));

        for plain in [packet(&[data(STRING, b"hello")]), packet(&[data(50, &MARK)]), packet(&[]), vec![], vec![1; 13]] {
            assert_eq!(spell_empty_messages(&plain, &MARK), None);
        }
    }

    #[test]
    fn chunks_of_wrong_length_end_the_walk() {
        let mut broken = packet(&[data(STRING, &MARK)]);
        for len in [0u16, 3, 200] {
            broken[14..16].copy_from_slice(&len.to_be_bytes());
            assert_eq!(spell_empty_messages(&broken, &MARK), None);
        }
    }
}
