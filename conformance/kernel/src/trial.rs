//! One cell, tried in the kernel and held against what the virtual internet predicts.

use std::env;
use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use frazil::ice::GatheringError;
use frazil_conformance::contestant::Frazil;
use frazil_conformance::gathering::Gatherer;
use frazil_conformance::matrix::oracle::foresee;
use frazil_conformance::matrix::{Outcome, PathKind, Verdict};

use crate::drawing::{Behaviour, Cell, Servers as Given};
use crate::error::LabError;
use crate::lab::{Lab, Machine, Site, address};
use crate::peer::{End, PathReport, Report, Task};
use crate::servers::Servers;

/// After how long a peer gives up, once both are there. Nothing that works takes as long, on the slowest machine.
const LIMIT: Duration = Duration::from_secs(180);

/// After how long a peer has ended that has given up, the time until both were there included.
const ENDED: Duration = Duration::from_secs(540);

/// How long an agent tries where nothing is predicted to work: enough for everything that works elsewhere, and not the 40 s
/// that it is by default, so that the table does not take an hour.
const PATIENCE: Duration = Duration::from_secs(12);

/// Who tries it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peers {
    /// Two of ours.
    Native,
    /// Chromium is the controlling side, and the other one ours.
    ChromiumControls,
    /// Chromium is the controlled side.
    ChromiumIsControlled,
}

impl Peers {
    fn is_chromium(self, side: usize) -> bool {
        self == [Self::ChromiumControls, Self::ChromiumIsControlled][side]
    }
}

/// What the virtual internet predicts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Foreseen {
    /// They connect, and the best path is of this kind.
    Connects(PathKind),
    /// They do not, for these reasons.
    Fails([String; 2]),
    /// The run there and the oracle do not agree with each other.
    Disputed(String),
}

/// What came of it in the kernel.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// They connected, and echoed.
    Connected {
        /// The kind of the path, if both have the same in the end.
        kind: Option<PathKind>,
        /// From the offerer's start until it was connected.
        milliseconds: u64,
        /// The pair of each.
        paths: Box<[PathReport; 2]>,
    },
    /// They said that there is no way.
    Failed {
        reasons: [String; 2],
        /// Until the later of the two had given up.
        milliseconds: u64,
    },
    /// Neither.
    Trouble(String),
}

/// A cell that was tried.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) cell: Cell,
    pub(crate) peers: Peers,
    pub(crate) foreseen: Foreseen,
    pub(crate) seen: Seen,
    /// What the two told, as far as they did.
    pub(crate) reports: Vec<Report>,
}

/// Tries a cell. Nothing else may have its number at the same time.
pub(crate) fn try_cell(lab: &Lab, servers: &Servers, cell: Cell, peers: Peers, number: u8) -> Trial {
    let foreseen = foresee_cell(cell);
    let tried = lab.lay(&cell.drawing(), number).and_then(|site| {
        let patience = matches!(foreseen, Foreseen::Fails(_)).then_some(PATIENCE);
        let reports = connect(&site, servers, cell.servers, peers, number, patience)?;
        Ok((seen(&site, &reports), reports))
    });
    let (seen, reports) = match tried {
        Ok((seen, reports)) => (seen, reports.to_vec()),
        Err(error) => (Seen::Trouble(error.to_string()), Vec::new()),
    };
    Trial { cell, peers, foreseen, seen, reports }
}

impl Trial {
    /// What is wrong with it.
    pub(crate) fn differs(&self) -> Option<String> {
        match (&self.foreseen, &self.seen) {
            (Foreseen::Connects(foreseen), Seen::Connected { kind: Some(seen), paths, .. }) if foreseen == seen => {
                let unfinished = paths.iter().any(|path| !path.nominated);
                unfinished.then(|| "the path was never nominated".to_owned())
            }
            (Foreseen::Fails(foreseen), Seen::Failed { reasons, .. }) if foreseen == reasons => self.unexplained(),
            (foreseen, seen) => Some(format!("predicted: {foreseen}; seen: {seen}")),
        }
    }
}

impl Trial {
    /// Whom a failed side has asked in vain without saying so: where no UDP comes through, no server answers over it.
    fn unexplained(&self) -> Option<String> {
        let asked = Servers::access(self.cell.servers).iter().filter(|server| server.is_asked_over_udp()).count();
        let drawing = self.cell.drawing();
        let silent = |side: &usize| {
            let errors = &self.reports[*side].errors;
            let unreachable = errors.iter().filter(|error| error.code == GatheringError::UNREACHABLE).count();
            drawing.behaviour(*side) == Behaviour::Blocked && unreachable < asked
        };
        let side = (0..self.reports.len()).find(silent)?;
        Some(format!("side {side} does not say that its servers do not answer: {:?}", self.reports[side].errors))
    }
}

/// What is predicted: by a run in the virtual internet, which must come out as the oracle says.
fn foresee_cell(cell: Cell) -> Foreseen {
    let topology = cell.foreseen();
    let verdict = foresee(&topology);
    let outcome = Outcome::of::<Gatherer<Frazil>>(&topology, 1);
    if let Some(how) = outcome.differs_from(&verdict) {
        return Foreseen::Disputed(how);
    }
    match verdict {
        Verdict::Connects(kind) => Foreseen::Connects(kind),
        Verdict::Fails(reasons) => Foreseen::Fails(reasons.map(|reason| reason.to_string())),
    }
}

