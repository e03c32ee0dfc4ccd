//! Why a call is refused, and why a connection failed.

use core::fmt;

use crate::session;
use crate::{ice, jsep};

/// Why a description or a candidate is refused. The call has changed nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The negotiation refuses it.
    Negotiation(jsep::Error),
    /// The agent refuses the candidate.
    Candidate(ice::CandidateError),
    /// The candidate names a host, and as many names as are allowed are being resolved.
    TooManyNames(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negotiation(error) => error.fmt(f),
            Self::Candidate(error) => error.fmt(f),
            Self::TooManyNames(name) => write!(f, "too many host names are being resolved to ask for {name:?} too"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Negotiation(error) => Some(error),
            Self::Candidate(error) => Some(error),
            Self::TooManyNames(_) => None,
        }
    }
}

impl From<jsep::Error> for Error {
    fn from(error: jsep::Error) -> Self {
        Self::Negotiation(error)
    }
}

impl From<ice::CandidateError> for Error {
    fn from(error: ice::CandidateError) -> Self {
        Self::Candidate(error)
    }
}

/// Why a connection failed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// No path was found, or the one in use was lost. An ICE restart may help.
    Path(ice::Failure),
    /// The secure session did not come about or broke down.
    Session(session::Failure),
    /// The other side's description asks for a session that there cannot be.
    Start(session::StartError),
    /// There is no data section.
    Rejected(jsep::Rejection),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(failure) => failure.fmt(f),
            Self::Session(failure) => failure.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}
