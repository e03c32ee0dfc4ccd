//! `str0m` itself, behind the virtual other side, on our clock and with our randomness.

use core::time::Duration;
use std::sync::Arc;

use str0m::change::SdpOffer;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::crypto::CryptoProvider;
use str0m::crypto::dtls::DtlsVersion;
use str0m::net::DatagramSend;
use str0m::{Event, Input, Output, Rtc, RtcConfig, RtcError};

use super::certificate::Certificate;
use super::clock::Clock;
use super::description;
use super::randomness::Draws;
use super::sctp::EmptyMark;
use super::{dtls, virtual_ice};
use crate::Instant;
use crate::jsep::DtlsRole;
use crate::sdp::Fingerprint;

/// How late a driver may wake us before that counts as absence.
const LATE: Duration = Duration::from_secs(2);

/// What an [`Engine`] is made of.
pub(super) struct Parameters<'a> {
    pub(super) crypto: &'a Arc<CryptoProvider>,
    pub(super) certificate: &'a Certificate,
    pub(super) draws: Draws,
    pub(super) role: DtlsRole,
    /// The one to put into the description. It is not what decides: see [`Engine::remote_fingerprint`].
    pub(super) remote_fingerprint: &'a Fingerprint,
    /// The largest message in bytes that may be sent, and that may be received.
    pub(super) send_limit: u32,
    pub(super) receive_limit: u32,
    pub(super) mtu: usize,
    pub(super) dtls_1_3: bool,
}

/// One thing that `str0m` has to say.
#[expect(clippy::large_enum_variant, reason = "taken apart as soon as it is made; a box would cost an allocation")]
pub(super) enum Step {
    Transmit(DatagramSend),
    Event(Event),
    /// Nothing until an input or this moment.
    Idle(Option<Instant>),
}

/// The channel is not open, or about to close.
#[derive(Debug)]
pub(super) struct Refused;

pub(super) struct Engine {
    rtc: Rtc,
    clock: Clock,
    draws: Draws,
    mark: EmptyMark,
    /// Until when time counts, while an absence of the driver must not be held against the handshake.
    patience: Option<Instant>,
    handshaking: bool,
}

impl Engine {
    /// Starts DTLS and SCTP; the path must be there.
    pub(super) fn start(parameters: Parameters<'_>, now: Instant) -> Result<Self, RtcError> {
        let Parameters { crypto, certificate, mut draws, role, remote_fingerprint, .. } = parameters;
        let config = RtcConfig::new()
            .set_crypto_provider(crypto.clone())
            .set_dtls_cert(certificate.to_dtls())
            .set_dtls_version(if parameters.dtls_1_3 { DtlsVersion::Auto } else { DtlsVersion::Dtls12 })
            .set_local_ice_credentials(virtual_ice::local_credentials())
            // `Running` compares it, before anything is let through: here it would be one fingerprint, and the
            // other side would not be told.
            .set_fingerprint_verification(false)
            .set_sctp_max_message_size(parameters.receive_limit)
            // Ours is the limit that counts, per channel; theirs is over all channels.
            .set_sctp_max_buffered_amount(usize::MAX)
            .set_mtu(parameters.mtu..=parameters.mtu)
            .clear_codecs();
        let offer = SdpOffer::from_sdp_string(&description::offer(role, remote_fingerprint, parameters.send_limit))?;
        let check = draws.lend(|| virtual_ice::nominating_check(crypto));
        let clock = Clock::start(now);
        let at = clock.now();
        let rtc = draws.lend(|| {
            let mut rtc = config.build(at);
            rtc.direct_api().set_ice_lite(true);
            rtc.add_local_candidate(virtual_ice::local_candidate());
            rtc.sdp_api().accept_offer(offer)?;
            let check = virtual_ice::received(&check).expect("our own check is well-formed");
            rtc.handle_input(Input::Receive(at, check))?;
            Ok::<_, RtcError>(rtc)
        })?;
        let mark = dtls::empty_mark(&certificate.private_key);
        Ok(Self { rtc, clock, draws, mark, patience: None, handshaking: true })
    }

