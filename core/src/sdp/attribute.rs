//! The attributes that offer and answer turn on, parsed; all others as they stand.

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

use super::parse::{Problem, number, token};
use super::{CandidateAttribute, Fingerprint};

/// One `a=` line.
///
/// As text it is what stands behind `a=`.
#[derive(Clone, PartialEq, Eq)]
pub enum Attribute {
    /// `group` (RFC 5888; RFC 8843 for BUNDLE).
    Group(Group),
    /// `mid`: the section's name (RFC 5888).
    Mid(String),
    /// `bundle-only`: worth nothing outside of its bundle (RFC 8843).
    BundleOnly,
    /// `ice-ufrag` (RFC 8839), unchecked: [`ice::Credentials`](crate::ice::Credentials) checks it.
    IceUfrag(String),
    /// `ice-pwd` (RFC 8839), unchecked: [`ice::Credentials`](crate::ice::Credentials) checks it.
    IcePwd(String),
    /// `ice-options` (RFC 8839), such as `trickle` and `ice2`.
    IceOptions(Vec<String>),
    /// `ice-lite` (RFC 8839).
    IceLite,
    /// `ice-pacing`: the Ta that the sender wishes, in whole milliseconds (RFC 8839 section 5.5).
    IcePacing(Duration),
    /// `candidate` (RFC 8839).
    Candidate(Box<CandidateAttribute>),
    /// `end-of-candidates` (RFC 8840).
    EndOfCandidates,
    /// `fingerprint` (RFC 8122).
    Fingerprint(Fingerprint),
    /// `setup` (RFC 4145, RFC 8842).
    Setup(Setup),
    /// `tls-id`: changes when a new DTLS association is wanted (RFC 8842).
    TlsId(String),
    /// `sctp-port` (RFC 8841); 0 closes the association.
    SctpPort(u16),
    /// `max-message-size` in bytes (RFC 8841). No limit, which is written 0, is [`NonZeroU64::MAX`].
    MaxMessageSize(NonZeroU64),
    /// Any other.
    Other {
        /// What stands before the first colon.
        name: String,
        /// What stands behind it, if there is one.
        value: Option<String>,
    },
}

/// Sections that belong together (RFC 5888).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// What the group means: `BUNDLE`, `LS`, …
    pub(crate) semantics: String,
    /// The names of its sections, in order.
    pub(crate) mids: Vec<String>,
}

impl Group {
    /// What the group means: `BUNDLE`, `LS`, …
    #[must_use]
    pub fn semantics(&self) -> &str {
        &self.semantics
    }

    /// The names of its sections; the first is the tagged one (RFC 8843 section 7).
    #[must_use]
    pub fn mids(&self) -> &[String] {
        &self.mids
    }

    /// Whether its sections share one transport.
    #[must_use]
    pub fn is_bundle(&self) -> bool {
        self.semantics == "BUNDLE"
    }
}

/// Who opens the DTLS association (RFC 4145 section 4, RFC 8842).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Setup {
    /// The sender of the description: it is the DTLS client.
    Active,
    /// The receiver of the description: the sender is the DTLS server.
    Passive,
    /// Whom the answer names.
    ActPass,
    /// Nobody for now.
    HoldConn,
}

impl Setup {
    /// The value of the attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Attribute {
    /// `text` is what stands behind `a=`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if name.is_empty() || name.contains(' ') {
            return Err(Problem::invalid("attribute name", name));
        }
        let other = || Self::Other { name: name.to_owned(), value: value.map(str::to_owned) };
        Ok(match (name, value) {
            ("bundle-only", None) => Self::BundleOnly,
            ("ice-lite", None) => Self::IceLite,
            ("end-of-candidates", None) => Self::EndOfCandidates,
            ("candidate", Some(_)) => Self::Candidate(Box::new(text.parse().map_err(Problem::Candidate)?)),
            ("fingerprint", Some(value)) => Self::Fingerprint(value.parse().map_err(Problem::Fingerprint)?),
            ("group", Some(value)) => {
                let mut words = value.split_ascii_whitespace().map(str::to_owned);
                let semantics = words.next().ok_or(Problem::Missing("group semantics"))?;
                Self::Group(Group { semantics, mids: words.collect() })
            }
            ("ice-options", Some(value)) => Self::IceOptions(ice_options(value)),
            ("ice-pacing", Some(value)) => Self::IcePacing(ice_pacing(value)?),
            ("mid", Some(value)) => Self::Mid(token("mid", value)?),
            ("ice-ufrag", Some(value)) => Self::IceUfrag(value.to_owned()),
            ("ice-pwd", Some(value)) => Self::IcePwd(value.to_owned()),
            ("setup", Some(value)) => Self::Setup(setup(value)?),
            ("tls-id", Some(value)) => Self::TlsId(token("tls-id", value)?),
            ("sctp-port", Some(value)) => Self::SctpPort(number("sctp-port", value)?),
            ("max-message-size", Some(value)) => Self::MaxMessageSize(max_message_size(value)?),
            _ => other(),
        })
    }

    /// The name, for an attribute that a section cannot have twice without contradicting itself.
    pub(super) fn unique(&self) -> Option<Unique> {
        Some(match self {
            Self::Mid(_) => Unique::Mid,
            Self::IceUfrag(_) => Unique::IceUfrag,
            Self::IcePwd(_) => Unique::IcePwd,
            Self::IcePacing(_) => Unique::IcePacing,
            Self::Setup(_) => Unique::Setup,
            Self::TlsId(_) => Unique::TlsId,
            Self::SctpPort(_) => Unique::SctpPort,
            Self::MaxMessageSize(_) => Unique::MaxMessageSize,
            _ => return None,
        })
    }
}

