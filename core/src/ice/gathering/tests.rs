//! Gathering against servers that the test plays, where it matters what they answer and when.

mod bench;
mod clauses;
mod sockets;
mod streams;
mod trouble;
