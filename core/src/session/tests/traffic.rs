//! Messages over a network that does its worst.

use core::time::Duration;

use super::super::*;
use super::world::*;

/// Numbered messages of many sizes, with content that tells whether it is whole.
fn message(world: &mut World, number: u32) -> Vec<u8> {
    let len = match world.rng.below(10) {
        0 => 0,
        1 => 5_000 + world.rng.below(20_000),
        _ => world.rng.below(2_000),
    };
    let mut data = number.to_be_bytes().to_vec();
    data.extend((0..len).map(|i| (i * 7 + number) as u8));
    data
}

#[track_caller]
fn number(data: &[u8]) -> u32 {
    let number = u32::from_be_bytes(data[..4].try_into().unwrap());
    assert!(data[4..].iter().enumerate().all(|(i, byte)| *byte == (i as u32 * 7 + number) as u8));
    number
}

/// Sends so many, as they fit, and gives the world time for all of it.
fn exchange(world: &mut World, channels: [ChannelId; 2], count: u32) {
    let mut next: [Option<(u32, Vec<u8>)>; 2] = [A, B].map(|_| Some((0, message(world, 0))));
    world.run_until(600 * SECOND, |world| {
        for side in [A, B] {
            while let Some((number, data)) = next[side].take() {
                match world.sides[side].send(channels[side], MessageKind::Binary, &data, world.now) {
                    Ok(()) if number + 1 == count => {}
                    Ok(()) => next[side] = Some((number + 1, message(world, number + 1))),
                    Err(SendError::BufferFull { .. }) => {
                        next[side] = Some((number, data));
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            world.pump(side);
        }
        next == [None, None] && [A, B].iter().all(|&side| world.sides[side].buffered_amount(channels[side]) == 0)
    });
    world.run_for(SECOND);
}

fn numbers(world: &World, side: usize, channel: ChannelId) -> Vec<u32> {
    world.messages(side, channel).iter().map(|data| number(data)).collect()
}

#[test]
fn every_reliable_message_arrives_once_and_in_order() {
    for seed in 0..8 {
        for ordered in [true, false] {
            let config = ChannelConfig { ordered, ..ChannelConfig::default() };
            let (mut world, ours, theirs) = World::connected_with(seed, Link::BAD, config);
            exchange(&mut world, [ours, theirs], 100);
            for (side, channel) in [(B, theirs), (A, ours)] {
                let mut numbers = numbers(&world, side, channel);
                if !ordered {
                    assert!(!numbers.is_sorted(), "with this loss some overtake others");
                    numbers.sort_unstable();
                }
                assert_eq!(numbers, (0..100).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn partially_reliable_messages_arrive_once_or_not_at_all() {
    for seed in 0..4 {
        for (ordered, reliability) in [
            (true, Reliability::MaxRetransmits(0)),
            (false, Reliability::MaxRetransmits(0)),
            (true, Reliability::MaxPacketLifeTime(300)),
            (false, Reliability::MaxPacketLifeTime(300)),
        ] {
            let config = ChannelConfig { ordered, reliability, ..ChannelConfig::default() };
            let (mut world, ours, theirs) = World::connected_with(seed, Link::BAD, config);
            for number in 0..100 {
                let data = message(&mut world, number);
                world.sides[A].send(ours, MessageKind::Binary, &data, world.now).unwrap();
                world.pump(A);
                world.run_for(20 * MS);
            }
            world.run_for(60 * SECOND);
            // What comes after is not held up by what is missing.
            world.link = Link::GOOD;
            world.send(A, ours, "none missing");
            world.run_for(10 * SECOND);
            let mut messages = world.messages(B, theirs);
            assert_eq!(messages.pop().as_deref(), Some(&b"none missing"[..]));
            let mut numbers: Vec<u32> = messages.iter().map(|data| number(data)).collect();
            assert!((10..100).contains(&numbers.len()), "{reliability:?}: {}", numbers.len());
            if ordered {
                assert!(numbers.is_sorted());
            }
            numbers.sort_unstable();
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "none twice");
        }
    }
}

/// What outlives its time in an outage is not sent after it.
#[test]
fn messages_do_not_outlive_their_time() {
    let config = ChannelConfig { reliability: Reliability::MaxPacketLifeTime(500), ..ChannelConfig::default() };
    let (mut world, ours, theirs) = World::connected_with(1, Link::GOOD, config);
    world.send(A, ours, "before");
    world.run_for(SECOND);
    world.link.loss = 1000;
    world.send(A, ours, "during");
    world.run_for(3 * SECOND);
    world.link.loss = 0;
    world.send(A, ours, "after");
    world.run_for(20 * SECOND);
    assert_eq!(world.texts(B, theirs), ["before", "after"]);
}

#[test]
fn sixteen_mebibytes_go_through_under_back_pressure() {
    const CHUNK: usize = 64 * 1024;
    const COUNT: usize = 256;
    let (mut world, ours, theirs) = World::connected(2, Link::GOOD);
    world.sides[A].set_buffered_amount_low_threshold(ours, 256 * 1024);
    let chunk = |number: usize| {
        let mut chunk = vec![number as u8; CHUNK];
        chunk[..8].copy_from_slice(&number.to_be_bytes());
        chunk
    };
    let (mut sent, mut received, mut most) = (0, 0, 0);
    world.run_until(600 * SECOND, |world| {
        for event in world.events[B].drain(..) {
            if let Event::Message { channel, data, .. } = event {
                assert_eq!((channel, data == chunk(received)), (theirs, true));
                received += 1;
            }
        }
        let room = sent == 0 || world.events[A].contains(&Event::BufferedAmountLow(ours));
        world.events[A].clear();
        while room && sent < COUNT {
            match world.sides[A].send(ours, MessageKind::Binary, &chunk(sent), world.now) {
                Ok(()) => sent += 1,
                Err(error) => {
                    assert!(matches!(error, SendError::BufferFull { max, .. } if max == 1024 * 1024));
                    break;
                }
            }
        }
        world.pump(A);
        most = most.max(world.sides[A].buffered_amount(ours));
        received == COUNT
    });
    assert!((900_000..=1024 * 1024).contains(&most), "{most}");
}

#[test]
fn datagrams_keep_to_the_mtu() {
    for mtu in [576, 1200, 1500] {
        let config = Config { mtu, ..Config::default() };
        let mut world = World::with_configs(3, Link::GOOD, [config.clone(), config]);
        let ours = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
        world.connect_paths();
        world.run_until(10 * SECOND, |world| world.is_open(A, ours));
        let theirs = world.accepted(B).unwrap();
        exchange(&mut world, [ours, theirs], 60);
        assert!((mtu - 100..=mtu).contains(&world.largest), "{} of {mtu}", world.largest);
    }
}

/// Many messages that are sent at once share datagrams.
#[test]
fn small_messages_are_bundled() {
    let (mut world, ours, theirs) = World::connected(4, Link::GOOD);
    world.run_for(SECOND);
    let before = world.sent[A];
    for _ in 0..100 {
        world.sides[A].send(ours, MessageKind::Text, b"0123456789", world.now).unwrap();
    }
    world.pump(A);
    assert!(world.sent[A] - before <= 4, "{}", world.sent[A] - before);
    world.run_for(SECOND);
    assert_eq!(world.texts(B, theirs).len(), 100);
}

/// The agent changes the path under a transfer: an outage, a new delay, and stragglers of the old path.
#[test]
fn a_change_of_path_goes_unnoticed() {
    for seed in 0..4 {
        let (mut world, ours, theirs) = World::connected(seed, Link::GOOD);
        let texts: Vec<String> = (0..300).map(|i| format!("{i} {}", "x".repeat(1_500))).collect();
        let mut stragglers = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            world.sides[A].send(ours, MessageKind::Text, text.as_bytes(), world.now).unwrap();
            world.pump(A);
            if i % 50 == 25 {
                stragglers.extend(world.network.values().cloned());
                world.link.loss = 1000;
                world.run_for(Duration::from_millis(300 * (1 + i as u64 / 50)));
                world.link = if i % 100 == 25 { Link { delay: 150 * MS, ..Link::BAD } } else { Link::GOOD };
                world.connect_paths();
                for (to, datagram) in stragglers.drain(..) {
                    world.put(1 - to, &datagram);
                }
            }
            world.run_for(MS);
        }
        world.run_until(120 * SECOND, |world| world.texts(B, theirs).len() >= texts.len());
        world.run_for(5 * SECOND);
        assert_eq!(world.texts(B, theirs), texts);
    }
}

/// `str0m`'s own agent gives up its pair after 15 seconds without a check. Traffic does not care.
#[test]
fn an_idle_session_stays_and_hardly_wakes() {
    let (mut world, ours, theirs) = World::connected(5, Link::GOOD);
    world.run_for(10 * SECOND);
    let (sent, end) = (world.sent, world.now + 600 * SECOND);
    let mut steps = 0;
    while world.next().is_some_and(|next| next <= end) {
        world.step();
        steps += 1;
    }
    assert_eq!(world.sent, sent);
    assert!(steps <= 2 * 200, "each side has one timer, of three seconds: {steps}");
    world.now = end;
    world.send(A, ours, "awake");
    world.send(B, theirs, "awake, too");
    world.run_for(SECOND);
    assert_eq!((world.texts(B, theirs).len(), world.texts(A, ours).len()), (1, 1));
}

#[test]
fn a_machine_may_sleep_and_its_clock_may_be_set_back() {
    let (mut world, ours, theirs) = World::connected(6, Link::GOOD);
    for i in 0..10 {
        world.send(A, ours, &i.to_string());
        world.send(B, theirs, &i.to_string());
        world.run_for(5 * MS);
        world.sleep(60 * SECOND);
    }
    world.run_for(120 * SECOND);
    let expected: Vec<String> = (0..10).map(|i| i.to_string()).collect();
    assert_eq!(world.texts(B, theirs), expected);
    assert_eq!(world.texts(A, ours), expected);

    // Set back by more than all of it; what is due stays as far away as it was.
    world.send(A, ours, "before");
    world.network.clear();
    world.now = crate::Instant::from_millis(1);
    for side in [A, B] {
        world.sides[side].handle_timeout(world.now);
        world.pump(side);
    }
    world.run_for(10 * SECOND);
    assert_eq!(world.texts(B, theirs).last().map(String::as_str), Some("before"));

    // And to the end of time.
    world.now = crate::Instant::from_nanos(u64::MAX - 1_000_000_000);
    for side in [A, B] {
        world.sides[side].handle_timeout(world.now);
        world.pump(side);
    }
}

/// A caller that takes no events is not flooded with them: the other side has to wait, by SCTP's own means.
#[test]
fn events_that_nobody_takes_are_bounded() {
    let (mut world, ours, theirs) = World::connected(7, Link::GOOD);
    world.deaf = Some(B);
    let data = vec![7; 100_000];
    let mut taken = 0;
    for _ in 0..100 {
        while world.sides[A].send(ours, MessageKind::Binary, &data, world.now).is_ok() {
            taken += 1;
        }
        world.pump(A);
        world.run_for(100 * MS);
    }
    assert!((10..60).contains(&taken), "{taken} messages of 100 kB are not held up");
    world.deaf = None;
    world.pump(B);
    world.run_until(300 * SECOND, |world| world.messages(B, theirs).len() >= taken);
    assert!(world.messages(B, theirs).iter().all(|message| *message == data));
}
