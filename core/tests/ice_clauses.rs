//! Clauses of the RFCs, one by one, through the agent's public interface: two agents in virtual time, and a test that
//! reads what they send and hands them what a peer could. `docs/conformance.md` says which clause each shows.

mod world;

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use frazil::ice::{
    Agent, CandidateKind, Config, Credentials, Event, LocalCandidate, PairState, Received, Role, Sent, State,
};
use frazil::stun::{AttributeType, Class, ErrorCode, IntegrityKey, Message, MessageWriter, Method, TransactionId};
use frazil::stun::{RetransmissionConfig, xor_address};
use frazil::{Instant, Path, Protocol};
use world::{Datagram, LEFT, RIGHT, World, address, host};

const L: &str = "192.0.2.1:1000";
const R: &str = "198.51.100.1:2000";

fn pair() -> World {
    World::pair(Config::default(), &[L], &[R])
}

fn connected() -> World {
    let mut world = pair();
    world.signal(LEFT, RIGHT);
    assert!(world.run_until(Duration::from_secs(1), |world| world.all(State::Completed)));
    world
}

fn key(agent: &Agent) -> IntegrityKey {
    IntegrityKey::new(agent.local_credentials().pwd().as_bytes())
}

fn number(message: &Message<'_>, kind: AttributeType) -> Option<u32> {
    message.get(kind).map(|value| u32::from_be_bytes(value.try_into().expect("four bytes")))
}

fn tie_breaker(message: &Message<'_>) -> u64 {
    let value = message.get(AttributeType::ICE_CONTROLLING).or(message.get(AttributeType::ICE_CONTROLLED));
    u64::from_be_bytes(value.expect("one of both").try_into().expect("eight bytes"))
}

fn error_code(message: &Message<'_>) -> Option<u16> {
    message.get(AttributeType::ERROR_CODE).map(|value| ErrorCode::parse(value).expect("an error code").code)
}

/// What a check by hand says.
#[derive(Clone)]
struct Check {
    username: (String, String),
    key: IntegrityKey,
    role: (Role, u64),
    use_candidate: bool,
    priority: u32,
    id: u8,
}

impl Check {
    /// A good one to `to`, as the other side would send it.
    fn to(to: &Agent, from: &Agent) -> Self {
        Self {
            username: (to.local_credentials().ufrag().to_owned(), from.local_credentials().ufrag().to_owned()),
            key: key(to),
            role: (to.role().opposite(), 1),
            use_candidate: false,
            priority: 1_845_501_695,
            id: 1,
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut buf = [0; 300];
        let mut writer = MessageWriter::new(&mut buf, Class::Request, Method::BINDING, TransactionId([self.id; 12]));
        let kind = match self.role.0 {
            Role::Controlling => AttributeType::ICE_CONTROLLING,
            Role::Controlled => AttributeType::ICE_CONTROLLED,
        };
        writer
            .username(&self.username.0, &self.username.1)
            .attribute(AttributeType::PRIORITY, &self.priority.to_be_bytes())
            .attribute(kind, &self.role.1.to_be_bytes());
        if self.use_candidate {
            writer.attribute(AttributeType::USE_CANDIDATE, &[]);
        }
        writer.integrity(&self.key);
        let len = writer.finish_with_fingerprint().expect("room for it");
        buf[..len].to_vec()
    }
}

/// The answer that `by` would give to a request, as a success or as an error.
fn answer(request: &Datagram, by: &Agent, mapped: SocketAddr, error: Option<u16>) -> Vec<u8> {
    let mut buf = [0; 300];
    let class = if error.is_some() { Class::Error } else { Class::Success };
    let mut writer = MessageWriter::new(&mut buf, class, Method::BINDING, request.id());
    match error {
        Some(code) => writer.error_code(ErrorCode { code, reason: "By hand" }),
        None => writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, mapped),
    };
    writer.integrity(&key(by));
    let len = writer.finish_with_fingerprint().expect("room for it");
    buf[..len].to_vec()
}

/// A left agent whose checks the test answers itself, and its first one.
fn first_check() -> (World, Datagram) {
    let mut world = pair();
    world.passes = Box::new(|_| false);
    world.signal(LEFT, RIGHT);
    world.run_for(Duration::from_millis(1));
    let request = world.requests_by(LEFT)[0].clone();
    (world, request)
}

/// Over which path the agent may send data now.
fn may_send(world: &mut World, agent: usize) -> Option<frazil::PathId> {
    let now = world.now;
    match world.agents[agent].send(&mut [0; 100], 1, now) {
        Sent::Now(transmit) => Some(transmit.path),
        Sent::Later | Sent::No => None,
    }
}

fn left_pair(world: &World) -> frazil::ice::PairReport {
    world.agents[LEFT].pairs().next().expect("a pair")
}

mod candidates {
    use super::*;

    fn reflexive(mapped: &str, base: &str) -> LocalCandidate {
        let server = address("203.0.113.9:3478").ip();
        LocalCandidate::server_reflexive(Protocol::Udp, address(mapped), address(base), server, 1)
    }

    #[test]
    fn type_preferences_are_the_recommended_ones_and_priorities_fit_31_bits() {
        let kinds = [CandidateKind::Host, CandidateKind::PeerReflexive, CandidateKind::ServerReflexive];
        let preferences = kinds.map(CandidateKind::type_preference);
        assert_eq!((preferences, CandidateKind::Relayed.type_preference()), ([126, 110, 100], 0));
        for preference in [0, 1, u16::MAX] {
            let relayed = LocalCandidate::relayed(
                Protocol::Udp,
                address("203.0.113.9:5000"),
                address("203.0.113.5:7000"),
                address("203.0.113.9:1").ip(),
                preference,
            );
            for local in [host(L, preference), relayed] {
                assert!((1..1 << 31).contains(&local.candidate.priority));
            }
        }
    }

