//! What the agent receives: checks, their responses and application datagrams.

use core::time::Duration;
use std::net::SocketAddr;

use super::send::Outgoing;
use super::{Agent, Occupant};
use crate::ice::binding::{self, Request};
use crate::ice::checks::{Check, Purpose};
use crate::ice::generation::Generation;
use crate::ice::pair::PairKey;
use crate::ice::{Candidate, CandidateKind, Event, Failure, Foundation, LocalCandidate, PairFate, PairState, Role};
use crate::path::{Path, PathId};
use crate::stun::{AttributeType, Class, ErrorCode, Message, Method};
use crate::time::Instant;

/// A check between two hosts is not triggered again sooner than this after it was sent.
const ANSWER_DUE: Duration = Duration::from_millis(50);

/// The priority of a peer whose check does not say one, which the RFC does not allow.
const NO_PRIORITY: u32 = 1;

impl Agent {
    /// Whether it is for the application.
    pub(super) fn receive_application(&mut self, path: PathId, len: usize, now: Instant) -> bool {
        let Some(&Occupant { current, previous }) = self.paths.occupant(path) else {
            let unknown = self.paths.get(path).is_some();
            *(if unknown { &mut self.counters.unknown_source } else { &mut self.counters.stale_path }) += 1;
            return false;
        };
        let number = self.current.number;
        let of_current = current.map(|key| (number, key));
        let of_previous = previous.and_then(|key| Some((self.previous.as_ref()?.number, key)));
        for (generation, key) in of_current.into_iter().chain(of_previous) {
            let Some(list) = self.generation_mut(generation).map(|generation| &mut generation.list) else { continue };
            let pair = list.get_mut(key);
            if pair.heard || pair.valid.is_some() {
                pair.stats.datagrams_received += 1;
                pair.stats.bytes_received += len as u64;
                self.heard(generation, key, true, now);
                return true;
            }
        }
        self.counters.unknown_source += 1;
        false
    }

    pub(super) fn receive_stun(&mut self, path_id: PathId, datagram: &[u8], now: Instant) {
        let Some(path) = self.paths.get(path_id) else {
            self.counters.stale_path += 1;
            return;
        };
        let Ok(message) = Message::parse(datagram) else {
            self.counters.malformed += 1;
            return;
        };
        if message.method() != Method::BINDING {
            self.counters.malformed += 1;
            return;
        }
        // RFC 8445 section 7.1 wants it in every message.
        if !message.has_valid_fingerprint() {
            self.counters.bad_fingerprint += 1;
            return;
        }
        match message.class() {
            Class::Request => self.receive_request(&message, path_id, path, now),
            Class::Success | Class::Error => self.receive_response(&message, path_id, now),
            // A keepalive. It is not authenticated, so it shows nothing.
            Class::Indication => {}
        }
    }

    /// RFC 8445 section 7.3.
    ///
    /// RFC 8489 section 9.1.3 would answer 400 or 401 to who does not prove that it knows our password. It gets
    /// no answer here: a stranger could have us send it to whom he likes.
    fn receive_request(&mut self, message: &Message<'_>, path_id: PathId, path: Path, now: Instant) {
        let Some(request) = Request::read(message) else {
            self.counters.malformed += 1;
            return;
        };
        let asked = request.username.map(|(ufrag, _)| ufrag);
        let of = |generation: &&Generation| asked == Some(generation.credentials.ufrag());
        let generation = core::iter::once(&self.current).chain(&self.previous).find(of);
        let Some(generation) = generation.filter(|generation| message.check_integrity(&generation.key).is_ok()) else {
            self.counters.bad_credentials += 1;
            return;
        };
        let generation = generation.number;
        let id = message.transaction_id();
        let refuse = |error, unknown| Outgoing::Error { generation, path: path_id, id, error, unknown };
        if let Some(kind) = request.unknown {
            self.push(refuse(ErrorCode::UNKNOWN_ATTRIBUTE, Some(kind)));
            return;
        }
        if generation == self.current.number && !self.settle_role(&request) {
            self.push(refuse(ErrorCode::ROLE_CONFLICT, None));
            return;
        }
        if self.revoked {
            self.push(refuse(ErrorCode::FORBIDDEN, None));
            return;
        }
        let Some(key) = self.pair_of_request(generation, path_id, path, &request) else {
            self.counters.over_limit += 1;
            return;
        };
        self.push(Outgoing::Success { generation, path: path_id, id, mapped: path.remote });
        let is_current = generation == self.current.number;
        let Some(pair) = self.generation_mut(generation).map(|generation| generation.list.get_mut(key)) else { return };
        pair.heard = true;
        pair.stats.requests_received += 1;
        self.heard(generation, key, false, now);
        if !is_current {
            // The other side does not know of the restart yet. It may go on as it was.
            return;
        }
        self.follow_request(key, &request, now);
        self.settle(now);
    }

