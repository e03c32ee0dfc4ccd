//! The check list: which pair is checked next (RFC 8445 sections 6.1.2 and 6.1.4).

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::pair::{Pair, PairClass, PairFate, PairKey};
use super::{Foundation, PairState};
use crate::time::Instant;

/// The pairs of one generation, ordered by what is to be done with them.
///
/// A pair keeps its place until its candidate is forgotten, so that what happened to it can be told later.
#[derive(Debug, Default)]
pub(super) struct CheckList {
    pairs: Vec<Pair>,
    /// Places of pairs that were forgotten.
    free: Vec<PairKey>,
    waiting: Vec<Queue>,
    frozen: Ordered,
    in_progress: Ordered,
    valid: Ordered,
    /// Not to be checked for now; they come back when the nominated pair is lost.
    pruned: Ordered,
    triggered: VecDeque<PairKey>,
    /// Triggered checks that wait whether the one before them is answered.
    postponed: BTreeSet<(Instant, PairKey)>,
    /// Checks that are worth another try once there is a turn that nobody wants, and since when.
    doubtful: BTreeSet<(Instant, PairKey)>,
    groups: BTreeMap<(Foundation, Foundation), usize>,
    group: Vec<Group>,
    /// The priority of the nominated pair: those that come later and are no better are pruned.
    concluded: Option<u64>,
}

/// The best pair first.
type Ordered = BTreeSet<(Reverse<u64>, PairKey)>;

/// The waiting pairs of one class.
#[derive(Debug)]
struct Queue {
    class: PairClass,
    waiting: Ordered,
    /// How many of the class had their turn.
    turns: u32,
}

/// The pairs that share a foundation.
#[derive(Debug, Default, Clone, Copy)]
struct Group {
    /// How many of them are waiting or in progress.
    active: u32,
    /// Whether one of them has succeeded.
    succeeded: bool,
}

impl CheckList {
    pub(super) fn get(&self, key: PairKey) -> &Pair {
        &self.pairs[key.0 as usize]
    }

    pub(super) fn get_mut(&mut self, key: PairKey) -> &mut Pair {
        &mut self.pairs[key.0 as usize]
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (PairKey, &Pair)> {
        let all = self.pairs.iter().enumerate().map(|(place, pair)| (PairKey(place as u32), pair));
        all.filter(|(_, pair)| !pair.forgotten)
    }

    /// Pairs that still may be checked or are being checked.
    pub(super) fn open(&self) -> usize {
        self.active() + self.frozen.len()
    }

    /// The number of pairs that RFC 8445 section 14.3 scales the retransmission timer by.
    pub(super) fn active(&self) -> usize {
        self.waiting.iter().map(|queue| queue.waiting.len()).sum::<usize>() + self.in_progress.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs().next().is_none()
    }

    /// Valid pairs, the best first.
    pub(super) fn valid(&self) -> impl Iterator<Item = PairKey> + '_ {
        self.valid.iter().map(|&(_, key)| key)
    }

