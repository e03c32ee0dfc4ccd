//! The link, and the two ends of it.

use core::time::Duration;
use std::collections::BTreeMap;

use super::super::*;
use crate::Instant;
use crate::jsep::DtlsRole;
use crate::rng::Rng;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The DTLS client, and which of the two sessions it is.
pub(super) const A: usize = 0;
/// The DTLS server.
pub(super) const B: usize = 1;

/// What the network does to datagrams.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) delay: Duration,
    /// Up to so much is added to the delay, so datagrams overtake each other.
    pub(super) jitter: Duration,
    /// In a thousand.
    pub(super) loss: u32,
    pub(super) duplication: u32,
}

impl Link {
    pub(super) const GOOD: Self =
        Self { delay: Duration::from_millis(20), jitter: Duration::ZERO, loss: 0, duplication: 0 };
    pub(super) const BAD: Self =
        Self { delay: Duration::from_millis(20), jitter: Duration::from_millis(30), loss: 100, duplication: 50 };
}

/// Decides about the `n`th datagram of a side: whether it is lost.
type Lose = Box<dyn FnMut(usize, usize) -> bool>;

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) sides: [Session; 2],
    pub(super) link: Link,
    pub(super) lose: Option<Lose>,
    /// Datagrams under way by arrival: to whom, and what.
    pub(super) network: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    /// Events so far.
    pub(super) events: [Vec<Event>; 2],
    /// How many datagrams each side sent, and the largest of all.
    pub(super) sent: [usize; 2],
    pub(super) largest: usize,
    pub(super) rng: Rng,
    /// A side whose events nobody takes.
    pub(super) deaf: Option<usize>,
    order: u64,
}

impl World {
    /// Both sides know each other's parameters; neither has a path.
    pub(super) fn new(seed: u8, link: Link) -> Self {
        Self::with_configs(seed, link, [Config::default(), Config::default()])
    }

    pub(super) fn with_configs(seed: u8, link: Link, configs: [Config; 2]) -> Self {
        let mut world = Self::unstarted(seed, link, configs);
        world.introduce();
        world
    }

    pub(super) fn unstarted(seed: u8, link: Link, configs: [Config; 2]) -> Self {
        let mut which = 0;
        let sides = configs.map(|config| {
            which += 1;
            Session::new(config, [seed.wrapping_mul(2).wrapping_add(which); 32]).unwrap()
        });
        Self {
            now: Instant::from_millis(1_000),
            sides,
            link,
            lose: None,
            network: BTreeMap::new(),
            events: [Vec::new(), Vec::new()],
            sent: [0, 0],
            largest: 0,
            rng: Rng::new([seed; 32]),
            deaf: None,
            order: 0,
        }
    }

    /// What `side` is to know of the other one.
    pub(super) fn remote(&self, side: usize) -> Remote {
        let other = &self.sides[1 - side];
        Remote {
            dtls_role: if side == A { DtlsRole::Client } else { DtlsRole::Server },
            fingerprints: vec![other.fingerprint().clone()],
            sctp_port: 5000,
            max_message_size: other.max_message_size().into(),
        }
    }

    pub(super) fn introduce(&mut self) {
        [A, B].into_iter().for_each(|side| self.introduce_one(side));
    }

    pub(super) fn introduce_one(&mut self, side: usize) {
        let remote = self.remote(side);
        self.sides[side].start(remote, self.now).unwrap();
        self.pump(side);
    }

    pub(super) fn connect_paths(&mut self) {
        for side in [A, B] {
            self.sides[side].handle_path(self.now);
            self.pump(side);
        }
    }

    /// Two sessions with a channel that both ends have open, made by [`A`].
    pub(super) fn connected(seed: u8, link: Link) -> (Self, ChannelId, ChannelId) {
        Self::connected_with(seed, link, ChannelConfig::default())
    }

    pub(super) fn connected_with(seed: u8, link: Link, config: ChannelConfig) -> (Self, ChannelId, ChannelId) {
        let mut world = Self::new(seed, link);
        let ours = world.sides[A].create_data_channel(config, world.now).unwrap();
        world.connect_paths();
        world.run_until(120 * SECOND, |world| world.is_open(A, ours) && world.accepted(B).is_some());
        let theirs = world.accepted(B).unwrap();
        (world, ours, theirs)
    }

    pub(super) fn is_open(&self, side: usize, channel: ChannelId) -> bool {
        self.events[side].contains(&Event::ChannelOpen(channel))
    }