    #[test]
    fn of_two_candidates_with_one_address_and_base_the_second_is_redundant() {
        let mut world = pair();
        let now = world.now;
        assert!(world.agents[LEFT].add_local_candidate(reflexive(L, L), now).is_err());
        let server = address("203.0.113.9:3478").ip();
        let relayed = LocalCandidate::relayed(Protocol::Udp, address(L), address("203.0.113.5:7000"), server, 1);
        assert!(world.agents[LEFT].add_local_candidate(relayed, now).is_err());
        assert!(world.agents[LEFT].add_local_candidate(reflexive("203.0.113.5:7000", L), now).is_ok());
    }

    #[test]
    fn a_reflexive_candidate_is_told_and_its_base_is_what_checks() {
        let mut world = pair();
        world.add_local(LEFT, reflexive("203.0.113.5:7000", L));
        world.signal(LEFT, RIGHT);
        assert_eq!(world.agents[LEFT].local_candidates().len(), 2);
        assert_eq!(world.agents[LEFT].pairs().count(), 1);
        assert_eq!(world.agents[RIGHT].pairs().count(), 2);
        world.run_for(Duration::from_secs(1));
        assert!(world.sent_by(LEFT).all(|sent| sent.source == address(L)));
    }

    #[test]
    fn link_local_addresses_are_paired_with_their_like_only() {
        let link = "[fe80::1%1]:1000";
        let mut world = World::pair(Config::default(), &["[2001:db8::1]:1000"], &["[2001:db8::2]:2000"]);
        let base = SocketAddr::V6("[fe80::1]:1000".parse().expect(link));
        world.add_local(LEFT, LocalCandidate::host(Protocol::Udp, base, 1));
        world.signal(LEFT, RIGHT);
        assert_eq!(world.agents[LEFT].pairs().count(), 1);
        let theirs = host("[fe80::2]:2000", 1).candidate;
        let now = world.now;
        world.agents[LEFT].restart(Credentials::new("abcd", "0123456789012345678901").unwrap(), now);
        world.agents[LEFT].add_remote_candidate(theirs, now).unwrap();
        let pairs: Vec<_> = world.agents[LEFT].pairs().map(|pair| pair.local.base).collect();
        assert_eq!(pairs, [base]);
    }

    #[test]
    fn the_limit_of_pairs_is_configured_and_holds() {
        let mut config = Config::default();
        config.max_pairs = 5;
        let mut world = World::pair(config, &[L, "192.0.2.2:1000", "192.0.2.3:1000"], &[R, "198.51.100.2:2000"]);
        world.passes = Box::new(|_| false);
        world.signal(LEFT, RIGHT);
        assert_eq!(Config::default().max_pairs, 100);
        world.run_for(Duration::from_secs(1));
        let tried = world.sent_by(LEFT).map(|sent| (sent.source, sent.destination)).collect::<BTreeSet<_>>();
        assert_eq!(tried.len(), 5);
    }

    #[test]
    fn credentials_are_long_enough_and_new_ones_replace_both() {
        let mut world = pair();
        let mut seen = BTreeSet::new();
        for _ in 0..50 {
            let (now, credentials) = (world.now, world.agents[LEFT].draw_credentials());
            world.agents[LEFT].restart(credentials, now);
            let credentials = world.agents[LEFT].local_credentials();
            // Six bits to a character: 24 bits and 128 at the least.
            assert!(credentials.ufrag().len() >= 4 && credentials.ufrag().len() <= 32);
            assert!(credentials.pwd().len() * 6 >= 128);
            assert!(seen.insert(credentials.ufrag().to_owned()) && seen.insert(credentials.pwd().to_owned()));
        }
    }

    #[test]
    fn both_stun_and_data_are_taken_on_every_candidate_that_was_told() {
        let mut world = World::pair(Config::default(), &[L, "192.0.2.2:1000"], &[R]);
        world.signal(LEFT, RIGHT);
        world.run_for(Duration::from_secs(5));
        let selected = world.selected(LEFT).expect("a pair").0;
        let other = [L, "192.0.2.2:1000"].map(address).into_iter().find(|&at| at != selected).expect("two");
        let check = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        world.inject(LEFT, other, address(R), &check.write());
        let last = world.sent_by(LEFT).last().expect("an answer");
        assert_eq!((last.message().class(), last.source), (Class::Success, other));
        let path = world.agents[LEFT].path_id(Path { protocol: Protocol::Udp, local: other, remote: address(R) });
        let now = world.now;
        assert_eq!(world.agents[LEFT].handle_datagram(path, &[23; 40], now), Received::Application(&[23; 40]));
    }
}

mod requests {
    use super::*;

