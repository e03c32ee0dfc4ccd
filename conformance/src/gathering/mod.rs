//! Gathering outside the agents, the same for all of them.
//!
//! [`Gatherer`] is what a driver is around an agent: it owns the sockets, asks the STUN server from each of them,
//! holds an allocation on the TURN server over UDP or TCP, and hands over candidates as they come: to the agent, and
//! as [`Said::Tell`] to whoever carries them to the other side. Datagrams of the agent that leave from a relayed address go
//! through the allocation, and what comes through it is handed to the agent as if it had come to that address.

pub(crate) mod binding;
pub(crate) mod relay;
mod whole;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use frazil::{Instant, Path, Protocol};
use frazil_internet::{Endpoint, StreamInput, StreamRequest};

use crate::contestant::{Contestant, Failure, Gathered, Outgoing, Role, Selected};
use crate::instructions::in_the_agent;
use binding::Binding;
use relay::Relay;
pub use whole::Whole;

/// A server that has not answered by then has no answer. All candidates are known after this at the latest.
const LIMIT: Duration = Duration::from_secs(5);

/// What one side has, and whom it may ask.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The role that offer and answer gave.
    pub role: Role,
    /// All chance on this side comes from it.
    pub seed: u64,
    /// The agent's own sockets, best first.
    pub sockets: Vec<Socket>,
    /// The TURN server.
    pub relay: Option<RelayServer>,
}

/// A UDP socket of the agent's.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    /// What it is bound to.
    pub address: SocketAddr,
    /// The STUN server, as it is reached from there.
    pub stun: Option<SocketAddr>,
}

/// A TURN server, as this side reaches it.
#[derive(Clone, Debug)]
pub struct RelayServer {
    /// How the client talks to it.
    pub protocol: Protocol,
    /// Where the client talks from: a socket of its own; for TCP, port 0 lets the machine choose.
    pub local: SocketAddr,
    /// Where it listens.
    pub server: SocketAddr,
    /// The user name of its long-term credentials.
    pub username: String,
    /// The password to it.
    pub password: String,
}

/// One side of a connection: an agent, and all around it that it takes to connect.
pub trait Party: Endpoint<Event = Said<Self::Told>> {
    /// The implementation and its version.
    const NAME: &'static str;

    /// What signalling carries to the other side.
    type Told: Clone + fmt::Debug;

    /// Sets it up. It does nothing before it is started or told something.
    fn new(setup: Setup, now: Instant) -> Self;

    /// Begins to gather.
    fn start(&mut self, now: Instant);

    /// Hears of the other side. The first word starts it.
    fn hear(&mut self, told: Self::Told, now: Instant);

    /// The relayed address that was lent to it.
    fn relayed(&self) -> Option<SocketAddr>;

    /// How many datagrams the agent has sent, those for servers not among them.
    fn datagrams(&self) -> u64;
}

/// What a party says.
#[derive(Clone, PartialEq, Debug)]
pub enum Said<Told> {
    /// To be carried to the other side.
    Tell(Told),
    /// From now on application data may take this path, or none.
    Path(Option<Selected>),
    /// The agent has given up.
    Failed(Failure),
}

/// An agent with its sockets and its servers.
pub struct Gatherer<C: Contestant> {
    agent: C,
    setup: Setup,
    started: bool,
    ended: bool,
    bindings: Vec<Binding>,
    relay: Option<Relay>,
    said: VecDeque<Said<Told<C>>>,
    selected: Option<Selected>,
    failed: bool,
    datagrams: u64,
    /// Draws transaction ids.
    rng: fastrand::Rng,
    /// The last time that it was told: `poll_transmit` is told none.
    now: Instant,
}

/// What one side tells the other.
pub enum Told<C: Contestant> {
    /// First of all.
    Credentials(C::Credentials),
    /// A candidate, as it comes (RFC 8838), and its address.
    Candidate(C::Candidate, SocketAddr),
    /// There are no more.
    End,
}

impl<C: Contestant> Gatherer<C> {
    /// The agent, to be looked at.
    pub fn agent(&self) -> &C {
        &self.agent
    }

    fn add(&mut self, gathered: Gathered, now: Instant) {
        if let Some(candidate) = in_the_agent(|| self.agent.add_local_candidate(gathered, now)) {
            self.said.push_back(Said::Tell(Told::Candidate(candidate, gathered.address)));
        }
    }

    fn preference_of(&self, base: SocketAddr) -> u16 {
        let rank = self.setup.sockets.iter().position(|socket| socket.address == base).unwrap_or(0);
        u16::MAX - rank as u16
    }

    /// Hands over what the servers have said, and ends gathering when nothing more can come.
    fn settle(&mut self, now: Instant) {
        if !self.started {
            return;
        }
        for answer in self.bindings.iter_mut().filter_map(Binding::take_answer).collect::<Vec<_>>() {
            // An address without a translator before it shows nothing new.
            if answer.mapped != answer.base {
                let preference = self.preference_of(answer.base);
                let (mapped, base, server) = (answer.mapped, answer.base, answer.server.ip());
                self.add(Gathered::server_reflexive(mapped, base, server, preference), now);
            }
        }
        if let Some((address, local)) = self.relay.as_mut().and_then(Relay::take_address) {
            let server = self.relay.as_ref().expect("it has just spoken").server().ip();
            self.add(Gathered::relayed(address, local, server, u16::MAX), now);
        }
        while let Some((peer, datagram)) = self.relay.as_mut().and_then(Relay::receive) {
            let base = self.relay.as_ref().and_then(Relay::address).expect("nothing comes through without one");
            in_the_agent(|| self.agent.handle_datagram(base, peer, &datagram, now));
        }
        let busy = self.bindings.iter().any(Binding::is_open) || self.relay.as_ref().is_some_and(Relay::is_opening);
        if !busy && !self.ended {
            self.ended = true;
            in_the_agent(|| self.agent.end_of_local_candidates(now));
            self.said.push_back(Said::Tell(Told::End));
        }
        self.watch();
    }

