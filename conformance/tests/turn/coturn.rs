//! The client against coturn on loopback: `cargo test -p frazil-conformance --test turn coturn -- --ignored`, where
//! `turnserver` is installed.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant as Clock};

use frazil::Instant;
use frazil::turn::{Client, Config, Event, Failure, Loss, PeerData, Sent, Transport};

use crate::site::{credentials, seconds};

/// Killed when it is dropped.
struct Coturn {
    process: Child,
    address: SocketAddr,
}

impl Coturn {
    fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_address(), arguments)
    }

    fn start_at(address: SocketAddr, arguments: &[&str]) -> Self {
        let port = address.port().to_string();
        let file = |name: &str| std::env::temp_dir().join(format!("frazil-coturn-{port}.{name}")).display().to_string();
        let process = Command::new("turnserver")
            .args(["-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--listening-port", &port])
            .args(["--lt-cred-mech", "--realm", "here", "--user", "alice:secret", "--allow-loopback-peers"])
            .args(["--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout", "--pidfile", &file("pid")])
            .args(["--userdb", &file("sqlite")])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("turnserver is installed");
        // Its log comes late through a pipe; it listens when it takes a stream.
        let end = Clock::now() + seconds(20);
        while TcpStream::connect(address).is_err() {
            assert!(Clock::now() < end, "turnserver does not listen");
            std::thread::yield_now();
        }
        Self { process, address }
    }
}

/// An address with a port that the system gives nobody by itself: who connects to one that it does give, before anybody
/// listens there, may be given that port and meet itself.
fn free_address() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let mut ports = std::iter::repeat_with(|| first + GIVEN.fetch_add(1, Ordering::Relaxed) % 1_000);
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let is_free = |at: &SocketAddr| UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok();
    ports.by_ref().take(1_000).map(address).find(is_free).expect("a port is free")
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// A client on a real socket.
struct Driver {
    client: Client,
    socket: Socket,
    epoch: Clock,
    events: Vec<Event>,
    data: Vec<(SocketAddr, Vec<u8>)>,
}

