//! Data in all the ways that there are.

use std::net::SocketAddr;

use frazil::turn::{Config, Counters, Event, Family};

use super::driver::Driver;
use super::{Peer, TRANSPORTS, of_all_transports};
use crate::site::credentials;

/// Around the borders of words and of a byte, and up to what a packet has room for.
const LENGTHS: [usize; 16] = [1, 2, 3, 4, 5, 7, 63, 64, 65, 255, 256, 257, 1199, 1200, 1399, 1400];

#[test]
#[ignore = "needs turnserver"]
fn every_length_goes_both_ways_over_every_transport() {
    let (plan, surroundings) = of_all_transports();
    let server = plan.start();
    let peers = [true, false].map(Peer::new);
    let mut draw = Draw(fastrand::Rng::with_seed(1));
    for transport in TRANSPORTS {
        for at in [server.address(transport), server.address_6(transport)] {
            for family in [Family::Ipv4, Family::Ipv6, Family::Both] {
                for bind_after in [None, Some(0)] {
                    let config = Config { family, bind_after, ..Config::new(at, transport, credentials("secret")) };
                    let mut driver = Driver::within(config, surroundings.clone());
                    driver.wait_for_allocation();
                    assert_eq!(driver.client.mapped(), Some(driver.local()));
                    let reachable = match family {
                        Family::Ipv4 => &peers[..1],
                        Family::Ipv6 => &peers[1..],
                        Family::Both => &peers,
                    };
                    for peer in reachable {
                        draw.converse(&mut driver, peer, bind_after.is_some());
                    }
                    driver.close();
                    assert_eq!(driver.ignored(), Counters::default(), "{transport:?} {at} {family:?}");
                }
            }
        }
    }
}

/// Where bytes come from.
struct Draw(fastrand::Rng);

impl Draw {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.0.u8(..)).take(len).collect()
    }

    /// Sends datagrams of all lengths to and fro, one by one and then all at once.
    fn converse(&mut self, driver: &mut Driver, peer: &Peer, on_channel: bool) {
        let relayed = relayed_for(driver, peer.address);
        // This one waits for the permission; the next one has the channel bound.
        for _ in 0..2 {
            let data = self.bytes(9);
            driver.send(peer.address, &data).unwrap();
            driver.wait_for(&Event::Permitted(peer.address.ip()));
            assert_eq!(peer.receive(), (relayed, data));
        }
        if on_channel {
            driver.wait_for(&Event::ChannelBound(peer.address));
        }
        assert_eq!(driver.client.has_channel(peer.address), on_channel);
        for len in LENGTHS {
            let [there, back] = [self.bytes(len), self.bytes(len)];
            driver.send(peer.address, &there).unwrap();
            assert_eq!(peer.receive(), (relayed, there));
            peer.send(relayed, &back);
            driver.until(|driver| driver.data.last().is_some_and(|last| *last == (peer.address, back.clone())));
        }
        let all = LENGTHS.map(|len| [self.bytes(len), self.bytes(len)]);
        let before = driver.data.len();
        for [there, back] in &all {
            driver.send(peer.address, there).unwrap();
            peer.send(relayed, back);
        }
        for [there, _] in &all {
            assert_eq!(peer.receive(), (relayed, there.clone()));
        }
        driver.until(|driver| driver.data.len() >= before + all.len());
        assert_eq!(driver.data[before..], all.map(|[_, back]| (peer.address, back)));
    }
}

/// The relayed address of this peer's family.
fn relayed_for(driver: &Driver, peer: SocketAddr) -> SocketAddr {
    let relayed = [driver.client.relayed(), driver.client.additional()].into_iter().flatten();
    relayed.into_iter().find(|relayed| relayed.is_ipv4() == peer.is_ipv4()).expect("a relayed address")
}
