//! What goes wrong around a path that worked: a direction that is lost, a timer that comes late, an answer that never
//! does, sockets that come back.

use super::*;
use crate::stun::{AttributeType, Class, IntegrityKey, MessageWriter, Method, TransactionId};

const SECOND_RIGHT: &str = "198.51.100.2:2000";
const THIRD_LEFT: &str = "192.0.2.3:1000";

const WIFI: InterfaceKind = InterfaceKind::Wifi;
const CELLULAR: InterfaceKind = InterfaceKind::Cellular;
const ETHERNET: InterfaceKind = InterfaceKind::Ethernet;

/// What a datagram says that is neither STUN nor a mark of time.
const WORDS: [u8; 4] = [0x80, 1, 2, 3];

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Two agents with these sockets, not yet told of each other, on links of 50 ms.
fn on_sockets(config: Config, seed: u8, left: &[HostSocket], right: &[HostSocket]) -> Pair {
    let mut pair = Pair::new(Role::Controlling, Role::Controlled);
    let now = pair.now;
    pair.delay = ROUND_TRIP / 2;
    pair.agents = [
        Agent::new(config, Role::Controlling, [seed; 32], now),
        Agent::new(config, Role::Controlled, [seed + 100; 32], now),
    ];
    pair.agents[0].handle_network_change(left, now);
    pair.agents[1].handle_network_change(right, now);
    pair
}

/// The left one has a cellular interface alone; the two may renominate and talk for a while.
fn on_cellular(config: Config, seed: u8, delay: Duration) -> Pair {
    let mut pair = on_sockets(config, seed, &[socket(LEFT, CELLULAR)], &[socket(RIGHT, ETHERNET)]);
    pair.delay = delay;
    pair.agents.iter_mut().for_each(|agent| agent.set_renomination(true));
    pair.signal();
    talk(&mut pair, seconds(10));
    pair
}

/// The first interface of the left one is gone, and nobody says so.
fn first_left_is_dead(from: SocketAddr, to: SocketAddr) -> bool {
    from != address(LEFT) && to != address(LEFT)
}

fn path(pair: &mut Pair, side: usize, local: &str, remote: &str) -> PathId {
    pair.agents[side].path_id(Path { protocol: Protocol::Udp, local: address(local), remote: address(remote) })
}

/// How many requests a side has sent in its life, over all pairs of its generation.
fn requests(pair: &Pair, side: usize) -> u64 {
    pair.agents[side].pairs().map(|report| report.stats.requests_sent).sum()
}

/// Between which addresses a side has sent, one after the other, since it had seen so many events.
fn moves(pair: &Pair, side: usize, since: usize) -> Vec<(SocketAddr, SocketAddr)> {
    let mut moves: Vec<_> = pair.events[side][since..]
        .iter()
        .filter_map(|event| match event {
            Event::SelectedPairChange(report) => Some((report.local.base, report.remote.address)),
            _ => None,
        })
        .collect();
    moves.dedup();
    moves
}

/// A check from who has both passwords.
fn request(to: &Credentials, from: &Credentials, number: u8, attributes: &[(AttributeType, &[u8])]) -> Vec<u8> {
    let mut request = vec![0; 300];
    let id = TransactionId([number; 12]);
    let mut writer = MessageWriter::new(&mut request, Class::Request, Method::BINDING, id);
    writer.username(to.ufrag(), from.ufrag()).attribute(AttributeType::PRIORITY, &1u32.to_be_bytes());
    for &(kind, value) in attributes {
        writer.attribute(kind, value);
    }
    writer.integrity(&IntegrityKey::new(to.pwd().as_bytes()));
    let len = writer.finish_with_fingerprint().unwrap();
    request.truncate(len);
    request
}

/// What the left one sends is lost for a second, while datagrams of the right one arrive all the same. Tells how many
/// requests the left one sent.
fn second_of_one_direction(pair: &mut Pair) -> u64 {
    let before = requests(pair, 0);
    pair.passes = |from, _| from != address(LEFT);
    for _ in 0..50 {
        let path = path(pair, 0, LEFT, RIGHT);
        let now = pair.now;
        pair.agents[0].handle_datagram(path, &WORDS, now);
        pair.run_for(RHYTHM);
    }
    requests(pair, 0) - before
}

