//! What a change of the path costs an application, with 50 ms from side to side: `cargo test --test faults figures --
//! --nocapture` prints it.

mod ground;

use std::time::Duration;

use frazil::ice::InterfaceKind;
use frazil_conformance::draw;
use frazil_conformance::matrix::Kind;

use ground::{Ground, Talk};

const ROUND_TRIP: Duration = Duration::from_millis(100);

/// How often each figure is taken, with other phases, jitter and backup timers.
const TIMES: u64 = 40;

/// The networks of the two interfaces that side 0 has, and the one of side 1.
const NETWORKS: [([Kind; 2], Kind); 5] = [
    ([Kind::Ipv4Only, Kind::Ipv4Only], Kind::Ipv4Only),
    ([Kind::PortRestricted, Kind::PortRestricted], Kind::PortRestricted),
    ([Kind::DualStack, Kind::PortRestricted], Kind::Public),
    ([Kind::Symmetric, Kind::Symmetric], Kind::FullCone),
    ([Kind::PortRestricted, Kind::DoubleNat], Kind::AddressRestricted),
];

/// Durations that were measured.
#[derive(Default)]
struct Figures(Vec<Duration>);

impl Figures {
    fn worst(&self) -> Duration {
        self.0.iter().copied().max().expect("something was measured")
    }

    /// How many of a thousand are shorter.
    fn share_below(&self, bound: Duration) -> usize {
        self.0.iter().filter(|&&duration| duration < bound).count() * 1000 / self.0.len()
    }

    fn print(&mut self, what: &str) {
        self.0.sort_unstable();
        let median = self.0[self.0.len() / 2];
        println!("{what}: median {median:.0?}, worst {:.0?} of {}", self.worst(), self.0.len());
    }
}

/// Two interfaces on side 0, settled on the first with the second held ready, and talking.
fn talking_over_two(seed: u64, networks: ([Kind; 2], Kind), talk: Talk) -> Ground {
    let ([first, second], other) = networks;
    let sides =
        [vec![(first, InterfaceKind::Wifi), (second, InterfaceKind::Cellular)], vec![(other, InterfaceKind::Ethernet)]];
    let mut ground = Ground::new(seed, sides, false);
    ground.talk(talk);
    // Once a second a pair on another base is tried until one works; and something of a random phase.
    let phase = draw::millis(&mut fastrand::Rng::with_seed(seed), 10_000);
    ground.run(Duration::from_secs(8) + phase);
    assert!(ground.is_over(0, 0), "it is on the first interface");
    ground
}

#[test]
fn a_path_that_dies_silently_interrupts_media_for_less_than_two_round_trips() {
    let mut all = Figures::default();
    for networks in NETWORKS {
        let mut figures = Figures::default();
        for seed in 0..TIMES {
            let mut ground = talking_over_two(seed, networks, Talk::Media);
            let cut = ground.now();
            ground.cut(0, 0);
            ground.run(Duration::from_secs(5));
            for side in [0, 1] {
                assert!(ground.is_over(1, side), "seed {seed}, {networks:?}: side {side} is where it was");
                figures.0.push(ground.longest_gap(side, cut));
            }
        }
        figures.print(&format!("silent death, datagrams every 20 ms, {networks:?}"));
        all.0.append(&mut figures.0);
    }
    // Jitter can look like silence, and for a while after such a false alarm the agent is slower to doubt.
    assert!(all.share_below(ROUND_TRIP * 2) >= 990, "{} per mille", all.share_below(ROUND_TRIP * 2));
    assert!(all.worst() < ROUND_TRIP * 5 / 2, "{:?}", all.worst());
}

#[test]
fn a_path_that_dies_silently_interrupts_requests_and_answers_little_longer_than_an_answer_may_take() {
    let mut all = Figures::default();
    for networks in NETWORKS {
        let mut figures = Figures::default();
        for seed in 0..TIMES {
            let mut ground = talking_over_two(seed, networks, Talk::Requests);
            let cut = ground.now();
            ground.cut(0, 0);
            ground.run(Duration::from_secs(5));
            // From the first request that was lost to the next one that is answered.
            figures.0.push(ground.longest_silence_after_a_request(cut));
        }
        figures.print(&format!("silent death, requests and answers, {networks:?}"));
        all.0.append(&mut figures.0);
    }
    // An answer may take two round trips and what SCTP holds an acknowledgement back; then the others are asked, and the
    // next request is answered.
    let bound = ROUND_TRIP * 2 + Duration::from_millis(250) + ROUND_TRIP * 2 + ground::REQUESTS_EVERY.1;
    assert!(all.worst() < bound, "{:?}", all.worst());
}

