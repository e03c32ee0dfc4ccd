//! What a random scenario consists of.

use std::fmt;
use std::time::Duration;

use frazil::ice::{InterfaceKind, Role};
use frazil_conformance::draw;
use frazil_conformance::matrix::{Kind, Servers};
use frazil_internet::{Access, Conditions, Jump, PerMille, Reorder};

/// Two machines in random networks, and what happens to them.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) servers: Servers,
    pub(crate) sides: [Side; 2],
    /// The first network of side 1 is the first one of side 0.
    pub(crate) together: bool,
    /// The time between two checks.
    pub(crate) pacing: Duration,
    pub(crate) renomination: bool,
    /// In the order of their times.
    pub(crate) faults: Vec<Fault>,
    /// From then on nothing more happens, and everything works.
    pub(crate) calm: Duration,
    /// Whether side 0 restarts ICE once all is calm, as an application does that wants a path at last.
    pub(crate) restarts_when_calm: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) role: Role,
    /// What its clock shows at first.
    pub(crate) clock: Duration,
    pub(crate) timer_slack: Duration,
    /// How long what is signalled takes to get here, at the most.
    pub(crate) signalling: Duration,
    /// When it begins to gather.
    pub(crate) begins: Duration,
    /// How often its application says something.
    pub(crate) talks_every: Duration,
    /// Whether its application restarts ICE when the path was lost or the agent has given up.
    pub(crate) restarts_by_itself: bool,
    pub(crate) networks: Vec<Network>,
}

/// What one interface of a machine is attached to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) kind: Kind,
    pub(crate) interface: InterfaceKind,
    pub(crate) access: Access,
    /// The delay of its routers.
    pub(crate) hop: Duration,
}

#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) at: Duration,
    pub(crate) side: usize,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// The access of a network carries nothing for a while.
    LinkDown {
        nth: usize,
        lasts: Duration,
    },
    /// The access of a network is like this for a while.
    LinkChanges {
        nth: usize,
        access: Access,
        lasts: Duration,
    },
    /// The router next to the machine forgets its mappings.
    Rebind {
        nth: usize,
    },
    /// The routers of a network get other addresses outside.
    Renumber {
        nth: usize,
    },
    /// An interface goes and comes back, with another address or with the same. The driver hears of each with a delay.
    Away {
        nth: usize,
        lasts: Duration,
        other_address: bool,
        noticed: [Duration; 2],
    },
    /// Nobody hears the servers for a while.
    ServerDown {
        lasts: Duration,
    },
    /// The server forgets its allocations.
    ServerRestart,
    ClockJump(Jump),
    Sleep {
        lasts: Duration,
        clock_stops: bool,
    },
    /// ICE is restarted; the new generation begins at once, or with the answer.
    Restart {
        waits: bool,
    },
    /// Somebody on the way sends so many datagrams to the machine that it has not asked for.
    Hostility {
        datagrams: u32,
    },
}

impl Scenario {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rng = &mut rng;
        let servers = match rng.u8(..8) {
            0 => Servers::None,
            1 => Servers::TurnUdp,
            _ => Servers::Stun,
        };
        let swapped = rng.bool();
        let sides = [0, 1].map(|side| Side::random(rng, side, swapped));
        let together = rng.u8(..8) == 0;
        let calm = Duration::from_secs(10) + millis(rng, [40_000, 40_000, 120_000, 240_000]);
        let many = rng.usize(1..16);
        let mut faults: Vec<Fault> = (0..many).map(|_| Fault::random(rng, &sides, calm)).collect();
        faults.sort_by_key(|fault| fault.at);
        let mut scenario = Self {
            seed,
            servers,
            sides,
            together,
            pacing: Duration::from_millis([5, 20, 50, 50][rng.usize(..4)]),
            renomination: rng.bool(),
            faults,
            calm,
            restarts_when_calm: rng.bool(),
        };
        scenario.untangle();
        scenario
    }

    /// What lasts and concerns the same thing does not overlap.
    fn untangle(&mut self) {
        let mut free: Vec<(usize, usize, Duration)> = Vec::new();
        let calm = self.calm;
        self.faults.retain_mut(|fault| {
            let (thing, lasts) = match &mut fault.what {
                What::LinkDown { nth, lasts } | What::LinkChanges { nth, lasts, .. } => (*nth, lasts),
                What::Away { nth, lasts, .. } => (10 + *nth, lasts),
                What::ServerDown { lasts } => (20, lasts),
                What::Sleep { lasts, .. } => (30, lasts),
                _ => return true,
            };
            *lasts = (*lasts).min(calm.saturating_sub(fault.at));
            let ends = fault.at + *lasts;
            let side = if thing == 20 { 0 } else { fault.side };
            let taken = free.iter().any(|&(s, t, until)| (s, t) == (side, thing) && until >= fault.at);
            if !taken {
                free.push((side, thing, ends));
            }
            !taken
        });
    }

    /// Where a side is.
    pub(crate) fn networks(&self, side: usize) -> &[Network] {
        &self.sides[side].networks
    }
}

