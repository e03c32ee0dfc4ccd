//! The table for people.

use crate::peer::{CandidateReport, PathReport};
use crate::survey::Survey;
use crate::trial::{Peers, Seen, Trial};

/// The names of the columns.
pub(crate) fn head() -> String {
    format!(
        "{:<17}{:<16}{:<21}{:<21}{:<10}{:<19}{:<19}{:>7}  {:<21}{}",
        "controlling",
        "controlled",
        "maps/filters",
        "maps/filters",
        "servers",
        "predicted",
        "seen",
        "ms",
        "controlling's",
        "controlled's pair"
    )
}

/// One cell.
pub(crate) fn row(trial: &Trial, survey: &Survey) -> String {
    let [a, b] = trial.cell.networks.names();
    let of_b = if trial.cell.networks.is_shared() { a } else { b };
    let milliseconds = trial.seen.milliseconds().map_or_else(String::new, |ms| ms.to_string());
    let pairs = match &trial.seen {
        Seen::Connected { paths, .. } => paths.each_ref().map(pair),
        Seen::Failed { .. } | Seen::Trouble(_) => [String::new(), String::new()],
    };
    let mark = if trial.differs().is_some() { '!' } else { ' ' };
    let chromium = match trial.peers {
        Peers::Native => "",
        Peers::ChromiumControls => "Chromium controls",
        Peers::ChromiumIsControlled => "Chromium is controlled",
    };
    let row = format!(
        "{a:<17}{b:<16}{:<21}{:<21}{:<10}{:<19}{:<18}{mark}{milliseconds:>7}  {:<21}{:<21}{chromium}",
        survey.behaviour(a),
        survey.behaviour(of_b),
        trial.cell.servers.name(),
        trial.foreseen.brief(),
        trial.seen.brief(),
        pairs[0],
        pairs[1],
    );
    row.trim_end().to_owned()
}

fn pair(path: &PathReport) -> String {
    format!("{}-{}", candidate(&path.local), candidate(&path.remote))
}

/// The candidate's kind, and how it is reached if that is not UDP.
fn candidate(candidate: &CandidateReport) -> String {
    let protocol = candidate.relay_protocol.as_ref().unwrap_or(&candidate.protocol);
    if protocol == "udp" { candidate.kind.clone() } else { format!("{}/{protocol}", candidate.kind) }
}
