//! Instructions, counted by callgrind.

use core::fmt;
use std::path::Path;
use std::process::Command;

/// How often the measured thing is done in each of two runs: what both spend (tables, lazy statics, CPU detection)
/// cancels out.
#[derive(Clone, Copy, Debug)]
pub struct Repetitions {
    /// In the short run.
    pub warm_up: u64,
    /// In the long run beyond that.
    pub measured: u64,
}

/// What of the program is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All of it.
    Everything,
    /// What is called through [`in_the_agent`].
    Agents,
}

/// Instructions per repetition: `program` is run under callgrind twice, with `arguments` and a number of repetitions
/// after them, and the difference is shared out.
///
/// # Errors
/// If there is no valgrind, or the program fails.
pub fn per_repetition(
    program: &Path,
    arguments: &[&str],
    repetitions: Repetitions,
    scope: Scope,
) -> Result<u64, MeasureError> {
    let Repetitions { warm_up, measured } = repetitions;
    let few = total(program, arguments, warm_up, scope)?;
    let many = total(program, arguments, warm_up + measured, scope)?;
    Ok((many - few) / measured)
}

/// Calls an agent. Its name is what callgrind looks for when only agents are counted, so calls must not be nested.
#[inline(never)]
pub fn in_the_agent<R>(call: impl FnOnce() -> R) -> R {
    call()
}

fn total(program: &Path, arguments: &[&str], repetitions: u64, scope: Scope) -> Result<u64, MeasureError> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no"]);
    if scope == Scope::Agents {
        command.arg("--toggle-collect=*in_the_agent*");
    }
    command.arg(program).args(arguments).arg(repetitions.to_string());
    let output = command.output().map_err(MeasureError::NoValgrind)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(MeasureError::Failed(said.into_owned()));
    }
    // "==1234== Collected : 56789"
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim());
    collected.and_then(|count| count.parse().ok()).ok_or_else(|| MeasureError::NoCount(said.into_owned()))
}

/// Why there is no count.
#[derive(Debug)]
pub enum MeasureError {
    /// valgrind could not be started.
    NoValgrind(std::io::Error),
    /// The program failed under callgrind; what was said.
    Failed(String),
    /// callgrind's report has no total; what was said.
    NoCount(String),
}

impl fmt::Display for MeasureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValgrind(error) => write!(f, "valgrind, which counts the instructions, cannot be started: {error}"),
            Self::Failed(said) => write!(f, "the measured program failed under callgrind:\n{said}"),
            Self::NoCount(said) => write!(f, "callgrind did not say how much it collected:\n{said}"),
        }
    }
}

impl std::error::Error for MeasureError {}
