//! What the agent sends: checks, consent checks and responses.

use std::net::SocketAddr;

use super::{Agent, Selected, scaled_rto};
use crate::ice::binding;
use crate::ice::candidate::peer_reflexive_priority;
use crate::ice::checks::{Check, Purpose};
use crate::ice::pair::PairKey;
use crate::ice::{PairState, Role};
use crate::path::{PathId, Transmit};
use crate::stun::{AttributeType, ErrorCode, Retransmission, RetransmissionConfig, TransactionId};
use crate::time::Instant;

/// A driver that does not drain loses the oldest datagrams, as a full socket buffer would lose some.
const MAX_OUTGOING: usize = 256;

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
        let config = RetransmissionConfig {
            rto: scaled_rto(self.config.retransmission.rto, self.pacing, self.current.list.active()),
            ..self.config.retransmission
        };
        let nominate = self.role == Role::Controlling && self.current.nominating == Some(key);
        let pair = self.current.list.get_mut(key);
        let stale = core::mem::replace(&mut pair.superseded, pair.check.take());
        let superseded = pair.superseded;
        pair.check_after_heard = pair.heard;
        if let Some(id) = stale {
            self.checks.remove(id);
        }
        if let Some(id) = superseded {
            self.checks.supersede(id);
        }
        if self.current.list.get(key).state != PairState::Succeeded {
            self.current.list.set_state(key, PairState::InProgress);
        }
        if nominate {
            self.nominations += 1;
        }
        let number = self.current.number;
        let id = self.send_request(number, key, Purpose::Connectivity, nominate, config, now);
        self.current.list.get_mut(key).check = Some(id);
    }

    /// Sends a consent check on the selected pair (RFC 7675 section 5.1). That of the controlling agent says
    /// again which pair it has nominated, so that a mistaken follower finds back.
    ///
    /// It is repeated like any request until the next one is due: sent once, six of them in a row are lost
    /// every few hours where one datagram in ten is, and consent with them.
    pub(super) fn send_consent_check(&mut self, now: Instant) {
        let Some(Selected { generation: number, pair, nominated, .. }) = self.selected else { return };
        let Some(generation) = self.generation(number) else { return };
        let round_trip = generation.list.get(pair).stats.round_trip.unwrap_or_default();
        let rto = self.config.retransmission.rto.max(round_trip * 2);
        let config =
            RetransmissionConfig::within(rto, self.config.consent_interval * 4 / 5, self.config.consent_lifetime);
        let nominate = self.role == Role::Controlling && nominated;
        self.send_request(number, pair, Purpose::Consent, nominate, config, now);
    }

    /// Asks on a valid pair that is not in use whether it still works, which renews our consent to use it.
    pub(super) fn send_probe(&mut self, generation: u32, key: PairKey, now: Instant) {
        let Some(of) = self.generation(generation) else { return };
        let round_trip = of.list.get(key).quality.round_trip().unwrap_or_default();
        let rto = self.config.retransmission.rto.max(round_trip * 2);
        let config = RetransmissionConfig::within(rto, self.config.consent_interval, self.config.consent_lifetime);
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
            self.begin_doubt(true, now);
        }
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        if self.outgoing.len() >= MAX_OUTGOING {
            self.outgoing.pop_front();
        }
        self.outgoing.push_back(outgoing);
    }

    /// Writes a datagram; none if it has become pointless since.
    pub(super) fn write(&mut self, outgoing: Outgoing, buf: &mut [u8]) -> Option<Transmit> {
        let (path, written) = match outgoing {
            Outgoing::Request(id) => {
                let check = self.checks.get(id)?;
                let generation = self.generation(check.generation)?;
                let remote = generation.remote.as_ref()?;
                let remote = (&remote.credentials, &remote.key);
                (check.path, binding::write_request(buf, id, check, &generation.credentials, remote))
            }
            Outgoing::Success { generation, path, id, mapped } => {
                (path, binding::write_success(buf, id, mapped, &self.generation(generation)?.key))
            }
            Outgoing::Error { generation, path, id, error, unknown } => {
                (path, binding::write_error(buf, id, error, unknown, &self.generation(generation)?.key))
            }
        };
        written.ok().map(|len| Transmit { path, len })
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
        let nomination = (use_candidate && self.renomination).then_some(self.nominations);
        let locals = &self.locals;
        let of = if generation == self.current.number { Some(&mut self.current) } else { self.previous.as_mut() };
        if let Some(of) = of {
            let pair = of.list.get_mut(key);
            pair.stats.requests_sent += 1;
            let check = Check {
                pair: key,
                generation,
                path: pair.path,
                purpose,
                role,
                tie_breaker,
                use_candidate,
                nomination,
                priority: peer_reflexive_priority(locals[pair.local].candidate.priority),
                sent_at: now,
                timer: Retransmission::new(config, now),
                superseded: false,
            };
            self.checks.insert(id, check);
            self.push(Outgoing::Request(id));
        }
        id
    }
}
