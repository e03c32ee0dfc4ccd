//! frazil's agent, which gathers by itself.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use frazil::ice::{
    Agent, Candidate, CandidateKind, Config, Credentials, Event, LocalCandidate, Scheme, Server, ServerHost, ServerUri,
};
use frazil::stun::LongTermCredentials;
use frazil::turn::Transport;
use frazil::{Instant, Path, Protocol};
use frazil_internet::{Endpoint, IceEndpoint, IceEvent, StreamInput, StreamRequest, is_stun};

use super::{Party, Said, Setup};
use crate::contestant::{Frazil, Selected};
use crate::instructions::in_the_agent;

const STUN: &str = "stun.example";
const TURN: &str = "turn.example";

/// An agent that is given servers and does the rest itself.
pub struct Whole {
    driver: IceEndpoint,
    setup: Setup,
    started: bool,
    said: VecDeque<Said<Told>>,
    selected: Option<Selected>,
    failed: bool,
    datagrams: u64,
}

/// What one side tells the other.
#[derive(Clone, Debug)]
pub enum Told {
    /// First of all.
    Credentials(Credentials),
    /// A candidate, as it comes (RFC 8838).
    Candidate(Candidate),
    /// There are no more.
    End,
}

impl Whole {
    /// The agent, to be looked at.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.driver.agent
    }

    fn servers(&self) -> Vec<Server> {
        let uri = |scheme, name: &str, server: SocketAddr, transport| ServerUri {
            scheme,
            host: ServerHost::Name(name.to_owned()),
            port: server.port().try_into().expect("a server has a port"),
            transport,
        };
        let stun = self.setup.sockets.iter().find_map(|socket| socket.stun);
        let stun = stun.map(|server| Server::new(uri(Scheme::Stun, STUN, server, Transport::Udp), None));
        let turn = self.setup.relay.as_ref().map(|relay| {
            let transport = match relay.protocol {
                Protocol::Tcp => Transport::Tcp,
                _ => Transport::Udp,
            };
            let credentials = LongTermCredentials::new(relay.username.clone(), relay.password.clone());
            Server::new(uri(Scheme::Turn, TURN, relay.server, transport), credentials.ok())
        });
        let servers = stun.into_iter().chain(turn).collect::<Result<_, _>>();
        servers.expect("who relays is given credentials")
    }

    /// What a name server says; behind a NAT64, one that knows of it (RFC 6147).
    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        if name == TURN {
            return self.setup.relay.iter().map(|relay| relay.server.ip()).collect();
        }
        self.setup.sockets.iter().filter_map(|socket| socket.stun).map(|server| server.ip()).collect()
    }

    fn hear_agent(&mut self, now: Instant) {
        while let Some(event) = in_the_agent(|| self.driver.poll_event()) {
            let IceEvent::Agent(event) = event else { continue };
            match *event {
                Event::LocalCandidate(LocalCandidate { candidate, .. }) => {
                    self.said.push_back(Said::Tell(Told::Candidate(candidate)));
                }
                Event::GatheringStateChange(frazil::ice::GatheringState::Complete) => {
                    self.said.push_back(Said::Tell(Told::End));
                }
                Event::Resolve { request, name } => {
                    let addresses = self.resolve(&name);
                    in_the_agent(|| self.driver.agent.handle_resolved(request, &addresses, now));
                }
                _ => {}
            }
        }
        let agent = &self.driver.agent;
        let selected = Frazil::selected_by(agent);
        if self.selected != selected {
            self.selected = selected;
            self.said.push_back(Said::Path(selected));
        }
        if !self.failed
            && let Some(failure) = Frazil::failure_of(agent)
        {
            self.failed = true;
            self.said.push_back(Said::Failed(failure));
        }
    }

    /// Whether a datagram is between the agents, by relay or not.
    fn is_for_the_other_side(&self, path: Path, datagram: &[u8]) -> bool {
        let to_relay = self.setup.relay.as_ref().is_some_and(|relay| relay.server == path.remote);
        let to_stun = self.setup.sockets.iter().any(|socket| socket.stun == Some(path.remote));
        // A Send indication, or channel data.
        let carries = datagram.starts_with(&[0x00, 0x16]) || !is_stun(datagram);
        if to_relay || to_stun { carries } else { true }
    }
}

impl Party for Whole {
    const NAME: &'static str = "frazil";
    type Told = Told;

    fn new(setup: Setup, now: Instant) -> Self {
        let agent = in_the_agent(|| Agent::new(Config::default(), setup.role, Frazil::seed(setup.seed), now));
        let said = VecDeque::from([Said::Tell(Told::Credentials(agent.local_credentials().clone()))]);
        let driver = IceEndpoint::new(agent);
        Self { driver, setup, started: false, said, selected: None, failed: false, datagrams: 0 }
    }

    fn start(&mut self, now: Instant) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let servers = self.servers();
        in_the_agent(|| {
            let agent = &mut self.driver.agent;
            agent.set_servers(servers, now);
            for (socket, preference) in self.setup.sockets.iter().zip((0..=u16::MAX).rev()) {
                let local = LocalCandidate::host(Protocol::Udp, socket.address, preference);
                agent.add_local_candidate(local, now).expect("the sockets are there");
            }
            agent.end_of_local_candidates(now);
        });
        self.hear_agent(now);
    }

    fn hear(&mut self, told: Told, now: Instant) {
        self.start(now);
        let agent = &mut self.driver.agent;
        in_the_agent(|| match told {
            Told::Credentials(credentials) => agent.set_remote_credentials(credentials, now),
            // One that the agent refuses is as if it had not come.
            Told::Candidate(candidate) => drop(agent.add_remote_candidate(candidate, now)),
            Told::End => agent.end_of_remote_candidates(now),
        });
        self.hear_agent(now);
    }

    fn relayed(&self) -> Option<SocketAddr> {
        let locals = self.driver.agent.local_candidates().iter();
        locals
            .map(|local| local.candidate)
            .find(|local| local.kind == CandidateKind::Relayed)
            .map(|relay| relay.address)
    }

    fn datagrams(&self) -> u64 {
        self.datagrams
    }
}

impl Endpoint for Whole {
    type Event = Said<Told>;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        in_the_agent(|| self.driver.handle_datagram(path, datagram, now));
        self.hear_agent(now);
    }

    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        in_the_agent(|| self.driver.handle_stream(path, input, now));
        self.hear_agent(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        in_the_agent(|| self.driver.handle_timeout(now));
        self.hear_agent(now);
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let (path, len) = in_the_agent(|| self.driver.poll_transmit(buffer))?;
        self.datagrams += u64::from(self.is_for_the_other_side(path, &buffer[..len]));
        Some((path, len))
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        self.driver.poll_stream()
    }

    fn poll_event(&mut self) -> Option<Said<Told>> {
        if !self.started {
            return None;
        }
        self.said.pop_front()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.started.then(|| in_the_agent(|| self.driver.poll_timeout()))?
    }
}
