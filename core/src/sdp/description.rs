//! The model of a session description.

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

use super::{Attribute, CandidateAttribute, Fingerprint, Group, Setup};

/// A session description (RFC 8866).
///
/// It comes out of [`parse`](Self::parse), so it is well formed; whether it makes sense as an offer or an
/// answer is for [`jsep`](crate::jsep) to say. `Display` writes it as canonical text, which reads back as
/// the same value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionDescription {
    pub(crate) origin: Origin,
    /// `s=`
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) media: Vec<MediaSection>,
}

/// `o=`: names the session and counts the versions of its description (RFC 8866 section 5.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    pub(crate) username: String,
    pub(crate) session_id: u64,
    pub(crate) version: u64,
    /// Network type, address type and address.
    pub(crate) address: String,
}

/// A line that is neither an attribute nor one of those that every description begins with. Nothing
/// here depends on them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// The letter before the `=`.
    pub(crate) letter: char,
    pub(crate) value: String,
}

/// A media section: an `m=` line and what follows it (RFC 8866 section 5.14).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaSection {
    pub(crate) kind: String,
    pub(crate) port: u16,
    /// The number of ports behind the `/`.
    pub(crate) port_count: Option<u16>,
    pub(crate) protocol: String,
    pub(crate) formats: Vec<String>,
    pub(crate) lines: Vec<Line>,
    pub(crate) attributes: Vec<Attribute>,
}

impl Origin {
    /// `-`, or a name that nobody needs.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Stays the same for all descriptions that one side makes of a session.
    #[must_use]
    pub fn session_id(&self) -> u64 {
        self.session_id
    }

    /// Grows when the description changes.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl SessionDescription {
    /// `o=`
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// `s=`
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The attributes before the first media section.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The media sections.
    #[must_use]
    pub fn media(&self) -> &[MediaSection] {
        &self.media
    }

    /// The groups of sections that share one transport (RFC 8843).
    pub fn bundles(&self) -> impl Iterator<Item = &Group> {
        find_all(&self.attributes, |a| match a {
            Attribute::Group(group) if group.is_bundle() => Some(group),
            _ => None,
        })
    }

    /// `ice-lite`: the sender only answers checks.
    #[must_use]
    pub fn ice_lite(&self) -> bool {
        self.attributes.contains(&Attribute::IceLite)
    }

    /// The user name fragment that holds for `section`: its own, or else the session's.
    #[must_use]
    pub fn ice_ufrag<'a>(&'a self, section: &'a MediaSection) -> Option<&'a str> {
        self.effective(section, |a| match a {
            Attribute::IceUfrag(ufrag) => Some(ufrag.as_str()),
            _ => None,
        })
    }

    /// The password that holds for `section`: its own, or else the session's.
    #[must_use]
    pub fn ice_pwd<'a>(&'a self, section: &'a MediaSection) -> Option<&'a str> {
        self.effective(section, |a| match a {
            Attribute::IcePwd(pwd) => Some(pwd.as_str()),
            _ => None,
        })
    }

    /// Whether `option` is among the `ice-options` of `section` or of the session.
    #[must_use]
    pub fn has_ice_option(&self, section: &MediaSection, option: &str) -> bool {
        section.attributes.iter().chain(&self.attributes).any(|a| match a {
            Attribute::IceOptions(options) => options.iter().any(|o| o == option),
            _ => false,
        })
    }

    /// `ice-pacing`: the Ta that the sender wishes. Some write this attribute of the session into the section.
    #[must_use]
    pub fn ice_pacing(&self, section: &MediaSection) -> Option<Duration> {
        self.effective(section, |a| match a {
            Attribute::IcePacing(pacing) => Some(*pacing),
            _ => None,
        })
    }

    /// Whether the sender has told all candidates of `section` (RFC 8840 section 8.2).
    #[must_use]
    pub fn end_of_candidates(&self, section: &MediaSection) -> bool {
        section.attributes.iter().chain(&self.attributes).any(|a| *a == Attribute::EndOfCandidates)
    }

