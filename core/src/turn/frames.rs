//! Channel data (RFC 8656 section 12.4), and the frames of a stream (section 12.5, RFC 8489 section 6.2.2).

use core::ops::RangeInclusive;

use crate::stun::{BufferTooSmall, HEADER_LEN, MAGIC_COOKIE};

/// Numbers that a channel can have.
pub(super) const CHANNELS: RangeInclusive<u16> = 0x4000..=0x4FFF;

/// Number and length.
pub(super) const CHANNEL_HEADER_LEN: usize = 4;

/// Whether a frame is channel data rather than STUN (RFC 8656 section 12).
pub(super) fn is_channel_data(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| (0x40..=0x4F).contains(first))
}

/// Reads the number and the data; none if there are fewer bytes than stated.
pub(super) fn read_channel_data(frame: &[u8]) -> Option<(u16, &[u8])> {
    let (header, rest) = frame.split_first_chunk::<CHANNEL_HEADER_LEN>()?;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    Some((u16::from_be_bytes([header[0], header[1]]), rest.get(..len)?))
}

/// Makes channel data of the `len` bytes behind the header, padded for a stream, and gives its whole length.
pub(super) fn write_channel_data(
    buf: &mut [u8],
    number: u16,
    len: usize,
    is_padded: bool,
) -> Result<usize, BufferTooSmall> {
    let end = CHANNEL_HEADER_LEN + len;
    let needed = if is_padded { end.next_multiple_of(4) } else { end };
    let room = buf.len();
    let (Some(frame), Ok(stated)) = (buf.get_mut(..needed), u16::try_from(len)) else {
        return Err(BufferTooSmall { needed, room });
    };
    frame[..2].copy_from_slice(&number.to_be_bytes());
    frame[2..4].copy_from_slice(&stated.to_be_bytes());
    if end < needed {
        frame[end..].fill(0);
    }
    Ok(needed)
}

/// Cuts a stream into frames. What is kept is never more than one frame, of at most 64 KiB.
#[derive(Default, Debug)]
pub(crate) struct Frames {
    partial: Vec<u8>,
    /// The frame in `partial` was given out.
    is_done: bool,
}

/// What came is neither STUN nor channel data, and where the next frame starts is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Garbage;

impl Frames {
    /// Takes bytes from the front of `input`: gives how many, and the frame that they complete. A frame that is whole
    /// in `input` is not copied.
    pub(crate) fn advance<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<&'a [u8]>), Garbage> {
        if self.is_done {
            self.partial.clear();
            self.is_done = false;
        }
        if self.partial.is_empty()
            && let Some(len) = frame_len(input)?
            && let Some(frame) = input.get(..len)
        {
            return Ok((len, Some(frame)));
        }
        let mut taken = 0;
        loop {
            let wanted = match frame_len(&self.partial)? {
                Some(len) if len == self.partial.len() => {
                    self.is_done = true;
                    return Ok((taken, Some(&self.partial)));
                }
                Some(len) => len,
                None if self.partial.len() < 4 => 4,
                None => 8,
            };
            let more = &input[taken..][..(wanted - self.partial.len()).min(input.len() - taken)];
            if more.is_empty() {
                return Ok((taken, None));
            }
            self.partial.extend_from_slice(more);
            taken += more.len();
        }
    }
}

/// How long the frame is that starts here, if enough of it is there to tell: 4 bytes of channel data, 8 of STUN.
fn frame_len(bytes: &[u8]) -> Result<Option<usize>, Garbage> {
    let Some(&[first, _, high, low]) = bytes.first_chunk::<4>() else { return Ok(None) };
    let stated = usize::from(u16::from_be_bytes([high, low]));
    if is_channel_data(bytes) {
        return Ok(Some((CHANNEL_HEADER_LEN + stated).next_multiple_of(4)));
    }
    if first >> 6 != 0 || !stated.is_multiple_of(4) {
        return Err(Garbage);
    }
    match bytes.get(4..8) {
        Some(cookie) if cookie == MAGIC_COOKIE.to_be_bytes() => Ok(Some(HEADER_LEN + stated)),
        Some(_) => Err(Garbage),
        None => Ok(None),
    }
}
