//! How the NATs before a socket behave (RFC 4787), and how to find out (RFC 5780).
//!
//! [`Mapping`] says on what the address depends that others see; [`Mapping::observed`] tells it from what any servers
//! have seen. [`Discovery`] is the state machine that asks a server which has two addresses, and finds out besides whom
//! the NATs let in ([`Filtering`]) and whether they turn packets round ([`Hairpinning`]). What it cannot know is
//! [`Unknown`], with the reason: it does not guess.

mod address;
mod ask;
mod config;
mod counters;
mod discovery;
mod filtering;
mod hairpinning;
mod mapping;
mod reasoning;
#[cfg(test)]
mod tests;
mod unknown;

pub use config::{Config, InvalidConfig};
pub use counters::Counters;
pub use discovery::{Discovery, Event, Transmit};
pub use filtering::Filtering;
pub use hairpinning::Hairpinning;
pub use mapping::{Mapping, Observation};
pub use unknown::Unknown;
