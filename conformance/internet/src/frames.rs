//! The bytes of a client's stream, cut into messages and channel data.

/// What has come and is not complete.
#[derive(Default)]
pub(crate) struct Frames(Vec<u8>);

impl Frames {
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    /// The next message or channel data without its padding.
    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        // Channel data is to be padded in streams (RFC 8656 section 12.5), but there are clients that do not, and the
        // engine knows no padding. No message of a client begins like this: its method is not 0 and below 64.
        let padding = self.0.windows(2).take_while(|two| two[0] == 0 && !(1..64).contains(&two[1])).count();
        self.0.drain(..padding);
        let [first, _, high, low, ..] = self.0[..] else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let whole = match first >> 6 {
            0 => 20 + length,
            1 => 4 + length,
            // Neither; the engine is to see it as it is.
            _ => self.0.len(),
        };
        (self.0.len() >= whole).then(|| self.0.drain(..whole).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut_and_padded() {
        let message = |method: u8, length: u8| {
            let mut message = vec![0, method, 0, length];
            message.resize(20 + usize::from(length), 0);
            message
        };
        let channel = |length: u8| {
            let mut data = vec![0x40, 0, 0, length];
            data.resize(4 + usize::from(length), 0);
            data
        };
        let mut rng = fastrand::Rng::with_seed(1);
        for pads in [false, true] {
            let frames: Vec<Vec<u8>> = (0..500)
                .map(|_| if rng.bool() { message(rng.u8(1..10), 4 * rng.u8(..9)) } else { channel(rng.u8(..40)) })
                .collect();
            let mut stream = Vec::new();
            for frame in &frames {
                stream.extend_from_slice(frame);
                stream.resize(if pads { stream.len().next_multiple_of(4) } else { stream.len() }, 0);
            }
            let (mut cut, mut popped) = (Frames::default(), Vec::new());
            while !stream.is_empty() {
                cut.push(&stream.drain(..rng.usize(1..=stream.len().min(60))).collect::<Vec<_>>());
                popped.extend(std::iter::from_fn(|| cut.pop()));
            }
            assert!(popped == frames, "padded: {pads}");
        }
    }
}
