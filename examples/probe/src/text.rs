//! What was found out, for a person.

use std::fmt::Display;

use frazil::ice::{ServerHost, ServerOutcome};
use frazil::nat::Unknown;

use crate::survey::{Listed, Nat, Source, Survey};
use crate::table::Table;

/// How it looks.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Headings are.
    pub(crate) bold: bool,
}

/// All of it, as lines.
pub(crate) fn of(survey: &Survey, style: Style) -> String {
    let mut sections = vec![("Interfaces", interfaces(&survey.interfaces))];
    let names_servers = !survey.servers.is_empty() || !survey.unasked.is_empty();
    if names_servers {
        sections.push(("Servers", servers(survey)));
    }
    sections.push(("Candidates, the best first", candidates(survey)));
    if !survey.nats.is_empty() {
        sections.push(("NATs on the way", nats(&survey.nats)));
    }
    let mut text = String::new();
    for (heading, table) in sections {
        let heading = if style.bold { format!("\x1b[1m{heading}\x1b[0m") } else { heading.to_owned() };
        text += &format!("{heading}\n");
        for line in table.lines() {
            text += &format!("{line}\n");
        }
        text += "\n";
    }
    if !names_servers {
        text += "No servers were named, so these are the machine's own addresses alone. To see what others see, name some:\n\
                 \n  cargo xtask probe stun:stun.example.org turn:turn.example.org --user NAME --password WORD\n";
    } else {
        text.truncate(text.trim_end().len());
        text += "\n";
    }
    text
}

fn interfaces(listed: &[Listed]) -> Table {
    let mut table = Table::default();
    for Listed { interface, unused } in listed {
        let mut notes: Vec<&str> = Vec::new();
        notes.extend((!interface.running).then_some("down"));
        notes.extend(interface.temporary.then_some("temporary"));
        let unused = unused.map(|why| format!("not used: {why}"));
        notes.extend(unused.as_deref());
        let address = format!("{}/{}", interface.address, interface.prefix_len);
        let kind = format!("{:?}", interface.kind).to_lowercase();
        let cost = format!("cost {}", interface.kind.typical_cost());
        table.row([interface.name.clone(), kind, address, cost, notes.join(", ")]);
    }
    table
}

fn servers(survey: &Survey) -> Table {
    let mut table = Table::default();
    for report in &survey.servers {
        let (uri, from) = (report.uri.to_string(), report.local.ip().to_string());
        let is_named = matches!(report.uri.host, ServerHost::Name(_));
        let server = report.server.filter(|_| is_named).map(|server| format!("at {server}")).unwrap_or_default();
        let (time, what) = match &report.outcome {
            ServerOutcome::Answered { after, mapped, relayed } => {
                let sees =
                    if *mapped == report.local { "sees us as we are".to_owned() } else { format!("sees {mapped}") };
                let lends = relayed.iter().map(|relayed| format!(", lends {relayed}")).collect::<String>();
                (format!("{:.1} ms", after.as_secs_f64() * 1000.0), sees + &lends)
            }
            ServerOutcome::Failed(error) => ("failed".to_owned(), format!("{} {}", error.code, error.text)),
            ServerOutcome::Redundant => ("not asked".to_owned(), "it is another of these".to_owned()),
            _ => ("no answer".to_owned(), String::new()),
        };
        table.row([uri, server, format!("from {from}"), time, what]);
    }
    for uri in &survey.unasked {
        let why = "none of this machine's addresses can ask it";
        table.row([&uri.to_string(), "", "", "not asked", why]);
    }
    table
}

fn candidates(survey: &Survey) -> Table {
    let mut table = Table::default();
    for found in &survey.candidates {
        let candidate = &found.candidate.candidate;
        let source = match &found.source {
            Source::Interface(name) => name.clone(),
            Source::Server(uri) => uri.to_string(),
            Source::Unknown => String::new(),
        };
        let from = match candidate.related {
            Some(related) if related != candidate.address => format!("{source}, for {related}"),
            _ => source,
        };
        let (priority, transport) = (format!("{:>10}", candidate.priority), candidate.transport.to_string());
        table.row([priority, candidate.kind.to_string(), transport, candidate.address.to_string(), from]);
    }
    if survey.candidates.is_empty() {
        table.row(["none: the machine has no address that may be used"]);
    }
    table
}

fn nats(nats: &[Nat]) -> Table {
    let mut table = Table::default();
    for nat in nats {
        let address = nat.address.to_string();
        let mut lines = Vec::new();
        if let Some(behaviour) = &nat.behaviour {
            match (&behaviour.mapping, nat.seen) {
                (Err(_), Some(seen)) => lines.push(("mapping", seen.to_string())),
                (mapping, _) => lines.push(("mapping", known(mapping))),
            }
            lines.push(("filtering", known(&behaviour.filtering)));
            lines.push(("hairpinning", known(&behaviour.hairpinning)));
        } else {
            lines.extend(nat.seen.map(|seen| ("mapping", seen.to_string())));
        }
        for (place, (what, line)) in lines.into_iter().enumerate() {
            let address = if place == 0 { address.clone() } else { String::new() };
            table.row([address, what.to_owned(), line]);
        }
    }
    table
}

fn known(known: &Result<impl Display, Unknown>) -> String {
    match known {
        Ok(known) => known.to_string(),
        Err(unknown) => format!("unknown: {unknown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_machine_without_addresses_it_is_said_that_nothing_could_be_asked() {
        let unasked = vec!["stun:192.0.2.1".parse().unwrap()];
        let survey =
            Survey { interfaces: Vec::new(), servers: Vec::new(), unasked, candidates: Vec::new(), nats: Vec::new() };
        assert!(!survey.is_whole());
        let text = of(&survey, Style { bold: false });
        assert!(text.contains("stun:192.0.2.1  not asked") && text.contains("  none: "), "{text}");
        assert!(!text.contains("No servers were named"), "{text}");
    }
}
