//! How the NATs before a socket behave (RFC 4787), and how to find out (RFC 5780).
//!
//! [`Mapping`] says on what the address depends that others see; [`Mapping::observed`] tells it from what any servers
//! have seen.

mod mapping;

pub use mapping::{Mapping, Observation};
