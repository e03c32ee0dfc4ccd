//! Text to model, line by line.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use super::attribute::Unique;
use super::description::Line;
use super::{Attribute, InvalidCandidate, InvalidFingerprint, MediaSection, Origin, SessionDescription, clip};

/// The longest description that is read, in bytes. A browser needs about 6 KB for a video section with all
/// its codecs, so forty of them fit.
pub const MAX_BYTES: usize = 256 * 1024;

/// The most lines that are read. It bounds the memory that a description of many short lines takes: about
/// 1 MB.
pub const MAX_LINES: usize = 8 * 1024;

/// The longest line that is read, in bytes. The longest ones in use, `a=identity`, have a few thousand.
pub const MAX_LINE_BYTES: usize = 8 * 1024;

/// The most media sections that are read. Conferences with one section per stream stay below a hundred.
pub const MAX_SECTIONS: usize = 128;

impl SessionDescription {
    /// Reads a description, in time and memory proportional to its length.
    ///
    /// Lines may end in CRLF or LF. Attributes and media that are not known are kept.
    ///
    /// # Errors
    /// Names the first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_BYTES {
            let line = 1 + text.as_bytes()[..MAX_BYTES].iter().filter(|&&b| b == b'\n').count();
            return Err(ParseError { line, text: String::new(), problem: Problem::TooManyBytes });
        }
        let mut parser = Parser::default();
        let mut count = 0;
        for line in text.trim_end_matches(['\r', '\n']).split('\n') {
            count += 1;
            let line = line.strip_suffix('\r').unwrap_or(line);
            parser.line(count, line).map_err(|problem| ParseError::new(count, line, problem))?;
        }
        parser.finish().map_err(|problem| ParseError::new(count + 1, "", problem))
    }
}

impl FromStr for SessionDescription {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Parser {
    origin: Option<Origin>,
    name: Option<String>,
    lines: Vec<Line>,
    attributes: Vec<Attribute>,
    media: Vec<MediaSection>,
    /// The attributes of the section at hand that come once.
    seen: BTreeSet<Unique>,
    mids: BTreeSet<String>,
}

impl Parser {
    /// Takes line `number`, counted from 1.
    fn line(&mut self, number: usize, line: &str) -> Result<(), Problem> {
        if number > MAX_LINES {
            return Err(Problem::TooManyLines);
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(Problem::LineTooLong);
        }
        if let Some(bad) = line.chars().find(|c| matches!(c, '\0' | '\r')) {
            return Err(Problem::ControlCharacter(bad));
        }
        let mut chars = line.chars();
        let (Some(letter), Some('=')) = (chars.next(), chars.next()) else { return Err(Problem::NotALine) };
        let value = chars.as_str();
        match (number, letter) {
            (1, 'v') => match value.trim_ascii() {
                "0" => Ok(()),
                _ => Err(Problem::invalid("version", value)),
            },
            (1, _) => Err(Problem::Missing("v=")),
            (2, 'o') => {
                self.origin = Some(origin(value)?);
                Ok(())
            }
            (2, _) => Err(Problem::Missing("o=")),
            (3, 's') => {
                self.name = Some(value.to_owned());
                Ok(())
            }
            (3, _) => Err(Problem::Missing("s=")),
            (_, 'v' | 'o' | 's') => Err(Problem::Misplaced(letter)),
            (_, 'm') => self.section(value),
            (_, 'a') => self.attribute(value),
            (_, 'i' | 'u' | 'e' | 'p' | 'c' | 'b' | 't' | 'r' | 'z' | 'k') => {
                let line = Line { letter, value: value.to_owned() };
                self.media.last_mut().map_or(&mut self.lines, |section| &mut section.lines).push(line);
                Ok(())
            }
            _ => Err(Problem::UnknownLetter(letter)),
        }
    }

    fn section(&mut self, value: &str) -> Result<(), Problem> {
        if self.media.len() == MAX_SECTIONS {
            return Err(Problem::TooManySections);
        }
        self.media.push(media_section(value)?);
        self.seen.clear();
        Ok(())
    }

    fn attribute(&mut self, value: &str) -> Result<(), Problem> {
        let attribute = Attribute::parse(value)?;
        if let Some(unique) = attribute.unique()
            && !self.seen.insert(unique)
        {
            return Err(Problem::Repeated(unique.name()));
        }
        let Some(section) = self.media.last_mut() else {
            self.attributes.push(attribute);
            return Ok(());
        };
        if let Attribute::Mid(mid) = &attribute
            && !self.mids.insert(mid.clone())
        {
            return Err(Problem::MidInUse(clip(mid)));
        }
        section.attributes.push(attribute);
        Ok(())
    }

