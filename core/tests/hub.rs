//! Many agents under one pace, in virtual time.

mod world;

use core::time::Duration;
use std::collections::BTreeSet;

use frazil::Instant;
use frazil::hub::Pacer;
use frazil::ice::{Config, Pace, Role, State};
use frazil::stun::Class;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use world::{World, host};

const TA: Duration = Duration::from_millis(5);

/// Pairs of agents, each with some addresses of which only the first of each side works.
fn sessions(count: usize, addresses: usize, own: Duration, delay: Duration) -> World {
    let mut config = Config::default();
    config.pacing = own;
    config.pace = Pace::Granted;
    let mut world = World::new();
    world.delay = delay;
    for agent in 0..2 * count {
        let role = if agent % 2 == 0 { Role::Controlling } else { Role::Controlled };
        world.add(config, role);
        for place in 0..addresses {
            let text = format!("10.{}.{}.{}:9", agent / 250, agent % 250, place + 1);
            world.add_local(agent, host(&text, place as u16));
        }
    }
    world.passes = Box::new(|sent| [sent.source, sent.destination].iter().all(|a| a.to_string().ends_with(".1:9")));
    world.share(Pacer::new(TA, world.now));
    world
}

/// Starts each session at its time and runs until all have a pair or the time is over.
fn start(world: &mut World, starts: &[Duration], time: Duration) -> bool {
    let mut order: Vec<usize> = (0..starts.len()).collect();
    order.sort_by_key(|&session| starts[session]);
    let begin = world.now;
    for session in order {
        world.run_for((begin + starts[session]) - world.now);
        world.signal(2 * session, 2 * session + 1);
    }
    let connected = |world: &World| world.agents.iter().all(|agent| agent.selected_pair().is_some());
    world.run_until(time, connected)
}

/// Checks that were sent, first sendings alone: what is granted. A consent check is none, and comes seconds after
/// a pair was selected.
fn checks(world: &World) -> Vec<(Instant, usize)> {
    let mut seen = BTreeSet::new();
    let first = world.sent.iter().filter(|sent| sent.message().class() == Class::Request && seen.insert(sent.id().0));
    first.map(|sent| (sent.sent_at, sent.sender)).collect()
}

fn deterministic(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(0x4_8ab), failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(deterministic(48))]

    #[test]
    fn agents_that_share_a_pace_keep_it_and_all_connect(
        starts in prop::collection::vec(0_u64..300, 1..12),
        addresses in 1_usize..4,
        own in 5_u64..60,
        delay in 1_u64..80,
    ) {
        let (own, delay) = (Duration::from_millis(own), Duration::from_millis(delay));
        let mut world = sessions(starts.len(), addresses, own, delay);
        let starts: Vec<Duration> = starts.into_iter().map(Duration::from_millis).collect();
        let begin = world.now;
        prop_assert!(start(&mut world, &starts, Duration::from_secs(3)), "not all connected");
        // Pairs that are tried as backups keep the pace too. Consent checks do not, but the first comes after four
        // seconds on a pair.
        world.run_for((begin + Duration::from_millis(3_900)) - world.now);
        let checks = checks(&world);
        prop_assert_eq!(&checks, &world.granted, "a check without a grant, or a grant without a check");
        for pair in checks.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= TA, "two checks within the hub's Ta");
        }
        for agent in 0..world.agents.len() {
            let of_agent: Vec<Instant> = checks.iter().filter(|check| check.1 == agent).map(|check| check.0).collect();
            for pair in of_agent.windows(2) {
                prop_assert!(pair[1] - pair[0] >= own, "two checks within the agent's Ta");
            }
        }
    }
}

#[test]
fn an_agent_that_shares_a_pace_fails_and_restarts_like_any_other() {
    let mut world = sessions(1, 2, TA, Duration::from_millis(20));
    let passes = std::mem::replace(&mut world.passes, Box::new(|_| false));
    world.signal(0, 1);
    assert!(world.run_until(Duration::from_secs(60), |world| world.all(State::Failed)));
    assert_eq!(world.agents[0].wants_check(), None);
    world.passes = passes;
    for agent in 0..2 {
        let (now, credentials) = (world.now, world.agents[agent].draw_credentials());
        world.agents[agent].restart(credentials, now);
    }
    world.signal(0, 1);
    assert!(world.run_until(Duration::from_secs(5), |world| world.all(State::Completed)));
}

#[test]
fn an_agent_with_its_own_pace_wants_no_grant() {
    let mut world = World::pair(Config::default(), &["192.0.2.1:1"], &["198.51.100.1:1"]);
    world.signal(0, 1);
    assert_eq!(world.agents[0].wants_check(), None);
    let now = world.now;
    assert!(!world.agents[0].grant_check(now));
    assert!(world.run_until(Duration::from_secs(1), |world| world.all(State::Completed)));
}
