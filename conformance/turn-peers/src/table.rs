//! The page that comes of it.

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
