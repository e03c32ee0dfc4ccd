//! Keeping a path: consent, silence, other pairs held ready, and moves to a better one.

use core::cmp::Reverse;
use core::time::Duration;

use super::{Agent, Selected};
use crate::ice::generation::Generation;
use crate::ice::pair::{Pair, PairKey};
use crate::ice::{CandidateKind, Failure, PairFate, Role, SelectionCause, State};
use crate::time::Instant;

/// How often a pair is tried while there are too few others to fall back to.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// The pairs that were put aside are taken up when the path has been silent for this long and two round trips.
const DOUBT_PATIENCE: Duration = Duration::from_secs(1);

/// A pair that has failed is not tried again more often than that.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// So many other pairs are asked when the one in use is doubted.
const ASKED_IN_DOUBT: usize = 2;

/// So many datagrams in a row over another pair are no stragglers.
const ENOUGH_ELSEWHERE: u32 = 2;

/// Moves that nothing forces become rarer the more there are.
const RAREST_MOVE: Duration = Duration::from_secs(300);

impl Agent {
    /// Sends the consent check that is due, and stops using a path whose consent has expired
    /// (RFC 7675 section 5.1).
    pub(super) fn keep_consent(&mut self, now: Instant) {
        let Some(selected) = &mut self.selected else { return };
        if now >= selected.consent.expires {
            self.lose_selected(Failure::ConsentExpired, PairFate::ConsentExpired);
        } else if selected.consent.next_check.is_some_and(|at| now >= at) {
            selected.consent.check_sent(&self.config, &mut self.rng, now);
            self.send_consent_check(now);
        }
    }

    /// Gives the path in use up.
    pub(super) fn lose_selected(&mut self, failure: Failure, fate: PairFate) {
        let Some((generation, pair)) = self.in_use() else { return };
        self.fail_pair(generation, pair, fate);
        if generation == self.current.number {
            self.failure = Some(failure);
        }
        // An answer that is late renews nothing (RFC 7675 section 5.1).
        self.checks.retain(|check| check.generation != generation || check.pair != pair);
    }

    /// Takes up every pair again: what was given up in favour of the nominated one, and what once failed.
    ///
    /// What fails stays so for a while, lest somebody has us send without end to who never answers.
    pub(super) fn search_again(&mut self, now: Instant) {
        let failed_too = self.searched.is_none_or(|last| now >= last + RETRY_INTERVAL);
        if failed_too {
            self.searched = Some(now);
        }
        self.current.patience = self.current.patience.map(|at| at.max(now + self.config.patience));
        self.current.list.resume(failed_too, self.config.max_pairs);
    }

    /// When the path in use becomes suspect, or a doubt about it is to be settled.
    pub(super) fn doubt_deadline(&self) -> Option<Instant> {
        let selected = self.selected.as_ref().filter(|_| !self.config.lite)?;
        let pair = self.generation(selected.generation)?.list.get(selected.pair);
        let Some(doubt) = selected.doubt else {
            let watched = self.config.watch_traffic.then_some(&selected.liveness)?;
            return watched.suspect_at(pair.quality.round_trip()?);
        };
        let settled = self.refuge(selected, doubt).map(|(_, at)| at);
        [self.search_deadline(selected, doubt), settled].into_iter().flatten().min()
    }

    /// When the pairs that were put aside are to be taken up if the doubt is not settled.
    fn search_deadline(&self, selected: &Selected, doubt: Doubt) -> Option<Instant> {
        if doubt.searches || selected.generation != self.current.number {
            return None;
        }
        let round_trip = self.current.list.get(selected.pair).quality.round_trip().unwrap_or_default();
        Some(doubt.since + DOUBT_PATIENCE + round_trip * 2)
    }

    /// Begins to doubt the path in use if it has been silent for too long; settles the doubt if another pair has
    /// shown meanwhile that it lives.
    pub(super) fn doubt(&mut self, now: Instant) {
        let Some(selected) = self.selected.as_ref().filter(|_| !self.config.lite) else { return };
        let Some(doubt) = selected.doubt else {
            if self.doubt_deadline().is_some_and(|at| now >= at) {
                self.begin_doubt(Hint::Traffic, now);
            } else if now >= selected.consent.silent_from(&self.config) {
                self.begin_doubt(Hint::Unanswered, now);
            }
            return;
        };
        if let Some((refuge, _)) = self.refuge(selected, doubt).filter(|&(_, at)| now >= at) {
            self.leave_for(refuge, SelectionCause::Silence, now);
            return;
        }
        if self.search_deadline(selected, doubt).is_some_and(|at| now >= at) {
            if let Some(selected) = &mut self.selected {
                selected.doubt = Some(Doubt { searches: true, ..doubt });
            }
            self.search_again(now);
        }
    }

