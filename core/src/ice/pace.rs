//! Who says when a new check may be sent.

/// Who says when a new check may be sent (RFC 8445 section 14.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Pace {
    /// The agent itself: one each Ta.
    #[default]
    Own,
    /// Its holder, for many agents together: the agent says [what it wants](super::Agent::wants_check) and waits
    /// for a [grant](super::Agent::grant_check). [`hub::Pacer`](crate::hub::Pacer) gives them.
    Granted,
}
