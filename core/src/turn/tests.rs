//! The client against a server that answers what the test wants, where no other server does.

mod hostile;
mod lifetimes;
mod sending;
mod streams;
mod terms;

use core::time::Duration;
use std::net::SocketAddr;

use super::frames::{Frames, Garbage, is_channel_data, write_channel_data};
use super::*;
use crate::Instant;
use crate::stun::{
    AttributeType, ChallengeError, Class, ErrorCode, IntegrityKey, IntegrityKeySha256, LongTermCredentials,
    LongTermKey, Message, MessageWriter, Method, PasswordAlgorithm, userhash,
};

const SERVER: &str = "192.0.2.1:3478";
const OTHER: &str = "192.0.2.2:3479";
const RELAYED: &str = "192.0.2.1:50000";
/// For clients that have asked for both families.
const RELAYED_6: &str = "[2001:db8::1]:50001";
const PEER: &str = "198.51.100.1:1000";
const SHA256_AND_MD5: &[u8] = &[0, 2, 0, 0, 0, 1, 0, 0];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn alice() -> LongTermCredentials {
    LongTermCredentials::new("alice", "secret").unwrap()
}

fn refusal(code: u16) -> Refusal {
    Refusal { code, reason: "No".to_owned() }
}

/// A client and the server's side of the wire.
struct Bench {
    client: Client,
    is_stream: bool,
    now: Instant,
    realm: &'static str,
    nonce: &'static str,
    algorithms: Option<&'static [u8]>,
}

impl Bench {
    fn new(transport: Transport) -> Self {
        Self::with(Config::new(address(SERVER), transport, alice()))
    }

    fn with(config: Config) -> Self {
        let now = Instant::from_millis(1000);
        let is_stream = config.transport.is_stream();
        let client = Client::new(config, [7; 32], now).unwrap();
        Self { client, is_stream, now, realm: "here", nonce: "obMatJos2wAAAone", algorithms: Some(SHA256_AND_MD5) }
    }

    fn plain(transport: Transport) -> Self {
        Self { nonce: "one", algorithms: None, ..Self::new(transport) }
    }

    /// What the client sends now.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut buf = [0; Client::MIN_BUFFER];
        std::iter::from_fn(|| self.client.poll_transmit(&mut buf).map(|transmit| buf[..transmit.len].to_vec()))
            .collect()
    }

    /// The one request that the client sends now.
    fn asked(&mut self) -> Vec<u8> {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    fn key(&self) -> LongTermKey {
        match self.algorithms {
            Some(_) => LongTermKey::Sha256(IntegrityKeySha256::new(
                &PasswordAlgorithm::Sha256.key(&alice(), self.realm.as_bytes()),
            )),
            None => LongTermKey::Sha1(IntegrityKey::new(&PasswordAlgorithm::Md5.key(&alice(), self.realm.as_bytes()))),
        }
    }

    fn hear(&mut self, answer: &[u8]) {
        if self.is_stream {
            self.client.handle_stream_data(answer, self.now, |data| panic!("{data:?}"));
        } else {
            assert_eq!(self.client.handle_datagram(self.client.server(), answer, self.now), None);
        }
    }

    fn challenge(&mut self, request: &[u8], code: u16) {
        let (realm, nonce, algorithms) = (self.realm, self.nonce, self.algorithms);
        let answer = answer(request, Class::Error, None, |writer| {
            writer.error_code(ErrorCode { code, reason: "No" });
            writer.attribute(AttributeType::REALM, realm.as_bytes());
            writer.attribute(AttributeType::NONCE, nonce.as_bytes());
            if let Some(algorithms) = algorithms {
                writer.attribute(AttributeType::PASSWORD_ALGORITHMS, algorithms);
            }
        });
        self.hear(&answer);
    }

    fn refuse(&mut self, request: &[u8], code: u16) {
        let answer = answer(request, Class::Error, Some(&self.key()), |writer| {
            writer.error_code(ErrorCode { code, reason: "No" });
        });
        self.hear(&answer);
    }

    fn grant(&mut self, request: &[u8], lifetime: u32) {
        let answer = answer(request, Class::Success, Some(&self.key()), |writer| {
            writer
                .xor_address(AttributeType::XOR_RELAYED_ADDRESS, address(RELAYED))
                .xor_address(AttributeType::XOR_RELAYED_ADDRESS, address(RELAYED_6))
                .xor_address(AttributeType::XOR_MAPPED_ADDRESS, address("203.0.113.1:9"))
                .attribute(AttributeType::LIFETIME, &lifetime.to_be_bytes());
        });
        self.hear(&answer);
    }

    /// Lets an allocation be made for ten minutes.
    fn allocate(&mut self) {
        if let [Event::OpenStream { .. }] = self.events()[..] {
            self.client.handle_stream_opened(self.now);
        }
        let request = self.asked();
        assert!(!Message::parse(&request).unwrap().has_integrity());
        self.challenge(&request, 401);
        let request = self.asked();
        self.grant(&request, 600);
        assert!(matches!(self.events()[..], [Event::Allocated(_)]));
    }

    fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(next) = self.client.poll_timeout().filter(|next| *next <= until) {
            assert!(next >= self.now);
            self.now = next;
            self.client.handle_timeout(next);
        }
        self.now = until;
    }

    /// Goes to the next request, past keepalives.
    fn next_request(&mut self) -> Vec<u8> {
        loop {
            self.now = self.client.poll_timeout().expect("something is to come");
            self.client.handle_timeout(self.now);
            let sent = self.sent();
            if let Some(request) = sent.into_iter().find(|m| Message::parse(m).unwrap().class() == Class::Request) {
                return request;
            }
        }
    }
}

