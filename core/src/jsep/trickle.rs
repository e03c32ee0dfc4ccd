//! Candidates that travel alone (RFC 8838, RFC 8840).

use super::Error;
use super::local::{LocalData, LocalSide};
use crate::ice::Credentials;
use crate::sdp::{Attribute, CandidateAttribute, MediaSection, SessionDescription};

/// The most candidates of the other side that are taken for one description. A host with a dozen
/// interfaces and servers on each stays below a hundred.
pub const MAX_REMOTE_CANDIDATES: usize = 256;

/// A candidate on its way through signalling (W3C `RTCIceCandidateInit`).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TrickledCandidate {
    /// `candidate:…`, or empty: there are no more.
    pub candidate: String,
    /// The section that it is for.
    pub mid: Option<String>,
    /// The number of that section, counted from 0. Of no meaning where `mid` is given.
    pub m_line_index: Option<u16>,
    /// The credentials that it belongs to. What the candidate says itself comes second.
    pub ufrag: Option<String>,
}

impl TrickledCandidate {
    /// The candidate, and the credentials that it says it belongs to.
    pub(super) fn read(&self) -> Result<(RemoteCandidate, Option<String>), Error> {
        if self.candidate.is_empty() {
            return Ok((RemoteCandidate::End, self.ufrag.clone()));
        }
        let candidate: CandidateAttribute = self.candidate.parse()?;
        let ufrag = self.ufrag.clone().or_else(|| candidate.ufrag().map(str::to_owned));
        Ok((RemoteCandidate::Candidate(Box::new(candidate)), ufrag))
    }

    /// The number of the section in `sdp` that it is for, if it says so.
    pub(super) fn section_in(&self, sdp: &SessionDescription) -> Result<Option<usize>, Error> {
        if let Some(mid) = self.mid.as_deref().filter(|mid| !mid.is_empty()) {
            let section = sdp.media().iter().position(|section| section.mid() == Some(mid));
            return section.map(Some).ok_or_else(|| Error::UnknownMid(mid.to_owned()));
        }
        match self.m_line_index {
            Some(index) if usize::from(index) >= sdp.media().len() => Err(Error::UnknownSection(index)),
            index => Ok(index.map(usize::from)),
        }
    }
}

/// What the other side has told of its candidates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RemoteCandidate {
    /// One more.
    Candidate(Box<CandidateAttribute>),
    /// There are no more.
    End,
}

/// What of our candidates for one set of credentials has gone to the other side on its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trickled {
    pub(super) credentials: Credentials,
    candidates: Vec<CandidateAttribute>,
    complete: bool,
}

impl Trickled {
    pub(super) const fn nothing(credentials: Credentials) -> Self {
        Self { credentials, candidates: Vec::new(), complete: false }
    }

    /// Notes that `candidate` goes out, or with `None` that there are no more. False if it went before.
    pub(super) fn first_time(&mut self, candidate: Option<&CandidateAttribute>) -> bool {
        match candidate {
            None => !core::mem::replace(&mut self.complete, true),
            Some(candidate) if self.candidates.contains(candidate) => false,
            Some(candidate) => {
                self.candidates.push(candidate.clone());
                true
            }
        }
    }
}

/// How `candidate`, or with `None` the end of candidates, is sent; `side` is the description of ours that
/// has its credentials.
pub(super) fn trickled(
    side: &LocalSide,
    data: &LocalData,
    candidate: Option<&CandidateAttribute>,
) -> TrickledCandidate {
    let text = candidate.map(|c| c.clone().with_ufrag(&data.credentials).to_string());
    TrickledCandidate {
        candidate: text.unwrap_or_default(),
        mid: side.sdp.media()[data.section].mid().map(str::to_owned),
        m_line_index: u16::try_from(data.section).ok(),
        ufrag: Some(data.credentials.ufrag().to_owned()),
    }
}

/// Whether `section` has room for one more candidate.
pub(super) fn has_room(section: &MediaSection) -> bool {
    section.candidates().count() < MAX_REMOTE_CANDIDATES
}

/// Writes what was trickled into the description that it belongs to, once.
pub(super) fn record(section: &mut MediaSection, candidate: &RemoteCandidate) {
    let attribute = match candidate {
        RemoteCandidate::Candidate(candidate) => Attribute::Candidate(candidate.clone()),
        RemoteCandidate::End => Attribute::EndOfCandidates,
    };
    if !section.attributes.contains(&attribute) {
        section.attributes.push(attribute);
    }
}
