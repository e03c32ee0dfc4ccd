//! What is different on a lite agent (RFC 8445 section 2.5): it follows and does not check.

use super::Agent;
use crate::ice::pair::PairKey;
use crate::ice::{PairState, Role};
use crate::time::Instant;

impl Agent {
    /// A check has arrived: the pair is used if the other side says so (RFC 8445 section 7.3.2), and each further
    /// check on it stands for the answer to a consent check, which a lite agent does not send.
    pub(super) fn follow_as_lite(&mut self, key: PairKey, nominates: bool, now: Instant) {
        self.current.list.get_mut(key).last_answer = Some(now);
        if nominates && self.role == Role::Controlled {
            self.take_as_valid(key);
            self.nominated(key);
        }
        let number = self.current.number;
        if let Some(selected) = self.selected.as_mut().filter(|s| s.generation == number && s.pair == key) {
            selected.consent.answered(&self.config, now);
        }
    }

    /// Where neither side checks, the best pair is the one (RFC 8445 section 8.2). Nobody can consent there.
    pub(super) fn settle_between_lites(&mut self) {
        let both_know = self.gathered && self.current.remote_gathered && self.current.remote.is_some();
        if !self.nobody_asks() || !both_know || self.current.nominated.is_some() {
            return;
        }
        let there = self.current.list.pairs().filter(|(_, pair)| self.costs[pair.local].is_some());
        let best = there.max_by_key(|(_, pair)| pair.priority).map(|(key, _)| key);
        if let Some(best) = best {
            self.take_as_valid(best);
            self.nominated(best);
        }
    }

    /// Whether both sides are lite, so that nobody asks and nobody consents.
    pub(super) fn nobody_asks(&self) -> bool {
        self.config.lite && self.remote_lite
    }

    fn take_as_valid(&mut self, key: PairKey) {
        let local = self.locals[self.current.list.get(key).local];
        self.current.list.set_state(key, PairState::Succeeded);
        self.current.list.set_valid(key, Some(local));
    }
}
