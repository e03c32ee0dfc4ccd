//! Allocations that are lost.

use frazil::stun::RetransmissionConfig;
use frazil::turn::{Config, Failure, Loss, Transport};

use super::driver::{Driver, Surroundings};
use super::{Coturn, Peer, TRANSPORTS, config, of_all_transports};
use crate::site::{credentials, seconds};

/// Killed and started again in mid-session: it is noticed, and who asks anew is served.
#[test]
#[ignore = "needs turnserver"]
fn a_restarted_server_is_noticed() {
    let (plan, surroundings) = of_all_transports();
    let mut server = plan.start();
    let peer = Peer::new(true);
    for transport in TRANSPORTS {
        let mut driver = Driver::within(config(&server, transport), surroundings.clone());
        driver.wait_for_allocation();
        driver.permit(peer.address);
        server = server.kill().start();
        let loss = match transport {
            // Nobody knows before something is asked.
            Transport::Udp => {
                driver.call(|client, now| client.permit("127.0.0.9".parse().unwrap(), now)).unwrap();
                Loss::Unknown
            }
            Transport::Tcp | Transport::Tls => Loss::StreamClosed,
        };
        assert_eq!(driver.loss(), loss);
        let mut fresh = Driver::within(config(&server, transport), surroundings.clone());
        fresh.wait_for_allocation();
        fresh.permit(peer.address);
        peer.send(fresh.client.relayed().unwrap(), b"again");
        fresh.until(|driver| driver.data == [(peer.address, b"again".to_vec())]);
        fresh.close();
    }
}

/// Killed, and nobody in its place.
#[test]
#[ignore = "needs turnserver"]
fn a_dead_server_is_noticed() {
    let server = Coturn::start(&[]);
    let surroundings = Surroundings { haste: 25, ..Surroundings::default() };
    // A request is given up after six seconds of ours, and so is the refresh that then asks whether anybody is there. The
    // allocation would last for 24.
    let retransmission = RetransmissionConfig { rto: seconds(10), rc: 4, rm: 8 };
    let config_here = Config { retransmission, ..config(&server, Transport::Udp) };
    let mut driver = Driver::within(config_here, surroundings);
    driver.wait_for_allocation();
    let plan = server.kill();
    driver.call(|client, now| client.permit("127.0.0.9".parse().unwrap(), now)).unwrap();
    assert_eq!(driver.loss(), Loss::NoAnswer);
    let config_there = Config::new(plan.address(Transport::Tcp, true), Transport::Tcp, credentials("secret"));
    assert_eq!(Driver::new(config_there).failure(), Failure::NotOpened);
    Driver::allocated(config(&plan.start(), Transport::Udp)).close();
}

/// To the server a client is who it talks with from one port.
#[test]
#[ignore = "needs turnserver"]
fn another_port_is_another_client() {
    let server = Coturn::start(&[]);
    let mut driver = Driver::allocated(config(&server, Transport::Udp));
    let local = driver.local();
    driver.rebind();
    driver.call(|client, now| client.permit("127.0.0.9".parse().unwrap(), now)).unwrap();
    assert_eq!(driver.loss(), Loss::Unknown);
    // And the port that has an allocation gets no second one.
    let surroundings = Surroundings { local: Some(local), ..Surroundings::default() };
    let failure = Driver::within(config(&server, Transport::Udp), surroundings).failure();
    assert!(failure.wants_fresh_port(), "{failure}");
    Driver::allocated(config(&server, Transport::Udp)).close();
}
