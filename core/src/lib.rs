//! One peer-to-peer connection core without sockets, clocks or threads.
//!
//! Every state machine here has one shape. It is made from a configuration, a seed and the time;
//! it is fed with `handle_…` calls; and after each of them it is drained with `poll_transmit` and
//! `poll_event` until both give `None`. `poll_timeout` says when to call `handle_timeout` at the
//! latest. Nothing else is read from outside, so the same seed and the same inputs give the same
//! bytes out, on every platform and from every language.
//!
//! The rooms, from the ground up; a room knows only those below it:
//!
//! - [`stun`]: the message codec, integrity and transactions (RFC 8489)
//! - [`nat`]: how the NATs before a socket behave, and the discovery of it (RFC 4787, RFC 5780)
//! - [`turn`]: the client of one allocation on a TURN server (RFC 8656)
//! - [`ice`]: candidates, check lists, checks, nomination, consent, over UDP and TCP (RFC 8445, 8838, 7675, 6544)
//! - [`sdp`]: session descriptions: parse, model, write (RFC 8866, 8839, 8843)
//! - [`jsep`]: offer and answer (RFC 9429)
//! - `session`: DTLS and SCTP, carried by `str0m` (feature `session`)
//! - `peer`: what an application holds; it composes the others (feature `session`)
//! - [`hub`]: one pace for many agents (RFC 8445 section 14.2)

#![forbid(unsafe_code)]

pub mod hub;
pub mod ice;
pub mod jsep;
pub mod nat;
mod path;
mod rng;
pub mod sdp;
pub mod stun;
mod time;
pub mod turn;

#[cfg(feature = "session")]
pub mod peer;
#[cfg(feature = "session")]
mod session;

pub use path::{Path, PathId, Protocol, Transmit};
pub use rng::Seed;
pub use time::Instant;
