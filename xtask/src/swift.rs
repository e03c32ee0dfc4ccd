//! Swift, which Debian has since version 13: a Debian of its own among the project's tools, and commands run in it.
//! `swift_package.rs` says which.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::job::{Finished, Job};
use crate::repository::Repository;
use crate::setup::find_program;

const IN_CHROOT: &str = "xtask/in-chroot.sh";
const SUITE: &str = "trixie";
const DEBOOTSTRAP: &[&str] = &["debootstrap"];
/// `apt-get` asks again, and says so where lists could not be fetched.
pub(crate) const APT_PATIENCE: &[&str] = &["-o", "Acquire::Retries=5", "-o", "APT::Update::Error-Mode=any"];
/// What the Debian takes on the disk, in MiB, with some room.
const SPACE_MIB: u64 = 3500;
/// Swift with its package manager and formatter, what it links with, and what its package manager calls.
const PACKAGES: &[&str] = &["swiftlang", "libc6-dev", "g++", "git", "ca-certificates", "tzdata"];

/// A run of `words` in `folder` of the repository, such as `swift test`. It sees the repository at `/frazil` and the
/// folder of what is built, wherever that lies outside, at `/frazil-target`.
pub(crate) fn job<W: Into<OsString>>(
    label: &str,
    repository: &Repository,
    folder: &str,
    words: impl IntoIterator<Item = W>,
) -> Job {
    Job::new(label, "sh", repository.root())
        .args(words_outside(repository, folder))
        .args(words.into_iter().map(Into::into))
}

/// The words that `sh` is given for it, so that it can be run by another command, for instance in a network namespace.
pub(crate) fn words_outside(repository: &Repository, folder: &str) -> [OsString; 5] {
    let script = repository.root().join(IN_CHROOT);
    [script.into(), root(repository).into(), repository.root().into(), repository.target().into(), folder.into()]
}

/// The Debian packages without which [`install`] cannot do its work.
pub(crate) fn missing_packages() -> &'static [&'static str] {
    if find_program("debootstrap").is_some() || cannot_be_made().is_some() { &[] } else { DEBOOTSTRAP }
}

pub(crate) fn is_installed(repository: &Repository) -> bool {
    fs::read_to_string(stamp(repository)).is_ok_and(|made_of| made_of == contents()) && cannot_run().is_none()
}

/// Why this machine cannot have it.
pub(crate) fn cannot_be_made() -> Option<String> {
    let no_archive = || "Swift comes from Debian, and this machine's apt knows no archive of it".to_owned();
    cannot_run().or_else(|| mirror().is_none().then(no_archive)).or_else(|| has_no_place(&Repository::here()))
}

/// Why the folder of the tools cannot hold it: debootstrap makes devices in it, and runs programs of it.
fn has_no_place(repository: &Repository) -> Option<String> {
    // The nearest folder that is there.
    let place = repository.tools();
    let place = place.ancestors().find(|folder| folder.is_dir())?;
    let tell = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(place).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let options = tell("findmnt", &["--noheadings", "--output", "OPTIONS", "--target"]);
    let free = tell("df", &["--block-size=1M", "--output=avail"]);
    unfit(options.as_deref().unwrap_or_default(), free.as_deref().unwrap_or_default())
}

/// What `findmnt` and `df` say against a place. Where they say nothing, it is tried.
fn unfit(options: &str, free: &str) -> Option<String> {
    if let Some(option) = options.trim().split(',').find(|option| ["nodev", "noexec"].contains(option)) {
        return Some(format!("Swift comes in a Debian of its own, and target/ is mounted with {option}"));
    }
    let free: u64 = free.lines().last()?.trim().parse().ok()?;
    (free < SPACE_MIB)
        .then(|| format!("Swift comes in a Debian of its own of {SPACE_MIB} MiB, and target/ has room for {free}"))
}

