//! What servers give: the agent's side of gathering.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Agent, Received};
use crate::ice::gathering::{
    Base, GatheringState, Outcome, ResolveId, ServerReport, SocketId, relay_towards, relays_of,
};
use crate::ice::pair::PairKey;
use crate::ice::{Candidate, CandidateKind, Event, LocalCandidate, PairFate, Server, State, TransportPolicy};
use crate::nat::Mapping;
use crate::path::{Path, PathId, Protocol};
use crate::time::Instant;
use crate::turn;

impl Agent {
    /// Takes the STUN and TURN servers that candidates are gathered from, in place of those before. They are asked from
    /// each UDP socket that is named as a base, in addition to what is under way. A lite agent asks none (RFC 8445
    /// section 5.2).
    ///
    /// A server that is named again with other credentials, as a service may give them for some hours, is asked with
    /// these from now on. What a server that is not named any more has lent stays until it is lost.
    pub fn set_servers(&mut self, servers: Vec<Server>, now: Instant) {
        let now = self.line.advance(now);
        if self.config.lite || self.state == State::Closed {
            return;
        }
        let seed = self.rng.array();
        self.gathering.set_servers(servers, seed, &mut self.paths, now);
        self.settle(now);
    }

    /// The addresses of a server's name, as [`Event::Resolve`] has asked; none if it has none.
    pub fn handle_resolved(&mut self, request: ResolveId, addresses: &[IpAddr], now: Instant) {
        let now = self.line.advance(now);
        self.gathering.handle_resolved(request, addresses, now);
        self.settle(now);
    }

    /// The address of the socket that [`Event::OpenSocket`] has asked for, or none if there is none. It is no base: no
    /// candidate is made of it.
    pub fn handle_socket_opened(&mut self, socket: SocketId, local: Option<SocketAddr>, now: Instant) {
        let now = self.line.advance(now);
        self.gathering.handle_socket_opened(socket, local, now);
        self.settle(now);
    }

    /// Whether the stream of this path is one to a server. Its bytes are not framed as those of other paths are.
    #[must_use]
    pub fn is_server_stream(&self, path: PathId) -> bool {
        self.gathering.has_stream(path)
    }

    /// How far the gathering is.
    #[must_use]
    pub fn gathering_state(&self) -> GatheringState {
        self.gathering_state
    }