    #[test]
    fn a_check_has_all_that_it_must_have() {
        let world = connected();
        for (sender, other) in [(LEFT, RIGHT), (RIGHT, LEFT)] {
            let (agent, peer) = (&world.agents[sender], &world.agents[other]);
            let host = agent.local_candidates()[0].candidate.priority;
            let expected = format!("{}:{}", peer.local_credentials().ufrag(), agent.local_credentials().ufrag());
            for request in world.requests_by(sender) {
                let message = request.message();
                assert_eq!(message.get(AttributeType::USERNAME), Some(expected.as_bytes()));
                assert_eq!(number(&message, AttributeType::PRIORITY), Some(110 << 24 | (host & 0x00FF_FFFF)));
                assert!(message.check_integrity(&key(peer)).is_ok(), "signed with the password of who is asked");
                assert!(message.has_valid_fingerprint());
                let controls = message.get(AttributeType::ICE_CONTROLLING).is_some();
                let follows = message.get(AttributeType::ICE_CONTROLLED).is_some();
                assert_eq!((controls, follows), (sender == LEFT, sender == RIGHT));
                if sender == RIGHT {
                    assert!(message.get(AttributeType::USE_CANDIDATE).is_none(), "it does not nominate");
                }
            }
        }
        let nominates = |sent: &&Datagram| sent.message().get(AttributeType::USE_CANDIDATE).is_some();
        assert_eq!(world.requests_by(LEFT).iter().filter(|sent| nominates(sent)).count(), 1);
    }

    #[test]
    fn the_tie_breaker_is_one_number_for_all_checks_even_over_a_restart() {
        let mut world = connected();
        for agent in [LEFT, RIGHT] {
            let (now, credentials) = (world.now, world.agents[agent].draw_credentials());
            world.agents[agent].restart(credentials, now);
        }
        world.signal(LEFT, RIGHT);
        world.run_for(Duration::from_secs(30));
        for agent in [LEFT, RIGHT] {
            let numbers: BTreeSet<u64> =
                world.requests_by(agent).iter().map(|sent| tie_breaker(&sent.message())).collect();
            assert_eq!(numbers.len(), 1);
        }
    }

    #[test]
    fn checks_are_ta_apart_and_ta_is_the_larger_of_both_sides() {
        for (ours, theirs, used) in [(50, 50, 50), (20, 50, 50), (20, 30, 30), (80, 50, 80), (5, 5, 5)] {
            let mut config = Config::default();
            config.pacing = Duration::from_millis(ours);
            let addresses: Vec<String> = (1..9).map(|n| format!("198.51.100.{n}:2000")).collect();
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let mut world = World::pair(config, &[L], &addresses);
            world.agents[LEFT].set_remote_pacing(Duration::from_millis(theirs));
            world.passes = Box::new(|_| false);
            world.signal(LEFT, RIGHT);
            world.run_for(Duration::from_secs(1));
            let times: Vec<Instant> = world.requests_by(LEFT).iter().map(|sent| sent.sent_at).collect();
            let used = Duration::from_millis(used);
            assert!(times[..8].windows(2).all(|two| two[1] - two[0] == used));
            assert!(times.windows(2).all(|two| two[1] - two[0] >= used), "those that are tried once more too");
        }
        assert_eq!(Config::default().pacing, Duration::from_millis(20));
    }

    #[test]
    fn the_timer_grows_with_the_pairs_and_is_never_under_half_a_second() {
        for count in [1_u64, 5, 40] {
            let addresses: Vec<String> = (1..=count).map(|n| format!("198.51.100.{n}:2000")).collect();
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let mut world = World::pair(Config::default(), &[L], &addresses);
            world.passes = Box::new(|_| false);
            world.signal(LEFT, RIGHT);
            world.run_for(Duration::from_secs(5));
            // When the last one is sent, all are waiting or in progress: each address is a foundation of its own.
            let first = world.requests_by(LEFT).last().copied().expect("a check").clone();
            let again =
                world.sent_by(LEFT).filter(|sent| sent.id().0 == first.id().0).nth(1).expect("a second sending");
            let rto = again.sent_at - first.sent_at;
            assert_eq!(rto, Duration::from_millis((20 * count).max(500)), "{count} pairs");
            assert_eq!(again.bytes, first.bytes, "a retransmission is the same bytes");
        }
        assert_eq!(RetransmissionConfig::default().rto, Duration::from_millis(500));
    }
}

mod responses {
    use super::*;

    #[test]
    fn an_answer_that_comes_from_elsewhere_fails_the_pair() {
        for (local, remote) in [(L, "198.51.100.7:2000"), (L, "198.51.100.1:2001"), ("192.0.2.2:1000", R)] {
            let (mut world, request) = first_check();
            world.add_local(LEFT, host("192.0.2.2:1000", 1));
            let bytes = answer(&request, &world.agents[RIGHT], address(L), None);
            world.inject(LEFT, address(local), address(remote), &bytes);
            assert_eq!(left_pair(&world).state, PairState::Failed, "from {remote} to {local}");
            assert_eq!(world.agents[LEFT].selected_pair(), None);
        }
    }

    #[test]
    fn a_check_that_nobody_answers_fails_its_pair_when_its_timer_ends() {
        let (mut world, _) = first_check();
        // A second check is sent after 250 ms, as there is no path yet and nothing else to try; its timer counts.
        world.run_for(Duration::from_millis(39_650));
        assert_eq!(left_pair(&world).state, PairState::InProgress);
        world.run_for(Duration::from_millis(200));
        assert_eq!(left_pair(&world).state, PairState::Failed);
        assert_eq!(world.requests_by(LEFT).len(), 2);
        assert_eq!(world.sent_by(LEFT).filter(|sent| sent.is_request()).count(), 1 + 7);
    }

