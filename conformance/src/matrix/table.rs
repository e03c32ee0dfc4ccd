//! The matrix as text.

use std::fmt::{self, Write as _};

use super::cell::{Cell, Outcome};
use super::contest::{Beaten, Results};
use super::kind::{Networks, Servers};
use super::oracle::{PathKind, Verdict};

/// What the letters mean.
pub(super) const LEGEND: &str = "\
D direct  P hole punched  R relayed by one side  T relayed by both  - no path  ? not the same path for both
Each cell: the path in the end; milliseconds until both sides could send (without a path: until both had given up);
datagrams of both agents until then. ! differs from what must come of it.
";

/// One implementation: a row for each pair of networks, a column for each set of servers.
pub(super) struct Table<'a>(pub(super) &'a Results);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32}", "networks")?;
        for servers in Servers::ALL {
            write!(f, "{:>17}", servers.name())?;
        }
        writeln!(f)?;
        for networks in Networks::all() {
            let mut row = match networks {
                Networks::Apart(a, b) => format!("{:<16}{:<16}", a.name(), b.name()),
                Networks::Together(shared) => format!("{:<32}", shared.name()),
            };
            for servers in Servers::ALL {
                let cell = Cell { networks, servers };
                write!(row, "{:>17}", brief(cell, &self.0.outcomes[&cell]))?;
            }
            writeln!(f, "{}", row.trim_end())?;
        }
        Ok(())
    }
}

/// Several implementations: a row for each cell, a column for each of them.
pub(super) struct SideBySide<'a>(pub(super) &'a [Results]);

impl fmt::Display for SideBySide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<44}{:<6}", "cell", "best")?;
        for results in self.0 {
            write!(f, "{:>18}", results.name)?;
        }
        writeln!(f)?;
        for cell in Cell::all() {
            let best = match cell.foresee() {
                Verdict::Connects(kind) => letter(kind),
                Verdict::Fails(_) => '-',
            };
            write!(f, "{:<44}{best:<6}", cell.to_string())?;
            for results in self.0 {
                write!(f, "{:>18}", brief(cell, &results.outcomes[&cell]))?;
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for results in self.0 {
            let connected = results.connected();
            let (any, best) = (connected.any, connected.best);
            let each = any.max(1) as u64;
            writeln!(
                f,
                "{:<16} connects {any} of {} cells that have a path, {best} of them over the best one; on average {} ms \
                 and {:.1} datagrams, {:.1} until nominated",
                results.name,
                connected.possible,
                connected.time.as_millis() as u64 / each,
                connected.datagrams as f64 / each as f64,
                connected.datagrams_until_nominated as f64 / each as f64,
            )?;
        }
        Ok(())
    }
}

/// The cells in which somebody is better.
pub(super) struct Better<'a>(pub(super) &'a [Beaten]);

impl fmt::Display for Better<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for beaten in self.0 {
            let Beaten { cell, by, path, time: [ours, theirs], datagrams, datagrams_until_nominated } = beaten;
            let mut how = Vec::new();
            if let Some(sooner) = beaten.sooner_by() {
                let (ours, theirs) = (ours.as_millis(), theirs.as_millis());
                how.push(format!("{} ms sooner ({theirs} against {ours})", sooner.as_millis()));
            }
            if let Some(fewer) = beaten.fewer_by() {
                how.push(format!("{fewer} datagrams fewer ({} against {})", datagrams[1], datagrams[0]));
            }
            if let Some(fewer) = beaten.fewer_until_nominated_by() {
                let [ours, theirs] = datagrams_until_nominated;
                how.push(format!("{fewer} datagrams fewer until nominated ({theirs} against {ours})"));
            }
            writeln!(f, "{:<44}{:<15} {by:<15} {}", cell.to_string(), path.name(), how.join(", "))?;
        }
        Ok(())
    }
}

fn brief(cell: Cell, outcome: &Outcome) -> String {
    let mark = if outcome.differs_from(&cell.foresee()).is_some() { '!' } else { ' ' };
    let given_up = outcome.failures.iter().flatten().map(|(_, at)| *at).max();
    let sign = match (outcome.path, outcome.usable) {
        (Some(kind), _) => letter(kind),
        (None, Some(_)) => '?',
        (None, None) => '-',
    };
    match outcome.usable.or(given_up) {
        Some(time) => format!("{sign} {:>6} {:>4}{mark}", time.as_millis(), outcome.datagrams),
        None => format!("{sign} {:>6} {:>4}{mark}", "", outcome.datagrams),
    }
}

/// One letter for a kind of path.
pub(super) fn letter(kind: PathKind) -> char {
    match kind {
        PathKind::Direct => 'D',
        PathKind::Translated => 'P',
        PathKind::RelayedOnce => 'R',
        PathKind::RelayedTwice => 'T',
    }
}
