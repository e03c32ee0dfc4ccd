//! The secured session: ties `str0m`, the channels and the queues together.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use str0m::crypto::CryptoProvider;
use str0m::net::DatagramSend;
use str0m::{RtcError, channel::ChannelData, channel::ChannelId as EngineId};

use super::certificate::{Certificate, Fingerprint};
use super::channel::{ChannelConfig, ChannelError, ChannelId, MessageKind, SendError};
use super::channels::{Channels, State};
use super::description::DtlsRole;
use super::dtls;
use super::early::Early;
use super::engine::{Engine, Parameters, Step};
use super::inbox::Inbox;
use super::plausible::is_plausible;
use super::randomness::Draws;
use super::sctp::EmptyMark;
use crate::Instant;
use crate::rng::{Rng, Seed};

/// The one SCTP port that `str0m` knows. Nobody uses another.
const SCTP_PORT: u16 = 5000;

/// The largest and the smallest datagram that `str0m` can be made to keep to.
const MTU: core::ops::RangeInclusive<usize> = str0m::DATAGRAM_MTU_TARGET_MIN..=str0m::DATAGRAM_MTU_TARGET_MAX;

/// How many datagrams may wait for the caller. More are dropped, as by a socket that is full.
const MAX_OUTBOX: usize = 4096;

/// Neither limit on messages may stand in the way of `str0m`'s own: an announcement of a channel (RFC 8832)
/// takes up to 1500 bytes, and an empty message some on its way through.
const LEAST_LIMIT: u32 = 1500;

/// How long a handshake may go on after the first record in it that was an error.
///
/// Such a record may have been forged, so it does not end the handshake; but it may also have been the end
/// for `str0m`, which has no deadline of its own then.
const DOUBT: Duration = Duration::from_secs(30);

/// The least time between two timeouts.
const TICK: Duration = Duration::from_millis(1);

/// When the farewell is repeated: nothing acknowledges it, and nothing else would tell the other side soon.
const FAREWELLS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(700)];

/// What a session is made with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Our certificate; a new one if `None`.
    pub(crate) certificate: Option<Certificate>,
    /// The largest message in bytes that may be received, for `a=max-message-size`.
    pub(crate) max_message_size: u32,
    /// The largest datagram in bytes that is sent, 576 to 1500.
    pub(crate) mtu: usize,
    /// How many channels there may be at a time, ours and the other side's together.
    pub(crate) max_channels: usize,
    /// How many bytes each channel buffers before it refuses a message. One message is always taken.
    pub(crate) send_buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            certificate: None,
            max_message_size: 256 * 1024,
            mtu: 1200,
            max_channels: 1024,
            send_buffer: 1024 * 1024,
        }
    }
}

/// The other side's parameters, from its session description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Remote {
    /// Ours, as offer and answer made it.
    pub(crate) dtls_role: DtlsRole,
    /// Its certificate must have one of these (`a=fingerprint`).
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// `a=sctp-port`; 5000 is the only one there is.
    pub(crate) sctp_port: u16,
    /// `a=max-message-size` in bytes: 0 says any, and 65536 if there is no such line (RFC 8841 section 6).
    pub(crate) max_message_size: u64,
}

/// What a session has to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// The other side has proven to be who its description says, and everything from here on is encrypted.
    Connected,
    /// A channel of ours is open.
    ChannelOpen(ChannelId),
    /// The other side opened a channel. It is open.
    DataChannel { channel: ChannelId, config: ChannelConfig },
    /// A message. Text is UTF-8.
    Message { channel: ChannelId, kind: MessageKind, data: Vec<u8> },
    /// The buffered amount fell to the threshold, or a message that was refused would fit by now.
    BufferedAmountLow(ChannelId),
    /// A channel is closed, by whomever. Its number names nothing any more.
    ChannelClosed(ChannelId),
    /// The other side has left. All channels are closed; the session is over.
    Closed,
    /// The session is over.
    Failed(Failure),
}

/// Why a session cannot be made.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The MTU is out of bounds.
    Mtu {
        /// The one that was asked for.
        mtu: usize,
        /// The smallest there may be.
        min: usize,
        /// The largest there may be.
        max: usize,
    },
    /// The private key of the certificate is not ECDSA on P-256 or P-384, in PKCS#8 or SEC 1 form.
    PrivateKey,
    /// The crypto provider could not make a certificate.
    NoCertificate,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mtu { mtu, min, max } => write!(f, "an MTU of {mtu} bytes is not within {min} and {max}"),
            Self::PrivateKey => write!(f, "the certificate's private key is not ECDSA on P-256 or P-384 in DER form"),
            Self::NoCertificate => write!(f, "the crypto provider could not make a certificate"),
        }
    }
}

impl std::error::Error for SetupError {}