/// Why nothing could run in it even if it were there.
fn cannot_run() -> Option<String> {
    let user = Command::new("id").arg("-u").output();
    if !user.is_ok_and(|output| output.stdout.trim_ascii() == b"0") {
        return Some("Swift runs in a Debian of its own, which only root can make".to_owned());
    }
    let mut namespace = Command::new("unshare");
    namespace.args(["--mount", "--pid", "--fork", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !namespace.status().is_ok_and(|status| status.success()) {
        return Some("Swift runs in a Debian of its own, and this machine does not let us mount its parts".to_owned());
    }
    None
}

/// Makes the Debian anew.
pub(crate) fn install(label: &str, repository: &Repository) -> Result<(), Failure> {
    let mirror = mirror().ok_or_else(|| Failure::unexplained("apt knows no archive of Debian"))?;
    let root = root(repository);
    let broken = |error: std::io::Error| Failure::new(root.display().to_string(), [error.to_string()]);
    let _ = fs::remove_file(stamp(repository));
    // Nothing is ever mounted in it that a removal could reach: see the script.
    if root.exists() {
        fs::remove_dir_all(&root).map_err(broken)?;
    }
    fs::create_dir_all(&root).map_err(broken)?;
    println!("{label} | making a Debian for Swift; it takes a few minutes and 3 GB");

    let bootstrap = Job::new(label, "unshare", repository.root())
        .args(["--mount", "--pid", "--fork", "--kill-child", "debootstrap", "--variant=minbase", SUITE])
        .arg(&root)
        .arg(mirror)
        .keep(|line| !line.starts_with("I: "));
    check("debootstrap", &bootstrap.run())?;
    fs::write(root.join("etc/apt/apt.conf.d/90machine"), apt_settings()).map_err(broken)?;
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n").map_err(broken)?;

    let apt_get = |arguments: &[&str]| {
        let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes"];
        let job = job(label, repository, "", words).args(APT_PATIENCE).args(arguments);
        check("apt-get for Swift", &job.keep(|line| line.starts_with("E:") || line.starts_with("W:")).run())
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--no-install-recommends"], PACKAGES].concat())?;
    apt_get(&["clean"])?;
    check("swift", &job(label, repository, "", ["swift", "--version"]).run())?;
    fs::write(stamp(repository), contents()).map_err(broken)
}

fn check(what: &str, finished: &Finished) -> Result<(), Failure> {
    if finished.success { Ok(()) } else { Err(Failure::of(what, finished)) }
}

/// What a complete one is made of.
fn contents() -> String {
    format!("{SUITE}: {}\n", PACKAGES.join(" "))
}

fn folder(repository: &Repository) -> PathBuf {
    repository.tools().join("swift")
}

fn root(repository: &Repository) -> PathBuf {
    folder(repository).join("root")
}

/// It is there if the Debian is complete.
fn stamp(repository: &Repository) -> PathBuf {
    folder(repository).join("complete")
}

/// The archive of Debian that this machine's own packages come from. It holds all suites.
fn mirror() -> Option<String> {
    let system = fs::read_to_string("/etc/os-release").ok()?;
    // Without its lists, which a fresh machine has not fetched, apt still knows its sources.
    let query = ["indextargets", "--no-release-info", "--format", "$(RELEASE) $(REPO_URI)"];
    let sources = Command::new("apt-get").args(query).output().ok()?;
    main_archive(&system, &String::from_utf8_lossy(&sources.stdout))
}

/// The first source of the system's own suite, if the system is a Debian. Others hold updates, or are not Debian's.
fn main_archive(system: &str, sources: &str) -> Option<String> {
    let field = |name: &str| {
        let value = system.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"'))
    };
    if field("ID") != Some("debian") {
        return None;
    }
    let suite = field("VERSION_CODENAME")?;
    let sources = sources.lines().filter_map(|line| line.split_once(' '));
    sources.filter(|&(release, _)| release == suite).map(|(_, address)| address.to_owned()).next()
}

/// How this machine's apt reaches the archive: through a proxy, for instance.
fn apt_settings() -> Vec<u8> {
    let output = Command::new("apt-config").args(["dump", "Acquire"]).output();
    output.map(|output| output.stdout).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_must_take_devices_programs_and_much() {
        let enough = " Avail\n26624\n";
        assert_eq!(unfit("rw,relatime\n", enough), None);
        assert_eq!(unfit("", ""), None);
        assert!(unfit("rw,nosuid,nodev\n", enough).unwrap().contains("nodev"));
        assert!(unfit("rw,relatime\n", " Avail\n  900\n").unwrap().contains("900"));
    }

    #[test]
    fn the_archive_is_that_of_the_systems_own_suite() {
        let system = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        let sources =
            "stable http://else.example/x/\nbookworm-security http://d.example/s/\nbookworm http://d.example/d/\n";
        assert_eq!(main_archive(system, sources).as_deref(), Some("http://d.example/d/"));
        assert_eq!(main_archive(system, "stable http://else.example/x/\n"), None);
        let derived = system.replace("ID=debian", "ID=\"other\"\nID_LIKE=debian");
        assert_eq!(main_archive(&derived, sources), None);
    }
}
