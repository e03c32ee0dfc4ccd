//! What the program is told: who takes part, and how each is started.

use std::path::PathBuf;

const USAGE: &str = "\
usage: language-matrix [--bytes N] [--json FILE] CONTESTANT...
A contestant is one of
  --contestant NAME PROGRAM [ARGUMENT...]   it is started so, with what the contract names behind
  --skipped NAME WHY                        it cannot be had on this machine
  --broken NAME WHY                         it ought to be there";

/// How many bytes go each way.
const BYTES: u64 = 1 << 20;

/// All that the program is told.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Arguments {
    pub(crate) bytes: u64,
    /// Where the table for programs goes.
    pub(crate) json: Option<PathBuf>,
    /// In the order of rows and columns.
    pub(crate) contestants: Vec<Contestant>,
}

/// Who takes part.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Contestant {
    /// The name of its language, as its reports have it.
    pub(crate) name: String,
    pub(crate) standing: Standing,
}

/// Whether a contestant can run.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// By this command line, which is not empty.
    Ready(Vec<String>),
    /// This machine cannot have it, and why.
    Skipped(String),
    /// It ought to run and does not, and why.
    Broken(String),
}

impl Arguments {
    /// Reads the words behind the program's name.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let wrong = |why: String| format!("{why}\n{USAGE}");
        let mut arguments = Self { bytes: BYTES, json: None, contestants: Vec::new() };
        let mut words = words.into_iter().peekable();
        while let Some(option) = words.next() {
            let mut value = |what: &str| words.next().ok_or_else(|| wrong(format!("{option} wants {what}")));
            match option.as_str() {
                "--bytes" => {
                    let text = value("a number")?;
                    arguments.bytes = text.parse().map_err(|_| wrong(format!("`{text}` is no number of bytes")))?;
                }
                "--json" => arguments.json = Some(value("a file")?.into()),
                "--skipped" | "--broken" => {
                    let (name, why) = (value("a name")?, value("a reason")?);
                    let standing = if option == "--skipped" { Standing::Skipped(why) } else { Standing::Broken(why) };
                    arguments.contestants.push(Contestant { name, standing });
                }
                "--contestant" => {
                    let (name, program) = (value("a name")?, value("a program")?);
                    let mut command = vec![program];
                    let is_next = |word: &String| ["--contestant", "--skipped", "--broken"].contains(&word.as_str());
                    while let Some(word) = words.next_if(|word| !is_next(word)) {
                        command.push(word);
                    }
                    arguments.contestants.push(Contestant { name, standing: Standing::Ready(command) });
                }
                other => return Err(wrong(format!("no option `{other}`"))),
            }
        }
        if arguments.contestants.is_empty() {
            return Err(wrong("a contestant is missing".to_owned()));
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_command_goes_to_the_next_contestant() {
        let arguments =
            parse("--bytes 5 --json f --contestant a env X=1 a --bytes --skipped b old --contestant c c").unwrap();
        let ready = |words: &str| Standing::Ready(words.split(' ').map(str::to_owned).collect());
        let standings: Vec<&Standing> = arguments.contestants.iter().map(|contestant| &contestant.standing).collect();
        assert_eq!(standings, [&ready("env X=1 a --bytes"), &Standing::Skipped("old".to_owned()), &ready("c")]);
        assert_eq!((arguments.bytes, arguments.json), (5, Some("f".into())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("--bytes 5", "contestant"),
            ("--bytes five", "five"),
            ("--contestant a", "program"),
            ("--skipped a", "reason"),
            ("--onyl x", "--onyl"),
        ] {
            let why = parse(line).unwrap_err();
            assert!(why.contains(named), "{line}: {why}");
        }
    }
}