fn answer(
    request: &[u8],
    class: Class,
    key: Option<&LongTermKey>,
    write: impl FnOnce(&mut MessageWriter<'_>),
) -> Vec<u8> {
    let request = Message::parse(request).unwrap();
    let mut buf = vec![0; 4096];
    let mut writer = MessageWriter::new(&mut buf, class, request.method(), request.transaction_id());
    write(&mut writer);
    match key {
        Some(LongTermKey::Sha1(key)) => drop(writer.integrity(key)),
        Some(LongTermKey::Sha256(key)) => drop(writer.integrity_sha256(key)),
        None => {}
    }
    let len = writer.finish_with_fingerprint().unwrap();
    buf.truncate(len);
    buf
}

#[test]
fn a_challenge_is_answered_with_all_that_it_asks_for() {
    let mut bench = Bench::new(Transport::Udp);
    let first = bench.asked();
    let message = Message::parse(&first).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::ALLOCATE));
    assert_eq!(message.get(AttributeType::REQUESTED_TRANSPORT), Some(&[17, 0, 0, 0][..]));
    for absent in [AttributeType::USERNAME, AttributeType::USERHASH, AttributeType::REALM, AttributeType::NONCE] {
        assert_eq!(message.get(absent), None, "RFC 8489 section 9.2.3.1");
    }
    bench.challenge(&first, 401);
    let second = bench.asked();
    let message = Message::parse(&second).unwrap();
    assert_ne!(message.transaction_id(), Message::parse(&first).unwrap().transaction_id());
    assert_eq!(message.get(AttributeType::USERNAME), None);
    assert_eq!(message.get(AttributeType::USERHASH), Some(&userhash("alice", b"here")[..]));
    assert_eq!(message.get(AttributeType::REALM), Some(&b"here"[..]));
    assert_eq!(message.get(AttributeType::NONCE), Some(bench.nonce.as_bytes()));
    assert_eq!(message.get(AttributeType::PASSWORD_ALGORITHMS), Some(SHA256_AND_MD5));
    assert_eq!(message.get(AttributeType::PASSWORD_ALGORITHM), Some(&[0, 2, 0, 0][..]));
    assert!(!message.has_integrity() && bench.key().check(&message).is_ok());
    bench.grant(&second, 600);
    let [Event::Allocated(allocated)] = &bench.events()[..] else { panic!() };
    assert_eq!((allocated.relayed, allocated.lifetime), (address(RELAYED), Duration::from_secs(600)));
    assert_eq!(bench.client.counters(), Counters::default());
}

