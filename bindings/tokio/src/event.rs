//! What a peer tells its application, in order.

use frazil::ice;
use frazil::ice::PairReport;
use frazil::jsep::{SignalingState, TrickledCandidate};
use frazil::peer::{self, ConnectionState};
use futures_core::Stream;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::channel::Channel;
use crate::shared::{Shared, is_worth_telling};

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// An offer should be made.
    NegotiationNeeded,
    /// The signalling state changed.
    SignalingStateChange(SignalingState),
    /// A candidate of our own that no description told, for the other side. An empty one says that there are no
    /// more. The sockets' addresses are in the descriptions already.
    IceCandidate(TrickledCandidate),
    /// How far the gathering of candidates is.
    IceGatheringStateChange(ice::GatheringState),
    /// A STUN or TURN server gives us no candidate, or takes back what it gave, and why.
    IceCandidateError(ice::GatheringError),
    /// The state of ICE changed.
    IceStateChange(ice::State),
    /// The state of the whole connection changed; on `Failed`, [`Peer::failure`](crate::Peer::failure) says why.
    ConnectionStateChange(ConnectionState),
    /// Data goes another way from now on.
    SelectedPairChange(Box<PairReport>),
    /// An ICE restart has found no path, for this reason. The one from before it stays in use.
    IceRestartFailed(ice::Failure),
    /// The machine's addresses have changed: sockets were bound on new ones, those of gone ones are closed, and
    /// this is what became of the path in use. If it was lost, an ICE restart
    /// ([`Peer::restart_ice`](crate::Peer::restart_ice)) tells the other side of the new addresses.
    NetworkChange(ice::NetworkChange),
    /// The other side opened a channel. Dropping it closes it.
    Channel(Channel),
    /// A socket cannot be used any more, or could not be bound to one of the machine's addresses (its port is
    /// then 0). The other sockets are well.
    ///
    /// A socket that was lost is withdrawn: [`Self::NetworkChange`] follows.
    SocketLost {
        /// The address the socket was, or would have been, bound to.
        local: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// How many events may wait before data is held back.
const LIMIT: usize = peer::Peer::EVENT_BACKLOG;

/// The events of one peer, in order; a [`Stream`] that ends when the peer is closed.
///
/// No event that asks for something is ever lost. Most are made at a pace that the network cannot set; but
/// the other side chooses how many channels it opens, so when 256 events wait here, its data is held back as
/// for a [`Channel`] that is not read. Of the events that tell a state, only the latest of each
/// kind is then kept.
///
/// Events do not keep the peer open. If this is dropped, events are dropped as they come, and with them the
/// channels that the other side opens.
#[derive(Debug)]
pub struct Events {
    queue: Arc<Queue>,
}

impl Events {
    pub(crate) fn new(shared: Arc<Shared>) -> (Self, Arc<Queue>) {
        let queue = Arc::new(Queue { shared, waiting: Mutex::default() });
        (Self { queue: Arc::clone(&queue) }, queue)
    }

    /// The next event; None when the peer is closed and all events were taken. Losing the race of a
    /// `select!` loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.queue.poll_pop(cx)).await
    }

    /// The next event, if one waits.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.pop()
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.queue.poll_pop(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.queue.disown();
    }
}

/// Between the driver and [`Events`].
#[derive(Debug)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
    waiting: Mutex<Waiting>,
}

#[derive(Default, Debug)]
struct Waiting {
    events: VecDeque<Event>,
    /// How many the core was told of; none while there are few.
    told: usize,
    waker: Option<Waker>,
    ended: bool,
    disowned: bool,
}

