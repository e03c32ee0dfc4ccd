//! What failed, and why, in few enough lines for the end of the output.

use std::fmt;

use crate::job::Finished;

/// The most lines that one failure keeps.
const LINES: usize = 30;
/// The longest line that is kept, in characters.
const WIDTH: usize = 300;

/// A test that failed, or a command that is one by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) what: String,
    /// The lines that say why. Empty where none of them could be told from the others.
    pub(crate) why: Vec<String>,
}

impl Failure {
    /// `why` may be long: its beginning and its end are kept.
    pub(crate) fn new<L: Into<String>>(what: impl Into<String>, why: impl IntoIterator<Item = L>) -> Self {
        let why: Vec<String> = why.into_iter().map(Into::into).collect();
        let blank = |line: &String| line.trim().is_empty();
        let first = why.iter().position(|line| !blank(line)).unwrap_or(why.len());
        let end = why.iter().rposition(|line| !blank(line)).map_or(first, |last| last + 1);
        Self { what: what.into(), why: shortened(&why[first..end], LINES).collect() }
    }

    /// Nothing more is known than that it failed.
    pub(crate) fn unexplained(what: impl Into<String>) -> Self {
        Self { what: what.into(), why: Vec::new() }
    }

    /// `what` failed because `finished` did.
    pub(crate) fn of(what: impl Into<String>, finished: &Finished) -> Self {
        Self::new(what, telling_part(&finished.output))
    }

    /// The reasons in at most `most` lines.
    pub(crate) fn why_within(&self, most: usize) -> impl Iterator<Item = String> {
        shortened(&self.why, most)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Where nothing marks what is important, it is at the end of the output, or where the first error was before that.
fn telling_part(output: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = output.lines().collect();
    let tail = lines.len().saturating_sub(LINES);
    let first = lines.iter().position(|line| line.contains(" panicked at ") || line.starts_with("error"));
    lines.into_iter().skip(first.map_or(tail, |first| first.min(tail)))
}

/// At most `most` of `lines`: the message that comes first, and what came last.
fn shortened(lines: &[String], most: usize) -> impl Iterator<Item = String> {
    let (head, tail) = match lines.len() <= most {
        true => (lines.len(), lines.len()),
        false => {
            // One line says how many there are not.
            let head = (most / 2).max(1);
            (head, lines.len() - (most - head).saturating_sub(1))
        }
    };
    let gap = (head < tail).then(|| format!("({} lines more)", tail - head));
    let narrow = |line: &String| match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}\u{2026}", &line[..at]),
        None => line.clone(),
    };
    let head: Vec<String> = lines[..head].iter().map(narrow).collect();
    let tail: Vec<String> = lines[tail..].iter().map(narrow).collect();
    head.into_iter().chain(gap).chain(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: usize) -> String {
        (1..=count).map(|n| format!("line {n}\n")).collect()
    }

    fn of(output: &str) -> Vec<String> {
        let finished = Finished { command: "x".to_owned(), success: false, output: output.to_owned() };
        Failure::of("x", &finished).why
    }

    #[test]
    fn what_is_long_keeps_its_beginning_and_its_end() {
        for count in [0, 1, 29, 30] {
            assert_eq!(Failure::new("x", numbered(count).lines()).why.len(), count);
        }
        let why = Failure::new("x", numbered(100).lines()).why;
        assert_eq!(why.len(), LINES);
        assert_eq!([&why[0], &why[14], &why[15], &why[29]], ["line 1", "line 15", "(71 lines more)", "line 100"]);
        for most in 1..LINES {
            let failure = Failure::new("x", numbered(100).lines());
            assert!(failure.why_within(most).count() <= most.max(2), "{most}");
        }
        let long = Failure::new("x", [&"\u{e9}".repeat(WIDTH + 1)[..], "", "\t"]);
        assert_eq!(long.why, [format!("{}\u{2026}", "\u{e9}".repeat(WIDTH))]);
    }

    #[test]
    fn the_end_of_an_output_tells_or_its_first_error() {
        assert_eq!(of(&numbered(100))[0], "line 71");
        let panic = format!("{}thread 'x' panicked at y:1\nwhy\n{}", numbered(5), numbered(100));
        assert_eq!(of(&panic)[..2], ["thread 'x' panicked at y:1", "why"]);
        assert_eq!(of(&panic).last().unwrap(), "line 100");
        // It is not worth leaving out what came before an error near the end.
        assert_eq!(of(&format!("{}error: no\n", numbered(40)))[0], "line 12");
    }
}
