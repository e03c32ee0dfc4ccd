//! frazil's [`Peer`] as a language border carries it.
//!
//! The bindings for Python, Node, Kotlin and Swift are thin, because what they have in common is here, once:
//!
//! - **Flat values.** What crosses is numbers, text, bytes, and records of these; an address is the text of an IP address
//!   and a port. The tables [`records!`], [`events!`] and [`reasons!`] hold each with its docs, so that a binding
//!   declares them for its language by one macro of its own, and cannot leave one out.
//! - **Time** is a number of nanoseconds of a monotonic clock that the caller reads.
//! - **Paths** are interned once as a small number; datagrams go in as borrowed bytes, and come out in the caller's buffer.
//! - **Batches**: several datagrams or messages cross in one call, one behind the other in one buffer; see [`batch`].
//! - **Guarded calls.** Every call catches a panic, says so as an [`Error`], and the peer is of no use from then on.
//!   After [`Peer::close`] a call is an error; to close twice is none.
//! - **Errors** have a [`Reason`] for programs and the core's message for people.
//!
//! Whatever thread calls, calls wait for one another. Nothing here waits for anything else, and nothing calls back.

#![forbid(unsafe_code)]

pub mod batch;
mod clock;
mod config;
mod error;
mod event;
mod guard;
mod hosts;
mod peer;
mod record;

pub use error::{Error, Reason};
pub use event::Event;
pub use guard::{guarded, inject_panic};
pub use hosts::host_sockets;
pub use peer::{Message, OwnedMessage, Peer, Waiting};
pub use record::{Certificate, ChannelConfig, Config, Description, HostSocket, IceCandidate, IceServer, Pair, Path};

/// The version of all bindings.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
