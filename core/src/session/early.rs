//! Datagrams that arrive before there is a path.

use core::time::Duration;
use std::collections::VecDeque;

use crate::Instant;

/// How many are kept. A flight of a handshake has at most half as many.
const MAX_COUNT: usize = 8;

/// The longest that is kept in bytes.
const MAX_LEN: usize = 1500;

/// After this long a datagram is stale: the other side has repeated it, or has gone.
const LIFETIME: Duration = Duration::from_secs(2);

/// The last few datagrams that came too early.
///
/// The other side may find the path a moment before we do, and its ClientHello then arrives before our own
/// check is answered. Losing it would cost the second after which it is repeated.
#[derive(Debug, Default)]
pub(super) struct Early {
    datagrams: VecDeque<(Instant, Vec<u8>)>,
}

impl Early {
    pub(super) fn keep(&mut self, datagram: &[u8], now: Instant) {
        if datagram.len() > MAX_LEN {
            return;
        }
        if self.datagrams.len() == MAX_COUNT {
            self.datagrams.pop_front();
        }
        self.datagrams.push_back((now, datagram.to_vec()));
    }

    /// Those that are fresh, in the order of their arrival.
    pub(super) fn take(&mut self, now: Instant) -> impl Iterator<Item = Vec<u8>> + use<> {
        core::mem::take(&mut self.datagrams)
            .into_iter()
            .filter(move |(arrival, _)| now.saturating_duration_since(*arrival) < LIFETIME)
            .map(|(_, datagram)| datagram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fresh_ones_are_kept() {
        let mut early = Early::default();
        for i in 0..100u64 {
            early.keep(&[i as u8], Instant::from_millis(i * 500));
        }
        early.keep(&[0; MAX_LEN + 1], Instant::from_millis(49_500));
        let taken: Vec<_> = early.take(Instant::from_millis(49_600)).collect();
        assert_eq!(taken, [[96], [97], [98], [99]]);
        assert_eq!(early.take(Instant::from_millis(49_600)).count(), 0);
    }
}
