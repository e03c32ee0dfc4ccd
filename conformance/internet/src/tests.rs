//! What the internet does to what is sent in it.

mod agents;
mod faults;
mod firewalls;
mod links;
mod nats;
mod replay;
mod servers;
mod streams;
mod wires;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::{Instant, Path, Protocol};

use crate::*;

/// Sends what the test gives it and says what it hears.
#[derive(Default)]
struct Probe {
    to_send: VecDeque<(Path, Vec<u8>)>,
    requests: VecDeque<StreamRequest>,
    heard: VecDeque<Heard>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    Datagram(Path, Vec<u8>),
    Opened(Path),
    Refused(Path),
    Data(Path, Vec<u8>),
    Closed(Path),
}

impl Endpoint for Probe {
    type Event = Heard;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], _: Instant) {
        self.heard.push_back(Heard::Datagram(path, datagram.to_vec()));
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let (path, datagram) = self.to_send.pop_front()?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Some((path, datagram.len()))
    }

    fn poll_event(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }

    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, _: Instant) {
        self.heard.push_back(match input {
            StreamInput::Opened => Heard::Opened(path),
            StreamInput::Refused => Heard::Refused(path),
            StreamInput::Data(data) => Heard::Data(path, data.to_vec()),
            StreamInput::Closed => Heard::Closed(path),
        });
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        self.requests.pop_front()
    }
}

/// Hosts that do what the test says.
struct World {
    internet: Internet<Probe>,
    /// What was heard since it was asked for, and when.
    heard: Vec<(Instant, HostId, Heard)>,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    fn new() -> Self {
        Self { internet: Internet::new(1), heard: Vec::new() }
    }

    /// A host with one address and 10 ms to its realm.
    fn host(&mut self, realm: RealmId, address: &str) -> (HostId, IpAddr) {
        let host = self.internet.add_host(Instant::ZERO, |_| Probe::default());
        self.internet.attach(host, realm, &[ip(address)], Access::delay(millis(10)));
        (host, ip(address))
    }

    /// A host in public with sockets at the ports 1000 and 1001.
    fn public(&mut self, address: &str) -> (HostId, IpAddr) {
        let (host, address) = self.host(self.internet.public(), address);
        for port in [1000, 1001] {
            self.internet.bind(host, at(address, port));
        }
        (host, address)
    }

    fn router(&mut self, outer: RealmId, outside: &[&str], config: RouterConfig) -> (RouterId, RealmId) {
        let outside: Vec<IpAddr> = outside.iter().map(|text| ip(text)).collect();
        self.internet.add_router(outer, &outside, Access::delay(millis(10)), config)
    }

    /// Lets things happen for a while.
    fn pass(&mut self, time: Duration) {
        let until = self.internet.now() + time;
        while let Some(step) = self.internet.next(until) {
            let Step::Event(host, heard) = step else { continue };
            self.heard.push((self.internet.now(), host, heard));
        }
    }

    fn take_heard(&mut self) -> Vec<(HostId, Heard)> {
        std::mem::take(&mut self.heard).into_iter().map(|(_, host, heard)| (host, heard)).collect()
    }

    fn send(&mut self, host: HostId, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let path = Path { protocol: Protocol::Udp, local: from, remote: to };
        self.internet.with(host, |probe, _| probe.to_send.push_back((path, datagram.to_vec())));
    }

    /// Sends a datagram and gives who has heard it, from where; a second is enough for that.
    fn try_datagram(&mut self, host: HostId, from: SocketAddr, to: SocketAddr) -> Option<(HostId, SocketAddr)> {
        self.heard.clear();
        self.send(host, from, to, b"who am I?");
        self.pass(seconds(1));
        let heard = self.take_heard();
        assert!(heard.len() <= 1, "{heard:?}");
        heard.into_iter().next().map(|(host, heard)| match heard {
            Heard::Datagram(path, _) => (host, path.remote),
            other => panic!("{other:?}"),
        })
    }

    /// The address that a socket has for who is at `to`.
    fn mapped(&mut self, host: HostId, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        self.try_datagram(host, from, to).expect("what goes out arrives").1
    }

    fn request(&mut self, host: HostId, request: StreamRequest) {
        self.internet.with(host, |probe, _| probe.requests.push_back(request));
    }

    fn write(&mut self, host: HostId, path: Path, data: &[u8]) {
        self.internet.with(host, |probe, _| {
            probe.to_send.extend(data.chunks(1400).map(|chunk| (path, chunk.to_vec())));
        });
    }
}
