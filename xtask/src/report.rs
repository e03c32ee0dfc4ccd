//! The table at the end.

use std::fmt;
use std::time::Duration;

use crate::counts::Counts;
use crate::step::Outcome;
use crate::transcript;

/// About how many lines all failures together may take to say why. Of a long output often only the end is kept.
const LINES: usize = 100;

/// Everything that came of a run. Prints as a table, what failed and was skipped and why, and the one line that counts.
pub(crate) struct Report(pub(crate) Vec<Outcome>);

impl Report {
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for outcome in &self.0 {
            total.add(outcome.counts.clone());
        }
        total
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|outcome| outcome.name.len()).max().unwrap_or(0).max("step".len());
        writeln!(f, "{:width$}  passed  failed  skipped   set-up      run", "step")?;
        for Outcome { name, counts, setup, run } in &self.0 {
            let mark = if counts.failed.is_empty() { "" } else { "  <- failed" };
            let (passed, failed, skipped) = (counts.passed, counts.failed.len(), counts.skipped.len());
            writeln!(
                f,
                "{name:width$}  {passed:6}  {failed:6}  {skipped:7}  {}  {}{mark}",
                Clock(*setup),
                Clock(*run)
            )?;
        }
        let setup = self.0.iter().map(|outcome| outcome.setup).sum();
        let run = self.0.iter().map(|outcome| outcome.run).sum();
        writeln!(f, "{:width$}  {:6}  {:6}  {:7}  {}  {}", "", "", "", "", Clock(setup), Clock(run))?;

        let failures: usize = self.0.iter().map(|outcome| outcome.counts.failed.len()).sum();
        let lines_each = (LINES / failures.max(1)).max(2);
        for outcome in &self.0 {
            for failure in &outcome.counts.failed {
                writeln!(f, "failed   {}: {failure}", outcome.name)?;
                failure.why_within(lines_each).try_for_each(|line| writeln!(f, "         | {line}"))?;
            }
        }
        if failures > 0 {
            writeln!(f, "         all that was printed is in {}", transcript::folder().display())?;
        }
        for outcome in &self.0 {
            for skip in &outcome.counts.skipped {
                let step = if skip.what == outcome.name { String::new() } else { format!("{}: ", outcome.name) };
                writeln!(f, "skipped  {step}{}: {}", skip.what, skip.why)?;
            }
        }
        write!(f, "{}", self.total())
    }
}

/// Minutes and seconds in seven columns; nothing for less than a tenth of a second.
struct Clock(Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.as_millis() + 50) / 100;
        match (tenths / 600, tenths % 600) {
            (0, 0) => write!(f, "{:>7}", "-"),
            (minutes, tenths) => write!(f, "{minutes:2}:{:02}.{}", tenths / 10, tenths % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn the_table_ends_with_the_sum_and_names_what_failed_and_what_was_skipped() {
        let (setup, run) = (Duration::from_millis(40), Duration::from_millis(75_250));
        let outcome = |name, counts| Outcome { name, counts, setup, run };
        let mut tests = Counts { passed: 40, ..Counts::default() };
        tests.add(Counts::skip("slow", "needs an hour"));
        let report = Report(vec![
            outcome("format", Counts::one_passed()),
            outcome("tests", tests),
            outcome("browser", Counts::skip("browser", "no chromium")),
            outcome(
                "licences",
                Counts::one_failed(Failure::new("cargo deny", (1..100).map(|n| format!("reason {n}")))),
            ),
        ]);
        let text = report.to_string();
        assert!(text.ends_with("\n41 passed, 1 failed, 2 skipped"), "{text}");
        assert!(text.contains("skipped  tests: slow: needs an hour\nskipped  browser: no chromium\n"), "{text}");
        assert!(text.contains("failed   licences: cargo deny\n         | reason 1\n"), "{text}");
        assert!(text.contains("         | reason 99\n         all that was printed is in "), "{text}");
        assert!(text.contains("format         1       0        0        -   1:15.3\n"), "{text}");
    }
}
