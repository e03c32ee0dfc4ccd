//! Instructions per connection, counted by callgrind.

use core::fmt;
use std::path::Path;
use std::process::Command;

/// Connections made in both runs, so that first-time costs (tables, lazy statics, CPU detection) cancel out.
const WARM_UP: u64 = 10;

/// Connections that only the second run makes.
const MEASURED: u64 = 50;

/// Instructions per connection of the implementation called `name`: this very program is run under
/// callgrind with few and with more connections, and the difference is shared out.
pub(super) fn per_connection(program: &Path, name: &str) -> Result<u64, MeasureError> {
    let few = total(program, name, WARM_UP)?;
    let many = total(program, name, WARM_UP + MEASURED)?;
    Ok((many - few) / MEASURED)
}

fn total(program: &Path, name: &str, connections: u64) -> Result<u64, MeasureError> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no"])
        .arg(program)
        .args(["run", name, &connections.to_string()])
        .output()
        .map_err(MeasureError::NoValgrind)?;
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
pub(super) enum MeasureError {
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