    /// RFC 8445 section 7.3.1.1. Whether the request may go on.
    fn settle_role(&mut self, request: &Request<'_>) -> bool {
        match request.role {
            Some((theirs, tie_breaker)) if theirs == self.role => {
                let we_control = self.tie_breaker >= tie_breaker;
                let ours = if we_control { Role::Controlling } else { Role::Controlled };
                if ours == self.role {
                    return false;
                }
                self.change_role(ours);
                true
            }
            _ => true,
        }
    }

    /// The pair that a request came over, formed if need be (RFC 8445 sections 7.3.1.3 and 7.3.1.4).
    fn pair_of_request(
        &mut self,
        generation: u32,
        path_id: PathId,
        path: Path,
        request: &Request<'_>,
    ) -> Option<PairKey> {
        let is_current = generation == self.current.number;
        let occupant = self.paths.occupant(path_id);
        if let Some(key) = occupant.and_then(|occupant| if is_current { occupant.current } else { occupant.previous }) {
            return Some(key);
        }
        let local = self.local_at(path)?;
        let transport = self.locals[local].candidate.transport.opposite();
        let of = self.generation(generation)?;
        let remote = match of.remote_at(transport, transport.told(path.remote)) {
            Some(place) => place,
            None if !is_current => return None,
            None => {
                let place = self.place_for_peer_reflexive()?;
                self.current.put_remote(
                    place,
                    Candidate {
                        kind: CandidateKind::PeerReflexive,
                        transport,
                        address: path.remote,
                        priority: request.priority.unwrap_or(NO_PRIORITY),
                        foundation: Foundation::of_peer_reflexive(place),
                        related: None,
                    },
                );
                place
            }
        };
        self.form_pair_on(path_id, generation, local, remote)
    }

    /// The place of our candidate that receives on a path: that of the host or the relay, if there is one.
    fn local_at(&self, path: Path) -> Option<usize> {
        let at = |place: &usize| {
            let local = &self.locals[*place];
            self.costs[*place].is_some()
                && local.base == path.local
                && local.candidate.transport.protocol() == path.protocol
        };
        let own = |place: &usize| self.locals[*place].candidate.address == path.local;
        (0..self.locals.len()).filter(at).max_by_key(own)
    }

    /// Triggers a check and follows a nomination (RFC 8445 sections 7.3.1.4 and 7.3.1.5).
    fn follow_request(&mut self, key: PairKey, request: &Request<'_>, now: Instant) {
        let number = request.nomination.filter(|_| self.renomination);
        let overtaken = number.is_some_and(|number| number < self.nominations);
        let nominates = request.use_candidate && self.role == Role::Controlled && !overtaken;
        if nominates && let Some(number) = number {
            self.nominations = number;
        }
        if self.config.lite {
            self.follow_as_lite(key, nominates, now);
            return;
        }
        let has_consent = self.has_consent(self.current.list.get(key), now);
        let pair = self.current.list.get_mut(key);
        let kinds = (self.locals[pair.local].candidate.kind, self.current.remotes[pair.remote].kind);
        let is_direct = kinds == (CandidateKind::Host, CandidateKind::Host);
        if pair.state == PairState::Succeeded && has_consent {
            if nominates {
                self.nominated(key);
            }
            return;
        }
        pair.nominate_on_success |= nominates;
        if pair.state == PairState::InProgress && pair.check_after_heard {
            // The check under way was sent when the way back was known to be open, so another would bring
            // nothing. The RFC would send one for each that arrives; where the round trip is longer than the
            // pace, the two sides then set each other off until the first answer.
            return;
        }
        if pair.state == PairState::InProgress && is_direct {
            // Between two hosts nothing has to be opened first. If both began together, the answer is about to come; only
            // if it does not is another check worth sending.
            let sent = pair.check.and_then(|id| self.checks.get(id)).map_or(now, |check| check.sent_at);
            self.current.list.trigger_at(key, sent + ANSWER_DUE);
            return;
        }
        if pair.state != PairState::Succeeded {
            self.current.list.set_state(key, PairState::Waiting);
        }
        self.current.list.trigger(key);
    }

    /// RFC 8445 section 7.2.5.
    fn receive_response(&mut self, message: &Message<'_>, path: PathId, now: Instant) {
        let id = message.transaction_id();
        let Some(&check) = self.checks.get(id) else {
            self.counters.unexpected_response += 1;
            return;
        };
        let key = self.generation(check.generation).and_then(|g| g.remote.as_ref()).map(|remote| &remote.key);
        if key.is_none_or(|key| message.check_integrity(key).is_err()) {
            self.counters.bad_credentials += 1;
            return;
        }
        self.checks.remove(id);
        let Some(generation) = self.generation_mut(check.generation) else { return };
        let pair = generation.list.get_mut(check.pair);
        pair.check = pair.check.filter(|&other| other != id);
        pair.stats.responses_received += 1;
        pair.quality.answered(now - check.sent_at, check.timer.sent());
        if check.timer.sent() == 1 {
            pair.stats.round_trip = Some(now - check.sent_at);
        }
        if message.class() == Class::Error {
            self.receive_error(message, &check);
        } else if path != check.path {
            // The answer came another way than the request went (RFC 8445 section 7.2.5.2.1).
            if check.purpose == Purpose::Connectivity && !check.superseded {
                self.fail_pair(check.generation, check.pair, PairFate::Asymmetric);
            }
        } else {
            self.heard(check.generation, check.pair, false, now);
            self.receive_success(message, &check, now);
        }
        self.settle(now);
    }

