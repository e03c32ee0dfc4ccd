//! Networks that loopback is not.

use std::process::Command;

use frazil::turn::{Event, Loss, Transport};
use nix::sched::{CloneFlags, unshare};

use super::driver::Driver;
use super::server::RELEASED;
use super::{Peer, Plan, config};

/// Runs a test in a network of its own, with these addresses beside those of loopback and no way out.
fn in_a_network(addresses: &'static [&'static str], test: fn()) {
    let run = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("the right to make a network namespace: root, or `unshare -Ur`");
        let ip = |arguments: &str| {
            let done = Command::new("ip").args(arguments.split(' ')).output().unwrap();
            assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
        };
        ip("link set lo up");
        for address in addresses {
            ip(&format!("address add {address} dev lo"));
        }
        test();
    };
    // The network is the thread's and goes with it; what the thread starts is in it too.
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// A datagram to where coturn's machine has no route breaks the whole allocation: coturn sends nothing more, and drops it
/// when the next peer's datagram comes.
#[test]
#[ignore = "needs turnserver"]
fn an_allocation_that_breaks_on_a_peer_out_of_reach_is_noticed() {
    in_a_network(&["10.9.0.1/24", "10.9.0.2/24"], || {
        let server = Plan::on(&["10.9.0.1".parse().unwrap()]).with_alice().start();
        let out_of_reach = "192.168.7.7:9".parse().unwrap();
        let peer = Peer::at("10.9.0.2:0");
        for (transport, loss) in [(Transport::Udp, Loss::Unknown), (Transport::Tcp, Loss::StreamClosed)] {
            let mut driver = Driver::allocated(config(&server, transport));
            let released = server.says(RELEASED);
            driver.permit(out_of_reach);
            driver.send(out_of_reach, b"out").unwrap();
            // What is answered next was asked after that.
            driver.permit(peer.address);
            peer.send(driver.client.relayed().unwrap(), b"in");
            server.wait_until_it_says(RELEASED, released + 1);
            if transport == Transport::Udp {
                driver.call(|client, now| client.permit("10.9.0.3".parse().unwrap(), now)).unwrap();
            }
            assert_eq!(driver.loss(), loss);
            let mut fresh = Driver::allocated(config(&server, transport));
            fresh.permit(peer.address);
            peer.send(fresh.client.relayed().unwrap(), b"again");
            fresh.until(|driver| driver.data == [(peer.address, b"again".to_vec())]);
        }
    });
}

/// Without being told so, coturn reaches whoever is not on loopback.
#[test]
#[ignore = "needs turnserver"]
fn peers_elsewhere_need_no_leave() {
    in_a_network(&["10.9.0.1/24", "10.9.0.2/24", "fd09::1/64", "fd09::2/64"], || {
        let plan = Plan::on(&["10.9.0.1".parse().unwrap(), "fd09::1".parse().unwrap()]);
        let server = plan.with_alice().start();
        let peer = Peer::at("10.9.0.2:0");
        let mut driver = Driver::allocated(config(&server, Transport::Udp));
        let relayed = driver.client.relayed().unwrap();
        driver.call(|client, now| client.permit("127.0.0.1".parse().unwrap(), now)).unwrap();
        driver
            .until(|driver| matches!(driver.events.last(), Some(Event::PermissionRefused(_, why)) if why.code == 403));
        driver.permit(peer.address);
        peer.send(relayed, b"there");
        driver.until(|driver| driver.data == [(peer.address, b"there".to_vec())]);
        driver.send(peer.address, b"back").unwrap();
        assert_eq!(peer.receive(), (relayed, b"back".to_vec()));
        driver.close();
    });
}
