//! What a server does not understand or does not have.

use super::*;
use crate::stun::UnknownAttributes;
use crate::turn::{Port, ReservationToken};

/// A server that keeps to an RFC: to 5766, which does not know of families, or to 8656.
#[derive(Clone, Copy, Debug)]
struct Server {
    has_ipv4: bool,
    has_ipv6: bool,
    /// REQUESTED-ADDRESS-FAMILY.
    knows_families: bool,
    /// ADDITIONAL-ADDRESS-FAMILY. Who does not may ignore it or, being stricter than the RFC, refuse it.
    knows_additional: bool,
    /// Refuses what it does not know even where it need not, SOFTWARE too.
    is_strict: bool,
    /// Refuses both families with 440 where it has only one.
    is_all_or_nothing: bool,
}

impl Server {
    fn all() -> impl Iterator<Item = Self> {
        (0..64_u8).map(|bits| {
            let [has_ipv4, has_ipv6, knows_families, knows_additional, is_strict, is_all_or_nothing] =
                core::array::from_fn(|bit| bits >> bit & 1 == 1);
            Self { has_ipv4, has_ipv6, knows_families, knows_additional, is_strict, is_all_or_nothing }
        })
    }

    /// The error to this request, or the relayed addresses.
    fn answer(self, request: &Message<'_>) -> Result<Vec<SocketAddr>, (u16, Vec<AttributeType>)> {
        let has = |kind| request.get(kind).is_some();
        let requested = request.get(AttributeType::REQUESTED_ADDRESS_FAMILY).map(|value| value[0]);
        let mut unknown = Vec::new();
        if !self.knows_families && requested.is_some() {
            unknown.push(AttributeType::REQUESTED_ADDRESS_FAMILY);
        }
        let optional = [
            (AttributeType::ADDITIONAL_ADDRESS_FAMILY, self.knows_additional),
            (AttributeType(0x8032), false),
            (AttributeType::SOFTWARE, false),
            (AttributeType::LIFETIME, false),
        ];
        unknown.extend(
            optional.iter().filter(|(kind, known)| self.is_strict && !known && has(*kind)).map(|(kind, _)| *kind),
        );
        if !unknown.is_empty() {
            return Err((420, unknown));
        }
        let (v4, v6) = (self.has_ipv4.then(|| address(RELAYED)), self.has_ipv6.then(|| address(RELAYED_6)));
        let is_both = self.knows_additional && has(AttributeType::ADDITIONAL_ADDRESS_FAMILY);
        let relayed: Vec<SocketAddr> = match requested {
            _ if is_both => v4.into_iter().chain(v6).collect(),
            Some(2) => v6.into_iter().collect(),
            _ => v4.into_iter().collect(),
        };
        let is_refused = relayed.is_empty() || is_both && self.is_all_or_nothing && relayed.len() == 1;
        if is_refused { Err((440, Vec::new())) } else { Ok(relayed) }
    }

    /// The addresses that a client can get of it.
    fn best(self, family: Family) -> Vec<SocketAddr> {
        let v4 = self.has_ipv4.then(|| address(RELAYED));
        let v6 = self.has_ipv6.then(|| address(RELAYED_6));
        let by_name = v6.filter(|_| self.knows_families);
        match family {
            Family::Ipv4 => v4.into_iter().collect(),
            Family::Ipv6 => by_name.into_iter().collect(),
            Family::Both if self.knows_additional && !self.is_all_or_nothing => v4.into_iter().chain(v6).collect(),
            Family::Both if self.knows_additional && v4.is_some() && v6.is_some() => v4.into_iter().chain(v6).collect(),
            Family::Both => v4.or(by_name).into_iter().collect(),
        }
    }
}

