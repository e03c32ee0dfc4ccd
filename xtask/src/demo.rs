//! `cargo xtask demo`: builds and runs the demo.

use std::process::{Command, ExitCode};

use crate::repository::Repository;

/// Runs the demo with `arguments`. It takes this process's place, so that signals and the exit status are its own.
pub(crate) fn run(repository: &Repository, arguments: Vec<String>) -> Result<ExitCode, String> {
    eprintln!("building the demo; the first time takes a few minutes");
    let mut command = Command::new("cargo");
    command.args(["run", "--package", "frazil-demo", "--manifest-path"]);
    command.arg(repository.root().join("Cargo.toml")).arg("--").args(arguments);
    take_over(command).map_err(|error| format!("cargo did not start: {error}"))
}

#[cfg(unix)]
fn take_over(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec())
}

#[cfg(not(unix))]
fn take_over(mut command: Command) -> std::io::Result<ExitCode> {
    let status = command.status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
