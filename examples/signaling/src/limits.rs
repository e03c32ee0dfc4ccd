//! What the server puts up with.

use std::time::Duration;

use crate::rate::Rate;

/// All limits, with defaults that suit a server on the open Internet.
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// The largest message taken from a client, in bytes. A larger one is refused; one of more than
    /// [`HARD_FACTOR`](Self::HARD_FACTOR) times this size closes the connection.
    pub message_bytes: usize,
    /// The largest `info` object a member may carry, in bytes of JSON.
    pub info_bytes: usize,
    /// How many rooms there may be at once.
    pub rooms: usize,
    /// How many members a room may have at once.
    pub room_members: usize,
    /// How many clients may be connected at once.
    pub connections: usize,
    /// How many messages may wait for one client to read them; one more, and it is disconnected.
    pub queued_messages: usize,
    /// How many messages one client may send.
    pub messages: Rate,
    /// How many messages over that rate are answered with an error before the client is disconnected.
    pub patience: Rate,
    /// How often the server asks whether a client is still there.
    pub heartbeat: Duration,
    /// How long nothing may be heard from a client; longer than `heartbeat`.
    pub silence: Duration,
    /// How long a client may be connected without being in a room.
    pub idle: Duration,
    /// How long a write to a socket may make no progress.
    pub stall: Duration,
    /// How long a graceful shutdown may take.
    pub shutdown: Duration,
}

impl Limits {
    /// How many times [`message_bytes`](Self::message_bytes) is read at all.
    pub const HARD_FACTOR: usize = 4;

    pub(crate) fn hard_message_bytes(&self) -> usize {
        self.message_bytes.saturating_mul(Self::HARD_FACTOR)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 64 * 1024,
            info_bytes: 1024,
            rooms: 1024,
            room_members: 16,
            connections: 4096,
            queued_messages: 128,
            messages: Rate { per_second: 50.0, burst: 150.0 },
            patience: Rate { per_second: 1.0, burst: 20.0 },
            heartbeat: Duration::from_secs(15),
            silence: Duration::from_secs(40),
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(10),
            shutdown: Duration::from_secs(3),
        }
    }
}
