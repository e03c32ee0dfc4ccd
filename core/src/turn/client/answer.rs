//! Answers of the server.

use core::time::Duration;
use std::net::SocketAddr;

use super::{Allocation, Client, Event, Phase};
use crate::Instant;
use crate::stun::{
    Attribute, AttributeType, Authentication, Challenge, Class, ErrorCode, Message, UnknownAttributes, xor_address,
};
use crate::turn::event::Allocated;
use crate::turn::request::{Purpose, address_in, lifetime_in};
use crate::turn::transaction::{Outcome, Transaction};
use crate::turn::{DataStream, Failure, Family, Loss, Port, Refusal, ReservationToken};

/// How often a request is tried again because the server wants other credentials or another nonce.
const MAX_TRIES: u8 = 4;

/// RFC 8656 section 3.2, where the server does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

impl Client {
    /// A response of any kind, whose fingerprint is right or missing, from a data stream or the server's own.
    pub(super) fn handle_answer(&mut self, answer: &Message<'_>, from: Option<DataStream>, now: Instant) {
        if let Some((transaction, refusal)) = self.take_answered(answer, from, now) {
            self.heard_at = now;
            match (answer.not_understood(), refusal) {
                (Some(kind), _) => {
                    self.counters.unexpected += 1;
                    self.conclude(transaction.purpose, Outcome::NotUnderstood(kind), transaction.begun, now);
                }
                (None, Some(refusal)) => self.refused(&transaction, refusal, answer, now),
                (None, None) => self.succeeded(&transaction, answer, now),
            }
        }
        self.settle(now);
    }

    /// Ends the transaction that this answers, if the answer counts (RFC 8489 section 9.2.5).
    fn take_answered(
        &mut self,
        answer: &Message<'_>,
        from: Option<DataStream>,
        now: Instant,
    ) -> Option<(Transaction, Option<Refusal>)> {
        let id = answer.transaction_id();
        let is_asked = |known: &Purpose| known.method() == answer.method() && known.stream() == from;
        let transaction = self.transactions.get_mut(&id).filter(|known| is_asked(&known.purpose));
        let Some(transaction) = transaction else {
            self.counters.unmatched += 1;
            return None;
        };
        let refusal = match answer.class() {
            Class::Error => match answer.get(AttributeType::ERROR_CODE).map(Refusal::read) {
                Some(Some(refusal)) => Some(refusal),
                _ => {
                    self.counters.malformed += 1;
                    return None;
                }
            },
            _ => None,
        };
        let code = refusal.as_ref().map(|refusal| refusal.code);
        // A server cannot sign for who it does not know.
        if !matches!(code, Some(401 | 438)) {
            let is_signed = answer.has_integrity() || answer.has_integrity_sha256();
            let is_discarded = code == Some(400) && !is_signed;
            // Nor does coturn sign for who has not made the allocation. To believe it costs no more than to ask again.
            let has_other_user = self.former.is_some() || transaction.credentials != self.replaced;
            let is_believed = code == Some(441) && !is_signed && has_other_user;
            let is_wrong = !is_believed
                && transaction.authentication.as_ref().is_some_and(|ours| ours.key().check(answer).is_err());
            if is_discarded || is_wrong {
                self.counters.bad_integrity += 1;
                transaction.is_violated = true;
                if self.config.transport.is_stream() && !is_discarded {
                    let purpose = transaction.purpose;
                    let begun = transaction.begun;
                    self.transactions.remove(&id);
                    self.conclude(purpose, Outcome::Unanswered { is_violated: true }, begun, now);
                }
                return None;
            }
            // The RFC has this of signed answers too, but there are servers whose signed answers have a nonce and no
            // list; and from what is signed nobody can have taken it out.
            if transaction.authentication.is_none() && Challenge::is_bid_down(answer) {
                self.counters.bid_down += 1;
                return None;
            }
        }
        Some((self.transactions.remove(&id)?, refusal))
    }

