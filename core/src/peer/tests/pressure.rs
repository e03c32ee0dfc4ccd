//! An application that reads slower than the other side sends.

use core::time::Duration;

use super::super::*;
use super::Pair;
use crate::ice;

const LIMIT: usize = 256 << 10;

/// What SCTP takes in advance.
const WINDOW: usize = 1 << 20;

const STEP: Duration = Duration::from_millis(20);

/// The first peer sends numbered messages on a channel, and the second one keeps them until they are read.
struct Flow {
    pair: Pair,
    channels: [ChannelId; 2],
    /// How long each message is.
    len: usize,
    sent: u32,
    read: u32,
    unread: usize,
    /// How many of the second peer's events were looked at.
    seen: usize,
}

impl Flow {
    fn new(receive_buffer: Option<usize>, len: usize) -> Self {
        let mut pair = Pair::with(&Config { receive_buffer, ..Config::default() });
        for side in 0..2 {
            pair.gather(side);
        }
        let channel = pair.channel(0, "bulk");
        pair.negotiate(0);
        pair.connect();
        pair.run(Duration::from_secs(1));
        let channels = [channel, accepted(&pair, "bulk")];
        let seen = pair.events[1].len();
        Self { pair, channels, len, sent: 0, read: 0, unread: 0, seen }
    }

    fn message(&self, number: u32) -> Vec<u8> {
        let mut message = vec![number as u8; self.len];
        message[..4].copy_from_slice(&number.to_be_bytes());
        message
    }

