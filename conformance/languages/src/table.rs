//! The table for people, in Markdown.

use std::iter;

use crate::matrix::{Cell, Outcome};

/// Rows are offerers, columns answerers. `cells` are in the order of rows.
pub(crate) fn table(names: &[&str], cells: &[Cell<'_>]) -> String {
    let head = iter::once("offerer, answerer").chain(names.iter().copied()).map(str::to_owned).collect();
    let rows = names.iter().zip(cells.chunks(names.len())).map(|(name, row)| {
        let words = row.iter().map(|cell| brief(&cell.outcome));
        iter::once((*name).to_owned()).chain(words).collect()
    });
    let mut lines: Vec<Vec<String>> = iter::once(head).chain(rows).collect();
    let widths: Vec<usize> =
        (0..=names.len()).map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0)).collect();
    lines.insert(1, widths.iter().map(|&width| "-".repeat(width)).collect());
    let line = |words: &Vec<String>| {
        let padded = words.iter().zip(&widths).map(|(word, &width)| format!("{word:width$}"));
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    lines.iter().map(line).collect()
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Green([report, _]) => format!("ok, {} ms", report.connect_milliseconds),
        Outcome::Red { faults, .. } => faults.first().map_or_else(String::new, |fault| fault.what.brief()),
        Outcome::Broken(_) => "broken".to_owned(),
        Outcome::Skipped(_) => "skipped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Part;
    use crate::program::End;
    use crate::report::Report;
    use crate::verdict::{Fault, What};

    #[test]
    fn rows_offer_and_columns_answer() {
        let report = Report {
            part: Part::Offerer,
            language: String::new(),
            connected: true,
            bytes: 1,
            sha256: "00".repeat(32).parse().unwrap(),
            closed: true,
            connect_milliseconds: 41,
            milliseconds: 170,
        };
        let fault = Fault { part: Part::Answerer, what: What::Ended(End::TooLong(40)) };
        let cell = |names, outcome| Cell { names, outcome };
        let cells = [
            cell(["a", "a"], Outcome::Green([report.clone(), report])),
            cell(["a", "bee"], Outcome::Red { faults: vec![fault], logs: [String::new(), String::new()] }),
            cell(["bee", "a"], Outcome::Skipped("none here".to_owned())),
            cell(["bee", "bee"], Outcome::Broken("no".to_owned())),
        ];
        let expected = "\
| offerer, answerer | a         | bee    |
| ----------------- | --------- | ------ |
| a                 | ok, 41 ms | hung   |
| bee               | skipped   | broken |
";
        assert_eq!(table(&["a", "bee"], &cells), expected);
    }
}
