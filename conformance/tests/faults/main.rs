//! Random schedules of faults, with what must hold at every step, and the figures of path changes.

mod figures;
mod foresight;
mod hostility;
mod run;
mod scenario;
mod stage;

use std::time::Duration;

use frazil_conformance::matrix::Servers;
use frazil_conformance::seeds;

use run::{Outcome, Run};
use scenario::{Scenario, What};

/// How long it may take after a restart, once everything works, until both use the same path.
const ENOUGH_TO_CONNECT: Duration = Duration::from_secs(60);

/// How long it may take without one until they agree or have given up: consent expires, and what is left is tried.
const ENOUGH_TO_AGREE: Duration = Duration::from_secs(240);

#[test]
fn every_schedule_ends_in_agreement() {
    seeds::check_all("faults", "every_schedule_ends_in_agreement", 10_000, |seed| {
        let scenario = Scenario::random(seed);
        let traced = seeds::is_replay();
        if traced {
            eprintln!("{scenario:#?}");
        }
        let mut run = Run::new(&scenario, traced);
        run.until(scenario.calm + Duration::from_secs(1));
        run.driver(0).check_limits();
        run.driver(1).check_limits();
        let must_connect = scenario.restarts_when_calm && foresight::must_connect(&scenario);
        let within = if must_connect { ENOUGH_TO_CONNECT } else { ENOUGH_TO_AGREE };
        let outcome = run.settle(within);
        match outcome {
            None => panic!("no agreement after {within:?}: {}", run.describe()),
            Some(Outcome::Failed) => assert!(!must_connect, "there is a path: {}", run.describe()),
            Some(Outcome::Connected) => {}
        }
    });
}

#[test]
fn scenarios_are_of_all_kinds() {
    type Kind = fn(&Scenario) -> bool;
    const MANY: u64 = 1000;
    fn has(scenario: &Scenario, what: fn(&What) -> bool) -> bool {
        scenario.faults.iter().any(|fault| what(&fault.what))
    }
    let kinds: [(&str, Kind); 14] = [
        ("that must connect", foresight::must_connect),
        ("that may have no path", |scenario| !foresight::must_connect(scenario)),
        ("that restart in the end", |scenario| scenario.restarts_when_calm),
        ("with a relay", |scenario| scenario.servers == Servers::TurnUdp),
        ("in one network", |scenario| scenario.together),
        ("with several interfaces on both sides", |scenario| [0, 1].iter().all(|&s| scenario.networks(s).len() > 1)),
        ("with a link that goes down", |scenario| has(scenario, |what| matches!(what, What::LinkDown { .. }))),
        ("with a NAT that forgets", |scenario| has(scenario, |what| matches!(what, What::Rebind { .. }))),
        ("with other addresses outside", |scenario| has(scenario, |what| matches!(what, What::Renumber { .. }))),
        ("with an interface that goes", |scenario| has(scenario, |what| matches!(what, What::Away { .. }))),
        ("with a server that goes", |scenario| has(scenario, |what| matches!(what, What::ServerDown { .. }))),
        ("with a clock that jumps", |scenario| has(scenario, |what| matches!(what, What::ClockJump(_)))),
        ("with a restart", |scenario| has(scenario, |what| matches!(what, What::Restart { .. }))),
        ("with hostility", |scenario| has(scenario, |what| matches!(what, What::Hostility { .. }))),
    ];
    let scenarios: Vec<Scenario> = (0..MANY).map(Scenario::random).collect();
    for (name, kind) in kinds {
        let share = scenarios.iter().filter(|scenario| kind(scenario)).count();
        assert!(share >= 50, "only {share} of {MANY} scenarios are {name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    seeds::check_all("faults", "the_same_seed_gives_the_same_bytes", 200, |seed| {
        let scenario = Scenario::random(seed);
        let once = || {
            let mut run = Run::new(&scenario, false);
            run.until(scenario.calm + Duration::from_secs(5));
            [0, 1].map(|side| run.driver(side).digest())
        };
        assert_eq!(once(), once());
    });
}
