//! ICE: an agent for one data stream (RFC 8445, RFC 8838, RFC 8863, RFC 7675, RFC 6544).
//!
//! [`Agent`] is the state machine. It is given its own candidates and the other side's, sends
//! connectivity checks over the pairs that they form, and says which path to use and for how long it
//! may be used.

mod agent;
mod binding;
mod candidate;
mod check_list;
mod checks;
mod config;
mod consent;
mod credentials;
mod event;
mod framing;
mod gathering;
mod generation;
mod ice_server;
mod interface;
mod liveness;
mod pace;
mod pair;
mod quality;
mod server;
mod state;
mod streams;
mod tcp;
#[cfg(test)]
mod tests;

pub use agent::{Agent, Received, Sent};
use agent::{go_together, scaled_rto};
pub use candidate::{Candidate, CandidateError, CandidateKind, Foundation, InvalidFoundation, LocalCandidate};
pub use config::{Config, Role, TransportPolicy};
pub use credentials::{Credentials, InvalidCredentials};
pub use event::{Event, NetworkChange, PathAfterChange};
pub use framing::{FrameReader, frame_header};
pub use gathering::{GatheringError, GatheringState, ResolveId, ServerOutcome, ServerReport, SocketId};
pub use ice_server::{IceServer, InvalidServer};
pub use interface::{HostPolicy, HostSocket, InterfaceKind, rank};
pub use pace::Pace;
pub use pair::{PairFate, PairReport, PairState, PairStats, SelectionCause};
pub use server::{InvalidServerUri, NoCredentials, Scheme, Server, ServerHost, ServerUri};
pub use state::{Counters, Failure, State};
pub use streams::StreamError;
pub use tcp::{TcpType, Transport};
