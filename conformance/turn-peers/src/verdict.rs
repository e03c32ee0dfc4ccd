//! What a run has shown.

use std::collections::BTreeMap;
use std::time::Duration;

use frazil::stun::Method;

use crate::running::{Line, Running};
use crate::server::{Answer, Seen};

/// A cell of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    pub(crate) mark: Mark,
    /// What was seen, in a line.
    pub(crate) evidence: String,
}

/// What a cell says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    Yes,
    /// Some of it; the evidence says what.
    Partly,
    No,
    /// There is nothing to ask.
    NoApi,
    /// What it stands on is not there.
    Void,
}

impl Mark {
    const ALL: [Self; 5] = [Self::Yes, Self::Partly, Self::No, Self::NoApi, Self::Void];

    /// The one with this word.
    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.word() == word)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
            Self::NoApi => "no API",
            Self::Void => "-",
        }
    }
}

impl Verdict {
    pub(crate) fn new(mark: Mark, evidence: impl Into<String>) -> Self {
        Self { mark, evidence: evidence.into() }
    }

    pub(crate) fn yes_if(is_so: bool, evidence: impl Into<String>) -> Self {
        Self::new(if is_so { Mark::Yes } else { Mark::No }, evidence)
    }

    pub(crate) fn no_api(what: &str) -> Self {
        Self::new(Mark::NoApi, what)
    }
}

/// A time for people.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What a server was asked, and what it said, each once.
pub(crate) fn summary(seen: &[Seen]) -> String {
    let mut order: Vec<String> = Vec::new();
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for seen in seen {
        if matches!(seen.answer, Answer::Relayed) || seen.method == Method::SEND {
            continue;
        }
        let asked = match seen.method {
            Method::BINDING => "Binding",
            Method::ALLOCATE => "Allocate",
            Method::REFRESH if seen.is_release => "Refresh(0)",
            Method::REFRESH => "Refresh",
            Method::CREATE_PERMISSION => "CreatePermission",
            Method::CHANNEL_BIND => "ChannelBind",
            _ => "other",
        };
        let said = match seen.answer {
            Answer::Success => "ok".to_owned(),
            Answer::Error(code) => code.to_string(),
            Answer::Garbage => "garbage".to_owned(),
            Answer::Relayed | Answer::None => "unanswered".to_owned(),
        };
        let what = format!("{asked} {said}");
        if !order.contains(&what) {
            order.push(what.clone());
        }
        *times.entry(what).or_default() += 1;
    }
    if order.is_empty() {
        return "server: asked nothing".to_owned();
    }
    let counted = order.iter().map(|what| match times[what] {
        1 => what.clone(),
        n => format!("{what} x{n}"),
    });
    format!("server: {}", counted.collect::<Vec<_>>().join(", "))
}

/// What the program has said of errors, in a line.
pub(crate) fn errors(running: &Running) -> String {
    let told = |line: &Line| {
        let code = line.what["code"].as_u64().map(|code| format!("{code} ")).unwrap_or_default();
        let url = line.what["url"].as_str().map(|url| format!(" ({url})")).unwrap_or_default();
        format!("told \"{code}{}\"{url} after {}", line.text("text").trim(), seconds(line.after))
    };
    match running.said("error").first().or(running.said("lost").first()) {
        Some(line) => told(line),
        None => "no error told".to_owned(),
    }
}
