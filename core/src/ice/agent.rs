//! The agent: the state machine that the rest of this room serves.

mod gather;
mod grant;
mod lite;
mod network;
mod receive;
mod send;
mod settle;
mod streams;
mod upkeep;

use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use self::send::Outgoing;
use self::upkeep::{Doubt, Moves};
use super::checks::{Checks, Expired, Purpose};
use super::consent::Consent;
use super::gathering::{Base, Gathering, Incoming};
use super::generation::{Generation, Remote};
use super::liveness::Liveness;
use super::pair::{Pair, PairClass, PairKey, pair_priority};
use super::streams::Streams;
use super::{
    Candidate, CandidateError, CandidateKind, Config, Counters, Credentials, Event, Failure, GatheringState,
    InterfaceKind, LocalCandidate, PairFate, PairReport, PairState, Role, SelectionCause, State, Transport,
};
use crate::Seed;
use crate::path::{Path, PathId, Paths, Transmit};
use crate::rng::Rng;
use crate::stun::{IntegrityKey, Message};
use crate::time::{Instant, Timeline};

/// How many candidates of our own an agent takes.
const MAX_LOCAL_CANDIDATES: usize = 64;

/// The longest Ta that the other side can impose.
const MAX_REMOTE_PACING: Duration = Duration::from_secs(1);

/// An ICE agent for one data stream.
///
/// After every call that takes `now`, drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), then call [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout) at the latest.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    rng: Rng,
    line: Timeline,
    /// When conclusions were drawn last. Not every call draws them, so a deadline may be over before they are.
    settled_at: Instant,
    role: Role,
    tie_breaker: u64,
    state: State,
    failure: Option<Failure>,
    /// Our candidates, those included that are gone: pairs name them by place.
    locals: Vec<LocalCandidate>,
    /// What it costs to use each of them; none if it is gone.
    costs: Vec<Option<u16>>,
    /// The system's number for the interface of each of them, 0 if it is not known.
    interfaces: Vec<u32>,
    /// Those that are there, as the other side knows them.
    present: Vec<LocalCandidate>,
    /// All our bases are known.
    bases_named: bool,
    gathered: bool,
    gathering: Gathering,
    gathering_state: GatheringState,
    paths: Paths<Occupant>,
    streams: Streams,
    current: Generation,
    /// The generation before the restart. It answers the other side's checks and keeps its path in use
    /// until the new one has one.
    previous: Option<Generation>,
    /// Until when the generation before is kept, once the new one has its nominated path.
    previous_until: Option<Instant>,
    checks: Checks,
    /// The least time between two of our checks: what the configuration says, or the other side if that is more.
    pacing: Duration,
    /// Both sides know the ICE option `renomination`.
    renomination: bool,
    /// The other side sends no checks.
    remote_lite: bool,
    /// How many nominations we have sent, or the highest that we have followed.
    nominations: u32,
    /// We answer checks with 403.
    revoked: bool,
    /// Pacing allows no check before this.
    next_check_at: Instant,
    selected: Option<Selected>,
    moves: Moves,
    /// When pairs that had failed were last tried again.
    searched: Option<Instant>,
    /// When to see to the pairs that are held ready.
    next_backup: Option<Instant>,
    outgoing: VecDeque<Outgoing>,
    events: VecDeque<Event>,
    counters: Counters,
}

/// The pairs on a path: one of each generation at the most, as a path is a base and a remote address.
#[derive(Clone, Copy, Debug)]
struct Occupant {
    current: Option<PairKey>,
    previous: Option<PairKey>,
}

impl Occupant {
    /// Nothing if neither generation has a pair there any more: then the path is vacant.
    fn if_any(self) -> Option<Self> {
        (self.current.is_some() || self.previous.is_some()).then_some(self)
    }
}

