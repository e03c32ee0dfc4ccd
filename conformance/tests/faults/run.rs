//! A scenario in motion.

use std::time::Duration;

use frazil::ice::{Candidate, Config, Credentials, Event, PairReport, PathAfterChange, State};
use frazil::{Instant, Path};
use frazil_conformance::faults::{Driver, Heard, Setup};
use frazil_internet::{HostId, Internet, Jump, Scheduled, Step};

use crate::hostility;
use crate::scenario::{Fault, Scenario, What};
use crate::stage::{self, Place};

/// How long a driver that is told to restart by its application takes to do so.
const RESTARTS_AFTER: Duration = Duration::from_millis(300);

/// How often it is looked whether the two agree.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) internet: Internet<Driver, Act>,
    pub(crate) hosts: [HostId; 2],
    places: [Vec<Place>; 2],
    servers: Vec<frazil_internet::ServerId>,
    rng: fastrand::Rng,
    sides: [Side; 2],
    is_calm: bool,
    traced: bool,
}

/// What signalling and the application know of a side.
struct Side {
    /// How often its agent has restarted.
    generation: u32,
    /// Credentials that the other side was told of, while the agent waits for those of the other side.
    offered: Option<Credentials>,
    /// What came before the generation that it belongs to.
    early: Vec<(u32, Signal)>,
    begun: bool,
    restart_planned: bool,
    heard: Vec<(Path, Vec<u8>)>,
}

/// Something that a user, a driver or signalling does to a side.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// The driver looks which sockets there are.
    LookAtSockets(usize),
    Hear {
        side: usize,
        generation: u32,
        what: Signal,
    },
    Restart {
        side: usize,
        waits: bool,
    },
    Talk(usize),
    Hostility {
        side: usize,
        datagrams: u32,
    },
    /// A network has another address of this number outside.
    Renumber {
        side: usize,
        nth: usize,
    },
    Away {
        side: usize,
        nth: usize,
    },
    Back {
        side: usize,
        nth: usize,
        other_address: bool,
    },
    Calm,
}

/// What one side is told of the other.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    Credentials(Credentials),
    Candidate(Candidate),
    End,
}

impl<'a> Run<'a> {
    pub(crate) fn new(scenario: &'a Scenario, traced: bool) -> Self {
        let mut internet = Internet::new(scenario.seed);
        let hosts = [0, 1].map(|side| {
            let of = &scenario.sides[side];
            let mut config = Config::default();
            config.pacing = scenario.pacing;
            let setup = Setup {
                config,
                role: of.role,
                renomination: scenario.renomination,
                seed: scenario.seed * 2 + side as u64 + 1,
            };
            let host = internet.add_host(Instant::ZERO + of.clock, |now| Driver::new(&setup, now));
            internet.set_timer_slack(host, of.timer_slack);
            host
        });
        let (places, servers) = stage::lay(&mut internet, hosts, scenario);
        let sides = [0, 1].map(|_| Side {
            generation: 0,
            offered: None,
            early: Vec::new(),
            begun: false,
            restart_planned: false,
            heard: Vec::new(),
        });
        let rng = fastrand::Rng::with_seed(scenario.seed ^ 0xFA_0175);
        let mut run = Self { scenario, internet, hosts, places, servers, rng, sides, is_calm: false, traced };
        for side in [0, 1] {
            let of = &scenario.sides[side];
            run.internet.after(of.begins, Scheduled::Alarm(Act::LookAtSockets(side)));
            run.internet.after(of.talks_every, Scheduled::Alarm(Act::Talk(side)));
            let credentials = run.driver(side).agent().local_credentials().clone();
            run.signal(side, 0, Signal::Credentials(credentials));
        }
        for fault in &scenario.faults {
            run.schedule(fault);
        }
        run.internet.after(scenario.calm, Scheduled::Alarm(Act::Calm));
        run
    }

