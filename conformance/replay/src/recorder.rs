//! Writes down what happens to a host of the virtual internet.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use frazil::{Instant, Path, Protocol};
use frazil_border::{Description, Event};
use frazil_internet::{Endpoint, StreamInput, StreamRequest};

use crate::player::{Outcome, Player};
use crate::{HEADING, hex};

/// One datagram in so many comes in a batch, behind one of a stranger's.
const IN_A_BATCH: u64 = 3;

/// A peer on a host, and the schedule of what was handed to it.
pub struct Recorder {
    player: Player,
    schedule: String,
    paths: BTreeMap<Path, u32>,
    datagrams: u64,
    to_send: VecDeque<(Path, Vec<u8>)>,
    said: VecDeque<Event>,
    deadline: Option<u64>,
    streams: Vec<Stream>,
    requests: VecDeque<StreamRequest>,
}

/// A stream that the peer has asked for.
struct Stream {
    number: u32,
    remote: SocketAddr,
    /// Its own end, once it is open.
    local: Option<SocketAddr>,
}

impl Recorder {
    /// A peer that is made as these lines say, the last of which is `new`.
    #[must_use]
    pub fn new(lines: &[String]) -> Self {
        let mut recorder = Self {
            player: Player::default(),
            schedule: format!("{HEADING}\n"),
            paths: BTreeMap::new(),
            datagrams: 0,
            to_send: VecDeque::new(),
            said: VecDeque::new(),
            deadline: None,
            streams: Vec::new(),
            requests: VecDeque::new(),
        };
        for line in lines {
            recorder.act(line);
        }
        recorder
    }

    /// What was recorded.
    #[must_use]
    pub fn schedule(&self) -> &str {
        &self.schedule
    }

    /// Does what `line` says, and writes down what comes of it.
    ///
    /// # Panics
    /// If the peer refuses it.
    pub fn act(&mut self, line: &str) -> Outcome {
        let mut outcome = self.player.act(line).unwrap_or_else(|why| panic!("{line}: {why}"));
        for line in std::iter::once(line).chain(outcome.lines.iter().map(String::as_str)) {
            self.schedule.push_str(line);
            self.schedule.push('\n');
        }
        // Calls that take no time give no deadline: it is as it was.
        if outcome.lines.last().is_some_and(|line| line.starts_with("> deadline")) {
            self.deadline = outcome.deadline;
        }
        for (number, bytes) in outcome.transmits.drain(..) {
            if !carries_dtls(&bytes) {
                let path = self.path(number);
                self.to_send.push_back((path, bytes));
            }
        }
        for event in &outcome.events {
            self.hear(event);
        }
        self.said.extend(outcome.events.drain(..));
        outcome
    }

