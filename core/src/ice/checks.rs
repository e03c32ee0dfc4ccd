//! Our Binding requests that wait for a response.

use std::collections::{BTreeMap, BTreeSet};

use super::Role;
use super::pair::PairKey;
use crate::path::PathId;
use crate::stun::{Due, Retransmission, TransactionId};
use crate::time::Instant;

/// A request in flight. It holds all that its bytes are made of, so that a retransmission is the same bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub(super) pair: PairKey,
    /// Which generation's credentials it carries.
    pub(super) generation: u32,
    pub(super) path: PathId,
    pub(super) purpose: Purpose,
    pub(super) role: Role,
    pub(super) tie_breaker: u64,
    pub(super) use_candidate: bool,
    /// Which nomination it is, for who knows the ICE option `renomination`.
    pub(super) nomination: Option<u32>,
    pub(super) priority: u32,
    pub(super) sent_at: Instant,
    pub(super) timer: Retransmission,
    /// A later check took its place: not sent again, no failure of its pair, but an answer still counts
    /// (RFC 8445 section 7.3.1.4).
    pub(super) superseded: bool,
}

/// Why a request was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To learn whether the pair works, or to nominate it.
    Connectivity,
    /// To keep consent fresh (RFC 7675). Its failure alone means nothing.
    Consent,
}

/// All requests in flight, by id and by deadline.
#[derive(Debug, Default)]
pub(super) struct Checks {
    by_id: BTreeMap<TransactionId, Check>,
    by_deadline: BTreeSet<(Instant, TransactionId)>,
}

/// What a request's timer asks for.
pub(super) enum Expired {
    /// Send it again.
    Again(TransactionId),
    /// No response came.
    Failed(Check),
}

impl Checks {
    pub(super) fn insert(&mut self, id: TransactionId, check: Check) {
        self.by_deadline.insert((check.timer.poll_timeout(), id));
        self.by_id.insert(id, check);
    }

    pub(super) fn get(&self, id: TransactionId) -> Option<&Check> {
        self.by_id.get(&id)
    }

    pub(super) fn remove(&mut self, id: TransactionId) -> Option<Check> {
        let check = self.by_id.remove(&id)?;
        self.by_deadline.remove(&(check.timer.poll_timeout(), id));
        Some(check)
    }

    /// Counts the round trip of a request from `now`: it had waited for its stream.
    pub(super) fn sent_only_now(&mut self, id: TransactionId, now: Instant) {
        if let Some(check) = self.by_id.get_mut(&id) {
            check.sent_at = now;
        }
    }

    /// Stops sending a request again and stops its failure from counting.
    pub(super) fn supersede(&mut self, id: TransactionId) {
        if let Some(check) = self.by_id.get_mut(&id) {
            check.superseded = true;
        }
    }

    /// The requests of these that nominate were overtaken: they are not sent again.
    pub(super) fn overtake_nominations(&mut self, of: impl Fn(&Check) -> bool) {
        let nominations = self.by_id.values_mut().filter(|check| check.use_candidate);
        nominations.filter(|check| of(check)).for_each(|check| check.superseded = true);
    }

    /// Forgets what fails `keep`.
    pub(super) fn retain(&mut self, keep: impl Fn(&Check) -> bool) {
        let by_deadline = &mut self.by_deadline;
        self.by_id.retain(|&id, check| {
            let kept = keep(check);
            if !kept {
                by_deadline.remove(&(check.timer.poll_timeout(), id));
            }
            kept
        });
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.by_deadline.first().map(|&(deadline, _)| deadline)
    }

    /// The next request whose timer asks for something at `now`.
    pub(super) fn poll_expired(&mut self, now: Instant) -> Option<Expired> {
        loop {
            let &(deadline, id) = self.by_deadline.first().filter(|&&(deadline, _)| deadline <= now)?;
            self.by_deadline.remove(&(deadline, id));
            let check = self.by_id.get_mut(&id).expect("both indexes hold the same requests");
            let due = check.timer.handle_timeout(now);
            match due {
                Due::Nothing | Due::Again => {
                    self.by_deadline.insert((check.timer.poll_timeout(), id));
                    if due == Due::Again && !check.superseded {
                        return Some(Expired::Again(id));
                    }
                }
                Due::Failed => {
                    let check = self.by_id.remove(&id).expect("it was just seen");
                    return Some(Expired::Failed(check));
                }
            }
        }
    }
}