    /// Pruned pairs, the best first.
    pub(super) fn pruned(&self) -> impl Iterator<Item = PairKey> + '_ {
        self.pruned.iter().map(|&(_, key)| key)
    }

    /// The priority of the best pair of which nothing is known yet.
    pub(super) fn best_open(&self) -> Option<u64> {
        let waiting = self.waiting.iter().map(|queue| &queue.waiting);
        waiting
            .chain([&self.frozen, &self.in_progress])
            .filter_map(|set| set.first())
            .map(|&(Reverse(priority), _)| priority)
            .max()
    }

    /// Whether a check is to be sent as soon as pacing allows.
    pub(super) fn has_work(&self) -> bool {
        !self.triggered.is_empty() || !self.frozen.is_empty() || self.waiting.iter().any(|q| !q.waiting.is_empty())
    }

    /// Adds a pair: waiting if nothing of its foundation is under way or known to work, else frozen
    /// (RFC 8445 section 6.1.2.6, RFC 8838 section 12).
    ///
    /// With more than `max_open` open pairs the worst of those that were not tried goes; that may be this one.
    pub(super) fn add(&mut self, mut pair: Pair, foundations: (Foundation, Foundation), max_open: usize) -> PairKey {
        let next_group = self.group.len();
        pair.group = *self.groups.entry(foundations).or_insert(next_group);
        if pair.group == next_group {
            self.group.push(Group::default());
        }
        pair.state = PairState::Failed;
        let (group, priority) = (pair.group, pair.priority);
        let key = match self.free.pop() {
            Some(key) => {
                *self.get_mut(key) = pair;
                key
            }
            None => {
                self.pairs.push(pair);
                PairKey(self.pairs.len() as u32 - 1)
            }
        };
        if self.concluded.is_some_and(|nominated| priority <= nominated) {
            self.prune(key, PairFate::OtherNominated);
            return key;
        }
        self.set_state(key, self.first_state(group));
        self.crowd_out(max_open);
        key
    }

    /// Forgets a pair whose candidate is to be forgotten. Nothing may refer to it any more.
    pub(super) fn forget(&mut self, key: PairKey) {
        self.set_valid(key, None);
        self.fail(key, PairFate::BaseGone);
        self.take_back_trigger(key);
        self.get_mut(key).forgotten = true;
        self.free.push(key);
    }

    /// Moves a pair to another state and does what follows from it for its group.
    pub(super) fn set_state(&mut self, key: PairKey, state: PairState) {
        let pair = &mut self.pairs[key.0 as usize];
        let was = core::mem::replace(&mut pair.state, state);
        if was == state {
            return;
        }
        pair.fate = None;
        let entry = (Reverse(pair.priority), key);
        let (group, class) = (pair.group, pair.class);
        if let Some(set) = self.set_of(was, class) {
            set.remove(&entry);
        }
        if let Some(set) = self.set_of(state, class) {
            set.insert(entry);
        }
        let active = |state| matches!(state, PairState::Waiting | PairState::InProgress);
        match (active(was), active(state)) {
            (false, true) => self.group[group].active += 1,
            (true, false) => self.group[group].active -= 1,
            _ => {}
        }
        if state == PairState::Succeeded && !self.group[group].succeeded {
            self.group[group].succeeded = true;
            self.unfreeze(group);
        }
    }

    /// Gives a pair up.
    pub(super) fn fail(&mut self, key: PairKey, fate: PairFate) {
        self.set_state(key, PairState::Failed);
        self.get_mut(key).fate = Some(fate);
    }

    /// Puts a pair aside.
    pub(super) fn prune(&mut self, key: PairKey, fate: PairFate) {
        self.set_state(key, PairState::Pruned);
        self.get_mut(key).fate = Some(fate);
    }

    /// Puts a pair on the valid list or takes it off.
    pub(super) fn set_valid(&mut self, key: PairKey, valid: Option<super::LocalCandidate>) {
        let pair = &mut self.pairs[key.0 as usize];
        pair.valid = valid;
        let entry = (Reverse(pair.priority), key);
        if valid.is_some() {
            self.valid.insert(entry);
        } else {
            self.valid.remove(&entry);
        }
    }

    /// Queues a triggered check (RFC 8445 section 6.1.4.1).
    pub(super) fn trigger(&mut self, key: PairKey) {
        let pair = &mut self.pairs[key.0 as usize];
        if !pair.triggered {
            pair.triggered = true;
            self.triggered.push_back(key);
        }
    }

    /// Queues a triggered check for later; nothing comes of it if the pair is not being checked any more by then.
    pub(super) fn trigger_at(&mut self, key: PairKey, at: Instant) {
        self.postponed.insert((at, key));
    }

    /// A check that is not answered by then may be sent once more in a turn that nobody wants.
    pub(super) fn doubt_at(&mut self, key: PairKey, at: Instant) {
        self.doubtful.insert((at, key));
    }

    /// When the next of those that were queued for later is due.
    pub(super) fn next_postponed(&self) -> Option<Instant> {
        self.postponed.first().map(|&(at, _)| at)
    }

    /// When a check may be sent once more, if no other has its turn.
    pub(super) fn next_doubtful(&self) -> Option<Instant> {
        self.doubtful.first().map(|&(at, _)| at)
    }

    /// The check to send once more at `now`, if one is worth it. Only where nothing else is to be checked.
    pub(super) fn take_doubtful(&mut self, now: Instant) -> Option<PairKey> {
        while let Some(&(_, key)) = self.doubtful.first().filter(|&&(at, _)| at <= now) {
            self.doubtful.pop_first();
            if self.get(key).state == PairState::InProgress {
                return Some(key);
            }
        }
        None
    }

    /// Sends nothing once more that was not answered yet.
    pub(super) fn forget_doubtful(&mut self) {
        self.doubtful.clear();
    }

    /// Queues those that were queued for later and are due.
    pub(super) fn trigger_postponed(&mut self, now: Instant) {
        while let Some(&(_, key)) = self.postponed.first().filter(|&&(at, _)| at <= now) {
            self.postponed.pop_first();
            if self.get(key).state == PairState::InProgress {
                self.set_state(key, PairState::Waiting);
                self.trigger(key);
            }
        }
    }

    /// Takes a triggered check back that was not sent yet.
    pub(super) fn take_back_trigger(&mut self, key: PairKey) {
        self.triggered.retain(|&other| other != key);
        self.postponed.retain(|&(_, other)| other != key);
        self.doubtful.retain(|&(_, other)| other != key);
        self.get_mut(key).triggered = false;
    }

    /// The pair to check now: the oldest triggered one, else the best waiting one of the class that had the fewest
    /// turns, else the best frozen one (RFC 8445 section 6.1.4.2).
    ///
    /// Two things differ from the RFC, and both were chosen by measurement. It takes the best waiting pair, so that
    /// with ten candidates on each side a relayed pair has its turn after dozens of hopeless direct ones; taking the
    /// classes in turn finds any kind of path within a few checks. And it leaves a frozen pair alone while one of its
    /// foundation is under way, which is 39 s if nobody answers; here a slot that would stay empty goes to the best
    /// of them.
    pub(super) fn take_next(&mut self) -> Option<PairKey> {
        if let Some(key) = self.triggered.pop_front() {
            self.get_mut(key).triggered = false;
            return Some(key);
        }
        let next = |queue: &&mut Queue| (queue.turns, queue.class.turn(), queue.waiting.first().copied());
        match self.waiting.iter_mut().filter(|queue| !queue.waiting.is_empty()).min_by_key(next) {
            Some(queue) => {
                queue.turns += 1;
                queue.waiting.first().map(|&(_, key)| key)
            }
            None => self.frozen.first().map(|&(_, key)| key),
        }
    }

    /// Gives pairs the priorities that `priority_of` finds, after a change of role.
    pub(super) fn reprioritise(&mut self, priority_of: impl Fn(&Pair) -> u64) {
        for place in 0..self.pairs.len() {
            let key = PairKey(place as u32);
            let pair = &mut self.pairs[place];
            let old = (Reverse(pair.priority), key);
            pair.priority = priority_of(pair);
            let new = (Reverse(pair.priority), key);
            let (state, class) = (pair.state, pair.class);
            if let Some(set) = self.set_of(state, class) {
                set.remove(&old);
                set.insert(new);
            }
            if self.valid.remove(&old) {
                self.valid.insert(new);
            }
        }
    }

    /// Prunes all pairs that have no answer yet (RFC 8445 section 8.1.2).
    pub(super) fn conclude(&mut self, nominated: PairKey) {
        self.concluded = Some(self.get(nominated).priority);
        let waiting = self.waiting.iter().flat_map(|queue| &queue.waiting);
        let unanswered = waiting.chain(&self.frozen).chain(&self.in_progress).map(|&(_, key)| key);
        let unanswered: Vec<PairKey> = unanswered.filter(|&key| key != nominated).collect();
        for key in unanswered {
            self.prune(key, PairFate::OtherNominated);
        }
        while let Some(key) = self.triggered.pop_front() {
            self.get_mut(key).triggered = false;
        }
        self.postponed.clear();
    }

    /// Takes up again what was pruned, as the nominated pair is lost, and what had failed if `failed_too`. What once
    /// worked and was lost stays so.
    pub(super) fn resume(&mut self, failed_too: bool, max_open: usize) {
        self.concluded = None;
        let lost = |fate| matches!(fate, PairFate::BaseGone | PairFate::ConsentExpired | PairFate::ConsentRevoked);
        let failed = |pair: &Pair| failed_too && pair.state == PairState::Failed && !pair.fate.is_some_and(lost);
        let failed = self.pairs().filter(|(_, pair)| failed(pair)).map(|(key, _)| key);
        let again: Vec<PairKey> = self.pruned().chain(failed).collect();
        for key in again {
            self.set_state(key, self.first_state(self.get(key).group));
        }
        self.crowd_out(max_open);
    }

    /// RFC 8445 section 6.1.2.5.
    fn crowd_out(&mut self, max_open: usize) {
        while self.open() > max_open {
            let waiting = self.waiting.iter().map(|queue| &queue.waiting);
            let worst = waiting.chain([&self.frozen]).filter_map(|set| set.last()).max();
            let Some(&(_, worst)) = worst else { return };
            self.prune(worst, PairFate::CrowdedOut);
        }
    }

    fn first_state(&self, group: usize) -> PairState {
        match self.group[group] {
            Group { succeeded: false, active: 1.. } => PairState::Frozen,
            _ => PairState::Waiting,
        }
    }

    fn unfreeze(&mut self, group: usize) {
        let thawed: Vec<PairKey> =
            self.frozen.iter().map(|&(_, key)| key).filter(|&key| self.get(key).group == group).collect();
        for key in thawed {
            self.set_state(key, PairState::Waiting);
        }
    }

    fn set_of(&mut self, state: PairState, class: PairClass) -> Option<&mut Ordered> {
        match state {
            PairState::Waiting => Some(self.queue(class)),
            PairState::Frozen => Some(&mut self.frozen),
            PairState::InProgress => Some(&mut self.in_progress),
            PairState::Pruned => Some(&mut self.pruned),
            PairState::Succeeded | PairState::Failed => None,
        }
    }

    fn queue(&mut self, class: PairClass) -> &mut Ordered {
        let place = self.waiting.iter().position(|queue| queue.class == class);
        let place = place.unwrap_or_else(|| {
            self.waiting.push(Queue { class, waiting: Ordered::new(), turns: 0 });
            self.waiting.len() - 1
        });
        &mut self.waiting[place].waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ice::CandidateKind;
    use crate::path::{PathId, Protocol};

    fn add(list: &mut CheckList, priority: u64, foundation: &str, max: usize) -> PairKey {
        add_of(list, CandidateKind::Host, priority, foundation, max)
    }

    fn add_of(list: &mut CheckList, kind: CandidateKind, priority: u64, foundation: &str, max: usize) -> PairKey {
        let protocol = Protocol::Udp;
        let class = PairClass { protocol, local: CandidateKind::Host, remote: kind, is_ipv4: true };
        let pair = Pair::new(PathId::from_u32(0), 0, 0, priority, class);
        let foundation: Foundation = foundation.parse().unwrap();
        list.add(pair, (foundation, foundation), max)
    }

    fn check_next(list: &mut CheckList) -> Option<PairKey> {
        let key = list.take_next()?;
        list.set_state(key, PairState::InProgress);
        Some(key)
    }

    #[test]
    fn one_pair_per_foundation_goes_first_and_its_success_thaws_the_others() {
        let mut list = CheckList::default();
        let a1 = add(&mut list, 40, "a", 100);
        let a2 = add(&mut list, 30, "a", 100);
        let b1 = add(&mut list, 20, "b", 100);
        assert_eq!(check_next(&mut list), Some(a1));
        let b2 = add(&mut list, 10, "b", 100);
        assert_eq!(check_next(&mut list), Some(b1), "a2 is better but its foundation is under way");
        list.set_state(b1, PairState::Succeeded);
        assert_eq!((list.get(a2).state, list.get(b2).state), (PairState::Frozen, PairState::Waiting));
        assert_eq!(check_next(&mut list), Some(b2));
        list.set_state(a1, PairState::Succeeded);
        assert_eq!(list.get(a2).state, PairState::Waiting);
    }

    #[test]
    fn a_frozen_pair_takes_the_turn_that_nobody_else_wants() {
        let mut list = CheckList::default();
        let a1 = add(&mut list, 40, "a", 100);
        let a2 = add(&mut list, 30, "a", 100);
        assert_eq!((check_next(&mut list), check_next(&mut list)), (Some(a1), Some(a2)));
        assert_eq!(check_next(&mut list), None);
        assert!(!list.has_work());
    }

    #[test]
    fn classes_have_their_turns_and_the_best_class_goes_first() {
        let mut list = CheckList::default();
        let host: Vec<PairKey> =
            (0..3).map(|n| add_of(&mut list, CandidateKind::Host, 90 - n, &n.to_string(), 100)).collect();
        let reflexive = add_of(&mut list, CandidateKind::ServerReflexive, 50, "s", 100);
        let relayed = add_of(&mut list, CandidateKind::Relayed, 10, "r", 100);
        let order: Vec<PairKey> = core::iter::from_fn(|| check_next(&mut list)).collect();
        assert_eq!(order, [host[0], reflexive, relayed, host[1], host[2]]);
    }

    #[test]
    fn what_a_nomination_puts_aside_comes_back_when_it_is_lost() {
        let mut list = CheckList::default();
        let nominated = add(&mut list, 20, "a", 100);
        let worse = add(&mut list, 10, "b", 100);
        list.set_state(nominated, PairState::Succeeded);
        list.conclude(nominated);
        let late = add(&mut list, 15, "c", 100);
        let better = add(&mut list, 30, "d", 100);
        assert_eq!(list.pruned().collect::<Vec<_>>(), [late, worse]);
        assert_eq!(list.get(late).fate, Some(PairFate::OtherNominated));
        assert_eq!(check_next(&mut list), Some(better), "what is better than the nominated pair is worth a check");
        assert_eq!(check_next(&mut list), None);
        list.fail(better, PairFate::Unanswered);
        list.fail(nominated, PairFate::ConsentExpired);
        list.resume(true, 100);
        let order: Vec<PairKey> = core::iter::from_fn(|| check_next(&mut list)).collect();
        assert_eq!(order, [better, late, worse]);
    }

    #[test]
    fn triggered_checks_go_first_and_once() {
        let mut list = CheckList::default();
        let best = add(&mut list, 40, "a", 100);
        let worst = add(&mut list, 10, "b", 100);
        list.trigger(worst);
        list.trigger(worst);
        assert_eq!(check_next(&mut list), Some(worst));
        assert_eq!(check_next(&mut list), Some(best));
        assert_eq!(check_next(&mut list), None);
    }

    #[test]
    fn a_full_list_drops_its_worst_untried_pair() {
        let mut list = CheckList::default();
        let worst = add(&mut list, 10, "a", 2);
        let best = add(&mut list, 40, "b", 2);
        let middle = add(&mut list, 20, "c", 2);
        assert_eq!(list.get(worst).state, PairState::Pruned);
        let late = add(&mut list, 5, "d", 2);
        assert_eq!(list.get(late).state, PairState::Pruned);
        assert_eq!((check_next(&mut list), check_next(&mut list)), (Some(best), Some(middle)));
    }

    #[test]
    fn a_change_of_priorities_reorders() {
        let mut list = CheckList::default();
        let a = add(&mut list, 10, "a", 100);
        let b = add(&mut list, 20, "b", 100);
        list.reprioritise(|pair| 100 - pair.priority);
        assert_eq!((check_next(&mut list), check_next(&mut list)), (Some(a), Some(b)));
        assert_eq!(list.open(), 2);
    }
}
