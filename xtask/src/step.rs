//! One step of the tests.

use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::failure::Failure;
use crate::repository::Repository;
use crate::setup::{Need, Setup, Unmet};

/// A step: what it is called, what it cannot run without, and how it runs.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) run: fn(&Context<'_>) -> Counts,
}

/// What every step is given.
pub(crate) struct Context<'a> {
    /// The step's name, to show before its output.
    pub(crate) label: &'static str,
    pub(crate) repository: &'a Repository,
    pub(crate) fuzz_time: Duration,
}

/// What came of a step, for the table.
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) counts: Counts,
    /// What its set-up took.
    pub(crate) setup: Duration,
    /// What the step itself took.
    pub(crate) run: Duration,
}

impl Step {
    /// Sets up, runs, and counts.
    pub(crate) fn execute(&self, setup: &mut Setup<'_>, context: &Context<'_>) -> Outcome {
        let started = Instant::now();
        let met = setup.meet(self.needs);
        let ready = Instant::now();
        let counts = match met {
            Ok(()) => (self.run)(context),
            Err(Unmet::Unavailable(why)) => Counts::skip(self.name, why),
            Err(Unmet::Broken(failure)) => {
                Counts::one_failed(Failure::new(format!("its set-up: {failure}"), failure.why))
            }
        };
        Outcome { name: self.name, counts, setup: ready - started, run: ready.elapsed() }
    }
}
