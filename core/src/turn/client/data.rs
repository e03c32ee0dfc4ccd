//! Data to peers and from them.

use core::fmt;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::{Client, Outgoing, Transmit};
use crate::Instant;
use crate::stun::{AttributeType, BufferTooSmall, Class, Message, Method, TransactionId};
use crate::turn::Relay;
use crate::turn::frames::{
    CHANNEL_HEADER_LEN, Frames, Garbage, is_channel_data, read_channel_data, write_channel_data,
};
use crate::turn::peers::Way;
use crate::turn::request::{Purpose, address_in, indication_header_len, write_send_indication};

/// Data that a peer has sent to the relayed address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerData<'a> {
    /// Who.
    pub peer: SocketAddr,
    /// What, in place.
    pub data: &'a [u8],
}

/// What became of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It is in the buffer and wants to be sent.
    Now(Transmit),
    /// It waits for the server to permit the peer, and then comes out of [`Client::poll_transmit`].
    Later,
}

/// Why a datagram cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// There is no allocation, or none yet, or none any more.
    NotAllocated,
    /// There is no relayed address of this peer's family.
    Family(IpAddr),
    /// The server does not let this peer be reached.
    Refused(IpAddr),
    /// No address of one host, or port 0.
    Peer(SocketAddr),
    /// It has this many bytes, more than a datagram can carry.
    TooLong(usize),
    /// The allocation relays streams: see [`Client::connect`].
    OfStreams,
    /// The allocation relays datagrams: see [`Client::send`].
    OfDatagrams,
    /// There is a connection to this peer already, or soon will be.
    Connected(SocketAddr),
    /// There are too many peers, or too much waits for permissions already.
    Full,
    /// The server does not take the credentials, and the peer is not permitted yet.
    NoCredentials,
    /// The buffer is too small.
    Buffer(BufferTooSmall),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllocated => f.write_str("there is no allocation"),
            Self::Family(peer) => write!(f, "there is no relayed address of the family of {peer}"),
            Self::Refused(peer) => write!(f, "the server does not let {peer} be reached"),
            Self::Peer(peer) => write!(f, "no peer can be at {peer}"),
            Self::TooLong(len) => write!(f, "{len} bytes are more than a datagram can carry"),
            Self::OfStreams => f.write_str("the allocation relays streams, not datagrams"),
            Self::OfDatagrams => f.write_str("the allocation relays datagrams, not streams"),
            Self::Connected(peer) => write!(f, "there is a connection to {peer} already"),
            Self::Full => f.write_str("there are too many peers, or too much waits for permissions"),
            Self::NoCredentials => f.write_str("the server does not take the credentials"),
            Self::Buffer(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}

/// Datagrams that wait for permissions, in the order in which they came.
#[derive(Default, Debug)]
pub(super) struct Held {
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    bytes: usize,
}

impl Held {
    const MAX_BYTES: usize = 64 * 1024;
    const MAX_DATAGRAMS: usize = 64;

    fn has_room(&self, len: usize) -> bool {
        self.bytes + len <= Self::MAX_BYTES && self.datagrams.len() < Self::MAX_DATAGRAMS
    }

    fn push(&mut self, peer: SocketAddr, datagram: &[u8]) {
        self.bytes += datagram.len();
        self.datagrams.push_back((peer, datagram.to_vec()));
    }

    /// Takes out what waits for this peer.
    pub(super) fn take(&mut self, peer: IpAddr) -> Vec<(SocketAddr, Vec<u8>)> {
        let all = core::mem::take(&mut self.datagrams);
        let (taken, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|(to, _)| to.ip() == peer);
        self.datagrams = kept.into();
        self.bytes -= taken.iter().map(|(_, datagram)| datagram.len()).sum::<usize>();
        taken
    }
}

/// How a datagram travels to the server.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// On this channel.
    Channel(u16),
    /// In a Send indication.
    Indication,
}

impl Form {
    /// How many bytes go before the datagram.
    fn header_len(self, peer: SocketAddr) -> usize {
        match self {
            Self::Channel(_) => CHANNEL_HEADER_LEN,
            Self::Indication => indication_header_len(peer),
        }
    }
}