    /// Asks on the path in use, and on the best others, whether anybody is there.
    pub(super) fn begin_doubt(&mut self, hint: Hint, now: Instant) {
        let recently = self.moves.not_before.is_some_and(|at| now < at);
        let Some(selected) = self.selected.as_mut().filter(|selected| selected.doubt.is_none()) else { return };
        let patient = hint != Hint::Traffic || recently;
        selected.doubt = Some(Doubt { since: now, hint, patient, searches: false });
        let generation = selected.generation;
        if hint != Hint::Repetition {
            self.send_consent_check(now);
        }
        for key in self.alternatives(now).into_iter().take(ASKED_IN_DOUBT) {
            self.send_probe(generation, key, now);
        }
    }

    /// Something arrived on a pair: it is alive, and if it is the one in use, so is the path.
    pub(super) fn heard(&mut self, generation: u32, key: PairKey, is_datagram: bool, now: Instant) {
        let is_watched = self.config.watch_traffic || !is_datagram;
        let Some(of) = self.generation_mut(generation) else { return };
        let pair = of.list.get_mut(key);
        if is_watched {
            pair.last_heard = Some(now);
            pair.silent = false;
        }
        let Some(selected) = self.selected.as_mut().filter(|selected| selected.generation == generation) else {
            return;
        };
        if selected.pair != key {
            if is_datagram && is_watched {
                self.heard_elsewhere(key, now);
            }
            return;
        }
        if !is_watched {
            return;
        }
        selected.elsewhere = None;
        selected.joined |= is_datagram;
        selected.consent.heard(now);
        let settles = |doubt: &mut Doubt| doubt.hint == Hint::Traffic || !is_datagram;
        let settled = selected.doubt.take_if(settles);
        if settled.is_some() {
            selected.liveness.false_alarm(now);
        }
        if is_datagram {
            selected.liveness.heard_datagram(now);
        } else {
            selected.liveness.heard();
        }
        if settled.is_some_and(|doubt| doubt.searches) && generation == self.current.number {
            self.stop_searching();
        }
        if self.state == State::Disconnected && !self.is_silent(now) {
            self.settle(now);
        }
    }