#[test]
fn a_stale_nonce_is_replaced_and_nobody_goes_round_in_circles() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut bench = Bench::new(transport);
        bench.allocate();
        let request = bench.next_request();
        assert_eq!(bench.now, Instant::from_millis(1000) + Duration::from_secs(540));
        bench.nonce = "obMatJos2wAAAtwo";
        bench.challenge(&request, 438);
        let again = bench.asked();
        let message = Message::parse(&again).unwrap();
        assert_eq!(message.get(AttributeType::NONCE), Some(&b"obMatJos2wAAAtwo"[..]));
        assert!(bench.key().check(&message).is_ok());
        bench.grant(&again, 600);
        assert_eq!(bench.events(), []);
        // One that is never content.
        let mut request = bench.next_request();
        let mut tries = 0;
        loop {
            bench.challenge(&request, 438);
            match &bench.sent()[..] {
                [again] => request = again.clone(),
                _ => break,
            }
            tries += 1;
        }
        assert_eq!(tries, 4);
        assert_eq!(bench.events(), [], "it is tried again later");
        bench.pass(70);
        let expired = Loss::Expired(Some(refusal(438)));
        assert_eq!(bench.events().last(), Some(&Event::Lost(expired)));
    }
}

#[test]
fn an_algorithm_that_was_taken_out_on_the_way_ends_it() {
    let mut bench = Bench::new(Transport::Udp);
    bench.algorithms = None;
    let request = bench.asked();
    bench.challenge(&request, 401);
    assert_eq!(bench.events(), [Event::Failed(Failure::Challenge(ChallengeError::BidDown))]);
    assert_eq!((bench.sent().len(), bench.client.poll_timeout()), (0, None));
}

#[test]
fn a_server_that_has_listed_algorithms_is_not_believed_to_have_none() {
    let mut bench = Bench::new(Transport::Udp);
    bench.allocate();
    let request = bench.next_request();
    // Nobody signs a 438, so that anybody on the way can make one up, with the nonce of an old server.
    (bench.nonce, bench.algorithms) = ("plain", None);
    bench.challenge(&request, 438);
    assert_eq!((bench.sent().len(), bench.events().len()), (0, 0));
    // The server itself is asked again later, as before.
    (bench.nonce, bench.algorithms) = ("obMatJos2wAAAone", Some(SHA256_AND_MD5));
    let request = bench.next_request();
    assert!(bench.key().check(&Message::parse(&request).unwrap()).is_ok());
    bench.grant(&request, 600);
    bench.pass(500);
    assert_eq!(bench.events(), []);
}

#[test]
fn what_must_be_understood_and_is_not_fails_what_was_asked() {
    let unknown = AttributeType(0x7A7A);
    let strange = |bench: &Bench, request: &[u8], code: Option<u16>| {
        let class = if code.is_some() { Class::Error } else { Class::Success };
        answer(request, class, Some(&bench.key()), |writer| {
            if let Some(code) = code {
                writer.error_code(ErrorCode { code, reason: "No" });
            }
            writer.attribute(unknown, b"?").attribute(AttributeType::LIFETIME, &600_u32.to_be_bytes());
        })
    };
    for code in [None, Some(300), Some(437)] {
        let mut bench = Bench::plain(Transport::Udp);
        let request = bench.asked();
        bench.challenge(&request, 401);
        let request = bench.asked();
        bench.hear(&strange(&bench, &request, code));
        assert_eq!(bench.events(), [Event::Failed(Failure::NotUnderstood(unknown))]);
        let message = bench.asked();
        let released = Message::parse(&message).unwrap();
        assert_eq!((released.method(), released.get(AttributeType::LIFETIME)), (Method::REFRESH, Some(&[0; 4][..])));

        let mut bench = Bench::plain(Transport::Udp);
        bench.allocate();
        bench.client.permit(address(PEER).ip(), bench.now).unwrap();
        let request = bench.asked();
        bench.hear(&strange(&bench, &request, code));
        let request = bench.next_request();
        bench.hear(&strange(&bench, &request, code));
        assert_eq!((bench.events().len(), bench.sent().len()), (0, 0), "a refresh is tried again later");
        let request = bench.next_request();
        bench.grant(&request, 600);
        bench.pass(100);
        assert_eq!((bench.events().len(), bench.client.counters().unexpected), (0, 2));
    }
    let mut bench = Bench::plain(Transport::Udp);
    bench.allocate();
    bench.client.permit(address(PEER).ip(), bench.now).unwrap();
    let mut buf = [0; 100];
    let id = crate::stun::TransactionId([1; 12]);
    let mut writer = MessageWriter::new(&mut buf, Class::Indication, Method::DATA, id);
    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, address(PEER)).attribute(AttributeType::DATA, b"x");
    writer.attribute(unknown, b"?");
    let len = writer.finish().unwrap();
    bench.hear(&buf[..len]);
    assert_eq!(bench.client.counters().unexpected, 1);
}

