//! The discovery: a state machine with the contract of all others here.

use std::collections::{BTreeMap, VecDeque};

use super::address::is_same;
use super::ask::{Ask, Expected, Outcome, Request};
use super::reasoning::{Finding, Reasoning};
use super::{Config, Counters, Filtering, Hairpinning, InvalidConfig, Mapping, Observation, Unknown};
use crate::rng::Rng;
use crate::stun::{
    AttributeType, Class, Due, ErrorCode, Message, Method, Retransmission, TransactionId, plain_address, xor_address,
};
use crate::time::Timeline;
use crate::{Instant, Path, Protocol, Seed};

/// Finds out how the NATs before a socket behave, with Binding requests to a STUN server (RFC 5780).
///
/// After any call that takes `now`, drain [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event)
/// until both give `None`.
///
/// It asks the server first, which shows its other address if it has one, and then tests filters before it sends
/// anything to that. A filter is told by answers that do not arrive: that counts only if whoever should have sent them
/// answers when asked directly and, where this opens the filter, if they do arrive after that. A mapping that depends on
/// the endpoint counts only if the first server still sees the same address in the end.
#[derive(Debug)]
pub struct Discovery {
    config: Config,
    rng: Rng,
    timeline: Timeline,
    open: BTreeMap<Ask, Open>,
    outcomes: BTreeMap<Ask, Outcome>,
    outbox: VecDeque<Ask>,
    mapping: Finding<Mapping>,
    filtering: Finding<Filtering>,
    hairpinning: Finding<Hairpinning>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// A request under way.
#[derive(Debug)]
struct Open {
    id: TransactionId,
    request: Request,
    timer: Retransmission,
}

/// What is known from now on. Each comes once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// On what the outside address depends, or why that is not known.
    Mapping(Result<Mapping, Unknown>),
    /// Whom the NATs and firewalls let in, or why that is not known.
    Filtering(Result<Filtering, Unknown>),
    /// Whether the NAT turns packets round, or why that is not known.
    Hairpinning(Result<Hairpinning, Unknown>),
    /// That was all: nothing will be sent any more.
    Finished,
}

/// A datagram that was written into the caller's buffer and wants to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// From which base to where.
    pub path: Path,
    /// How many bytes of the buffer it takes.
    pub len: usize,
}

impl Discovery {
    /// Room that [`poll_transmit`](Self::poll_transmit) needs in its buffer.
    pub const MIN_BUFFER: usize = Request::MAX_LEN;

    /// A discovery that begins at once.
    ///
    /// # Errors
    /// If no socket or no server can be at an address of the configuration, or they do not go together.
    pub fn new(config: Config, seed: Seed, now: Instant) -> Result<Self, InvalidConfig> {
        config.check()?;
        let mut discovery = Self {
            config,
            rng: Rng::new(seed),
            timeline: Timeline::new(now),
            open: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            outbox: VecDeque::new(),
            mapping: None,
            filtering: None,
            hairpinning: None,
            events: VecDeque::new(),
            counters: Counters::default(),
        };
        discovery.conclude(now);
        Ok(discovery)
    }

