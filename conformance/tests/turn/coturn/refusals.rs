//! What coturn does not let us do.

use frazil::turn::{Config, Event, Family, Refusal, SendError, Transport};

use super::driver::Driver;
use super::{Coturn, Peer, Plan, config};

/// No peer on loopback, unless the server was told otherwise.
#[test]
#[ignore = "needs turnserver"]
fn peers_on_loopback_are_403() {
    let server = Plan::new().with_alice().start();
    let peer = Peer::new(true).address;
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut driver = Driver::allocated(config(&server, transport));
        driver.send(peer, b"never").unwrap();
        driver.until(|driver| driver.events.iter().any(|event| matches!(event, Event::PermissionRefused(..))));
        let Some(Event::PermissionRefused(refused, Refusal { code, .. })) = driver.events.last() else {
            panic!("{:?}", driver.events);
        };
        assert_eq!((*refused, *code), (peer.ip(), 403));
        assert_eq!(driver.send(peer, b"never"), Err(SendError::Refused(peer.ip())));
        assert_eq!(driver.client.counters().dropped, 1);
        driver.close();
    }
}

/// One peer is refused, and nothing else suffers.
#[test]
#[ignore = "needs turnserver"]
fn a_denied_peer_is_403_and_another_is_served() {
    let server = Coturn::start(&["--denied-peer-ip=127.0.0.2-127.0.0.9"]);
    let [good, denied] = ["127.0.0.1:0", "127.0.0.2:0"].map(Peer::at);
    let mut driver = Driver::allocated(config(&server, Transport::Udp));
    driver.permit(good.address);
    driver.send(denied.address, b"never").unwrap();
    driver.until(|driver| {
        let of = denied.address.ip();
        driver
            .events
            .iter()
            .any(|event| matches!(event, Event::PermissionRefused(ip, why) if *ip == of && why.code == 403))
    });
    let relayed = driver.client.relayed().unwrap();
    denied.send(relayed, b"never");
    good.send(relayed, b"good");
    driver.until(|driver| !driver.data.is_empty());
    assert_eq!(driver.data, [(good.address, b"good".to_vec())]);
    driver.send(good.address, b"good").unwrap();
    assert_eq!(good.receive(), (relayed, b"good".to_vec()));
    driver.close();
}

/// A server without addresses of a family.
#[test]
#[ignore = "needs turnserver"]
fn a_family_that_the_server_lacks_is_440() {
    let server = Plan::on(&["127.0.0.1".parse().unwrap()]).with_alice().with_loopback_peers().start();
    let config = |family| Config { family, ..config(&server, Transport::Udp) };
    let failure = Driver::new(config(Family::Ipv6)).failure();
    assert_eq!(failure.code(), 440, "{failure}");
    let mut driver = Driver::allocated(config(Family::Both));
    let Some(Event::Allocated(allocated)) = driver.events.last().cloned() else { panic!("{:?}", driver.events) };
    // coturn does not say why there is none (ADDRESS-ERROR-CODE).
    assert_eq!((allocated.relayed.is_ipv4(), allocated.additional), (true, None));
    let peer = Peer::new(false).address;
    assert_eq!(driver.send(peer, b"never"), Err(SendError::Family(peer.ip())));
    driver.close();
}
