//! The agent's gathering in a bad world.

mod bad_world;
mod middle;
mod policy;
mod site;
mod villain;
