//! The table for programs.

use serde_json::{Value, json};

use crate::matrix::{Cell, Outcome};

/// All of it.
pub(crate) fn record(names: &[&str], cells: &[Cell<'_>], bytes: u64, seconds: f64) -> Value {
    json!({
        "contestants": names,
        "bytes": bytes,
        "cells": cells.iter().map(of_cell).collect::<Vec<_>>(),
        "seconds": seconds,
    })
}

fn of_cell(cell: &Cell<'_>) -> Value {
    let [offerer, answerer] = cell.names;
    let mut value = json!({ "offerer": offerer, "answerer": answerer });
    match &cell.outcome {
        Outcome::Green(reports) => value["reports"] = json!(reports),
        Outcome::Red { faults, logs } => {
            value["failed"] = faults.iter().map(ToString::to_string).collect();
            value["logs"] = json!(logs);
        }
        Outcome::Broken(why) => value["failed"] = json!([why]),
        Outcome::Skipped(why) => value["skipped"] = json!(why),
    }
    value
}
