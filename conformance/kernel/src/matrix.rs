//! The whole table: `kernel-matrix [--json FILE] [--lanes N] [--only WORD…]`.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::drawing::Cell;
use crate::error::LabError;
use crate::isolation;
use crate::lab::Lab;
use crate::servers::Servers;
use crate::survey::Survey;
use crate::table;
use crate::trial::{Trial, try_cell};

/// How many cells are tried at a time, unless told otherwise. Most of the time all of them wait.
const LANES: usize = 8;

/// What the program was asked to do.
#[derive(Debug)]
pub(crate) struct Options {
    json: Option<String>,
    lanes: usize,
    /// Words that all must be in the name of a cell.
    only: Vec<String>,
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(mut arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self { json: None, lanes: LANES, only: Vec::new() };
        loop {
            arguments = match arguments {
                [] => return Ok(options),
                ["--json", file, rest @ ..] => {
                    options.json = Some((*file).to_owned());
                    rest
                }
                ["--lanes", number, rest @ ..] => {
                    let lanes = number.parse().ok().filter(|lanes| *lanes > 0);
                    options.lanes = lanes.ok_or_else(|| format!("{number:?} is no number of lanes"))?;
                    rest
                }
                ["--only", word, rest @ ..] => {
                    options.only.push((*word).to_owned());
                    rest
                }
                [other, ..] => return Err(format!("{other:?} is none of --json FILE, --lanes N, --only WORD")),
            };
        }
    }

    fn wants(&self, cell: Cell) -> bool {
        let name = cell.to_string();
        self.only.iter().all(|word| name.split(' ').any(|part| part == word))
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<ExitCode, LabError> {
    isolation::end_when_told()?;
    let began = Instant::now();
    let scratch = isolation::scratch()?;
    let lab = Lab::new()?;
    let servers = Servers::start(&lab, &scratch)?;

    // Places on the public internet, none of which is used twice.
    let mut numbers = 1..=u8::MAX;
    let mut number = || numbers.next().expect("there are fewer cells than places");
    let survey = Survey::run(&lab, &mut number)?;
    println!("What each network does, measured from inside: mapping/filtering, as RFC 4787 has them");
    survey.lines.iter().for_each(|line| println!("  {line}"));
    println!("\n{}", table::head());

    let cells: Vec<(Cell, u8)> = Cell::all().filter(|cell| options.wants(*cell)).map(|cell| (cell, number())).collect();
    let trials = try_all(&lab, &servers, &cells, options.lanes, |trial| println!("{}", table::row(trial, &survey)));

    if let Some(file) = &options.json {
        let record = json!({
            "networks": survey.lines,
            "cells": trials,
            "seconds": began.elapsed().as_secs_f64(),
        });
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
    cells: &[(Cell, u8)],
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
                    let Some((place, (cell, number))) = next else { return };
                    let _ = done.send((place, try_cell(lab, servers, cell, number)));
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
