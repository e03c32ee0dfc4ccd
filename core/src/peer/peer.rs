//! The peer itself.

mod channels;
mod streams;

use core::num::{NonZeroU16, NonZeroU64};
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::concealment::Concealment;
use super::intake::{self, Intake};
use super::names::{Names, TooManyNames};
use super::state::{ConnectionState, SessionState};
use super::{Config, Error, Event, Failure};
use crate::ice::{
    self, Agent, Credentials, HostSocket, LocalCandidate, PairReport, Received, ResolveId, Role, Sent, Server,
    ServerReport, SocketId,
};
use crate::jsep::{
    Applied, Data, Description, LocalIce, LocalParameters, Negotiation, RemoteCandidate, SignalingState, Transport,
    TrickledCandidate,
};
use crate::nat::Mapping;
use crate::path::{Path, PathId, Protocol, Transmit};
use crate::rng::{Rng, Seed};
use crate::sdp::{CandidateAttribute, Host};
use crate::session::{self, Session, SetupError};
use crate::time::{Instant, Timeline};

/// Where our SCTP association listens. Everyone uses this port, which means nothing inside DTLS.
const SCTP_PORT: NonZeroU16 = NonZeroU16::new(5000).expect("it is not zero");

/// One end of a connection.
///
/// After every call that changes something, drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event) until both give `None`, then call
/// [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout) at the latest.
pub struct Peer {
    line: Timeline,
    negotiation: Negotiation,
    agent: Agent,
    session: Session,
    intake: Intake,
    names: Names,
    concealment: Concealment,
    events: VecDeque<Event>,
    /// Credentials that a description was created with and that are not in use yet.
    fresh: Option<Credentials>,
    negotiation_needed: bool,
    session_state: SessionState,
    connection_state: ConnectionState,
    failure: Option<Failure>,
    /// The session may begin: there is a path, and the other side has our description, so that it can answer.
    path_told: bool,
    /// The other side never checks a pair.
    remote_lite: bool,
    /// We have closed; what is still sent is the farewell.
    leaving: bool,
    unsent: u64,
    /// Whether to connect over TCP.
    active_tcp: bool,
    /// The other side waits for streams.
    connects: bool,
    /// Addresses that we connect from without having told so.
    untold: BTreeSet<IpAddr>,
    /// The driver has named a socket, or has said that there is none.
    sockets_named: bool,
}

/// What was received or written and not used, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Counters {
    /// By the agent.
    pub ice: ice::Counters,
    /// Datagrams from the other side's address that the secure session refused.
    pub session_rejected: u64,
    /// DTLS records that were held back because the application does not read ([`Peer::release`]). They are not lost
    /// by that, but for the oldest of very many.
    pub records_held: u64,
    /// Datagrams of the secure session that were not sent because there was no path with consent.
    pub unsent: u64,
}

impl Peer {
    /// The smallest buffer that holds everything a peer sends, in bytes.
    pub const MIN_BUFFER: usize = 1500 + Agent::MAX_HEADROOM + Agent::TAILROOM;

    /// What a message that waits to be read counts beside its bytes: see [`release`](Self::release).
    pub const MESSAGE_OVERHEAD: usize = session::MESSAGE_OVERHEAD;

    /// How many events may wait for the application before bulk data is held back: see
    /// [`set_event_backlog`](Self::set_event_backlog).
    pub const EVENT_BACKLOG: usize = intake::EVENT_BACKLOG;

    /// How long there may be something to send or to wait for after [`close`](Self::close): less than a second until the
    /// other side has been told, and a second until servers have what they lent.
    pub const FAREWELL: Duration = Duration::from_secs(2);

