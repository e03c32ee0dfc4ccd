//! What an agent says of itself.

use core::fmt;

/// The state of the agent, as W3C's `RTCIceTransportState` names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Waits for the other side's credentials or for candidates.
    New,
    /// Checks pairs and has found none to use yet.
    Checking,
    /// Has a path to use, and may still find a better one.
    Connected,
    /// Has the nominated path, and nothing more to gather or to check.
    Completed,
    /// Hears nothing on the path in use, or has lost it and looks for another. It may come back by itself.
    Disconnected,
    /// Has no path and will find none; [`Failure`] says why. Only a restart helps.
    Failed,
    /// Was closed.
    Closed,
}

impl State {
    /// W3C's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Checking => "checking",
            Self::Connected => "connected",
            Self::Completed => "completed",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an agent failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// We have no candidate.
    NoLocalCandidates,
    /// The other side has given no candidate, and has not checked one of ours.
    NoRemoteCandidates,
    /// There was no pair to check: no candidate of one side goes with one of the other, as when one has IPv4
    /// only and the other IPv6.
    NoPairs,
    /// Every pair was checked and none answered.
    NoPairSucceeded,
    /// The selected path stopped answering and consent to send expired (RFC 7675 section 5.1).
    ConsentExpired,
    /// The other side took its consent back (RFC 7675 section 5.2).
    ConsentRevoked,
    /// The stream of the selected path was closed, and no other path was found.
    StreamLost,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLocalCandidates => "there is no local candidate",
            Self::NoRemoteCandidates => "the other side gave no candidate",
            Self::NoPairs => "no candidate of one side goes with a candidate of the other",
            Self::NoPairSucceeded => "every candidate pair was checked and none answered",
            Self::ConsentExpired => "the selected path stopped answering and consent to send expired",
            Self::ConsentRevoked => "the other side took its consent to send back",
            Self::StreamLost => "the stream of the selected path was closed and no other path was found",
        })
    }
}

/// What was received and not used, by reason. Nothing of it changed anything.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Counters {
    /// Application datagrams from a source that never proved that it knows our password.
    pub unknown_source: u64,
    /// Datagrams with a path number that is out of date.
    pub stale_path: u64,
    /// Datagrams that look like STUN and are not, or whose attributes make no sense.
    pub malformed: u64,
    /// STUN messages without a right FINGERPRINT.
    pub bad_fingerprint: u64,
    /// Requests for another user name, and messages with a wrong or no MESSAGE-INTEGRITY.
    pub bad_credentials: u64,
    /// Responses to no request of ours.
    pub unexpected_response: u64,
    /// Authenticated requests that were not followed up because a limit was reached.
    pub over_limit: u64,
}