    /// The last channel that `side` accepted.
    pub(super) fn accepted(&self, side: usize) -> Option<ChannelId> {
        self.events[side].iter().rev().find_map(|event| match event {
            Event::DataChannel { channel, .. } => Some(*channel),
            _ => None,
        })
    }

    /// Sends, and moves nothing else.
    pub(super) fn send(&mut self, side: usize, channel: ChannelId, text: &str) {
        self.sides[side].send(channel, MessageKind::Text, text.as_bytes(), self.now).unwrap();
        self.pump(side);
    }

    /// The messages of a channel so far.
    pub(super) fn messages(&self, side: usize, of: ChannelId) -> Vec<Vec<u8>> {
        self.events[side]
            .iter()
            .filter_map(|event| match event {
                Event::Message { channel, data, .. } if *channel == of => Some(data.clone()),
                _ => None,
            })
            .collect()
    }

    pub(super) fn texts(&self, side: usize, of: ChannelId) -> Vec<String> {
        self.messages(side, of).into_iter().map(|data| String::from_utf8(data).unwrap()).collect()
    }

    pub(super) fn channel_closed(&self, side: usize, channel: ChannelId) -> bool {
        self.events[side].contains(&Event::ChannelClosed(channel))
    }

    /// Drains a side as a driver must.
    pub(super) fn pump(&mut self, side: usize) {
        let mut buf = [0; 1500];
        while let Some(len) = self.sides[side].poll_transmit(&mut buf) {
            self.transmit(side, &buf[..len]);
        }
        if self.deaf == Some(side) {
            return;
        }
        while let Some(event) = self.sides[side].poll_event() {
            self.events[side].push(event);
        }
        assert_eq!(self.sides[side].poll_transmit(&mut buf), None, "drained is drained");
    }

    fn transmit(&mut self, side: usize, datagram: &[u8]) {
        let nth = self.sent[side];
        self.sent[side] += 1;
        self.largest = self.largest.max(datagram.len());
        assert!((20..64).contains(&datagram[0]), "only DTLS leaves");
        if self.lose.as_mut().is_some_and(|lose| lose(side, nth)) || self.chance(self.link.loss) {
            return;
        }
        self.put(side, datagram);
        if self.chance(self.link.duplication) {
            self.put(side, datagram);
        }
    }

    /// Puts a datagram of `side` on the way.
    pub(super) fn put(&mut self, side: usize, datagram: &[u8]) {
        let jitter = u32::try_from(self.link.jitter.as_micros()).unwrap();
        let arrival = self.now + self.link.delay + Duration::from_micros(u64::from(self.rng.below(jitter + 1)));
        self.order += 1;
        self.network.insert((arrival, self.order), (1 - side, datagram.to_vec()));
    }

    fn chance(&mut self, in_a_thousand: u32) -> bool {
        in_a_thousand > 0 && self.rng.below(1000) < in_a_thousand
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<Instant> {
        let timeouts = self.sides.iter().filter_map(Session::poll_timeout).min();
        let arrival = self.network.keys().next().map(|(arrival, _)| *arrival);
        timeouts.into_iter().chain(arrival).min()
    }

    /// Lets the next thing happen.
    pub(super) fn step(&mut self) {
        if let Some((&key, _)) = self.network.iter().next()
            && self.sides.iter().filter_map(Session::poll_timeout).all(|timeout| key.0 <= timeout)
        {
            let (to, datagram) = self.network.remove(&key).unwrap();
            self.now = self.now.max(key.0);
            self.sides[to].handle_datagram(&datagram, self.now);
            self.pump(to);
            return;
        }
        for side in [A, B] {
            if self.sides[side].poll_timeout() == self.next() {
                let due = self.next().expect("something is due");
                self.now = self.now.max(due);
                self.sides[side].handle_timeout(self.now);
                self.pump(side);
                let next = self.sides[side].poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "{next:?} was handled, it is {:?}", self.now);
                return;
            }
        }
    }

    /// Lets everything happen that does until then.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets things happen until it is so, which must come within the time.
    #[track_caller]
    pub(super) fn run_until(&mut self, time: Duration, mut so: impl FnMut(&mut Self) -> bool) {
        let end = self.now + time;
        while !so(self) {
            match self.next() {
                Some(next) if next <= end => self.step(),
                next => panic!("did not come within {time:?}; next is {next:?}, it is {:?}", self.now),
            }
        }
    }

    /// As if both machines slept: nothing arrives, nothing is due, and then all of it.
    pub(super) fn sleep(&mut self, time: Duration) {
        self.now += time;
        self.network.clear();
        for side in [A, B] {
            self.sides[side].handle_timeout(self.now);
            self.pump(side);
        }
    }
}
