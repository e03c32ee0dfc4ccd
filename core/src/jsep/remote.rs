//! What the other side says: its descriptions checked, and its data section parsed into what it means.

use core::num::NonZeroU64;
use core::time::Duration;
use std::collections::BTreeSet;

use super::local::{DATA_FORMAT, DATA_KIND, DEFAULT_PACING, RENOMINATION};
use super::{DescriptionKind, DtlsRole, Error, Rejection, SectionField, SectionProblem};
use crate::ice::Credentials;
use crate::sdp::{Fingerprint, MediaSection, SessionDescription, Setup};

/// RFC 8841 section 5.2 has no default, but browsers do.
const DEFAULT_SCTP_PORT: u16 = 5000;

/// RFC 8841 section 6.1.
const DEFAULT_MAX_MESSAGE_SIZE: NonZeroU64 = NonZeroU64::new(65_536).unwrap();

/// An offer of the other side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RemoteOffer {
    pub(super) sdp: SessionDescription,
    pub(super) data: OfferedData,
}

/// What becomes of the data section that the other side offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum OfferedData {
    Absent,
    Rejected(Rejection),
    Acceptable(RemoteData),
}

/// The data section of the other side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RemoteData {
    pub(super) section: usize,
    pub(super) credentials: Credentials,
    pub(super) lite: bool,
    pub(super) pacing: Duration,
    pub(super) renomination: bool,
    pub(super) association: RunningAssociation,
    pub(super) max_message_size: NonZeroU64,
}

/// A DTLS association and the SCTP association in it. They begin with the first answer that accepts the
/// data section, and keep what they began with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RunningAssociation {
    /// Ours.
    pub(super) role: DtlsRole,
    /// Of the other side: SHA-256 only, sorted, at least one.
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) tls_id: Option<String>,
    pub(super) sctp_port: u16,
}

/// What has become of the DTLS association of this session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Association {
    NotYet,
    Running(RunningAssociation),
    Over,
}

impl RemoteOffer {
    /// `live` is the number of the data section in use.
    pub(super) fn read(sdp: SessionDescription, live: Option<usize>, association: &Association) -> Result<Self, Error> {
        let data = OfferedData::read(&sdp, live, association)?;
        Ok(Self { sdp, data })
    }

    pub(super) fn acceptable(&self) -> Option<&RemoteData> {
        match &self.data {
            OfferedData::Acceptable(data) => Some(data),
            _ => None,
        }
    }
}

impl OfferedData {
    fn read(sdp: &SessionDescription, live: Option<usize>, association: &Association) -> Result<Self, Error> {
        if live.is_some_and(|live| sdp.media()[live].port() == 0) {
            return Ok(Self::Rejected(Rejection::ByRemote));
        }
        let mut outcome = Self::Absent;
        for (i, section) in sdp.media().iter().enumerate() {
            let offered = section.kind() == DATA_KIND && (section.port() != 0 || section.bundle_only());
            if !offered || live.is_some_and(|live| live != i) {
                continue;
            }
            match rejection(section, association) {
                None => return RemoteData::read(sdp, i, DescriptionKind::Offer, association).map(Self::Acceptable),
                Some(reason) if outcome == Self::Absent => outcome = Self::Rejected(reason),
                Some(_) => {}
            }
        }
        Ok(outcome)
    }
}

/// Why we reject a data section that is offered.
fn rejection(section: &MediaSection, association: &Association) -> Option<Rejection> {
    let protocol = section.protocol();
    if !["UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"].contains(&protocol) {
        Some(Rejection::Protocol(protocol.to_owned()))
    } else if !section.formats().iter().any(|format| format == DATA_FORMAT) {
        Some(Rejection::Format(section.formats().join(" ")))
    } else if section.port() == 0 {
        Some(Rejection::BundleOnly)
    } else if section.sctp_port() == Some(0) {
        Some(Rejection::NoSctpPort)
    } else if *association == Association::Over {
        Some(Rejection::TransportClosed)
    } else {
        None
    }
}

/// Why the other side rejects the data section that we offered.
pub(super) fn rejection_in_answer(section: &MediaSection) -> Option<Rejection> {
    if section.port() == 0 {
        Some(Rejection::ByRemote)
    } else if section.sctp_port() == Some(0) {
        Some(Rejection::NoSctpPort)
    } else {
        None
    }
}

impl RemoteData {
    /// Reads a data section that is neither rejected by them nor by us. If an association is running,
    /// the section has to go on with it.
    pub(super) fn read(
        sdp: &SessionDescription,
        index: usize,
        kind: DescriptionKind,
        association: &Association,
    ) -> Result<Self, Error> {
        let section = &sdp.media()[index];
        let running = match association {
            Association::Running(running) => Some(running),
            Association::NotYet | Association::Over => None,
        };
        let data = || {
            let association = RunningAssociation {
                role: role(sdp.setup(section), kind, running.map(|r| r.role))?,
                fingerprints: fingerprints(sdp, section)?,
                tls_id: sdp.tls_id(section).map(str::to_owned),
                sctp_port: section.sctp_port().unwrap_or(DEFAULT_SCTP_PORT),
            };
            if let Some(running) = running {
                association.continues(running)?;
            }
            Ok(Self {
                section: index,
                credentials: credentials(sdp, section)?,
                lite: sdp.ice_lite(),
                pacing: sdp.ice_pacing(section).unwrap_or(DEFAULT_PACING),
                renomination: sdp.has_ice_option(section, RENOMINATION),
                association,
                max_message_size: section.max_message_size().unwrap_or(DEFAULT_MAX_MESSAGE_SIZE),
            })
        };
        data().map_err(|problem| Error::Section { section: index, problem })
    }
}

