//! frazil's ICE agent on a host.

use std::collections::VecDeque;
use std::net::SocketAddr;

use frazil::ice::{self, Agent, PairReport, Received, Sent};
use frazil::{Instant, Path, PathId, Protocol};

use crate::{Endpoint, StreamInput, StreamRequest, is_stun};

/// An agent with the driver that it needs, and an application above it that sends datagrams and hears of those that
/// arrive.
///
/// It opens and closes the streams that the agent asks for. Names and further sockets are for who has it to answer for,
/// as the agent's events say.
pub struct IceEndpoint {
    /// The agent itself.
    pub agent: Agent,
    said: VecDeque<IceEvent>,
    to_send: VecDeque<(Path, Vec<u8>)>,
    streams: Vec<Stream>,
    requests: VecDeque<StreamRequest>,
}

/// A stream that the agent has asked for, or that somebody has opened to it.
#[derive(Clone, Copy, Debug)]
struct Stream {
    id: PathId,
    remote: SocketAddr,
    /// Its own end, once it is open.
    local: Option<SocketAddr>,
}

/// What happens on a host with an agent.
#[derive(Clone, PartialEq, Debug)]
pub enum IceEvent {
    /// The agent says something.
    Agent(Box<ice::Event>),
    /// An application datagram has arrived, over this path as the driver sees it.
    Datagram(Path, Vec<u8>),
    /// An application datagram has arrived, and the agent has refused it.
    Refused(Path, Vec<u8>),
}

impl IceEndpoint {
    /// Puts an agent on a host.
    #[must_use]
    pub fn new(agent: Agent) -> Self {
        let (said, to_send) = (VecDeque::new(), VecDeque::new());
        Self { agent, said, to_send, streams: Vec::new(), requests: VecDeque::new() }
    }

    /// Sends an application datagram if there is a path for it. Tells whether there is.
    pub fn send(&mut self, datagram: &[u8], now: Instant) -> bool {
        let headroom = self.agent.headroom();
        let mut buffer = vec![0; headroom + datagram.len() + Agent::TAILROOM];
        buffer[headroom..][..datagram.len()].copy_from_slice(datagram);
        match self.agent.send(&mut buffer, datagram.len(), now) {
            Sent::Now(transmit) => {
                buffer.truncate(transmit.len);
                let path = self.path(transmit.path);
                self.to_send.push_back((path, buffer));
                true
            }
            Sent::Later => true,
            Sent::No => false,
        }
    }

    /// The number that the agent has for an open stream.
    #[must_use]
    pub fn stream(&self, path: Path) -> Option<PathId> {
        let is_it = |stream: &&Stream| stream.local == Some(path.local) && stream.remote == path.remote;
        self.streams.iter().find(is_it).map(|stream| stream.id)
    }

    /// A path as the sockets have it.
    fn path(&self, id: PathId) -> Path {
        let path = self.agent.path(id).expect("a path that is sent over has a name");
        let local = self.streams.iter().find(|stream| stream.id == id).and_then(|stream| stream.local);
        Path { local: local.unwrap_or(path.local), ..path }
    }

    /// Does what the agent asks for, and keeps what it says.
    fn hear(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            match &event {
                ice::Event::OpenStream { path, local, remote, .. } => {
                    self.streams.push(Stream { id: *path, remote: *remote, local: None });
                    self.requests.push_back(StreamRequest::Connect { local: *local, remote: *remote });
                }
                ice::Event::CloseStream { path } => {
                    if let Some(place) = self.streams.iter().position(|stream| stream.id == *path) {
                        let Stream { remote, local, .. } = self.streams.remove(place);
                        let close = local.map(|local| Path { protocol: Protocol::Tcp, local, remote });
                        self.requests.extend(close.map(StreamRequest::Close));
                    }
                }
                _ => {}
            }
            self.said.push_back(IceEvent::Agent(Box::new(event)));
        }
    }
}

impl Endpoint for IceEndpoint {
    type Event = IceEvent;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        let id = self.agent.path_id(path);
        match self.agent.handle_datagram(id, datagram, now) {
            Received::Application(data) => self.said.push_back(IceEvent::Datagram(path, data.to_vec())),
            Received::Consumed if is_stun(datagram) => {}
            Received::Consumed => self.said.push_back(IceEvent::Refused(path, datagram.to_vec())),
        }
        self.hear();
    }

    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        match input {
            StreamInput::Opened => {
                let waits = |stream: &&mut Stream| stream.local.is_none() && stream.remote == path.remote;
                if let Some(stream) = self.streams.iter_mut().find(waits) {
                    stream.local = Some(path.local);
                    self.agent.handle_stream_opened(stream.id, now);
                } else if let Ok(id) = self.agent.handle_stream_accepted(path, now) {
                    self.streams.push(Stream { id, remote: path.remote, local: Some(path.local) });
                } else {
                    self.requests.push_back(StreamRequest::Close(path));
                }
            }
            StreamInput::Data(bytes) => {
                let Some(id) = self.stream(path) else { return };
                let said = &mut self.said;
                self.agent.handle_stream_data(id, bytes, now, |data| {
                    said.push_back(IceEvent::Datagram(path, data.to_vec()));
                });
            }
            StreamInput::Refused | StreamInput::Closed => {
                let is_it = |stream: &Stream| {
                    stream.remote == path.remote && stream.local.is_none_or(|local| local == path.local)
                };
                let Some(place) = self.streams.iter().position(is_it) else { return };
                let stream = self.streams.remove(place);
                self.agent.handle_stream_closed(stream.id, now);
            }
        }
        self.hear();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        if let Some(transmit) = self.agent.poll_transmit(buffer) {
            return Some((self.path(transmit.path), transmit.len));
        }
        let (path, datagram) = self.to_send.pop_front()?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Some((path, datagram.len()))
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        self.hear();
        self.requests.pop_front()
    }

    fn poll_event(&mut self) -> Option<IceEvent> {
        self.hear();
        self.said.pop_front()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }
}

/// Whether two pairs are the same path, seen from its two ends.
#[must_use]
pub fn are_mirror_images(a: &PairReport, b: &PairReport) -> bool {
    a.local.candidate.address == b.remote.address && b.local.candidate.address == a.remote.address
}
