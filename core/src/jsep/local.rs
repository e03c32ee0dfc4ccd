//! What we say: the text of our own offers and answers.

use core::num::{NonZeroU16, NonZeroU64};
use core::time::Duration;
use std::net::IpAddr;

use super::DtlsRole;
use crate::ice::{CandidateKind, Credentials};
use crate::sdp::{
    Attribute, CandidateAttribute, CandidateTransport, CandidateType, Fingerprint, Group, Host, Line, MediaSection,
    Origin, SessionDescription, Setup,
};

pub(super) const DATA_KIND: &str = "application";
pub(super) const DATA_PROTOCOL: &str = "UDP/DTLS/SCTP";
pub(super) const DATA_FORMAT: &str = "webrtc-datachannel";

/// RFC 8445: told whatever the other side knows (RFC 8839 section 4.3.2).
pub(super) const ICE2: &str = "ice2";

/// draft-thatcher-ice-renomination: the controlling side may nominate again.
pub(super) const RENOMINATION: &str = "renomination";

/// What our offers announce, and our answers if the offer did.
pub(super) const ICE_OPTIONS: [&str; 3] = ["trickle", ICE2, RENOMINATION];

/// What a description means that says nothing of pacing (RFC 8839 section 5.5).
pub(super) const DEFAULT_PACING: Duration = Duration::from_millis(50);

/// The longest Ta that ten digits can tell.
const MAX_PACING: Duration = Duration::from_millis(9_999_999_999);

/// What all our descriptions say about our end of the data section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalParameters {
    /// Of our certificate.
    pub fingerprint: Fingerprint,
    /// Where our SCTP association listens; 5000 by custom.
    pub sctp_port: NonZeroU16,
    /// The longest message that we take, in bytes; [`NonZeroU64::MAX`] is no limit.
    pub max_message_size: NonZeroU64,
    /// The Ta that our ICE agent wishes; told in whole milliseconds, where it is not the 50 ms that everyone assumes.
    pub pacing: Duration,
    /// Our ICE agent is lite: it only answers checks (RFC 8445 section 2.5).
    pub lite: bool,
}

/// What our ICE agent has to say when a description is written.
#[derive(Clone, Copy, Debug)]
pub struct LocalIce<'a> {
    /// The credentials that the description is to have.
    pub credentials: &'a Credentials,
    /// The candidates gathered so far for these credentials, as the other side is to be told of them.
    pub candidates: &'a [CandidateAttribute],
    /// Whether gathering for these credentials is over.
    pub complete: bool,
}

/// A description of ours, and what is in its data section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LocalSide {
    pub(super) sdp: SessionDescription,
    pub(super) data: Option<LocalData>,
}

/// The data section in a description of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LocalData {
    pub(super) section: usize,
    pub(super) credentials: Credentials,
    /// What the text says; more may be told since.
    pub(super) candidates: Vec<CandidateAttribute>,
    pub(super) complete: bool,
}

impl LocalSide {
    /// The description, with the candidates that `ice` has if they are for its credentials.
    pub(super) fn text_with(&self, ice: &LocalIce<'_>) -> String {
        match &self.data {
            Some(data) if data.credentials == *ice.credentials => {
                let mut sdp = self.sdp.clone();
                set_candidates(&mut sdp.media[data.section], ice);
                sdp.to_string()
            }
            _ => self.sdp.to_string(),
        }
    }
}

impl LocalData {
    pub(super) fn new(section: usize, ice: &LocalIce<'_>) -> Self {
        Self {
            section,
            credentials: ice.credentials.clone(),
            candidates: ice.candidates.to_vec(),
            complete: ice.complete,
        }
    }

    /// Whether the text has `candidate`, or with `None` that there are no more.
    pub(super) fn tells(&self, candidate: Option<&CandidateAttribute>) -> bool {
        candidate.map_or(self.complete, |candidate| self.candidates.contains(candidate))
    }
}

/// A description of ours. `bundle` is the mid in its BUNDLE group. The version is zero until it is known
/// whether anything changed.
pub(super) fn description(
    session_id: u64,
    bundle: Option<&str>,
    ice_options: &[&str],
    parameters: &LocalParameters,
    media: Vec<MediaSection>,
) -> SessionDescription {
    let mut attributes = Vec::new();
    if let Some(mid) = bundle {
        attributes.push(Attribute::Group(Group { semantics: "BUNDLE".to_owned(), mids: vec![mid.to_owned()] }));
    }
    attributes.extend(parameters.lite.then_some(Attribute::IceLite));
    attributes.push(Attribute::IceOptions(ice_options.iter().map(|&o| o.to_owned()).collect()));
    // Rounded up, so that the other side does not take us to be faster than we are.
    let pacing = parameters.pacing.as_nanos();
    let pacing = Duration::from_millis(u64::try_from(pacing.div_ceil(1_000_000)).unwrap_or(u64::MAX));
    // A lite agent sends no checks to be paced.
    let told = pacing != DEFAULT_PACING && !parameters.lite;
    attributes.extend(told.then_some(Attribute::IcePacing(pacing.min(MAX_PACING))));
    SessionDescription {
        // The address is meaningless by the advice of RFC 9429 section 5.2.1: it would only tell where we are.
        origin: Origin { username: "-".to_owned(), session_id, version: 0, address: "IN IP4 0.0.0.0".to_owned() },
        name: "-".to_owned(),
        lines: vec![Line { letter: 't', value: "0 0".to_owned() }],
        attributes,
        media,
    }
}