impl Driver {
    fn new(config: Config, local: Option<SocketAddr>) -> Self {
        let local = local.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let patience = Some(Duration::from_millis(10));
        let socket = if config.transport.is_stream() {
            let stream = TcpStream::connect(config.server).unwrap();
            stream.set_read_timeout(patience).unwrap();
            Socket::Tcp(stream)
        } else {
            let socket = UdpSocket::bind(local).unwrap();
            socket.set_read_timeout(patience).unwrap();
            Socket::Udp(socket)
        };
        let is_stream = config.transport.is_stream();
        let client = Client::new(config, [5; 32], Instant::ZERO).unwrap();
        let mut driver = Self { client, socket, epoch: Clock::now(), events: Vec::new(), data: Vec::new() };
        if is_stream {
            let now = driver.now();
            driver.client.handle_stream_opened(now);
        }
        driver
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.epoch.elapsed().as_nanos() as u64)
    }

    fn write(&mut self, bytes: &[u8], to: SocketAddr) {
        match &mut self.socket {
            Socket::Udp(socket) => drop(socket.send_to(bytes, to)),
            Socket::Tcp(stream) => drop(stream.write_all(bytes)),
        }
    }

    fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        let mut buf = [0; 2000];
        let now = self.now();
        if let Sent::Now(transmit) = self.client.send(peer, data, &mut buf, now).unwrap() {
            self.write(&buf[..transmit.len], transmit.to);
        }
    }

    /// Drives until it is so, for half a minute at most.
    fn until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let mut buf = [0; Client::MIN_BUFFER];
        let end = Clock::now() + seconds(30);
        loop {
            while let Some(transmit) = self.client.poll_transmit(&mut buf) {
                self.write(&buf[..transmit.len], transmit.to);
            }
            self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
            if is_so(self) {
                return;
            }
            assert!(Clock::now() < end, "{:?} {:?}", self.events, self.client.counters());
            let now = self.now();
            let data = &mut self.data;
            let mut deliver = |PeerData { peer, data: bytes }: PeerData<'_>| data.push((peer, bytes.to_vec()));
            match &mut self.socket {
                Socket::Udp(socket) => {
                    if let Ok((len, from)) = socket.recv_from(&mut buf)
                        && let Some(data) = self.client.handle_datagram(from, &buf[..len], now)
                    {
                        deliver(data);
                    }
                }
                Socket::Tcp(stream) => match stream.read(&mut buf) {
                    Ok(0) => self.client.handle_stream_closed(now),
                    Ok(len) => self.client.handle_stream_data(&buf[..len], now, deliver),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(_) => self.client.handle_stream_closed(now),
                },
            }
            self.client.handle_timeout(now);
        }
    }

    fn failure(&mut self) -> Failure {
        self.until(|driver| driver.client.is_over());
        match self.events.iter().find(|event| !matches!(event, Event::OpenStream { .. } | Event::CloseStream)) {
            Some(Event::Failed(failure)) => failure.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn local(&self) -> SocketAddr {
        match &self.socket {
            Socket::Udp(socket) => socket.local_addr().unwrap(),
            Socket::Tcp(stream) => stream.local_addr().unwrap(),
        }
    }
}

#[test]
#[ignore = "needs turnserver"]
fn data_goes_both_ways() {
    let server = Coturn::start(&["--stale-nonce=1"]);
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut driver = Driver::new(Config::new(server.address, transport, credentials("secret")), None);
        driver.until(|driver| driver.client.relayed().is_some());
        let (relayed, mapped) = (driver.client.relayed().unwrap(), driver.client.mapped().unwrap());
        assert_eq!(mapped, driver.local());
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(seconds(5))).unwrap();
        let at = peer.local_addr().unwrap();
        let mut buf = [0; 2000];
        for n in 0..12_u8 {
            driver.send(at, &[n; 5]);
            let mut waited = false;
            driver.until(|_| std::mem::replace(&mut waited, true));
            if n == 0 {
                driver.until(|driver| driver.events.contains(&Event::Permitted(at.ip())));
            }
            assert_eq!(peer.recv_from(&mut buf).unwrap(), (5, relayed));
            assert_eq!(buf[..5], [n; 5]);
            peer.send_to(&[n; 7], relayed).unwrap();
            driver.until(|driver| driver.data.last() == Some(&(at, vec![n; 7])));
        }
        assert!(driver.client.has_channel(at), "{:?}", driver.events);
        // Nonces of a second: what is asked after it is asked twice.
        let start = Clock::now();
        driver.until(|_| start.elapsed() > Duration::from_millis(2500));
        let other = "127.0.0.2".parse().unwrap();
        let now = driver.now();
        driver.client.permit(other, now).unwrap();
        driver.until(|driver| driver.events.contains(&Event::Permitted(other)));
        let now = driver.now();
        driver.client.close(now);
        driver.until(|driver| driver.events.contains(&Event::Closed));
        assert_eq!(driver.client.counters(), frazil::turn::Counters::default());
    }
}

#[test]
#[ignore = "needs turnserver"]
fn refusals_have_their_codes() {
    let server = Coturn::start(&["--user-quota=1"]);
    let config = |password: &str| Config::new(server.address, Transport::Udp, credentials(password));
    let mut wrong = Driver::new(config("wrong"), None);
    assert_eq!(wrong.failure().code(), 401);
    let mut first = Driver::new(config("secret"), None);
    first.until(|driver| driver.client.relayed().is_some());
    let mut second = Driver::new(config("secret"), None);
    assert_eq!(second.failure().code(), 486);
    let local = first.local();
    drop(first);
    let mut third = Driver::new(config("secret"), Some(local));
    assert!(third.failure().wants_fresh_port());
}

#[test]
#[ignore = "needs turnserver"]
fn a_restarted_server_is_noticed() {
    let server = Coturn::start(&[]);
    let mut driver = Driver::new(Config::new(server.address, Transport::Udp, credentials("secret")), None);
    driver.until(|driver| driver.client.relayed().is_some());
    let address = server.address;
    drop(server);
    let _server = Coturn::start_at(address, &[]);
    let now = driver.now();
    driver.client.permit("127.0.0.1".parse().unwrap(), now).unwrap();
    driver.until(|driver| driver.client.is_over());
    assert_eq!(driver.events.last(), Some(&Event::Lost(Loss::Unknown)));
}
