//! How a session ends, and how the other side hears of it.

use super::super::*;
use super::handshake::is_inert;
use super::world::*;

#[track_caller]
fn close(world: &mut World, side: usize) {
    world.sides[side].close(world.now);
    world.pump(side);
}

#[test]
fn a_close_is_seen_at_once() {
    for closing in [A, B] {
        let (mut world, ours, theirs) = World::connected(1, Link::GOOD);
        let channels = [ours, theirs];
        let before = world.events[closing].clone();
        close(&mut world, closing);
        world.run_for(21 * MS);
        let other = 1 - closing;
        let expected = [Event::ChannelClosed(channels[other]), Event::Closed];
        assert!(world.events[other].ends_with(&expected), "{:?}", world.events[other]);
        world.run_for(10 * SECOND);
        assert_eq!(world.events[closing], before, "who closes hears no more");
        assert_eq!(world.events[other].iter().filter(|event| **event == Event::Closed).count(), 1);
        is_inert(&mut world, A);
        is_inert(&mut world, B);
    }
}

/// In the middle of a transfer in both directions; what is buffered is lost.
#[test]
fn a_close_does_not_wait_for_what_is_buffered() {
    for seed in 0..5 {
        let (mut world, ours, theirs) = World::connected(seed, Link { loss: 0, ..Link::BAD });
        for _ in 0..10 {
            for (side, channel) in [(A, ours), (B, theirs)] {
                world.sides[side].send(channel, MessageKind::Binary, &[1; 100_000], world.now).unwrap();
                world.pump(side);
            }
        }
        world.run_for(200 * MS);
        close(&mut world, A);
        world.run_for(SECOND);
        assert_eq!(world.events[B].last(), Some(&Event::Closed));
        is_inert(&mut world, A);
        is_inert(&mut world, B);
    }
}

/// Nothing acknowledges a farewell, so it is repeated.
#[test]
fn a_lost_close_is_seen_within_a_second() {
    let (mut world, _, _) = World::connected(2, Link::GOOD);
    world.run_for(SECOND);
    let sent = world.sent[A];
    world.lose = Some(Box::new(move |side, nth| side == A && nth < sent + 2));
    close(&mut world, A);
    world.run_for(SECOND);
    assert_eq!(world.events[B].last(), Some(&Event::Closed));
    is_inert(&mut world, A);
}

/// The farewell consists of an ABORT and a `close_notify`; either of them is enough.
#[test]
fn either_half_of_a_farewell_is_enough() {
    for half in 0..2 {
        let (mut world, _, _) = World::connected(3, Link::GOOD);
        world.run_for(SECOND);
        world.sides[A].close(world.now);
        let mut buf = [0; 1500];
        let mut records = Vec::new();
        while let Some(len) = world.sides[A].poll_transmit(&mut buf) {
            let mut rest = &buf[..len];
            while !rest.is_empty() {
                let (record, next) = rest.split_at(13 + usize::from(u16::from_be_bytes([rest[11], rest[12]])));
                records.push(record.to_vec());
                rest = next;
            }
        }
        assert_eq!(records.iter().map(|record| record[0]).collect::<Vec<_>>(), [23, 21], "application data, alert");
        world.put(A, &records[half]);
        world.run_for(50 * MS);
        assert_eq!(world.events[B].last(), Some(&Event::Closed));
    }
}

#[test]
fn both_may_close_at_once() {
    let (mut world, _, _) = World::connected(4, Link::GOOD);
    close(&mut world, A);
    close(&mut world, B);
    close(&mut world, B);
    world.run_for(10 * SECOND);
    is_inert(&mut world, A);
    is_inert(&mut world, B);
}

/// At any moment, even before SCTP is established. Without keys there is nobody to believe a farewell.
#[test]
fn a_close_in_the_middle_of_connecting_is_seen_as_soon_as_there_are_keys() {
    for closing in [A, B] {
        for steps in 0..10 {
            let mut world = World::new(5, Link::GOOD);
            let ours = world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
            world.connect_paths();
            for _ in 0..steps {
                world.step();
            }
            let had_keys = world.events[closing].contains(&Event::Connected);
            close(&mut world, closing);
            world.run_for(SECOND);
            let other = 1 - closing;
            assert_eq!(world.events[other].last() == Some(&Event::Closed), had_keys, "{closing} after {steps} steps");
            assert_eq!(world.channel_closed(A, ours), had_keys && other == A);
            is_inert(&mut world, closing);
        }
    }
}

#[test]
fn a_session_may_be_closed_before_it_runs() {
    let mut world = World::unstarted(6, Link::GOOD, [Config::default(), Config::default()]);
    world.sides[A].create_data_channel(ChannelConfig::default(), world.now).unwrap();
    close(&mut world, A);
    world.introduce_one(B);
    let remote = world.remote(A);
    assert_eq!(world.sides[A].start(remote, world.now), Err(StartError::SessionOver));
    close(&mut world, B);
    for side in [A, B] {
        is_inert(&mut world, side);
        assert_eq!((&world.events[side], world.sent[side]), (&vec![], 0));
    }
}

/// What had arrived before can still be taken.
#[test]
fn events_from_before_the_close_are_kept() {
    let (mut world, ours, theirs) = World::connected(7, Link::GOOD);
    world.deaf = Some(B);
    world.send(A, ours, "last words");
    world.run_for(100 * MS);
    world.sides[B].close(world.now);
    world.deaf = None;
    world.pump(B);
    assert_eq!(world.texts(B, theirs), ["last words"]);
    assert!(!world.channel_closed(B, theirs));
}
