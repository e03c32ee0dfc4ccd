//! The recorded schedules, played in Rust. Other languages play the same files.

use std::path::Path;

use frazil_replay::{check, scenarios};

fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schedules");
    std::fs::read_to_string(folder.join(name).with_extension("txt")).unwrap()
}

#[test]
fn every_schedule_gives_the_same_again() {
    for (name, _) in scenarios::ALL {
        check(&recorded(name)).unwrap_or_else(|why| panic!("{name}: {why}; record it anew if the change is meant"));
    }
}

/// The other side of a scenario shakes hands with keys of its own, which moves its checks by a little: so no two records
/// are the same, and each gives the same again.
#[test]
fn what_is_recorded_now_gives_the_same_again_and_has_what_the_scenario_is_about() {
    let about = [
        ("direct", &["> event SelectedPairChange", "batch "][..]),
        ("restart", &["restart", "> event NetworkChange"]),
        ("relayed", &["resolved ", "stream ", "> event OpenStream", "> event SelectedPairChange"]),
        ("lost", &["> event PublishName", "> event WithdrawName"]),
    ];
    for (name, record) in scenarios::ALL {
        let schedule = record();
        check(&schedule).unwrap_or_else(|why| panic!("{name}: {why}"));
        let (_, parts) = about.iter().find(|(of, _)| *of == name).unwrap();
        for part in *parts {
            for schedule in [&schedule, &recorded(name)] {
                assert!(schedule.lines().any(|line| line.starts_with(part)), "{name} has no line {part:?}");
            }
        }
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
