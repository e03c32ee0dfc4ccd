//! A network in virtual time.
//!
//! Hosts with addresses and links between the addresses; everything that can happen stands in one queue,
//! and everything that is left to chance comes from one seed, so that a run can be repeated bit for bit.
//! On each host runs an [`Endpoint`], anything with the contract of frazil's state machines, with a
//! [`Clock`] of its own that can jump and a machine below it that can be suspended.
//!
//! ```text
//!   Endpoint ── Host ── socket ── Link ── socket ── Host ── Endpoint
//!                 │                 │
//!               Clock          Conditions: delay, jitter, loss, duplication; up or down
//! ```
//!
//! A test makes the [`Network`], schedules what is to happen, and calls [`Network::next`] until the time
//! it is interested in. What it does itself to an endpoint (the user's calls, what signalling brings) it
//! does through [`Network::with`], when an alarm that it has set comes up.

mod clock;
mod endpoint;
mod host;
mod ice;
mod link;
mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::{Instant, Path, Protocol};

pub use clock::{Clock, Jump};
pub use endpoint::Endpoint;
pub use host::Counters;
pub use ice::{IceEndpoint, IceEvent};
pub use link::{Conditions, PerMille};

use host::Host;
use link::Link;
use queue::Queue;

/// Room for one datagram, as every driver offers it.
const MAX_DATAGRAM: usize = 1500;

/// One of the network's hosts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HostId(usize);

/// One of the network's links.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LinkId(usize);

/// What a test can schedule. `A` is what it wants to be reminded of.
#[derive(Clone, Debug)]
pub enum Scheduled<A> {
    /// The link carries nothing from now on; what is under way is lost.
    LinkDown(LinkId),
    /// The link carries datagrams again.
    LinkUp(LinkId),
    /// The link loses and doubles nothing any more, except in a direction that lost everything.
    LinkCalms(LinkId),
    /// The host's clock jumps.
    ClockJump(HostId, Jump),
    /// The machine is suspended: its endpoint gets no calls, and what is sent to it is lost.
    Suspend(HostId),
    /// The machine goes on. Timers that came due meanwhile fire now.
    Resume(HostId),
    /// [`Network::next`] gives it to the test.
    Alarm(A),
}

/// What [`Network::next`] gives to the test.
#[derive(Debug)]
pub enum Step<Event, A> {
    /// An endpoint has said something.
    Event(HostId, Event),
    /// A [`Scheduled::Alarm`] has come up.
    Alarm(A),
}

/// A datagram as an endpoint gave it out, before the network did anything to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// In virtual time.
    pub at: Instant,
    /// Whose endpoint sent it.
    pub host: HostId,
    /// From where to where.
    pub path: Path,
    /// Its payload.
    pub datagram: Vec<u8>,
}

enum Happening<A> {
    Arrival { via: LinkId, from: SocketAddr, to: SocketAddr, datagram: Vec<u8> },
    Timer(HostId),
    Scheduled(Scheduled<A>),
}

/// The network; see the [module](self).
pub struct Network<E: Endpoint, A = ()> {
    now: Instant,
    queue: Queue<Happening<A>>,
    hosts: Vec<Host<E>>,
    sockets: BTreeMap<SocketAddr, HostId>,
    links: Vec<Link>,
    /// By both ends, in both orders.
    routes: BTreeMap<(IpAddr, IpAddr), LinkId>,
    rng: fastrand::Rng,
    said: VecDeque<(HostId, E::Event)>,
    record: Option<Vec<Sent>>,
}