/// An attribute that comes once in a section.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Unique {
    Mid,
    IceUfrag,
    IcePwd,
    IcePacing,
    Setup,
    TlsId,
    SctpPort,
    MaxMessageSize,
}

impl Unique {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mid => "mid",
            Self::IceUfrag => "ice-ufrag",
            Self::IcePwd => "ice-pwd",
            Self::IcePacing => "ice-pacing",
            Self::Setup => "setup",
            Self::TlsId => "tls-id",
            Self::SctpPort => "sctp-port",
            Self::MaxMessageSize => "max-message-size",
        }
    }
}

fn setup(value: &str) -> Result<Setup, Problem> {
    [Setup::Active, Setup::Passive, Setup::ActPass, Setup::HoldConn]
        .into_iter()
        .find(|setup| value.trim_ascii().eq_ignore_ascii_case(setup.as_str()))
        .ok_or_else(|| Problem::invalid("setup", value))
}

/// The options are a list with spaces between; some write commas, which no option can contain.
fn ice_options(value: &str) -> Vec<String> {
    value.split([' ', '\t', ',']).filter(|option| !option.is_empty()).map(str::to_owned).collect()
}

/// One to ten digits.
fn ice_pacing(value: &str) -> Result<Duration, Problem> {
    if value.trim_ascii().len() > 10 {
        return Err(Problem::invalid("ice-pacing", value));
    }
    number("ice-pacing", value).map(Duration::from_millis)
}

/// The grammar has no upper limit; what 64 bits cannot hold is as good as none.
fn max_message_size(value: &str) -> Result<NonZeroU64, Problem> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::invalid("max-message-size", value));
    }
    Ok(digits.parse().ok().and_then(NonZeroU64::new).unwrap_or(NonZeroU64::MAX))
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(Group { semantics, mids }) => {
                write!(f, "group:{semantics}")?;
                mids.iter().try_for_each(|mid| write!(f, " {mid}"))
            }
            Self::Mid(mid) => write!(f, "mid:{mid}"),
            Self::BundleOnly => f.write_str("bundle-only"),
            Self::IceUfrag(ufrag) => write!(f, "ice-ufrag:{ufrag}"),
            Self::IcePwd(pwd) => write!(f, "ice-pwd:{pwd}"),
            Self::IceOptions(options) => write!(f, "ice-options:{}", options.join(" ")),
            Self::IceLite => f.write_str("ice-lite"),
            Self::IcePacing(pacing) => write!(f, "ice-pacing:{}", pacing.as_millis()),
            Self::Candidate(candidate) => candidate.fmt(f),
            Self::EndOfCandidates => f.write_str("end-of-candidates"),
            Self::Fingerprint(fingerprint) => write!(f, "fingerprint:{fingerprint}"),
            Self::Setup(setup) => write!(f, "setup:{setup}"),
            Self::TlsId(id) => write!(f, "tls-id:{id}"),
            Self::SctpPort(port) => write!(f, "sctp-port:{port}"),
            Self::MaxMessageSize(NonZeroU64::MAX) => f.write_str("max-message-size:0"),
            Self::MaxMessageSize(bytes) => write!(f, "max-message-size:{bytes}"),
            Self::Other { name, value: None } => f.write_str(name),
            Self::Other { name, value: Some(value) } => write!(f, "{name}:{value}"),
        }
    }
}

/// As text, without the password: what is logged must not let a reader join the session.
impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IcePwd(_) => f.write_str("ice-pwd:(hidden)"),
            _ => write!(f, "{self}"),
        }
    }
}
