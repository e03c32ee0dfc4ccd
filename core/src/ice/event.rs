//! What an agent reports.

use std::net::{IpAddr, SocketAddr};

use super::{Failure, GatheringError, GatheringState, LocalCandidate, PairReport, ResolveId, Role, SocketId, State};
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
    /// From now on this pair carries the traffic; [`PairReport::selected`] says why.
    SelectedPairChange(Box<PairReport>),
    /// The restart has found no path, for this reason. The path from before it stays in use.
    RestartFailed(Failure),
    /// The machine's addresses have changed, and this is what the agent made of it.
    NetworkChange(NetworkChange),
    /// The gathering has begun, begun again or ended.
    GatheringStateChange(GatheringState),
    /// A STUN or TURN server gives us no candidate, or takes back what it gave.
    GatheringError(GatheringError),
    /// Resolve the name of a server, to addresses of both families, and answer with `Agent::handle_resolved`.
    Resolve {
        /// To be given with the answer.
        request: ResolveId,
        /// The host name.
        name: String,
    },
    /// Bind a UDP socket on this address and any port, and answer with `Agent::handle_socket_opened`. A TURN server takes
    /// the socket of the base for one that it knows from before.
    OpenSocket {
        /// To be given with the answer.
        socket: SocketId,
        /// The address to bind to.
        local: IpAddr,
    },
    /// Close the socket that was bound for [`Event::OpenSocket`].
    CloseSocket {
        /// The address that it is bound to.
        local: SocketAddr,
    },
    /// Open a TCP stream from `local`, whose port is 0 where any will do, to `remote`. Answer with
    /// `Agent::handle_stream_opened`, or with `Agent::handle_stream_closed` if it cannot be opened. What comes in a stream
    /// of which `Agent::is_server_stream` is true goes to `Agent::handle_stream_data` as it is.
    OpenStream {
        /// The path that the stream is for: its only stream.
        path: PathId,
        /// What to bind to. For simultaneous-open, an address at which the driver listens too.
        local: SocketAddr,
        /// What to connect to.
        remote: SocketAddr,
        /// For a server that is to be spoken to in TLS, what its certificate must be for: a host name, or the text of an
        /// IP address.
        tls: Option<String>,
    },
    /// Close the stream of this path, or stop opening it. No answer is expected, and what was sent before is still
    /// to be delivered.
    CloseStream {
        /// The path of the stream.
        path: PathId,
    },
}

/// What a change of the machine's addresses led to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct NetworkChange {
    /// Bases that are new: a candidate was made of each, and it is paired and checked.
    pub added: Vec<SocketAddr>,
    /// Bases that are gone, with their candidates and pairs.
    pub removed: Vec<SocketAddr>,
    /// What became of the path in use.
    pub path: PathAfterChange,
}

/// What became of the path in use when the machine's addresses changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PathAfterChange {
    /// There was none.
    None,
    /// It stays.
    Kept,
    /// It went with its base; another pair that is known to work has taken its place.
    Moved,
    /// It went with its base, and no other pair is known to work. All are tried, and the new ones too. The other side
    /// does not know of the new addresses; an ICE restart tells it.
    Lost,
}
