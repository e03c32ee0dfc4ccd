//! Gathering: asking STUN servers for server-reflexive candidates and TURN servers for relayed ones (RFC 8445
//! section 5.1.1).
//!
//! [`Gathering`] asks each server from each base. It knows nothing of pairs: it hands what it learns to the agent as an
//! [`Outcome`], and carries what the agent sends from a relayed address and receives there.

mod attempt;
mod binding;
mod names;
mod nat64;
mod query;
mod relay;
mod report;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use attempt::{Asks, Attempt, AttemptId};
use binding::{Answer, Binding, Silence};
use names::Names;
use query::{NEXT_ADDRESS, Query, QueryId, Rank};
pub(super) use relay::{relay_towards, relays_of};

pub use names::ResolveId;
pub use report::{GatheringError, GatheringState, ServerOutcome, ServerReport};

use super::{Event, Server, ServerHost, ServerUri, go_together, scaled_rto};
use crate::nat::{Mapping, Observation};
use crate::path::{Path, PathId, Paths, Protocol};
use crate::rng::{Rng, Seed};
use crate::stun::{Message, RetransmissionConfig};
use crate::time::Instant;
use crate::turn::{self, Client, Family, Transport};

/// How many servers are asked from how many bases: so many questions at the most.
const MAX_QUERIES: usize = 64;

/// How many addresses of one server are asked from one base.
const MAX_ADDRESSES: usize = 4;

/// How long the servers have to hear that we do not need what they lent us any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// All servers and what they were asked.
#[derive(Debug)]
pub(super) struct Gathering {
    patience: Duration,
    retransmission: RetransmissionConfig,
    rng: Rng,
    servers: Vec<Server>,
    /// Those of them of which was told already that they are not asked, or no more.
    unasked: BTreeSet<ServerUri>,
    /// There may be more of these.
    may_be_unasked: bool,
    names: Names,
    bases: Vec<Base>,
    next_query: u32,
    queries: BTreeMap<QueryId, Query>,
    /// Those that have something to ask, in their order.
    waiting: BTreeSet<Rank>,
    /// Servers that are to tell our own address, as they have lent none: for which question, and from where.
    lesser: VecDeque<(QueryId, SocketAddr, SocketAddr)>,
    query_due: BTreeSet<(Instant, QueryId)>,
    next_attempt: u32,
    attempts: BTreeMap<AttemptId, Attempt>,
    attempt_due: BTreeSet<(Instant, AttemptId)>,
    /// Those that may have something to send.
    outbox: BTreeSet<AttemptId>,
    /// Who listens on a path.
    listeners: BTreeSet<(PathId, AttemptId)>,
    /// By relayed address.
    relays: BTreeMap<SocketAddr, AttemptId>,
    next_socket: u32,
    /// Sockets that the driver was asked for.
    sockets: BTreeMap<SocketId, QueryId>,
    /// Those that it has opened.
    opened: BTreeSet<SocketAddr>,
    outcomes: VecDeque<Outcome>,
    /// Peers to be permitted once the client that is being used is back.
    deferred: Vec<(SocketAddr, IpAddr)>,
    keeps_mappings: bool,
    /// The path in use has fallen silent.
    is_doubted: bool,
    leaves_at: Option<Instant>,
}

/// A socket that candidates are gathered from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Base {
    pub(super) address: SocketAddr,
    /// RFC 8445 section 5.1.2.1.
    pub(super) preference: u16,
    /// What it costs to use it.
    pub(super) cost: u16,
    /// The system's number for its interface.
    pub(super) interface: u32,
}

/// A socket that the driver was asked for, in addition to those that it has named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId(u32);

impl SocketId {
    /// The number itself, to cross a language border.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The socket whose number is `n`. A number that was never given out names none.
    #[must_use]
    pub const fn from_u32(n: u32) -> Self {
        Self(n)
    }
}

