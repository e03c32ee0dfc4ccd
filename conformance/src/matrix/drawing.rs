//! The matrix as SVG: for each implementation and each set of servers a square, the controlling side's network from
//! above to below, the controlled side's from left to right.
//!
//! A kind of path is told by its colour (of the set by Okabe and Ito, which the colour-blind tell apart) and by its
//! letter. What differs from what must be is framed.

use std::fmt::Write as _;

use super::cell::{Cell, Outcome};
use super::contest::Results;
use super::kind::{Kind, Networks, Servers, Shared};
use super::oracle::{PathKind, Verdict};
use super::table::letter;

const CELL: [usize; 2] = [38, 20];
/// Room for the names at the left of a square and above it.
const NAMES: [usize; 2] = [118, 104];
const GAP: usize = 26;
const MARGIN: usize = 24;
const HEAD: usize = 92;
/// Stands for a side that neither connects nor gives up.
const UNENDING: &str = "…";

/// Draws the results of one implementation or several.
pub(super) fn draw(all: &[Results]) -> String {
    let square = [NAMES[0] + Kind::ALL.len() * CELL[0], NAMES[1] + (Kind::ALL.len() + 1 + Shared::ALL.len()) * CELL[1]];
    // One implementation: two by two. Several: a row for each, which is compared along columns.
    let columns = if all.len() == 1 { 2 } else { Servers::ALL.len() };
    let rows = (all.len() * Servers::ALL.len()).div_ceil(columns);
    let title_height = 26;
    let width = 2 * MARGIN + columns * square[0] + (columns - 1) * GAP;
    let height = HEAD + MARGIN + rows * (square[1] + title_height + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} \
         {height}\" font-family=\"Helvetica, Arial, sans-serif\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"#ffffff\"/>\n"
    );
    legend(&mut svg);
    let squares = all.iter().flat_map(|results| Servers::ALL.map(|servers| (results, servers)));
    for (place, (results, servers)) in squares.enumerate() {
        let x = MARGIN + place % columns * (square[0] + GAP);
        let y = HEAD + place / columns * (square[1] + title_height + GAP);
        let title = format!("{}, {}", results.name, title(servers));
        text(&mut svg, [x, y + 16], 15, "font-weight=\"bold\"", &title);
        draw_square(&mut svg, [x, y + title_height], results, servers);
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    text(svg, [MARGIN, 34], 20, "font-weight=\"bold\"", "Which path two peers find, and after how many milliseconds");
    let entries = [
        (Some(PathKind::Direct), "direct"),
        (Some(PathKind::Translated), "hole punched"),
        (Some(PathKind::RelayedOnce), "relayed by one side"),
        (Some(PathKind::RelayedTwice), "relayed by both"),
        (None, "no path"),
    ];
    let mut x = MARGIN;
    for (kind, name) in entries {
        cell(svg, [x, 52], kind, &kind.map_or('–', letter).to_string());
        text(svg, [x + CELL[0] + 6, 66], 13, "", name);
        x += CELL[0] + 28 + 8 * name.len();
    }
    cell(svg, [x, 52], None, UNENDING);
    text(svg, [x + CELL[0] + 6, 66], 13, "", "no path, and does not say so");
    x += CELL[0] + 240;
    cell(svg, [x, 52], None, "");
    frame(svg, [x, 52]);
    text(svg, [x + CELL[0] + 6, 66], 13, "", "not what must come of it");
}

fn draw_square(svg: &mut String, [x, y]: [usize; 2], results: &Results, servers: Servers) {
    let [left, top] = [x + NAMES[0], y + NAMES[1]];
    for (column, kind) in Kind::ALL.into_iter().enumerate() {
        let (cx, cy) = (left + column * CELL[0] + CELL[0] / 2 + 4, top - 6);
        let turned = format!("transform=\"rotate(-50 {cx} {cy})\"");
        text(svg, [cx, cy], 11, &turned, kind.name());
    }
    let outcome = |networks| {
        let cell = Cell { networks, servers };
        (cell, &results.outcomes[&cell])
    };
    for (row, a) in Kind::ALL.into_iter().enumerate() {
        let y = top + row * CELL[1];
        text(svg, [left - 6, y + 14], 11, "text-anchor=\"end\"", a.name());
        for (column, b) in Kind::ALL.into_iter().enumerate() {
            draw_outcome(svg, [left + column * CELL[0], y], outcome(Networks::Apart(a, b)));
        }
    }
    for (row, shared) in Shared::ALL.into_iter().enumerate() {
        let y = top + (Kind::ALL.len() + 1 + row) * CELL[1];
        text(svg, [left - 6, y + 14], 11, "text-anchor=\"end\"", shared.name());
        draw_outcome(svg, [left, y], outcome(Networks::Together(shared)));
    }
}

fn draw_outcome(svg: &mut String, at: [usize; 2], (of, outcome): (Cell, &Outcome)) {
    let verdict = of.foresee();
    let is_unending = outcome.failures.iter().any(Option::is_none);
    let label = match (outcome.path, outcome.usable) {
        (Some(kind), Some(time)) => format!("{} {}", letter(kind), time.as_millis()),
        (None, Some(time)) => format!("? {}", time.as_millis()),
        _ if is_unending => UNENDING.to_owned(),
        _ => "–".to_owned(),
    };
    cell(svg, at, outcome.path, &label);
    let label_says_it = label == UNENDING && matches!(verdict, Verdict::Fails(_));
    if let Some(how) = outcome.differs_from(&verdict).filter(|_| !label_says_it) {
        frame(svg, at);
        let _ = writeln!(svg, "<!-- {}: {} -->", of, how.replace("--", "- "));
    }
}

/// The fill of a cell and a colour that is readable on it.
fn colours(kind: Option<PathKind>) -> [&'static str; 2] {
    match kind {
        Some(PathKind::Direct) => ["#009e73", "#ffffff"],
        Some(PathKind::Translated) => ["#56b4e9", "#000000"],
        Some(PathKind::RelayedOnce) => ["#f0e442", "#000000"],
        Some(PathKind::RelayedTwice) => ["#d55e00", "#ffffff"],
        None => ["#e8e8e8", "#555555"],
    }
}

fn cell(svg: &mut String, [x, y]: [usize; 2], kind: Option<PathKind>, label: &str) {
    let [fill, ink] = colours(kind);
    let (width, height) = (CELL[0] - 1, CELL[1] - 1);
    let _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>");
    let centred = format!("text-anchor=\"middle\" fill=\"{ink}\"");
    text(svg, [x + width / 2, y + 14], 10, &centred, label);
}

fn frame(svg: &mut String, [x, y]: [usize; 2]) {
    let (x, y, width, height) = (x + 1, y + 1, CELL[0] - 3, CELL[1] - 3);
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#000000\" \
         stroke-width=\"2\" stroke-dasharray=\"4 2\"/>"
    );
}

fn text(svg: &mut String, [x, y]: [usize; 2], size: usize, style: &str, content: &str) {
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" {style}>{content}</text>");
}

fn title(servers: Servers) -> &'static str {
    match servers {
        Servers::None => "no servers",
        Servers::Stun => "STUN",
        Servers::TurnUdp => "STUN and TURN over UDP",
        Servers::TurnTcp => "STUN and TURN over TCP",
    }
}
