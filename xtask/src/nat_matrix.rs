//! `cargo xtask nat-matrix`: in which networks two peers connect, and how.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::arguments::{no_more_options, take_flag, take_value};
use crate::counts::Counts;
use crate::job::Job;
use crate::repository::Repository;
use crate::step::Context;

const OWN: &[&str] = &["run", "--package", "frazil-conformance", "--no-default-features", "--bin", "nat-matrix"];
/// Peers are compared by what they cost, too.
const PEERS: &[&str] =
    &["run", "--release", "--manifest-path", "conformance/compare/Cargo.toml", "--bin", "nat-matrix"];

/// `cargo xtask nat-matrix [--peers] [--json FILE] [--svg FILE]`, and `cargo xtask nat-matrix ten-by-ten [--peers]`.
pub(crate) fn run(repository: &Repository, mut arguments: Vec<String>) -> Result<ExitCode, String> {
    let peers = take_flag(&mut arguments, "--peers");
    let here = std::env::current_dir().unwrap_or_default();
    let [json, svg] = ["json", "svg"].map(|kind| {
        let given = take_value(&mut arguments, &format!("--{kind}"))?;
        Ok::<PathBuf, String>(given.map_or_else(|| output(repository, kind), |file| here.join(file)))
    });
    let (json, svg) = (json?, svg?);
    no_more_options(&arguments)?;
    let mut command = Command::new("cargo");
    command.current_dir(repository.root()).args(if peers { PEERS } else { OWN }).arg("--");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            command.arg("--json").arg(&json).arg("--svg").arg(&svg);
        }
        ["ten-by-ten"] => {
            command.arg("ten-by-ten");
        }
        [other, ..] => return Err(format!("`nat-matrix` knows `ten-by-ten`, not `{other}`")),
    }
    if peers {
        command.arg("--instructions");
    }
    fs::create_dir_all(repository.target()).map_err(|error| format!("no folder to write to: {error}"))?;
    let status = command.status().map_err(|error| format!("cargo did not start: {error}"))?;
    if arguments.is_empty() {
        println!("{}\n{}", json.display(), svg.display());
    }
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The matrix as a step of the tests.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    let [json, svg] = ["json", "svg"].map(|kind| output(context.repository, kind));
    let job = Job::new(context.label, "cargo", context.repository.root());
    Counts::of_command(&job.args(OWN).args(["--", "--json"]).arg(json).arg("--svg").arg(svg).run())
}

fn output(repository: &Repository, kind: &str) -> PathBuf {
    repository.target().join(format!("nat-matrix.{kind}"))
}
