//! Why a call is refused, in two parts: a word for programs, and the core's message for people.

use core::fmt;

use frazil::ice::{CandidateError, InvalidServer, StreamError};
use frazil::jsep;
use frazil::peer;
use frazil::peer::{ChannelError, SendError, SetupError};

/// Why a call is refused. Unless the reason is [`Reason::Panicked`], it has changed nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// What kind of thing is wrong.
    pub reason: Reason,
    /// What is wrong, and with which value.
    pub message: String,
}

/// Hands every [`Reason`] to the macro `$callback`, as `Name = "word",` with docs.
#[macro_export]
macro_rules! reasons {
    ($callback:ident) => {
        $callback! {
            /// The peer is closed, or the channel.
            Closed = "closed",
            /// The core has broken down, in this call or an earlier one. That is a fault of ours; the peer is of no use any
            /// more.
            Panicked = "panicked",
            /// An argument cannot be: no IP address, a seed of the wrong length, a buffer that is too small.
            InvalidArgument = "invalid-argument",
            /// The signalling state does not allow it (W3C `InvalidStateError`).
            InvalidState = "invalid-state",
            /// Something is wrong with the description.
            InvalidDescription = "invalid-description",
            /// Something is wrong with the candidate.
            InvalidCandidate = "invalid-candidate",
            /// The channel cannot be made.
            InvalidChannel = "invalid-channel",
            /// The message cannot be sent: the channel is not open yet, or the message is too long.
            NotSent = "not-sent",
            /// The operating system refuses what was asked of it.
            System = "system",
        }
    };
}

macro_rules! declare {
    ($( $(#[$doc:meta])* $reason:ident = $word:literal, )*) => {
        /// What kind of thing is wrong.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason {
            $( $(#[$doc])* $reason, )*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$( Self::$reason, )*];

            /// The word that programs in other languages compare with.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$reason => $word, )*
                }
            }
        }
    };
}

reasons!(declare);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// Something is wrong for this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(Reason::InvalidArgument, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<peer::Error> for Error {
    fn from(error: peer::Error) -> Self {
        let reason = match &error {
            peer::Error::Negotiation(error) => reason_of(error),
            _ => Reason::InvalidCandidate,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        let reason = match error {
            SendError::Closed(_) => Reason::Closed,
            _ => Reason::NotSent,
        };
        Self::new(reason, error.to_string())
    }
}

fn reason_of(error: &jsep::Error) -> Reason {
    use jsep::Error;
    match error {
        Error::WrongState { .. } | Error::NoRemoteDescription => Reason::InvalidState,
        Error::Candidate(_)
        | Error::UnknownMid(_)
        | Error::UnknownSection(_)
        | Error::UnknownUfrag(_)
        | Error::TooManyCandidates => Reason::InvalidCandidate,
        _ => Reason::InvalidDescription,
    }
}

macro_rules! for_reason {
    ($($error:ty => $reason:ident),* $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(Reason::$reason, error.to_string())
            }
        })*
    };
}

for_reason! {
    SetupError => InvalidArgument,
    InvalidServer => InvalidArgument,
    CandidateError => InvalidCandidate,
    StreamError => InvalidArgument,
    ChannelError => InvalidChannel,
    std::io::Error => System,
}
