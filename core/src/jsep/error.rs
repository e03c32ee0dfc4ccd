//! Why a call is refused.

use core::fmt;

use super::trickle::MAX_REMOTE_CANDIDATES;
use super::{DescriptionKind, DtlsRole, SignalingState};
use crate::ice::InvalidCredentials;
use crate::sdp::{InvalidCandidate, ParseError, Setup};

/// Why a call is refused. It has changed nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The signalling state does not allow it (W3C `InvalidStateError`).
    WrongState {
        /// What was asked for.
        operation: Operation,
        /// The state at that time.
        state: SignalingState,
    },
    /// The text is not what the last `create_offer` or `create_answer` gave, or it was created before the
    /// last answer and no longer fits (W3C `InvalidModificationError`).
    NotAsCreated(DescriptionKind),
    /// The credentials were used before where a restart needs fresh ones; see
    /// [`fresh_credentials_wanted`](super::Negotiation::fresh_credentials_wanted).
    CredentialsNotFresh,
    /// The credentials are not those in use, and the offer to be answered is no restart.
    CredentialsNotInUse,
    /// The description cannot be read.
    Sdp(ParseError),
    /// The description has another number of media sections than it must have; sections never go away.
    SectionCount {
        /// How many it must have: exactly in an answer, at least in an offer.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The description says something else about a section than the one before.
    SectionChanged {
        /// The number of the section, counted from 0.
        section: usize,
        /// What it says something else about.
        field: SectionField,
        /// What it said before.
        expected: String,
        /// What it says now.
        found: String,
    },
    /// A BUNDLE group names a section that is not there.
    UnknownBundleMid(String),
    /// Two BUNDLE groups name the same section.
    TwoBundles(String),
    /// The data section cannot be.
    Section {
        /// The number of the section, counted from 0.
        section: usize,
        /// What is wrong with it.
        problem: SectionProblem,
    },
    /// A candidate came before any description of the other side (W3C `InvalidStateError`).
    NoRemoteDescription,
    /// The candidate cannot be read.
    Candidate(InvalidCandidate),
    /// The candidate is for a section that the other side has not described.
    UnknownMid(String),
    /// The candidate is for a section with this number, and there are fewer.
    UnknownSection(u16),
    /// The candidate belongs to credentials that are not, or no longer, the other side's.
    UnknownUfrag(String),
    /// The description has [`MAX_REMOTE_CANDIDATES`] already.
    TooManyCandidates,
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `create_offer`
    CreateOffer,
    /// `create_answer`
    CreateAnswer,
    /// `set_local` of this kind.
    SetLocal(DescriptionKind),
    /// `set_remote` of this kind.
    SetRemote(DescriptionKind),
    /// `add_remote_candidate`
    AddRemoteCandidate,
}

/// What must not change in a media section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SectionField {
    /// Audio, video, application…
    Kind,
    /// The transport protocol, from offer to answer.
    Protocol,
    /// The name.
    Mid,
}

