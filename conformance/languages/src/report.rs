//! The line that a program prints in the end.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::part::Part;

/// What a program tells.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Line {
    /// All is done.
    Done(Report),
    /// Something went wrong.
    Failed(Failure),
}

/// What it tells if all is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) part: Part,
    pub(crate) language: String,
    pub(crate) connected: bool,
    /// How many bytes came in.
    pub(crate) bytes: u64,
    /// Of them.
    pub(crate) sha256: Sha256,
    pub(crate) closed: bool,
    pub(crate) connect_milliseconds: u64,
    pub(crate) milliseconds: u64,
}

/// What it tells if something went wrong.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) part: Part,
    pub(crate) language: String,
    pub(crate) error: String,
}

impl Line {
    /// Reads all that a program has written: one line.
    pub(crate) fn parse(output: &str) -> Result<Self, LineError> {
        let mut lines = output.lines();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(LineError::NotOne(output.lines().count()));
        };
        let malformed =
            |error: serde_json::Error| LineError::Malformed { line: line.to_owned(), why: error.to_string() };
        let value: Value = serde_json::from_str(line).map_err(malformed)?;
        match value.get("error") {
            Some(_) => serde_json::from_value(value).map(Self::Failed).map_err(malformed),
            None => serde_json::from_value(value).map(Self::Done).map_err(malformed),
        }
    }

    pub(crate) fn part(&self) -> Part {
        match self {
            Self::Done(report) => report.part,
            Self::Failed(failure) => failure.part,
        }
    }

    pub(crate) fn language(&self) -> &str {
        match self {
            Self::Done(report) => &report.language,
            Self::Failed(failure) => &failure.language,
        }
    }
}

/// Why the output is not the line that it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LineError {
    /// There are so many lines.
    NotOne(usize),
    /// It is not JSON, or a field is missing or wrong.
    Malformed { line: String, why: String },
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOne(0) => f.write_str("it printed nothing"),
            Self::NotOne(lines) => write!(f, "it printed {lines} lines, not one"),
            Self::Malformed { line, why } => write!(f, "it printed {line:?}: {why}"),
        }
    }
}

impl std::error::Error for LineError {}

/// A SHA-256, in 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Sha256(String);

impl FromStr for Sha256 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.len() == 64 && text.bytes().all(is_digit) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("`{text}` is not a SHA-256 of 64 hexadecimal digits in lower case")),
        }
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
