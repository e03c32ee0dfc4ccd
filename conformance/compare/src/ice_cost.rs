//! What one ICE connection costs, frazil beside other sans-IO implementations.
//!
//! `cargo run --release -- --table` in this folder; `frazil_conformance::cost` says what is measured.

mod clock;
mod is;
mod rice_proto;
mod rtc_ice;

use std::process::ExitCode;

use frazil_conformance::allocations::CountingAllocator;
use frazil_conformance::contestant::Frazil;
use frazil_conformance::cost::command::{self, Entry};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    command::main(&[
        Entry::with_budget::<Frazil>(),
        Entry::of::<is::Agent>(),
        Entry::of::<rtc_ice::Agent>(),
        Entry::of::<rice_proto::Agent>(),
    ])
}
