//! `mvn`, whose plugin for tests is called surefire.

use super::{NAMELESS, NO_REASON};
use crate::counts::{Counts, Skip};
use crate::failure::Failure;

/// Sums the last counts of each module, and names the tests that failed, with the exception of each. The reasons of
/// what was skipped are only in its reports.
pub(crate) fn read(output: &str) -> Counts {
    let mut counts = Counts::default();
    // Of the module that is being read.
    let mut failed: Vec<Failure> = Vec::new();
    let mut account: Option<(&str, Vec<&str>)> = None;
    for line in output.lines() {
        let level = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        if level.is_some() || line.trim().is_empty() {
            failed.extend(account.take().map(|(test, lines)| Failure::new(test, lines)));
        }
        if let Some((_, message)) = level {
            let failure = ["<<< FAILURE!", "<<< ERROR!"].iter().find_map(|mark| message.strip_suffix(mark));
            let numbers = message.strip_prefix("Tests run: ").filter(|numbers| !numbers.contains("Time elapsed"));
            if let Some((test, _)) = failure.and_then(|test| test.split_once(" -- Time elapsed")) {
                account = Some((test, Vec::new()));
            } else if let Some(numbers) = numbers {
                let [run, failures, errors, skipped] = fields(numbers);
                counts.passed += run.saturating_sub(failures + errors + skipped);
                failed.resize_with(failures + errors, || Failure::unexplained(NAMELESS));
                counts.failed.append(&mut failed);
                counts.skipped.extend(vec![Skip::new(NAMELESS, NO_REASON); skipped]);
            }
        } else if let Some((_, lines)) = &mut account
            && !["at org.junit.", "at java.base/"].iter().any(|frame| line.trim_start().starts_with(frame))
        {
            lines.push(line);
        }
    }
    counts.failed.append(&mut failed);
    counts
}

/// `5, Failures: 1, Errors: 1, Skipped: 1`.
fn fields(numbers: &str) -> [usize; 4] {
    let mut fields =
        numbers.split(", ").map(|field| field.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0));
    std::array::from_fn(|_| fields.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_summed_and_exceptions_kept() {
        let output = "\
[INFO] Running a.BTest
said
[ERROR] Tests run: 2, Failures: 1, Errors: 1, Skipped: 0, Time elapsed: 0.340 s <<< FAILURE! -- in a.BTest
[ERROR] a.BTest.thrown -- Time elapsed: 0.133 s <<< ERROR!
java.lang.IllegalStateException: thrown away
\tat a.BTest.thrown(BTest.kt:6)
\tat java.base/java.lang.reflect.Method.invoke(Method.java:569)

[ERROR] a.BTest.bad with spaces -- Time elapsed: 0.014 s <<< FAILURE!
org.opentest4j.AssertionFailedError: why not ==> expected: <1> but was: <2>
\tat org.junit.jupiter.api.Assertions.assertEquals(Assertions.java:563)
\tat a.BTest.bad with spaces(BTest.kt:5)

[WARNING] Tests run: 3, Failures: 0, Errors: 0, Skipped: 1, Time elapsed: 0.988 s -- in a.ATest
[INFO] Results:
[ERROR] Errors:
[ERROR]   BTest.thrown:6 IllegalState thrown away
[ERROR] Tests run: 5, Failures: 1, Errors: 1, Skipped: 1
[INFO] Tests run: 4, Failures: 0, Errors: 0, Skipped: 0
";
        let counts = read(output);
        assert_eq!((counts.passed, counts.skipped.len()), (6, 1));
        let of = |at: usize| (&*counts.failed[at].what, &counts.failed[at].why[..]);
        let thrown = ["java.lang.IllegalStateException: thrown away", "\tat a.BTest.thrown(BTest.kt:6)"];
        assert_eq!(of(0), ("a.BTest.thrown", &thrown.map(str::to_owned)[..]));
        assert_eq!(of(1).0, "a.BTest.bad with spaces");
        assert!(of(1).1[0].contains("why not") && of(1).1.len() == 2, "{counts:?}");
    }
}
