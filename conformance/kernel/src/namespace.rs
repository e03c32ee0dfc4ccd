//! A network namespace that is nothing but an open file: it has no name, so no two runs can meet in one, and it is gone
//! when the file is closed and nobody is left inside, however this process ends.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::error::LabError;

/// A machine's or a router's own view of the network.
#[derive(Debug)]
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    /// A namespace with a loopback interface, without IPv6.
    pub(crate) fn new() -> Result<Self, LabError> {
        let made = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open("/proc/thread-self/ns/net")
            });
            thread.join().expect("it does not panic")
        });
        let namespace = Self { file: made.map_err(LabError::of("a network namespace"))? };
        namespace.set("net/ipv6/conf/all/disable_ipv6", "1")?;
        namespace.set("net/ipv6/conf/default/disable_ipv6", "1")?;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Does `work` inside: sockets made and programs started there are of this namespace.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET).expect("whoever made it may enter it");
                work()
            });
            thread.join().expect("what is done inside does not panic")
        })
    }

    /// What `ip` takes for `netns`, from inside any namespace.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Runs lines of `ip`.
    pub(crate) fn ip(&self, lines: &str) -> Result<(), LabError> {
        self.feed("ip", &["-batch", "-"], lines)
    }

    /// Loads rules into `nft`.
    pub(crate) fn nft(&self, rules: &str) -> Result<(), LabError> {
        self.feed("nft", &["-f", "-"], rules)
    }

    /// Sets one of the kernel's knobs, by its path below `/proc/sys`.
    pub(crate) fn set(&self, knob: &str, value: &str) -> Result<(), LabError> {
        let done = self.enter(|| fs::write(format!("/proc/sys/{knob}"), value));
        match done {
            // Where the kernel has no such thing, it does not do it either.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(LabError::of(format!("{knob} = {value}"))),
        }
    }

    fn feed(&self, program: &str, arguments: &[&str], input: &str) -> Result<(), LabError> {
        let run = || {
            let mut command = Command::new(program);
            command.args(arguments).env("PATH", search_path());
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
            // A program that has ended early says why on its own.
            let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
            child.wait_with_output()
        };
        let output = self.enter(run).map_err(LabError::of(program))?;
        if output.status.success() {
            return Ok(());
        }
        let said = format!("{}\n{input}", String::from_utf8_lossy(&output.stderr));
        Err(LabError::Program { command: format!("{program} {}", arguments.join(" ")), said })
    }
}

/// Debian keeps some of the programs where a plain user's search path does not lead.
pub(crate) fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// A name for an end of a link that nobody else in the same namespace has.
pub(crate) fn fresh_link() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("port{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