    #[test]
    fn an_error_that_does_not_pass_fails_the_pair_and_no_alternate_server_is_asked() {
        for code in [300, 400, 401, 403, 420, 500] {
            let (mut world, request) = first_check();
            let before = world.sent.len();
            let bytes = answer(&request, &world.agents[RIGHT], address(L), Some(code));
            world.inject(LEFT, address(L), address(R), &bytes);
            world.run_for(Duration::from_secs(1));
            assert_eq!(left_pair(&world).state, PairState::Failed, "{code}");
            assert_eq!(left_pair(&world).stats.last_error, Some(code));
            assert!(world.sent[before..].iter().all(|sent| sent.destination == address(R) || sent.sender == RIGHT));
        }
    }

    #[test]
    fn an_answer_that_is_not_signed_with_their_password_or_has_no_fingerprint_is_none() {
        let (mut world, request) = first_check();
        let good = answer(&request, &world.agents[RIGHT], address(L), None);
        let forged = answer(&request, &world.agents[LEFT], address(L), None);
        let mut broken = good.clone();
        *broken.last_mut().unwrap() ^= 1;
        for bad in [forged, broken, good[..good.len() - 8].to_vec()] {
            world.inject(LEFT, address(L), address(R), &bad);
            assert_eq!(left_pair(&world).state, PairState::InProgress);
        }
        world.inject(LEFT, address(L), address(R), &good);
        assert_eq!(left_pair(&world).state, PairState::Succeeded);
    }

    #[test]
    fn a_role_conflict_switches_the_role_and_the_tie_breaker_and_checks_again() {
        for role in [Role::Controlling, Role::Controlled] {
            let mut world = pair();
            world.agents[LEFT].set_role(role);
            world.passes = Box::new(|_| false);
            world.signal(LEFT, RIGHT);
            world.run_for(Duration::from_millis(1));
            let request = world.requests_by(LEFT)[0].clone();
            let bytes = answer(&request, &world.agents[RIGHT], address(L), Some(487));
            world.inject(LEFT, address(L), address(R), &bytes);
            world.run_for(Duration::from_millis(60));
            assert_eq!(world.agents[LEFT].role(), role.opposite());
            let requests = world.requests_by(LEFT);
            let again = requests[1].message();
            let claims =
                if role == Role::Controlling { AttributeType::ICE_CONTROLLED } else { AttributeType::ICE_CONTROLLING };
            assert!(again.get(claims).is_some());
            assert_ne!(tie_breaker(&again), tie_breaker(&request.message()));
            assert_eq!(requests[1].destination, address(R));
        }
    }

    #[test]
    fn the_mapped_address_makes_a_peer_reflexive_candidate_of_the_valid_pair() {
        let (mut world, request) = first_check();
        let outside = address("203.0.113.5:7000");
        let bytes = answer(&request, &world.agents[RIGHT], outside, None);
        world.inject(LEFT, address(L), address(R), &bytes);
        let local = left_pair(&world).local;
        assert_eq!((local.candidate.kind, local.candidate.address), (CandidateKind::PeerReflexive, outside));
        assert_eq!((local.base, local.candidate.related), (address(L), Some(address(L))));
        let told = number(&request.message(), AttributeType::PRIORITY);
        assert_eq!(Some(local.candidate.priority), told);
    }

    #[test]
    fn a_nominating_check_that_fails_makes_its_pair_invalid_and_another_is_nominated() {
        let mut world = World::pair(Config::default(), &[L], &[R, "198.51.100.2:2000"]);
        world.signal(LEFT, RIGHT);
        // The check that nominates is refused on the way by a right agent of ours.
        world.passes = Box::new(|sent| {
            !(sent.destination == address(R) && sent.message().get(AttributeType::USE_CANDIDATE).is_some())
        });
        let nominates =
            |sent: &&Datagram| sent.is_request() && sent.message().get(AttributeType::USE_CANDIDATE).is_some();
        assert!(world.run_until(Duration::from_secs(2), |world| world.sent_by(LEFT).any(|sent| nominates(&sent))));
        let request = world.sent_by(LEFT).find(nominates).expect("it was seen").clone();
        assert_eq!(request.destination, address(R), "the better one first");
        let bytes = answer(&request, &world.agents[RIGHT], address(L), Some(400));
        world.inject(LEFT, address(L), address(R), &bytes);
        let failed = world.agents[LEFT].pairs().find(|pair| pair.remote.address == address(R)).expect("it is known");
        assert_eq!((failed.state, failed.nominated, failed.selected.is_some()), (PairState::Failed, false, false));
        let other = Some((address(L), address("198.51.100.2:2000")));
        let done = |world: &World| world.agents.iter().all(|agent| agent.selected_pair().is_some_and(|p| p.nominated));
        assert!(world.run_until(Duration::from_secs(3), done));
        assert_eq!(world.selected(LEFT), other);
    }
}

mod server {
    use super::*;

    /// The left agent's next message after `bytes` arrived from `remote`.
    fn reply(world: &mut World, remote: &str, bytes: &[u8]) -> Option<Datagram> {
        let before = world.sent.len();
        world.inject(LEFT, address(L), address(remote), bytes);
        world.sent[before..].iter().find(|sent| sent.sender == LEFT && !sent.is_request()).cloned()
    }

