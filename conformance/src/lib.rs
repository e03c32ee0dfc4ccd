//! What frazil is held against.
//!
//! - [`frazil_internet`]: an internet in virtual time, for anything with the contract of frazil's state machines
//! - `peer`: a peer on a host of it
//! - [`topology`] and [`disturbance`]: what a random scenario lays between two hosts, and does to them
//! - [`contestant`]: an ICE implementation, frazil's or another, as everything here drives it
//! - [`gathering`]: what a driver is around an agent: sockets, a STUN server, an allocation on a TURN server
//! - [`matrix`]: every pair of network kinds with every set of servers, and what must come of it
//! - [`ten_by_ten`]: two agents with ten candidates each, of which only the relayed ones connect
//! - [`faults`]: what a driver is around an agent while everything goes wrong, and the book that is kept of it
//! - [`cost`]: what one ICE connection costs, measured the same way for every implementation
//! - [`instructions`]: how many instructions something takes
//! - [`allocations`]: an allocator that counts
//! - [`seeds`]: properties over many seeds, each of which can be replayed alone
//!
//! The properties themselves are the integration tests of this crate; the implementations that frazil
//! is compared with are in the crate under `compare/`, outside the workspace.

pub mod allocations;
pub mod contestant;
pub mod cost;
pub mod disturbance;
pub mod draw;
pub mod faults;
pub mod gathering;
pub mod instructions;
pub mod matrix;
#[cfg(feature = "session")]
pub mod peer;
pub mod seeds;
pub mod ten_by_ten;
pub mod topology;
