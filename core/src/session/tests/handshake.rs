//! From two descriptions to an open channel, whatever comes between.

use core::time::Duration;

use super::super::*;
use super::world::*;
use crate::Instant;

/// How long a session takes over [`Link::GOOD`] when all goes well.
const UNDISTURBED: Duration = Duration::from_millis(200);

/// A world in which A made a channel, and no side has a path.
fn with_channel(seed: u8, link: Link) -> (World, ChannelId) {
    let mut world = World::new(seed, link);
    let channel = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
    (world, channel)
}

/// Waits for the channel, and says something over it in both directions.
#[track_caller]
fn opens_and_works(world: &mut World, ours: ChannelId, within: Duration) {
    world.run_until(within, |world| world.is_open(A, ours) && world.accepted(B).is_some());
    let theirs = world.accepted(B).unwrap();
    world.send(A, ours, "hello");
    world.send(B, theirs, "hello yourself");
    world.run_until(60 * SECOND, |world| {
        world.texts(B, theirs) == ["hello"] && world.texts(A, ours) == ["hello yourself"]
    });
}

#[test]
fn opens_within_five_round_trips() {
    let (mut world, channel) = with_channel(1, Link::GOOD);
    world.connect_paths();
    opens_and_works(&mut world, channel, UNDISTURBED);
}

/// A handshake dies after a minute, path or no path, if it is let run without one.
#[test]
fn a_path_ten_minutes_late_is_in_time() {
    let (mut world, channel) = with_channel(2, Link::GOOD);
    assert_eq!(world.next(), None, "nothing runs before there is a path");
    for _ in 0..600 {
        world.run_for(SECOND);
        world.sides.iter_mut().for_each(|side| side.handle_timeout(world.now));
    }
    assert_eq!(world.sent, [0, 0]);
    world.connect_paths();
    opens_and_works(&mut world, channel, UNDISTURBED);
}

#[test]
fn parameters_ten_minutes_after_the_path_are_in_time() {
    let mut world = World::unstarted(3, Link::GOOD, [Config::default(), Config::default()]);
    let channel = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
    world.connect_paths();
    world.run_for(600 * SECOND);
    world.introduce();
    opens_and_works(&mut world, channel, UNDISTURBED);
}

/// The side that finds the path first begins at once; nothing of that is lost on the other.
#[test]
fn a_path_that_is_found_later_on_one_side_costs_no_retransmission() {
    for late in [A, B] {
        let (mut world, channel) = with_channel(4, Link::GOOD);
        world.sides[1 - late].handle_path(world.now);
        world.pump(1 - late);
        world.run_for(150 * MS);
        world.sides[late].handle_path(world.now);
        world.pump(late);
        opens_and_works(&mut world, channel, UNDISTURBED);
    }
}

/// One of the first datagrams is lost, each in turn and each with its repetition. SCTP alone would take three
/// seconds more for some of them.
#[test]
fn any_lost_flight_is_repeated() {
    for side in [A, B] {
        for lost in 0..6 {
            for times in [1, 2] {
                let (mut world, channel) = with_channel(5, Link::GOOD);
                world.lose = Some(Box::new(move |from, nth| from == side && (lost..lost + times).contains(&nth)));
                world.connect_paths();
                opens_and_works(&mut world, channel, (times as u32 + 1) * SECOND);
            }
        }
    }
}

/// At three lost of ten each way, one handshake of a hundred may still come to nothing, and then says so.
#[test]
fn connects_through_heavy_loss() {
    let mut failures = 0;
    for seed in 0..12 {
        let (mut world, channel) = with_channel(seed, Link { loss: 300, ..Link::BAD });
        world.connect_paths();
        let failed = |event: &Event| matches!(event, Event::Failed(Failure::Handshake { .. }));
        let any_failed = |world: &World| world.events.iter().flatten().any(failed);
        world.run_until(300 * SECOND, |world| world.is_open(A, channel) || any_failed(world));
        if any_failed(&world) {
            failures += 1;
            continue;
        }
        world.link = Link::GOOD;
        opens_and_works(&mut world, channel, 60 * SECOND);
    }
    assert!(failures <= 3, "{failures} of 12");
}

