//! TCP paths: streams that the driver opens, accepts and closes for the agent (RFC 6544 sections 5 to 8).

use core::time::Duration;
use std::net::SocketAddr;

use super::{Agent, Occupant, Received, go_together, without_flow};
use crate::ice::pair::PairKey;
use crate::ice::streams::{MAX_STREAMS, Progress};
use crate::ice::{Event, Failure, PairFate, PairState, StreamError, TcpType, Transport};
use crate::path::{Path, PathId, Protocol};
use crate::stun::{RetransmissionConfig, TransactionId};
use crate::time::Instant;

use super::send::Outgoing;

/// How long a stranger may take from connecting to the first check with our password.
const AUTHENTICATION: Duration = Duration::from_secs(10);

/// How long a stream stays open when nothing needs it any more: the other side may learn a little later than we that
/// another path was nominated, and has data under way.
const LINGER: Duration = Duration::from_secs(3);

impl Agent {
    /// Takes a stream that somebody opened to a passive or simultaneous-open candidate of ours, and gives the number of
    /// its path. `path.local` is the base of that candidate, `path.remote` who has connected.
    ///
    /// One who does not prove within ten seconds that he knows our password, or who comes while sixteen others have not
    /// yet either, costs the oldest of them: [`Event::CloseStream`].
    ///
    /// # Errors
    /// If the stream is of no use. The driver closes it.
    pub fn handle_stream_accepted(&mut self, path: Path, now: Instant) -> Result<PathId, StreamError> {
        let now = self.line.advance(now);
        if self.is_over() {
            return Err(StreamError::Over);
        }
        let (local, remote) = (without_flow(path.local), without_flow(path.remote));
        let listens = |transport| matches!(transport, Transport::Tcp(TcpType::Passive | TcpType::SimultaneousOpen));
        if !self.present.iter().any(|ours| ours.base == local && listens(ours.candidate.transport)) {
            return Err(StreamError::NoCandidate(local));
        }
        let id = self.paths.intern(Path { protocol: Protocol::Tcp, local, remote });
        if self.streams.contains(id) {
            // Both sides began at once, and theirs was the first.
            self.stream_is_open(id, now);
            return Ok(id);
        }
        if let Some(surplus) = self.streams.surplus() {
            self.close_stream(surplus);
        }
        if self.streams.is_full() {
            return Err(StreamError::TooMany(MAX_STREAMS));
        }
        self.paths.hold(id, true);
        self.streams.insert(id, Progress::Open, Some(now + AUTHENTICATION));
        Ok(id)
    }

    /// Says that the stream that [`Event::OpenStream`] asked for is open.
    pub fn handle_stream_opened(&mut self, path: PathId, now: Instant) {
        let now = self.line.advance(now);
        if self.gathering.has_stream(path) {
            self.gathering.handle_stream_opened(path, &mut self.paths, now);
            self.settle(now);
        } else if self.streams.contains(path) {
            self.stream_is_open(path, now);
        } else {
            // It came too late. That it is to be closed was said before, but may have been overtaken.
            self.events.push_back(Event::CloseStream { path });
        }
    }

    /// Takes bytes of a stream as they come, cut anywhere, and gives to `deliver` each datagram in them that is for the
    /// application, as [`handle_datagram`](Self::handle_datagram) would tell.
    ///
    /// A driver that wants to see whole datagrams first may have a [`FrameReader`](crate::ice::FrameReader) of its own
    /// for each stream, and hand them to `handle_datagram`.
    pub fn handle_stream_data(&mut self, path: PathId, mut bytes: &[u8], now: Instant, mut deliver: impl FnMut(&[u8])) {
        if self.gathering.has_stream(path) {
            return self.handle_server_data(path, bytes, now, deliver);
        }
        let Some(stream) = self.streams.get_mut(path) else {
            self.counters.stale_path += 1;
            return;
        };
        let mut reader = core::mem::take(&mut stream.reader);
        let skipped = reader.skipped();
        while let Some(datagram) = reader.read(&mut bytes) {
            if let Received::Application(datagram) = self.handle_datagram(path, datagram, now) {
                deliver(datagram);
            }
            if !self.streams.contains(path) {
                return;
            }
        }
        self.counters.malformed += reader.skipped() - skipped;
        if let Some(stream) = self.streams.get_mut(path) {
            stream.reader = reader;
        }
    }

