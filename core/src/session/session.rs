//! The secured session: ties `str0m`, the channels and the queues together.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use str0m::crypto::CryptoProvider;
use str0m::net::DatagramSend;

use super::certificate::Certificate;
use super::channel::{ChannelConfig, ChannelError, ChannelId, MessageKind, SendError};
use super::channels::{Channels, State};
use super::dtls;
use super::early::Early;
use super::engine::{Engine, Parameters};
use super::event::{Event, Failure};
use super::inbox::Inbox;
use super::parameters::{Config, MTU, Remote, SCTP_PORT, SetupError, StartError};
use super::plausible::is_plausible;
use super::randomness::Draws;
use super::running::{End, Running};
use super::unread::{Level, Unread};
use crate::Instant;
use crate::rng::{Rng, Seed};
use crate::sdp::Fingerprint;

/// Neither limit on messages may stand in the way of `str0m`'s own: an announcement of a channel (RFC 8832)
/// takes up to 1500 bytes, and an empty message some on its way through.
const LEAST_LIMIT: u32 = 1500;

/// When the farewell is repeated: nothing acknowledges it, and nothing else would tell the other side soon.
const FAREWELLS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(700)];

/// DTLS, SCTP and the data channels with one other side.
///
/// After each call that takes the time, and after those on channels: drain [`Self::poll_transmit`], then
/// [`Self::poll_event`], then ask [`Self::poll_timeout`] anew.
pub(crate) struct Session {
    config: Config,
    crypto: Arc<CryptoProvider>,
    certificate: Certificate,
    fingerprint: Fingerprint,
    rng: Rng,
    stage: Stage,
    channels: Channels,
    inbox: Inbox,
    outbox: VecDeque<DatagramSend>,
    rejected: u64,
}

/// How far a session is.
enum Stage {
    /// For the other side's parameters and for a path, whichever comes first.
    Waiting {
        remote: Option<Remote>,
        path: bool,
        early: Early,
    },
    Running(Box<Running>),
    /// We left; the farewell is repeated a few times.
    Leaving {
        farewell: Vec<Vec<u8>>,
        since: Instant,
        repeated: usize,
    },
    Over,
}

impl Session {
    /// A session with a certificate, ready to be described. `seed` is this session's alone.
    pub(crate) fn new(config: Config, seed: Seed) -> Result<Self, SetupError> {
        if !MTU.contains(&config.mtu) {
            return Err(SetupError::Mtu { mtu: config.mtu, min: *MTU.start(), max: *MTU.end() });
        }
        let crypto = dtls::crypto();
        let certificate = match &config.certificate {
            Some(certificate) if certificate.is_usable() => certificate.clone(),
            Some(_) => return Err(SetupError::PrivateKey),
            None => Certificate::generate(&crypto).ok_or(SetupError::NoCertificate)?,
        };
        Ok(Self {
            fingerprint: certificate.fingerprint(&crypto),
            channels: Channels::new(config.max_channels, config.receive_buffer),
            config,
            crypto,
            certificate,
            rng: Rng::new(seed),
            stage: Stage::Waiting { remote: None, path: false, early: Early::default() },
            inbox: Inbox::default(),
            outbox: VecDeque::new(),
            rejected: 0,
        })
    }

    /// Of our certificate, for `a=fingerprint`.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Our certificate with its key, to be kept for another session.
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The largest message in bytes that is received, for `a=max-message-size`.
    pub(crate) fn max_message_size(&self) -> u32 {
        self.config.max_message_size
    }

    /// Datagrams that were handed in and refused, whatever was wrong with them.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Takes the other side's parameters. To say the same again changes nothing.
    pub(crate) fn start(&mut self, remote: Remote, now: Instant) -> Result<(), StartError> {
        if remote.sctp_port != SCTP_PORT {
            return Err(StartError::SctpPort(remote.sctp_port));
        }
        if !remote.fingerprints.iter().any(|fingerprint| fingerprint.as_sha256().is_some()) {
            let hashes = remote.fingerprints.iter().map(|fingerprint| fingerprint.function().to_owned()).collect();
            return Err(StartError::NoUsableFingerprint { hashes });
        }
        match &mut self.stage {
            Stage::Waiting { remote: known @ None, .. } => {
                *known = Some(remote);
                self.begin(now);
                Ok(())
            }
            Stage::Waiting { remote: Some(known), .. } if *known == remote => Ok(()),
            Stage::Running(running) if running.remote == remote => Ok(()),
            Stage::Waiting { .. } | Stage::Running(_) => Err(StartError::Started),
            Stage::Leaving { .. } | Stage::Over => Err(StartError::SessionOver),
        }
    }