/// Anything that can be sent by someone who sees nothing of the handshake.
fn junk(world: &mut World) -> Vec<u8> {
    let mut bytes = vec![0; 1 + world.rng.below(200) as usize];
    world.rng.fill(&mut bytes);
    match world.rng.below(6) {
        // STUN, by its header at least.
        0 if bytes.len() >= 20 => {
            bytes[..2].copy_from_slice(&[0, 1]);
            let len = (bytes.len() - 20) as u16;
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
        }
        // RTP.
        1 => bytes[0] = 0x80 | (bytes[0] & 0x3F),
        // A DTLS record of any type, encrypted or not, with random content.
        2 | 3 if bytes.len() >= 13 => {
            bytes[0] = 20 + (bytes[0] % 8);
            bytes[1..3].copy_from_slice(&[0xFE, 0xFD]);
            bytes[3] = 0;
            bytes[4] &= 1;
            let len = (bytes.len() - 13) as u16;
            bytes[11..13].copy_from_slice(&len.to_be_bytes());
        }
        // No more than the first byte of one.
        4 => bytes[0] = 20 + bytes[0] % 44,
        _ => {}
    }
    bytes
}

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

#[test]
fn junk_before_the_path_wakes_nothing_and_breaks_nothing() {
    for seed in 0..5 {
        let (mut world, channel) = with_channel(seed, Link::GOOD);
        for _ in 0..500 {
            let junk = junk(&mut world);
            for side in [A, B] {
                world.sides[side].handle_datagram(&junk, world.now);
                world.pump(side);
            }
        }
        assert_eq!((world.next(), world.sent), (None, [0, 0]));
        assert_eq!(world.events, [[], []]);
        world.connect_paths();
        opens_and_works(&mut world, channel, UNDISTURBED);
    }
}

#[test]
fn junk_during_the_handshake_does_not_break_it() {
    for seed in 0..20 {
        let (mut world, channel) = with_channel(seed, Link::GOOD);
        world.connect_paths();
        // Before each step of the handshake.
        world.run_until(2 * UNDISTURBED, |world| {
            for side in [A, B] {
                for _ in 0..20 {
                    let junk = junk(world);
                    world.sides[side].handle_datagram(&junk, world.now);
                    world.pump(side);
                }
            }
            world.is_open(A, channel)
        });
        opens_and_works(&mut world, channel, SECOND);
    }
}

#[test]
fn junk_after_the_handshake_wakes_nothing() {
    let (mut world, ours, _) = World::connected(9, Link::GOOD);
    world.run_for(10 * SECOND);
    let before = (world.sent, world.events.clone());
    for _ in 0..2_000 {
        let junk = junk(&mut world);
        for side in [A, B] {
            world.sides[side].handle_datagram(&junk, world.now);
            world.pump(side);
        }
    }
    assert_eq!((world.sent, &world.events), (before.0, &before.1));
    assert!(world.sides.iter().all(|side| side.rejected() > 0));
    opens_and_works(&mut world, ours, SECOND);
}