    fn finish(self) -> Result<SessionDescription, Problem> {
        Ok(SessionDescription {
            origin: self.origin.ok_or(Problem::Missing("o="))?,
            name: self.name.ok_or(Problem::Missing("s="))?,
            lines: self.lines,
            attributes: self.attributes,
            media: self.media,
        })
    }
}

fn origin(value: &str) -> Result<Origin, Problem> {
    let mut words = value.split_ascii_whitespace();
    let mut word = |name| words.next().ok_or(Problem::Missing(name));
    let username = word("username")?;
    let session_id = word("session id")?;
    let version = word("session version")?;
    let address = [word("network type")?, word("address type")?, word("address")?];
    Ok(Origin {
        username: username.to_owned(),
        session_id: number("session id", session_id)?,
        version: number("session version", version)?,
        address: address.join(" "),
    })
}

fn media_section(value: &str) -> Result<MediaSection, Problem> {
    let mut words = value.split_ascii_whitespace();
    let mut word = |name| words.next().ok_or(Problem::Missing(name));
    let kind = word("media")?;
    let ports = word("port")?;
    let protocol = word("protocol")?;
    let first_format = word("format")?;
    let (port, port_count) = match ports.split_once('/') {
        Some((port, count)) => (port, Some(number("number of ports", count)?)),
        None => (ports, None),
    };
    Ok(MediaSection {
        kind: kind.to_owned(),
        port: number("port", port)?,
        port_count,
        protocol: protocol.to_owned(),
        formats: core::iter::once(first_format).chain(words).map(str::to_owned).collect(),
        lines: Vec::new(),
        attributes: Vec::new(),
    })
}

/// A decimal number without a sign.
pub(super) fn number<T: FromStr>(field: &'static str, text: &str) -> Result<T, Problem> {
    let digits = text.trim_ascii();
    let valid = digits.bytes().all(|b| b.is_ascii_digit());
    let number = valid.then(|| digits.parse().ok()).flatten();
    number.ok_or_else(|| Problem::invalid(field, text))
}

/// One word. The grammar of RFC 8866 allows fewer characters than are in use.
pub(super) fn token(field: &'static str, text: &str) -> Result<String, Problem> {
    let token = text.trim_ascii();
    let valid = !token.is_empty() && !token.contains(|c: char| c.is_whitespace() || c.is_control());
    if valid { Ok(token.to_owned()) } else { Err(Problem::invalid(field, text)) }
}

/// Why a text is no session description, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    line: usize,
    text: String,
    problem: Problem,
}

impl ParseError {
    fn new(line: usize, text: &str, problem: Problem) -> Self {
        // An error may be logged; a password may not.
        let text = if text.starts_with("a=ice-pwd:") { "a=ice-pwd:(hidden)".to_owned() } else { clip(text) };
        Self { line, text, problem }
    }

    /// The number of the line, counted from 1. One more than there are if the text ends too early.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The line, clipped.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session description, line {}: {}", self.line, self.problem)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {:?}", self.text) }
    }
}

impl std::error::Error for ParseError {}

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The text is longer than [`MAX_BYTES`].
    TooManyBytes,
    /// There are more lines than [`MAX_LINES`].
    TooManyLines,
    /// There are more media sections than [`MAX_SECTIONS`].
    TooManySections,
    /// The line is longer than [`MAX_LINE_BYTES`].
    LineTooLong,
    /// NUL, or a carriage return that ends no line.
    ControlCharacter(char),
    /// It does not begin with a letter and `=`.
    NotALine,
    /// No line begins with this letter (RFC 8866 section 5).
    UnknownLetter(char),
    /// A line of this letter cannot stand here.
    Misplaced(char),
    /// This line or field is not there.
    Missing(&'static str),
    /// A field has a value that it cannot have.
    Invalid {
        /// The field.
        field: &'static str,
        /// The value, clipped.
        value: String,
    },
    /// The section has this attribute already.
    Repeated(&'static str),
    /// Another section has this mid.
    MidInUse(String),
    /// The candidate cannot be read.
    Candidate(InvalidCandidate),
    /// The fingerprint cannot be read.
    Fingerprint(InvalidFingerprint),
}

impl Problem {
    pub(super) fn invalid(field: &'static str, value: &str) -> Self {
        Self::Invalid { field, value: clip(value) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyBytes => write!(f, "more than {MAX_BYTES} bytes"),
            Self::TooManyLines => write!(f, "more than {MAX_LINES} lines"),
            Self::TooManySections => write!(f, "more than {MAX_SECTIONS} media sections"),
            Self::LineTooLong => write!(f, "more than {MAX_LINE_BYTES} bytes in one line"),
            Self::ControlCharacter(c) => write!(f, "the control character {c:?}"),
            Self::NotALine => f.write_str("no letter and \"=\" at the start"),
            Self::UnknownLetter(c) => write!(f, "the unknown letter {c:?} at the start"),
            Self::Misplaced(c) => write!(f, "\"{c}=\" in a place where it cannot stand"),
            Self::Missing(what) => write!(f, "{what} is missing"),
            Self::Invalid { field, value } => write!(f, "{field} is {value:?}, which it cannot be"),
            Self::Repeated(name) => write!(f, "{name} comes twice in one section"),
            Self::MidInUse(mid) => write!(f, "mid {mid:?} names another section"),
            Self::Candidate(error) => error.fmt(f),
            Self::Fingerprint(error) => error.fmt(f),
        }
    }
}
