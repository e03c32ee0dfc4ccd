//! Agents, good servers and bad ones, and what drivers and signalling do for the agents.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::ice::{
    Agent, Candidate, CandidateKind, Config, Event, GatheringError, GatheringState, LocalCandidate, ResolveId, Role,
    Server, SocketId, State, TransportPolicy,
};
use frazil::stun::LongTermCredentials;
use frazil::{Instant, Path, Protocol};
use frazil_internet::{
    Access, Endpoint, HostId, IceEndpoint, IceEvent, Internet, RealmId, Scheduled, ServerId, Step, StreamInput,
    StreamRequest, TurnServer,
};

use crate::villain::{Vice, Villain};

/// Each way between a machine and the internet.
pub(crate) const DELAY: Duration = Duration::from_millis(10);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// For an agent that may use relays alone.
pub(crate) fn relay_only() -> Config {
    let mut config = Config::default();
    config.transport_policy = TransportPolicy::Relay;
    config
}

/// A good server, that knows Alice.
pub(crate) fn turn_server() -> TurnServer {
    TurnServer { pads_channel_data: true, ..TurnServer::with_user("alice", "secret") }
}

pub(crate) fn server(uri: &str) -> Server {
    server_as(uri, "secret")
}

pub(crate) fn server_as(uri: &str, password: &str) -> Server {
    let credentials = LongTermCredentials::new("alice", password).unwrap();
    Server::new(uri.parse().unwrap(), Some(credentials)).unwrap()
}

pub(crate) enum Machine {
    Agent(Box<IceEndpoint>),
    Villain(Box<Villain>),
}

impl Endpoint for Machine {
    type Event = IceEvent;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        match self {
            Self::Agent(agent) => agent.handle_datagram(path, datagram, now),
            Self::Villain(villain) => villain.handle(path, datagram, now),
        }
    }

    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        match self {
            Self::Agent(agent) => agent.handle_stream(path, input, now),
            Self::Villain(villain) => villain.handle_stream(path, input, now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Agent(agent) => agent.handle_timeout(now),
            Self::Villain(villain) => villain.handle_timeout(now),
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        match self {
            Self::Agent(agent) => agent.poll_transmit(buffer),
            Self::Villain(villain) => villain.poll_transmit(buffer),
        }
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        match self {
            Self::Agent(agent) => agent.poll_stream(),
            Self::Villain(villain) => villain.poll_stream(),
        }
    }

    fn poll_event(&mut self) -> Option<IceEvent> {
        match self {
            Self::Agent(agent) => agent.poll_event(),
            Self::Villain(_) => None,
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        match self {
            Self::Agent(agent) => agent.poll_timeout(),
            Self::Villain(villain) => villain.poll_timeout(),
        }
    }
}

/// What comes to an agent later.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Resolved(usize, ResolveId, Vec<IpAddr>),
    SocketOpened(usize, SocketId, SocketAddr),
    Candidate(usize, Candidate),
    End(usize),
}

/// What a name server knows of a name, and after how long it says so.
pub(crate) struct Name {
    pub(crate) after: Option<Duration>,
    pub(crate) addresses: Vec<IpAddr>,
}