/// The pair that carries the traffic.
#[derive(Debug)]
struct Selected {
    generation: u32,
    pair: PairKey,
    path: PathId,
    nominated: bool,
    cause: SelectionCause,
    consent: Consent,
    liveness: Liveness,
    doubt: Option<Doubt>,
    /// The other side sends application datagrams over it too.
    joined: bool,
    /// Another pair over which they come since, and how many came in a row.
    elsewhere: Option<(PairKey, u32)>,
}

impl Selected {
    /// The pairs that were put aside are being tried because it is doubted.
    fn searches(&self) -> bool {
        self.doubt.is_some_and(|doubt| doubt.searches)
    }

    /// It was chosen because it was heard when another was not, which says more than its priority.
    fn is_proven(&self) -> bool {
        matches!(self.cause, SelectionCause::Silence | SelectionCause::Followed)
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received<'d> {
    /// The agent used it or refused it.
    Consumed,
    /// It is for the application: it is not STUN, and it came over a path on which the other side has
    /// proved that it knows our password, or answered us. This is the part of it that the other side has sent: all of it,
    /// if no relay of ours is on the way.
    Application(&'d [u8]),
}

/// What became of an application datagram that was to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It is in the buffer, from the start, with what belongs before it.
    Now(Transmit),
    /// It waits for the TURN server's permission, and comes out of [`Agent::poll_transmit`] then.
    Later,
    /// There is no path that it may go over.
    No,
}

impl Agent {
    /// The smallest buffer that holds everything the agent sends, in bytes.
    pub const MIN_BUFFER: usize = 1200;

    /// What a stream or a relay puts before a datagram at the most, in bytes.
    pub const MAX_HEADROOM: usize = 48;

    /// What a relay that is reached over a stream puts behind a datagram at the most, in bytes.
    pub const TAILROOM: usize = 3;

