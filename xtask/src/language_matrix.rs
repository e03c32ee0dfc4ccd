//! `cargo xtask language-matrix`: programs in several languages, each as offerer against each as answerer
//! (`docs/language-matrix.md`).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::arguments::{no_more_options, take_value};
use crate::counts::{Counts, Skip};
use crate::failure::Failure;
use crate::job::Job;
use crate::kotlin;
use crate::node;
use crate::python;
use crate::repository::Repository;
use crate::setup::{Need, Setup, Unmet, find_program};
use crate::step::Context;
use crate::suite::{BROWSER_SUITE, CHROMIUM, IN_NAMESPACE};
use crate::swift_package;

/// Who takes part, in the order of rows and columns.
const CONTESTANTS: &[Contestant] = &[
    Contestant { name: "rust", needs: &[], prepare: rust },
    Contestant { name: "python", needs: &[Need::Python], prepare: python },
    Contestant { name: "node", needs: node::PACKAGE_NEEDS, prepare: node_example },
    Contestant { name: "kotlin", needs: &[Need::Kotlin], prepare: kotlin },
    Contestant { name: "swift", needs: &[Need::Swift], prepare: swift_package::echo },
    Contestant { name: "chromium", needs: CHROMIUM_NEEDS, prepare: chromium },
];

/// A program that follows the contract.
struct Contestant {
    /// The name of its language, as its reports have it.
    name: &'static str,
    /// Where one of them is not met, its row and column are skipped.
    needs: &'static [Need],
    /// Builds what is to be built, or says why it cannot, and gives the words that start the program; what the contract names is put behind them.
    /// The program runs in the project's folder, in a network of its own: what it takes from elsewhere is fetched here.
    prepare: fn(label: &str, repository: &Repository) -> Result<Vec<OsString>, Failure>,
}

/// An example of `frazil-tokio`, which [`build`] has built.
fn rust(_: &str, repository: &Repository) -> Result<Vec<OsString>, Failure> {
    Ok(vec![repository.target().join("debug/examples/echo").into()])
}

/// The example of the package as users install it; its WebSocket is among the tools.
fn python(label: &str, repository: &Repository) -> Result<Vec<OsString>, Failure> {
    let python = python::install_package(label, repository, "python-echo")?;
    python::install_tools(label, repository, &python)?;
    Ok(vec![python.into(), repository.root().join("bindings/python/examples/echo.py").into()])
}

/// The example of the binding, beside the package that is installed.
fn node_example(label: &str, repository: &Repository) -> Result<Vec<OsString>, Failure> {
    let program = node::install_package(label, repository)?.join("examples/echo.mjs");
    let path = node::search_path(repository);
    Ok(with_environment(&[("PATH", &path)], &["node".as_ref(), program.as_os_str()]))
}

/// The example of the package, with the jar that is installed.
fn kotlin(label: &str, repository: &Repository) -> Result<Vec<OsString>, Failure> {
    kotlin::install_package(label, repository)?;
    Ok(vec!["java".into(), "-jar".into(), kotlin::build_examples(label, repository)?.into()])
}

const CHROMIUM_NEEDS: &[Need] = &[
    Need::Program { any_of: CHROMIUM, package: "chromium" },
    Need::program(&["npm"]),
    Need::Node,
    Need::NodeModules { folder: BROWSER_SUITE },
];

fn chromium(_: &str, repository: &Repository) -> Result<Vec<OsString>, Failure> {
    let browser = CHROMIUM.iter().find_map(|name| find_program(name));
    let browser = browser.ok_or_else(|| Failure::unexplained("there is no Chromium"))?;
    let program = repository.root().join(BROWSER_SUITE).join("echo.mjs");
    let path = node::search_path(repository);
    Ok(with_environment(&[("PATH", &path), ("CHROMIUM", browser.as_os_str())], &["node".as_ref(), program.as_os_str()]))
}

