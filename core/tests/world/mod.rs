//! Agents in virtual time, joined by one network, through their public interface alone.

#![allow(dead_code, reason = "each test program uses a part")]

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use frazil::hub::{MemberId, Pacer};
use frazil::ice::{Agent, Candidate, Config, Event, LocalCandidate, Role, State};
use frazil::stun::{Class, Message, TransactionId};
use frazil::{Instant, Path, Protocol};

/// A datagram on its way or gone.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) sent_at: Instant,
    /// Which agent sent it.
    pub(crate) sender: usize,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Datagram {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).expect("agents send STUN only")
    }

    pub(crate) fn id(&self) -> TransactionId {
        self.message().transaction_id()
    }

    pub(crate) fn is_request(&self) -> bool {
        self.message().class() == Class::Request
    }
}

/// The agents and what lies between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) agents: Vec<Agent>,
    /// One way.
    pub(crate) delay: Duration,
    /// Whether a datagram gets through.
    pub(crate) passes: Box<dyn Fn(&Datagram) -> bool>,
    /// What an address inside shows as to the outside, and what leads back to it.
    pub(crate) nat: BTreeMap<SocketAddr, SocketAddr>,
    /// All that was sent, in order.
    pub(crate) sent: Vec<Datagram>,
    /// All that was told, in order.
    pub(crate) events: Vec<(Instant, usize, Event)>,
    /// How many checks were sent at a grant, by agent and time.
    pub(crate) granted: Vec<(Instant, usize)>,
    /// Who lives where.
    homes: BTreeMap<SocketAddr, usize>,
    flying: BTreeMap<(Instant, u64), Datagram>,
    number: u64,
    pacer: Option<(Pacer, BTreeMap<MemberId, usize>)>,
}

