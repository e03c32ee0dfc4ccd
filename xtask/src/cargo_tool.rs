//! Cargo subcommands of a pinned version, built into the project's own folder.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::job::Job;
use crate::repository::Repository;

/// A program from the registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum CargoTool {
    /// Checks licences and sources of every dependency.
    Deny,
    /// Builds and runs fuzz targets.
    Fuzz,
}

impl CargoTool {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Deny => "cargo-deny",
            Self::Fuzz => "cargo-fuzz",
        }
    }

    const fn version(self) -> &'static str {
        match self {
            Self::Deny => "0.20.2",
            Self::Fuzz => "0.13.2",
        }
    }

    fn program(self, repository: &Repository) -> PathBuf {
        repository.tools().join("bin").join(self.name())
    }

    /// A run of the tool in the workspace, as `cargo` itself would start it.
    pub(crate) fn job(self, label: &str, repository: &Repository) -> Job {
        Job::new(label, self.program(repository), repository.root()).arg(self.subcommand())
    }

    /// The same at the terminal.
    pub(crate) fn command(self, repository: &Repository) -> Command {
        let mut command = Command::new(self.program(repository));
        command.current_dir(repository.root()).arg(self.subcommand());
        command
    }

    fn subcommand(self) -> &'static str {
        self.name().strip_prefix("cargo-").expect("named as cargo wants it")
    }

    pub(crate) fn is_installed(self, repository: &Repository) -> bool {
        let output = Command::new(self.program(repository)).arg("--version").stderr(Stdio::null()).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(self.version()))
    }

    /// Builds and installs it unless the right version is there.
    ///
    /// Built without optimisation: these tools run for a second or only start others, and their release builds
    /// would take minutes.
    pub(crate) fn install(self, label: &str, repository: &Repository) -> Result<(), Failure> {
        if self.is_installed(repository) {
            return Ok(());
        }
        let done = Job::new(label, "cargo", repository.root())
            .args(["install", "--debug", "--locked", self.name(), "--version", self.version(), "--root"])
            .arg(repository.tools())
            .arg("--target-dir")
            .arg(repository.target().join("tools-build"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .run();
        if done.success {
            return Ok(());
        }
        Err(Failure::of(format!("{} {} could not be installed", self.name(), self.version()), &done))
    }
}
