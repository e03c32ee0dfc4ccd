//! The two parts that a program can have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which of the two a program is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// It makes the offer, and sends.
    Offerer,
    /// It answers, and echoes.
    Answerer,
}

impl Part {
    /// Both, in the order in which everything here has them.
    pub(crate) const BOTH: [Self; 2] = [Self::Offerer, Self::Answerer];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offerer => "offerer",
            Self::Answerer => "answerer",
        })
    }
}