/// A command line that sets these variables and starts this program.
pub(crate) fn with_environment(variables: &[(&str, &OsStr)], command: &[&OsStr]) -> Vec<OsString> {
    let variables = variables.iter().map(|&(name, value)| {
        let mut assignment = OsString::from(name);
        assignment.push("=");
        assignment.push(value);
        assignment
    });
    [OsString::from("env")].into_iter().chain(variables).chain(command.iter().map(OsString::from)).collect()
}

/// Builds the program that tries the cells, and with it the example in Rust. Named so, the two have their dependencies with the
/// same features, and with those of the step `tests`: what takes minutes is built once.
fn build(label: &str, repository: &Repository) -> Result<(), Failure> {
    let programs = ["--bin", "language-matrix", "--example", "echo"];
    let built = Job::new(label, "cargo", repository.root()).args(["build", "--workspace"]).args(programs).run();
    if built.success { Ok(()) } else { Err(Failure::of(built.command.as_str(), &built)) }
}

/// What the table itself needs: a network of its own.
pub(crate) const NEEDS: &[Need] = &[Need::NetworkNamespace, Need::Program { any_of: &["ip"], package: "iproute2" }];

/// `cargo xtask language-matrix [--only WORD]… [--bytes N] [--json FILE]`.
pub(crate) fn run(repository: &Repository, mut arguments: Vec<String>) -> Result<ExitCode, String> {
    let here = std::env::current_dir().unwrap_or_default();
    let json = take_value(&mut arguments, "--json")?.map_or_else(|| output(repository), |file| here.join(file));
    let bytes = take_value(&mut arguments, "--bytes")?;
    let mut words = Vec::new();
    while let Some(word) = take_value(&mut arguments, "--only")? {
        words.push(word);
    }
    no_more_options(&arguments)?;
    if let Some(other) = arguments.first() {
        return Err(format!("`language-matrix` takes options only, not `{other}`"));
    }
    let mut setup = Setup::new(repository);
    let chosen = chosen(&words)?;
    setup.meet(NEEDS).map_err(|unmet| unmet.to_string())?;
    let table = Table::prepare("language-matrix", &mut setup, repository, &chosen).map_err(|why| why.to_string())?;
    let options = bytes.iter().flat_map(|bytes| ["--bytes", bytes.as_str()]);
    let words = table.words(&json, options);
    let status = Command::new("sh").current_dir(repository.root()).args(words).status();
    let status = status.map_err(|error| format!("sh did not start: {error}"))?;
    println!("{}", json.display());
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The table as a step of the tests, in which each cell counts.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    let mut setup = Setup::new(context.repository);
    let all: Vec<&Contestant> = CONTESTANTS.iter().collect();
    let table = match Table::prepare(context.label, &mut setup, context.repository, &all) {
        Ok(table) => table,
        Err(failure) => return Counts::one_failed(failure),
    };
    let words = table.words(&output(context.repository), []);
    let mut counts =
        Counts::of_tests(count, &Job::new(context.label, "sh", context.repository.root()).args(words).run());
    // The cells of such a language are red; here is why.
    counts.failed.splice(0..0, table.broken);
    counts
}

fn output(repository: &Repository) -> PathBuf {
    repository.target().join("language-matrix.json")
}

/// The contestants whose names have one of these words in them; without a word, all.
fn chosen(words: &[String]) -> Result<Vec<&'static Contestant>, String> {
    let has = |contestant: &&Contestant, word: &String| contestant.name.contains(word.as_str());
    if let Some(word) = words.iter().find(|word| !CONTESTANTS.iter().any(|contestant| has(&contestant, word))) {
        let names: Vec<&str> = CONTESTANTS.iter().map(|contestant| contestant.name).collect();
        return Err(format!("nobody has `{word}` in the name; there are {}", names.join(", ")));
    }
    let is_meant = |contestant: &&Contestant| words.is_empty() || words.iter().any(|word| has(contestant, word));
    Ok(CONTESTANTS.iter().filter(is_meant).collect())
}

/// The program that tries all cells, with what it is told of the contestants.
struct Table {
    program: PathBuf,
    contestants: Vec<OsString>,
    /// Why some contestants cannot run that should.
    broken: Vec<Failure>,
}

