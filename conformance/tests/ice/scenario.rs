//! What a seed means: two agents, their addresses, what lies between them, and what happens to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use frazil::ice::Role;
use frazil_conformance::net::{Conditions, Jump, PerMille};

/// Loss in both directions up to which two agents have to find each other and to stay together: of the six
/// consent checks in 30 s all go unanswered once in two thousand times.
pub(crate) const BEARABLE: PerMille = PerMille(150);

/// Steps of clocks and pauses in sum that a connection outlives: well below the 30 s of consent.
const BEARABLE_PAUSE: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) sides: [Side; 2],
    pub(crate) links: Vec<Link>,
    /// The two roles that offer and answer gave; both the same is a conflict.
    pub(crate) roles: [Role; 2],
    pub(crate) disturbances: Vec<Disturbance>,
    /// For the network and the agents.
    pub(crate) seed: u64,
}

#[derive(Debug)]
pub(crate) struct Side {
    /// Addresses, and when they become known to the agent.
    pub(crate) candidates: Vec<(SocketAddr, Duration)>,
    /// When the agent is told that there are no more, if it is told.
    pub(crate) gathered: Option<Duration>,
    /// When the other side's credentials arrive.
    pub(crate) credentials: Duration,
    /// How long the other side's candidates take to get here, at the most.
    pub(crate) signalling: Duration,
    /// Whether the end of the other side's candidates is signalled too, once it is known.
    pub(crate) told_of_end: bool,
    pub(crate) timer_slack: Duration,
    /// What its clock shows at the beginning.
    pub(crate) clock: Duration,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) ends: (IpAddr, IpAddr),
    pub(crate) there: Conditions,
    pub(crate) back: Conditions,
}

#[derive(Debug)]
pub(crate) struct Disturbance {
    pub(crate) side: usize,
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Jump(Jump),
    /// The machine sleeps for a while; its clock sleeps too or does not.
    Sleep {
        lasts: Duration,
        clock_stops: bool,
    },
}

impl Scenario {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let sides = [0, 1].map(|side| random_side(side, &mut rng));
        let roles = match rng.u8(..10) {
            0 => [Role::Controlling; 2],
            1 => [Role::Controlled; 2],
            2..6 => [Role::Controlling, Role::Controlled],
            _ => [Role::Controlled, Role::Controlling],
        };
        let links = random_links(&sides, &mut rng);
        let disturbances = random_disturbances(&mut rng);
        Self { sides, links, roles, disturbances, seed }
    }

    /// Two agents on one or two good links, undisturbed.
    pub(crate) fn calm(seed: u64, rng: &mut fastrand::Rng) -> Self {
        let mut scenario = Self::random(seed);
        scenario.disturbances.clear();
        scenario.links.clear();
        let wide = rng.usize(..2);
        for (nth, side) in scenario.sides.iter_mut().enumerate() {
            let address = |last| SocketAddr::new(Ipv4Addr::new(10, nth as u8, 0, last).into(), 4_000);
            side.candidates = vec![(address(1), Duration::ZERO)];
            if nth == wide && rng.bool() {
                side.candidates.push((address(2), millis(rng, 1_000)));
            }
        }
        for (a, _) in &scenario.sides[0].candidates {
            for (b, _) in &scenario.sides[1].candidates {
                let mut direction =
                    || Conditions { delay: millis(rng, 200), jitter: millis(rng, 50), ..Conditions::default() };
                scenario.links.push(Link { ends: (a.ip(), b.ip()), there: direction(), back: direction() });
            }
        }
        scenario
    }

    /// When the last thing that signalling or gathering brings has arrived.
    pub(crate) fn signalled(&self) -> Duration {
        let of_side = |side: usize| {
            let (here, there) = (&self.sides[side], &self.sides[1 - side]);
            let known = there.candidates.iter().map(|(_, at)| *at).max().unwrap_or_default();
            let last = known.max(there.gathered.unwrap_or_default()) + here.signalling;
            last.max(here.credentials) + self.asleep(side)
        };
        of_side(0).max(of_side(1))
    }

    /// When the last disturbance is over.
    pub(crate) fn calm_from(&self) -> Duration {
        let over = |disturbance: &Disturbance| match disturbance.what {
            What::Jump(_) => disturbance.at,
            What::Sleep { lasts, .. } => disturbance.at + lasts,
        };
        self.disturbances.iter().map(over).max().unwrap_or_default().max(self.signalled())
    }

    /// How long a side's machine sleeps in sum.
    fn asleep(&self, side: usize) -> Duration {
        let of_side = self.disturbances.iter().filter(|disturbance| disturbance.side == side);
        of_side.map(|d| if let What::Sleep { lasts, .. } = d.what { lasts } else { Duration::ZERO }).sum()
    }

    /// Loss of the links that carry datagrams both ways, in the worse direction, as many as there are.
    fn losses(&self) -> impl Iterator<Item = PerMille> + '_ {
        self.links.iter().map(|link| link.there.loss.max(link.back.loss)).filter(|loss| *loss < PerMille::ALWAYS)
    }

    /// Whether nothing gets through any link, there and back.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.losses().next().is_none()
    }

    /// Whether the two must find each other: there is a path that is not too bad, and neither is away for so
    /// long that the other may give up.
    pub(crate) fn must_connect(&self) -> bool {
        self.losses().any(|loss| loss <= BEARABLE) && self.pauses() <= BEARABLE_PAUSE
    }

    /// Whether they must stay connected as well: no path that they may choose is too bad.
    pub(crate) fn must_stay_connected(&self) -> bool {
        self.must_connect() && self.losses().all(|loss| loss <= BEARABLE)
    }

    /// How much time the two lose in sum, by their clocks or by that of the world.
    fn pauses(&self) -> Duration {
        let lost = |disturbance: &Disturbance| match disturbance.what {
            What::Jump(Jump::Forward(by)) => by,
            What::Jump(Jump::Backward(_)) => Duration::ZERO,
            What::Sleep { lasts, .. } => lasts,
        };
        self.disturbances.iter().map(lost).sum()
    }

    /// Whether both clocks run evenly and both machines stay awake.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.disturbances.is_empty()
    }

    /// How often a clock steps back. Each time the sleep that is under way can be for nothing: its end shows a time
    /// at which nothing is due.
    pub(crate) fn steps_back(&self) -> u32 {
        let back = |disturbance: &&Disturbance| {
            matches!(disturbance.what, What::Jump(Jump::Backward(_)) | What::Sleep { clock_stops: true, .. })
        };
        self.disturbances.iter().filter(back).count() as u32
    }

    /// How many pairs share a foundation at the most: one after the other is tried.
    pub(crate) fn pairs_in_a_group(&self) -> u32 {
        let most_on_one_ip = |side: &Side| {
            let on = |ip| side.candidates.iter().filter(|(address, _)| address.ip() == ip).count();
            side.candidates.iter().map(|(address, _)| on(address.ip())).max().unwrap_or_default()
        };
        (most_on_one_ip(&self.sides[0]) * most_on_one_ip(&self.sides[1])) as u32
    }
}