    /// Makes an agent with credentials of its own. Times in the configuration with which it could not work are taken for
    /// the nearest with which it can.
    #[must_use]
    pub fn new(config: Config, role: Role, seed: Seed, now: Instant) -> Self {
        let mut rng = Rng::new(seed);
        let credentials = Credentials::random(&mut rng);
        let config = config.bounded();
        Self {
            pacing: config.pacing,
            config,
            tie_breaker: rng.u64(),
            rng,
            line: Timeline::new(now),
            settled_at: now,
            role,
            state: State::New,
            failure: None,
            locals: Vec::new(),
            costs: Vec::new(),
            interfaces: Vec::new(),
            present: Vec::new(),
            bases_named: false,
            gathered: false,
            gathering: Gathering::new(config.gathering_patience, config.retransmission),
            gathering_state: GatheringState::New,
            paths: Paths::new(),
            streams: Streams::default(),
            current: Generation::new(0, credentials),
            previous: None,
            previous_until: None,
            checks: Checks::default(),
            renomination: false,
            remote_lite: false,
            nominations: 0,
            revoked: false,
            next_check_at: now,
            selected: None,
            moves: Moves::default(),
            searched: None,
            next_backup: None,
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Our credentials of the current generation.
    #[must_use]
    pub fn local_credentials(&self) -> &Credentials {
        &self.current.credentials
    }

    /// The other side's credentials of the current generation, once they are known.
    #[must_use]
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.current.remote.as_ref().map(|remote| &remote.credentials)
    }

    /// Our candidates.
    #[must_use]
    pub fn local_candidates(&self) -> &[LocalCandidate] {
        &self.present
    }

    /// Whether all our candidates are known, those from servers included.
    #[must_use]
    pub fn is_gathered(&self) -> bool {
        self.gathered
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Why the state is [`State::Failed`].
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.failure.filter(|_| self.state == State::Failed)
    }

    /// The role at present; a conflict may change it.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Takes the role that offer and answer gave (RFC 8445 section 6.1.1).
    pub fn set_role(&mut self, role: Role) {
        if self.role != role {
            self.role = role;
            // Those of the one that nominated before count no more.
            (self.nominations, self.current.nominating) = (0, None);
            self.reprioritise();
        }
    }

    /// Takes the Ta that the other side announced: both use the longer one (RFC 8445 section 14.2). Who announces
    /// none means 50 ms (RFC 8839 section 5.5). More than a second counts as a second, so that the other side cannot
    /// put off a failure for ever.
    pub fn set_remote_pacing(&mut self, pacing: Duration) {
        self.pacing = self.config.pacing.max(pacing.min(MAX_REMOTE_PACING));
    }

    /// Whether both sides have announced the ICE option `renomination`: then the controlling one may nominate another
    /// pair without a restart when that is clearly better.
    pub fn set_renomination(&mut self, agreed: bool) {
        self.renomination = agreed;
    }

    /// Whether the other side is lite (RFC 8445 section 2.5): it answers checks and sends none.
    pub fn set_remote_lite(&mut self, lite: bool, now: Instant) {
        let now = self.line.advance(now);
        self.remote_lite = lite;
        self.settle(now);
    }

    /// Takes our consent to receive back (RFC 7675 section 5.2): from now on checks are refused with 403, and a path
    /// that the other side uses is one that it has to leave.
    pub fn revoke_consent(&mut self) {
        self.revoked = true;
    }

    /// What was received and not used.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Adds a candidate of our own: the driver receives at its base and can send from there.
    ///
    /// # Errors
    /// If nothing can be sent to it, it is there already, or there are too many.
    pub fn add_local_candidate(&mut self, local: LocalCandidate, now: Instant) -> Result<(), CandidateError> {
        let now = self.line.advance(now);
        self.add_local(local, InterfaceKind::Unknown.typical_cost(), 0, now)
    }

    /// `now` is a moment inside.
    fn add_local(
        &mut self,
        local: LocalCandidate,
        cost: u16,
        interface: u32,
        now: Instant,
    ) -> Result<(), CandidateError> {
        if self.state == State::Closed {
            return Err(CandidateError::Over);
        }
        local.candidate.check_address()?;
        let Candidate { kind, transport, address, .. } = local.candidate;
        let same = |known: &LocalCandidate| {
            known.base == local.base && known.candidate.address == address && known.candidate.transport == transport
        };
        if self.present.iter().any(same) {
            return Err(CandidateError::Duplicate(address));
        }
        let place = match self.may_use(kind) {
            true => Some(self.place_for_local().ok_or(CandidateError::TooMany(MAX_LOCAL_CANDIDATES))?),
            false => None,
        };
        if transport == Transport::Udp && kind == CandidateKind::Host {
            let preference = (local.candidate.priority >> 8) as u16;
            self.gathering.add_base(Base { address: local.base, preference, cost, interface }, now);
        }
        let Some(place) = place else {
            self.begin_gathering();
            self.settle(now);
            return Ok(());
        };
        if place == self.locals.len() {
            self.locals.push(local);
            self.costs.push(None);
            self.interfaces.push(0);
        }
        (self.locals[place], self.costs[place], self.interfaces[place]) = (local, Some(cost), interface);
        self.present.push(local);
        self.begin_gathering();
        self.events.push_back(Event::LocalCandidate(local));
        if self.is_over() {
            // A restart will use it.
            return Ok(());
        }
        for remote in 0..self.current.remotes.len() {
            self.form_pair(self.current.number, place, remote);
        }
        self.settle(now);
        Ok(())
    }

    /// Says that all our candidates were added, but for those that servers are still to give.
    pub fn end_of_local_candidates(&mut self, now: Instant) {
        let now = self.line.advance(now);
        self.bases_named = true;
        self.gather(now);
        self.settle(now);
    }

    /// Takes the other side's credentials; checks begin.
    ///
    /// Credentials for a generation that has some already are ignored: others come with a
    /// [`restart`](Self::restart).
    pub fn set_remote_credentials(&mut self, credentials: Credentials, now: Instant) {
        let now = self.line.advance(now);
        if self.current.remote.is_some() || self.is_over() {
            return;
        }
        self.current.remote = Some(Remote { key: IntegrityKey::new(credentials.pwd().as_bytes()), credentials });
        self.current.patience = Some(now + self.config.patience);
        self.settle(now);
    }

    /// Adds a candidate of the other side (RFC 8838 section 11). One that is known is not added again, and one that
    /// comes after [the end](Self::end_of_remote_candidates) is passed over (section 14).
    ///
    /// # Errors
    /// If nothing can be sent to it or there are too many.
    pub fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) -> Result<(), CandidateError> {
        let now = self.line.advance(now);
        self.refuse_when_over()?;
        candidate.check_address()?;
        if self.current.remote_gathered {
            return Ok(());
        }
        let place = match self.current.remote_at(candidate.transport, candidate.address) {
            Some(place) if self.current.remotes[place].kind == CandidateKind::PeerReflexive => {
                // Its check was faster than the signalling. The pair of that check keeps its place (RFC 8838
                // section 11.1); those with our other candidates are still to be formed.
                self.current.remotes[place] = candidate;
                self.reprioritise();
                place
            }
            Some(_) => return Ok(()),
            None if self.current.remotes.len() >= self.config.max_remote_candidates => {
                return Err(CandidateError::TooMany(self.config.max_remote_candidates));
            }
            None => self.current.push_remote(candidate),
        };
        for local in 0..self.locals.len() {
            if self.costs[local].is_some() {
                self.form_pair(self.current.number, local, place);
            }
        }
        let patience = now + self.config.patience;
        self.current.patience = self.current.patience.map(|at| at.max(patience));
        self.settle(now);
        Ok(())
    }