/// What the agent is to know.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Outcome {
    /// A server has seen the socket at `base` as `address`.
    Reflexive { address: SocketAddr, base: Base, server: SocketAddr },
    /// It sees it as another one now.
    ReflexiveGone { address: SocketAddr, base: SocketAddr },
    /// A server lends us an address.
    Relayed { address: SocketAddr, mapped: SocketAddr, server: IpAddr, base: Base, transport: Transport, place: usize },
    /// And takes it back.
    RelayGone(SocketAddr),
    /// Nothing can be sent from a relayed address to this peer.
    Refused { relay: SocketAddr, peer: IpAddr, code: u16 },
    /// To be told as it is.
    Tell(Event),
}

/// What became of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Incoming<'d> {
    /// It is not from a server, or not for us.
    NotOurs,
    /// It was used, or counted.
    Taken,
    /// A peer has sent it to a relayed address.
    Relayed { relay: SocketAddr, peer: SocketAddr, data: &'d [u8] },
}

impl Gathering {
    pub(super) fn new(patience: Duration, retransmission: RetransmissionConfig) -> Self {
        Self {
            patience,
            retransmission,
            rng: Rng::new([0; 32]),
            servers: Vec::new(),
            unasked: BTreeSet::new(),
            may_be_unasked: false,
            names: Names::default(),
            bases: Vec::new(),
            next_query: 0,
            queries: BTreeMap::new(),
            waiting: BTreeSet::new(),
            lesser: VecDeque::new(),
            query_due: BTreeSet::new(),
            next_attempt: 0,
            attempts: BTreeMap::new(),
            attempt_due: BTreeSet::new(),
            outbox: BTreeSet::new(),
            listeners: BTreeSet::new(),
            relays: BTreeMap::new(),
            next_socket: 0,
            sockets: BTreeMap::new(),
            opened: BTreeSet::new(),
            outcomes: VecDeque::new(),
            deferred: Vec::new(),
            keeps_mappings: true,
            is_doubted: false,
            leaves_at: None,
        }
    }

    /// Takes the servers. One that is known goes on being asked as who is named now; what one that is not named any
    /// more has lent stays until it is lost.
    pub(super) fn set_servers<T>(&mut self, servers: Vec<Server>, seed: Seed, paths: &mut Paths<T>, now: Instant) {
        if self.servers.is_empty() {
            self.rng = Rng::new(seed);
        }
        let mut distinct: Vec<Server> = Vec::with_capacity(servers.len());
        for server in servers {
            if !distinct.iter().any(|known| known.uri() == server.uri()) {
                distinct.push(server);
            }
        }
        self.servers = distinct;
        self.may_be_unasked = true;
        self.unasked.retain(|uri| self.servers.iter().any(|server| server.uri() == uri));
        let has_given_nothing =
            |query: &Query| matches!(query.outcome, ServerOutcome::Failed(_) | ServerOutcome::Redundant);
        let gone = self.queries.iter().filter(|(_, query)| has_given_nothing(query) && !self.is_named(query));
        let gone: Vec<QueryId> = gone.map(|(&id, _)| id).collect();
        gone.into_iter().for_each(|id| self.remove_query(id));
        for place in 0..self.servers.len() {
            self.renew(place, paths, now);
            for base in self.bases.clone() {
                self.ask(place, base, now);
            }
        }
    }

    /// Takes a socket to ask from.
    pub(super) fn add_base(&mut self, base: Base, now: Instant) {
        if self.bases.iter().any(|known| known.address == base.address) {
            return;
        }
        self.bases.push(base);
        self.may_be_unasked = true;
        for place in 0..self.servers.len() {
            self.ask(place, base, now);
        }
    }

    /// A socket is closed: nothing can be sent from there.
    pub(super) fn remove_base<T>(&mut self, address: SocketAddr, paths: &mut Paths<T>, now: Instant) {
        self.bases.retain(|base| base.address != address);
        let gone = self.queries.iter().filter(|(_, query)| query.base == address);
        let gone: Vec<QueryId> = gone.map(|(&id, _)| id).collect();
        let attempts: Vec<AttemptId> = gone.iter().flat_map(|&query| self.attempts_of(query)).collect();
        self.unasked.extend(gone.iter().filter_map(|id| Some(self.queries.get(id)?.uri().clone())));
        gone.into_iter().for_each(|query| self.remove_query(query));
        attempts.into_iter().for_each(|attempt| self.drop_attempt(attempt, paths, now));
    }

