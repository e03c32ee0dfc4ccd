//! Allocations for TCP (RFC 6062).

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant as Clock};

use frazil::Instant;
use frazil::turn::{Client, Config, DataStream, Event, Failure, Loss, Relay, Transport};

use super::{Coturn, Plan, config};
use crate::site::seconds;

/// The client with the stream to its server and its data streams.
struct Driver {
    client: Client,
    start: Clock,
    control: TcpStream,
    streams: BTreeMap<DataStream, TcpStream>,
    events: Vec<Event>,
    /// What has come from peers.
    came: BTreeMap<DataStream, Vec<u8>>,
}

impl Driver {
    fn new(server: &Coturn) -> Self {
        let config = Config { relay: Relay::Tcp, ..config(server, Transport::Tcp) };
        let mut client = Client::new(config, [5; 32], Instant::ZERO).unwrap();
        let Some(Event::OpenStream { server, .. }) = client.poll_event() else { panic!("it wants a stream") };
        let (start, control) = (Clock::now(), open(server));
        client.handle_stream_opened(Instant::ZERO);
        let (streams, events, came) = Default::default();
        let mut driver = Self { client, start, control, streams, events, came };
        driver.until(|driver| driver.client.relayed().is_some());
        driver
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Drives until it is so, for half a minute at most.
    fn until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let end = Clock::now() + seconds(30);
        while !is_so(self) {
            assert!(Clock::now() < end, "{:?} {:?}", self.events, self.client.counters());
            self.turn();
        }
    }

    fn turn(&mut self) {
        let mut buf = vec![0; 1 << 16];
        while let Some(transmit) = self.client.poll_transmit(&mut buf) {
            self.control.write_all(&buf[..transmit.len]).unwrap();
        }
        while let Some(transmit) = self.client.poll_data_transmit(&mut buf) {
            self.streams.get_mut(&transmit.stream).unwrap().write_all(&buf[..transmit.len]).unwrap();
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::OpenDataStream { stream, server, .. } => {
                    self.streams.insert(stream, open(server));
                    let now = self.now();
                    self.client.handle_data_stream_opened(stream, now);
                }
                Event::CloseDataStream(stream) => drop(self.streams.remove(&stream)),
                event => self.events.push(event),
            }
        }
        let now = self.now();
        match read(&mut self.control, &mut buf) {
            Some(0) => self.client.handle_stream_closed(now),
            Some(len) => self.client.handle_stream_data(&buf[..len], now, |data| panic!("{data:?}")),
            None => {}
        }
        let names: Vec<DataStream> = self.streams.keys().copied().collect();
        for name in names {
            match read(self.streams.get_mut(&name).unwrap(), &mut buf) {
                Some(0) => {
                    self.streams.remove(&name);
                    self.client.handle_data_stream_closed(name, now);
                }
                Some(len) => {
                    let data = self.client.handle_data_stream_data(name, &buf[..len], now);
                    self.came.entry(name).or_default().extend(data);
                }
                None => {}
            }
        }
        self.client.handle_timeout(now);
    }
}

fn open(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    stream
}

fn read(stream: &mut TcpStream, buf: &mut [u8]) -> Option<usize> {
    match stream.read(buf) {
        Ok(len) => Some(len),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(_) => Some(0),
    }
}

/// What goes from one to the other comes back, and the stream ends when the peer ends it. It goes in rounds: of 800 kB on
/// their way at once not all come out of coturn 4.6.
fn talk(driver: &mut Driver, stream: DataStream, mut peer: TcpStream) {
    const ROUND: usize = 20_000;
    const ROUNDS: usize = 20;
    let echo = std::thread::spawn(move || {
        let mut heard = [0; ROUND];
        for _ in 0..ROUNDS {
            peer.read_exact(&mut heard).unwrap();
            peer.write_all(&heard).unwrap();
        }
    });
    for round in 0..ROUNDS {
        let said: Vec<u8> = (0..ROUND).map(|n| ((n * (round + 1)) >> 3) as u8).collect();
        driver.streams.get_mut(&stream).unwrap().write_all(&said).unwrap();
        driver.until(|driver| driver.came.get(&stream).is_some_and(|came| came.len() == ROUND));
        assert!(driver.came.remove(&stream) == Some(said));
    }
    echo.join().unwrap();
    driver.until(|driver| !driver.streams.contains_key(&stream));
}

#[test]
#[ignore = "needs turnserver"]
fn a_peer_that_listens_is_reached() {
    let server = Plan::new().with_alice().with_loopback_peers().start();
    let mut driver = Driver::new(&server);
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = peer.local_addr().unwrap();
    // The second time, after the first connection has ended, it is another one to the same peer.
    for _ in 0..2 {
        let now = driver.now();
        let stream = driver.client.connect(at, now).unwrap();
        driver.until(|driver| driver.events.contains(&Event::DataStreamReady(stream)));
        let (peer, from) = peer.accept().unwrap();
        assert_eq!(Some(from), driver.client.relayed());
        talk(&mut driver, stream, peer);
    }
    assert_eq!(driver.client.counters(), frazil::turn::Counters::default());
}

#[test]
#[ignore = "needs turnserver"]
fn a_peer_that_connects_is_taken_up() {
    let server = Plan::new().with_alice().with_loopback_peers().start();
    let mut driver = Driver::new(&server);
    let relayed = driver.client.relayed().unwrap();
    let now = driver.now();
    driver.client.permit("127.0.0.1".parse().unwrap(), now).unwrap();
    driver.until(|driver| driver.events.contains(&Event::Permitted("127.0.0.1".parse().unwrap())));
    // Two at a time.
    let peers = [(); 2].map(|()| TcpStream::connect(relayed).unwrap());
    let offered = |driver: &Driver| -> BTreeMap<SocketAddr, DataStream> {
        let offers = driver.events.iter().filter_map(|event| match event {
            Event::PeerConnected { stream, peer } => Some((*peer, *stream)),
            _ => None,
        });
        offers.collect()
    };
    driver.until(|driver| offered(driver).len() == 2);
    for peer in peers {
        let stream = offered(&driver)[&peer.local_addr().unwrap()];
        let now = driver.now();
        driver.client.accept(stream, now);
        driver.until(|driver| driver.events.contains(&Event::DataStreamReady(stream)));
        talk(&mut driver, stream, peer);
    }
}

#[test]
#[ignore = "needs turnserver"]
fn a_peer_that_is_not_there_is_said_to_be_so_and_the_rest_goes_on() {
    let server = Plan::new().with_alice().with_loopback_peers().start();
    let mut driver = Driver::new(&server);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let now = driver.now();
    let stream = driver.client.connect(nobody, now).unwrap();
    let failure = |driver: &Driver| {
        driver.events.iter().find_map(|event| match event {
            Event::DataStreamFailed(failed, failure) if *failed == stream => Some(failure.clone()),
            _ => None,
        })
    };
    driver.until(|driver| failure(driver).is_some());
    assert!(matches!(failure(&driver), Some(Failure::Refused(refusal)) if refusal.code == 447));
    // When the server goes, all its streams do.
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let now = driver.now();
    let stream = driver.client.connect(peer.local_addr().unwrap(), now).unwrap();
    driver.until(|driver| driver.events.contains(&Event::DataStreamReady(stream)));
    drop(server);
    driver.until(|driver| driver.client.is_over());
    driver.turn();
    assert_eq!(driver.events.last(), Some(&Event::Lost(Loss::StreamClosed)));
    assert!(driver.streams.is_empty());
}
