//! Who takes part, and what came of every cell for each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cell::{Cell, Outcome};
use super::oracle::{PathKind, Verdict};
use crate::contestant::Contestant;
use crate::gathering::{Gatherer, Party};

/// The seed of everything that is left to chance in a cell.
const SEED: u64 = 1;

/// An implementation that takes part.
#[derive(Clone, Copy)]
pub struct Entrant {
    /// Its name and version.
    pub name: &'static str,
    run: fn(Cell, u64) -> Outcome,
}

impl Entrant {
    /// An agent that is handed its candidates.
    #[must_use]
    pub fn of<C: Contestant>() -> Self {
        Self::party::<Gatherer<C>>()
    }

    /// One that has another way of its own.
    #[must_use]
    pub fn party<P: Party>() -> Self {
        Self { name: P::NAME, run: |cell, seed| cell.run::<P>(seed) }
    }

    /// Lets two of it try a cell.
    #[must_use]
    pub fn run(&self, cell: Cell) -> Outcome {
        (self.run)(cell, SEED)
    }
}

/// What came of every cell, for one implementation.
#[derive(Clone, Debug)]
pub struct Results {
    /// Its name and version.
    pub name: &'static str,
    /// What came of it.
    pub outcomes: BTreeMap<Cell, Outcome>,
}

impl Results {
    /// Lets an implementation try all cells.
    #[must_use]
    pub fn of(entrant: &Entrant) -> Self {
        Self { name: entrant.name, outcomes: Cell::all().map(|cell| (cell, entrant.run(cell))).collect() }
    }

    /// The cells in which it did not do what must be done, and how.
    pub fn wrong(&self) -> impl Iterator<Item = (Cell, String)> + '_ {
        self.outcomes.iter().filter_map(|(cell, outcome)| Some((*cell, outcome.differs_from(&cell.foresee())?)))
    }

    /// How many of the cells that have a path it connected, and how many of these over a path of the best kind.
    #[must_use]
    pub fn connected(&self) -> Connected {
        let mut connected = Connected::default();
        for (cell, outcome) in &self.outcomes {
            let Verdict::Connects(best) = cell.foresee() else { continue };
            connected.possible += 1;
            connected.any += usize::from(outcome.usable.is_some());
            connected.best += usize::from(outcome.path == Some(best));
            connected.time += outcome.usable.unwrap_or_default();
            if outcome.usable.is_some() {
                connected.datagrams += outcome.datagrams;
            }
            connected.datagrams_until_nominated += outcome.datagrams_until_nominated.unwrap_or_default();
        }
        connected
    }
}

/// How much of what is possible came true.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Connected {
    /// Cells in which a path exists.
    pub possible: usize,
    /// Of these, those in which both sides had a path.
    pub any: usize,
    /// Of these, those in which they used one of the best kind in the end.
    pub best: usize,
    /// The sum of the times until both had a path.
    pub time: Duration,
    /// The sum of the datagrams until then.
    pub datagrams: u64,
    /// The sum of the datagrams until both had a nominated path.
    pub datagrams_until_nominated: u64,
}

/// A cell in which one is better than another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beaten {
    /// Where.
    pub cell: Cell,
    /// By whom.
    pub by: &'static str,
    /// What both came to use.
    pub path: PathKind,
    /// The time until both sides had a path: the beaten one's and the other's.
    pub time: [Duration; 2],
    /// The datagrams until then.
    pub datagrams: [u64; 2],
    /// The datagrams until both had a nominated path.
    pub datagrams_until_nominated: [u64; 2],
}

impl Beaten {
    /// How much sooner the other was, if it was.
    #[must_use]
    pub fn sooner_by(&self) -> Option<Duration> {
        self.time[0].checked_sub(self.time[1]).filter(|by| !by.is_zero())
    }

    /// How many datagrams fewer the other sent until both sides had a path, if it did.
    #[must_use]
    pub fn fewer_by(&self) -> Option<u64> {
        fewer(self.datagrams)
    }

    /// How many datagrams fewer the other sent until both had a nominated path, if it did.
    #[must_use]
    pub fn fewer_until_nominated_by(&self) -> Option<u64> {
        fewer(self.datagrams_until_nominated)
    }
}

fn fewer([ours, theirs]: [u64; 2]) -> Option<u64> {
    ours.checked_sub(theirs).filter(|&by| by > 0)
}

/// The cells in which one of `others` did what must be done sooner than `ours`, or with fewer datagrams.
#[must_use]
pub fn beaten(ours: &Results, others: &[Results]) -> Vec<Beaten> {
    let mut all = Vec::new();
    for (cell, our) in &ours.outcomes {
        let Verdict::Connects(path) = cell.foresee() else { continue };
        for other in others {
            let their = &other.outcomes[cell];
            let (Some(our_time), Some(their_time)) = (our.usable, their.usable) else { continue };
            let beaten = Beaten {
                cell: *cell,
                by: other.name,
                path,
                time: [our_time, their_time],
                datagrams: [our.datagrams, their.datagrams],
                datagrams_until_nominated: [our, their].map(|one| one.datagrams_until_nominated.unwrap_or(u64::MAX)),
            };
            let fewer = beaten.fewer_by().or(beaten.fewer_until_nominated_by());
            let is_better = beaten.sooner_by().is_some() || fewer.is_some();
            if their.path == Some(path) && is_better {
                all.push(beaten);
            }
        }
    }
    all
}
