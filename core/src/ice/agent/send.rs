//! What the agent sends: checks, consent checks and responses.

use core::time::Duration;
use std::net::SocketAddr;

use super::upkeep::Hint;
use super::{Agent, Selected, Sent, scaled_rto};
use crate::ice::binding;
use crate::ice::candidate::peer_reflexive_priority;
use crate::ice::checks::{Check, Purpose};
use crate::ice::pair::PairKey;
use crate::ice::{PairFate, PairState, Role, frame_header};
use crate::path::{Path, PathId, Protocol, Transmit};
use crate::stun::{AttributeType, ErrorCode, Retransmission, RetransmissionConfig, TransactionId};
use crate::time::Instant;

/// A driver that does not drain loses the oldest datagrams, as a full socket buffer would lose some.
const MAX_OUTGOING: usize = 256;

/// An unanswered check may be tried again after this, as long as there is no path and a turn to spare.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// How often in all, not counting what repeats the same request.
const TRIES: u32 = 2;

/// A datagram that is written when it is polled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outgoing {
    Request(TransactionId),
    Success {
        generation: u32,
        path: PathId,
        id: TransactionId,
        mapped: SocketAddr,
    },
    Error {
        generation: u32,
        path: PathId,
        id: TransactionId,
        error: ErrorCode<'static>,
        unknown: Option<AttributeType>,
    },
}

impl Agent {
    /// Sends a check for a pair (RFC 8445 section 7.2).
    pub(super) fn send_check(&mut self, key: PairKey, now: Instant) {
        if !self.prepare_stream(key) {
            self.fail_pair(self.current.number, key, PairFate::StreamClosed);
            return;
        }
        let config = RetransmissionConfig {
            rto: scaled_rto(self.config.retransmission.rto, self.pacing, self.current.list.active()),
            ..self.config.retransmission
        };
        let path = self.current.list.get(key).path;
        let config = self.retransmission_on(path, config, self.config.retransmission.lifetime());
        let nominate = self.role == Role::Controlling && self.current.nominating == Some(key);
        let pair = self.current.list.get_mut(key);
        pair.check_after_heard = pair.heard;
        if let Some(before) = pair.check.take() {
            self.checks.supersede(before);
        }
        if self.current.list.get(key).state != PairState::Succeeded {
            self.current.list.set_state(key, PairState::InProgress);
        }
        if nominate {
            self.nominations = self.nominations.saturating_add(1);
            self.current.list.get_mut(key).nomination = self.nominations;
        }
        let number = self.current.number;
        let id = self.send_request(number, key, Purpose::Connectivity, nominate, config, now);
        let protocol = self.paths.get(path).map(|path| path.protocol);
        let pair = self.current.list.get_mut(key);
        pair.check = Some(id);
        pair.tries += 1;
        if pair.tries < TRIES && protocol == Some(Protocol::Udp) && self.selected.is_none() {
            self.current.list.doubt_at(key, now + TRY_AGAIN);
        }
    }

    /// Sends a consent check on the selected pair (RFC 7675 section 5.1). That of the controlling agent says
    /// again which pair it has nominated, so that a mistaken follower finds back.
    ///
    /// It is repeated like any request until the next one is due: sent once, six of them in a row are lost
    /// every few hours where one datagram in ten is, and consent with them.
    pub(super) fn send_consent_check(&mut self, now: Instant) {
        let Some(Selected { generation: number, pair, path, nominated, .. }) = self.selected else { return };
        let Some(generation) = self.generation(number) else { return };
        let round_trip = generation.list.get(pair).stats.round_trip.unwrap_or_default();
        let rto = self.config.retransmission.rto.max(round_trip * 2);
        let config =
            RetransmissionConfig::within(rto, self.config.consent_interval * 4 / 5, self.config.consent_lifetime);
        let config = self.retransmission_on(path, config, self.config.consent_lifetime);
        let nominate = self.role == Role::Controlling && nominated;
        if nominate && number == self.current.number && self.current.nominating.is_none() {
            // Another nomination may have come to nothing here and to something there: this one is the last word.
            let pair = self.current.list.get_mut(pair);
            if pair.nomination < self.nominations {
                self.nominations = self.nominations.saturating_add(1);
                pair.nomination = self.nominations;
            }
        }
        self.send_request(number, pair, Purpose::Consent, nominate, config, now);
    }

    /// Asks on a valid pair that is not in use whether it still works, which renews our consent to use it.
    pub(super) fn send_probe(&mut self, generation: u32, key: PairKey, now: Instant) {
        let Some(of) = self.generation(generation) else { return };
        let round_trip = of.list.get(key).quality.round_trip().unwrap_or_default();
        let rto = self.config.retransmission.rto.max(round_trip * 2);
        let path = of.list.get(key).path;
        let config = RetransmissionConfig::within(rto, self.config.consent_interval, self.config.consent_lifetime);
        let config = self.retransmission_on(path, config, self.config.consent_lifetime);
        self.send_request(generation, key, Purpose::Consent, false, config, now);
    }

