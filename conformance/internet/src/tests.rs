//! What the internet does to what is sent in it.

mod wires;
