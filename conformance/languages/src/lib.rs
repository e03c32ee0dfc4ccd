//! Programs in several languages, each as offerer against each as answerer: they must connect, echo and close
//! (`docs/language-matrix.md`). `cargo xtask language-matrix` builds them and says here how they are started:
//!
//! ```text
//! language-matrix [--bytes N] [--json FILE] --contestant NAME PROGRAM [ARGUMENT]… --skipped NAME WHY …
//! ```
//!
//! It runs in a network namespace of Linux's; elsewhere there is nothing in this crate.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod arguments;
mod cell;
mod matrix;
mod part;
mod program;
mod record;
mod report;
mod table;
mod tail;
mod verdict;

use std::env;
use std::process::ExitCode;

use arguments::Arguments;

/// How a shell says that a program was interrupted.
const INTERRUPTED: u8 = 130;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        // What still runs is ended when its cell is dropped.
        tokio::select! {
            outcome = matrix::run(&arguments) => outcome.unwrap_or_else(|error| {
                eprintln!("{error}");
                ExitCode::FAILURE
            }),
            () = frazil_signaling::stop_requested() => ExitCode::from(INTERRUPTED),
        }
    })
}
