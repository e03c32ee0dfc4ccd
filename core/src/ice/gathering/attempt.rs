//! One address of a server, asked from one socket.

use std::net::SocketAddr;

use super::{
    Answer, Binding, Client, Duration, Family, Gathering, GatheringError, Incoming, Instant, Message, NEXT_ADDRESS,
    Outcome, Path, PathId, Paths, Protocol, Query, QueryId, RetransmissionConfig, ServerOutcome, Silence, Transport,
    relay_towards, relays_of, turn,
};
use crate::ice::Event;

/// Which attempt; in the order in which they are made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct AttemptId(u32);

impl AttemptId {
    pub(super) const FIRST: Self = Self(0);
    pub(super) const LAST: Self = Self(u32::MAX);

    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) query: QueryId,
    /// The configured address; a TURN server may have sent us on.
    pub(super) server: SocketAddr,
    /// Where it is asked from; over a stream, the base whose interface that leaves by.
    pub(super) local: SocketAddr,
    pub(super) path: PathId,
    pub(super) is_stream: bool,
    /// There is something to send on: a socket, or a stream that is open.
    pub(super) is_open: bool,
    /// What it asks for is not wanted any more.
    pub(super) is_dismissed: bool,
    /// It asks for less than the question did, and says nothing of that.
    pub(super) is_spare: bool,
    pub(super) asks: Asks,
    /// When its timer is set to go off; perhaps too early.
    pub(super) due: Option<Instant>,
}

impl Attempt {
    /// Whether its question waits for what comes of it.
    pub(super) fn is_wanted(&self) -> bool {
        !self.is_dismissed && !self.is_spare
    }
}

#[derive(Debug)]
pub(super) enum Asks {
    /// For our own address.
    Binding(Binding),
    /// For an address of the server's.
    Relay(Box<Client>),
    /// The client is in use.
    Away,
}

impl Gathering {
    /// Asks the next address of a server. Gives whether it was asked.
    pub(super) fn begin_attempt<T>(&mut self, id: QueryId, rto: Duration, paths: &mut Paths<T>, now: Instant) -> bool {
        let Some(query) = self.queries.get_mut(&id) else { return false };
        let (local, transport, relays) = (query.local(), query.uri().transport, query.uri().relays());
        let retransmission = RetransmissionConfig { rto, ..self.retransmission };
        let mut addresses = core::mem::take(&mut query.addresses);
        let (mut next, mut same) = (None, None);
        while let Some(server) = addresses.pop_front() {
            match self.asks_already((server, local, transport.is_stream()), relays, None, paths) {
                Some(other) => same = Some(other),
                None => {
                    next = Some(server);
                    break;
                }
            }
        }
        let Some(server) = next else {
            if let Some(other) = same {
                self.leave_to(id, other, now);
            }
            return false;
        };
        let Some(query) = self.queries.get_mut(&id) else { return false };
        query.addresses = addresses;
        query.asked = Some(server);
        query.began.get_or_insert(now);
        query.next_at = (!query.addresses.is_empty()).then(|| now + NEXT_ADDRESS);
        let asks = match query.server.credentials().filter(|_| relays) {
            Some(credentials) => {
                let config = turn::Config {
                    family: Family::Both,
                    retransmission,
                    stream_patience: self.patience,
                    ..turn::Config::new(server, transport, credentials.clone())
                };
                match Client::new(config, self.rng.array(), now) {
                    Ok(client) => Asks::Relay(Box::new(client)),
                    Err(invalid) => {
                        let error = query.error(GatheringError::UNREACHABLE, invalid.to_string());
                        query.note(error);
                        self.go_on(id, now);
                        return false;
                    }
                }
            }
            None if transport.is_stream() => Asks::Binding(Binding::over_stream(self.patience)),
            None => Asks::Binding(Binding::over_udp(retransmission)),
        };
        self.set_query_timer(id);
        self.make_attempt(id, (server, local), transport.is_stream(), asks, paths, now);
        true
    }

    /// Notes that a server has lent us nothing and may tell our own address at least (RFC 8445 section 5.1.1.2).
    pub(super) fn want_less(&mut self, id: AttemptId) {
        let Some(&Attempt { query, server, local, is_stream, .. }) = self.attempts.get(&id) else { return };
        if !is_stream {
            self.lesser.push_back((query, server, local));
        }
    }