pub(crate) const LEFT: usize = 0;
pub(crate) const RIGHT: usize = 1;

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(crate) fn host(text: &str, preference: u16) -> LocalCandidate {
    LocalCandidate::host(Protocol::Udp, address(text), preference)
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: Instant::from_millis(1_000),
            agents: Vec::new(),
            delay: Duration::from_millis(20),
            passes: Box::new(|_| true),
            nat: BTreeMap::new(),
            sent: Vec::new(),
            events: Vec::new(),
            granted: Vec::new(),
            homes: BTreeMap::new(),
            flying: BTreeMap::new(),
            number: 0,
            pacer: None,
        }
    }

    /// Two agents with these host addresses, the left one controlling.
    pub(crate) fn pair(config: Config, left: &[&str], right: &[&str]) -> Self {
        let mut world = Self::new();
        for (role, addresses) in [(Role::Controlling, left), (Role::Controlled, right)] {
            let agent = world.add(config, role);
            for (place, text) in addresses.iter().enumerate() {
                world.add_local(agent, host(text, 1_000 - place as u16));
            }
        }
        world
    }

    pub(crate) fn add(&mut self, config: Config, role: Role) -> usize {
        let number = self.agents.len();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        self.agents.push(Agent::new(config, role, seed, self.now));
        number
    }

    pub(crate) fn add_local(&mut self, agent: usize, local: LocalCandidate) {
        self.homes.insert(local.base, agent);
        self.agents[agent].add_local_candidate(local, self.now).expect("a candidate that can be used");
    }

    /// From now on all agents share one pace.
    pub(crate) fn share(&mut self, mut pacer: Pacer) {
        let members = (0..self.agents.len()).map(|agent| (pacer.join(), agent)).collect();
        self.pacer = Some((pacer, members));
    }

    /// Tells two agents all of each other.
    pub(crate) fn signal(&mut self, a: usize, b: usize) {
        self.tell(a, b);
        self.tell(b, a);
    }

    /// Tells `to` all of `from`, the end of its candidates included.
    pub(crate) fn tell(&mut self, from: usize, to: usize) {
        self.tell_credentials(from, to);
        for candidate in self.candidates(from) {
            self.agents[to].add_remote_candidate(candidate, self.now).expect("a candidate that can be used");
        }
        self.agents[from].end_of_local_candidates(self.now);
        self.agents[to].end_of_remote_candidates(self.now);
    }

    pub(crate) fn tell_credentials(&mut self, from: usize, to: usize) {
        let credentials = self.agents[from].local_credentials().clone();
        self.agents[to].set_remote_credentials(credentials, self.now);
    }

    pub(crate) fn candidates(&self, agent: usize) -> Vec<Candidate> {
        self.agents[agent].local_candidates().iter().map(|local| local.candidate).collect()
    }

    /// Has a datagram arrive that no agent sent.
    pub(crate) fn inject(&mut self, agent: usize, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let path = self.agents[agent].path_id(Path { protocol: Protocol::Udp, local, remote });
        self.agents[agent].handle_datagram(path, bytes, self.now);
        self.drain(agent);
        self.pace();
    }

    /// Takes out what the agent has to say.
    pub(crate) fn drain(&mut self, agent: usize) {
        let mut buf = [0; Agent::MIN_BUFFER];
        while let Some(transmit) = self.agents[agent].poll_transmit(&mut buf) {
            let path = self.agents[agent].path(transmit.path).expect("the path that it goes over");
            let datagram = Datagram {
                sent_at: self.now,
                sender: agent,
                source: path.local,
                destination: path.remote,
                bytes: buf[..transmit.len].to_vec(),
            };
            self.sent.push(datagram.clone());
            if (self.passes)(&datagram) {
                self.number += 1;
                self.flying.insert((self.now + self.delay, self.number), datagram);
            }
        }
        while let Some(event) = self.agents[agent].poll_event() {
            self.events.push((self.now, agent, event));
        }
        if let Some((pacer, members)) = &mut self.pacer {
            let member = members.iter().find(|&(_, &of)| of == agent).map(|(&member, _)| member);
            if let Some(member) = member {
                pacer.set_demand(member, self.agents[agent].wants_check(), self.now);
            }
        }
    }

    /// Gives out the grants that there are.
    fn pace(&mut self) {
        while let Some((pacer, members)) = &mut self.pacer
            && let Some(member) = pacer.poll_grant()
        {
            let agent = members[&member];
            if self.agents[agent].grant_check(self.now) {
                self.granted.push((self.now, agent));
            } else {
                pacer.return_grant(member);
            }
            self.drain(agent);
        }
    }

    fn arrive(&mut self, datagram: &Datagram) {
        let outside = self.nat.get(&datagram.source).copied().unwrap_or(datagram.source);
        // Nothing reaches an address inside from outside but what was sent to the one that it shows as.
        if self.nat.contains_key(&datagram.destination) {
            return;
        }
        let inside = self.nat.iter().find(|&(_, &shown)| shown == datagram.destination).map(|(&inside, _)| inside);
        let local = inside.unwrap_or(datagram.destination);
        if let Some(&agent) = self.homes.get(&local) {
            let path = self.agents[agent].path_id(Path { protocol: Protocol::Udp, local, remote: outside });
            self.agents[agent].handle_datagram(path, &datagram.bytes, self.now);
            self.drain(agent);
        }
    }

    /// Runs until `done` or the end of `time`; gives whether it was done.
    pub(crate) fn run_until(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + time;
        (0..self.agents.len()).for_each(|agent| self.drain(agent));
        self.pace();
        loop {
            if done(self) {
                return true;
            }
            let arrival = self.flying.first_key_value().map(|(&(at, _), _)| at);
            let agents = self.agents.iter().filter_map(Agent::poll_timeout);
            let grant = self.pacer.as_ref().and_then(|(pacer, _)| pacer.poll_timeout());
            let next = agents.chain(arrival).chain(grant).min().filter(|&next| next <= end);
            let Some(next) = next else {
                self.now = end;
                return false;
            };
            // A call of the application may have made something due at once.
            self.now = self.now.max(next);
            while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let datagram = entry.remove();
                self.arrive(&datagram);
            }
            for agent in 0..self.agents.len() {
                if self.agents[agent].poll_timeout().is_some_and(|at| at <= self.now) {
                    self.agents[agent].handle_timeout(self.now);
                    self.drain(agent);
                    let after = self.agents[agent].poll_timeout();
                    assert!(after.is_none_or(|at| at > self.now), "a timer that does not move");
                }
            }
            if let Some((pacer, _)) = &mut self.pacer {
                pacer.handle_timeout(self.now);
            }
            self.pace();
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    pub(crate) fn all(&self, state: State) -> bool {
        self.agents.iter().all(|agent| agent.state() == state)
    }

    /// The local and the remote address of the pair that carries an agent's traffic.
    pub(crate) fn selected(&self, agent: usize) -> Option<(SocketAddr, SocketAddr)> {
        let path = self.agents[agent].path(self.agents[agent].selected_pair()?.path)?;
        Some((path.local, path.remote))
    }

    pub(crate) fn sent_by(&self, agent: usize) -> impl Iterator<Item = &Datagram> {
        self.sent.iter().filter(move |datagram| datagram.sender == agent)
    }

    /// The first sending of each request: a check, and after one has succeeded perhaps a consent check.
    pub(crate) fn requests_by(&self, agent: usize) -> Vec<&Datagram> {
        let mut seen = std::collections::BTreeSet::new();
        self.sent_by(agent).filter(|sent| sent.is_request() && seen.insert(sent.id().0)).collect()
    }
}
