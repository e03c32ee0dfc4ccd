//! Where the doors meet: which connection sits in which seat of the room model, and what it may still send.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::ws::Utf8Bytes;
use tracing::debug;

use crate::limits::Limits;
use crate::message::{LeaveReason, Message, Request, RoomClosedReason};
use crate::names::{MemberId, RoomName};
use crate::rate::TokenBucket;
use crate::refusal::Refusal;
use crate::room::{Relayed, RoomReport, Rooms};

/// The way back to one client. Called while the hub is locked, so it must not wait and must not call the hub.
pub(crate) trait Outbox: Send + Sync {
    /// Queues a message.
    fn push(&self, parcel: &Parcel<'_>) -> Result<(), Overflow>;
    /// Says why and closes the connection; not called while the hub is locked.
    fn close(&self, why: &Refusal);
}

/// The client has not read what was queued before.
#[derive(Debug)]
pub(crate) struct Overflow;

/// A message on its way to several clients, written as text at most once.
pub(crate) struct Parcel<'a> {
    pub(crate) message: &'a Message,
    text: OnceCell<Utf8Bytes>,
}

impl<'a> Parcel<'a> {
    pub(crate) fn new(message: &'a Message) -> Self {
        Self { message, text: OnceCell::new() }
    }

    pub(crate) fn text(&self) -> Utf8Bytes {
        // A message has only text keys, so writing it cannot fail.
        self.text.get_or_init(|| serde_json::to_string(self.message).unwrap_or_default().into()).clone()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ConnectionId(u64);

pub(crate) struct Hub {
    pub(crate) limits: Limits,
    state: Mutex<State>,
}

struct State {
    rooms: Rooms,
    connections: BTreeMap<ConnectionId, Connection>,
    seats: BTreeMap<MemberId, ConnectionId>,
    next_connection: u64,
    shutting_down: bool,
}

struct Connection {
    outbox: Arc<dyn Outbox>,
    messages: TokenBucket,
    patience: TokenBucket,
    seat: Seat,
}

enum Seat {
    Standing { since: Instant },
    Taken(MemberId),
}

/// Those to be closed once the hub is unlocked, and why.
type Evicted = Vec<(Arc<dyn Outbox>, Refusal)>;

impl Hub {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State {
            rooms: Rooms::new(limits.rooms, limits.room_members),
            connections: BTreeMap::new(),
            seats: BTreeMap::new(),
            next_connection: 0,
            shutting_down: false,
        };
        Self { limits, state: Mutex::new(state) }
    }

    /// A client has come.
    pub(crate) fn connect(&self, outbox: Arc<dyn Outbox>) -> Result<ConnectionId, Refusal> {
        let now = Instant::now();
        let mut state = self.lock();
        if state.shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        if state.connections.len() >= self.limits.connections {
            return Err(Refusal::TooManyConnections { limit: self.limits.connections });
        }
        let id = ConnectionId(state.next_connection);
        state.next_connection += 1;
        let connection = Connection {
            outbox,
            messages: TokenBucket::new(self.limits.messages, now),
            patience: TokenBucket::new(self.limits.patience, now),
            seat: Seat::Standing { since: now },
        };
        state.connections.insert(id, connection);
        Ok(id)
    }

    /// A client has sent `size` bytes, which `parse` reads. `answer` queues the answer; it is called once, or not
    /// at all if the client was disconnected before.
    pub(crate) fn receive(
        &self,
        id: ConnectionId,
        size: usize,
        parse: impl FnOnce() -> Result<Request, Refusal>,
        answer: impl FnOnce(&Message) -> Result<(), Overflow>,
    ) {
        let admitted = self.admit(id);
        let request = match size > self.limits.message_bytes {
            _ if admitted.is_err() => Err(Refusal::RateLimited),
            true => Err(Refusal::too_large("message", size, self.limits.message_bytes)),
            false => parse(),
        };
        self.with(|state, evicted| {
            if !state.connections.contains_key(&id) {
                return;
            }
            let message = match request.and_then(|request| state.apply(id, request)) {
                Ok(message) => message,
                Err(refusal) => Message::Error(refusal),
            };
            let answered = answer(&message);
            match (admitted, answered) {
                (Err(Admission::Exhausted), _) => state.evict(id, Refusal::RateLimited, evicted),
                (_, Err(Overflow)) => state.evict(id, Refusal::TooSlow, evicted),
                _ => {}
            }
        });
    }

    /// Counts a frame that carries no request. False if the client has been disconnected for it.
    pub(crate) fn count_frame(&self, id: ConnectionId) -> bool {
        match self.admit(id) {
            Ok(()) | Err(Admission::Dropped) => true,
            Err(Admission::Exhausted) => {
                self.with(|state, evicted| state.evict(id, Refusal::RateLimited, evicted));
                false
            }
        }
    }

    /// A client is gone.
    pub(crate) fn disconnect(&self, id: ConnectionId, reason: LeaveReason) {
        self.with(|state, _| {
            if let Some(Connection { seat: Seat::Taken(member), .. }) = state.connections.remove(&id) {
                state.seats.remove(&member);
                state.rooms.leave(member, reason);
            }
        });
    }

    /// Closes the connections that have been in no room for too long.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.with(|state, evicted| {
            let idle = |connection: &Connection| match connection.seat {
                Seat::Standing { since } => now.saturating_duration_since(since) > self.limits.idle,
                Seat::Taken(_) => false,
            };
            let ids: Vec<_> = state.connections.iter().filter(|(_, c)| idle(c)).map(|(id, _)| *id).collect();
            for id in ids {
                state.evict(id, Refusal::Idle, evicted);
            }
        });
    }

    /// Closes a room and says how many members it had; `None` if there is no such room.
    pub(crate) fn close_room(&self, room: &RoomName) -> Option<usize> {
        let mut closed = None;
        // Seats are needed until the news is delivered; `State::deliver` gives them up.
        self.with(|state, _| closed = state.rooms.close(room, RoomClosedReason::Closed).map(|members| members.len()));
        closed
    }

    pub(crate) fn rooms(&self) -> Vec<RoomReport> {
        self.lock().rooms.report()
    }

    /// Takes no more connections, closes all rooms, and then all connections.
    pub(crate) fn shut_down(&self) {
        self.with(|state, evicted| {
            state.shutting_down = true;
            for RoomReport { room, .. } in state.rooms.report() {
                state.rooms.close(&room, RoomClosedReason::Shutdown);
            }
            state.deliver(evicted);
            let ids: Vec<_> = state.connections.keys().copied().collect();
            for id in ids {
                state.evict(id, Refusal::ShuttingDown, evicted);
            }
        });
    }

    fn admit(&self, id: ConnectionId) -> Result<(), Admission> {
        let now = Instant::now();
        let mut state = self.lock();
        let Some(connection) = state.connections.get_mut(&id) else { return Ok(()) };
        match connection.messages.take(now) {
            true => Ok(()),
            false if connection.patience.take(now) => Err(Admission::Dropped),
            false => Err(Admission::Exhausted),
        }
    }

    /// Changes the state, delivers what came of it, and closes those who could not take it.
    fn with(&self, change: impl FnOnce(&mut State, &mut Evicted)) {
        let mut evicted = Evicted::new();
        {
            let mut state = self.lock();
            change(&mut state, &mut evicted);
            state.deliver(&mut evicted);
        }
        for (outbox, refusal) in evicted {
            debug!(%refusal, "closing a connection");
            outbox.close(&refusal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that can panic; one client's trouble stays its own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a message is not read.
#[derive(Clone, Copy)]
enum Admission {
    /// Over the rate: it is dropped and answered with an error.
    Dropped,
    /// Over the rate too often: the connection is closed as well.
    Exhausted,
}

impl State {
    fn apply(&mut self, id: ConnectionId, request: Request) -> Result<Message, Refusal> {
        let connection = self.connections.get_mut(&id).ok_or(Refusal::NotJoined)?;
        match (request, &connection.seat) {
            (Request::Join(join), Seat::Standing { .. }) => {
                if self.shutting_down {
                    return Err(Refusal::ShuttingDown);
                }
                let member = new_member_id(&self.seats);
                let welcome = self.rooms.join(member, join.room, join.name, join.info)?;
                connection.seat = Seat::Taken(member);
                self.seats.insert(member, id);
                Ok(Message::Welcome(welcome))
            }
            (Request::Join(join), Seat::Taken(member)) => {
                // The model knows the room the member is in, and refuses.
                self.rooms.join(*member, join.room, join.name, join.info).map(Message::Welcome)
            }
            (Request::Description { to, description }, Seat::Taken(member)) => {
                self.rooms.relay(*member, to, Relayed::Description(description)).map(|()| Message::Ok)
            }
            (Request::Candidate { to, candidate }, Seat::Taken(member)) => {
                self.rooms.relay(*member, to, Relayed::Candidate(candidate)).map(|()| Message::Ok)
            }
            (Request::Leave, Seat::Taken(member)) => {
                self.seats.remove(member);
                self.rooms.leave(*member, LeaveReason::Left);
                connection.seat = Seat::Standing { since: Instant::now() };
                Ok(Message::Ok)
            }
            (_, Seat::Standing { .. }) => Err(Refusal::NotJoined),
        }
    }

    fn deliver(&mut self, evicted: &mut Evicted) {
        while let Some(delivery) = self.rooms.poll_delivery() {
            let parcel = Parcel::new(&delivery.message);
            for member in delivery.to {
                let Some(id) = self.seats.get(&member).copied() else { continue };
                let Some(connection) = self.connections.get_mut(&id) else { continue };
                let pushed = connection.outbox.push(&parcel);
                if let Message::RoomClosed { .. } = delivery.message {
                    self.seats.remove(&member);
                    connection.seat = Seat::Standing { since: Instant::now() };
                }
                if pushed.is_err() {
                    self.evict(id, Refusal::TooSlow, evicted);
                }
            }
        }
    }

    fn evict(&mut self, id: ConnectionId, refusal: Refusal, evicted: &mut Evicted) {
        let Some(connection) = self.connections.remove(&id) else { return };
        if let Seat::Taken(member) = connection.seat {
            let reason = match refusal {
                Refusal::TooSlow => LeaveReason::TooSlow,
                Refusal::RateLimited => LeaveReason::RateLimited,
                _ => LeaveReason::Disconnected,
            };
            self.seats.remove(&member);
            self.rooms.leave(member, reason);
        }
        evicted.push((connection.outbox, refusal));
    }
}

/// An id that nobody has and nobody can guess.
fn new_member_id(taken: &BTreeMap<MemberId, ConnectionId>) -> MemberId {
    loop {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        let id = MemberId::new(u64::from_le_bytes(bytes));
        if !taken.contains_key(&id) {
            return id;
        }
    }
}
