//! How many tests passed, failed and were skipped, read from what a test runner prints.

use std::fmt;

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
    pub(crate) failed: usize,
    pub(crate) skipped: Vec<Skip>,
}

impl Counts {
    /// A check that is one test by itself.
    pub(crate) fn single(success: bool) -> Self {
        Self { passed: usize::from(success), failed: usize::from(!success), skipped: Vec::new() }
    }

    /// A step that could not run.
    pub(crate) fn skip(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { skipped: vec![Skip { what: what.into(), why: why.into() }], ..Self::default() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }

    /// Reads the counts of a test run and holds them against how it ended: a run that ended badly has at least
    /// one failure, and so has one that tested nothing.
    pub(crate) fn of_run(read: fn(&str) -> Self, output: &str, success: bool) -> Self {
        let mut counts = read(output);
        if counts.failed == 0 && (!success || counts.passed == 0) {
            counts.failed = 1;
        }
        counts
    }

    /// Sums the `test result:` lines of `cargo test`, one per test binary, and names the tests it ignored.
    pub(crate) fn of_cargo_test(output: &str) -> Self {
        let mut counts = Self::default();
        let mut named = Vec::new();
        for line in output.lines() {
            if let Some(summary) = line.trim_start().strip_prefix("test result: ") {
                let field = |name: &str| {
                    let part = summary.split(['.', ';']).find_map(|part| part.trim().strip_suffix(name));
                    part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
                };
                counts.passed += field("passed");
                counts.failed += field("failed");
                let ignored: usize = field("ignored");
                // With `--quiet` a run does not name what it ignored.
                named.resize_with(ignored, || Skip { what: "a test".to_owned(), why: "marked #[ignore]".to_owned() });
                counts.skipped.append(&mut named);
            } else if let Some((what, why)) =
                line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored"))
            {
                let why = match why.strip_prefix(", ") {
                    Some(reason) => reason.to_owned(),
                    None => "marked #[ignore]".to_owned(),
                };
                named.push(Skip { what: what.to_owned(), why });
            }
        }
        counts
    }

    /// Reads the summary of `node --test`, in either of its two notations (`# pass 3`, `ℹ pass 3`), and the
    /// reasons of skipped tests (`ok 2 - name # SKIP why`, `﹣ name (1 ms) # why`).
    pub(crate) fn of_node_test(output: &str) -> Self {
        let mut counts = Self::default();
        let mut skipped = 0;
        for line in output.lines() {
            let line = line.trim();
            if let Some((name, value)) =
                line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")).and_then(|l| l.split_once(' '))
            {
                let value: usize = value.trim().parse().unwrap_or(0);
                match name {
                    "pass" => counts.passed += value,
                    "fail" | "cancelled" => counts.failed += value,
                    "skipped" | "todo" => skipped += value,
                    _ => {}
                }
            } else if let Some(skip) = node_skip(line) {
                counts.skipped.push(skip);
            }
        }
        counts.skipped.resize_with(skipped, || Skip { what: "a test".to_owned(), why: "no reason given".to_owned() });
        counts
    }
}

fn node_skip(line: &str) -> Option<Skip> {
    let (what, why) = if let Some(test) = line.strip_prefix("ok ") {
        let (_, test) = test.split_once(" - ")?;
        test.split_once(" # SKIP").or_else(|| test.split_once(" # TODO"))?
    } else {
        line.strip_prefix("﹣ ")?.split_once(" # ")?
    };
    let why = if why.trim().is_empty() { "no reason given" } else { why.trim() };
    Some(Skip { what: what.to_owned(), why: why.to_owned() })
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len())
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

test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s

test result: FAILED. 1 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.02s
";
        let counts = Counts::of_cargo_test(output);
        assert_eq!((counts.passed, counts.failed), (13, 3));
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
        assert_eq!((counts.passed, counts.failed), (3, 1));
        assert_eq!(counts.skipped, [skip("camera", "no camera here")]);

        let spec = "\
✔ chat (2.5ms)
﹣ camera (0.1ms) # no camera here
ℹ tests 4
ℹ pass 2
ℹ fail 0
ℹ cancelled 1
ℹ skipped 1
ℹ todo 0
";
        let counts = Counts::of_node_test(spec);
        assert_eq!((counts.passed, counts.failed), (2, 1));
        assert_eq!(counts.skipped, [skip("camera (0.1ms)", "no camera here")]);
    }

    #[test]
    fn a_run_that_ends_badly_or_tests_nothing_has_failed() {
        let of = |output, success| Counts::of_run(Counts::of_cargo_test, output, success);
        let good = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(of(good, true), Counts { passed: 2, ..Counts::default() });
        assert_eq!(of(good, false).failed, 1, "one binary passed, the next did not build or was killed");
        assert_eq!(of("", true).failed, 1, "no tests at all");
        let ignored = "test result: ok. 0 passed; 0 failed; 4 ignored; 0 measured; 0 filtered out";
        assert_eq!(of(ignored, true).failed, 1, "nothing but skipped tests");
        let bad = "test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(of(bad, false).failed, 5);
    }

    #[test]
    fn the_last_line_has_one_shape() {
        let mut counts = Counts::single(true);
        counts.add(Counts::single(false));
        counts.add(Counts::skip("x", "y"));
        assert_eq!(counts.to_string(), "1 passed, 1 failed, 1 skipped");
    }
}
