//! The command line of the programs that run the matrix.
//!
//! ```text
//! PROGRAM [--json FILE] [--svg FILE] [--instructions]   all cells; fails if one of the first implementation's differs
//! PROGRAM ten-by-ten [--instructions]                   ten candidates a side, of which only the relayed ones connect
//! PROGRAM cell NAME NETWORKS… SERVERS COUNT             one cell, COUNT times; what callgrind is pointed at
//! PROGRAM meet NAME COUNT                               ten by ten, COUNT times; the same
//! ```

use std::fs;
use std::process::ExitCode;

use super::cell::Cell;
use super::contest::{Entrant, Results, beaten};
use super::drawing::draw;
use super::kind::{Kind, Networks, Servers, Shared};
use super::record::record;
use super::table::{Better, LEGEND, SideBySide, Table};
use crate::contestant::Contestant;
use crate::gathering::Party;
use crate::instructions::{self, Repetitions, Scope};
use crate::ten_by_ten::{self, Meeting};

/// The cells whose instructions are counted: one for each kind of path, and one with many candidates.
const REPRESENTATIVE: [Cell; 5] = [
    Cell { networks: Networks::Apart(Kind::Ipv4Only, Kind::Ipv4Only), servers: Servers::None },
    Cell { networks: Networks::Apart(Kind::PortRestricted, Kind::PortRestricted), servers: Servers::Stun },
    Cell { networks: Networks::Apart(Kind::Symmetric, Kind::Symmetric), servers: Servers::TurnUdp },
    Cell { networks: Networks::Apart(Kind::TcpOnly, Kind::TcpOnly), servers: Servers::TurnTcp },
    Cell { networks: Networks::Apart(Kind::DualStack, Kind::DualStack), servers: Servers::TurnUdp },
];

/// An implementation that can be named on the command line.
pub struct Entry {
    entrant: Entrant,
    meet: fn(u64) -> Result<Meeting, String>,
}

impl Entry {
    /// An agent that is handed its candidates.
    #[must_use]
    pub fn of<C: Contestant>() -> Self {
        Self { entrant: Entrant::of::<C>(), meet: ten_by_ten::meet::<C> }
    }

    /// One that has another way of its own in a network.
    #[must_use]
    pub fn with_party<C: Contestant, P: Party>() -> Self {
        Self { entrant: Entrant::party::<P>(), meet: ten_by_ten::meet::<C> }
    }
}

/// Runs the program. The first entry is the one that must be right, and that the others are held against.
#[must_use]
pub fn main(entries: &[Entry]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["ten-by-ten"] => ten_by_ten(entries, false),
        ["ten-by-ten", "--instructions"] => ten_by_ten(entries, true),
        ["cell", name, cell @ .., count] => repeat_cell(entries, name, cell, count),
        ["meet", name, count] => repeat_meeting(entries, name, count),
        options => Options::parse(options).and_then(|options| matrix(entries, &options)),
    };
    match done {
        Ok(code) => code,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Options<'a> {
    json: Option<&'a str>,
    svg: Option<&'a str>,
    instructions: bool,
}

