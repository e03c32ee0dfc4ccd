//! A contestant's program while it runs.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::tail::tail;

/// How long a program may take to end when it is asked to, and its last words to come when something else holds its
/// output open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    /// The last of what it wrote for programs.
    pub(crate) output: String,
    /// The last of what it wrote for people.
    pub(crate) log: String,
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// It never began, and why.
    NotStarted(String),
    /// By itself, with this code.
    Code(i32),
    /// By a signal that was not ours.
    Signal(Option<i32>),
    /// It was killed: it had not ended after so many seconds.
    TooLong(u64),
    /// It was killed soon after the other one had failed.
    Abandoned,
}

/// A program that runs. When this is dropped it ends, with all that it has started.
pub(crate) struct Running {
    child: Child,
    group: Group,
    output: JoinHandle<String>,
    log: JoinHandle<String>,
}

impl Running {
    /// Starts the program that the first of these words names.
    pub(crate) fn start(command: &[String], arguments: &[&str]) -> Result<Self, Ended> {
        let not_started = |why: String| Ended { end: End::NotStarted(why), output: String::new(), log: String::new() };
        let (program, first) = command.split_first().ok_or_else(|| not_started("no program".to_owned()))?;
        let mut command = Command::new(program);
        command.args(first).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be told from what others do.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| not_started(format!("{program}: {error}")))?;
        let group = Group(child.id());
        let output = tokio::spawn(tail(child.stdout.take().expect("it is piped")));
        let log = tokio::spawn(tail(child.stderr.take().expect("it is piped")));
        Ok(Self { child, group, output, log })
    }

    /// Waits until it has ended by itself. Losing the race of a `select!` loses nothing.
    pub(crate) async fn wait(&mut self) -> End {
        self.child.wait().await.map_or(End::Signal(None), end_of)
    }

    /// Ends it with all that it has started, and gives what it wrote. `end` is how it ended, or why it does now.
    pub(crate) async fn finish(mut self, end: End) -> Ended {
        // Where it still runs it may put away what it has lying about.
        self.group.signal(Signal::SIGTERM);
        let _ = timeout(LAST_WORDS, self.child.wait()).await;
        self.group.signal(Signal::SIGKILL);
        let _ = self.child.wait().await;
        let gather = |words: JoinHandle<String>| async { timeout(LAST_WORDS, words).await.ok()?.ok() };
        let (output, log) = tokio::join!(gather(self.output), gather(self.log));
        Ended { end, output: output.unwrap_or_default(), log: log.unwrap_or_default() }
    }
}

fn end_of(status: ExitStatus) -> End {
    status.code().map_or_else(|| End::Signal(status.signal()), End::Code)
}

/// A program's process group.
struct Group(Option<u32>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) {
            // That there is nobody left is as good.
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        Running::start(&["sh".to_owned(), "-c".to_owned()], &[script]).ok().unwrap()
    }

    async fn end(mut running: Running) -> Ended {
        let end = running.wait().await;
        running.finish(end).await
    }

    #[tokio::test]
    async fn an_end_is_told_with_what_was_written() {
        let ended = end(shell("echo out; echo log >&2; exit 3")).await;
        assert_eq!((ended.end, ended.output.as_str(), ended.log.as_str()), (End::Code(3), "out\n", "log\n"));
        assert_eq!(end(shell("kill -TERM $$")).await.end, End::Signal(Some(15)));
        let missing = Running::start(&["/no/such/program".to_owned()], &[]).err().unwrap();
        assert!(matches!(missing.end, End::NotStarted(why) if why.contains("/no/such/program")));
    }

    #[tokio::test]
    async fn what_it_has_started_ends_with_it() {
        // What is left behind holds the output open: until it is gone there is no end to read, and no last words.
        let left_behind = end(shell("sleep 600 & echo done")).await;
        assert_eq!((left_behind.end, left_behind.output.as_str()), (End::Code(0), "done\n"));
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed() {
        let ended = shell("trap '' TERM INT; sleep 600; sleep 600").finish(End::TooLong(1)).await;
        assert_eq!(ended.end, End::TooLong(1));
    }
}
