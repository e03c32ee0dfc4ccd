//! What stands between `str0m`'s SCTP and its DTLS.
//!
//! `str0m` lets its user bring the DTLS implementation. Ours is its own with a hand on the plaintext, for
//! what cannot be reached otherwise:
//!
//! - An empty message written to `str0m` 0.25 is not sent, yet uses up a sequence number, so an ordered
//!   channel would stall for good. It is written as a mark instead, and spelt right here.
//! - `str0m`'s close sends DTLS `close_notify` alone, and nothing at all while SCTP is not established.
//!   Browsers say farewell with an SCTP ABORT and `close_notify`, and so do we; see [`farewell`].
//! - Some errors of a received record are no more than a lost record.
//! - Its handshake waits for a second before it repeats a flight, and gives up after four times.
//! - Its SCTP waits for three seconds; see [`super::hurry`].
//! - Its SCTP takes an INIT that comes late, as a repeated one may, for the end of the association.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};
use str0m::crypto::{CryptoError, CryptoProvider};

use super::hurry::Hurry;
use super::sctp::{self, Chunk, EmptyMark};

/// A first byte that demultiplexing takes for DTLS (RFC 7983) but that begins no record: DTLS 1.2 has no such
/// content type, and in DTLS 1.3 it says that a connection id follows, which is never agreed on here.
const CONTROL: u8 = 63;

/// When the first flight without an answer is repeated; each time after twice as long, give or take a
/// quarter. RFC 6347 section 4.2.4.1 asks for a second in general, and for less where delay hurts. The agent
/// has seen an answer over the path a moment ago.
const FIRST_REPETITION: Duration = Duration::from_millis(200);

/// How often a flight is repeated, whether for lack of an answer or since the other side repeats its own.
/// More often than there is time for: the deadline is what ends a handshake.
const REPETITIONS: usize = 16;

/// When a handshake has failed.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(60);

/// The provider of everything cryptographic.
pub(super) fn crypto() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { dtls_provider: &Provider, ..str0m::crypto::from_feature_flags() })
}

/// What an empty message is written as in a session with this private key.
pub(super) fn empty_mark(private_key: &[u8]) -> EmptyMark {
    let mut secret = b"frazil: empty message".to_vec();
    secret.extend_from_slice(private_key);
    let digest = str0m::crypto::from_feature_flags().sha256_provider.sha256(&secret);
    core::array::from_fn(|i| digest[i])
}

/// What is handed to `str0m` as if it were received, to have the other side told that we leave.
///
/// It cannot be forged: the mark is in it, and that is never on the wire.
pub(super) fn farewell(mark: &EmptyMark) -> Vec<u8> {
    let mut datagram = vec![CONTROL];
    datagram.extend_from_slice(mark);
    datagram
}

#[derive(Debug)]
struct Provider;

impl DtlsProvider for Provider {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        str0m::crypto::from_feature_flags().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let mut config = dimpl::Config::builder()
            .with_crypto_provider(str0m_aws_lc_rs::dimpl_crypto_provider())
            // ICE has shown that the other side is where it says to be.
            .use_server_cookie(false)
            .flight_start_rto(FIRST_REPETITION)
            .flight_retries(REPETITIONS)
            .handshake_timeout(HANDSHAKE_DEADLINE);
        if let Some(mtu) = mtu {
            config = config.mtu(mtu);
        }
        let config = Arc::new(config.build().map_err(CryptoError::DtlsImpl)?);
        let inner = match version {
            DtlsVersion::Dtls12 => dimpl::Dtls::new_12(config, certificate.clone(), now),
            DtlsVersion::Auto => dimpl::Dtls::new_auto(config, certificate.clone(), now),
            version => return Err(CryptoError::Other(format!("{version} was not asked for"))),
        };
        let mark = empty_mark(&certificate.private_key);
        Ok(Box::new(Instance {
            inner,
            now,
            mark,
            association: None,
            connected: false,
            established: false,
            hurry: Hurry::default(),
        }))
    }
}

struct Instance {
    inner: dimpl::Dtls,
    /// The last time that we were told.
    now: Instant,
    mark: EmptyMark,
    /// Ports and tag of the association, once known.
    association: Option<[u8; sctp::ADDRESS_LEN]>,
    connected: bool,
    /// The association's own handshake is over.
    established: bool,
    hurry: Hurry,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl DtlsInstance for Instance {
    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        if packet.first() == Some(&CONTROL) {
            return if *packet == *farewell(&self.mark) { self.close() } else { Ok(()) };
        }
        match self.inner.handle_packet(packet) {
            // The record is dropped, as the network might have done.
            Err(DtlsImplError::ReceiveQueueFull | DtlsImplError::RenegotiationAttempt) => Ok(()),
            result => result,
        }
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.association = sctp::address(data).or(self.association);
        let spelt = sctp::spell_empty_messages(data, &self.mark);
        let packet = spelt.as_deref().unwrap_or(data);
        self.established = self.established || sctp::chunk_kinds(packet).any(|kind| kind == Chunk::CookieAck);
        self.hurry.sent(packet);
        let accepted = self.inner.send_application_data(packet)?;
        // All or nothing is what the trait promises and what `str0m` compares with.
        Ok(if accepted == packet.len() { data.len() } else { 0 })
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        if let Some(association) = self.association.take() {
            // It fails when the other side was the first to leave, and then there is no need for it.
            let _ = self.inner.send_application_data(&sctp::abort(association));
        }
        self.inner.close()
    }

    fn set_active(&mut self, active: bool) {
        self.inner.set_active(active);
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        match self.inner.poll_output(buf) {
            DtlsOutput::Connected => {
                self.connected = true;
                DtlsOutput::Connected
            }
            DtlsOutput::ApplicationData(data) => {
                self.established = self.established || sctp::chunk_kinds(data).any(|kind| kind == Chunk::CookieAck);
                if self.established && sctp::chunk_kinds(data).next() == Some(Chunk::Init) {
                    // RFC 9260 section 5.2.2: it changes nothing. Nothing at all is no packet, and is ignored.
                    return DtlsOutput::ApplicationData(&[]);
                }
                self.hurry.received(data);
                DtlsOutput::ApplicationData(data)
            }
            DtlsOutput::Timeout(at) if self.connected => {
                DtlsOutput::Timeout(self.hurry.next(self.now).map_or(at, |next| next.min(at)))
            }
            output => output,
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.now = now;
        if self.connected {
            for packet in self.hurry.due(now) {
                // It fails once we have left.
                let _ = self.inner.send_application_data(&packet);
            }
        }
        self.inner.handle_timeout(now)
    }

    fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.inner.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.inner.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}