impl RunningAssociation {
    fn continues(&self, running: &Self) -> Result<(), SectionProblem> {
        if self.fingerprints != running.fingerprints {
            return Err(SectionProblem::FingerprintChanged);
        }
        if let (Some(new), Some(old)) = (&self.tls_id, &running.tls_id)
            && new != old
        {
            return Err(SectionProblem::TlsIdChanged);
        }
        if self.sctp_port != running.sctp_port {
            let (expected, found) = (running.sctp_port, self.sctp_port);
            return Err(SectionProblem::SctpPortChanged { expected, found });
        }
        Ok(())
    }
}

/// The credentials that hold for section number `index`, if it has legal ones.
pub(super) fn credentials_in(sdp: &SessionDescription, index: usize) -> Option<Credentials> {
    credentials(sdp, sdp.media().get(index)?).ok()
}

fn credentials(sdp: &SessionDescription, section: &MediaSection) -> Result<Credentials, SectionProblem> {
    let ufrag = sdp.ice_ufrag(section).ok_or(SectionProblem::MissingIceUfrag)?;
    let pwd = sdp.ice_pwd(section).ok_or(SectionProblem::MissingIcePwd)?;
    Credentials::new(ufrag, pwd).map_err(SectionProblem::Credentials)
}

/// Those that our side can verify.
fn fingerprints(sdp: &SessionDescription, section: &MediaSection) -> Result<Vec<Fingerprint>, SectionProblem> {
    let all: BTreeSet<&Fingerprint> = sdp.fingerprints(section).collect();
    if all.is_empty() {
        return Err(SectionProblem::MissingFingerprint);
    }
    let verifiable: Vec<Fingerprint> = all.iter().filter(|f| f.as_sha256().is_some()).map(|&f| f.clone()).collect();
    if verifiable.is_empty() {
        let functions: BTreeSet<&str> = all.iter().map(|f| f.function()).collect();
        return Err(SectionProblem::UnsupportedFingerprint(functions.into_iter().map(str::to_owned).collect()));
    }
    Ok(verifiable)
}

/// Our role in DTLS, given what the other side says of its own; `kept` is that in a running association.
fn role(setup: Option<Setup>, kind: DescriptionKind, kept: Option<DtlsRole>) -> Result<DtlsRole, SectionProblem> {
    let found = setup.ok_or(SectionProblem::MissingSetup)?;
    let role = match found {
        Setup::Active => DtlsRole::Server,
        Setup::Passive => DtlsRole::Client,
        // Being the client saves half a round trip: the answerer is the first to have both descriptions.
        Setup::ActPass if kind == DescriptionKind::Offer => kept.unwrap_or(DtlsRole::Client),
        Setup::ActPass | Setup::HoldConn => return Err(SectionProblem::SetupNotAllowed { found, kind }),
    };
    match kept {
        Some(kept) if kept != role => Err(SectionProblem::SetupConflict { found, role: kept }),
        _ => Ok(role),
    }
}

/// Checks that the BUNDLE groups are made of sections, each in one group at most (RFC 8843 section 7.1).
pub(super) fn check_bundles(sdp: &SessionDescription) -> Result<(), Error> {
    let mids: BTreeSet<&str> = sdp.media().iter().filter_map(MediaSection::mid).collect();
    let mut bundled = BTreeSet::new();
    for mid in sdp.bundles().flat_map(|group| group.mids()) {
        if !mids.contains(mid.as_str()) {
            return Err(Error::UnknownBundleMid(mid.clone()));
        }
        if !bundled.insert(mid) {
            return Err(Error::TwoBundles(mid.clone()));
        }
    }
    Ok(())
}

/// Checks that a new offer keeps the sections in place (RFC 3264 section 8). `current` has the section as
/// it is, and whether it is in use: one that is not may be used for something else.
pub(super) fn check_offer_order<'a>(
    sdp: &SessionDescription,
    current: impl ExactSizeIterator<Item = (&'a MediaSection, bool)>,
) -> Result<(), Error> {
    let (expected, found) = (current.len(), sdp.media().len());
    if found < expected {
        return Err(Error::SectionCount { expected, found });
    }
    for (i, ((old, in_use), new)) in current.zip(sdp.media()).enumerate() {
        if in_use {
            same(i, SectionField::Kind, old.kind(), new.kind())?;
            // Who knows no mids leaves them out.
            if let (Some(old), Some(new)) = (old.mid(), new.mid()) {
                same(i, SectionField::Mid, old, new)?;
            }
        }
    }
    Ok(())
}

/// Checks that an answer has the sections of the offer (RFC 3264 section 6).
pub(super) fn check_answer_order(answer: &SessionDescription, offer: &SessionDescription) -> Result<(), Error> {
    let (expected, found) = (offer.media().len(), answer.media().len());
    if found != expected {
        return Err(Error::SectionCount { expected, found });
    }
    for (i, (offered, answered)) in offer.media().iter().zip(answer.media()).enumerate() {
        same(i, SectionField::Kind, offered.kind(), answered.kind())?;
        same(i, SectionField::Protocol, offered.protocol(), answered.protocol())?;
        if let Some(mid) = answered.mid() {
            same(i, SectionField::Mid, offered.mid().unwrap_or_default(), mid)?;
        }
    }
    Ok(())
}

fn same(section: usize, field: SectionField, expected: &str, found: &str) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::SectionChanged { section, field, expected: expected.to_owned(), found: found.to_owned() })
}
