//! The client of one allocation.

mod answer;
mod data;
mod redirect;
mod streams;
mod upkeep;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use data::Held;
pub use data::{PeerData, SendError, Sent};
pub use streams::DataTransmit;

use super::frames::Frames;
use super::peers::Peers;
use super::request::{MAX_REQUEST, Purpose, write_keepalive, write_request};
use super::streams::Streams;
use super::terms::Terms;
use super::transaction::Transaction;
use super::{Config, Counters, Event, Failure, InvalidConfig, Loss, Refusal};
use crate::rng::Rng;
use crate::stun::{Authentication, LongTermCredentials, TransactionId};
use crate::time::Timeline;
use crate::{Instant, Seed};

/// One allocation on one server, from the first request to the last.
///
/// After any call that takes `now`, drain [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event)
/// until both give `None`.
#[derive(Debug)]
pub struct Client {
    config: Config,
    rng: Rng,
    timeline: Timeline,
    /// The configured one, or where it has sent us.
    server: SocketAddr,
    /// The name that the server's certificate must have, where a redirection gave one.
    domain: Option<String>,
    /// Where we have been sent from, and when we have last asked there.
    left: Vec<(SocketAddr, Instant)>,
    phase: Phase,
    terms: Terms,
    authentication: Option<Authentication>,
    /// How often the credentials were replaced.
    replaced: u32,
    /// Those that the allocation was made with, if they were replaced since by another user's.
    former: Option<LongTermCredentials>,
    /// The server does not take the credentials: nothing is asked until others are given.
    is_unwelcome: bool,
    transactions: BTreeMap<TransactionId, Transaction>,
    /// Requests that wait until fewer are under way.
    queue: VecDeque<Purpose>,
    peers: Peers,
    held: Held,
    streams: Streams,
    outbox: VecDeque<Outgoing>,
    events: VecDeque<Event>,
    frames: Frames,
    sent_at: Instant,
    heard_at: Instant,
    wake: Option<Instant>,
    counters: Counters,
}

/// How far it is.
#[derive(Debug)]
enum Phase {
    /// The stream is being opened, until this at the latest.
    Opening(Instant),
    /// The server was asked; if it grants an allocation that nobody wants any more, it gets it back.
    Allocating { is_abandoned: bool },
    /// There is an allocation.
    Allocated(Allocation),
    /// It is being given back; nobody is told if nobody has been told of it.
    Releasing { is_told: bool },
    /// That was it.
    Over,
}

#[derive(Debug)]
struct Allocation {
    relayed: SocketAddr,
    additional: Option<SocketAddr>,
    mapped: SocketAddr,
    expires_at: Instant,
    /// None while a request is under way.
    refresh_at: Option<Instant>,
    /// Why the server would not prolong it.
    refusal: Option<Refusal>,
}

impl Allocation {
    fn has_family_of(&self, peer: IpAddr) -> bool {
        let is_same = |relayed: &SocketAddr| relayed.is_ipv4() == peer.is_ipv4();
        is_same(&self.relayed) || self.additional.as_ref().is_some_and(is_same)
    }
}

#[derive(Debug)]
enum Outgoing {
    /// The request of this transaction.
    Request(TransactionId),
    /// A datagram that has waited for its permission.
    Data(Vec<u8>),
    Keepalive,
}

/// What was written into the caller's buffer and wants to be sent to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// The server: over UDP the destination; otherwise the stream to it.
    pub to: SocketAddr,
    /// How many bytes of the buffer it takes.
    pub len: usize,
}

impl Client {
    /// Room that [`poll_transmit`](Self::poll_transmit) needs in its buffer for the client's own messages. For
    /// datagrams that wait for a permission it needs [`SEND_OVERHEAD`](Self::SEND_OVERHEAD) more than these have.
    pub const MIN_BUFFER: usize = MAX_REQUEST;

    /// The most that goes before a datagram: a Send indication's header, an IPv6 address, the header of DATA.
    pub const MAX_HEADROOM: usize = 48;

    /// Room behind a datagram that [`send_in_place`](Self::send_in_place) may need for padding.
    pub const TAILROOM: usize = 3;

    /// How many bytes [`send`](Self::send) adds to a datagram at most, while there is no channel.
    pub const SEND_OVERHEAD: usize = Self::MAX_HEADROOM + Self::TAILROOM;

