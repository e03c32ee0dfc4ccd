//! DTLS and SCTP over the agent's path (RFC 8261), carried by `str0m`: the only module that names it.
//!
//! A [`Session`] is one secured association with its data channels. It knows nothing of candidates or
//! paths: whoever owns it says once that there is a path, hands in what comes over any validated path, and
//! sends what comes out over the one that is selected. An ICE restart goes unnoticed here.
//!
//! `str0m` is made to run behind a foreign ICE agent and a foreign clock through its public API alone:
//!
//! - [`engine`]: `str0m` itself, its inputs and outputs reduced to what is used
//! - [`virtual_ice`]: the other side that its own ICE agent believes in
//! - [`description`]: the session description that it is given
//! - [`clock`]: its time, which starts with the first path
//! - [`randomness`]: what it draws from the thread's generator
//! - [`dtls`]: a hand on the plaintext between its SCTP and its DTLS; [`sctp`] and [`hurry`] for what is done
//!   there
//!
//! The rest is ours: [`parameters`] and [`certificate`] to begin with, [`session`] and [`running`], which tie it
//! together, [`channel`] and [`channels`], [`event`] and [`inbox`], [`unread`] for what was taken out of that, and
//! [`plausible`] and [`early`] at the door.

mod certificate;
mod channel;
mod channels;
mod clock;
mod description;
mod dtls;
mod early;
mod engine;
mod event;
mod hurry;
mod inbox;
mod parameters;
mod plausible;
mod randomness;
mod running;
mod sctp;
#[expect(clippy::module_inception, reason = "the module is named for what it holds")]
mod session;
#[cfg(test)]
mod tests;
mod unread;
mod virtual_ice;

pub use certificate::Certificate;
pub use channel::{ChannelConfig, ChannelError, ChannelId, MessageKind, Reliability, SendError};
pub(crate) use event::Event;
pub use event::Failure;
pub(crate) use parameters::{Config, Remote};
pub use parameters::{SetupError, StartError};
pub(crate) use session::Session;
pub(crate) use unread::{Level, MESSAGE_OVERHEAD};
