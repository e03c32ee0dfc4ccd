//! `is`, the ICE agent of str0m, driven by the loop of its README.

use frazil::Instant;
use frazil_conformance::cost::{Contender, MAX_DATAGRAM, Side};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};

use crate::clock::{on_std_clock, on_virtual_clock};

pub(crate) struct Agent {
    agent: IceAgent,
    candidate: Candidate,
    side: Side,
    nominated: bool,
}

pub(crate) struct Signal {
    credentials: IceCreds,
    candidate: Candidate,
}

impl Contender for Agent {
    const NAME: &'static str = "is-0.12";
    type Signal = Signal;

    fn new(side: Side, now: Instant) -> Self {
        let mut agent = IceAgent::new(IceCreds::new());
        agent.set_controlling(side == Side::Controlling);
        let host = Candidate::host(side.address(), Protocol::Udp).expect("a host address");
        let candidate = agent.add_local_candidate(host).expect("a first candidate").clone();
        // "Returns `None` until the first ever `handle_timeout` is called", says `poll_timeout`.
        agent.handle_timeout(on_std_clock(now));
        Self { agent, candidate, side, nominated: false }
    }

    fn signal(&self) -> Signal {
        Signal { credentials: self.agent.local_credentials().clone(), candidate: self.candidate.clone() }
    }

    fn handle_signal(&mut self, signal: Signal, now: Instant) {
        self.agent.set_remote_credentials(signal.credentials);
        self.agent.add_remote_candidate(signal.candidate);
        self.agent.handle_timeout(on_std_clock(now));
    }

    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        let packet = StunPacket {
            proto: Protocol::Udp,
            source: self.side.other().address(),
            destination: self.side.address(),
            message: StunMessage::parse(datagram).expect("it speaks to itself"),
        };
        self.agent.handle_packet(on_std_clock(now), packet);
        // Its answers are queued for the next timeout. str0m calls it after every packet, which is also one
        // reading of the README's loop; to wait for `poll_timeout` makes the connection four times slower and
        // a sixth dearer.
        self.agent.handle_timeout(on_std_clock(now));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(on_std_clock(now));
    }

    fn poll_transmit(&mut self, buffer: &mut [u8; MAX_DATAGRAM], _: Instant) -> Option<usize> {
        let transmit = self.agent.poll_transmit()?;
        buffer[..transmit.contents.len()].copy_from_slice(&transmit.contents);
        Some(transmit.contents.len())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout().map(on_virtual_clock)
    }

    fn is_connected(&mut self) -> bool {
        while let Some(event) = self.agent.poll_event() {
            self.nominated |= matches!(event, IceAgentEvent::NominatedSend { .. });
        }
        self.nominated
    }
}