/// RFC 8489 section 6.2.
#[test]
fn no_more_than_ten_requests_are_under_way() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::plain(transport);
        bench.allocate();
        let peers: Vec<std::net::IpAddr> = (0..100).map(|n| [198, 51, 100, n].into()).collect();
        for peer in &peers {
            bench.client.permit(*peer, bench.now).unwrap();
        }
        let mut permitted = Vec::new();
        let mut under_way = bench.sent();
        while !under_way.is_empty() {
            assert!(under_way.len() <= 10, "{}", under_way.len());
            let request = under_way.remove(0);
            bench.grant(&request, 600);
            under_way.extend(bench.sent());
            permitted.extend(bench.events());
        }
        assert_eq!(permitted, peers.iter().copied().map(Event::Permitted).collect::<Vec<_>>());
        // Those that are not answered do not keep the others waiting for ever.
        let mut bench = Bench::plain(transport);
        bench.allocate();
        for n in 0..30 {
            bench.client.permit([203, 0, 113, n].into(), bench.now).unwrap();
        }
        let mut asked = std::collections::BTreeSet::new();
        while bench.now < Instant::from_millis(300_000) {
            let sent = bench.sent();
            for request in &sent {
                let message = Message::parse(request).unwrap();
                match message.method() {
                    Method::REFRESH => bench.grant(request, 600),
                    Method::CREATE_PERMISSION => drop(asked.insert(message.transaction_id())),
                    _ => {}
                }
            }
            if sent.is_empty() {
                bench.now = bench.client.poll_timeout().unwrap();
                bench.client.handle_timeout(bench.now);
            }
        }
        assert_eq!(asked.len(), 30);
    }
}

#[test]
fn only_signed_answers_count_once_there_is_a_key() {
    let weak = LongTermKey::Sha1(IntegrityKey::new(&PasswordAlgorithm::Sha256.key(&alice(), b"here")));
    let wrong = LongTermKey::Sha256(IntegrityKeySha256::new(b"wrong"));
    for transport in [Transport::Udp, Transport::Tcp] {
        for key in [None, Some(&weak), Some(&wrong)] {
            for code in [Some(300), Some(403), Some(437), Some(500), None] {
                let mut bench = Bench::new(transport);
                bench.allocate();
                let request = bench.next_request();
                let class = if code.is_some() { Class::Error } else { Class::Success };
                let forged = answer(&request, class, key, |writer| match code {
                    Some(code) => drop(writer.error_code(ErrorCode { code, reason: "No" })),
                    None => drop(writer.attribute(AttributeType::LIFETIME, &[0; 4])),
                });
                bench.hear(&forged);
                assert_eq!(bench.client.counters().bad_integrity, 1);
                if transport.is_stream() {
                    assert_eq!(bench.events(), [Event::CloseStream, Event::Lost(Loss::Integrity)]);
                } else {
                    // The right one still counts.
                    bench.grant(&request, 600);
                    bench.pass(100);
                    assert_eq!(bench.events(), []);
                }
            }
        }
    }
    // And where no other comes, that is the reason.
    let mut bench = Bench::new(Transport::Udp);
    bench.allocate();
    let request = bench.next_request();
    bench.hear(&answer(&request, Class::Error, None, |writer| {
        writer.error_code(ErrorCode::BAD_REQUEST);
    }));
    bench.pass(40);
    assert_eq!(bench.events(), [Event::Lost(Loss::Integrity)]);
}

