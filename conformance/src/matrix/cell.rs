//! One cell: two networks and the servers. What comes of it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use frazil::Instant;
use frazil_internet::{HostId, Internet, Scheduled, Step};

use super::kind::{Networks, Servers};
use super::oracle::{PathKind, Verdict, foresee};
use super::stage;
use super::topology::Topology;
use crate::contestant::{Failure, Selected};
use crate::gathering::{Party, Said};

/// How long a word takes from one side to the other.
const SIGNALLING: Duration = Duration::from_millis(50);

/// How long both are watched after they have a nominated path, in case they change their minds.
const SETTLING: Duration = Duration::from_secs(10);

/// Who has not connected by then and has not given up either never will.
const LIMIT: Duration = Duration::from_secs(100);

/// An agent must have given up by then: all candidates are there after a few seconds, and RFC 8863 has it wait for
/// 39.5 s from then on.
const PATIENCE: Duration = Duration::from_secs(50);

/// Two networks and the servers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cell {
    /// Where the two sides are.
    pub networks: Networks,
    /// Whom they may ask.
    pub servers: Servers,
}

impl Cell {
    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        Networks::all().flat_map(|networks| Servers::ALL.map(|servers| Self { networks, servers }))
    }

    /// What must come of it.
    #[must_use]
    pub fn foresee(self) -> Verdict {
        foresee(&Topology::new(self.networks, self.servers))
    }

    /// Lets two of a kind try.
    #[must_use]
    pub fn run<P: Party>(self, seed: u64) -> Outcome {
        Outcome::of::<P>(&Topology::new(self.networks, self.servers), seed)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.networks, self.servers)
    }
}

/// What came of a cell.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// From the start until both sides could send application data.
    pub usable: Option<Duration>,
    /// Until both had a nominated path.
    pub nominated: Option<Duration>,
    /// Datagrams that both agents sent until both sides could send application data; in all if they never could.
    pub datagrams: u64,
    /// Datagrams that both agents sent until both had a nominated path.
    pub datagrams_until_nominated: Option<u64>,
    /// What they use in the end, if both use the same.
    pub path: Option<PathKind>,
    /// Who gave up, why, and when.
    pub failures: [Option<(Failure, Duration)>; 2],
}

impl Outcome {
    /// Lets two of a kind try in a network of any shape.
    #[must_use]
    pub fn of<P: Party>(topology: &Topology, seed: u64) -> Self {
        let (internet, hosts) = stage::build::<P, Word<P>>(topology, seed);
        Run { internet, hosts, selected: [None; 2], outcome: Self::default() }.finish(topology)
    }

    /// What is wrong with it.
    #[must_use]
    pub fn differs_from(&self, verdict: &Verdict) -> Option<String> {
        let how = |this: &Self| match (this.path, this.usable) {
            (Some(kind), _) => format!("the path is {kind}"),
            (None, Some(_)) => "they had a path and have none in common".to_owned(),
            (None, None) => "there is no path".to_owned(),
        };
        match verdict {
            Verdict::Connects(kind) if self.path == Some(*kind) && self.nominated.is_some() => None,
            Verdict::Connects(kind) if self.path == Some(*kind) => Some(format!("{kind} is never nominated")),
            Verdict::Connects(kind) => Some(format!("{kind} is possible, and {}{}", how(self), self.reasons())),
            Verdict::Fails(_) if self.usable.is_some() => Some(format!("no path is possible, and {}", how(self))),
            Verdict::Fails(reasons) => {
                let right = self.failures.iter().zip(reasons).all(|(told, reason)| {
                    let is_right = |failure: &Failure| failure == reason || *failure == Failure::Unexplained;
                    told.as_ref().is_some_and(|(failure, at)| is_right(failure) && *at <= PATIENCE)
                });
                let [a, b] = reasons;
                (!right).then(|| {
                    format!("the two must fail with {a} and {b} within {} s{}", PATIENCE.as_secs(), self.reasons())
                })
            }
        }
    }