/// A forged alert is not believed before it could be authentic.
#[test]
fn a_forged_alert_does_not_end_the_handshake() {
    const HANDSHAKE_FAILURE: [u8; 15] = [21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
    let (mut world, channel) = with_channel(10, Link::GOOD);
    world.connect_paths();
    world.run_until(2 * UNDISTURBED, |world| {
        for side in [A, B] {
            world.sides[side].handle_datagram(&HANDSHAKE_FAILURE, world.now);
            world.pump(side);
        }
        world.is_open(A, channel)
    });
    opens_and_works(&mut world, channel, SECOND);
}

/// A machine that sleeps in the middle of a handshake finds it still alive, though `str0m`'s own deadline
/// is long over; what was under way is lost.
#[test]
fn a_machine_may_sleep_during_the_handshake() {
    for steps in 0..12 {
        let (mut world, channel) = with_channel(11, Link::GOOD);
        world.connect_paths();
        for _ in 0..steps {
            world.step();
        }
        world.sleep(60 * SECOND);
        opens_and_works(&mut world, channel, 30 * SECOND);
    }
}

#[test]
fn another_certificate_than_announced_fails_and_is_told_to_the_other_side() {
    for deceived in [A, B] {
        let mut world = World::unstarted(12, Link::GOOD, [Config::default(), Config::default()]);
        let stranger = Session::new(Config::default(), [99; 32]).unwrap();
        for side in [A, B] {
            let mut remote = world.remote(side);
            if side == deceived {
                remote.fingerprints = vec![stranger.fingerprint().clone()];
            }
            world.sides[side].start(remote, world.now).unwrap();
        }
        let channel = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
        world.connect_paths();
        world.run_for(SECOND);
        let presented = Some(world.sides[1 - deceived].fingerprint().clone());
        let failed = Event::Failed(Failure::Fingerprint { presented });
        assert_eq!(world.events[deceived].last(), Some(&failed));
        assert!(!world.events[deceived].contains(&Event::Connected));
        assert_eq!(world.events[1 - deceived].last(), Some(&Event::Closed));
        assert!(world.channel_closed(A, channel) && !world.is_open(A, channel));
        is_inert(&mut world, deceived);
    }
}

/// RFC 8122 section 5: any of the announced certificates will do.
#[test]
fn one_of_several_fingerprints_is_enough() {
    let mut world = World::unstarted(13, Link::GOOD, [Config::default(), Config::default()]);
    let stranger = Session::new(Config::default(), [99; 32]).unwrap();
    for side in [A, B] {
        let mut remote = world.remote(side);
        remote.fingerprints.insert(0, stranger.fingerprint().clone());
        remote.fingerprints.insert(0, format!("sha-512 {}", vec!["00"; 64].join(":")).parse().unwrap());
        world.sides[side].start(remote, world.now).unwrap();
    }
    let channel = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
    world.connect_paths();
    opens_and_works(&mut world, channel, UNDISTURBED);
}

#[test]
fn no_answer_is_a_failure_with_its_reason() {
    let (mut world, channel) = with_channel(14, Link { loss: 1000, ..Link::GOOD });
    world.connect_paths();
    let failed = Event::Failed(Failure::Handshake { cause: None });
    world.run_until(61 * SECOND, |world| world.events[A].contains(&failed));
    assert!(world.channel_closed(A, channel));
    assert!(world.sent[A] >= 4, "it was tried more than once");
    is_inert(&mut world, A);
}

/// A session that is over says nothing, wants nothing and takes nothing.
#[track_caller]
pub(super) fn is_inert(world: &mut World, side: usize) {
    let session = &mut world.sides[side];
    assert_eq!(session.poll_timeout(), None);
    session.handle_path(world.now);
    session.handle_datagram(&[22; 100], world.now);
    session.handle_timeout(world.now + SECOND);
    let channel = ChannelId::from_u32(0);
    assert_eq!(session.send(channel, MessageKind::Text, b"", world.now), Err(SendError::Closed(channel)));
    assert_eq!(session.create_data_channel(ChannelConfig::default(), world.now), Err(ChannelError::SessionOver));
    assert_eq!(session.buffered_amount(channel), 0);
    session.set_buffered_amount_low_threshold(channel, 1);
    session.close_channel(channel, world.now);
    session.close(world.now);
    assert_eq!(session.poll_transmit(&mut [0; 1500]), None);
    assert_eq!((session.poll_event(), session.poll_timeout()), (None, None));
}

/// A description that is handed in again, as renegotiation does, changes nothing; another one is refused.
#[test]
fn parameters_can_be_said_again_but_not_changed() {
    let (mut world, ours, theirs) = World::connected(15, Link::GOOD);
    let known = world.remote(A);
    assert_eq!(world.sides[A].start(known.clone(), world.now), Ok(()));
    let other = Remote { max_message_size: 1, ..known };
    assert_eq!(world.sides[A].start(other, world.now), Err(StartError::Started));
    world.send(A, ours, "still there");
    world.run_for(SECOND);
    assert_eq!(world.texts(B, theirs), ["still there"]);
}

#[test]
fn parameters_that_cannot_work_are_refused_with_their_value() {
    let mut session = Session::new(Config::default(), [1; 32]).unwrap();
    let good = World::new(0, Link::GOOD).remote(A);
    let with = |fingerprints| Remote { fingerprints, ..good.clone() };
    let sha1 = format!("sha-1 {}", vec!["00"; 20].join(":")).parse().unwrap();
    for (remote, error) in [
        (Remote { sctp_port: 5001, ..good.clone() }, StartError::SctpPort(5001)),
        (with(vec![]), StartError::NoUsableFingerprint { hashes: vec![] }),
        (with(vec![sha1]), StartError::NoUsableFingerprint { hashes: vec!["sha-1".into()] }),
    ] {
        assert_eq!(session.start(remote, Instant::ZERO), Err(error));
    }
    assert_eq!(session.start(good, Instant::ZERO), Ok(()));

    let setup = |config| Session::new(config, [1; 32]).err();
    for mtu in [575, 1501] {
        let config = Config { mtu, ..Config::default() };
        assert_eq!(setup(config), Some(SetupError::Mtu { mtu, min: 576, max: 1500 }));
    }
    let certificate = Certificate { private_key: vec![1, 2, 3], ..session.certificate().clone() };
    let config = Config { certificate: Some(certificate), ..Config::default() };
    assert_eq!(setup(config), Some(SetupError::PrivateKey));
}

#[test]
fn a_certificate_can_be_kept() {
    let first = Session::new(Config::default(), [1; 32]).unwrap();
    let kept = Config { certificate: Some(first.certificate().clone()), ..Config::default() };
    let mut world = World::with_configs(16, Link::GOOD, [kept, Config::default()]);
    assert_eq!(world.sides[A].fingerprint(), first.fingerprint());
    assert_ne!(world.sides[B].fingerprint(), first.fingerprint());
    let channel = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
    world.connect_paths();
    opens_and_works(&mut world, channel, UNDISTURBED);
}

/// The thread's own generator is as if no session had run.
#[test]
fn a_whole_session_leaves_the_threads_generator_alone() {
    fastrand::seed(17);
    let before = fastrand::get_seed();
    let (mut world, ours, _) = World::connected(17, Link::BAD);
    opens_and_works(&mut world, ours, 60 * SECOND);
    world.sides[A].close(world.now);
    world.run_for(SECOND);
    assert_eq!(fastrand::get_seed(), before);
}

/// DTLS 1.3 is taken if both sides know it, over a bad network and through junk as well.
#[test]
fn both_versions_of_dtls_connect_with_each_other() {
    for versions in [[false, true], [true, false], [true, true]] {
        let configs = versions.map(|dtls_1_3| Config { dtls_1_3, ..Config::default() });
        let mut world = World::with_configs(18, Link::GOOD, configs.clone());
        let channel = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
        world.connect_paths();
        let saved_round_trips = u32::from(versions == [true, true]);
        opens_and_works(&mut world, channel, UNDISTURBED - saved_round_trips * 40 * MS);

        let mut world = World::with_configs(19, Link::BAD, configs);
        let channel = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
        world.connect_paths();
        world.run_until(60 * SECOND, |world| {
            for side in [A, B] {
                let junk = junk(world);
                world.sides[side].handle_datagram(&junk, world.now);
                world.pump(side);
            }
            world.is_open(A, channel)
        });
        opens_and_works(&mut world, channel, 60 * SECOND);
        world.sides[A].close(world.now);
        world.pump(A);
        world.run_for(SECOND);
        assert_eq!(world.events[B].last(), Some(&Event::Closed));
    }
}
