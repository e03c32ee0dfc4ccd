//! What the core may not name, and where.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::paths::{NamedPath, named_paths};

/// A file below `core/src`.
pub(crate) struct Source {
    /// Relative to `core/src`.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A rule broken.
pub(crate) struct Offence {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// The one room that carries the foreign parts.
const SESSION: &str = "session";

/// The rooms from the ground up, and those below that each one knows. Files beside the rooms know none.
const ROOMS: &[(&str, &[&str])] = &[
    ("stun", &[]),
    ("nat", &["stun"]),
    ("turn", &["stun"]),
    ("ice", &["stun", "nat", "turn"]),
    ("sdp", &["ice"]),
    ("jsep", &["ice", "sdp"]),
    (SESSION, &["sdp", "jsep"]),
    ("peer", &["stun", "nat", "ice", "sdp", "jsep", SESSION]),
    ("hub", &["ice", "peer"]),
];

/// What a path may not begin with, and why. What is listed as an exception may be named, and what lies in it.
struct Ban {
    prefix: &'static str,
    except: &'static [&'static str],
    why: &'static str,
}

const fn ban(prefix: &'static str, why: &'static str) -> Ban {
    Ban { prefix, except: &[], why }
}

/// Banned everywhere.
const BANS: &[Ban] = &[
    Ban { prefix: "std::time", except: &["std::time::Duration", "std::time::Instant"], why: "a clock" },
    ban("std::thread", "a thread"),
    ban("std::thread_local", "global state"),
    ban("std::net::UdpSocket", "a socket"),
    ban("std::net::TcpStream", "a socket"),
    ban("std::net::TcpListener", "a socket"),
    ban("std::net::ToSocketAddrs", "name resolution"),
    ban("std::net::*", "sockets among others"),
    ban("std::os", "the operating system"),
    ban("std::fs", "I/O"),
    ban("std::io", "I/O"),
    ban("std::env", "the environment"),
    ban("std::process", "the process"),
    ban("std::collections::HashMap", "unseeded randomness"),
    ban("std::collections::HashSet", "unseeded randomness"),
    ban("std::collections::hash_map", "unseeded randomness"),
    ban("std::collections::hash_set", "unseeded randomness"),
    ban("std::collections::*", "unseeded randomness among others"),
    ban("std::hash::RandomState", "unseeded randomness"),
    ban("std::sync::OnceLock", "global state"),
    ban("std::sync::LazyLock", "global state"),
    ban("std::sync::Mutex", "shared state"),
    ban("std::sync::RwLock", "shared state"),
    ban("std::sync::Condvar", "a thread's wait"),
    ban("std::sync::Barrier", "a thread's wait"),
    ban("std::sync::mpsc", "a thread's channel"),
    ban("std::sync::atomic", "shared state"),
    ban("std::*", "everything in it"),
    ban("rand", "unseeded randomness"),
    ban("getrandom", "unseeded randomness"),
    ban("tokio", "a runtime"),
    ban("mio", "sockets"),
    ban("socket2", "sockets"),
];

/// In `session` too: the generator that `str0m` draws from may be seeded there, not drawn from. A test may draw, to
/// see what was seeded.
const DRAWS: Ban =
    Ban { prefix: "fastrand", except: &["fastrand::seed", "fastrand::get_seed"], why: "unseeded randomness" };

/// Banned outside `session`.
const SESSION_ONLY: &[Ban] = &[
    ban("std::time::Instant", "a clock"),
    ban("str0m", "the foreign session"),
    ban("fastrand", "the foreign session's randomness"),
    ban("clippy::disallowed_methods", "an exception from `core/clippy.toml`"),
    ban("clippy::disallowed_types", "an exception from `core/clippy.toml`"),
    ban("clippy::disallowed_macros", "an exception from `core/clippy.toml`"),
];

/// Words that mean one thing only, however they were imported.
const BANNED_WORDS: &[(&str, &str)] = &[
    ("UdpSocket", "a socket"),
    ("TcpStream", "a socket"),
    ("TcpListener", "a socket"),
    ("UnixDatagram", "a socket"),
    ("UnixStream", "a socket"),
    ("UnixListener", "a socket"),
    ("to_socket_addrs", "name resolution"),
    ("SystemTime", "a clock"),
    ("HashMap", "unseeded randomness"),
    ("HashSet", "unseeded randomness"),
    ("RandomState", "unseeded randomness"),
    ("DefaultHasher", "a hash that differs between releases"),
    ("OsRng", "unseeded randomness"),
    ("SysRng", "unseeded randomness"),
    ("ThreadRng", "unseeded randomness"),
    ("thread_rng", "unseeded randomness"),
    ("from_entropy", "unseeded randomness"),
    ("from_os_rng", "unseeded randomness"),
    ("thread_local", "global state"),
    ("println", "I/O"),
    ("eprintln", "I/O"),
    ("dbg", "I/O"),
];

/// Holds every rule against every file.
pub(crate) fn offences(sources: &[Source]) -> Vec<Offence> {
    let mut offences: Vec<Offence> = sources.iter().flat_map(of_file).collect();
    offences.extend(of_the_exceptions(sources));
    offences.extend(of_the_root(sources));
    offences
}

fn of_file(source: &Source) -> Vec<Offence> {
    let module = module_of(&source.path);
    let mut offences = Vec::new();
    let room = match module.first() {
        Some(name) if ROOMS.iter().any(|(room, _)| room == name) => Some(name.as_str()),
        // A folder must be a room; a file may also be ground that all rooms stand on.
        Some(name) if source.path.components().count() > 1 => {
            let what = format!("`{name}` has no place among the rooms; give it one in {}", file!());
            offences.push(Offence { file: source.path.clone(), line: 1, what });
            None
        }
        _ => None,
    };
    for path in named_paths(&source.text, &module) {
        if let Some(what) = offence_of(&path, room, module.is_empty()) {
            offences.push(Offence { file: source.path.clone(), line: path.line, what });
        }
    }
    offences
}

/// What is wrong with naming `path` in `room`; `is_root` is the file that holds the rooms together.
fn offence_of(path: &NamedPath, room: Option<&str>, is_root: bool) -> Option<String> {
    let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
    let name = segments.join("::");
    let outside = if room == Some(SESSION) { &[][..] } else { SESSION_ONLY };
    if let Some(ban) = BANS.iter().chain(outside).find(|ban| ban.hits(&segments)) {
        return Some(format!("`{name}`: {}", ban.why));
    }
    if DRAWS.hits(&segments) && !path.in_tests {
        return Some(format!("`{name}`: {}", DRAWS.why));
    }
    if let Some((_, why)) = BANNED_WORDS.iter().find(|(word, _)| segments.contains(word)) {
        return Some(format!("`{name}`: {why}"));
    }
    if name == "std" {
        return Some("`std` as a whole: say what of it".to_owned());
    }
    if let ["crate", other, ..] = segments[..]
        && !is_root
        && room != Some(other)
        && ROOMS.iter().any(|(known, _)| *known == other)
    {
        let below =
            room.and_then(|room| ROOMS.iter().find(|(known, _)| *known == room)).map_or(&[][..], |(_, below)| below);
        if !below.contains(&other) {
            return Some(format!("`{name}`: {} does not know `{other}`", room.unwrap_or("the ground")));
        }
    }
    None
}

/// A path to a function `now`, whatever the type before it was called on import.
fn reads_a_clock(segments: &[&str]) -> bool {
    segments.len() > 1 && segments.last() == Some(&"now")
}

impl Ban {
    fn hits(&self, path: &[&str]) -> bool {
        let within = |prefix: &str| {
            let prefix: Vec<&str> = prefix.split("::").collect();
            path.starts_with(&prefix)
        };
        within(self.prefix) && !self.except.iter().any(|exception| within(exception))
    }
}

/// `session` may read the clock at one place, under one exception from the lint.
fn of_the_exceptions(sources: &[Source]) -> Vec<Offence> {
    let mut clocks = Vec::new();
    let mut allowances = Vec::new();
    for source in sources {
        let module = module_of(&source.path);
        if module.first().map(String::as_str) != Some(SESSION) {
            continue;
        }
        for path in named_paths(&source.text, &module) {
            let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
            if reads_a_clock(&segments) {
                clocks.push((source.path.clone(), path.line, "reads a clock a second time"));
            }
            if segments[0] == "clippy" && segments.last().is_some_and(|last| last.starts_with("disallowed_")) {
                allowances.push((source.path.clone(), path.line, "a second exception from `core/clippy.toml`"));
            }
        }
    }
    let second = clocks.into_iter().skip(1).chain(allowances.into_iter().skip(1));
    second.map(|(file, line, what)| Offence { file, line, what: what.to_owned() }).collect()
}

/// The root of the crate forbids `unsafe`.
fn of_the_root(sources: &[Source]) -> Option<Offence> {
    const FORBID: &str = "#![forbid(unsafe_code)]";
    let forbids = |source: &Source| source.text.lines().any(|line| line.trim() == FORBID);
    if sources.iter().any(|source| source.path == Path::new("lib.rs") && forbids(source)) {
        return None;
    }
    Some(Offence { file: "lib.rs".into(), line: 1, what: format!("`{FORBID}` is missing") })
}

/// Where a file hangs in the crate: `ice/agent.rs` and `ice/agent/mod.rs` are `ice::agent`, `lib.rs` is the root.
fn module_of(path: &Path) -> Vec<String> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    let folders = folders.filter_map(|part| match part {
        Component::Normal(name) => name.to_str().map(str::to_owned),
        _ => None,
    });
    let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| !matches!(*stem, "mod" | "lib"));
    folders.chain(stem.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "//! Docs.\n#![forbid(unsafe_code)]\npub use ice::State;";

    fn check(path: &str, text: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source { path: path.into(), text: text.to_owned() };
        let sources = [source("lib.rs", ROOT), source(path, text)];
        offences(&sources).iter().map(Offence::to_string).collect()
    }

    #[test]
    fn what_is_planted_is_found() {
        for (path, text) in [
            ("stun/mod.rs", "fn f() { let t = std::time::Instant::now(); }"),
            ("ice/agent.rs", "use core::{fmt, time::{Duration, Instant}};"),
            ("ice/agent.rs", "use std::time as t;"),
            ("ice/agent.rs", "use std as everything;"),
            ("ice/agent.rs", "use std::*;"),
            ("time.rs", "fn f() -> SystemTime { todo() }"),
            ("peer/mod.rs", "use std::net::{IpAddr, UdpSocket};"),
            ("peer/mod.rs", "use std::net::*;"),
            ("sdp/parse.rs", "std::thread::spawn(|| {});"),
            ("sdp/parse.rs", "use std::collections::{BTreeMap, HashMap};"),
            ("sdp/parse.rs", "thread_local! { static X: u8 = 0; }"),
            ("sdp/parse.rs", "println!();"),
            ("rng.rs", "let r = rand::rng();"),
            ("session/mod.rs", "let r = fastrand::u64(..);"),
            ("session/mod.rs", "use std::sync::Mutex;"),
            ("ice/agent.rs", "fastrand::seed(1);"),
            ("ice/agent.rs", "use str0m::Rtc;"),
            ("peer/mod.rs", "fn f(rtc: str0m::Rtc) {}"),
            ("peer/mod.rs", "#[allow(clippy::disallowed_methods)] fn f() {}"),
            ("ice/agent.rs", "use crate::sdp::Line;"),
            ("ice/agent.rs", "use super::super::peer::Peer;"),
            ("stun/mod.rs", "mod tests { use super::super::ice; }"),
            ("jsep/mod.rs", "use crate::session::Session;"),
            ("session/mod.rs", "use crate::ice::Agent;"),
            ("path.rs", "use crate::ice::Candidate;"),
            ("gadgets/mod.rs", "fn f() {}"),
        ] {
            assert_eq!(check(path, text).len(), 1, "{path}: {text}: {:?}", check(path, text));
        }
    }

    #[test]
    fn what_is_allowed_is_not() {
        for (path, text) in [
            ("ice/agent.rs", "use core::time::Duration; use crate::stun::Message; use super::Role; // str0m"),
            ("ice/agent.rs", "/// See `std::time::Instant`.\nuse std::net::{IpAddr, SocketAddr}; use crate::Instant;"),
            ("ice/agent.rs", "mod tests { use super::*; const X: &str = \"str0m::Rtc\"; }"),
            ("path.rs", "use std::collections::{BTreeMap, VecDeque, btree_map::Entry};"),
            ("jsep/mod.rs", "use crate::{ice::Credentials, sdp::Line, Instant}; let x = now; self.line.now();"),
            ("peer/mod.rs", "use crate::{ice, jsep, sdp, session, stun};"),
            (
                "session/clock.rs",
                "use std::time::Instant; #[allow(clippy::disallowed_methods)] fn base() -> Instant { Instant::now() }
                 use str0m::Rtc; fn f() { fastrand::seed(1) } mod tests { fn g() { fastrand::u64(..) } }",
            ),
        ] {
            assert_eq!(check(path, text), <[String; 0]>::default(), "{path}: {text}");
        }
    }

    #[test]
    fn the_exception_is_one() {
        let twice = "use std::time::Instant; fn a() { Instant::now() } fn b() { Instant::now() }";
        assert_eq!(check("session/clock.rs", twice), ["session/clock.rs:1: reads a clock a second time"]);
        let allowed = "#[allow(clippy::disallowed_methods)]\nfn a() {}\n#[allow(clippy::disallowed_types)]\nfn b() {}";
        assert_eq!(
            check("session/clock.rs", allowed),
            ["session/clock.rs:3: a second exception from `core/clippy.toml`"]
        );
    }

    #[test]
    fn unsafe_code_is_forbidden_at_the_root() {
        let root = |text: &str| offences(&[Source { path: "lib.rs".into(), text: text.to_owned() }]).len();
        assert_eq!(root(ROOT), 0);
        assert_eq!(root("// #![forbid(unsafe_code)]\n"), 1);
    }

    #[test]
    fn an_offence_says_where() {
        assert_eq!(check("ice/agent.rs", "\n\nuse str0m::Rtc;"), ["ice/agent.rs:3: `str0m::Rtc`: the foreign session"]);
    }
}
