//! A scenario in motion.

use std::time::Duration;

use frazil::ice::{Agent, Candidate, Config, Credentials, Event, Failure, LocalCandidate, PairReport, Role, State};
use frazil::{Instant, Protocol, Seed};
use frazil_internet::{Counters, HostId, IceEndpoint, IceEvent, Internet, LinkId, Scheduled, Sent, Step};

use crate::scenario::Scenario;

/// How often an application sends something in [`Run::talk`].
const TALK: Duration = Duration::from_millis(150);

/// What it sends begins with this plus the generation of the path that it goes over.
const WORDS: u8 = 0x80;

pub(crate) struct Run {
    network: Internet<IceEndpoint, Act>,
    hosts: [HostId; 2],
    links: Vec<LinkId>,
    rng: fastrand::Rng,
    sides: [Side; 2],
    /// What each side has reported, and when.
    pub(crate) states: [Vec<(Instant, State)>; 2],
}

/// What signalling knows of a side.
struct Side {
    /// How long what is signalled takes to get here, at the most.
    signalling: Duration,
    told_of_end: bool,
    /// How often its agent has restarted.
    generation: u32,
    /// Credentials that the other side was told of, while the agent waits for those of the other side.
    next: Option<Credentials>,
    /// What came before the generation that it belongs to.
    early: Vec<Act>,
    heard: Vec<Vec<u8>>,
    /// The generation of its path, once it has one.
    path_of: Option<u32>,
    /// What that was when its agent restarted last: the one generation that the agent knows beside its current one.
    kept: Option<u32>,
    /// How often it wanted to talk and had no path any more.
    pathless: u32,
    /// How many datagrams it refused that came over a path of this generation or of the one that is kept.
    refused: u32,
}

/// Something that a user, a driver or signalling does to a side.
#[derive(Clone, Debug)]
enum Act {
    AddLocal(usize, LocalCandidate),
    EndLocal(usize),
    Restart { side: usize, waits: bool },
    Hear { side: usize, generation: u32, what: Signal },
    Talk(usize),
}

/// What one side is told of the other.
#[derive(Clone, Debug)]
enum Signal {
    Credentials(Credentials),
    Candidate(Candidate),
    End,
}

impl Run {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut network = Internet::new(scenario.seed);
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
        let links = scenario.topology.build(&mut network, hosts);
        let credentials = hosts.map(|host| network.endpoint(host).agent.local_credentials().clone());
        for (here, side) in scenario.sides.iter().enumerate() {
            for (nth, socket) in scenario.topology.sockets[here].iter().enumerate() {
                let local = LocalCandidate::host(Protocol::Udp, socket.address, u16::MAX - nth as u16);
                network.after(socket.known, Scheduled::Alarm(Act::AddLocal(here, local)));
            }
            if let Some(at) = side.gathered {
                network.after(at, Scheduled::Alarm(Act::EndLocal(here)));
            }
            let what = Signal::Credentials(credentials[1 - here].clone());
            network.after(side.credentials, Scheduled::Alarm(Act::Hear { side: here, generation: 0, what }));
        }
        for restart in &scenario.restarts {
            network.after(restart.at, Scheduled::Alarm(Act::Restart { side: restart.side, waits: restart.waits }));
        }
        scenario.disturbances.schedule(&mut network, hosts);
        let sides = [0, 1].map(|side| Side {
            signalling: scenario.sides[side].signalling,
            told_of_end: scenario.sides[side].told_of_end,
            generation: 0,
            next: None,
            early: Vec::new(),
            heard: Vec::new(),
            path_of: None,
            kept: None,
            pathless: 0,
            refused: 0,
        });
        let rng = fastrand::Rng::with_seed(scenario.seed ^ 0x51_6E_A1);
        Self { network, hosts, links, rng, sides, states: [Vec::new(), Vec::new()] }
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

    /// From now on each side sends a datagram several times a second.
    pub(crate) fn talk(&mut self) {
        for side in [0, 1] {
            self.network.after(Duration::ZERO, Scheduled::Alarm(Act::Talk(side)));
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
            IceEvent::Datagram(_, datagram) => return self.sides[side].heard.push(datagram),
            IceEvent::Refused(_, datagram) => {
                let path_of = u32::from(datagram[0].saturating_sub(WORDS));
                let of = &mut self.sides[side];
                of.refused += u32::from(path_of == of.generation || Some(path_of) == of.kept);
                return;
            }
        };
        match event {
            Event::SelectedPairChange(_) => self.sides[side].path_of = Some(self.sides[side].generation),
            Event::StateChange(state) => self.states[side].push((self.network.now(), state)),
            Event::LocalCandidate(local) => {
                let Side { generation, ref next, .. } = self.sides[side];
                for generation in generation..=generation + u32::from(next.is_some()) {
                    self.signal(side, generation, Signal::Candidate(local.candidate));
                }
            }
            _ => {}
        }
    }

    /// Has the other side be told of something about `from`.
    fn signal(&mut self, from: usize, generation: u32, what: Signal) {
        let to = &self.sides[1 - from];
        let after = match what {
            Signal::End if !to.told_of_end => return,
            // Not before the candidates that are still under way.
            Signal::End => to.signalling,
            Signal::Credentials(_) | Signal::Candidate(_) => to.signalling.mul_f64(self.rng.f64()),
        };
        self.network.after(after, Scheduled::Alarm(Act::Hear { side: 1 - from, generation, what }));
    }

