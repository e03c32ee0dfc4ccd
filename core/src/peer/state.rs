//! The state of a peer as a whole.

use core::fmt;

use crate::ice;

/// W3C's `RTCPeerConnectionState`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConnectionState {
    /// Nothing has begun.
    New,
    /// A path is looked for, or the two sides agree on keys over it.
    Connecting,
    /// Data can flow.
    Connected,
    /// Nothing is heard on the path; it may come back by itself.
    Disconnected,
    /// No path, or no secure session, will come about. `Peer::failure` says why.
    Failed,
    /// Closed, by us or by the other side.
    Closed,
}

impl ConnectionState {
    /// W3C's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }

    /// The state that follows from that of the agent and that of the secure session.
    pub(super) fn of(agent: ice::State, session: SessionState) -> Self {
        match (agent, session) {
            (ice::State::Closed, _) | (_, SessionState::Closed) => Self::Closed,
            (ice::State::Failed, _) | (_, SessionState::Failed) => Self::Failed,
            (ice::State::Disconnected, _) => Self::Disconnected,
            (ice::State::New, SessionState::New) => Self::New,
            (ice::State::Connected | ice::State::Completed, SessionState::Connected) => Self::Connected,
            _ => Self::Connecting,
        }
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far the secure session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SessionState {
    /// It waits for the negotiation and a path, or shakes hands.
    New,
    /// Data can flow.
    Connected,
    /// The handshake or the association failed.
    Failed,
    /// One side closed it.
    Closed,
}