impl<'a> Options<'a> {
    fn parse(mut arguments: &[&'a str]) -> Result<Self, String> {
        let mut options = Self::default();
        loop {
            arguments = match arguments {
                [] => return Ok(options),
                ["--json", file, rest @ ..] => {
                    options.json = Some(file);
                    rest
                }
                ["--svg", file, rest @ ..] => {
                    options.svg = Some(file);
                    rest
                }
                ["--instructions", rest @ ..] => {
                    options.instructions = true;
                    rest
                }
                [other, ..] => return Err(format!("{other:?} is none of --json FILE, --svg FILE, --instructions")),
            };
        }
    }
}

fn matrix(entries: &[Entry], options: &Options<'_>) -> Result<ExitCode, String> {
    let all: Vec<Results> = entries.iter().map(|entry| Results::of(&entry.entrant)).collect();
    let [ours, others @ ..] = all.as_slice() else { return Err("nobody takes part".to_owned()) };
    println!("{LEGEND}");
    let beaten = beaten(ours, others);
    if others.is_empty() {
        println!("{}", Table(ours));
    } else {
        println!("{}", SideBySide(&all));
        println!("cells in which somebody is better than {}: {}\n{}", ours.name, beaten.len(), Better(&beaten));
    }
    if options.instructions {
        count_instructions(entries)?;
    }
    if let Some(file) = options.json {
        write(file, &format!("{:#}\n", record(&all, &beaten)))?;
    }
    if let Some(file) = options.svg {
        write(file, &draw(&all))?;
    }
    let wrong: Vec<_> = ours.wrong().collect();
    for (cell, how) in &wrong {
        println!("wrong: {cell}: {how}");
    }
    println!(
        "{}: {} of {} cells are as they must be",
        ours.name,
        ours.outcomes.len() - wrong.len(),
        ours.outcomes.len()
    );
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn count_instructions(entries: &[Entry]) -> Result<(), String> {
    println!("instructions of both agents, from the start to ten seconds after both have nominated");
    print!("{:<44}", "cell");
    entries.iter().for_each(|entry| print!("{:>18}", entry.entrant.name));
    println!();
    for cell in REPRESENTATIVE {
        let words = cell.to_string();
        print!("{words:<44}");
        for entry in entries {
            let mut arguments = vec!["cell", entry.entrant.name];
            arguments.extend(words.split(' '));
            print!("{:>18}", instructions(&arguments, Repetitions { warm_up: 1, measured: 5 })?);
        }
        println!();
    }
    println!();
    Ok(())
}

fn ten_by_ten(entries: &[Entry], count: bool) -> Result<ExitCode, String> {
    let last = if count { "instructions" } else { "" };
    let head = format!("{:<16} {:>10} {:>10} {:>10} {last:>14}", "", "usable", "nominated", "datagrams");
    println!("{}", head.trim_end());
    for entry in entries {
        let Meeting { usable, nominated, datagrams } = (entry.meet)(1)?;
        let name = entry.entrant.name;
        print!("{name:<16} {:>7} ms {:>7} ms {datagrams:>10}", usable.as_millis(), nominated.as_millis());
        if count {
            print!(" {:>14}", instructions(&["meet", name], Repetitions { warm_up: 2, measured: 10 })?);
        }
        println!();
    }
    Ok(ExitCode::SUCCESS)
}

fn instructions(arguments: &[&str], repetitions: Repetitions) -> Result<u64, String> {
    if cfg!(debug_assertions) {
        return Err("a build without optimisation says nothing about cost: build with --release".to_owned());
    }
    let program = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    instructions::per_repetition(&program, arguments, repetitions, Scope::Agents).map_err(|error| error.to_string())
}

fn repeat_cell(entries: &[Entry], name: &str, cell: &[&str], count: &str) -> Result<ExitCode, String> {
    let (entry, cell) = (find(entries, name)?, parse_cell(cell)?);
    let mut last = None;
    for _ in 0..parse_count(count)? {
        last = Some(entry.entrant.run(cell));
    }
    if let Some(outcome) = last {
        println!("{outcome:#?}\nforeseen: {:?}", cell.foresee());
    }
    Ok(ExitCode::SUCCESS)
}

fn repeat_meeting(entries: &[Entry], name: &str, count: &str) -> Result<ExitCode, String> {
    let entry = find(entries, name)?;
    for seed in 0..parse_count(count)? {
        std::hint::black_box((entry.meet)(seed)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn find<'a>(entries: &'a [Entry], name: &str) -> Result<&'a Entry, String> {
    entries.iter().find(|entry| entry.entrant.name == name).ok_or_else(|| {
        let known: Vec<&str> = entries.iter().map(|entry| entry.entrant.name).collect();
        format!("{name:?} is none of {}", known.join(", "))
    })
}

fn parse_count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no count"))
}

fn parse_cell(words: &[&str]) -> Result<Cell, String> {
    let kind = |word: &str| {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| format!("{word:?} is none of {}", Kind::ALL.map(Kind::name).join(", ")))
    };
    let shared = |word: &str| {
        let found = Shared::ALL.into_iter().find(|shared| shared.name() == word);
        found.ok_or_else(|| format!("{word:?} is none of {}", Shared::ALL.map(Shared::name).join(", ")))
    };
    let (networks, servers) = match words {
        [a, b, servers] => (Networks::Apart(kind(a)?, kind(b)?), servers),
        [both, servers] => (Networks::Together(shared(both)?), servers),
        _ => return Err("a cell is two networks, or one that both share, and the servers".to_owned()),
    };
    let found = Servers::ALL.into_iter().find(|known| known.name() == *servers);
    let servers =
        found.ok_or_else(|| format!("{servers:?} is none of {}", Servers::ALL.map(Servers::name).join(", ")))?;
    Ok(Cell { networks, servers })
}

fn write(file: &str, content: &str) -> Result<(), String> {
    fs::write(file, content).map_err(|error| format!("{file} cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_can_be_named() {
        for cell in Cell::all() {
            let text = cell.to_string();
            assert_eq!(parse_cell(&text.split(' ').collect::<Vec<_>>()), Ok(cell));
        }
        assert!(parse_cell(&["public", "nowhere", "stun"]).unwrap_err().contains("nowhere"));
    }
}
