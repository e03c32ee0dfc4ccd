//! `is`, the ICE agent of str0m, driven by the loop of its README.

use std::net::SocketAddr;

use frazil::Instant;
use frazil_conformance::contestant::{
    CandidateKind, Contestant, Failure, Gathered, MAX_DATAGRAM, Outgoing, Role, Selected,
};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};

use crate::clock::{on_std_clock, on_virtual_clock};

pub(crate) struct Agent {
    agent: IceAgent,
    selected: Option<Selected>,
}

impl Contestant for Agent {
    const NAME: &'static str = "is-0.12";
    type Credentials = IceCreds;
    type Candidate = Candidate;

    fn new(role: Role, _: u64, now: Instant) -> Self {
        let mut agent = IceAgent::new(IceCreds::new());
        agent.set_controlling(role == Role::Controlling);
        // "Returns `None` until the first ever `handle_timeout` is called", says `poll_timeout`.
        agent.handle_timeout(on_std_clock(now));
        Self { agent, selected: None }
    }

    fn credentials(&self) -> IceCreds {
        self.agent.local_credentials().clone()
    }

    fn set_remote_credentials(&mut self, credentials: IceCreds, now: Instant) {
        self.agent.set_remote_credentials(credentials);
        self.agent.handle_timeout(on_std_clock(now));
    }

    fn add_local_candidate(&mut self, gathered: Gathered, now: Instant) -> Option<Candidate> {
        let Gathered { kind, address, base, related, .. } = gathered;
        // Refused if the families of address and base differ, as behind a NAT64.
        let candidate = match kind {
            CandidateKind::Host => Candidate::host(address, Protocol::Udp),
            CandidateKind::Relayed => Candidate::relayed(address, related.unwrap_or(base), Protocol::Udp),
            _ => Candidate::server_reflexive(address, base, Protocol::Udp),
        };
        let told = self.agent.add_local_candidate(candidate.ok()?)?.clone();
        self.agent.handle_timeout(on_std_clock(now));
        Some(told)
    }

    /// It knows no end of candidates.
    fn end_of_local_candidates(&mut self, _: Instant) {}

    fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) {
        self.agent.add_remote_candidate(candidate);
        self.agent.handle_timeout(on_std_clock(now));
    }

    fn end_of_remote_candidates(&mut self, _: Instant) {}

    fn handle_datagram(&mut self, base: SocketAddr, remote: SocketAddr, datagram: &[u8], now: Instant) {
        let Ok(message) = StunMessage::parse(datagram) else { return };
        let packet = StunPacket { proto: Protocol::Udp, source: remote, destination: base, message };
        self.agent.handle_packet(on_std_clock(now), packet);
        // Its answers are queued for the next timeout. str0m calls it after every packet, which is also one
        // reading of the README's loop; to wait for `poll_timeout` makes the connection four times slower and
        // a sixth dearer.
        self.agent.handle_timeout(on_std_clock(now));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(on_std_clock(now));
    }

    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], _: Instant) -> Option<Outgoing> {
        let transmit = self.agent.poll_transmit()?;
        let len = transmit.contents.len();
        buffer[..len].copy_from_slice(&transmit.contents);
        Some(Outgoing { base: transmit.source, remote: transmit.destination, len })
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout().map(on_virtual_clock)
    }

    fn selected(&mut self) -> Option<Selected> {
        while let Some(event) = self.agent.poll_event() {
            if let IceAgentEvent::NominatedSend { source, destination, .. } = event {
                self.selected = Some(Selected { base: source, remote: destination, nominated: true });
            }
        }
        self.selected
    }

    /// It has no state for it: "it's always possible to come back".
    fn failure(&mut self) -> Option<Failure> {
        None
    }
}
