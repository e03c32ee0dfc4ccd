//! `cargo xtask kernel-matrix`: two native peers behind the kernel's own NATs, beside what the virtual internet predicts.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::arguments::{take_flag, take_value};
use crate::counts::Counts;
use crate::failure::Failure;
use crate::job::Job;
use crate::node;
use crate::repository::Repository;
use crate::setup::{Need, Setup, find_program};
use crate::step::Context;
use crate::suite::{BROWSER_SUITE, CHROMIUM};

/// It makes networks of namespaces, with the NAT of `nft` and servers of coturn's.
pub(crate) const NEEDS: &[Need] = &[
    Need::NetworkNamespace,
    Need::Program { any_of: &["ip"], package: "iproute2" },
    Need::Program { any_of: &["nft"], package: "nftables" },
    Need::Program { any_of: &["turnserver"], package: "coturn" },
    Need::Lab,
];

/// The same with a browser on one side.
pub(crate) const CHROMIUM_NEEDS: &[Need] = &[
    NEEDS[0],
    NEEDS[1],
    NEEDS[2],
    NEEDS[3],
    NEEDS[4],
    Need::Program { any_of: CHROMIUM, package: "chromium" },
    Need::program(&["npm"]),
    Need::Node,
    Need::NodeModules { folder: BROWSER_SUITE },
];

const PROGRAM: &[&str] = &["run", "--package", "frazil-kernel", "--bin", "kernel-matrix", "--"];

/// `cargo xtask kernel-matrix [--chromium] [--json FILE]`; other arguments are the program's own.
pub(crate) fn run(repository: &Repository, mut arguments: Vec<String>) -> Result<ExitCode, String> {
    let here = std::env::current_dir().unwrap_or_default();
    let with_chromium = take_flag(&mut arguments, "--chromium");
    let name = if with_chromium { "kernel-chromium" } else { "kernel-matrix" };
    let json = take_value(&mut arguments, "--json")?.map_or_else(|| output(repository, name), |file| here.join(file));
    let needs = if with_chromium { CHROMIUM_NEEDS } else { NEEDS };
    Setup::new(repository).meet(needs).map_err(|unmet| unmet.to_string())?;
    let mut command = Command::new("cargo");
    command.current_dir(repository.root()).args(PROGRAM).arg("--json").arg(&json).args(arguments);
    if with_chromium {
        command.arg("--chromium").env("CHROMIUM", chromium()).env("PATH", node::search_path(repository));
    }
    let status = command.status().map_err(|error| format!("cargo did not start: {error}"))?;
    println!("{}", json.display());
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The table as a step of the tests.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    let job = Job::new(context.label, "cargo", context.repository.root()).args(PROGRAM);
    Counts::of_tests(count, &job.arg("--json").arg(output(context.repository, "kernel-matrix")).run())
}

/// The cells with Chromium as a step of the tests.
pub(crate) fn chromium_step(context: &Context<'_>) -> Counts {
    let job = Job::new(context.label, "cargo", context.repository.root()).args(PROGRAM).arg("--chromium");
    let job = job.env("CHROMIUM", chromium()).env("PATH", node::search_path(context.repository));
    Counts::of_tests(count, &job.arg("--json").arg(output(context.repository, "kernel-chromium")).run())
}

fn chromium() -> PathBuf {
    CHROMIUM.iter().find_map(|name| find_program(name)).unwrap_or_default()
}

fn output(repository: &Repository, name: &str) -> PathBuf {
    repository.target().join(format!("{name}.json"))
}

/// Reads the last words of the program: a line for each network and cell that differs, and how many are as predicted.
fn count(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines() {
        if let Some(what) = line.strip_prefix("differs: ") {
            counts.failed.push(Failure::unexplained(what));
        } else if line.contains(" networks and cells are as predicted") {
            counts.passed += line.split(' ').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_has_failed() {
        let output = "\
public  public  none  none  stun  direct  direct  20  host-host  host-host
differs: public symmetric stun: predicted: punched; seen: no pair succeeded
188 of 189 networks and cells are as predicted, in 95 s
";
        let counts = count(output);
        assert_eq!((counts.passed, counts.failed.len()), (188, 1));
        assert!(counts.failed[0].what.starts_with("public symmetric stun"), "{counts:?}");
        assert_eq!(count("a panic"), Counts::default());
    }
}