    /// Makes a peer.
    ///
    /// # Errors
    /// If the configuration asks for what cannot be, or no certificate can be made.
    pub fn new(config: Config, seed: Seed, now: Instant) -> Result<Self, SetupError> {
        let mut rng = Rng::new(seed);
        let session = Session::new(config.session(), rng.array())?;
        let mut agent = Agent::new(config.ice, Role::Controlled, rng.array(), now);
        if !config.servers.is_empty() {
            agent.set_servers(config.servers, now);
        }
        let parameters = LocalParameters {
            fingerprint: session.fingerprint().clone(),
            sctp_port: SCTP_PORT,
            max_message_size: NonZeroU64::new(session.max_message_size().into()).unwrap_or(NonZeroU64::MIN),
            pacing: config.ice.pacing,
            lite: config.ice.lite,
        };
        Ok(Self {
            line: Timeline::new(now),
            negotiation: Negotiation::new(rng.u64(), parameters),
            agent,
            session,
            intake: Intake::default(),
            names: Names::default(),
            concealment: Concealment::new(config.mdns_candidates, rng.array()),
            events: VecDeque::new(),
            fresh: None,
            negotiation_needed: false,
            session_state: SessionState::New,
            connection_state: ConnectionState::New,
            failure: None,
            path_told: false,
            remote_lite: false,
            leaving: false,
            unsent: 0,
            active_tcp: config.active_tcp,
            connects: false,
            untold: BTreeSet::new(),
            sockets_named: false,
        })
    }

    // Candidates of our own.

    /// Says that the driver receives datagrams at `base` and can send them from there.
    /// `local_preference` ranks the sockets, 65535 being the best.
    ///
    /// # Errors
    /// If nothing can be sent to the address, it is there already, or there are too many.
    pub fn add_host_candidate(
        &mut self,
        base: SocketAddr,
        local_preference: u16,
        now: Instant,
    ) -> Result<(), ice::CandidateError> {
        let now = self.line.advance(now);
        self.agent.add_local_candidate(LocalCandidate::host(Protocol::Udp, base, local_preference), now)?;
        self.sockets_named = true;
        self.connect_from_everywhere(now);
        self.follow(now);
        Ok(())
    }

    /// Says that all sockets were named. Once the servers have answered as well, the other side is told that there are no
    /// more candidates.
    pub fn end_of_candidates(&mut self, now: Instant) {
        let now = self.line.advance(now);
        self.agent.end_of_local_candidates(now);
        self.sockets_named = true;
        self.follow(now);
    }

    /// Takes the list of all sockets that the driver has now. What is new becomes a host candidate, ranked among
    /// the others; the candidates of what is gone are withdrawn. The first list begins the gathering. Each later one
    /// that differs leads to [`Event::NetworkChange`], which says what became of the path in use.
    pub fn handle_network_change(&mut self, sockets: &[HostSocket], now: Instant) {
        let now = self.line.advance(now);
        let begins = !core::mem::replace(&mut self.sockets_named, true);
        self.agent.handle_network_change(sockets, now);
        self.follow(now);
        if begins {
            self.events.retain(|event| !matches!(event, Event::NetworkChange(_)));
        }
        self.withdraw_names();
    }

    /// W3C `setConfiguration`, of the servers: see [`Agent::set_servers`].
    pub fn set_servers(&mut self, servers: Vec<Server>, now: Instant) {
        let now = self.line.advance(now);
        if self.leaving {
            return;
        }
        self.agent.set_servers(servers, now);
        self.follow(now);
    }

    /// The address of the socket that [`Event::OpenSocket`] has asked for, or none if there is none.
    pub fn handle_socket_opened(&mut self, socket: SocketId, local: Option<SocketAddr>, now: Instant) {
        let now = self.line.advance(now);
        self.agent.handle_socket_opened(socket, local, now);
        self.follow(now);
    }

    // Offer and answer.

    /// W3C `createOffer`. It has all candidates known by now.
    ///
    /// # Errors
    /// If the signalling state does not allow it.
    pub fn create_offer(&mut self) -> Result<Description, Error> {
        self.describe(Negotiation::create_offer)
    }

    /// W3C `createAnswer`. It has all candidates known by now.
    ///
    /// # Errors
    /// If the signalling state does not allow it.
    pub fn create_answer(&mut self) -> Result<Description, Error> {
        self.describe(Negotiation::create_answer)
    }

