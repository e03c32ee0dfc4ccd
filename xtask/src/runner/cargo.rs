//! `cargo test`.

use super::NAMELESS;
use crate::counts::{Counts, Skip};
use crate::failure::Failure;

const IGNORED: &str = "marked #[ignore]";

/// Sums the `test result:` lines, one per test binary, and names the tests that failed, with what they printed, and
/// those it ignored. With `--quiet` neither have names.
pub(crate) fn read(output: &str) -> Counts {
    let mut counts = Counts::default();
    // Of the binary that is being read.
    let (mut failed, mut ignored): (Vec<Failure>, Vec<Skip>) = (Vec::new(), Vec::new());
    let mut printed: Option<Printed<'_>> = None;
    for line in output.lines() {
        let header = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        let summary = line.trim_start().strip_prefix("test result: ");
        if header.is_some() || summary.is_some() || line == "failures:" {
            printed.take().into_iter().for_each(|printed| printed.explain(&mut failed));
        }
        if let Some(test) = header {
            printed = Some(Printed { test, lines: Vec::new() });
        } else if let Some(summary) = summary {
            counts.passed += field(summary, "passed");
            failed.resize_with(field(summary, "failed"), || Failure::unexplained(NAMELESS));
            ignored.resize_with(field(summary, "ignored"), || Skip::new(NAMELESS, IGNORED));
            counts.failed.append(&mut failed);
            counts.skipped.append(&mut ignored);
        } else if let Some(printed) = &mut printed {
            printed.lines.push(line);
        } else if let Some((what, result)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            if let Some(why) = result.strip_prefix("ignored") {
                ignored.push(Skip::new(what, why.strip_prefix(", ").unwrap_or(IGNORED)));
            } else if result == "FAILED" {
                failed.push(Failure::unexplained(what));
            }
        }
    }
    counts
}

/// What one failed test has printed.
struct Printed<'a> {
    test: &'a str,
    lines: Vec<&'a str>,
}

impl Printed<'_> {
    fn explain(self, failed: &mut [Failure]) {
        let means =
            |what: &str| what.strip_prefix(self.test).is_some_and(|rest| matches!(rest, "" | " - should panic"));
        if let Some(failure) = failed.iter_mut().find(|failure| means(&failure.what)) {
            *failure = Failure::new(failure.what.as_str(), self.lines);
        }
    }
}

fn field(summary: &str, name: &str) -> usize {
    let part = summary.split(['.', ';']).find_map(|part| part.trim().strip_suffix(name));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_summed_and_failures_explained() {
        let output = "\
running 3 tests
test a::works ... ok
test a::slow ... ignored, needs an hour
test a::odd ... ignored

failures:
    a::broken

test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s

test b::broken ... FAILED
test b::bent - should panic ... FAILED

failures:

---- b::broken stdout ----
it says this

thread 'b::broken' panicked at b.rs:7:5:
it is not what it should be
note: run with a backtrace

---- b::bent stdout ----
note: test did not panic as expected

failures:
    b::bent
    b::broken

test result: FAILED. 1 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.02s
";
        let counts = read(output);
        assert_eq!(counts.passed, 13);
        let whys = ["it says this", "note: test did not panic as expected", ""];
        let names = ["b::broken", "b::bent - should panic", "a test"];
        for ((failure, name), why) in counts.failed.iter().zip(names).zip(whys) {
            assert_eq!((&*failure.what, failure.why.first().map_or("", String::as_str)), (name, why));
        }
        assert_eq!(counts.failed.len(), 3);
        assert_eq!(counts.failed[0].why.last().unwrap(), "note: run with a backtrace");
        let ignored = "marked #[ignore]";
        assert_eq!(
            counts.skipped,
            [Skip::new("a::slow", "needs an hour"), Skip::new("a::odd", ignored), Skip::new("a test", ignored)]
        );
    }
}
