//! Two ICE agents on a random network.

mod run;
mod scenario;

use std::time::Duration;

use frazil::ice::{Config, Failure, State};
use frazil_conformance::seeds;
use frazil_internet::are_mirror_images;

use run::Run;
use scenario::Scenario;

const CONNECTED: [State; 2] = [State::Connected, State::Completed];

/// Once signalling is through and disturbances are over, this is enough to find a path that is not too bad.
const ENOUGH_TO_CONNECT: Duration = Duration::from_secs(60);

/// Seconds until both have the same path again after one of them has moved.
const ENOUGH_TO_FOLLOW: u32 = 30;

/// No more timeouts than this in one second: 50 checks, and the timers of 16 pairs.
const BUSIEST_SECOND: u32 = 90;

/// How long it may take, once all is known and calm, until every pair was tried.
fn longest(scenario: &Scenario) -> Duration {
    scenario.topology.longest_search(scenario.disturbances.steps_back())
}

#[test]
fn two_agents_find_each_other_where_there_is_a_path() {
    seeds::check("ice", "two_agents_find_each_other_where_there_is_a_path", 400, |seed| {
        let scenario = Scenario::random(seed);
        if seeds::is_replay() {
            eprintln!("{scenario:#?}");
        }
        let mut run = Run::new(&scenario);
        let longest = longest(&scenario);
        run.until(scenario.calm_from() + longest);
        run.calm_down();
        // Enough for consent to expire on a side that was left alone.
        run.until(scenario.calm_from() + longest + Duration::from_secs(60));
        if seeds::is_replay() {
            eprintln!("{:#?}\n{:?}\n{:?}", run.states, run.selected(0), run.selected(1));
        }

        for side in [0, 1] {
            let connected = run.first(side, &CONNECTED);
            if scenario.topology.is_hopeless() {
                assert_eq!(connected, None, "side {side} takes what is no path for one");
            }
            if scenario.must_connect() {
                let connected = connected.unwrap_or_else(|| panic!("side {side} has not found the path that there is"));
                let within = scenario.calm_from() + ENOUGH_TO_CONNECT;
                assert!(connected <= within, "side {side} took {connected:?}");
            }
            if scenario.must_stay_connected() {
                assert!(CONNECTED.contains(&run.state(side)), "side {side} is {} in the end", run.state(side));
            }
        }
        assert_eq!(
            run.selected(0).is_some(),
            run.selected(1).is_some(),
            "one side has a path and the other has none: {} and {}",
            run.state(0),
            run.state(1)
        );
        if let (Some(a), Some(b)) = (run.selected(0), run.selected(1)) {
            assert!(are_mirror_images(&a, &b), "{a:?}\n{b:?}");
            assert!(a.nominated && b.nominated);
            assert_eq!(run.role(0), run.role(1).opposite());
            assert!(run.exchange(), "what both agree on carries no datagram");
        } else {
            assert_eq!([run.state(0), run.state(1)], [State::Failed; 2]);
        }
    });
}

#[test]
fn failure_is_reported_in_good_time_and_not_too_soon() {
    seeds::check("ice", "failure_is_reported_in_good_time_and_not_too_soon", 400, |seed| {
        let mut scenario = Scenario::random(seed);
        scenario.topology.links.clear();
        scenario.restarts.clear();
        if seeds::is_replay() {
            eprintln!("{scenario:#?}");
        }
        let mut run = Run::new(&scenario);
        let latest = scenario.calm_from() + longest(&scenario);
        run.until(latest);
        for side in [0, 1] {
            let failed = run.first(side, &[State::Failed]).unwrap_or_else(|| {
                panic!("side {side} is {} after {latest:?}, although there is no path", run.state(side))
            });
            // A clock that leaps takes from the patience, as far as the agent can see.
            let began = scenario.sides[side].credentials;
            if scenario.disturbances.is_empty() {
                assert!(failed >= began + Config::default().patience, "side {side} gave up after {failed:?}");
            }
        }
    });
}

#[test]
fn a_restart_keeps_the_old_path_until_it_has_a_new_one() {
    let seen = std::cell::Cell::new(0);
    let only_one = seeds::is_replay();
    seeds::check("ice", "a_restart_keeps_the_old_path_until_it_has_a_new_one", 400, |seed| {
        let scenario = Scenario::restarting(seed);
        if !scenario.must_stay_connected() {
            return;
        }
        if seeds::is_replay() {
            eprintln!("{scenario:#?}");
        }
        let mut run = Run::new(&scenario);
        run.talk();
        run.until(scenario.calm_from() + longest(&scenario));
        for side in [0, 1] {
            assert_eq!(run.pathless(side), 0, "side {side} had no path for a while");
            assert_eq!(run.refused(side), 0, "side {side} refused what came over a good path");
            assert!(
                run.agent(side).pairs().any(|pair| pair.selected.is_some()),
                "side {side} is still on the path from before"
            );
            assert_eq!(run.counters(side).spins, 0, "side {side} wanted to be woken for nothing");
        }
        // One of them may just have moved, as requests in a row were lost; the other hears of it within a consent check.
        let selected = |run: &Run| [0, 1].map(|side| run.selected(side).expect("it is of the list"));
        let mut end = scenario.calm_from() + longest(&scenario);
        for _ in 0..ENOUGH_TO_FOLLOW {
            let [a, b] = selected(&run);
            if are_mirror_images(&a, &b) {
                break;
            }
            end += Duration::from_secs(1);
            run.until(end);
        }
        let [a, b] = selected(&run);
        assert!(are_mirror_images(&a, &b), "{a:?}\n{b:?}");
        seen.set(seen.get() + 1);
    });
    assert!(seen.get() >= 100 || only_one, "only {} scenarios say something", seen.get());
}