impl Client {
    /// The longest datagram that can be relayed: what a Send indication to an IPv6 address has room for.
    const MAX_DATAGRAM: usize = 65_504;

    /// Sends a datagram from the relayed address to a peer, by way of the server.
    ///
    /// On a bound channel this writes 4 bytes and the datagram into `buf` and allocates nothing. Before that it is an
    /// indication of up to [`SEND_OVERHEAD`](Self::SEND_OVERHEAD) bytes more. What goes to a peer that is not permitted
    /// yet waits for the permission, up to 64 datagrams or 64 KiB in all.
    ///
    /// # Errors
    /// Says why it cannot be sent. Nothing is kept then.
    pub fn send(&mut self, peer: SocketAddr, data: &[u8], buf: &mut [u8], now: Instant) -> Result<Sent, SendError> {
        match self.begin_sending(peer, data.len(), now)? {
            None => {
                self.held.push(peer, data);
                Ok(Sent::Later)
            }
            Some(form) => {
                let start = form.header_len(peer);
                if let Some(room) = buf.get_mut(start..).and_then(|buf| buf.get_mut(..data.len())) {
                    room.copy_from_slice(data);
                }
                self.end_sending(form, peer, buf, data.len())
            }
        }
    }

    /// How many bytes go before a datagram to this peer now: 4 on a bound channel, 36 (48 for IPv6) in an indication. 0
    /// where it cannot go, or not yet.
    #[must_use]
    pub fn headroom(&self, peer: SocketAddr, now: Instant) -> usize {
        let now = { self.timeline }.advance(now);
        let way = self.check_peer(peer.ip()).map(|()| self.peers.way_to(peer, now));
        match way {
            _ if self.config.relay == Relay::Tcp => 0,
            Ok(Way::Channel(number)) => Form::Channel(number).header_len(peer),
            Ok(Way::Indication) => Form::Indication.header_len(peer),
            _ => 0,
        }
    }

    /// Like [`send`](Self::send), of `len` bytes that are in the buffer already, `headroom` bytes into it. What is to
    /// be sent is `buf[..transmit.len]` afterwards, and up to [`TAILROOM`](Self::TAILROOM) bytes longer than headroom
    /// and datagram.
    ///
    /// With what [`headroom`](Self::headroom) has just said, nothing is copied. With any other the datagram is moved to
    /// where it must be.
    ///
    /// # Errors
    /// Says why it cannot be sent. Nothing is kept then.
    pub fn send_in_place(
        &mut self,
        peer: SocketAddr,
        buf: &mut [u8],
        headroom: usize,
        len: usize,
        now: Instant,
    ) -> Result<Sent, SendError> {
        let Some(data) = buf.get(headroom..).and_then(|buf| buf.get(..len)) else {
            let needed = headroom.saturating_add(len);
            return Err(SendError::Buffer(BufferTooSmall { needed, room: buf.len() }));
        };
        match self.begin_sending(peer, len, now)? {
            None => {
                self.held.push(peer, data);
                Ok(Sent::Later)
            }
            Some(form) => {
                let start = form.header_len(peer);
                if start != headroom && start + len <= buf.len() {
                    buf.copy_within(headroom..headroom + len, start);
                }
                self.end_sending(form, peer, buf, len)
            }
        }
    }

    /// Finds out in what form a datagram goes to a peer now; none where it has to wait.
    fn begin_sending(&mut self, peer: SocketAddr, len: usize, now: Instant) -> Result<Option<Form>, SendError> {
        let now = self.timeline.advance(now);
        self.check_peer(peer.ip())?;
        if self.config.relay == Relay::Tcp {
            return Err(SendError::OfStreams);
        }
        if peer.port() == 0 {
            return Err(SendError::Peer(peer));
        }
        if len > Self::MAX_DATAGRAM {
            return Err(SendError::TooLong(len));
        }
        match self.peers.use_way_to(peer, now) {
            Way::Channel(number) => Ok(Some(Form::Channel(number))),
            Way::Indication => {
                self.count_towards_channel(peer, now);
                Ok(Some(Form::Indication))
            }
            Way::Waiting if self.held.has_room(len) => Ok(None),
            Way::Unknown if self.is_unwelcome => Err(SendError::NoCredentials),
            Way::Unknown if self.held.has_room(len) => {
                self.ask_permission(peer.ip(), now);
                Ok(None)
            }
            Way::Waiting | Way::Unknown | Way::Full => Err(SendError::Full),
            Way::Refused => Err(SendError::Refused(peer.ip())),
        }
    }

