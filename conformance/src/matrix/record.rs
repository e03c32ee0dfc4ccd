//! The matrix as JSON, for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::cell::{Cell, Outcome};
use super::contest::{Beaten, Results};
use super::kind::Networks;
use super::oracle::{PathKind, Verdict};

/// All results, and where somebody is better than the first.
pub(super) fn record(all: &[Results], beaten: &[Beaten]) -> Value {
    let cells: Vec<Value> = Cell::all()
        .map(|cell| {
            let results: serde_json::Map<String, Value> = all
                .iter()
                .map(|results| (results.name.to_owned(), of_outcome(cell, &results.outcomes[&cell])))
                .collect();
            json!({
                "networks": of_networks(cell.networks),
                "servers": cell.servers.name(),
                "expected": of_verdict(&cell.foresee()),
                "results": results,
            })
        })
        .collect();
    let beaten: Vec<Value> = beaten
        .iter()
        .map(|beaten| {
            json!({
                "networks": of_networks(beaten.cell.networks),
                "servers": beaten.cell.servers.name(),
                "by": beaten.by,
                "sooner_ms": beaten.sooner_by().map(millis),
                "fewer_datagrams": beaten.fewer_by(),
                "fewer_datagrams_until_nominated": beaten.fewer_until_nominated_by(),
            })
        })
        .collect();
    json!({ "cells": cells, "beaten": beaten })
}

fn of_networks(networks: Networks) -> Value {
    match networks {
        Networks::Apart(a, b) => json!({ "controlling": a.name(), "controlled": b.name() }),
        Networks::Together(shared) => json!({ "shared": shared.name() }),
    }
}

fn of_verdict(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Connects(kind) => json!({ "path": kind.name() }),
        Verdict::Fails([a, b]) => json!({ "failures": [a.to_string(), b.to_string()] }),
    }
}

fn of_outcome(cell: Cell, outcome: &Outcome) -> Value {
    let failures = outcome.failures.each_ref().map(|failure| match failure {
        Some((failure, at)) => json!({ "reason": failure.to_string(), "ms": millis(*at) }),
        None => Value::Null,
    });
    json!({
        "path": outcome.path.map(PathKind::name),
        "usable_ms": outcome.usable.map(millis),
        "nominated_ms": outcome.nominated.map(millis),
        "datagrams": outcome.datagrams,
        "datagrams_until_nominated": outcome.datagrams_until_nominated,
        "failures": failures,
        "wrong": outcome.differs_from(&cell.foresee()),
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
