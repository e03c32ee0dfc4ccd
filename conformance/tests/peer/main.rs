//! Two peers on a random network.

mod run;
mod scenario;
mod talk;

use std::time::Duration;

use frazil::ice;
use frazil::peer::ConnectionState::{self, Closed, Connected, Connecting, Disconnected, Failed, New};
use frazil_conformance::allocations::{self, CountingAllocator};
use frazil_conformance::seeds;
use frazil_internet::{Sent, are_mirror_images, is_stun};

use run::Run;
use scenario::{LARGEST_MESSAGE, Scenario};
use talk::State;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Once everything was signalled, this is enough to find a path that is not too bad, and to shake hands over it.
const ENOUGH_TO_CONNECT: Duration = Duration::from_secs(60);

/// Seconds until both have the same path again after one of them has moved.
const ENOUGH_TO_FOLLOW: u32 = 30;

/// This is enough to deliver what was sent, on a network that loses nothing any more.
const ENOUGH_TO_DELIVER: Duration = Duration::from_secs(600);

/// A farewell is repeated within 700 ms, and a datagram is under way for 400 ms at the most.
const ENOUGH_TO_LEAVE: Duration = Duration::from_millis(1_200);

/// No more timeouts than this in one second: those of ICE, and of SCTP for what is under way.
const BUSIEST_SECOND: u32 = 100;

/// What a peer may hold of the heap when it has nothing to deliver, and when it has parted.
const IDLE: i64 = 160 << 10;
const PARTED: i64 = 48 << 10;

/// How many bytes of the heap a peer may hold at any time: what it needs by itself, and twice what its channels
/// may have in their buffers, here for sending and there for putting fragments together.
fn memory(scenario: &Scenario) -> i64 {
    let buffer = scenario.sides.iter().map(|side| side.send_buffer).max().unwrap_or_default() + LARGEST_MESSAGE;
    let buffered = scenario.channels.iter().map(|channel| channel.bytes().min(2 * buffer)).sum::<usize>();
    IDLE + 2 * buffered as i64
}

#[test]
fn two_peers_connect_talk_and_part() {
    assert!(allocations::are_counted());
    seeds::check("peer", "two_peers_connect_talk_and_part", 400, |seed| {
        let scenario = Scenario::random(seed);
        if seeds::is_replay() {
            eprintln!("{scenario:#?}");
        }
        let mut run = Run::new(&scenario);
        run.until(scenario.done() + ENOUGH_TO_CONNECT);
        run.calm_down();
        let said = run.until_done(ENOUGH_TO_DELIVER, Run::is_all_said);
        // Enough for a connection that is lost, or was never found, to be called so.
        run.until(run.now() + scenario.topology.longest_search(scenario.disturbances.steps_back()));
        if seeds::is_replay() {
            [0, 1].iter().for_each(|&side| eprintln!("{:#?}\n{:?}", run.reported(side), run.counters(side)));
        }
        if scenario.must_stay_connected() {
            check_connected(&scenario, &mut run);
            assert!(said, "not everything was said\n{}", run.progress());
            check_parting(&scenario, &mut run);
        } else if scenario.topology.is_hopeless() {
            for side in [0, 1] {
                let connected = run.reported(side).connection.iter().any(|(_, state)| *state == Connected);
                assert!(!connected, "side {side} takes what is no path for one");
                assert_eq!(run.peer(side).connection_state(), Failed, "side {side}");
            }
        }
        for (plan, [a, b]) in scenario.channels.iter().zip(&run.ends) {
            talk::check_honest(&plan.config, a, b);
            talk::check_honest(&plan.config, b, a);
        }
        for side in [0, 1] {
            check_order(&run.reported(side).connection.iter().map(|(_, state)| *state).collect::<Vec<_>>());
            let counters = run.counters(side);
            assert_eq!(counters.spins, 0, "side {side} wanted to be woken for nothing");
            assert!(counters.busiest_second <= BUSIEST_SECOND, "side {side}: {counters:?}");
            let (_, most) = run.endpoint(side).held();
            assert!(most <= memory(&scenario), "side {side} held {most} bytes, and {} is enough", memory(&scenario));
        }
    });
}

fn check_connected(scenario: &Scenario, run: &mut Run<'_>) {
    for side in [0, 1] {
        let connection = &run.reported(side).connection;
        let connected = connection.iter().find(|(_, state)| *state == Connected);
        let (at, _) =
            connected.unwrap_or_else(|| panic!("side {side} has not connected: {:?}", run.peer(side).failure()));
        let within = scenario.done() + ENOUGH_TO_CONNECT;
        assert!(*at - frazil::Instant::ZERO <= within, "side {side} took {at:?}");
        let peer = run.peer(side);
        assert_eq!(peer.connection_state(), Connected, "side {side} in the end: {:?}", peer.failure());
        let later = connection.iter().map(|(_, state)| *state).skip_while(|state| *state != Connected);
        let interrupted = later.clone().any(|state| ![Connected, Disconnected].contains(&state));
        assert!(!interrupted, "side {side} was not connected all the time: {:?}", later.collect::<Vec<_>>());
        assert!(
            peer.pairs().any(|pair| pair.selected.is_some()),
            "side {side} is still on a path from before a restart"
        );
    }
    // One of them may just have moved, as requests in a row were lost; the other hears of it within a consent check.
    let selected = |run: &Run<'_>| [0, 1].map(|side| run.peer(side).selected_pair().expect("it is connected"));
    for _ in 0..ENOUGH_TO_FOLLOW {
        let [a, b] = selected(run);
        if are_mirror_images(&a, &b) && a.nominated && b.nominated {
            break;
        }
        run.until(run.now() + Duration::from_secs(1));
    }
    let [a, b] = selected(run);
    assert!(are_mirror_images(&a, &b), "{a:?}\n{b:?}");
    assert!(a.nominated && b.nominated);
    assert_eq!(run.peer(0).ice_role(), run.peer(1).ice_role().opposite());
    for (nth, (plan, ends)) in scenario.channels.iter().zip(&run.ends).enumerate() {
        if plan.closed.is_none() {
            assert!(ends.iter().all(|end| end.state == State::Open), "channel {nth} is not open on both sides");
        }
    }
}

