//! What a seed means: two peers, what lies between them, how they are signalled, and what they have to say.

use std::time::Duration;

use frazil::peer::{ChannelConfig, MessageKind, Reliability};
use frazil_conformance::disturbance::Disturbances;
use frazil_conformance::draw::millis;
use frazil_conformance::topology::{Bounds, Topology};
use frazil_internet::PerMille;

/// Loss in each direction up to which two peers have to connect and to stay together. Of the six consent checks in
/// 30 s all go unanswered once in a million times, and so do all flights of a handshake.
const BEARABLE: PerMille = PerMille(50);

/// Steps of clocks and pauses in sum that a connection outlives: well below the 30 s of consent.
const BEARABLE_PAUSE: Duration = Duration::from_secs(8);

pub(crate) const LARGEST_MESSAGE: usize = 64 << 10;

const BOUNDS: Bounds = Bounds { loss: &[0, 20, BEARABLE.0, 200], delay: &[5, 50, 200] };

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) topology: Topology,
    pub(crate) disturbances: Disturbances,
    pub(crate) sides: [Side; 2],
    /// Whose offer gives way when both offer at a time.
    pub(crate) polite: usize,
    pub(crate) channels: Vec<Channel>,
    pub(crate) deeds: Vec<Deed>,
    /// Who leaves in the end.
    pub(crate) leaves: usize,
    /// Whether ICE takes hints from the traffic.
    pub(crate) watches_traffic: bool,
    /// For the network and the peers.
    pub(crate) seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// Whether candidates are told as they come. Otherwise a description is sent once it has all of them.
    pub(crate) trickles: bool,
    /// When the peer is told that there are no more sockets, if it is told.
    pub(crate) gathered: Option<Duration>,
    /// How long what is signalled takes to get here, at the most.
    pub(crate) signalling: Duration,
    /// How long it takes to answer, at the most.
    pub(crate) thinking: Duration,
    /// Whether it answers for now first.
    pub(crate) answers_twice: bool,
    /// Whether it takes back its own offer itself when another one comes.
    pub(crate) rolls_back: bool,
    /// Whether it tells every candidate twice.
    pub(crate) repeats: bool,
    pub(crate) send_buffer: usize,
    pub(crate) timer_slack: Duration,
    /// What its clock shows at the beginning.
    pub(crate) clock: Duration,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) config: ChannelConfig,
    /// When each side creates it: one of them, or both if it is negotiated.
    pub(crate) created: [Option<Duration>; 2],
    pub(crate) bursts: Vec<Burst>,
    /// Who closes it, and when, if not in the end.
    pub(crate) closed: Option<(usize, Duration)>,
}

impl Channel {
    /// All that is to be said over it.
    pub(crate) fn bytes(&self) -> usize {
        self.bursts.iter().flat_map(|burst| &burst.messages).map(|(_, len)| len).sum()
    }
}

/// Messages that are sent as fast as the channel takes them.
#[derive(Debug)]
pub(crate) struct Burst {
    pub(crate) side: usize,
    pub(crate) at: Duration,
    pub(crate) messages: Vec<(MessageKind, usize)>,
}

/// What an application does to a peer.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) side: usize,
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// Offers once more what there is.
    Offer,
    /// Restarts ICE.
    Restart,
}

impl Scenario {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let gathering = [0, 1].map(|_| if rng.bool() { Duration::from_secs(1) } else { Duration::ZERO });
        let topology = Topology::random(&mut rng, gathering, &BOUNDS);
        let sides = [0, 1].map(|side| random_side(topology.known(side), &mut rng));
        let disturbances = Disturbances::random(&mut rng, BEARABLE_PAUSE);
        let many = rng.usize(1..6);
        let channels = (0..many).map(|nth| random_channel(nth, &mut rng)).collect();
        let deeds = if rng.bool() { random_deeds(&mut rng) } else { Vec::new() };
        Self {
            topology,
            disturbances,
            sides,
            polite: rng.usize(..2),
            channels,
            deeds,
            leaves: rng.usize(..2),
            watches_traffic: true,
            seed,
        }
    }

    /// The same with clocks that run evenly and timers that fire on time.
    pub(crate) fn undisturbed(seed: u64) -> Self {
        let mut scenario = Self::random(seed);
        scenario.disturbances = Disturbances::default();
        scenario.sides.iter_mut().for_each(|side| side.timer_slack = Duration::ZERO);
        scenario
    }

    /// The same, signalled by hand: descriptions with all candidates in them, and each takes minutes.
    pub(crate) fn slow(seed: u64) -> Self {
        let mut scenario = Self::undisturbed(seed);
        let mut rng = fastrand::Rng::with_seed(!seed);
        scenario.deeds.clear();
        for side in &mut scenario.sides {
            side.signalling = millis(&mut rng, 600_000);
            (side.trickles, side.answers_twice) = (false, false);
            side.gathered = side.gathered.or(Some(Duration::from_secs(2)));
        }
        scenario
    }

    /// When everything has been done, and what was signalled of it has arrived.
    pub(crate) fn done(&self) -> Duration {
        let channels = self.channels.iter().flat_map(|channel| {
            let bursts = channel.bursts.iter().map(|burst| burst.at);
            channel.created.into_iter().flatten().chain(bursts).chain(channel.closed.map(|closed| closed.1))
        });
        let gathered = (0..2).map(|side| self.topology.known(side).max(self.sides[side].gathered.unwrap_or_default()));
        let done = channels.chain(self.deeds.iter().map(|deed| deed.at)).chain(gathered).max().unwrap_or_default();
        let asleep = self.disturbances.asleep(0) + self.disturbances.asleep(1);
        // An offer that is taken back, one that is answered, and what trickles after it.
        let exchange: Duration = self.sides.iter().map(|side| 3 * side.signalling + 2 * side.thinking).sum();
        done.max(self.disturbances.over()) + asleep + 2 * exchange
    }

    /// Whether the two must find each other and stay together: there are paths, none of them is too bad, and neither
    /// side is away for so long that the other may give up.
    pub(crate) fn must_stay_connected(&self) -> bool {
        self.topology.has_path_within(BEARABLE)
            && self.topology.has_only_paths_within(BEARABLE)
            && self.disturbances.pauses() <= BEARABLE_PAUSE
    }

    pub(crate) fn restarts(&self) -> bool {
        self.deeds.iter().any(|deed| deed.what == What::Restart)
    }
}

