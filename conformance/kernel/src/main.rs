//! Real kernel NATs, real servers, and two native peers that connect through them: what comes of every combination, beside
//! what the virtual internet predicts (`docs/kernel-nat.md`).
//!
//! ```text
//! kernel-matrix [--json FILE] [--lanes N] [--repeat N] [--only WORD]…   the table; fails if it is not as predicted
//! kernel-matrix --chromium […]                                          the same for a few cells with Chromium on one side
//! kernel-matrix peer TASK                                               one peer; what the table is made with
//! ```

#![forbid(unsafe_code)]

mod drawing;
mod error;
mod isolation;
mod lab;
mod matrix;
mod namespace;
mod nat;
mod peer;
mod probe;
mod servers;
mod survey;
mod table;
mod trial;

use std::process::ExitCode;

use matrix::Options;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["peer", task] = arguments.as_slice() {
        return peer::run(task);
    }
    let options = match Options::parse(&arguments) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    if !isolation::is_inside() {
        return isolation::enter();
    }
    matrix::run(&options).unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}
