//! Two machines with 50 ms between them, and what their applications send and hear.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use frazil::ice::{Candidate, Config, Credentials, HostSocket, InterfaceKind, Role};
use frazil::{Instant, Path, Protocol};
use frazil_conformance::draw;
use frazil_conformance::faults::{Driver, Heard, Interface, Setup};
use frazil_conformance::matrix::Kind;
use frazil_conformance::matrix::topology::{SERVER, SERVER_PORT};
use frazil_internet::{
    Access, Conditions, HostId, InterfaceId, Internet, RealmId, RouterId, Scheduled, Step, TurnServer,
    WELL_KNOWN_PREFIX, synthesise,
};

/// From one side to the other.
const ONE_WAY: Duration = Duration::from_millis(50);

/// How often a side sends in [`Talk::Media`].
pub(super) const RHYTHM: Duration = Duration::from_millis(20);

/// The time between two requests in [`Talk::Requests`].
pub(super) const REQUESTS_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// What the applications do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Talk {
    /// Both send a datagram every 20 ms, more or less.
    Media,
    /// Side 0 sends a request now and then, and side 1 answers it.
    Requests,
}

pub(super) struct Ground {
    internet: Internet<Driver, Act>,
    hosts: [HostId; 2],
    places: [Vec<Place>; 2],
    rng: fastrand::Rng,
    talk: Option<Talk>,
    sent: [Vec<Sent>; 2],
    arrivals: [Vec<Instant>; 2],
    pathless: [Vec<Instant>; 2],
    offers: [Option<Credentials>; 2],
    generations: [u32; 2],
}

struct Place {
    interface: InterfaceId,
    realm: RealmId,
    routers: Vec<RouterId>,
    addresses: Vec<IpAddr>,
    sockets: Vec<Interface>,
    is_there: bool,
}

/// An application datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) arrived: bool,
}

#[derive(Clone, Debug)]
enum Act {
    Talk(usize),
    /// A description with all candidates reaches a side.
    Hear(usize, Credentials, Vec<Candidate>),
    Restart(usize),
}

impl Ground {
    /// Two sides with these networks, connected. Those that come later can be left out at first with `only_last`: then
    /// side 0 has its last network only.
    pub(super) fn new(seed: u64, sides: [Vec<(Kind, InterfaceKind)>; 2], only_last: bool) -> Self {
        let mut internet = Internet::new(seed);
        internet.add_server(internet.public(), &SERVER, Access::default(), TurnServer::default());
        let hosts = [0, 1].map(|side| {
            let role = [Role::Controlling, Role::Controlled][side];
            let setup = Setup { config: Config::default(), role, renomination: true, seed: seed * 2 + side as u64 + 7 };
            internet.add_host(Instant::ZERO, |now| Driver::new(&setup, now))
        });
        let mut places = [Vec::new(), Vec::new()];
        for (side, networks) in sides.into_iter().enumerate() {
            for (nth, (kind, interface)) in networks.into_iter().enumerate() {
                places[side].push(lay(&mut internet, hosts[side], (side, nth), kind, interface));
            }
        }
        let mut ground = Self {
            internet,
            hosts,
            places,
            rng: fastrand::Rng::with_seed(seed),
            talk: None,
            sent: [Vec::new(), Vec::new()],
            arrivals: [Vec::new(), Vec::new()],
            pathless: [Vec::new(), Vec::new()],
            offers: [None, None],
            generations: [0; 2],
        };
        if only_last {
            let first = &mut ground.places[0][0];
            first.is_there = false;
            ground.internet.detach(first.interface);
        }
        for side in [0, 1] {
            ground.tell_sockets(side);
        }
        ground.run(Duration::from_secs(1));
        let descriptions = [0, 1].map(|side| ground.description(side, None));
        for (side, (credentials, candidates)) in descriptions.into_iter().enumerate() {
            ground.hear(1 - side, credentials, candidates);
        }
        ground
    }

    pub(super) fn now(&self) -> Instant {
        self.internet.now()
    }

    /// The access of a network dies, and nobody says so.
    pub(super) fn cut(&mut self, side: usize, nth: usize) {
        let link = self.internet.access(self.places[side][nth].interface);
        self.internet.after(Duration::ZERO, Scheduled::LinkDown(link));
    }

    /// The router next to a machine forgets its mappings.
    pub(super) fn rebind(&mut self, side: usize, nth: usize) {
        let router = *self.places[side][nth].routers.last().expect("there is one");
        self.internet.after(Duration::ZERO, Scheduled::Rebind(router));
    }