    fn reasons(&self) -> String {
        let [a, b] = self.failures.each_ref().map(|failure| match failure {
            Some((failure, at)) => format!("{failure} after {:.1} s", at.as_secs_f64()),
            None => "not failed".to_owned(),
        });
        format!(" (controlling: {a}; controlled: {b})")
    }
}

/// A word that signalling carries to a machine.
type Word<P> = (HostId, <P as Party>::Told);

struct Run<P: Party> {
    internet: Internet<P, Word<P>>,
    hosts: [HostId; 2],
    selected: [Option<Selected>; 2],
    outcome: Outcome,
}

impl<P: Party> Run<P> {
    fn finish(mut self, topology: &Topology) -> Outcome {
        self.internet.with(self.hosts[0], |party, now| party.start(now));
        let mut until = Instant::ZERO + LIMIT;
        while let Some(step) = self.internet.next(until) {
            match step {
                Step::Alarm((host, told)) => self.internet.with(host, |party, now| party.hear(told, now)),
                Step::Event(host, Said::Tell(told)) => {
                    let [a, b] = self.hosts;
                    let other = if host == a { b } else { a };
                    self.internet.after(SIGNALLING, Scheduled::Alarm((other, told)));
                }
                Step::Event(host, Said::Path(selected)) => {
                    self.selected[self.side(host)] = selected;
                    if self.note_progress() {
                        until = self.internet.now() + SETTLING;
                    }
                }
                Step::Event(host, Said::Failed(failure)) => {
                    let side = self.side(host);
                    self.outcome.failures[side] = Some((failure, self.internet.now() - Instant::ZERO));
                    if self.outcome.failures.iter().all(Option::is_some) {
                        break;
                    }
                }
            }
        }
        if self.outcome.usable.is_none() {
            self.outcome.datagrams = self.datagrams();
        }
        self.outcome.path = self.path(topology);
        self.outcome
    }

    /// Says whether both have a nominated path for the first time.
    fn note_progress(&mut self) -> bool {
        let [Some(a), Some(b)] = self.selected else { return false };
        let now = self.internet.now() - Instant::ZERO;
        if self.outcome.usable.is_none() {
            self.outcome.usable = Some(now);
            self.outcome.datagrams = self.datagrams();
        }
        if self.outcome.nominated.is_some() || !a.nominated || !b.nominated {
            return false;
        }
        self.outcome.nominated = Some(now);
        self.outcome.datagrams_until_nominated = Some(self.datagrams());
        true
    }

    /// The kind of the path that both use, by the addresses on it.
    fn path(&self, topology: &Topology) -> Option<PathKind> {
        let [Some(a), Some(b)] = self.selected else { return None };
        let relayed = self.hosts.map(|host| self.internet.endpoint(host).relayed());
        let is = |address: SocketAddr, relayed: Option<SocketAddr>| usize::from(relayed == Some(address));
        let relays_of_a = is(a.base, relayed[0]) + is(a.remote, relayed[1]);
        let relays_of_b = is(b.base, relayed[1]) + is(b.remote, relayed[0]);
        let own = |side: usize, address: SocketAddr| topology.machines[side].addresses.contains(&address.ip());
        match (relays_of_a, relays_of_b) {
            (0, 0) if own(1, a.remote) && own(0, b.remote) => Some(PathKind::Direct),
            (0, 0) => Some(PathKind::Translated),
            (1, 1) if is(a.base, relayed[0]) == is(b.remote, relayed[0]) => Some(PathKind::RelayedOnce),
            (2, 2) => Some(PathKind::RelayedTwice),
            _ => None,
        }
    }

    fn datagrams(&self) -> u64 {
        self.hosts.iter().map(|&host| self.internet.endpoint(host).datagrams()).sum()
    }

    fn side(&self, host: HostId) -> usize {
        usize::from(host == self.hosts[1])
    }
}
