//! The whole table: `kernel-matrix [--chromium] [--json FILE] [--lanes N] [--repeat N] [--only WORD]…`.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use crate::drawing::Cell;
use crate::error::LabError;
use crate::isolation;
use crate::lab::Lab;
use crate::record::record;
use crate::servers::Servers;
use crate::survey::Survey;
use crate::table;
use crate::trial::{Peers, Trial, try_cell};

/// How many cells are tried at a time, unless told otherwise. Most of the time all of them wait.
const LANES: usize = 12;

/// The same with Chromium, which is busy when it starts.
const CHROMIUM_LANES: usize = 2;

const OPTIONS: &str = "--chromium, --json FILE, --lanes N, --repeat N, --only WORD";

/// What the program was asked to do.
#[derive(Debug)]
pub(crate) struct Options {
    /// The few cells with Chromium on one side, instead of all with two native peers.
    chromium: bool,
    json: Option<String>,
    lanes: Option<usize>,
    /// How often each cell is tried.
    repeat: usize,
    /// Words that all must be in the name of a cell.
    only: Vec<String>,
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(mut arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self { chromium: false, json: None, lanes: None, repeat: 1, only: Vec::new() };
        loop {
            arguments = match arguments {
                [] if options.cells().is_empty() => {
                    return Err(format!("no cell has {} in its name", options.only.join(" and ")));
                }
                [] => return Ok(options),
                ["--chromium", rest @ ..] => {
                    options.chromium = true;
                    rest
                }
                ["--json", file, rest @ ..] => {
                    options.json = Some((*file).to_owned());
                    rest
                }
                ["--lanes", number, rest @ ..] => {
                    options.lanes = Some(count(number)?);
                    rest
                }
                ["--repeat", number, rest @ ..] => {
                    options.repeat = count(number)?;
                    rest
                }
                ["--only", word, rest @ ..] => {
                    options.only.push((*word).to_owned());
                    rest
                }
                [other, ..] => return Err(format!("{other:?} is none of {OPTIONS}")),
            };
        }
    }

    fn lanes(&self) -> usize {
        self.lanes.unwrap_or(if self.chromium { CHROMIUM_LANES } else { LANES })
    }

    /// What is to be tried, and by whom.
    fn cells(&self) -> Vec<(Cell, Peers)> {
        let cells: Vec<(Cell, Peers)> = if self.chromium {
            let both = |cell| [Peers::ChromiumControls, Peers::ChromiumIsControlled].map(|peers| (cell, peers));
            Cell::with_chromium().into_iter().flat_map(both).collect()
        } else {
            Cell::all().map(|cell| (cell, Peers::Native)).collect()
        };
        let wanted = |(cell, _): &(Cell, Peers)| {
            let name = cell.to_string();
            self.only.iter().all(|word| name.split(' ').any(|part| part == word))
        };
        cells.into_iter().filter(wanted).collect()
    }
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| format!("{text:?} is no number of anything"))
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<ExitCode, LabError> {
    isolation::end_when_told()?;
    let began = Instant::now();
    let scratch = isolation::scratch()?;
    let lab = Lab::new()?;
    let servers = Servers::start(&lab, &scratch)?;

    // Places on the public internet, none of which is used again before all others were.
    let mut numbers = (1..=u8::MAX).cycle();
    let mut number = || numbers.next().expect("it goes round");
    let survey = Survey::run(&lab, &mut number)?;
    println!("What each network does, measured from inside: mapping/filtering, as RFC 4787 has them");
    survey.lines.iter().for_each(|line| println!("  {line}"));
    println!("\n{}", table::head());

    let wanted = options.cells().into_iter().flat_map(|cell| [cell].repeat(options.repeat));
    let cells: Vec<(Cell, Peers, u8)> = wanted.map(|(cell, peers)| (cell, peers, number())).collect();
    let trials = try_all(&lab, &servers, &cells, options.lanes(), |trial| println!("{}", table::row(trial, &survey)));

    if let Some(file) = &options.json {
        let record = record(&survey, &trials, began.elapsed().as_secs_f64());
        fs::write(file, format!("{record:#}\n")).map_err(LabError::of(file))?;
    }
    println!();
    let differing = trials.iter().filter_map(|trial| Some(format!("{}: {}", trial.cell, trial.differs()?)));
    let wrong: Vec<String> = survey.wrong.iter().cloned().chain(differing).collect();
    wrong.iter().for_each(|line| println!("differs: {line}"));
    let all = survey.measured + trials.len();
    println!("{} of {all} networks and cells are as predicted, in {} s", all - wrong.len(), began.elapsed().as_secs());
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tries them, several at a time, and shows each as soon as all before it have been shown.
fn try_all(
    lab: &Lab,
    servers: &Servers,
    cells: &[(Cell, Peers, u8)],
    lanes: usize,
    mut show: impl FnMut(&Trial),
) -> Vec<Trial> {
    let waiting = Mutex::new(cells.iter().copied().enumerate().collect::<VecDeque<_>>());
    let (done, finished) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..lanes {
            let (waiting, done) = (&waiting, done.clone());
            scope.spawn(move || {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((place, (cell, peers, number))) = next else { return };
                    let _ = done.send((place, try_cell(lab, servers, cell, peers, number)));
                }
            });
        }
        drop(done);
        let mut early = BTreeMap::new();
        let mut trials = Vec::new();
        for (place, trial) in finished {
            early.insert(place, trial);
            while let Some(trial) = early.remove(&trials.len()) {
                show(&trial);
                trials.push(trial);
            }
        }
        trials
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_chosen_by_all_words() {
        let cells = |words: &[&str]| {
            let arguments: Vec<&str> = words.iter().flat_map(|word| ["--only", word]).collect();
            Options::parse(&arguments).map(|options| options.cells().len())
        };
        assert_eq!(cells(&[]), Ok(170));
        assert_eq!(cells(&["symmetric"]), Ok(35));
        assert_eq!(cells(&["symmetric", "stun"]), Ok(7));
        // `same-nat` is no part of `same-nat-none`.
        assert_eq!(cells(&["same-nat"]), Ok(5));
        assert!(cells(&["symmetric", "same-nat"]).unwrap_err().contains("symmetric and same-nat"));
        assert!(Options::parse(&["--lanes", "0"]).is_err());
    }
}
