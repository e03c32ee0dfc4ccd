//! `node --test`, which writes in one of two notations: TAP, or the indented tree that it calls spec.

use super::{NAMELESS, NO_REASON};
use crate::counts::{Counts, Skip};
use crate::failure::Failure;

/// Reads the summary (`# pass 3`, `ℹ pass 3`), the tests that failed (`not ok 2 - name`, `✖ name (1 ms)`) with the
/// lines below them, and the reasons of those that were skipped (`ok 2 - name # SKIP why`, `﹣ name (1 ms) # why`).
pub(crate) fn read(output: &str) -> Counts {
    let mut counts = Counts::default();
    let mut summary = Summary::default();
    let mut tree = Tree::default();
    for line in output.lines() {
        let (indent, text) = (line.len() - line.trim_start().len(), line.trim());
        if tree.belongs_to_failure(indent, text) || summary.read(text) {
        } else if let Some(skip) = skip(text) {
            counts.skipped.push(skip);
        } else if let Some(name) = text.strip_prefix("# Subtest: ").or_else(|| text.strip_prefix("▶ ")) {
            tree.enter(indent, name);
        } else if let Some(name) = failure(text) {
            tree.fail(indent, name);
        }
    }
    counts.passed = summary.passed;
    counts.failed = tree.failures();
    // The summary counts, if the run came to it; the names only help.
    if let Some(failed) = summary.failed {
        counts.failed.resize_with(failed, || Failure::unexplained(NAMELESS));
        counts.skipped.resize_with(summary.skipped, || Skip::new(NAMELESS, NO_REASON));
    }
    counts
}

#[derive(Default)]
struct Summary {
    passed: usize,
    failed: Option<usize>,
    skipped: usize,
}

impl Summary {
    /// Whether this line is a part of it.
    fn read(&mut self, line: &str) -> bool {
        let field = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")).and_then(|l| l.split_once(' '));
        let Some((name, Ok(number))) = field.map(|(name, number)| (name, number.trim().parse::<usize>())) else {
            return false;
        };
        match name {
            "pass" => self.passed += number,
            "fail" | "cancelled" => *self.failed.get_or_insert_default() += number,
            "skipped" | "todo" => self.skipped += number,
            _ => {}
        }
        true
    }
}

/// The tests as they lie within each other.
#[derive(Default)]
struct Tree<'a> {
    /// The suites and tests around the next line, with their indentation.
    around: Vec<(usize, &'a str)>,
    failed: Vec<Failed<'a>>,
    /// The failure whose explanation is being read, and its indentation.
    open: Option<(usize, usize)>,
}

struct Failed<'a> {
    around: Vec<&'a str>,
    /// As it was printed, maybe with the time it took: a second mention is of the same test.
    printed: &'a str,
    why: Vec<&'a str>,
}

impl<'a> Tree<'a> {
    fn enter(&mut self, indent: usize, name: &'a str) {
        self.leave(indent);
        self.around.push((indent, name));
    }

    fn leave(&mut self, indent: usize) {
        self.around.retain(|&(outer, _)| outer < indent);
    }

    fn fail(&mut self, indent: usize, printed: &'a str) {
        self.leave(indent);
        // What has no time in its name may have a namesake in another suite.
        let known = self.failed.iter().position(|failed| failed.printed == printed && printed != without_time(printed));
        let at = known.unwrap_or(self.failed.len());
        match self.failed.get_mut(at) {
            // The explanation at the end is the same as that in the tree, if the tree has any.
            Some(failed) => failed.why.clear(),
            None => {
                let around = self.around.iter().map(|&(_, name)| name).collect();
                self.failed.push(Failed { around, printed, why: Vec::new() });
            }
        }
        self.open = Some((at, indent));
    }

    /// Takes a line that explains the last failure.
    fn belongs_to_failure(&mut self, indent: usize, text: &'a str) -> bool {
        let Some((at, own)) = self.open else { return false };
        if indent <= own && !text.is_empty() {
            self.open = None;
            return false;
        }
        // Frames of the runner itself say nothing of the test.
        if !text.contains("node:internal") && !matches!(text, "---" | "...") {
            self.failed[at].why.push(text);
        }
        true
    }

    fn failures(self) -> Vec<Failure> {
        let is_suite = |suite: &Failed<'_>| {
            let explained = suite.why.iter().any(|line| !line.is_empty());
            let name = without_time(suite.printed);
            let holds = |inner: &Failed<'_>| inner.around.get(suite.around.len()).is_some_and(|outer| *outer == name);
            suite.why.contains(&"type: 'suite'") || !explained && self.failed.iter().any(holds)
        };
        let tests = self.failed.iter().filter(|failed| !is_suite(failed));
        let name = |test: &Failed<'_>| {
            test.around.iter().copied().chain([without_time(test.printed)]).collect::<Vec<_>>().join(" > ")
        };
        tests.map(|test| Failure::new(name(test), test.why.iter().copied())).collect()
    }
}

