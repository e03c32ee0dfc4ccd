//! `rice-proto`, the sans-IO part of librice: polled until it says to wait, then drained.
//!
//! Here all its candidates are handed to it. In a network it gathers by itself, as its documentation says:
//! `rice_party.rs`.

use std::net::{IpAddr, SocketAddr};

use frazil::Instant;
use frazil_conformance::contestant::{
    CandidateKind, Contestant, Failure, Gathered, MAX_DATAGRAM, Outgoing, Role, Selected,
};
use rice_proto::agent::AgentPoll;
use rice_proto::candidate::{Candidate, CandidateType, TransportType};
use rice_proto::component::{ComponentConnectionState, RTP};
use rice_proto::random_string;
use rice_proto::stream::Credentials;
use stun_proto::agent::Transmit;

pub(crate) struct Agent {
    agent: rice_proto::agent::Agent,
    stream: usize,
    timeout: Option<Instant>,
    selected: Option<Selected>,
    failed: bool,
}

impl Contestant for Agent {
    const NAME: &'static str = "rice-proto-0.4";
    type Credentials = Credentials;
    type Candidate = Candidate;

    fn new(role: Role, _: u64, _: Instant) -> Self {
        let mut agent =
            rice_proto::agent::Agent::builder().trickle_ice(true).controlling(role == Role::Controlling).build();
        let id = agent.add_stream();
        let mut stream = agent.mut_stream(id).expect("it was just made");
        stream.add_component().expect("a first component");
        stream.set_local_credentials(Credentials { ufrag: random_string(4), passwd: random_string(24) });
        Self { agent, stream: id, timeout: None, selected: None, failed: false }
    }

    fn credentials(&self) -> Credentials {
        let stream = self.agent.stream(self.stream).expect("it was made in `new`");
        stream.local_credentials().expect("they were set in `new`")
    }

    fn set_remote_credentials(&mut self, credentials: Credentials, now: Instant) {
        let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
        stream.set_remote_credentials(credentials);
        self.handle_timeout(now);
    }

    fn add_local_candidate(&mut self, gathered: Gathered, now: Instant) -> Option<Candidate> {
        let candidate = candidate(gathered);
        let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
        let added = stream.add_local_candidate(candidate.clone());
        self.handle_timeout(now);
        added.then_some(candidate)
    }

    fn end_of_local_candidates(&mut self, now: Instant) {
        let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
        stream.end_of_local_candidates();
        self.handle_timeout(now);
    }

    fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) {
        let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
        stream.add_remote_candidate(candidate);
        self.handle_timeout(now);
    }

    fn end_of_remote_candidates(&mut self, now: Instant) {
        let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
        stream.end_of_remote_candidates();
        self.handle_timeout(now);
    }

    fn handle_datagram(&mut self, base: SocketAddr, remote: SocketAddr, datagram: &[u8], now: Instant) {
        let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
        let transmit = Transmit::new(datagram, TransportType::Udp, remote, base);
        stream.handle_incoming_data(RTP, transmit, on_its_clock(now));
        self.handle_timeout(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        loop {
            match self.agent.poll(on_its_clock(now)) {
                AgentPoll::WaitUntil(at) => {
                    self.timeout = Some(Instant::from_nanos(at.as_nanos() as u64));
                    return;
                }
                AgentPoll::Closed => {
                    self.timeout = None;
                    return;
                }
                AgentPoll::SelectedPair(pair) => {
                    let chosen = pair.selected.candidate_pair().clone();
                    let mut stream = self.agent.mut_stream(pair.stream_id).expect("it was made in `new`");
                    let mut component = stream.mut_component(pair.component_id).expect("it was made in `new`");
                    let (base, remote) = (chosen.local.base_address, chosen.remote.address);
                    component.set_selected_pair(chosen).expect("its own choice");
                    self.selected = Some(Selected { base, remote, nominated: true });
                }
                AgentPoll::ComponentStateChange(change) => {
                    self.failed = change.state == ComponentConnectionState::Failed;
                }
                // About sockets, of which it needs no more, and gathering, which it does not do here.
                _ => {}
            }
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], now: Instant) -> Option<Outgoing> {
        let transmit = self.agent.poll_transmit(on_its_clock(now))?.transmit;
        let len = transmit.data.len();
        buffer[..len].copy_from_slice(&transmit.data);
        Some(Outgoing { base: transmit.from, remote: transmit.to, len })
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.timeout
    }

    fn selected(&mut self) -> Option<Selected> {
        self.selected
    }

    fn failure(&mut self) -> Option<Failure> {
        self.failed.then_some(Failure::Unexplained)
    }
}

fn candidate(gathered: Gathered) -> Candidate {
    let Gathered { kind, address, base, related, server, preference } = gathered;
    let its_kind = match kind {
        CandidateKind::Host => CandidateType::Host,
        CandidateKind::Relayed => CandidateType::Relayed,
        _ => CandidateType::ServerReflexive,
    };
    // It has 13 bits for the preference.
    let preference = u32::from(preference).saturating_sub(u32::from(u16::MAX) - 8191);
    let priority = Candidate::calculate_priority(its_kind, TransportType::Udp, None, preference, RTP);
    // It checks a relayed candidate through a TURN client of its own and no other. One that somebody else relays is
    // like an interface of the machine, of the lowest priority.
    let its_kind = if kind == CandidateKind::Relayed { CandidateType::Host } else { its_kind };
    let foundation = foundation(kind, base.ip(), server);
    let builder = Candidate::builder(RTP, its_kind, TransportType::Udp, &foundation, address);
    let builder = builder.base_address(base).priority(priority);
    match related {
        Some(related) => builder.related_address(related).build(),
        None => builder.build(),
    }
}

/// Whoever makes a candidate gives it its foundation (RFC 8445 section 5.1.1.3).
fn foundation(kind: CandidateKind, base: IpAddr, server: Option<IpAddr>) -> String {
    let mut text = kind.type_preference().to_string();
    for address in [Some(base), server].into_iter().flatten() {
        text.extend(address.to_string().chars().filter(char::is_ascii_alphanumeric));
    }
    text.truncate(32);
    text
}

pub(crate) fn on_its_clock(now: Instant) -> stun_proto::Instant {
    stun_proto::Instant::from_nanos(now.as_nanos() as i64)
}
