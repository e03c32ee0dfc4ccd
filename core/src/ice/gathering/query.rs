//! One server, asked from one base.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

use super::nat64::IPV4_ONLY;
use super::{AttemptId, GatheringError, ServerOutcome};
use crate::ice::{Server, ServerHost, ServerUri};
use crate::time::Instant;
use crate::turn::Transport;

/// How long one address of a server may keep silent before the next one is asked as well: what RFC 8305 section 5 calls
/// the connection attempt delay, longer here, as an allocation takes two round trips.
pub(super) const NEXT_ADDRESS: Duration = Duration::from_millis(500);

/// The longest time between two tries to replace what a server has lost.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Which query; in the order in which they are made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct QueryId(pub(super) u32);

/// The order in which queries begin: those for our own address first, as they cost the least; then relays, the quicker
/// transports before the slower; among these the better bases, and the servers in the order in which they were given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    tier: u8,
    below_best: u16,
    place: usize,
    id: QueryId,
}

impl Rank {
    pub(super) fn id(self) -> QueryId {
        self.id
    }
}

#[derive(Debug)]
pub(super) struct Query {
    pub(super) server: Server,
    /// Its place in the list of servers.
    pub(super) place: usize,
    pub(super) base: SocketAddr,
    /// The local preference of the base.
    pub(super) preference: u16,
    /// Addresses of the server that were not asked yet.
    pub(super) addresses: VecDeque<SocketAddr>,
    /// The one that was asked last, or has answered.
    pub(super) asked: Option<SocketAddr>,
    pub(super) began: Option<Instant>,
    /// When it is over without an answer.
    pub(super) give_up_at: Instant,
    /// When the next address is asked even though the last one has not failed.
    pub(super) next_at: Option<Instant>,
    /// When to try to replace what was lost.
    pub(super) again_at: Option<Instant>,
    /// How often that was tried.
    pub(super) again: u32,
    /// What it gave was lost since: it is to be replaced, and that it cannot be is not said each time.
    pub(super) is_replaced: bool,
    /// When it gave something.
    pub(super) answered_at: Option<Instant>,
    /// As what a TURN server has seen the base.
    pub(super) mapped: Option<SocketAddr>,
    /// What asks the same already.
    pub(super) same_as: Option<AttemptId>,
    /// Another socket than the base's to ask from: the server knows that one's address from before (437).
    pub(super) socket: Option<SocketAddr>,
    /// It was answered or has failed once: what comes later does not hold up the gathering.
    pub(super) is_settled: bool,
    /// The most telling failure so far.
    failure: Option<GatheringError>,
    pub(super) outcome: ServerOutcome,
}

impl Query {
    pub(super) fn new(server: Server, place: usize, base: SocketAddr, preference: u16, give_up_at: Instant) -> Self {
        Self {
            server,
            place,
            base,
            preference,
            addresses: VecDeque::new(),
            asked: None,
            began: None,
            give_up_at,
            next_at: None,
            again_at: None,
            again: 0,
            is_replaced: false,
            answered_at: None,
            mapped: None,
            same_as: None,
            socket: None,
            is_settled: false,
            failure: None,
            outcome: ServerOutcome::Waiting,
        }
    }

    pub(super) fn uri(&self) -> &ServerUri {
        self.server.uri()
    }

    /// The name that is to be resolved before it can be asked.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.uri().host {
            ServerHost::Name(name) => Some(name),
            ServerHost::Address(address) if address.is_ipv4() && self.base.is_ipv6() => Some(IPV4_ONLY),
            ServerHost::Address(_) => None,
        }
    }

    pub(super) fn rank(&self, id: QueryId) -> Rank {
        let tier = match (self.uri().relays(), self.uri().transport) {
            (false, Transport::Udp) => 0,
            (true, Transport::Udp) => 1,
            (true, Transport::Tcp) => 2,
            (true, Transport::Tls) => 3,
            (false, Transport::Tcp | Transport::Tls) => 4,
        };
        Rank { tier, below_best: u16::MAX - self.preference, place: self.place, id }
    }

    /// Whether an answer is still wanted.
    pub(super) fn is_open(&self) -> bool {
        self.outcome == ServerOutcome::Waiting
    }

    /// Where requests are sent from.
    pub(super) fn local(&self) -> SocketAddr {
        self.socket.unwrap_or(self.base)
    }

    /// What its timer is set to.
    pub(super) fn due(&self) -> Option<Instant> {
        let give_up_at = self.is_open().then_some(self.give_up_at);
        give_up_at.into_iter().chain(self.next_at.filter(|_| self.is_open())).chain(self.again_at).min()
    }

    /// Notes a failure. What a server has said tells more than that it was not reached.
    pub(super) fn note(&mut self, error: GatheringError) {
        let is_said = |error: &GatheringError| error.code != GatheringError::UNREACHABLE;
        if self.failure.as_ref().is_none_or(|before| is_said(&error) || !is_said(before)) {
            self.failure = Some(error);
        }
    }

    /// Ends it without an answer, and gives what there is to tell, if that was not told before.
    pub(super) fn fail(&mut self) -> Option<GatheringError> {
        let silent = || self.error(GatheringError::UNREACHABLE, "the server does not answer".to_owned());
        let error = self.failure.clone().unwrap_or_else(silent);
        self.outcome = ServerOutcome::Failed(error.clone());
        self.next_at = None;
        self.is_settled = true;
        (!self.is_replaced).then_some(error)
    }

    /// Tries again, from the start.
    pub(super) fn reopen(&mut self, give_up_at: Instant) {
        self.outcome = ServerOutcome::Waiting;
        self.addresses.clear();
        (self.asked, self.began, self.next_at, self.again_at) = (None, None, None, None);
        self.same_as = None;
        self.give_up_at = give_up_at;
        self.failure = None;
    }

    /// It gave something.
    pub(super) fn answered(&mut self, server: SocketAddr, mapped: SocketAddr, relayed: Vec<SocketAddr>, now: Instant) {
        let after = match &self.outcome {
            ServerOutcome::Answered { after, .. } => *after,
            _ => self.began.map_or_else(Default::default, |began| now - began),
        };
        self.asked = Some(server);
        self.outcome = ServerOutcome::Answered { after, mapped, relayed };
        self.is_settled = true;
        (self.next_at, self.again_at) = (None, None);
        self.answered_at = Some(now);
    }

    /// What it gave is no more.
    pub(super) fn lost(&mut self, error: GatheringError, now: Instant) {
        self.outcome = ServerOutcome::Failed(error);
        self.is_replaced = true;
        // Who gives and takes is not asked all the time.
        if self.answered_at.is_none_or(|at| now >= at + LONGEST_REST) {
            self.again = 0;
        }
    }

    /// Plans the next try to replace what was lost: at once at first, later more and more seldom.
    pub(super) fn rest(&mut self, now: Instant) {
        let rest = match self.again {
            0 => Duration::ZERO,
            n => Duration::from_secs(1 << (n - 1).min(5)).min(LONGEST_REST),
        };
        self.again += 1;
        self.again_at = Some(now + rest);
    }

    pub(super) fn error(&self, code: u16, text: String) -> GatheringError {
        GatheringError { uri: self.uri().clone(), local: Some(self.local()), server: self.asked, code, text }
    }
}
