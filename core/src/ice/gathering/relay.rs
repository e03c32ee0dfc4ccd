//! Relays: what their clients report, and what goes through them.

use std::net::{IpAddr, SocketAddr};

use super::{
    Asks, Attempt, AttemptId, Gathering, GatheringError, Instant, Outcome, Paths, Query, QueryId, ServerOutcome,
    attempt::path_to,
};
use crate::ice::{self, Event};
use crate::path::Transmit;
use crate::turn::{self, Client, Sent};

impl Gathering {
    /// Whether a relayed address is lent to us.
    pub(in crate::ice) fn has_relay(&self, address: SocketAddr) -> bool {
        self.relays.contains_key(&address)
    }

    /// How many bytes go before a datagram from a relayed address to a peer.
    pub(in crate::ice) fn headroom(&self, relay: SocketAddr, peer: SocketAddr, now: Instant) -> usize {
        self.client_of(relay).map_or(0, |client| client.headroom(peer, now))
    }

    /// Wraps a datagram that stands in `buf` behind that many bytes.
    pub(in crate::ice) fn send<T>(
        &mut self,
        (relay, peer): (SocketAddr, SocketAddr),
        buf: &mut [u8],
        (headroom, len): (usize, usize),
        paths: &mut Paths<T>,
        now: Instant,
    ) -> ice::Sent {
        let attempt = self.relays.get(&relay).and_then(|id| Some((*id, self.attempts.get_mut(id)?)));
        let Some((id, Attempt { asks: Asks::Relay(client), path, .. })) = attempt else { return ice::Sent::No };
        let sent = client.send_in_place(peer, buf, headroom, len, now);
        let path = *path;
        if client.wants_transmit() {
            self.touched(id, paths, now);
        }
        match sent {
            Ok(Sent::Now(transmit)) => ice::Sent::Now(Transmit { path, len: transmit.len }),
            Ok(Sent::Later) => ice::Sent::Later,
            Err(_) => ice::Sent::No,
        }
    }

    /// Has a peer permitted to send to a relayed address, and to be sent to.
    pub(in crate::ice) fn permit<T>(&mut self, relay: SocketAddr, peer: IpAddr, paths: &mut Paths<T>, now: Instant) {
        let Some(&id) = self.relays.get(&relay) else { return };
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        match &mut attempt.asks {
            Asks::Relay(client) => {
                // A check of a peer that cannot be permitted fails by itself.
                let _ = client.permit(peer, now);
                self.touched(id, paths, now);
            }
            Asks::Away => self.deferred.push((relay, peer)),
            Asks::Binding(_) => {}
        }
    }

    /// A server is to be asked as who is named now, if that was somebody else.
    pub(super) fn renew<T>(&mut self, place: usize, paths: &mut Paths<T>, now: Instant) {
        let server = self.servers[place].clone();
        let Some(credentials) = server.credentials() else { return };
        let is_other = |query: &Query| query.uri() == server.uri() && query.server != server;
        let named: Vec<QueryId> = self.queries.iter().filter(|(_, query)| is_other(query)).map(|(&id, _)| id).collect();
        for id in named {
            if let Some(query) = self.queries.get_mut(&id) {
                query.server = server.clone();
            }
            for attempt in self.attempts_of(id) {
                if let Some(Attempt { asks: Asks::Relay(client), .. }) = self.attempts.get_mut(&attempt) {
                    client.set_credentials(credentials.clone(), now);
                    self.touched(attempt, paths, now);
                }
            }
            let has_failed = |query: &Query| matches!(query.outcome, ServerOutcome::Failed(_));
            if self.queries.get(&id).is_some_and(has_failed) {
                self.begin_again(id, now);
            }
        }
    }