/// Why the other side's parameters are refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The session runs already, with other parameters.
    Started,
    /// The session is closed or has failed.
    SessionOver,
    /// The SCTP port is not 5000.
    SctpPort(u16),
    /// There is no SHA-256 fingerprint.
    NoUsableFingerprint {
        /// The hash functions there are.
        hashes: Vec<String>,
    },
    /// A SHA-256 fingerprint has not 32 bytes.
    FingerprintLength(usize),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => write!(f, "the session runs already, with other parameters"),
            Self::SessionOver => write!(f, "the session is over"),
            Self::SctpPort(port) => write!(f, "SCTP port {port} is not {SCTP_PORT}"),
            Self::NoUsableFingerprint { hashes } if hashes.is_empty() => write!(f, "there is no fingerprint"),
            Self::NoUsableFingerprint { hashes } => {
                write!(f, "there is no sha-256 fingerprint, but {}", hashes.join(", "))
            }
            Self::FingerprintLength(len) => write!(f, "a sha-256 fingerprint has 32 bytes, not {len}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Why a session failed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The other side's certificate is not the one that its description announced: someone else may be in
    /// its place.
    Fingerprint {
        /// The one that was presented, if there was any.
        presented: Option<Fingerprint>,
    },
    /// The DTLS handshake came to no end.
    Handshake {
        /// What was wrong with the last record that was refused, if one was.
        cause: Option<String>,
    },
    /// The secured association broke down.
    Association(String),
    /// The session could not be started.
    Start(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint { presented: Some(presented) } => {
                write!(f, "the other side presented a certificate with the unexpected fingerprint {presented}")
            }
            Self::Fingerprint { presented: None } => write!(f, "the other side presented no certificate"),
            Self::Handshake { cause: Some(cause) } => write!(f, "the DTLS handshake did not complete: {cause}"),
            Self::Handshake { cause: None } => write!(f, "the DTLS handshake did not complete: no answer"),
            Self::Association(cause) => write!(f, "the secured association broke down: {cause}"),
            Self::Start(cause) => write!(f, "the session could not be started: {cause}"),
        }
    }
}

impl std::error::Error for Failure {}

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

struct Running {
    engine: Engine,
    remote: Remote,
    empty_mark: EmptyMark,
    connected: bool,
    deadline: Option<Instant>,
    /// `str0m` may have more to say than was asked of it.
    stale: bool,
    /// The first record of the handshake that was refused: when, and why the last one was.
    doubt: Option<(Instant, String)>,
}

/// How a session ends.
enum End {
    Closed,
    Failed(Failure),
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
            channels: Channels::new(config.max_channels),
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
        if !remote.fingerprints.iter().any(Fingerprint::is_sha256) {
            let hashes = remote.fingerprints.iter().map(|fingerprint| fingerprint.hash.clone()).collect();
            return Err(StartError::NoUsableFingerprint { hashes });
        }
        if let Some(broken) = remote.fingerprints.iter().find(|fingerprint| !fingerprint.is_whole()) {
            return Err(StartError::FingerprintLength(broken.bytes.len()));
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
            Stage::Running(running) => {
                let expired = running.doubt_deadline().is_some_and(|deadline| deadline <= now);
                if expired {
                    let failure = running.handshake_failure();
                    return self.end(End::Failed(failure));
                }
                match running.engine.advance(now) {
                    Ok(()) => self.drive(),
                    Err(error) => {
                        let end = running.judge(&error);
                        self.end(end);
                    }
                }
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

    /// The next event.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.refresh();
        self.inbox.pop()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Running(running) if running.stale && !self.inbox.is_full() => Some(running.engine.now()),
            Stage::Running(running) => earlier(running.deadline, running.doubt_deadline()),
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
            match running.engine.advance(now) {
                Ok(()) => running.stale = true,
                Err(error) => {
                    let end = running.judge(&error);
                    self.end(end);
                }
            }
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
        let entry = self.channels.get_mut(channel).ok_or(SendError::Closed(channel))?;
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
        if message == running.empty_mark {
            // It would be taken for an empty one. Nobody can know it who does not hold our private key.
            return Err(SendError::NotOpen(channel));
        }
        if now > running.engine.now()
            && let Err(error) = running.engine.advance(now)
        {
            let end = running.judge(&error);
            self.end(end);
            return Err(SendError::Closed(channel));
        }
        running.stale = true;
        entry.refused = None;
        entry.used = true;
        running.engine.write(engine_id, kind == MessageKind::Text, message).map_err(|_| SendError::NotOpen(channel))
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
                running.engine.close_channel(engine_id);
                match running.engine.advance(now) {
                    Ok(()) => running.stale = true,
                    Err(error) => {
                        let end = running.judge(&error);
                        self.end(end);
                    }
                }
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
        self.stage = match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Running(mut running) => {
                let _ = running.engine.advance(now);
                let farewell = running.farewell();
                self.outbox.extend(farewell.iter().map(|datagram| DatagramSend::from(datagram.clone())));
                if farewell.is_empty() { Stage::Over } else { Stage::Leaving { farewell, since: now, repeated: 0 } }
            }
            leaving @ Stage::Leaving { .. } => leaving,
            Stage::Waiting { .. } | Stage::Over => Stage::Over,
        };
    }

