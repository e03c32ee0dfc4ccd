//! The book of what an agent sent and received, kept apart from it, and what the RFCs allow by that book.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use frazil::ice::{Candidate, Config, Credentials};
use frazil::stun::{Class, IntegrityKey, Message, TransactionId};
use frazil::{Instant, Path};

/// How often one request may be sent (RFC 8489 section 6.2.1).
const TRANSMISSIONS: u32 = 7;

/// How often a pair may be tried anew for one reason: by an ordinary check, by a triggered one, and by one to which a
/// role conflict leads.
const TRIES: u32 = 3;

/// How many requests are remembered. Those that were sent first are forgotten first.
const REMEMBERED: usize = 1024;

/// Retransmissions, consent checks and the like: what may come in one second beside the checks that Ta allows. Each pair
/// of a full check list (RFC 8445 section 6.1.2.5) may repeat its check, the first time after 500 ms.
const BESIDE_PACE: u32 = 200;

/// What was sent and received, and what may be sent by that.
pub(super) struct Ledger {
    config: Config,
    clock: Clock,
    ours: Vec<Secret>,
    theirs: Vec<Secret>,
    /// Addresses that the other side named.
    told: BTreeSet<SocketAddr>,
    /// Addresses from which requests came that nobody can make who does not know our password.
    sources: BTreeSet<SocketAddr>,
    /// Paths on which the other side has proved that it knows a password.
    proven: BTreeSet<Path>,
    /// When our last request on a path was answered that was answered.
    consents: BTreeMap<Path, Duration>,
    requests: BTreeMap<TransactionId, Request>,
    /// Answers that we owe.
    owed: BTreeMap<(Path, TransactionId), u32>,
    /// Requests over paths on which nobody ever answered.
    unanswered: BTreeMap<Path, u32>,
    /// For how many reasons pairs may have been tried.
    searches: u32,
    last_check: Option<(Duration, Path)>,
    requests_by_second: PerSecond,
    wakes_by_second: PerSecond,
}

/// How many there were in the second that runs, and the most there were in one.
#[derive(Default)]
struct PerSecond {
    second: u64,
    count: u32,
    most: u32,
}

struct Secret {
    ufrag: String,
    key: IntegrityKey,
}

struct Request {
    path: Path,
    at: Duration,
    sent: u32,
}

/// The host's clock, without its steps back.
struct Clock {
    shown: Instant,
    passed: Duration,
}

impl Ledger {
    pub(super) fn new(config: Config, credentials: &Credentials, now: Instant) -> Self {
        Self {
            config,
            clock: Clock { shown: now, passed: Duration::ZERO },
            ours: vec![Secret::new(credentials)],
            theirs: Vec::new(),
            told: BTreeSet::new(),
            sources: BTreeSet::new(),
            proven: BTreeSet::new(),
            consents: BTreeMap::new(),
            requests: BTreeMap::new(),
            owed: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            searches: 1,
            last_check: None,
            requests_by_second: PerSecond::default(),
            wakes_by_second: PerSecond::default(),
        }
    }

    /// Time on the host's clock.
    pub(super) fn advance(&mut self, now: Instant) {
        self.clock.passed += now - self.clock.shown;
        self.clock.shown = now;
    }

    /// The agent has other credentials from now on.
    pub(super) fn restarted(&mut self, credentials: &Credentials) {
        self.ours.push(Secret::new(credentials));
        self.searches += 1;
    }

    /// The other side has said these.
    pub(super) fn told_credentials(&mut self, credentials: &Credentials) {
        self.theirs.push(Secret::new(credentials));
        self.searches += 1;
    }

    /// The other side has named an address.
    pub(super) fn told_candidate(&mut self, candidate: &Candidate) {
        self.told.insert(candidate.address);
    }

    /// There is a reason to try every pair once more.
    pub(super) fn may_search(&mut self) {
        self.searches += 1;
    }

    /// The most STUN requests within one second of the host's clock.
    pub(super) fn busiest_second(&self) -> u32 {
        self.requests_by_second.most
    }

    /// The agent's timer has fired.
    pub(super) fn woken(&mut self) {
        let count = self.wakes_by_second.count(self.clock.passed);
        assert!(count <= self.most_in_a_second(), "the agent was woken {count} times within a second");
    }

    fn most_in_a_second(&self) -> u32 {
        (1000 / self.config.pacing.as_millis().max(1)) as u32 + BESIDE_PACE
    }