    /// The sockets that are asked from.
    pub(super) fn bases(&self) -> &[Base] {
        &self.bases
    }

    /// Whether every server has answered or failed once.
    pub(super) fn is_settled(&self) -> bool {
        self.queries.values().all(|query| query.is_settled)
    }

    /// Whether there is or was anything to gather from servers.
    pub(super) fn is_used(&self) -> bool {
        !(self.servers.is_empty() && self.queries.is_empty() && self.attempts.is_empty() && self.outcomes.is_empty())
    }

    /// The servers that no base reaches, each once; once it is [settled](Self::is_settled), as names have to be resolved.
    pub(super) fn take_unreached(&mut self) -> Vec<GatheringError> {
        if self.bases.is_empty() || !core::mem::take(&mut self.may_be_unasked) {
            return Vec::new();
        }
        let is_unasked =
            |uri: &ServerUri| !self.unasked.contains(uri) && !self.queries.values().any(|query| query.uri() == uri);
        let unreached = self.servers.iter().map(Server::uri).filter(|uri| is_unasked(uri));
        let unreached: Vec<ServerUri> = unreached.cloned().collect();
        self.unasked.extend(unreached.iter().cloned());
        let text = "no socket has an address that the server can be reached from";
        let code = GatheringError::UNREACHABLE;
        let error = |uri| GatheringError { uri, local: None, server: None, code, text: text.to_owned() };
        unreached.into_iter().map(error).collect()
    }

    /// Whether nothing is going on at all, and nothing that comes can be for us.
    pub(super) fn is_idle(&self) -> bool {
        self.attempts.is_empty()
    }

    /// A question that may be asked now.
    pub(super) fn wants_turn(&self) -> bool {
        (!self.waiting.is_empty() || !self.lesser.is_empty()) && self.leaves_at.is_none()
    }

    /// Asks one question, if there is one to ask.
    pub(super) fn take_turn<T>(&mut self, pacing: Duration, paths: &mut Paths<T>, now: Instant) -> bool {
        if self.leaves_at.is_some() {
            return false;
        }
        // RFC 8445 section 14.3.
        let open = self.queries.values().filter(|query| query.is_open()).count();
        let rto = scaled_rto(self.retransmission.rto, pacing, open);
        while let Some(rank) = self.waiting.pop_first() {
            if self.begin_attempt(rank.id(), rto, paths, now) {
                return true;
            }
        }
        self.ask_for_less(paths, now)
    }

    /// The addresses of a name.
    pub(super) fn handle_resolved(&mut self, request: ResolveId, addresses: &[IpAddr], now: Instant) {
        let Some(name) = self.names.answer(request, addresses) else { return };
        let is_named = |query: &Query| query.name() == Some(name.as_str());
        let waits = self.queries.iter().filter(|(_, query)| {
            query.is_open() && query.began.is_none() && query.addresses.is_empty() && is_named(query)
        });
        let waits: Vec<QueryId> = waits.map(|(&id, _)| id).collect();
        for query in waits {
            self.direct(query, now);
        }
    }

    /// The socket that was asked for, or none.
    pub(super) fn handle_socket_opened(&mut self, socket: SocketId, local: Option<SocketAddr>, now: Instant) {
        let close = |local: Option<SocketAddr>| local.map(|local| Outcome::Tell(Event::CloseSocket { local }));
        let Some(id) = self.sockets.remove(&socket) else { return self.outcomes.extend(close(local)) };
        let Some(query) = self.queries.get_mut(&id).filter(|query| query.is_open() && self.leaves_at.is_none()) else {
            return self.outcomes.extend(close(local));
        };
        if local.is_none() {
            let text = "the server knows our address from before, and there is no other port to ask from";
            query.note(query.error(437, text.to_owned()));
            query.addresses.clear();
        }
        query.socket = local;
        self.opened.extend(local);
        self.go_on(id, now);
    }

