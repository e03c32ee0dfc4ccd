//! Why the server says no.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::names::{MemberId, RoomName};

/// How much of a client's own text an error repeats, in characters.
const QUOTED: usize = 64;

/// Why a request was refused or a connection closed. Serialises as the fields of an `error` message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Not a message, or a field of it is missing or wrong.
    Malformed {
        /// The path of the field, such as `description.type`; `.` is the message itself.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No request has this type.
    UnknownType(String),
    /// The message or a part of it is over its limit.
    TooLarge {
        /// What is too large: `message`, or the path of a field.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// More messages in a second than the server takes; this one was dropped.
    RateLimited,
    /// A second `join` without a `leave` before it.
    AlreadyJoined {
        /// The room the client is in.
        room: RoomName,
    },
    /// Only a member of a room can ask for this.
    NotJoined,
    /// The room has all the members it may have.
    RoomFull {
        /// The room.
        room: RoomName,
        /// How many members it may have.
        limit: usize,
    },
    /// The server has all the rooms it may have.
    TooManyRooms {
        /// How many that is.
        limit: usize,
    },
    /// The member named in `to` is not in the room.
    NoSuchMember(MemberId),
    /// The server has all the connections it may have. The connection is closed.
    TooManyConnections {
        /// How many that is.
        limit: usize,
    },
    /// In no room for too long. The connection is closed.
    Idle,
    /// Nothing heard for too long. The connection is closed.
    Timeout,
    /// The client does not read what it is sent. The connection is closed.
    TooSlow,
    /// The server is going down. The connection is closed.
    ShuttingDown,
}

impl Refusal {
    pub(crate) fn malformed(field: &str, problem: &str) -> Self {
        Self::Malformed { field: quote(field), problem: problem.chars().take(4 * QUOTED).collect() }
    }

    pub(crate) fn unknown_type(kind: &str) -> Self {
        Self::UnknownType(quote(kind))
    }

    pub(crate) fn too_large(what: &'static str, size: usize, limit: usize) -> Self {
        Self::TooLarge { what, size, limit }
    }

    /// The stable name of this refusal, as in `docs/signaling.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::UnknownType(_) => "unknown-type",
            Self::TooLarge { .. } => "too-large",
            Self::RateLimited => "rate-limited",
            Self::AlreadyJoined { .. } => "already-joined",
            Self::NotJoined => "not-joined",
            Self::RoomFull { .. } => "room-full",
            Self::TooManyRooms { .. } => "too-many-rooms",
            Self::NoSuchMember(_) => "no-such-member",
            Self::TooManyConnections { .. } => "too-many-connections",
            Self::Idle => "idle",
            Self::Timeout => "timeout",
            Self::TooSlow => "too-slow",
            Self::ShuttingDown => "shutting-down",
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Malformed { field, .. } => Some(field),
            Self::TooLarge { what, .. } => Some(what),
            Self::NoSuchMember(_) => Some("to"),
            Self::UnknownType(_) => Some("type"),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { field, problem } if field == "." => write!(f, "{problem}"),
            Self::Malformed { field, problem } => write!(f, "{field}: {problem}"),
            Self::UnknownType(kind) => write!(f, "no request has the type {kind:?}"),
            Self::TooLarge { what, size, limit } => write!(f, "{what} has {size} bytes, at most {limit} are taken"),
            Self::RateLimited => write!(f, "too many messages at once; this one was dropped"),
            Self::AlreadyJoined { room } => write!(f, "already in the room {room}; leave it first"),
            Self::NotJoined => write!(f, "in no room; join one first"),
            Self::RoomFull { room, limit } => write!(f, "the room {room} is full with {limit} members"),
            Self::TooManyRooms { limit } => write!(f, "the server has {limit} rooms and takes no more"),
            Self::NoSuchMember(id) => write!(f, "no member {id} in this room"),
            Self::TooManyConnections { limit } => write!(f, "the server has {limit} connections and takes no more"),
            Self::Idle => write!(f, "in no room for too long"),
            Self::Timeout => write!(f, "nothing heard for too long"),
            Self::TooSlow => write!(f, "messages were not read in time"),
            Self::ShuttingDown => write!(f, "the server is going down"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Refusal", 2 + usize::from(self.field().is_some()))?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("message", &self.to_string())?;
        match self.field() {
            Some(field) => fields.serialize_field("field", field)?,
            None => fields.skip_field("field")?,
        }
        fields.end()
    }
}

fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
