//! Python, an environment of the project's own with the tools that build, test and check the binding, and the step of the tests.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::counts::Counts;
use crate::download::{self, with_patience};
use crate::failure::Failure;
use crate::job::Job;
use crate::repository::Repository;
use crate::runner;
use crate::setup::find_program;
use crate::step::Context;

/// The pinned tools, with the hashes of their files.
const REQUIREMENTS: &str = "xtask/python-requirements.txt";
/// The binding.
const PACKAGE: &str = "bindings/python";
/// What is checked besides the tests.
const CHECKS: &[(&str, &[&str])] = &[
    ("mypy", &["-m", "mypy", "python", "tests", "examples", "benches"]),
    ("stubtest", &["-m", "mypy.stubtest", "frazil._core"]),
    ("ruff check", &["-m", "ruff", "check"]),
    ("ruff format", &["-m", "ruff", "format", "--check"]),
];
/// Debian's interpreter and what it wants for environments.
const PACKAGES: &[&str] = &["python3", "python3-venv"];
/// Fails where the interpreter is too old or cannot make environments.
const SUITS: &str = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))";

/// A program of the environment: `python`, `maturin`, `pytest`, `mypy`, `stubtest`, `ruff`.
pub(crate) fn program(repository: &Repository, name: &str) -> PathBuf {
    environment(repository).join("bin").join(name)
}

/// A run of a program of the environment, in `folder` of the repository. The environment counts as the active one.
pub(crate) fn job(label: &str, repository: &Repository, folder: &str, name: &str) -> Job {
    let programs = environment(repository).join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&path))).unwrap_or(path);
    Job::new(label, program(repository, name), &repository.root().join(folder))
        .env("VIRTUAL_ENV", environment(repository))
        .env("PATH", path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

/// Makes a new environment in `place`, without any package, for a test of what users install.
pub(crate) fn empty_environment(label: &str, repository: &Repository, place: &str) -> Result<PathBuf, Failure> {
    let place = repository.target().join(place);
    let finished = Job::new(label, program(repository, "python"), repository.root())
        .args(["-m", "venv", "--clear"])
        .arg(&place)
        .run();
    if finished.success { Ok(place) } else { Err(Failure::of("an empty Python environment", &finished)) }
}

/// Builds the package as users get it, and installs it in a new environment. Gives the environment's interpreter.
pub(crate) fn install_package(label: &str, repository: &Repository, place: &str) -> Result<PathBuf, Failure> {
    let wheels = repository.target().join("python-wheels");
    // One of another version would be installed as well.
    if let Err(error) = fs::remove_dir_all(&wheels)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(Failure::new("the Python package", [format!("{}: {error}", wheels.display())]));
    }
    let options = ["build", "--locked", "--profile", "packaged", "--out"];
    let built = job(label, repository, PACKAGE, "maturin").args(options).arg(&wheels).run();
    if !built.success {
        return Err(Failure::of("the Python package", &built));
    }
    let python = empty_environment(label, repository, place)?.join("bin/python");
    let wheel = fs::read_dir(&wheels).ok().and_then(|mut files| files.next()?.ok());
    let wheel = wheel.ok_or_else(|| Failure::unexplained("maturin has built no package"))?.path();
    let pip = ["-m", "pip", "install", "--quiet", "--no-index"];
    let installed = Job::new(label, &python, repository.root()).args(pip).arg(wheel).run();
    if installed.success { Ok(python) } else { Err(Failure::of("to install the Python package", &installed)) }
}

/// Installs the pinned tools in an environment too.
pub(crate) fn install_tools(label: &str, repository: &Repository, python: &Path) -> Result<(), Failure> {
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--retries",
        "10",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--requirement",
    ];
    let requirements = repository.root().join(REQUIREMENTS);
    with_patience(download::PAUSE, "the Python tools", || {
        let filled = Job::new(label, python, repository.root()).args(pip).arg(&requirements).run();
        if filled.success { Ok(()) } else { Err(Failure::of("the Python tools", &filled)) }
    })
}

/// The package as it is installed: its tests, its types, its style.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    let Context { label, repository, .. } = *context;
    let python = match install_package(label, repository, "python-test") {
        Ok(python) => python,
        Err(failure) => return Counts::one_failed(failure),
    };
    let folder = repository.root().join(PACKAGE);
    let run = |arguments: &[&str]| {
        Job::new(label, &python, &folder).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1").run()
    };
    // It needs nothing else, so this comes before the tools are there.
    let mut counts = Counts::of_command_named("import frazil", &run(&["-c", "import frazil"]));
    if let Err(failure) = install_tools(label, repository, &python) {
        counts.add(Counts::one_failed(failure));
        return counts;
    }
    counts.add(Counts::of_tests(runner::pytest::read, &run(&["-m", "pytest", "-rfEs", "--color=no"])));
    for (name, arguments) in CHECKS {
        counts.add(Counts::of_command_named(name, &run(arguments)));
    }
    counts
}

/// The Debian packages without which [`install`] cannot do its work.
pub(crate) fn missing_packages() -> &'static [&'static str] {
    if interpreter().is_some() { &[] } else { PACKAGES }
}

pub(crate) fn is_installed(repository: &Repository) -> bool {
    let wanted = fs::read(repository.root().join(REQUIREMENTS));
    matches!((wanted, fs::read(installed(repository))), (Ok(wanted), Ok(installed)) if wanted == installed)
}

/// Makes the environment anew.
pub(crate) fn install(label: &str, repository: &Repository) -> Result<(), Failure> {
    let python = interpreter().ok_or_else(|| Failure::unexplained("there is no Python of version 3.11 with venv"))?;
    let environment = environment(repository);
    let made = Job::new(label, python, repository.root()).args(["-m", "venv", "--clear"]).arg(&environment).run();
    if !made.success {
        return Err(Failure::of("the Python environment", &made));
    }
    install_tools(label, repository, &program(repository, "python"))?;
    let requirements = repository.root().join(REQUIREMENTS);
    let copied = fs::copy(&requirements, installed(repository));
    copied.map(drop).map_err(|error| Failure::new("the Python environment", [error.to_string()]))
}

fn environment(repository: &Repository) -> PathBuf {
    repository.tools().join("python")
}

/// The copy of the requirements that the environment was made from.
fn installed(repository: &Repository) -> PathBuf {
    environment(repository).join("installed-requirements.txt")
}

/// The first Python that suits. One that is not the system's may lack what Debian's has.
fn interpreter() -> Option<PathBuf> {
    let candidates = find_program("python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    let suits = |python: &PathBuf| {
        let status = Command::new(python).args(["-c", SUITS]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    candidates.into_iter().find(suits)
}
