//! The one source of randomness: a seeded ChaCha stream.

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

/// 32 bytes from the operating system's generator; a test supplies a constant.
///
/// Everything that a stranger must not guess is drawn from it (ICE credentials, tie-breakers,
/// transaction ids), so two peers must never share one.
pub type Seed = [u8; 32];

/// A ChaCha stream with 12 rounds, the generator that Rust's `rand` uses as its secure default.
pub(crate) struct Rng(ChaCha12Rng);

impl Rng {
    pub(crate) fn new(seed: Seed) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound` by Lemire's multiplication. The bias, below `bound / 2^32`, does not
    /// matter where it is used: to spread timers.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    /// `N` characters of RFC 8839's `ice-char`; 6 bits of randomness each.
    pub(crate) fn ice_chars(&mut self, len: usize) -> String {
        const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::with_capacity(len);
        let mut bytes = [0; 32];
        while text.len() < len {
            let wanted = (len - text.len()).min(bytes.len());
            self.fill(&mut bytes[..wanted]);
            text.extend(bytes[..wanted].iter().map(|b| char::from(ICE_CHARS[usize::from(b & 63)])));
        }
        text
    }
}

impl core::fmt::Debug for Rng {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Rng(..)")
    }
}
