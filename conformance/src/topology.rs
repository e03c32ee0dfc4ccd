//! Two hosts with sockets, and what lies between them, drawn at random.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::draw::millis;
use frazil_internet::{Conditions, Endpoint, HostId, Internet, LinkId, PerMille};

/// A check is given up after 79 RTOs (RFC 8489 section 6.2.1); 16 pairs at a pace of 50 ms make that 63.2 s.
const LONGEST_CHECK: Duration = Duration::from_millis(63_200);

/// What a pair's turn in the check list, a late timer and the datagrams of the last check add to it.
const MARGIN: Duration = Duration::from_secs(5);

/// The sockets of two hosts and the links between their addresses.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Each host's sockets, in the order in which they become known to its endpoint.
    pub sockets: [Vec<Socket>; 2],
    /// The links. The first end is the first host's.
    pub links: Vec<Link>,
}

/// A socket of one of the hosts.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    /// Where it is bound.
    pub address: SocketAddr,
    /// When the endpoint is told of it, in virtual time.
    pub known: Duration,
}

/// What joins an address of the first host to one of the second.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The two addresses.
    pub ends: (IpAddr, IpAddr),
    /// From the first host to the second.
    pub there: Conditions,
    /// From the second host to the first.
    pub back: Conditions,
}

/// Bounds from which a topology draws its own, so that there are good and bad ones.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Loss in a thousand.
    pub loss: &'static [u16],
    /// Delay in milliseconds, and jitter on top of it.
    pub delay: &'static [u64],
}

impl Topology {
    /// One to four sockets on each host; `gathering` says how long it may take until a host knows its own.
    pub fn random(rng: &mut fastrand::Rng, gathering: [Duration; 2], bounds: &Bounds) -> Self {
        let sockets = [0, 1].map(|host| random_sockets(host, gathering[usize::from(host)], rng));
        let links = random_links(&sockets, rng, bounds);
        Self { sockets, links }
    }

    /// Binds the sockets and lays the links.
    pub fn build<E: Endpoint, A>(&self, network: &mut Internet<E, A>, hosts: [HostId; 2]) -> Vec<LinkId> {
        for (host, sockets) in hosts.into_iter().zip(&self.sockets) {
            sockets.iter().for_each(|socket| network.bind(host, socket.address));
        }
        self.links.iter().map(|link| network.wire(link.ends.0, link.ends.1, link.there, link.back)).collect()
    }

    /// When a host knows all its sockets.
    #[must_use]
    pub fn known(&self, host: usize) -> Duration {
        self.sockets[host].iter().map(|socket| socket.known).max().unwrap_or_default()
    }

    /// Loss of the links that carry datagrams both ways, in the worse direction, as many as there are.
    fn losses(&self) -> impl Iterator<Item = PerMille> + '_ {
        self.links.iter().map(|link| link.there.loss.max(link.back.loss)).filter(|loss| *loss < PerMille::ALWAYS)
    }

    /// Whether nothing gets through any link, there and back.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.losses().next().is_none()
    }

    /// Whether there is a link that loses no more than this.
    #[must_use]
    pub fn has_path_within(&self, most: PerMille) -> bool {
        self.losses().any(|loss| loss <= most)
    }

    /// Whether every link that carries datagrams both ways loses no more than this.
    #[must_use]
    pub fn has_only_paths_within(&self, most: PerMille) -> bool {
        self.losses().all(|loss| loss <= most)
    }

    /// How long it may take, once all is known and calm, until every pair of sockets was tried, if the clocks step
    /// back so often.
    #[must_use]
    pub fn longest_search(&self, steps_back: u32) -> Duration {
        LONGEST_CHECK * (self.pairs_in_a_group() + steps_back) + MARGIN
    }

    /// How many pairs of sockets share a foundation at the most: one after the other is tried.
    fn pairs_in_a_group(&self) -> u32 {
        let most_on_one_ip = |sockets: &Vec<Socket>| {
            let on = |ip| sockets.iter().filter(|socket| socket.address.ip() == ip).count();
            sockets.iter().map(|socket| on(socket.address.ip())).max().unwrap_or_default()
        };
        (most_on_one_ip(&self.sockets[0]) * most_on_one_ip(&self.sockets[1])) as u32
    }
}

fn random_sockets(host: u8, gathering: Duration, rng: &mut fastrand::Rng) -> Vec<Socket> {
    let mut sockets: Vec<Socket> = Vec::new();
    for nth in 0..rng.u8(1..=4) {
        let ip = match sockets.last() {
            // Another socket on the same interface: the same foundation.
            Some(before) if rng.u8(..8) == 0 => before.address.ip(),
            _ if rng.u8(..4) == 0 => Ipv6Addr::new(0xFD00, host.into(), nth.into(), 0, 0, 0, 0, 1).into(),
            _ => Ipv4Addr::new(10, host, nth, 1).into(),
        };
        let known = gathering.mul_f64(rng.f64());
        sockets.push(Socket { address: SocketAddr::new(ip, 4_000 + u16::from(nth)), known });
    }
    sockets
}

fn random_links(sockets: &[Vec<Socket>; 2], rng: &mut fastrand::Rng, bounds: &Bounds) -> Vec<Link> {
    let isolated = rng.u8(..16) == 0;
    let most_lost = bounds.loss[rng.usize(..bounds.loss.len())];
    let most_delay = bounds.delay[rng.usize(..bounds.delay.len())];
    let ips = |sockets: &Vec<Socket>| {
        let mut ips: Vec<IpAddr> = sockets.iter().map(|socket| socket.address.ip()).collect();
        ips.dedup();
        ips
    };
    let mut links = Vec::new();
    for a in ips(&sockets[0]) {
        for b in ips(&sockets[1]) {
            if isolated || a.is_ipv4() != b.is_ipv4() || rng.u8(..5) == 0 {
                continue;
            }
            let mut conditions = || Conditions {
                delay: millis(rng, most_delay),
                jitter: millis(rng, most_delay),
                loss: PerMille(rng.u16(..=most_lost)),
                duplication: PerMille(rng.u16(..=100)),
                ..Conditions::default()
            };
            let (mut there, mut back) = (conditions(), conditions());
            match rng.u8(..16) {
                0 => there.loss = PerMille::ALWAYS,
                1 => back.loss = PerMille::ALWAYS,
                _ => {}
            }
            links.push(Link { ends: (a, b), there, back });
        }
    }
    links
}
