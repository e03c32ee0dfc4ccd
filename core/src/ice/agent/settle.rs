//! What follows from what has happened: which pair is used, nominated and checked next, and the state.

use super::{Agent, Consent, Selected};
use crate::ice::pair::PairKey;
use crate::ice::{CandidateKind, Event, Failure, PairState, Role, State, Transport};
use crate::time::Instant;

impl Agent {
    /// Draws every conclusion there is to draw at `now`. Each input ends with it.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        self.choose_pair(now);
        self.consider_nomination(now);
        self.pace_checks(now);
        self.sweep_streams(now);
        self.update_state(now);
    }

    /// Everything that must happen at some time even if nothing arrives.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let now = self.line.now();
        let may_check = self.current.remote.is_some() && self.current.list.has_work();
        let pace = may_check.then_some(self.next_check_at);
        let nominate = self.current.nominate_by.filter(|_| self.may_nominate());
        let patience = self.current.patience.filter(|&at| self.selected.is_none() && at > now);
        let consent = self.selected.map(|selected| selected.consent.next_check.min(selected.consent.expires));
        let silence = self
            .selected
            .filter(|_| self.state != State::Disconnected)
            .map(|selected| selected.consent.silent_from(&self.config));
        let streams = self.streams.poll_timeout();
        [self.checks.poll_timeout(), pace, nominate, patience, consent, silence, streams].into_iter().flatten().min()
    }

    /// Marks a pair as nominated; it will be used, and the others are given up (RFC 8445 section 8.1).
    pub(super) fn nominated(&mut self, key: PairKey) {
        if self.current.nominated == Some(key) {
            return;
        }
        if let Some(before) = self.current.nominated.replace(key) {
            self.current.list.get_mut(before).nominated = false;
        }
        self.current.nominating = None;
        let pair = self.current.list.get_mut(key);
        pair.nominated = true;
        pair.nominate_on_success = false;
        self.current.list.conclude();
        let (list, checks) = (&self.current.list, &mut self.checks);
        list.pairs().filter(|&(other, _)| other != key).filter_map(|(_, pair)| pair.check).for_each(|id| {
            checks.supersede(id);
        });
        let under_way: Vec<PairKey> =
            list.pairs().filter(|(_, pair)| pair.state == PairState::InProgress).map(|(other, _)| other).collect();
        for other in under_way {
            self.current.list.set_state(other, PairState::Pruned);
        }
    }

    /// Gives a pair up: its check failed, or its path went silent.
    pub(super) fn fail_pair(&mut self, generation: u32, key: PairKey) {
        if self.selected.is_some_and(|s| s.generation == generation && s.pair == key) {
            self.selected = None;
        }
        let Some(of) = self.generation_mut(generation) else { return };
        of.list.set_valid(key, None);
        of.list.set_state(key, PairState::Failed);
        let pair = of.list.get_mut(key);
        pair.nominated = false;
        pair.nominate_on_success = false;
        of.nominating = of.nominating.filter(|&other| other != key);
        of.nominated = of.nominated.filter(|&other| other != key);
    }

    /// Sends the consent check that is due, and stops using a path whose consent has expired
    /// (RFC 7675 section 5.1).
    pub(super) fn keep_consent(&mut self, now: Instant) {
        let Some(selected) = &mut self.selected else { return };
        if now >= selected.consent.expires {
            let (generation, pair) = (selected.generation, selected.pair);
            if generation == self.current.number {
                self.failure = Some(Failure::ConsentExpired);
            }
            self.fail_pair(generation, pair);
        } else if now >= selected.consent.next_check {
            selected.consent.check_sent(&self.config, &mut self.rng, now);
            self.send_consent_check(now);
        }
    }

    /// Uses the nominated pair; before there is one, the best valid pair (RFC 8445 section 12.1).
    fn choose_pair(&mut self, now: Instant) {
        let list = &self.current.list;
        let nominated = self.current.nominated.filter(|&key| list.get(key).valid.is_some());
        let Some(best) = nominated.or_else(|| self.best_usable(now)) else { return };
        let number = self.current.number;
        let in_use = self.selected.filter(|selected| selected.generation == number);
        if let Some(in_use) = in_use {
            let better = list.get(best).priority > list.get(in_use.pair).priority;
            if in_use.nominated == nominated.is_some() && (in_use.pair == best || (nominated.is_none() && !better)) {
                return;
            }
        }
        let path = list.get(best).path;
        let answer = list.get(best).last_answer.unwrap_or(now);
        let consent = match in_use.filter(|in_use| in_use.pair == best) {
            Some(in_use) => in_use.consent,
            None => Consent::new(&self.config, &mut self.rng, answer, now),
        };
        self.selected =
            Some(Selected { generation: number, pair: best, path, nominated: nominated.is_some(), consent });
        self.failure = None;
        self.events.push_back(Event::SelectedPairChange(Box::new(self.report(&self.current, best))));
    }

    /// The best valid pair whose last answer still lets us send.
    fn best_usable(&self, now: Instant) -> Option<PairKey> {
        let lifetime = self.config.consent_lifetime;
        let list = &self.current.list;
        list.valid().find(|&key| list.get(key).last_answer.is_some_and(|answer| now - answer < lifetime))
    }

    fn may_nominate(&self) -> bool {
        self.role == Role::Controlling
            && self.current.nominated.is_none()
            && self.current.nominating.is_none()
            && self.current.list.best_valid().is_some()
    }

    /// Nominates the best valid pair once no better one is to be expected, or patience is at its end
    /// (RFC 8445 section 8.1.1).
    fn consider_nomination(&mut self, now: Instant) {
        if !self.may_nominate() {
            return;
        }
        let Some(best) = self.current.list.best_valid() else { return };
        let pair = self.current.list.get(best);
        let all_known = self.gathered && self.current.remote_gathered;
        let local = &self.locals[pair.local].candidate;
        let direct = local.transport == Transport::Udp
            && local.kind == CandidateKind::Host
            && self.current.remotes[pair.remote].kind == CandidateKind::Host;
        let better_open = self.current.list.best_open().is_some_and(|open| open > pair.priority);
        let at_best = !better_open && (all_known || direct);
        if at_best || self.current.nominate_by.is_some_and(|by| now >= by) {
            self.current.nominating = Some(best);
            self.current.list.trigger(best);
        }
    }

    /// Sends one check if pacing allows it (RFC 8445 section 6.1.4.2).
    fn pace_checks(&mut self, now: Instant) {
        if self.current.remote.is_none() || now < self.next_check_at {
            return;
        }
        while let Some(key) = self.current.list.take_next() {
            let pair = self.current.list.get(key);
            let pointless =
                pair.state == PairState::Succeeded && self.current.nominating != Some(key) && !pair.nominate_on_success;
            if !pointless {
                self.send_check(key, now);
                self.next_check_at = now + self.pacing;
                return;
            }
        }
    }

    fn update_state(&mut self, now: Instant) {
        let open = self.current.list.open();
        let state = match &self.selected {
            Some(selected) if now >= selected.consent.silent_from(&self.config) => State::Disconnected,
            Some(selected) => {
                let all_known = self.gathered && self.current.remote_gathered;
                let of_current = selected.generation == self.current.number;
                let done = selected.nominated && of_current && all_known && open == 0;
                if done { State::Completed } else { State::Connected }
            }
            None => {
                // After a nomination the other pairs were given up: none is left to fall back to.
                let lost = self.failure == Some(Failure::ConsentExpired);
                let patient = self.current.patience.is_none_or(|until| now < until);
                let exhausted = open == 0 && !self.current.list.has_work() && self.best_usable(now).is_none();
                if exhausted && (lost || !patient) {
                    self.fail();
                    return;
                }
                match self.current.remote {
                    Some(_) => State::Checking,
                    None => State::New,
                }
            }
        };
        self.change_state(state);
    }

    fn fail(&mut self) {
        let reason = match self.current.list.is_empty() {
            _ if self.streams.lost => Failure::StreamLost,
            true if !self.awaited_streams() => Failure::NoPairs,
            _ => Failure::NoPairSucceeded,
        };
        self.failure.get_or_insert(reason);
        self.stop();
        self.change_state(State::Failed);
    }
}
