//! What a description that was set asks its holder to do.

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

use crate::ice::Credentials;
use crate::sdp::{CandidateAttribute, Fingerprint};

/// What changes with a description that was just set. Everything in it is to be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Applied {
    /// An offer that waited for its answer was taken back: by a rollback, or, if it was ours, by the
    /// other side's offer. What had been prepared for it is void.
    pub rolled_back: bool,
    /// What became of the data section.
    pub data: Data,
    /// Start or restart the ICE agent.
    pub ice: Option<IceStart>,
    /// The other side's candidates for the credentials that now hold, those that the agent has already
    /// been given among them.
    pub candidates: Vec<CandidateAttribute>,
    /// The other side has no further candidates for these credentials.
    pub end_of_candidates: bool,
}

/// What became of the data section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// What it was before the offer that was taken back.
    Unchanged,
    /// There is none. An answer without one is legal.
    Absent,
    /// One side offers one, and the answer is still to come.
    Offered,
    /// Both sides have it.
    Accepted(Transport),
    /// There is none any more, or there will be none once the offer at hand is answered.
    Rejected(Rejection),
}

/// How the transport below the data section is secured, and what runs over it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transport {
    /// Whether the DTLS and SCTP associations that an earlier answer began go on. Otherwise they begin now.
    pub kept: bool,
    /// Our part in the DTLS handshake.
    pub role: DtlsRole,
    /// The other side's certificate matches one of these; all are SHA-256, and there is at least one.
    pub fingerprints: Vec<Fingerprint>,
    /// The other side's SCTP port.
    pub sctp_port: u16,
    /// The longest message that the other side takes, in bytes; [`NonZeroU64::MAX`] is no limit.
    pub max_message_size: NonZeroU64,
}

/// Our part in the DTLS handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DtlsRole {
    /// We send the first flight: `a=setup:active`.
    Client,
    /// We wait for it: `a=setup:passive`.
    Server,
}

impl fmt::Display for DtlsRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// The ICE agent begins, or begins anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IceStart {
    /// The agent has been running with other credentials (RFC 8445 section 9).
    pub restart: bool,
    /// Our credentials, as our description has them.
    pub local: Credentials,
    /// The other side's credentials.
    pub remote: Credentials,
    /// The other side only answers checks (RFC 8445 section 2.5).
    pub remote_lite: bool,
    /// The Ta that the other side wishes; 50 ms if it does not say (RFC 8839 section 5.5). Both use the longer.
    pub remote_pacing: Duration,
    /// Both sides have announced that the controlling one may nominate again.
    pub renomination: bool,
    /// Our agent nominates: it made the first offer, or only the other side is lite (RFC 8445 section 6.1.1).
    /// Stays as it was in a restart.
    pub controlling: bool,
}

/// Why there is no data section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// The other side put its port to zero.
    ByRemote,
    /// The other side's section has SCTP port 0: it wants no association (RFC 8841 section 5.1).
    NoSctpPort,
    /// It is for this protocol, which is not SCTP over DTLS.
    Protocol(String),
    /// It is for this format, which is not `webrtc-datachannel`.
    Format(String),
    /// It has no transport of its own, and the section whose transport it would share is one that we
    /// reject (RFC 8843 section 7.3.1).
    BundleOnly,
    /// An earlier description ended the DTLS association of this session, and it does not begin again.
    TransportClosed,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByRemote => f.write_str("the other side rejects the data section"),
            Self::NoSctpPort => f.write_str("the data section has SCTP port 0"),
            Self::Protocol(protocol) => write!(f, "the data section is for {protocol:?}, not SCTP over DTLS"),
            Self::Format(format) => write!(f, "the data section is for {format:?}, not \"webrtc-datachannel\""),
            Self::BundleOnly => f.write_str("the data section is bundle-only behind a section that we reject"),
            Self::TransportClosed => f.write_str("the transport of the data section was closed earlier"),
        }
    }
}
