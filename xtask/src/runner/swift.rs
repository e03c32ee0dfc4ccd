//! `swift test`, which runs XCTest first and Swift Testing after it.

use std::collections::BTreeMap;

use super::NO_REASON;
use crate::counts::{Counts, Skip};
use crate::failure::Failure;

/// Reads what becomes of each test. Neither prints a sum that says how many were skipped.
pub(crate) fn read(output: &str) -> Counts {
    let mut counts = Counts::default();
    // Of the XCTest that runs.
    let mut printed: Vec<&str> = Vec::new();
    let mut issues = Issues::default();
    for line in output.lines() {
        if let Some((test, state)) = line.strip_prefix("Test Case '").and_then(|rest| rest.split_once("' ")) {
            let state = state.split(' ').next().unwrap_or_default();
            let printed = std::mem::take(&mut printed);
            match state {
                "passed" => counts.passed += 1,
                "failed" => counts.failed.push(Failure::new(test, printed)),
                "skipped" => {
                    let why = printed.iter().find_map(|line| Some(line.split_once(" : Test skipped - ")?.1));
                    counts.skipped.push(Skip::new(test, why.unwrap_or(NO_REASON)));
                }
                _ => {}
            }
        } else if let Some(event) = testing_event(line) {
            issues.read(line, event, &mut counts);
        } else if line.starts_with('\u{21b3}') {
            issues.explain(line);
        } else {
            printed.push(line);
        }
    }
    counts
}

/// What Swift Testing says of one test, behind a symbol that differs between its versions.
fn testing_event(line: &str) -> Option<&str> {
    let (symbol, event) = line.split_once(' ')?;
    let event = event.trim_start().strip_prefix("Test ")?;
    (symbol.chars().count() == 1 && !symbol.is_ascii() && !event.starts_with("run ")).then_some(event)
}

/// What Swift Testing has said so far of the tests that will have failed; they run at the same time.
#[derive(Default)]
struct Issues<'a> {
    of: BTreeMap<&'a str, Vec<&'a str>>,
    last: &'a str,
}

impl<'a> Issues<'a> {
    fn read(&mut self, line: &'a str, event: &'a str, counts: &mut Counts) {
        if event.contains(" passed after ") {
            counts.passed += 1;
        } else if let Some((test, _)) = event.split_once(" recorded an issue") {
            self.of.entry(test).or_default().push(line);
            self.last = test;
        } else if let Some((test, _)) = event.split_once(" failed after ") {
            counts.failed.push(Failure::new(test, self.of.remove(test).unwrap_or_default()));
        } else if let Some((test, why)) = event.split_once(" skipped") {
            let why = why.trim_start_matches(": ").trim_matches('"');
            counts.skipped.push(Skip::new(test, if why.is_empty() || why == "." { NO_REASON } else { why }));
        }
    }

    fn explain(&mut self, line: &'a str) {
        if let Some(issues) = self.of.get_mut(self.last) {
            issues.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_frameworks_are_read() {
        let output = "\
Build complete! (25.50s)
Test Suite 'OldTests' started at 2026-01-01 00:00:00.000
Test Case 'OldTests.testFails' started at 2026-01-01 00:00:00.000
/x/A.swift:18: error: OldTests.testFails : XCTAssertEqual failed: (\"1\") is not equal to (\"2\") - why not
Test Case 'OldTests.testFails' failed (0.001 seconds)
Test Case 'OldTests.testSkipped' started at 2026-01-01 00:00:00.000
/x/A.swift:17: OldTests.testSkipped : Test skipped - no camera
Test Case 'OldTests.testSkipped' skipped (0.0 seconds)
Test Case 'OldTests.testWorks' started at 2026-01-01 00:00:00.000
Test Case 'OldTests.testWorks' passed (0.0 seconds)
\t Executed 3 tests, with 1 test skipped and 1 failure (0 unexpected) in 0.002 (0.002) seconds
◇ Test run started.
↳ Testing Library Version: 6.0.3
✘ Test skipped() skipped: \"not today\"
◇ Test failing() started.
◇ Test \"by name\" started.
✘ Test failing() recorded an issue at A.swift:13:80: Expectation failed: 1 == 2
↳ why not
✘ Test \"by name\" recorded an issue with 1 argument n → 2 at A.swift:6:2: Caught error: no
✘ Test failing() failed after 0.009 seconds with 1 issue.
✘ Test \"by name\" failed after 0.032 seconds with 1 issue.
✔ Test good() passed after 0.032 seconds.
✔ Suite Some passed after 0.033 seconds.
✘ Test run with 4 tests failed after 0.032 seconds with 2 issues.
";
        let counts = read(output);
        assert_eq!(counts.passed, 2);
        assert_eq!(
            counts.skipped,
            [Skip::new("OldTests.testSkipped", "no camera"), Skip::new("skipped()", "not today")]
        );
        let names: Vec<&str> = counts.failed.iter().map(|failure| &*failure.what).collect();
        assert_eq!(names, ["OldTests.testFails", "failing()", "\"by name\""]);
        assert!(counts.failed[0].why[0].ends_with("why not"), "{counts:?}");
        assert_eq!(counts.failed[1].why.len(), 2);
        assert!(counts.failed[2].why[0].ends_with("Caught error: no"));
    }
}