fn random_side(known: Duration, rng: &mut fastrand::Rng) -> Side {
    let trickles = rng.u8(..3) > 0;
    let slack = if rng.bool() { 15 } else { 0 };
    Side {
        trickles,
        gathered: (!trickles || rng.u8(..8) > 0).then(|| known + millis(rng, 500)),
        signalling: millis(rng, 2_000),
        thinking: millis(rng, 1_000),
        answers_twice: trickles && rng.u8(..8) == 0,
        rolls_back: rng.bool(),
        repeats: rng.u8(..4) == 0,
        send_buffer: [4 << 10, 64 << 10, 1 << 20][rng.usize(..3)],
        timer_slack: millis(rng, slack),
        clock: Duration::from_secs(rng.u64(..100_000)),
    }
}

fn random_channel(nth: usize, rng: &mut fastrand::Rng) -> Channel {
    let negotiated = (rng.u8(..3) == 0).then(|| 200 + 3 * nth as u16);
    // Two channels in three are there before there is a connection.
    let latest = if rng.u8(..3) > 0 { 1_000 } else { 20_000 };
    let mut created = [0, 1].map(|_| Some(millis(rng, latest)));
    if negotiated.is_none() {
        created[rng.usize(..2)] = None;
    }
    let config = ChannelConfig {
        label: format!("{nth} {}", text(rng.usize(..40), rng)),
        protocol: text(rng.usize(..10), rng),
        ordered: rng.bool(),
        reliability: match rng.u8(..4) {
            0 => Reliability::MaxRetransmits(rng.u16(..4)),
            1 => Reliability::MaxPacketLifeTime(rng.u16(..2_000)),
            _ => Reliability::Reliable,
        },
        negotiated,
    };
    let bursts = (0..rng.usize(..5)).map(|_| random_burst(rng)).collect();
    let closed = (rng.u8(..4) == 0).then(|| (rng.usize(..2), millis(rng, 30_000)));
    Channel { config, created, bursts, closed }
}

fn random_burst(rng: &mut fastrand::Rng) -> Burst {
    let one = |rng: &mut fastrand::Rng| {
        let len = match rng.u8(..16) {
            0 | 1 => 0,
            2 => rng.usize(..=LARGEST_MESSAGE),
            3..7 => rng.usize(..5_000),
            _ => rng.usize(1..200),
        };
        (if rng.bool() { MessageKind::Text } else { MessageKind::Binary }, len)
    };
    let many = rng.usize(1..12);
    Burst { side: rng.usize(..2), at: millis(rng, 25_000), messages: (0..many).map(|_| one(rng)).collect() }
}

/// One to four; sometimes before there is a connection, and sometimes on both sides at about the same time.
fn random_deeds(rng: &mut fastrand::Rng) -> Vec<Deed> {
    let mut deeds: Vec<Deed> = Vec::new();
    for _ in 0..rng.usize(1..5) {
        let at = match deeds.last() {
            Some(before) if rng.u8(..3) == 0 => before.at + millis(rng, 1_000),
            _ => millis(rng, 25_000),
        };
        let what = if rng.u8(..3) == 0 { What::Offer } else { What::Restart };
        deeds.push(Deed { side: rng.usize(..2), at, what });
    }
    deeds
}

/// So many bytes of text, of characters of all lengths.
pub(crate) fn text(len: usize, rng: &mut fastrand::Rng) -> String {
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let any = ['a', 'Z', ' ', '\n', '\0', 'é', 'ж', '€', '冰', '𝄞'][rng.usize(..10)];
        text.push(if text.len() + any.len_utf8() > len { '-' } else { any });
    }
    text
}