fn millis(rng: &mut fastrand::Rng, most: u64) -> Duration {
    Duration::from_millis(rng.u64(..=most))
}

fn random_side(side: u8, rng: &mut fastrand::Rng) -> Side {
    let trickles = rng.bool();
    let mut candidates: Vec<(SocketAddr, Duration)> = Vec::new();
    for nth in 0..rng.u8(1..=4) {
        let ip = match candidates.last() {
            // Another socket on the same interface: the same foundation.
            Some((before, _)) if rng.u8(..8) == 0 => before.ip(),
            _ if rng.u8(..4) == 0 => Ipv6Addr::new(0xFD00, side.into(), nth.into(), 0, 0, 0, 0, 1).into(),
            _ => Ipv4Addr::new(10, side, nth, 1).into(),
        };
        let at = if trickles { millis(rng, 1_000) } else { Duration::ZERO };
        candidates.push((SocketAddr::new(ip, 4_000 + u16::from(nth)), at));
    }
    let known = candidates.iter().map(|(_, at)| *at).max().unwrap_or_default();
    let slack = if rng.bool() { 15 } else { 0 };
    Side {
        candidates,
        gathered: (rng.u8(..8) > 0).then(|| known + millis(rng, 500)),
        credentials: millis(rng, 1_000),
        signalling: millis(rng, 2_000),
        told_of_end: rng.u8(..8) > 0,
        timer_slack: millis(rng, slack),
        clock: Duration::from_secs(rng.u64(..100_000)),
    }
}

fn random_links(sides: &[Side; 2], rng: &mut fastrand::Rng) -> Vec<Link> {
    let isolated = rng.u8(..16) == 0;
    let most_lost = [0, 20, 100, BEARABLE.0, 400][rng.usize(..5)];
    let most_delay = [5, 50, 300][rng.usize(..3)];
    let ips = |side: &Side| {
        let mut ips: Vec<IpAddr> = side.candidates.iter().map(|(address, _)| address.ip()).collect();
        ips.dedup();
        ips
    };
    let mut links = Vec::new();
    for a in ips(&sides[0]) {
        for b in ips(&sides[1]) {
            if isolated || a.is_ipv4() != b.is_ipv4() || rng.u8(..5) == 0 {
                continue;
            }
            let mut conditions = || Conditions {
                delay: millis(rng, most_delay),
                jitter: millis(rng, most_delay),
                loss: PerMille(rng.u16(..=most_lost)),
                duplication: PerMille(rng.u16(..=100)),
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

fn random_disturbances(rng: &mut fastrand::Rng) -> Vec<Disturbance> {
    let many = if rng.u8(..3) == 0 { rng.usize(1..4) } else { 0 };
    let one = |_| {
        let lasts =
            if rng.u8(..4) == 0 { millis(rng, 100_000) } else { millis(rng, BEARABLE_PAUSE.as_millis() as u64) };
        let what = match rng.u8(..3) {
            0 => What::Jump(Jump::Forward(lasts)),
            1 => What::Jump(Jump::Backward(millis(rng, 100_000))),
            _ => What::Sleep { lasts, clock_stops: rng.bool() },
        };
        Disturbance { side: rng.usize(..2), at: millis(rng, 20_000), what }
    };
    // One sleep at a time: disturbances of a side must not overlap.
    let mut all: Vec<Disturbance> = (0..many).map(one).collect();
    all.sort_by_key(|disturbance| disturbance.at);
    let mut free_from = [Duration::ZERO; 2];
    all.retain(|disturbance| {
        let free = free_from[disturbance.side] <= disturbance.at;
        if let (true, What::Sleep { lasts, .. }) = (free, disturbance.what) {
            free_from[disturbance.side] = disturbance.at + lasts;
        }
        free
    });
    all
}