#[test]
fn an_interface_that_goes_in_order_loses_nothing_that_the_other_could_carry() {
    let mut figures = Figures::default();
    for networks in NETWORKS {
        for seed in 0..TIMES {
            let mut ground = talking_over_two(seed, networks, Talk::Media);
            let gone = ground.now();
            ground.lose_interface(0, 0);
            ground.run(Duration::from_secs(5));
            let [ours, theirs] = [0, 1].map(|side| ground.sent_since(side, gone));
            assert!(ours.iter().all(|sent| sent.arrived), "seed {seed}, {networks:?}: ours were lost");
            // They cannot know before the first two of ours are there. Whatever goes over the other path arrives.
            let knows = gone + ROUND_TRIP / 2 + ground::RHYTHM * 3;
            let late = theirs.iter().filter(|sent| !sent.arrived).map(|sent| sent.at).max();
            assert!(late.is_none_or(|late| late <= knows), "seed {seed}, {networks:?}: {:?}", late.map(|at| at - gone));
            for side in [0, 1] {
                figures.0.push(ground.longest_gap(side, gone));
            }
        }
    }
    figures.print("an interface goes in order");
    assert!(figures.worst() < ROUND_TRIP * 2, "{:?}", figures.worst());
}

#[test]
fn a_better_interface_is_moved_to_without_losing_anything() {
    for networks in NETWORKS {
        for seed in 0..TIMES {
            let ([first, second], other) = networks;
            let sides = [
                vec![(second, InterfaceKind::Wifi), (first, InterfaceKind::Cellular)],
                vec![(other, InterfaceKind::Ethernet)],
            ];
            let mut ground = Ground::new(seed, sides, true);
            ground.talk(Talk::Media);
            ground.run(Duration::from_secs(10));
            assert!(ground.is_over(1, 0), "only the second is there");
            let came = ground.now();
            ground.gain_interface(0, 0);
            // The other side is told of the new addresses once they are gathered.
            ground.run(Duration::from_secs(1));
            ground.restart(&[0], Duration::ZERO);
            // Moves that nothing forces are rare where there were some.
            let moved = (0..12).any(|_| {
                ground.run(Duration::from_secs(10));
                ground.is_over(0, 0)
            });
            ground.run(Duration::from_secs(2));
            for side in [0, 1] {
                let lost = ground.sent_since(side, came).iter().filter(|sent| !sent.arrived).count();
                assert_eq!(lost, 0, "seed {seed}, {networks:?}: side {side}");
            }
            assert!(moved, "seed {seed}, {networks:?}: it is still on the costly one");
        }
    }
}

#[test]
fn a_nat_that_forgets_is_noticed_and_followed() {
    for (inside, other) in [
        (Kind::PortRestricted, Kind::Ipv4Only),
        (Kind::PortRestricted, Kind::FullCone),
        (Kind::FullCone, Kind::AddressRestricted),
        (Kind::Symmetric, Kind::Ipv4Only),
        (Kind::DoubleNat, Kind::Ipv4Only),
    ] {
        let mut figures = Figures::default();
        for seed in 0..TIMES {
            let sides = [vec![(inside, InterfaceKind::Wifi)], vec![(other, InterfaceKind::Ethernet)]];
            let mut ground = Ground::new(seed, sides, false);
            ground.talk(Talk::Media);
            ground.run(Duration::from_secs(8) + draw::millis(&mut fastrand::Rng::with_seed(seed), 10_000));
            let forgot = ground.now();
            ground.rebind(0, 0);
            ground.run(Duration::from_secs(10));
            for side in [0, 1] {
                figures.0.push(ground.longest_gap(side, forgot));
                let still = ground.arrivals_since(side, forgot + Duration::from_secs(9));
                assert!(still > 0, "seed {seed}, {inside} {other}: side {side} hears nothing any more");
            }
        }
        figures.print(&format!("a NAT forgets, {inside} to {other}"));
        assert!(figures.worst() < Duration::from_secs(2), "{inside} {other}: {:?}", figures.worst());
    }
}

#[test]
fn a_restart_while_both_talk_loses_nothing() {
    for networks in NETWORKS {
        for seed in 0..TIMES {
            for who in [&[0][..], &[1], &[0, 1]] {
                let mut ground = talking_over_two(seed, networks, Talk::Media);
                let began = ground.now();
                ground.restart(who, draw::millis(&mut fastrand::Rng::with_seed(seed), 300));
                ground.run(Duration::from_secs(5));
                for side in [0, 1] {
                    let lost = ground.sent_since(side, began).iter().filter(|sent| !sent.arrived).count();
                    assert_eq!(
                        (lost, ground.pathless_since(side, began)),
                        (0, 0),
                        "seed {seed}, {networks:?}, by {who:?}: side {side}"
                    );
                }
                assert!(ground.are_in_generation(1), "seed {seed}, {networks:?}: still on the path from before");
            }
        }
    }
}
