//! What a peer tells of its servers, and what it asks of them.

use core::time::Duration;
use std::net::SocketAddr;

use super::super::*;
use crate::ice::{GatheringState, HostSocket, Server, TransportPolicy};
use crate::jsep::SignalingState;
use crate::stun::{
    AttributeType, Class, ErrorCode, IntegrityKey, LongTermCredentials, Message, MessageWriter, Method,
    PasswordAlgorithm,
};
use crate::{Instant, Path, Protocol, ice};

const BASE: &str = "192.0.2.1:1000";
const RELAYED: &str = "198.51.100.2:50000";
const REALM: &[u8] = b"here";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn alice() -> LongTermCredentials {
    LongTermCredentials::new("alice", "secret").unwrap()
}

/// A peer that has made an offer, and what it has sent to servers.
struct Bench {
    now: Instant,
    peer: Peer,
    asked: Vec<(Path, Vec<u8>)>,
    events: Vec<Event>,
}

impl Bench {
    fn new(uris: &[&str], policy: TransportPolicy) -> Self {
        let now = Instant::from_millis(1);
        let server = |uri: &&str| Server::new(uri.parse().unwrap(), Some(alice())).unwrap();
        let mut config = Config { servers: uris.iter().map(server).collect(), ..Config::default() };
        config.ice.transport_policy = policy;
        let mut bench =
            Self { now, peer: Peer::new(config, [1; 32], now).unwrap(), asked: Vec::new(), events: Vec::new() };
        bench.peer.create_data_channel(ChannelConfig::default(), now).unwrap();
        let offer = bench.peer.create_offer().unwrap();
        bench.call(|peer, now| peer.set_local_description(&offer, now).unwrap());
        bench
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut Peer, Instant) -> R) -> R {
        let result = call(&mut self.peer, self.now);
        let mut buf = [0; Peer::MIN_BUFFER];
        while let Some(transmit) = self.peer.poll_transmit(&mut buf) {
            let path = self.peer.path(transmit.path).unwrap();
            self.asked.push((path, buf[..transmit.len].to_vec()));
        }
        self.events.extend(core::iter::from_fn(|| self.peer.poll_event()));
        result
    }

    fn gather(&mut self) {
        self.call(|peer, now| peer.add_host_candidate(address(BASE), 1, now).unwrap());
        self.call(Peer::end_of_candidates);
        self.pass(Duration::from_millis(100));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.peer.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.call(Peer::handle_timeout);
        }
        self.now = until;
    }

    /// Answers the last request of this method.
    fn answer(&mut self, method: Method, class: Class, write: impl FnOnce(&mut MessageWriter<'_>)) {
        let of_method = |(_, bytes): &(Path, Vec<u8>)| Message::parse(bytes).unwrap().method() == method;
        let place = self.asked.iter().rposition(of_method).expect("it was asked");
        let (path, bytes) = self.asked.remove(place);
        let request = Message::parse(&bytes).unwrap();
        let mut buf = [0; 500];
        let mut writer = MessageWriter::new(&mut buf, class, method, request.transaction_id());
        write(&mut writer);
        if request.has_integrity() {
            writer.integrity(&IntegrityKey::new(&PasswordAlgorithm::Md5.key(&alice(), REALM)));
        }
        let len = writer.finish_with_fingerprint().unwrap();
        self.call(|peer, now| {
            let path = peer.path_id(path);
            peer.handle_datagram(path, &buf[..len], now);
        });
    }

    fn challenge(&mut self) {
        self.answer(Method::ALLOCATE, Class::Error, |writer| {
            writer.error_code(ErrorCode::UNAUTHENTICATED);
            writer.attribute(AttributeType::REALM, REALM).attribute(AttributeType::NONCE, b"one");
        });
    }

    fn grant(&mut self) {
        self.answer(Method::ALLOCATE, Class::Success, |writer| {
            writer
                .xor_address(AttributeType::XOR_RELAYED_ADDRESS, address(RELAYED))
                .xor_address(AttributeType::XOR_MAPPED_ADDRESS, address("203.0.113.1:7"))
                .attribute(AttributeType::LIFETIME, &600u32.to_be_bytes());
        });
    }

    fn asks(&self, method: Method) -> bool {
        self.asked.iter().any(|(_, bytes)| Message::parse(bytes).is_ok_and(|message| message.method() == method))
    }
}

#[test]
fn a_change_of_the_sockets_is_told_while_there_is_no_relay_yet() {
    for policy in [TransportPolicy::All, TransportPolicy::Relay] {
        let mut bench = Bench::new(&["turn:198.51.100.2"], policy);
        let sockets = [BASE, "192.0.2.9:1000"].map(|base| HostSocket::new(address(base), Protocol::Udp));
        let mut changes = |sockets: &[HostSocket]| {
            bench.events.clear();
            bench.call(|peer, now| peer.handle_network_change(sockets, now));
            let changes = bench.events.iter().filter_map(|event| match event {
                Event::NetworkChange(change) => Some((change.added.len(), change.removed.len())),
                _ => None,
            });
            changes.collect::<Vec<_>>()
        };
        assert_eq!(changes(&sockets[..1]), [], "the first list is no change");
        assert_eq!(changes(&sockets), [(1, 0)], "{policy:?}");
        assert_eq!(changes(&[]), [(0, 2)], "{policy:?}");
        assert_eq!(changes(&sockets[1..]), [(1, 0)], "{policy:?}");
    }
}

#[test]
fn a_peer_that_closes_gives_its_relay_back_at_once() {
    let mut bench = Bench::new(&["turn:198.51.100.2"], TransportPolicy::All);
    bench.gather();
    bench.challenge();
    bench.grant();
    assert_eq!(bench.peer.gathering_state(), GatheringState::Complete);
    bench.asked.clear();
    let closed = bench.now;
    bench.call(Peer::close);
    assert!(bench.asks(Method::REFRESH), "a driver may leave when there is nothing to send");
    // The server does not answer.
    bench.pass(Peer::FAREWELL);
    assert_eq!((bench.peer.poll_timeout(), bench.now), (None, closed + Peer::FAREWELL), "nothing goes on");
}

#[test]
fn who_has_closed_hears_no_more_of_servers() {
    let late = || vec![Server::new("stun:late.example.org".parse().unwrap(), None).unwrap()];
    let mut bench = Bench::new(&["turn:198.51.100.2"], TransportPolicy::All);
    bench.gather();
    bench.challenge();
    bench.events.clear();
    // Until the farewell is said the path in use is still needed, and so the agent is not closed yet.
    bench.peer.close(bench.now);
    bench.peer.set_servers(late(), bench.now);
    bench.grant();
    bench.pass(Duration::from_secs(2));
    assert_eq!(
        bench.events,
        [
            Event::SignalingStateChange(SignalingState::Closed),
            Event::IceStateChange(ice::State::Closed),
            Event::ConnectionStateChange(ConnectionState::Closed),
        ]
    );
    assert!(bench.asks(Method::REFRESH), "what comes then is given back");
}