    /// Says that the other side has no more candidates (RFC 8838 section 13).
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        let now = self.line.advance(now);
        self.current.remote_gathered = true;
        self.settle(now);
    }

    /// Draws credentials for a [`restart`](Self::restart), so that a description can name them first.
    pub fn draw_credentials(&mut self) -> Credentials {
        Credentials::random(&mut self.rng)
    }

    /// Begins a new generation with these credentials (RFC 8445 section 9). Our candidates are kept; those
    /// of the other side and its credentials are to be given anew. The path in use goes on carrying traffic
    /// until the new generation has one.
    pub fn restart(&mut self, credentials: Credentials, now: Instant) {
        let now = self.line.advance(now);
        if self.state == State::Closed {
            return;
        }
        let next = Generation::new(self.current.number + 1, credentials);
        let last = core::mem::replace(&mut self.current, next);
        // Restarted again before the last restart found a path: the one before both stays in use.
        let keeps_previous = self.selected.as_ref().is_some_and(|selected| selected.generation != last.number);
        if !keeps_previous {
            self.drop_previous();
        }
        // All of them, as the other side may use another pair than we do.
        self.vacate(&last, |key, occupant| Occupant {
            current: None,
            previous: if keeps_previous { occupant.previous } else { Some(key) },
        });
        let in_use = self.selected.as_ref().map(|selected| selected.generation);
        self.checks.retain(|check| Some(check.generation) == in_use && check.purpose == Purpose::Consent);
        if !keeps_previous {
            self.previous = Some(last);
        }
        if self.state == State::Failed {
            self.change_state(State::New);
        }
        self.failure = None;
        self.nominations = 0;
        self.revoked = false;
        (self.next_backup, self.searched, self.previous_until) = (None, None, None);
        self.gathering.restart(now);
        self.settle(now);
    }

    /// Ends it. Nothing received is used any more, and all that is sent is what gives relayed addresses back: that takes a
    /// second at the most.
    pub fn close(&mut self, now: Instant) {
        let now = self.line.advance(now);
        self.stop();
        self.gathering.close(&mut self.paths, now);
        self.change_state(State::Closed);
        self.gather(now);
    }

    /// The number of a path, to be used in [`handle_datagram`](Self::handle_datagram).
    pub fn path_id(&mut self, path: Path) -> PathId {
        self.paths.intern(Path { local: without_flow(path.local), remote: without_flow(path.remote), ..path })
    }

