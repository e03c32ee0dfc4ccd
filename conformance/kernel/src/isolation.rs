//! The ground that the lab stands on: namespaces of processes, mounts and network that end together with this program.
//!
//! The program starts itself again inside of them. There it is the first process, so that when it ends, for whatever
//! reason, the kernel ends all that it has started, and with them goes every link, router and file.

use std::env;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::LabError;
use crate::namespace::search_path;

const INSIDE: &str = "FRAZIL_KERNEL_INSIDE";

/// Whether the program has been started again.
pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Starts the program again inside. It comes back only if that fails.
pub(crate) fn enter() -> ExitCode {
    let own: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("this program cannot find itself: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut command = Command::new("unshare");
    command.args(own).args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    let error = command.arg(program).args(env::args_os().skip(1)).env(INSIDE, "1").env("PATH", search_path()).exec();
    eprintln!("unshare did not start: {error}");
    ExitCode::FAILURE
}

/// A folder that nobody outside sees and that is gone with the program, with everything in it.
pub(crate) fn scratch() -> Result<PathBuf, LabError> {
    let output = Command::new("mount").args(["-t", "tmpfs", "none", "/run"]).env("PATH", search_path()).output();
    let output = output.map_err(LabError::of("mount"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(LabError::Program { command: "mount -t tmpfs none /run".to_owned(), said });
    }
    let folder = Path::new("/run/frazil");
    fs::create_dir(folder).map_err(LabError::of("a folder for what the servers write"))?;
    Ok(folder.to_owned())
}

/// Ends the program on Ctrl-C and on SIGTERM. The first process of a namespace is not ended by them by itself.
pub(crate) fn end_when_told() -> Result<(), LabError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(LabError::of("a runtime for signals"))?;
    let listen = || -> io::Result<_> { Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)) };
    let (mut interrupt, mut terminate) = {
        let _runtime = runtime.enter();
        listen().map_err(LabError::of("to hear of signals"))?
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        });
        eprintln!("interrupted");
        process::exit(130);
    });
    Ok(())
}
