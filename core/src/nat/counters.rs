//! What was counted.

/// What arrived and had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Datagrams that are no STUN message, or whose FINGERPRINT is wrong.
    pub malformed: u64,
    /// Messages with no transaction id of ours that is open: strangers' ones, and answers that come late or twice.
    pub unexpected: u64,
    /// Messages with a transaction id of ours on another path than the answer has to take, or of another class.
    pub misplaced: u64,
}