    /// Ends it without a word to the other side, which wants no session. [`Event::ChannelClosed`] follows for
    /// each channel, and no other event.
    pub(crate) fn abandon(&mut self) {
        self.stage = Stage::Over;
        self.channels.remove_all().for_each(|channel| self.inbox.push(Event::ChannelClosed(channel)));
    }

    /// Starts `str0m` if both are there, the other side's parameters and a path.
    fn begin(&mut self, now: Instant) {
        let Stage::Waiting { remote, path: true, early } = &mut self.stage else { return };
        let Some(remote) = remote.take() else { return };
        let early = early.take(now);
        let expected = remote.fingerprints.iter().find(|fingerprint| fingerprint.is_sha256());
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
            },
            now,
        );
        let mut running = match engine {
            Ok(engine) => Box::new(Running {
                empty_mark: dtls::empty_mark(&self.certificate.private_key),
                engine,
                remote,
                connected: false,
                deadline: None,
                stale: true,
                doubt: None,
            }),
            Err(error) => return self.end(End::Failed(Failure::Start(error.to_string()))),
        };
        // Negotiated ones first, so that no other channel is given their stream.
        for negotiated in [true, false] {
            for entry in self.channels.iter_mut().filter(|entry| entry.config.negotiated.is_some() == negotiated) {
                entry.engine_id = Some(running.engine.create_channel(entry.config.to_engine()));
            }
            if let Err(error) = running.engine.advance(now) {
                return self.end(End::Failed(Failure::Start(error.to_string())));
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
        running.stale = true;
        let Err(error) = running.engine.receive(datagram, now) else { return };
        self.rejected += 1;
        if running.connected {
            // What was refused is authentic now: an alert.
            let end = running.judge(&error);
            return self.end(end);
        }
        let first = running.doubt.take().map_or(now, |(first, _)| first);
        running.doubt = Some((first, error.to_string()));
        // `str0m` did not come to do what was due.
        if let Err(error) = running.engine.advance(now) {
            let end = running.judge(&error);
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

    fn end(&mut self, end: End) {
        if let Stage::Running(running) = &mut self.stage
            && let End::Failed(_) = &end
        {
            self.outbox.extend(running.farewell().into_iter().map(DatagramSend::from));
        }
        self.stage = Stage::Over;
        self.channels.remove_all().for_each(|channel| self.inbox.push(Event::ChannelClosed(channel)));
        self.inbox.push(match end {
            End::Closed => Event::Closed,
            End::Failed(failure) => Event::Failed(failure),
        });
    }
}

impl Running {
    /// Polls `str0m` dry. An end leaves nothing to be polled.
    fn drain(
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
                        match self.engine.advance(now) {
                            Ok(()) => continue,
                            Err(error) => return Some(self.judge(&error)),
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
            str0m::Event::ChannelBufferedAmountLow(engine_id) => {
                // `str0m` counts the announcement of the channel, too.
                if let Some(entry) = channels.by_engine_id(engine_id)
                    && entry.state == State::Open
                    && entry.used
                {
                    entry.refused = None;
                    inbox.push(Event::BufferedAmountLow(entry.id));
                }
            }
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
    }

    fn take_message(&mut self, message: ChannelData, channels: &mut Channels, inbox: &mut Inbox) {
        let ChannelData { id: engine_id, binary, data } = message;
        let Some(entry) = channels.by_engine_id(engine_id).filter(|entry| entry.state == State::Open) else { return };
        let kind = if binary { MessageKind::Binary } else { MessageKind::Text };
        if kind == MessageKind::Text && core::str::from_utf8(&data).is_err() {
            // The other side breaks RFC 8831 section 6.6. A gap in the channel would be worse than its end.
            entry.state = State::Closing;
            return self.engine.close_channel(engine_id);
        }
        inbox.push(Event::Message { channel: entry.id, kind, data });
    }

    /// The datagrams that tell the other side that we leave; none if there is no way to.
    fn farewell(&mut self) -> Vec<Vec<u8>> {
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

impl Remote {
    /// The largest message in bytes that may be sent.
    fn send_limit(&self) -> u32 {
        match self.max_message_size {
            0 => u32::MAX,
            max => u32::try_from(max).unwrap_or(u32::MAX),
        }
    }

    fn is_announced(&self, presented: &Fingerprint) -> bool {
        self.fingerprints.iter().any(|announced| announced.is_sha256() && announced.bytes == presented.bytes)
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
