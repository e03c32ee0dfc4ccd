//! What can go wrong with the lab itself, as opposed to what is tried in it.

use std::fmt;
use std::io;

/// Why the lab could not be laid or used.
#[derive(Debug)]
pub(crate) enum LabError {
    /// The system refused something.
    System {
        /// What was asked for.
        what: String,
        /// What it said.
        error: io::Error,
    },
    /// A program ended badly.
    Program {
        /// The program and what it was told.
        command: String,
        /// What it said.
        said: String,
    },
    /// The drawing asks for something that the kernel's NAT cannot do.
    NotOfThisKernel(String),
    /// A server or a peer did not do what it is there for.
    Unserviceable(String),
}

impl LabError {
    /// Says what was being asked of the system.
    pub(crate) fn of(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::System { what, error }
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { what, error } => write!(f, "{what}: {error}"),
            Self::Program { command, said } => write!(f, "`{command}` failed: {}", said.trim()),
            Self::NotOfThisKernel(what) => write!(f, "no kernel NAT can be {what}"),
            Self::Unserviceable(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for LabError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { error, .. } => Some(error),
            Self::Program { .. } | Self::NotOfThisKernel(_) | Self::Unserviceable(_) => None,
        }
    }
}