    #[test]
    fn an_answer_tells_the_source_and_is_signed() {
        let mut world = connected();
        let check = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        for remote in [R, "203.0.113.77:7777"] {
            let reply = reply(&mut world, remote, &check.write()).expect("an answer");
            let message = reply.message();
            let kind = AttributeType::XOR_MAPPED_ADDRESS;
            let mapped = xor_address(kind, message.get(kind).expect("it is told"), message.transaction_id());
            assert_eq!((message.class(), mapped), (Class::Success, Ok(address(remote))));
            assert_eq!((reply.source, reply.destination), (address(L), address(remote)));
            assert!(message.check_integrity(&key(&world.agents[LEFT])).is_ok() && message.has_valid_fingerprint());
        }
    }

    #[test]
    fn only_our_own_half_of_the_user_name_counts() {
        let mut world = connected();
        let good = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        let ours = good.username.0.clone();
        let with =
            |first: &str, second: &str| Check { username: (first.to_owned(), second.to_owned()), ..good.clone() };
        assert!(reply(&mut world, R, &with(&ours, "whoever").write()).is_some());
        for (first, second) in [("whoever", ours.as_str()), ("", &ours), (&ours[1..], "x")] {
            assert!(reply(&mut world, R, &with(first, second).write()).is_none(), "{first}:{second}");
        }
        let forged = Check { key: IntegrityKey::new(b"not the right password"), ..good };
        assert!(reply(&mut world, R, &forged.write()).is_none());
    }

    #[test]
    fn a_check_that_comes_before_their_description_is_answered_at_once_and_followed_later() {
        let mut world = pair();
        world.tell(LEFT, RIGHT);
        world.run_for(Duration::from_millis(100));
        let answered =
            |world: &World| world.sent_by(LEFT).filter(|sent| sent.message().class() == Class::Success).count();
        assert_eq!(answered(&world), 1);
        assert_eq!(world.requests_by(LEFT).len(), 0, "their password is not known yet");
        assert!(world.agents[RIGHT].selected_pair().is_some());
        world.tell_credentials(RIGHT, LEFT);
        world.run_for(Duration::from_millis(1));
        assert_eq!(world.requests_by(LEFT).len(), 1, "the check that it triggered");
    }

    #[test]
    fn of_two_with_one_role_the_larger_tie_breaker_controls() {
        for (role, theirs, ours_after, code) in [
            (Role::Controlling, 0, Role::Controlling, Some(487)),
            (Role::Controlling, u64::MAX, Role::Controlled, None),
            (Role::Controlled, 0, Role::Controlling, None),
            (Role::Controlled, u64::MAX, Role::Controlled, Some(487)),
        ] {
            let mut world = pair();
            world.agents[LEFT].set_role(role);
            let good = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
            let reply = reply(&mut world, R, &Check { role: (role, theirs), ..good }.write()).expect("an answer");
            assert_eq!(error_code(&reply.message()), code, "{role:?} and {theirs}");
            assert_eq!(world.agents[LEFT].role(), ours_after);
        }
    }

    #[test]
    fn a_check_from_an_unknown_address_makes_a_candidate_with_its_priority_and_a_foundation_of_its_own() {
        let mut world = connected();
        let check = Check { priority: 1_234_567, ..Check::to(&world.agents[LEFT], &world.agents[RIGHT]) };
        for n in 1..=5 {
            reply(&mut world, &format!("203.0.113.{n}:7000"), &check.write());
        }
        let mut foundations = BTreeSet::new();
        for pair in world.agents[LEFT].pairs() {
            assert!(foundations.insert(pair.remote.foundation));
            if pair.remote.kind == CandidateKind::PeerReflexive {
                assert_eq!(pair.remote.priority, 1_234_567);
            }
        }
        assert_eq!(foundations.len(), 6);
    }

    #[test]
    fn a_check_triggers_ours_on_a_pair_that_waits_is_frozen_or_has_failed() {
        // Both of the right one's addresses share a foundation, so that one pair is frozen.
        let mut world = World::new();
        for role in [Role::Controlling, Role::Controlled] {
            world.add(Config::default(), role);
        }
        world.add_local(LEFT, host(L, 2));
        world.passes = Box::new(|_| false);
        world.tell_credentials(RIGHT, LEFT);
        for port in 1..=3 {
            let remote = host(&format!("198.51.100.1:{port}"), 10 - port).candidate;
            let now = world.now;
            world.agents[LEFT].add_remote_candidate(remote, now).unwrap();
        }
        world.run_for(Duration::from_millis(1));
        let states = |world: &World| world.agents[LEFT].pairs().map(|pair| pair.state).collect::<Vec<_>>();
        assert_eq!(states(&world), [PairState::InProgress, PairState::Frozen, PairState::Frozen]);
        let check = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        world.inject(LEFT, address(L), address("198.51.100.1:3"), &check.write());
        world.run_for(Duration::from_millis(51));
        assert_eq!(world.requests_by(LEFT)[1].destination, address("198.51.100.1:3"));

        // One that failed.
        let (mut world, request) = first_check();
        let refused = answer(&request, &world.agents[RIGHT], address(L), Some(400));
        world.inject(LEFT, address(L), address(R), &refused);
        assert_eq!(left_pair(&world).state, PairState::Failed);
        let check = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        world.inject(LEFT, address(L), address(R), &check.write());
        world.run_for(Duration::from_millis(51));
        assert_eq!(left_pair(&world).state, PairState::InProgress);
        assert_eq!(world.requests_by(LEFT).len(), 2);
    }