impl Table {
    /// Builds all that is to run.
    fn prepare(
        label: &str,
        setup: &mut Setup<'_>,
        repository: &Repository,
        contestants: &[&Contestant],
    ) -> Result<Self, Failure> {
        build(label, repository)?;
        // First together, so that packages are fetched in one go; what one lacks is asked for below.
        let _ = setup.meet(&contestants.iter().flat_map(|contestant| contestant.needs).copied().collect::<Vec<Need>>());
        let (mut words, mut broken) = (Vec::new(), Vec::new());
        for contestant in contestants {
            let prepared = match setup.meet(contestant.needs) {
                Ok(()) => (contestant.prepare)(label, repository).map_err(Unmet::Broken),
                Err(unmet) => Err(unmet),
            };
            let (option, rest) = match prepared {
                Ok(command) => ("--contestant", command),
                Err(Unmet::Unavailable(why)) => ("--skipped", vec![why.into()]),
                Err(Unmet::Broken(failure)) => {
                    let what = failure.to_string();
                    broken.push(Failure::new(format!("{}: {what}", contestant.name), failure.why));
                    ("--broken", vec![what.into()])
                }
            };
            words.extend([option.into(), contestant.name.into()]);
            words.extend(rest);
        }
        Ok(Self { program: repository.target().join("debug/language-matrix"), contestants: words, broken })
    }

    /// What `sh` is told. Whatever follows a contestant is its own, so all else comes before.
    fn words<'a>(&self, json: &Path, options: impl IntoIterator<Item = &'a str>) -> Vec<OsString> {
        let program = [IN_NAMESPACE.into(), self.program.clone().into(), "--json".into(), json.into()];
        let options = options.into_iter().map(OsString::from);
        program.into_iter().chain(options).chain(self.contestants.iter().cloned()).collect()
    }
}

/// Reads what the program says: a line for each cell that failed, with what its programs have said further in, or was
/// skipped, and how many are green.
fn count(output: &str) -> Counts {
    let mut counts = Counts::default();
    let mut lines = output.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(what) = line.strip_prefix("failed: ") {
            let mut said = Vec::new();
            while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
                said.push(line.trim_start());
            }
            counts.failed.push(Failure::new(what, said));
        } else if let Some((what, why)) = line.strip_prefix("skipped: ").and_then(|line| line.split_once(": ")) {
            counts.skipped.push(Skip::new(what, why));
        } else if line.contains(" cells are green, ") {
            counts.passed += line.split(' ').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_counts() {
        let output = "\
rust to rust: connected in 12 ms, 1048576 bytes there and back, and closed, in 80 ms
failed: rust to swift: the answerer: it ended by signal 6
    answerer | failed: no such thing
skipped: rust to kotlin: missing: maven; to install it one must be root
2 of 4 cells are green, 1 were skipped, in 9 s
";
        let counts = count(output);
        assert_eq!(counts.passed, 2);
        let said = ["answerer | failed: no such thing"];
        assert_eq!(counts.failed, [Failure::new("rust to swift: the answerer: it ended by signal 6", said)]);
        assert_eq!(counts.skipped, [Skip::new("rust to kotlin", "missing: maven; to install it one must be root")]);
        assert_eq!(count("a panic"), Counts::default());
    }

    #[test]
    fn contestants_are_chosen_by_a_part_of_their_names() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            chosen(&words).map(|chosen| chosen.iter().map(|contestant| contestant.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), CONTESTANTS.len());
        assert_eq!(names(&["chrom", "rus"]).unwrap(), ["rust", "chromium"]);
        assert!(names(&["rust", "cobol"]).err().unwrap().contains("cobol"));
    }

    #[test]
    fn variables_come_before_the_program() {
        let words = with_environment(&[("A", "b c".as_ref())], &["node".as_ref(), "x".as_ref()]);
        assert_eq!(words, ["env", "A=b c", "node", "x"]);
    }
}