    /// The fingerprints that hold for `section`: its own, or if it has none the session's.
    pub fn fingerprints<'a>(&'a self, section: &'a MediaSection) -> impl Iterator<Item = &'a Fingerprint> {
        fn fingerprint(a: &Attribute) -> Option<&Fingerprint> {
            match a {
                Attribute::Fingerprint(fingerprint) => Some(fingerprint),
                _ => None,
            }
        }
        let own = find_all(&section.attributes, fingerprint).next().is_some();
        find_all(if own { &section.attributes } else { &self.attributes }, fingerprint)
    }

    /// The `setup` that holds for `section`: its own, or else the session's.
    #[must_use]
    pub fn setup(&self, section: &MediaSection) -> Option<Setup> {
        self.effective(section, |a| match a {
            Attribute::Setup(setup) => Some(*setup),
            _ => None,
        })
    }

    /// The `tls-id` that holds for `section`: its own, or else the session's.
    #[must_use]
    pub fn tls_id<'a>(&'a self, section: &'a MediaSection) -> Option<&'a str> {
        self.effective(section, |a| match a {
            Attribute::TlsId(id) => Some(id.as_str()),
            _ => None,
        })
    }

    fn effective<'a, T>(&'a self, section: &'a MediaSection, select: impl Fn(&'a Attribute) -> Option<T>) -> Option<T> {
        section.attributes.iter().chain(&self.attributes).find_map(select)
    }
}

impl MediaSection {
    /// What it carries: `audio`, `video`, `application`, or something unheard of.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The port. Zero rejects or stops the section, unless it is [`bundle_only`](Self::bundle_only).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The transport protocol, such as `UDP/DTLS/SCTP`.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The formats; at least one.
    #[must_use]
    pub fn formats(&self) -> &[String] {
        &self.formats
    }

    /// The attributes, in order.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The section's name.
    #[must_use]
    pub fn mid(&self) -> Option<&str> {
        self.attributes.iter().find_map(|a| match a {
            Attribute::Mid(mid) => Some(mid.as_str()),
            _ => None,
        })
    }

    /// Whether the section has no transport outside of its bundle (RFC 8843 section 6).
    #[must_use]
    pub fn bundle_only(&self) -> bool {
        self.attributes.contains(&Attribute::BundleOnly)
    }

    /// The candidates.
    pub fn candidates(&self) -> impl Iterator<Item = &CandidateAttribute> {
        find_all(&self.attributes, |a| match a {
            Attribute::Candidate(candidate) => Some(&**candidate),
            _ => None,
        })
    }

    /// `sctp-port`
    #[must_use]
    pub fn sctp_port(&self) -> Option<u16> {
        self.attributes.iter().find_map(|a| match a {
            Attribute::SctpPort(port) => Some(*port),
            _ => None,
        })
    }

    /// `max-message-size` in bytes; [`NonZeroU64::MAX`] is no limit.
    #[must_use]
    pub fn max_message_size(&self) -> Option<NonZeroU64> {
        self.attributes.iter().find_map(|a| match a {
            Attribute::MaxMessageSize(bytes) => Some(*bytes),
            _ => None,
        })
    }
}

fn find_all<'a, T: 'a>(
    attributes: &'a [Attribute],
    select: impl Fn(&'a Attribute) -> Option<T>,
) -> impl Iterator<Item = T> {
    attributes.iter().filter_map(select)
}

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { username, session_id, version, address } = &self.origin;
        write!(f, "v=0\r\no={username} {session_id} {version} {address}\r\ns={}\r\n", self.name)?;
        write_body(f, &self.lines, &self.attributes)?;
        self.media.iter().try_for_each(|section| section.fmt(f))
    }
}

impl fmt::Display for MediaSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {}", self.kind, self.port)?;
        if let Some(count) = self.port_count {
            write!(f, "/{count}")?;
        }
        write!(f, " {}", self.protocol)?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
        f.write_str("\r\n")?;
        write_body(f, &self.lines, &self.attributes)
    }
}

fn write_body(f: &mut fmt::Formatter<'_>, lines: &[Line], attributes: &[Attribute]) -> fmt::Result {
    lines.iter().try_for_each(|Line { letter, value }| write!(f, "{letter}={value}\r\n"))?;
    attributes.iter().try_for_each(|attribute| write!(f, "a={attribute}\r\n"))
}
