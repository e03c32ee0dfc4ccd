//! What can go wrong, by what was asked for.

use frazil::peer;
use std::fmt;
use std::io;
use std::net::IpAddr;

use frazil::ice::InvalidServer;

/// Why a peer could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// There is no tokio runtime to run on.
    NoRuntime,
    /// The system does not list its interfaces.
    Interfaces(io::Error),
    /// The machine has no address that the policy allows.
    NoAddress,
    /// No address could be bound; the last one tried, and why.
    Bind {
        /// The address.
        address: IpAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The system gave no random numbers.
    Seed(getrandom::Error),
    /// What was named is no STUN or TURN server.
    Server(InvalidServer),
    /// What was to be trusted is no certificate.
    Tls(rustls::Error),
    /// The core refused the configuration.
    Setup(peer::SetupError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuntime => f.write_str("a peer must be started inside a tokio runtime"),
            Self::Interfaces(error) => write!(f, "the system does not list its interfaces: {error}"),
            Self::NoAddress => f.write_str("the machine has no address that may be used"),
            Self::Bind { address, error } => write!(f, "no address could be bound, the last being {address}: {error}"),
            Self::Seed(error) => write!(f, "the system gave no random numbers: {error}"),
            Self::Server(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "a certificate cannot be trusted: {error}"),
            Self::Setup(error) => write!(f, "the peer cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Interfaces(error) | Self::Bind { error, .. } => Some(error),
            Self::Setup(error) => Some(error),
            Self::Server(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::NoRuntime | Self::NoAddress | Self::Seed(_) => None,
        }
    }
}

/// Why a peer did not do what was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer is closed.
    Closed,
    /// A description cannot be made, or a description or a candidate was refused.
    Peer(peer::Error),
    /// No channel can be made.
    Channel(peer::ChannelError),
    /// What was named is no STUN or TURN server.
    Server(InvalidServer),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer is closed"),
            Self::Peer(error) => error.fmt(f),
            Self::Channel(error) => error.fmt(f),
            Self::Server(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed => None,
            Self::Peer(error) => Some(error),
            Self::Channel(error) => Some(error),
            Self::Server(error) => Some(error),
        }
    }
}

impl From<peer::Error> for Error {
    fn from(error: peer::Error) -> Self {
        Self::Peer(error)
    }
}

impl From<InvalidServer> for Error {
    fn from(error: InvalidServer) -> Self {
        Self::Server(error)
    }
}

impl From<peer::ChannelError> for Error {
    fn from(error: peer::ChannelError) -> Self {
        Self::Channel(error)
    }
}

/// Why a peer will not become connected by waiting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectError {
    /// It failed, for this reason.
    Failed(peer::Failure),
    /// The peer is closed.
    Closed,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => write!(f, "the connection failed: {failure}"),
            Self::Closed => f.write_str("the peer is closed"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Closed => None,
        }
    }
}

/// Why a message was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The channel is closed.
    Closed,
    /// The message is not one that the channel carries.
    Refused(peer::SendError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the channel is closed"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed => None,
            Self::Refused(error) => Some(error),
        }
    }
}

/// Why a message was not sent at once.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrySendError {
    /// The channel is not open yet.
    Opening,
    /// Too much waits to be sent already.
    Full,
    /// It will not be sent later either.
    Never(SendError),
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => f.write_str("the channel is not open yet"),
            Self::Full => f.write_str("too much waits to be sent"),
            Self::Never(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TrySendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Opening | Self::Full => None,
            Self::Never(error) => error.source(),
        }
    }
}
