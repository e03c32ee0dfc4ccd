//! Session descriptions: parse, model, write (RFC 8866, 8839, 8843).
//!
//! [`SessionDescription::parse`] reads what the other side sent: tolerant where practice is (bare line
//! feeds, attributes and sections that nobody here knows are kept, in order), strict where a guess could
//! hurt. The attributes that offer and answer turn on are parsed into types on the way in, so that
//! whoever holds a description holds a well-formed one. `Display` writes canonical text.

mod attribute;
mod candidate;
mod description;
mod fingerprint;
mod parse;
#[cfg(test)]
mod tests;

pub use attribute::{Attribute, Group, Setup};
pub use candidate::{
    CandidateAttribute, CandidateField, CandidateTransport, CandidateType, Host, InvalidCandidate, Unusable,
};
pub(crate) use description::Line;
pub use description::{MediaSection, Origin, SessionDescription};
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use parse::{MAX_BYTES, MAX_LINE_BYTES, MAX_LINES, MAX_SECTIONS, ParseError, Problem};

/// The start of `text`, short enough for an error.
fn clip(text: &str) -> String {
    const MAX_BYTES: usize = 80;
    if text.len() <= MAX_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_BYTES).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    format!("{}...", &text[..end])
}
