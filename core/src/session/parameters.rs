//! What a session is made with: our side of it, and the other one's.

use core::fmt;
use core::ops::RangeInclusive;

use super::certificate::Certificate;
use crate::jsep::DtlsRole;
use crate::sdp::Fingerprint;

/// The one SCTP port that `str0m` knows. Nobody uses another.
pub(super) const SCTP_PORT: u16 = 5000;

/// The largest and the smallest datagram that `str0m` can be made to keep to.
pub(super) const MTU: RangeInclusive<usize> = str0m::DATAGRAM_MTU_TARGET_MIN..=str0m::DATAGRAM_MTU_TARGET_MAX;

/// What a session is made with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Our certificate; a new one if `None`.
    pub(crate) certificate: Option<Certificate>,
    /// The largest message in bytes that may be received, for `a=max-message-size`.
    pub(crate) max_message_size: u32,
    /// The largest datagram in bytes that is sent, 576 to 1500.
    pub(crate) mtu: usize,
    /// Whether to offer and take DTLS 1.3 besides 1.2. It saves a round trip.
    pub(crate) dtls_1_3: bool,
    /// How many channels there may be at a time, ours and the other side's together.
    pub(crate) max_channels: usize,
    /// How many bytes each channel buffers before it refuses a message. One message is always taken.
    pub(crate) send_buffer: usize,
    /// How many bytes of messages each channel may have unread before its [`Level`](super::Level) rises.
    pub(crate) receive_buffer: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            certificate: None,
            max_message_size: 256 * 1024,
            mtu: 1200,
            dtls_1_3: false,
            max_channels: 1024,
            send_buffer: 1024 * 1024,
            receive_buffer: None,
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

impl Remote {
    /// The largest message in bytes that may be sent.
    pub(super) fn send_limit(&self) -> u32 {
        match self.max_message_size {
            0 => u32::MAX,
            max => u32::try_from(max).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn is_announced(&self, presented: &Fingerprint) -> bool {
        self.fingerprints.iter().any(|announced| announced.as_sha256().is_some() && announced == presented)
    }
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
        }
    }
}

impl std::error::Error for StartError {}
