//! `rice-proto`, the sans-IO part of librice: polled until it says to wait, then drained.

use frazil::Instant;
use frazil_conformance::cost::{Contender, MAX_DATAGRAM, Side};
use rice_proto::agent::AgentPoll;
use rice_proto::candidate::{Candidate, CandidateType, TransportType};
use rice_proto::component::RTP;
use rice_proto::random_string;
use rice_proto::stream::Credentials;
use stun_proto::agent::Transmit;

pub(crate) struct Agent {
    agent: rice_proto::agent::Agent,
    stream: usize,
    candidate: Candidate,
    side: Side,
    timeout: Option<Instant>,
    selected: bool,
}

pub(crate) struct Signal {
    credentials: Credentials,
    candidate: Candidate,
}

impl Contender for Agent {
    const NAME: &'static str = "rice-proto-0.4";
    type Signal = Signal;

    fn new(side: Side, _: Instant) -> Self {
        let mut agent =
            rice_proto::agent::Agent::builder().trickle_ice(true).controlling(side == Side::Controlling).build();
        let id = agent.add_stream();
        let mut stream = agent.mut_stream(id).expect("it was just made");
        stream.add_component().expect("a first component");
        stream.set_local_credentials(Credentials { ufrag: random_string(4), passwd: random_string(24) });
        // Handed over ready-made: its own gathering of a host candidate would only cost more.
        let priority = Candidate::calculate_priority(CandidateType::Host, TransportType::Udp, None, 8191, RTP);
        let candidate = Candidate::builder(RTP, CandidateType::Host, TransportType::Udp, "1", side.address())
            .base_address(side.address())
            .priority(priority)
            .build();
        assert!(stream.add_local_candidate(candidate.clone()));
        stream.end_of_local_candidates();
        Self { agent, stream: id, candidate, side, timeout: None, selected: false }
    }

    fn signal(&self) -> Signal {
        let stream = self.agent.stream(self.stream).expect("it was made in `new`");
        let credentials = stream.local_credentials().expect("they were set in `new`");
        Signal { credentials, candidate: self.candidate.clone() }
    }

    fn handle_signal(&mut self, signal: Signal, now: Instant) {
        let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
        stream.set_remote_credentials(signal.credentials);
        stream.add_remote_candidate(signal.candidate);
        stream.end_of_remote_candidates();
        self.handle_timeout(now);
    }

    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        let mut stream = self.agent.mut_stream(self.stream).expect("it was made in `new`");
        let transmit = Transmit::new(datagram, TransportType::Udp, self.side.other().address(), self.side.address());
        let reply = stream.handle_incoming_data(RTP, transmit, on_its_clock(now));
        assert!(reply.handled, "it speaks to itself");
        self.handle_timeout(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        loop {
            match self.agent.poll(on_its_clock(now)) {
                AgentPoll::WaitUntil(at) => {
                    self.timeout = Some(Instant::from_nanos(at.as_nanos() as u64));
                    return;
                }
                AgentPoll::SelectedPair(pair) => {
                    let mut stream = self.agent.mut_stream(pair.stream_id).expect("it was made in `new`");
                    let mut component = stream.mut_component(pair.component_id).expect("it was made in `new`");
                    component.set_selected_pair(pair.selected.candidate_pair().clone()).expect("its own choice");
                    self.selected = true;
                }
                AgentPoll::ComponentStateChange(_) => {}
                unasked => panic!("one host candidate over UDP needs no {unasked:?}"),
            }
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], now: Instant) -> Option<usize> {
        let transmit = self.agent.poll_transmit(on_its_clock(now))?.transmit;
        buffer[..transmit.data.len()].copy_from_slice(&transmit.data);
        Some(transmit.data.len())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.timeout
    }

    fn is_connected(&mut self) -> bool {
        self.selected
    }
}

fn on_its_clock(now: Instant) -> stun_proto::Instant {
    stun_proto::Instant::from_nanos(now.as_nanos() as i64)
}
