//! What a TURN server brings, as far as it must be known to hold some of it back: where a message in a stream ends, and
//! what is in channel data (RFC 8656 section 12).

/// A message of a server, or what is left of one, is no longer.
const MAX_MESSAGE: usize = 20 + 0xFFFF + 3;

/// Bytes that tell how long a message is.
const HEADER: usize = 4;

/// Cuts the bytes that come from a server in a stream into messages. Where it cannot tell how long one is, and ever after,
/// it gives the bytes as they come: to judge them is the core's business.
#[derive(Default, Debug)]
pub(crate) struct Messages {
    /// The beginning of a message, and the whole of it while it is being read.
    partial: Vec<u8>,
    given: bool,
    lost: bool,
}

impl Messages {
    /// The next message. Takes from `bytes` what it has looked at; when there is none, that is all of them.
    pub(crate) fn read<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8]) -> Option<&'a [u8]> {
        if std::mem::take(&mut self.given) {
            self.partial.clear();
        }
        if self.partial.is_empty() && !self.lost {
            match message_len(bytes) {
                Ok(Some(len)) if len <= bytes.len() => return Some(take(bytes, len)),
                Ok(_) => {}
                Err(NoMessage) => self.lost = true,
            }
        }
        if self.lost && self.partial.is_empty() {
            return (!bytes.is_empty()).then(|| std::mem::take(bytes));
        }
        self.partial.extend_from_slice(take(bytes, HEADER.saturating_sub(self.partial.len())));
        match message_len(&self.partial) {
            Ok(Some(len)) => {
                self.partial.extend_from_slice(take(bytes, len - self.partial.len()));
                self.given = self.partial.len() == len;
            }
            Ok(None) => {}
            Err(NoMessage) => (self.lost, self.given) = (true, true),
        }
        self.given.then_some(self.partial.as_slice())
    }
}

/// It is neither STUN nor channel data.
struct NoMessage;

/// How long the message is that begins here, with what fills it up; none if too little of it is there to tell.
fn message_len(bytes: &[u8]) -> Result<Option<usize>, NoMessage> {
    let Some(&[first, _, high, low]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let stated = usize::from(u16::from_be_bytes([high, low]));
    let len = match first {
        0x00..=0x3F => 20 + stated,
        0x40..=0x4F => HEADER + stated.next_multiple_of(4),
        _ => return Err(NoMessage),
    };
    debug_assert!(len <= MAX_MESSAGE);
    Ok(Some(len))
}

/// The channel's number and the data, if that is what the datagram is.
pub(crate) fn channel_data(datagram: &[u8]) -> Option<([u8; 2], &[u8])> {
    let (&[first, second, high, low], rest) = datagram.split_first_chunk::<HEADER>()?;
    let data = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    matches!(first, 0x40..=0x4F).then_some(([first, second], data))
}

/// Channel data as it may come over anything: filled up to whole words, which datagrams may be and streams must.
///
/// # Panics
/// When there are more than 65,535 bytes of data.
pub(crate) fn in_channel(number: [u8; 2], data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).expect("it was part of a datagram");
    let mut message = Vec::with_capacity(HEADER + data.len().next_multiple_of(4));
    message.extend(number);
    message.extend(len.to_be_bytes());
    message.extend(data);
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

/// Takes up to `len` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(len.min(bytes.len()));
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(messages: &mut Messages, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(message) = messages.read(&mut bytes) {
            all.push(message.to_vec());
        }
        assert!(bytes.is_empty());
        all
    }

    #[test]
    fn however_a_stream_is_cut_the_messages_are_those_that_were_sent() {
        let stun = |len: u16| [&[1, 1][..], &len.to_be_bytes(), &vec![7; 16 + usize::from(len)]].concat();
        let mut sent: Vec<Vec<u8>> = (0..40).map(|len| in_channel([0x40, 1], &vec![9; len])).collect();
        sent.extend([stun(0), stun(8), stun(1_200), in_channel([0x4F, 255], &[3; 1_300])]);
        let stream = sent.concat();
        for cut in (1..30).chain([100, 1_000, stream.len()]) {
            let mut messages = Messages::default();
            let read: Vec<_> = stream.chunks(cut).flat_map(|bytes| read_all(&mut messages, bytes)).collect();
            assert_eq!(read, sent, "cut every {cut} bytes");
        }
    }

    #[test]
    fn of_what_is_no_message_no_byte_is_lost() {
        let stream = [&in_channel([0x40, 1], b"data")[..], b"\x80 an answer to HTTP", &[0; 40], &[0x40]].concat();
        for cut in 1..=stream.len() {
            let mut messages = Messages::default();
            let read: Vec<_> = stream.chunks(cut).flat_map(|bytes| read_all(&mut messages, bytes)).collect();
            assert_eq!(read.concat(), stream, "cut every {cut} bytes");
        }
    }

    #[test]
    fn channel_data_comes_out_as_it_went_in() {
        for len in 0..20 {
            let data = vec![22; len];
            assert_eq!(channel_data(&in_channel([0x41, 7], &data)), Some(([0x41, 7], &data[..])));
        }
        assert_eq!(channel_data(&[0x40, 0, 0, 2, 1]), None, "cut short");
        assert_eq!(channel_data(&[0x50, 0, 0, 0]), None);
        assert_eq!(channel_data(&[]), None);
    }
}