    fn refused(&mut self, asked: &Transaction, refusal: Refusal, answer: &Message<'_>, now: Instant) {
        match refusal.code {
            401 | 438 => return self.challenged(asked, refusal, answer, now),
            300 if asked.purpose == Purpose::Allocate && !self.is_abandoned() => return self.redirect(answer, now),
            // The server takes only the user that the allocation was made by (RFC 8656 section 5).
            441 if asked.tries < MAX_TRIES => {
                if asked.credentials == self.replaced
                    && let Some(former) = self.former.take()
                {
                    self.config.credentials = former;
                    self.credentials_changed(now);
                }
                if asked.credentials != self.replaced {
                    return self.request(asked.purpose, asked.tries + 1, now);
                }
            }
            420 | 440 if asked.purpose == Purpose::Allocate && !self.is_abandoned() => {
                let is_less = match (refusal.code, answer.get(AttributeType::UNKNOWN_ATTRIBUTES)) {
                    (420, unknown) => self.terms.leave_out(UnknownAttributes::new(unknown.unwrap_or_default())),
                    _ => self.terms.take_other_family(self.config.family, &refusal),
                };
                if is_less {
                    return self.request(asked.purpose, asked.tries, now);
                }
            }
            _ => {}
        }
        self.conclude(asked.purpose, Outcome::Refused(refusal), asked.begun, now);
    }

    /// The server wants to know who we are, or gives another nonce.
    fn challenged(&mut self, asked: &Transaction, refusal: Refusal, answer: &Message<'_>, now: Instant) {
        let known = self.authentication.as_ref().map(Authentication::challenge);
        let challenge = match Challenge::read(answer, known) {
            Ok(challenge) => challenge,
            Err(error) if asked.purpose == Purpose::Allocate && !self.is_abandoned() => {
                // A refusal without a challenge is no more than a refusal.
                let is_plain = answer.get(AttributeType::NONCE).is_none() && asked.authentication.is_some();
                let failure = if is_plain { Failure::Refused(refusal) } else { Failure::Challenge(error) };
                return self.end_with_stream(Event::Failed(failure));
            }
            Err(_) => return self.conclude(asked.purpose, Outcome::Refused(refusal), asked.begun, now),
        };
        // Who said who they are and is asked again must have something else to say.
        let is_news = match &asked.authentication {
            Some(before) if refusal.code == 401 => {
                before.challenge().realm() != challenge.realm() || asked.credentials != self.replaced
            }
            _ => true,
        };
        if is_news && asked.tries < MAX_TRIES {
            let authentication = Some(Authentication::new(&self.config.credentials, challenge));
            // Servers have a nonce for each stream; that of a data stream is used there once.
            if asked.purpose.stream().is_none() {
                self.authentication.clone_from(&authentication);
            }
            self.request_as(authentication, asked.purpose, asked.tries + 1, now);
        } else {
            self.conclude(asked.purpose, Outcome::Refused(refusal), asked.begun, now);
        }
    }

    fn succeeded(&mut self, asked: &Transaction, answer: &Message<'_>, now: Instant) {
        // What the server has granted counts from when it was first asked: it cannot have begun before.
        let since = asked.begun;
        match asked.purpose {
            Purpose::Allocate => self.allocated(since, answer, now),
            Purpose::Refresh => match lifetime_in(answer).or(self.config.lifetime).unwrap_or(DEFAULT_LIFETIME) {
                Duration::ZERO => self.lose(Loss::Unknown),
                lifetime => {
                    if let Phase::Allocated(allocation) = &mut self.phase {
                        allocation.expires_at = since + lifetime;
                        allocation.refresh_at = Some(since + refresh_after(lifetime));
                        allocation.refusal = None;
                    }
                }
            },
            Purpose::Release => self.released(),
            Purpose::Permit(peer) => {
                if self.peers.permission_granted(peer, since) {
                    self.events.push_back(Event::Permitted(peer));
                }
                self.send_held(peer);
            }
            Purpose::Bind(_, peer) => {
                if self.peers.channel_bound(peer, since) {
                    self.events.push_back(Event::ChannelBound(peer));
                }
                self.send_held(peer.ip());
            }
            Purpose::Connect(stream, _) => self.connected(stream, answer, now),
            Purpose::Join(stream, _) => self.joined(stream),
        }
    }

