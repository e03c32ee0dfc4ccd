//! frazil's own ICE agent.

use std::net::SocketAddr;

use frazil::ice::{self, Agent, Candidate, Config, Credentials, LocalCandidate, Role};
use frazil::{Instant, Path, Protocol, Seed};

use super::{CandidateKind, Contestant, Failure, Gathered, MAX_DATAGRAM, Outgoing, Selected};

/// An agent as it comes by default.
pub struct Frazil {
    agent: Agent,
}

impl Frazil {
    /// The agent, to be looked at.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// What an agent uses.
    pub(crate) fn selected_by(agent: &Agent) -> Option<Selected> {
        let pair = agent.selected_pair()?;
        let path = agent.path(pair.path)?;
        Some(Selected { base: path.local, remote: path.remote, nominated: pair.nominated })
    }

    /// Why an agent has given up, if it has.
    pub(crate) fn failure_of(agent: &Agent) -> Option<Failure> {
        if agent.state() != ice::State::Failed {
            return None;
        }
        Some(match agent.failure() {
            Some(ice::Failure::NoPairs) => Failure::NoPairs,
            Some(ice::Failure::NoPairSucceeded) => Failure::NoPairSucceeded,
            Some(other) => Failure::Other(other.to_string()),
            None => Failure::Other("failed without a reason".to_owned()),
        })
    }

    /// A seed of the agent's size.
    pub(crate) fn seed(seed: u64) -> Seed {
        let mut wide = [0; 32];
        wide[..8].copy_from_slice(&seed.to_le_bytes());
        wide
    }
}

impl Contestant for Frazil {
    const NAME: &'static str = "frazil";
    type Credentials = Credentials;
    type Candidate = Candidate;

    fn new(role: Role, seed: u64, now: Instant) -> Self {
        Self { agent: Agent::new(Config::default(), role, Self::seed(seed), now) }
    }

    fn credentials(&self) -> Credentials {
        self.agent.local_credentials().clone()
    }

    fn set_remote_credentials(&mut self, credentials: Credentials, now: Instant) {
        self.agent.set_remote_credentials(credentials, now);
    }

    fn add_local_candidate(&mut self, gathered: Gathered, now: Instant) -> Option<Candidate> {
        let local = local_candidate(gathered);
        self.agent.add_local_candidate(local, now).ok()?;
        Some(local.candidate)
    }

    fn end_of_local_candidates(&mut self, now: Instant) {
        self.agent.end_of_local_candidates(now);
    }

    fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) {
        // One that the agent refuses is as if it had not come.
        let _ = self.agent.add_remote_candidate(candidate, now);
    }

    fn end_of_remote_candidates(&mut self, now: Instant) {
        self.agent.end_of_remote_candidates(now);
    }

    fn handle_datagram(&mut self, base: SocketAddr, remote: SocketAddr, datagram: &[u8], now: Instant) {
        let path = self.agent.path_id(Path { protocol: Protocol::Udp, local: base, remote });
        self.agent.handle_datagram(path, datagram, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], _: Instant) -> Option<Outgoing> {
        let transmit = self.agent.poll_transmit(buffer)?;
        let path = self.agent.path(transmit.path).expect("a path that is sent over has a name");
        Some(Outgoing { base: path.local, remote: path.remote, len: transmit.len })
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn selected(&mut self) -> Option<Selected> {
        while self.agent.poll_event().is_some() {}
        Self::selected_by(&self.agent)
    }

    fn failure(&mut self) -> Option<Failure> {
        Self::failure_of(&self.agent)
    }
}

fn local_candidate(gathered: Gathered) -> LocalCandidate {
    let Gathered { kind, address, base, related, server, preference } = gathered;
    let server = server.unwrap_or(base.ip());
    match kind {
        CandidateKind::Host => LocalCandidate::host(Protocol::Udp, base, preference),
        CandidateKind::Relayed => {
            LocalCandidate::relayed(Protocol::Udp, address, related.unwrap_or(base), server, preference)
        }
        _ => LocalCandidate::server_reflexive(Protocol::Udp, address, base, server, preference),
    }
}