impl Side {
    fn random(rng: &mut fastrand::Rng, side: usize, swapped: bool) -> Self {
        let many = [1, 1, 2, 2, 3][rng.usize(..5)];
        let networks = (0..many).map(|_| Network::random(rng)).collect();
        let controls = (side == 0) != swapped;
        // One in sixteen times, both begin with the same role.
        let controls = controls != (side == 1 && rng.u8(..16) == 0);
        Self {
            role: if controls { Role::Controlling } else { Role::Controlled },
            clock: Duration::from_secs(rng.u64(..1_000_000)),
            timer_slack: if rng.bool() { Duration::ZERO } else { draw::millis(rng, 10) },
            signalling: millis(rng, [200, 200, 200, 3000]),
            begins: draw::millis(rng, 500),
            talks_every: Duration::from_millis([100, 250, 250, 1000, 10_000][rng.usize(..5)]),
            restarts_by_itself: rng.bool(),
            networks,
        }
    }
}

impl Network {
    fn random(rng: &mut fastrand::Rng) -> Self {
        const KINDS: [Kind; 14] = [
            Kind::Public,
            Kind::Ipv4Only,
            Kind::Ipv6Only,
            Kind::DualStack,
            Kind::DualStack,
            Kind::Nat64,
            Kind::FullCone,
            Kind::AddressRestricted,
            Kind::PortRestricted,
            Kind::PortRestricted,
            Kind::Symmetric,
            Kind::SymmetricSequential,
            Kind::DoubleNat,
            Kind::UdpBlocked,
        ];
        const INTERFACES: [InterfaceKind; 4] =
            [InterfaceKind::Ethernet, InterfaceKind::Wifi, InterfaceKind::Cellular, InterfaceKind::Vpn];
        Self {
            kind: KINDS[rng.usize(..KINDS.len())],
            interface: INTERFACES[rng.usize(..INTERFACES.len())],
            access: access(rng),
            hop: draw::millis(rng, 15),
        }
    }
}

fn rarely(rng: &mut fastrand::Rng) -> bool {
    rng.u8(..4) == 0
}

/// A time up to one of these.
fn millis<const N: usize>(rng: &mut fastrand::Rng, most: [u64; N]) -> Duration {
    let most = most[rng.usize(..N)];
    draw::millis(rng, most)
}

fn chance(rng: &mut fastrand::Rng, most: u16) -> PerMille {
    PerMille(if rarely(rng) { rng.u16(..most) } else { 0 })
}

fn access(rng: &mut fastrand::Rng) -> Access {
    Access { up: conditions(rng), down: conditions(rng) }
}

fn conditions(rng: &mut fastrand::Rng) -> Conditions {
    Conditions {
        delay: millis(rng, [50, 50, 50, 300]),
        jitter: if rarely(rng) { draw::millis(rng, 60) } else { Duration::ZERO },
        loss: chance(rng, 150),
        duplication: chance(rng, 100),
        reorder: Reorder { chance: chance(rng, 100), extra_delay: draw::millis(rng, 100) },
        rate: rarely(rng).then(|| rng.u64(64_000..2_000_000)),
        queue: rng.u32(4_000..64_000),
        mtu: rarely(rng).then(|| rng.u16(576..1500)),
    }
}

impl Fault {
    fn random(rng: &mut fastrand::Rng, sides: &[Side; 2], calm: Duration) -> Self {
        let at = draw::millis(rng, calm.as_millis() as u64);
        let side = rng.usize(..2);
        let nth = rng.usize(..sides[side].networks.len());
        let lasts = millis(rng, [8_000, 8_000, 90_000]);
        let what = match rng.u8(..14) {
            0 | 1 => What::LinkDown { nth, lasts },
            2 => What::LinkChanges { nth, access: access(rng), lasts },
            3 | 4 => What::Rebind { nth },
            5 => What::Renumber { nth },
            6 | 7 => {
                let noticed = [0, 1].map(|_| millis(rng, [50, 2_000]));
                What::Away { nth, lasts, other_address: rng.bool(), noticed }
            }
            8 => What::ServerDown { lasts },
            9 if rng.bool() => What::ServerRestart,
            9 => What::Sleep { lasts, clock_stops: rng.bool() },
            10 if rng.bool() => What::ClockJump(Jump::Forward(lasts)),
            10 => What::ClockJump(Jump::Backward(lasts)),
            11 | 12 => What::Restart { waits: rng.bool() },
            _ => What::Hostility { datagrams: rng.u32(1..200) },
        };
        Self { at, side, what }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} side {}: {:?}", self.at, self.side, self.what)
    }
}
