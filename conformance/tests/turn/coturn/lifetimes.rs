//! What has an end, and is prolonged in time.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant as Clock};

use frazil::stun::RetransmissionConfig;
use frazil::turn::{Config, Counters, Event, Family, Transport};

use super::driver::{Driver, Surroundings};
use super::server::RELEASED;
use super::{Coturn, Peer, config};
use crate::site::seconds;

/// Fifty times as fast as in life: coturn's permissions end after 6 seconds, its channels after 12, and the client's
/// clock takes them for 300 and 600.
#[test]
#[ignore = "needs turnserver"]
fn permissions_and_channels_outlive_their_lifetimes() {
    let server = Coturn::start(&["--permission-lifetime=6", "--channel-lifetime=12"]);
    // An answer may take a fifth of a second of ours before it is asked for again.
    let retransmission = RetransmissionConfig { rto: seconds(10), ..RetransmissionConfig::default() };
    let surroundings = Surroundings { haste: 50, ..Surroundings::default() };
    let peers = ["127.0.0.1:0", "127.0.0.2:0"].map(Peer::at);
    for bind_after in [Some(0), None] {
        let config = Config { bind_after, retransmission, ..config(&server, Transport::Udp) };
        let mut driver = Driver::within(config, surroundings.clone());
        driver.wait_for_allocation();
        let relayed = driver.client.relayed().unwrap();
        let [peer, idle] = &peers;
        driver.permit(peer.address);
        driver.permit(idle.address);
        idle.send(relayed, b"early");
        driver.until(|driver| driver.data.len() == 1);
        // Both lifetimes pass, and that of a refresh.
        for n in 0..70_u8 {
            driver.send(peer.address, &[n]).unwrap();
            assert_eq!(peer.receive(), (relayed, vec![n]));
            peer.send(relayed, &[n, n]);
            driver.until(|driver| driver.data.last() == Some(&(peer.address, vec![n, n])));
            driver.pass(seconds(10));
        }
        assert_eq!(driver.client.has_channel(peer.address), bind_after.is_some());
        // The one that nobody has used any more has lapsed, on both sides.
        idle.send(relayed, b"late");
        peer.send(relayed, b"last");
        driver.until(|driver| driver.data.last() == Some(&(peer.address, b"last".to_vec())));
        assert!(!driver.data.contains(&(idle.address, b"late".to_vec())));
        driver.close();
        assert_eq!(driver.ignored(), Counters::default());
    }
}

/// Allocations of eight seconds are prolonged, and an abandoned one goes.
#[test]
#[ignore = "needs turnserver"]
fn an_allocation_outlives_its_lifetime() {
    let server = Coturn::start(&["--max-allocate-lifetime=8"]);
    // coturn raises what is below its default, and holds to its maximum what is above.
    let config = |transport| Config { lifetime: Some(seconds(700)), ..config(&server, transport) };
    let [mut udp, mut tcp] = [Transport::Udp, Transport::Tcp].map(|transport| Driver::allocated(config(transport)));
    let abandoned = Driver::allocated(config(Transport::Udp));
    let Some(Event::Allocated(allocated)) = udp.events.last() else { panic!("{:?}", udp.events) };
    assert_eq!(allocated.lifetime, seconds(8));
    let peer = Peer::new(true);
    [&mut udp, &mut tcp].into_iter().for_each(|driver| driver.permit(peer.address));
    let end = udp.now() + seconds(12);
    while udp.now() < end {
        udp.pass(Duration::from_millis(20));
        tcp.pass(Duration::from_millis(20));
    }
    for driver in [&mut udp, &mut tcp] {
        peer.send(driver.client.relayed().unwrap(), b"still");
        driver.until(|driver| driver.data == [(peer.address, b"still".to_vec())]);
    }
    server.wait_until_it_says(RELEASED, 1);
    wait_until_free(abandoned.client.relayed().unwrap());
}

/// What was given back is gone, with the port, before it would have expired.
#[test]
#[ignore = "needs turnserver"]
fn everything_is_released_on_close() {
    let server = Coturn::start(&[]);
    for (n, transport) in [Transport::Udp, Transport::Tcp].into_iter().enumerate() {
        let mut driver = Driver::allocated(Config { family: Family::Both, ..config(&server, transport) });
        let relayed = [driver.client.relayed(), driver.client.additional()].map(Option::unwrap);
        relayed.iter().for_each(|at| assert!(UdpSocket::bind(at).is_err(), "{at} is the server's"));
        driver.permit(Peer::new(true).address);
        driver.close();
        server.wait_until_it_says(RELEASED, n + 1);
        relayed.into_iter().for_each(wait_until_free);
        assert_eq!((server.says("lifetime=600"), server.says("lifetime=0")), (n + 1, n + 1));
    }
}

/// Waits until nobody has the port any more. The server says that it lets go before it has.
fn wait_until_free(at: SocketAddr) {
    let end = Clock::now() + seconds(20);
    while let Err(error) = UdpSocket::bind(at) {
        assert!(Clock::now() < end, "{at}: {error}");
        thread::yield_now();
    }
}
