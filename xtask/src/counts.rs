//! How many tests passed, failed and were skipped, read from what a test runner prints.

use std::fmt;

use crate::job::Finished;

/// A test that did not run, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Skip {
    pub(crate) what: String,
    pub(crate) why: String,
}

/// What came of a step.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    /// What failed, by name where it has one.
    pub(crate) failed: Vec<String>,
    pub(crate) skipped: Vec<Skip>,
}

impl Counts {
    /// A check that is one test by itself.
    pub(crate) fn check(what: impl Into<String>, success: bool) -> Self {
        if success {
            Self { passed: 1, ..Self::default() }
        } else {
            Self { failed: vec![what.into()], ..Self::default() }
        }
    }

    /// A step that could not run.
    pub(crate) fn skip(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { skipped: vec![Skip { what: what.into(), why: why.into() }], ..Self::default() }
    }

    /// A command that is one test by itself.
    pub(crate) fn of_command(finished: &Finished) -> Self {
        Self::check(&finished.command, finished.success)
    }

    /// A command that runs tests: what it printed, held against how it ended. A run that ended badly has at least
    /// one failure, and so has one that tested nothing.
    pub(crate) fn of_tests(read: fn(&str) -> Self, finished: &Finished) -> Self {
        let mut counts = read(&finished.output);
        if !finished.success && counts.failed.is_empty() {
            counts.failed.push(format!("{}, which ended badly", finished.command));
        }
        if counts.passed == 0 && counts.failed.is_empty() {
            counts.failed.push(format!("{}, which ran no test", finished.command));
        }
        counts
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    /// Sums the `test result:` lines of `cargo test`, one per test binary, and names the tests that failed and those
    /// it ignored. With `--quiet` the latter have no names.
    pub(crate) fn of_cargo_test(output: &str) -> Self {
        let mut counts = Self::default();
        let (mut failed, mut ignored) = (Vec::new(), Vec::new());
        for line in output.lines() {
            if let Some(summary) = line.trim_start().strip_prefix("test result: ") {
                let field = |name: &str| {
                    let part = summary.split(['.', ';']).find_map(|part| part.trim().strip_suffix(name));
                    part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
                };
                counts.passed += field("passed");
                failed.resize_with(field("failed"), || NAMELESS.to_owned());
                ignored.resize_with(field("ignored"), || Skip { what: NAMELESS.to_owned(), why: IGNORED.to_owned() });
                counts.failed.append(&mut failed);
                counts.skipped.append(&mut ignored);
            } else if let Some((what, result)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
                if let Some(why) = result.strip_prefix("ignored") {
                    let why = why.strip_prefix(", ").unwrap_or(IGNORED).to_owned();
                    ignored.push(Skip { what: what.to_owned(), why });
                } else if result == "FAILED" {
                    failed.push(what.to_owned());
                }
            }
        }
        counts
    }

    /// Reads what `node --test` prints, in either of its notations: the summary (`# pass 3`, `ℹ pass 3`), the tests
    /// that failed (`not ok 2 - name`, `✖ name (1 ms)`), and the reasons of those that were skipped
    /// (`ok 2 - name # SKIP why`, `﹣ name (1 ms) # why`).
    pub(crate) fn of_node_test(output: &str) -> Self {
        let mut counts = Self::default();
        let (mut failed, mut skipped) = (0, 0);
        for line in output.lines() {
            let line = line.trim();
            let summary = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")).and_then(|l| l.split_once(' '));
            if let Some((name, Ok(number))) = summary.map(|(name, number)| (name, number.trim().parse::<usize>())) {
                match name {
                    "pass" => counts.passed += number,
                    "fail" | "cancelled" => failed += number,
                    "skipped" | "todo" => skipped += number,
                    _ => {}
                }
            } else if let Some(skip) = node_skip(line) {
                counts.skipped.push(skip);
            } else if let Some(name) = node_failure(line)
                && !counts.failed.contains(&name)
            {
                counts.failed.push(name);
            }
        }
        // The summary counts; the names only help.
        counts.failed.resize_with(failed, || NAMELESS.to_owned());
        counts.skipped.resize_with(skipped, || Skip { what: NAMELESS.to_owned(), why: NO_REASON.to_owned() });
        counts
    }
}

const NAMELESS: &str = "a test";
const IGNORED: &str = "marked #[ignore]";
const NO_REASON: &str = "no reason given";

fn node_skip(line: &str) -> Option<Skip> {
    let (what, why) = if let Some(test) = line.strip_prefix("ok ") {
        let (_, test) = test.split_once(" - ")?;
        test.split_once(" # SKIP").or_else(|| test.split_once(" # TODO"))?
    } else {
        line.strip_prefix("﹣ ")?.split_once(" # ")?
    };
    let why = if why.trim().is_empty() { NO_REASON } else { why.trim() };
    Some(Skip { what: what.to_owned(), why: why.to_owned() })
}

fn node_failure(line: &str) -> Option<String> {
    let name = match line.strip_prefix("not ok ") {
        Some(test) => test.split_once(" - ")?.1,
        None => line.strip_prefix("✖ ").filter(|name| !name.ends_with(':'))?,
    };
    Some(name.to_owned())
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(what: &str, why: &str) -> Skip {
        Skip { what: what.to_owned(), why: why.to_owned() }
    }

    #[test]
    fn cargo_test_is_summed_over_its_binaries() {
        let output = "\
running 3 tests
test a::works ... ok
test a::slow ... ignored, needs an hour
test a::odd ... ignored

failures:
    a::broken

test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s

test b::broken ... FAILED
test b::bent ... FAILED
test result: FAILED. 1 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.02s
";
        let counts = Counts::of_cargo_test(output);
        assert_eq!(counts.passed, 13);
        assert_eq!(counts.failed, ["b::broken", "b::bent", "a test"]);
        assert_eq!(
            counts.skipped,
            [skip("a::slow", "needs an hour"), skip("a::odd", "marked #[ignore]"), skip("a test", "marked #[ignore]")]
        );
    }

    #[test]
    fn node_is_read_in_both_notations() {
        let tap = "\
TAP version 13
    ok 1 - chat
    ok 2 - camera # SKIP no camera here
    not ok 3 - file
not ok 1 - the suite around it
# tests 5
# suites 1
# pass 3
# fail 1
# cancelled 0
# skipped 1
# todo 0
# duration_ms 9612.3
";
        let counts = Counts::of_node_test(tap);
        assert_eq!((counts.passed, counts.failed), (3, vec!["file".to_owned()]));
        assert_eq!(counts.skipped, [skip("camera", "no camera here")]);

        let spec = "\
✔ chat (2.5ms)
﹣ camera (0.1ms) # no camera here
✖ file (7ms)
ℹ tests 5
ℹ pass 2
ℹ fail 1
ℹ cancelled 1
ℹ skipped 1
ℹ todo 0
ℹ duration_ms 12.5

✖ failing tests:

test at file.test.js:3:1
✖ file (7ms)
";
        let counts = Counts::of_node_test(spec);
        assert_eq!((counts.passed, counts.failed), (2, vec!["file (7ms)".to_owned(), "a test".to_owned()]));
        assert_eq!(counts.skipped, [skip("camera (0.1ms)", "no camera here")]);
    }

    #[test]
    fn a_run_that_ends_badly_or_tests_nothing_has_failed() {
        let of = |output: &str, success| {
            let finished = Finished { command: "cargo test".to_owned(), success, output: output.to_owned() };
            let counts = Counts::of_tests(Counts::of_cargo_test, &finished);
            (counts.passed, counts.failed)
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
        let mut counts = Counts::check("a", true);
        counts.add(Counts::check("b", false));
        counts.add(Counts::skip("c", "d"));
        assert_eq!(counts.to_string(), "1 passed, 1 failed, 1 skipped");
    }
}