    /// Time in which as much is sent as goes, up to this message, and nothing is read.
    fn send(&mut self, time: Duration, upto: u32) {
        let end = self.pair.now + time;
        while self.pair.now < end {
            while self.sent < upto {
                let message = self.message(self.sent);
                let sent = self.pair.peers[0].send(self.channels[0], MessageKind::Binary, &message, self.pair.now);
                match sent {
                    // At once, so that short messages go in records of their own.
                    Ok(()) => {
                        self.sent += 1;
                        self.pair.drain();
                    }
                    Err(SendError::BufferFull { .. }) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            self.pair.run(STEP.min(end - self.pair.now));
            self.collect();
        }
    }

    fn collect(&mut self) {
        let ours = |event: &&Event| matches!(event, Event::Message { channel, .. } if *channel == self.channels[1]);
        self.unread += self.pair.events[1][self.seen..].iter().filter(ours).count();
        self.seen = self.pair.events[1].len();
    }

    /// Reads so many of the messages that wait, and says so at once.
    fn read(&mut self, count: usize) {
        let of = |event: &Event| match event {
            Event::Message { channel, data, .. } if *channel == self.channels[1] => Some(data.clone()),
            _ => None,
        };
        let messages = self.pair.events[1].iter().filter_map(of).skip(self.read as usize).take(count);
        let messages: Vec<Vec<u8>> = messages.collect();
        assert_eq!(messages.len(), count);
        for (number, message) in (self.read..).zip(&messages) {
            assert!(*message == self.message(number), "message {number} comes in its turn");
        }
        self.read += count as u32;
        self.unread -= count;
        self.pair.peers[1].release(self.channels[1], count * self.len, self.pair.now);
    }

    fn waits(&self) -> usize {
        self.unread * (self.len + Peer::MESSAGE_OVERHEAD)
    }

    fn held(&self) -> u64 {
        self.pair.peers[1].counters().records_held
    }

    /// The peer that does not read sends something, which arrives and is acknowledged within this time.
    fn talk_back(&mut self, len: usize, within: Duration) {
        let message = vec![9; len];
        self.pair.peers[1].send(self.channels[1], MessageKind::Binary, &message, self.pair.now).unwrap();
        let end = self.pair.now + within;
        let before = self.pair.events[0].len();
        let arrived = |pair: &Pair| {
            pair.events[0][before..].iter().any(|e| matches!(e, Event::Message { data, .. } if *data == message))
        };
        assert!(self.pair.run_until(end, arrived), "{len} bytes did not arrive");
        self.pair.peers[0].release(self.channels[0], len, self.pair.now);
        while self.pair.peers[1].buffered_amount(self.channels[1]) > 0 {
            assert!(self.pair.now < end, "{len} bytes were not acknowledged");
            self.pair.run(STEP);
        }
        self.collect();
    }

    fn assert_well(&self) {
        assert!(self.pair.connected());
        for side in 0..2 {
            assert_eq!(self.pair.peers[side].counters().session_rejected, 0);
            let lost = |event: &Event| {
                matches!(event, Event::ChannelClosed(_) | Event::IceStateChange(ice::State::Disconnected))
            };
            assert!(!self.pair.events[side].iter().any(lost));
        }
    }
}

fn accepted(pair: &Pair, label: &str) -> ChannelId {
    let opened = pair.events[1].iter().find_map(|event| match event {
        Event::DataChannel { channel, config } if config.label == label => Some(*channel),
        _ => None,
    });
    opened.expect("the channel has opened")
}

#[test]
fn what_nobody_reads_is_bounded_and_all_else_goes_on() {
    const COUNT: u32 = 300;
    let mut flow = Flow::new(Some(LIMIT), 16 << 10);
    flow.send(Duration::from_secs(5), COUNT);
    assert!(flow.held() > 0);
    // Half an hour is far longer than consent lasts, and than SCTP would try what is lost.
    for _ in 0..30 {
        flow.talk_back(50_000, Duration::from_secs(3));
        flow.send(Duration::from_secs(60), COUNT);
        assert!((LIMIT..=LIMIT + WINDOW).contains(&flow.waits()), "{} bytes wait", flow.waits());
    }
    assert!(flow.sent < COUNT);
    flow.assert_well();
}

#[test]
fn when_it_is_read_data_flows_again_at_once_and_nothing_is_lost() {
    const COUNT: u32 = 300;
    let mut flow = Flow::new(Some(LIMIT), 16 << 10);
    // However long it was: SCTP would try again in a minute at the latest.
    for pause in [1, 10, 100, 1_000] {
        flow.send(Duration::from_secs(pause), COUNT);
        assert!(flow.held() > 0);
        // One more than makes half of the limit, so not yet.
        let kept = 1 + LIMIT / 2 / (flow.len + Peer::MESSAGE_OVERHEAD);
        flow.read(flow.unread - kept);
        flow.send(Duration::from_millis(100), COUNT);
        assert_eq!(flow.unread, kept);
        flow.read(1);
        // The first that were held are gone: they are sent again by and by, or after a timeout of SCTP's, the first of
        // which is still to come after a short pause.
        flow.send(Duration::from_millis(if pause == 1 { 1_000 } else { 100 }), COUNT);
        assert!(flow.unread >= kept, "nothing came in good time after {pause} s");
    }
    while flow.read < COUNT {
        flow.send(STEP, COUNT);
        flow.read(flow.unread);
        assert!(flow.pair.now < crate::Instant::from_millis(1_300_000), "{} of {COUNT} were read", flow.read);
    }
    flow.assert_well();
}

#[test]
fn short_messages_are_bounded_too_and_acknowledgements_get_through_in_the_end() {
    const LIMIT: usize = 64 << 10;
    const FAR: usize = 2 << 20;
    let mut flow = Flow::new(Some(LIMIT), 150);
    // Each in a record of its own.
    for _ in 0..3_000 {
        flow.send(Duration::from_millis(5), flow.sent + 5);
    }
    let waits = flow.waits();
    assert!((LIMIT + FAR..=LIMIT + FAR + (64 << 10)).contains(&waits), "{waits} bytes wait");
    assert!(flow.held() > 0);
    // Its own acknowledgements are held among the rest, but for a moment now and then.
    flow.talk_back(20_000, Duration::from_secs(60));
    // Less and less often, until something is read.
    let limit = flow.pair.now + Duration::from_secs(3_600);
    flow.pair.run(limit - flow.pair.now);
    flow.collect();
    flow.read(1);
    flow.talk_back(2_000, Duration::from_secs(5));
    let count = flow.sent;
    while flow.read < count {
        flow.read(flow.unread);
        flow.send(STEP, count);
        assert!(flow.pair.now < limit + Duration::from_secs(300), "{} of {count} were read", flow.read);
    }
    flow.assert_well();
}

#[test]
fn a_channel_that_closes_gives_its_pressure_back() {
    for by in 0..2 {
        let mut flow = Flow::new(Some(LIMIT), 16 << 10);
        flow.pair.channel(0, "other");
        flow.pair.run(Duration::from_secs(1));
        let other = flow.pair.events[0].iter().rev().find_map(|event| match event {
            Event::ChannelOpen(channel) => Some(*channel),
            _ => None,
        });
        let (other, theirs) = (other.unwrap(), accepted(&flow.pair, "other"));
        // All of it arrives, so that the sender's end of the channel closes too.
        flow.send(Duration::from_secs(5), (LIMIT / flow.len) as u32);
        assert!(flow.waits() > LIMIT);
        let message = vec![1; 100_000];
        let arrived = |pair: &Pair| {
            pair.events[1].iter().any(|e| matches!(e, Event::Message { channel, .. } if *channel == theirs))
        };
        let send = |flow: &mut Flow| {
            flow.pair.peers[0].send(other, MessageKind::Binary, &message, flow.pair.now).unwrap();
            flow.send(Duration::from_secs(5), 0);
        };
        if by == 1 {
            send(&mut flow);
            assert!(flow.held() > 0 && !arrived(&flow.pair));
        }
        flow.pair.peers[by].close_channel(flow.channels[by], flow.pair.now);
        flow.pair.drain();
        assert_eq!(arrived(&flow.pair), by == 1, "who closes it does not wait");
        flow.send(Duration::from_secs(1), 0);
        if by == 0 {
            // SCTP resets a stream when all that was sent before has arrived, on whatever stream.
            assert!(flow.pair.events[1].contains(&Event::ChannelClosed(flow.channels[1])));
            send(&mut flow);
        }
        assert!(arrived(&flow.pair), "closed by {by}");
        // What is told of it later does no harm.
        flow.pair.peers[1].release(flow.channels[1], usize::MAX, flow.pair.now);
    }
}

#[test]
fn events_that_wait_in_the_driver_hold_data_back_as_well() {
    let mut flow = Flow::new(None, 16 << 10);
    let mut carries = |backlog: usize| {
        flow.pair.peers[1].set_event_backlog(backlog, flow.pair.now);
        let before = flow.unread;
        flow.send(Duration::from_secs(1), flow.sent + 100);
        flow.unread - before >= 50
    };
    let half = Peer::EVENT_BACKLOG / 2;
    let carried = [0, 2 * half, 2 * half + 1, half + 1, half, 10 * half, 2 * half + 1, 0].map(&mut carries);
    assert_eq!(carried, [true, true, false, false, true, false, false, true]);
    flow.assert_well();
}

/// A driver ought to take events at once. Where it does not, what is held waits for it too.
#[test]
fn what_is_held_waits_for_room_in_the_session() {
    let mut flow = Flow::new(None, 16 << 10);
    flow.pair.deaf = Some(1);
    flow.send(Duration::from_secs(2), 60);
    flow.pair.peers[1].set_event_backlog(Peer::EVENT_BACKLOG + 1, flow.pair.now);
    // No more than what is kept.
    flow.send(Duration::from_millis(200), 74);
    assert!(flow.held() > 0);
    flow.pair.peers[1].set_event_backlog(0, flow.pair.now);
    flow.pair.deaf = None;
    flow.pair.drain();
    flow.collect();
    assert!((64..67).contains(&flow.unread), "{} messages were in a mebibyte", flow.unread);
    assert_eq!(flow.pair.peers[1].poll_timeout(), Some(flow.pair.now), "the rest is due at once");
    flow.send(Duration::from_millis(100), 74);
    flow.read(74);
    flow.assert_well();
}

#[test]
fn without_a_limit_nothing_is_held_and_nothing_need_be_told() {
    const COUNT: u32 = 500;
    let mut flow = Flow::new(None, 16 << 10);
    flow.send(Duration::from_secs(10), COUNT);
    assert_eq!((flow.unread, flow.held()), (COUNT as usize, 0));
    flow.read(COUNT as usize);
    flow.assert_well();
}
