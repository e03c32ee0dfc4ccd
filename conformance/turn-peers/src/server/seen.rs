//! What a server remembers.

use std::time::Instant;

use frazil::stun::Method;

/// A request, or a datagram that was relayed, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    /// It has MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256.
    pub(crate) is_signed: bool,
    /// The key was made by SHA-256, or the message signed with it.
    pub(crate) has_sha256: bool,
    /// It has USERHASH instead of USERNAME.
    pub(crate) has_userhash: bool,
    /// Whom it names, where it names somebody in clear.
    pub(crate) user: Option<String>,
    /// It gives the allocation back.
    pub(crate) is_release: bool,
    pub(crate) answer: Answer,
}

/// How it was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Success,
    Error(u16),
    /// An indication or channel data: it was sent on.
    Relayed,
    /// Not at all.
    None,
    Garbage,
}
