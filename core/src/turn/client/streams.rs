//! TCP allocations (RFC 6062): streams to peers and from them.

use core::time::Duration;
use std::net::SocketAddr;

use super::{Client, Event};
use crate::Instant;
use crate::stun::{AttributeType, Class, Message};
use crate::turn::frames::{Frames, is_channel_data};
use crate::turn::request::{Purpose, address_in};
use crate::turn::streams::{ConnectionId, State};
use crate::turn::{DataStream, Failure, Relay, SendError};

/// For so long a server keeps a connection that no stream was joined with, at least (RFC 6062 sections 5.2 and 5.3).
const OFFER: Duration = Duration::from_secs(30);

/// What was written into the caller's buffer and wants to be sent into a data stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataTransmit {
    /// Into which one.
    pub stream: DataStream,
    /// How many bytes of the buffer it takes.
    pub len: usize,
}

impl Client {
    /// Has the server connect to a peer from the relayed address (RFC 6062 section 4.3). When it has, comes
    /// [`Event::OpenDataStream`].
    ///
    /// # Errors
    /// Says why it cannot be asked for.
    pub fn connect(&mut self, peer: SocketAddr, now: Instant) -> Result<DataStream, SendError> {
        let now = self.timeline.advance(now);
        self.check_peer(peer.ip())?;
        if self.config.relay != Relay::Tcp {
            return Err(SendError::OfDatagrams);
        }
        if peer.port() == 0 {
            return Err(SendError::Peer(peer));
        }
        if self.is_unwelcome {
            return Err(SendError::NoCredentials);
        }
        if self.streams.has_peer(peer) {
            return Err(SendError::Connected(peer));
        }
        let stream = self.streams.add(peer, State::Connecting).ok_or(SendError::Full)?;
        self.request_in_turn(Purpose::Connect(stream, peer), now);
        self.settle(now);
        Ok(stream)
    }

    /// Takes up the connection of a peer that [`Event::PeerConnected`] has told of: [`Event::OpenDataStream`] is next.
    /// Does nothing if the server has given it up meanwhile.
    pub fn accept(&mut self, stream: DataStream, now: Instant) {
        let now = self.timeline.advance(now);
        if let Some(State::Offered { id, .. }) = self.streams.get_mut(stream).map(|stream| &stream.state) {
            let id = *id;
            self.open_data_stream(stream, id, now);
        }
        self.settle(now);
    }

    /// The application is done with a data stream, or does not want it any more.
    pub fn close_data_stream(&mut self, stream: DataStream, now: Instant) {
        let now = self.timeline.advance(now);
        self.forget_data_stream(stream, true);
        self.settle(now);
    }

    /// The stream that [`Event::OpenDataStream`] has asked for is open.
    pub fn handle_data_stream_opened(&mut self, stream: DataStream, now: Instant) {
        let now = self.timeline.advance(now);
        if let Some(known) = self.streams.get_mut(stream)
            && let State::Opening { id, .. } = known.state
        {
            known.state = State::Binding(Default::default());
            self.request_in_turn(Purpose::Join(stream, id), now);
        }
        self.settle(now);
    }

    /// The stream that [`Event::OpenDataStream`] has asked for could not be opened, or is closed.
    pub fn handle_data_stream_closed(&mut self, stream: DataStream, now: Instant) {
        let now = self.timeline.advance(now);
        let failure = match self.streams.get_mut(stream).map(|stream| &stream.state) {
            Some(State::Opening { .. }) => Some(Failure::NotOpened),
            Some(State::Binding(_)) => Some(Failure::StreamClosed),
            _ => None,
        };
        self.forget_data_stream(stream, false);
        if let Some(failure) = failure {
            self.events.push_back(Event::DataStreamFailed(stream, failure));
        }
        self.settle(now);
    }

