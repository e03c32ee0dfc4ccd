//! The session while `str0m` runs: what it says, put into our terms.

use core::time::Duration;
use std::collections::VecDeque;

use str0m::RtcError;
use str0m::channel::{ChannelData, ChannelId as EngineId};
use str0m::net::DatagramSend;

use super::channel::{ChannelConfig, MessageKind};
use super::channels::{Channels, State};
use super::engine::{Engine, Refused, Step};
use super::event::{Event, Failure};
use super::inbox::Inbox;
use super::parameters::Remote;
use crate::Instant;

/// How many datagrams may wait for the caller. More are dropped, as by a socket that is full.
const MAX_OUTBOX: usize = 4096;

/// How long a handshake may go on after the first record in it that was an error.
///
/// Such a record may have been forged, so it does not end the handshake; but it may also have been the end
/// for `str0m`, which has no deadline of its own then.
const DOUBT: Duration = Duration::from_secs(30);

/// The least time between two timeouts.
const TICK: Duration = Duration::from_millis(1);

pub(super) struct Running {
    pub(super) engine: Engine,
    pub(super) remote: Remote,
    /// The largest message in bytes that is handed on.
    receive_limit: u32,
    /// Whether `str0m` may have more to say than was asked of it.
    pub(super) stale: bool,
    connected: bool,
    deadline: Option<Instant>,
    /// The first record of the handshake that was refused: when, and why the last one was.
    doubt: Option<(Instant, String)>,
}

/// How a session ends.
pub(super) enum End {
    Closed,
    Failed(Failure),
}

impl Running {
    pub(super) fn new(engine: Engine, remote: Remote, receive_limit: u32) -> Self {
        Self { engine, remote, receive_limit, stale: true, connected: false, deadline: None, doubt: None }
    }

    /// Hands in a datagram. An error says that it was refused, and whether that is the end.
    pub(super) fn receive(&mut self, datagram: &[u8], now: Instant) -> Result<(), Option<End>> {
        self.stale = true;
        let Err(error) = self.engine.receive(datagram, now) else { return Ok(()) };
        if self.connected {
            // What was refused is authentic now: an alert.
            return Err(Some(self.judge(&error)));
        }
        let first = self.doubt.take().map_or(now, |(first, _)| first);
        self.doubt = Some((first, error.to_string()));
        // `str0m` did not come to do what was due.
        Err(self.advance(now))
    }

    /// Moves time on and does what was due.
    pub(super) fn advance(&mut self, now: Instant) -> Option<End> {
        self.stale = true;
        if self.doubt_deadline().is_some_and(|deadline| deadline <= now) {
            return Some(End::Failed(self.handshake_failure()));
        }
        self.engine.advance(now).err().map(|error| self.judge(&error))
    }

