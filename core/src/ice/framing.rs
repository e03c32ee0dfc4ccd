//! Datagrams in a stream: each has its length before it, in two bytes (RFC 4571 section 2).

/// Longer frames are skipped: the largest DTLS record has fewer bytes, and nothing else that anyone sends comes close.
const MAX_FRAME: usize = (1 << 14) + 512;

const HEADER: usize = 2;

/// What goes before a datagram of `len` bytes in a stream.
#[must_use]
pub const fn frame_header(len: u16) -> [u8; HEADER] {
    len.to_be_bytes()
}

/// Finds the datagrams in the bytes of one stream, however these are cut.
///
/// What is kept between calls is one frame that has not ended, of which no more is kept than arrived: 17 kilobytes at the
/// most.
///
/// ```
/// use frazil::ice::FrameReader;
///
/// let mut reader = FrameReader::default();
/// let mut frames = Vec::new();
/// for mut bytes in [&[0, 2, b'h'][..], &[b'i', 0, 1, b'!', 0]] {
///     while let Some(frame) = reader.read(&mut bytes) {
///         frames.push(frame.to_vec());
///     }
/// }
/// assert_eq!(frames, [b"hi".to_vec(), b"!".to_vec()]);
/// ```
#[derive(Clone, Default, Debug)]
pub struct FrameReader {
    /// The beginning of a frame with its header, and the whole of it while it is being read.
    partial: Vec<u8>,
    /// What is in `partial` was given out.
    given: bool,
    /// How many bytes of a frame that is too long are still to come.
    skip: usize,
    /// How many were too long.
    skipped: u64,
}

impl FrameReader {
    /// The next datagram. Takes from `bytes` what it has looked at; when there is none, that is all of them.
    ///
    /// Empty frames, which some send to keep a stream open, are passed over.
    pub fn read<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8]) -> Option<&'a [u8]> {
        if core::mem::take(&mut self.given) {
            self.partial.clear();
        }
        loop {
            let skipped = take(bytes, self.skip);
            self.skip -= skipped.len();
            if self.skip > 0 {
                return None;
            }
            if self.partial.is_empty()
                && let Some((&header, rest)) = bytes.split_first_chunk()
                && let Some((frame, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(header)))
                && frame.len() <= MAX_FRAME
            {
                // The common case: all of it is here, and nothing is copied.
                *bytes = rest;
                if frame.is_empty() {
                    continue;
                }
                return Some(frame);
            }
            let missing = HEADER.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(take(bytes, missing));
            let &header = self.partial.first_chunk()?;
            let len = usize::from(u16::from_be_bytes(header));
            if len > MAX_FRAME {
                self.partial.clear();
                self.skip = len;
                self.skipped += 1;
                continue;
            }
            let missing = HEADER + len - self.partial.len();
            self.partial.extend_from_slice(take(bytes, missing));
            if self.partial.len() < HEADER + len {
                return None;
            }
            if len == 0 {
                self.partial.clear();
                continue;
            }
            self.given = true;
            return Some(&self.partial[HEADER..]);
        }
    }

    /// How many frames were skipped because they were too long.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
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
    use proptest::prelude::*;

    fn read_all(reader: &mut FrameReader, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(frame) = reader.read(&mut bytes) {
            frames.push(frame.to_vec());
        }
        assert!(bytes.is_empty());
        frames
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_datagrams_are_those_that_were_sent(
            lens in prop::collection::vec(
                prop_oneof![4 => 0..40_usize, 1 => 1_000..1_500_usize, 1 => MAX_FRAME - 1..MAX_FRAME + 3], 0..12),
            cuts in prop::collection::vec(prop_oneof![0..4_usize, 0..3_000_usize], 1..20),
            tail in prop::collection::vec(any::<u8>(), 0..2),
        ) {
            let mut stream = Vec::new();
            let mut sent = Vec::new();
            let mut too_long = 0;
            for (n, len) in lens.into_iter().enumerate() {
                let datagram = vec![n as u8; len];
                stream.extend(frame_header(len as u16));
                stream.extend(&datagram);
                match len {
                    0 => {}
                    _ if len > MAX_FRAME => too_long += 1,
                    _ => sent.push(datagram),
                }
            }
            // The beginning of one more, which never ends.
            stream.extend(&tail);

            let mut whole = FrameReader::default();
            prop_assert_eq!(&read_all(&mut whole, &stream), &sent);

            let mut reader = FrameReader::default();
            let mut got = Vec::new();
            let mut rest = &stream[..];
            let mut cuts = cuts.into_iter().cycle();
            let mut stuck = 0;
            while !rest.is_empty() {
                let cut = cuts.next().unwrap_or(1).max(stuck / 8);
                stuck += 1;
                got.extend(read_all(&mut reader, take(&mut rest, cut)));
                prop_assert!(reader.partial.len() <= HEADER + MAX_FRAME);
            }
            prop_assert_eq!(got, sent);
            prop_assert_eq!((reader.skipped(), whole.skipped()), (too_long, too_long));
        }

        #[test]
        fn no_bytes_are_wrong_and_their_cuts_do_not_matter(
            bytes in prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..600),
            cut in 1..50_usize,
        ) {
            let whole = read_all(&mut FrameReader::default(), &bytes);
            let mut reader = FrameReader::default();
            let pieces: Vec<_> = bytes.chunks(cut).flat_map(|piece| read_all(&mut reader, piece)).collect();
            prop_assert_eq!(whole, pieces);
        }
    }
}