    /// Sets a description of the side that `verb` names.
    pub fn describe(&mut self, verb: &str, description: &Description, now: Instant) {
        let Description { r#type, sdp } = description;
        self.act(&format!("{verb} {} {} {}", now.as_nanos(), r#type, hex::write(sdp.as_bytes())));
    }

    /// Hands in a candidate of the other side's.
    pub fn add_candidate(&mut self, mid: Option<&str>, ufrag: Option<&str>, candidate: &str, now: Instant) {
        let word = |word: Option<&str>| word.unwrap_or("-").to_owned();
        let candidate = hex::write(candidate.as_bytes());
        self.act(&format!("candidate {} {} {} {candidate}", now.as_nanos(), word(mid), word(ufrag)));
    }

    /// Does what the peer asks for.
    fn hear(&mut self, event: &Event) {
        let address = |ip: &str, port| SocketAddr::new(ip.parse().expect("the peer writes addresses"), port);
        match event {
            Event::OpenStream { path, local_ip, local_port, remote_ip, remote_port, .. } => {
                let (local, remote) = (address(local_ip, *local_port), address(remote_ip, *remote_port));
                self.streams.push(Stream { number: *path, remote, local: None });
                self.requests.push_back(StreamRequest::Connect { local, remote });
            }
            Event::CloseStream { path } => {
                if let Some(place) = self.streams.iter().position(|stream| stream.number == *path) {
                    let Stream { remote, local, .. } = self.streams.remove(place);
                    let close = local.map(|local| Path { protocol: Protocol::Tcp, local, remote });
                    self.requests.extend(close.map(StreamRequest::Close));
                }
            }
            _ => {}
        }
    }

    /// A path as the sockets have it.
    fn path(&self, number: u32) -> Path {
        let peer = self.player.peer().expect("who sends is there");
        let path = peer.path(number).ok().flatten().expect("a path that is sent over has a name");
        let address = |ip: &str, port| SocketAddr::new(ip.parse().expect("the peer writes addresses"), port);
        let local = self.streams.iter().find(|stream| stream.number == number).and_then(|stream| stream.local);
        Path {
            protocol: if path.protocol == "tcp" { Protocol::Tcp } else { Protocol::Udp },
            local: local.unwrap_or_else(|| address(&path.local_ip, path.local_port)),
            remote: address(&path.remote_ip, path.remote_port),
        }
    }

    fn number(&mut self, path: Path) -> u32 {
        let peer = self.player.peer().expect("who hears is there");
        if let Some(&number) = self.paths.get(&path)
            && peer.path(number).is_ok_and(|known| known.is_some())
        {
            return number;
        }
        let (local, remote) = (path.local, path.remote);
        let line = format!("path udp {} {} {} {}", local.ip(), local.port(), remote.ip(), remote.port());
        let number = self.act(&line).number.expect("a path has a number");
        self.paths.insert(path, number);
        number
    }

    fn stream(&self, path: Path) -> Option<usize> {
        let is_it =
            |stream: &Stream| stream.remote == path.remote && stream.local.is_none_or(|local| local == path.local);
        self.streams.iter().position(is_it)
    }
}

/// Whether it is DTLS (RFC 7983), by itself, in channel data, or in a Send indication (RFC 8656). The handshake is kept from the
/// other side.
fn carries_dtls(datagram: &[u8]) -> bool {
    match datagram {
        [20..=63, ..] | [0x40..=0x4f, _, _, _, 20..=63, ..] => true,
        [0x00, 0x16, ..] => sent_data(datagram).is_some_and(|data| matches!(data, [20..=63, ..])),
        _ => false,
    }
}

/// The DATA attribute of an indication.
fn sent_data(message: &[u8]) -> Option<&[u8]> {
    const DATA: [u8; 2] = [0x00, 0x13];
    let mut rest = message.get(20..)?;
    loop {
        let (header, after) = rest.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[..2] == DATA {
            return after.get(..len);
        }
        rest = after.get(len.next_multiple_of(4)..)?;
    }
}

impl Endpoint for Recorder {
    type Event = Event;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        self.datagrams += 1;
        let number = self.number(path);
        let (now, bytes) = (now.as_nanos(), hex::write(datagram));
        if !self.datagrams.is_multiple_of(IN_A_BATCH) {
            self.act(&format!("datagram {now} {number} {bytes}"));
            return;
        }
        let port = 1 + (self.datagrams % 500) as u16;
        let stranger = self.number(Path { remote: SocketAddr::new([192, 0, 2, 66].into(), port), ..path });
        // Each cut short by as much more.
        let junk = &datagram[..datagram.len().saturating_sub(self.datagrams as usize % datagram.len().max(1))];
        self.act(&format!("batch {now} {stranger}:{} {number}:{bytes}", hex::write(junk)));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.act(&format!("timeout {}", now.as_nanos()));
    }

    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        let now = now.as_nanos();
        let Some(place) = self.stream(path) else { return };
        let number = self.streams[place].number;
        match input {
            StreamInput::Opened => {
                self.streams[place].local = Some(path.local);
                self.act(&format!("opened {now} {number}"));
            }
            StreamInput::Data(bytes) if self.streams[place].local.is_some() => {
                self.act(&format!("stream {now} {number} {}", hex::write(bytes)));
            }
            StreamInput::Data(_) => {}
            StreamInput::Refused | StreamInput::Closed => {
                self.streams.remove(place);
                self.act(&format!("closed {now} {number}"));
            }
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let (path, bytes) = self.to_send.pop_front()?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Some((path, bytes.len()))
    }

    fn poll_stream(&mut self) -> Option<StreamRequest> {
        self.requests.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.said.pop_front()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.deadline.map(Instant::from_nanos)
    }
}