    fn schedule(&mut self, fault: &Fault) {
        let (at, side, host) = (Instant::ZERO + fault.at, fault.side, self.hosts[fault.side]);
        let alarm = Scheduled::Alarm;
        match fault.what {
            What::LinkDown { nth, lasts } => {
                let link = self.internet.access(self.places[side][nth].interface);
                self.internet.at(at, Scheduled::LinkDown(link));
                self.internet.at(at + lasts, Scheduled::LinkUp(link));
            }
            What::LinkChanges { nth, access, lasts } => {
                let link = self.internet.access(self.places[side][nth].interface);
                let before = self.scenario.networks(side)[nth].access;
                self.internet.at(at, Scheduled::LinkChanges(link, access.up, access.down));
                self.internet.at(at + lasts, Scheduled::LinkChanges(link, before.up, before.down));
            }
            What::Rebind { nth } => {
                if let Some(&router) = self.places[side][nth].routers.last() {
                    self.internet.at(at, Scheduled::Rebind(router));
                }
            }
            What::Renumber { nth } => self.internet.at(at, alarm(Act::Renumber { side, nth })),
            What::Away { nth, lasts, other_address, noticed } => {
                self.internet.at(at, alarm(Act::Away { side, nth }));
                self.internet.at(at + noticed[0], alarm(Act::LookAtSockets(side)));
                self.internet.at(at + lasts, alarm(Act::Back { side, nth, other_address }));
                self.internet.at(at + lasts + noticed[1], alarm(Act::LookAtSockets(side)));
            }
            What::ServerDown { lasts } => {
                for &server in &self.servers {
                    self.internet.at(at, Scheduled::ServerDown(server));
                    self.internet.at(at + lasts, Scheduled::ServerUp(server));
                }
            }
            What::ServerRestart => {
                for &server in &self.servers {
                    self.internet.at(at, Scheduled::ServerRestart(server));
                }
            }
            What::ClockJump(jump) => self.internet.at(at, Scheduled::ClockJump(host, jump)),
            What::Sleep { lasts, clock_stops } => {
                self.internet.at(at, Scheduled::Suspend(host));
                if clock_stops {
                    self.internet.at(at + lasts, Scheduled::ClockJump(host, Jump::Backward(lasts)));
                }
                self.internet.at(at + lasts, Scheduled::Resume(host));
            }
            What::Restart { waits } => self.internet.at(at, alarm(Act::Restart { side, waits })),
            What::Hostility { datagrams } => self.internet.at(at, alarm(Act::Hostility { side, datagrams })),
        }
    }

    /// Lets one thing happen; false when there is none before `until`.
    pub(crate) fn step(&mut self, until: Duration) -> bool {
        match self.internet.next(Instant::ZERO + until) {
            None => return false,
            Some(Step::Event(host, heard)) => self.note(usize::from(host == self.hosts[1]), heard),
            Some(Step::Alarm(act)) => self.act(act),
        }
        true
    }

    pub(crate) fn until(&mut self, until: Duration) {
        while self.step(until) {}
    }

    fn note(&mut self, side: usize, heard: Heard) {
        if self.traced && !matches!(heard, Heard::Datagram(..)) {
            self.trace(side, &heard);
        }
        match heard {
            Heard::Datagram(path, datagram) => self.sides[side].heard.push((path, datagram)),
            Heard::Gathered => self.signal_in_all(side, &Signal::End),
            Heard::Agent(event) => match *event {
                Event::LocalCandidate(local) => self.signal_in_all(side, &Signal::Candidate(local.candidate)),
                Event::StateChange(State::Failed) => self.plan_restart(side),
                Event::NetworkChange(change) if change.path == PathAfterChange::Lost || !change.added.is_empty() => {
                    self.plan_restart(side);
                }
                _ => {}
            },
        }
    }

    fn trace(&self, side: usize, heard: &Heard) {
        let at = self.internet.now();
        match heard {
            Heard::Agent(event) => match &**event {
                Event::SelectedPairChange(report) => {
                    let PairReport { local, remote, nominated, selected, .. } = &**report;
                    eprintln!(
                        "{at:?} {side}: {} -> {} nominated {nominated} {selected:?}",
                        local.candidate.address, remote.address
                    );
                }
                Event::LocalCandidate(local) => {
                    eprintln!("{at:?} {side}: candidate {} of {}", local.candidate.address, local.base);
                }
                event => eprintln!("{at:?} {side}: {event:?}"),
            },
            heard => eprintln!("{at:?} {side}: {heard:?}"),
        }
    }

