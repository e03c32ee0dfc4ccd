//! TURN: the client of one allocation on one server (RFC 8656, RFC 6062, RFC 8489).
//!
//! [`Client`] is the state machine. It asks a server for a relayed address over UDP, TCP or TLS, keeps it, carries data
//! to peers and back, and says why when it cannot. What only an operating system can do it asks for by an [`Event`]:
//! to open a stream to the server, and to close it.
//!
//! It knows nothing of candidates. Whoever has an allocation may use it as a socket that is bound to the relayed
//! address: [`Client::send`] sends from it, and what arrives comes out of [`Client::handle_datagram`] or
//! [`Client::handle_stream_data`].
//!
//! An allocation can be one for TCP instead ([`Relay::Tcp`]): then [`Client::connect`] and [`Client::accept`] lead to
//! [data streams](DataStream), each of which carries what goes between the client and one peer.

mod client;
mod config;
mod counters;
mod event;
mod failure;
mod frames;
mod peers;
mod request;
mod streams;
mod terms;
#[cfg(test)]
mod tests;
mod transaction;

pub use client::{Client, DataTransmit, PeerData, SendError, Sent, Transmit};
pub use config::{Config, Family, InvalidConfig, Port, Relay, ReservationToken, Transport};
pub use counters::Counters;
pub use event::{Allocated, Event};
pub use failure::{Failure, Loss, Refusal};
pub(crate) use frames::Frames;
pub use streams::DataStream;
