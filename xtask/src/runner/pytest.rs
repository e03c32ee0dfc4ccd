//! `pytest -rfEs --color=no`.

use super::NAMELESS;
use crate::counts::{Counts, Skip};
use crate::failure::Failure;

/// Reads the last line (`2 failed, 3 passed in 0.1s`), the short summary above it, and the account of each failure.
pub(crate) fn read(output: &str) -> Counts {
    let mut counts = Counts::default();
    let mut accounts: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut open = false;
    for line in output.lines() {
        if let Some(title) = framed(line, '_') {
            let test = ["setup", "teardown"].iter().find_map(|at| title.strip_prefix(&*format!("ERROR at {at} of ")));
            accounts.push((test.unwrap_or(title), Vec::new()));
            open = true;
        } else if let Some(title) = framed(line, '=') {
            open = false;
            count(title, &mut counts);
        } else if open && let Some((_, account)) = accounts.last_mut() {
            account.push(line);
        } else if let Some(test) = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR ")) {
            counts.failed.push(failure(test, &mut accounts));
        } else if let Some(skip) = line.strip_prefix("SKIPPED [") {
            counts.skipped.extend(skipped(skip));
        }
    }
    counts
}

/// The text in a line of such characters.
fn framed(line: &str, frame: char) -> Option<&str> {
    let text = line.strip_prefix(frame)?.strip_suffix(frame)?;
    let text = text.trim_matches(frame).strip_prefix(' ')?.strip_suffix(' ')?;
    // A broken line stands between the functions that a failure went through.
    text.contains(|c| c != frame && c != ' ').then_some(text)
}

/// `2 failed, 3 passed, 1 skipped in 0.08s`; the names that came before may be fewer.
fn count(title: &str, counts: &mut Counts) {
    let Some((numbers, _)) = title.rsplit_once(" in ") else { return };
    let (mut failed, mut skipped) = (0, 0);
    for part in numbers.split(", ") {
        let Some((Ok(number), what)) = part.split_once(' ').map(|(number, what)| (number.parse::<usize>(), what))
        else {
            return;
        };
        match what {
            "passed" => counts.passed = number,
            "failed" | "error" | "errors" => failed += number,
            "skipped" | "xfailed" | "xpassed" => skipped += number,
            _ => {}
        }
    }
    counts.failed.resize_with(failed, || Failure::unexplained(NAMELESS));
    counts.skipped.resize_with(skipped, || Skip::new(NAMELESS, "expected to fail, or given no reason"));
}

/// Of `tests/test_a.py::TestC::test_p[2] - assert 2 == 1`, whose account has the title `TestC.test_p[2]`.
fn failure(line: &str, accounts: &mut Vec<(&str, Vec<&str>)>) -> Failure {
    let test = line.split_once(" - ").map_or(line, |(test, _)| test);
    let title = test.split_once("::").map_or(test.to_owned(), |(_, name)| name.replace("::", "."));
    match accounts.iter().position(|(name, _)| *name == title) {
        Some(at) => Failure::new(test, accounts.remove(at).1),
        // A file that cannot be read has another title, and a line that says it all.
        None => Failure::new(test, [line]),
    }
}

/// Of `2] tests/test_a.py:6: no camera`: as many as that.
fn skipped(line: &str) -> Vec<Skip> {
    let read = || {
        let (count, rest) = line.split_once("] ")?;
        let (what, why) = rest.split_once(": ")?;
        Some(vec![Skip::new(what, why); count.parse().ok()?])
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_given_to_their_tests() {
        let output = "\
collected 7 items

test_a.py .FsE.Fx                                                        [100%]

==================================== ERRORS ====================================
__________________________ ERROR at setup of test_err __________________________
E   RuntimeError: fixture

test_a.py:9: RuntimeError
=================================== FAILURES ===================================
___________________________________ test_bad ___________________________________

test_a.py:5:
_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _

E       AssertionError: not two
----------------------------- Captured stdout call -----------------------------
said
_______________________________ TestC.test_p[2] ________________________________
E   assert 2 == 1
=========================== short test summary info ============================
SKIPPED [1] test_a.py:6: no camera
ERROR test_a.py::test_err - RuntimeError: fixture
FAILED test_a.py::test_bad - AssertionError: not two
FAILED test_a.py::TestC::test_p[2] - assert 2 == 1
FAILED test_b.py
========== 3 failed, 2 passed, 1 skipped, 1 xfailed, 1 error in 0.08s ==========
";
        let counts = read(output);
        assert_eq!((counts.passed, counts.skipped.len()), (2, 2));
        assert_eq!(counts.skipped[0], Skip::new("test_a.py:6", "no camera"));
        let whys: Vec<_> = counts.failed.iter().map(|failure| (&*failure.what, &*failure.why[0])).collect();
        assert_eq!(
            whys,
            [
                ("test_a.py::test_err", "E   RuntimeError: fixture"),
                ("test_a.py::test_bad", "test_a.py:5:"),
                ("test_a.py::TestC::test_p[2]", "E   assert 2 == 1"),
                ("test_b.py", "test_b.py"),
            ]
        );
        assert_eq!(counts.failed[1].why.last().unwrap(), "said");
    }

    #[test]
    fn only_the_last_line_counts() {
        assert_eq!(read("===== 12 passed in 3.41s (0:00:03) =====\n").passed, 12);
        assert_eq!(read("===== no tests ran in 0.01s =====\n"), Counts::default());
        assert_eq!(read("===== test session starts =====\n"), Counts::default());
    }
}
