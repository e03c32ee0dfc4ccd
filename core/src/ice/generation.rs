//! What belongs to one pair of credentials; a restart begins a new one (RFC 8445 section 9).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::check_list::CheckList;
use super::pair::PairKey;
use super::{Candidate, Credentials, Transport};
use crate::stun::IntegrityKey;
use crate::time::Instant;

#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u32,
    pub(super) credentials: Credentials,
    /// What requests to us are signed with, and our responses.
    pub(super) key: IntegrityKey,
    pub(super) remote: Option<Remote>,
    pub(super) remotes: Vec<Candidate>,
    by_address: BTreeMap<(Transport, IpAddr, u16), usize>,
    /// The other side has said that it has no more candidates.
    pub(super) remote_gathered: bool,
    pub(super) list: CheckList,
    /// Not before this is failure reported.
    pub(super) patience: Option<Instant>,
    /// When to nominate the best valid pair even if a better one is open.
    pub(super) nominate_by: Option<Instant>,
    /// The pair whose nominating check is under way.
    pub(super) nominating: Option<PairKey>,
    pub(super) nominated: Option<PairKey>,
    /// One of its pairs has carried the traffic.
    pub(super) was_used: bool,
    /// It was said that it has failed, while a pair of the generation before goes on.
    pub(super) failed: bool,
}

/// The other side's credentials.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) credentials: Credentials,
    /// What our requests are signed with, and its responses.
    pub(super) key: IntegrityKey,
}

impl Generation {
    pub(super) fn new(number: u32, credentials: Credentials) -> Self {
        Self {
            number,
            key: IntegrityKey::new(credentials.pwd().as_bytes()),
            credentials,
            remote: None,
            remotes: Vec::new(),
            by_address: BTreeMap::new(),
            remote_gathered: false,
            list: CheckList::default(),
            patience: None,
            nominate_by: None,
            nominating: None,
            nominated: None,
            was_used: false,
            failed: false,
        }
    }

    /// The place of the other side's candidate with this address. A scope id is the receiver's own
    /// business and does not count.
    pub(super) fn remote_at(&self, transport: Transport, address: SocketAddr) -> Option<usize> {
        self.by_address.get(&(transport, address.ip(), address.port())).copied()
    }

    pub(super) fn push_remote(&mut self, candidate: Candidate) -> usize {
        let place = self.remotes.len();
        self.put_remote(place, candidate);
        place
    }

    /// Puts a candidate where another was, or behind the last.
    pub(super) fn put_remote(&mut self, place: usize, candidate: Candidate) {
        let key = |candidate: &Candidate| (candidate.transport, candidate.address.ip(), candidate.address.port());
        match self.remotes.get_mut(place) {
            Some(before) => {
                self.by_address.remove(&key(before));
                *before = candidate;
            }
            None => self.remotes.push(candidate),
        }
        self.by_address.insert(key(&candidate), place);
    }
}
