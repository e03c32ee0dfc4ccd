//! All cells, one after the other, so that none is slowed down by another.

use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Instant;

use frazil_signaling::{Config, Signaling, serve};
use tokio::net::TcpListener;

use crate::arguments::{Arguments, Contestant, Standing};
use crate::cell;
use crate::part::Part;
use crate::program::Ended;
use crate::record::record;
use crate::report::Report;
use crate::table::table;
use crate::verdict::{Fault, Wanted, judge};

/// A cell that was tried, or not.
pub(crate) struct Cell<'a> {
    /// Offerer and answerer.
    pub(crate) names: [&'a str; 2],
    pub(crate) outcome: Outcome,
}

/// What came of it.
pub(crate) enum Outcome {
    /// All is well: what the two told.
    Green([Report; 2]),
    /// What is wrong, and the last that the two wrote for people.
    Red { faults: Vec<Fault>, logs: [String; 2] },
    /// One of the two ought to be there and is not, and why.
    Broken(String),
    /// One of the two cannot be had here, and why.
    Skipped(String),
}

/// Tries all cells, and tells what comes of them.
pub(crate) async fn run(arguments: &Arguments) -> io::Result<ExitCode> {
    let started = Instant::now();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("ws://{}/ws", listener.local_addr()?);
    let signaling = Signaling::start(Config::default());
    // It ends with the program.
    tokio::spawn(serve(listener, signaling.router(), signaling, pending()));

    let mut cells = Vec::new();
    for offerer in &arguments.contestants {
        for answerer in &arguments.contestants {
            let cell = try_cell([offerer, answerer], &url, arguments.bytes).await;
            println!("{cell}");
            cells.push(cell);
        }
    }
    let names: Vec<&str> = arguments.contestants.iter().map(|contestant| contestant.name.as_str()).collect();
    println!("\n{}", table(&names, &cells));
    let seconds = started.elapsed().as_secs_f64();
    if let Some(file) = &arguments.json {
        std::fs::write(file, format!("{:#}\n", record(&names, &cells, arguments.bytes, seconds)))?;
    }
    let count = |is: fn(&Outcome) -> bool| cells.iter().filter(|cell| is(&cell.outcome)).count();
    let green = count(|outcome| matches!(outcome, Outcome::Green(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    println!("{green} of {} cells are green, {skipped} were skipped, in {seconds:.0} s", cells.len());
    Ok(if green + skipped == cells.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn try_cell<'a>(contestants: [&'a Contestant; 2], signaling: &str, bytes: u64) -> Cell<'a> {
    let names = contestants.map(|contestant| contestant.name.as_str());
    let commands = match contestants.map(|contestant| &contestant.standing) {
        [Standing::Ready(offerer), Standing::Ready(answerer)] => [&offerer[..], &answerer[..]],
        [Standing::Skipped(why), _] | [_, Standing::Skipped(why)] => {
            return Cell { names, outcome: Outcome::Skipped(why.clone()) };
        }
        [Standing::Broken(why), _] | [_, Standing::Broken(why)] => {
            return Cell { names, outcome: Outcome::Broken(why.clone()) };
        }
    };
    let room = format!("{}-to-{}", names[0], names[1]);
    let [offerer, answerer] = cell::run(commands, signaling, &room, bytes).await;
    let outcome = match judge(Wanted { languages: names, bytes }, [&offerer, &answerer]) {
        Ok(reports) => Outcome::Green(reports),
        Err(faults) => Outcome::Red { faults, logs: [offerer, answerer].map(|Ended { log, .. }| log) },
    };
    Cell { names, outcome }
}

/// How many of the last lines of a program are shown.
const SHOWN: usize = 30;

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [offerer, answerer] = self.names;
        match &self.outcome {
            Outcome::Green([report, _]) => {
                let Report { connect_milliseconds, milliseconds, bytes, .. } = report;
                write!(f, "{offerer} to {answerer}: connected in {connect_milliseconds} ms, ")?;
                write!(f, "{bytes} bytes there and back, and closed, in {milliseconds} ms")
            }
            Outcome::Skipped(why) => write!(f, "skipped: {offerer} to {answerer}: {why}"),
            Outcome::Broken(why) => write!(f, "failed: {offerer} to {answerer}: {why}"),
            Outcome::Red { faults, logs } => {
                let faults: Vec<String> = faults.iter().map(Fault::to_string).collect();
                write!(f, "failed: {offerer} to {answerer}: {}", faults.join("; "))?;
                for (part, log) in Part::BOTH.iter().zip(logs) {
                    let lines: Vec<&str> = log.lines().collect();
                    for line in &lines[lines.len().saturating_sub(SHOWN)..] {
                        write!(f, "\n    {part} | {line}")?;
                    }
                }
                Ok(())
            }
        }
    }
}
