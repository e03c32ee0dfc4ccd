//! Whose turn it is to send a check.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::time::{Instant, Timeline};

/// One pacing budget for many agents.
///
/// No two grants come within the pacer's own Ta, and no agent gets one within its own. Agents that want one take
/// turns, however many pairs each of them has: who joins a thousand busy ones waits for a thousand grants at most.
/// A triggered check is first in its own agent, but does not go before those of others: where 50 pairs of agents
/// began together, that made them connect later, by 2 to 90 %, and send more.
///
/// Whenever an agent was called, tell what it wants now by [`set_demand`](Self::set_demand). After every call that
/// takes `now`, poll grants until there are no more; then call [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout) at the latest. No call looks at more than a few members, however many there
/// are.
#[derive(Debug)]
pub struct Pacer {
    pacing: Duration,
    line: Timeline,
    members: BTreeMap<MemberId, Place>,
    next_member: u64,
    /// Those whose own Ta is not over, by its end.
    resting: BTreeSet<(Instant, MemberId)>,
    /// Those who may send, by the order in which they came.
    ready: BTreeSet<(Ticket, MemberId)>,
    next_ticket: u64,
    next_grant_at: Instant,
    last_granted: Option<MemberId>,
}

/// A member of a [`Pacer`]. The number of one that left is not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MemberId(u64);

/// The order of those who may send.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Ticket(u64);

/// Where a member waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Nowhere: it has nothing to send.
    Idle,
    Resting(Instant),
    Ready(Ticket),
}

impl Pacer {
    /// The least Ta that RFC 8445 section 14.2 allows all agents together: 5 ms.
    pub const LEAST_PACING: Duration = Duration::from_millis(5);

    /// Makes one whose grants are `pacing` apart.
    #[must_use]
    pub fn new(pacing: Duration, now: Instant) -> Self {
        Self {
            pacing,
            line: Timeline::new(now),
            members: BTreeMap::new(),
            next_member: 0,
            resting: BTreeSet::new(),
            ready: BTreeSet::new(),
            next_ticket: 0,
            next_grant_at: now,
            last_granted: None,
        }
    }

    /// Takes a member in. It wants nothing yet.
    pub fn join(&mut self) -> MemberId {
        let member = MemberId(self.next_member);
        self.next_member += 1;
        self.members.insert(member, Place::Idle);
        member
    }

    /// Lets a member go. It gets no more grants.
    pub fn leave(&mut self, member: MemberId) {
        if let Some(place) = self.members.remove(&member) {
            self.vacate(member, place);
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes note of what [`Agent::wants_check`](crate::ice::Agent::wants_check) says at `now`: from when on its agent
    /// may send a check, if it has one to send. A member that waits and still wants one keeps its turn. Without effect
    /// for one that has left.
    pub fn set_demand(&mut self, member: MemberId, from: Option<Instant>, now: Instant) {
        let theirs = now;
        let now = self.line.advance(now);
        let Some(&was) = self.members.get(&member) else { return };
        let place = match (from, was) {
            (None, _) => Place::Idle,
            (Some(from), _) if from > theirs => Place::Resting(now + (from - theirs)),
            (Some(_), Place::Ready(ticket)) => Place::Ready(ticket),
            (Some(_), Place::Idle | Place::Resting(_)) => Place::Ready(self.ticket()),
        };
        if place != was {
            self.vacate(member, was);
            self.settle(member, place);
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.line.advance(now);
    }

    /// The member that may send one check now. It is to be given to its agent at once; until
    /// [`set_demand`](Self::set_demand) says what that wants then, it counts as wanting nothing.
    pub fn poll_grant(&mut self) -> Option<MemberId> {
        let now = self.line.now();
        if now < self.next_grant_at {
            return None;
        }
        self.end_rests(now);
        let (_, member) = self.ready.pop_first()?;
        self.members.insert(member, Place::Idle);
        self.next_grant_at = now + self.pacing;
        self.last_granted = Some(member);
        Some(member)
    }

    /// Takes back the last grant, if it was this member's: its agent had nothing to send after all. Another may
    /// have it at once.
    pub fn return_grant(&mut self, member: MemberId) {
        if self.last_granted == Some(member) {
            self.last_granted = None;
            self.next_grant_at = self.line.now();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, and grants to be polled.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wanted_from = if self.ready.is_empty() { self.resting.first()?.0 } else { self.next_grant_at };
        Some(self.line.to_callers(wanted_from.max(self.next_grant_at)))
    }

    /// Lines up those whose own Ta is over.
    fn end_rests(&mut self, now: Instant) {
        while let Some(&(until, member)) = self.resting.first().filter(|&&(until, _)| until <= now) {
            self.vacate(member, Place::Resting(until));
            let place = Place::Ready(self.ticket());
            self.settle(member, place);
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn settle(&mut self, member: MemberId, place: Place) {
        match place {
            Place::Idle => false,
            Place::Resting(until) => self.resting.insert((until, member)),
            Place::Ready(ticket) => self.ready.insert((ticket, member)),
        };
        self.members.insert(member, place);
    }

    fn vacate(&mut self, member: MemberId, place: Place) {
        match place {
            Place::Idle => false,
            Place::Resting(until) => self.resting.remove(&(until, member)),
            Place::Ready(ticket) => self.ready.remove(&(ticket, member)),
        };
    }
}