    /// Asks one of these for it. Gives whether it was asked.
    pub(super) fn ask_for_less<T>(&mut self, paths: &mut Paths<T>, now: Instant) -> bool {
        while let Some((query, server, local)) = self.lesser.pop_front() {
            let is_asked = |other: &Attempt| {
                matches!(other.asks, Asks::Binding(_)) && (other.server, other.local) == (server, local)
            };
            let is_named = self.queries.get(&query).is_some_and(|query| self.is_named(query));
            if !is_named || self.base_at(local).is_none() || self.attempts.values().any(is_asked) {
                continue;
            }
            // It has just answered, so it need not be waited for long.
            let rto = self.retransmission.rto;
            let asks = Asks::Binding(Binding::over_udp(RetransmissionConfig { rto, rc: 3, rm: 1 }));
            let made = self.make_attempt(query, (server, local), false, asks, paths, now);
            if let Some(made) = self.attempts.get_mut(&made) {
                made.is_spare = true;
            }
            return true;
        }
        false
    }

    fn make_attempt<T>(
        &mut self,
        query: QueryId,
        (server, local): (SocketAddr, SocketAddr),
        is_stream: bool,
        asks: Asks,
        paths: &mut Paths<T>,
        now: Instant,
    ) -> AttemptId {
        let id = AttemptId(self.next_attempt);
        self.next_attempt += 1;
        let path = paths.intern(path_to(server, local, is_stream, id));
        self.make_way(path, paths, now);
        let made = Attempt {
            query,
            server,
            local,
            path,
            is_stream,
            is_open: !is_stream,
            is_dismissed: false,
            is_spare: false,
            asks,
            due: None,
        };
        self.attempts.insert(id, made);
        self.listen(id, path, paths);
        if let Some(Attempt { asks: Asks::Binding(binding), .. }) = self.attempts.get_mut(&id) {
            if is_stream {
                self.open_stream(id, None, server);
            } else {
                binding.ask(&mut self.rng, now);
            }
        }
        self.touched(id, paths, now);
        id
    }

