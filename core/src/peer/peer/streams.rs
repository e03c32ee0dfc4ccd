//! TCP paths: the streams that the driver opens and accepts for us, and from where we connect (RFC 6544).

use std::net::{IpAddr, SocketAddr};

use super::Peer;
use crate::ice::{Candidate, CandidateError, CandidateKind, LocalCandidate, StreamError, TcpType, Transport};
use crate::path::{Path, PathId};
use crate::time::Instant;

impl Peer {
    /// Says that the driver listens for streams at `base` (passive), or connects from there (active, and then the
    /// port means nothing), or does both (simultaneous-open). Streams that come are told by
    /// [`handle_stream_accepted`](Self::handle_stream_accepted); those to be opened are asked for by
    /// [`Event::OpenStream`](crate::peer::Event::OpenStream). `local_preference` ranks the sockets, 65535 being the best.
    ///
    /// Active candidates need not be added: unless the configuration forbids it, the peer connects from each address
    /// of its host candidates once the other side has something to connect to. Those it adds itself are not told; the
    /// other side learns of them when we connect.
    ///
    /// # Errors
    /// If no stream can have the address, it is there already, or there are too many.
    pub fn add_tcp_candidate(
        &mut self,
        tcp_type: TcpType,
        base: SocketAddr,
        local_preference: u16,
        now: Instant,
    ) -> Result<(), CandidateError> {
        let now = self.line.advance(now);
        self.agent.add_local_candidate(LocalCandidate::host(Transport::Tcp(tcp_type), base, local_preference), now)?;
        self.sockets_named = true;
        self.connect_from_everywhere(now);
        self.follow(now);
        Ok(())
    }

    /// Takes a stream that somebody opened to a candidate of ours, and gives the number of its path. Who does not
    /// prove soon that he knows our password is closed again, by [`Event::CloseStream`](crate::peer::Event::CloseStream).
    ///
    /// # Errors
    /// If the stream is of no use. The driver closes it.
    pub fn handle_stream_accepted(&mut self, path: Path, now: Instant) -> Result<PathId, StreamError> {
        let now = self.line.advance(now);
        let accepted = self.agent.handle_stream_accepted(path, now);
        self.follow(now);
        accepted
    }

    /// Says that the stream that [`Event::OpenStream`](crate::peer::Event::OpenStream) asked for is open.
    pub fn handle_stream_opened(&mut self, path: PathId, now: Instant) {
        let now = self.line.advance(now);
        self.agent.handle_stream_opened(path, now);
        self.follow(now);
    }

    /// Whether the stream of this path is one to a server. Its bytes are not framed as those of other paths are, so it has
    /// no datagrams for [`handle_datagram`](Self::handle_datagram).
    #[must_use]
    pub fn is_server_stream(&self, path: PathId) -> bool {
        self.agent.is_server_stream(path)
    }

    /// Takes bytes of a stream as they come, cut anywhere. Whatever is wrong with them is counted and changes nothing.
    pub fn handle_stream_data(&mut self, path: PathId, bytes: &[u8], now: Instant) {
        let now = self.line.advance(now);
        let (intake, session) = (&mut self.intake, &mut self.session);
        self.agent.handle_stream_data(path, bytes, now, |datagram| intake.take(datagram, session, now));
        self.follow(now);
    }

    /// Says that a stream is closed, was broken, or could not be opened.
    pub fn handle_stream_closed(&mut self, path: PathId, now: Instant) {
        let now = self.line.advance(now);
        self.agent.handle_stream_closed(path, now);
        self.follow(now);
    }

    /// Takes note of a candidate of the other side: if it waits for streams, we connect.
    pub(super) fn consider_connecting(&mut self, theirs: &Candidate, now: Instant) {
        if theirs.transport == Transport::Tcp(TcpType::Passive) {
            self.connects = true;
            self.connect_from_everywhere(now);
        }
    }

    /// Whether the other side is told of this candidate of ours. It has no use for those that we only connect from,
    /// and they come when our candidates may be at an end already.
    pub(super) fn tells(&self, local: &LocalCandidate) -> bool {
        local.candidate.transport != Transport::Tcp(TcpType::Active) || !self.untold.contains(&local.base.ip())
    }

    /// Has an active candidate on each address of ours.
    pub(super) fn connect_from_everywhere(&mut self, now: Instant) {
        if !self.active_tcp || !self.connects {
            return;
        }
        let of_hosts = |local: &&LocalCandidate| local.candidate.kind == CandidateKind::Host;
        let mut hosts: Vec<(u32, IpAddr, SocketAddr)> = Vec::new();
        for local in self.agent.local_candidates().iter().filter(of_hosts) {
            if !hosts.iter().any(|(_, ip, _)| *ip == local.base.ip()) {
                hosts.push((local.candidate.priority, local.base.ip(), local.base));
            }
        }
        hosts.sort_by_key(|&(priority, ..)| core::cmp::Reverse(priority));
        for ((_, ip, base), preference) in hosts.into_iter().zip((0..=u16::MAX).rev()) {
            let active = LocalCandidate::host(Transport::Tcp(TcpType::Active), base, preference);
            if self.agent.local_candidates().iter().any(|known| known.base == active.base && is_active(known)) {
                continue;
            }
            self.untold.insert(ip);
            // Where there is no room for it, there are paths enough.
            let _ = self.agent.add_local_candidate(active, now);
        }
    }
}

fn is_active(local: &LocalCandidate) -> bool {
    local.candidate.transport == Transport::Tcp(TcpType::Active)
}
