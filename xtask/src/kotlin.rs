//! The Java and Maven that build and test the Kotlin binding, and the step of the tests. Maven fetches Kotlin itself, of the
//! version that the `pom.xml` names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::counts::Counts;
use crate::failure::Failure;
use crate::job::Job;
use crate::repository::Repository;
use crate::runner;
use crate::setup::find_program;
use crate::step::Context;

/// The least major version of the compiler and the runtime.
const LEAST: u32 = 17;
/// The binding.
const PACKAGE: &str = "bindings/mobile/kotlin";
/// What Debian calls its own version: 17 in Debian 12.
const JDK: &str = "default-jdk-headless";
const MAVEN: &str = "maven";

/// A run of Maven in `folder` of the repository. What it fetches stays among the project's tools, and it starts no
/// compiler that outlives it.
pub(crate) fn maven(label: &str, repository: &Repository, folder: &str) -> Job {
    let mut packages = OsString::from("-Dmaven.repo.local=");
    packages.push(repository.tools().join("maven"));
    // By itself Maven 3 asks again after neither a refused connection, nor an unknown host, nor an error of the server.
    let patience = [
        "-Dmaven.wagon.http.retryHandler.class=default",
        "-Dmaven.wagon.http.retryHandler.count=5",
        "-Dmaven.wagon.http.retryHandler.nonRetryableClasses=javax.net.ssl.SSLPeerUnverifiedException",
        "-Dmaven.wagon.http.serviceUnavailableRetryStrategy.class=standard",
    ];
    Job::new(label, "mvn", &repository.root().join(folder))
        .args(patience)
        .args(["--batch-mode", "--no-transfer-progress", "-Dstyle.color=never", "-Dkotlin.compiler.daemon=false"])
        .arg(packages)
}

/// Builds the jar as users get it, checks its form, and installs it beside what Maven has fetched. Gives the jar.
pub(crate) fn install_package(label: &str, repository: &Repository) -> Result<PathBuf, Failure> {
    let installed = project(label, repository, "").arg("install").run();
    if !installed.success {
        return Err(Failure::of("the Kotlin package", &installed));
    }
    let jar = concat!("target/frazil-", env!("CARGO_PKG_VERSION"), ".jar");
    Ok(repository.root().join(PACKAGE).join(jar))
}

/// Builds the programs that are the package's examples, with the jar that is installed, and gives the jar that holds them. It
/// runs by itself: `java -jar`.
pub(crate) fn build_examples(label: &str, repository: &Repository) -> Result<PathBuf, Failure> {
    let built = project(label, repository, "examples").arg("package").run();
    if !built.success {
        return Err(Failure::of("the Kotlin examples", &built));
    }
    Ok(repository.root().join(PACKAGE).join("examples/target/echo.jar"))
}

/// The jar as users get it: its form, its examples, and its tests in a project of their own, which has what any user has.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    let Context { label, repository, .. } = *context;
    let mut counts = match install_package(label, repository) {
        Ok(_) => Counts::one_passed(),
        Err(failure) => return Counts::one_failed(failure),
    };
    counts.add(Counts::of_tests(runner::maven::read, &project(label, repository, "tests").arg("test").run()));
    counts.add(build_examples(label, repository).map_or_else(Counts::one_failed, |_| Counts::one_passed()));
    counts
}

/// A run of Maven on the package, or on what lies in a folder of it and uses the jar. A jar of another version than the
/// workspace's is not found.
fn project(label: &str, repository: &Repository, folder: &str) -> Job {
    let mut target = OsString::from("-Dcargo.target=");
    target.push(repository.target());
    let version = concat!("-Dfrazil.version=", env!("CARGO_PKG_VERSION"));
    maven(label, repository, PACKAGE).arg(target).arg(version).arg("--file").arg(Path::new(folder).join("pom.xml"))
}

/// The Debian packages that are missing.
pub(crate) fn missing_packages() -> &'static [&'static str] {
    match (has_jdk(), find_program("mvn").is_some()) {
        (true, true) => &[],
        (true, false) => &[MAVEN],
        (false, true) => &[JDK],
        (false, false) => &[JDK, MAVEN],
    }
}

fn has_jdk() -> bool {
    let output = Command::new("javac").arg("-version").output();
    output.is_ok_and(|output| major(&String::from_utf8_lossy(&output.stdout)).is_some_and(|major| major >= LEAST))
}

/// `javac 17.0.15` is 17, `javac 1.8.0_402` is 1.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix("javac ")?.split(['.', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("javac 17.0.15\n"), Some(17));
        assert_eq!(major("javac 25-ea"), Some(25));
        assert_eq!(major("javac 1.8.0_402"), Some(1));
        assert_eq!(major(""), None);
    }
}
