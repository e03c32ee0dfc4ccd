//! What one ICE connection of frazil costs; `frazil_conformance::cost` says what is measured and
//! `frazil_conformance::cost::command` how to ask. Other implementations are in the crate `compare/`.

use std::process::ExitCode;

use frazil_conformance::allocations::CountingAllocator;
use frazil_conformance::contestant::Frazil;
use frazil_conformance::cost::command::{self, Entry};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    command::main(&[Entry::with_budget::<Frazil>()])
}
