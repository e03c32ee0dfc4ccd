//! A scenario in motion.

use std::time::Duration;

use frazil::ice::{Agent, Candidate, Config, Credentials, Event, Failure, LocalCandidate, PairReport, Role, State};
use frazil::{Instant, Protocol, Seed};
use frazil_conformance::net::{Counters, HostId, IceEndpoint, IceEvent, Jump, LinkId, Network, Scheduled, Sent, Step};

use crate::scenario::{Scenario, What};

pub(crate) struct Run {
    network: Network<IceEndpoint, Act>,
    hosts: [HostId; 2],
    links: Vec<LinkId>,
    rng: fastrand::Rng,
    signalling: [Duration; 2],
    told_of_end: [bool; 2],
    /// What each side has reported, and when.
    pub(crate) states: [Vec<(Instant, State)>; 2],
    heard: [Vec<Vec<u8>>; 2],
}

/// Something that a user, a driver or signalling does to a side.
#[derive(Clone, Debug)]
enum Act {
    AddLocal(usize, LocalCandidate),
    EndLocal(usize),
    Credentials(usize, Credentials),
    AddRemote(usize, Candidate),
    EndRemote(usize),
}

impl Run {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut network = Network::new(scenario.seed);
        network.start_record();
        let hosts = [0, 1].map(|side| {
            let clock = Instant::ZERO + scenario.sides[side].clock;
            let host = network.add_host(clock, |now| {
                let config = Config::default();
                IceEndpoint::new(Agent::new(config, scenario.roles[side], agent_seed(scenario.seed, side), now))
            });
            network.set_timer_slack(host, scenario.sides[side].timer_slack);
            host
        });
        let links = scenario.links.iter().map(|link| network.link(link.ends.0, link.ends.1, link.there, link.back));
        let links = links.collect();
        let credentials = hosts.map(|host| network.endpoint(host).agent.local_credentials().clone());
        for (here, side) in scenario.sides.iter().enumerate() {
            for (nth, &(address, at)) in side.candidates.iter().enumerate() {
                network.bind(hosts[here], address);
                let local = LocalCandidate::host(Protocol::Udp, address, u16::MAX - nth as u16);
                network.after(at, Scheduled::Alarm(Act::AddLocal(here, local)));
            }
            if let Some(at) = side.gathered {
                network.after(at, Scheduled::Alarm(Act::EndLocal(here)));
            }
            let theirs = credentials[1 - here].clone();
            network.after(side.credentials, Scheduled::Alarm(Act::Credentials(here, theirs)));
        }
        for disturbance in &scenario.disturbances {
            let (host, at) = (hosts[disturbance.side], Instant::ZERO + disturbance.at);
            match disturbance.what {
                What::Jump(jump) => network.at(at, Scheduled::ClockJump(host, jump)),
                What::Sleep { lasts, clock_stops } => {
                    network.at(at, Scheduled::Suspend(host));
                    if clock_stops {
                        network.at(at + lasts, Scheduled::ClockJump(host, Jump::Backward(lasts)));
                    }
                    network.at(at + lasts, Scheduled::Resume(host));
                }
            }
        }
        Self {
            network,
            hosts,
            links,
            rng: fastrand::Rng::with_seed(scenario.seed ^ 0x51_6E_A1),
            signalling: [0, 1].map(|side| scenario.sides[side].signalling),
            told_of_end: [0, 1].map(|side| scenario.sides[side].told_of_end),
            states: [Vec::new(), Vec::new()],
            heard: [Vec::new(), Vec::new()],
        }
    }

    /// From now on nothing is lost on links that are not one-way.
    pub(crate) fn calm_down(&mut self) {
        for &link in &self.links {
            self.network.after(Duration::ZERO, Scheduled::LinkCalms(link));
        }
    }

    /// All links are down for a while.
    pub(crate) fn cut(&mut self, lasts: Duration) {
        for &link in &self.links {
            self.network.after(Duration::ZERO, Scheduled::LinkDown(link));
            self.network.after(lasts, Scheduled::LinkUp(link));
        }
    }

    /// Lets things happen until `until`.
    pub(crate) fn until(&mut self, until: Duration) {
        while self.step(until) {}
    }

    /// Lets one thing happen; false when there is none before `until`.
    pub(crate) fn step(&mut self, until: Duration) -> bool {
        match self.network.next(Instant::ZERO + until) {
            None => return false,
            Some(Step::Event(host, event)) => self.note(usize::from(host == self.hosts[1]), event),
            Some(Step::Alarm(act)) => self.act(act),
        }
        true
    }

    fn note(&mut self, side: usize, event: IceEvent) {
        let event = match event {
            IceEvent::Agent(event) => *event,
            IceEvent::Datagram(_, datagram) => return self.heard[side].push(datagram),
        };
        match event {
            Event::StateChange(state) => self.states[side].push((self.network.now(), state)),
            Event::LocalCandidate(local) => {
                let after = self.signalling_delay(1 - side);
                self.network.after(after, Scheduled::Alarm(Act::AddRemote(1 - side, local.candidate)));
            }
            _ => {}
        }
    }

    fn signalling_delay(&mut self, to: usize) -> Duration {
        self.signalling[to].mul_f64(self.rng.f64())
    }

    fn act(&mut self, act: Act) {
        let (Act::AddLocal(side, _)
        | Act::EndLocal(side)
        | Act::Credentials(side, _)
        | Act::AddRemote(side, _)
        | Act::EndRemote(side)) = act;
        let host = self.hosts[side];
        if self.network.is_suspended(host) {
            // It waits in a socket until the machine wakes.
            self.network.after(Duration::from_millis(100), Scheduled::Alarm(act));
            return;
        }
        if matches!(act, Act::EndLocal(_)) && self.told_of_end[1 - side] {
            // Not before the candidates that are still under way.
            let after = self.signalling[1 - side];
            self.network.after(after, Scheduled::Alarm(Act::EndRemote(1 - side)));
        }
        self.network.with(host, |endpoint, now| {
            let agent = &mut endpoint.agent;
            // A side that has given up takes nothing any more, and says so.
            let over = agent.state() == State::Failed;
            match act {
                Act::AddLocal(_, local) => assert!(agent.add_local_candidate(local, now).is_ok() || over),
                Act::EndLocal(_) => agent.end_of_local_candidates(now),
                Act::Credentials(_, theirs) => agent.set_remote_credentials(theirs, now),
                Act::AddRemote(_, candidate) => assert!(agent.add_remote_candidate(candidate, now).is_ok() || over),
                Act::EndRemote(_) => agent.end_of_remote_candidates(now),
            }
        });
    }

    pub(crate) fn state(&self, side: usize) -> State {
        self.network.endpoint(self.hosts[side]).agent.state()
    }

    pub(crate) fn role(&self, side: usize) -> Role {
        self.network.endpoint(self.hosts[side]).agent.role()
    }

    pub(crate) fn selected(&self, side: usize) -> Option<PairReport> {
        self.network.endpoint(self.hosts[side]).agent.selected_pair()
    }

    pub(crate) fn counters(&self, side: usize) -> Counters {
        self.network.counters(self.hosts[side])
    }

    /// What both agents sent, in order.
    pub(crate) fn record(&self) -> &[Sent] {
        self.network.record()
    }

    /// When a side first reported one of these states.
    pub(crate) fn first(&self, side: usize, states: &[State]) -> Option<Duration> {
        let mut reports = self.states[side].iter();
        reports.find(|(_, state)| states.contains(state)).map(|(at, _)| *at - Instant::ZERO)
    }

    /// The state that a side reported last, and when.
    pub(crate) fn last_change(&self, side: usize) -> (Duration, State) {
        let (at, state) = self.states[side].last().expect("it has reported something");
        (*at - Instant::ZERO, *state)
    }

    pub(crate) fn failure(&self, side: usize) -> Option<Failure> {
        self.network.endpoint(self.hosts[side]).agent.failure()
    }

    /// Sends a datagram from each side and tells whether both arrive.
    pub(crate) fn exchange(&mut self) -> bool {
        let sent = [0, 1].map(|side| {
            self.heard[side].clear();
            let words = format!("from side {side}");
            self.network.with(self.hosts[side], |endpoint, _| endpoint.send(words.as_bytes()))
        });
        let until = self.network.now() - Instant::ZERO + Duration::from_secs(2);
        self.until(until);
        sent == [true, true]
            && [0, 1].into_iter().all(|side| self.heard[side].contains(&format!("from side {}", 1 - side).into_bytes()))
    }
}

/// No two agents share one.
fn agent_seed(seed: u64, side: usize) -> Seed {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = side as u8 + 1;
    bytes
}
