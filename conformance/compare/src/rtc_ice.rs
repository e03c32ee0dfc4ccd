//! `rtc-ice`, the ICE agent of webrtc-rs' sans-IO `rtc`, driven by the loop of its `ping_pong` example.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use frazil::Instant;
use frazil_conformance::contestant::{
    CandidateKind, Contestant, Failure, Gathered, MAX_DATAGRAM, Outgoing, Role, Selected,
};
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::candidate_relay::CandidateRelayConfig;
use rtc_ice::candidate::candidate_server_reflexive::CandidateServerReflexiveConfig;
use rtc_ice::candidate::{Candidate, CandidateConfig};
use rtc_ice::crypto::{self, RTCCryptoProvider};
use rtc_ice::state::ConnectionState;
use rtc_ice::{AgentConfig, Credentials};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use crate::clock::{on_std_clock, on_virtual_clock};

pub(crate) struct Agent {
    agent: rtc_ice::Agent,
    controlling: bool,
}

impl Contestant for Agent {
    const NAME: &'static str = "rtc-ice-0.21";
    type Credentials = Credentials;
    type Candidate = Candidate;

    fn new(role: Role, _: u64, now: Instant) -> Self {
        let controlling = role == Role::Controlling;
        let config = AgentConfig { is_controlling: controlling, ..AgentConfig::default() };
        let agent = rtc_ice::Agent::new(on_std_clock(now), Arc::new(config), provider()).expect("an agent");
        Self { agent, controlling }
    }

    fn credentials(&self) -> Credentials {
        self.agent.get_local_credentials().clone()
    }

    fn set_remote_credentials(&mut self, Credentials { ufrag, pwd }: Credentials, now: Instant) {
        self.agent.start_connectivity_checks(on_std_clock(now), self.controlling, ufrag, pwd).expect("credentials");
    }

    fn add_local_candidate(&mut self, gathered: Gathered, _: Instant) -> Option<Candidate> {
        let candidate = candidate(gathered);
        self.agent.add_local_candidate(candidate.clone()).ok()?.then_some(candidate)
    }

    /// It knows no end of candidates.
    fn end_of_local_candidates(&mut self, _: Instant) {}

    fn add_remote_candidate(&mut self, candidate: Candidate, _: Instant) {
        let _ = self.agent.add_remote_candidate(candidate);
    }

    fn end_of_remote_candidates(&mut self, _: Instant) {}

    fn handle_datagram(&mut self, base: SocketAddr, remote: SocketAddr, datagram: &[u8], now: Instant) {
        let message = TransportMessage {
            now: on_std_clock(now),
            transport: TransportContext {
                local_addr: base,
                peer_addr: remote,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(datagram),
        };
        // What it cannot use is an error, and the example only notes it.
        let _ = self.agent.handle_read(message);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let _ = self.agent.handle_timeout(on_std_clock(now));
    }

    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], _: Instant) -> Option<Outgoing> {
        let transmit = self.agent.poll_write()?;
        let len = transmit.message.len();
        buffer[..len].copy_from_slice(&transmit.message);
        Some(Outgoing { base: transmit.transport.local_addr, remote: transmit.transport.peer_addr, len })
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout().map(on_virtual_clock)
    }

    fn selected(&mut self) -> Option<Selected> {
        while self.agent.poll_event().is_some() {}
        let (local, remote) = self.agent.get_selected_candidate_pair()?;
        Some(Selected { base: local.base_addr(), remote: remote.addr(), nominated: true })
    }

    fn failure(&mut self) -> Option<Failure> {
        (self.agent.state() == ConnectionState::Failed).then_some(Failure::Unexplained)
    }
}

fn candidate(gathered: Gathered) -> Candidate {
    let Gathered { kind, address, base, related, .. } = gathered;
    let base_config = CandidateConfig {
        network: "udp".to_owned(),
        address: address.ip().to_string(),
        port: address.port(),
        component: 1,
        ..CandidateConfig::default()
    };
    let related = related.unwrap_or(base);
    let (rel_addr, rel_port) = (related.ip().to_string(), related.port());
    match kind {
        CandidateKind::Host => {
            CandidateHostConfig { base_config, ..CandidateHostConfig::default() }.new_candidate_host()
        }
        CandidateKind::Relayed => {
            CandidateRelayConfig { base_config, rel_addr, rel_port, url: None }.new_candidate_relay()
        }
        _ => CandidateServerReflexiveConfig { base_config, rel_addr, rel_port, url: None }
            .new_candidate_server_reflexive(),
    }
    .expect("an address")
}

/// An application makes its provider once.
fn provider() -> Arc<dyn RTCCryptoProvider> {
    static PROVIDER: OnceLock<Arc<dyn RTCCryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| crypto::default_provider().expect("the default feature brings one")).clone()
}
