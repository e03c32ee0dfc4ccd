//! Two connected peers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use frazil::peer::{ChannelConfig, ChannelId, Config, ConnectionState, Event, MessageKind, Peer};
use frazil::{Instant, Path, PathId, Protocol};
use frazil_conformance::allocations;

use crate::counted;
use crate::str0m_alone::Alone;
use crate::talk::{Talk, Talker};

const MESSAGES: u32 = 5_000;

/// One of two peers, with the number of the path to the other one.
struct Side {
    peer: Peer,
    path: PathId,
    channel: Option<ChannelId>,
    is_open: bool,
}

fn address(side: u8) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(192, 0, 2, side + 1).into(), 4_000)
}

impl Side {
    fn new(side: u8, now: Instant) -> Self {
        let mut peer = Peer::new(Config::default(), [side + 1; 32], now).unwrap();
        peer.add_host_candidate(address(side), u16::MAX, now).unwrap();
        peer.end_of_candidates(now);
        let path = Path { protocol: Protocol::Udp, local: address(side), remote: address(1 - side) };
        Self { path: peer.path_id(path), peer, channel: None, is_open: false }
    }
}

impl Talker for Side {
    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        self.peer.handle_datagram(self.path, datagram, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let transmit = self.peer.poll_transmit(buffer)?;
        assert_eq!(transmit.path, self.path);
        Some(transmit.len)
    }

    fn poll_messages(&mut self) -> u32 {
        let mut messages = 0;
        while let Some(event) = self.peer.poll_event() {
            match event {
                Event::ChannelOpen(channel) | Event::DataChannel { channel, .. } => {
                    (self.channel, self.is_open) = (Some(channel), true);
                }
                Event::Message { .. } => messages += 1,
                _ => {}
            }
        }
        messages
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.peer.poll_timeout()
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn say(&mut self, message: &[u8], now: Instant) {
        let channel = self.channel.expect("it is open");
        self.peer.send(channel, MessageKind::Binary, message, now).unwrap();
    }
}

/// Two peers with an open channel, long after their handshake. The offerer is the DTLS server, so the other one
/// creates the channel, as in [`alone`].
fn connected() -> Talk<Side> {
    assert!(allocations::are_counted());
    let now = Instant::from_millis(1_000);
    let mut sides = [Side::new(0, now), Side::new(1, now)];
    let [a, b] = &mut sides;
    b.peer.create_data_channel(ChannelConfig::default(), now).unwrap();
    // Whoever offers needs a reason to.
    a.peer.create_data_channel(ChannelConfig { negotiated: Some(7), ..ChannelConfig::default() }, now).unwrap();
    let offer = a.peer.create_offer().unwrap();
    a.peer.set_local_description(&offer, now).unwrap();
    b.peer.set_remote_description(&offer, now).unwrap();
    let answer = b.peer.create_answer().unwrap();
    b.peer.set_local_description(&answer, now).unwrap();
    a.peer.set_remote_description(&answer, now).unwrap();
    let mut talk = Talk::new(sides, now);
    settle(&mut talk);
    assert!(talk.sides.iter().all(|side| side.peer.connection_state() == ConnectionState::Connected));
    talk
}

fn alone() -> Talk<Alone> {
    let now = Instant::from_millis(1_000);
    let mut talk = Talk::new([Alone::new(false, now), Alone::new(true, now)], now);
    settle(&mut talk);
    talk
}

/// Until everything has its size: queues, tables, windows.
fn settle<T: Talker>(talk: &mut Talk<T>) {
    talk.run(Duration::from_secs(10));
    assert!(talk.sides.iter().all(Talker::is_open));
    talk.talk(500);
    talk.run(Duration::from_secs(10));
    assert_eq!(talk.taken.messages, 1_000);
    talk.taken = Default::default();
}

#[test]
fn messages_take_what_they_take_without_frazil() {
    let mut peers = connected();
    let mut alone = alone();
    peers.talk(MESSAGES);
    alone.talk(MESSAGES);
    let each = |blocks| blocks as f64 / f64::from(2 * MESSAGES);
    println!("{} blocks per message, {} without frazil", each(peers.taken.blocks), each(alone.taken.blocks));
    assert_eq!([peers.taken.messages, alone.taken.messages], [2 * MESSAGES; 2]);
    assert!(peers.taken.blocks <= alone.taken.blocks, "{:?}, and without frazil {:?}", peers.taken, alone.taken);
    assert!(peers.taken.stun >= 2 * 2 * 8, "consent was kept meanwhile");
    assert_eq!(peers.taken.for_stun, 0);
}

#[test]
fn consent_takes_no_heap() {
    let mut talk = connected();
    talk.run(Duration::from_secs(300));
    assert!(talk.taken.stun >= 2 * 2 * 45, "consent was kept");
    assert_eq!((talk.taken.for_stun, talk.taken.blocks), (0, 0), "for what arrives, and for timers and what they send");
}

#[test]
fn what_is_refused_before_the_session_takes_no_heap() {
    let talk = connected();
    let (now, [side, _]) = (talk.now, talk.sides);
    let Side { mut peer, path, .. } = side;
    // As many as the table of paths remembers; a path that is new to it costs it a node now and then.
    let strangers: Vec<PathId> = (0..200)
        .map(|nth| {
            let remote = SocketAddr::new(Ipv4Addr::new(203, 0, 113, 9).into(), 10_000 + nth);
            peer.path_id(Path { protocol: Protocol::Udp, local: address(0), remote })
        })
        .collect();
    let mut stun = [0; 60];
    stun[..8].copy_from_slice(&[0, 1, 0, 40, 0x21, 0x12, 0xA4, 0x42]);
    let mut handshake = [0; 60];
    handshake[..13].copy_from_slice(&[22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200]);
    let before = (peer.counters(), peer.poll_timeout());
    let mut blocks = 0;
    for nth in 0..10_000 {
        let from_stranger = [[(nth % 256) as u8; 60], stun, handshake];
        // No DTLS record: each first byte but those of STUN, and a handshake record that is cut short.
        let on_the_path = [[4 + (nth % 16) as u8; 60], [64 + (nth % 192) as u8; 60], handshake, stun];
        let from = strangers[nth % strangers.len()];
        let datagrams = from_stranger.iter().map(|d| (from, d)).chain(on_the_path.iter().map(|d| (path, d)));
        for (path, datagram) in datagrams {
            counted(&mut blocks, || {
                peer.handle_datagram(path, datagram, now);
                assert_eq!(peer.poll_transmit(&mut [0; Peer::MIN_BUFFER]), None);
                assert_eq!(peer.poll_event(), None);
                peer.poll_timeout()
            });
        }
    }
    assert_eq!(blocks, 0);
    let (counters, timeout) = (peer.counters(), peer.poll_timeout());
    assert_eq!(timeout, before.1, "nothing of it wakes anybody");
    assert_eq!(counters.session_rejected - before.0.session_rejected, 30_000);
    assert!(counters.ice.unknown_source - before.0.ice.unknown_source >= 10_000);
}