    /// The application restarts ICE by itself, if it is one that does.
    fn plan_restart(&mut self, side: usize) {
        let by_itself = self.scenario.sides[side].restarts_by_itself && !self.is_calm && self.sides[side].begun;
        if by_itself && !std::mem::replace(&mut self.sides[side].restart_planned, true) {
            let waits = self.rng.bool();
            self.internet.after(RESTARTS_AFTER, Scheduled::Alarm(Act::Restart { side, waits }));
        }
    }

    fn signal_in_all(&mut self, side: usize, what: &Signal) {
        let Side { generation, ref offered, .. } = self.sides[side];
        for generation in generation..=generation + u32::from(offered.is_some()) {
            self.signal(side, generation, what.clone());
        }
    }

    /// Has the other side be told of something about `from`, perhaps twice.
    fn signal(&mut self, from: usize, generation: u32, what: Signal) {
        let to = 1 - from;
        let most = self.scenario.sides[to].signalling;
        let copies = 1 + u32::from(self.rng.u8(..10) == 0);
        for _ in 0..copies {
            let after = match what {
                // Behind the candidates that are still under way, though signalling may be out of order.
                Signal::End if self.is_calm || self.rng.u8(..8) > 0 => most,
                _ => most.mul_f64(self.rng.f64()),
            };
            self.internet.after(after, Scheduled::Alarm(Act::Hear { side: to, generation, what: what.clone() }));
        }
    }

    fn act(&mut self, act: Act) {
        let side = match act {
            Act::LookAtSockets(side)
            | Act::Hear { side, .. }
            | Act::Restart { side, .. }
            | Act::Talk(side)
            | Act::Hostility { side, .. } => side,
            Act::Renumber { side, nth } => return self.renumber(side, nth),
            Act::Away { side, nth } => return self.leave(side, nth),
            Act::Back { side, nth, other_address } => return self.come_back(side, nth, other_address),
            Act::Calm => return self.calm_down(),
        };
        if self.internet.is_suspended(self.hosts[side]) {
            // It waits in a socket until the machine wakes.
            self.internet.after(Duration::from_millis(200), Scheduled::Alarm(act));
            return;
        }
        if self.traced && !matches!(act, Act::Talk(_)) {
            let text = format!("{act:?}");
            eprintln!("{:?} {side}:     {}", self.internet.now(), text.get(..130).unwrap_or(&text));
        }
        match act {
            Act::LookAtSockets(_) => self.look_at_sockets(side),
            Act::Hear { generation, what, .. } => self.hear(side, generation, what),
            Act::Restart { waits, .. } => {
                self.sides[side].restart_planned = false;
                // It is restarting already.
                if self.sides[side].offered.is_none() {
                    let generation = self.sides[side].generation + 1;
                    if waits {
                        self.sides[side].offered = Some(self.introduce(side, generation));
                    } else {
                        self.restart(side, generation);
                    }
                }
            }
            Act::Talk(_) => {
                if !self.is_calm {
                    self.internet.after(self.scenario.sides[side].talks_every, Scheduled::Alarm(act));
                }
                let words = [0x80; 100];
                self.with(side, |driver, now| driver.send(&words, now));
            }
            Act::Hostility { datagrams, .. } => {
                if datagrams > 1 && !self.is_calm {
                    let after = Duration::from_millis(self.rng.u64(..40));
                    let left = Act::Hostility { side, datagrams: datagrams - 1 };
                    self.internet.after(after, Scheduled::Alarm(left));
                }
                let drivers = [0, 1].map(|side| self.internet.endpoint(self.hosts[side]));
                if let Some((path, datagram)) = hostility::datagram(&mut self.rng, drivers[side], drivers[1 - side]) {
                    self.with(side, |driver, now| driver.take(path, &datagram, now));
                }
            }
            _ => unreachable!("dealt with above"),
        }
    }