/// The data section as we offer or accept it.
pub(super) fn data_section(
    mid: Option<&str>,
    protocol: &str,
    setup: Setup,
    parameters: &LocalParameters,
    ice: &LocalIce<'_>,
) -> MediaSection {
    let mut attributes = Vec::new();
    attributes.extend(mid.map(|mid| Attribute::Mid(mid.to_owned())));
    attributes.extend([
        Attribute::IceUfrag(ice.credentials.ufrag().to_owned()),
        Attribute::IcePwd(ice.credentials.pwd().to_owned()),
        Attribute::Fingerprint(parameters.fingerprint.clone()),
        Attribute::Setup(setup),
        Attribute::SctpPort(parameters.sctp_port.get()),
        Attribute::MaxMessageSize(parameters.max_message_size),
    ]);
    let mut section = MediaSection {
        kind: DATA_KIND.to_owned(),
        port: 0,
        port_count: None,
        protocol: protocol.to_owned(),
        formats: vec![DATA_FORMAT.to_owned()],
        lines: Vec::new(),
        attributes,
    };
    set_candidates(&mut section, ice);
    section
}

/// A section that keeps its place and carries nothing (RFC 3264 section 6).
pub(super) fn dead_section(like: &MediaSection) -> MediaSection {
    MediaSection {
        kind: like.kind.clone(),
        port: 0,
        port_count: None,
        protocol: like.protocol.clone(),
        formats: like.formats.clone(),
        lines: vec![connection(None)],
        attributes: like.mid().map(|mid| Attribute::Mid(mid.to_owned())).into_iter().collect(),
    }
}

/// What an answer says of our role.
pub(super) const fn setup_in_answer(role: DtlsRole) -> Setup {
    match role {
        DtlsRole::Client => Setup::Active,
        DtlsRole::Server => Setup::Passive,
    }
}

/// Makes the candidates of `section` those of `ice`, and the default destination the best of them for one
/// who knows no ICE: the most reachable (RFC 8839 section 4.2.1.2). While there is none that has an address it
/// is the discard port of no address (RFC 8840 section 4.1.1).
fn set_candidates(section: &mut MediaSection, ice: &LocalIce<'_>) {
    let default =
        ice.candidates.iter().filter_map(destination).max_by(|(_, a), (_, b)| a.cmp(b)).map(|(place, _)| place);
    section.port = default.map_or(9, |(_, port)| port);
    section.lines = vec![connection(default.map(|(ip, _)| ip))];
    section.attributes.retain(|a| !matches!(a, Attribute::Candidate(_) | Attribute::EndOfCandidates));
    section.attributes.extend(ice.candidates.iter().map(|c| Attribute::Candidate(Box::new(c.clone()))));
    section.attributes.extend(ice.complete.then_some(Attribute::EndOfCandidates));
}

/// Where datagrams may be sent without ICE, and how good that is.
fn destination(candidate: &CandidateAttribute) -> Option<((IpAddr, u16), impl Ord)> {
    let (CandidateTransport::Udp, Host::Address(ip)) = (candidate.transport(), candidate.host()) else { return None };
    let place = (candidate.port() != 0).then_some((*ip, candidate.port()))?;
    Some((place, (reach(candidate.kind()), ip.is_ipv4(), candidate.priority())))
}

const fn reach(kind: &CandidateType) -> u8 {
    match kind {
        CandidateType::Known(CandidateKind::Host) | CandidateType::Other(_) => 0,
        CandidateType::Known(CandidateKind::PeerReflexive | CandidateKind::ServerReflexive) => 1,
        CandidateType::Known(CandidateKind::Relayed) => 2,
    }
}

fn connection(address: Option<IpAddr>) -> Line {
    let value = match address {
        Some(IpAddr::V6(v6)) => format!("IN IP6 {v6}"),
        Some(IpAddr::V4(v4)) => format!("IN IP4 {v4}"),
        None => "IN IP4 0.0.0.0".to_owned(),
    };
    Line { letter: 'c', value }
}
