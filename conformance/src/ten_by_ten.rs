//! Two agents with ten candidates each, of which only the relayed ones reach each other.
//!
//! Four hosts, four server-reflexive addresses and two relays a side make dozens of pairs that nothing ever comes
//! through, ranked above the four that work. The order in which an agent tries pairs shows here, and so does what it
//! spends on those that are lost. All candidates are known to both from the start; one way takes 20 ms.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use frazil::Instant;

use crate::contestant::{Contestant, Gathered, MAX_DATAGRAM, Role, Selected};
use crate::instructions::in_the_agent;

const ONE_WAY_DELAY: Duration = Duration::from_millis(20);

/// Who is not done by then never will be.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a meeting went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meeting {
    /// From the start until both sides could send application data.
    pub usable: Duration,
    /// Until both had a nominated path.
    pub nominated: Duration,
    /// Datagrams that both sent until then, those that were lost among them.
    pub datagrams: u64,
}

/// Lets two of a kind meet.
///
/// # Errors
/// If they have no nominated path between their relays within a minute of virtual time.
pub fn meet<C: Contestant>(seed: u64) -> Result<Meeting, String> {
    let mut world = World::<C>::new(seed);
    let mut usable = None;
    loop {
        world.deliver_what_they_send();
        if let [Some(a), Some(b)] = world.selected() {
            let so_far = world.now - Instant::ZERO;
            let usable = *usable.get_or_insert(so_far);
            if a.nominated && b.nominated {
                return if relays(0).contains(&a.base) && relays(1).contains(&b.base) {
                    Ok(Meeting { usable, nominated: so_far, datagrams: world.datagrams })
                } else {
                    Err(format!("{} uses a path that nothing comes through", C::NAME))
                };
            }
        }
        if !world.advance() || world.now - Instant::ZERO > PATIENCE {
            return Err(format!("{} does not connect", C::NAME));
        }
    }
}

struct World<C> {
    now: Instant,
    agents: [C; 2],
    under_way: VecDeque<Letter>,
    datagrams: u64,
}

struct Letter {
    arrival: Instant,
    to: usize,
    base: SocketAddr,
    remote: SocketAddr,
    datagram: Vec<u8>,
}

impl<C: Contestant> World<C> {
    fn new(seed: u64) -> Self {
        let now = Instant::ZERO;
        let mut told = [Vec::new(), Vec::new()];
        let mut agents = [0, 1].map(|side| {
            let role = [Role::Controlling, Role::Controlled][side];
            let mut agent = in_the_agent(|| C::new(role, seed.wrapping_mul(2).wrapping_add(side as u64), now));
            told[side] = candidates(side)
                .into_iter()
                .map(|gathered| in_the_agent(|| agent.add_local_candidate(gathered, now)).expect("a new candidate"))
                .collect();
            in_the_agent(|| agent.end_of_local_candidates(now));
            agent
        });
        let credentials = agents.each_ref().map(|agent| in_the_agent(|| agent.credentials()));
        for (side, agent) in agents.iter_mut().enumerate() {
            let other = 1 - side;
            in_the_agent(|| agent.set_remote_credentials(credentials[other].clone(), now));
            for candidate in told[other].drain(..) {
                in_the_agent(|| agent.add_remote_candidate(candidate, now));
            }
            in_the_agent(|| agent.end_of_remote_candidates(now));
        }
        Self { now, agents, under_way: VecDeque::new(), datagrams: 0 }
    }

    fn selected(&mut self) -> [Option<Selected>; 2] {
        self.agents.each_mut().map(|agent| in_the_agent(|| agent.selected()))
    }

    /// Takes what both have to send; what goes from relay to relay is under way now.
    fn deliver_what_they_send(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        for (side, agent) in self.agents.iter_mut().enumerate() {
            let (ours, theirs) = (relays(side), relays(1 - side));
            while let Some(sent) = in_the_agent(|| agent.poll_transmit(&mut buffer, self.now)) {
                self.datagrams += 1;
                if ours.contains(&sent.base) && theirs.contains(&sent.remote) {
                    self.under_way.push_back(Letter {
                        arrival: self.now + ONE_WAY_DELAY,
                        to: 1 - side,
                        base: sent.remote,
                        remote: sent.base,
                        datagram: buffer[..sent.len].to_vec(),
                    });
                }
            }
        }
    }

    /// Goes on to the next thing that happens, if there is one.
    fn advance(&mut self) -> bool {
        let timeouts = self.agents.each_mut().map(|agent| in_the_agent(|| agent.poll_timeout()));
        let arrival = self.under_way.front().map(|letter| letter.arrival);
        let Some(next) = [timeouts[0], timeouts[1], arrival].into_iter().flatten().min() else { return false };
        // A deadline in the past means: at once.
        self.now = self.now.max(next);
        let now = self.now;
        if arrival.is_some_and(|at| at <= now)
            && let Some(letter) = self.under_way.pop_front()
        {
            let agent = &mut self.agents[letter.to];
            in_the_agent(|| agent.handle_datagram(letter.base, letter.remote, &letter.datagram, now));
            return true;
        }
        for (agent, timeout) in self.agents.iter_mut().zip(timeouts) {
            if timeout.is_some_and(|at| at <= now) {
                in_the_agent(|| agent.handle_timeout(now));
            }
        }
        true
    }
}

fn candidates(side: usize) -> Vec<Gathered> {
    let server = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    let preference = |place: usize| u16::MAX - place as u16;
    let hosts = (0..4).map(|place| Gathered::host(host(side, place), preference(place)));
    let reflexive = (0..4).map(|place| {
        let address = SocketAddr::new(Ipv4Addr::new(203, 0, 113, (10 * side + place) as u8 + 1).into(), 50_000);
        Gathered::server_reflexive(address, host(side, place), server, preference(place))
    });
    let relayed = relays(side).into_iter().enumerate();
    let relayed =
        relayed.map(|(place, address)| Gathered::relayed(address, host(side, place), server, preference(place)));
    hosts.chain(reflexive).chain(relayed).collect()
}

fn host(side: usize, place: usize) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(10, side as u8, place as u8, 1).into(), 50_000)
}

fn relays(side: usize) -> [SocketAddr; 2] {
    [0, 1].map(|place| SocketAddr::new(Ipv4Addr::new(198, 51, 100, (10 * side + place) as u8 + 10).into(), 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestant::Frazil;

    #[test]
    fn the_agents_find_the_pairs_between_their_relays() {
        let meeting = meet::<Frazil>(1).unwrap();
        assert!(meeting.usable <= meeting.nominated);
        assert!(meeting.nominated < Duration::from_secs(3), "{meeting:?}");
    }
}
