//! What a driver is around an agent while everything goes wrong, and the book that is kept of what the agent does.
//!
//! [`Driver`] owns the sockets: it asks STUN servers, holds an allocation, and follows the machine's addresses. Whatever
//! the agent sends or accepts passes a ledger that knows nothing of the agent's inside, and panics when a datagram is
//! one that the RFCs do not allow.

mod driver;
mod ledger;

pub use driver::{Driver, Heard, Interface, Setup};
