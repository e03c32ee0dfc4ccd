//! `cargo xtask border-cost`: what it costs to hand a datagram over each border and take out what comes of it, and how large
//! the packages are.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::failure::Failure;
use crate::job::Job;
use crate::kotlin;
use crate::node;
use crate::python;
use crate::repository::Repository;
use crate::setup::{Need, Setup};
use crate::swift_package;

const BORDERS: &[Border] = &[
    Border { name: "rust", needs: &[], prepare: rust },
    Border { name: "python", needs: &[Need::Python], prepare: python },
    Border { name: "node", needs: node::PACKAGE_NEEDS, prepare: node },
    Border { name: "kotlin", needs: &[Need::Kotlin], prepare: kotlin },
    Border { name: "swift", needs: &[Need::Swift], prepare: swift },
];

/// One language.
struct Border {
    name: &'static str,
    needs: &'static [Need],
    /// Builds and installs what is to be measured.
    prepare: fn(label: &str, repository: &Repository) -> Result<Measured, Failure>,
}

/// What is to be run, and what a user has to install.
struct Measured {
    words: Vec<OsString>,
    /// Files and folders of the package as it is installed.
    installed: Vec<PathBuf>,
}

/// A line of what the programs print: nanoseconds.
#[derive(Debug, PartialEq)]
struct Cost {
    language: String,
    alone: f64,
    batch: f64,
    empty: f64,
}

/// `cargo xtask border-cost [WORD…]`.
pub(crate) fn run(repository: &Repository, arguments: Vec<String>) -> Result<ExitCode, String> {
    let is_meant = |border: &&Border| arguments.is_empty() || arguments.iter().any(|word| border.name.contains(word));
    let mut setup = Setup::new(repository);
    let mut rows = Vec::new();
    let mut complete = true;
    for border in BORDERS.iter().filter(is_meant) {
        match measure(&mut setup, repository, border) {
            Ok(measured) => rows.extend(measured),
            Err(why) => {
                complete = false;
                eprintln!("{}: {why}", border.name);
            }
        }
    }
    println!("\nnanoseconds      alone  in a batch of 16   empty call   package installed");
    for (cost, size) in rows {
        let size = size.map_or_else(|| "-".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
        println!("{:12} {:9.0} {:17.0} {:12.0} {size:>19}", cost.language, cost.alone, cost.batch, cost.empty);
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(
    setup: &mut Setup<'_>,
    repository: &Repository,
    border: &Border,
) -> Result<Vec<(Cost, Option<u64>)>, String> {
    setup.meet(border.needs).map_err(|unmet| unmet.to_string())?;
    let Measured { words, installed } =
        (border.prepare)(border.name, repository).map_err(|failure| failure.to_string())?;
    let (program, arguments) = words.split_first().ok_or("there is no program")?;
    let finished = Job::new(border.name, program, repository.root()).args(arguments).run();
    let costs: Vec<Cost> = finished.output.lines().filter_map(read).collect();
    if !finished.success || costs.is_empty() {
        return Err("it has measured nothing".to_owned());
    }
    let size = (!installed.is_empty()).then(|| installed.iter().map(|place| size_of(place)).sum());
    Ok(costs.into_iter().map(|cost| (cost, size)).collect())
}

/// The core alone, and the border without a language on its other side.
fn rust(label: &str, repository: &Repository) -> Result<Measured, Failure> {
    let example = ["build", "--profile", "packaged", "--package", "frazil-border", "--example", "cost"];
    let built = Job::new(label, "cargo", repository.root()).args(example).run();
    if !built.success {
        return Err(Failure::of("the Rust program", &built));
    }
    let words = vec![repository.target().join("packaged/examples/cost").into()];
    Ok(Measured { words, installed: Vec::new() })
}

fn python(label: &str, repository: &Repository) -> Result<Measured, Failure> {
    let python = python::install_package(label, repository, "python-cost")?;
    let library = python.parent().and_then(Path::parent).map(|environment| environment.join("lib"));
    let versions = library.and_then(|library| fs::read_dir(library).ok()).into_iter().flatten().flatten();
    let installed = versions.map(|version| version.path().join("site-packages/frazil")).collect();
    let words = vec![python.into(), repository.root().join("bindings/python/benches/border.py").into()];
    Ok(Measured { words, installed })
}

fn node(label: &str, repository: &Repository) -> Result<Measured, Failure> {
    let folder = node::install_package(label, repository)?;
    let packages = fs::read_dir(folder.join("node_modules")).into_iter().flatten().flatten();
    let ours = packages.filter(|package| package.file_name().to_string_lossy().starts_with("frazil"));
    let installed = ours.map(|package| package.path()).collect();
    let path = node::search_path(repository);
    let program = folder.join("bench/border.mjs");
    let words = crate::language_matrix::with_environment(&[("PATH", &path)], &["node".as_ref(), program.as_os_str()]);
    Ok(Measured { words, installed })
}

fn kotlin(label: &str, repository: &Repository) -> Result<Measured, Failure> {
    let installed = vec![kotlin::install_package(label, repository)?];
    let examples = kotlin::build_examples(label, repository)?;
    let words = vec!["java".into(), "-cp".into(), examples.into(), "CrossingsKt".into()];
    Ok(Measured { words, installed })
}

fn swift(label: &str, repository: &Repository) -> Result<Measured, Failure> {
    let words = swift_package::benchmark(label, repository)?;
    Ok(Measured { words, installed: swift_package::installed(repository) })
}

/// The bytes of a file, or of all files in a folder.
fn size_of(place: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(place) else {
        return fs::metadata(place).map_or(0, |file| file.len());
    };
    entries.flatten().map(|entry| size_of(&entry.path())).sum()
}

/// The programs print one flat object of JSON on a line.
fn read(line: &str) -> Option<Cost> {
    let line = line.trim().strip_prefix('{')?;
    let value = |name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        Some(rest[..end].trim().trim_matches('"').to_owned())
    };
    let number = |name: &str| value(name)?.parse().ok();
    Some(Cost {
        language: value("language")?,
        alone: number("alone")?,
        batch: number("batch")?,
        empty: number("empty")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_print_is_read() {
        let cost = read(r#"{"language": "python", "alone": 123, "batch": 45.5, "empty": 6}"#).unwrap();
        assert_eq!(cost, Cost { language: "python".to_owned(), alone: 123.0, batch: 45.5, empty: 6.0 });
        assert_eq!(read(r#"{"language":"node","empty":1,"alone":2,"batch":3}"#).unwrap().batch, 3.0);
        for other in ["", "measuring", r#"{"language": "x"}"#, r#"{"language":"x","alone":"y","batch":1,"empty":1}"#] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