    /// Says that a stream is closed, was broken, or could not be opened. The pair on it has failed; if it carried the
    /// traffic and we had opened the stream, it is opened again.
    pub fn handle_stream_closed(&mut self, path: PathId, now: Instant) {
        let now = self.line.advance(now);
        if self.gathering.has_stream(path) {
            self.gathering.handle_stream_closed(path, &mut self.paths, now);
            return self.settle(now);
        }
        if self.streams.remove(path).is_none() {
            return;
        }
        self.paths.hold(path, false);
        self.checks.retain(|check| check.path != path);
        for (generation, key) in self.pairs_on(path) {
            self.lose_stream(generation, key);
        }
        self.settle(now);
    }

    /// Sends a request, now or when the stream of its path is open.
    pub(super) fn post_request(&mut self, path: PathId, id: TransactionId) {
        match self.streams.get_mut(path).map(|stream| &mut stream.progress) {
            Some(Progress::Opening(waiting)) => waiting.push(id),
            Some(Progress::Open) | None => self.push(Outgoing::Request(id)),
        }
    }

    /// Sees to it that a check of this pair can be sent: that there is a stream, or will be. False if there will not.
    pub(super) fn prepare_stream(&mut self, key: PairKey) -> bool {
        let pair = self.current.list.get(key);
        let path = pair.path;
        let local = self.locals[pair.local];
        let Transport::Tcp(tcp_type) = local.candidate.transport else { return true };
        if self.streams.contains(path) {
            return true;
        }
        let Some(Path { remote, .. }) = self.paths.get(path).filter(|_| tcp_type.connects()) else { return false };
        if self.streams.is_full() {
            match self.streams.surplus() {
                Some(surplus) => self.close_stream(surplus),
                None => {
                    self.counters.over_limit += 1;
                    return false;
                }
            }
        }
        let local = match tcp_type {
            TcpType::Active | TcpType::Passive => SocketAddr::new(local.base.ip(), 0),
            TcpType::SimultaneousOpen => local.base,
        };
        self.paths.hold(path, true);
        self.streams.insert(path, Progress::Opening(Vec::new()), None);
        self.events.push_back(Event::OpenStream { path, local, remote, tls: None });
        true
    }

    /// How a request on this path is repeated: over a stream, not at all (RFC 8489 section 6.2.2).
    pub(super) fn retransmission_on(
        &self,
        path: PathId,
        over_udp: RetransmissionConfig,
        timeout: Duration,
    ) -> RetransmissionConfig {
        if self.framing_len(path) == 0 { over_udp } else { RetransmissionConfig::reliable(timeout) }
    }

    /// How many bytes go before a datagram on this path.
    pub(super) fn framing_len(&self, path: PathId) -> usize {
        match self.paths.get(path).map(|path| path.protocol) {
            Some(Protocol::Tcp) => 2,
            Some(Protocol::Udp) | None => 0,
        }
    }

    /// Closes the streams that have been of no use for long enough (RFC 6544 section 8).
    pub(super) fn sweep_streams(&mut self, now: Instant) {
        if self.streams.is_empty() {
            return;
        }
        let backups: Vec<PairKey> = self.alternatives(now).into_iter().take(self.config.backups).collect();
        let paths: Vec<PathId> = self.streams.paths().collect();
        for path in paths {
            let needed = self.needs_stream(path, &backups, now);
            let Some(stream) = self.streams.get_mut(path) else { continue };
            stream.expires = if needed { None } else { Some(stream.expires.unwrap_or(now + LINGER)) };
        }
        while let Some(path) = self.streams.expired(now) {
            self.close_stream(path);
        }
    }

    /// Closes all streams, as nothing is sent any more.
    pub(super) fn close_streams(&mut self) {
        let paths: Vec<PathId> = self.streams.paths().collect();
        for path in paths {
            self.close_stream(path);
        }
    }