    /// What became of each server, asked from each base.
    pub fn server_reports(&self) -> impl Iterator<Item = ServerReport> + '_ {
        self.gathering.reports()
    }

    /// What the servers tell of the NATs before a base; none if too few have answered to tell.
    #[must_use]
    pub fn mapping(&self, base: SocketAddr) -> Option<Mapping> {
        self.gathering.mapping(base)
    }

    /// Whether a candidate of this kind may be used.
    pub(super) fn may_use(&self, kind: CandidateKind) -> bool {
        self.config.transport_policy == TransportPolicy::All || kind == CandidateKind::Relayed
    }

    /// Whether what comes over a path may be used: if only relays may, nothing that comes to a socket of ours itself.
    pub(super) fn may_hear(&self, path: PathId) -> bool {
        self.may_use(CandidateKind::Host)
            || self.paths.get(path).is_some_and(|path| self.gathering.has_relay(path.local))
    }

    /// Takes what the servers have given.
    pub(super) fn gather(&mut self, now: Instant) {
        self.gathering.keep_mappings(!matches!(self.state, State::Completed | State::Failed | State::Closed));
        self.gathering.doubt(matches!(self.state, State::Disconnected | State::Failed), &mut self.paths, now);
        while let Some(outcome) = self.gathering.poll_outcome() {
            match outcome {
                Outcome::Reflexive { address, base, server } => self.take_reflexive(address, base, server, now),
                Outcome::ReflexiveGone { address, base } => {
                    self.withdraw(|local| {
                        let kind = local.candidate.kind;
                        kind == CandidateKind::ServerReflexive
                            && (local.candidate.address, local.base) == (address, base)
                    });
                }
                Outcome::Relayed { address, mapped, server, base, transport, place } => {
                    let preference = relay_preference(transport, base.preference, place);
                    let local = self.distinct(preference, |preference| {
                        let mut local = LocalCandidate::relayed(Protocol::Udp, address, mapped, server, preference);
                        if self.config.transport_policy == TransportPolicy::Relay {
                            local.candidate.related = Some(hidden(address));
                        }
                        local
                    });
                    // One that is refused is of no use, and the server may keep it.
                    let _ = self.add_local(local, base.cost, base.interface, now);
                }
                Outcome::RelayGone(address) => {
                    self.withdraw_base(Protocol::Udp, address);
                    self.settle(now);
                }
                Outcome::Refused { relay, peer, code } => self.fail_refused(relay, peer, code),
                Outcome::Tell(event) => self.events.push_back(event),
            }
        }
        self.update_gathering_state();
    }

    /// The path between a relayed address of ours and a peer.
    pub(super) fn relayed_path(&mut self, relay: SocketAddr, peer: SocketAddr) -> PathId {
        self.paths.intern(Path { protocol: Protocol::Udp, local: relay, remote: peer })
    }

    /// Takes bytes of a stream to a server.
    pub(super) fn handle_server_data(
        &mut self,
        path: PathId,
        bytes: &[u8],
        now: Instant,
        mut deliver: impl FnMut(&[u8]),
    ) {
        let now = self.line.advance(now);
        if let Some(mut stream) = self.gathering.handle_stream_data(path, bytes, &mut self.paths, now) {
            let relays = relays_of(&stream.client);
            stream.client.handle_stream_data(bytes, now, |turn::PeerData { peer, data }| {
                let Some(relay) = relay_towards(relays, peer) else { return };
                let path = self.relayed_path(relay, peer);
                if let Received::Application(data) = self.receive(path, data, now) {
                    deliver(data);
                }
            });
            self.gathering.restore(stream, &mut self.paths, now);
        }
        self.settle(now);
    }

    /// A candidate with a priority that no other of ours has (RFC 8445 section 5.1.2.1): the preference that is wanted,
    /// or else the next one below.
    pub(super) fn distinct(&self, preference: u16, make: impl Fn(u16) -> LocalCandidate) -> LocalCandidate {
        let lower = (0..=preference).rev().chain(preference..=u16::MAX);
        let taken = |local: &LocalCandidate| {
            self.present.iter().any(|other| other.candidate.priority == local.candidate.priority)
        };
        lower.map(&make).find(|local| !taken(local)).unwrap_or_else(|| make(preference))
    }

    fn take_reflexive(&mut self, address: SocketAddr, base: Base, server: SocketAddr, now: Instant) {
        if !self.may_use(CandidateKind::ServerReflexive) {
            return;
        }
        let local = self.distinct(base.preference, |preference| {
            LocalCandidate::server_reflexive(Protocol::Udp, address, base.address, server.ip(), preference)
        });
        // Where it is what another server has told, or no NAT is there, it is redundant (section 5.1.3).
        let _ = self.add_local(local, base.cost, base.interface, now);
        let is_it = |known: &LocalCandidate| {
            let Candidate { kind, address: known_address, .. } = known.candidate;
            (kind, known_address, known.base) == (CandidateKind::ServerReflexive, address, base.address)
        };
        if self.present.iter().any(is_it) {
            self.gathering.need_mapping(base.address, address, server);
        }
    }

    /// A relay does not let a peer be reached.
    fn fail_refused(&mut self, relay: SocketAddr, peer: IpAddr, code: u16) {
        let is_refused = |local: usize, remote: usize| {
            self.locals[local].base == relay && self.current.remotes[remote].address.ip() == peer
        };
        let pairs = self.current.list.pairs().filter(|(_, pair)| is_refused(pair.local, pair.remote));
        let refused: Vec<PairKey> = pairs.map(|(key, _)| key).collect();
        for key in refused {
            self.fail_pair(self.current.number, key, PairFate::Refused(code));
        }
    }

    /// There is something to gather from. Whether that is all is not said before all that it has given is told.
    pub(super) fn begin_gathering(&mut self) {
        if self.gathering_state == GatheringState::New {
            self.update_gathering_state();
        }
    }

    fn update_gathering_state(&mut self) {
        self.gathered = self.bases_named && self.gathering.is_settled();
        if self.gathered {
            self.events.extend(self.gathering.take_unreached().into_iter().map(Event::GatheringError));
        }
        let has_begun = self.gathering_state != GatheringState::New
            || !self.present.is_empty()
            || !self.gathering.bases().is_empty();
        let state = match (self.gathered, has_begun) {
            (true, _) => GatheringState::Complete,
            (false, true) => GatheringState::Gathering,
            (false, false) => GatheringState::New,
        };
        if state != self.gathering_state && self.state != State::Closed {
            self.gathering_state = state;
            self.events.push_back(Event::GatheringStateChange(state));
        }
    }
}

/// Relays that are reached over UDP come first, then TCP, then TLS; among them the better bases, and the servers in the
/// order in which they were given.
fn relay_preference(transport: turn::Transport, of_base: u16, place: usize) -> u16 {
    const TIER: u16 = 1 << 14;
    let tier = match transport {
        turn::Transport::Udp => 3,
        turn::Transport::Tcp => 2,
        turn::Transport::Tls => 1,
    };
    let below_best = (u16::MAX - of_base).min(TIER / 16 - 1) * 16 + place.min(15) as u16;
    tier * TIER + (TIER - 1 - below_best)
}

/// What is told in place of an address that is not to be known (RFC 8839 section 5.1).
fn hidden(relayed: SocketAddr) -> SocketAddr {
    const DISCARD: u16 = 9;
    let ip = if relayed.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(ip, DISCARD)
}