    /// A datagram has come to a base, which is `path.local`. What has nothing to do with this is counted.
    pub fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        let now = self.timeline.advance(now);
        match Message::parse(datagram) {
            Ok(message) if !message.has_fingerprint() || message.has_valid_fingerprint() => {
                self.handle_message(path, &message);
            }
            _ => self.counters.malformed += 1,
        }
        self.conclude(now);
    }

    /// Time has passed: call it when [`poll_timeout`](Self::poll_timeout) says, or at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.timeline.advance(now);
        let mut failed = Vec::new();
        for (ask, open) in &mut self.open {
            match open.timer.handle_timeout(now) {
                Due::Nothing => {}
                Due::Again => self.outbox.push_back(*ask),
                Due::Failed => failed.push(*ask),
            }
        }
        for ask in failed {
            self.end(ask, Outcome::Unanswered);
        }
        self.conclude(now);
    }

    /// Writes what is to be sent next into `buf`, which should have [`MIN_BUFFER`](Self::MIN_BUFFER) bytes. What does
    /// not fit counts as lost on the way.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        while let Some(ask) = self.outbox.pop_front() {
            // Answered before it was sent again, or not needed any more.
            let Some(Open { id, request, .. }) = self.open.get(&ask) else { continue };
            if let Ok(len) = request.write(*id, buf) {
                let path = Path { protocol: Protocol::Udp, local: request.local, remote: request.remote };
                return Some(Transmit { path, len });
            }
        }
        None
    }

    /// What has become known next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; none when it is finished.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = self.open.values().map(|open| open.timer.poll_timeout()).min()?;
        Some(self.timeline.to_callers(next))
    }

    /// On what the outside address depends, or why that is not known; none while it is being found out.
    #[must_use]
    pub fn mapping(&self) -> Option<Result<Mapping, &Unknown>> {
        self.mapping.as_ref().map(|found| found.as_ref().copied())
    }

    /// Whom the NATs and firewalls let in, or why that is not known; none while it is being found out.
    #[must_use]
    pub fn filtering(&self) -> Option<Result<Filtering, &Unknown>> {
        self.filtering.as_ref().map(|found| found.as_ref().copied())
    }

    /// Whether the NAT turns packets round, or why that is not known; none while it is being found out.
    #[must_use]
    pub fn hairpinning(&self) -> Option<Result<Hairpinning, &Unknown>> {
        self.hairpinning.as_ref().map(|found| found.as_ref().copied())
    }

    /// Where the base was seen so far, by whom.
    #[must_use]
    pub fn observations(&self) -> Vec<Observation> {
        Reasoning::new(&self.config, &self.outcomes).observations()
    }

    /// Whether all is known that can be, so that nothing will happen any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.mapping.is_some() && self.filtering.is_some() && self.hairpinning.is_some()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn handle_message(&mut self, path: Path, message: &Message<'_>) {
        let id = message.transaction_id();
        let Some((&ask, Open { request, .. })) = self.open.iter().find(|(_, open)| open.id == id) else {
            self.counters.unexpected += 1;
            return;
        };
        match outcome(request, path, message) {
            Some(outcome) => self.end(ask, outcome),
            None => self.counters.misplaced += 1,
        }
    }

    fn end(&mut self, ask: Ask, outcome: Outcome) {
        self.open.remove(&ask);
        self.outcomes.insert(ask, outcome);
    }

    /// Concludes what can be, asks what is needed for the rest, and stops asking what is not.
    fn conclude(&mut self, now: Instant) {
        if self.is_finished() {
            return;
        }
        let mut reasoning = Reasoning::new(&self.config, &self.outcomes);
        if self.mapping.is_none() {
            self.mapping = reasoning.mapping();
            self.events.extend(self.mapping.clone().map(Event::Mapping));
        }
        if self.filtering.is_none() {
            self.filtering = reasoning.filtering();
            self.events.extend(self.filtering.clone().map(Event::Filtering));
        }
        if self.hairpinning.is_none() {
            self.hairpinning = reasoning.hairpinning();
            self.events.extend(self.hairpinning.clone().map(Event::Hairpinning));
        }
        let needs = reasoning.into_needs();
        self.open.retain(|ask, _| needs.contains_key(ask));
        for (ask, request) in needs {
            self.open.entry(ask).or_insert_with(|| {
                self.outbox.push_back(ask);
                let timer = Retransmission::new(self.config.retransmission, now);
                Open { id: TransactionId(self.rng.array()), request, timer }
            });
        }
        if self.is_finished() {
            self.events.push_back(Event::Finished);
        }
    }
}

/// What a message with the transaction id of a request is to it: nothing, if it is not what comes of it.
fn outcome(request: &Request, path: Path, message: &Message<'_>) -> Option<Outcome> {
    let expected = match request.expected {
        Expected::Itself(at) => {
            let is_it = message.class() == Class::Request && is_same(path.local, at);
            return is_it.then_some(Outcome::Arrived { from: path.remote, mapped: None, other: None });
        }
        Expected::Response(expected) => expected,
    };
    let is_expected = is_same(path.remote, expected);
    let is_unchanged = request.change.is_some() && is_same(path.remote, request.remote);
    if message.method() != Method::BINDING || !is_same(path.local, request.local) || !(is_expected || is_unchanged) {
        return None;
    }
    match message.class() {
        Class::Success if is_expected => {
            let (mapped, other) = (AttributeType::XOR_MAPPED_ADDRESS, AttributeType::OTHER_ADDRESS);
            Some(Outcome::Arrived {
                from: path.remote,
                mapped: message.get(mapped).and_then(|value| xor_address(mapped, value, message.transaction_id()).ok()),
                other: message.get(other).and_then(|value| plain_address(other, value).ok()),
            })
        }
        Class::Success => Some(Outcome::Ignored),
        Class::Error => {
            let error = ErrorCode::parse(message.get(AttributeType::ERROR_CODE)?).ok()?;
            Some(Outcome::Refused { code: error.code, reason: error.reason.to_owned() })
        }
        Class::Request | Class::Indication => None,
    }
}
