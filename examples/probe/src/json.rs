//! What was found out, for programs.

use std::fmt::Display;

use frazil::ice::{ServerOutcome, ServerReport, ServerUri};
use frazil::nat::Unknown;
use serde_json::{Value, json};

use crate::survey::{Found, Listed, Nat, Source, Survey};

/// All of it.
pub(crate) fn of(survey: &Survey) -> Value {
    json!({
        "interfaces": survey.interfaces.iter().map(interface).collect::<Vec<_>>(),
        "servers": survey.servers.iter().map(server).chain(survey.unasked.iter().map(unasked)).collect::<Vec<_>>(),
        "candidates": survey.candidates.iter().map(candidate).collect::<Vec<_>>(),
        "nats": survey.nats.iter().map(nat).collect::<Vec<_>>(),
    })
}

fn interface(Listed { interface, unused }: &Listed) -> Value {
    json!({
        "name": interface.name,
        "index": interface.index,
        "kind": format!("{:?}", interface.kind).to_lowercase(),
        "cost": interface.kind.typical_cost(),
        "address": interface.address,
        "prefixLength": interface.prefix_len,
        "running": interface.running,
        "temporary": interface.temporary,
        "deprecated": interface.deprecated,
        "used": unused.is_none(),
        "reason": unused,
    })
}

fn server(report: &ServerReport) -> Value {
    let mut value = json!({ "uri": report.uri.to_string(), "local": report.local, "server": report.server });
    match &report.outcome {
        ServerOutcome::Answered { after, mapped, relayed } => {
            value["outcome"] = json!("answered");
            value["milliseconds"] = json!(after.as_secs_f64() * 1000.0);
            value["mapped"] = json!(mapped);
            value["relayed"] = json!(relayed);
        }
        ServerOutcome::Failed(error) => {
            value["outcome"] = json!("failed");
            value["code"] = json!(error.code);
            value["text"] = json!(error.text);
        }
        ServerOutcome::Redundant => value["outcome"] = json!("redundant"),
        _ => value["outcome"] = json!("waiting"),
    }
    value
}

fn unasked(uri: &ServerUri) -> Value {
    json!({ "uri": uri.to_string(), "local": null, "server": null, "outcome": "unasked" })
}

fn candidate(Found { candidate: local, source }: &Found) -> Value {
    let (interface, server) = match source {
        Source::Interface(name) => (Some(name), None),
        Source::Server(uri) => (None, Some(uri.to_string())),
        Source::Unknown => (None, None),
    };
    json!({
        "type": local.candidate.kind.to_string(),
        "transport": local.candidate.transport.to_string(),
        "address": local.candidate.address,
        "priority": local.candidate.priority,
        "base": local.base,
        "related": local.candidate.related,
        "interface": interface,
        "server": server,
    })
}

fn nat(nat: &Nat) -> Value {
    let behaviour = nat.behaviour.as_ref().map(|behaviour| {
        json!({
            "server": behaviour.server,
            "mapping": known(&behaviour.mapping),
            "filtering": known(&behaviour.filtering),
            "hairpinning": known(&behaviour.hairpinning),
        })
    });
    json!({ "local": nat.address, "mapping": nat.seen.map(|seen| seen.to_string()), "rfc5780": behaviour })
}

fn known(known: &Result<impl Display, Unknown>) -> Value {
    match known {
        Ok(known) => json!({ "known": known.to_string() }),
        Err(unknown) => json!({ "unknown": unknown.to_string() }),
    }
}