    /// W3C `setLocalDescription`: sets what was created last, or takes an offer back.
    ///
    /// # Errors
    /// If the signalling state does not allow it or the text is not what was created.
    pub fn set_local_description(&mut self, description: &Description, now: Instant) -> Result<(), Error> {
        let now = self.line.advance(now);
        let before = self.signaling_state();
        let applied = self.negotiation.set_local(description)?;
        self.apply(applied, before, now);
        for candidate in &self.candidates() {
            self.announce(candidate);
        }
        if self.agent.is_gathered() {
            self.announce_end();
        }
        self.follow(now);
        Ok(())
    }

    /// W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer.
    ///
    /// # Errors
    /// If the signalling state does not allow it or something is wrong with the description.
    pub fn set_remote_description(&mut self, description: &Description, now: Instant) -> Result<(), Error> {
        let now = self.line.advance(now);
        let before = self.signaling_state();
        let applied = self.negotiation.set_remote(description)?;
        self.apply(applied, before, now);
        self.follow(now);
        Ok(())
    }

    /// W3C `localDescription`: the last one set, with all candidates known by now.
    #[must_use]
    pub fn local_description(&self) -> Option<Description> {
        let candidates = self.candidates();
        let ice = LocalIce {
            credentials: self.fresh.as_ref().unwrap_or(self.agent.local_credentials()),
            candidates: &candidates,
            complete: self.agent.is_gathered(),
        };
        self.negotiation.local_description(&ice)
    }

    /// W3C `remoteDescription`: the last one set, with the candidates that came since.
    #[must_use]
    pub fn remote_description(&self) -> Option<Description> {
        self.negotiation.remote_description()
    }

    /// W3C `addIceCandidate`. A candidate that we cannot use (another transport, another component) is
    /// ignored. One that names a host is used once the driver has resolved the name.
    ///
    /// # Errors
    /// If it cannot be read, belongs to nothing that was described, or is over a limit.
    pub fn add_ice_candidate(&mut self, candidate: &TrickledCandidate, now: Instant) -> Result<(), Error> {
        let now = self.line.advance(now);
        let told = self.negotiation.add_remote_candidate(candidate)?;
        let taken = match told {
            Some(RemoteCandidate::Candidate(candidate)) => self.take_candidate(&candidate, now),
            Some(RemoteCandidate::End) => {
                self.end_of_remote_candidates(now);
                Ok(())
            }
            None => Ok(()),
        };
        self.follow(now);
        taken
    }

    /// W3C `restartIce`: the next offer restarts ICE.
    pub fn restart_ice(&mut self) {
        self.negotiation.restart_ice();
        // Those that a description already named are what is to be replaced.
        self.fresh = None;
        self.consider_negotiation();
    }

    // Packets.

    /// The number of a path, to be used in [`handle_datagram`](Self::handle_datagram).
    pub fn path_id(&mut self, path: Path) -> PathId {
        self.agent.path_id(path)
    }

    /// The path with this number.
    #[must_use]
    pub fn path(&self, id: PathId) -> Option<Path> {
        self.agent.path(id)
    }

    /// Takes a datagram that the driver received. Whatever is wrong with it is counted and changes nothing.
    pub fn handle_datagram(&mut self, path: PathId, datagram: &[u8], now: Instant) {
        let now = self.line.advance(now);
        if let Received::Application(datagram) = self.agent.handle_datagram(path, datagram, now) {
            self.intake.take(datagram, &mut self.session, now);
        }
        self.follow(now);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.line.advance(now);
        self.agent.handle_timeout(now);
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        self.follow(now);
    }

    /// The addresses of a name that [`Event::Resolve`] asked for; none if it has none.
    pub fn handle_resolved(&mut self, request: ResolveId, addresses: &[IpAddr], now: Instant) {
        let now = self.line.advance(now);
        if let Some(request) = self.names.answer_of_server(request) {
            self.agent.handle_resolved(request, addresses, now);
            return self.follow(now);
        }
        for (candidate, ip) in self.names.answer(request, addresses) {
            if let Ok(candidate) = candidate.to_candidate(Some(ip)) {
                self.consider_connecting(&candidate, now);
                // An address that the agent refuses is no better than no address.
                let _ = self.agent.add_remote_candidate(candidate, now);
            }
        }
        if self.names.gathered && self.names.is_settled() {
            self.agent.end_of_remote_candidates(now);
        }
        self.follow(now);
    }