pub(crate) struct Site {
    pub(crate) internet: Internet<Machine, Act>,
    pub(crate) agents: Vec<HostId>,
    pub(crate) servers: Vec<ServerId>,
    pub(crate) names: BTreeMap<String, Name>,
    /// What each agent has said, and when.
    pub(crate) said: Vec<Vec<(Instant, Event)>>,
    pub(crate) heard: Vec<Vec<Vec<u8>>>,
    /// Between agents and the internet.
    pub(crate) access: Access,
    /// What the drivers have bound for the agents.
    sockets: BTreeSet<(HostId, SocketAddr)>,
    next_port: u16,
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        let mut internet = Internet::new(seed);
        internet.start_record();
        let (agents, servers, names, said, heard, sockets) = Default::default();
        Self { internet, agents, servers, names, said, heard, access: Access::delay(DELAY), sockets, next_port: 20_000 }
    }

    /// Adds a server that does what it should.
    pub(crate) fn add_server(&mut self, addresses: &[&str], config: TurnServer) -> ServerId {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let public = self.internet.public();
        let server = self.internet.add_server(public, &addresses, Access::delay(DELAY), config);
        self.servers.push(server);
        server
    }

    pub(crate) fn add_villain(&mut self, vice: Vice, ips: &[IpAddr], seed: u64) {
        let villain = Villain::new(vice, seed);
        let host = self.internet.add_host(Instant::ZERO, |_| Machine::Villain(Box::new(villain)));
        let public = self.internet.public();
        self.internet.attach(host, public, ips, Access::delay(DELAY));
        for &ip in ips {
            self.internet.bind(host, SocketAddr::new(ip, 3478));
            self.internet.bind(host, SocketAddr::new(ip, 3479));
            self.internet.listen(host, SocketAddr::new(ip, 3478));
        }
    }

    /// Adds an agent with sockets in a realm. It has no servers and has not begun.
    pub(crate) fn add_agent(&mut self, realm: RealmId, sockets: &[&str], config: Config, role: Role) -> usize {
        let which = self.agents.len();
        let seed = [which as u8 + 1; 32];
        let make = |now| Machine::Agent(Box::new(IceEndpoint::new(Agent::new(config, role, seed, now))));
        let host = self.internet.add_host(Instant::from_millis(1000), make);
        let sockets: Vec<SocketAddr> = sockets.iter().map(|text| address(text)).collect();
        let ips: BTreeSet<IpAddr> = sockets.iter().map(SocketAddr::ip).collect();
        let ips: Vec<IpAddr> = ips.into_iter().collect();
        self.internet.attach(host, realm, &ips, self.access);
        for &socket in &sockets {
            self.internet.bind(host, socket);
        }
        self.agents.push(host);
        self.said.push(Vec::new());
        self.heard.push(Vec::new());
        which
    }

    /// Has an agent gather from these sockets and servers.
    pub(crate) fn begin(&mut self, which: usize, sockets: &[&str], servers: Vec<Server>) {
        self.with(which, |agent, now| {
            agent.set_servers(servers, now);
            for (nth, socket) in sockets.iter().enumerate() {
                let local = LocalCandidate::host(Protocol::Udp, address(socket), u16::MAX - nth as u16);
                agent.add_local_candidate(local, now).unwrap();
            }
            agent.end_of_local_candidates(now);
        });
    }

    /// The two agents learn each other's credentials.
    pub(crate) fn introduce(&mut self) {
        for which in [0, 1] {
            let credentials = self.agent(1 - which).local_credentials().clone();
            self.with(which, |agent, now| agent.set_remote_credentials(credentials, now));
        }
    }

    pub(crate) fn with<R>(&mut self, which: usize, call: impl FnOnce(&mut Agent, Instant) -> R) -> R {
        self.internet.with(self.agents[which], |machine, now| match machine {
            Machine::Agent(endpoint) => call(&mut endpoint.agent, now),
            Machine::Villain(_) => unreachable!("it is an agent"),
        })
    }

    pub(crate) fn send(&mut self, which: usize, datagram: &[u8]) -> bool {
        self.internet.with(self.agents[which], |machine, now| match machine {
            Machine::Agent(endpoint) => endpoint.send(datagram, now),
            Machine::Villain(_) => unreachable!("it is an agent"),
        })
    }

    pub(crate) fn agent(&self, which: usize) -> &Agent {
        match self.internet.endpoint(self.agents[which]) {
            Machine::Agent(endpoint) => &endpoint.agent,
            Machine::Villain(_) => unreachable!("it is an agent"),
        }
    }

    /// Another agent takes the place of one, as after a crash: its sockets are the same.
    pub(crate) fn replace(&mut self, which: usize, config: Config) {
        self.internet.with(self.agents[which], |machine, now| {
            let agent = Agent::new(config, Role::Controlling, [99; 32], now);
            *machine = Machine::Agent(Box::new(IceEndpoint::new(agent)));
        });
        self.said[which].clear();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.internet.now() + time;
        while let Some(step) = self.internet.next(until) {
            match step {
                Step::Event(host, event) => {
                    let Some(which) = self.agents.iter().position(|agent| *agent == host) else { continue };
                    match event {
                        IceEvent::Agent(event) => self.take(which, *event),
                        IceEvent::Datagram(_, datagram) => self.heard[which].push(datagram),
                        IceEvent::Refused(..) => {}
                    }
                }
                Step::Alarm(act) => self.act(act),
            }
        }
        for &host in &self.agents {
            assert_eq!(self.internet.counters(host).spins, 0, "it is woken for nothing");
        }
    }

    /// What a driver does for an agent, and signalling.
    fn take(&mut self, which: usize, event: Event) {
        let other = 1 - which.min(1);
        let has_other = self.agents.len() > 1;
        match &event {
            Event::Resolve { request, name } => {
                let known = &self.names[name];
                if let Some(after) = known.after {
                    let act = Act::Resolved(which, *request, known.addresses.clone());
                    self.internet.after(after, Scheduled::Alarm(act));
                }
            }
            Event::OpenSocket { socket, local } => {
                self.next_port += 1;
                let local = SocketAddr::new(*local, self.next_port);
                let act = Act::SocketOpened(which, *socket, local);
                self.internet.after(Duration::from_millis(1), Scheduled::Alarm(act));
            }
            Event::CloseSocket { local } => {
                let host = self.agents[which];
                assert!(self.sockets.remove(&(host, *local)), "{local} was not opened for the agent");
                self.internet.unbind(host, *local);
            }
            Event::LocalCandidate(local) if has_other => {
                self.internet.after(DELAY * 5, Scheduled::Alarm(Act::Candidate(other, local.candidate)));
            }
            Event::GatheringStateChange(GatheringState::Complete) if has_other => {
                self.internet.after(DELAY * 5, Scheduled::Alarm(Act::End(other)));
            }
            _ => {}
        }
        self.said[which].push((self.internet.now(), event));
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Resolved(which, request, addresses) => {
                self.with(which, |agent, now| agent.handle_resolved(request, &addresses, now));
            }
            Act::SocketOpened(which, socket, local) => {
                let host = self.agents[which];
                self.internet.bind(host, local);
                self.sockets.insert((host, local));
                self.with(which, |agent, now| agent.handle_socket_opened(socket, Some(local), now));
            }
            // One that the agent refuses is as if it had not come.
            Act::Candidate(which, candidate) => {
                let _ = self.with(which, |agent, now| agent.add_remote_candidate(candidate, now));
            }
            Act::End(which) => self.with(which, Agent::end_of_remote_candidates),
        }
    }

    /// How many sockets are open that drivers have bound for agents.
    pub(crate) fn open_sockets(&self) -> usize {
        self.sockets.len()
    }

    pub(crate) fn errors(&self, which: usize) -> Vec<GatheringError> {
        let errors = self.said[which].iter().filter_map(|(_, event)| match event {
            Event::GatheringError(error) => Some(error.clone()),
            _ => None,
        });
        errors.collect()
    }

    /// When an agent has said that its gathering is complete.
    pub(crate) fn completions(&self, which: usize) -> Vec<Instant> {
        let complete = Event::GatheringStateChange(GatheringState::Complete);
        self.said[which].iter().filter(|(_, event)| *event == complete).map(|&(at, _)| at).collect()
    }

    pub(crate) fn candidates(&self, which: usize, kind: CandidateKind) -> Vec<SocketAddr> {
        let locals = self.agent(which).local_candidates().iter().map(|local| local.candidate);
        locals.filter(|candidate| candidate.kind == kind).map(|candidate| candidate.address).collect()
    }

    pub(crate) fn are_connected(&self) -> bool {
        [0, 1].into_iter().all(|which| matches!(self.agent(which).state(), State::Connected | State::Completed))
    }

    /// Whether what each agent sends arrives at the other.
    pub(crate) fn exchange(&mut self, datagram: &[u8]) -> bool {
        let before = [self.heard[0].len(), self.heard[1].len()];
        let sent = [self.send(0, datagram), self.send(1, datagram)];
        self.pass(seconds(1));
        let arrived = |which: usize| self.heard[which][before[which]..].iter().any(|heard| heard == datagram);
        sent == [true; 2] && arrived(0) && arrived(1)
    }
}