fn check_parting(scenario: &Scenario, run: &mut Run<'_>) {
    let open: Vec<usize> = (0..run.ends.len()).filter(|&nth| run.ends[nth][0].state == State::Open).collect();
    let (closed, left_open) = open.split_at(open.len() / 2);
    for &nth in closed {
        run.close_channel(nth % 2, nth);
    }
    let closed = run.until_done(Duration::from_secs(20), |run| {
        closed.iter().all(|&nth| run.ends[nth].iter().all(|end| end.state == State::Closed))
    });
    assert!(closed, "a channel that was closed is not closed on both sides");
    let (leaves, stays) = (scenario.leaves, 1 - scenario.leaves);
    run.leave(leaves);
    run.until(run.now() + ENOUGH_TO_LEAVE);
    for side in [leaves, stays] {
        let peer = run.peer(side);
        assert_eq!((peer.connection_state(), peer.ice_state()), (Closed, ice::State::Closed), "side {side}");
        assert_eq!(peer.signaling_state(), frazil::jsep::SignalingState::Closed, "side {side}");
    }
    for &nth in left_open {
        assert_eq!(run.ends[nth][stays].state, State::Closed, "channel {nth} outlives the connection");
    }
    run.until(run.now() + Duration::from_secs(2));
    for side in [0, 1] {
        assert_eq!(run.peer(side).poll_timeout(), None, "side {side} still wants to be woken");
        let (held, _) = run.endpoint(side).held();
        assert!(held <= PARTED, "side {side} holds {held} bytes and has nothing to do any more");
    }
}

/// W3C's order of `connectionState`.
fn check_order(states: &[ConnectionState]) {
    let mut before = New;
    for &state in states {
        let may_follow: &[ConnectionState] = match before {
            New => &[Connecting, Failed, Closed],
            Connecting => &[Connected, Disconnected, Failed, Closed],
            // Once more connecting: an ICE restart was under way when the old path was lost.
            Connected => &[Connecting, Disconnected, Failed, Closed],
            Disconnected => &[Connecting, Connected, Failed, Closed],
            // After an ICE restart.
            Failed => &[New, Connecting, Connected, Closed],
            Closed => &[],
        };
        assert!(may_follow.contains(&state), "{state} after {before}: {states:?}");
        before = state;
    }
}

#[test]
fn slow_signalling_is_no_failure() {
    seeds::check("peer", "slow_signalling_is_no_failure", 40, |seed| {
        let scenario = Scenario::slow(seed);
        if !scenario.must_stay_connected() {
            return;
        }
        if seeds::is_replay() {
            eprintln!("{scenario:#?}");
        }
        let mut run = Run::new(&scenario);
        run.until(scenario.done() + ENOUGH_TO_CONNECT);
        run.calm_down();
        let said = run.until_done(ENOUGH_TO_DELIVER, Run::is_all_said);
        check_connected(&scenario, &mut run);
        assert!(said, "not everything was said\n{}", run.progress());
    });
}

/// How many datagrams DTLS makes, and when, is chance that no seed rules. So ICE must take no hints from them here;
/// that it does the same with the same traffic is shown for agents alone.
#[test]
fn the_same_seed_gives_the_same_ice() {
    seeds::check("peer", "the_same_seed_gives_the_same_ice", 20, |seed| {
        let mut scenario = Scenario::undisturbed(seed);
        scenario.watches_traffic = false;
        let stun = || {
            let mut run = Run::new(&scenario);
            run.start_record();
            run.until(scenario.done() + Duration::from_secs(20));
            let stun = run.record().iter().filter(|sent| is_stun(&sent.datagram)).cloned();
            (stun.collect::<Vec<Sent>>(), [0, 1].map(|side| run.reported(side).ice.clone()))
        };
        let (first, again) = (stun(), stun());
        assert_eq!(first.1, again.1);
        if let Some(at) = first.0.iter().zip(&again.0).position(|(first, again)| first != again) {
            panic!("datagram {at} of {} differs: {:?}, then {:?}", first.0.len(), first.0[at], again.0[at]);
        }
        assert_eq!(first.0.len(), again.0.len());
    });
}

#[test]
fn scenarios_are_of_all_kinds() {
    type Kind = fn(&Scenario) -> bool;
    const MANY: u64 = 400;
    let share = |kind: Kind| (0..MANY).filter(|&seed| kind(&Scenario::random(seed))).count();
    let kinds: [(&str, Kind); 7] = [
        ("without a path", |scenario| scenario.topology.is_hopeless()),
        ("that must stay connected", Scenario::must_stay_connected),
        ("with disturbances", |scenario| !scenario.disturbances.is_empty()),
        ("with restarts", Scenario::restarts),
        ("with negotiated channels", |scenario| scenario.channels.iter().any(|c| c.config.negotiated.is_some())),
        ("with channels that close early", |scenario| scenario.channels.iter().any(|c| c.closed.is_some())),
        ("in which nothing trickles", |scenario| scenario.sides.iter().all(|side| !side.trickles)),
    ];
    for (name, kind) in kinds {
        assert!(share(kind) >= 20, "only {} of {MANY} scenarios are {name}", share(kind));
    }
}