    /// Lets time pass.
    pub(super) fn handle_timeout<T>(&mut self, paths: &mut Paths<T>, now: Instant) {
        while let Some((_, id)) = self.attempt_due.first().copied().filter(|&(at, _)| at <= now) {
            self.attempt_due.pop_first();
            self.attempt_timeout(id, paths, now);
        }
        while let Some(&(_, id)) = self.query_due.first().filter(|&&(at, _)| at <= now) {
            self.query_timeout(id, paths, now);
        }
        if self.leaves_at.is_some_and(|at| at <= now) {
            self.leaves_at = None;
            let all: Vec<AttemptId> = self.attempts.keys().copied().collect();
            all.into_iter().for_each(|id| self.drop_attempt(id, paths, now));
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let leaves_at = self.leaves_at.filter(|_| !self.attempts.is_empty());
        if self.attempt_due.is_empty() && self.query_due.is_empty() {
            return leaves_at;
        }
        let attempt = self.attempt_due.first().map(|&(at, _)| at);
        let query = self.query_due.first().map(|&(at, _)| at);
        attempt.into_iter().chain(query).chain(leaves_at).min()
    }

    pub(super) fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// Writes what a server is to be sent next: on which path, and its length.
    pub(super) fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<(PathId, usize)> {
        while let Some(&id) = self.outbox.first() {
            let Some(attempt) = self.attempts.get_mut(&id) else {
                self.outbox.remove(&id);
                continue;
            };
            let written = match &mut attempt.asks {
                Asks::Binding(binding) if attempt.is_open => binding.poll_transmit(buf),
                Asks::Binding(_) | Asks::Away => None,
                Asks::Relay(client) => client.poll_transmit(buf).map(|transmit| transmit.len),
            };
            match written {
                Some(len) => return Some((attempt.path, len)),
                None => {
                    self.outbox.remove(&id);
                    self.reschedule(id);
                }
            }
        }
        None
    }

    /// Whether the stream of this path is one to a server.
    pub(super) fn has_stream(&self, path: PathId) -> bool {
        self.listeners_on(path).any(|id| self.attempts.get(&id).is_some_and(|attempt| attempt.is_stream))
    }

    /// Takes a datagram that has come over a path.
    pub(super) fn handle_datagram<'d, T>(
        &mut self,
        path: PathId,
        datagram: &'d [u8],
        paths: &mut Paths<T>,
        now: Instant,
    ) -> Incoming<'d> {
        let from_turn = datagram.first().is_some_and(|first| (0x40..=0x4F).contains(first));
        if !from_turn && !Message::looks_like(datagram) {
            return Incoming::NotOurs;
        }
        let mut next = AttemptId::FIRST;
        while let Some(id) = self.listener_on(path, next) {
            next = id.next();
            let incoming = self.offer(id, datagram, from_turn, paths, now);
            if incoming != Incoming::NotOurs {
                return incoming;
            }
        }
        Incoming::NotOurs
    }

    /// A stream that was asked for is open.
    pub(super) fn handle_stream_opened<T>(&mut self, path: PathId, paths: &mut Paths<T>, now: Instant) {
        let Some(id) = self.listener_on(path, AttemptId::FIRST) else { return };
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        attempt.is_open = true;
        match &mut attempt.asks {
            Asks::Binding(binding) => binding.ask(&mut self.rng, now),
            Asks::Relay(client) => client.handle_stream_opened(now),
            Asks::Away => {}
        }
        self.touched(id, paths, now);
    }

    /// A stream is closed, was broken, or could not be opened.
    pub(super) fn handle_stream_closed<T>(&mut self, path: PathId, paths: &mut Paths<T>, now: Instant) {
        let Some(id) = self.listener_on(path, AttemptId::FIRST) else { return };
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        match &mut attempt.asks {
            Asks::Binding(_) => {
                let was_open = attempt.is_open;
                self.unlisten(id, paths);
                let text = if was_open {
                    "the stream to the server was closed"
                } else {
                    "the stream to the server could not be opened"
                };
                self.attempt_failed(id, GatheringError::UNREACHABLE, text.to_owned(), paths, now);
            }
            Asks::Relay(client) => {
                client.handle_stream_closed(now);
                self.unlisten(id, paths);
                self.touched(id, paths, now);
            }
            Asks::Away => {}
        }
    }

    /// Takes bytes of a server's stream. If they are a TURN client's, that is lent out to read them, until it is
    /// [given back](Self::restore).
    pub(super) fn handle_stream_data<T>(
        &mut self,
        path: PathId,
        bytes: &[u8],
        paths: &mut Paths<T>,
        now: Instant,
    ) -> Option<Stream> {
        let id = self.listener_on(path, AttemptId::FIRST)?;
        let attempt = self.attempts.get_mut(&id)?;
        match &mut attempt.asks {
            Asks::Binding(binding) => {
                let mut frames = binding.frames.take().unwrap_or_default();
                let mut rest = bytes;
                loop {
                    match frames.advance(rest) {
                        Ok((taken, Some(frame))) => {
                            rest = &rest[taken..];
                            self.offer(id, frame, false, paths, now);
                        }
                        Ok((_, None)) => break,
                        Err(_) => {
                            let text = "what the server sends is not STUN".to_owned();
                            self.attempt_failed(id, GatheringError::UNREACHABLE, text, paths, now);
                            break;
                        }
                    }
                }
                if let Some(Attempt { asks: Asks::Binding(binding), .. }) = self.attempts.get_mut(&id) {
                    binding.frames = Some(frames);
                }
                None
            }
            asks @ Asks::Relay(_) => match core::mem::replace(asks, Asks::Away) {
                Asks::Relay(client) => Some(Stream { attempt: id, client }),
                _ => None,
            },
            Asks::Away => None,
        }
    }

    /// Takes back the client of a stream whose bytes it has seen.
    pub(super) fn restore<T>(&mut self, stream: Stream, paths: &mut Paths<T>, now: Instant) {
        let Stream { attempt: id, client } = stream;
        if let Some(attempt) = self.attempts.get_mut(&id) {
            attempt.asks = Asks::Relay(client);
            self.touched(id, paths, now);
        }
        for (relay, peer) in core::mem::take(&mut self.deferred) {
            self.permit(relay, peer, paths, now);
        }
    }

    /// Whether the mappings of NATs are kept: as long as something may come of the candidates that live by them.
    pub(super) fn keep_mappings(&mut self, keeps: bool) {
        self.keeps_mappings = keeps;
    }

    /// Says whether the path in use is silent. If it has fallen silent, servers are asked whether what they lend is still
    /// there: otherwise that would come out with the next refresh, minutes later.
    pub(super) fn doubt<T>(&mut self, is_doubted: bool, paths: &mut Paths<T>, now: Instant) {
        let was_doubted = core::mem::replace(&mut self.is_doubted, is_doubted);
        if !is_doubted || was_doubted || self.leaves_at.is_some() {
            return;
        }
        let ids: Vec<AttemptId> = self.attempts.keys().copied().collect();
        for id in ids {
            if let Some(Attempt { asks: Asks::Relay(client), .. }) = self.attempts.get_mut(&id) {
                client.verify(now);
                self.touched(id, paths, now);
            }
        }
    }

    /// ICE begins again: what has failed is tried once more, and mappings that were let go are looked at.
    pub(super) fn restart(&mut self, now: Instant) {
        let has_failed = |query: &Query| matches!(query.outcome, ServerOutcome::Failed(_));
        let failed = self.queries.iter().filter(|(_, query)| has_failed(query) && self.is_named(query));
        let failed: Vec<QueryId> = failed.map(|(&id, _)| id).collect();
        failed.into_iter().for_each(|id| self.begin_again(id, now));
        let ids: Vec<AttemptId> = self.attempts.keys().copied().collect();
        for id in ids {
            let Some(Attempt { asks: Asks::Binding(binding), .. }) = self.attempts.get_mut(&id) else { continue };
            binding.resume(&mut self.rng, now);
            self.outbox.insert(id);
            self.reschedule(id);
        }
    }

    /// Gives everything back.
    pub(super) fn close<T>(&mut self, paths: &mut Paths<T>, now: Instant) {
        if self.leaves_at.is_some() {
            return;
        }
        self.servers.clear();
        self.bases.clear();
        self.names.clear();
        self.sockets.clear();
        let queries: Vec<QueryId> = self.queries.keys().copied().collect();
        let ids: Vec<AttemptId> = self.attempts.keys().copied().collect();
        queries.into_iter().for_each(|id| self.remove_query(id));
        ids.into_iter().for_each(|id| self.dismiss(id, paths, now));
        self.leaves_at = (!self.attempts.is_empty()).then(|| now + FAREWELL);
    }

    /// What became of each question.
    pub(super) fn reports(&self) -> impl Iterator<Item = ServerReport> + '_ {
        self.queries.values().map(|query| ServerReport {
            uri: query.uri().clone(),
            local: query.local(),
            server: query.asked,
            outcome: query.outcome.clone(),
        })
    }

    /// What the answers tell of the NATs before a base.
    pub(super) fn mapping(&self, base: SocketAddr) -> Option<Mapping> {
        let seen = self.attempts.values().filter(|attempt| attempt.local == base && !attempt.is_stream);
        let seen = seen.filter_map(|attempt| match &attempt.asks {
            Asks::Binding(binding) => Some(Observation { server: attempt.server, mapped: binding.mapped? }),
            Asks::Relay(client) => Some(Observation { server: client.server(), mapped: client.mapped()? }),
            Asks::Away => None,
        });
        Mapping::observed(base, &seen.collect::<Vec<_>>())
    }

    /// Makes a question of a server and a base, if there is none yet.
    fn ask(&mut self, place: usize, base: Base, now: Instant) {
        let server = self.servers[place].clone();
        if self.queries.values().any(|query| (query.uri(), query.base) == (server.uri(), base.address)) {
            return;
        }
        match server.uri().host {
            ServerHost::Address(address) if go_together(base.address.ip(), address) => {}
            ServerHost::Address(IpAddr::V4(_)) if self.may_translate(base.address.ip()) => {}
            ServerHost::Address(_) => return,
            ServerHost::Name(_) => {}
        }
        if self.queries.len() >= MAX_QUERIES {
            let uri = server.uri().clone();
            self.unasked.insert(uri.clone());
            let text = format!("{MAX_QUERIES} questions are asked already, as many as are allowed");
            let code = GatheringError::UNREACHABLE;
            let error = GatheringError { uri, local: Some(base.address), server: None, code, text };
            return self.outcomes.push_back(Outcome::Tell(Event::GatheringError(error)));
        }
        let id = QueryId(self.next_query);
        self.next_query = self.next_query.wrapping_add(1);
        let query = Query::new(server, place, base.address, base.preference, now + self.patience);
        self.queries.insert(id, query);
        self.direct(id, now);
    }

    /// Gives a question its addresses, or has the name of its server resolved.
    fn direct(&mut self, id: QueryId, now: Instant) {
        let Some(query) = self.queries.get(&id) else { return };
        let (base, port) = (query.base, query.uri().port.get());
        let name = match query.name() {
            Some(name) => match self.names.get(name) {
                Some(addresses) => Some(addresses),
                None => {
                    let name = name.to_owned();
                    return self.resolve(id, name);
                }
            },
            None => None,
        };
        let (addresses, is_unknown) = match (&query.uri().host, name) {
            (ServerHost::Address(IpAddr::V4(server)), Some(resolved)) => (nat64::synthesise(resolved, *server), false),
            (ServerHost::Address(address), _) => (vec![*address], false),
            (ServerHost::Name(_), resolved) => {
                let resolved = resolved.unwrap_or_default();
                (resolved.to_vec(), resolved.is_empty())
            }
        };
        let fitting = addresses.iter().filter(|address| is_server(**address) && go_together(base.ip(), **address));
        let fitting: VecDeque<SocketAddr> =
            fitting.take(MAX_ADDRESSES).map(|&address| SocketAddr::new(address, port)).collect();
        if is_unknown {
            self.query_failed(id, "the name of the server has no address", now);
        } else if fitting.is_empty() && self.queries[&id].again == 0 {
            // It cannot be asked from here, and perhaps from another base.
            self.remove_query(id);
        } else if let Some(query) = self.queries.get_mut(&id) {
            query.addresses = fitting;
            self.go_on(id, now);
        }
    }

    /// Has a name resolved that a question waits for.
    fn resolve(&mut self, id: QueryId, name: String) {
        if let Some(request) = self.names.ask(&name) {
            self.outcomes.push_back(Outcome::Tell(Event::Resolve { request, name }));
        }
        self.set_query_timer(id);
    }

    /// Whether a server of IPv4 may be reached from a base all the same: the machine seems to have IPv6 alone, and then
    /// there may be a NAT64.
    fn may_translate(&self, base: IpAddr) -> bool {
        let is_global = matches!(base, IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unicast_link_local());
        is_global && !self.bases.iter().any(|base| base.address.is_ipv4())
    }

    /// Has the next address of a server asked, or ends the question if there is none and nothing is under way.
    fn go_on(&mut self, id: QueryId, now: Instant) {
        let Some(query) = self.queries.get_mut(&id).filter(|query| query.is_open()) else { return };
        query.next_at = None;
        if self.sockets.values().any(|asked| *asked == id) {
            // It is asked from there.
        } else if !query.addresses.is_empty() {
            let rank = query.rank(id);
            self.waiting.insert(rank);
        } else if !self.is_under_way(id) {
            self.end_query(id, now);
        }
        self.set_query_timer(id);
    }

    fn query_failed(&mut self, id: QueryId, text: &str, now: Instant) {
        if let Some(query) = self.queries.get_mut(&id) {
            query.note(query.error(GatheringError::UNREACHABLE, text.to_owned()));
        }
        self.end_query(id, now);
        self.set_query_timer(id);
    }

    /// Nothing more is to be expected of a question, for now.
    fn end_query(&mut self, id: QueryId, now: Instant) {
        self.stop_waiting(id);
        let Some(query) = self.queries.get_mut(&id) else { return };
        let is_told = query.fail();
        let socket = query.socket.take();
        self.outcomes.extend(is_told.map(|error| Outcome::Tell(Event::GatheringError(error))));
        self.rest(id, now);
        if let Some(local) = socket {
            self.release_socket(local);
        }
    }

    /// What was lost is asked for again after a while, unless the server was taken out.
    fn rest(&mut self, id: QueryId, now: Instant) {
        let is_named = self.queries.get(&id).is_some_and(|query| self.is_named(query));
        if let Some(query) = self.queries.get_mut(&id).filter(|query| is_named && query.is_replaced) {
            query.rest(now);
        }
    }

    fn query_timeout<T>(&mut self, id: QueryId, paths: &mut Paths<T>, now: Instant) {
        let Some(query) = self.queries.get_mut(&id) else {
            self.query_due.retain(|&(_, other)| other != id);
            return;
        };
        if !query.is_open() {
            if query.again_at.is_some_and(|at| at <= now) {
                self.reopen(id, now);
            }
        } else if query.give_up_at <= now {
            let text = match (query.asked, query.name()) {
                (Some(_), _) => "the server has not answered in time",
                (None, Some(_)) if query.addresses.is_empty() => "the name of the server was not resolved in time",
                (None, _) => "there was no turn to ask the server in time",
            };
            query.note(query.error(GatheringError::UNREACHABLE, text.to_owned()));
            self.end_query(id, now);
            for attempt in self.attempts_of(id) {
                self.dismiss(attempt, paths, now);
            }
        } else if query.next_at.is_some_and(|at| at <= now) {
            self.go_on(id, now);
        }
        self.set_query_timer(id);
    }

    /// Tries a question again from the start.
    fn reopen(&mut self, id: QueryId, now: Instant) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        query.reopen(now + self.patience);
        match query.name().map(str::to_owned) {
            // It may have moved.
            Some(name) => self.resolve(id, name),
            None => self.direct(id, now),
        }
    }

    /// Tries a question again as if it had not been asked before.
    fn begin_again(&mut self, id: QueryId, now: Instant) {
        if let Some(query) = self.queries.get_mut(&id) {
            (query.again, query.is_replaced, query.is_settled) = (0, false, false);
        }
        self.reopen(id, now);
    }

    /// Asks what was not asked because this attempt was under way.
    fn reconsider(&mut self, over: AttemptId, is_settled: bool, now: Instant) {
        let is_meant = |query: &Query| query.outcome == ServerOutcome::Redundant && query.same_as == Some(over);
        let meant = self.queries.iter().filter(|(_, query)| is_meant(query) && self.is_named(query));
        let meant: Vec<QueryId> = meant.map(|(&id, _)| id).collect();
        for id in meant {
            if let Some(query) = self.queries.get_mut(&id) {
                // While the first answers are awaited, there is no more time than there was.
                let give_up_at = if is_settled { now + self.patience } else { query.give_up_at };
                query.reopen(give_up_at);
                query.is_settled = is_settled;
            }
            self.direct(id, now);
        }
    }

    /// Whether the server of a question is one of those that are to be asked.
    fn is_named(&self, query: &Query) -> bool {
        self.servers.iter().any(|server| server.uri() == query.uri())
    }

    fn is_under_way(&self, id: QueryId) -> bool {
        self.attempts.values().any(|attempt| attempt.query == id && attempt.is_wanted())
    }

    /// Takes a question out of those that have something to ask.
    fn stop_waiting(&mut self, id: QueryId) {
        if let Some(query) = self.queries.get(&id) {
            self.waiting.remove(&query.rank(id));
        }
    }

    fn set_query_timer(&mut self, id: QueryId) {
        let due = self.queries.get(&id).and_then(Query::due);
        self.query_due.retain(|&(_, other)| other != id);
        self.query_due.extend(due.map(|at| (at, id)));
    }

    fn remove_query(&mut self, id: QueryId) {
        self.stop_waiting(id);
        if let Some(query) = self.queries.remove(&id) {
            self.may_be_unasked = true;
            self.query_due.retain(|&(_, other)| other != id);
            self.sockets.retain(|_, asked| *asked != id);
            if let Some(local) = query.socket {
                self.release_socket(local);
            }
        }
    }

    /// Has a socket closed that the driver has opened for us, once nothing needs it.
    fn release_socket(&mut self, local: SocketAddr) {
        let is_needed = self.queries.values().any(|query| query.socket == Some(local))
            || self.attempts.values().any(|attempt| attempt.local == local);
        if !is_needed && self.opened.remove(&local) {
            self.outcomes.push_back(Outcome::Tell(Event::CloseSocket { local }));
        }
    }

    fn base_at(&self, address: SocketAddr) -> Option<Base> {
        self.bases.iter().copied().find(|base| base.address == address)
    }

    fn listener_on(&self, path: PathId, from: AttemptId) -> Option<AttemptId> {
        let next = self.listeners.range((path, from)..=(path, AttemptId::LAST)).next();
        next.map(|&(_, id)| id)
    }

    fn listeners_on(&self, path: PathId) -> impl Iterator<Item = AttemptId> + '_ {
        self.listeners.range((path, AttemptId::FIRST)..=(path, AttemptId::LAST)).map(|&(_, id)| id)
    }
}

/// A client that was lent out to read its stream.
#[derive(Debug)]
pub(super) struct Stream {
    attempt: AttemptId,
    pub(super) client: Box<Client>,
}

/// Whether a server can be at this address, as a name's owner may say anything.
fn is_server(ip: IpAddr) -> bool {
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || is_broadcast)
}
