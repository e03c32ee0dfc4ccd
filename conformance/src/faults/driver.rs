//! An agent with its sockets, its servers and an application.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher as _};
use std::net::{IpAddr, SocketAddr};

use frazil::ice::{
    Agent, Candidate, Config, Credentials, Event, HostSocket, LocalCandidate, PathAfterChange, Received, Role, Sent,
    State, rank,
};
use frazil::stun::Message;
use frazil::{Instant, Path, Protocol};
use frazil_internet::Endpoint;

use super::ledger::Ledger;
use crate::gathering::RelayServer;
use crate::gathering::binding::Binding;
use crate::gathering::relay::Relay;

/// How many datagrams are kept for those who replay them.
const OVERHEARD: usize = 32;

/// More than this between two inputs is a queue without bound.
const MOST_TRANSMITS: u32 = 256;
/// More than this between two inputs is a queue without bound.
const MOST_EVENTS: u32 = 256;

/// An agent, and all around it that it takes to connect and to stay connected.
pub struct Driver {
    agent: Agent,
    config: Config,
    ledger: Ledger,
    interfaces: Vec<Interface>,
    bindings: Vec<Binding>,
    relay: Option<Relay>,
    /// The relayed address that the agent has a candidate for.
    relayed: Option<SocketAddr>,
    /// Those that it had candidates for before.
    lost_relays: Vec<SocketAddr>,
    gathered: bool,
    said: VecDeque<Heard>,
    to_send: VecDeque<(Path, Vec<u8>)>,
    /// The agent was woken then and has said nothing since.
    woken: Option<Instant>,
    since_input: (u32, u32),
    rng: fastrand::Rng,
    /// The last time that it was told: `poll_transmit` is told none.
    now: Instant,
    overheard: VecDeque<(Path, Vec<u8>)>,
    digest: DefaultHasher,
}

/// How a driver begins.
pub struct Setup {
    /// How the agent works.
    pub config: Config,
    /// Which role offer and answer gave.
    pub role: Role,
    /// Whether a nomination may be followed by another.
    pub renomination: bool,
    /// All chance on this side comes from it.
    pub seed: u64,
}

/// A socket, and whom it may ask.
#[derive(Clone, Debug)]
pub struct Interface {
    /// What it is, and what it is bound to.
    pub socket: HostSocket,
    /// The STUN server, as it is reached from there.
    pub stun: Option<SocketAddr>,
    /// The TURN server, as it is reached from there.
    pub relay: Option<RelayServer>,
}

/// What a driver says.
#[derive(Clone, PartialEq, Debug)]
pub enum Heard {
    /// The agent has said something.
    Agent(Box<Event>),
    /// All candidates are known.
    Gathered,
    /// An application datagram has come.
    Datagram(Path, Vec<u8>),
}