    fn act(&mut self, act: Act) {
        let (Act::AddLocal(side, _)
        | Act::EndLocal(side)
        | Act::Restart { side, .. }
        | Act::Hear { side, .. }
        | Act::Talk(side)) = act;
        if self.network.is_suspended(self.hosts[side]) {
            // It waits in a socket until the machine wakes.
            self.network.after(Duration::from_millis(100), Scheduled::Alarm(act));
            return;
        }
        match act {
            Act::AddLocal(_, local) => self.with(side, |agent, now| {
                // A side that has given up takes nothing any more, and says so.
                assert!(agent.add_local_candidate(local, now).is_ok() || agent.state() == State::Failed);
            }),
            Act::EndLocal(_) => {
                self.with(side, Agent::end_of_local_candidates);
                let Side { generation, ref next, .. } = self.sides[side];
                for generation in generation..=generation + u32::from(next.is_some()) {
                    self.signal(side, generation, Signal::End);
                }
            }
            // It is restarting already.
            Act::Restart { .. } if self.sides[side].next.is_some() => {}
            Act::Restart { waits: true, .. } => {
                let next = self.introduce(side, self.sides[side].generation + 1);
                self.sides[side].next = Some(next);
            }
            Act::Restart { waits: false, .. } => self.restart(side, self.sides[side].generation + 1),
            Act::Hear { generation, ref what, .. } => match (generation.cmp(&self.sides[side].generation), what) {
                (std::cmp::Ordering::Less, _) => {}
                (std::cmp::Ordering::Equal, _) => self.hear(side, what.clone()),
                (std::cmp::Ordering::Greater, Signal::Credentials(_)) => {
                    self.restart(side, generation);
                    self.hear(side, what.clone());
                }
                (std::cmp::Ordering::Greater, _) => self.sides[side].early.push(act),
            },
            Act::Talk(_) => {
                self.network.after(TALK, Scheduled::Alarm(act));
                let Some(path_of) = self.sides[side].path_of else { return };
                let words = [WORDS + path_of as u8; 100];
                let sent = self.network.with(self.hosts[side], |endpoint, now| endpoint.send(&words, now));
                self.sides[side].pathless += u32::from(!sent);
            }
        }
    }

    /// A side's agent begins a new generation, with the credentials that the other side knows if it knows some.
    fn restart(&mut self, side: usize, generation: u32) {
        let known = self.sides[side].next.take().filter(|_| generation == self.sides[side].generation + 1);
        let credentials = known.unwrap_or_else(|| self.introduce(side, generation));
        self.with(side, |agent, now| agent.restart(credentials, now));
        self.sides[side].generation = generation;
        self.sides[side].kept = self.sides[side].path_of;
        std::mem::take(&mut self.sides[side].early).into_iter().for_each(|early| self.act(early));
    }

    /// Draws credentials and tells the other side of them and of the candidates that go with them.
    fn introduce(&mut self, side: usize, generation: u32) -> Credentials {
        let credentials = self.with(side, |agent, _| agent.draw_credentials());
        self.signal(side, generation, Signal::Credentials(credentials.clone()));
        for candidate in self.agent(side).local_candidates().iter().map(|l| l.candidate).collect::<Vec<_>>() {
            self.signal(side, generation, Signal::Candidate(candidate));
        }
        if self.agent(side).is_gathered() {
            self.signal(side, generation, Signal::End);
        }
        credentials
    }

    fn hear(&mut self, side: usize, what: Signal) {
        self.with(side, |agent, now| match what {
            Signal::Credentials(theirs) => agent.set_remote_credentials(theirs, now),
            Signal::Candidate(candidate) => {
                assert!(agent.add_remote_candidate(candidate, now).is_ok() || agent.state() == State::Failed);
            }
            Signal::End => agent.end_of_remote_candidates(now),
        });
    }

    fn with<R>(&mut self, side: usize, call: impl FnOnce(&mut Agent, Instant) -> R) -> R {
        self.network.with(self.hosts[side], |endpoint, now| call(&mut endpoint.agent, now))
    }

    pub(crate) fn agent(&self, side: usize) -> &Agent {
        &self.network.endpoint(self.hosts[side]).agent
    }

    pub(crate) fn state(&self, side: usize) -> State {
        self.agent(side).state()
    }

    pub(crate) fn role(&self, side: usize) -> Role {
        self.agent(side).role()
    }

    pub(crate) fn selected(&self, side: usize) -> Option<PairReport> {
        self.agent(side).selected_pair()
    }

    pub(crate) fn counters(&self, side: usize) -> Counters {
        self.network.counters(self.hosts[side])
    }

    /// How often a side had no path any more when it wanted to talk.
    pub(crate) fn pathless(&self, side: usize) -> u32 {
        self.sides[side].pathless
    }

    /// How many datagrams a side refused although they came over a path that it knows.
    pub(crate) fn refused(&self, side: usize) -> u32 {
        self.sides[side].refused
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
        self.agent(side).failure()
    }

    /// Sends a datagram from each side and tells whether both arrive.
    pub(crate) fn exchange(&mut self) -> bool {
        let sent = [0, 1].map(|side| {
            self.sides[side].heard.clear();
            let words = format!("from side {side}");
            self.network.with(self.hosts[side], |endpoint, now| endpoint.send(words.as_bytes(), now))
        });
        let until = self.network.now() - Instant::ZERO + Duration::from_secs(2);
        self.until(until);
        let arrived = |side: usize| self.sides[side].heard.contains(&format!("from side {}", 1 - side).into_bytes());
        sent == [true, true] && arrived(0) && arrived(1)
    }
}

/// No two agents share one.
fn agent_seed(seed: u64, side: usize) -> Seed {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = side as u8 + 1;
    bytes
}
