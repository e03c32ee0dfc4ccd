//! ALTERNATE-SERVER.

use std::net::SocketAddr;

use frazil::turn::{Event, Failure, Transport};

use super::certificate::Authority;
use super::driver::Driver;
use super::{Coturn, NAME, Peer, Plan, TRANSPORTS, config};

fn alternates(plain: SocketAddr, tls: SocketAddr) -> [String; 2] {
    [format!("--alternate-server={plain}"), format!("--tls-alternate-server={tls}")]
}

/// Sends all that come to this one.
fn redirecting(plan: Plan, to: &Plan) -> Coturn {
    let [plain, tls] = alternates(to.address(Transport::Udp, true), to.address(Transport::Tls, true));
    plan.with(&[&plain, &tls]).start()
}

#[test]
#[ignore = "needs turnserver"]
fn a_redirection_is_followed_and_the_name_kept() {
    let authority = Authority::new();
    let surroundings = authority.surroundings(NAME);
    let plan = |name| Plan::new().with_alice().with_loopback_peers().with_certificate(authority.certify(name));
    let (second, impostor) = (plan(NAME), plan("other.test"));
    let (first, misled) = (redirecting(plan(NAME), &second), redirecting(plan(NAME), &impostor));
    let (second, _impostor) = (second.start(), impostor.start());
    let peer = Peer::new(true);
    for transport in TRANSPORTS {
        let mut driver = Driver::within(config(&first, transport), surroundings.clone());
        driver.wait_for_allocation();
        let (from, to) = (first.address(transport), second.address(transport));
        assert_eq!(driver.client.server(), to);
        assert!(driver.events.contains(&Event::Redirected { from, to }));
        driver.permit(peer.address);
        peer.send(driver.client.relayed().unwrap(), b"here");
        driver.until(|driver| driver.data == [(peer.address, b"here".to_vec())]);
        driver.close();
    }
    // The second server must be who the first one is.
    let mut driver = Driver::within(config(&misled, Transport::Tls), surroundings);
    assert_eq!(driver.failure(), Failure::NotOpened);
}

#[test]
#[ignore = "needs turnserver"]
fn servers_that_redirect_in_a_circle_are_left() {
    let [first, second] = [(); 2].map(|()| Plan::new().with_alice());
    let (one, other) = (redirecting(first.clone(), &second), redirecting(second, &first));
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut driver = Driver::new(config(&one, transport));
        assert_eq!(driver.failure(), Failure::Redirects(one.address(transport)));
        let hops = driver.events.iter().filter(|event| matches!(event, Event::Redirected { .. })).count();
        assert_eq!((hops, driver.client.server()), (1, other.address(transport)));
    }
}