/// What is wrong with the data section of the other side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SectionProblem {
    /// There is no `ice-ufrag`.
    MissingIceUfrag,
    /// There is no `ice-pwd`.
    MissingIcePwd,
    /// The ICE credentials break a rule.
    Credentials(InvalidCredentials),
    /// There is no `fingerprint`, so nobody could tell who is at the other end.
    MissingFingerprint,
    /// There are fingerprints, but only of these hash functions, not SHA-256.
    UnsupportedFingerprint(Vec<String>),
    /// There is no `setup`.
    MissingSetup,
    /// This value of `setup` cannot be in a description of this kind (RFC 8842 section 5).
    SetupNotAllowed {
        /// The value.
        found: Setup,
        /// Offer or answer.
        kind: DescriptionKind,
    },
    /// The value of `setup` turns the roles of the running DTLS association round.
    SetupConflict {
        /// The value.
        found: Setup,
        /// Our role.
        role: DtlsRole,
    },
    /// The fingerprints are not those of the running DTLS association.
    FingerprintChanged,
    /// The `tls-id` is not that of the running DTLS association.
    TlsIdChanged,
    /// The SCTP port is not that of the running association.
    SctpPortChanged {
        /// The port in use.
        expected: u16,
        /// What the description has.
        found: u16,
    },
    /// An answer has other ICE credentials than before, and the offer was no restart.
    RestartNotOffered,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongState { operation, state } => {
                write!(f, "cannot {operation} in state {state:?}", state = state.as_str())
            }
            Self::NotAsCreated(kind) => write!(f, "this is not the {kind} that was last created"),
            Self::CredentialsNotFresh => f.write_str("an ICE restart needs credentials that were not used before"),
            Self::CredentialsNotInUse => f.write_str("an answer to no ICE restart needs the credentials in use"),
            Self::Sdp(error) => error.fmt(f),
            Self::SectionCount { expected, found } => write!(f, "{found} media sections where {expected} belong"),
            Self::SectionChanged { section, field, expected, found } => {
                write!(f, "media section {section} changes its {field} from {expected:?} to {found:?}")
            }
            Self::UnknownBundleMid(mid) => write!(f, "a BUNDLE group names {mid:?}, but no media section has this mid"),
            Self::TwoBundles(mid) => write!(f, "two BUNDLE groups name {mid:?}"),
            Self::Section { section, problem } => write!(f, "media section {section}: {problem}"),
            Self::NoRemoteDescription => f.write_str("a candidate came before any remote description"),
            Self::Candidate(error) => error.fmt(f),
            Self::UnknownMid(mid) => write!(f, "candidate is for the media section {mid:?}, which there is not"),
            Self::UnknownSection(index) => write!(f, "candidate is for media section {index}, which there is not"),
            Self::UnknownUfrag(ufrag) => write!(f, "candidate belongs to the ice-ufrag {ufrag:?}, which is not in use"),
            Self::TooManyCandidates => write!(f, "the other side has sent {MAX_REMOTE_CANDIDATES} candidates already"),
        }
    }
}

impl std::error::Error for Error {}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::Sdp(error)
    }
}

impl From<InvalidCandidate> for Error {
    fn from(error: InvalidCandidate) -> Self {
        Self::Candidate(error)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateOffer => f.write_str("create an offer"),
            Self::CreateAnswer => f.write_str("create an answer"),
            Self::SetLocal(kind) => write!(f, "set a local {kind}"),
            Self::SetRemote(kind) => write!(f, "set a remote {kind}"),
            Self::AddRemoteCandidate => f.write_str("add a remote candidate"),
        }
    }
}

impl fmt::Display for SectionField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "media",
            Self::Protocol => "protocol",
            Self::Mid => "mid",
        })
    }
}

impl fmt::Display for SectionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingIceUfrag => f.write_str("ice-ufrag is missing"),
            Self::MissingIcePwd => f.write_str("ice-pwd is missing"),
            Self::Credentials(error) => error.fmt(f),
            Self::MissingFingerprint => f.write_str("fingerprint is missing"),
            Self::UnsupportedFingerprint(functions) => {
                write!(f, "the fingerprints are of {}, and sha-256 is missing", functions.join(", "))
            }
            Self::MissingSetup => f.write_str("setup is missing"),
            Self::SetupNotAllowed { found, kind } => write!(f, "setup is {found}, which an {kind} cannot say"),
            Self::SetupConflict { found, role } => {
                write!(f, "setup is {found}, but the DTLS association is running with us as {role}")
            }
            Self::FingerprintChanged => {
                f.write_str("the fingerprint is another than that of the DTLS association that is running")
            }
            Self::TlsIdChanged => {
                f.write_str("the tls-id is another than that of the DTLS association that is running")
            }
            Self::SctpPortChanged { expected, found } => {
                write!(f, "sctp-port is {found}, but the association is running with {expected}")
            }
            Self::RestartNotOffered => {
                f.write_str("the answer changes the ICE credentials, but the offer was no restart")
            }
        }
    }
}
