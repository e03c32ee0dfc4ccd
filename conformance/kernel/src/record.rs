//! The table for programs.

use serde_json::{Value, json};

use crate::survey::Survey;
use crate::trial::{Peers, Trial};

/// All of it.
pub(crate) fn record(survey: &Survey, trials: &[Trial], seconds: f64) -> Value {
    json!({
        "networks": survey.lines,
        "cells": trials.iter().map(|trial| of_trial(trial, survey)).collect::<Vec<_>>(),
        "seconds": seconds,
    })
}

fn of_trial(trial: &Trial, survey: &Survey) -> Value {
    json!({
        "networks": trial.cell.networks.names(),
        "maps_and_filters": trial.cell.networks.names_of_sides().map(|name| survey.behaviour(name)),
        "servers": trial.cell.servers.name(),
        "chromium": match trial.peers {
            Peers::Native => None,
            Peers::ChromiumControls => Some("controlling"),
            Peers::ChromiumIsControlled => Some("controlled"),
        },
        "predicted": trial.foreseen.to_string(),
        "seen": trial.seen.to_string(),
        "milliseconds": trial.seen.milliseconds(),
        "differs": trial.differs(),
        "reports": trial.reports,
    })
}
