//! Recorded schedules: what was handed to a peer and when, and every byte that it gave back.
//!
//! A [`Player`] does what the lines of a schedule say and gives the lines that come of it; a [`Recorder`] has one play what
//! happens to a host of the virtual internet, and writes it down. The [`scenarios`] are those whose schedules lie in
//! `conformance/schedules`, where the bindings for all languages play them in tests of their own. `docs/schedules.md` is the
//! format.
//!
//! What is protected by DTLS cannot be replayed, since its keys are drawn anew; so the recorded side is the one that waits
//! for the handshake, and the handshake is kept from it.

#![forbid(unsafe_code)]

mod hex;
mod player;
mod recorder;
pub mod scenarios;

pub use player::{Outcome, Player, check};
pub use recorder::Recorder;

/// The first line of every schedule.
pub const HEADING: &str = "frazil schedule 1";