/// Lets the two connect, the first of them offering.
fn connect(
    site: &Site,
    servers: &Servers,
    given: Given,
    peers: Peers,
    number: u8,
    patience: Option<Duration>,
) -> Result<[Report; 2], LabError> {
    let running = [0, 1].map(|side: usize| {
        let task = Task {
            signaling: servers.signaling(),
            room: format!("cell-{number}"),
            offers: side == 0,
            servers: Servers::access(given),
            patience_ms: patience.map(|patience| patience.as_millis() as u64),
            limit_ms: LIMIT.as_millis() as u64,
        };
        let program = if peers.is_chromium(side) { chromium() } else { native()? };
        Running::start(&site.machines[side], servers, program, &task)
    });
    let [first, second] = running;
    let (first, second) = (first?, second?);
    Ok([first.report()?, second.report()?])
}

/// This program, as a peer.
fn native() -> Result<Command, LabError> {
    let mut command = Command::new(env::current_exe().map_err(LabError::of("this program's own file"))?);
    command.arg("peer");
    Ok(command)
}

/// The one that drives Chromium.
fn chromium() -> Command {
    let mut command = Command::new("node");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../browser/kernel-peer.mjs"));
    command
}

/// A peer that runs on a machine.
struct Running {
    process: Child,
    output: mpsc::Receiver<String>,
}

impl Running {
    fn start(machine: &Machine, servers: &Servers, mut command: Command, task: &Task) -> Result<Self, LabError> {
        command.arg(serde_json::to_string(task).expect("a task is plain data"));
        command.env("SSL_CERT_FILE", servers.authority());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = machine.namespace.enter(|| command.spawn()).map_err(LabError::of("a peer"))?;
        let mut stdout = process.stdout.take().expect("it is piped");
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            // Nobody hears it who has stopped waiting.
            let _ = sender.send(text);
        });
        Ok(Self { process, output })
    }

    fn report(self) -> Result<Report, LabError> {
        let text = self.output.recv_timeout(ENDED);
        let text = text.map_err(|_| LabError::Unserviceable("a peer does not end".to_owned()))?;
        serde_json::from_str(&text)
            .map_err(|error| LabError::Unserviceable(format!("a peer told {text:?}, which is no report: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn seen(site: &Site, reports: &[Report; 2]) -> Seen {
    match [&reports[0].end, &reports[1].end] {
        [End::Connected { path: a, connected_ms, .. }, End::Connected { path: b, .. }] => Seen::Connected {
            kind: kind_of(site, reports, [a, b]),
            milliseconds: *connected_ms,
            paths: Box::new([a.clone(), b.clone()]),
        },
        [End::Failed { reason: a, after_ms: a_ms, .. }, End::Failed { reason: b, after_ms: b_ms, .. }] => {
            Seen::Failed { reasons: [a.clone(), b.clone()], milliseconds: *a_ms.max(b_ms) }
        }
        ends => {
            let brief = ends.map(|end| match end {
                End::Connected { .. } => "connected".to_owned(),
                End::Failed { why, .. } | End::Undecided { why } => why.clone(),
            });
            Seen::Trouble(format!("controlling: {}; controlled: {}", brief[0], brief[1]))
        }
    }
}

/// The kind of the path that both use, by the addresses on it.
fn kind_of(site: &Site, reports: &[Report; 2], paths: [&PathReport; 2]) -> Option<PathKind> {
    let is_relay = |address: Option<SocketAddr>| address.is_some_and(|address| address.ip() == address::RELAY);
    let relayed = |side: usize, address: Option<SocketAddr>| {
        let lent = reports[side].candidates.iter().any(|candidate| candidate.address == address);
        is_relay(address) && lent
    };
    // What each side sends through: its own relay, and that of the other side.
    let [a, b] = [0, 1].map(|side: usize| {
        let (local, remote) = (paths[side].local.address, paths[side].remote.address);
        (relayed(side, local), relayed(1 - side, remote), is_relay(local) || is_relay(remote))
    });
    let own = |side: usize, address: Option<SocketAddr>| {
        address.is_some_and(|address| address.ip() == site.machines[side].address)
    };
    match (a, b) {
        ((false, false, false), (false, false, false)) => {
            let direct = own(1, paths[0].remote.address) && own(0, paths[1].remote.address);
            Some(if direct { PathKind::Direct } else { PathKind::Translated })
        }
        ((true, true, _), (true, true, _)) => Some(PathKind::RelayedTwice),
        ((true, false, _), (false, true, _)) | ((false, true, _), (true, false, _)) => Some(PathKind::RelayedOnce),
        _ => None,
    }
}

impl Foreseen {
    /// In a word or two.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Disputed(_) => "disputed".to_owned(),
            other => other.to_string(),
        }
    }
}

impl Seen {
    /// In a word or two.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Trouble(_) => "trouble".to_owned(),
            other => other.to_string(),
        }
    }

    pub(crate) fn milliseconds(&self) -> Option<u64> {
        match self {
            Self::Connected { milliseconds, .. } | Self::Failed { milliseconds, .. } => Some(*milliseconds),
            Self::Trouble(_) => None,
        }
    }
}

impl fmt::Display for Foreseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connects(kind) => f.write_str(kind.name()),
            Self::Fails(reasons) => f.write_str(&both(reasons)),
            Self::Disputed(how) => write!(f, "virtual internet and oracle disagree ({how})"),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { kind: Some(kind), .. } => f.write_str(kind.name()),
            Self::Connected { kind: None, .. } => f.write_str("no common path"),
            Self::Failed { reasons, .. } => f.write_str(&both(reasons)),
            Self::Trouble(why) => f.write_str(why),
        }
    }
}

fn both([a, b]: &[String; 2]) -> String {
    if a == b { a.clone() } else { format!("{a}; {b}") }
}
