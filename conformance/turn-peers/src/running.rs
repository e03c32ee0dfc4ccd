//! A program at work.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::sleep;

/// A program that was started. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    input: ChildStdin,
    started: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
}

/// One thing that it has said.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// After how long.
    pub(crate) after: Duration,
    pub(crate) at: Instant,
    pub(crate) is: String,
    pub(crate) what: Value,
}

impl Line {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.what[name].as_str().unwrap_or_default()
    }
}

impl Running {
    pub(crate) fn start(command: std::process::Command) -> std::io::Result<Self> {
        let mut child = Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().expect("it has an input");
        let output = child.stdout.take().expect("it has an output");
        let started = Instant::now();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                let Ok(what) = serde_json::from_str::<Value>(&line) else { continue };
                let is = what["is"].as_str().unwrap_or_default().to_owned();
                let line = Line { after: started.elapsed(), at: Instant::now(), is, what };
                kept.lock().expect("nobody panics with it").push(line);
            }
        });
        Ok(Self { child, input, started, lines })
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Everything that it has said.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.lock().expect("nobody panics with it").clone()
    }

    /// What it has said of one kind.
    pub(crate) fn said(&self, is: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.is == is).collect()
    }

    pub(crate) fn candidates(&self, kind: &str) -> Vec<Line> {
        self.said("candidate").into_iter().filter(|line| line.text("kind") == kind).collect()
    }

    /// What the interface of the implementation lacks, if the program has said so.
    pub(crate) fn no_api(&self) -> Option<String> {
        self.said("no-api").first().map(|line| line.text("what").to_owned())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it has ended, if it has, for the end of a line.
    pub(crate) fn end(&mut self) -> String {
        match self.child.try_wait() {
            Ok(Some(status)) if !status.success() => format!("; the program has died: {status}"),
            Ok(Some(_)) => "; the program has ended".to_owned(),
            _ => String::new(),
        }
    }

    /// Waits until something is so, or the program has ended, or the time is over; says whether it is so.
    pub(crate) async fn until(&mut self, limit: Duration, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        let end = Instant::now() + limit;
        loop {
            if is_so(self) {
                return true;
            }
            if Instant::now() > end || !self.is_running() {
                // What it has said last is read a moment later.
                sleep(Duration::from_millis(300)).await;
                return is_so(self);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tells it something.
    pub(crate) async fn tell(&mut self, command: Value) {
        let _ = self.input.write_all(format!("{command}\n").as_bytes()).await;
        let _ = self.input.flush().await;
    }

    /// Has it give back what it has and end; ten seconds at most.
    pub(crate) async fn close(&mut self) {
        self.tell(json!({ "do": "close" })).await;
        self.until(Duration::from_secs(10), |_| false).await;
        let _ = self.child.kill().await;
    }
}
