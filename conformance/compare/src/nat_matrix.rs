//! The matrix, frazil beside other sans-IO implementations.
//!
//! `cargo xtask nat-matrix --peers` runs it; `frazil_conformance::matrix` says what it is.

mod clock;
mod is;
mod rice_party;
mod rice_proto;
mod rtc_ice;

use std::process::ExitCode;

use frazil_conformance::contestant::Frazil;
use frazil_conformance::gathering::Whole;
use frazil_conformance::matrix::command::{self, Entry};

fn main() -> ExitCode {
    command::main(&[
        Entry::with_party::<Frazil, Whole>(),
        Entry::of::<is::Agent>(),
        Entry::of::<rtc_ice::Agent>(),
        Entry::with_party::<rice_proto::Agent, rice_party::RiceParty>(),
    ])
}
