//! The streams below TCP paths: which there are, what waits for one to open, and how long those are kept that nothing
//! needs.

use core::fmt;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::FrameReader;
use crate::path::PathId;
use crate::stun::TransactionId;
use crate::time::Instant;

/// How many streams an agent has at a time, those included that are being opened.
pub(super) const MAX_STREAMS: usize = 64;

/// How many of them may be such that nothing needs: most of all those of strangers, until they prove that they know our
/// password. When one more comes, the oldest goes.
pub(super) const MAX_UNNEEDED: usize = 16;

/// The streams of one agent, one on a path at the most.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_path: BTreeMap<PathId, Stream>,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) progress: Progress,
    pub(super) reader: FrameReader,
    /// When it is closed; none while it is needed.
    pub(super) expires: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Progress {
    /// The driver was asked to open it. These requests are to be sent then.
    Opening(Vec<TransactionId>),
    Open,
}

impl Streams {
    pub(super) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_path.len() >= MAX_STREAMS
    }

    pub(super) fn get_mut(&mut self, path: PathId) -> Option<&mut Stream> {
        self.by_path.get_mut(&path)
    }

    pub(super) fn contains(&self, path: PathId) -> bool {
        self.by_path.contains_key(&path)
    }

    pub(super) fn insert(&mut self, path: PathId, progress: Progress, expires: Option<Instant>) {
        self.by_path.insert(path, Stream { progress, reader: FrameReader::default(), expires });
    }

    pub(super) fn remove(&mut self, path: PathId) -> Option<Stream> {
        self.by_path.remove(&path)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = PathId> + '_ {
        self.by_path.keys().copied()
    }

    /// The one to be closed first, if one more that nothing needs is too many.
    pub(super) fn surplus(&self) -> Option<PathId> {
        let unneeded = self.by_path.iter().filter_map(|(&path, stream)| Some((stream.expires?, path)));
        if unneeded.clone().count() < MAX_UNNEEDED && !self.is_full() {
            return None;
        }
        unneeded.min().map(|(_, path)| path)
    }

    /// One whose time is over at `now`.
    pub(super) fn expired(&self, now: Instant) -> Option<PathId> {
        self.by_path.iter().find(|(_, stream)| stream.expires.is_some_and(|at| at <= now)).map(|(&path, _)| path)
    }

    /// When the next one expires.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.by_path.values().filter_map(|stream| stream.expires).min()
    }
}

/// Why an agent does not take a stream. It is to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamError {
    /// No TCP candidate of ours listens at this address.
    NoCandidate(SocketAddr),
    /// There are this many already, and all of them are needed.
    TooMany(usize),
    /// The agent has failed or was closed.
    Over,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCandidate(address) => write!(f, "no TCP candidate listens at {address}"),
            Self::TooMany(limit) => write!(f, "there are {limit} streams already, as many as are allowed"),
            Self::Over => f.write_str("the agent has failed or was closed"),
        }
    }
}

impl std::error::Error for StreamError {}
