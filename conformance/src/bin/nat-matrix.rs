//! The matrix for frazil alone; `frazil_conformance::matrix` says what it is and `frazil_conformance::matrix::command`
//! how to ask. Other implementations are in the crate `compare/`.

use std::process::ExitCode;

use frazil_conformance::contestant::Frazil;
use frazil_conformance::gathering::Whole;
use frazil_conformance::matrix::command::{self, Entry};

fn main() -> ExitCode {
    command::main(&[Entry::with_party::<Frazil, Whole>()])
}