#[test]
fn requests_that_are_lost_stay_few_while_datagrams_arrive() {
    for seed in 0..8 {
        let mut pair = on_sockets(Config::default(), seed, &[socket(LEFT, WIFI)], &[socket(RIGHT, ETHERNET)]);
        pair.signal();
        talk(&mut pair, seconds(5));
        let sent: Vec<u64> = (0..40).map(|_| second_of_one_direction(&mut pair)).collect();
        assert!(sent.windows(5).all(|five| five.iter().sum::<u64>() <= 25), "seed {seed}: {sent:?}");
        assert_eq!((pair.agents[0].state(), pair.agents[0].failure()), (State::Failed, Some(Failure::ConsentExpired)));
    }
}

#[test]
fn a_spare_is_taken_well_before_consent_expires_while_only_one_direction_works() {
    let mut pair = two_ways();
    talk(&mut pair, seconds(60));
    let (cut, before) = (pair.now, pair.events[0].len());
    while pair.selected(0).0 == address(LEFT) {
        let sent = second_of_one_direction(&mut pair);
        assert!(sent <= 6, "{sent} {:?} after the cut", pair.now - cut);
        assert!(pair.now - cut <= seconds(16));
    }
    assert_eq!(moves(&pair, 0, before), [(address(SECOND_LEFT), address(RIGHT))]);
}

#[test]
fn a_path_that_is_left_for_silence_is_left_for_one_that_was_heard() {
    let left = [socket(LEFT, WIFI), socket(SECOND_LEFT, CELLULAR)];
    let right = [socket(RIGHT, ETHERNET), socket(SECOND_RIGHT, ETHERNET)];
    for backups in [1, 2] {
        for life in [5, 90] {
            let mut pair = on_sockets(Config { backups, ..Config::default() }, 1, &left, &right);
            pair.signal();
            talk(&mut pair, seconds(life));
            let before = [0, 1].map(|side| causes(&pair, side).len());
            assert_eq!(pair.selected(0).0, address(LEFT));
            let cut = pair.now;
            pair.passes = first_left_is_dead;
            talk(&mut pair, seconds(5));
            for side in [0, 1] {
                let what = format!("backups {backups}, after {life} s, side {side}");
                let gap = longest_gap(&pair, side, cut);
                assert!(gap < ROUND_TRIP * 2, "{what} heard nothing for {gap:?}");
                let causes = &causes(&pair, side)[before[side]..];
                let silence = causes.iter().position(|&cause| cause == SelectionCause::Silence);
                let after = &causes[silence.unwrap_or(0)..];
                assert!(!after.contains(&SelectionCause::Better), "{what}: {causes:?}");
            }
            assert_eq!(pair.selected(0).0, address(SECOND_LEFT));
        }
    }
}

#[test]
fn nobody_moves_back_from_a_cheaper_interface_however_long_the_way() {
    for delay in [50, 100, 150, 200, 250, 300, 400].map(Duration::from_millis) {
        for seed in 0..4 {
            let mut pair = on_cellular(Config::default(), seed, delay);
            let now = pair.now;
            let before = [0, 1].map(|side| pair.events[side].len());
            pair.agents[0].handle_network_change(&[socket(LEFT, CELLULAR), socket(SECOND_LEFT, WIFI)], now);
            talk(&mut pair, seconds(20));
            let (better, right) = (address(SECOND_LEFT), address(RIGHT));
            assert_eq!(moves(&pair, 0, before[0]), [(better, right)], "delay {delay:?}, seed {seed}");
            assert_eq!(moves(&pair, 1, before[1]), [(right, better)], "delay {delay:?}, seed {seed}");
        }
    }
}

