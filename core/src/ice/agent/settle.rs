//! What follows from what has happened: which pair is used, nominated and checked next, and the state.

use super::{Agent, Consent, Liveness, Selected};
use crate::ice::pair::{Pair, PairKey};
use crate::ice::{CandidateKind, Event, Failure, Pace, PairFate, PairState, Role, SelectionCause, State, Transport};
use crate::time::Instant;

impl Agent {
    /// Draws every conclusion there is to draw at `now`. Each input ends with it.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.is_over() {
            return self.gather(now);
        }
        self.settled_at = now;
        self.doubt(now);
        self.settle_between_lites();
        self.choose_pair(now);
        self.consider_nomination(now);
        self.consider_renomination(now);
        self.keep_backups(now);
        self.current.list.trigger_postponed(now);
        self.outlive_previous(now);
        if self.config.pace == Pace::Own {
            self.take_turn(now);
        }
        if self.gathering.is_used() {
            self.gather(now);
        }
        self.sweep_streams(now);
        self.update_state(now);
    }

    /// Everything that must happen at some time even if nothing arrives.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let gathering = self.gathering.poll_timeout();
        if self.is_over() {
            return gathering;
        }
        let pace = self.turn_due().filter(|_| self.config.pace == Pace::Own);
        let postponed = self.current.list.next_postponed();
        let nominate = self.current.nominate_by.filter(|_| self.may_nominate());
        let settled = self.selected_of_current().is_some();
        let patience = self.current.patience.filter(|&at| !settled && at > self.settled_at);
        let consent = self.selected.as_ref().map(|selected| selected.consent.deadline());
        let silence = self
            .selected
            .as_ref()
            .filter(|_| self.state != State::Disconnected)
            .map(|selected| selected.consent.silent_from(&self.config));
        let doubt = self.doubt_deadline();
        let (backup, renomination) = (self.next_backup, self.move_deadline());
        let (checks, streams) = (self.checks.poll_timeout(), self.streams.poll_timeout());
        let path = [consent, silence, doubt, backup, renomination, streams, self.previous_until];
        [gathering, checks, pace, postponed, nominate, patience].into_iter().chain(path).flatten().min()
    }

    /// Marks a pair as nominated; it will be used, and the others are put aside (RFC 8445 section 8.1).
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
        let number = self.current.number;
        self.checks.overtake_nominations(|check| check.generation == number && check.pair != key);
        self.put_others_aside(key);
    }

    /// Gives up all pairs that were not answered yet, as this one is nominated.
    pub(super) fn put_others_aside(&mut self, nominated: PairKey) {
        let (list, checks) = (&self.current.list, &mut self.checks);
        list.pairs().filter(|&(other, _)| other != nominated).filter_map(|(_, pair)| pair.check).for_each(|id| {
            checks.supersede(id);
        });
        self.current.list.conclude(nominated);
    }

    /// Gives a pair up: its check failed, or its path cannot be used any more.
    pub(super) fn fail_pair(&mut self, generation: u32, key: PairKey, fate: PairFate) {
        let lost = self.selected.take_if(|selected| (selected.generation, selected.pair) == (generation, key));
        if lost.is_some_and(|selected| generation == self.current.number && !selected.searches()) {
            self.search_again(self.line.now());
        }
        let Some(of) = self.generation_mut(generation) else { return };
        of.list.set_valid(key, None);
        of.list.fail(key, fate);
        let pair = of.list.get_mut(key);
        pair.nominated = false;
        pair.nominate_on_success = false;
        of.nominating = of.nominating.filter(|&other| other != key);
        of.nominated = of.nominated.filter(|&other| other != key);
    }

    /// Whether a pair may carry traffic: it is valid, its last answer still lets us send (RFC 7675), and it was not
    /// left because it fell silent.
    pub(super) fn is_usable(&self, pair: &Pair, now: Instant) -> bool {
        pair.valid.is_some() && !pair.silent && (self.nobody_asks() || self.has_consent(pair, now))
    }

    /// Whether the last answer on a pair still lets us send over it (RFC 7675 section 5.1).
    pub(super) fn has_consent(&self, pair: &Pair, now: Instant) -> bool {
        pair.last_answer.is_some_and(|answer| now - answer < self.config.consent_lifetime)
    }

    /// Has a pair carry the traffic.
    pub(super) fn select(&mut self, generation: u32, key: PairKey, cause: SelectionCause, now: Instant) {
        let Some(of) = self.generation(generation) else { return };
        let pair = of.list.get(key);
        let (path, answer, nominated) = (pair.path, pair.last_answer.unwrap_or(now), of.nominated == Some(key));
        let before = self.in_use();
        // Improvements before there is a nomination are no moves.
        let was_nominated = self.selected.as_ref().is_some_and(|selected| selected.nominated);
        match self.selected.as_mut().filter(|_| before == Some((generation, key))) {
            Some(selected) => (selected.nominated, selected.cause) = (nominated, cause),
            None => {
                self.selected = Some(Selected {
                    generation,
                    pair: key,
                    path,
                    nominated,
                    cause,
                    consent: if self.nobody_asks() {
                        Consent::of_nobody()
                    } else {
                        Consent::new(&self.config, &mut self.rng, answer, now)
                    },
                    liveness: Liveness::new(),
                    doubt: None,
                    joined: false,
                    elsewhere: None,
                });
                if was_nominated {
                    self.moved(now);
                }
            }
        }
        if generation == self.current.number {
            self.failure = None;
            self.current.was_used = true;
        }
        if let Some(report) = self.selected_pair() {
            self.events.push_back(Event::SelectedPairChange(Box::new(report)));
        }
    }

    /// Uses the nominated pair; before there is one, the best valid pair (RFC 8445 section 12.1).
    fn choose_pair(&mut self, now: Instant) {
        let list = &self.current.list;
        let number = self.current.number;
        let nominated = self.current.nominated.filter(|&key| list.get(key).valid.is_some() && !list.get(key).silent);
        let Some(best) = nominated.or_else(|| self.best_usable(now)) else {
            return self.fall_back(now);
        };
        let in_use = self.selected_of_current();
        let cause = match in_use {
            Some(in_use) => {
                let better = !in_use.is_proven() && list.get(best).priority > list.get(in_use.pair).priority;
                let stays = in_use.pair == best || (nominated.is_none() && !better);
                if in_use.nominated == nominated.is_some() && stays {
                    return;
                }
                if nominated.is_some() { SelectionCause::Nominated } else { SelectionCause::Better }
            }
            None if self.selected.is_none() && self.current.was_used => SelectionCause::Loss,
            None => SelectionCause::First,
        };
        self.select(number, best, cause, now);
    }

    /// The generation in use before a restart has lost its path: perhaps it has another.
    fn fall_back(&mut self, now: Instant) {
        if self.selected.is_some() {
            return;
        }
        let Some(previous) = &self.previous else { return };
        let usable = |key: &PairKey| self.is_usable(previous.list.get(*key), now);
        let (number, best) = (previous.number, previous.list.valid().find(usable));
        if let Some(best) = best {
            self.select(number, best, SelectionCause::Loss, now);
        }
    }

    fn best_usable(&self, now: Instant) -> Option<PairKey> {
        let list = &self.current.list;
        list.valid().find(|&key| self.is_usable(list.get(key), now))
    }

    fn may_nominate(&self) -> bool {
        self.role == Role::Controlling
            && !self.config.lite
            && self.current.nominated.is_none()
            && self.current.nominating.is_none()
            && self.best_usable(self.line.now()).is_some()
    }

    /// Nominates the best valid pair once no better one is to be expected, or patience is at its end
    /// (RFC 8445 section 8.1.1).
    fn consider_nomination(&mut self, now: Instant) {
        if !self.may_nominate() {
            return;
        }
        let proven = self.selected_of_current().filter(|selected| selected.is_proven());
        let Some(best) = proven.map(|selected| selected.pair).or_else(|| self.best_usable(now)) else { return };
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

    /// When the agent has something to send that the pace is for: a question to a server, or a check.
    pub(super) fn turn_due(&self) -> Option<Instant> {
        if self.gathering.wants_turn() { Some(self.next_check_at) } else { self.check_due() }
    }

    /// Sends one of these if the agent's own Ta allows it. Servers are asked first: their answers are what most checks
    /// wait for.
    pub(super) fn take_turn(&mut self, now: Instant) -> bool {
        if now < self.next_check_at {
            return false;
        }
        let asked = self.gathering.wants_turn() && self.gathering.take_turn(self.pacing, &mut self.paths, now);
        if asked {
            self.next_check_at = now + self.pacing;
        }
        asked || self.send_next_check(now)
    }

    /// When the agent has a check to send by its own Ta, which may be past; none if there is none to send.
    fn check_due(&self) -> Option<Instant> {
        if self.current.remote.is_none() || self.config.lite {
            return None;
        }
        if self.current.list.has_work() {
            return Some(self.next_check_at);
        }
        let doubtful = self.current.list.next_doubtful().filter(|_| self.selected.is_none());
        doubtful.map(|at| at.max(self.next_check_at))
    }

    /// Sends one check if there is one and the agent's own Ta allows it (RFC 8445 section 6.1.4.2).
    fn send_next_check(&mut self, now: Instant) -> bool {
        if self.current.remote.is_none() || self.config.lite || now < self.next_check_at {
            return false;
        }
        let in_turn = self.take_next_check();
        let Some(key) = in_turn.or_else(|| self.take_idle_check(now)) else { return false };
        self.send_check(key, now);
        self.next_check_at = now + self.pacing;
        true
    }

    fn take_next_check(&mut self) -> Option<PairKey> {
        loop {
            let key = self.current.list.take_next()?;
            let pair = self.current.list.get(key);
            let pointless =
                pair.state == PairState::Succeeded && self.current.nominating != Some(key) && !pair.nominate_on_success;
            if !pointless {
                return Some(key);
            }
        }
    }

    /// Nothing else is to be checked: tries again what was not answered, while there is no path at all.
    ///
    /// A first check is often lost before the other side has sent one, or a relay has let it in. The RFC has it repeated
    /// after half a second at the earliest (section 14.3); this one is a check of its own, under the pace, in a turn that
    /// would stay empty.
    fn take_idle_check(&mut self, now: Instant) -> Option<PairKey> {
        if self.selected.is_some() {
            self.current.list.forget_doubtful();
            return None;
        }
        self.current.list.take_doubtful(now)
    }

    /// Keeps the generation before a restart for a while after the new one has its path: the other side may be late.
    fn outlive_previous(&mut self, now: Instant) {
        let done = self.selected_of_current().is_some_and(|selected| selected.nominated);
        if !done || self.previous.is_none() {
            self.previous_until = None;
        } else if now >= *self.previous_until.get_or_insert(now + self.config.consent_lifetime) {
            self.previous_until = None;
            self.drop_previous();
        }
    }

    fn update_state(&mut self, now: Instant) {
        let settled = self.selected_of_current().is_some();
        if !settled {
            self.consider_failure(now);
            if self.is_over() {
                return;
            }
        }
        let state = match &self.selected {
            Some(selected) if now >= selected.consent.silent_from(&self.config) => State::Disconnected,
            Some(selected) => {
                let all_known = self.gathered && self.current.remote_gathered;
                let priority = self.current.nominated.map(|key| self.current.list.get(key).priority);
                let better_open = self.current.list.best_open() > priority;
                let done = selected.nominated && settled && all_known && !better_open;
                if done { State::Completed } else { State::Connected }
            }
            None if self.current.was_used => State::Disconnected,
            None if self.current.remote.is_some() => State::Checking,
            None => State::New,
        };
        self.change_state(state);
    }

    /// RFC 8445 section 8.3.2 and RFC 8863: every pair was tried, and nothing more is to be expected.
    ///
    /// After a restart the path from before may still be there. Then only the restart has failed.
    fn consider_failure(&mut self, now: Instant) {
        // After a nomination the other pairs were given up, and have been tried again since.
        let lost = matches!(self.failure, Some(Failure::ConsentExpired | Failure::ConsentRevoked));
        let patient = self.current.remote.is_none() || self.current.patience.is_none_or(|until| now < until);
        let list = &self.current.list;
        // A lite agent tries none.
        let untried = !self.config.lite && (list.open() > 0 || list.has_work());
        if untried || self.best_usable(now).is_some() || (patient && !lost) {
            return;
        }
        let reason = self.failure.unwrap_or_else(|| {
            if self.present.is_empty() {
                Failure::NoLocalCandidates
            } else if self.current.remotes.is_empty() {
                Failure::NoRemoteCandidates
            } else if list.is_empty() && !self.awaited_streams() {
                Failure::NoPairs
            } else {
                Failure::NoPairSucceeded
            }
        });
        if self.selected.is_some() {
            if !core::mem::replace(&mut self.current.failed, true) {
                self.events.push_back(Event::RestartFailed(reason));
            }
            return;
        }
        self.failure = Some(reason);
        self.stop();
        self.change_state(State::Failed);
    }
}
