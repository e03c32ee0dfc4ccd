//! What the discovery takes for an answer. What it finds out is tested where there are NATs and servers, in the virtual
//! internet.

use core::time::Duration;
use std::net::SocketAddr;

use super::*;
use crate::stun::{AttributeType, Class, ErrorCode, Message, MessageWriter, Method, TransactionId};
use crate::{Instant, Path, Protocol};

const BASE: &str = "192.168.7.2:4000";
const SERVER: &str = "198.51.100.1:3478";
const OUTSIDE: &str = "203.0.113.1:5000";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn path(local: &str, remote: &str) -> Path {
    Path { protocol: Protocol::Udp, local: at(local), remote: at(remote) }
}

fn discovery() -> Discovery {
    Discovery::new(Config::new(at(BASE), at(SERVER)), [3; 32], Instant::ZERO).unwrap()
}

/// What it sends: the path and the transaction id.
fn sent(discovery: &mut Discovery) -> Vec<(Path, TransactionId)> {
    let mut buf = [0; Discovery::MIN_BUFFER];
    let mut sent = Vec::new();
    while let Some(transmit) = discovery.poll_transmit(&mut buf) {
        sent.push((transmit.path, Message::parse(&buf[..transmit.len]).unwrap().transaction_id()));
    }
    sent
}

fn message(class: Class, method: Method, id: TransactionId, write: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
    let mut buf = vec![0; 200];
    let mut writer = MessageWriter::new(&mut buf, class, method, id);
    write(&mut writer);
    let len = writer.finish_with_fingerprint().unwrap();
    buf.truncate(len);
    buf
}

fn answer(id: TransactionId) -> Vec<u8> {
    message(Class::Success, Method::BINDING, id, |writer| {
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, at(OUTSIDE));
    })
}

#[test]
fn what_is_not_the_answer_is_counted_and_has_no_effect() {
    let mut discovery = discovery();
    let [(asked, id)] = sent(&mut discovery)[..] else { panic!("it asks one thing first") };
    assert_eq!(asked, path(BASE, SERVER));
    assert_eq!(discovery.poll_event(), Some(Event::Hairpinning(Err(Unknown::NoSecondBase))));
    let right = answer(id);
    let mut spoilt = right.clone();
    *spoilt.last_mut().unwrap() ^= 1;
    let nothing = |class, method| message(class, method, id, |_| {});
    let now = Instant::from_millis(10);
    for (count, path, datagram) in [
        ("malformed", asked, &b"something else"[..]),
        ("malformed", asked, &right[..right.len() - 1]),
        ("malformed", asked, &spoilt),
        ("unexpected", asked, &answer(TransactionId([9; 12]))),
        ("misplaced", path(BASE, "198.51.100.1:3479"), &right),
        ("misplaced", path(BASE, "198.51.100.2:3478"), &right),
        ("misplaced", path("192.168.7.2:4001", SERVER), &right),
        ("misplaced", asked, &nothing(Class::Request, Method::BINDING)),
        ("misplaced", asked, &nothing(Class::Indication, Method::BINDING)),
        ("misplaced", asked, &nothing(Class::Success, Method::ALLOCATE)),
        // An error without a code.
        ("misplaced", asked, &nothing(Class::Error, Method::BINDING)),
    ] {
        let before = discovery.counters();
        discovery.handle_datagram(path, datagram, now);
        let Counters { malformed, unexpected, misplaced } = before;
        let expected = match count {
            "malformed" => Counters { malformed: malformed + 1, ..before },
            "unexpected" => Counters { unexpected: unexpected + 1, ..before },
            _ => Counters { misplaced: misplaced + 1, ..before },
        };
        assert_eq!(discovery.counters(), expected, "{datagram:02x?}");
        assert_eq!((discovery.poll_event(), sent(&mut discovery)), (None, vec![]));
        assert_eq!(discovery.poll_timeout(), Some(Instant::from_millis(500)));
    }
    let counters = discovery.counters();
    discovery.handle_datagram(asked, &right, now);
    let seen = Observation { server: at(SERVER), mapped: at(OUTSIDE) };
    assert_eq!((discovery.counters(), discovery.observations()), (counters, vec![seen]));
    // The server has no other address.
    assert_eq!(discovery.mapping(), Some(Err(&Unknown::NoOtherAddress(at(SERVER)))));
    assert!(discovery.is_finished() && discovery.poll_timeout().is_none());
    // It comes a second time.
    discovery.handle_datagram(asked, &right, now);
    assert_eq!(discovery.counters().unexpected, counters.unexpected + 1);
}

