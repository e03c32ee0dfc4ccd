//! `cargo xtask test`: the table of steps.

use std::process::ExitCode;
use std::time::Duration;

use crate::arguments::{no_more_options, take_flag, take_number};
use crate::cargo_tool::CargoTool;
use crate::counts::Counts;
use crate::fuzz;
use crate::job::Job;
use crate::kernel_matrix;
use crate::kotlin;
use crate::language_matrix;
use crate::nat_matrix;
use crate::node;
use crate::python;
use crate::report::Report;
use crate::repository::Repository;
use crate::runner;
use crate::setup::{Need, Setup, find_program};
use crate::step::{Context, Step};
use crate::swift_package;
use crate::transcript;
use crate::version;

/// Everything that is tested. What fails soonest comes first.
const STEPS: &[Step] = &[
    Step { name: "format", needs: &[], run: format },
    Step { name: "version", needs: &[], run: version::step },
    Step { name: "lint", needs: &[], run: lint },
    Step { name: "core alone", needs: &[], run: core_alone },
    Step { name: "tests", needs: &[], run: tests },
    Step { name: "documentation", needs: &[], run: documentation },
    Step { name: "licences", needs: &[Need::Tool(CargoTool::Deny)], run: licences },
    Step { name: "advisories", needs: &[Need::Tool(CargoTool::Deny)], run: advisories },
    Step { name: "instructions", needs: &[Need::program(&["valgrind"])], run: instructions },
    Step { name: "network", needs: NETWORK_NEEDS, run: network },
    Step { name: "coturn", needs: COTURN_NEEDS, run: coturn },
    Step { name: "nat matrix", needs: &[], run: nat_matrix::step },
    Step { name: "kernel nat", needs: kernel_matrix::NEEDS, run: kernel_matrix::step },
    Step { name: "kernel nat chromium", needs: kernel_matrix::CHROMIUM_NEEDS, run: kernel_matrix::chromium_step },
    Step { name: "browser", needs: BROWSER_NEEDS, run: browser },
    Step { name: "python", needs: &[Need::Python], run: python::step },
    Step { name: "node", needs: node::PACKAGE_NEEDS, run: node::step },
    Step { name: "kotlin", needs: &[Need::Kotlin], run: kotlin::step },
    Step { name: "swift", needs: &[Need::Swift], run: swift_package::step },
    Step { name: "languages", needs: language_matrix::NEEDS, run: language_matrix::step },
    Step { name: "fuzz", needs: fuzz::NEEDS, run: fuzz::all },
];

pub(crate) const BROWSER_SUITE: &str = "conformance/browser";

pub(crate) const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

pub(crate) const IN_NAMESPACE: &str = "conformance/browser/in-namespace.sh";

/// The tests make network namespaces, with links and addresses that come and go.
const NETWORK_NEEDS: &[Need] = &[Need::NetworkNamespace, Need::Program { any_of: &["ip"], package: "iproute2" }];

/// The tests start servers in a network namespace of their own, and some of them make others.
const COTURN_NEEDS: &[Need] = &[
    Need::NetworkNamespace,
    Need::Program { any_of: &["ip"], package: "iproute2" },
    Need::Program { any_of: &["turnserver"], package: "coturn" },
    Need::Program { any_of: &["nft"], package: "nftables" },
    Need::Routers,
];

/// The suite runs in a network namespace of its own, which `unshare` makes and `ip` furnishes.
const BROWSER_NEEDS: &[Need] = &[
    Need::NetworkNamespace,
    Need::Program { any_of: CHROMIUM, package: "chromium" },
    Need::Program { any_of: &["ip"], package: "iproute2" },
    Need::program(&["npm"]),
    Need::Node,
    Need::NodeModules { folder: BROWSER_SUITE },
];

const FUZZ_MANIFEST: &str = "fuzz/libfuzzer/Cargo.toml";
const DENY_WARNINGS: &[&str] = &["--", "-D", "warnings"];

/// The workspaces beside the main one.
const OTHER_MANIFESTS: &[&str] =
    &[FUZZ_MANIFEST, "conformance/compare/Cargo.toml", "conformance/turn-peers/Cargo.toml"];

fn format(context: &Context<'_>) -> Counts {
    let mut counts = cargo(context, &["fmt", "--all", "--check"]);
    for manifest in OTHER_MANIFESTS {
        counts.add(cargo(context, &["fmt", "--manifest-path", manifest, "--check"]));
    }
    counts
}