    #[test]
    fn a_check_on_a_pair_that_works_triggers_none() {
        let mut world = connected();
        let before = world.requests_by(LEFT).len();
        let check = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        for id in 1..20 {
            world.inject(LEFT, address(L), address(R), &Check { id, ..check.clone() }.write());
        }
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.requests_by(LEFT).len(), before);
    }

    #[test]
    fn an_indication_is_a_keepalive_and_nothing_more() {
        let mut world = connected();
        let mut buf = [0; 100];
        let writer = MessageWriter::new(&mut buf, Class::Indication, Method::BINDING, TransactionId([3; 12]));
        let len = writer.finish_with_fingerprint().unwrap();
        let (sent, deadline) = (world.sent.len(), world.agents[LEFT].poll_timeout());
        world.inject(LEFT, address(L), address(R), &buf[..len]);
        assert_eq!((world.sent.len(), world.agents[LEFT].poll_timeout()), (sent, deadline));
    }

    #[test]
    fn a_request_that_wants_more_than_we_know_is_refused_with_420() {
        let mut world = connected();
        let ufrag = world.agents[LEFT].local_credentials().ufrag().to_owned();
        let mut buf = [0; 300];
        let mut writer = MessageWriter::new(&mut buf, Class::Request, Method::BINDING, TransactionId([4; 12]));
        writer
            .username(&ufrag, "x")
            .attribute(AttributeType(0x7ABC), &[1, 2, 3, 4])
            .integrity(&key(&world.agents[LEFT]));
        let len = writer.finish_with_fingerprint().unwrap();
        let reply = reply(&mut world, R, &buf[..len]).expect("an answer");
        assert_eq!(error_code(&reply.message()), Some(420));
        assert_eq!(reply.message().get(AttributeType::UNKNOWN_ATTRIBUTES), Some(&[0x7A, 0xBC][..]));
    }
}

mod nomination {
    use super::*;

    #[test]
    fn one_pair_is_nominated_and_stays_so() {
        let mut world = World::pair(Config::default(), &[L, "192.0.2.2:1000"], &[R, "198.51.100.2:2000"]);
        world.signal(LEFT, RIGHT);
        world.run_for(Duration::from_secs(120));
        let nominates =
            |sent: &&Datagram| sent.is_request() && sent.message().get(AttributeType::USE_CANDIDATE).is_some();
        let nominated: BTreeSet<_> = world.sent_by(LEFT).filter(nominates).map(|s| (s.source, s.destination)).collect();
        assert_eq!(nominated.len(), 1);
        assert_eq!(world.selected(LEFT), nominated.first().copied());
        assert_eq!(world.sent_by(RIGHT).filter(nominates).count(), 0);
    }

    #[test]
    fn who_follows_uses_a_pair_that_was_nominated_before_its_own_check_succeeded() {
        let mut world = pair();
        world.passes = Box::new(|sent| sent.sender == RIGHT || !sent.is_request());
        world.signal(LEFT, RIGHT);
        let check = Check { use_candidate: true, ..Check::to(&world.agents[RIGHT], &world.agents[LEFT]) };
        world.inject(RIGHT, address(R), address(L), &check.write());
        assert_eq!(world.agents[RIGHT].selected_pair(), None, "nothing of ours was answered yet");
        assert!(world.run_until(Duration::from_secs(1), |world| {
            world.agents[RIGHT].selected_pair().is_some_and(|pair| pair.nominated)
        }));
    }

    #[test]
    fn who_follows_goes_along_with_a_later_nomination() {
        let mut world = World::pair(Config::default(), &[L, "192.0.2.2:1000"], &[R]);
        world.signal(LEFT, RIGHT);
        world.run_for(Duration::from_secs(2));
        let (_, nominated) = world.selected(RIGHT).expect("a pair");
        let other = [L, "192.0.2.2:1000"].map(address).into_iter().find(|&at| at != nominated).expect("two");
        let check = Check { use_candidate: true, ..Check::to(&world.agents[RIGHT], &world.agents[LEFT]) };
        world.inject(RIGHT, address(R), other, &check.write());
        assert!(world.run_until(Duration::from_secs(1), |world| world.selected(RIGHT) == Some((address(R), other))));
    }

    #[test]
    fn after_a_nomination_the_other_pairs_are_checked_no_more_but_answered() {
        let mut config = Config::default();
        config.backups = 0;
        let mut world = World::pair(config, &[L, "192.0.2.2:1000"], &[R]);
        world.signal(LEFT, RIGHT);
        assert!(world.run_until(Duration::from_secs(2), |world| world.all(State::Completed)));
        let at = world.sent.len();
        world.run_for(Duration::from_secs(20));
        let selected = world.selected(LEFT).expect("a pair");
        assert!(world.sent[at..].iter().filter(|s| s.sender == LEFT).all(|s| (s.source, s.destination) == selected));
        let other = [L, "192.0.2.2:1000"].map(address).into_iter().find(|&a| a != selected.0).expect("two");
        let check = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        let before = world.sent.len();
        world.inject(LEFT, other, address(R), &check.write());
        assert_eq!(world.sent[before].message().class(), Class::Success);
    }

    #[test]
    fn data_goes_over_the_selected_pair_only() {
        let mut world = World::pair(Config::default(), &[L, "192.0.2.2:1000"], &[R, "198.51.100.2:2000"]);
        assert_eq!(may_send(&mut world, LEFT), None, "nobody has consented");
        world.signal(LEFT, RIGHT);
        assert_eq!(may_send(&mut world, LEFT), None);
        for _ in 0..100 {
            world.run_for(Duration::from_millis(50));
            for agent in [LEFT, RIGHT] {
                let path = may_send(&mut world, agent);
                assert_eq!(path, world.agents[agent].selected_pair().map(|pair| pair.path));
            }
        }
        assert!(world.all(State::Completed));
    }
}