#[test]
fn timers_lead_forward() {
    seeds::check("ice", "timers_lead_forward", 400, |seed| {
        let scenario = Scenario::random(seed);
        let mut run = Run::new(&scenario);
        run.until(scenario.calm_from() + Duration::from_secs(120));
        for side in [0, 1] {
            let counters = run.counters(side);
            assert_eq!(counters.spins, 0, "side {side} wanted to be woken for nothing");
            assert!(counters.busiest_second <= BUSIEST_SECOND, "side {side}: {counters:?}");
        }
    });
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    seeds::check("ice", "the_same_seed_gives_the_same_bytes", 100, |seed| {
        let until = Duration::from_secs(60);
        let (this, other) = (Scenario::random(seed), Scenario::random(seed + 1));
        let mut alone = Run::new(&this);
        alone.talk();
        alone.until(until);
        // Once more, with another pair of agents whose turns fall between these.
        let (mut again, mut between) = (Run::new(&this), Run::new(&other));
        again.talk();
        while again.step(until) {
            between.step(until);
        }
        assert_eq!(alone.states, again.states);
        assert!(alone.record() == again.record(), "the bytes differ");
    });
}

#[test]
fn a_path_that_falls_silent_is_reported_and_heals_or_fails() {
    seeds::check("ice", "a_path_that_falls_silent_is_reported_and_heals_or_fails", 200, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let scenario = Scenario::calm(seed, &mut rng);
        let mut run = Run::new(&scenario);
        let silent = scenario.signalled() + Duration::from_secs(5) + Duration::from_millis(rng.u64(..20_000));
        run.until(silent);
        assert!([0, 1].iter().all(|&side| CONNECTED.contains(&run.state(side))));
        let heals = rng.bool();
        // Short enough for consent, which the last answer gave at the most 6.5 s before, or too long for it and for
        // the search for another pair.
        let lasts = if heals {
            Duration::from_millis(rng.u64(9_000..16_000))
        } else {
            Config::default().consent_lifetime + longest(&scenario)
        };
        run.cut(lasts);
        let config = Config::default();
        run.until(silent + Duration::from_millis(8_500));
        for side in [0, 1] {
            let reported = run.last_change(side);
            assert_eq!(reported.1, State::Disconnected, "side {side}");
            // Nothing was heard since at the latest the answer that was under way.
            assert!(reported.0 <= silent + config.silence + Duration::from_secs(1), "side {side}: {reported:?}");
        }
        run.until(silent + lasts + Duration::from_secs(10));
        for side in [0, 1] {
            let (at, state) = run.last_change(side);
            if heals {
                assert!(CONNECTED.contains(&state), "side {side} is {state}");
                assert!(at >= silent + lasts, "side {side} heard something at {at:?} on a link that was down");
            } else {
                assert_eq!((state, run.failure(side)), (State::Failed, Some(Failure::ConsentExpired)), "side {side}");
                let lifetime = config.consent_lifetime;
                assert!(at >= silent + lifetime - Duration::from_secs(7), "side {side} gave up at {at:?}");
                assert!(at <= silent + longest(&scenario) + lifetime, "side {side} gave up at {at:?}");
            }
        }
        assert_eq!(run.exchange(), heals);
    });
}

#[test]
fn scenarios_are_of_all_kinds() {
    type Kind = fn(&Scenario) -> bool;
    const MANY: u64 = 400;
    let share = |kind: Kind| (0..MANY).filter(|&seed| kind(&Scenario::random(seed))).count();
    let kinds: [(&str, Kind); 8] = [
        ("without a path", |scenario| scenario.topology.is_hopeless()),
        ("that must connect", Scenario::must_connect),
        ("that must stay connected", Scenario::must_stay_connected),
        ("with a path that may fail", |scenario| !scenario.topology.is_hopeless() && !scenario.must_stay_connected()),
        ("with disturbances", |scenario| !scenario.disturbances.is_empty()),
        ("with a role conflict", |scenario| scenario.roles[0] == scenario.roles[1]),
        ("with many pairs", |scenario| scenario.topology.links.len() >= 4),
        ("with restarts", |scenario| !scenario.restarts.is_empty()),
    ];
    for (name, kind) in kinds {
        assert!(share(kind) >= 40, "only {} of {MANY} scenarios are {name}", share(kind));
    }
}