/// `name (1.5ms)` is `name`.
fn without_time(name: &str) -> &str {
    match name.rsplit_once(" (") {
        Some((name, time)) if time.ends_with("ms)") => name,
        _ => name,
    }
}

fn skip(line: &str) -> Option<Skip> {
    let (what, why) = if let Some(test) = line.strip_prefix("ok ") {
        let (_, test) = test.split_once(" - ")?;
        test.split_once(" # SKIP").or_else(|| test.split_once(" # TODO"))?
    } else {
        line.strip_prefix("﹣ ")?.split_once(" # ")?
    };
    Some(Skip::new(without_time(what), if why.trim().is_empty() { NO_REASON } else { why.trim() }))
}

fn failure(line: &str) -> Option<&str> {
    match line.strip_prefix("not ok ") {
        Some(test) => test.split_once(" - ").map(|(_, name)| name),
        None => line.strip_prefix("✖ ").filter(|name| !name.ends_with(':')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAP: &str = "\
TAP version 13
# Subtest: suite one
    # Subtest: flaky
    ok 1 - flaky
      ---
      duration_ms: 4.9
      ...
    # Subtest: camera
    ok 2 - camera # SKIP no camera here
    1..2
ok 1 - suite one
# Subtest: suite two
    # Subtest: flaky
    not ok 1 - flaky
      ---
      duration_ms: 22.6
      error: |-
        Expected values to be strictly equal:

        'undefined' !== 'number'
      stack: |-
        TestContext.<anonymous> (a.test.mjs:6:113)
        Test.run (node:internal/test_runner/test:796:25)
      ...
    # Subtest: hooked
    not ok 2 - hooked
      ---
      failureType: 'hookFailed'
      ...
    1..2
not ok 2 - suite two
  ---
  type: 'suite'
  error: '2 subtests failed'
  ...
# Subtest: top
not ok 3 - top
  ---
  error: 'top went wrong'
  ...
1..3
# tests 5
# suites 2
# pass 1
# fail 2
# cancelled 1
# skipped 1
# todo 0
# duration_ms 9612.3
";

    const TREE: &str = "\
▶ suite one
  ✔ flaky (8.6ms)
  ﹣ camera (0.1ms) # no camera here
✔ suite one (33.3ms)
▶ suite two
  ✖ flaky (4.4ms)
  ✖ hooked (0.6ms)
✖ suite two (5.7ms)
✖ top (26.4ms)
ℹ tests 5
ℹ pass 1
ℹ fail 2
ℹ cancelled 1
ℹ skipped 1
ℹ todo 0
ℹ duration_ms 12.5

✖ failing tests:

test at a.test.mjs:6:3
✖ flaky (4.4ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:

  'undefined' !== 'number'
      at TestContext.<anonymous> (a.test.mjs:6:113)
      at Test.run (node:internal/test_runner/test:796:25)

test at a.test.mjs:7:3
✖ hooked (0.6ms)
  'the hook failed'

test at a.test.mjs:9:1
✖ top (26.4ms)
  Error: top went wrong
";

    #[test]
    fn both_notations_are_read() {
        for output in [TAP, TREE] {
            let counts = read(output);
            assert_eq!(counts.passed, 1);
            let names: Vec<&str> = counts.failed.iter().map(|failure| &*failure.what).collect();
            assert_eq!(names, ["suite two > flaky", "suite two > hooked", "top"], "{output}");
            let whys: Vec<String> = counts.failed.iter().map(|failure| failure.why.join("\n")).collect();
            assert!(whys[0].contains("'undefined' !== 'number'") && whys[0].contains("a.test.mjs:6:113"), "{whys:?}");
            assert!(!whys[0].contains("node:internal") && !whys[0].contains("hook"), "{whys:?}");
            assert!(whys[1].contains("hook") && whys[2].contains("top went wrong"), "{whys:?}");
            assert_eq!(counts.skipped, [Skip::new("camera", "no camera here")]);
        }
    }

    #[test]
    fn a_tree_that_explains_itself_is_read_once() {
        // So does an older Node.
        let explained = TREE.replacen("  ✖ flaky (4.4ms)\n", "  ✖ flaky (4.4ms)\n    'undefined' !== 'number'\n\n", 1);
        let [first, ..] = &read(&explained).failed[..] else { panic!("none failed") };
        assert_eq!(first.why.iter().filter(|line| line.contains("'undefined'")).count(), 1);
        // Killed before it came to the end.
        let cut = explained.split('ℹ').next().unwrap();
        let counts = read(cut);
        assert_eq!((counts.passed, counts.failed.len()), (0, 3));
        assert_eq!(counts.failed[0].why, ["'undefined' !== 'number'"]);
    }
}
