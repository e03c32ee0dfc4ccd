//! The command line of the measured programs.
//!
//! ```text
//! PROGRAM --table [NAME…]   what one connection costs, for every implementation or those named
//! PROGRAM --check           fails when frazil is over its budget
//! PROGRAM run NAME COUNT    makes COUNT connections and says nothing; what callgrind is pointed at
//! ```

use std::process::ExitCode;

use super::{Connection, Wire, connect};
use crate::allocations::{self, Allocations};
use crate::contestant::Contestant;
use crate::instructions::{self, Repetitions, Scope};

/// What one connection of frazil may cost, both agents together.
pub const BUDGET: u64 = 140_000;

/// An implementation that can be named on the command line.
pub struct Entry {
    name: &'static str,
    connect: fn(&mut Wire) -> Connection,
    budget: Option<u64>,
}

impl Entry {
    /// An implementation to compare with.
    #[must_use]
    pub fn of<C: Contestant>() -> Self {
        Self { name: C::NAME, connect: connect::<C>, budget: None }
    }

    /// The implementation that `--check` holds to [`BUDGET`].
    #[must_use]
    pub fn with_budget<C: Contestant>() -> Self {
        Self { budget: Some(BUDGET), ..Self::of::<C>() }
    }
}

/// Runs the program. Its global allocator must be [`allocations::CountingAllocator`].
#[must_use]
pub fn main(entries: &[Entry]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["run", name, count] => run(entries, name, count),
        ["--table"] => table(entries.iter()),
        ["--table", names @ ..] => {
            names.iter().map(|name| find(entries, name)).collect::<Result<Vec<_>, _>>().and_then(table)
        }
        ["--check"] => check(entries),
        _ => Err("usage: --table [NAME…] | --check | run NAME COUNT".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn find<'a>(entries: &'a [Entry], name: &str) -> Result<&'a Entry, String> {
    entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let known: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
        format!("{name:?} is none of {}", known.join(", "))
    })
}

fn run(entries: &[Entry], name: &str, count: &str) -> Result<(), String> {
    let entry = find(entries, name)?;
    let count: u64 = count.parse().map_err(|_| format!("{count:?} is no count"))?;
    let mut wire = Wire::new();
    for _ in 0..count {
        std::hint::black_box((entry.connect)(&mut wire));
    }
    Ok(())
}

fn table<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<(), String> {
    println!(
        "{:<18} {:>12} {:>9} {:>9} {:>7} {:>11} {:>11}",
        "", "instructions", "datagrams", "bytes", "time", "allocations", "heap bytes"
    );
    for entry in entries {
        let cost = Cost::of(entry)?;
        println!(
            "{:<18} {:>12} {:>9} {:>9} {:>4} ms {:>11} {:>11}",
            entry.name,
            cost.instructions,
            cost.connection.datagrams,
            cost.connection.bytes,
            cost.connection.time.as_millis(),
            cost.allocations.blocks,
            cost.allocations.bytes
        );
    }
    Ok(())
}

fn check(entries: &[Entry]) -> Result<(), String> {
    let mut held = entries.iter().filter_map(|entry| Some((entry, entry.budget?))).peekable();
    if held.peek().is_none() {
        return Err("no implementation here has a budget".to_owned());
    }
    for (entry, budget) in held {
        let spent = instructions_of(entry)?;
        if spent > budget {
            return Err(format!("{}: {spent} instructions per connection are over the budget of {budget}", entry.name));
        }
        println!("{}: {spent} instructions per connection, of {budget} allowed", entry.name);
    }
    Ok(())
}

struct Cost {
    instructions: u64,
    connection: Connection,
    allocations: Allocations,
}

impl Cost {
    fn of(entry: &Entry) -> Result<Self, String> {
        if !allocations::are_counted() {
            return Err("this program does not count its allocations".to_owned());
        }
        let mut wire = Wire::new();
        (entry.connect)(&mut wire);
        let before = allocations::so_far();
        let connection = (entry.connect)(&mut wire);
        let allocations = allocations::so_far().since(before);
        Ok(Self { instructions: instructions_of(entry)?, connection, allocations })
    }
}

fn instructions_of(entry: &Entry) -> Result<u64, String> {
    if cfg!(debug_assertions) {
        return Err("a build without optimisation says nothing about cost: build with --release".to_owned());
    }
    let program = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    let repetitions = Repetitions { warm_up: 10, measured: 50 };
    instructions::per_repetition(&program, &["run", entry.name], repetitions, Scope::Everything)
        .map_err(|error| error.to_string())
}