    /// From now on the applications do this.
    pub(super) fn talk(&mut self, talk: Talk) {
        self.talk = Some(talk);
        for side in [0, 1] {
            let phase = draw::millis(&mut self.rng, 20);
            self.internet.after(phase, Scheduled::Alarm(Act::Talk(side)));
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.internet.now() + time;
        while let Some(step) = self.internet.next(until) {
            match step {
                Step::Event(host, Heard::Datagram(_, datagram)) => {
                    self.note(usize::from(host == self.hosts[1]), &datagram);
                }
                Step::Event(..) => {}
                Step::Alarm(Act::Talk(side)) => self.say(side),
                Step::Alarm(Act::Hear(side, credentials, candidates)) => self.hear_offer(side, credentials, candidates),
                Step::Alarm(Act::Restart(side)) => {
                    let credentials = self.offer(side);
                    let (credentials, candidates) = self.description(side, Some(credentials));
                    self.internet.after(ONE_WAY, Scheduled::Alarm(Act::Hear(1 - side, credentials, candidates)));
                }
            }
        }
    }

    fn say(&mut self, side: usize) {
        let (least, most) = match self.talk {
            // A sender's clock is not perfect.
            Some(Talk::Media) => (RHYTHM - Duration::from_millis(2), RHYTHM + Duration::from_millis(2)),
            Some(Talk::Requests) if side == 0 => REQUESTS_EVERY,
            _ => return,
        };
        let next = least + (most - least).mul_f64(self.rng.f64());
        self.internet.after(next, Scheduled::Alarm(Act::Talk(side)));
        self.send(side);
    }

    fn send(&mut self, side: usize) {
        let number = self.sent[side].len() as u32;
        let words = [&[0x80; 60][..], &number.to_be_bytes()].concat();
        if self.internet.with(self.hosts[side], |driver, now| driver.send(&words, now)).is_some() {
            self.sent[side].push(Sent { at: self.internet.now(), arrived: false });
        } else {
            self.pathless[side].push(self.internet.now());
        }
    }

    fn note(&mut self, side: usize, datagram: &[u8]) {
        let number = datagram.last_chunk().map_or(0, |number| u32::from_be_bytes(*number));
        if let Some(sent) = self.sent[1 - side].get_mut(number as usize) {
            sent.arrived = true;
        }
        self.arrivals[side].push(self.internet.now());
        if side == 1 && self.talk == Some(Talk::Requests) {
            self.send(1);
        }
    }

    /// Whether a side's path is the one through this interface of side 0.
    pub(super) fn is_over(&self, nth: usize, side: usize) -> bool {
        let driver = |side: usize| self.internet.endpoint(self.hosts[side]);
        let Some(Path { local, remote, .. }) = driver(side).path() else { return false };
        let place = &self.places[0][nth];
        match side {
            0 => place.addresses.contains(&local.ip()),
            _ => place.addresses.contains(&remote.ip()) || remote.ip() == outside((0, nth)),
        }
    }

    /// The longest time without a datagram at a side, from the last one before `since` on.
    pub(super) fn longest_gap(&self, side: usize, since: Instant) -> Duration {
        let first = self.arrivals[side].iter().rposition(|&at| at <= since).unwrap_or(0);
        let mut times = self.arrivals[side][first..].to_vec();
        times.push(self.internet.now());
        times.windows(2).map(|two| two[1] - two[0]).max().unwrap_or_default()
    }

    /// From the first request after `since`, or the last before it that was lost, until the next answer.
    pub(super) fn longest_silence_after_a_request(&self, since: Instant) -> Duration {
        let lost = self.sent[0].iter().find(|sent| !sent.arrived && sent.at + ONE_WAY * 2 > since);
        let from = lost.map_or(since, |sent| sent.at);
        let answered = self.arrivals[0].iter().find(|&&at| at > from + ONE_WAY && at > since);
        answered.map_or(self.internet.now() - from, |&at| at - from)
    }

    pub(super) fn sent_since(&self, side: usize, since: Instant) -> Vec<Sent> {
        // What was sent just now is still under way.
        let until = self.internet.now().as_nanos() - (ONE_WAY * 4).as_nanos() as u64;
        let of = |sent: &&Sent| sent.at >= since && sent.at.as_nanos() < until;
        self.sent[side].iter().filter(of).copied().collect()
    }

    pub(super) fn arrivals_since(&self, side: usize, since: Instant) -> usize {
        self.arrivals[side].iter().filter(|&&at| at >= since).count()
    }

    /// How often a side had no path when it wanted to send.
    pub(super) fn pathless_since(&self, side: usize, since: Instant) -> usize {
        self.pathless[side].iter().filter(|&&at| at >= since).count()
    }

    pub(super) fn are_in_generation(&self, number: u32) -> bool {
        self.generations == [number; 2]
            && self.hosts.iter().all(|&host| {
                let agent = self.internet.endpoint(host).agent();
                agent.pairs().any(|pair| pair.selected.is_some() && pair.nominated)
            })
    }

    /// The interface is switched off: the driver knows it at once.
    pub(super) fn lose_interface(&mut self, side: usize, nth: usize) {
        let place = &mut self.places[side][nth];
        place.is_there = false;
        self.internet.detach(place.interface);
        self.tell_sockets(side);
    }

    /// The interface is switched on.
    pub(super) fn gain_interface(&mut self, side: usize, nth: usize) {
        let place = &mut self.places[side][nth];
        place.is_there = true;
        let Place { interface, realm, ref addresses, .. } = *place;
        let attach = Scheduled::Attach { interface, realm, addresses: addresses.clone() };
        self.internet.after(Duration::ZERO, attach);
        self.run(Duration::from_millis(1));
        self.tell_sockets(side);
    }

    fn tell_sockets(&mut self, side: usize) {
        let there = self.places[side].iter().filter(|place| place.is_there);
        let sockets: Vec<Interface> = there.flat_map(|place| place.sockets.clone()).collect();
        self.internet.with(self.hosts[side], |driver, now| driver.change_network(sockets, now));
    }

    /// These sides restart, `apart` from one another.
    pub(super) fn restart(&mut self, who: &[usize], apart: Duration) {
        for (nth, &side) in who.iter().enumerate() {
            self.internet.after(apart * nth as u32, Scheduled::Alarm(Act::Restart(side)));
        }
    }

    fn offer(&mut self, side: usize) -> Credentials {
        let drawn = || self.internet.with(self.hosts[side], |driver, now| driver.prepare_restart(now));
        self.offers[side].get_or_insert_with(drawn).clone()
    }

    /// A description of the next generation: an offer, or the answer to ours.
    fn hear_offer(&mut self, side: usize, theirs: Credentials, candidates: Vec<Candidate>) {
        if self.generations[side] == 0 {
            let is_answered = self.offers[side].is_some();
            let credentials = self.offer(side);
            self.offers[side] = None;
            self.generations[side] = 1;
            self.internet.with(self.hosts[side], |driver, now| driver.restart(credentials.clone(), now));
            if !is_answered {
                let (credentials, candidates) = self.description(side, Some(credentials));
                self.internet.after(ONE_WAY, Scheduled::Alarm(Act::Hear(1 - side, credentials, candidates)));
            }
        }
        self.hear(side, theirs, candidates);
    }

    fn hear(&mut self, side: usize, credentials: Credentials, candidates: Vec<Candidate>) {
        self.internet.with(self.hosts[side], |driver, now| {
            driver.set_remote_credentials(credentials, now);
            candidates.into_iter().for_each(|candidate| driver.add_remote_candidate(candidate, now));
            driver.end_of_remote_candidates(now);
        });
    }

    fn description(&self, side: usize, credentials: Option<Credentials>) -> (Credentials, Vec<Candidate>) {
        let agent = self.internet.endpoint(self.hosts[side]).agent();
        let credentials = credentials.unwrap_or_else(|| agent.local_credentials().clone());
        (credentials, agent.local_candidates().iter().map(|local| local.candidate).collect())
    }
}

/// Attaches a machine to a network of this kind, half of the way from the other side.
fn lay(
    internet: &mut Internet<Driver, Act>,
    host: HostId,
    (side, nth): (usize, usize),
    kind: Kind,
    interface: InterfaceKind,
) -> Place {
    let net = (10 * side + nth) as u8;
    let mut realm = internet.public();
    let mut routers = Vec::new();
    for (depth, config) in kind.routers().into_iter().enumerate() {
        let address = if depth == 0 { outside((side, nth)) } else { Ipv4Addr::new(100, 64, net, 10).into() };
        let (router, inner) = internet.add_router(realm, &[address], Access::default(), config);
        routers.push(router);
        realm = inner;
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    if kind.has_ipv6() {
        addresses.push(Ipv6Addr::new(0x2001, 0xdb8, 0xA, u16::from(net), 0, 0, 0, 0x10).into());
    }
    if kind.has_ipv4() {
        addresses.push(
            Ipv4Addr::from(if routers.is_empty() { [203, 0, 113, 10 + net] } else { [192, 168, net, 10] }).into(),
        );
    }
    // A little jitter, which is less than what would bring datagrams out of order.
    let jitter = Duration::from_millis(4);
    let conditions = Conditions { jitter, ..Conditions::delay(ONE_WAY / 2 - jitter) };
    let attached = internet.attach(host, realm, &addresses, Access::symmetric(conditions));
    let socket = |(which, &address): (usize, &IpAddr)| {
        let base = SocketAddr::new(address, 50_000 + 10 * u16::from(net) + which as u16);
        internet.bind(host, base);
        let server = match (kind, SERVER[0]) {
            (Kind::Nat64, IpAddr::V4(v4)) => synthesise(WELL_KNOWN_PREFIX, v4).into(),
            _ => SERVER[usize::from(address.is_ipv6())],
        };
        Interface {
            socket: HostSocket::on(interface, nth as u32 + 1, base, Protocol::Udp),
            stun: Some(SocketAddr::new(server, SERVER_PORT)),
            relay: None,
        }
    };
    let sockets = addresses.iter().enumerate().map(socket).collect();
    Place { interface: attached, realm, routers, addresses, sockets, is_there: true }
}

/// The address of a network's outermost router.
fn outside((side, nth): (usize, usize)) -> IpAddr {
    Ipv4Addr::new(192, 0, 2 + (10 * side + nth) as u8, 1).into()
}
