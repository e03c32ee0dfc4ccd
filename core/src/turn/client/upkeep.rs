//! What time brings.

use super::{Client, Event, Outgoing, Phase};
use crate::Instant;
use crate::stun::{Due, TransactionId};
use crate::turn::request::Purpose;
use crate::turn::transaction::Outcome;
use crate::turn::{Failure, Loss};

impl Client {
    /// Does what is due, and notes when something is due again.
    pub(super) fn settle(&mut self, now: Instant) {
        self.tend_transactions(now);
        self.tend_data_streams(now);
        match &mut self.phase {
            Phase::Opening(until) if now >= *until => self.end_with_stream(Event::Failed(Failure::NotOpened)),
            Phase::Allocated(allocation) if now >= allocation.expires_at => {
                let refusal = allocation.refusal.take();
                self.lose(Loss::Expired(refusal));
            }
            Phase::Allocated(_) => self.tend_allocation(now),
            _ => {}
        }
        self.wake = self.next_wake(now);
    }

    /// What came in the stream is not TURN.
    pub(super) fn garbage(&mut self) {
        match self.phase {
            Phase::Allocating { is_abandoned: false } => self.end_with_stream(Event::Failed(Failure::Garbage)),
            Phase::Allocated(_) => self.lose(Loss::Garbage),
            Phase::Allocating { is_abandoned: true } | Phase::Releasing { is_told: true } => {
                self.end_with_stream(Event::Closed);
            }
            Phase::Releasing { is_told: false } => {
                self.events.push_back(Event::CloseStream);
                self.over();
            }
            Phase::Opening(_) | Phase::Over => {}
        }
    }

    /// Whether a stream is open that is ours.
    pub(super) fn has_stream(&self) -> bool {
        self.config.transport.is_stream() && !matches!(self.phase, Phase::Opening(_) | Phase::Over)
    }

    fn tend_transactions(&mut self, now: Instant) {
        let mut failed: Vec<TransactionId> = Vec::new();
        for (&id, transaction) in &mut self.transactions {
            match transaction.handle_timeout(now) {
                Due::Nothing => {}
                // Only datagrams are sent again, so it goes to the server's own.
                Due::Again => self.outbox.push_back(Outgoing::Request(id)),
                Due::Failed => failed.push(id),
            }
        }
        for id in failed {
            // One that has failed may have ended the others.
            if let Some(transaction) = self.transactions.remove(&id) {
                let outcome = Outcome::Unanswered { is_violated: transaction.is_violated };
                self.conclude(transaction.purpose, outcome, transaction.begun, now);
            }
        }
    }

    fn tend_allocation(&mut self, now: Instant) {
        let may_ask = self.may_ask();
        if let Phase::Allocated(allocation) = &mut self.phase
            && may_ask
            && allocation.refresh_at.is_some_and(|at| now >= at)
        {
            allocation.refresh_at = None;
            self.request(Purpose::Refresh, 0, now);
        }
        while let Some(purpose) = self.peers.due(may_ask, now) {
            self.request_in_turn(purpose, now);
        }
        while self.has_turn()
            && let Some(purpose) = self.queue.pop_front()
        {
            self.request(purpose, 0, now);
        }
        if self.keepalive_at().is_some_and(|at| now >= at) {
            self.sent_at = now;
            self.outbox.push_back(Outgoing::Keepalive);
        }
    }

    fn next_wake(&self, now: Instant) -> Option<Instant> {
        let transactions = self.transactions.values().map(|transaction| transaction.poll_timeout()).min();
        let phase = match &self.phase {
            Phase::Opening(until) => Some(*until),
            Phase::Allocated(allocation) => {
                let refresh_at = allocation.refresh_at.filter(|_| self.may_ask());
                let peers = self.peers.poll_timeout(self.may_ask(), now);
                refresh_at.into_iter().chain(peers).chain([allocation.expires_at]).min()
            }
            _ => None,
        };
        transactions.into_iter().chain(phase).chain(self.streams.poll_timeout()).min()
    }
}
