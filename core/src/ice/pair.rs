//! One candidate pair.

use core::fmt;
use core::time::Duration;

use super::quality::Quality;
use super::{Candidate, CandidateKind, LocalCandidate, Role};
use crate::path::{PathId, Protocol};
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
    /// A check failed, or the path stopped answering; [`PairReport::fate`] says how.
    Failed,
    /// Not to be checked: the list was full (RFC 8445 section 6.1.2.5), or another pair was nominated
    /// (section 8.1.2). It is taken up again when the nominated pair is lost.
    Pruned,
}

/// Why a pair has [`PairState::Failed`] or [`PairState::Pruned`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum PairFate {
    /// The list was full of better ones.
    CrowdedOut,
    /// Another pair was nominated first.
    OtherNominated,
    /// Its check was repeated until the end and nobody answered.
    Unanswered,
    /// Its check was answered with this error code.
    Refused(u16),
    /// The answer came over another path than its check went (RFC 8445 section 7.2.5.2.1).
    Asymmetric,
    /// The answer did not say where the check came from.
    NoMappedAddress,
    /// It once worked, and then no request was answered for as long as consent lasts (RFC 7675 section 5.1).
    ConsentExpired,
    /// The other side took its consent back (RFC 7675 section 5.2).
    ConsentRevoked,
    /// Our candidate is gone, with the socket behind it.
    BaseGone,
    /// Its stream could not be opened, or was closed by the other side or the network.
    StreamClosed,
}

impl fmt::Display for PairFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CrowdedOut => "the check list was full of better pairs",
            Self::OtherNominated => "another pair was nominated first",
            Self::Unanswered => "no check was answered",
            Self::Refused(code) => return write!(f, "a check was refused with error {code}"),
            Self::Asymmetric => "an answer came over another path than its check",
            Self::NoMappedAddress => "an answer did not say where its check came from",
            Self::ConsentExpired => "it stopped answering and consent to send expired",
            Self::ConsentRevoked => "the other side took its consent to send back",
            Self::BaseGone => "the local candidate is gone",
            Self::StreamClosed => "its stream could not be opened or was closed",
        })
    }
}

/// Why the pair that carries the traffic was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SelectionCause {
    /// It was the first that worked.
    First,
    /// It works, and is better than the one before.
    Better,
    /// The controlling side nominated it.
    Nominated,
    /// The one before fell silent.
    Silence,
    /// The other side sends over it now, and no more over the one before.
    Followed,
    /// The one before cannot be used any more: its socket is gone, or consent.
    Loss,
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
    /// Why it has failed or was pruned, if so.
    pub fate: Option<PairFate>,
    /// Whether it is passed over because it fell silent while it carried the traffic.
    pub silent: bool,
    /// Whether it carries the traffic, and why.
    pub selected: Option<SelectionCause>,
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

/// Pairs of one class are checked in turn with those of the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PairClass {
    pub(super) protocol: Protocol,
    pub(super) local: CandidateKind,
    pub(super) remote: CandidateKind,
    pub(super) is_ipv4: bool,
}

impl PairClass {
    /// Which class goes first where they had as many turns: the one whose pairs mostly work, as between a relay and what
    /// a NAT shows, before the one whose pairs mostly do not, as between a relay and an address inside a NAT.
    pub(super) fn turn(self) -> u8 {
        use CandidateKind::{Host, Relayed};
        match (self.local, self.remote) {
            (Relayed, Host) => 5,
            (Relayed, Relayed) => 3,
            (Relayed, _) => 2,
            (_, Relayed) => 4,
            (_, Host) => 0,
            _ => 1,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) path: PathId,
    /// Place among our candidates of the one whose base sends.
    pub(super) local: usize,
    /// Place among the other side's.
    pub(super) remote: usize,
    pub(super) priority: u64,
    pub(super) class: PairClass,
    /// Which pairs share its foundation.
    pub(super) group: usize,
    pub(super) state: PairState,
    pub(super) fate: Option<PairFate>,
    /// Its place is free for another.
    pub(super) forgotten: bool,
    /// Set while it is on the valid list: our candidate as the other side sees it
    /// (RFC 8445 section 7.2.5.3.2).
    pub(super) valid: Option<LocalCandidate>,
    pub(super) nominated: bool,
    /// The number of our last nomination of it.
    pub(super) nomination: u32,
    /// The controlling side nominated it before our own check succeeded (section 7.3.1.5).
    pub(super) nominate_on_success: bool,
    /// The other side proved on this path that it knows our password.
    pub(super) heard: bool,
    /// In the triggered-check queue.
    pub(super) triggered: bool,
    /// Its check in flight. Those before it may still be answered.
    pub(super) check: Option<TransactionId>,
    /// How many checks were sent, what repeats the same request not counted.
    pub(super) tries: u32,
    /// The check in flight was sent after the other side's first one had arrived.
    pub(super) check_after_heard: bool,
    pub(super) last_answer: Option<Instant>,
    /// The last time that the other side proved on this path that it lives.
    pub(super) last_heard: Option<Instant>,
    /// It fell silent while it was in use, and has not been heard since.
    pub(super) silent: bool,
    pub(super) quality: Quality,
    pub(super) stats: PairStats,
}

impl Pair {
    /// A pair of which nothing is known yet.
    pub(super) fn new(path: PathId, local: usize, remote: usize, priority: u64, class: PairClass) -> Self {
        Self {
            path,
            local,
            remote,
            priority,
            class,
            group: 0,
            state: PairState::Frozen,
            fate: None,
            forgotten: false,
            valid: None,
            nominated: false,
            nomination: 0,
            nominate_on_success: false,
            heard: false,
            triggered: false,
            check: None,
            tries: 0,
            check_after_heard: false,
            last_answer: None,
            last_heard: None,
            silent: false,
            quality: Quality::default(),
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
