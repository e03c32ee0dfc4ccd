//! frazil on tokio.

#![forbid(unsafe_code)]

mod channel;
mod clock;
mod driver;
mod error;
mod event;
mod interfaces;
mod mdns;
mod peer;
mod pressure;
mod resolve;
mod shared;
mod socket;

pub use channel::{Channel, Message};
pub use error::{ConnectError, Error, SendError, StartError, TrySendError};
pub use event::{Event, Events};
pub use interfaces::{Interface, InterfaceFilter, InterfacePolicy, interfaces};
pub use peer::{Builder, Peer, Stats};