    /// The agent has a path, so traffic may begin. To say it again changes nothing.
    pub(crate) fn handle_path(&mut self, now: Instant) {
        if let Stage::Waiting { path: path @ false, .. } = &mut self.stage {
            *path = true;
            self.begin(now);
        }
    }

    /// Takes a datagram of the other side, which came over a path that belongs to it.
    ///
    /// It may come before [`Self::handle_path`]; a few are kept until then. What is not DTLS is refused.
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        if !is_plausible(datagram) {
            self.rejected += 1;
            return;
        }
        match &mut self.stage {
            Stage::Waiting { early, .. } => early.keep(datagram, now),
            Stage::Running(_) => {
                self.receive(datagram, now);
                self.drive();
            }
            Stage::Leaving { .. } | Stage::Over => {}
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Running(_) => {
                self.advance(now);
                self.drive();
            }
            Stage::Leaving { farewell, since, repeated } => {
                while FAREWELLS.get(*repeated).is_some_and(|&after| *since + after <= now) {
                    *repeated += 1;
                    self.outbox.extend(farewell.iter().map(|datagram| DatagramSend::from(datagram.clone())));
                }
                if *repeated == FAREWELLS.len() {
                    self.stage = Stage::Over;
                }
            }
            Stage::Waiting { .. } | Stage::Over => {}
        }
    }

    /// Writes the next datagram to be sent into `buf`, which must hold as many bytes as the MTU, and says
    /// how long it is.
    pub(crate) fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<usize> {
        if self.outbox.is_empty() {
            self.refresh();
        }
        let datagram = self.outbox.pop_front()?;
        let target = buf.get_mut(..datagram.len()).expect("the buffer holds as many bytes as the MTU");
        target.copy_from_slice(&datagram);
        Some(datagram.len())
    }

    /// Whether so many events wait to be taken that what comes is refused.
    pub(crate) fn is_full(&self) -> bool {
        self.inbox.is_full()
    }

    /// How full the channel is of which the most is unread.
    pub(crate) fn level(&self) -> Level {
        self.channels.level()
    }

    /// So many bytes of the messages of a channel were read, an empty one being one byte.
    pub(crate) fn release(&mut self, channel: ChannelId, bytes: usize) {
        if let Some(entry) = self.channels.get_mut(channel) {
            entry.unread.release(bytes);
        }
    }

    /// The next event.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.refresh();
        self.inbox.pop()
    }

    /// When to call [`Self::handle_timeout`] at the latest. While too many events wait to be taken, nothing
    /// is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Running(running) if running.stale => (!self.inbox.is_full()).then(|| running.engine.now()),
            Stage::Running(running) => running.deadline(),
            Stage::Leaving { since, repeated, .. } => FAREWELLS.get(*repeated).map(|&after| *since + after),
            Stage::Waiting { .. } | Stage::Over => None,
        }
    }

    /// Creates a channel, which opens when the session is connected.
    pub(crate) fn create_data_channel(
        &mut self,
        config: ChannelConfig,
        now: Instant,
    ) -> Result<ChannelId, ChannelError> {
        match &mut self.stage {
            Stage::Leaving { .. } | Stage::Over => return Err(ChannelError::SessionOver),
            Stage::Waiting { .. } => {}
            Stage::Running(running) => {
                if let Some(stream) = config.negotiated.filter(|&stream| running.engine.is_stream_in_use(stream)) {
                    return Err(ChannelError::StreamInUse(stream));
                }
            }
        }
        let entry = self.channels.create(config)?;
        let id = entry.id;
        if let Stage::Running(running) = &mut self.stage {
            entry.engine_id = Some(running.engine.create_channel(entry.config.to_engine()));
            self.advance(now);
        }
        Ok(id)
    }

    /// Sends a message, or says why not. An empty message counts as one of 16 bytes where it is buffered.
    pub(crate) fn send(
        &mut self,
        channel: ChannelId,
        kind: MessageKind,
        message: &[u8],
        now: Instant,
    ) -> Result<(), SendError> {
        let entry = self.channels.get_mut(channel).filter(|entry| entry.state != State::Closing);
        let entry = entry.ok_or(SendError::Closed(channel))?;
        let (Stage::Running(running), State::Open, Some(engine_id)) = (&mut self.stage, entry.state, entry.engine_id)
        else {
            return Err(SendError::NotOpen(channel));
        };
        let max = running.remote.send_limit() as usize;
        if message.len() > max {
            return Err(SendError::TooLarge { len: message.len(), max });
        }
        if kind == MessageKind::Text {
            core::str::from_utf8(message).map_err(|error| SendError::NotUtf8 { valid_up_to: error.valid_up_to() })?;
        }
        let buffered = running.engine.buffered_amount(engine_id);
        if buffered > 0 && buffered + message.len() > self.config.send_buffer {
            entry.refused = Some(message.len());
            return Err(SendError::BufferFull { buffered, max: self.config.send_buffer });
        }
        if now > running.engine.now()
            && let Some(end) = running.advance(now)
        {
            self.end(end);
            return Err(SendError::Closed(channel));
        }
        entry.refused = None;
        entry.used = true;
        running.write(engine_id, kind, message).map_err(|_| SendError::NotOpen(channel))
    }

    /// Sends what [`Self::send`] would refuse.
    #[cfg(test)]
    pub(super) fn send_unchecked(&mut self, channel: ChannelId, kind: MessageKind, message: &[u8]) {
        let (Stage::Running(running), Some(entry)) = (&mut self.stage, self.channels.get(channel)) else { panic!() };
        running.write(entry.engine_id.unwrap(), kind, message).unwrap();
    }

    /// Bytes of a channel that are not acknowledged yet.
    pub(crate) fn buffered_amount(&mut self, channel: ChannelId) -> usize {
        match (&mut self.stage, self.channels.get(channel).and_then(|entry| entry.engine_id)) {
            (Stage::Running(running), Some(engine_id)) => running.engine.buffered_amount(engine_id),
            _ => 0,
        }
    }

    /// At which amount [`Event::BufferedAmountLow`] is due, on the way down. Zero at first.
    pub(crate) fn set_buffered_amount_low_threshold(&mut self, channel: ChannelId, bytes: usize) {
        let Some(entry) = self.channels.get_mut(channel) else { return };
        entry.low_threshold = bytes;
        if entry.state == State::Closing {
            // What is awaited now is that nothing is left: see `close_channel`.
            return;
        }
        if let (Stage::Running(running), Some(engine_id)) = (&mut self.stage, entry.engine_id) {
            running.engine.set_buffered_amount_low_threshold(engine_id, bytes);
            running.stale = true;
        }
    }

    /// Closes a channel once what was sent is delivered. [`Event::ChannelClosed`] follows on both sides.
    pub(crate) fn close_channel(&mut self, channel: ChannelId, now: Instant) {
        let Some(entry) = self.channels.get_mut(channel) else { return };
        match (&mut self.stage, entry.engine_id) {
            (Stage::Running(running), Some(engine_id)) => {
                entry.state = State::Closing;
                entry.unread = Unread::new(None);
                if running.engine.buffered_amount(engine_id) > 0 {
                    // What `str0m` has closed is gone for it, delivered or not. `Running` closes it when all is.
                    running.engine.set_buffered_amount_low_threshold(engine_id, 0);
                } else {
                    running.engine.close_channel(engine_id);
                }
                self.advance(now);
            }
            _ => {
                self.channels.remove(channel);
                self.inbox.push(Event::ChannelClosed(channel));
            }
        }
    }

    /// Leaves at once, whatever is still buffered. Drain [`Self::poll_transmit`] once more: the other side
    /// is told by SCTP ABORT and DTLS `close_notify`, if the handshake is over. There are no more events of
    /// what happens later.
    pub(crate) fn close(&mut self, now: Instant) {
        self.refresh();
        self.channels.remove_all().for_each(drop);
        match &mut self.stage {
            Stage::Running(running) => {
                let _ = running.advance(now);
                self.leave();
            }
            Stage::Waiting { .. } => self.stage = Stage::Over,
            Stage::Leaving { .. } | Stage::Over => {}
        }
    }

    /// Starts `str0m` if both are there, the other side's parameters and a path.
    fn begin(&mut self, now: Instant) {
        let Stage::Waiting { remote, path: true, early } = &mut self.stage else { return };
        let Some(remote) = remote.take() else { return };
        let early = early.take(now);
        let expected = remote.fingerprints.iter().find(|fingerprint| fingerprint.as_sha256().is_some());
        let engine = Engine::start(
            Parameters {
                crypto: &self.crypto,
                certificate: &self.certificate,
                draws: Draws::new(&mut self.rng),
                role: remote.dtls_role,
                remote_fingerprint: expected.expect("was asked for in `start`"),
                send_limit: remote.send_limit().max(LEAST_LIMIT),
                receive_limit: self.config.max_message_size.max(LEAST_LIMIT),
                mtu: self.config.mtu,
                dtls_1_3: self.config.dtls_1_3,
            },
            now,
        );
        let mut running = match engine {
            Ok(engine) => Box::new(Running::new(engine, remote, self.config.max_message_size)),
            Err(error) => return self.end(End::Failed(Failure::Start(error.to_string()))),
        };
        // Negotiated ones first, so that no other channel is given their stream.
        for negotiated in [true, false] {
            for entry in self.channels.iter_mut().filter(|entry| entry.config.negotiated.is_some() == negotiated) {
                entry.engine_id = Some(running.engine.create_channel(entry.config.to_engine()));
            }
            if let Some(end) = running.advance(now) {
                return self.end(end);
            }
        }
        self.stage = Stage::Running(running);
        self.drive();
        for datagram in early {
            self.receive(&datagram, now);
            self.drive();
        }
    }

    fn receive(&mut self, datagram: &[u8], now: Instant) {
        let Stage::Running(running) = &mut self.stage else { return };
        if self.inbox.is_full() {
            self.rejected += 1;
            return;
        }
        if let Err(end) = running.receive(datagram, now) {
            self.rejected += 1;
            if let Some(end) = end {
                self.end(end);
            }
        }
    }

    fn advance(&mut self, now: Instant) {
        if let Stage::Running(running) = &mut self.stage
            && let Some(end) = running.advance(now)
        {
            self.end(end);
        }
    }

    /// Asks `str0m` for more if it may have more, and there is room.
    fn refresh(&mut self) {
        if let Stage::Running(running) = &self.stage
            && running.stale
            && !self.inbox.is_full()
        {
            self.drive();
        }
    }

    /// Takes everything that `str0m` has to say, while there is room.
    fn drive(&mut self) {
        let Stage::Running(running) = &mut self.stage else { return };
        if let Some(end) = running.drain(&mut self.channels, &mut self.inbox, &mut self.outbox) {
            return self.end(end);
        }
        for entry in self.channels.iter_mut() {
            let (Some(len), Some(engine_id)) = (entry.refused, entry.engine_id) else { continue };
            let buffered = running.engine.buffered_amount(engine_id);
            if buffered == 0 || buffered + len <= self.config.send_buffer {
                entry.refused = None;
                self.inbox.push(Event::BufferedAmountLow(entry.id));
            }
        }
    }

    /// Ends it without a word to the other side, which wants no session. [`Event::ChannelClosed`] follows for
    /// each channel, and no other event.
    pub(crate) fn abandon(&mut self) {
        self.stage = Stage::Over;
        self.channels.remove_all().for_each(|channel| self.inbox.push(Event::ChannelClosed(channel)));
    }

    fn end(&mut self, end: End) {
        match &end {
            End::Closed => self.stage = Stage::Over,
            End::Failed(_) => self.leave(),
        }
        self.channels.remove_all().for_each(|channel| self.inbox.push(Event::ChannelClosed(channel)));
        self.inbox.push(match end {
            End::Closed => Event::Closed,
            End::Failed(failure) => Event::Failed(failure),
        });
    }

    /// Has the other side told, and goes.
    fn leave(&mut self) {
        let Stage::Running(mut running) = core::mem::replace(&mut self.stage, Stage::Over) else { return };
        let farewell = running.farewell();
        if !farewell.is_empty() {
            self.outbox.extend(farewell.iter().map(|datagram| DatagramSend::from(datagram.clone())));
            self.stage = Stage::Leaving { farewell, since: running.engine.now(), repeated: 0 };
        }
    }
}