mod lite {
    use super::*;

    /// A full agent and a lite one.
    fn full_and_lite() -> World {
        let mut config = Config::default();
        let mut world = World::new();
        world.add(config, Role::Controlling);
        config.lite = true;
        world.add(config, Role::Controlled);
        world.add_local(LEFT, host(L, 1));
        world.add_local(RIGHT, host(R, 1));
        let now = world.now;
        world.agents[LEFT].set_remote_lite(true, now);
        world
    }

    #[test]
    fn it_sends_no_checks_and_no_data_before_a_pair_is_nominated() {
        let mut world = full_and_lite();
        world.signal(LEFT, RIGHT);
        world.run_for(Duration::from_millis(25));
        assert!(world.sent_by(RIGHT).count() > 0, "it answers");
        assert_eq!(may_send(&mut world, RIGHT), None, "nothing is nominated yet");
        assert!(world.run_until(Duration::from_secs(1), |world| world.agents[RIGHT].selected_pair().is_some()));
        assert!(may_send(&mut world, RIGHT).is_some());
        world.run_for(Duration::from_secs(60));
        assert_eq!(world.sent_by(RIGHT).filter(|sent| sent.is_request()).count(), 0);
    }
}

mod trickle {
    use super::*;

    #[test]
    fn a_candidate_is_told_before_it_is_checked() {
        let mut world = pair();
        world.tell(RIGHT, LEFT);
        world.run_for(Duration::from_millis(500));
        world.add_local(LEFT, host("192.0.2.2:1000", 5));
        let now = world.now;
        world.drain(LEFT);
        let told = world.events.iter().position(
            |(_, _, event)| matches!(event, Event::LocalCandidate(local) if local.base == address("192.0.2.2:1000")),
        );
        assert!(told.is_some());
        let checked = world.sent.iter().find(|sent| sent.source == address("192.0.2.2:1000")).map(|sent| sent.sent_at);
        assert!(checked.is_none_or(|at| at >= now));
    }

    #[test]
    fn while_candidates_come_there_is_no_failure_and_one_that_comes_late_connects() {
        let mut world = pair();
        world.tell_credentials(RIGHT, LEFT);
        let dead = |world: &mut World, n: u8| {
            let now = world.now;
            let candidate = host(&format!("203.0.113.{n}:9"), 1).candidate;
            world.agents[LEFT].add_remote_candidate(candidate, now).unwrap();
        };
        for n in 1..=8 {
            dead(&mut world, n);
            world.run_for(Duration::from_secs(30));
            assert_eq!(world.agents[LEFT].state(), State::Checking, "after {n}");
        }
        world.tell(RIGHT, LEFT);
        assert!(world.run_until(Duration::from_secs(1), |world| world.agents[LEFT].selected_pair().is_some()));
    }

    #[test]
    fn pairs_are_formed_in_the_order_in_which_candidates_come() {
        let mut world = pair();
        let now = world.now;
        let told: Vec<SocketAddr> = [7, 3, 9, 1].map(|n| address(&format!("203.0.113.{n}:9"))).into();
        for (place, remote) in told.iter().enumerate() {
            let candidate = host(&remote.to_string(), place as u16).candidate;
            world.agents[LEFT].add_remote_candidate(candidate, now).unwrap();
        }
        let paired: Vec<SocketAddr> = world.agents[LEFT].pairs().map(|pair| pair.remote.address).collect();
        assert_eq!(paired, told);
    }

    #[test]
    fn what_comes_twice_or_after_the_end_is_passed_over() {
        let mut world = pair();
        world.signal(LEFT, RIGHT);
        let (now, known) = (world.now, world.candidates(RIGHT)[0]);
        assert_eq!(world.agents[LEFT].add_remote_candidate(known, now), Ok(()));
        let late = host("198.51.100.2:2000", 1).candidate;
        assert_eq!(world.agents[LEFT].add_remote_candidate(late, now), Ok(()));
        assert_eq!(world.agents[LEFT].pairs().count(), 1);
        // Another generation, another list.
        let credentials = world.agents[LEFT].draw_credentials();
        world.agents[LEFT].restart(credentials, now);
        assert_eq!(world.agents[LEFT].add_remote_candidate(late, now), Ok(()));
        assert_eq!(world.agents[LEFT].pairs().count(), 1);
    }

    #[test]
    fn a_pair_whose_check_was_faster_than_its_candidate_is_one_pair_and_takes_the_candidates_priority() {
        let mut world = pair();
        world.tell(LEFT, RIGHT);
        world.run_for(Duration::from_millis(30));
        let before = left_pair(&world);
        assert_eq!(before.remote.kind, CandidateKind::PeerReflexive);
        world.tell(RIGHT, LEFT);
        let after = left_pair(&world);
        assert_eq!((after.path, after.remote.kind), (before.path, CandidateKind::Host));
        assert_eq!(after.priority, world.agents[RIGHT].pairs().next().expect("its other end").priority);
        assert_ne!(after.priority, before.priority);
        assert_eq!(world.agents[LEFT].pairs().count(), 1);
    }
}

mod consent {
    use super::*;

    /// The first sendings of the consent checks of the left agent, from when both were settled.
    fn consent_checks(world: &World, from: usize) -> Vec<Datagram> {
        let requests = world.requests_by(LEFT);
        requests.into_iter().skip(from).cloned().collect()
    }