    /// Gives a message from a path to who listens there.
    pub(super) fn offer<'d, T>(
        &mut self,
        id: AttemptId,
        bytes: &'d [u8],
        from_turn: bool,
        paths: &mut Paths<T>,
        now: Instant,
    ) -> Incoming<'d> {
        let Some(attempt) = self.attempts.get_mut(&id) else { return Incoming::NotOurs };
        match &mut attempt.asks {
            Asks::Binding(binding) if !from_turn => {
                let before = binding.mapped;
                let answer = Message::parse(bytes).ok().and_then(|message| binding.handle_answer(&message, now));
                let Some(answer) = answer else { return Incoming::NotOurs };
                self.answered(id, answer, before, paths, now);
                Incoming::Taken
            }
            Asks::Relay(client) => {
                // Who asks the server for our address, or a peer that is there, may have the same path; and the client
                // asks for none.
                let is_binding = |bytes: &[u8]| bytes.len() > 1 && (bytes[0] & 0x3E, bytes[1] & 0xEF) == (0, 1);
                if !from_turn && is_binding(bytes) {
                    return Incoming::NotOurs;
                }
                let server = client.server();
                match client.handle_datagram(server, bytes, now) {
                    Some(from) => {
                        let (peer, data) = (from.peer, from.data);
                        relay_towards(relays_of(client), peer).map_or(Incoming::Taken, |relay| Incoming::Relayed {
                            relay,
                            peer,
                            data,
                        })
                    }
                    None => {
                        self.touched(id, paths, now);
                        Incoming::Taken
                    }
                }
            }
            Asks::Binding(_) | Asks::Away => Incoming::NotOurs,
        }
    }

    pub(super) fn attempt_timeout<T>(&mut self, id: AttemptId, paths: &mut Paths<T>, now: Instant) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        attempt.due = None;
        match &mut attempt.asks {
            Asks::Binding(binding) => match binding.handle_timeout(self.keeps_mappings, &mut self.rng, now) {
                None => {}
                Some(Silence::FromTheStart) => {
                    let text = "the server does not answer".to_owned();
                    return self.attempt_failed(id, GatheringError::UNREACHABLE, text, paths, now);
                }
                Some(Silence::Since) => self.hand_over(id, now),
            },
            Asks::Relay(client) => client.handle_timeout(now),
            Asks::Away => {}
        }
        self.touched(id, paths, now);
    }

    /// An attempt has come to nothing.
    pub(super) fn attempt_failed<T>(
        &mut self,
        id: AttemptId,
        code: u16,
        text: String,
        paths: &mut Paths<T>,
        now: Instant,
    ) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let (query, server, is_spare) = (attempt.query, attempt.server, attempt.is_spare);
        self.drop_attempt(id, paths, now);
        if is_spare {
            return;
        }
        if let Some(query) = self.queries.get_mut(&query) {
            query.note(GatheringError { server: Some(server), ..query.error(code, text) });
        }
        self.go_on(query, now);
    }

    /// Does what an attempt asks for after it was called.
    pub(super) fn touched<T>(&mut self, id: AttemptId, paths: &mut Paths<T>, now: Instant) {
        while let Some(Attempt { asks: Asks::Relay(client), .. }) = self.attempts.get_mut(&id)
            && let Some(event) = client.poll_event()
        {
            self.handle_relay_event(id, event, paths, now);
        }
        if let Some(attempt) = self.attempts.get(&id) {
            let wants_transmit = match &attempt.asks {
                Asks::Binding(binding) => binding.wants_transmit(),
                Asks::Relay(client) => client.wants_transmit(),
                Asks::Away => false,
            };
            if wants_transmit {
                self.outbox.insert(id);
            }
            self.reschedule(id);
            if let Some(Attempt { asks: Asks::Relay(client), .. }) = self.attempts.get(&id)
                && client.is_over()
            {
                self.drop_attempt(id, paths, now);
            }
        }
    }

    /// Sets an attempt's timer. One that goes off too early costs less than one that is set with each datagram.
    pub(super) fn reschedule(&mut self, id: AttemptId) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        let due = match &attempt.asks {
            Asks::Binding(binding) => binding.poll_timeout(),
            Asks::Relay(client) => client.poll_timeout(),
            Asks::Away => None,
        };
        let is_early = attempt.due.is_some_and(|set| due.is_some_and(|at| set <= at));
        if !is_early && attempt.due != due {
            if let Some(before) = attempt.due {
                self.attempt_due.remove(&(before, id));
            }
            attempt.due = due;
            self.attempt_due.extend(due.map(|at| (at, id)));
        }
    }

    /// Whoever asked has an answer from another address or none in time: what still comes is given back.
    pub(super) fn dismiss<T>(&mut self, id: AttemptId, paths: &mut Paths<T>, now: Instant) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        attempt.is_dismissed = true;
        match &mut attempt.asks {
            Asks::Relay(client) => {
                client.close(now);
                self.touched(id, paths, now);
            }
            Asks::Binding(_) | Asks::Away => self.drop_attempt(id, paths, now),
        }
    }

    /// Forgets an attempt as it is.
    pub(super) fn drop_attempt<T>(&mut self, id: AttemptId, paths: &mut Paths<T>, now: Instant) {
        let has_stream = self.attempts.get(&id).is_some_and(|attempt| attempt.is_stream);
        if has_stream {
            self.close_stream(id, paths);
        }
        self.unlisten(id, paths);
        let Some(attempt) = self.attempts.remove(&id) else { return };
        if let Some(due) = attempt.due {
            self.attempt_due.remove(&(due, id));
        }
        self.outbox.remove(&id);
        let gone: Vec<SocketAddr> =
            self.relays.iter().filter(|&(_, &other)| other == id).map(|(&relay, _)| relay).collect();
        for relay in gone {
            self.relays.remove(&relay);
            self.outcomes.push_back(Outcome::RelayGone(relay));
        }
        let is_lone = !self.attempts.values().any(|other| other.local == attempt.local);
        let mut is_settled = true;
        if let Some(query) = self.queries.get_mut(&attempt.query) {
            query.socket = query.socket.filter(|&socket| socket != attempt.local || !is_lone);
            is_settled = query.is_settled;
        }
        self.release_socket(attempt.local);
        let has_answered = |query: &Query| matches!(query.outcome, ServerOutcome::Answered { .. });
        if !self.queries.get(&attempt.query).is_some_and(has_answered) {
            self.reconsider(id, is_settled, now);
        }
    }

    /// Who asks this server for the same, from there and in the same manner.
    pub(super) fn asks_already<T>(
        &self,
        (server, local, is_stream): (SocketAddr, SocketAddr, bool),
        relays: bool,
        but: Option<AttemptId>,
        paths: &Paths<T>,
    ) -> Option<AttemptId> {
        let is_it = |id: AttemptId, other: &Attempt| {
            let asks_the_same = match &other.asks {
                Asks::Binding(_) => !relays,
                Asks::Relay(_) | Asks::Away => relays,
            };
            let asked = paths.get(other.path).map(|path| path.remote);
            // Streams have ports of their own.
            let is_from_there = if is_stream { other.local.ip() == local.ip() } else { other.local == local };
            let is_same = is_from_there && (asked, other.is_stream) == (Some(server), is_stream);
            Some(id) != but && other.is_wanted() && asks_the_same && is_same
        };
        self.attempts.iter().find(|&(&id, other)| is_it(id, other)).map(|(&id, _)| id)
    }

    /// A question is left to who asks the same.
    pub(super) fn leave_to(&mut self, id: QueryId, other: AttemptId, now: Instant) {
        let is_lone = !self.is_under_way(id);
        let Some(query) = self.queries.get_mut(&id).filter(|query| query.is_open()) else { return };
        if !is_lone || !query.addresses.is_empty() {
            return self.go_on(id, now);
        }
        (query.outcome, query.is_settled, query.same_as) = (ServerOutcome::Redundant, true, Some(other));
        self.set_query_timer(id);
    }

    /// Forgets what still waits on a path for an answer that nobody wants any more, so that the next one hears its own.
    pub(super) fn make_way<T>(&mut self, path: PathId, paths: &mut Paths<T>, now: Instant) {
        let is_over = |id: &AttemptId| self.attempts.get(id).is_some_and(|attempt| attempt.is_dismissed);
        let over: Vec<AttemptId> = self.listeners_on(path).filter(is_over).collect();
        over.into_iter().for_each(|id| self.drop_attempt(id, paths, now));
    }

    pub(super) fn attempts_of(&self, query: QueryId) -> Vec<AttemptId> {
        self.attempts.iter().filter(|(_, attempt)| attempt.query == query).map(|(&id, _)| id).collect()
    }

    /// Has an attempt hear what comes over a path.
    pub(super) fn listen<T>(&mut self, id: AttemptId, path: PathId, paths: &mut Paths<T>) {
        self.unlisten(id, paths);
        paths.hold(path, true);
        self.listeners.insert((path, id));
        if let Some(attempt) = self.attempts.get_mut(&id) {
            attempt.path = path;
        }
    }

    pub(super) fn unlisten<T>(&mut self, id: AttemptId, paths: &mut Paths<T>) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let path = attempt.path;
        if self.listeners.remove(&(path, id)) && self.listener_on(path, AttemptId::FIRST).is_none() {
            paths.hold(path, false);
        }
    }

    /// Has the driver open the stream of an attempt. `domain` is a name that the server's certificate must have in place
    /// of the configured one.
    pub(super) fn open_stream(&mut self, id: AttemptId, domain: Option<String>, server: SocketAddr) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let Some(query) = self.queries.get(&attempt.query) else { return };
        let is_secure = query.uri().transport == Transport::Tls;
        let tls = is_secure.then(|| domain.unwrap_or_else(|| query.uri().host.to_string()));
        let local = SocketAddr::new(attempt.local.ip(), 0);
        let open = Event::OpenStream { path: attempt.path, local, remote: server, tls };
        self.outcomes.push_back(Outcome::Tell(open));
    }

    /// Has the driver close it, if it was told to open it.
    pub(super) fn close_stream<T>(&mut self, id: AttemptId, paths: &mut Paths<T>) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        attempt.is_open = false;
        let path = attempt.path;
        if self.listeners.contains(&(path, id)) {
            self.unlisten(id, paths);
            self.outcomes.push_back(Outcome::Tell(Event::CloseStream { path }));
        }
    }

    /// A STUN server has answered.
    fn answered<T>(
        &mut self,
        id: AttemptId,
        answer: Answer,
        before: Option<SocketAddr>,
        paths: &mut Paths<T>,
        now: Instant,
    ) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let (query, local, server, is_stream) = (attempt.query, attempt.local, attempt.server, attempt.is_stream);
        match answer {
            // Behind a NAT64 it is of the other family.
            Answer::Mapped(mapped) => {
                if !attempt.is_spare {
                    self.take_mapped(query, id, mapped, now);
                    for other in self.attempts_of(query).into_iter().filter(|&other| other != id) {
                        self.dismiss(other, paths, now);
                    }
                }
                if is_stream {
                    // All is said, and a stream's address is of no use for datagrams.
                    return self.drop_attempt(id, paths, now);
                }
                if before != Some(mapped)
                    && let Some(base) = self.base_at(local)
                {
                    if let Some(Attempt { asks: Asks::Binding(binding), .. }) = self.attempts.get_mut(&id) {
                        binding.is_needed = false;
                    }
                    let gone = before.map(|address| Outcome::ReflexiveGone { address, base: local });
                    self.outcomes.extend(gone);
                    self.outcomes.push_back(Outcome::Reflexive { address: mapped, base, server });
                }
                self.touched(id, paths, now);
            }
            Answer::Nothing if before.is_none() => {
                let text = "the answer has no address that we could have".to_owned();
                self.attempt_failed(id, GatheringError::UNREACHABLE, text, paths, now);
            }
            Answer::Refused { code, reason } if before.is_none() => self.attempt_failed(id, code, reason, paths, now),
            Answer::Nothing | Answer::Refused { .. } => self.touched(id, paths, now),
        }
    }

    fn take_mapped(&mut self, query: QueryId, id: AttemptId, mapped: SocketAddr, now: Instant) {
        let Some(server) = self.attempts.get(&id).map(|attempt| attempt.server) else { return };
        let Some(asked) = self.queries.get_mut(&query) else { return };
        asked.answered(server, mapped, Vec::new(), now);
        self.stop_waiting(query);
        self.set_query_timer(query);
    }

    /// A reflexive candidate lives by what a server has told this base. If no other server looks after that already, this
    /// one does.
    pub(in crate::ice) fn need_mapping(&mut self, base: SocketAddr, mapped: SocketAddr, server: SocketAddr) {
        let mut seen: Vec<(SocketAddr, &mut Binding)> = self.bindings_that_see(base, mapped).collect();
        if seen.iter().all(|(_, binding)| !binding.is_needed) {
            let told = seen.iter_mut().filter(|(told_by, _)| *told_by == server);
            told.for_each(|(_, binding)| binding.is_needed = true);
        }
    }

    /// The server that a mapping is kept with has fallen silent: another one that sees the same takes its place.
    fn hand_over(&mut self, id: AttemptId, now: Instant) {
        let Some(Attempt { asks: Asks::Binding(silent), local, .. }) = self.attempts.get(&id) else { return };
        let (local, mapped) = (*local, silent.mapped);
        if !silent.is_needed || !self.keeps_mappings {
            return;
        }
        let sees = |attempt: &Attempt| {
            attempt.local == local && matches!(&attempt.asks, Asks::Binding(binding) if binding.mapped == mapped)
        };
        let heir = self.attempts.iter_mut().find(|(other, attempt)| **other != id && sees(attempt));
        let Some((&heir, Attempt { asks: Asks::Binding(binding), .. })) = heir else { return };
        binding.is_needed = true;
        binding.resume(&mut self.rng, now);
        if let Some(Attempt { asks: Asks::Binding(silent), .. }) = self.attempts.get_mut(&id) {
            silent.is_needed = false;
        }
        self.outbox.insert(heir);
        self.reschedule(heir);
    }

    /// The servers that have seen a base as this last.
    fn bindings_that_see(
        &mut self,
        base: SocketAddr,
        mapped: SocketAddr,
    ) -> impl Iterator<Item = (SocketAddr, &mut Binding)> {
        let on_base = self.attempts.values_mut().filter(move |attempt| attempt.local == base);
        on_base.filter_map(move |Attempt { server, asks, .. }| match asks {
            Asks::Binding(binding) if binding.mapped == Some(mapped) => Some((*server, binding)),
            _ => None,
        })
    }
}

/// Over a stream the local port is the system's to choose. What stands for it tells streams to one server apart; it is
/// never that of an active candidate.
pub(super) fn path_to(server: SocketAddr, local: SocketAddr, is_stream: bool, id: AttemptId) -> Path {
    const FIRST: u32 = 10;
    if is_stream {
        let port = FIRST + id.0 % (u32::from(u16::MAX) - FIRST);
        Path { protocol: Protocol::Tcp, local: SocketAddr::new(local.ip(), port as u16), remote: server }
    } else {
        Path { protocol: Protocol::Udp, local, remote: server }
    }
}