#[test]
fn an_error_is_told() {
    let mut discovery = discovery();
    let (asked, id) = sent(&mut discovery)[0];
    let refusal = message(Class::Error, Method::BINDING, id, |writer| {
        writer.error_code(ErrorCode::FORBIDDEN);
    });
    discovery.handle_datagram(asked, &refusal, Instant::ZERO);
    let refused = Unknown::Refused { server: at(SERVER), code: 403, reason: "Forbidden".to_owned() };
    let events: Vec<_> = std::iter::from_fn(|| discovery.poll_event()).collect();
    let expected = [
        Event::Mapping(Err(refused.clone())),
        Event::Filtering(Err(refused)),
        Event::Hairpinning(Err(Unknown::NoSecondBase)),
        Event::Finished,
    ];
    // Of the second socket it needs to know nothing else.
    assert_eq!(events.len(), expected.len());
    assert!(expected.iter().all(|event| events.contains(event)), "{events:?}");
}

#[test]
fn silence_has_an_end_even_if_the_clock_steps_back_and_the_buffer_is_too_small() {
    let mut discovery = discovery();
    let mut tight = [0; Discovery::MIN_BUFFER - 9];
    assert_eq!(discovery.poll_transmit(&mut tight), None);
    let mut now = Instant::from_millis(300);
    let mut requests = 0;
    for step in 0.. {
        if step == 3 {
            now = Instant::ZERO;
            discovery.handle_timeout(now);
        }
        let Some(next) = discovery.poll_timeout() else { break };
        assert!(next > now, "time stands still");
        now = next;
        discovery.handle_timeout(now);
        requests += sent(&mut discovery).len();
        assert!(step < 20);
    }
    assert_eq!(requests, 6);
    assert_eq!(discovery.mapping(), Some(Err(&Unknown::NoAnswer(at(SERVER)))));
    assert_eq!(discovery.filtering(), Some(Err(&Unknown::NoAnswer(at(SERVER)))));
    assert!(now.saturating_duration_since(Instant::ZERO) < Duration::from_millis(39_500));
}

#[test]
fn a_configuration_must_make_sense() {
    let fine = Config {
        second_base: Some(at("192.168.7.2:4001")),
        second_server: Some(at("198.51.100.2:3478")),
        ..Config::new(at(BASE), at(SERVER))
    };
    let error = |config| Discovery::new(config, [0; 32], Instant::ZERO).map(drop);
    assert_eq!(error(fine), Ok(()));
    for nobody in ["0.0.0.0:4000", "192.168.7.2:0", "224.0.0.1:4000", "[::]:4000"].map(at) {
        assert_eq!(error(Config { base: nobody, ..fine }), Err(InvalidConfig::Base(nobody)));
        assert_eq!(error(Config { second_base: Some(nobody), ..fine }), Err(InvalidConfig::Base(nobody)));
        assert_eq!(error(Config { server: nobody, ..fine }), Err(InvalidConfig::Server(nobody)));
        assert_eq!(error(Config { second_server: Some(nobody), ..fine }), Err(InvalidConfig::Server(nobody)));
    }
    let v6 = at("[2001:db8::1]:3478");
    assert_eq!(error(Config { server: v6, ..fine }), Err(InvalidConfig::Pair(at(BASE), v6)));
    assert_eq!(error(Config { second_base: Some(at(BASE)), ..fine }), Err(InvalidConfig::Pair(at(BASE), at(BASE))));
    let twice = Config { second_server: Some(at(SERVER)), ..fine };
    assert_eq!(error(twice), Err(InvalidConfig::Pair(at(SERVER), at(SERVER))));
}
