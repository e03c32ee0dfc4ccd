//! The pacer alone, with members that are nothing but their wants.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{MemberId, Pacer};
use crate::Instant;

const TA: Duration = Duration::from_millis(5);

/// An agent that has so many checks to send, each its own Ta after the last.
struct Member {
    own: Duration,
    from: Instant,
    checks: u32,
}

impl Member {
    fn demand(&self) -> Option<Instant> {
        (self.checks > 0).then_some(self.from)
    }
}

/// Gives out all grants until nobody wants one, and gives who got them and how long each had waited.
fn run(pacer: &mut Pacer, members: &mut BTreeMap<MemberId, Member>, mut now: Instant) -> Vec<(MemberId, Duration)> {
    let mut waits = Vec::new();
    let mut last = None;
    loop {
        while let Some(id) = pacer.poll_grant() {
            assert!(last.is_none_or(|last| now - last >= TA), "two grants within Ta");
            last = Some(now);
            let member = members.get_mut(&id).expect("one that left gets none");
            assert!(now >= member.from, "a grant within the member's own Ta");
            waits.push((id, now - member.from));
            member.checks -= 1;
            member.from = now + member.own;
            pacer.set_demand(id, member.demand(), now);
        }
        let Some(next) = pacer.poll_timeout() else { break };
        assert!(next > now, "a timer that does not move");
        now = next;
        pacer.handle_timeout(now);
    }
    assert!(members.values().all(|member| member.checks == 0), "somebody starved");
    waits
}

fn deterministic(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(0x4_8ab), failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(deterministic(256))]

    #[test]
    fn grants_keep_both_paces_and_nobody_starves(
        shapes in prop::collection::vec((0_u64..200, 1_u32..30, 0_u64..1_000), 1..40),
    ) {
        let start = Instant::from_millis(1_000);
        let mut pacer = Pacer::new(TA, start);
        let mut members = BTreeMap::new();
        for (own, checks, from) in shapes {
            let member =
                Member { own: Duration::from_millis(own), from: start + Duration::from_millis(from), checks };
            let id = pacer.join();
            pacer.set_demand(id, member.demand(), start);
            members.insert(id, member);
        }
        let (all, checks) = (members.len() as u32, members.values().map(|member| member.checks).sum::<u32>());
        let waits = run(&mut pacer, &mut members, start);
        prop_assert_eq!(waits.len(), checks as usize);
        // Before it may go one check of each other member, and the rest of the Ta that was running.
        for (_, waited) in waits {
            prop_assert!(waited <= TA * all, "{waited:?} among {all}");
        }
    }
}

#[test]
fn one_that_joins_ten_thousand_busy_ones_waits_for_one_round_at_most() {
    let start = Instant::from_millis(1);
    let mut pacer = Pacer::new(TA, start);
    let mut members = BTreeMap::new();
    let mut join = |checks| {
        let id = pacer.join();
        let member = Member { own: Duration::ZERO, from: start, checks };
        pacer.set_demand(id, member.demand(), start);
        members.insert(id, member);
        id
    };
    let busy = 10_000;
    for _ in 0..busy {
        join(10);
    }
    let late = join(1);
    // A scan of all members for each of 100,000 grants would not end in the time that a test may take.
    let waits = run(&mut pacer, &mut members, start);
    assert_eq!(waits.iter().position(|&(member, _)| member == late), Some(busy));
}

#[test]
fn a_grant_that_is_not_used_goes_to_the_next_at_once() {
    let now = Instant::from_millis(1);
    let mut pacer = Pacer::new(TA, now);
    let (first, second) = (pacer.join(), pacer.join());
    pacer.set_demand(first, Some(now), now);
    pacer.set_demand(second, Some(now), now);
    assert_eq!(pacer.poll_grant(), Some(first));
    assert_eq!(pacer.poll_grant(), None);
    pacer.return_grant(second);
    assert_eq!(pacer.poll_grant(), None, "it was not the second's to return");
    pacer.return_grant(first);
    assert_eq!(pacer.poll_grant(), Some(second));
    assert_eq!(pacer.poll_grant(), None);
}

#[test]
fn one_that_leaves_or_wants_no_more_gets_no_grant() {
    let now = Instant::from_millis(1);
    let mut pacer = Pacer::new(TA, now);
    let (leaves, rests, changes) = (pacer.join(), pacer.join(), pacer.join());
    pacer.set_demand(leaves, Some(now), now);
    pacer.set_demand(rests, Some(now + TA), now);
    pacer.set_demand(changes, Some(now), now);
    pacer.leave(leaves);
    pacer.leave(rests);
    pacer.set_demand(changes, None, now);
    pacer.set_demand(leaves, Some(now), now);
    assert_eq!((pacer.poll_grant(), pacer.poll_timeout(), pacer.len()), (None, None, 1));
}

#[test]
fn a_step_back_of_the_clock_delays_no_grant() {
    let now = Instant::from_millis(60_000);
    let mut pacer = Pacer::new(TA, now);
    let (a, b) = (pacer.join(), pacer.join());
    pacer.set_demand(a, Some(now), now);
    assert_eq!(pacer.poll_grant(), Some(a));
    let back = Instant::from_millis(1_000);
    pacer.set_demand(b, Some(back), back);
    assert_eq!(pacer.poll_timeout(), Some(back + TA));
    pacer.handle_timeout(back + TA);
    assert_eq!(pacer.poll_grant(), Some(b));
}
