//! A peer: what an application holds.
//!
//! [`Peer`] joins the rooms below: it negotiates by [`crate::jsep`], finds a path by [`crate::ice`] and runs
//! DTLS and SCTP over it.

mod concealment;
mod config;
mod error;
mod event;
mod intake;
mod names;
#[expect(clippy::module_inception, reason = "the module is named for what it holds")]
mod peer;
mod state;
#[cfg(test)]
mod tests;

pub use crate::session::{
    Certificate, ChannelConfig, ChannelError, ChannelId, Failure as SessionFailure, MessageKind, Reliability,
    SendError, SetupError, StartError,
};
pub use config::Config;
pub use error::{Error, Failure};
pub use event::Event;
pub use peer::{Counters, Peer};
pub use state::ConnectionState;