    /// The next datagram to send, written into `buf`.
    ///
    /// # Panics
    /// If `buf` has fewer than [`MIN_BUFFER`](Self::MIN_BUFFER) bytes.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        assert!(buf.len() >= Self::MIN_BUFFER, "a buffer of {} bytes, fewer than MIN_BUFFER", buf.len());
        if let Some(transmit) = self.agent.poll_transmit(buf) {
            return Some(transmit);
        }
        let (headroom, room) = (self.agent.headroom(), buf.len() - Agent::TAILROOM);
        while let Some(len) = self.session.poll_transmit(&mut buf[headroom..room]) {
            match self.agent.send(buf, len, self.line.now()) {
                Sent::Now(transmit) => return Some(transmit),
                Sent::Later => {}
                Sent::No => self.unsent += 1,
            }
        }
        if self.leaving && self.session.poll_timeout().is_none() {
            let now = self.line.now();
            self.agent.close(now);
            self.follow(now);
            // What gives relays back.
            return self.agent.poll_transmit(buf);
        }
        None
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        while let Some(event) = self.session.poll_event() {
            if let Some(event) = self.take_session_event(event) {
                return Some(event);
            }
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        // A channel was closed, or there was no room in the session for a moment.
        let held = self.intake.is_due(&self.session).then(|| self.line.now());
        let deadline = [self.agent.poll_timeout(), self.session.poll_timeout(), held].into_iter().flatten().min()?;
        Some(self.line.to_callers(deadline))
    }

    // The pace of many.

    /// Where checks wait for grants ([`ice::Pace::Granted`]): from when on one may be sent, if there is one to send.
    /// See [`Agent::wants_check`].
    #[must_use]
    pub fn wants_check(&self) -> Option<Instant> {
        self.agent.wants_check().map(|from| self.line.to_callers(from))
    }

    /// Grants one check, which is sent at once. Gives whether there was one to send. See [`Agent::grant_check`].
    pub fn grant_check(&mut self, now: Instant) -> bool {
        let now = self.line.advance(now);
        let sent = self.agent.grant_check(now);
        self.follow(now);
        sent
    }

    // The end.

    /// Leaves. All channels are gone at once, without an event for each. The other side is told, and what servers have lent
    /// is given back; keep on draining transmits and minding timeouts until there are no more, so that it is told again if
    /// the first word is lost. That takes [`FAREWELL`](Self::FAREWELL) at the most.
    pub fn close(&mut self, now: Instant) {
        let now = self.line.advance(now);
        if self.leaving {
            return;
        }
        let before = self.signaling_state();
        self.session.close(now);
        self.intake.clear();
        self.leaving = true;
        self.negotiation.close();
        self.names.clear();
        self.withdraw_names();
        self.session_state = SessionState::Closed;
        self.announce_signaling_state(before);
        if self.agent.state() != ice::State::Closed {
            self.events.push_back(Event::IceStateChange(ice::State::Closed));
        }
        self.update_connection_state();
        self.follow(now);
    }

    // What is going on.

    /// W3C `signalingState`.
    #[must_use]
    pub fn signaling_state(&self) -> SignalingState {
        self.negotiation.signaling_state()
    }

    /// W3C `iceConnectionState`.
    #[must_use]
    pub fn ice_state(&self) -> ice::State {
        if self.leaving { ice::State::Closed } else { self.agent.state() }
    }

    /// W3C `iceGatheringState`.
    #[must_use]
    pub fn gathering_state(&self) -> ice::GatheringState {
        self.agent.gathering_state()
    }