    /// Whether a passive candidate of one side goes with an active one of the other, and nobody came.
    pub(super) fn awaited_streams(&self) -> bool {
        self.present.iter().any(|ours| {
            self.current.remotes.iter().any(|theirs| {
                ours.candidate.transport.awaits(theirs.transport) && go_together(ours.base.ip(), theirs.address.ip())
            })
        })
    }

    fn stream_is_open(&mut self, path: PathId, now: Instant) {
        let Some(stream) = self.streams.get_mut(path) else { return };
        let Progress::Opening(waiting) = core::mem::replace(&mut stream.progress, Progress::Open) else { return };
        for id in waiting {
            self.checks.sent_only_now(id, now);
            self.push(Outgoing::Request(id));
        }
    }

    /// The pair on the path is still to be checked, may be nominated, carries the traffic, or is held ready for when that
    /// one dies. Of those that are not, who has connected closes the stream, as the two sides may hold others ready; who was
    /// connected to does when nothing comes any more.
    fn needs_stream(&self, path: PathId, backups: &[PairKey], now: Instant) -> bool {
        self.pairs_on(path).any(|(generation, key)| {
            let carries = self.in_use() == Some((generation, key));
            let Some(of) = self.generation(generation) else { return false };
            let is_current = generation == self.current.number;
            // Of the generation before a restart, as long as the new one has nothing better.
            let counts = is_current || self.current.nominated.is_none();
            let chosen = of.nominated.is_none_or(|nominated| nominated == key) || of.nominating == Some(key);
            let pair = of.list.get(key);
            let open = match pair.state {
                PairState::Frozen | PairState::Waiting | PairState::InProgress => is_current,
                PairState::Succeeded => counts && (chosen || backups.contains(&key)),
                PairState::Failed | PairState::Pruned => pair.triggered,
            };
            let theirs = counts
                && !self.connected(pair.local)
                && matches!(pair.state, PairState::Succeeded | PairState::Pruned)
                && pair.last_heard.is_some_and(|heard| now - heard < self.config.consent_lifetime);
            carries || open || theirs
        })
    }

    /// The pairs on a path, with their generations.
    fn pairs_on(&self, path: PathId) -> impl Iterator<Item = (u32, PairKey)> + use<> {
        let Occupant { current, previous } =
            self.paths.occupant(path).copied().unwrap_or(Occupant { current: None, previous: None });
        let of_current = current.map(|key| (self.current.number, key));
        let of_previous = previous.and_then(|key| Some((self.previous.as_ref()?.number, key)));
        of_current.into_iter().chain(of_previous)
    }

    /// Whether the streams of this candidate of ours are opened by us alone.
    fn connected(&self, local: usize) -> bool {
        self.locals[local].candidate.transport == Transport::Tcp(TcpType::Active)
    }

    fn lose_stream(&mut self, generation: u32, key: PairKey) {
        let carried = self.in_use() == Some((generation, key));
        let Some(of) = self.generation_mut(generation) else { return };
        let pair = of.list.get_mut(key);
        pair.heard = false;
        let local = pair.local;
        if pair.state == PairState::Pruned {
            return;
        }
        if !carried {
            self.fail_pair(generation, key, PairFate::StreamClosed);
            return;
        }
        self.lose_selected(Failure::StreamLost, PairFate::StreamClosed);
        let connects = self.locals[local].candidate.transport.tcp_type().is_some_and(TcpType::connects);
        if generation == self.current.number && connects {
            self.current.list.set_state(key, PairState::Waiting);
        }
    }

    /// Has the driver close a stream. Its pair, if it had one, is of no use without.
    fn close_stream(&mut self, path: PathId) {
        if self.streams.remove(path).is_none() {
            return;
        }
        self.paths.hold(path, false);
        self.checks.retain(|check| check.path != path);
        for (generation, key) in self.pairs_on(path) {
            let Some(of) = self.generation_mut(generation) else { continue };
            of.list.get_mut(key).heard = false;
            of.list.set_valid(key, None);
            if of.list.get(key).state == PairState::Succeeded {
                of.list.prune(key, PairFate::OtherNominated);
            }
        }
        self.events.push_back(Event::CloseStream { path });
    }
}
