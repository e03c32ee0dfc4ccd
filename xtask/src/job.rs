//! A command whose output is kept to be read, and shown as it comes to who watches, behind the step's name.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::kill_tree;
use crate::transcript::Transcript;

/// How long a command may take unless it says otherwise. A hung test must become a failed one.
const DEFAULT_LIMIT: Duration = Duration::from_secs(80 * 60);
/// How long it may say nothing. What still compiles, or tests, on a slow machine says so now and then.
const DEFAULT_SILENCE: Duration = Duration::from_secs(25 * 60);
/// How long to wait for the next line of a command that has ended but whose output something holds open.
const GRACE: Duration = Duration::from_secs(2);

/// A command about to be run.
pub(crate) struct Job {
    label: String,
    command: Command,
    limit: Duration,
    silence: Duration,
    keep: fn(&str) -> bool,
}

/// What came of it.
pub(crate) struct Finished {
    /// What was run.
    pub(crate) command: String,
    pub(crate) success: bool,
    /// Both of its output streams, in the order in which the lines came, without those that were not to be kept.
    pub(crate) output: String,
}

impl Job {
    /// Runs `program` in `folder`; its output goes under `label`.
    pub(crate) fn new(label: impl Into<String>, program: impl AsRef<OsStr>, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The output is read by a program first and by people second.
        command.env("NO_COLOR", "1").env("FORCE_COLOR", "0").env("CARGO_TERM_COLOR", "never");
        // One hiccup of the network is no reason to fail.
        command.env("CARGO_NET_RETRY", "10").env("npm_config_fetch_retries", "5");
        Self { label: label.into(), command, limit: DEFAULT_LIMIT, silence: DEFAULT_SILENCE, keep: |_| true }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// How long it may take before it is killed.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Keeps only the lines for which `keep` says so.
    pub(crate) fn keep(mut self, keep: fn(&str) -> bool) -> Self {
        self.keep = keep;
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Finished {
        let command = words(&self.command);
        let mut transcript = Transcript::begin(&self.label, &command);
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let line = format!("{command} did not start: {error}");
                transcript.line(&line);
                transcript.end(false);
                return Finished { command, success: false, output: line };
            }
        };
        let lines = lines_of(&mut child);
        let mut output = String::new();
        let mut keep = |line: &str| {
            transcript.line(line);
            output.push_str(line);
            output.push('\n');
        };

        let deadline = Instant::now() + self.limit;
        let mut heard_at = Instant::now();
        let mut ended: Option<ExitStatus> = None;
        let mut killed = false;
        loop {
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    heard_at = Instant::now();
                    if (self.keep)(&line) {
                        keep(&line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if ended.is_some() => break,
                // Its output is closed, it itself is not yet gone.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(10)),
            }
            if ended.is_none() {
                ended = child.try_wait().ok().flatten();
                if ended.is_some() {
                    heard_at = Instant::now();
                }
            }
            let is_late = Instant::now() > deadline;
            if ended.is_some() && (heard_at.elapsed() > GRACE || is_late) {
                break;
            }
            let is_silent = heard_at.elapsed() > self.silence;
            if !killed && ended.is_none() && (is_late || is_silent) {
                killed = true;
                kill_tree(&mut child);
                keep(&match is_late {
                    true => format!("killed: it had not ended after {} s", self.limit.as_secs()),
                    false => format!("killed: it had said nothing for {} s", self.silence.as_secs()),
                });
            }
        }
        let status = ended.expect("the loop ends only after the command has");
        if !status.success() && !killed {
            keep(&format!("ended with {status}"));
        }
        transcript.end(status.success());
        Finished { command, success: status.success(), output }
    }
}

/// The command as one would type it, without the folder that its program lies in.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The lines of both output streams of `child` as they come.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, sender);
    }
    receiver
}

fn forward(stream: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line);
            // A progress bar rewrites its line; the last state is the one worth keeping.
            let text = text.trim_end_matches(['\n', '\r']);
            let text = text.rsplit('\r').next().unwrap_or(text);
            if lines.send(text.to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Job {
        Job::new("job", "sh", Path::new("/")).args(["-c", script])
    }

    #[test]
    fn output_and_status_are_kept() {
        let finished = shell("printf 'one\\ntwo'; echo three >&2; exit 3").run();
        assert!(!finished.success && finished.command.starts_with("sh -c printf"), "{}", finished.command);
        for line in ["one", "two", "three"] {
            assert!(finished.output.lines().any(|l| l == line), "{}", finished.output);
        }
        assert_eq!(shell("echo one; echo two").keep(|line| line != "one").run().output, "two\n");
        assert!(shell("printf 'a\\rb\\n'").run().output.starts_with("b\n"));
        assert!(!Job::new("job", "/no/such/program", Path::new("/")).run().success);
    }

    #[test]
    fn what_hangs_is_killed_and_what_is_left_behind_is_not_waited_for() {
        let finished = shell("echo begun; sleep 600").limit(Duration::from_millis(200)).run();
        assert!(!finished.success && finished.output.contains("killed: it had not ended"), "{}", finished.output);
        let job = Job { silence: Duration::from_millis(200), ..shell("echo begun; sleep 600") };
        let finished = job.run();
        assert!(!finished.success && finished.output.contains("killed: it had said nothing"), "{}", finished.output);
        // A child that outlives its parent and holds the pipe.
        let finished = shell("sleep 20 & echo done").run();
        assert!(finished.success && finished.output.contains("done"));
    }
}