    pub(super) fn send_again(&mut self, id: TransactionId, now: Instant) {
        let Some(&Check { generation, pair, purpose, .. }) = self.checks.get(id) else { return };
        if let Some(of) = self.generation_mut(generation) {
            of.list.get_mut(pair).stats.requests_sent += 1;
            self.push(Outgoing::Request(id));
        }
        let in_use = self.in_use() == Some((generation, pair));
        if in_use && purpose == Purpose::Consent {
            self.begin_doubt(Hint::Repetition, now);
        }
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        if self.outgoing.len() >= MAX_OUTGOING {
            self.outgoing.pop_front();
        }
        self.outgoing.push_back(outgoing);
    }

    /// Takes account of an application datagram: over which path it may go, if over any.
    pub(in crate::ice) fn admit(&mut self, len: usize, now: Instant) -> Option<PathId> {
        // The machine may have slept, and whoever sends may be the first to run again.
        let selected = self.selected.as_mut().filter(|selected| now < selected.consent.expires)?;
        selected.liveness.sent(now);
        let (generation, pair, path) = (selected.generation, selected.pair, selected.path);
        let stats = &mut self.generation_mut(generation)?.list.get_mut(pair).stats;
        stats.datagrams_sent += 1;
        stats.bytes_sent += len as u64;
        Some(path)
    }

    /// How many bytes a stream or a relay puts before a datagram on this path.
    pub(super) fn headroom_on(&self, path: PathId) -> usize {
        match self.paths.get(path) {
            Some(Path { protocol: Protocol::Tcp, .. }) => 2,
            Some(Path { local, remote, .. }) => self.gathering.headroom(local, remote, self.line.now()),
            None => 0,
        }
    }

    /// Makes a datagram that stands in `buf` behind its headroom what goes over the wire.
    pub(super) fn frame(&mut self, path: PathId, buf: &mut [u8], headroom: usize, len: usize, now: Instant) -> Sent {
        if headroom == 0 && self.gathering.is_idle() {
            return Sent::Now(Transmit { path, len });
        }
        let Some(Path { protocol, local, remote }) = self.paths.get(path) else { return Sent::No };
        if protocol == Protocol::Tcp {
            buf[..headroom].copy_from_slice(&frame_header(len as u16)[..headroom]);
        } else if self.gathering.has_relay(local) {
            return self.gathering.send((local, remote), buf, (headroom, len), &mut self.paths, now);
        }
        Sent::Now(Transmit { path, len: headroom + len })
    }

    /// Writes a datagram; none if it has become pointless since.
    pub(super) fn write(&mut self, outgoing: Outgoing, buf: &mut [u8]) -> Option<Transmit> {
        let path = match outgoing {
            Outgoing::Request(id) => self.checks.get(id)?.path,
            Outgoing::Success { path, .. } | Outgoing::Error { path, .. } => path,
        };
        let headroom = self.headroom_on(path);
        let (_, body) = buf.split_at_mut_checked(headroom)?;
        let written = match outgoing {
            Outgoing::Request(id) => {
                let check = self.checks.get(id)?;
                let generation = self.generation(check.generation)?;
                let remote = generation.remote.as_ref()?;
                let remote = (&remote.credentials, &remote.key);
                binding::write_request(body, id, check, &generation.credentials, remote)
            }
            Outgoing::Success { generation, id, mapped, .. } => {
                binding::write_success(body, id, mapped, &self.generation(generation)?.key)
            }
            Outgoing::Error { generation, id, error, unknown, .. } => {
                binding::write_error(body, id, error, unknown, &self.generation(generation)?.key)
            }
        };
        let len = written.ok()?;
        match self.frame(path, buf, headroom, len, self.line.now()) {
            Sent::Now(transmit) => Some(transmit),
            Sent::Later | Sent::No => None,
        }
    }

    fn send_request(
        &mut self,
        generation: u32,
        key: PairKey,
        purpose: Purpose,
        use_candidate: bool,
        config: RetransmissionConfig,
        now: Instant,
    ) -> TransactionId {
        let id = TransactionId(self.rng.array());
        let (role, tie_breaker) = (self.role, self.tie_breaker);
        let numbered = use_candidate && self.renomination;
        let locals = &self.locals;
        let of = if generation == self.current.number { Some(&mut self.current) } else { self.previous.as_mut() };
        if let Some(of) = of {
            let pair = of.list.get_mut(key);
            pair.stats.requests_sent += 1;
            let nomination = numbered.then_some(pair.nomination);
            let ours = &locals[pair.local].candidate;
            let path = pair.path;
            let check = Check {
                pair: key,
                generation,
                path,
                purpose,
                role,
                tie_breaker,
                use_candidate,
                nomination,
                priority: peer_reflexive_priority(ours.transport, ours.priority),
                sent_at: now,
                timer: Retransmission::new(config, now),
                superseded: false,
            };
            self.checks.insert(id, check);
            self.post_request(path, id);
        }
        id
    }
}
