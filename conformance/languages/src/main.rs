//! Programs in several languages, each as offerer against each as answerer: they must connect, echo and close
//! (`docs/language-matrix.md`). `cargo xtask language-matrix` builds them and says here how they are started.

#![forbid(unsafe_code)]

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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    // What still runs is ended when its cell is dropped.
    tokio::select! {
        outcome = matrix::run(&arguments) => outcome.unwrap_or_else(|error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        }),
        () = frazil_signaling::stop_requested() => ExitCode::from(INTERRUPTED),
    }
}