impl Driver {
    /// A driver without sockets.
    #[must_use]
    pub fn new(setup: &Setup, now: Instant) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&setup.seed.to_le_bytes());
        let mut agent = Agent::new(setup.config, setup.role, seed, now);
        agent.set_renomination(setup.renomination);
        Self {
            ledger: Ledger::new(setup.config, agent.local_credentials(), now),
            config: setup.config,
            agent,
            interfaces: Vec::new(),
            bindings: Vec::new(),
            relay: None,
            relayed: None,
            lost_relays: Vec::new(),
            gathered: false,
            said: VecDeque::new(),
            to_send: VecDeque::new(),
            woken: None,
            since_input: (0, 0),
            rng: fastrand::Rng::with_seed(setup.seed),
            now,
            overheard: VecDeque::new(),
            digest: DefaultHasher::new(),
        }
    }

    /// The agent, to be looked at.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The sockets that it has.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Datagrams that the agent sent and received last.
    #[must_use]
    pub fn overheard(&self) -> &VecDeque<(Path, Vec<u8>)> {
        &self.overheard
    }

    /// A digest of all that the agent has sent so far.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// The most STUN requests within one second of the host's clock.
    #[must_use]
    pub fn busiest_second(&self) -> u32 {
        self.ledger.busiest_second()
    }

    /// Takes the list of all sockets that there are: what is new is gathered from, what is gone is forgotten.
    pub fn change_network(&mut self, interfaces: Vec<Interface>, now: Instant) {
        self.input(now);
        self.ledger.may_search();
        let before = std::mem::replace(&mut self.interfaces, interfaces);
        self.tell_sockets(now);
        let there = |ip: IpAddr| self.interfaces.iter().any(|interface| interface.socket.base.ip() == ip);
        self.bindings.retain(|binding| there(binding.base().ip()));
        if self.relay.as_ref().is_some_and(|relay| !there(relay.local().ip())) {
            self.relay = None;
        }
        let was_there = |interface: &&Interface| before.iter().any(|b| b.socket.base == interface.socket.base);
        let new: Vec<Interface> = self.interfaces.iter().filter(|interface| !was_there(interface)).cloned().collect();
        self.ask(&new, now);
        self.settle(now);
    }

    fn ask(&mut self, interfaces: &[Interface], now: Instant) {
        for Interface { socket, stun, .. } in interfaces {
            if let &Some(stun) = stun {
                self.bindings.push(Binding::new(socket.base, stun, self.rng.u128(..), now));
            }
        }
        if self.relay.as_ref().is_none_or(|relay| !relay.is_opening() && relay.address().is_none()) {
            let access = self.interfaces.iter().find_map(|interface| interface.relay.clone());
            self.relay = access.map(|access| Relay::new(access, now));
        }
    }

    fn tell_sockets(&mut self, now: Instant) {
        let sockets: Vec<HostSocket> = self.interfaces.iter().map(|interface| interface.socket).collect();
        self.agent_at(now).handle_network_change(&sockets, now);
    }

    /// Draws credentials for a [`Driver::restart`], and gathers once more for it: what a NAT or a server forgot shows.
    pub fn prepare_restart(&mut self, now: Instant) -> Credentials {
        self.input(now);
        let all = self.interfaces.clone();
        self.gathered = false;
        self.bindings.clear();
        self.ask(&all, now);
        self.settle(now);
        self.agent.draw_credentials()
    }

    /// Has the agent begin a new generation with these credentials.
    pub fn restart(&mut self, credentials: Credentials, now: Instant) {
        self.input(now);
        let was_over = self.agent.state() == State::Failed;
        self.ledger.restarted(&credentials);
        self.agent_at(now).restart(credentials, now);
        if was_over {
            // It took nothing while it had given up.
            self.tell_sockets(now);
        }
        self.settle(now);
    }

    /// The other side has said its credentials.
    pub fn set_remote_credentials(&mut self, credentials: Credentials, now: Instant) {
        self.input(now);
        self.ledger.told_credentials(&credentials);
        self.agent_at(now).set_remote_credentials(credentials, now);
    }

    /// The other side has named a candidate.
    pub fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) {
        self.input(now);
        self.ledger.told_candidate(&candidate);
        let taken = self.agent_at(now).add_remote_candidate(candidate, now);
        assert!(taken.is_ok() || self.agent.state() == State::Failed, "{candidate:?}: {taken:?}");
    }

    /// The other side has no more of them.
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        self.input(now);
        self.agent_at(now).end_of_remote_candidates(now);
    }

    /// Sends an application datagram if there is a path for it, and says which.
    pub fn send(&mut self, datagram: &[u8], now: Instant) -> Option<Path> {
        self.input(now);
        let mut sent = datagram.to_vec();
        let Sent::Now(transmit) = self.agent_at(now).send(&mut sent, datagram.len(), now) else { return None };
        let path = self.agent.path(transmit.path)?;
        self.ledger.application_sent(path);
        self.dispatch(path, datagram.to_vec());
        Some(path)
    }

    /// Over which path application datagrams go.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        self.agent.path(self.agent.selected_pair()?.path)
    }

    /// Gives the agent a datagram, whoever made it.
    pub fn take(&mut self, path: Path, datagram: &[u8], now: Instant) {
        self.input(now);
        let is_stun = Message::looks_like(datagram);
        self.ledger.advance(now);
        if is_stun {
            self.ledger.stun_received(path, datagram);
            self.overhear(path, datagram);
        }
        let id = self.agent.path_id(path);
        if let Received::Application(_) = self.agent_at(now).handle_datagram(id, datagram, now) {
            assert!(!is_stun, "STUN is not for the application");
            self.ledger.application_received(path);
            self.said.push_back(Heard::Datagram(path, datagram.to_vec()));
        }
    }

    /// Holds the documented limits against what there is.
    pub fn check_limits(&self) {
        let pairs = self.agent.pairs().count();
        let locals = self.agent.local_candidates().len();
        assert!(locals <= 64, "{locals} candidates");
        assert!(pairs <= 64 * self.config.max_remote_candidates, "{pairs} pairs");
        let mut remotes: Vec<SocketAddr> = self.agent.pairs().map(|pair| pair.remote.address).collect();
        remotes.sort_unstable();
        remotes.dedup();
        let most = self.config.max_remote_candidates;
        assert!(remotes.len() <= most, "{} candidates of the other side", remotes.len());
    }

    fn input(&mut self, now: Instant) {
        self.now = now;
        self.woken = None;
        self.since_input = (0, 0);
    }

    /// The agent, which is told the time.
    fn agent_at(&mut self, now: Instant) -> &mut Agent {
        self.ledger.advance(now);
        &mut self.agent
    }

    fn overhear(&mut self, path: Path, datagram: &[u8]) {
        if self.overheard.len() == OVERHEARD {
            self.overheard.pop_front();
        }
        self.overheard.push_back((path, datagram.to_vec()));
    }

    /// Sends what leaves from an address of our own or from the relayed one.
    fn dispatch(&mut self, path: Path, datagram: Vec<u8>) {
        match &mut self.relay {
            Some(relay) if relay.address() == Some(path.local) => relay.send(path.remote, &datagram, self.now),
            // The allocation is gone; the agent has not been told yet, or it was an answer that was to be sent already.
            _ if self.lost_relays.contains(&path.local) || self.relayed == Some(path.local) => {}
            _ => self.to_send.push_back((path, datagram)),
        }
    }

    /// Hands over what the servers have said.
    fn settle(&mut self, now: Instant) {
        for answer in self.bindings.iter_mut().filter_map(Binding::take_answer).collect::<Vec<_>>() {
            if answer.mapped != answer.base {
                let preference = self.preference_of(answer.base);
                let server = answer.server.ip();
                let local =
                    LocalCandidate::server_reflexive(Protocol::Udp, answer.mapped, answer.base, server, preference);
                // It may be known, and an agent that has given up takes none.
                let _ = self.agent_at(now).add_local_candidate(local, now);
            }
        }
        let relayed = self.relay.as_ref().and_then(Relay::address);
        if let Some(lost) = self.relayed.filter(|&before| Some(before) != relayed) {
            self.relayed = None;
            self.lost_relays.push(lost);
            self.ledger.may_search();
            self.agent_at(now).remove_local_base(Protocol::Udp, lost, now);
        }
        if let Some((address, local)) = self.relay.as_mut().and_then(Relay::take_address) {
            let server = self.relay.as_ref().expect("it has just spoken").server().ip();
            let local = LocalCandidate::relayed(Protocol::Udp, address, local, server, u16::MAX);
            self.relayed = Some(address);
            let _ = self.agent_at(now).add_local_candidate(local, now);
        }
        while let Some((peer, datagram)) = self.relay.as_mut().and_then(Relay::receive) {
            let local = self.relay.as_ref().and_then(Relay::address).expect("nothing comes through without one");
            self.take(Path { protocol: Protocol::Udp, local, remote: peer }, &datagram, now);
        }
        let busy = self.bindings.iter().any(Binding::is_open) || self.relay.as_ref().is_some_and(Relay::is_opening);
        if !busy && !self.gathered && !self.interfaces.is_empty() {
            self.gathered = true;
            self.agent_at(now).end_of_local_candidates(now);
            self.said.push_back(Heard::Gathered);
        }
    }

    fn preference_of(&self, base: SocketAddr) -> u16 {
        let sockets: Vec<HostSocket> = self.interfaces.iter().map(|interface| interface.socket).collect();
        rank(&sockets).into_iter().find(|(socket, _)| socket.base == base).map_or(0, |(_, preference)| preference)
    }

    fn wake(&mut self, now: Instant) {
        assert_ne!(self.woken, Some(now), "the agent was woken for nothing and wants to be woken at once");
        self.woken = Some(now);
        self.agent_at(now).handle_timeout(now);
        self.ledger.woken();
    }
}

