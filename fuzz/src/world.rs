//! Two peers that are connected, on a wire in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use frazil::peer::{Certificate, ChannelConfig, ChannelId, Config, Event, MessageKind, Peer};
use frazil::stun::{AttributeType, Class, IntegrityKey, Message, MessageWriter};
use frazil::{Instant, Path, Protocol};

const DELAY: Duration = Duration::from_millis(20);
/// What nobody is entitled to sign with.
pub(crate) const STRANGERS_PASSWORD: &[u8] = b"of-somebody-else-entirely";
/// How many of its last datagrams an eavesdropper on the wire remembers of each side.
const REMEMBERED: usize = 16;
/// More than this at one moment is a loop that feeds itself.
const MAX_AT_ONCE: usize = 10_000;

/// One side of the wire.
pub(crate) struct End {
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
    /// What it has sent to the other side, the latest last.
    pub(crate) sent: VecDeque<Vec<u8>>,
    /// Its last requests, the latest last.
    pub(crate) requests: VecDeque<Vec<u8>>,
    /// Whether it has ever chosen a path to somebody else than the other side.
    pub(crate) strayed: bool,
    channel: Option<ChannelId>,
    received: Vec<Vec<u8>>,
}

/// Both sides and what is under way between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) ends: [End; 2],
    /// What strangers answer checks with.
    pub(crate) strangers_key: IntegrityKey,
    under_way: BTreeMap<(Instant, u64), Datagram>,
    next_number: u64,
}

struct Datagram {
    to: usize,
    source: SocketAddr,
    bytes: Vec<u8>,
}

impl World {
    /// Two peers with an open channel. The first has offered, and controls.
    pub(crate) fn connected() -> Self {
        let now = Instant::from_millis(1_000);
        let end = |number: u8| End {
            peer: Peer::new(config(usize::from(number)), [number; 32], now).expect("the defaults are possible"),
            address: SocketAddr::from((Ipv4Addr::new(192, 0, 2, number), 4000)),
            sent: VecDeque::new(),
            requests: VecDeque::new(),
            strayed: false,
            channel: None,
            received: Vec::new(),
        };
        let mut world = Self {
            now,
            ends: [end(1), end(2)],
            strangers_key: IntegrityKey::new(STRANGERS_PASSWORD),
            under_way: BTreeMap::new(),
            next_number: 0,
        };
        world.negotiate();
        let connected = |world: &Self| world.ends.iter().all(|end| end.channel.is_some());
        world.run(Duration::from_secs(30), connected);
        assert!(connected(&world), "nothing disturbs them yet");
        world
    }

    fn negotiate(&mut self) {
        const EXPECTED: &str = "offer and answer of two peers of the same make";
        let now = self.now;
        for End { peer, address, .. } in &mut self.ends {
            peer.add_host_candidate(*address, u16::MAX, now).expect("a usable address");
            peer.end_of_candidates(now);
        }
        let [offerer, answerer] = &mut self.ends;
        let channel = ChannelConfig { label: "fuzz".to_owned(), ..ChannelConfig::default() };
        offerer.peer.create_data_channel(channel, now).expect("a plain channel");
        let offer = offerer.peer.create_offer().expect(EXPECTED);
        offerer.peer.set_local_description(&offer, now).expect(EXPECTED);
        answerer.peer.set_remote_description(&offer, now).expect(EXPECTED);
        let answer = answerer.peer.create_answer().expect(EXPECTED);
        answerer.peer.set_local_description(&answer, now).expect(EXPECTED);
        offerer.peer.set_remote_description(&answer, now).expect(EXPECTED);
        self.drain();
    }