    /// The path with this number.
    #[must_use]
    pub fn path(&self, id: PathId) -> Option<Path> {
        self.paths.get(id)
    }

    /// Takes a datagram that the driver received.
    pub fn handle_datagram<'d>(&mut self, path: PathId, datagram: &'d [u8], now: Instant) -> Received<'d> {
        let now = self.line.advance(now);
        if self.gathering.is_idle() {
            return self.receive(path, datagram, now);
        }
        match self.gathering.handle_datagram(path, datagram, &mut self.paths, now) {
            Incoming::NotOurs => self.receive(path, datagram, now),
            Incoming::Relayed { relay, peer, data } => {
                let path = self.relayed_path(relay, peer);
                self.receive(path, data, now)
            }
            Incoming::Taken => {
                self.settle(now);
                Received::Consumed
            }
        }
    }

    /// Takes a datagram, without what a relay has put around it.
    fn receive<'d>(&mut self, path: PathId, datagram: &'d [u8], now: Instant) -> Received<'d> {
        if self.selected.as_ref().is_some_and(|selected| now >= selected.consent.expires) {
            // The timer is late. Nothing that comes now may renew what has expired.
            self.keep_consent(now);
            self.settle(now);
        }
        if self.is_over() {
            return Received::Consumed;
        }
        if !self.may_hear(path) {
            self.counters.unknown_source += u64::from(!Message::looks_like(datagram));
            return Received::Consumed;
        }
        if Message::looks_like(datagram) {
            self.receive_stun(path, datagram, now);
            return Received::Consumed;
        }
        if self.receive_application(path, datagram.len(), now) {
            return Received::Application(datagram);
        }
        Received::Consumed
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.line.advance(now);
        self.gathering.handle_timeout(&mut self.paths, now);
        if self.is_over() {
            return self.gather(now);
        }
        while let Some(expired) = self.checks.poll_expired(now) {
            match expired {
                Expired::Again(id) => self.send_again(id, now),
                Expired::Failed(check) => {
                    if check.purpose == Purpose::Connectivity && !check.superseded {
                        self.fail_pair(check.generation, check.pair, PairFate::Unanswered);
                    } else if let Some(list) = self.generation_mut(check.generation).map(|g| &mut g.list) {
                        let pair = list.get_mut(check.pair);
                        pair.quality.unanswered(check.timer.sent());
                    }
                }
            }
        }
        self.keep_consent(now);
        self.settle(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_deadline().map(|deadline| self.line.to_callers(deadline))
    }

    /// The next datagram to send, written into `buf`, which must have at least
    /// [`MIN_BUFFER`](Self::MIN_BUFFER) bytes; what does not fit is lost as on the way.
    pub fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        if let Some((path, len)) = self.gathering.poll_transmit(buf) {
            return Some(Transmit { path, len });
        }
        while let Some(outgoing) = self.outgoing.pop_front() {
            if let Some(transmit) = self.write(outgoing, buf) {
                return Some(transmit);
            }
        }
        None
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How many bytes are to be left free before an application datagram that is sent now: those that a stream or a relay
    /// puts there.
    #[must_use]
    pub fn headroom(&self) -> usize {
        self.selected.as_ref().map_or(0, |selected| self.headroom_on(selected.path))
    }

    /// Sends an application datagram of `len` bytes that stands in `buf` behind [`headroom`](Self::headroom) bytes.
    /// [`TAILROOM`](Self::TAILROOM) bytes behind it are to be left free too.
    ///
    /// It goes only while the other side consents (RFC 7675).
    pub fn send(&mut self, buf: &mut [u8], len: usize, now: Instant) -> Sent {
        let now = self.line.advance(now);
        let Some(path) = self.admit(len, now) else { return Sent::No };
        let headroom = self.headroom_on(path);
        self.frame(path, buf, headroom, len, now)
    }

    /// Whether the other side has checked a pair of the current generation, which shows that it has our
    /// credentials.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.current.list.pairs().any(|(_, pair)| pair.heard)
    }

    /// The pair that carries the traffic. It may be a pair that is not nominated yet
    /// (RFC 8445 section 12.1), or one of the generation before a restart.
    #[must_use]
    pub fn selected_pair(&self) -> Option<PairReport> {
        let selected = self.selected.as_ref()?;
        Some(self.report(self.generation(selected.generation)?, selected.pair))
    }

    /// All pairs of the current generation, in the order in which they were formed.
    pub fn pairs(&self) -> impl Iterator<Item = PairReport> + '_ {
        self.current.list.pairs().map(|(key, _)| self.report(&self.current, key))
    }

    fn report(&self, generation: &Generation, key: PairKey) -> PairReport {
        let pair = generation.list.get(key);
        let selected = self.selected.as_ref().filter(|s| s.generation == generation.number && s.pair == key);
        PairReport {
            path: pair.path,
            local: pair.valid.unwrap_or(self.locals[pair.local]),
            remote: generation.remotes[pair.remote],
            priority: pair.priority,
            state: pair.state,
            nominated: pair.nominated,
            fate: pair.fate,
            silent: pair.silent,
            selected: selected.map(|selected| selected.cause),
            stats: pair.stats,
        }
    }

    /// The generation and the pair that carry the traffic.
    fn in_use(&self) -> Option<(u32, PairKey)> {
        self.selected.as_ref().map(|selected| (selected.generation, selected.pair))
    }

    /// What carries the traffic, if it is of the current generation.
    fn selected_of_current(&self) -> Option<&Selected> {
        self.selected.as_ref().filter(|selected| selected.generation == self.current.number)
    }

    fn generation(&self, number: u32) -> Option<&Generation> {
        if number == self.current.number {
            return Some(&self.current);
        }
        self.previous.as_ref().filter(|previous| previous.number == number)
    }

    fn generation_mut(&mut self, number: u32) -> Option<&mut Generation> {
        if number == self.current.number {
            return Some(&mut self.current);
        }
        self.previous.as_mut().filter(|previous| previous.number == number)
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Failed | State::Closed)
    }

    fn refuse_when_over(&self) -> Result<(), CandidateError> {
        if self.is_over() { Err(CandidateError::Over) } else { Ok(()) }
    }

    /// Pairs a candidate of ours with one of theirs if the two go together, and gives the pair of their path
    /// (RFC 8445 section 6.1.2.2).
    fn form_pair(&mut self, generation: u32, local: usize, remote: usize) -> Option<PairKey> {
        let (ours, theirs) = (&self.locals[local], &self.generation(generation)?.remotes[remote]);
        let transport = ours.candidate.transport;
        // A check for a server-reflexive candidate leaves from its base. If that has a candidate of its own, such a
        // pair is redundant before it is formed (section 6.1.2.4).
        let of_base = |other: &LocalCandidate| other.base == ours.base && other.candidate.transport == transport;
        let sends = match ours.candidate.kind {
            CandidateKind::Host | CandidateKind::Relayed => true,
            CandidateKind::ServerReflexive | CandidateKind::PeerReflexive => {
                !self.present.iter().any(|other| other.candidate.kind == CandidateKind::Host && of_base(other))
            }
        };
        if !sends || !transport.checks(theirs.transport) || !go_together(ours.base.ip(), theirs.address.ip()) {
            return None;
        }
        let remote_address = with_scope_of(theirs.address, ours.base);
        let path = Path { protocol: transport.protocol(), local: ours.base, remote: remote_address };
        if ours.candidate.kind == CandidateKind::Relayed {
            let (relay, peer) = (ours.base, remote_address.ip());
            self.gathering.permit(relay, peer, &mut self.paths, self.line.now());
        }
        let path = self.paths.intern(path);
        self.form_pair_on(path, generation, local, remote)
    }

    /// Pairs a candidate of ours with one of theirs on the path between them.
    fn form_pair_on(&mut self, path: PathId, generation: u32, local: usize, remote: usize) -> Option<PairKey> {
        let is_current = generation == self.current.number;
        let generation = if is_current { &mut self.current } else { self.previous.as_mut()? };
        let (ours, theirs) = (&self.locals[local], &generation.remotes[remote]);
        let priority = pair_priority(self.role, ours.candidate.priority, theirs.priority);
        let foundations = (ours.candidate.foundation, theirs.foundation);
        let class = PairClass {
            protocol: ours.candidate.transport.protocol(),
            local: ours.candidate.kind,
            remote: theirs.kind,
            is_ipv4: theirs.address.is_ipv4(),
        };
        let mut occupant = self.paths.occupant(path).copied().unwrap_or(Occupant { current: None, previous: None });
        let place = if is_current { &mut occupant.current } else { &mut occupant.previous };
        if let Some(key) = *place {
            let pair = generation.list.get_mut(key);
            if self.costs[pair.local].is_none() {
                // The base is back.
                pair.local = local;
                generation.list.set_state(key, PairState::Waiting);
            }
            return Some(key);
        }
        let key =
            generation.list.add(Pair::new(path, local, remote, priority, class), foundations, self.config.max_pairs);
        *place = Some(key);
        self.paths.occupy(path, Some(occupant));
        Some(key)
    }

    fn reprioritise(&mut self) {
        let (role, locals, remotes) = (self.role, &self.locals, &self.current.remotes);
        self.current.list.reprioritise(|pair| {
            pair_priority(role, locals[pair.local].candidate.priority, remotes[pair.remote].priority)
        });
    }

    /// Forgets the generation before the restart: its credentials are good for nothing from now on.
    fn drop_previous(&mut self) {
        if let Some(before) = self.previous.take() {
            self.checks.retain(|check| check.generation != before.number);
            self.vacate(&before, |_, occupant| Occupant { previous: None, ..occupant });
        }
    }

    /// Takes a generation's pairs off their paths; `left` says what stays there.
    fn vacate(&mut self, generation: &Generation, left: impl Fn(PairKey, Occupant) -> Occupant) {
        // Those whose base is gone have left theirs already, perhaps to others.
        let there = generation.list.pairs().filter(|(_, pair)| pair.fate != Some(PairFate::BaseGone));
        for (key, pair) in there {
            let Some(&occupant) = self.paths.occupant(pair.path) else { continue };
            let left = left(key, occupant);
            self.paths.occupy(pair.path, left.if_any());
        }
    }

    /// Drops all that would be sent or waited for.
    fn stop(&mut self) {
        self.selected = None;
        self.checks = Checks::default();
        self.close_streams();
        self.outgoing.clear();
    }

    fn change_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.events.push_back(Event::StateChange(state));
        }
    }
}