#[test]
fn one_lost_answer_to_a_nomination_does_not_leave_it_half_done() {
    let mut pair = on_cellular(Config::default(), 1, ROUND_TRIP / 2);
    let now = pair.now;
    let mut sockets = vec![socket(LEFT, CELLULAR), socket(SECOND_LEFT, WIFI)];
    pair.agents[0].handle_network_change(&sockets, now);
    let mut lost = false;
    while pair.now < now + seconds(20) {
        for side in [0, 1] {
            pair.say(side, &WORDS);
        }
        for _ in 0..4 {
            pair.run_for(RHYTHM / 4);
            let followed = pair.selected(1).1 == address(SECOND_LEFT);
            let is_answer = |bytes: &[u8]| bytes[..2] == [1, 1];
            let answer = pair.flying.iter().position(|f| f.2 == address(SECOND_LEFT) && is_answer(&f.3));
            if let Some(answer) = answer.filter(|_| followed && !lost) {
                pair.flying.remove(answer);
                lost = true;
            }
        }
    }
    assert!(lost);
    for cheaper in [SECOND_LEFT, THIRD_LEFT] {
        for side in [0, 1] {
            assert!(pair.agents[side].selected_pair().unwrap().nominated, "side {side} on {cheaper}");
        }
        assert_eq!((pair.selected(0).0, pair.selected(1).1), (address(cheaper), address(cheaper)));
        assert!(pair.both(State::Completed));
        // And it stands in the way of no other.
        sockets.push(socket(THIRD_LEFT, ETHERNET));
        sockets.dedup();
        let now = pair.now;
        pair.agents[0].handle_network_change(&sockets, now);
        talk(&mut pair, seconds(30));
    }
}

#[test]
fn the_highest_nomination_and_a_change_of_role_do_no_harm() {
    let cases = [false, true].into_iter().flat_map(|agreed| [(agreed, Role::Controlled), (agreed, Role::Controlling)]);
    for (agreed, right) in cases {
        let mut pair = Pair::with_hosts();
        pair.agents.iter_mut().for_each(|agent| agent.set_renomination(agreed));
        pair.agents[0].set_role(Role::Controlled);
        pair.agents[1].set_role(right);
        let [ours, theirs] = [0, 1].map(|side| pair.agents[side].local_credentials().clone());
        let now = pair.now;
        pair.agents[0].set_remote_credentials(theirs.clone(), now);
        let path = path(&mut pair, 0, LEFT, RIGHT);
        let (most, least) = (u64::MAX.to_be_bytes(), 0u64.to_be_bytes());
        let nominates = request(
            &ours,
            &theirs,
            1,
            &[
                (AttributeType::ICE_CONTROLLING, &most),
                (AttributeType::USE_CANDIDATE, &[]),
                (AttributeType::NOMINATION, &u32::MAX.to_be_bytes()),
            ],
        );
        pair.agents[0].handle_datagram(path, &nominates, now);
        assert_eq!(pair.agents[0].role(), Role::Controlled);
        let gives_way = request(&ours, &theirs, 2, &[(AttributeType::ICE_CONTROLLED, &least)]);
        pair.agents[0].handle_datagram(path, &gives_way, now);
        assert_eq!(pair.agents[0].role(), Role::Controlling);
        pair.signal();
        let deadline = pair.now + seconds(5);
        assert!(pair.run_until(deadline, |pair| pair.both(State::Completed)), "agreed {agreed}, {right:?}");
    }
}

#[test]
fn nothing_that_comes_after_a_missed_timer_lets_us_send() {
    for first in 0..3 {
        let mut pair = Pair::with_hosts();
        pair.signal();
        pair.run_for(seconds(3));
        // Until an answer is on its way to the left one.
        let is_answer = |pair: &Pair| pair.flying.iter().position(|f| f.2 == address(LEFT) && f.3[0] == 1);
        assert!(pair.run_until(pair.now + seconds(10), |pair| is_answer(pair).is_some()));
        let answer = is_answer(&pair).unwrap();
        let answer = pair.flying.remove(answer).3;
        let path = path(&mut pair, 0, LEFT, RIGHT);
        let late = pair.now + seconds(3600);
        let left = &mut pair.agents[0];
        if let Some(bytes) = [None, Some(&WORDS[..]), Some(&answer[..])][first] {
            left.handle_datagram(path, bytes, late);
        }
        assert_eq!(left.admit(10, late), None);
        for bytes in [&WORDS[..], &answer] {
            left.handle_datagram(path, bytes, late);
            assert_eq!(left.admit(10, late), None);
            assert!(left.selected_pair().is_none());
            assert!(matches!(left.state(), State::Failed | State::Disconnected), "{}", left.state());
        }
    }
}

