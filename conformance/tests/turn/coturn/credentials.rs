//! Who may have an allocation, and for how long.

use std::net::UdpSocket;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use frazil::stun::{
    AttributeType, Challenge, Class, LongTermCredentials, Message, MessageWriter, Method, TransactionId,
};
use frazil::turn::{Config, Transport};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use super::driver::Driver;
use super::server::RELEASED;
use super::{Coturn, Peer, Plan, config};
use crate::site::seconds;

#[test]
#[ignore = "needs turnserver"]
fn a_wrong_password_and_an_unknown_user_are_401() {
    let server = Coturn::start(&[]);
    for transport in [Transport::Udp, Transport::Tcp] {
        for (name, password) in [("alice", "wrong"), ("bob", "secret")] {
            let credentials = LongTermCredentials::new(name, password).unwrap();
            let failure = Driver::new(Config { credentials, ..config(&server, transport) }).failure();
            assert_eq!(failure.code(), 401, "{failure}");
        }
    }
}

#[test]
#[ignore = "needs turnserver"]
fn a_nonce_may_expire() {
    let server = Coturn::start(&["--stale-nonce=1"]);
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut driver = Driver::allocated(config(&server, transport));
        let [first, second] = ["127.0.0.1:0", "127.0.0.2:0"].map(Peer::at);
        driver.permit(first.address);
        let before = server.says("error 438");
        driver.pass(Duration::from_millis(2500));
        driver.permit(second.address);
        assert!(server.says("error 438") > before, "no nonce was stale");
        driver.close();
    }
}

#[test]
#[ignore = "needs turnserver"]
fn a_quota_is_486_until_something_is_released() {
    let server = Coturn::start(&["--user-quota=1"]);
    for (n, transport) in [(0, Transport::Udp), (2, Transport::Tcp)] {
        let mut first = Driver::allocated(config(&server, transport));
        let failure = Driver::new(config(&server, transport)).failure();
        assert_eq!((failure.code(), failure.retry_after()), (486, Some(seconds(60))), "{failure}");
        first.close();
        // It takes a moment to tidy up.
        server.wait_until_it_says(RELEASED, n + 1);
        Driver::allocated(config(&server, transport)).close();
        server.wait_until_it_says(RELEASED, n + 2);
    }
}

/// What is new in RFC 8489, SHA-256 and hashed user names, coturn does not speak: `docs/turn.md` says so.
#[test]
#[ignore = "needs turnserver"]
fn it_offers_no_password_algorithms() {
    let server = Coturn::start(&[]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(seconds(60))).unwrap();
    let mut buf = [0; 1000];
    let mut request = MessageWriter::new(&mut buf, Class::Request, Method::ALLOCATE, TransactionId([3; 12]));
    request.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let len = request.finish().unwrap();
    socket.send_to(&buf[..len], server.address(Transport::Udp)).unwrap();
    let len = socket.recv(&mut buf).unwrap();
    let answer = Message::parse(&buf[..len]).unwrap();
    assert_eq!(answer.class(), Class::Error);
    let challenge = Challenge::read(&answer, None).unwrap();
    assert_eq!(challenge.realm(), b"here");
    assert_eq!(answer.get(AttributeType::PASSWORD_ALGORITHMS), None);
    // Nor does its nonce announce them.
    assert!(!answer.get(AttributeType::NONCE).unwrap().starts_with(b"obMatJos2"));
}

/// Credentials as a web service gives them that shares a secret with the server: good until then.
fn lent(user: &str, seconds: i64) -> LongTermCredentials {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let name = format!("{}:{user}", now.saturating_add_signed(seconds));
    let mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&name).finalize();
    LongTermCredentials::new(name, BASE64_STANDARD.encode(mac.into_bytes())).unwrap()
}

const SECRET: &str = "between-us";

#[test]
#[ignore = "needs turnserver"]
fn lent_credentials_can_be_renewed() {
    let plan = Plan::new().with_loopback_peers().with(&["--use-auth-secret", "--static-auth-secret", SECRET]);
    let server = plan.with(&["--stale-nonce=1"]).start();
    for (n, transport) in [Transport::Udp, Transport::Tcp].into_iter().enumerate() {
        let expired = Config { credentials: lent("alice", -10), ..config(&server, transport) };
        assert_eq!(Driver::new(expired).failure().code(), 401);
        let mut driver = Driver::allocated(Config { credentials: lent("alice", 10), ..config(&server, transport) });
        let [first, second, third] = ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"].map(Peer::at);
        driver.permit(first.address);
        driver.call(|client, now| client.set_credentials(lent("alice", 600), now));
        driver.permit(second.address);
        driver.pass(seconds(13));
        driver.permit(third.address);
        // It keeps to the user who has allocated, for as long as the allocation lasts.
        assert!(server.says("error 441") > n && !driver.client.is_over());
        driver.close();
    }
}
