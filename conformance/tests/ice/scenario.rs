//! What a seed means: two agents, their addresses, what lies between them, and what happens to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use frazil::ice::Role;
use frazil_conformance::disturbance::Disturbances;
use frazil_conformance::draw::millis;
use frazil_conformance::topology::{Bounds, Link, Socket, Topology};
use frazil_internet::{Conditions, PerMille};

/// Loss in both directions up to which two agents have to find each other and to stay together: of the six
/// consent checks in 30 s all go unanswered once in two thousand times.
const BEARABLE: PerMille = PerMille(150);

/// Steps of clocks and pauses in sum that a connection outlives: well below the 30 s of consent.
const BEARABLE_PAUSE: Duration = Duration::from_secs(8);

const BOUNDS: Bounds = Bounds { loss: &[0, 20, 100, BEARABLE.0, 400], delay: &[5, 50, 300] };

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) topology: Topology,
    pub(crate) sides: [Side; 2],
    /// The two roles that offer and answer gave; both the same is a conflict.
    pub(crate) roles: [Role; 2],
    pub(crate) disturbances: Disturbances,
    pub(crate) restarts: Vec<Restart>,
    /// For the network and the agents.
    pub(crate) seed: u64,
}

#[derive(Debug)]
pub(crate) struct Side {
    /// When the agent is told that there are no more candidates, if it is told.
    pub(crate) gathered: Option<Duration>,
    /// When the other side's credentials arrive.
    pub(crate) credentials: Duration,
    /// How long what is signalled later takes to get here, at the most.
    pub(crate) signalling: Duration,
    /// Whether the end of the other side's candidates is signalled too, once it is known.
    pub(crate) told_of_end: bool,
    pub(crate) timer_slack: Duration,
    /// What its clock shows at the beginning.
    pub(crate) clock: Duration,
}

/// A side wants ICE to begin anew. The other side follows as soon as it hears of it, unless it has begun by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restart {
    pub(crate) side: usize,
    pub(crate) at: Duration,
    /// Whether its own agent waits until the other side's has restarted, as an offerer's does.
    pub(crate) waits: bool,
}

impl Scenario {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let gathering = [0, 1].map(|_| if rng.bool() { Duration::from_secs(1) } else { Duration::ZERO });
        let topology = Topology::random(&mut rng, gathering, &BOUNDS);
        let sides = [0, 1].map(|side| random_side(topology.known(side), &mut rng));
        let roles = match rng.u8(..10) {
            0 => [Role::Controlling; 2],
            1 => [Role::Controlled; 2],
            2..6 => [Role::Controlling, Role::Controlled],
            _ => [Role::Controlled, Role::Controlling],
        };
        let disturbances = Disturbances::random(&mut rng, BEARABLE_PAUSE);
        let restarts = if rng.u8(..3) == 0 { random_restarts(&mut rng) } else { Vec::new() };
        Self { topology, sides, roles, disturbances, restarts, seed }
    }

    /// Two agents on one or two good links, undisturbed.
    pub(crate) fn calm(seed: u64, rng: &mut fastrand::Rng) -> Self {
        let mut scenario = Self::random(seed);
        scenario.disturbances = Disturbances::default();
        scenario.restarts.clear();
        let wide = rng.usize(..2);
        for (nth, sockets) in scenario.topology.sockets.iter_mut().enumerate() {
            let address = |last| SocketAddr::new(Ipv4Addr::new(10, nth as u8, 0, last).into(), 4_000);
            *sockets = vec![Socket { address: address(1), known: Duration::ZERO }];
            if nth == wide && rng.bool() {
                sockets.push(Socket { address: address(2), known: millis(rng, 1_000) });
            }
        }
        scenario.topology.links.clear();
        for a in &scenario.topology.sockets[0] {
            for b in &scenario.topology.sockets[1] {
                let mut direction =
                    || Conditions { delay: millis(rng, 200), jitter: millis(rng, 50), ..Conditions::default() };
                let ends = (a.address.ip(), b.address.ip());
                scenario.topology.links.push(Link { ends, there: direction(), back: direction() });
            }
        }
        scenario
    }

    /// A scenario in which ICE restarts at least once.
    pub(crate) fn restarting(seed: u64) -> Self {
        let mut scenario = Self::random(seed);
        if scenario.restarts.is_empty() {
            scenario.restarts = random_restarts(&mut fastrand::Rng::with_seed(!seed));
        }
        scenario
    }

    /// When the last thing that signalling or gathering brings has arrived.
    pub(crate) fn signalled(&self) -> Duration {
        let of_side = |side: usize| {
            let (here, there) = (&self.sides[side], &self.sides[1 - side]);
            let known = self.topology.known(1 - side);
            let last = known.max(there.gathered.unwrap_or_default()) + here.signalling;
            last.max(here.credentials) + self.disturbances.asleep(side)
        };
        let restarted = self.restarts.iter().map(|restart| restart.at).max().map(|at| {
            let asleep = [0, 1].map(|side| self.disturbances.asleep(side)).iter().sum::<Duration>();
            // There, back, and the candidates after it.
            at + asleep + 2 * (self.sides[0].signalling + self.sides[1].signalling)
        });
        of_side(0).max(of_side(1)).max(restarted.unwrap_or_default())
    }

    /// When the last disturbance is over.
    pub(crate) fn calm_from(&self) -> Duration {
        self.disturbances.over().max(self.signalled())
    }

    /// Whether the two must find each other: there is a path that is not too bad, and neither is away for so
    /// long that the other may give up.
    pub(crate) fn must_connect(&self) -> bool {
        self.topology.has_path_within(BEARABLE) && self.disturbances.pauses() <= BEARABLE_PAUSE
    }

    /// Whether they must stay connected as well: no path that they may choose is too bad.
    pub(crate) fn must_stay_connected(&self) -> bool {
        self.must_connect() && self.topology.has_only_paths_within(BEARABLE)
    }
}

fn random_side(known: Duration, rng: &mut fastrand::Rng) -> Side {
    let slack = if rng.bool() { 15 } else { 0 };
    Side {
        gathered: (rng.u8(..8) > 0).then(|| known + millis(rng, 500)),
        credentials: millis(rng, 1_000),
        signalling: millis(rng, 2_000),
        told_of_end: rng.u8(..8) > 0,
        timer_slack: millis(rng, slack),
        clock: Duration::from_secs(rng.u64(..100_000)),
    }
}

/// One to three; sometimes before there is a connection, and sometimes on both sides at about the same time.
fn random_restarts(rng: &mut fastrand::Rng) -> Vec<Restart> {
    let mut restarts: Vec<Restart> = Vec::new();
    for _ in 0..rng.usize(1..4) {
        let at = match restarts.last() {
            Some(before) if rng.u8(..3) == 0 => before.at + millis(rng, 1_000),
            _ => millis(rng, 30_000),
        };
        restarts.push(Restart { side: rng.usize(..2), at, waits: rng.bool() });
    }
    restarts
}