    /// Writes what goes around the datagram, which is where it must be, or the buffer is too small.
    fn end_sending(&mut self, form: Form, peer: SocketAddr, buf: &mut [u8], len: usize) -> Result<Sent, SendError> {
        let written = match form {
            Form::Channel(number) => write_channel_data(buf, number, len, self.config.transport.is_stream()),
            Form::Indication => write_send_indication(buf, TransactionId(self.rng.array()), peer, len),
        };
        let len = written.map_err(SendError::Buffer)?;
        self.sent_at = self.timeline.now();
        Ok(Sent::Now(Transmit { to: self.server, len }))
    }

    /// Has the server permit a peer, before anything is sent to it: ICE does so for each remote candidate. Lasts five
    /// minutes, and on while data goes to the peer or comes from it. On a TCP allocation it lets the peer connect, and
    /// lasts as long as it is called again within that time.
    ///
    /// # Errors
    /// Says why it cannot be asked for.
    pub fn permit(&mut self, peer: IpAddr, now: Instant) -> Result<(), SendError> {
        let now = self.timeline.advance(now);
        self.check_peer(peer)?;
        match self.peers.permit(peer, now) {
            Way::Unknown if self.is_unwelcome => Err(SendError::NoCredentials),
            Way::Unknown => {
                self.ask_permission(peer, now);
                Ok(())
            }
            Way::Refused => Err(SendError::Refused(peer)),
            Way::Full => Err(SendError::Full),
            Way::Channel(_) | Way::Indication | Way::Waiting => Ok(()),
        }
    }

    /// Whether data to this peer goes on a bound channel now.
    #[must_use]
    pub fn has_channel(&self, peer: SocketAddr) -> bool {
        self.peers.has_channel(peer, self.timeline.now())
    }

