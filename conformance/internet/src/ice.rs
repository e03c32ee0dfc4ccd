//! frazil's ICE agent on a host.

use std::collections::VecDeque;

use frazil::ice::{self, Agent, PairReport, Received};
use frazil::{Instant, Path};

use crate::{Endpoint, is_stun};

/// An agent, and an application above it that sends datagrams and hears of those that arrive.
pub struct IceEndpoint {
    /// The agent itself.
    pub agent: Agent,
    heard: VecDeque<IceEvent>,
    to_send: VecDeque<(Path, Vec<u8>)>,
}

/// What happens on a host with an agent.
#[derive(Clone, PartialEq, Debug)]
pub enum IceEvent {
    /// The agent says something.
    Agent(Box<ice::Event>),
    /// An application datagram has arrived.
    Datagram(Path, Vec<u8>),
    /// An application datagram has arrived, and the agent has refused it.
    Refused(Path, Vec<u8>),
}

impl IceEndpoint {
    /// Puts an agent on a host.
    #[must_use]
    pub fn new(agent: Agent) -> Self {
        Self { agent, heard: VecDeque::new(), to_send: VecDeque::new() }
    }

    /// Sends an application datagram if there is a path for it. Tells whether there is.
    pub fn send(&mut self, datagram: &[u8], now: Instant) -> bool {
        let Some(path) = self.agent.send(datagram.len(), now).and_then(|id| self.agent.path(id)) else { return false };
        self.to_send.push_back((path, datagram.to_vec()));
        true
    }
}

impl Endpoint for IceEndpoint {
    type Event = IceEvent;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        let id = self.agent.path_id(path);
        match self.agent.handle_datagram(id, datagram, now) {
            Received::Application => self.heard.push_back(IceEvent::Datagram(path, datagram.to_vec())),
            Received::Consumed if is_stun(datagram) => {}
            Received::Consumed => self.heard.push_back(IceEvent::Refused(path, datagram.to_vec())),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        if let Some(transmit) = self.agent.poll_transmit(buffer) {
            let path = self.agent.path(transmit.path).expect("a path that is sent over has a name");
            return Some((path, transmit.len));
        }
        let (path, datagram) = self.to_send.pop_front()?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Some((path, datagram.len()))
    }

    fn poll_event(&mut self) -> Option<IceEvent> {
        if let Some(event) = self.agent.poll_event() {
            return Some(IceEvent::Agent(Box::new(event)));
        }
        self.heard.pop_front()
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
