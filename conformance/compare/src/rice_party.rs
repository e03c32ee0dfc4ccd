//! `rice-proto` in a network: it gathers by itself, with STUN and TURN clients of its own, as the documentation of
//! `ComponentMut::gather_candidates` says, and asks for the streams that it needs.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use frazil::{Instant, Path, Protocol};
use frazil_conformance::contestant::{Contestant as _, Failure, Role, Selected};
use frazil_conformance::gathering::{Party, RelayServer, Said, Setup};
use frazil_conformance::instructions::in_the_agent;
use frazil_internet::{Endpoint, StreamInput, StreamRequest};
use rice_proto::agent::{Agent, AgentPoll, AgentSocket};
use rice_proto::candidate::{Candidate, CandidateType, TransportType};
use rice_proto::component::{ComponentConnectionState, RTP};
use rice_proto::random_string;
use rice_proto::stream::{Credentials, StreamMut};
use rice_proto::turn::{TurnConfig, TurnCredentials};
use stun_proto::agent::{StunError, Transmit};

use crate::rice_proto::on_its_clock;

/// An agent with its sockets.
pub(crate) struct RiceParty {
    agent: Agent,
    stream: usize,
    setup: Setup,
    started: bool,
    ended: bool,
    timeout: Option<Instant>,
    /// Streams that it has asked for and that are not open yet.
    opening: Vec<AgentSocket>,
    to_open: VecDeque<StreamRequest>,
    relayed: Option<SocketAddr>,
    said: VecDeque<Said<Told>>,
    failed: bool,
    datagrams: u64,
    now: Instant,
}

/// What one side tells the other.
#[derive(Clone)]
pub(crate) enum Told {
    Credentials(Credentials),
    Candidate(Candidate),
    End,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials(_) => f.write_str("credentials"),
            Self::Candidate(candidate) => f.write_str(&candidate.to_sdp_string()),
            Self::End => f.write_str("the end"),
        }
    }
}

impl RiceParty {
    fn stream(&mut self) -> StreamMut<'_> {
        self.agent.mut_stream(self.stream).expect("it was made in `new`")
    }

    /// Polls until it says to wait.
    fn advance(&mut self) {
        loop {
            let now = on_its_clock(self.now);
            match in_the_agent(|| self.agent.poll(now)) {
                AgentPoll::WaitUntil(at) => {
                    self.timeout = Some(Instant::from_nanos(at.as_nanos() as u64));
                    return;
                }
                AgentPoll::Closed => {
                    self.timeout = None;
                    return;
                }
                AgentPoll::AllocateSocket(socket) => {
                    let local = SocketAddr::new(socket.from.ip(), 0);
                    self.to_open.push_back(StreamRequest::Connect { local, remote: socket.to });
                    self.opening.push(socket);
                }
                AgentPoll::RemoveSocket(_) => {}
                AgentPoll::GatheredCandidate(found) => {
                    let candidate = found.gathered.candidate.clone();
                    if candidate.candidate_type == CandidateType::Relayed {
                        self.relayed = Some(candidate.address);
                    }
                    if in_the_agent(|| self.stream().add_local_gathered_candidate(found.gathered)) {
                        self.said.push_back(Said::Tell(Told::Candidate(candidate)));
                    }
                }
                AgentPoll::GatheringComplete(_) => {
                    if !std::mem::replace(&mut self.ended, true) {
                        in_the_agent(|| self.stream().end_of_local_candidates());
                        self.said.push_back(Said::Tell(Told::End));
                    }
                }
                AgentPoll::SelectedPair(pair) => {
                    let chosen = pair.selected.candidate_pair().clone();
                    let (base, remote) = (chosen.local.base_address, chosen.remote.address);
                    in_the_agent(|| {
                        let mut stream = self.stream();
                        let mut component = stream.mut_component(pair.component_id).expect("it was made in `new`");
                        component.set_selected_pair(chosen).expect("its own choice");
                    });
                    self.said.push_back(Said::Path(Some(Selected { base, remote, nominated: true })));
                }
                AgentPoll::ComponentStateChange(change) => {
                    if change.state == ComponentConnectionState::Failed && !std::mem::replace(&mut self.failed, true) {
                        self.said.push_back(Said::Failed(Failure::Unexplained));
                    }
                }
            }
        }
    }

    fn receive(&mut self, transport: TransportType, path: Path, bytes: &[u8]) {
        let now = on_its_clock(self.now);
        in_the_agent(|| {
            let mut stream = self.stream();
            let reply = stream.handle_incoming_data(RTP, Transmit::new(bytes, transport, path.remote, path.local), now);
            if reply.have_more_data {
                while stream.poll_recv().is_some() {}
            }
        });
        self.advance();
    }
}

impl Party for RiceParty {
    const NAME: &'static str = crate::rice_proto::Agent::NAME;
    type Told = Told;

