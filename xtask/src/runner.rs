//! Reads what test runners print: how many tests passed, which failed and why, which were skipped and why.

pub(crate) mod cargo;
pub(crate) mod maven;
pub(crate) mod node;
pub(crate) mod pytest;
pub(crate) mod swift;

/// A test that a runner counts and does not name.
const NAMELESS: &str = "a test";
/// A test that was skipped without a word.
const NO_REASON: &str = "no reason given";