    pub(super) fn handle_relay_event<T>(
        &mut self,
        id: AttemptId,
        event: turn::Event,
        paths: &mut Paths<T>,
        now: Instant,
    ) {
        match event {
            turn::Event::OpenStream { server, domain } => {
                self.move_to(id, server, paths, now);
                self.open_stream(id, domain, server);
            }
            turn::Event::CloseStream => self.close_stream(id, paths),
            // Of a stream the old one is closed first.
            turn::Event::Redirected { to, .. } if !self.is_stream(id) => self.move_to(id, to, paths, now),
            turn::Event::Allocated(allocated) => self.allocated(id, &allocated, paths, now),
            turn::Event::Failed(failure) => self.not_allocated(id, &failure, paths, now),
            turn::Event::Lost(loss) => self.lost(id, &loss, paths, now),
            turn::Event::PermissionRefused(peer, refusal) => {
                let relays = self.relays.iter().filter(|&(relay, &of)| of == id && relay.is_ipv4() == peer.is_ipv4());
                let refused = relays.map(|(&relay, _)| Outcome::Refused { relay, peer, code: refusal.code });
                self.outcomes.extend(refused);
            }
            turn::Event::CredentialsRefused(refusal) => self.tell(id, refusal.code, refusal.reason),
            turn::Event::Closed => self.drop_attempt(id, paths, now),
            // Data goes on without a channel, and allocations for TCP are not asked for.
            _ => {}
        }
    }

    fn client_of(&self, relay: SocketAddr) -> Option<&Client> {
        match &self.attempts.get(self.relays.get(&relay)?)?.asks {
            Asks::Relay(client) => Some(client),
            Asks::Binding(_) | Asks::Away => None,
        }
    }

    fn is_stream(&self, id: AttemptId) -> bool {
        self.attempts.get(&id).is_some_and(|attempt| attempt.is_stream)
    }