fn lint(context: &Context<'_>) -> Counts {
    let clippy =
        |selection: &[&str]| cargo(context, &[&["clippy", "--all-targets"], selection, DENY_WARNINGS].concat());
    let mut counts = clippy(&["--workspace"]);
    counts.add(clippy(&["--package", "frazil", "--no-default-features"]));
    counts
}

/// What a game or a VPN takes: STUN, ICE and SDP without the secured session.
fn core_alone(context: &Context<'_>) -> Counts {
    cargo_test(cargo_job(context).args(["test", "--package", "frazil", "--no-default-features"]))
}

/// Tests that need more than a toolchain have steps of their own: they are not counted as skipped here.
const ELSEWHERE: [&str; 2] = ["in_namespaces::", "coturn::"];

fn tests(context: &Context<'_>) -> Counts {
    let skipped = ELSEWHERE.iter().flat_map(|tests| ["--skip", tests]);
    let job = cargo_job(context).args(["test", "--workspace", "--no-fail-fast", "--"]).args(skipped);
    Counts::of_tests(runner::cargo::read, &job.run())
}

/// Our TURN client, and our discovery of NATs, against the server that everybody runs.
fn coturn(context: &Context<'_>) -> Counts {
    let client = ["--package", "frazil-conformance", "--test", "turn", "--test", "behaviour"];
    let driver = ["--package", "frazil-tokio", "--test", "coturn"];
    let mut counts = ignored_in_namespace(context, &client, &["coturn::"]);
    counts.add(ignored_in_namespace(context, &driver, &["coturn::"]));
    counts
}

fn documentation(context: &Context<'_>) -> Counts {
    let job = cargo_job(context).args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    Counts::of_command(&job.run())
}

fn licences(context: &Context<'_>) -> Counts {
    let check = |arguments: &[&str]| {
        let job = CargoTool::Deny.job(context.label, context.repository).args(arguments);
        Counts::of_command(&job.args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]).run())
    };
    let mut counts = check(&["--workspace"]);
    counts.add(check(&["--manifest-path", FUZZ_MANIFEST, "--config", "deny.toml"]));
    counts
}

/// Known holes in dependencies. The list of them comes from the network, and not every machine may fetch it. What is on it
/// since yesterday does not make code fail that has not changed: it is told, and fails `cargo xtask advisories`.
fn advisories(context: &Context<'_>) -> Counts {
    let deny = || CargoTool::Deny.job(context.label, context.repository);
    if !deny().args(["fetch", "db"]).limit(Duration::from_secs(60)).run().success {
        return Counts::skip(context.label, "the advisory database could not be fetched");
    }
    let checked = deny().args(["check", "advisories"]).run();
    if checked.success {
        return Counts::one_passed();
    }
    println!("{}", checked.output);
    let found = checked.output.lines().filter(|line| line.starts_with("error")).collect::<Vec<_>>().join("; ");
    Counts::skip(context.label, format!("FOUND, to be looked into: {found}"))
}