    /// W3C `connectionState`.
    #[must_use]
    pub fn connection_state(&self) -> ConnectionState {
        self.connection_state
    }

    /// Why the connection failed, or why there is no data section.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.failure.clone().or_else(|| self.agent.failure().map(Failure::Path))
    }

    /// What became of each STUN and TURN server, asked from each socket.
    pub fn server_reports(&self) -> impl Iterator<Item = ServerReport> + '_ {
        self.agent.server_reports()
    }

    /// What the servers tell of the NATs before a socket; none if too few have answered to tell.
    #[must_use]
    pub fn mapping(&self, base: SocketAddr) -> Option<Mapping> {
        self.agent.mapping(base)
    }

    /// Our part in ICE.
    #[must_use]
    pub fn ice_role(&self) -> Role {
        self.agent.role()
    }

    /// Our candidates.
    #[must_use]
    pub fn local_candidates(&self) -> &[LocalCandidate] {
        self.agent.local_candidates()
    }

    /// The pair that carries the traffic, with what was counted on it.
    #[must_use]
    pub fn selected_pair(&self) -> Option<PairReport> {
        self.agent.selected_pair()
    }

    /// All candidate pairs, with what happened to each.
    pub fn pairs(&self) -> impl Iterator<Item = PairReport> + '_ {
        self.agent.pairs()
    }

    /// Our certificate with its key, to be kept for another peer.
    #[must_use]
    pub fn certificate(&self) -> &session::Certificate {
        self.session.certificate()
    }

    /// What was not used.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            ice: self.agent.counters(),
            session_rejected: self.session.rejected(),
            records_held: self.intake.records_held(),
            unsent: self.unsent,
        }
    }

    /// Our candidates, as the other side is told of them.
    fn candidates(&self) -> Vec<CandidateAttribute> {
        let told = self.agent.local_candidates().iter().filter(|local| self.tells(local));
        told.filter_map(|local| self.concealment.tell(&local.candidate)).collect()
    }

    /// Has a description created with the credentials in use, or with fresh ones if it is to restart ICE.
    fn describe(
        &mut self,
        create: impl FnOnce(&mut Negotiation, &LocalIce<'_>) -> Result<Description, crate::jsep::Error>,
    ) -> Result<Description, Error> {
        if self.negotiation.fresh_credentials_wanted() {
            if self.fresh.is_none() {
                self.fresh = Some(self.agent.draw_credentials());
            }
        } else {
            self.fresh = None;
        }
        let candidates = self.candidates();
        let ice = LocalIce {
            credentials: self.fresh.as_ref().unwrap_or(self.agent.local_credentials()),
            candidates: &candidates,
            complete: self.agent.is_gathered(),
        };
        Ok(create(&mut self.negotiation, &ice)?)
    }

    /// Does what a description that was set asks for.
    fn apply(&mut self, applied: Applied, before: SignalingState, now: Instant) {
        if applied.rolled_back {
            self.fresh = None;
        }
        if let Some(start) = applied.ice {
            if start.restart {
                self.fresh = None;
                self.names.clear();
                self.agent.restart(start.local, now);
            }
            self.remote_lite = start.remote_lite;
            self.agent.set_role(if start.controlling { Role::Controlling } else { Role::Controlled });
            self.agent.set_remote_pacing(start.remote_pacing);
            self.agent.set_renomination(start.renomination);
            self.agent.set_remote_lite(start.remote_lite, now);
            self.agent.set_remote_credentials(start.remote, now);
        } else if let Some(controlling) = self.negotiation.controlling() {
            // Checks may come before the answer.
            if self.agent.remote_credentials().is_none() {
                self.agent.set_role(if controlling { Role::Controlling } else { Role::Controlled });
            }
        }
        for candidate in &applied.candidates {
            // In a description, a candidate that cannot be used is no fault of the others.
            let _ = self.take_candidate(candidate, now);
        }
        if applied.end_of_candidates {
            self.end_of_remote_candidates(now);
        }
        match applied.data {
            Data::Accepted(transport) => self.start_session(transport, now),
            Data::Rejected(rejection) if self.signaling_state() == SignalingState::Stable => {
                self.session.abandon();
                self.session_failed(Failure::Rejected(rejection));
            }
            Data::Rejected(_) | Data::Absent | Data::Offered | Data::Unchanged => {}
        }
        self.announce_signaling_state(before);
        self.consider_negotiation();
    }

    fn start_session(&mut self, transport: Transport, now: Instant) {
        if transport.kept {
            return;
        }
        let remote = session::Remote {
            dtls_role: transport.role,
            fingerprints: transport.fingerprints,
            sctp_port: transport.sctp_port,
            max_message_size: transport.max_message_size.get(),
        };
        if let Err(error) = self.session.start(remote, now) {
            self.session_failed(Failure::Start(error));
        }
    }

    fn take_candidate(&mut self, candidate: &CandidateAttribute, now: Instant) -> Result<(), Error> {
        match candidate.host() {
            Host::Name(name) => {
                let asked = self.names.ask(name, candidate.clone());
                asked.map_err(|TooManyNames| Error::TooManyNames(name.clone()))
            }
            Host::Address(_) => match candidate.to_candidate(None) {
                Ok(candidate) => {
                    self.consider_connecting(&candidate, now);
                    Ok(self.agent.add_remote_candidate(candidate, now)?)
                }
                Err(_unusable) => Ok(()),
            },
        }
    }

    fn end_of_remote_candidates(&mut self, now: Instant) {
        self.names.gathered = true;
        if self.names.is_settled() {
            self.agent.end_of_remote_candidates(now);
        }
    }

    /// Tells the other side of a candidate, unless a description of ours already did. After an offer to
    /// restart, it counts for the credentials in use and for those on offer.
    fn announce(&mut self, candidate: &CandidateAttribute) {
        for credentials in core::iter::once(self.agent.local_credentials()).chain(&self.fresh) {
            let trickled = self.negotiation.announce(credentials, candidate);
            self.events.extend(trickled.map(Event::IceCandidate));
        }
    }

    /// Withdraws the names of addresses that no candidate of ours has any more.
    fn withdraw_names(&mut self) {
        let over = self.ice_state() == ice::State::Closed;
        let locals = self.agent.local_candidates().iter().filter(|_| !over);
        let addresses: BTreeSet<IpAddr> = locals.map(|local| local.candidate.address.ip()).collect();
        let withdrawn = self.concealment.keep_only(&addresses);
        self.events.extend(withdrawn.into_iter().map(|name| Event::WithdrawName { name }));
    }

    fn announce_end(&mut self) {
        for credentials in core::iter::once(self.agent.local_credentials()).chain(&self.fresh) {
            let trickled = self.negotiation.announce_end(credentials);
            self.events.extend(trickled.map(Event::IceCandidate));
        }
    }

    fn announce_signaling_state(&mut self, before: SignalingState) {
        let state = self.signaling_state();
        if state != before {
            self.events.push_back(Event::SignalingStateChange(state));
        }
    }

    fn consider_negotiation(&mut self) {
        let needed = self.negotiation.negotiation_needed();
        if needed && !self.negotiation_needed {
            self.events.push_back(Event::NegotiationNeeded);
        }
        self.negotiation_needed = needed;
    }

    /// Takes what the rooms below have to say, and tells them of each other.
    fn follow(&mut self, now: Instant) {
        self.intake.hand_on(&mut self.session, now);
        while let Some(event) = self.agent.poll_event() {
            match event {
                // While the farewell is said the agent goes on, and nobody is told of what it finds.
                ice::Event::LocalCandidate(_)
                | ice::Event::GatheringStateChange(_)
                | ice::Event::GatheringError(_)
                | ice::Event::Resolve { .. }
                    if self.leaving => {}
                ice::Event::LocalCandidate(local) if self.tells(&local) => {
                    if let Some(name) = self.concealment.admit(&local.candidate) {
                        let address = local.candidate.address.ip();
                        self.events.push_back(Event::PublishName { name, address });
                    }
                    if let Some(told) = self.concealment.tell(&local.candidate) {
                        self.announce(&told);
                    }
                }
                ice::Event::GatheringStateChange(state) => {
                    self.events.push_back(Event::IceGatheringStateChange(state));
                    if state == ice::GatheringState::Complete {
                        self.announce_end();
                    }
                }
                ice::Event::GatheringError(error) => self.events.push_back(Event::IceCandidateError(error)),
                ice::Event::Resolve { request, name } => self.names.ask_for_server(request, name),
                ice::Event::OpenSocket { socket, local } => self.events.push_back(Event::OpenSocket { socket, local }),
                ice::Event::CloseSocket { local } => self.events.push_back(Event::CloseSocket { local }),
                ice::Event::OpenStream { path, local, remote, tls } => {
                    self.events.push_back(Event::OpenStream { path, local, remote, tls });
                }
                ice::Event::CloseStream { path } => self.events.push_back(Event::CloseStream { path }),
                ice::Event::SelectedPairChange(pair) => self.events.push_back(Event::SelectedPairChange(pair)),
                ice::Event::RestartFailed(why) => self.events.push_back(Event::IceRestartFailed(why)),
                ice::Event::NetworkChange(change) => {
                    self.events.push_back(Event::NetworkChange(change));
                    self.connect_from_everywhere(now);
                }
                ice::Event::StateChange(state) if !self.leaving => {
                    self.events.push_back(Event::IceStateChange(state));
                }
                ice::Event::LocalCandidate(_) | ice::Event::StateChange(_) | ice::Event::RoleChange(_) => {}
            }
        }
        // Our checks are answered before the other side has our answer. A handshake that began then would wait
        // longer and longer for nothing, and give up after half a minute.
        let begins = |agent: &Agent, lite| agent.selected_pair().is_some() && (lite || agent.is_heard());
        if !self.path_told && begins(&self.agent, self.remote_lite) {
            self.path_told = true;
            self.session.handle_path(now);
        }
        while let Some((request, name)) = self.names.poll_question() {
            self.events.push_back(Event::Resolve { request, name });
        }
        self.update_connection_state();
    }

    fn take_session_event(&mut self, event: session::Event) -> Option<Event> {
        match event {
            session::Event::Connected => {
                self.session_state = SessionState::Connected;
                self.update_connection_state();
            }
            session::Event::Closed => {
                self.session_state = SessionState::Closed;
                self.leave_after_remote();
            }
            session::Event::Failed(failure) => self.session_failed(Failure::Session(failure)),
            session::Event::ChannelOpen(channel) => return Some(Event::ChannelOpen(channel)),
            session::Event::DataChannel { channel, config } => return Some(Event::DataChannel { channel, config }),
            session::Event::Message { channel, kind, data } => return Some(Event::Message { channel, kind, data }),
            session::Event::BufferedAmountLow(channel) => return Some(Event::BufferedAmountLow(channel)),
            session::Event::ChannelClosed(channel) => return Some(Event::ChannelClosed(channel)),
        }
        None
    }

    /// The other side has left: nothing is to be sent any more, and nobody would answer.
    fn leave_after_remote(&mut self) {
        self.intake.clear();
        let before = self.signaling_state();
        let now = self.line.now();
        self.negotiation.close();
        self.names.clear();
        self.announce_signaling_state(before);
        self.agent.close(now);
        self.withdraw_names();
        self.follow(now);
    }

    fn session_failed(&mut self, failure: Failure) {
        self.intake.clear();
        self.failure = Some(failure);
        self.session_state = SessionState::Failed;
        self.update_connection_state();
    }

    fn update_connection_state(&mut self) {
        let state = ConnectionState::of(self.ice_state(), self.session_state);
        if state != self.connection_state {
            self.connection_state = state;
            self.events.push_back(Event::ConnectionStateChange(state));
        }
    }
}

impl core::fmt::Debug for Peer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Peer")
            .field("signaling_state", &self.signaling_state())
            .field("connection_state", &self.connection_state)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}