    /// The server is at another address.
    fn move_to<T>(&mut self, id: AttemptId, server: SocketAddr, paths: &mut Paths<T>, now: Instant) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let (local, is_stream) = (attempt.local, attempt.is_stream);
        if let Some(other) = self.asks_already((server, local, is_stream), true, Some(id), paths) {
            // Others have come there before.
            let query = attempt.query;
            self.drop_attempt(id, paths, now);
            return self.leave_to(query, other, now);
        }
        let path = paths.intern(path_to(server, local, is_stream, id));
        self.make_way(path, paths, now);
        self.listen(id, path, paths);
        if let Some(query) = self.queries.get_mut(&self.attempts[&id].query) {
            query.asked = Some(server);
        }
    }

    fn allocated<T>(&mut self, id: AttemptId, allocated: &turn::Allocated, paths: &mut Paths<T>, now: Instant) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let (query_id, local, is_stream) = (attempt.query, attempt.local, attempt.is_stream);
        let Some(server) = paths.get(attempt.path).map(|path| path.remote) else { return };
        let base = self.queries.get(&query_id).and_then(|query| self.base_at(query.base));
        let Some((query, base)) = self.queries.get_mut(&query_id).zip(base).filter(|(query, _)| query.is_open()) else {
            return self.dismiss(id, paths, now);
        };
        let relayed: Vec<SocketAddr> = core::iter::once(allocated.relayed).chain(allocated.additional).collect();
        let is_ours = |relay: &SocketAddr| self.bases.iter().any(|base| base.address == *relay);
        if let Some(taken) = relayed.iter().find(|relay| is_ours(relay) || self.relays.contains_key(relay)) {
            let text = format!("the relayed address {taken} is not the server's to lend");
            query.note(GatheringError { server: Some(server), ..query.error(GatheringError::UNREACHABLE, text) });
            self.dismiss(id, paths, now);
            return self.go_on(query_id, now);
        }
        let (transport, place) = (query.uri().transport, query.place);
        let mapped = allocated.mapped;
        query.answered(server, mapped, relayed.clone(), now);
        let before = query.mapped;
        self.stop_waiting(query_id);
        self.set_query_timer(query_id);
        for other in self.attempts_of(query_id).into_iter().filter(|&other| other != id) {
            self.dismiss(other, paths, now);
        }
        if !is_stream && local == base.address && mapped.is_ipv4() == local.is_ipv4() {
            if let Some(query) = self.queries.get_mut(&query_id) {
                query.mapped = Some(mapped);
            }
            if let Some(address) = before.filter(|before| *before != mapped && !self.is_seen_as(local, *before)) {
                self.outcomes.push_back(Outcome::ReflexiveGone { address, base: local });
            }
            self.outcomes.push_back(Outcome::Reflexive { address: mapped, base, server });
        }
        let server = server.ip();
        for address in relayed {
            self.relays.insert(address, id);
            self.outcomes.push_back(Outcome::Relayed { address, mapped, server, base, transport, place });
        }
    }

    /// Whether a server has last seen a base as this.
    fn is_seen_as(&self, base: SocketAddr, address: SocketAddr) -> bool {
        let on_base = self.attempts.values().filter(|attempt| attempt.local == base && !attempt.is_stream);
        on_base.into_iter().any(|attempt| match &attempt.asks {
            Asks::Binding(binding) => binding.mapped == Some(address),
            Asks::Relay(client) => client.mapped() == Some(address),
            Asks::Away => false,
        })
    }

    fn not_allocated<T>(&mut self, id: AttemptId, failure: &turn::Failure, paths: &mut Paths<T>, now: Instant) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let (query_id, server, is_stream, local) = (attempt.query, attempt.server, attempt.is_stream, attempt.local);
        let is_first = self.queries.get(&query_id).is_some_and(|query| query.socket.is_none() && query.is_open());
        if failure.wants_fresh_port() && is_first && !is_stream {
            // The server has an allocation for this port from a life before (RFC 8656 section 7.4).
            if !self.sockets.values().any(|asked| *asked == query_id) {
                let socket = super::SocketId(self.next_socket);
                self.next_socket = self.next_socket.wrapping_add(1);
                self.sockets.insert(socket, query_id);
                self.outcomes.push_back(Outcome::Tell(Event::OpenSocket { socket, local: local.ip() }));
            }
            if let Some(query) = self.queries.get_mut(&query_id) {
                query.note(query.error(failure.code(), failure.to_string()));
                query.addresses.push_front(server);
            }
            self.stop_waiting(query_id);
            return self.drop_attempt(id, paths, now);
        }
        if failure.code() != GatheringError::UNREACHABLE {
            self.want_less(id);
        }
        self.attempt_failed(id, failure.code(), failure.to_string(), paths, now);
    }

    /// An allocation is no more: another is asked for.
    fn lost<T>(&mut self, id: AttemptId, loss: &turn::Loss, paths: &mut Paths<T>, now: Instant) {
        self.tell(id, GatheringError::UNREACHABLE, format!("the relayed address is lost: {loss}"));
        let Some(attempt) = self.attempts.get(&id) else { return };
        let query_id = attempt.query;
        if let Some(query) = self.queries.get_mut(&query_id) {
            let error = query.error(GatheringError::UNREACHABLE, loss.to_string());
            query.lost(error, now);
        }
        self.rest(query_id, now);
        self.drop_attempt(id, paths, now);
        self.set_query_timer(query_id);
    }

    fn tell(&mut self, id: AttemptId, code: u16, text: String) {
        let Some(query) = self.attempts.get(&id).and_then(|attempt| self.queries.get(&attempt.query)) else { return };
        let error = query.error(code, text);
        self.outcomes.push_back(Outcome::Tell(Event::GatheringError(error)));
    }
}

/// The addresses that a client has been lent.
pub(in crate::ice) fn relays_of(client: &Client) -> [Option<SocketAddr>; 2] {
    [client.relayed(), client.additional()]
}

/// To which of them a peer's datagram has come: that of its family.
pub(in crate::ice) fn relay_towards(relays: [Option<SocketAddr>; 2], peer: SocketAddr) -> Option<SocketAddr> {
    relays.into_iter().flatten().find(|relay| relay.is_ipv4() == peer.is_ipv4())
}
