//! Several datagrams or messages in one buffer, so that one crossing carries them all.
//!
//! An entry is a number and the length of what follows, 4 bytes each with the low byte first, then the bytes themselves;
//! the next entry comes right behind. For datagrams the number is that of the path. For messages it is that of the channel,
//! and the top bit of the length is set if the message is text.

use crate::error::Error;

/// How many datagrams or messages one call gives at the most.
pub const MAX_ENTRIES: usize = 16;

/// What stands before the bytes of each entry, in bytes.
pub const HEADER: usize = 8;

/// The bit of a message's length that says that it is text.
pub const TEXT: u32 = 1 << 31;

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'b> {
    /// The path or the channel.
    pub number: u32,
    /// The bytes.
    pub bytes: &'b [u8],
    /// Whether they are text.
    pub text: bool,
}

/// The entries of `batch`.
///
/// # Errors
/// An entry that ends behind the buffer comes as an error, and is the last.
pub fn entries(batch: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Error>> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((entry, others)) = split(rest) else {
            let at = batch.len() - rest.len();
            rest = &[];
            return Some(Err(Error::argument(format!(
                "the entry at byte {at} of the batch ends behind the batch, which has {} bytes",
                batch.len()
            ))));
        };
        rest = others;
        Some(Ok(entry))
    })
}

fn split(rest: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (number, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = u32::from_le_bytes(*len);
    let (bytes, others) = rest.split_at_checked(usize::try_from(len & !TEXT).ok()?)?;
    Some((Entry { number: u32::from_le_bytes(*number), bytes, text: len & TEXT != 0 }, others))
}

/// Writes what stands before an entry of `len` bytes, which follow.
pub(crate) fn write_header(buf: &mut [u8], number: u32, len: usize, text: bool) {
    let len = u32::try_from(len).expect("what fits a buffer of the core's has fewer than 2^31 bytes");
    buf[..4].copy_from_slice(&number.to_le_bytes());
    buf[4..HEADER].copy_from_slice(&(if text { len | TEXT } else { len }).to_le_bytes());
}