#[test]
fn each_refusal_has_its_meaning() {
    for code in [400, 403, 437, 442, 486, 500, 508] {
        let mut bench = Bench::plain(Transport::Udp);
        let request = bench.asked();
        bench.challenge(&request, 401);
        let request = bench.asked();
        bench.refuse(&request, code);
        let failure = Failure::Refused(refusal(code));
        assert_eq!((failure.code(), failure.to_string().as_str()), (code, "No"));
        assert_eq!(failure.wants_fresh_port(), code == 437);
        assert_eq!(failure.retry_after().is_some(), matches!(code, 486 | 508));
        assert_eq!(bench.events(), [Event::Failed(failure)]);
    }
    let mut bench = Bench::plain(Transport::Udp);
    bench.allocate();
    let request = bench.next_request();
    bench.refuse(&request, 437);
    assert_eq!(bench.events(), [Event::Lost(Loss::Unknown)]);

    let mut bench = Bench::plain(Transport::Udp);
    bench.allocate();
    let (peer, mut buf) = (address(PEER), [0; 100]);
    assert_eq!(bench.client.send(peer, b"x", &mut buf, bench.now), Ok(Sent::Later));
    let request = bench.asked();
    bench.refuse(&request, 403);
    assert_eq!(bench.events(), [Event::PermissionRefused(peer.ip(), refusal(403))]);
    assert_eq!(bench.client.send(peer, b"x", &mut buf, bench.now), Err(SendError::Refused(peer.ip())));
    assert_eq!(bench.client.counters().dropped, 1);
}

#[test]
fn a_server_that_insists_on_who_has_allocated_gets_that_one() {
    let theirs = LongTermCredentials::new("1700:alice", "other").unwrap();
    let key = LongTermKey::Sha1(IntegrityKey::new(&PasswordAlgorithm::Md5.key(&theirs, b"here")));
    // coturn does not sign that.
    for (transport, key) in [(Transport::Udp, Some(&key)), (Transport::Udp, None), (Transport::Tcp, None)] {
        let insist = |bench: &mut Bench, request: &[u8]| {
            bench.hear(&answer(request, Class::Error, key, |writer| {
                writer.error_code(ErrorCode { code: 441, reason: "No" });
            }));
        };
        let mut bench = Bench::plain(transport);
        bench.allocate();
        bench.client.set_credentials(theirs.clone(), bench.now);
        for peer in ["198.51.100.1", "198.51.100.2"] {
            bench.client.permit(peer.parse().unwrap(), bench.now).unwrap();
        }
        for request in bench.sent() {
            assert_eq!(Message::parse(&request).unwrap().get(AttributeType::USERNAME), Some(&b"1700:alice"[..]));
            insist(&mut bench, &request);
            let request = bench.asked();
            let message = Message::parse(&request).unwrap();
            assert_eq!(message.get(AttributeType::USERNAME), Some(&b"alice"[..]));
            assert!(bench.key().check(&message).is_ok());
            bench.grant(&request, 600);
            assert!(matches!(bench.events()[..], [Event::Permitted(_)]));
        }
        assert_eq!(bench.client.counters(), Counters::default());
        // Who is that one already has nobody to go back to.
        let request = bench.next_request();
        insist(&mut bench, &request);
        assert_eq!(bench.client.counters().bad_integrity, 1);
    }
}

#[test]
fn both_families_are_asked_for_by_the_number_that_coturn_knows_too() {
    for family in [Family::Ipv4, Family::Ipv6, Family::Both] {
        let mut bench = Bench::with(Config { family, ..Config::new(address(SERVER), Transport::Udp, alice()) });
        let request = bench.asked();
        let message = Message::parse(&request).unwrap();
        for number in [0x8000, 0x8032] {
            let asked = message.get(AttributeType(number));
            assert_eq!(asked, (family == Family::Both).then_some(&[2, 0, 0, 0][..]));
        }
        assert_eq!(message.get(AttributeType::REQUESTED_ADDRESS_FAMILY).is_some(), family == Family::Ipv6);
    }
}

fn redirect(request: &[u8], servers: &[&str], domain: Option<&str>) -> Vec<u8> {
    answer(request, Class::Error, None, |writer| {
        writer.error_code(ErrorCode { code: 300, reason: "Try Alternate" });
        for server in servers {
            let server = address(server);
            let mut value = vec![0, if server.is_ipv4() { 1 } else { 2 }];
            value.extend(server.port().to_be_bytes());
            match server {
                SocketAddr::V4(server) => value.extend(server.ip().octets()),
                SocketAddr::V6(server) => value.extend(server.ip().octets()),
            }
            writer.attribute(AttributeType::ALTERNATE_SERVER, &value);
        }
        if let Some(domain) = domain {
            writer.attribute(AttributeType::ALTERNATE_DOMAIN, domain.as_bytes());
        }
    })
}

