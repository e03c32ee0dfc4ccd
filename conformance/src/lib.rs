//! What frazil is held against.
//!
//! - [`net`]: a network in virtual time, for anything with the contract of frazil's state machines
//! - [`cost`]: what one ICE connection costs, measured the same way for every implementation
//! - [`allocations`]: an allocator that counts
//! - [`seeds`]: properties over many seeds, each of which can be replayed alone
//!
//! The properties themselves are the integration tests of this crate; the implementations that frazil
//! is compared with are in the crate under `compare/`, outside the workspace.

pub mod allocations;
pub mod cost;
pub mod net;
pub mod seeds;