    /// Bytes have arrived in a data stream, in any pieces. Gives what of them comes from the peer, in place: nothing
    /// before [`Event::DataStreamReady`], and all after it.
    pub fn handle_data_stream_data<'d>(&mut self, stream: DataStream, bytes: &'d [u8], now: Instant) -> &'d [u8] {
        let now = self.timeline.advance(now);
        let mut rest = bytes;
        loop {
            let frames = match self.streams.get_mut(stream).map(|stream| &mut stream.state) {
                Some(State::Bound) => return rest,
                Some(State::Binding(frames)) => frames,
                // Nobody has asked for it, or does any more.
                _ => return &[],
            };
            let mut frames = core::mem::take(frames);
            match frames.advance(rest) {
                Ok((taken, Some(frame))) if !is_channel_data(frame) => {
                    rest = &rest[taken..];
                    match self.read_message(frame) {
                        Some(answer) if matches!(answer.class(), Class::Success | Class::Error) => {
                            self.handle_answer(&answer, Some(stream), now);
                        }
                        Some(_) => self.counters.unexpected += 1,
                        None => {}
                    }
                }
                Ok((_, None)) => {
                    self.keep_frames(stream, frames);
                    return &[];
                }
                Ok(_) | Err(_) => {
                    self.counters.malformed += 1;
                    self.data_stream_failed(stream, Failure::Garbage);
                }
            }
            self.settle(now);
        }
    }

    /// Writes what is to be sent next into a data stream by the client itself, into `buf`, which should have
    /// [`MIN_BUFFER`](Self::MIN_BUFFER) bytes. There is nothing any more once [`Event::DataStreamReady`] has come: what
    /// the driver writes then goes to the peer as it is.
    pub fn poll_data_transmit(&mut self, buf: &mut [u8]) -> Option<DataTransmit> {
        while let Some(id) = self.streams.outbox.pop_front() {
            let Some(transaction) = self.transactions.get(&id) else { continue };
            let Some(stream) = transaction.purpose.stream() else { continue };
            match super::copy(&transaction.bytes, buf) {
                Some(len) => return Some(DataTransmit { stream, len }),
                None => self.counters.oversized += 1,
            }
        }
        None
    }

    /// The server has connected to the peer.
    pub(super) fn connected(&mut self, stream: DataStream, answer: &Message<'_>, now: Instant) {
        match connection_id_in(answer) {
            Some(id) => self.open_data_stream(stream, id, now),
            None => self.data_stream_failed(stream, Failure::Malformed),
        }
    }

    /// The server has joined stream and peer.
    pub(super) fn joined(&mut self, stream: DataStream) {
        if let Some(known) = self.streams.get_mut(stream) {
            known.state = State::Bound;
            self.events.push_back(Event::DataStreamReady(stream));
        }
    }

    /// A ConnectionAttempt indication: a peer has connected to the relayed address (RFC 6062 section 4.4).
    pub(super) fn handle_connection_attempt(&mut self, message: &Message<'_>, now: Instant) {
        let peer = address_in(message, AttributeType::XOR_PEER_ADDRESS);
        let (Some(peer), Some(id)) = (peer, connection_id_in(message)) else {
            self.counters.malformed += 1;
            return;
        };
        if !self.peers.is_permitted(peer.ip(), now) {
            self.counters.unpermitted += 1;
            return;
        }
        match self.streams.add(peer, State::Offered { id, until: now + OFFER }) {
            Some(stream) => self.events.push_back(Event::PeerConnected { stream, peer }),
            None => self.counters.dropped += 1,
        }
    }

    pub(super) fn data_stream_failed(&mut self, stream: DataStream, failure: Failure) {
        if self.forget_data_stream(stream, true) {
            self.events.push_back(Event::DataStreamFailed(stream, failure));
        }
    }

    /// Ends what has waited for too long.
    pub(super) fn tend_data_streams(&mut self, now: Instant) {
        while let Some(stream) = self.streams.overdue(now) {
            self.data_stream_failed(stream, Failure::NotOpened);
        }
    }

    pub(super) fn close_data_streams(&mut self) {
        self.events.extend(self.streams.take_open().map(Event::CloseDataStream));
    }

    fn open_data_stream(&mut self, stream: DataStream, id: ConnectionId, now: Instant) {
        if let Some(known) = self.streams.get_mut(stream) {
            known.state = State::Opening { id, until: now + self.config.stream_patience };
            let (server, domain) = (self.server, self.domain.clone());
            self.events.push_back(Event::OpenDataStream { stream, server, domain });
        }
    }

    /// Forgets a stream, and what was asked for its sake. Says whether there was one.
    fn forget_data_stream(&mut self, stream: DataStream, is_ours_to_close: bool) -> bool {
        let Some(known) = self.streams.remove(stream) else { return false };
        self.transactions.retain(|_, transaction| transaction.purpose.stream() != Some(stream));
        self.queue.retain(|purpose| purpose.stream() != Some(stream));
        if is_ours_to_close && known.state.has_stream() {
            self.events.push_back(Event::CloseDataStream(stream));
        }
        true
    }

    fn keep_frames(&mut self, stream: DataStream, kept: Frames) {
        if let Some(State::Binding(frames)) = self.streams.get_mut(stream).map(|stream| &mut stream.state) {
            *frames = kept;
        }
    }
}

fn connection_id_in(message: &Message<'_>) -> Option<ConnectionId> {
    message.get(AttributeType::CONNECTION_ID)?.try_into().ok().map(ConnectionId)
}
