//! A peer as a program: it joins a room, connects to whoever else is there, has its words echoed, waits until the path
//! stands, and tells what came of it as JSON.

mod session;
mod signal;

use std::net::SocketAddr;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// What a peer is to do.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Task {
    /// The signalling server's WebSocket door.
    pub(crate) signaling: String,
    /// The room in which the two meet.
    pub(crate) room: String,
    /// Whether it makes the offer, and so controls.
    pub(crate) offers: bool,
    /// Whom it may ask.
    pub(crate) servers: Vec<ServerAccess>,
    /// How long the agent tries before it says that there is no way, and waits for servers at the most; its own defaults
    /// if not given.
    pub(crate) patience_ms: Option<u64>,
    /// After how long the peer gives up whatever it is doing, from when both are there.
    pub(crate) limit_ms: u64,
}

/// A STUN or TURN server (RFC 7064, RFC 7065).
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct ServerAccess {
    pub(crate) uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
}

impl ServerAccess {
    /// Whether it is asked by datagrams.
    pub(crate) fn is_asked_over_udp(&self) -> bool {
        self.uri.starts_with("stun:") || self.uri.ends_with("?transport=udp")
    }
}

/// What came of it.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Report {
    pub(crate) end: End,
    /// The peer's own candidates.
    pub(crate) candidates: Vec<CandidateReport>,
    /// What servers were asked in vain.
    pub(crate) errors: Vec<ServerError>,
}

/// Why a server gives no candidate (W3C `icecandidateerror`).
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct ServerError {
    pub(crate) uri: String,
    pub(crate) code: u16,
    pub(crate) text: String,
    /// From the peer's start.
    pub(crate) after_ms: u64,
}

/// How it ended.
#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// Words went to the other side and came back.
    Connected {
        /// From the peer's start until the connection was there.
        connected_ms: u64,
        /// Until a word of its own had come back.
        echoed_ms: u64,
        /// The pair in the end.
        path: PathReport,
    },
    /// There is no way.
    Failed {
        /// From the peer's start.
        after_ms: u64,
        /// The name of the reason.
        reason: String,
        /// The same for people.
        why: String,
    },
    /// Neither came about in time, or something went wrong beside the connection.
    Undecided {
        /// What.
        why: String,
    },
}

/// The pair of candidates in use.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct PathReport {
    pub(crate) local: CandidateReport,
    pub(crate) remote: CandidateReport,
    pub(crate) nominated: bool,
}

/// A candidate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct CandidateReport {
    /// `host`, `srflx`, `prflx` or `relay`.
    pub(crate) kind: String,
    /// None if it hides behind a name.
    pub(crate) address: Option<SocketAddr>,
    /// `udp` or `tcp`.
    pub(crate) protocol: String,
    /// Of a relayed candidate of the peer's own: how it talks to the relay, `udp`, `tcp` or `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay_protocol: Option<String>,
}

/// Does the task, and prints the report.
pub(crate) fn run(task: &str) -> ExitCode {
    let task: Task = match serde_json::from_str(task) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("this is no task for a peer: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report = runtime.block_on(session::run(&task));
    println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    ExitCode::SUCCESS
}