    fn receive_error(&mut self, message: &Message<'_>, check: &Check) {
        let error = message.get(AttributeType::ERROR_CODE).and_then(|value| ErrorCode::parse(value).ok());
        let code = error.map_or(0, |error| error.code);
        if let Some(generation) = self.generation_mut(check.generation) {
            generation.list.get_mut(check.pair).stats.last_error = Some(code);
        }
        if code == ErrorCode::ROLE_CONFLICT.code && check.generation == self.current.number {
            // RFC 8445 section 7.2.5.1. The request may have been overtaken by the other side's.
            if check.role == self.role {
                self.tie_breaker = self.rng.u64();
                self.change_role(self.role.opposite());
            }
            if check.purpose == Purpose::Connectivity {
                if self.current.list.get(check.pair).state != PairState::Succeeded {
                    self.current.list.set_state(check.pair, PairState::Waiting);
                }
                self.current.list.trigger(check.pair);
            }
        } else if code == ErrorCode::FORBIDDEN.code && check.purpose == Purpose::Consent {
            // RFC 7675 section 5.2.
            let in_use = self.in_use() == Some((check.generation, check.pair));
            if in_use {
                self.lose_selected(Failure::ConsentRevoked, PairFate::ConsentRevoked);
            } else {
                self.fail_pair(check.generation, check.pair, PairFate::ConsentRevoked);
            }
        } else if check.purpose == Purpose::Connectivity && !check.superseded {
            self.fail_pair(check.generation, check.pair, PairFate::Refused(code));
        }
    }

    /// RFC 8445 section 7.2.5.3.
    fn receive_success(&mut self, message: &Message<'_>, check: &Check, now: Instant) {
        let Some(mapped) = binding::mapped_address(message) else {
            self.counters.malformed += 1;
            if check.purpose == Purpose::Connectivity && !check.superseded {
                self.fail_pair(check.generation, check.pair, PairFate::NoMappedAddress);
            }
            return;
        };
        if let Some(selected) = &mut self.selected
            && selected.generation == check.generation
            && selected.pair == check.pair
        {
            selected.consent.answered(&self.config, now);
        }
        let Some(generation) = self.generation_mut(check.generation) else { return };
        let pair = generation.list.get_mut(check.pair);
        pair.last_answer = Some(now);
        let (local, nominate_on_success) = (pair.local, pair.nominate_on_success);
        if check.generation != self.current.number {
            return;
        }
        let was_valid = self.current.list.get(check.pair).valid.is_some();
        if check.purpose == Purpose::Consent && !was_valid {
            return;
        }
        // Of a pair that was valid too: a NAT may show another address by now.
        let seen = self.seen_at(local, mapped, check.priority);
        self.current.list.set_valid(check.pair, Some(seen));
        if check.purpose == Purpose::Consent {
            return;
        }
        self.current.list.set_state(check.pair, PairState::Succeeded);
        self.current.nominate_by.get_or_insert(now + self.config.nomination_patience);
        let we_nominated = check.use_candidate && self.role == Role::Controlling && check.role == self.role;
        if we_nominated || (nominate_on_success && self.role == Role::Controlled) {
            self.nominated(check.pair);
        }
    }

    /// Our candidate as the other side sees it, which has answered a check from the base of `local` with `mapped`
    /// (RFC 8445 sections 7.2.5.3.1 and 7.2.5.3.2).
    fn seen_at(&self, local: usize, mapped: SocketAddr, priority: u32) -> LocalCandidate {
        let LocalCandidate { base, candidate: Candidate { transport, .. } } = self.locals[local];
        let known = |known: &&LocalCandidate| {
            known.base == base
                && known.candidate.transport == transport
                && known.candidate.address == transport.told(mapped)
        };
        self.present.iter().find(known).copied().unwrap_or_else(|| LocalCandidate {
            candidate: Candidate {
                kind: CandidateKind::PeerReflexive,
                address: mapped,
                priority,
                foundation: Foundation::of(CandidateKind::PeerReflexive, base.ip(), None, transport),
                related: Some(base),
                transport,
            },
            base,
        })
    }

    fn change_role(&mut self, role: Role) {
        self.set_role(role);
        self.events.push_back(Event::RoleChange(role));
    }
}