    /// Says what has changed about the agent.
    fn watch(&mut self) {
        let selected = in_the_agent(|| self.agent.selected());
        if self.selected != selected {
            self.selected = selected;
            self.said.push_back(Said::Path(selected));
        }
        if !self.failed
            && let Some(failure) = in_the_agent(|| self.agent.failure())
        {
            self.failed = true;
            self.said.push_back(Said::Failed(failure));
        }
    }
}

impl<C: Contestant> Party for Gatherer<C> {
    const NAME: &'static str = C::NAME;
    type Told = Told<C>;

    fn new(setup: Setup, now: Instant) -> Self {
        let agent = in_the_agent(|| C::new(setup.role, setup.seed, now));
        let rng = fastrand::Rng::with_seed(setup.seed);
        let said = VecDeque::from([Said::Tell(Told::Credentials(agent.credentials()))]);
        Self {
            agent,
            setup,
            started: false,
            ended: false,
            bindings: Vec::new(),
            relay: None,
            said,
            selected: None,
            failed: false,
            datagrams: 0,
            rng,
            now,
        }
    }

    fn start(&mut self, now: Instant) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.now = now;
        for socket in self.setup.sockets.clone() {
            self.add(Gathered::host(socket.address, self.preference_of(socket.address)), now);
            if let Some(server) = socket.stun {
                self.bindings.push(Binding::new(socket.address, server, self.rng.u128(..), now));
            }
        }
        self.relay = self.setup.relay.clone().map(|server| Relay::new(server, now));
        self.settle(now);
    }

    fn hear(&mut self, told: Told<C>, now: Instant) {
        self.start(now);
        self.now = now;
        match told {
            Told::Credentials(credentials) => in_the_agent(|| self.agent.set_remote_credentials(credentials, now)),
            Told::Candidate(candidate, address) => {
                if let Some(relay) = &mut self.relay {
                    relay.permit(address.ip(), now);
                }
                in_the_agent(|| self.agent.add_remote_candidate(candidate, now));
            }
            Told::End => in_the_agent(|| self.agent.end_of_remote_candidates(now)),
        }
        self.watch();
    }

    fn relayed(&self) -> Option<SocketAddr> {
        self.relay.as_ref()?.address()
    }

    fn datagrams(&self) -> u64 {
        self.datagrams
    }
}

impl<C: Contestant> Endpoint for Gatherer<C> {
    type Event = Said<Told<C>>;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        self.now = now;
        let answers = self.bindings.iter_mut().any(|binding| binding.handle_datagram(path, datagram));
        let relays = !answers && self.relay.as_mut().is_some_and(|relay| relay.handle(path, datagram, now));
        if !answers && !relays {
            in_the_agent(|| self.agent.handle_datagram(path.local, path.remote, datagram, now));
        }
        self.settle(now);
    }

    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        self.now = now;
        if let Some(relay) = &mut self.relay {
            match input {
                StreamInput::Opened => relay.handle_opened(path, now),
                StreamInput::Data(bytes) => {
                    relay.handle(path, bytes, now);
                }
                StreamInput::Refused | StreamInput::Closed => relay.handle_closed(),
            }
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if !self.started {
            return;
        }
        self.bindings.iter_mut().for_each(|binding| binding.handle_timeout(now));
        if let Some(relay) = &mut self.relay {
            relay.handle_timeout(now);
        }
        if in_the_agent(|| self.agent.poll_timeout()).is_some_and(|at| at <= now) {
            in_the_agent(|| self.agent.handle_timeout(now));
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
            let room = buffer.first_chunk_mut().expect("every driver offers room for a datagram");
            let Outgoing { base, remote, len } = in_the_agent(|| self.agent.poll_transmit(room, self.now))?;
            self.datagrams += 1;
            let through = self.relay.as_mut().filter(|relay| relay.address() == Some(base));
            if let Some(relay) = through {
                relay.send(remote, &buffer[..len], self.now);
            } else if base.is_ipv4() == remote.is_ipv4() {
                return Some((Path { protocol: Protocol::Udp, local: base, remote }, len));
            }
            // A socket refuses to send to an address of the other family.
        }
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        self.relay.as_mut()?.poll_stream()
    }

    fn poll_event(&mut self) -> Option<Said<Told<C>>> {
        if !self.started {
            return None;
        }
        self.said.pop_front()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        if !self.started {
            return None;
        }
        let bindings = self.bindings.iter().filter_map(Binding::poll_timeout);
        let others = [self.relay.as_ref().and_then(Relay::poll_timeout), in_the_agent(|| self.agent.poll_timeout())];
        bindings.chain(others.into_iter().flatten()).min()
    }
}

impl<C: Contestant> Clone for Told<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Credentials(credentials) => Self::Credentials(credentials.clone()),
            Self::Candidate(candidate, address) => Self::Candidate(candidate.clone(), *address),
            Self::End => Self::End,
        }
    }
}

impl<C: Contestant> fmt::Debug for Told<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials(_) => "credentials",
            Self::Candidate(..) => "a candidate",
            Self::End => "the end",
        })
    }
}
