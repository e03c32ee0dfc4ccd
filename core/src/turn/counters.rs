//! What a client counts and otherwise ignores.

/// How often something was ignored that should not have come, or could not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams from elsewhere than the server.
    pub wrong_source: u64,
    /// Neither STUN nor channel data, or malformed.
    pub malformed: u64,
    /// FINGERPRINT was wrong.
    pub bad_fingerprint: u64,
    /// Answers to nothing that was asked.
    pub unmatched: u64,
    /// Answers whose integrity was missing or wrong (RFC 8489 section 9.2.5).
    pub bad_integrity: u64,
    /// Answers whose nonce announces password algorithms that they do not list (RFC 8489 section 9.2.5).
    pub bid_down: u64,
    /// Requests, indications that nobody knows, and messages with attributes that must be understood and are not.
    pub unexpected: u64,
    /// Data from peers without permission.
    pub unpermitted: u64,
    /// Data on channels that are not bound.
    pub unbound: u64,
    /// ICMP errors that the server has passed on (RFC 8656 section 11.5).
    pub icmp: u64,
    /// Datagrams that waited for a permission and were dropped, and connections of peers that were too many.
    pub dropped: u64,
    /// Datagrams that the buffer given to `poll_transmit` was too small for.
    pub oversized: u64,
}
