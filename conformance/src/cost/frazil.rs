//! frazil's own ICE agent.

use std::sync::atomic::{AtomicU64, Ordering};

use frazil::ice::{Agent, Candidate, Config, Credentials, LocalCandidate, Role};
use frazil::{Instant, Path, PathId, Protocol, Seed};

use super::{Contender, MAX_DATAGRAM, Side};

/// An agent and the number of its one path.
pub struct Frazil {
    agent: Agent,
    path: PathId,
}

impl Contender for Frazil {
    const NAME: &'static str = "frazil";
    type Signal = (Credentials, Candidate);

    fn new(side: Side, now: Instant) -> Self {
        let role = match side {
            Side::Controlling => Role::Controlling,
            Side::Controlled => Role::Controlled,
        };
        let mut agent = Agent::new(Config::default(), role, seed(), now);
        agent
            .add_local_candidate(LocalCandidate::host(Protocol::Udp, side.address(), u16::MAX), now)
            .expect("a host address");
        agent.end_of_local_candidates(now);
        let path = Path { protocol: Protocol::Udp, local: side.address(), remote: side.other().address() };
        Self { path: agent.path_id(path), agent }
    }

    fn signal(&self) -> Self::Signal {
        (self.agent.local_credentials().clone(), self.agent.local_candidates()[0].candidate)
    }

    fn handle_signal(&mut self, (credentials, candidate): Self::Signal, now: Instant) {
        self.agent.set_remote_credentials(credentials, now);
        self.agent.add_remote_candidate(candidate, now).expect("a host address");
        self.agent.end_of_remote_candidates(now);
    }

    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        self.agent.handle_datagram(self.path, datagram, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], _: Instant) -> Option<usize> {
        let transmit = self.agent.poll_transmit(buffer)?;
        debug_assert_eq!(transmit.path, self.path);
        Some(transmit.len)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn is_connected(&mut self) -> bool {
        while self.agent.poll_event().is_some() {}
        self.agent.selected_pair().is_some_and(|pair| pair.nominated)
    }
}

/// Another one each time, as from the operating system.
fn seed() -> Seed {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&GIVEN.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    seed
}
