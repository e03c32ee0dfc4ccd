//! The programs among the examples, built and run in this process's place.

use std::process::{Command, ExitCode};

use crate::repository::Repository;

/// Runs the only program of a package. It takes this process's place, so that signals and the exit status are its own.
/// What cargo says is shown where it has much to do.
pub(crate) fn run(repository: &Repository, package: &str, arguments: Vec<String>) -> Result<ExitCode, String> {
    let mut command = Command::new("cargo");
    command.arg("run");
    if repository.target().join("debug").join(package).exists() {
        command.arg("--quiet");
    } else {
        eprintln!("building {package}; the first time takes a few minutes");
    }
    command.args(["--package", package, "--manifest-path"]).arg(repository.root().join("Cargo.toml"));
    command.arg("--").args(arguments);
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