impl Endpoint for Driver {
    type Event = Heard;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        self.input(now);
        let answers = self.bindings.iter_mut().any(|binding| binding.handle_datagram(path, datagram));
        let relays = !answers && self.relay.as_mut().is_some_and(|relay| relay.handle(path, datagram, now));
        if !answers && !relays {
            self.take(path, datagram, now);
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let woken = self.woken;
        self.input(now);
        self.woken = woken;
        self.bindings.iter_mut().for_each(|binding| binding.handle_timeout(now));
        if let Some(relay) = &mut self.relay {
            relay.handle_timeout(now);
        }
        if self.agent.poll_timeout().is_some_and(|at| at <= now) {
            self.wake(now);
        }
        self.settle(now);
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        if let Some(sent) = self.bindings.iter_mut().find_map(|binding| binding.poll_transmit(buffer)) {
            return Some(sent);
        }
        loop {
            if let Some(sent) = self.relay.as_mut().and_then(|relay| relay.poll_transmit(buffer)) {
                return Some(sent);
            }
            if let Some((path, datagram)) = self.to_send.pop_front() {
                buffer[..datagram.len()].copy_from_slice(&datagram);
                return Some((path, datagram.len()));
            }
            let transmit = self.agent.poll_transmit(buffer)?;
            self.woken = None;
            self.since_input.0 += 1;
            assert!(self.since_input.0 <= MOST_TRANSMITS, "{} datagrams at once", self.since_input.0);
            let path = self.agent.path(transmit.path).expect("a path that is sent over has a name");
            let datagram = &buffer[..transmit.len];
            self.digest.write_u64(self.now.as_nanos());
            self.digest.write(datagram);
            self.ledger.stun_sent(path, datagram);
            self.overhear(path, &buffer[..transmit.len]);
            self.dispatch(path, buffer[..transmit.len].to_vec());
        }
    }

    fn poll_event(&mut self) -> Option<Heard> {
        if let Some(event) = self.agent.poll_event() {
            self.woken = None;
            self.since_input.1 += 1;
            assert!(self.since_input.1 <= MOST_EVENTS, "{} events at once", self.since_input.1);
            match &event {
                Event::StateChange(State::Disconnected) | Event::SelectedPairChange(_) => self.ledger.may_search(),
                Event::NetworkChange(change) if change.path == PathAfterChange::Lost => self.ledger.may_search(),
                _ => {}
            }
            return Some(Heard::Agent(Box::new(event)));
        }
        self.said.pop_front()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let bindings = self.bindings.iter().filter_map(Binding::poll_timeout);
        let others = [self.relay.as_ref().and_then(Relay::poll_timeout), self.agent.poll_timeout()];
        bindings.chain(others.into_iter().flatten()).min()
    }
}
