//! The fuzz targets: one by hand for as long as one likes, all of them for a minute each in the tests.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::arguments::{no_more_options, take_flag, take_number};
use crate::cargo_tool::CargoTool;
use crate::counts::Counts;
use crate::failure::Failure;
use crate::job::Finished;
use crate::repository::Repository;
use crate::setup::{Need, Setup};
use crate::step::Context;

/// What fuzzing needs: libFuzzer is C++.
pub(crate) const NEEDS: &[Need] =
    &[Need::Program { any_of: &["c++", "g++", "clang++"], package: "g++" }, Need::Tool(CargoTool::Fuzz)];

/// The crate that ties the targets to libFuzzer.
const FUZZ_FOLDER: &str = "fuzz/libfuzzer";
/// One input may take this many seconds by the clock, on a machine that has other things to do; more counts as a hang.
const HANG_SECONDS: u64 = 60;
/// More than this is memory that grows with what a stranger sends.
const MEMORY_MIB: u64 = 1024;

/// `cargo xtask fuzz TARGET [INPUT…] [--seconds N] [--sanitize] [-- LIBFUZZER OPTIONS]`.
///
/// With inputs given, libFuzzer gets those in place of the corpus: files are replayed, folders fuzzed.
pub(crate) fn run(repository: &Repository, mut arguments: Vec<String>) -> Result<ExitCode, String> {
    let for_libfuzzer = match arguments.iter().position(|a| a == "--") {
        Some(at) => arguments.split_off(at)[1..].to_vec(),
        None => Vec::new(),
    };
    let seconds = take_number(&mut arguments, "--seconds")?;
    let sanitize = take_flag(&mut arguments, "--sanitize");
    no_more_options(&arguments)?;
    let known = targets(repository);
    let target = match arguments.first() {
        Some(target) if known.contains(target) => target,
        Some(other) => return Err(format!("no fuzz target `{other}`; there are: {}", known.join(", "))),
        None => return Err(format!("which fuzz target? There are: {}", known.join(", "))),
    };
    Setup::new(repository).meet(NEEDS).map_err(|unmet| unmet.to_string())?;

    let here = std::env::current_dir().unwrap_or_default();
    let inputs = match &arguments[1..] {
        [] => corpora(repository, target),
        given => given.iter().map(|input| here.join(input)).collect(),
    };
    let build = Build::new(repository, sanitize);
    let mut command: Command = CargoTool::Fuzz.command(repository);
    command.args(build.arguments("run")).arg(target).args(inputs).arg("--").args(options(repository, target));
    command.args(seconds.map(|n| format!("-max_total_time={n}"))).args(for_libfuzzer).envs(build.environment());
    let status = command.status().map_err(|error| format!("cargo-fuzz did not start: {error}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every target for `context.fuzz_time`, as many at once as there are processors. Each counts as one test.
pub(crate) fn all(context: &Context<'_>) -> Counts {
    let repository = context.repository;
    let build = Build::new(repository, false);
    let built = CargoTool::Fuzz.job(context.label, repository).args(build.arguments("build")).run();
    if !built.success {
        return Counts::of_command(&built);
    }
    let waiting = Mutex::new(VecDeque::from(targets(repository)));
    let total = Mutex::new(Counts::default());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = { waiting.lock().expect("no worker panics").pop_front() } {
                    let counts = Counts::of_command_named(&target, &one(context, &build, &target));
                    total.lock().expect("no worker panics").add(counts);
                }
            });
        }
    });
    let total = total.into_inner().expect("no worker panics");
    if total != Counts::default() { total } else { Counts::one_failed(Failure::unexplained("there are no targets")) }
}

fn one(context: &Context<'_>, build: &Build, target: &str) -> Finished {
    let seconds = context.fuzz_time.as_secs();
    CargoTool::Fuzz
        .job(&format!("{} {target}", context.label), context.repository)
        .args(build.arguments("run"))
        .arg(target)
        .args(corpora(context.repository, target))
        .arg("--")
        .args(options(context.repository, target))
        // Whoever looks for something new runs a target by hand: there the seed is another each time.
        .args([&format!("-max_total_time={seconds}"), "-seed=1", "-verbosity=0", "-print_final_stats=1"])
        .limit(context.fuzz_time + Duration::from_secs(900))
        .keep(|line| !is_chatter(line))
        .run()
}

/// What libFuzzer prints of its own progress, and the dictionary that it recommends, are long, and no help to a reader.
fn is_chatter(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("NEW_FUNC") || line.starts_with("######") || line.contains("# Uses: ")
}

/// The names of the targets, in order.
fn targets(repository: &Repository) -> Vec<String> {
    let folder = repository.root().join(FUZZ_FOLDER).join("fuzz_targets");
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Where inputs come from: libFuzzer adds what it finds to the first folder, which is none of the repository's.
fn corpora(repository: &Repository, target: &str) -> Vec<PathBuf> {
    let found = repository.target().join("fuzz/found").join(target);
    // libFuzzer itself says what is wrong if it cannot be made.
    let _ = fs::create_dir_all(&found);
    vec![found, repository.root().join("fuzz/corpus").join(target)]
}

/// libFuzzer's options for every run of `target`.
fn options(repository: &Repository, target: &str) -> Vec<String> {
    let artifacts = repository.target().join("fuzz/artifacts").join(target);
    let _ = fs::create_dir_all(&artifacts);
    let mut options = vec![
        format!("-artifact_prefix={}/", artifacts.display()),
        format!("-timeout={HANG_SECONDS}"),
        format!("-rss_limit_mb={MEMORY_MIB}"),
    ];
    let dictionary = repository.root().join("fuzz/dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        options.push(format!("-dict={}", dictionary.display()));
        // What reads a language compares with its words, and comparing well is progress. Elsewhere every random number
        // would seem to be some.
        options.push("-use_value_profile=1".to_owned());
    }
    options
}

/// How cargo-fuzz builds.
struct Build {
    folder: PathBuf,
    sanitize: bool,
}

impl Build {
    /// The core forbids `unsafe`, so the tests do without AddressSanitizer, which costs half of the speed. With it,
    /// a stable compiler must be told to accept the flag.
    fn new(repository: &Repository, sanitize: bool) -> Self {
        // Apart from each other: a compiler probe that failed without the variable would be remembered.
        let folder = repository.target().join(if sanitize { "fuzz/build-sanitized" } else { "fuzz/build" });
        Self { folder, sanitize }
    }

    fn arguments(&self, subcommand: &str) -> Vec<String> {
        let sanitizer = if self.sanitize { "address" } else { "none" };
        let folder = self.folder.display().to_string();
        let arguments = [subcommand, "--fuzz-dir", FUZZ_FOLDER, "--sanitizer", sanitizer, "--target-dir", &folder];
        arguments.map(str::to_owned).to_vec()
    }

    fn environment(&self) -> impl IntoIterator<Item = (&'static str, &'static str)> {
        self.sanitize.then_some(("RUSTC_BOOTSTRAP", "1"))
    }
}
