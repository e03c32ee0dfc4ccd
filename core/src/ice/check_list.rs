//! The check list: which pair is checked next (RFC 8445 sections 6.1.2 and 6.1.4).

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::pair::{Pair, PairKey};
use super::{Foundation, PairState};

/// The pairs of one generation, ordered by what is to be done with them.
///
/// A pair keeps its place for as long as the list lives, so that what happened to it can be told later.
#[derive(Debug, Default)]
pub(super) struct CheckList {
    pairs: Vec<Pair>,
    waiting: Ordered,
    frozen: Ordered,
    in_progress: Ordered,
    valid: Ordered,
    triggered: VecDeque<PairKey>,
    groups: BTreeMap<(Foundation, Foundation), usize>,
    group: Vec<Group>,
    /// A pair was nominated: those that come later are checked only if the other side checks them.
    concluded: bool,
}

/// The best pair first.
type Ordered = BTreeSet<(Reverse<u64>, PairKey)>;

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
        self.pairs.iter().enumerate().map(|(place, pair)| (PairKey(place as u32), pair))
    }

    /// Pairs that still may be checked or are being checked.
    pub(super) fn open(&self) -> usize {
        self.waiting.len() + self.frozen.len() + self.in_progress.len()
    }

    /// The number of pairs that RFC 8445 section 14.3 scales the retransmission timer by.
    pub(super) fn active(&self) -> usize {
        self.waiting.len() + self.in_progress.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The best valid pair.
    pub(super) fn best_valid(&self) -> Option<PairKey> {
        self.valid.first().map(|&(_, key)| key)
    }

    /// Valid pairs, the best first.
    pub(super) fn valid(&self) -> impl Iterator<Item = PairKey> + '_ {
        self.valid.iter().map(|&(_, key)| key)
    }

    /// The priority of the best pair of which nothing is known yet.
    pub(super) fn best_open(&self) -> Option<u64> {
        [&self.waiting, &self.frozen, &self.in_progress]
            .into_iter()
            .filter_map(|set| set.first())
            .map(|&(Reverse(priority), _)| priority)
            .max()
    }

    /// Whether a check is to be sent as soon as pacing allows.
    pub(super) fn has_work(&self) -> bool {
        !self.triggered.is_empty() || !self.waiting.is_empty() || self.may_unfreeze()
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
        let group = self.group[pair.group];
        let state = match group {
            _ if self.concluded => PairState::Pruned,
            Group { succeeded: false, active: 1.. } => PairState::Frozen,
            _ => PairState::Waiting,
        };
        pair.state = PairState::Pruned;
        let key = PairKey(self.pairs.len() as u32);
        self.pairs.push(pair);
        self.set_state(key, state);
        if self.open() > max_open {
            let worst = self.waiting.last().into_iter().chain(self.frozen.last()).max().map(|&(_, key)| key);
            if let Some(worst) = worst {
                self.set_state(worst, PairState::Pruned);
            }
        }
        key
    }

    /// Moves a pair to another state and does what follows from it for its group.
    pub(super) fn set_state(&mut self, key: PairKey, state: PairState) {
        let pair = &mut self.pairs[key.0 as usize];
        let was = core::mem::replace(&mut pair.state, state);
        if was == state {
            return;
        }
        let entry = (Reverse(pair.priority), key);
        let group = pair.group;
        if let Some(set) = self.set_of(was) {
            set.remove(&entry);
        }
        if let Some(set) = self.set_of(state) {
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

    /// The pair to check now: the oldest triggered one, else the best waiting, else the best frozen one whose
    /// group is at rest (RFC 8445 section 6.1.4.2).
    pub(super) fn take_next(&mut self) -> Option<PairKey> {
        if let Some(key) = self.triggered.pop_front() {
            self.get_mut(key).triggered = false;
            return Some(key);
        }
        if let Some(&(_, key)) = self.waiting.first() {
            return Some(key);
        }
        self.frozen.iter().map(|&(_, key)| key).find(|&key| self.group_is_at_rest(key))
    }

    /// Gives pairs the priorities that `priority_of` finds, after a change of role.
    pub(super) fn reprioritise(&mut self, priority_of: impl Fn(&Pair) -> u64) {
        for place in 0..self.pairs.len() {
            let key = PairKey(place as u32);
            let pair = &mut self.pairs[place];
            let old = (Reverse(pair.priority), key);
            pair.priority = priority_of(pair);
            let new = (Reverse(pair.priority), key);
            let (state, valid) = (pair.state, pair.valid.is_some());
            if let Some(set) = self.set_of(state) {
                set.remove(&old);
                set.insert(new);
            }
            if valid {
                self.valid.remove(&old);
                self.valid.insert(new);
            }
        }
    }

    /// Takes all pairs off the list that were not tried yet (RFC 8445 section 8.1.2).
    pub(super) fn conclude(&mut self) {
        self.concluded = true;
        let untried: Vec<PairKey> = self.waiting.iter().chain(&self.frozen).map(|&(_, key)| key).collect();
        for key in untried {
            self.set_state(key, PairState::Pruned);
        }
        while let Some(key) = self.triggered.pop_front() {
            self.get_mut(key).triggered = false;
        }
    }

    fn may_unfreeze(&self) -> bool {
        self.frozen.iter().any(|&(_, key)| self.group_is_at_rest(key))
    }

    fn group_is_at_rest(&self, key: PairKey) -> bool {
        self.group[self.get(key).group].active == 0
    }

    fn unfreeze(&mut self, group: usize) {
        let thawed: Vec<PairKey> =
            self.frozen.iter().map(|&(_, key)| key).filter(|&key| self.get(key).group == group).collect();
        for key in thawed {
            self.set_state(key, PairState::Waiting);
        }
    }

    fn set_of(&mut self, state: PairState) -> Option<&mut Ordered> {
        match state {
            PairState::Waiting => Some(&mut self.waiting),
            PairState::Frozen => Some(&mut self.frozen),
            PairState::InProgress => Some(&mut self.in_progress),
            PairState::Succeeded | PairState::Failed | PairState::Pruned => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::PathId;

    fn add(list: &mut CheckList, priority: u64, foundation: &str, max: usize) -> PairKey {
        let pair = Pair::new(PathId::from_u32(0), 0, 0, priority);
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
        assert_eq!(check_next(&mut list), Some(b1), "a2 is better but its foundation is under way");
        assert_eq!(check_next(&mut list), None);
        assert!(!list.has_work());
        list.set_state(a1, PairState::Succeeded);
        assert!(list.has_work());
        assert_eq!(check_next(&mut list), Some(a2));
    }

    #[test]
    fn a_failed_foundation_lets_the_next_of_its_pairs_go() {
        let mut list = CheckList::default();
        let a1 = add(&mut list, 40, "a", 100);
        let a2 = add(&mut list, 30, "a", 100);
        assert_eq!(check_next(&mut list), Some(a1));
        assert!(!list.has_work());
        list.set_state(a1, PairState::Failed);
        assert_eq!(check_next(&mut list), Some(a2));
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