    /// Lets time pass until `enough` says so or `longest` is over.
    pub(crate) fn run(&mut self, longest: Duration, enough: impl Fn(&Self) -> bool) {
        let end = self.now + longest;
        let mut at_once = 0;
        while !enough(self) {
            let arrival = self.under_way.first_key_value().map(|(&(at, _), _)| at);
            let timeouts = self.ends.iter().filter_map(|end| end.peer.poll_timeout());
            let Some(next) = arrival.into_iter().chain(timeouts).min().filter(|&next| next <= end) else { break };
            at_once = if next > self.now { 0 } else { at_once + 1 };
            assert!(at_once < MAX_AT_ONCE, "time stands still");
            self.now = self.now.max(next);

            while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let Datagram { to, source, bytes } = entry.remove();
                self.inject(to, source, &bytes);
            }
            for end in &mut self.ends {
                if end.peer.poll_timeout().is_some_and(|at| at <= self.now) {
                    end.peer.handle_timeout(self.now);
                }
            }
            self.drain();
        }
        if !enough(self) {
            self.now = self.now.max(end);
        }
    }

    /// Hands `datagram` to one side as if it came from `source`.
    pub(crate) fn inject(&mut self, to: usize, source: SocketAddr, datagram: &[u8]) {
        let End { peer, address, .. } = &mut self.ends[to];
        let path = peer.path_id(Path { protocol: Protocol::Udp, local: *address, remote: source });
        peer.handle_datagram(path, datagram, self.now);
        self.drain();
    }

    /// Whether each side sends its data to the other, and has done so all the time.
    pub(crate) fn keeps_to_its_path(&self) -> bool {
        let [first, second] = &self.ends;
        let selected = |end: &End| end.peer.selected_pair().map(|pair| pair.remote.address);
        [(first, second), (second, first)]
            .iter()
            .all(|(end, other)| !end.strayed && selected(end) == Some(other.address))
    }

    /// Sends a message from one side and says whether the other receives it, and nothing else.
    pub(crate) fn delivers(&mut self, from: usize, message: &[u8]) -> bool {
        let now = self.now;
        let End { peer, channel, .. } = &mut self.ends[from];
        let Some(channel) = *channel else { return false };
        if peer.send(channel, MessageKind::Binary, message, now).is_err() {
            return false;
        }
        self.drain();
        self.run(Duration::from_secs(60), |world| !world.ends[1 - from].received.is_empty());
        std::mem::take(&mut self.ends[1 - from].received) == [message]
    }

    /// Takes out everything that both sides have to say.
    fn drain(&mut self) {
        let mut buf = [0; Peer::MIN_BUFFER];
        let other = [self.ends[1].address, self.ends[0].address];
        for (number, end) in self.ends.iter_mut().enumerate() {
            let mut count = 0;
            while let Some(transmit) = end.peer.poll_transmit(&mut buf) {
                count += 1;
                assert!(count < MAX_AT_ONCE, "it never stops to send");
                let path = end.peer.path(transmit.path).expect("a path that it sends on is known");
                assert_eq!(path.local, end.address);
                let datagram = if path.remote == other[number] {
                    let bytes = buf[..transmit.len].to_vec();
                    remember(&mut end.sent, &bytes);
                    if is_request(&bytes) {
                        remember(&mut end.requests, &bytes);
                    }
                    Datagram { to: 1 - number, source: end.address, bytes }
                } else {
                    let answer = strangers_answer(&buf[..transmit.len], end.address, &self.strangers_key);
                    let Some(bytes) = answer else { continue };
                    Datagram { to: number, source: path.remote, bytes }
                };
                self.under_way.insert((self.now + DELAY, self.next_number), datagram);
                self.next_number += 1;
            }
            while let Some(event) = end.peer.poll_event() {
                count += 1;
                assert!(count < MAX_AT_ONCE, "it never stops to report");
                match event {
                    Event::ChannelOpen(channel) | Event::DataChannel { channel, .. } => end.channel = Some(channel),
                    Event::ChannelClosed(_) => end.channel = None,
                    Event::SelectedPairChange(pair) => end.strayed |= pair.remote.address != other[number],
                    Event::Message { data, .. } => end.received.push(data),
                    _ => {}
                }
            }
        }
    }
}

fn remember(memory: &mut VecDeque<Vec<u8>>, datagram: &[u8]) {
    if memory.len() == REMEMBERED {
        memory.pop_front();
    }
    memory.push_back(datagram.to_vec());
}

fn is_request(datagram: &[u8]) -> bool {
    Message::parse(datagram).is_ok_and(|message| message.class() == Class::Request)
}

/// Strangers answer every check, as well as they can, so that only integrity keeps them off.
fn strangers_answer(datagram: &[u8], mapped: SocketAddr, key: &IntegrityKey) -> Option<Vec<u8>> {
    let request = Message::parse(datagram).ok().filter(|message| message.class() == Class::Request)?;
    let mut buf = [0; 128];
    let mut writer = MessageWriter::new(&mut buf, Class::Success, request.method(), request.transaction_id());
    writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, mapped).integrity(key);
    let len = writer.finish_with_fingerprint().ok()?;
    Some(buf[..len].to_vec())
}

/// The defaults, with a certificate that is made once: thousands of connections a minute need no other.
fn config(number: usize) -> Config {
    static CERTIFICATES: [OnceLock<Certificate>; 3] = [const { OnceLock::new() }; 3];
    let certificate = CERTIFICATES[number].get_or_init(|| {
        let peer = Peer::new(Config::default(), [0; 32], Instant::ZERO).expect("the defaults are possible");
        peer.certificate().clone()
    });
    let mut config = Config::default();
    config.certificate = Some(certificate.clone());
    config
}