    /// RFC 8656 section 7.3.
    fn allocated(&mut self, since: Instant, answer: &Message<'_>, now: Instant) {
        if self.is_abandoned() {
            return self.release(true, now);
        }
        let kind = AttributeType::XOR_RELAYED_ADDRESS;
        let of_relay = |attribute: &Attribute<'_>| attribute.kind == kind;
        let relayed: Vec<SocketAddr> = answer
            .attributes()
            .filter(of_relay)
            .filter_map(|attribute| xor_address(kind, attribute.value, answer.transaction_id()).ok())
            .filter(|relayed| crate::turn::config::is_reachable(*relayed))
            .take(2)
            .collect();
        let of_family = |v4: bool| relayed.iter().copied().find(|relayed| relayed.is_ipv4() == v4);
        let family = if let Port::Reserved(_) = self.config.port { Family::Both } else { self.config.family };
        let wanted = match family {
            Family::Ipv4 => of_family(true).map(|relayed| (relayed, None)),
            Family::Ipv6 => of_family(false).map(|relayed| (relayed, None)),
            Family::Both => match (of_family(true), of_family(false)) {
                (Some(v4), v6) => Some((v4, v6)),
                (None, v6) => v6.map(|v6| (v6, None)),
            },
        };
        let lifetime = lifetime_in(answer).unwrap_or(DEFAULT_LIFETIME);
        let mapped = address_in(answer, AttributeType::XOR_MAPPED_ADDRESS);
        let (Some((relayed, additional)), Some(mapped), 1..) = (wanted, mapped, lifetime.as_secs()) else {
            let failure = relayed.first().map_or(Failure::Malformed, |other| match wanted {
                None => Failure::Family(*other),
                Some(_) => Failure::Malformed,
            });
            self.events.push_back(Event::Failed(failure));
            return self.release(false, now);
        };
        let family_refused = self.terms.family_refused.take().filter(|_| family == Family::Both);
        let additional_refused = answer.get(AttributeType::ADDRESS_ERROR_CODE).and_then(Refusal::read);
        let reservation = answer.get(AttributeType::RESERVATION_TOKEN).and_then(|token| token.try_into().ok());
        self.phase = Phase::Allocated(Allocation {
            relayed,
            additional,
            mapped,
            expires_at: since + lifetime,
            refresh_at: Some(since + refresh_after(lifetime)),
            refusal: None,
        });
        let allocated = Allocated {
            relayed,
            additional,
            additional_refused: additional_refused.or(family_refused),
            reservation: reservation.map(ReservationToken).filter(|_| self.config.port == Port::EvenAndNext),
            mapped,
            lifetime,
        };
        self.events.push_back(Event::Allocated(allocated));
    }

    /// A request has ended without success.
    pub(super) fn conclude(&mut self, purpose: Purpose, outcome: Outcome, begun: Instant, now: Instant) {
        if let (Outcome::Refused(Refusal { code: 437, .. }), Phase::Allocated(_), None) =
            (&outcome, &self.phase, purpose.stream())
        {
            return self.lose(Loss::Unknown);
        }
        if let (Outcome::Refused(refusal @ Refusal { code: 401 | 441, .. }), Phase::Allocated(_)) =
            (&outcome, &self.phase)
        {
            self.unwelcome(refusal.clone());
        }
        if let (Purpose::Permit(_) | Purpose::Bind(..), Outcome::Refused(Refusal { code: 400, .. })) =
            (purpose, &outcome)
        {
            // So says coturn where there is no allocation; what a refresh gets is clearer.
            self.refresh_at(now);
        }
        match (purpose, outcome) {
            (Purpose::Allocate, Outcome::NotUnderstood(kind)) if !self.is_abandoned() => {
                // Whatever it means, the server may have made one.
                self.events.push_back(Event::Failed(Failure::NotUnderstood(kind)));
                self.release(false, now);
            }
            (Purpose::Allocate, outcome) => self.not_allocated(outcome),
            (Purpose::Release, _) => self.released(),
            (Purpose::Refresh, Outcome::Refused(refusal)) => self.not_refreshed(Some(refusal), now),
            (Purpose::Refresh, Outcome::NotUnderstood(_)) => self.not_refreshed(None, now),
            (Purpose::Refresh, Outcome::Unanswered { is_violated }) => {
                if self.heard_at > begun {
                    self.refresh_at(now);
                } else {
                    self.lose(if is_violated { Loss::Integrity } else { Loss::NoAnswer });
                }
            }
            (Purpose::Permit(peer), Outcome::Refused(refusal)) => {
                if self.is_unwelcome {
                    self.peers.permission_unanswered(peer);
                } else {
                    self.peers.permission_refused(peer, now);
                    self.events.push_back(Event::PermissionRefused(peer, refusal));
                }
                self.drop_held(peer);
            }
            (Purpose::Permit(peer), Outcome::NotUnderstood(_)) => {
                self.peers.permission_unanswered(peer);
                self.drop_held(peer);
            }
            (Purpose::Permit(peer), Outcome::Unanswered { .. }) => {
                self.peers.permission_unanswered(peer);
                self.drop_held(peer);
                // Is the server there at all?
                self.refresh_at(now);
            }
            (Purpose::Bind(_, peer), Outcome::Refused(refusal)) => {
                if self.is_unwelcome {
                    self.peers.channel_unanswered(peer, now);
                } else {
                    self.peers.channel_refused(peer, now);
                    self.events.push_back(Event::ChannelRefused(peer, refusal));
                }
            }
            (Purpose::Bind(_, peer), Outcome::NotUnderstood(_)) => self.peers.channel_unanswered(peer, now),
            (Purpose::Bind(_, peer), Outcome::Unanswered { .. }) => {
                self.peers.channel_unanswered(peer, now);
                self.refresh_at(now);
            }
            (Purpose::Connect(stream, _) | Purpose::Join(stream, _), outcome) => {
                self.data_stream_failed(stream, outcome.into());
            }
        }
    }

