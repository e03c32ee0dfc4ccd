//! The Java and Maven that build and test the Kotlin binding. Maven fetches Kotlin itself, of the version that the
//! `pom.xml` names.

use std::process::Command;

use crate::counts::Counts;
use crate::job::Job;
use crate::repository::Repository;
use crate::setup::find_program;
use crate::step::Context;

/// The least major version of the compiler and the runtime.
const LEAST: u32 = 17;
/// What Debian calls its own version: 17 in Debian 12.
const JDK: &str = "default-jdk-headless";
const MAVEN: &str = "maven";

/// A run of Maven in `folder` of the repository. What it fetches stays among the project's tools, and it starts no
/// compiler that outlives it.
pub(crate) fn maven(label: &str, repository: &Repository, folder: &str) -> Job {
    let mut packages = std::ffi::OsString::from("-Dmaven.repo.local=");
    packages.push(repository.tools().join("maven"));
    Job::new(label, "mvn", &repository.root().join(folder))
        .args(["--batch-mode", "--no-transfer-progress", "-Dstyle.color=never", "-Dkotlin.compiler.daemon=false"])
        .arg(packages)
}

/// Whether Maven runs, and with which Java.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    Counts::of_command(&maven(context.label, context.repository, "").arg("--version").run())
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
