//! What two programs must have done.

use std::fmt;

use crate::part::Part;
use crate::program::{End, Ended};
use crate::report::{Line, LineError, Report, Sha256};

/// What the two were to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The languages of offerer and answerer.
    pub(crate) languages: [&'a str; 2],
    /// How many bytes each was to get.
    pub(crate) bytes: u64,
}

/// Judges how offerer and answerer have ended. If nothing is wrong there are two reports, which agree.
pub(crate) fn judge(wanted: Wanted<'_>, ended: [&Ended; 2]) -> Result<[Report; 2], Vec<Fault>> {
    let [offerer, answerer] = [0, 1].map(|side: usize| {
        let part = Part::BOTH[side];
        judge_one(part, wanted.languages[side], wanted.bytes, ended[side])
            .map_err(|whats| whats.into_iter().map(|what| Fault { part, what }).collect::<Vec<_>>())
    });
    match (offerer, answerer) {
        (Ok(offerer), Ok(answerer)) if offerer.sha256 != answerer.sha256 => {
            let what = What::Different { offerer: offerer.sha256, answerer: answerer.sha256 };
            Err(vec![Fault { part: Part::Answerer, what }])
        }
        (Ok(offerer), Ok(answerer)) => Ok([offerer, answerer]),
        (offerer, answerer) => {
            let mut faults = [offerer.err(), answerer.err()].into_iter().flatten().flatten().collect::<Vec<_>>();
            // Whoever was abandoned is not to blame.
            faults.sort_by_key(|fault| fault.what == What::Ended(End::Abandoned));
            Err(faults)
        }
    }
}

fn judge_one(part: Part, language: &str, bytes: u64, ended: &Ended) -> Result<Report, Vec<What>> {
    let line = Line::parse(&ended.output);
    if ended.end != End::Code(0) {
        let said = line.ok().and_then(|line| match line {
            Line::Failed(failure) => Some(What::Said(failure.error)),
            Line::Done(_) => None,
        });
        // What it says of itself tells more than its exit code.
        return Err(match (&ended.end, said) {
            (End::Code(1), Some(said)) => vec![said],
            (end, said) => [What::Ended(end.clone())].into_iter().chain(said).collect(),
        });
    }
    let line = line.map_err(|error| vec![What::Line(error)])?;
    if line.part() != part || line.language() != language {
        return Err(vec![What::Mistaken { part: line.part(), language: line.language().to_owned() }]);
    }
    match line {
        Line::Failed(failure) => Err(vec![What::Said(failure.error), What::Ended(End::Code(0))]),
        Line::Done(report) => {
            let faults = [
                (!report.connected).then_some(What::NotConnected),
                (report.bytes != bytes).then_some(What::Bytes { wanted: bytes, got: report.bytes }),
                (!report.closed).then_some(What::NotClosed),
            ];
            let faults: Vec<What> = faults.into_iter().flatten().collect();
            if faults.is_empty() { Ok(report) } else { Err(faults) }
        }
    }
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) part: Part,
    pub(crate) what: What,
}

/// What is wrong with one of the two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// It ended as it should not.
    Ended(End),
    /// It said itself what went wrong.
    Said(String),
    /// It did not print the line that it should.
    Line(LineError),
    /// It is somebody else.
    Mistaken { part: Part, language: String },
    /// By its own word, it was not connected.
    NotConnected,
    /// Too few bytes came, or too many.
    Bytes { wanted: u64, got: u64 },
    /// By its own word, the connection is not closed.
    NotClosed,
    /// Each has got something else.
    Different { offerer: Sha256, answerer: Sha256 },
}

