//! The matrix: every pair of network kinds with every set of servers.
//!
//! [`Topology`] draws a cell. [`oracle`] says what must come of it from the drawing alone; the virtual internet lays it
//! and two parties try. The two share nothing but the drawing.

mod cell;
pub mod command;
mod contest;
mod drawing;
mod kind;
pub mod oracle;
mod record;
mod stage;
mod table;
pub mod topology;

pub use cell::{Cell, Outcome};
pub use contest::{Beaten, Entrant, Results, beaten};
pub use kind::{Kind, Networks, Servers, Shared};
pub use oracle::{PathKind, Verdict};
pub use topology::Topology;
