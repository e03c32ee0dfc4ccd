//! What frazil is held against.
//!
//! - [`frazil_internet`]: an internet in virtual time, for anything with the contract of frazil's state machines
//! - `peer`: a peer on a host of it
//! - [`topology`] and [`disturbance`]: what a random scenario lays between two hosts, and does to them
//! - [`cost`]: what one ICE connection costs, measured the same way for every implementation
//! - [`allocations`]: an allocator that counts
//! - [`seeds`]: properties over many seeds, each of which can be replayed alone
//!
//! The properties themselves are the integration tests of this crate; the implementations that frazil
//! is compared with are in the crate under `compare/`, outside the workspace.

pub mod allocations;
pub mod cost;
pub mod disturbance;
pub mod draw;
#[cfg(feature = "session")]
pub mod peer;
pub mod seeds;
pub mod topology;