impl What {
    /// In a word or two, for a table.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Ended(End::NotStarted(_)) => "not started".to_owned(),
            Self::Ended(End::Code(code)) => format!("exit code {code}"),
            Self::Ended(End::Signal(_)) => "crashed".to_owned(),
            Self::Ended(End::TooLong(_)) => "hung".to_owned(),
            Self::Ended(End::Abandoned) => "abandoned".to_owned(),
            Self::Said(_) => "error".to_owned(),
            Self::Line(_) => "no report".to_owned(),
            Self::Mistaken { .. } => "mistaken".to_owned(),
            Self::NotConnected => "not connected".to_owned(),
            Self::Bytes { .. } => "wrong count".to_owned(),
            Self::NotClosed => "not closed".to_owned(),
            Self::Different { .. } => "wrong hash".to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}: {}", self.part, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(End::NotStarted(why)) => write!(f, "it did not start: {why}"),
            Self::Ended(End::Code(code)) => write!(f, "it ended with exit code {code}"),
            Self::Ended(End::Signal(Some(signal))) => write!(f, "it ended by signal {signal}"),
            Self::Ended(End::Signal(None)) => f.write_str("nobody knows how it ended"),
            Self::Ended(End::TooLong(seconds)) => write!(f, "it had not ended after {seconds} s, and was killed"),
            Self::Ended(End::Abandoned) => f.write_str("it went on when the other one had failed, and was killed"),
            // A cell has one line.
            Self::Said(error) => f.write_str(&error.lines().map(str::trim).collect::<Vec<_>>().join(" ")),
            Self::Line(error) => error.fmt(f),
            Self::Mistaken { part, language } => write!(f, "it says that it is the {part} in {language}"),
            Self::NotConnected => f.write_str("it was not connected"),
            Self::Bytes { wanted, got } => write!(f, "it got {got} bytes, not {wanted}"),
            Self::NotClosed => f.write_str("it has not seen the connection closed"),
            Self::Different { offerer, answerer } => {
                write!(f, "what it got has the SHA-256 {answerer}, that of the offerer is {offerer}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const WANTED: Wanted<'_> = Wanted { languages: ["rust", "python"], bytes: 1000 };

    fn report(part: Part) -> Value {
        let language = if part == Part::Offerer { "rust" } else { "python" };
        json!({
            "part": part, "language": language, "connected": true, "bytes": 1000, "sha256": "0a".repeat(32),
            "closed": true, "connectMilliseconds": 41, "milliseconds": 170,
        })
    }

    fn ended(end: End, output: impl ToString) -> Ended {
        Ended { end, output: output.to_string(), log: String::new() }
    }

    fn good(part: Part) -> Ended {
        ended(End::Code(0), report(part))
    }

    /// What is wrong if the answerer's report has this in place of what it should.
    fn with(field: &str, value: Value) -> Vec<Fault> {
        let mut line = report(Part::Answerer);
        line[field] = value;
        judge(WANTED, [&good(Part::Offerer), &ended(End::Code(0), line)]).unwrap_err()
    }

    /// What is wrong if the answerer ends so.
    fn if_answerer(end: End, output: impl ToString) -> Vec<What> {
        let faults = judge(WANTED, [&good(Part::Offerer), &ended(end, output)]).unwrap_err();
        assert!(faults.iter().all(|fault| fault.part == Part::Answerer), "{faults:?}");
        faults.into_iter().map(|fault| fault.what).collect()
    }

    #[test]
    fn two_that_agree_are_green() {
        let [offerer, answerer] = judge(WANTED, Part::BOTH.map(good).each_ref()).unwrap();
        assert_eq!((offerer.connect_milliseconds, answerer.milliseconds), (41, 170));
    }

    #[test]
    fn no_field_may_be_wrong_or_missing() {
        let different = with("sha256", json!("0b".repeat(32)));
        assert!(matches!(different[0].what, What::Different { .. }), "{different:?}");
        for (field, value, brief) in [
            ("connected", json!(false), "not connected"),
            ("bytes", json!(999), "wrong count"),
            ("bytes", json!(1001), "wrong count"),
            ("closed", json!(false), "not closed"),
            ("part", json!("offerer"), "mistaken"),
            ("language", json!("rust"), "mistaken"),
            ("sha256", json!(""), "no report"),
            ("sha256", json!("0A".repeat(32)), "no report"),
            ("connectMilliseconds", json!(null), "no report"),
        ] {
            let faults = with(field, value);
            assert_eq!(faults.iter().map(|fault| fault.what.brief()).collect::<Vec<_>>(), [brief], "{field}");
            assert_eq!(faults[0].part, Part::Answerer);
        }
        let whole = report(Part::Answerer);
        for field in whole.as_object().unwrap().keys() {
            let mut line = whole.clone();
            line.as_object_mut().unwrap().remove(field);
            assert!(matches!(if_answerer(End::Code(0), line).as_slice(), [What::Line(_)]), "{field}");
        }
    }

    #[test]
    fn a_good_report_does_not_excuse_a_bad_end() {
        for end in [End::Code(1), End::Code(134), End::Signal(Some(11)), End::TooLong(40)] {
            assert_eq!(if_answerer(end.clone(), report(Part::Answerer)), [What::Ended(end)]);
        }
    }

    #[test]
    fn a_program_that_ends_early_has_failed() {
        assert_eq!(if_answerer(End::Code(0), ""), [What::Line(LineError::NotOne(0))]);
        assert_eq!(if_answerer(End::Code(0), "{}\n{}\n"), [What::Line(LineError::NotOne(2))]);
        assert!(matches!(if_answerer(End::Code(0), "Traceback").as_slice(), [What::Line(LineError::Malformed { .. })]));
        let failed = json!({ "part": "answerer", "language": "python", "error": "no path" });
        assert_eq!(if_answerer(End::Code(1), &failed), [What::Said("no path".to_owned())]);
        assert_eq!(if_answerer(End::Code(0), &failed)[0], What::Said("no path".to_owned()));
        assert_eq!(if_answerer(End::Code(7), &failed).len(), 2);
    }

    #[test]
    fn the_one_to_blame_comes_first() {
        let failed = ended(End::Signal(Some(6)), "");
        let abandoned = ended(End::Abandoned, "");
        let faults = judge(WANTED, [&abandoned, &failed]).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.part).collect::<Vec<_>>(), [Part::Answerer, Part::Offerer]);
        assert_eq!(faults[0].to_string(), "the answerer: it ended by signal 6");
    }
}