    /// When time is to be moved on at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.doubt_deadline()).min()
    }

    /// Writes a whole message.
    pub(super) fn write(&mut self, channel: EngineId, kind: MessageKind, message: &[u8]) -> Result<(), Refused> {
        self.stale = true;
        self.engine.write(channel, kind == MessageKind::Text, message)
    }

    /// Polls `str0m` dry. An end leaves nothing to be polled.
    pub(super) fn drain(
        &mut self,
        channels: &mut Channels,
        inbox: &mut Inbox,
        outbox: &mut VecDeque<DatagramSend>,
    ) -> Option<End> {
        let mut closed = false;
        let mut overdue = false;
        while !inbox.is_full() {
            match self.engine.poll() {
                Ok(Step::Transmit(datagram)) => {
                    if outbox.len() < MAX_OUTBOX {
                        outbox.push_back(datagram);
                    }
                }
                Ok(Step::Event(str0m::Event::Closed)) => closed = true,
                Ok(Step::Event(event)) => {
                    if let Err(failure) = self.take_event(event, channels, inbox) {
                        return Some(End::Failed(failure));
                    }
                }
                Ok(Step::Idle(_)) | Err(_) if closed => return Some(End::Closed),
                Ok(Step::Idle(deadline)) => {
                    let now = self.engine.now();
                    if deadline.is_some_and(|deadline| deadline <= now) && !overdue {
                        overdue = true;
                        match self.advance(now) {
                            None => continue,
                            end => return end,
                        }
                    }
                    self.stale = false;
                    // Whatever `str0m` finds overdue again: it gets its turn, but not the whole processor.
                    self.deadline = deadline.map(|deadline| deadline.max(now + TICK));
                    return None;
                }
                Err(error) => return Some(self.judge(&error)),
            }
        }
        self.stale = true;
        None
    }

    fn take_event(&mut self, event: str0m::Event, channels: &mut Channels, inbox: &mut Inbox) -> Result<(), Failure> {
        match event {
            str0m::Event::Connected => {
                let presented = self.engine.remote_fingerprint();
                if !presented.as_ref().is_some_and(|presented| self.remote.is_announced(presented)) {
                    return Err(Failure::Fingerprint { presented });
                }
                self.connected = true;
                self.doubt = None;
                inbox.push(Event::Connected);
            }
            str0m::Event::ChannelOpen(engine_id, _) => self.take_open(engine_id, channels, inbox),
            str0m::Event::ChannelData(data) => self.take_message(data, channels, inbox),
            str0m::Event::ChannelBufferedAmountLow(engine_id) => match channels.by_engine_id(engine_id) {
                // `str0m` counts the announcement of the channel, too.
                Some(entry) if entry.state == State::Open && entry.used => {
                    entry.refused = None;
                    inbox.push(Event::BufferedAmountLow(entry.id));
                }
                Some(entry) if entry.state == State::Closing && self.engine.buffered_amount(engine_id) == 0 => {
                    self.engine.close_channel(engine_id);
                }
                _ => {}
            },
            str0m::Event::ChannelClose(engine_id) => {
                if let Some(id) = channels.by_engine_id(engine_id).map(|entry| entry.id) {
                    channels.remove(id);
                    inbox.push(Event::ChannelClosed(id));
                }
            }
            // Its ICE agent's states mean nothing, and there is no media.
            _ => {}
        }
        Ok(())
    }

    fn take_open(&mut self, engine_id: EngineId, channels: &mut Channels, inbox: &mut Inbox) {
        let Some(entry) = channels.by_engine_id(engine_id) else {
            let config = self.engine.channel_config(engine_id).map(ChannelConfig::from_engine);
            match config.and_then(|config| channels.accept(config, engine_id)) {
                Some(entry) => inbox.push(Event::DataChannel { channel: entry.id, config: entry.config.clone() }),
                None => self.engine.close_channel(engine_id),
            }
            return;
        };
        if entry.state == State::Closing {
            // It was asked to close before it had a stream that could be.
            return self.engine.close_channel(engine_id);
        }
        entry.state = State::Open;
        self.engine.set_buffered_amount_low_threshold(engine_id, entry.low_threshold);
        inbox.push(Event::ChannelOpen(entry.id));
        while let Some(message) = entry.early.pop() {
            if let Event::Message { data, .. } = &message {
                entry.unread.add(data.len());
            }
            inbox.push(message);
        }
    }

    fn take_message(&mut self, message: ChannelData, channels: &mut Channels, inbox: &mut Inbox) {
        let ChannelData { id: engine_id, binary, data } = message;
        let Some(entry) = channels.by_engine_id(engine_id).filter(|entry| entry.state != State::Closing) else {
            return;
        };
        let kind = if binary { MessageKind::Binary } else { MessageKind::Text };
        let fits = u32::try_from(data.len()).is_ok_and(|len| len <= self.receive_limit);
        if !fits || (kind == MessageKind::Text && core::str::from_utf8(&data).is_err()) {
            // The other side breaks RFC 8831 section 6.6. A gap in the channel would be worse than its end.
            // `str0m` refuses what is too long only above a limit of its own.
            entry.state = State::Closing;
            return self.engine.close_channel(engine_id);
        }
        let is_open = entry.state == State::Open;
        if !is_open && entry.early.is_full() {
            // It sends and sends, and does not say that it took the channel.
            entry.state = State::Closing;
            return self.engine.close_channel(engine_id);
        }
        let inbox = if is_open {
            entry.unread.add(data.len());
            inbox
        } else {
            &mut entry.early
        };
        inbox.push(Event::Message { channel: entry.id, kind, data });
    }

    /// The datagrams that tell the other side that we leave; none if there is no way to.
    pub(super) fn farewell(&mut self) -> Vec<Vec<u8>> {
        self.engine.say_farewell();
        let mut farewell = Vec::new();
        let mut errors = 0;
        // SCTP goes on for some steps after DTLS is closed under it, each of which is an error.
        while errors < 8 {
            match self.engine.poll() {
                Ok(Step::Transmit(datagram)) => farewell.push(datagram.to_vec()),
                Ok(Step::Event(_)) => {}
                Ok(Step::Idle(_)) => break,
                Err(_) => errors += 1,
            }
        }
        farewell
    }

    /// What an error of `str0m` means for the session.
    fn judge(&self, error: &RtcError) -> End {
        match error {
            _ if !self.connected => End::Failed(self.handshake_failure()),
            // The other side closed DTLS before SCTP was established, which cannot be shut down then.
            RtcError::Sctp(_) => End::Closed,
            error => End::Failed(Failure::Association(error.to_string())),
        }
    }

    fn handshake_failure(&self) -> Failure {
        Failure::Handshake { cause: self.doubt.as_ref().map(|(_, cause)| cause.clone()) }
    }

    fn doubt_deadline(&self) -> Option<Instant> {
        self.doubt.as_ref().map(|(first, _)| *first + DOUBT)
    }
}
