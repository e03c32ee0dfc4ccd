//! How many tests passed, failed and were skipped.

use std::fmt;

use crate::failure::Failure;
use crate::job::Finished;

/// A test that did not run, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Skip {
    pub(crate) what: String,
    pub(crate) why: String,
}

impl Skip {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// What came of a step.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: Vec<Failure>,
    pub(crate) skipped: Vec<Skip>,
}

impl Counts {
    /// One test that passed.
    pub(crate) fn one_passed() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    /// One test that failed.
    pub(crate) fn one_failed(failure: Failure) -> Self {
        Self { failed: vec![failure], ..Self::default() }
    }

    /// A step that could not run.
    pub(crate) fn skip(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { skipped: vec![Skip::new(what, why)], ..Self::default() }
    }

    /// A command that is one test by itself.
    pub(crate) fn of_command(finished: &Finished) -> Self {
        Self::of_command_named(&finished.command, finished)
    }

    /// The same, by another name than that of the command.
    pub(crate) fn of_command_named(what: &str, finished: &Finished) -> Self {
        if finished.success { Self::one_passed() } else { Self::one_failed(Failure::of(what, finished)) }
    }

    /// A command that runs tests: what it printed, held against how it ended. A run that ended badly has at least
    /// one failure, and so has one that tested nothing.
    pub(crate) fn of_tests(read: fn(&str) -> Self, finished: &Finished) -> Self {
        let mut counts = read(&finished.output);
        if !finished.success && counts.failed.is_empty() {
            counts.failed.push(Failure::of(format!("{}, which ended badly", finished.command), finished));
        }
        if counts.passed == 0 && counts.failed.is_empty() {
            counts.failed.push(Failure::of(format!("{}, which ran no test", finished.command), finished));
        }
        // Where none of the failures says why, the end of the output may.
        if counts.failed.iter().all(|failure| failure.why.is_empty())
            && let Some(last) = counts.failed.last_mut()
        {
            *last = Failure::of(last.what.as_str(), finished);
        }
        counts
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner;

    #[test]
    fn a_run_that_ends_badly_or_tests_nothing_has_failed() {
        let of = |output: &str, success| {
            let finished = Finished { command: "cargo test".to_owned(), success, output: output.to_owned() };
            let counts = Counts::of_tests(runner::cargo::read, &finished);
            let failed = counts.failed.into_iter().map(|failure| failure.what);
            (counts.passed, failed.collect::<Vec<_>>())
        };
        let good = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(of(good, true), (2, vec![]));
        // One binary passed, the next did not build or was killed.
        assert_eq!(of(good, false), (2, vec!["cargo test, which ended badly".to_owned()]));
        assert_eq!(of("", true), (0, vec!["cargo test, which ran no test".to_owned()]));
        let ignored = "test result: ok. 0 passed; 0 failed; 4 ignored; 0 measured; 0 filtered out";
        assert_eq!(of(ignored, true).1.len(), 1, "nothing but skipped tests");
        let bad = "test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(of(bad, false).1.len(), 5);
    }

    #[test]
    fn the_last_line_has_one_shape() {
        let mut counts = Counts::one_passed();
        counts.add(Counts::one_failed(Failure::new("b", ["why"])));
        counts.add(Counts::skip("c", "d"));
        assert_eq!(counts.to_string(), "1 passed, 1 failed, 1 skipped");
    }
}
