//! The Swift package: the native library that it links, the code that calls it, its tests, and its echo program.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::arguments::no_more_options;
use crate::counts::Counts;
use crate::failure::Failure;
use crate::job::Job;
use crate::repository::Repository;
use crate::runner;
use crate::step::Context;
use crate::swift::{job, words_outside};

const SOURCES: &str = "bindings/mobile/swift/Sources";
const STYLE: &str = "bindings/mobile/swift/.swift-format";
/// What is written by hand.
const BY_HAND: &[&str] = &[
    "Package.swift",
    "bindings/mobile/swift/Sources/Frazil",
    "bindings/mobile/swift/Sources/Echo",
    "bindings/mobile/swift/Sources/Benchmark",
    "bindings/mobile/swift/Tests",
];
/// What is written by bindgen: its file, and the folder that it lies in.
const WRITTEN: &[(&str, &str)] =
    &[("FrazilNative.swift", "FrazilNative"), ("FrazilNativeFFI.h", "FrazilNativeFFI/include")];
/// A package that takes this one as any user's does.
const CONSUMER: &str = "bindings/mobile/swift/Tests/Consumer";
/// As the commands that run in the Debian see it, the folder of what is built for Swift.
const INSIDE: &str = "/frazil-target/swift";

/// The package with all that is checked of it, and a package that does no more than depend on it.
pub(crate) fn step(context: &Context<'_>) -> Counts {
    let Context { label, repository, .. } = *context;
    if let Err(failure) = build_native(label, repository) {
        return Counts::one_failed(failure);
    }
    let mut counts = match write_calls(label, repository) {
        Ok(written) => is_written(repository, &written),
        Err(failure) => Counts::one_failed(failure),
    };
    let format = ["swift", "format", "lint", "--strict", "--recursive", "--configuration", STYLE];
    let format = job(label, repository, "", format.iter().chain(BY_HAND)).run();
    counts.add(Counts::of_command_named("swift format", &format));
    // The tests look at the programs too.
    let built = package(label, repository, "", "build", "build").arg("--build-tests").run();
    if !built.success {
        counts.add(Counts::one_failed(Failure::of("swift build", &built)));
        return counts;
    }
    let tests = package(label, repository, "", "test", "build").args(["--skip-build", "--disable-xctest"]);
    // Panics are injected on purpose: where from says nothing.
    let tests = tests.env("RUST_BACKTRACE", "0").run();
    counts.add(Counts::of_tests(runner::swift::read, &tests));
    let consumer = package(label, repository, CONSUMER, "run", "consumer").run();
    counts.add(Counts::of_command_named("a package that depends on this one", &consumer));
    counts
}

/// Builds the echo program, and gives the words that start it.
pub(crate) fn echo(label: &str, repository: &Repository) -> Result<Vec<OsString>, Failure> {
    program(label, repository, "frazil-echo")
}

/// Builds the program that measures what the border costs, and gives the words that start it.
pub(crate) fn benchmark(label: &str, repository: &Repository) -> Result<Vec<OsString>, Failure> {
    program(label, repository, "Benchmark")
}

/// What a user of the package has of it: the library, here the shared one, and the code around it.
pub(crate) fn installed(repository: &Repository) -> Vec<PathBuf> {
    let sources = ["Frazil", "FrazilNative", "FrazilNativeFFI"].map(|name| repository.root().join(SOURCES).join(name));
    [repository.target().join("packaged/libfrazil_mobile.so")].into_iter().chain(sources).collect()
}

fn program(label: &str, repository: &Repository, name: &str) -> Result<Vec<OsString>, Failure> {
    build_native(label, repository)?;
    let built = package(label, repository, "", "build", "build").args(["--configuration", "release"]).run();
    if !built.success {
        return Err(Failure::of("the programs in Swift", &built));
    }
    let program = format!("{INSIDE}/build/release/{name}");
    let outside = words_outside(repository, "").into_iter();
    Ok([OsString::from("sh")].into_iter().chain(outside).chain([program.into()]).collect())
}

/// `cargo xtask swift-calls`: writes the code anew that calls the native library.
pub(crate) fn run(repository: &Repository, arguments: Vec<String>) -> Result<ExitCode, String> {
    no_more_options(&arguments)?;
    let label = "swift-calls";
    build_native(label, repository).map_err(|failure| failure.to_string())?;
    let written = write_calls(label, repository).map_err(|failure| failure.to_string())?;
    for (file, folder) in WRITTEN {
        let place = repository.root().join(SOURCES).join(folder).join(file);
        fs::copy(written.join(file), &place).map_err(|error| format!("{}: {error}", place.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A run of Swift's package manager. What it builds goes to a folder of its own.
fn package(label: &str, repository: &Repository, folder: &str, command: &str, built: &str) -> Job {
    job(label, repository, folder, ["swift", command, "--scratch-path"])
        .arg(format!("{INSIDE}/{built}"))
        .args(["-Xswiftc", "-warnings-as-errors", "-Xlinker"])
        .arg(format!("-L{INSIDE}/library"))
}

/// Builds the native library. The archive of it alone goes to a folder, as the linker would take the shared one first.
fn build_native(label: &str, repository: &Repository) -> Result<(), Failure> {
    let options = ["build", "--package", "frazil-mobile", "--profile", "packaged"];
    let built = Job::new(label, "cargo", repository.root()).args(options).run();
    if !built.success {
        return Err(Failure::of("the native library for Swift", &built));
    }
    let folder = repository.target().join("swift/library");
    let copy = || -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        fs::copy(archive(repository), folder.join("libfrazil_mobile.a")).map(drop)
    };
    copy().map_err(|error| Failure::new("the native library for Swift", [error.to_string()]))
}

fn archive(repository: &Repository) -> PathBuf {
    repository.target().join("packaged/libfrazil_mobile.a")
}

/// Has bindgen write the code that calls the native library, and gives the folder.
fn write_calls(label: &str, repository: &Repository) -> Result<PathBuf, Failure> {
    let place = repository.target().join("swift/calls");
    // The shared library is stripped of what bindgen reads.
    let written = Job::new(label, "cargo", repository.root())
        .args(["run", "--package", "frazil-bindgen", "--", "generate"])
        .arg(archive(repository))
        .args(["--language", "swift", "--no-format", "--out-dir"])
        .arg(&place)
        .run();
    if written.success { Ok(place) } else { Err(Failure::of("the code that calls the native library", &written)) }
}

/// Users of the package compile what was committed: it must be what the native library wants.
fn is_written(repository: &Repository, written: &Path) -> Counts {
    let mut counts = Counts::default();
    for (file, folder) in WRITTEN {
        let committed = repository.root().join(SOURCES).join(folder).join(file);
        let same = matches!((fs::read(committed), fs::read(written.join(file))), (Ok(one), Ok(other)) if one == other);
        counts.add(if same {
            Counts::one_passed()
        } else {
            Counts::one_failed(Failure::new(format!("{file} as committed"), ["run `cargo xtask swift-calls`"]))
        });
    }
    counts
}
