//! How long an allocation takes, and how much goes through a relay, on loopback:
//! `cargo test --release -p frazil-conformance --test turn coturn::figures -- --ignored --nocapture` prints it.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};

use frazil::turn::{Config, Transport};

use super::driver::{Driver, Surroundings};
use super::{Coturn, TRANSPORTS, config, of_all_transports};

/// Without optimisation it is only seen to work.
const ALLOCATIONS: usize = if cfg!(debug_assertions) { 10 } else { 200 };
const DATAGRAMS: u64 = if cfg!(debug_assertions) { 500 } else { 100_000 };

const PAYLOAD: [u8; 1200] = [0x5A; 1200];

/// So many datagrams may be under way. More would overrun sockets, and those that coturn lends hold 27 when it is not
/// scheduled in time.
const WINDOW: u64 = if cfg!(debug_assertions) { 16 } else { 64 };

/// What has not arrived after this will not. Where it is only seen to work, the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 20_000 } else { 200 });

#[test]
#[ignore = "needs turnserver"]
fn figures() {
    let (plan, surroundings) = of_all_transports();
    let server = plan.start();
    for transport in TRANSPORTS {
        let times = (0..ALLOCATIONS).map(|_| time_of_allocation(&server, transport, &surroundings));
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        let [best, median, worst] = [0, ALLOCATIONS / 2, ALLOCATIONS - 1].map(|at| times[at].as_secs_f64() * 1000.0);
        println!("{transport:?}: allocated after {median:.2} ms ({best:.2} to {worst:.2}, {ALLOCATIONS} times)");
    }
    for transport in TRANSPORTS {
        for (direction, carry) in [("to the peer", to_the_peer as fn(Relay) -> u64), ("to the client", to_the_client)] {
            let relay = Relay::open(&server, transport, &surroundings);
            let start = Clock::now();
            let arrived = carry(relay);
            let rate = arrived as f64 / start.elapsed().as_secs_f64();
            let megabits = rate * (PAYLOAD.len() * 8) as f64 / 1e6;
            let lost = DATAGRAMS - arrived;
            println!(
                "{transport:?} {direction}: {megabits:.0} Mbit/s, {rate:.0} datagrams/s, {lost} of {DATAGRAMS} lost"
            );
            assert!(lost < DATAGRAMS / 10, "{lost} lost");
        }
    }
}

/// From nothing at all, with the handshakes of the stream.
fn time_of_allocation(server: &Coturn, transport: Transport, surroundings: &Surroundings) -> Duration {
    let start = Clock::now();
    let mut driver = Driver::within(config(server, transport), surroundings.clone());
    driver.wait_for_allocation();
    let time = start.elapsed();
    driver.close();
    time
}

/// A client and a peer with a channel between them.
struct Relay {
    driver: Driver,
    peer: UdpSocket,
    /// How many datagrams have arrived.
    arrived: Arc<AtomicU64>,
}

impl Relay {
    fn open(server: &Coturn, transport: Transport, surroundings: &Surroundings) -> Self {
        let config = Config { bind_after: Some(0), ..config(server, transport) };
        let mut driver = Driver::within(config, surroundings.clone());
        driver.wait_for_allocation();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = peer.local_addr().unwrap();
        driver.permit(at);
        driver.send(at, b"first").unwrap();
        driver.until(|driver| driver.client.has_channel(at));
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(peer.recv(&mut [0; 10]).unwrap(), 5);
        Self { driver, peer, arrived: Arc::default() }
    }
}

/// Calls `send` for each datagram, as fast as they arrive.
fn at_the_pace_of(arrived: &AtomicU64, mut send: impl FnMut()) {
    let mut given_up = 0;
    for sent in 0..DATAGRAMS {
        let mut seen = (arrived.load(Ordering::Acquire), Clock::now());
        while sent - given_up - seen.0 >= WINDOW {
            let now = arrived.load(Ordering::Acquire);
            if now > seen.0 {
                seen = (now, Clock::now());
            } else if seen.1.elapsed() > PATIENCE {
                given_up = sent - seen.0;
            } else {
                std::thread::yield_now();
            }
        }
        send();
    }
}

fn to_the_peer(relay: Relay) -> u64 {
    let Relay { mut driver, peer, arrived } = relay;
    let at = peer.local_addr().unwrap();
    let counted = Arc::clone(&arrived);
    let receiver = std::thread::spawn(move || {
        let mut buf = [0; 2000];
        while counted.load(Ordering::Relaxed) < DATAGRAMS
            && let Ok(len) = peer.recv(&mut buf)
        {
            assert_eq!(len, PAYLOAD.len());
            counted.fetch_add(1, Ordering::Release);
        }
    });
    at_the_pace_of(&arrived, || driver.send(at, &PAYLOAD).unwrap());
    receiver.join().unwrap();
    arrived.load(Ordering::Acquire)
}

fn to_the_client(relay: Relay) -> u64 {
    let Relay { mut driver, peer, arrived } = relay;
    let relayed = driver.client.relayed().unwrap();
    let counted = Arc::clone(&arrived);
    let sender = std::thread::spawn(move || {
        at_the_pace_of(&counted, || assert_eq!(peer.send_to(&PAYLOAD, relayed).unwrap(), PAYLOAD.len()));
    });
    let mut last = Clock::now();
    while arrived.load(Ordering::Relaxed) < DATAGRAMS && last.elapsed() < 2 * PATIENCE {
        driver.receive();
        let came = driver.data.drain(..).filter(|(_, data)| *data == PAYLOAD).count();
        if came > 0 {
            arrived.fetch_add(came as u64, Ordering::Release);
            last = Clock::now();
        }
    }
    sender.join().unwrap();
    arrived.load(Ordering::Acquire)
}
