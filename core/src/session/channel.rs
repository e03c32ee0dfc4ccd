//! Data channels: what an application says and hears of them (RFC 8831, RFC 8832).

use core::fmt;

/// A data channel of one session. Numbers are given out in order and never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChannelId(u32);

impl ChannelId {
    /// The number itself, to cross a language border.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// The channel whose number is `n`. A number that was never given out names no channel.
    #[must_use]
    pub const fn from_u32(n: u32) -> Self {
        Self(n)
    }
}

/// What a channel is made with. The default is an ordered and reliable channel without a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelConfig {
    /// A name for the application's use. It need not be unique.
    pub label: String,
    /// The subprotocol's name; empty for none.
    pub protocol: String,
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// How hard to try.
    pub reliability: Reliability,
    /// The stream id that both sides agreed on by other means, 0 to 65534. With `None` the channel is
    /// announced to the other side (RFC 8832) and gets an id of its own.
    pub negotiated: Option<u16>,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            label: String::new(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
        }
    }
}

/// When to give up on a message (RFC 3758).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Reliability {
    /// Never.
    #[default]
    Reliable,
    /// After so many retransmissions.
    MaxRetransmits(u16),
    /// After so many milliseconds.
    MaxPacketLifeTime(u16),
}

/// What a message is to the application.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

/// Why a channel cannot be created.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChannelError {
    /// The session is closed or has failed.
    SessionOver,
    /// There are as many channels as the configuration allows.
    TooMany {
        /// That many.
        max: usize,
    },
    /// Label and protocol together are longer than an announcement may be.
    NameTooLong {
        /// Their length in bytes.
        len: usize,
        /// The most there may be.
        max: usize,
    },
    /// Another channel has the stream id, or still had it a moment ago.
    StreamInUse(u16),
    /// Stream id 65535 is reserved (RFC 8832 section 6).
    StreamReserved(u16),
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionOver => write!(f, "the session is over"),
            Self::TooMany { max } => write!(f, "there are {max} channels already, and no more are allowed"),
            Self::NameTooLong { len, max } => {
                write!(f, "label and protocol take {len} bytes together, and {max} are allowed")
            }
            Self::StreamInUse(stream) => write!(f, "stream id {stream} is in use by another channel"),
            Self::StreamReserved(stream) => write!(f, "stream id {stream} is reserved"),
        }
    }
}

impl std::error::Error for ChannelError {}

/// Why a message was not taken. Nothing of it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// There is no such channel, or it is closed, or closing.
    Closed(ChannelId),
    /// The channel is not open yet.
    NotOpen(ChannelId),
    /// The message is longer than the other side takes (`a=max-message-size`).
    TooLarge {
        /// The message's length in bytes.
        len: usize,
        /// The most that the other side takes.
        max: usize,
    },
    /// Too much waits to be sent. A low-water event follows when the message would fit, at the latest.
    BufferFull {
        /// Bytes that the channel holds.
        buffered: usize,
        /// The most that it is to hold.
        max: usize,
    },
    /// The message was to be text.
    NotUtf8 {
        /// So many bytes at the start are.
        valid_up_to: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(channel) => write!(f, "channel {} is closed", channel.0),
            Self::NotOpen(channel) => write!(f, "channel {} is not open", channel.0),
            Self::TooLarge { len, max } => {
                write!(f, "the message has {len} bytes, and the other side takes {max} at the most")
            }
            Self::BufferFull { buffered, max } => {
                write!(f, "{buffered} bytes wait to be sent, and {max} may at the most")
            }
            Self::NotUtf8 { valid_up_to } => write!(f, "the text is not UTF-8 after byte {valid_up_to}"),
        }
    }
}

impl std::error::Error for SendError {}

impl ChannelConfig {
    pub(super) fn to_engine(&self) -> str0m::channel::ChannelConfig {
        str0m::channel::ChannelConfig {
            label: self.label.clone(),
            ordered: self.ordered,
            reliability: match self.reliability {
                Reliability::Reliable => str0m::channel::Reliability::Reliable,
                Reliability::MaxRetransmits(retransmits) => str0m::channel::Reliability::MaxRetransmits { retransmits },
                Reliability::MaxPacketLifeTime(lifetime) => str0m::channel::Reliability::MaxPacketLifetime { lifetime },
            },
            negotiated: self.negotiated,
            protocol: self.protocol.clone(),
        }
    }

    pub(super) fn from_engine(config: str0m::channel::ChannelConfig) -> Self {
        Self {
            label: config.label,
            protocol: config.protocol,
            ordered: config.ordered,
            reliability: match config.reliability {
                str0m::channel::Reliability::Reliable => Reliability::Reliable,
                str0m::channel::Reliability::MaxRetransmits { retransmits } => Reliability::MaxRetransmits(retransmits),
                str0m::channel::Reliability::MaxPacketLifetime { lifetime } => Reliability::MaxPacketLifeTime(lifetime),
            },
            negotiated: config.negotiated,
        }
    }
}