    fn look_at_sockets(&mut self, side: usize) {
        self.sides[side].begun = true;
        let there: Vec<_> = self.places[side].iter().filter(|place| place.is_there).collect();
        let now = stage::interfaces(self.scenario, side, &there);
        let sockets = |interfaces: &[frazil_conformance::faults::Interface]| -> Vec<_> {
            let relays = interfaces.iter().filter_map(|interface| interface.relay.as_ref()).map(|relay| relay.local);
            interfaces.iter().map(|interface| interface.socket.base).chain(relays).collect()
        };
        let after = sockets(&now);
        let before = sockets(self.driver(side).interfaces());
        let host = self.hosts[side];
        for &socket in after.iter().filter(|socket| !before.contains(socket)) {
            self.internet.bind(host, socket);
        }
        self.with(side, |driver, at| driver.change_network(now, at));
        // An agent that sends from a closed socket is one that the internet panics about.
        for &socket in before.iter().filter(|socket| !after.contains(socket)) {
            self.internet.unbind(host, socket);
        }
    }

    fn hear(&mut self, side: usize, generation: u32, what: Signal) {
        match (generation.cmp(&self.sides[side].generation), what) {
            (std::cmp::Ordering::Less, _) => {}
            (std::cmp::Ordering::Equal, what) => self.with(side, |driver, now| match what {
                Signal::Credentials(theirs) => driver.set_remote_credentials(theirs, now),
                Signal::Candidate(candidate) => driver.add_remote_candidate(candidate, now),
                Signal::End => driver.end_of_remote_candidates(now),
            }),
            (std::cmp::Ordering::Greater, Signal::Credentials(theirs)) => {
                self.restart(side, generation);
                self.with(side, |driver, now| driver.set_remote_credentials(theirs, now));
            }
            (std::cmp::Ordering::Greater, what) => self.sides[side].early.push((generation, what)),
        }
    }

    /// A side's agent begins a new generation, with the credentials that the other side knows if it knows some.
    fn restart(&mut self, side: usize, generation: u32) {
        let offered = self.sides[side].offered.take().filter(|_| generation == self.sides[side].generation + 1);
        let credentials = offered.unwrap_or_else(|| self.introduce(side, generation));
        self.sides[side].generation = generation;
        self.with(side, |driver, now| driver.restart(credentials, now));
        for (generation, what) in std::mem::take(&mut self.sides[side].early) {
            self.hear(side, generation, what);
        }
    }

    /// Draws credentials and tells the other side of them and of the candidates that go with them.
    fn introduce(&mut self, side: usize, generation: u32) -> Credentials {
        let credentials = self.with(side, |driver, now| driver.prepare_restart(now));
        self.signal(side, generation, Signal::Credentials(credentials.clone()));
        let locals: Vec<_> = self.driver(side).agent().local_candidates().iter().map(|l| l.candidate).collect();
        for candidate in locals {
            self.signal(side, generation, Signal::Candidate(candidate));
        }
        credentials
    }

    fn renumber(&mut self, side: usize, nth: usize) {
        let place = &mut self.places[side][nth];
        // Routers of a network that was left keep what they have.
        if let Some(&router) = place.routers.first() {
            place.renumbered += 1;
            let outside = stage::outside(side, nth, place.renumbered);
            self.internet.after(Duration::ZERO, Scheduled::Renumber(router, vec![outside]));
        }
    }

    fn leave(&mut self, side: usize, nth: usize) {
        let place = &mut self.places[side][nth];
        place.is_there = false;
        self.internet.detach(place.interface);
    }

    fn come_back(&mut self, side: usize, nth: usize, other_address: bool) {
        let place = &mut self.places[side][nth];
        if place.is_there {
            return;
        }
        place.is_there = true;
        place.readdressed += u32::from(other_address);
        let addresses = stage::addresses(self.scenario, side, nth, place.readdressed);
        place.addresses.clone_from(&addresses);
        let (interface, realm) = (place.interface, place.realm);
        self.internet.after(Duration::ZERO, Scheduled::Attach { interface, realm, addresses });
    }