/// `cargo xtask advisories`.
pub(crate) fn check_advisories(repository: &Repository, arguments: Vec<String>) -> Result<ExitCode, String> {
    if let Some(argument) = arguments.first() {
        return Err(format!("`advisories` takes no arguments, not `{argument}`"));
    }
    Setup::new(repository).meet(&[Need::Tool(CargoTool::Deny)]).map_err(|unmet| unmet.to_string())?;
    let status = CargoTool::Deny.command(repository).args(["check", "advisories"]).status();
    let status = status.map_err(|error| format!("cargo-deny did not start: {error}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The budget of instructions for one ICE connection, counted by callgrind. The session has no part in it, and would
/// have to be built anew for the release profile.
fn instructions(context: &Context<'_>) -> Counts {
    let program = ["--package", "frazil-conformance", "--no-default-features", "--bin", "ice-cost"];
    cargo(context, &[&["run", "--release"], &program[..], &["--", "--check"]].concat())
}

/// Drivers on machines whose addresses change.
fn network(context: &Context<'_>) -> Counts {
    ignored_in_namespace(context, &["--package", "frazil-tokio", "--test", "network"], &[])
}

/// The ignored tests of this selection whose names have one of these parts, in a network namespace. What they need is
/// built where there is a network still.
fn ignored_in_namespace(context: &Context<'_>, selection: &[&str], parts: &[&str]) -> Counts {
    let tests = [&["test"], selection].concat();
    let built = cargo_job(context).args(&tests).arg("--no-run").run();
    if !built.success {
        return Counts::of_command(&built);
    }
    let job = Job::new(context.label, "sh", context.repository.root()).args([IN_NAMESPACE, "cargo"]).args(&tests);
    Counts::of_tests(runner::cargo::read, &job.args(["--", "--ignored"]).args(parts).run())
}

/// The demo's page in a real browser against the native peer.
fn browser(context: &Context<'_>) -> Counts {
    let repository = context.repository;
    let built = cargo_job(context).args(["build", "--package", "frazil-demo", "--package", "frazil-signaling"]).run();
    if !built.success {
        return Counts::of_command(&built);
    }
    let program = |name: &str| repository.target().join("debug").join(name);
    let chromium = CHROMIUM.iter().find_map(|name| find_program(name)).unwrap_or_default();
    let npm = |arguments: &[&str]| {
        Job::new(context.label, "npm", &repository.root().join(BROWSER_SUITE))
            .args(arguments)
            .env("PATH", node::search_path(repository))
            .env("DEMO", program("frazil-demo"))
            .env("SIGNALING", program("frazil-signaling"))
            .env("CHROMIUM", &chromium)
            .run()
    };
    let mut counts = Counts::of_command(&npm(&["run", "check"]));
    counts.add(Counts::of_tests(runner::node::read, &npm(&["test"])));
    counts
}

fn cargo_job(context: &Context<'_>) -> Job {
    Job::new(context.label, "cargo", context.repository.root())
}

/// A cargo command that is one test by itself.
fn cargo(context: &Context<'_>, arguments: &[&str]) -> Counts {
    Counts::of_command(&cargo_job(context).args(arguments).run())
}

fn cargo_test(job: Job) -> Counts {
    Counts::of_tests(runner::cargo::read, &job.arg("--no-fail-fast").run())
}

/// `cargo xtask test [STEP…] [--seconds N] [--list]`.
pub(crate) fn run(repository: &Repository, mut arguments: Vec<String>) -> Result<ExitCode, String> {
    let seconds = take_number(&mut arguments, "--seconds")?.unwrap_or(60);
    let list = take_flag(&mut arguments, "--list");
    no_more_options(&arguments)?;
    let chosen = chosen(&arguments)?;
    if list {
        chosen.iter().for_each(|step| println!("{}", step.name));
        return Ok(ExitCode::SUCCESS);
    }

    transcript::clear();
    let mut setup = Setup::new(repository);
    let mut outcomes = Vec::new();
    for step in chosen {
        println!("== {}", step.name);
        let context = Context { label: step.name, repository, fuzz_time: Duration::from_secs(seconds) };
        let outcome = step.execute(&mut setup, &context);
        println!("== {}: {}", step.name, outcome.counts);
        outcomes.push(outcome);
    }
    let report = Report(outcomes);
    println!("\n{report}");
    Ok(if report.total().failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps that the words name: by its whole name one step, by a part of it several, by no word all.
fn chosen(words: &[String]) -> Result<Vec<&'static Step>, String> {
    if words.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let means = |word: &String, step: &Step| match STEPS.iter().any(|step| step.name == word) {
        true => step.name == word,
        false => step.name.contains(word.as_str()),
    };
    if let Some(word) = words.iter().find(|word| !STEPS.iter().any(|step| means(word, step))) {
        return Err(format!("no step has `{word}` in its name; `--list` names them"));
    }
    Ok(STEPS.iter().filter(|step| words.iter().any(|word| means(word, step))).collect())
}

/// `cargo xtask setup`: meets the needs of every step.
pub(crate) fn set_up(repository: &Repository, arguments: Vec<String>) -> Result<ExitCode, String> {
    if let Some(argument) = arguments.first() {
        return Err(format!("`setup` takes no arguments, not `{argument}`"));
    }
    let mut setup = Setup::new(repository);
    // First together, so that packages are fetched in one go; then one by one, to say what each step lacks.
    let _ = setup.meet(&STEPS.iter().flat_map(|step| step.needs).copied().collect::<Vec<Need>>());
    let mut complete = true;
    for step in STEPS {
        match setup.meet(step.needs) {
            Ok(()) => println!("{}: ready", step.name),
            Err(unmet) => {
                complete = false;
                println!("{}: cannot run: {unmet}", step.name);
            }
        }
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_whole_name_or_part() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            chosen(&words).map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["fuzz"]).unwrap(), ["fuzz"]);
        assert_eq!(names(&["core", "form"]).unwrap(), ["format", "core alone"]);
        assert!(names(&["format", "nonsense"]).unwrap_err().contains("nonsense"));
    }

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
    }
}
