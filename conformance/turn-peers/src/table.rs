//! The page that comes of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cases::Case;
use crate::contestants::Contestant;
use crate::verdict::{Mark, Verdict};

/// What was seen in one row, in the order of the columns.
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) cells: Vec<Verdict>,
}

const HEAD: &str = "\
# What the peers can do

Which TURN client and ICE agent handles which of the hard cases. This page is written by `cargo xtask turn-peers`; each cell
comes from a run against a TURN server of our own that is told what to do and counts what it is asked
(`conformance/turn-peers/src/server`). An implementation is driven by a small program in its own language
(`conformance/turn-peers/drivers`) with its default settings; where a feature is a setting, the setting is used. A program
holds one agent that has the servers and one that has none and sends everything back, in a network where the two reach each
other only through the relay; a TURN client alone sends to a socket that sends everything back. Servers and programs run in
network namespaces of their own. Waits are bounded as said below, and each \"no\" was run twice. Times count from the start of
the program, the launch of an interpreter or a browser included.

";

/// What was seen, by row and column.
pub(crate) type Cells = BTreeMap<(String, String), Verdict>;

/// Reads the cells of a page that was written before.
pub(crate) fn read(page: &str) -> Cells {
    let mut cells = Cells::new();
    let mut row = "";
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            row = name;
        } else if let Some((column, rest)) = line.strip_prefix("- ").and_then(|line| line.split_once(": **"))
            && let Some((word, evidence)) = rest.split_once("**. ")
            && let Some(mark) = Mark::read(word)
        {
            cells.insert((row.to_owned(), column.to_owned()), Verdict::new(mark, evidence));
        }
    }
    cells
}

/// Writes the page.
pub(crate) fn page(contestants: &[&Contestant], versions: &[String], rows: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    let heads: Vec<&str> = contestants.iter().map(|contestant| contestant.name).collect();
    let _ = writeln!(page, "| | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for row in rows {
        let words: Vec<&str> = row.cells.iter().map(|cell| cell.mark.word()).collect();
        let _ = writeln!(page, "| {} | {} |", row.case.name(), words.join(" | "));
    }
    let count = |column: usize| rows.iter().filter(|row| row.cells[column].mark == Mark::Yes).count().to_string();
    let counts: Vec<String> = (0..contestants.len()).map(count).collect();
    let _ = writeln!(page, "| **yes, of {}** | {} |\n", rows.len(), counts.join(" | "));
    page.push_str("\"no API\": there is no way to ask for it. \"-\": what it stands on is missing.\n\nVersions: ");
    let _ = writeln!(page, "{}.\n\n## What was seen", versions.join("; "));
    for row in rows {
        let _ = writeln!(page, "\n### {}\n\nAsked: {}.\n", row.case.name(), row.case.explanation());
        for (contestant, cell) in contestants.iter().zip(&row.cells) {
            let _ = writeln!(page, "- {}: **{}**. {}", contestant.name, cell.mark.word(), cell.evidence);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::CASES;
    use crate::contestants::CONTESTANTS;

    #[test]
    fn what_was_written_is_read() {
        let marks = [Mark::Yes, Mark::Partly, Mark::No, Mark::NoApi, Mark::Void];
        let cells = |row: usize| (0..CONTESTANTS.len()).map(move |column| marks[(row + column) % marks.len()]);
        let verdict = |mark| Verdict::new(mark, "told \"401: **no**\" after 0.1 s; server: Allocate 401");
        let row = |(n, case)| Row { case, cells: cells(n).map(verdict).collect() };
        let rows: Vec<Row> = CASES.into_iter().enumerate().map(row).collect();
        let contestants: Vec<&Contestant> = CONTESTANTS.iter().collect();
        let read = read(&page(&contestants, &["one 1".to_owned()], &rows));
        assert_eq!(read.len(), CASES.len() * CONTESTANTS.len());
        for row in &rows {
            for (contestant, cell) in CONTESTANTS.iter().zip(&row.cells) {
                assert_eq!(read[&(row.case.name().to_owned(), contestant.name.to_owned())], *cell);
            }
        }
    }
}
