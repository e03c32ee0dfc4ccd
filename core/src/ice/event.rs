//! What an agent reports.

use super::{LocalCandidate, PairReport, Role, State};

/// Something happened. Events come in the order in which it happened.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The other side should be told of this candidate.
    LocalCandidate(LocalCandidate),
    /// The state changed; on [`State::Failed`], `Agent::failure` says why.
    StateChange(State),
    /// A role conflict was settled (RFC 8445 section 7.3.1.1).
    RoleChange(Role),
    /// From now on this pair carries the traffic.
    SelectedPairChange(Box<PairReport>),
}