    /// A datagram has arrived where the driver sends from. Gives what a peer has sent, in place.
    pub fn handle_datagram<'d>(&mut self, from: SocketAddr, datagram: &'d [u8], now: Instant) -> Option<PeerData<'d>> {
        let now = self.timeline.advance(now);
        if from != self.server || self.config.transport.is_stream() {
            self.counters.wrong_source += 1;
            return None;
        }
        if self.is_over() {
            self.counters.unmatched += 1;
            return None;
        }
        self.handle_frame(datagram, now)
    }

    /// Bytes have arrived in the stream, in any pieces. Each datagram of a peer's that they complete is given to
    /// `deliver`.
    pub fn handle_stream_data(&mut self, bytes: &[u8], now: Instant, mut deliver: impl FnMut(PeerData<'_>)) {
        let now = self.timeline.advance(now);
        if !self.config.transport.is_stream() {
            self.counters.wrong_source += 1;
            return;
        }
        let mut frames = core::mem::take(&mut self.frames);
        let mut rest = bytes;
        let mut is_only_data = true;
        let outcome = loop {
            // After a redirection, what is left is the old server's.
            if !self.has_stream() {
                break Ok(Frames::default());
            }
            match frames.advance(rest) {
                Ok((taken, Some(frame))) => {
                    match self.handle_frame(frame, now) {
                        Some(data) => deliver(data),
                        None => is_only_data = false,
                    }
                    rest = &rest[taken..];
                }
                Ok((_, None)) => break Ok(frames),
                Err(garbage) => break Err(garbage),
            }
        };
        match outcome {
            Ok(frames) => self.frames = frames,
            Err(Garbage) => {
                self.counters.malformed += 1;
                self.garbage();
                is_only_data = false;
            }
        }
        if !is_only_data {
            self.settle(now);
        }
    }

    pub(super) fn check_peer(&self, peer: IpAddr) -> Result<(), SendError> {
        let allocation = self.allocation().ok_or(SendError::NotAllocated)?;
        if !allocation.has_family_of(peer) {
            return Err(SendError::Family(peer));
        }
        if peer.is_unspecified() || peer.is_multicast() {
            return Err(SendError::Peer(SocketAddr::new(peer, 0)));
        }
        Ok(())
    }

    fn ask_permission(&mut self, peer: IpAddr, now: Instant) {
        self.peers.permission_asked(peer, now);
        self.request_in_turn(Purpose::Permit(peer), now);
        self.settle(now);
    }

    fn count_towards_channel(&mut self, peer: SocketAddr, now: Instant) {
        if let Some(after) = self.config.bind_after
            && !self.is_unwelcome
            && let Some(bind) = self.peers.count(peer, after, now)
        {
            self.request_in_turn(bind, now);
            self.settle(now);
        }
    }

    /// The peer is permitted: what has waited for that goes.
    pub(super) fn send_held(&mut self, peer: IpAddr) {
        for (peer, data) in self.held.take(peer) {
            let mut datagram = vec![0; data.len() + Self::SEND_OVERHEAD];
            datagram[indication_header_len(peer)..][..data.len()].copy_from_slice(&data);
            let id = TransactionId(self.rng.array());
            if let Ok(len) = write_send_indication(&mut datagram, id, peer, data.len()) {
                datagram.truncate(len);
                self.outbox.push_back(Outgoing::Data(datagram));
            }
        }
    }

    /// The peer is not permitted: what has waited for that is dropped.
    pub(super) fn drop_held(&mut self, peer: IpAddr) {
        self.counters.dropped += self.held.take(peer).len() as u64;
    }

    fn handle_frame<'d>(&mut self, frame: &'d [u8], now: Instant) -> Option<PeerData<'d>> {
        if is_channel_data(frame) {
            // None is bound where streams are relayed.
            let Some((number, data)) = read_channel_data(frame) else {
                self.counters.malformed += 1;
                return None;
            };
            let Some(peer) = self.peers.peer_on(number, now) else {
                self.counters.unbound += 1;
                return None;
            };
            self.heard_at = now;
            return Some(PeerData { peer, data });
        }
        let message = self.read_message(frame)?;
        match (message.class(), message.method(), self.config.relay) {
            (Class::Indication, ..) if message.not_understood().is_some() => self.counters.unexpected += 1,
            (Class::Success | Class::Error, ..) => self.handle_answer(&message, None, now),
            (Class::Indication, Method::DATA, Relay::Udp) => return self.handle_data(&message, now),
            (Class::Indication, Method::CONNECTION_ATTEMPT, Relay::Tcp) => {
                self.handle_connection_attempt(&message, now)
            }
            _ => self.counters.unexpected += 1,
        }
        None
    }

    /// Reads a message whose fingerprint is right or missing.
    pub(super) fn read_message<'d>(&mut self, frame: &'d [u8]) -> Option<Message<'d>> {
        let Ok(message) = Message::parse(frame) else {
            self.counters.malformed += 1;
            return None;
        };
        if message.has_fingerprint() && !message.has_valid_fingerprint() {
            self.counters.bad_fingerprint += 1;
            return None;
        }
        Some(message)
    }

    /// A Data indication (RFC 8656 section 11.4).
    fn handle_data<'d>(&mut self, message: &Message<'d>, now: Instant) -> Option<PeerData<'d>> {
        let peer = address_in(message, AttributeType::XOR_PEER_ADDRESS);
        let (Some(peer), Some(data)) = (peer, message.get(AttributeType::DATA)) else {
            match message.get(AttributeType::ICMP) {
                Some(_) => self.counters.icmp += 1,
                None => self.counters.malformed += 1,
            }
            return None;
        };
        if !self.peers.is_permitted(peer.ip(), now) {
            self.counters.unpermitted += 1;
            return None;
        }
        self.heard_at = now;
        Some(PeerData { peer, data })
    }
}
