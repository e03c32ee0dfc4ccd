//! `cargo xtask demo`: builds and runs the demo.

use std::process::ExitCode;

use crate::program;
use crate::repository::Repository;

/// Runs the demo with `arguments`.
pub(crate) fn run(repository: &Repository, arguments: Vec<String>) -> Result<ExitCode, String> {
    program::run(repository, "frazil-demo", arguments)
}
