//! What a session has to tell.

use core::fmt;

use super::channel::{ChannelConfig, ChannelId, MessageKind};
use crate::sdp::Fingerprint;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// The other side has proven to be who its description says, and everything from here on is encrypted.
    Connected,
    /// A channel of ours is open.
    ChannelOpen(ChannelId),
    /// The other side opened a channel. It is open.
    DataChannel { channel: ChannelId, config: ChannelConfig },
    /// A message. Text is UTF-8.
    Message { channel: ChannelId, kind: MessageKind, data: Vec<u8> },
    /// The buffered amount fell to the threshold, or a message that was refused would fit by now.
    BufferedAmountLow(ChannelId),
    /// A channel is closed, by whomever. Its number names nothing any more.
    ChannelClosed(ChannelId),
    /// The other side has left. All channels are closed; the session is over.
    Closed,
    /// The session is over.
    Failed(Failure),
}

/// Why a session failed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The other side's certificate is not the one that its description announced: someone else may be in
    /// its place.
    Fingerprint {
        /// The one that was presented, if there was any.
        presented: Option<Fingerprint>,
    },
    /// The DTLS handshake came to no end.
    Handshake {
        /// What was wrong with the last record that was refused, if one was.
        cause: Option<String>,
    },
    /// The secured association broke down.
    Association(String),
    /// The session could not be started.
    Start(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint { presented: Some(presented) } => {
                write!(f, "the other side presented a certificate with the unexpected fingerprint {presented}")
            }
            Self::Fingerprint { presented: None } => write!(f, "the other side presented no certificate"),
            Self::Handshake { cause: Some(cause) } => write!(f, "the DTLS handshake did not complete: {cause}"),
            Self::Handshake { cause: None } => write!(f, "the DTLS handshake did not complete: no answer"),
            Self::Association(cause) => write!(f, "the secured association broke down: {cause}"),
            Self::Start(cause) => write!(f, "the session could not be started: {cause}"),
        }
    }
}

impl std::error::Error for Failure {}
