//! ICE: an agent for one data stream (RFC 8445, RFC 8838, RFC 7675).

mod candidate;
mod credentials;

pub use candidate::{Candidate, CandidateKind, Foundation, InvalidFoundation, LocalCandidate};
pub use credentials::{Credentials, InvalidCredentials};
