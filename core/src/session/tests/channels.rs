//! Data channels: what they are made with, what they carry, how they close.

use super::super::*;
use super::world::*;

fn named(label: &str) -> ChannelConfig {
    ChannelConfig { label: label.into(), ..ChannelConfig::default() }
}

fn negotiated(stream: u16) -> ChannelConfig {
    ChannelConfig { negotiated: Some(stream), ..ChannelConfig::default() }
}

fn create(world: &mut World, side: usize, config: ChannelConfig) -> Result<ChannelId, ChannelError> {
    let result = world.sides[side].create_data_channel(config, world.now);
    world.pump(side);
    result
}

#[track_caller]
fn send(world: &mut World, side: usize, channel: ChannelId, kind: MessageKind, data: &[u8]) {
    world.sides[side].send(channel, kind, data, world.now).unwrap();
    world.pump(side);
}

/// RFC 8831 section 6.6. An empty message that was lost would make all later ones of an ordered channel wait.
#[test]
fn text_and_bytes_arrive_as_such_even_empty() {
    for ordered in [true, false] {
        let config = ChannelConfig { ordered, ..ChannelConfig::default() };
        let (mut world, ours, theirs) = World::connected_with(1, Link::GOOD, config);
        let messages: [(MessageKind, &[u8]); 8] = [
            (MessageKind::Text, b""),
            (MessageKind::Binary, b""),
            (MessageKind::Text, "text £".as_bytes()),
            (MessageKind::Binary, &[0]),
            (MessageKind::Binary, &[0xFF, 0xFE]),
            (MessageKind::Text, b""),
            (MessageKind::Text, &[0]),
            (MessageKind::Binary, b"last"),
        ];
        for (from, channel) in [(A, ours), (B, theirs)] {
            for (kind, data) in messages {
                send(&mut world, from, channel, kind, data);
            }
            world.run_for(SECOND);
        }
        for (to, channel) in [(B, theirs), (A, ours)] {
            let received: Vec<_> = world.events[to]
                .iter()
                .filter_map(|event| match event {
                    Event::Message { channel: of, kind, data } if *of == channel => Some((*kind, data.clone())),
                    _ => None,
                })
                .collect();
            assert_eq!(received, messages.map(|(kind, data)| (kind, data.to_vec())));
        }
        assert_eq!(world.sides[A].buffered_amount(ours), 0);
    }
}

/// Bundled with others into one packet as well.
#[test]
fn empty_messages_are_delivered_once_and_in_order_over_loss() {
    for seed in 0..5 {
        let (mut world, ours, theirs) = World::connected(seed, Link::BAD);
        let texts: Vec<String> = (0..60).map(|i| if i % 3 == 0 { String::new() } else { i.to_string() }).collect();
        for text in &texts {
            world.sides[A].send(ours, MessageKind::Text, text.as_bytes(), world.now).unwrap();
        }
        world.pump(A);
        world.run_until(120 * SECOND, |world| world.texts(B, theirs).len() >= texts.len());
        world.run_for(10 * SECOND);
        assert_eq!(world.texts(B, theirs), texts);
    }
}