    /// A client that asks for an allocation at once; over a stream it asks for the stream first.
    ///
    /// # Errors
    /// If no server can be at the address, or SOFTWARE is too long.
    pub fn new(config: Config, seed: Seed, now: Instant) -> Result<Self, InvalidConfig> {
        config.check()?;
        let mut client = Self {
            server: config.server,
            domain: None,
            left: Vec::new(),
            phase: Phase::Over,
            terms: Terms::new(&config),
            rng: Rng::new(seed),
            timeline: Timeline::new(now),
            authentication: None,
            replaced: 0,
            former: None,
            is_unwelcome: false,
            transactions: BTreeMap::new(),
            queue: VecDeque::new(),
            peers: Peers::new(),
            held: Held::default(),
            streams: Streams::default(),
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            frames: Frames::default(),
            sent_at: now,
            heard_at: now,
            wake: None,
            counters: Counters::default(),
            config,
        };
        client.begin(now);
        client.settle(now);
        Ok(client)
    }

    /// The stream that [`Event::OpenStream`] has asked for is open.
    pub fn handle_stream_opened(&mut self, now: Instant) {
        let now = self.timeline.advance(now);
        if let Phase::Opening(_) = self.phase {
            self.phase = Phase::Allocating { is_abandoned: false };
            self.request(Purpose::Allocate, 0, now);
        }
        self.settle(now);
    }

    /// The stream that [`Event::OpenStream`] has asked for could not be opened, or is closed.
    pub fn handle_stream_closed(&mut self, now: Instant) {
        let now = self.timeline.advance(now);
        if self.config.transport.is_stream() {
            match self.phase {
                Phase::Opening(_) => self.end(Event::Failed(Failure::NotOpened)),
                Phase::Allocating { is_abandoned: false } => self.end(Event::Failed(Failure::StreamClosed)),
                Phase::Allocated(_) => self.end(Event::Lost(Loss::StreamClosed)),
                // The server drops the allocation with its stream.
                Phase::Allocating { is_abandoned: true } | Phase::Releasing { is_told: true } => {
                    self.end(Event::Closed);
                }
                Phase::Releasing { is_told: false } => self.over(),
                Phase::Over => {}
            }
        }
        self.settle(now);
    }