#[test]
fn a_lite_agent_forgets_a_pair_that_nobody_checks() {
    let now = Instant::from_millis(1);
    let mut lite = Agent::new(Config { lite: true, ..Config::default() }, Role::Controlled, [2; 32], now);
    lite.add_local_candidate(host(RIGHT, 1), now).unwrap();
    let (ours, theirs) = (lite.local_credentials().clone(), lite.draw_credentials());
    lite.set_remote_credentials(theirs.clone(), now);
    let [first, second] = [LEFT, SECOND_LEFT]
        .map(|remote| lite.path_id(Path { protocol: Protocol::Udp, local: address(RIGHT), remote: address(remote) }));
    let role = (AttributeType::ICE_CONTROLLING, &5u64.to_be_bytes()[..]);
    let nominates = request(&ours, &theirs, 1, &[role, (AttributeType::USE_CANDIDATE, &[])]);
    lite.handle_datagram(first, &nominates, now);
    assert_eq!(lite.admit(1, now), Some(first));
    let last = now + seconds(600);
    for after in 1..=600 {
        let now = now + seconds(after);
        lite.handle_timeout(now);
        let keeps = request(&ours, &theirs, 2, &[role]);
        lite.handle_datagram(second, if after == 1 { &nominates } else { &keeps }, now);
    }
    assert_eq!(lite.admit(1, last), Some(second));
    while lite.poll_event().is_some() {}
    for after in 1..=120 {
        let now = last + seconds(after);
        lite.handle_timeout(now);
        let expected = Some(second).filter(|_| after < 30);
        assert_eq!(lite.admit(1, now), expected, "{after} s after its last check");
        while let Some(event) = lite.poll_event() {
            assert!(!matches!(event, Event::SelectedPairChange(_)), "{after} s after its last check: {event:?}");
        }
    }
}

#[test]
fn a_lite_agent_that_nobody_checks_any_more_fails() {
    for lefts in [&[LEFT][..], &[LEFT, SECOND_LEFT]] {
        for ever_checked in [false, true] {
            let mut pair = Pair::new(Role::Controlling, Role::Controlled);
            let now = pair.now;
            pair.agents[1] = Agent::new(Config { lite: true, ..Config::default() }, Role::Controlled, [2; 32], now);
            pair.agents[0].set_remote_lite(true, now);
            for (preference, left) in (1..).zip(lefts) {
                pair.agents[0].add_local_candidate(host(left, preference), now).unwrap();
            }
            pair.agents[1].add_local_candidate(host(RIGHT, 1), now).unwrap();
            pair.signal();
            if ever_checked {
                assert!(pair.run_until(now + seconds(1), |pair| pair.both(State::Completed)));
                pair.run_for(seconds(60));
            }
            pair.passes = |_, _| false;
            let what = format!("{} pairs, ever checked: {ever_checked}", lefts.len());
            assert!(pair.run_until(pair.now + seconds(120), |pair| pair.both(State::Failed)), "{what}");
            assert!(pair.agents[1].failure().is_some(), "{what}");
            assert_eq!(pair.agents[1].poll_timeout(), None, "{what}");
        }
    }
}