    /// Whether the path in use counts as disconnected.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.selected.as_ref().is_some_and(|selected| now >= selected.consent.silent_from(&self.config))
    }

    /// The path was doubted for nothing: what was taken up because of that is put aside again.
    fn stop_searching(&mut self) {
        if let Some(nominated) = self.current.nominated {
            self.put_others_aside(nominated);
        }
    }

    /// An application datagram came over another pair than ours go. If there are more and none comes over ours, the
    /// other side has moved, for a reason that we cannot see: what we send may not arrive.
    fn heard_elsewhere(&mut self, key: PairKey, now: Instant) {
        let Some(selected) = self.selected.as_mut().filter(|s| s.nominated && s.joined) else { return };
        let so_far = selected.elsewhere.filter(|&(pair, _)| pair == key).map_or(0, |(_, datagrams)| datagrams);
        selected.elsewhere = Some((key, so_far + 1));
        let generation = selected.generation;
        let pair = self.generation(generation).map(|of| of.list.get(key));
        if so_far + 1 >= ENOUGH_ELSEWHERE && pair.is_some_and(|pair| self.is_usable(pair, now)) {
            self.leave_for(key, SelectionCause::Followed, now);
            self.settle(now);
        }
    }

    /// Keeps other valid pairs ready, so that there is somewhere to go when the one in use dies, and looks for one
    /// on another base if there is none.
    pub(super) fn keep_backups(&mut self, now: Instant) {
        // That of the generation before a restart may be in use for long, if the restart does not succeed.
        let is_nominated = |of: &Generation| of.nominated.is_some() && !self.config.lite;
        let settled = self.in_use().filter(|&(number, _)| self.generation(number).is_some_and(is_nominated));
        let Some((number, selected)) = settled else {
            self.next_backup = None;
            return;
        };
        if now < *self.next_backup.get_or_insert(now + SEARCH_INTERVAL) {
            return;
        }
        let is_current = number == self.current.number;
        if is_current {
            self.drop_stale_backups(now);
        }
        let interval = self.config.backup_interval;
        let kept: Vec<PairKey> = self.alternatives(now).into_iter().take(self.config.backups).collect();
        let mut next = now + interval;
        for &key in &kept {
            let answer = self.generation(number).and_then(|of| of.list.get(key).last_answer).unwrap_or(now);
            if answer + interval <= now {
                self.send_probe(number, key, now);
            } else {
                next = next.min(answer + interval);
            }
        }
        if is_current && self.config.backups > 0 {
            let in_use = self.current.list.get(selected);
            let is_elsewhere = |key: &PairKey| !self.share_interface(self.current.list.get(*key), in_use);
            let untried = self.current.list.pruned().find(is_elsewhere);
            if !kept.iter().any(is_elsewhere)
                && let Some(key) = untried
            {
                self.current.list.trigger(key);
                next = now + SEARCH_INTERVAL;
            }
        }
        self.next_backup = Some(next);
    }

    /// Nominates another pair without a restart when it is clearly better than the one in use.
    ///
    /// RFC 8445 section 8.1.1 lets an agent nominate once. More is the extension that libwebrtc and others announce
    /// as the ICE option `renomination`; without it nothing is moved that works.
    pub(super) fn consider_renomination(&mut self, now: Instant) {
        let may = self.renomination && self.role == Role::Controlling && !self.config.lite;
        if !may || self.current.nominating.is_some() || self.moves.not_before.is_some_and(|at| now < at) {
            return;
        }
        let Some(selected) = self.selected_of_current().filter(|selected| selected.nominated) else { return };
        let in_use = self.current.list.get(selected.pair);
        let better = self.alternative(now, |pair| match self.standing(pair).cmp(&self.standing(in_use)) {
            core::cmp::Ordering::Less => true,
            core::cmp::Ordering::Equal => in_use.quality.is_far_worse_than(&pair.quality),
            core::cmp::Ordering::Greater => false,
        });
        if let Some(better) = better {
            self.current.nominating = Some(better);
            self.current.list.trigger(better);
        }
    }

    /// When a renomination that is due may be made.
    pub(super) fn move_deadline(&self) -> Option<Instant> {
        self.moves.not_before.filter(|&at| self.renomination && at > self.settled_at)
    }

    /// Another pair carries the traffic from now on: the next move that nothing forces has to wait.
    pub(super) fn moved(&mut self, now: Instant) {
        let shortest = self.config.renomination_interval;
        let calm = self.moves.not_before.is_none_or(|at| now > at + self.moves.interval * 2);
        self.moves.interval = if calm { shortest } else { (self.moves.interval * 2).min(RAREST_MOVE.max(shortest)) };
        self.moves.not_before = Some(now + self.moves.interval);
    }

    /// Another pair to go to in doubt, and when: it has been heard since, and the one in use has had its time to
    /// answer as well.
    fn refuge(&self, selected: &Selected, doubt: Doubt) -> Option<(PairKey, Instant)> {
        let of = self.generation(selected.generation)?;
        let own = of.list.get(selected.pair).quality.round_trip().unwrap_or_default();
        let alive = |pair: &Pair| pair.last_heard.is_some_and(|heard| heard > doubt.since);
        let refuge = self.alternative(self.line.now(), alive)?;
        let other = of.list.get(refuge).quality.round_trip().unwrap_or_default();
        let time = if doubt.patient {
            // Time for two more requests: where one in three is lost, two in a row are lost every few minutes.
            own * 2 + self.config.retransmission.rto * 3
        } else {
            // The request of the other side, which is in doubt as well, needs half a round trip.
            own.saturating_sub(other).max(own / 2)
        };
        Some((refuge, doubt.since + time))
    }

    fn leave_for(&mut self, refuge: PairKey, cause: SelectionCause, now: Instant) {
        let Some((generation, left)) = self.in_use() else { return };
        let dubious = self.as_silent_as(generation, left);
        let Some(of) = self.generation_mut(generation) else { return };
        of.list.get_mut(left).nominated = false;
        for key in dubious.into_iter().filter(|&key| key != refuge) {
            of.list.get_mut(key).silent = true;
        }
        of.nominated = of.nominated.filter(|&key| key != left);
        of.nominating = None;
        // Repeated, they would call the other side back.
        self.checks.overtake_nominations(|check| check.generation == generation);
        self.select(generation, refuge, cause, now);
    }

    /// A pair that is left, and the valid ones of its interface that were not heard since: they may be as dead, and a
    /// better priority is no reason to go to one.
    fn as_silent_as(&self, generation: u32, left: PairKey) -> Vec<PairKey> {
        let Some(of) = self.generation(generation) else { return Vec::new() };
        let left_pair = of.list.get(left);
        let doubt = self.selected.as_ref().and_then(|selected| selected.doubt);
        let since = doubt.map(|doubt| doubt.since).or(left_pair.last_heard);
        let silent = |key: &PairKey| {
            let pair = of.list.get(*key);
            self.share_interface(pair, left_pair) && pair.last_heard <= since
        };
        of.list.valid().filter(silent).chain([left]).collect()
    }

    /// The other valid pairs of the generation in use with consent, most different from the one in use first.
    pub(super) fn alternatives(&self, now: Instant) -> Vec<PairKey> {
        let mut others: Vec<_> = self.others(now).collect();
        others.sort_by_key(|&(_, likeness)| likeness);
        others.into_iter().map(|(key, _)| key).collect()
    }

    /// The first of them that will do.
    fn alternative(&self, now: Instant, will_do: impl Fn(&Pair) -> bool) -> Option<PairKey> {
        let (generation, _) = self.in_use()?;
        let list = &self.generation(generation)?.list;
        let others = self.others(now).filter(|&(key, _)| will_do(list.get(key)));
        others.min_by_key(|&(_, likeness)| likeness).map(|(key, _)| key)
    }

    /// The other valid pairs of the generation in use with consent, and how like the one in use they are: what ails that
    /// may ail all pairs of its interface.
    fn others(&self, now: Instant) -> impl Iterator<Item = (PairKey, (bool, bool, Reverse<u64>))> + '_ {
        let in_use = self.in_use().and_then(|(generation, pair)| Some((self.generation(generation)?, pair)));
        in_use.into_iter().flat_map(move |(of, selected)| {
            let in_use = of.list.get(selected);
            let usable = of.list.valid().map(|key| (key, of.list.get(key)));
            let usable = usable.filter(move |&(key, pair)| key != selected && self.is_usable(pair, now));
            usable.map(move |(key, pair)| {
                let same_interface = self.share_interface(pair, in_use);
                let same_remote = of.remotes[pair.remote].address == of.remotes[in_use.remote].address;
                (key, (same_interface, same_remote, Reverse(pair.priority)))
            })
        })
    }

    /// Whether what ails our end of one pair ails that of the other: IPv4 and IPv6 of one interface die together.
    fn share_interface(&self, a: &Pair, b: &Pair) -> bool {
        let of = |pair: &Pair| self.interfaces[pair.local];
        self.locals[a.local].base == self.locals[b.local].base || (of(a) != 0 && of(a) == of(b))
    }

    fn drop_stale_backups(&mut self, now: Instant) {
        let selected = self.in_use().map(|(_, pair)| pair);
        let list = &self.current.list;
        let stale = list.valid().filter(|&key| Some(key) != selected && !self.has_consent(list.get(key), now));
        let stale: Vec<PairKey> = stale.filter(|&key| self.current.nominating != Some(key)).collect();
        for key in stale {
            self.current.list.set_valid(key, None);
            self.current.list.prune(key, PairFate::OtherNominated);
        }
    }

    /// What a path costs whoever pays, how far it is from direct, and whether it is a stream: less is clearly better.
    fn standing(&self, pair: &Pair) -> (u16, u32, bool) {
        let relayed = |kind| u32::from(kind == CandidateKind::Relayed);
        let local = &self.locals[pair.local];
        let theirs = self.current.remotes[pair.remote].kind;
        let relays = relayed(local.candidate.kind) + relayed(theirs);
        let is_stream = local.candidate.transport.tcp_type().is_some();
        (self.costs[pair.local].unwrap_or(u16::MAX), relays, is_stream)
    }
}

/// The path in use may be dead; it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    since: Instant,
    hint: Hint,
    /// One lost request is no reason to move: it may be repeated before another pair is taken.
    patient: bool,
    /// The pairs that were put aside were taken up.
    pub(super) searches: bool,
}

/// Why the path in use is doubted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hint {
    /// Its traffic broke off. Whatever arrives settles it.
    Traffic,
    /// A consent check had to be repeated, and is being repeated. Only an answer or a check of the other side settles it,
    /// as datagrams may go on coming where nothing of ours arrives.
    Repetition,
    /// Answers have been missing for long. The same holds.
    Unanswered,
}

/// How often the path may be changed.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Moves {
    interval: Duration,
    not_before: Option<Instant>,
}
