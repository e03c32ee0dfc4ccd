//! `rtc-ice`, the ICE agent of webrtc-rs' sans-IO `rtc`, driven by the loop of its `ping_pong` example.

use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use frazil::Instant;
use frazil_conformance::cost::{Contender, MAX_DATAGRAM, Side};
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::{Candidate, CandidateConfig};
use rtc_ice::crypto::{self, RTCCryptoProvider};
use rtc_ice::{AgentConfig, Credentials};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use crate::clock::{on_std_clock, on_virtual_clock};

pub(crate) struct Agent {
    agent: rtc_ice::Agent,
    candidate: Candidate,
    side: Side,
}

pub(crate) struct Signal {
    credentials: Credentials,
    candidate: Candidate,
}

impl Contender for Agent {
    const NAME: &'static str = "rtc-ice-0.21";
    type Signal = Signal;

    fn new(side: Side, now: Instant) -> Self {
        let config = AgentConfig { is_controlling: side == Side::Controlling, ..AgentConfig::default() };
        let mut agent = rtc_ice::Agent::new(on_std_clock(now), Arc::new(config), provider()).expect("an agent");
        let base_config = CandidateConfig {
            network: "udp".to_owned(),
            address: side.address().ip().to_string(),
            port: side.address().port(),
            component: 1,
            ..CandidateConfig::default()
        };
        let candidate = CandidateHostConfig { base_config, ..CandidateHostConfig::default() }
            .new_candidate_host()
            .expect("a host address");
        agent.add_local_candidate(candidate.clone()).expect("a first candidate");
        Self { agent, candidate, side }
    }

    fn signal(&self) -> Signal {
        Signal { credentials: self.agent.get_local_credentials().clone(), candidate: self.candidate.clone() }
    }

    fn handle_signal(&mut self, signal: Signal, now: Instant) {
        let Credentials { ufrag, pwd } = signal.credentials;
        self.agent.add_remote_candidate(signal.candidate).expect("a first remote candidate");
        self.agent
            .start_connectivity_checks(on_std_clock(now), self.side == Side::Controlling, ufrag, pwd)
            .expect("credentials");
    }

    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        let message = TransportMessage {
            now: on_std_clock(now),
            transport: TransportContext {
                local_addr: self.side.address(),
                peer_addr: self.side.other().address(),
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(datagram),
        };
        self.agent.handle_read(message).expect("it speaks to itself");
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(on_std_clock(now)).expect("a timeout");
    }

    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], _: Instant) -> Option<usize> {
        let transmit = self.agent.poll_write()?;
        buffer[..transmit.message.len()].copy_from_slice(&transmit.message);
        Some(transmit.message.len())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout().map(on_virtual_clock)
    }

    fn is_connected(&mut self) -> bool {
        while self.agent.poll_event().is_some() {}
        self.agent.get_selected_candidate_pair().is_some()
    }
}

/// An application makes its provider once.
fn provider() -> Arc<dyn RTCCryptoProvider> {
    static PROVIDER: OnceLock<Arc<dyn RTCCryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| crypto::default_provider().expect("the default feature brings one")).clone()
}