    /// All that was broken works.
    fn calm_down(&mut self) {
        self.is_calm = true;
        for side in [0, 1] {
            for nth in 0..self.places[side].len() {
                self.come_back(side, nth, false);
                let link = self.internet.access(self.places[side][nth].interface);
                let access = self.scenario.networks(side)[nth].access;
                self.internet.after(Duration::ZERO, Scheduled::LinkChanges(link, access.up, access.down));
                self.internet.after(Duration::ZERO, Scheduled::LinkUp(link));
                self.internet.after(Duration::ZERO, Scheduled::LinkCalms(link));
            }
            self.internet.after(Duration::from_millis(100), Scheduled::Alarm(Act::LookAtSockets(side)));
        }
        for &server in &self.servers {
            self.internet.after(Duration::ZERO, Scheduled::ServerUp(server));
        }
        if self.scenario.restarts_when_calm {
            self.internet.after(Duration::from_millis(700), Scheduled::Alarm(Act::Restart { side: 0, waits: false }));
        }
    }

    /// Runs until the two agree and data goes both ways, or both have given up; says which.
    pub(crate) fn settle(&mut self, within: Duration) -> Option<Outcome> {
        let until = self.internet.now() - Instant::ZERO + within;
        loop {
            let now = self.internet.now() - Instant::ZERO;
            if now >= until {
                return None;
            }
            self.until((now + LOOKS_EVERY).min(until));
            if let Some(outcome) = self.outcome() {
                return Some(outcome);
            }
        }
    }

    fn outcome(&mut self) -> Option<Outcome> {
        let agents = [0, 1].map(|side| self.driver(side).agent());
        if agents.iter().all(|agent| agent.state() == State::Failed) {
            assert!(agents.iter().all(|agent| agent.failure().is_some()), "an agent has failed for no reason");
            return Some(Outcome::Failed);
        }
        let [Some(a), Some(b)] = agents.map(|agent| agent.selected_pair()) else { return None };
        let at_rest = agents.iter().all(|agent| agent.state() == State::Completed || agent.state() == State::Connected);
        // A generation that found nothing leaves the path of the one before as it was.
        let settled = [(&a, agents[0]), (&b, agents[1])].iter().all(|(selected, agent)| {
            selected.nominated || !agent.pairs().any(|pair| pair.path == selected.path && pair.selected.is_some())
        });
        (at_rest && settled && self.exchange()).then_some(Outcome::Connected)
    }

    /// Sends a datagram from each side and tells whether both arrive, each over the path that its receiver sends over.
    fn exchange(&mut self) -> bool {
        let sent = [0, 1].map(|side| {
            self.sides[side].heard.clear();
            let words = [0x90 + side as u8; 40];
            self.with(side, |driver, now| driver.send(&words, now)).is_some()
        });
        let until = self.internet.now() - Instant::ZERO + Duration::from_secs(2);
        self.until(until);
        let arrived = |side: usize| {
            let words = vec![0x90 + 1 - side as u8; 40];
            self.driver(side).path().is_some_and(|path| self.sides[side].heard.contains(&(path, words)))
        };
        sent == [true, true] && arrived(0) && arrived(1)
    }

    pub(crate) fn driver(&self, side: usize) -> &Driver {
        self.internet.endpoint(self.hosts[side])
    }

    fn with<R>(&mut self, side: usize, call: impl FnOnce(&mut Driver, Instant) -> R) -> R {
        self.internet.with(self.hosts[side], call)
    }

    /// What each side is up to, for who reads of a failure.
    pub(crate) fn describe(&self) -> String {
        let side = |side: usize| {
            let agent = self.driver(side).agent();
            let path: Option<Path> = self.driver(side).path();
            let mut text = format!(
                "side {side} is {} ({:?}), {:?}, generation {}, over {path:?}, nominated {:?}",
                agent.state(),
                agent.failure(),
                agent.role(),
                self.sides[side].generation,
                agent.selected_pair().map(|pair| pair.nominated)
            );
            for pair in agent.pairs() {
                let (local, remote) = (pair.local.base, pair.remote.address);
                text += &format!("\n    {local} -> {remote}: {:?} {:?} {:?}", pair.state, pair.fate, pair.stats);
            }
            text
        };
        format!("{}\n{}", side(0), side(1))
    }
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Connected,
    Failed,
}
