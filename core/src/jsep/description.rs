//! Descriptions and signalling states, in W3C's words.

use core::fmt;
use core::str::FromStr;

/// A session description and the part it plays (W3C `RTCSessionDescription`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// The part it plays.
    pub kind: DescriptionKind,
    /// The text; empty in a rollback.
    pub sdp: String,
}

/// What a description is for (W3C `RTCSdpType`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DescriptionKind {
    /// Proposes a session, or a change to it.
    Offer,
    /// Answers an offer for now; another answer follows.
    ProvisionalAnswer,
    /// Answers an offer for good.
    Answer,
    /// Takes an offer back.
    Rollback,
}

impl DescriptionKind {
    const ALL: [Self; 4] = [Self::Offer, Self::ProvisionalAnswer, Self::Answer, Self::Rollback];

    /// W3C's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::ProvisionalAnswer => "pranswer",
            Self::Answer => "answer",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for DescriptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DescriptionKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// Why a text is no kind of description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownKind(
    /// The text as given.
    pub String,
);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not \"offer\", \"pranswer\", \"answer\" or \"rollback\"", self.0)
    }
}

impl std::error::Error for UnknownKind {}

/// How far offer and answer have come (W3C `RTCSignalingState`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SignalingState {
    /// No offer is out.
    Stable,
    /// Our offer is out.
    HaveLocalOffer,
    /// Their offer is here.
    HaveRemoteOffer,
    /// Their offer is here, and we have answered it for now.
    HaveLocalPranswer,
    /// Our offer is out, and they have answered it for now.
    HaveRemotePranswer,
    /// It is over.
    Closed,
}

impl SignalingState {
    /// W3C's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::HaveLocalPranswer => "have-local-pranswer",
            Self::HaveRemotePranswer => "have-remote-pranswer",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for SignalingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