    fn new(setup: Setup, now: Instant) -> Self {
        let (agent, stream, credentials) = in_the_agent(|| {
            let mut agent = Agent::builder().trickle_ice(true).controlling(setup.role == Role::Controlling).build();
            let id = agent.add_stream();
            let mut stream = agent.mut_stream(id).expect("it was just made");
            stream.add_component().expect("a first component");
            let credentials = Credentials { ufrag: random_string(4), passwd: random_string(24) };
            stream.set_local_credentials(credentials.clone());
            (agent, id, credentials)
        });
        Self {
            agent,
            stream,
            setup,
            started: false,
            ended: false,
            timeout: None,
            opening: Vec::new(),
            to_open: VecDeque::new(),
            relayed: None,
            said: VecDeque::from([Said::Tell(Told::Credentials(credentials))]),
            failed: false,
            datagrams: 0,
            now,
        }
    }

    fn start(&mut self, now: Instant) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.now = now;
        let sockets: Vec<_> = self.setup.sockets.iter().map(|socket| (TransportType::Udp, socket.address)).collect();
        let stun = self.setup.sockets.iter().filter_map(|socket| Some((TransportType::Udp, socket.stun?)));
        let stun: Vec<_> = stun.collect();
        let turn = self.setup.relay.as_ref().map(|relay| (relay.local, turn_config(relay)));
        let turn: Vec<_> = turn.iter().map(|(local, config)| (*local, config)).collect();
        in_the_agent(|| {
            let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
            let mut component = stream.mut_component(RTP).expect("it was made in `new`");
            component.gather_candidates(&sockets, &stun, &turn).expect("gathering for the first time");
        });
        self.advance();
    }

    fn hear(&mut self, told: Told, now: Instant) {
        self.start(now);
        self.now = now;
        in_the_agent(|| match told {
            Told::Credentials(credentials) => self.stream().set_remote_credentials(credentials),
            Told::Candidate(candidate) => self.stream().add_remote_candidate(candidate),
            Told::End => self.stream().end_of_remote_candidates(),
        });
        self.advance();
    }

    fn relayed(&self) -> Option<SocketAddr> {
        self.relayed
    }

    fn datagrams(&self) -> u64 {
        self.datagrams
    }
}

impl Endpoint for RiceParty {
    type Event = Said<Told>;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        self.now = now;
        self.receive(TransportType::Udp, path, datagram);
    }

    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        self.now = now;
        let local = match input {
            StreamInput::Data(bytes) => return self.receive(TransportType::Tcp, path, bytes),
            // "Empty data" is how it is told of the end.
            StreamInput::Closed => return self.receive(TransportType::Tcp, path, &[]),
            StreamInput::Opened => Ok(path.local),
            StreamInput::Refused => Err(StunError::ResourceNotFound),
        };
        let Some(place) = self.opening.iter().position(|socket| socket.to == path.remote) else { return };
        let AgentSocket { component_id, transport, from, to, .. } = self.opening.remove(place);
        let its_now = on_its_clock(now);
        in_the_agent(|| self.stream().allocated_socket(component_id, transport, from, to, local, its_now));
        self.advance();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if self.started {
            self.advance();
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        if !self.started {
            return None;
        }
        let now = on_its_clock(self.now);
        let transmit = in_the_agent(|| self.agent.poll_transmit(now))?.transmit;
        let protocol = if transmit.transport == TransportType::Tcp { Protocol::Tcp } else { Protocol::Udp };
        let servers = self.setup.sockets.iter().filter_map(|socket| socket.stun);
        let is_for_a_server =
            servers.chain(self.setup.relay.as_ref().map(|relay| relay.server)).any(|s| s == transmit.to);
        if !is_for_a_server || carries_data(&transmit.data) {
            self.datagrams += 1;
        }
        buffer[..transmit.data.len()].copy_from_slice(&transmit.data);
        Some((Path { protocol, local: transmit.from, remote: transmit.to }, transmit.data.len()))
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        self.to_open.pop_front()
    }

    fn poll_event(&mut self) -> Option<Said<Told>> {
        if !self.started {
            return None;
        }
        self.said.pop_front()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.timeout.filter(|_| self.started)
    }
}

/// Whether a message for a TURN server is a datagram for somebody else: channel data, or a Send indication
/// (RFC 8656 sections 12.4 and 11.1).
fn carries_data(message: &[u8]) -> bool {
    matches!(message, [0x40..=0x7F, ..] | [0x00, 0x16, ..])
}

fn turn_config(relay: &RelayServer) -> TurnConfig {
    let transport = if relay.protocol == Protocol::Tcp { TransportType::Tcp } else { TransportType::Udp };
    TurnConfig::new(transport, relay.server, TurnCredentials::new(&relay.username, &relay.password))
}