#[test]
fn a_redirection_is_followed_once_and_not_to_everywhere() {
    let (here, there) = (address(SERVER), address(OTHER));
    let mut bench = Bench::plain(Transport::Udp);
    let request = bench.asked();
    bench.hear(&redirect(&request, &["[2001:db8::1]:3478", "0.0.0.0:1", "127.0.0.1:3478", OTHER], None));
    assert_eq!(bench.events(), [Event::Redirected { from: here, to: there }]);
    assert_eq!(bench.client.server(), there);
    let request = bench.asked();
    assert_eq!(bench.client.handle_datagram(here, &redirect(&request, &[SERVER], None), bench.now), None);
    assert_eq!(bench.events(), [], "the old server has no say any more");
    bench.hear(&redirect(&request, &[SERVER], None));
    assert_eq!(bench.events(), [Event::Failed(Failure::Redirects(here))]);

    for nowhere in [&[][..], &["[2001:db8::1]:3478"], &["255.255.255.255:1", "224.0.0.1:1", "192.0.2.2:0"]] {
        let mut bench = Bench::plain(Transport::Udp);
        let request = bench.asked();
        bench.hear(&redirect(&request, nowhere, None));
        assert_eq!(bench.events(), [Event::Failed(Failure::NoAlternate)]);
    }

    let mut bench = Bench::with(Config { max_redirects: 0, ..Config::new(here, Transport::Udp, alice()) });
    let request = bench.asked();
    bench.hear(&redirect(&request, &[OTHER], None));
    assert_eq!(bench.events(), [Event::Failed(Failure::Redirects(there))]);
}

#[test]
fn a_redirected_stream_is_opened_to_who_has_the_name() {
    for (named, expected) in
        [(Some("turn.example.net"), Some("turn.example.net")), (Some("no name"), None), (None, None)]
    {
        let mut bench = Bench::plain(Transport::Tls);
        assert_eq!(bench.events(), [Event::OpenStream { server: address(SERVER), domain: None }]);
        bench.client.handle_stream_opened(bench.now);
        let request = bench.asked();
        bench.hear(&redirect(&request, &[OTHER], named));
        let to = address(OTHER);
        assert_eq!(
            bench.events(),
            [
                Event::Redirected { from: address(SERVER), to },
                Event::CloseStream,
                Event::OpenStream { server: to, domain: expected.map(str::to_owned) }
            ]
        );
        bench.client.handle_stream_opened(bench.now);
        let request = bench.asked();
        bench.challenge(&request, 401);
        let request = bench.asked();
        bench.grant(&request, 600);
        assert!(matches!(bench.events()[..], [Event::Allocated(_)]));
    }
}

#[test]
fn strangers_and_forgeries_are_counted_and_change_nothing() {
    let mut bench = Bench::plain(Transport::Udp);
    let request = bench.asked();
    let right = answer(&request, Class::Error, None, |writer| {
        writer.error_code(ErrorCode::UNAUTHENTICATED);
    });
    assert_eq!(bench.client.handle_datagram(address(OTHER), &right, bench.now), None);
    let mut changed = right.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(bench.client.handle_datagram(address(SERVER), &changed, bench.now), None);
    let mut unasked = request.clone();
    unasked[19] ^= 1;
    let unasked = answer(&unasked, Class::Success, None, |_| ());
    assert_eq!(bench.client.handle_datagram(address(SERVER), &unasked, bench.now), None);
    assert_eq!(bench.client.handle_datagram(address(SERVER), &request, bench.now), None);
    assert_eq!(bench.client.handle_datagram(address(SERVER), b"", bench.now), None);
    let expected = Counters {
        wrong_source: 1,
        bad_fingerprint: 1,
        unmatched: 1,
        unexpected: 1,
        malformed: 1,
        ..Counters::default()
    };
    assert_eq!(bench.client.counters(), expected);
    assert_eq!((bench.sent().len(), bench.events().len()), (0, 0));
}

