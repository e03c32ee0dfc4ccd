//! Whether a datagram can be DTLS at all, before it takes a place in a queue.
//!
//! `dimpl` keeps what may be a later part of the handshake, thirty datagrams at the most, and never
//! forgets: thirty pieces of junk that look like handshake records would end every handshake. What is
//! checked here lets none of that through by chance. Someone who forges parts of a handshake on purpose
//! is another matter; they have to know the path.

const RECORD_HEADER_LEN: usize = 13;
const HANDSHAKE_HEADER_LEN: usize = 12;

/// No handshake has more messages, and no message is longer.
const MAX_MESSAGES: u16 = 32;
const MAX_MESSAGE_LEN: usize = 0xFFFF;

/// All records of a datagram, as far as they are not encrypted.
pub(super) fn is_plausible(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while !rest.is_empty() {
        // An encrypted record of DTLS 1.3 (RFC 9147 section 4): nothing more can be said.
        if (32..64).contains(&rest[0]) {
            return true;
        }
        let Some((header, after)) = rest.split_at_checked(RECORD_HEADER_LEN) else { return false };
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let Some((body, next)) = after.split_at_checked(len) else { return false };
        let encrypted = header[3..5] != [0, 0];
        let plausible = match header[0] {
            20 => body == [1],
            21 => encrypted || body.len() == 2,
            22 => encrypted || is_handshake(body),
            23 => encrypted,
            // An acknowledgement of DTLS 1.3.
            26 => true,
            _ => false,
        };
        if !plausible || header[1] != 0xFE {
            return false;
        }
        rest = next;
    }
    !datagram.is_empty()
}

/// Handshake messages, or parts of them, back to back (RFC 6347 section 4.2.2).
fn is_handshake(mut body: &[u8]) -> bool {
    let whole = body;
    while let Some((header, after)) = body.split_at_checked(HANDSHAKE_HEADER_LEN) {
        let len = number(&header[1..4]);
        let sequence = u16::from_be_bytes([header[4], header[5]]);
        let (offset, part) = (number(&header[6..9]), number(&header[9..12]));
        let known = matches!(header[0], 0..=4 | 8 | 11..=16 | 20 | 22 | 24);
        if !known || len > MAX_MESSAGE_LEN || sequence >= MAX_MESSAGES || offset + part > len || part > after.len() {
            return false;
        }
        body = &after[part..];
    }
    body.is_empty() && !whole.is_empty()
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![content_type, 0xFE, 0xFD, 0, epoch, 0, 0, 0, 0, 0, 0, 0, body.len() as u8];
        record.extend_from_slice(body);
        record
    }

    #[test]
    fn whole_records_pass_and_others_do_not() {
        let hello_done = record(22, 0, &[14, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0]);
        let fragment = record(22, 0, &[11, 0, 1, 0, 0, 2, 0, 0, 16, 0, 0, 2, 7, 7]);
        let change = record(20, 0, &[1]);
        let data = record(23, 1, &[9; 40]);
        let alert = record(21, 0, &[2, 40]);
        for good in [&hello_done, &fragment, &change, &data, &alert, &record(22, 1, &[9; 40]), &vec![0x2F, 1, 2, 3]] {
            assert!(is_plausible(good), "{good:?}");
            assert!(is_plausible(&[&hello_done[..], good].concat()));
            assert!(is_plausible(&[good, &data[..]].concat()) || good[0] == 0x2F);
        }
        for bad in [
            vec![],
            hello_done[..hello_done.len() - 1].to_vec(),
            [&hello_done[..], &[22]].concat(),
            record(24, 0, &[1]),
            record(23, 0, &[1]),
            record(22, 0, &[]),
            record(22, 0, &[14, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 0]),
            record(22, 0, &[99, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0]),
            record(22, 0, &[11, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 7, 7]),
            record(22, 0, &[14, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1]),
        ] {
            assert!(!is_plausible(&bad), "{bad:?}");
        }
    }
}