    /// It is tried again when half of the time that is left has passed.
    fn not_refreshed(&mut self, refusal: Option<Refusal>, now: Instant) {
        if let Phase::Allocated(allocation) = &mut self.phase {
            let left = allocation.expires_at.saturating_duration_since(now);
            allocation.refresh_at = Some(now + (left / 2).max(Duration::from_secs(1)));
            allocation.refusal = refusal;
        }
    }

    fn not_allocated(&mut self, outcome: Outcome) {
        let event = if self.is_abandoned() { Event::Closed } else { Event::Failed(outcome.into()) };
        self.end_with_stream(event);
    }

    /// Somebody has told the server to go away, or it never came.
    fn released(&mut self) {
        if let Phase::Releasing { is_told: false } = self.phase {
            if self.config.transport.is_stream() {
                self.events.push_back(Event::CloseStream);
            }
            self.over();
        } else {
            self.end_with_stream(Event::Closed);
        }
    }

    /// The server does not take the credentials. Said once, until others are given.
    fn unwelcome(&mut self, refusal: Refusal) {
        if !core::mem::replace(&mut self.is_unwelcome, true) {
            if let Phase::Allocated(allocation) = &mut self.phase {
                allocation.refusal = Some(refusal.clone());
            }
            self.events.push_back(Event::CredentialsRefused(refusal));
        }
    }

    pub(super) fn lose(&mut self, loss: Loss) {
        self.end_with_stream(Event::Lost(loss));
    }

    /// Has the allocation refreshed then, unless that is under way.
    pub(super) fn refresh_at(&mut self, then: Instant) {
        let is_under_way = self.transactions.values().any(|transaction| transaction.purpose == Purpose::Refresh);
        if let Phase::Allocated(allocation) = &mut self.phase
            && !is_under_way
        {
            allocation.refresh_at = Some(then);
        }
    }

    fn is_abandoned(&self) -> bool {
        matches!(self.phase, Phase::Allocating { is_abandoned: true })
    }
}

/// When to refresh, so that every retransmission fits in before the end: a minute before it, or at half time.
fn refresh_after(lifetime: Duration) -> Duration {
    const MARGIN: Duration = Duration::from_secs(60);
    lifetime.saturating_sub(MARGIN).max(lifetime / 2)
}

impl Refusal {
    /// Reads ERROR-CODE, or ADDRESS-ERROR-CODE, which has the family in a byte that is reserved in the other.
    fn read(value: &[u8]) -> Option<Self> {
        /// RFC 8489 section 14.8: fewer than 128 characters.
        const MAX_REASON: usize = 127;
        let error = ErrorCode::parse(value).ok()?;
        // coturn ends some with a null.
        let reason = error.reason.trim_end_matches('\0');
        Some(Self { code: error.code, reason: reason.chars().take(MAX_REASON).collect() })
    }
}