    #[test]
    fn checks_come_every_four_to_six_seconds_at_random_each_with_an_id_of_its_own() {
        let mut world = connected();
        let before = world.requests_by(LEFT).len();
        world.run_for(Duration::from_secs(600));
        let checks = consent_checks(&world, before);
        let gaps: Vec<Duration> = checks.windows(2).map(|two| two[1].sent_at - two[0].sent_at).collect();
        assert!(gaps.len() >= 99, "{}", gaps.len());
        assert!(gaps.iter().all(|gap| (Duration::from_secs(4)..=Duration::from_secs(6)).contains(gap)));
        assert!(gaps.iter().collect::<BTreeSet<_>>().len() > 50, "they are random");
        let mean = gaps.iter().sum::<Duration>() / gaps.len() as u32;
        assert!(mean.abs_diff(Duration::from_secs(5)) < Duration::from_millis(300), "{mean:?}");
    }

    #[test]
    fn thirty_seconds_after_the_last_answer_nothing_is_sent_and_a_late_answer_changes_nothing() {
        let mut world = connected();
        let right = world.agents[RIGHT].local_credentials().clone();
        world.passes = Box::new(|sent| sent.sender == RIGHT);
        let last = world.now;
        assert!(world.run_until(Duration::from_secs(60), |world| world.agents[LEFT].state() == State::Failed));
        assert!(world.now - last <= Duration::from_secs(30) + Duration::from_millis(40));
        assert_eq!(may_send(&mut world, LEFT), None);
        let request = world.requests_by(LEFT).last().copied().expect("a consent check").clone();
        assert_eq!(world.agents[RIGHT].local_credentials(), &right);
        let late = answer(&request, &world.agents[RIGHT], address(L), None);
        let at = world.sent.len();
        world.inject(LEFT, address(L), address(R), &late);
        // Nor does a good check of theirs with the same credentials.
        let check = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        world.inject(LEFT, address(L), address(R), &check.write());
        world.run_for(Duration::from_secs(60));
        assert_eq!(world.sent[at..].iter().filter(|sent| sent.sender == LEFT).count(), 0);
        assert_eq!((may_send(&mut world, LEFT), world.agents[LEFT].state()), (None, State::Failed));
        // New credentials do.
        world.passes = Box::new(|_| true);
        for agent in [LEFT, RIGHT] {
            let (now, credentials) = (world.now, world.agents[agent].draw_credentials());
            world.agents[agent].restart(credentials, now);
        }
        world.signal(LEFT, RIGHT);
        assert!(world.run_until(Duration::from_secs(2), |world| world.agents[LEFT].selected_pair().is_some()));
        assert!(may_send(&mut world, LEFT).is_some());
    }

    #[test]
    fn the_path_from_before_a_restart_is_asked_for_consent_as_long_as_it_is_used() {
        let mut world = connected();
        let (now, credentials) = (world.now, world.agents[LEFT].draw_credentials());
        world.agents[LEFT].restart(credentials, now);
        let before = world.requests_by(LEFT).len();
        world.run_for(Duration::from_secs(60));
        assert!(consent_checks(&world, before).len() >= 9);
        assert!(may_send(&mut world, LEFT).is_some());
        world.passes = Box::new(|sent| sent.sender == RIGHT);
        world.run_for(Duration::from_millis(30_040));
        assert_eq!(may_send(&mut world, LEFT), None, "and its consent expires like any other");
    }

    #[test]
    fn a_path_that_lost_consent_is_not_taken_up_again_until_the_other_side_asks() {
        let mut world = pair();
        // Something is left to be tried, so that the agent does not give up with the path.
        let dead = host("203.0.113.66:9", 1).candidate;
        let now = world.now;
        world.agents[LEFT].add_remote_candidate(dead, now).unwrap();
        world.signal(LEFT, RIGHT);
        assert!(world.run_until(Duration::from_secs(1), |world| world.all(State::Completed)));
        world.passes = Box::new(|_| false);
        assert!(world.run_until(Duration::from_secs(31), |world| world.agents[LEFT].selected_pair().is_none()));
        assert_ne!(world.agents[LEFT].state(), State::Failed);
        let at = world.sent.len();
        let request = world.sent_by(LEFT).filter(|sent| sent.is_request() && sent.destination == address(R)).last();
        let late = answer(request.expect("a consent check"), &world.agents[RIGHT], address(L), None);
        world.inject(LEFT, address(L), address(R), &late);
        world.run_for(Duration::from_secs(5));
        let asks = |sent: &&Datagram| sent.sender == LEFT && sent.is_request() && sent.destination == address(R);
        assert_eq!(world.sent[at..].iter().filter(asks).count(), 0, "an answer that was late brings nothing back");
        assert_eq!(may_send(&mut world, LEFT), None);
        let check = Check::to(&world.agents[LEFT], &world.agents[RIGHT]);
        world.inject(LEFT, address(L), address(R), &check.write());
        world.run_for(Duration::from_secs(1));
        assert_eq!(may_send(&mut world, LEFT), None, "nor does its check alone");
        assert!(world.sent[at..].iter().filter(asks).count() > 0, "but it is asked again");
    }

    #[test]
    fn after_close_nothing_is_sent() {
        let mut world = connected();
        let now = world.now;
        world.agents[LEFT].close(now);
        let at = world.sent.len();
        world.run_for(Duration::from_secs(60));
        assert_eq!(world.sent[at..].iter().filter(|sent| sent.sender == LEFT).count(), 0);
    }
}