impl Queue {
    pub(crate) fn push(&self, event: Event) {
        let mut waiting = self.lock();
        if waiting.ended || waiting.disowned {
            drop(waiting);
            // An event may hold a channel, whose end takes the peer's lock: not under ours.
            drop(event);
            return;
        }
        if waiting.events.len() >= LIMIT
            && event.tells_a_state()
            && let Some(older) =
                waiting.events.iter().position(|older| mem::discriminant(older) == mem::discriminant(&event))
        {
            waiting.events.remove(older);
        }
        waiting.events.push_back(event);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// No event comes after those that wait.
    pub(crate) fn end(&self) {
        let mut waiting = self.lock();
        waiting.ended = true;
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn pop(&self) -> Option<Event> {
        let mut waiting = self.lock();
        let event = waiting.events.pop_front();
        let eased = waiting.is_eased();
        drop(waiting);
        if eased {
            self.shared.stir();
        }
        event
    }

    fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(event) = self.pop() {
            return Poll::Ready(Some(event));
        }
        let mut waiting = self.lock();
        if let Some(event) = waiting.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if waiting.ended {
            return Poll::Ready(None);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn disown(&self) {
        let mut waiting = self.lock();
        waiting.disowned = true;
        let events = mem::take(&mut waiting.events);
        let eased = waiting.is_eased();
        drop(waiting);
        if eased {
            self.shared.stir();
        }
        drop(events);
    }

    /// How many events wait, where the core is to be told.
    pub(crate) fn backlog(&self) -> Option<usize> {
        let mut waiting = self.lock();
        let few = waiting.events.len() <= LIMIT / 2;
        let backlog = if few { 0 } else { waiting.events.len() };
        (mem::replace(&mut waiting.told, backlog) != backlog).then_some(backlog)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_eased(&self) -> bool {
        is_worth_telling(self.told, self.events.len(), LIMIT)
    }
}

impl Event {
    /// Whether a later event of the same kind says all that this one does.
    fn tells_a_state(&self) -> bool {
        matches!(
            self,
            Self::SignalingStateChange(_)
                | Self::IceStateChange(_)
                | Self::IceGatheringStateChange(_)
                | Self::ConnectionStateChange(_)
                | Self::SelectedPairChange(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use frazil::peer::{Config, Peer};

    #[test]
    fn events_that_nobody_takes_hold_data_back_and_only_states_are_overtaken() {
        let clock = Clock::new();
        let core = Peer::new(Config::default(), [7; 32], clock.now()).unwrap();
        let shared = Arc::new(Shared::new(core, clock, 1 << 20));
        let (mut events, queue) = Events::new(Arc::clone(&shared));
        for _ in 0..LIMIT {
            queue.push(Event::IceStateChange(ice::State::Checking));
            let few = queue.lock().events.len() <= LIMIT / 2;
            assert_eq!(queue.backlog().is_none(), few, "the core is told of many alone");
        }
        for _ in 0..10 {
            queue.push(Event::IceCandidate(TrickledCandidate::default()));
            queue.push(Event::IceStateChange(ice::State::Disconnected));
            queue.push(Event::ConnectionStateChange(ConnectionState::Disconnected));
        }
        queue.push(Event::IceStateChange(ice::State::Connected));
        assert!(queue.backlog().is_some_and(|waiting| waiting > LIMIT));
        assert_eq!(queue.backlog(), None, "it is told once");
        let mut taken = Vec::new();
        let mut woken = Vec::new();
        while let Some(event) = events.try_next() {
            taken.push(event);
            if shared.lock().was_stirred(Waker::noop()) {
                woken.push(queue.backlog());
            }
        }
        // In steps, and the last tells that few are left.
        assert!((1..=3).contains(&woken.len()) && woken.last() == Some(&Some(0)), "{woken:?}");
        assert_eq!(taken.iter().filter(|event| matches!(event, Event::IceCandidate(_))).count(), 10);
        // The one that came below the limit's reach stays; of those above it, the latest.
        assert_eq!(taken.iter().filter(|event| matches!(event, Event::ConnectionStateChange(_))).count(), 1);
        assert!(matches!(taken.last(), Some(Event::IceStateChange(ice::State::Connected))));
        assert!(taken.len() < LIMIT + 20);
        queue.end();
        assert!(events.try_next().is_none());
    }
}