#[test]
fn a_request_is_repeated_as_the_rfc_has_it_and_not_at_all_in_a_stream() {
    for (transport, times) in [(Transport::Udp, 7), (Transport::Tcp, 1)] {
        let mut bench = Bench::plain(transport);
        bench.events();
        bench.client.handle_stream_opened(bench.now);
        let mut sent = bench.sent();
        while let Some(next) = bench.client.poll_timeout() {
            bench.now = next;
            bench.client.handle_timeout(next);
            sent.extend(bench.sent());
        }
        assert_eq!(sent.len(), times);
        sent.dedup();
        assert_eq!(sent.len(), 1, "the same bytes each time");
        assert_eq!(bench.now, Instant::from_millis(1000 + 39_500));
        assert_eq!(bench.events().last(), Some(&Event::Failed(Failure::NoAnswer)));
    }
}

#[test]
fn a_silent_client_keeps_the_mappings_of_nats_alive() {
    let mut bench = Bench::plain(Transport::Udp);
    bench.allocate();
    bench.pass(61);
    let sent = bench.sent();
    assert_eq!(sent.len(), 4);
    for datagram in sent {
        let message = Message::parse(&datagram).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::BINDING));
    }
}

#[test]
fn frames_come_out_of_a_stream_however_it_is_cut() {
    let mut stream = Vec::new();
    let mut frames = Vec::new();
    for len in 0..40 {
        let mut buf = [0; 100];
        buf[4..].fill(len as u8);
        let end = write_channel_data(&mut buf, 0x4000 + len, usize::from(len), true).unwrap();
        frames.push(buf[..end].to_vec());
        let mut writer =
            MessageWriter::new(&mut buf, Class::Indication, Method::DATA, crate::stun::TransactionId([len as u8; 12]));
        writer.attribute(AttributeType::SOFTWARE, &vec![1; usize::from(len)]);
        let end = writer.finish().unwrap();
        frames.push(buf[..end].to_vec());
    }
    stream.extend(frames.iter().flatten());
    for cut in 1..200 {
        let (mut reader, mut read) = (Frames::default(), Vec::new());
        for mut piece in stream.chunks(cut) {
            while let (taken, Some(frame)) = reader.advance(piece).unwrap() {
                assert_eq!(is_channel_data(frame), frame[0] == 0x40);
                read.push(frame.to_vec());
                piece = &piece[taken..];
            }
        }
        assert_eq!(read, frames, "{cut}");
    }
    for garbage in [&[0x50, 0, 0, 0][..], &[0x80, 0, 0, 0], &[0, 1, 0, 3], &[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x43]] {
        assert_eq!(Frames::default().advance(garbage), Err(Garbage), "{garbage:?}");
        let mut slowly = Frames::default();
        assert!(garbage.iter().any(|byte| slowly.advance(std::slice::from_ref(byte)).is_err()), "{garbage:?}");
    }
}

#[test]
fn garbage_in_a_stream_ends_it() {
    let mut bench = Bench::plain(Transport::Tcp);
    bench.allocate();
    bench.client.handle_stream_data(b"SSH-2.0-server\r\n", bench.now, |data| panic!("{data:?}"));
    assert_eq!(bench.events(), [Event::CloseStream, Event::Lost(Loss::Garbage)]);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let config = |server| Config::new(address(server), Transport::Udp, alice());
    let new = |config| Client::new(config, [0; 32], Instant::ZERO).err();
    for server in ["192.0.2.1:0", "0.0.0.0:1", "224.0.0.1:1", "[::]:1"] {
        assert_eq!(new(config(server)), Some(InvalidConfig::Server(address(server))));
    }
    let talkative = Config { software: Some("x".repeat(764)), ..config(SERVER) };
    assert_eq!(new(talkative), Some(InvalidConfig::Software { len: 764 }));
}

#[test]
fn the_longest_request_fits() {
    let long = "x".repeat(763);
    let credentials = LongTermCredentials::new("u".repeat(508), "secret").unwrap();
    let mut config = Config::new(address(SERVER), Transport::Udp, credentials);
    config.software = Some(long.clone());
    let mut bench = Bench::with(config);
    bench.realm = Box::leak(long.clone().into_boxed_str());
    bench.nonce = bench.realm;
    bench.algorithms = Some(Box::leak([SHA256_AND_MD5.repeat(32)].concat().into_boxed_slice()));
    let request = bench.asked();
    bench.challenge(&request, 401);
    assert!(bench.asked().len() > 3000);
}