    /// Hands in a datagram. An error says that the datagram was refused, not that all is lost.
    pub(super) fn receive(&mut self, datagram: &[u8], now: Instant) -> Result<(), RtcError> {
        let Some(received) = virtual_ice::received(datagram) else { return Ok(()) };
        self.clock.advance(now, self.patience);
        let at = self.clock.now();
        self.draws.lend(|| self.rtc.handle_input(Input::Receive(at, received)))
    }

    /// Moves time on and does what was due.
    pub(super) fn advance(&mut self, now: Instant) -> Result<(), RtcError> {
        self.clock.advance(now, self.patience);
        let at = self.clock.now();
        self.draws.lend(|| self.rtc.handle_input(Input::Timeout(at)))
    }

    /// The caller's last reading of the clock.
    pub(super) fn now(&self) -> Instant {
        self.clock.callers_now()
    }

    /// To be called until it says [`Step::Idle`]. An error is the end.
    pub(super) fn poll(&mut self) -> Result<Step, RtcError> {
        loop {
            match self.draws.lend(|| self.rtc.poll_output())? {
                Output::Transmit(transmit) if virtual_ice::is_stun(&transmit.contents) => {}
                Output::Transmit(transmit) => return Ok(Step::Transmit(transmit.contents)),
                Output::Event(event) => {
                    self.handshaking &= !matches!(event, Event::Connected);
                    return Ok(Step::Event(event));
                }
                Output::Timeout(at) => {
                    let deadline = self.clock.to_callers(at);
                    self.patience = deadline.filter(|_| self.handshaking).map(|deadline| deadline + LATE);
                    return Ok(Step::Idle(deadline));
                }
            }
        }
    }

    /// Has the other side told, as far as there is a way to; what is to be sent comes out of [`Self::poll`].
    pub(super) fn say_farewell(&mut self) {
        let now = self.now();
        // It fails if the other side left already.
        let _ = self.receive(&dtls::farewell(&self.mark), now);
    }

    /// The fingerprint of the certificate that the other side has proven to hold, once connected.
    pub(super) fn remote_fingerprint(&mut self) -> Option<Fingerprint> {
        let api = self.rtc.direct_api();
        let fingerprint = api.remote_dtls_fingerprint()?;
        (fingerprint.hash_func == "sha-256").then_some(())?;
        Some(Fingerprint::sha256(fingerprint.bytes.as_slice().try_into().ok()?))
    }

    /// Whether a channel has the stream. `str0m` panics if it is negotiated for another one.
    pub(super) fn is_stream_in_use(&mut self, stream: u16) -> bool {
        self.rtc.direct_api().channel_id_by_sctp_stream_id(stream).is_some()
    }

    /// Creates a channel. If it is a negotiated one, no other channel may have the stream.
    ///
    /// [`Self::advance`] must follow: it gives out stream ids, and in the order of creation only if it
    /// does so after each one.
    pub(super) fn create_channel(&mut self, config: ChannelConfig) -> ChannelId {
        self.draws.lend(|| self.rtc.direct_api().create_data_channel(config))
    }

    /// What an open channel was made with.
    pub(super) fn channel_config(&mut self, id: ChannelId) -> Option<ChannelConfig> {
        self.rtc.channel(id)?.config().cloned()
    }

    /// Writes a whole message, or says why not.
    pub(super) fn write(&mut self, id: ChannelId, text: bool, message: &[u8]) -> Result<(), Refused> {
        let mark = self.mark;
        if message == mark {
            // It would be spelt as an empty one. Nobody can know it who does not hold our private key.
            return Err(Refused);
        }
        let message = if message.is_empty() { &mark } else { message };
        self.draws.lend(|| {
            let mut channel = self.rtc.channel(id).ok_or(Refused)?;
            match channel.write(!text, message) {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => Err(Refused),
            }
        })
    }

    /// Bytes written and not yet acknowledged; zero unless the channel is open.
    pub(super) fn buffered_amount(&mut self, id: ChannelId) -> usize {
        self.rtc.channel(id).map_or(0, |mut channel| channel.buffered_amount())
    }

    /// Has no effect unless the channel is open.
    pub(super) fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, bytes: usize) {
        if let Some(mut channel) = self.rtc.channel(id) {
            channel.set_buffered_amount_low_threshold(bytes);
        }
    }

    pub(super) fn close_channel(&mut self, id: ChannelId) {
        self.draws.lend(|| self.rtc.direct_api().close_data_channel(id));
    }
}