impl<E: Endpoint, A> Network<E, A> {
    /// A network without hosts, at [`Instant::ZERO`]. All chance in it comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            queue: Queue::new(),
            hosts: Vec::new(),
            sockets: BTreeMap::new(),
            links: Vec::new(),
            routes: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            said: VecDeque::new(),
            record: None,
        }
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Adds a host. `clock` is what its clock shows now, and `make` is given that reading.
    pub fn add_host(&mut self, clock: Instant, make: impl FnOnce(Instant) -> E) -> HostId {
        let id = HostId(self.hosts.len());
        self.hosts.push(Host::new(Clock::showing(clock, self.now), make(clock)));
        self.attend(id);
        id
    }

    /// Opens a socket on a host. Datagrams to its address go to the host's endpoint.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn bind(&mut self, host: HostId, socket: SocketAddr) {
        let taken = self.sockets.insert(socket, host);
        assert_eq!(taken, None, "{socket} is bound already");
    }

    /// Joins two addresses. `there` holds from `a` to `b`, `back` from `b` to `a`. Addresses without a link
    /// between them cannot reach each other.
    ///
    /// # Panics
    /// When they are joined already.
    pub fn link(&mut self, a: IpAddr, b: IpAddr, there: Conditions, back: Conditions) -> LinkId {
        let id = LinkId(self.links.len());
        self.links.push(Link::new(a, there, back));
        for ends in [(a, b), (b, a)] {
            let taken = self.routes.insert(ends, id);
            assert_eq!(taken, None, "{a} and {b} are joined already");
        }
        id
    }

    /// Has timers of a host fire up to `slack` late, as those of a busy machine do.
    pub fn set_timer_slack(&mut self, host: HostId, slack: Duration) {
        self.hosts[host.0].timer_slack = slack;
    }

    /// Has `what` happen in virtual time `at`, or now if that is over.
    pub fn at(&mut self, at: Instant, what: Scheduled<A>) {
        self.queue.push(at.max(self.now), Happening::Scheduled(what));
    }

    /// Has `what` happen `after` from now.
    pub fn after(&mut self, after: Duration, what: Scheduled<A>) {
        self.at(self.now + after, what);
    }

    /// Keeps all datagrams that endpoints send from now on; see [`Network::record`].
    pub fn start_record(&mut self) {
        self.record = Some(Vec::new());
    }

    /// What the endpoints have sent since [`Network::start_record`].
    #[must_use]
    pub fn record(&self) -> &[Sent] {
        self.record.as_deref().unwrap_or_default()
    }

    /// A look at an endpoint.
    #[must_use]
    pub fn endpoint(&self, host: HostId) -> &E {
        &self.hosts[host.0].endpoint
    }

    /// What has been counted on a host.
    #[must_use]
    pub fn counters(&self, host: HostId) -> Counters {
        self.hosts[host.0].counters
    }

    /// Whether the host's machine is suspended, so that nobody can call its endpoint.
    #[must_use]
    pub fn is_suspended(&self, host: HostId) -> bool {
        self.hosts[host.0].suspended
    }

    /// Calls an endpoint with the time of its host's clock, then drains it as a driver does.
    ///
    /// # Panics
    /// When the host is suspended.
    pub fn with<R>(&mut self, host: HostId, call: impl FnOnce(&mut E, Instant) -> R) -> R {
        let h = &mut self.hosts[host.0];
        assert!(!h.suspended, "nobody can call an endpoint on a suspended machine");
        let result = call(&mut h.endpoint, h.clock.read(self.now));
        self.attend(host);
        result
    }

    /// Lets things happen until there is something for the test, or until virtual time is `until`.
    pub fn next(&mut self, until: Instant) -> Option<Step<E::Event, A>> {
        loop {
            if let Some((host, event)) = self.said.pop_front() {
                return Some(Step::Event(host, event));
            }
            let Some((at, happening)) = self.queue.pop_until(until) else {
                self.now = self.now.max(until);
                return None;
            };
            self.now = at;
            match happening {
                Happening::Arrival { via, from, to, datagram } => self.arrive(via, from, to, &datagram),
                Happening::Timer(host) => self.fire(host),
                Happening::Scheduled(Scheduled::Alarm(alarm)) => return Some(Step::Alarm(alarm)),
                Happening::Scheduled(Scheduled::LinkDown(link)) => self.links[link.0].up = false,
                Happening::Scheduled(Scheduled::LinkUp(link)) => self.links[link.0].up = true,
                Happening::Scheduled(Scheduled::LinkCalms(link)) => self.links[link.0].calm(),
                Happening::Scheduled(Scheduled::ClockJump(host, jump)) => self.hosts[host.0].clock.jump(self.now, jump),
                Happening::Scheduled(Scheduled::Suspend(host)) => self.hosts[host.0].suspended = true,
                Happening::Scheduled(Scheduled::Resume(host)) => self.resume(host),
            }
        }
    }

    /// [`Network::next`] for a test that has no alarms: `on_event` is given each event.
    pub fn run(&mut self, until: Instant, mut on_event: impl FnMut(HostId, E::Event)) {
        while let Some(step) = self.next(until) {
            if let Step::Event(host, event) = step {
                on_event(host, event);
            }
        }
    }

    fn arrive(&mut self, via: LinkId, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let Some(&host) = self.sockets.get(&to) else { return };
        let h = &mut self.hosts[host.0];
        if h.suspended || !self.links[via.0].up {
            return;
        }
        h.counters.received += 1;
        let path = Path { protocol: Protocol::Udp, local: to, remote: from };
        h.endpoint.handle_datagram(path, datagram, h.clock.read(self.now));
        self.attend(host);
    }

    fn fire(&mut self, host: HostId) {
        let h = &mut self.hosts[host.0];
        h.timer = None;
        if h.suspended {
            h.missed_timer = true;
            return;
        }
        h.count_wake(self.now);
        let now = h.clock.read(self.now);
        h.endpoint.handle_timeout(now);
        let worked = self.attend(host);
        let h = &mut self.hosts[host.0];
        if !worked && h.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now) {
            h.counters.spins += 1;
        }
    }

    fn resume(&mut self, host: HostId) {
        let h = &mut self.hosts[host.0];
        h.suspended = false;
        if std::mem::take(&mut h.missed_timer) {
            self.queue.push(self.now, Happening::Timer(host));
        }
    }

    /// What a driver does after every call: all transmits, then all events, then the timer. Tells
    /// whether there was any of the first two.
    fn attend(&mut self, host: HostId) -> bool {
        let mut worked = false;
        let mut buffer = [0; MAX_DATAGRAM];
        while let Some((path, len)) = self.hosts[host.0].endpoint.poll_transmit(&mut buffer) {
            self.send(host, path, &buffer[..len]);
            worked = true;
        }
        let h = &mut self.hosts[host.0];
        while let Some(event) = h.endpoint.poll_event() {
            self.said.push_back((host, event));
            worked = true;
        }
        if let Some(timer) = h.timer.take() {
            self.queue.cancel(timer);
        }
        if !h.missed_timer
            && let Some(deadline) = h.endpoint.poll_timeout()
        {
            // A driver sleeps for a while, not until its clock shows something: a clock that jumps
            // meanwhile does not move the end of the sleep.
            let sleep = deadline.saturating_duration_since(h.clock.read(self.now));
            let late = h.timer_slack.mul_f64(self.rng.f64());
            h.timer = Some(self.queue.push(self.now + sleep + late, Happening::Timer(host)));
        }
        worked
    }

    fn send(&mut self, host: HostId, path: Path, datagram: &[u8]) {
        let sender = self.sockets.get(&path.local);
        assert_eq!(sender, Some(&host), "{host:?} sends from {}, where it has no socket", path.local);
        self.hosts[host.0].counters.sent += 1;
        if let Some(record) = &mut self.record {
            record.push(Sent { at: self.now, host, path, datagram: datagram.to_vec() });
        }
        let Some(&via) = self.routes.get(&(path.local.ip(), path.remote.ip())) else { return };
        for delay in self.links[via.0].carry(path.local.ip(), &mut self.rng).into_iter().flatten() {
            let (from, to) = (path.local, path.remote);
            self.queue.push(self.now + delay, Happening::Arrival { via, from, to, datagram: datagram.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests;