#[test]
fn two_lite_agents_use_no_socket_that_is_gone() {
    let config = Config { lite: true, ..Config::default() };
    let left = [socket(LEFT, WIFI), socket(SECOND_LEFT, CELLULAR)];
    let mut pair = on_sockets(config, 1, &left, &[socket(RIGHT, WIFI)]);
    let now = pair.now;
    pair.agents.iter_mut().for_each(|agent| agent.set_remote_lite(true, now));
    pair.signal();
    pair.run_for(seconds(1));
    assert_eq!(pair.selected(0).0, address(LEFT));
    let now = pair.now;
    pair.agents[0].handle_network_change(&left[1..], now);
    assert_eq!(pair.selected(0).0, address(SECOND_LEFT));
    pair.run_for(seconds(100));
    assert_eq!(pair.selected(0).0, address(SECOND_LEFT));
}

#[test]
fn a_network_that_comes_back_after_the_failure_serves_the_restart() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(seconds(5));
    let now = pair.now;
    pair.agents[0].handle_network_change(&[], now);
    assert!(pair.run_until(now + seconds(100), |pair| pair.both(State::Failed)));
    assert_eq!(pair.agents[0].failure(), Some(Failure::NoLocalCandidates));
    let now = pair.now;
    pair.agents[0].handle_network_change(&[socket(SECOND_LEFT, WIFI)], now);
    pair.agents.iter_mut().for_each(|agent| restart(agent, now));
    pair.signal();
    assert!(pair.run_until(now + seconds(2), |pair| pair.both(State::Completed)));
    assert_eq!(pair.selected(0), (address(SECOND_LEFT), address(RIGHT)));
}

#[test]
fn a_cheaper_interface_that_comes_up_later_is_tried_whatever_is_held_ready() {
    for backups in [0, 1] {
        for spare in [false, true] {
            let mut sockets = vec![socket(LEFT, CELLULAR)];
            if spare {
                sockets.push(socket(THIRD_LEFT, CELLULAR));
            }
            let config = Config { backups, ..Config::default() };
            let mut pair = on_sockets(config, 1, &sockets, &[socket(RIGHT, ETHERNET)]);
            pair.agents.iter_mut().for_each(|agent| agent.set_renomination(true));
            pair.signal();
            talk(&mut pair, seconds(15));
            let now = pair.now;
            sockets.push(socket(SECOND_LEFT, WIFI));
            pair.agents[0].handle_network_change(&sockets, now);
            talk(&mut pair, seconds(5));
            let (ours, theirs) = (pair.selected(0).0, pair.selected(1).1);
            assert_eq!(
                (ours, theirs),
                (address(SECOND_LEFT), address(SECOND_LEFT)),
                "backups {backups}, spare {spare}"
            );
        }
    }
}

#[test]
fn a_socket_that_comes_back_at_its_address_is_a_new_one() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(seconds(5));
    for turn in 0..3 {
        let now = pair.now;
        pair.agents[0].handle_network_change(&[], now);
        assert_eq!(pair.agents[0].admit(1, now), None, "turn {turn}");
        assert!(pair.agents[0].selected_pair().is_none(), "turn {turn}");
        pair.run_for(seconds(3));
        let now = pair.now;
        assert_eq!(pair.agents[0].admit(1, now), None, "turn {turn}");
        pair.agents[0].handle_network_change(&[socket(LEFT, WIFI)], now);
        assert!(pair.run_until(now + seconds(5), |pair| pair.both(State::Completed)), "turn {turn}");
        let report = pair.agents[0].selected_pair().unwrap();
        assert_eq!(report.local, pair.agents[0].local_candidates()[0], "turn {turn}");
        assert_eq!(report.fate, None, "turn {turn}");
    }
}

#[test]
fn a_choice_that_was_bettered_during_set_up_makes_nobody_patient() {
    for bettered in [false, true] {
        let left = [socket(LEFT, WIFI), socket(SECOND_LEFT, CELLULAR)];
        let mut pair = on_sockets(Config::default(), 1, &left, &[socket(RIGHT, ETHERNET)]);
        if bettered {
            pair.passes = first_left_is_dead;
        }
        pair.signal();
        pair.run_for(Duration::from_millis(300));
        pair.passes = |_, _| true;
        talk(&mut pair, seconds(4));
        assert_eq!(causes(&pair, 0).contains(&SelectionCause::Better), bettered);
        let cut = pair.now;
        pair.passes = first_left_is_dead;
        talk(&mut pair, seconds(5));
        for side in [0, 1] {
            let gap = longest_gap(&pair, side, cut);
            assert!(gap < ROUND_TRIP * 2, "bettered {bettered}: side {side} heard nothing for {gap:?}");
        }
    }
}

