//! What must hold for every input that a stranger can send: one function for each fuzz target.
//!
//! They are plain functions, so that the corpus is also replayed by `cargo test`, on any machine and with a debugger.

mod candidate;
mod peer;
mod sdp;
mod stream;
mod stun;
mod world;

pub use candidate::candidate;
pub use peer::peer;
pub use sdp::sdp;
pub use stream::stream;
pub use stun::stun;

#[cfg(test)]
mod corpus;
