use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::{Instant, Path, Protocol};

use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// Sends its count to the other side every second and says what it hears, with its own clock's reading.
struct Beacon {
    path: Path,
    count: u32,
    to_send: Option<u32>,
    next: Option<Instant>,
    heard: VecDeque<Heard>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Heard {
    count: u32,
    at: Instant,
}

impl Beacon {
    fn new(local: SocketAddr, remote: SocketAddr, now: Instant) -> Self {
        let path = Path { protocol: Protocol::Udp, local, remote };
        Self { path, count: 0, to_send: None, next: Some(now + SECOND), heard: VecDeque::new() }
    }
}

impl Endpoint for Beacon {
    type Event = Heard;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        assert_eq!(path, self.path);
        self.heard.push_back(Heard { count: u32::from_be_bytes(datagram.try_into().unwrap()), at: now });
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_some_and(|next| next <= now) {
            self.to_send = Some(self.count);
            self.count += 1;
            self.next = Some(now + SECOND);
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        buffer[..4].copy_from_slice(&self.to_send.take()?.to_be_bytes());
        Some((self.path, 4))
    }

    fn poll_event(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.next
    }
}

const A: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 1000);
const B: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 2000);

/// Two beacons; the first one's clock starts at 1000 s, the second one's at 5000 s, and it is silent.
fn beacons(seed: u64, conditions: Conditions) -> (Internet<Beacon>, [HostId; 2], LinkId) {
    let mut network = Internet::new(seed);
    let a = network.add_host(Instant::from_millis(1_000_000), |now| Beacon::new(A, B, now));
    let b = network.add_host(Instant::from_millis(5_000_000), |now| Beacon { next: None, ..Beacon::new(B, A, now) });
    network.bind(a, A);
    network.bind(b, B);
    let link = network.wire(A.ip(), B.ip(), conditions, conditions);
    (network, [a, b], link)
}

fn heard(network: &mut Internet<Beacon>, until: Instant) -> Vec<Heard> {
    let mut all = Vec::new();
    network.run(until, |_, heard| all.push(heard));
    all
}