#[test]
fn the_other_side_learns_what_a_channel_was_made_with() {
    let mut world = World::new(2, Link::GOOD);
    let mut made = Vec::new();
    for ordered in [true, false] {
        for reliability in [
            Reliability::Reliable,
            Reliability::MaxRetransmits(0),
            Reliability::MaxRetransmits(u16::MAX),
            Reliability::MaxPacketLifeTime(1),
            Reliability::MaxPacketLifeTime(u16::MAX),
        ] {
            let label = format!("ordered: {ordered}, {reliability:?}");
            made.push(ChannelConfig { label, protocol: "pröto".into(), ordered, reliability, negotiated: None });
        }
    }
    made.push(ChannelConfig::default());
    // Label and protocol as long as they may be.
    made.push(ChannelConfig { protocol: "p".repeat(744), ..named(&"l".repeat(744)) });
    for config in &made {
        create(&mut world, A, config.clone()).unwrap();
    }
    world.connect_paths();
    world.run_for(SECOND);
    let accepted: Vec<_> = world.events[B]
        .iter()
        .filter_map(|event| match event {
            Event::DataChannel { config, .. } => Some(config.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(accepted, made);
}

/// Whichever side, whenever, and however many.
#[test]
fn channels_open_whenever_they_are_made() {
    let mut world = World::unstarted(3, Link::GOOD, [Config::default(), Config::default()]);
    let mut ours = [Vec::new(), Vec::new()];
    let mut both = |world: &mut World| {
        for side in [A, B] {
            for _ in 0..3 {
                ours[side].push(create(world, side, named("any")).unwrap());
            }
        }
    };
    both(&mut world);
    world.introduce();
    both(&mut world);
    world.connect_paths();
    both(&mut world);
    for _ in 0..12 {
        world.run_for(20 * MS);
        both(&mut world);
    }
    world.run_for(SECOND);
    for side in [A, B] {
        assert!(ours[side].iter().all(|&channel| world.is_open(side, channel)));
        let accepted = world.events[side].iter().filter(|event| matches!(event, Event::DataChannel { .. })).count();
        assert_eq!(accepted, ours[1 - side].len());
    }
}

/// Announced channels made before negotiated ones do not take their streams, though those are the first.
#[test]
fn negotiated_channels_open_without_a_word() {
    let mut world = World::new(4, Link::GOOD);
    let announced = [A, B].map(|side| create(&mut world, side, named("announced")).unwrap());
    let agreed =
        [0, 1, 2, 65534].map(|stream| [A, B].map(|side| create(&mut world, side, negotiated(stream)).unwrap()));
    world.connect_paths();
    world.run_for(SECOND);
    for [ours, theirs] in agreed {
        assert!(world.is_open(A, ours) && world.is_open(B, theirs));
        world.send(A, ours, "to B");
        world.send(B, theirs, "to A");
        world.run_for(SECOND);
        assert_eq!(world.texts(B, theirs), ["to B"]);
        assert_eq!(world.texts(A, ours), ["to A"]);
    }
    assert!([A, B].iter().all(|&side| world.is_open(side, announced[side])));
}

/// `str0m` panics on the second of these, or waits for ever in a busy loop.
#[test]
fn a_stream_belongs_to_one_channel_at_a_time() {
    let mut world = World::new(5, Link::GOOD);
    let first = [A, B].map(|side| create(&mut world, side, negotiated(6)).unwrap());
    assert_eq!(create(&mut world, A, negotiated(6)), Err(ChannelError::StreamInUse(6)));
    assert_eq!(create(&mut world, A, negotiated(65535)), Err(ChannelError::StreamReserved(65535)));
    world.connect_paths();
    world.run_for(SECOND);
    assert_eq!(create(&mut world, A, negotiated(6)), Err(ChannelError::StreamInUse(6)));

    // Announced channels take the first free stream of their side's parity (RFC 8832 section 6).
    let announced = create(&mut world, A, named("even")).unwrap();
    assert_eq!(create(&mut world, A, negotiated(0)), Err(ChannelError::StreamInUse(0)));
    world.run_for(SECOND);
    assert_eq!(create(&mut world, B, negotiated(0)), Err(ChannelError::StreamInUse(0)));
    create(&mut world, B, named("odd")).unwrap();
    assert_eq!(create(&mut world, B, negotiated(1)), Err(ChannelError::StreamInUse(1)));
    // One right after the other, before anything else happens.
    let late = create(&mut world, A, named("even")).unwrap();
    assert_eq!(create(&mut world, A, negotiated(2)), Err(ChannelError::StreamInUse(2)));

    // After its end the stream is free for another channel, and the numbers are new.
    for side in [A, B] {
        world.sides[side].close_channel(first[side], world.now);
        world.pump(side);
    }
    assert_eq!(create(&mut world, A, negotiated(6)).ok().filter(|id| *id > late), Some(ChannelId::from_u32(3)));
    let second = [ChannelId::from_u32(3), create(&mut world, B, negotiated(6)).unwrap()];
    world.run_for(10 * SECOND);
    assert!([A, B].iter().all(|&side| world.is_open(side, second[side])), "{:?}", world.events);
    world.send(A, second[A], "anew");
    world.run_for(SECOND);
    assert_eq!(world.texts(B, second[B]), ["anew"]);
    assert!(world.is_open(A, announced) && world.is_open(A, late));
}

#[test]
fn there_are_no_more_channels_than_configured() {
    let few = Config { max_channels: 3, ..Config::default() };
    let mut world = World::with_configs(6, Link::GOOD, [Config::default(), few]);
    let own = create(&mut world, B, named("own")).unwrap();
    let ours: Vec<_> = (0..5).map(|_| create(&mut world, A, named("ours")).unwrap()).collect();
    world.connect_paths();
    world.run_for(2 * SECOND);
    let accepted = world.events[B].iter().filter(|event| matches!(event, Event::DataChannel { .. })).count();
    assert_eq!(accepted, 2);
    assert!(world.is_open(B, own));
    assert!(ours[2..].iter().all(|&channel| world.channel_closed(A, channel)), "those refused are closed");
    assert!(!ours[..2].iter().any(|&channel| world.channel_closed(A, channel)));
    assert_eq!(create(&mut world, B, named("one more")), Err(ChannelError::TooMany { max: 3 }));

    world.sides[A].close_channel(ours[0], world.now);
    world.pump(A);
    world.run_for(SECOND);
    create(&mut world, B, named("in its place")).unwrap();
}

#[test]
fn names_that_cannot_be_announced_are_refused() {
    let mut world = World::new(7, Link::GOOD);
    let long = ChannelConfig { protocol: "p".repeat(745), ..named(&"l".repeat(744)) };
    let error = ChannelError::NameTooLong { len: 1489, max: 1488 };
    assert_eq!(create(&mut world, A, long), Err(error));
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_reason() {
    let tiny = Config { max_message_size: 10, ..Config::default() };
    let mut world = World::with_configs(8, Link::GOOD, [Config::default(), tiny]);
    let ours = create(&mut world, A, named("")).unwrap();
    let say = |world: &mut World, channel, kind, data: &[u8]| world.sides[A].send(channel, kind, data, world.now);
    assert_eq!(say(&mut world, ours, MessageKind::Text, b"x"), Err(SendError::NotOpen(ours)));
    world.connect_paths();
    assert_eq!(say(&mut world, ours, MessageKind::Text, b"x"), Err(SendError::NotOpen(ours)));
    world.run_until(SECOND, |world| world.is_open(A, ours));

    let too_large = Err(SendError::TooLarge { len: 11, max: 10 });
    assert_eq!(say(&mut world, ours, MessageKind::Binary, &[0; 11]), too_large);
    let not_text = Err(SendError::NotUtf8 { valid_up_to: 2 });
    assert_eq!(say(&mut world, ours, MessageKind::Text, &[b'a', b'b', 0xFF]), not_text);
    let nobody = ChannelId::from_u32(99);
    assert_eq!(say(&mut world, nobody, MessageKind::Text, b"x"), Err(SendError::Closed(nobody)));
    assert_eq!(say(&mut world, ours, MessageKind::Binary, &[0; 10]), Ok(()));
    assert_eq!(say(&mut world, ours, MessageKind::Binary, &[]), Ok(()));
    world.pump(A);
    world.run_for(SECOND);
    let theirs = world.accepted(B).unwrap();
    assert_eq!(world.messages(B, theirs), [vec![0; 10], vec![]]);

    world.sides[A].close_channel(ours, world.now);
    assert_eq!(say(&mut world, ours, MessageKind::Text, b"x"), Err(SendError::Closed(ours)));
    world.pump(A);
    assert_eq!(say(&mut world, ours, MessageKind::Text, b"x"), Err(SendError::Closed(ours)));
}

/// The other side was told that we take more than we do, and sends it. SCTP knows no milder answer than ABORT.
#[test]
fn a_message_beyond_what_we_take_is_not_taken() {
    let small = Config { max_message_size: 10_000, ..Config::default() };
    let mut world = World::unstarted(9, Link::GOOD, [Config::default(), small]);
    let lied_to = Remote { max_message_size: 0, ..world.remote(A) };
    world.sides[A].start(lied_to, world.now).unwrap();
    let remote = world.remote(B);
    world.sides[B].start(remote, world.now).unwrap();
    let ours = create(&mut world, A, named("")).unwrap();
    world.connect_paths();
    world.run_until(SECOND, |world| world.is_open(A, ours));
    let theirs = world.accepted(B).unwrap();
    send(&mut world, A, ours, MessageKind::Binary, &[0; 10_000]);
    world.run_for(SECOND);
    assert_eq!(world.messages(B, theirs).len(), 1);
    send(&mut world, A, ours, MessageKind::Binary, &[0; 900_000]);
    world.run_for(10 * SECOND);
    assert_eq!(world.messages(B, theirs).len(), 1);
    assert!([A, B].iter().all(|&side| world.events[side].last() == Some(&Event::Closed)));
}

/// RFC 8831 section 6.6 wants UTF-8. The channel ends, rather than have a hole; the session goes on.
#[test]
fn text_that_is_none_closes_the_channel() {
    let (mut world, ours, theirs) = World::connected(14, Link::GOOD);
    let stays = create(&mut world, A, named("stays")).unwrap();
    world.run_for(SECOND);
    let stays_there = world.accepted(B).unwrap();
    world.send(A, ours, "text");
    world.sides[A].send_unchecked(ours, MessageKind::Text, &[0xFF]);
    world.send(A, ours, "more text");
    world.send(A, stays, "still");
    world.run_for(SECOND);
    assert_eq!(world.texts(B, theirs), ["text"]);
    assert!(world.channel_closed(A, ours) && world.channel_closed(B, theirs));
    assert_eq!(world.texts(B, stays_there), ["still"]);
}

#[test]
fn a_full_buffer_refuses_and_says_when_there_is_room() {
    let config = Config { send_buffer: 100_000, ..Config::default() };
    let mut world = World::with_configs(10, Link::GOOD, [config, Config::default()]);
    let [ours, other] = [0, 1].map(|_| create(&mut world, A, named("")).unwrap());
    world.connect_paths();
    world.run_until(SECOND, |world| world.is_open(A, ours) && world.is_open(A, other));
    let say = |world: &mut World, channel, len| {
        let result = world.sides[A].send(channel, MessageKind::Binary, &vec![1; len], world.now);
        world.pump(A);
        result
    };
    // The threshold is above what ever is buffered, so it is never crossed from above.
    world.sides[A].set_buffered_amount_low_threshold(ours, 1_000_000);
    assert_eq!(say(&mut world, ours, 60_000), Ok(()));
    assert_eq!(world.sides[A].buffered_amount(ours), 60_000);
    assert_eq!(say(&mut world, ours, 40_001), Err(SendError::BufferFull { buffered: 60_000, max: 100_000 }));
    assert_eq!(say(&mut world, ours, 40_000), Ok(()));
    assert_eq!(say(&mut world, ours, 50_000), Err(SendError::BufferFull { buffered: 100_000, max: 100_000 }));
    assert_eq!(say(&mut world, other, 10), Ok(()), "channels do not stand in each other's way");
    let low = Event::BufferedAmountLow(ours);
    assert!(!world.events[A].contains(&low));
    world.run_until(10 * SECOND, |world| world.events[A].contains(&low));
    let buffered = world.sides[A].buffered_amount(ours);
    assert!((30_000..=50_000).contains(&buffered), "as soon as it fits, not later: {buffered}");
    assert_eq!(say(&mut world, ours, 50_000), Ok(()));
    world.run_for(10 * SECOND);
    assert_eq!(world.events[A].iter().filter(|event| **event == low).count(), 1);

    // A message larger than the buffer goes when it is alone.
    assert_eq!(say(&mut world, ours, 200_000), Ok(()));
    assert_eq!(say(&mut world, ours, 1), Err(SendError::BufferFull { buffered: 200_000, max: 100_000 }));
    world.run_for(20 * SECOND);
    let theirs = world.events[B].iter().find_map(|event| match event {
        Event::Message { channel, data, .. } if data.len() == 200_000 => Some(*channel),
        _ => None,
    });
    assert_eq!(
        world.messages(B, theirs.unwrap()).iter().map(Vec::len).collect::<Vec<_>>(),
        [60_000, 40_000, 50_000, 200_000]
    );
}

/// As for `RTCDataChannel`: on falling from above the threshold to it or below it, each time.
#[test]
fn low_water_is_reported_on_the_way_down_only() {
    for (threshold, set_before_open) in [(0, true), (0, false), (5_000, true), (5_000, false)] {
        let mut world = World::new(11, Link::GOOD);
        let ours = create(&mut world, A, named("")).unwrap();
        if set_before_open {
            world.sides[A].set_buffered_amount_low_threshold(ours, threshold);
        }
        world.connect_paths();
        world.run_until(SECOND, |world| world.is_open(A, ours));
        world.sides[A].set_buffered_amount_low_threshold(ours, threshold);
        // Until it is acknowledged, the channel's announcement is buffered, too.
        world.run_for(SECOND);
        let low =
            |world: &World| world.events[A].iter().filter(|event| **event == Event::BufferedAmountLow(ours)).count();
        send(&mut world, A, ours, MessageKind::Binary, &vec![0; threshold]);
        world.run_for(5 * SECOND);
        assert_eq!(low(&world), usize::from(threshold == 0), "an empty message takes some bytes for a while");
        let before = low(&world);
        for times in 1..4 {
            send(&mut world, A, ours, MessageKind::Binary, &vec![0; threshold + 1]);
            world.run_for(5 * SECOND);
            assert_eq!(low(&world) - before, times);
        }
    }
}

fn say(world: &mut World, side: usize, channel: ChannelId) -> Result<(), SendError> {
    world.sides[side].send(channel, MessageKind::Text, b"more", world.now)
}

#[test]
fn closing_a_channel_delivers_what_was_sent_and_is_seen_by_both() {
    for seed in 0..4 {
        for link in [Link::GOOD, Link::BAD] {
            let (mut world, ours, theirs) = World::connected(seed, link);
            let stays = create(&mut world, A, named("stays")).unwrap();
            world.run_until(60 * SECOND, |world| world.is_open(A, stays));
            let texts: Vec<String> = (0..50).map(|i| format!("{i}{}", ".".repeat(2_000))).collect();
            for text in &texts {
                world.sides[A].send(ours, MessageKind::Text, text.as_bytes(), world.now).unwrap();
            }
            world.sides[A].close_channel(ours, world.now);
            world.pump(A);
            assert!(!world.channel_closed(A, ours), "who leaves at this event would lose what is on its way");
            assert_eq!(say(&mut world, A, ours), Err(SendError::Closed(ours)));
            world.sides[A].set_buffered_amount_low_threshold(ours, 50_000);
            world.run_until(120 * SECOND, |world| world.channel_closed(A, ours));
            assert_eq!(world.texts(B, theirs), texts);
            world.run_until(120 * SECOND, |world| world.channel_closed(B, theirs));
            let end = world.events[B].iter().position(|event| *event == Event::ChannelClosed(theirs));
            assert_eq!(end, Some(world.events[B].len() - 1), "nothing comes after the end");
            let stays_there = world.accepted(B).unwrap();
            world.send(A, stays, "still");
            world.run_until(60 * SECOND, |world| world.texts(B, stays_there) == ["still"]);
        }
    }
}

#[test]
fn a_channel_may_be_closed_before_it_is_open() {
    for steps in 0..12 {
        let mut world = World::new(12, Link::GOOD);
        let [hasty, agreed, stays] =
            [named("hasty"), negotiated(10), named("stays")].map(|config| create(&mut world, A, config).unwrap());
        let theirs = create(&mut world, B, negotiated(10)).unwrap();
        if steps == 0 {
            world.sides[A].close_channel(hasty, world.now);
        }
        world.connect_paths();
        for _ in 1..steps {
            world.step();
        }
        for channel in [hasty, agreed] {
            world.sides[A].close_channel(channel, world.now);
        }
        world.pump(A);
        world.run_for(2 * SECOND);
        for channel in [hasty, agreed] {
            assert!(world.channel_closed(A, channel), "{channel:?} after {steps} steps");
        }
        assert!(world.is_open(A, stays) && !world.channel_closed(A, stays));
        assert!(world.channel_closed(B, theirs));
        // Their stream is of use again.
        let again = [A, B].map(|side| create(&mut world, side, negotiated(10)).unwrap());
        world.run_for(12 * SECOND);
        assert!(world.is_open(A, again[A]) && world.is_open(B, again[B]), "after {steps} steps");
    }
}

/// Many times over, on both sides at once: streams are given back, numbers are not.
#[test]
fn channels_come_and_go() {
    let (mut world, _, _) = World::connected(13, Link::BAD);
    let mut last = [None, None];
    for round in 0..30 {
        let made = [A, B].map(|side| create(&mut world, side, named(&round.to_string())).unwrap());
        world.run_until(60 * SECOND, |world| [A, B].iter().all(|&side| world.is_open(side, made[side])));
        for side in [A, B] {
            assert!(last[side] < Some(made[side]));
            last[side] = Some(made[side]);
            world.sides[side].close_channel(made[side], world.now);
            world.pump(side);
        }
        world.run_until(60 * SECOND, |world| {
            let closed = |event: &&Event| matches!(event, Event::ChannelClosed(_));
            [A, B].iter().all(|&side| world.events[side].iter().filter(closed).count() == 2 * (round + 1))
        });
    }
}
