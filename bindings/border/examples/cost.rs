//! What it costs to hand a datagram in and to take out what comes of it, in nanoseconds: by the core alone, and over the
//! border. The bindings have the same program in their languages; `cargo xtask border-cost` runs them all.
//!
//! The datagram has 1,200 bytes and comes from an address that has proven nothing, so that the core counts and drops it:
//! what is measured is the way in and out.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant as Clock;

use frazil::{Instant, Path, Protocol, ice, peer};
use frazil_border::{Config, HostSocket, Peer, batch};

const ROUNDS: usize = 30;
const CALLS: usize = 20_000;
const BATCH: usize = 16;

fn main() {
    let mut datagram = [0; 1200];
    datagram[0] = 23;
    let [alone, in_sixteen] = core(&datagram);
    println!(r#"{{"language": "core", "alone": {alone:.1}, "batch": {in_sixteen:.1}, "empty": 0.0}}"#);
    let [alone, in_sixteen, empty] = border(&datagram);
    println!(r#"{{"language": "rust", "alone": {alone:.1}, "batch": {in_sixteen:.1}, "empty": {empty:.1}}}"#);
}

/// `frazil` itself.
fn core(datagram: &[u8]) -> [f64; 2] {
    let mut core =
        peer::Peer::new(peer::Config::default(), [7; 32], Instant::ZERO).expect("a peer with defaults can be");
    let [local, remote]: [SocketAddr; 2] = [([192, 0, 2, 1], 4000).into(), ([192, 0, 2, 2], 4000).into()];
    core.handle_network_change(&[ice::HostSocket::new(local, Protocol::Udp)], Instant::ZERO);
    let path = core.path_id(Path { protocol: Protocol::Udp, local, remote });
    let mut buffer = [0; peer::Peer::MIN_BUFFER];
    let mut now = 0;
    let mut drain = |core: &mut peer::Peer| {
        while black_box(core.poll_transmit(&mut buffer)).is_some() {}
        while black_box(core.poll_event()).is_some() {}
        black_box(core.poll_timeout());
    };
    drain(&mut core);
    let alone = best(1, || {
        now += 1;
        core.handle_datagram(path, black_box(datagram), Instant::from_nanos(now));
        drain(&mut core);
    });
    let in_sixteen = best(BATCH, || {
        now += 1;
        for _ in 0..BATCH {
            core.handle_datagram(path, black_box(datagram), Instant::from_nanos(now));
        }
        drain(&mut core);
    });
    [alone, in_sixteen]
}

/// What the bindings call.
fn border(datagram: &[u8]) -> [f64; 3] {
    let peer = Peer::new(Config::default(), Vec::new(), None, &[7; 32], 0).expect("a peer with defaults can be");
    let socket = HostSocket {
        protocol: "udp".to_owned(),
        ip: "192.0.2.1".to_owned(),
        port: 4000,
        interface: "ethernet".to_owned(),
        ..HostSocket::default()
    };
    peer.handle_network_change(&[socket], 0).expect("the socket can be");
    let path = frazil_border::Path {
        protocol: "udp".to_owned(),
        local_ip: "192.0.2.1".to_owned(),
        local_port: 4000,
        remote_ip: "192.0.2.2".to_owned(),
        remote_port: 4000,
    };
    let path = peer.path_id(&path).expect("the path can be");
    let entry = [&path.to_le_bytes()[..], &(datagram.len() as u32).to_le_bytes(), datagram].concat();
    let sixteen = entry.repeat(BATCH);
    let mut buffer = vec![0; Peer::BATCH_BUFFER];
    let mut drain = || {
        while black_box(peer.poll_transmits(&mut buffer)).expect("the peer is open") > 0 {}
        while black_box(peer.poll_event()).expect("the peer is open").is_some() {}
        let _ = black_box(peer.poll_timeout());
    };
    drain();
    let mut now = 0;
    let alone = best(1, || {
        now += 1;
        let _ = black_box(peer.handle_datagram(path, black_box(datagram), now));
        drain();
    });
    let in_sixteen = best(BATCH, || {
        now += 1;
        let _ = black_box(peer.handle_datagrams(black_box(&sixteen), now));
        drain();
    });
    let empty = best(1, || {
        let _ = black_box(peer.poll_timeout());
    });
    assert_eq!(batch::MAX_ENTRIES, BATCH);
    [alone, in_sixteen, empty]
}

/// The least time that a call took on average in one of many rounds, for each of the `parts` that it has.
fn best(parts: usize, mut call: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let started = Clock::now();
        (0..CALLS / parts).for_each(|_| call());
        started.elapsed().as_nanos() as f64 / (CALLS / parts * parts) as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}