    /// Time has passed: call it when [`poll_timeout`](Self::poll_timeout) says, or at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.timeline.advance(now);
        self.settle(now);
    }

    /// Replaces the credentials, for instance short-lived ones that a web service gave: they are used from the next
    /// request on. A server that takes only the user that the allocation was made by (441) is asked as that one.
    pub fn set_credentials(&mut self, credentials: LongTermCredentials, now: Instant) {
        let now = self.timeline.advance(now);
        let before = core::mem::replace(&mut self.config.credentials, credentials);
        let is_allocated = matches!(self.phase, Phase::Allocated(_));
        if is_allocated && self.former.is_none() && before.username() != self.config.credentials.username() {
            self.former = Some(before);
        }
        self.credentials_changed(now);
        self.settle(now);
    }

    /// Asks the server right away whether the allocation is still there, by a refresh: for when nothing comes through it
    /// any more. Does nothing where that is being asked, or there is none.
    pub fn verify(&mut self, now: Instant) {
        let now = self.timeline.advance(now);
        self.refresh_at(now);
        self.settle(now);
    }

    /// Gives the allocation back. [`Event::Closed`] says when the server has confirmed it, or has not answered. Over a
    /// stream [`Event::CloseStream`] comes before it.
    pub fn close(&mut self, now: Instant) {
        let now = self.timeline.advance(now);
        match &mut self.phase {
            Phase::Opening(_) => self.end_with_stream(Event::Closed),
            Phase::Allocating { is_abandoned } => {
                *is_abandoned = true;
                // An unsigned request makes no allocation but on a server that asks nobody for a password; there it
                // expires.
                if self.transactions.values().all(|transaction| transaction.authentication.is_none()) {
                    self.end_with_stream(Event::Closed);
                }
            }
            Phase::Allocated(_) => self.release(true, now),
            Phase::Releasing { .. } | Phase::Over => {}
        }
        self.settle(now);
    }

    /// Writes what is to be sent next into `buf`, which should have [`MIN_BUFFER`](Self::MIN_BUFFER) bytes.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        while let Some(outgoing) = self.outbox.pop_front() {
            let written = match outgoing {
                Outgoing::Request(id) => match self.transactions.get(&id) {
                    Some(transaction) => copy(&transaction.bytes, buf),
                    // Answered before it was sent again.
                    None => continue,
                },
                Outgoing::Data(datagram) => copy(&datagram, buf),
                Outgoing::Keepalive => write_keepalive(buf, TransactionId(self.rng.array())).ok(),
            };
            match written {
                Some(len) => {
                    self.sent_at = self.timeline.now();
                    return Some(Transmit { to: self.server, len });
                }
                None => self.counters.oversized += 1,
            }
        }
        None
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something to write.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// What has happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.phase, Phase::Over) {
            return None;
        }
        let keepalive = self.keepalive_at();
        let renewal = (self.may_ask() && self.peers.is_due()).then(|| self.timeline.now());
        let moment = self.wake.into_iter().chain(keepalive).chain(renewal).min()?;
        Some(self.timeline.to_callers(moment))
    }

    /// The server: the configured one, or where it has sent us.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The relayed address, while there is one; with both families that of IPv4.
    #[must_use]
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.allocation().map(|allocation| allocation.relayed)
    }

    /// The relayed address of IPv6, where both families were asked for and there is one.
    #[must_use]
    pub fn additional(&self) -> Option<SocketAddr> {
        self.allocation()?.additional
    }

    /// Our own address as the server sees it, while there is an allocation.
    #[must_use]
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.allocation().map(|allocation| allocation.mapped)
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn allocation(&self) -> Option<&Allocation> {
        match &self.phase {
            Phase::Allocated(allocation) => Some(allocation),
            _ => None,
        }
    }

    /// Asks the server, or for a stream to it.
    fn begin(&mut self, now: Instant) {
        self.terms = Terms::new(&self.config);
        if self.config.transport.is_stream() {
            self.phase = Phase::Opening(now + self.config.stream_patience);
            self.events.push_back(Event::OpenStream { server: self.server, domain: self.domain.clone() });
        } else {
            self.phase = Phase::Allocating { is_abandoned: false };
            self.request(Purpose::Allocate, 0, now);
        }
    }

    /// Sends a request; `tries` is how often the server has asked to try again.
    fn request(&mut self, purpose: Purpose, tries: u8, now: Instant) {
        self.request_as(self.authentication.clone(), purpose, tries, now);
    }

    /// Sends a request when there are not too many under way.
    fn request_in_turn(&mut self, purpose: Purpose, now: Instant) {
        if self.has_turn() {
            self.request(purpose, 0, now);
        } else {
            self.queue.push_back(purpose);
        }
    }

    fn has_turn(&self) -> bool {
        /// RFC 8489 section 6.2: ten. One is left for the Refresh, which does not wait.
        const MAX_UNDER_WAY: usize = 9;
        self.transactions.len() < MAX_UNDER_WAY
    }

    fn request_as(&mut self, who: Option<Authentication>, purpose: Purpose, tries: u8, now: Instant) {
        let id = TransactionId(self.rng.array());
        let bytes = write_request(purpose, id, &self.config, &self.terms, who.as_ref());
        let mut transaction = Transaction::new(purpose, bytes, &self.config, now);
        transaction.authentication = who;
        transaction.credentials = self.replaced;
        transaction.tries = tries;
        self.transactions.insert(id, transaction);
        match purpose.stream() {
            None => self.outbox.push_back(Outgoing::Request(id)),
            Some(_) => self.streams.outbox.push_back(id),
        }
    }

    fn release(&mut self, is_told: bool, now: Instant) {
        self.close_data_streams();
        self.transactions.clear();
        self.queue.clear();
        self.outbox.clear();
        self.held = Held::default();
        self.phase = Phase::Releasing { is_told };
        self.is_unwelcome = false;
        self.request(Purpose::Release, 0, now);
    }

    fn credentials_changed(&mut self, now: Instant) {
        self.replaced += 1;
        self.authentication = self
            .authentication
            .take()
            .map(|before| Authentication::new(&self.config.credentials, before.challenge().clone()));
        if core::mem::take(&mut self.is_unwelcome)
            && let Phase::Allocated(allocation) = &mut self.phase
        {
            allocation.refresh_at = Some(now);
        }
    }

    /// Whether the server is to be asked for anything new.
    fn may_ask(&self) -> bool {
        matches!(self.phase, Phase::Allocated(_)) && !self.is_unwelcome
    }

    fn keepalive_at(&self) -> Option<Instant> {
        let keepalive = self.config.keepalive.filter(|_| !self.config.transport.is_stream())?;
        self.allocation().map(|_| self.sent_at + keepalive.max(Duration::from_secs(1)))
    }

    fn end_with_stream(&mut self, event: Event) {
        if self.config.transport.is_stream() {
            self.events.push_back(Event::CloseStream);
        }
        self.end(event);
    }

    fn end(&mut self, event: Event) {
        self.over();
        self.events.push_back(event);
    }

    fn over(&mut self) {
        self.close_data_streams();
        self.phase = Phase::Over;
        self.transactions.clear();
        self.queue.clear();
        self.outbox.clear();
        self.held = Held::default();
        self.peers = Peers::new();
        self.frames = Frames::default();
    }
}

fn copy(bytes: &[u8], buf: &mut [u8]) -> Option<usize> {
    buf.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(bytes.len())
}