#[test]
fn of_each_server_what_it_has_is_had() {
    for server in Server::all() {
        for family in [Family::Ipv4, Family::Ipv6, Family::Both] {
            let software = Some("frazil".to_owned());
            let lifetime = Some(Duration::from_secs(1200));
            let config = Config { family, software, lifetime, ..Config::new(address(SERVER), Transport::Udp, alice()) };
            let mut bench = Bench { nonce: "one", algorithms: None, ..Bench::with(config) };
            let request = bench.asked();
            bench.challenge(&request, 401);
            let mut asked = 0;
            let mut outcome = loop {
                let request = bench.asked();
                asked += 1;
                assert!(asked < 8, "{server:?} {family:?}");
                let reply = server.answer(&Message::parse(&request).unwrap());
                let class = if reply.is_ok() { Class::Success } else { Class::Error };
                bench.hear(&answer(&request, class, Some(&bench.key()), |writer| match &reply {
                    Ok(relayed) => {
                        for relayed in relayed {
                            writer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, *relayed);
                        }
                        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, address("203.0.113.1:9"));
                    }
                    Err((code, unknown)) => {
                        let list: Vec<u8> = unknown.iter().flat_map(|kind| kind.0.to_be_bytes()).collect();
                        assert_eq!(UnknownAttributes::new(&list).count(), unknown.len());
                        writer.error_code(ErrorCode { code: *code, reason: "No" });
                        writer.attribute(AttributeType::UNKNOWN_ATTRIBUTES, &list);
                    }
                }));
                let events = bench.events();
                if !events.is_empty() {
                    break events;
                }
            };
            let best = server.best(family);
            match outcome.remove(0) {
                Event::Allocated(allocated) => {
                    let relayed: Vec<SocketAddr> =
                        [allocated.relayed].into_iter().chain(allocated.additional).collect();
                    assert_eq!(relayed, best, "{server:?} {family:?}");
                    let is_less = family == Family::Both && best.len() == 1;
                    assert!(is_less || allocated.additional_refused.is_none(), "{server:?} {family:?}");
                }
                Event::Failed(Failure::Refused(refusal)) => {
                    assert!(best.is_empty() && matches!(refusal.code, 420 | 440), "{server:?} {family:?} {refusal}");
                }
                other => panic!("{server:?} {family:?} {other:?}"),
            }
            assert_eq!(bench.client.counters(), Counters::default());
        }
    }
}

#[test]
fn what_a_server_did_not_understand_it_is_not_told_again() {
    let config =
        Config { software: Some("frazil".to_owned()), ..Config::new(address(SERVER), Transport::Udp, alice()) };
    let mut bench = Bench { nonce: "one", algorithms: None, ..Bench::with(config) };
    let request = bench.asked();
    assert!(Message::parse(&request).unwrap().get(AttributeType::SOFTWARE).is_some());
    bench.hear(&answer(&request, Class::Error, None, |writer| {
        writer.error_code(ErrorCode::UNKNOWN_ATTRIBUTE).attribute(AttributeType::UNKNOWN_ATTRIBUTES, &[0x80, 0x22]);
    }));
    bench.allocate();
    let request = bench.next_request();
    assert_eq!(Message::parse(&request).unwrap().get(AttributeType::SOFTWARE), None);
}

#[test]
fn an_even_port_is_asked_for_and_the_next_one_had_by_its_token() {
    const TOKEN: [u8; 8] = *b"reserved";
    let config = |port| Config { port, ..Config::new(address(SERVER), Transport::Udp, alice()) };
    let bench = |port| Bench { nonce: "one", algorithms: None, ..Bench::with(config(port)) };
    for (port, value) in [(Port::Any, None), (Port::Even, Some(&[0][..])), (Port::EvenAndNext, Some(&[0x80]))] {
        let mut bench = bench(port);
        let request = bench.asked();
        bench.challenge(&request, 401);
        let request = bench.asked();
        assert_eq!(Message::parse(&request).unwrap().get(AttributeType::EVEN_PORT), value);
        bench.hear(&answer(&request, Class::Success, Some(&bench.key()), |writer| {
            writer
                .xor_address(AttributeType::XOR_RELAYED_ADDRESS, address(RELAYED))
                .xor_address(AttributeType::XOR_MAPPED_ADDRESS, address("203.0.113.1:9"))
                .attribute(AttributeType::RESERVATION_TOKEN, &TOKEN);
        }));
        let [Event::Allocated(allocated)] = &bench.events()[..] else { panic!() };
        let expected = (port == Port::EvenAndNext).then_some(ReservationToken(TOKEN));
        assert_eq!(allocated.reservation, expected, "what nobody has asked for is not there");
    }
    let mut bench = bench(Port::Reserved(ReservationToken(TOKEN)));
    let request = bench.asked();
    assert_eq!(Message::parse(&request).unwrap().get(AttributeType::RESERVATION_TOKEN), Some(&TOKEN[..]));
    bench.grant(&request, 600);
    assert!(matches!(bench.events()[..], [Event::Allocated(_)]));
    let both = Config { family: Family::Both, ..config(Port::EvenAndNext) };
    assert_eq!(Client::new(both, [0; 32], Instant::ZERO).err(), Some(InvalidConfig::ReservationOfBoth));
}
