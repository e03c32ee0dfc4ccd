//! `cargo xtask turn-peers`: what other TURN clients and ICE agents do in the hard cases.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::arguments::{no_more_options, take_value};
use crate::job::Job;
use crate::node;
use crate::repository::Repository;
use crate::setup::{Need, Setup, find_program};

const PACKAGE: &str = "conformance/turn-peers";
const PAGE: &str = "docs/turn-peers.md";

const NEEDS: &[Need] = &[
    Need::NetworkNamespace,
    Need::Program { any_of: &["ip"], package: "iproute2" },
    Need::Program { any_of: &["nft"], package: "nftables" },
    Need::Program { any_of: &["turnserver"], package: "coturn" },
    Need::Program { any_of: &["python3"], package: "python3-venv" },
    Need::Program { any_of: &["chromium"], package: "chromium" },
    Need::program(&["npm"]),
    Need::Node,
];

/// `cargo xtask turn-peers [--only WORD] [--with WORD] [--page FILE]`.
pub(crate) fn run(repository: &Repository, mut arguments: Vec<String>) -> Result<ExitCode, String> {
    let only = take_value(&mut arguments, "--only")?;
    let with = take_value(&mut arguments, "--with")?;
    let here = std::env::current_dir().unwrap_or_default();
    let page = take_value(&mut arguments, "--page")?.map(|file| here.join(file));
    no_more_options(&arguments)?;
    if let Some(other) = arguments.first() {
        return Err(format!("`turn-peers` takes options only, not `{other}`"));
    }
    Setup::new(repository).meet(NEEDS).map_err(|unmet| unmet.to_string())?;
    let package = repository.root().join(PACKAGE);
    let folder = repository.target().join("turn-peers");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let python = install_python(&package, &folder)?;
    // One of the packages wants a newer Node than the browser suite does.
    if !has_newer_node(repository) {
        node::install("setup", repository).map_err(|failure| failure.to_string())?;
    }
    install_node_modules(repository, &package, &folder)?;

    let manifest = package.join("Cargo.toml");
    let built = Job::new("turn-peers", "cargo", repository.root())
        .args(["build", "--bins", "--manifest-path"])
        .arg(&manifest)
        .run();
    if !built.success {
        return Err("the programs could not be built".to_owned());
    }
    let mut command = Command::new("cargo");
    command.current_dir(repository.root()).args(["run", "--quiet", "--bin", "turn-peers", "--manifest-path"]);
    command.arg(&manifest).args(["--", "--node", "node"]).env("PATH", node::search_path(repository));
    command.arg("--python").arg(python).arg("--node-modules").arg(folder.join("node_modules"));
    let chromium = find_program("chromium").ok_or("chromium is not on the search path")?;
    command.arg("--folder").arg(&folder).arg("--chromium").arg(chromium);
    for (name, value) in [("--only", &only), ("--with", &with)] {
        if let Some(value) = value {
            command.args([name, value]);
        }
    }
    // A part of the table is for the eye.
    if let Some(page) = page.or_else(|| (only.is_none() && with.is_none()).then(|| repository.root().join(PAGE))) {
        command.arg("--page").arg(page);
    }
    let status = command.status().map_err(|error| format!("cargo did not start: {error}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The least major version of Node that all packages take.
const NODE: u32 = 22;

/// Whether the first Node of the search path is new enough.
fn has_newer_node(repository: &Repository) -> bool {
    let output = Command::new("node").arg("--version").env("PATH", node::search_path(repository)).output();
    let major = |text: &str| text.trim().strip_prefix('v')?.split('.').next()?.parse::<u32>().ok();
    output.is_ok_and(|output| major(&String::from_utf8_lossy(&output.stdout)).is_some_and(|major| major >= NODE))
}

/// Installs the pinned packages in a virtual environment, and gives its Python.
fn install_python(package: &Path, folder: &Path) -> Result<PathBuf, String> {
    let python = folder.join("venv/bin/python");
    let (wanted, installed) = (package.join("requirements.txt"), folder.join("venv/requirements.txt"));
    if is_same(&wanted, &installed) {
        return Ok(python);
    }
    let made = Job::new("setup", "python3", folder).args(["-m", "venv", "venv"]).run().success;
    let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"];
    if !made || !Job::new("setup", &python, folder).args(pip).arg(&wanted).run().success {
        return Err(format!("the packages of {} could not be installed", wanted.display()));
    }
    keep(&wanted, &installed)?;
    Ok(python)
}

/// Installs the locked packages.
fn install_node_modules(repository: &Repository, package: &Path, folder: &Path) -> Result<(), String> {
    let (wanted, installed) =
        (package.join("package-lock.json"), folder.join("node_modules/.installed-package-lock.json"));
    if is_same(&wanted, &installed) {
        return Ok(());
    }
    for file in ["package.json", "package-lock.json"] {
        keep(&package.join(file), &folder.join(file))?;
    }
    let npm = Job::new("setup", "npm", folder).env("PATH", node::search_path(repository));
    if !npm.args(["ci", "--no-audit", "--no-fund"]).run().success {
        return Err(format!("the packages of {} could not be installed", wanted.display()));
    }
    keep(&wanted, &installed)
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

fn keep(file: &Path, copy: &Path) -> Result<(), String> {
    fs::copy(file, copy).map(drop).map_err(|error| format!("{}: {error}", copy.display()))
}