    /// The agent was given STUN.
    pub(super) fn stun_received(&mut self, path: Path, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else { return };
        let id = message.transaction_id();
        match message.class() {
            Class::Request if self.ours.iter().any(|ours| ours.is_asked_by(&message)) => {
                *self.owed.entry((path, id)).or_default() += 1;
                self.sources.insert(path.remote);
                self.proven.insert(path);
            }
            Class::Success => {
                let asked = self.requests.get(&id).is_some_and(|request| request.path == path);
                if asked && self.theirs.iter().any(|theirs| message.check_integrity(&theirs.key).is_ok()) {
                    self.consents.insert(path, self.clock.passed);
                    self.proven.insert(path);
                }
            }
            _ => {}
        }
    }

    /// The agent has taken something for its application.
    pub(super) fn application_received(&self, path: Path) {
        assert!(
            self.proven.contains(&path),
            "an application datagram was taken from {path:?}, which may be a stranger"
        );
    }

    /// The agent sends STUN.
    pub(super) fn stun_sent(&mut self, path: Path, datagram: &[u8]) {
        let message = Message::parse(datagram).expect("an agent sends what it can read");
        assert!(message.has_valid_fingerprint(), "RFC 8445 section 7.1 wants a fingerprint");
        match message.class() {
            Class::Request => self.request_sent(path, message.transaction_id()),
            Class::Success | Class::Error => {
                let owed = self.owed.get_mut(&(path, message.transaction_id())).filter(|owed| **owed > 0);
                *owed.unwrap_or_else(|| panic!("an answer over {path:?}, where nobody has asked")) -= 1;
            }
            Class::Indication => panic!("an agent that asks for consent needs no keepalives"),
        }
    }

    fn request_sent(&mut self, path: Path, id: TransactionId) {
        let known = self.told.contains(&path.remote) || self.sources.contains(&path.remote);
        assert!(known, "a check to {}, which nobody has named and nobody has asked from", path.remote);
        let now = self.clock.passed;
        let count = self.requests_by_second.count(now);
        assert!(count <= self.most_in_a_second(), "{count} requests within a second");
        let answered = self.consents.contains_key(&path);
        if !answered {
            let sent = self.unanswered.entry(path).or_default();
            *sent += 1;
            let most = TRANSMISSIONS * TRIES * self.searches;
            assert!(*sent <= most, "{sent} requests over {path:?}, where nobody ever answered");
        }
        let first = !self.requests.contains_key(&id);
        let request = self.requests.entry(id).or_insert(Request { path, at: now, sent: 0 });
        request.sent += 1;
        assert_eq!(request.path, path, "a request is sent again over another path");
        assert!(request.sent <= TRANSMISSIONS, "a request is sent {} times", request.sent);
        // Where somebody has answered before, it may be a consent check, which Ta does not hold back.
        if first
            && !answered
            && let Some((last, before)) = self.last_check.replace((now, path))
        {
            let gap = now - last;
            assert!(gap >= self.config.pacing, "two checks within {gap:?}, over {before:?} and {path:?}");
        }
        if self.requests.len() > REMEMBERED {
            let mut times: Vec<Duration> = self.requests.values().map(|request| request.at).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.requests.retain(|_, request| request.at >= middle);
        }
    }

    /// The agent lets its application send (RFC 7675 section 5.1).
    pub(super) fn application_sent(&self, path: Path) {
        let Some(&answer) = self.consents.get(&path) else {
            panic!("an application datagram over {path:?}, where nobody has answered");
        };
        let age = self.clock.passed - answer;
        assert!(
            age <= self.config.consent_lifetime,
            "an application datagram over {path:?}, with consent of {age:?} ago"
        );
    }
}

impl PerSecond {
    /// One more. Gives how many there are by now.
    fn count(&mut self, now: Duration) -> u32 {
        if now.as_secs() != self.second {
            (self.second, self.count) = (now.as_secs(), 0);
        }
        self.count += 1;
        self.most = self.most.max(self.count);
        self.count
    }
}

impl Secret {
    fn new(credentials: &Credentials) -> Self {
        Self { ufrag: credentials.ufrag().to_owned(), key: IntegrityKey::new(credentials.pwd().as_bytes()) }
    }

    fn is_asked_by(&self, message: &Message<'_>) -> bool {
        let name = message.get(frazil::stun::AttributeType::USERNAME).unwrap_or_default();
        let for_us = name.strip_prefix(self.ufrag.as_bytes()).is_some_and(|rest| rest.starts_with(b":"));
        for_us && message.check_integrity(&self.key).is_ok()
    }
}
