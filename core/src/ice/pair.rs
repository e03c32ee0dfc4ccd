//! One candidate pair.

use core::time::Duration;

use super::{Candidate, LocalCandidate, Role};
use crate::path::PathId;
use crate::stun::TransactionId;
use crate::time::Instant;

/// The state of a pair (RFC 8445 section 6.1.2.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PairState {
    /// Waits for a pair with the same foundation.
    Frozen,
    /// May be checked.
    Waiting,
    /// Is being checked.
    InProgress,
    /// A check succeeded.
    Succeeded,
    /// A check failed, or the path stopped answering.
    Failed,
    /// Taken off the check list before it was tried: the list was full (RFC 8445 section 6.1.2.5), or
    /// another pair was nominated (section 8.1.2).
    Pruned,
}

/// What a pair is and what happened to it.
#[derive(Clone, PartialEq, Debug)]
pub struct PairReport {
    /// Where its datagrams go.
    pub path: PathId,
    /// Our candidate: the one that the other side sees, once a check has succeeded.
    pub local: LocalCandidate,
    /// Theirs.
    pub remote: Candidate,
    /// RFC 8445 section 6.1.2.3.
    pub priority: u64,
    /// Where it stands.
    pub state: PairState,
    /// Whether it was nominated.
    pub nominated: bool,
    /// Whether it carries the traffic.
    pub selected: bool,
    /// What was counted.
    pub stats: PairStats,
}

/// What was counted on a pair.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct PairStats {
    /// The last measured round trip.
    pub round_trip: Option<Duration>,
    /// Requests sent, retransmissions included.
    pub requests_sent: u64,
    /// Responses received, errors included.
    pub responses_received: u64,
    /// Authenticated requests received.
    pub requests_received: u64,
    /// The code of the last error response.
    pub last_error: Option<u16>,
    /// Application datagrams sent.
    pub datagrams_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Application datagrams received.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
}

/// A pair's place in its check list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct PairKey(pub(super) u32);

#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) path: PathId,
    /// Place among our candidates of the one whose base sends.
    pub(super) local: usize,
    /// Place among the other side's.
    pub(super) remote: usize,
    pub(super) priority: u64,
    /// Which pairs share its foundation.
    pub(super) group: usize,
    pub(super) state: PairState,
    /// Set while it is on the valid list: our candidate as the other side sees it
    /// (RFC 8445 section 7.2.5.3.2).
    pub(super) valid: Option<LocalCandidate>,
    pub(super) nominated: bool,
    /// The controlling side nominated it before our own check succeeded (section 7.3.1.5).
    pub(super) nominate_on_success: bool,
    /// The other side proved on this path that it knows our password.
    pub(super) heard: bool,
    /// In the triggered-check queue.
    pub(super) triggered: bool,
    /// Its check in flight, and the one before it that may still be answered.
    pub(super) check: Option<TransactionId>,
    pub(super) superseded: Option<TransactionId>,
    /// The check in flight was sent after the other side's first one had arrived.
    pub(super) check_after_heard: bool,
    pub(super) last_answer: Option<Instant>,
    pub(super) stats: PairStats,
}

impl Pair {
    /// A pair of which nothing is known yet.
    pub(super) fn new(path: PathId, local: usize, remote: usize, priority: u64) -> Self {
        Self {
            path,
            local,
            remote,
            priority,
            group: 0,
            state: PairState::Frozen,
            valid: None,
            nominated: false,
            nominate_on_success: false,
            heard: false,
            triggered: false,
            check: None,
            superseded: None,
            check_after_heard: false,
            last_answer: None,
            stats: PairStats::default(),
        }
    }
}

/// RFC 8445 section 6.1.2.3.
pub(super) fn pair_priority(role: Role, local: u32, remote: u32) -> u64 {
    let (g, d) = match role {
        Role::Controlling => (u64::from(local), u64::from(remote)),
        Role::Controlled => (u64::from(remote), u64::from(local)),
    };
    (g.min(d) << 32) + 2 * g.max(d) + u64::from(g > d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_give_a_pair_the_same_priority() {
        for (a, b) in [(1, 1), (1, 2), (2, 1), (2_130_706_431, 1_694_498_815), (u32::MAX >> 1, 1)] {
            assert_eq!(pair_priority(Role::Controlling, a, b), pair_priority(Role::Controlled, b, a));
        }
        // 2^32 * 1 + 2 * 3 + (3 > 1)
        assert_eq!(pair_priority(Role::Controlling, 3, 1), (1 << 32) + 7);
        assert_eq!(pair_priority(Role::Controlled, 3, 1), (1 << 32) + 6);
    }
}
