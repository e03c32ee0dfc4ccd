//! What goes through a relay goes through the agent without the heap as well, once its channel is bound.

use std::net::SocketAddr;
use std::time::Duration;

use frazil::ice::{Agent, Config, Event, LocalCandidate, Received, Role, Sent, Server, State, TransportPolicy};
use frazil::stun::LongTermCredentials;
use frazil::{Instant, Path, Protocol};
use frazil_conformance::allocations;
use frazil_internet::{
    Access, Endpoint, HostId, IceEndpoint, IceEvent, Internet, StreamInput, StreamRequest, TurnServer,
};

use crate::counted;

const A: &str = "203.0.113.1:5000";
const B: &str = "203.0.113.2:5000";

/// An agent and its driver, with what application datagrams have cost the agent.
struct Counted {
    driver: IceEndpoint,
    outbox: Vec<(Path, Vec<u8>)>,
    /// The local end of the stream to the server.
    stream: Option<SocketAddr>,
    heard: Vec<usize>,
    for_data: u64,
}

impl Counted {
    fn send(&mut self, len: usize, now: Instant) {
        let agent = &mut self.driver.agent;
        let mut buffer = [0x80; 1300];
        let sent = counted(&mut self.for_data, || agent.send(&mut buffer, len, now));
        let Sent::Now(transmit) = sent else { panic!("{sent:?}") };
        let path = agent.path(transmit.path).unwrap();
        let local = self.stream.filter(|_| path.protocol == Protocol::Tcp).unwrap_or(path.local);
        self.outbox.push((Path { local, ..path }, buffer[..transmit.len].to_vec()));
    }
}

impl Endpoint for Counted {
    type Event = IceEvent;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        let agent = &mut self.driver.agent;
        let mut blocks = 0;
        let received = counted(&mut blocks, || {
            let id = agent.path_id(path);
            agent.handle_datagram(id, datagram, now)
        });
        if let Received::Application(data) = received {
            self.heard.push(data.len());
            self.for_data += blocks;
        }
    }

    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        let StreamInput::Data(bytes) = input else {
            self.stream = Some(path.local);
            return self.driver.handle_stream(path, input, now);
        };
        let id = self.driver.stream(path).expect("it is open");
        let agent = &mut self.driver.agent;
        let (mut blocks, mut lens, mut n) = (0, [0; 64], 0);
        counted(&mut blocks, || {
            agent.handle_stream_data(id, bytes, now, |data| {
                lens[n] = data.len();
                n += 1;
            });
        });
        if n > 0 {
            self.heard.extend(&lens[..n]);
            self.for_data += blocks;
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.driver.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        if let Some((path, datagram)) = self.outbox.pop() {
            buffer[..datagram.len()].copy_from_slice(&datagram);
            return Some((path, datagram.len()));
        }
        self.driver.poll_transmit(buffer)
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        self.driver.poll_stream()
    }

    fn poll_event(&mut self) -> Option<IceEvent> {
        self.driver.poll_event()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.driver.poll_timeout()
    }
}

fn add(internet: &mut Internet<Counted>, address: &str, config: Config, role: Role) -> HostId {
    let host = internet.add_host(Instant::from_millis(1000), |now| {
        let driver = IceEndpoint::new(Agent::new(config, role, [role as u8 + 1; 32], now));
        Counted { driver, outbox: Vec::new(), stream: None, heard: Vec::new(), for_data: 0 }
    });
    let address: SocketAddr = address.parse().unwrap();
    let public = internet.public();
    internet.attach(host, public, &[address.ip()], Access::delay(Duration::from_millis(1)));
    internet.bind(host, address);
    host
}

/// Lets time pass, and carries candidates from each to the other.
fn pass(internet: &mut Internet<Counted>, hosts: [HostId; 2], time: Duration) {
    let until = internet.now() + time;
    let mut told = Vec::new();
    internet.run(until, |host, event| {
        if let IceEvent::Agent(event) = event
            && let Event::LocalCandidate(local) = *event
        {
            told.push((host, local.candidate));
        }
    });
    for (from, candidate) in told {
        let to = if from == hosts[0] { hosts[1] } else { hosts[0] };
        internet.with(to, |side, now| side.driver.agent.add_remote_candidate(candidate, now)).unwrap();
    }
}

#[test]
fn datagrams_through_a_relay_take_no_heap() {
    assert!(allocations::are_counted());
    for uri in ["turn:198.51.100.1", "turn:198.51.100.1?transport=tcp"] {
        let mut internet = Internet::new(1);
        let public = internet.public();
        let config = TurnServer { pads_channel_data: true, ..TurnServer::with_user("alice", "secret") };
        let access = Access::delay(Duration::from_millis(1));
        internet.add_server(public, &["198.51.100.1".parse().unwrap()], access, config);
        let mut relay_only = Config::default();
        relay_only.transport_policy = TransportPolicy::Relay;
        let a = add(&mut internet, A, relay_only, Role::Controlling);
        let b = add(&mut internet, B, Config::default(), Role::Controlled);
        let credentials = [a, b].map(|host| internet.endpoint(host).driver.agent.local_credentials().clone());
        for (host, address, theirs) in [(a, A, &credentials[1]), (b, B, &credentials[0])] {
            let alice = LongTermCredentials::new("alice", "secret").ok();
            let server = Server::new(uri.parse().unwrap(), alice).unwrap();
            internet.with(host, |side, now| {
                let agent = &mut side.driver.agent;
                if host == a {
                    agent.set_servers(vec![server], now);
                }
                let local = LocalCandidate::host(Protocol::Udp, address.parse().unwrap(), u16::MAX);
                agent.add_local_candidate(local, now).unwrap();
                agent.end_of_local_candidates(now);
                agent.set_remote_credentials(theirs.clone(), now);
            });
        }
        for _ in 0..20 {
            pass(&mut internet, [a, b], Duration::from_secs(1));
        }
        let exchange = |internet: &mut Internet<Counted>, len: usize| {
            for host in [a, b] {
                internet.with(host, |side, now| side.send(len, now));
            }
            pass(internet, [a, b], Duration::from_millis(20));
        };
        // A channel is bound from the fifth datagram on.
        (0..20).for_each(|_| exchange(&mut internet, 100));
        for host in [a, b] {
            internet.with(host, |side, _| (side.for_data, side.heard) = (0, Vec::new()));
        }
        let lens: Vec<usize> = (0..=1200).collect();
        lens.iter().for_each(|&len| exchange(&mut internet, len));
        for host in [a, b] {
            let side = internet.endpoint(host);
            assert!(matches!(side.driver.agent.state(), State::Connected | State::Completed));
            assert!(side.heard == lens, "{uri}: {:?}", side.heard.len());
            assert_eq!(side.for_data, 0, "{uri}, on the side of {}", if host == a { "the relay" } else { "the host" });
        }
    }
}
