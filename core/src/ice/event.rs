//! What an agent reports.

use std::net::SocketAddr;

use super::{LocalCandidate, PairReport, Role, State};
use crate::path::PathId;

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
    /// Open a TCP stream from `local`, whose port is 0 where any will do, to `remote`. Answer with
    /// `Agent::handle_stream_opened`, or with `Agent::handle_stream_closed` if it cannot be opened.
    OpenStream {
        /// The path that the stream is for: its only stream.
        path: PathId,
        /// What to bind to. For simultaneous-open, an address at which the driver listens too.
        local: SocketAddr,
        /// What to connect to.
        remote: SocketAddr,
    },
    /// Close the stream of this path, or stop opening it. No answer is expected, and what was sent before is still
    /// to be delivered.
    CloseStream {
        /// The path of the stream.
        path: PathId,
    },
}
