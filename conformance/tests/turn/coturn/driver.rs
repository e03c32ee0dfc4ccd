//! A client on a real socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use frazil::Instant;
use frazil::turn::{Client, Config, Counters, Event, Failure, Loss, PeerData, SendError, Sent, Transport};
use rustls::ClientConfig;

use super::socket::{Read, Socket};
use crate::site::seconds;

/// How a client is driven, beyond what is in its configuration.
#[derive(Clone, Default)]
pub(crate) struct Surroundings {
    /// From where it talks over UDP.
    pub(crate) local: Option<SocketAddr>,
    /// Whom it trusts over TLS, and the name of the server that was configured.
    pub(crate) trust: Option<(Arc<ClientConfig>, String)>,
    /// How many times as fast as ours its clock runs; 0 is 1.
    pub(crate) haste: u32,
}

pub(crate) struct Driver {
    pub(crate) client: Client,
    pub(crate) events: Vec<Event>,
    /// What peers have sent.
    pub(crate) data: Vec<(SocketAddr, Vec<u8>)>,
    transport: Transport,
    surroundings: Surroundings,
    socket: Option<Socket>,
    epoch: Clock,
    /// How many of the events were acted upon.
    handled: usize,
}

impl Driver {
    pub(crate) fn new(config: Config) -> Self {
        Self::within(config, Surroundings::default())
    }

    pub(crate) fn within(config: Config, surroundings: Surroundings) -> Self {
        let transport = config.transport;
        // The server is on this machine.
        let local = surroundings.local.unwrap_or(SocketAddr::new(config.server.ip(), 0));
        Self {
            client: Client::new(config, [5; 32], Instant::ZERO).unwrap(),
            events: Vec::new(),
            data: Vec::new(),
            transport,
            surroundings,
            socket: (transport == Transport::Udp).then(|| Socket::bind(local)),
            epoch: Clock::now(),
            handled: 0,
        }
    }

    /// One that has got its allocation.
    pub(crate) fn allocated(config: Config) -> Self {
        let mut driver = Self::new(config);
        driver.wait_for_allocation();
        driver
    }

    /// Talks from another port, as a NAT makes it that has forgotten us.
    pub(crate) fn rebind(&mut self) {
        self.socket = Some(Socket::bind(SocketAddr::new(self.local().ip(), 0)));
    }

    /// Where it talks from.
    pub(crate) fn local(&self) -> SocketAddr {
        self.socket.as_ref().expect("there is a socket").local()
    }

    pub(crate) fn now(&self) -> Instant {
        let elapsed = self.epoch.elapsed() * self.surroundings.haste.max(1);
        Instant::from_nanos(elapsed.as_nanos() as u64)
    }

    /// Calls the client, at the time of its clock.
    pub(crate) fn call<R>(&mut self, call: impl FnOnce(&mut Client, Instant) -> R) -> R {
        let now = self.now();
        call(&mut self.client, now)
    }

    pub(crate) fn send(&mut self, peer: SocketAddr, data: &[u8]) -> Result<(), SendError> {
        let mut buf = [0; 2000];
        if let Sent::Now(transmit) = self.call(|client, now| client.send(peer, data, &mut buf, now))? {
            self.write(&buf[..transmit.len], transmit.to);
        }
        Ok(())
    }

    /// What was ignored that should not have come. That an answer took so long that it was asked for again, and then came
    /// twice, says only that the machine is busy.
    pub(crate) fn ignored(&self) -> Counters {
        let mut counters = self.client.counters();
        counters.unmatched = 0;
        counters
    }

    /// Drives until it is so, for two minutes at most.
    pub(crate) fn until(&mut self, mut is_so: impl FnMut(&Self) -> bool) {
        let end = Clock::now() + seconds(120);
        loop {
            self.drain();
            if is_so(self) {
                return;
            }
            assert!(Clock::now() < end, "{:?} {:?}", self.events, self.client.counters());
            self.receive();
            self.call(Client::handle_timeout);
        }
    }

    /// Drives for so long, by the client's clock.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now() + time;
        self.until(|driver| driver.now() >= end);
    }

    pub(crate) fn wait_for(&mut self, event: &Event) {
        self.until(|driver| driver.events.contains(event));
    }

    pub(crate) fn wait_for_allocation(&mut self) {
        self.until(|driver| driver.client.relayed().is_some());
    }

    /// Drives until this peer may be reached.
    pub(crate) fn permit(&mut self, peer: SocketAddr) {
        self.call(|client, now| client.permit(peer.ip(), now)).unwrap();
        self.wait_for(&Event::Permitted(peer.ip()));
    }

    /// Gives the allocation back.
    pub(crate) fn close(&mut self) {
        self.call(Client::close);
        self.wait_for(&Event::Closed);
    }

    /// Drives until there will be no allocation, and says why.
    pub(crate) fn failure(&mut self) -> Failure {
        self.until(|driver| driver.client.is_over());
        match self.events.last() {
            Some(Event::Failed(failure)) => failure.clone(),
            _ => panic!("{:?}", self.events),
        }
    }

    /// Drives until there is no allocation any more, and says why.
    pub(crate) fn loss(&mut self) -> Loss {
        self.until(|driver| driver.client.is_over());
        match self.events.last() {
            Some(Event::Lost(loss)) => loss.clone(),
            _ => panic!("{:?}", self.events),
        }
    }

    /// Sends what the client has to send, and does what it asks for.
    fn drain(&mut self) {
        let mut buf = [0; Client::MIN_BUFFER];
        loop {
            while let Some(transmit) = self.client.poll_transmit(&mut buf) {
                self.write(&buf[..transmit.len], transmit.to);
            }
            self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
            let Some(event) = self.events.get(self.handled).cloned() else { return };
            self.handled += 1;
            match event {
                Event::OpenStream { server, domain } => {
                    self.socket = self.open(server, domain);
                    match self.socket {
                        Some(_) => self.call(Client::handle_stream_opened),
                        None => self.call(Client::handle_stream_closed),
                    }
                }
                Event::CloseStream => self.socket = None,
                _ => {}
            }
        }
    }

    fn open(&self, server: SocketAddr, domain: Option<String>) -> Option<Socket> {
        let opened = match &self.surroundings.trust {
            Some((trust, name)) if self.transport == Transport::Tls => {
                Socket::connect_tls(server, Arc::clone(trust), domain.unwrap_or_else(|| name.clone()))
            }
            _ => Socket::connect(server),
        };
        opened.ok()
    }

    fn write(&mut self, bytes: &[u8], to: SocketAddr) {
        if let Some(socket) = &mut self.socket {
            socket.write(bytes, to);
        }
    }

    /// Waits for a moment, and hands in what has come.
    pub(crate) fn receive(&mut self) {
        let mut buf = [0; 4096];
        let read = self.socket.as_mut().map_or(Read::End, |socket| socket.read(&mut buf));
        let now = self.now();
        let data = &mut self.data;
        let mut deliver = |PeerData { peer, data: bytes }: PeerData<'_>| data.push((peer, bytes.to_vec()));
        match read {
            Read::Nothing => {}
            Read::Datagram(len, from) => {
                if let Some(data) = self.client.handle_datagram(from, &buf[..len], now) {
                    deliver(data);
                }
            }
            Read::Bytes(len) => self.client.handle_stream_data(&buf[..len], now, deliver),
            Read::End => {
                self.socket = None;
                self.client.handle_stream_closed(now);
            }
        }
    }
}