/// Whether datagrams can go from one address to the other: the family is the same, and link-local and loopback
/// addresses go with their like only (RFC 8445 section 6.1.2.2).
pub(super) fn go_together(a: IpAddr, b: IpAddr) -> bool {
    let scope = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => (4, v4.is_loopback(), false),
        IpAddr::V6(v6) => (6, v6.is_loopback(), v6.is_unicast_link_local()),
    };
    scope(a) == scope(b)
}

/// A link-local address is only meaningful on our own interface.
fn with_scope_of(remote: SocketAddr, base: SocketAddr) -> SocketAddr {
    match (remote, base) {
        (SocketAddr::V6(remote), SocketAddr::V6(base)) if remote.ip().is_unicast_link_local() => {
            SocketAddrV6::new(*remote.ip(), remote.port(), 0, base.scope_id()).into()
        }
        _ => without_flow(remote),
    }
}

/// Flow labels vary from datagram to datagram and name no path.
fn without_flow(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_flowinfo(0);
    }
    address
}

/// RFC 8445 section 14.3: the timer grows with the number of checks that share the pace.
pub(super) fn scaled_rto(rto: Duration, pacing: Duration, active: usize) -> Duration {
    rto.max(pacing.saturating_mul(u32::try_from(active).unwrap_or(u32::MAX)))
}