#[test]
fn a_password_from_before_a_restart_is_soon_worth_nothing() {
    let mut pair = Pair::with_hosts();
    pair.signal();
    pair.run_for(seconds(3));
    let credentials = |pair: &Pair| [0, 1].map(|side| pair.agents[side].local_credentials().clone());
    let old = credentials(&pair);
    let now = pair.now;
    pair.agents.iter_mut().for_each(|agent| restart(agent, now));
    pair.signal();
    pair.run_for(seconds(60));
    assert!(pair.both(State::Completed));
    let new = credentials(&pair);
    let (path, now) = (path(&mut pair, 0, LEFT, RIGHT), pair.now);
    for (credentials, is_answered) in [(old, false), (new, true)] {
        let role = (AttributeType::ICE_CONTROLLED, &1u64.to_be_bytes()[..]);
        let check = request(&credentials[0], &credentials[1], 7, &[role]);
        pair.agents[0].handle_datagram(path, &check, now);
        let answer = pair.agents[0].poll_transmit(&mut [0; Agent::MIN_BUFFER]);
        assert_eq!(answer.is_some(), is_answered);
    }
}

#[test]
fn a_restart_gives_consent_anew() {
    for revoked in [0, 1] {
        let mut pair = Pair::with_hosts();
        pair.signal();
        pair.run_for(seconds(1));
        pair.agents[revoked].revoke_consent();
        pair.run_for(seconds(60));
        assert_eq!(pair.agents[1 - revoked].failure(), Some(Failure::ConsentRevoked));
        let now = pair.now;
        pair.agents.iter_mut().for_each(|agent| restart(agent, now));
        pair.signal();
        assert!(pair.run_until(now + seconds(2), |pair| pair.both(State::Completed)), "revoked by {revoked}");
    }
}

#[test]
fn who_has_no_socket_any_more_fails_for_want_of_candidates() {
    let mut agent = Agent::new(Config::default(), Role::Controlling, [1; 32], Instant::ZERO);
    agent.handle_network_change(&[socket(LEFT, WIFI)], Instant::ZERO);
    agent.handle_network_change(&[], Instant::ZERO);
    agent.end_of_local_candidates(Instant::ZERO);
    let theirs = agent.draw_credentials();
    agent.set_remote_credentials(theirs, Instant::ZERO);
    // Whether more of theirs come is never said.
    agent.add_remote_candidate(host(RIGHT, 1).candidate, Instant::ZERO).unwrap();
    while let Some(at) = agent.poll_timeout() {
        assert!(at <= Instant::ZERO + seconds(60));
        agent.handle_timeout(at);
    }
    assert_eq!((agent.state(), agent.failure()), (State::Failed, Some(Failure::NoLocalCandidates)));
}

#[test]
fn a_false_alarm_ends_the_search_that_it_began() {
    let mut pair = Pair::new(Role::Controlling, Role::Controlled);
    let now = pair.now;
    for (side, network) in ["192.0.2", "198.51.100"].into_iter().enumerate() {
        for n in 1..=10 {
            let candidate = host(&format!("{network}.{n}:1000"), 100 - n);
            pair.agents[side].add_local_candidate(candidate, now).unwrap();
        }
    }
    pair.signal();
    pair.run_for(seconds(1));
    talk(&mut pair, seconds(3));
    let used = pair.selected(0);
    pair.passes = |_, _| false;
    pair.run_for(Duration::from_millis(1800));
    pair.passes = |_, _| true;
    let before = [0, 1].map(|side| requests(&pair, side));
    talk(&mut pair, seconds(60));
    assert_eq!(pair.selected(0), used);
    for side in [0, 1] {
        let sent = requests(&pair, side) - before[side];
        assert!(sent < 100, "side {side} sent {sent} requests in the minute after");
    }
}