fn at_millis(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn a_datagram_arrives_after_the_delay_on_the_clock_of_its_receiver() {
    let delay = Duration::from_millis(30);
    let (mut network, _, _) = beacons(1, Conditions { delay, ..Conditions::default() });
    assert_eq!(heard(&mut network, at_millis(1_029)), []);
    assert_eq!(heard(&mut network, at_millis(1_030)), [Heard { count: 0, at: at_millis(5_001_030) }]);
    assert_eq!(network.now(), at_millis(1_030));
}

#[test]
fn chance_follows_the_seed_and_keeps_to_its_rates() {
    let harsh = Conditions {
        delay: Duration::from_millis(10),
        jitter: 3 * SECOND,
        loss: PerMille(250),
        duplication: PerMille(100),
        ..Conditions::default()
    };
    let counts = |seed| {
        let (mut network, _, _) = beacons(seed, harsh);
        heard(&mut network, at_millis(4_000_000)).iter().map(|heard| heard.count).collect::<Vec<_>>()
    };
    let first = counts(7);
    assert_eq!(first, counts(7));
    assert_ne!(first, counts(8));
    assert!(!first.is_sorted(), "three seconds of jitter put datagrams that leave every second out of order");
    let mut distinct = first.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // 4000 sent; the bounds are four standard deviations wide.
    assert!((2_890..=3_110).contains(&distinct.len()), "{} of 4000 arrived at a loss of 25 %", distinct.len());
    let copies = first.len() - distinct.len();
    assert!((235..=365).contains(&copies), "{copies} of {} came twice at 10 %", distinct.len());
}

#[test]
fn a_link_that_is_down_loses_what_is_on_it() {
    let conditions = Conditions { delay: Duration::from_millis(500), ..Conditions::default() };
    let (mut network, _, link) = beacons(1, conditions);
    network.at(at_millis(2_200), Scheduled::LinkDown(link));
    network.at(at_millis(4_200), Scheduled::LinkUp(link));
    let counts: Vec<u32> = heard(&mut network, at_millis(6_000)).iter().map(|heard| heard.count).collect();
    // Number 1 was under way when the link went down, number 2 was sent meanwhile, number 3 (sent while down
    // as well) too.
    assert_eq!(counts, [0, 4]);
}

#[test]
fn addresses_without_a_link_and_sockets_that_nobody_bound_are_silent() {
    let mut network: Internet<Beacon> = Internet::new(1);
    let a = network.add_host(Instant::ZERO, |now| Beacon::new(A, B, now));
    network.bind(a, A);
    assert_eq!(heard(&mut network, at_millis(5_000)), []);
    network.wire(A.ip(), B.ip(), Conditions::default(), Conditions::default());
    assert_eq!(heard(&mut network, at_millis(10_000)), []);
    assert_eq!(network.counters(a).sent, 10);
}

#[test]
fn a_clock_that_jumps_does_not_move_a_sleep() {
    let (mut network, [a, b], _) = beacons(1, Conditions::default());
    network.at(at_millis(1_500), Scheduled::ClockJump(b, Jump::Backward(100 * SECOND)));
    network.at(at_millis(2_500), Scheduled::ClockJump(a, Jump::Forward(100 * SECOND)));
    let clocks: Vec<Instant> = heard(&mut network, at_millis(4_000)).iter().map(|heard| heard.at).collect();
    assert_eq!(clocks, [at_millis(5_001_000), at_millis(4_902_000), at_millis(4_903_000), at_millis(4_904_000)]);
    // A step back under the sender: it wakes on time, sees that its deadline is ahead, and sleeps again.
    network.at(at_millis(4_500), Scheduled::ClockJump(a, Jump::Backward(Duration::from_millis(300))));
    assert_eq!(heard(&mut network, at_millis(5_299)), []);
    assert_eq!(heard(&mut network, at_millis(5_300)).len(), 1);
}

#[test]
fn a_suspended_machine_hears_nothing_and_catches_up_with_its_timer() {
    let (mut network, [a, b], _) = beacons(1, Conditions::default());
    network.at(at_millis(2_500), Scheduled::Suspend(a));
    network.at(at_millis(7_700), Scheduled::Resume(a));
    let sent: Vec<Instant> = heard(&mut network, at_millis(9_000)).iter().map(|heard| heard.at).collect();
    assert_eq!(sent, [at_millis(5_001_000), at_millis(5_002_000), at_millis(5_007_700), at_millis(5_008_700)]);
    network.after(Duration::ZERO, Scheduled::Suspend(b));
    assert_eq!(heard(&mut network, at_millis(12_000)), []);
    assert!(network.is_suspended(b));
}

#[test]
fn slack_makes_timers_late_and_never_early() {
    let (mut network, [a, _], _) = beacons(1, Conditions::default());
    network.set_timer_slack(a, Duration::from_millis(100));
    network.with(a, |_, _| ());
    let clocks: Vec<Instant> = heard(&mut network, at_millis(50_000)).iter().map(|heard| heard.at).collect();
    let gaps: Vec<Duration> = clocks.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.iter().all(|gap| (SECOND..=SECOND + Duration::from_millis(100)).contains(gap)));
    assert!(gaps.iter().any(|gap| *gap > SECOND + Duration::from_millis(50)));
}

#[test]
fn a_call_is_followed_by_what_a_driver_does() {
    let (mut network, [a, b], _) = beacons(1, Conditions::default());
    network.start_record();
    network.with(a, |beacon, now| {
        assert_eq!(now, at_millis(1_000_000));
        (beacon.to_send, beacon.next) = (Some(99), None);
    });
    network.at(at_millis(3_000), Scheduled::Alarm(()));
    assert!(matches!(network.next(at_millis(9_000)), Some(Step::Event(host, Heard { count: 99, .. })) if host == b));
    assert!(matches!(network.next(at_millis(9_000)), Some(Step::Alarm(()))));
    assert_eq!(network.now(), at_millis(3_000));
    assert!(network.next(at_millis(9_000)).is_none(), "the timer was taken back");
    let path = Path { protocol: Protocol::Udp, local: A, remote: B };
    assert_eq!(network.record(), [Sent { at: Instant::ZERO, host: a, path, datagram: vec![0, 0, 0, 99] }]);
}

/// Never satisfied.
struct Restless;

impl Endpoint for Restless {
    type Event = ();
    fn handle_datagram(&mut self, _: Path, _: &[u8], _: Instant) {}
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_transmit(&mut self, _: &mut [u8]) -> Option<(Path, usize)> {
        None
    }
    fn poll_event(&mut self) -> Option<()> {
        None
    }
    fn poll_timeout(&mut self) -> Option<Instant> {
        Some(Instant::ZERO)
    }
}

#[test]
#[should_panic(expected = "was woken 10000 times within second 0")]
fn an_endpoint_that_never_sleeps_is_found() {
    let mut network: Internet<Restless> = Internet::new(1);
    network.add_host(Instant::ZERO, |_| Restless);
    network.run(at_millis(1), |_, ()| ());
}
