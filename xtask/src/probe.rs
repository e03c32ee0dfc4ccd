//! `cargo xtask probe`: builds and runs the probe.

use std::process::ExitCode;

use crate::program;
use crate::repository::Repository;

/// Runs the probe with `arguments`.
pub(crate) fn run(repository: &Repository, arguments: Vec<String>) -> Result<ExitCode, String> {
    program::run(repository, "frazil-probe", arguments)
}
