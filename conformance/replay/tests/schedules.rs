//! The recorded schedules, played in Rust. Other languages play the same files.

use std::path::Path;

use frazil_replay::{check, scenarios};

fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schedules");
    std::fs::read_to_string(folder.join(name).with_extension("txt")).unwrap()
}

#[test]
fn every_schedule_is_what_its_scenario_gives_today() {
    for (name, record) in scenarios::ALL {
        assert!(record() == recorded(name), "{name}: record it anew if the change is meant");
    }
}

#[test]
fn every_schedule_gives_the_same_again() {
    for (name, _) in scenarios::ALL {
        check(&recorded(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
}

/// A player that compares nothing would pass everything.
#[test]
fn a_schedule_with_one_digit_changed_is_refused() {
    let schedule = recorded("direct");
    let lines: Vec<&str> = schedule.lines().collect();
    let outputs = lines.iter().enumerate().filter(|(_, line)| line.starts_with("> "));
    for (place, line) in outputs.step_by(40) {
        let last = line.chars().last().unwrap();
        let other = if last == '0' { '1' } else { '0' };
        let changed = format!("{}{other}", &line[..line.len() - 1]);
        let mut lines = lines.clone();
        lines[place] = &changed;
        let why = check(&lines.join("\n")).unwrap_err();
        assert!(why.starts_with(&format!("line {}: expected", place + 1)), "{why}");
    }
    let shorter = lines[..lines.len() - 1].join("\n");
    assert!(check(&shorter).unwrap_err().starts_with("at the end"));
}
