//! What works when nothing is wrong.

use frazil::turn::{Client, Event, Failure, Family, Loss, SendError, Transport};
use frazil_internet::TurnServer;

use crate::site::*;

const WAYS: [(&str, Transport); 4] = [
    (SERVER, Transport::Udp),
    (SERVER, Transport::Tcp),
    // To this internet TLS is a stream like any other: the client does not see what the driver does to it.
    (SERVER, Transport::Tls),
    (SERVER_6, Transport::Udp),
];

#[test]
fn data_goes_both_ways_and_on_a_channel_it_costs_four_bytes() {
    for (server, transport) in WAYS {
        let mut site = Plan::new(server, transport).build();
        let relayed = site.allocated().relayed;
        assert_eq!(relayed.ip(), address(SERVER).ip());
        assert_eq!((site.client().relayed(), site.client().additional()), (Some(relayed), None));
        let (peer, neighbour, stranger) = (address(PEER), address(NEIGHBOUR), address(STRANGER));
        assert_eq!(site.peer_says(peer, relayed, b"early"), [], "nobody has permitted it");
        // The first one waits for the permission.
        assert_eq!(
            site.client_says(peer, b"0"),
            [Said::Client(Event::Permitted(peer.ip())), Said::Peer(relayed, peer, b"0".to_vec())]
        );
        assert_eq!(site.peer_says(peer, relayed, b"back"), [Said::Data(peer, b"back".to_vec())]);
        // The permission is the address's, whatever the port.
        assert_eq!(site.peer_says(neighbour, relayed, b"too"), [Said::Data(neighbour, b"too".to_vec())]);
        assert_eq!(site.peer_says(stranger, relayed, b"no"), []);
        // It was sent as held data; so four more go by indications before the channel is bound.
        let mut bound = 0;
        for n in 1..=6 {
            let said = site.client_says(peer, &[n]);
            assert!(said.contains(&Said::Peer(relayed, peer, vec![n])), "{said:?}");
            bound += said.iter().filter(|said| **said == Said::Client(Event::ChannelBound(peer))).count();
        }
        assert_eq!((bound, site.client().has_channel(peer), site.client().has_channel(neighbour)), (1, true, false));
        for len in 0..9 {
            site.internet.start_record();
            let data = vec![7; len];
            assert_eq!(site.client_says(peer, &data), [Said::Peer(relayed, peer, data.clone())]);
            let [sent] = site.internet.record().iter().filter(|s| s.host == site.client).collect::<Vec<_>>()[..] else {
                panic!("{:?}", site.internet.record())
            };
            let padded = if transport.is_stream() { len.next_multiple_of(4) } else { len };
            assert_eq!(sent.datagram.len(), 4 + padded);
            assert_eq!(site.peer_says(peer, relayed, &data), [Said::Data(peer, data)]);
        }
        assert_eq!(site.peer_says(neighbour, relayed, b"too"), [Said::Data(neighbour, b"too".to_vec())]);
        let counters = site.client().counters();
        assert_eq!(counters, frazil::turn::Counters::default());
    }
}

#[test]
fn it_lasts_while_it_is_used() {
    for (server, transport) in WAYS {
        let mut site = Plan::new(server, transport).build();
        let relayed = site.allocated().relayed;
        let (peer, other) = (address(PEER), address(STRANGER));
        site.client_says(other, b"once");
        for n in 0..120_u32 {
            let data = n.to_be_bytes();
            let said = site.client_says(peer, &data);
            assert!(said.contains(&Said::Peer(relayed, peer, data.to_vec())), "{n}: {said:?}");
            // That from the peer keeps nothing waiting, either.
            assert_eq!(site.peer_says(peer, relayed, &data), [Said::Data(peer, data.to_vec())], "{n}");
            assert_eq!(site.pass(seconds(24)), [], "{n}");
        }
        assert_eq!(site.peer_says(other, relayed, b"late"), [], "what is not used is not prolonged");
        assert_eq!(site.client_says(other, b"again").len(), 2);
        assert_eq!(site.peer_says(other, relayed, b"so"), [Said::Data(other, b"so".to_vec())]);
    }
}

#[test]
fn it_lasts_without_data_and_then_what_the_client_has_asked_for_is_there() {
    let mut site = Plan::new(SERVER, Transport::Udp).build();
    let relayed = site.allocated().relayed;
    assert_eq!(site.pass(seconds(3500)), []);
    let peer = address(PEER);
    site.with(|driven, now| driven.client.permit(peer.ip(), now)).unwrap();
    assert_eq!(site.pass(seconds(1)), [Said::Client(Event::Permitted(peer.ip()))]);
    assert_eq!(site.peer_says(peer, relayed, b"back"), [Said::Data(peer, b"back".to_vec())]);
}

#[test]
fn each_family_has_its_relay() {
    for (transport, family) in [(Transport::Udp, Family::Ipv6), (Transport::Tcp, Family::Both)] {
        let mut plan = Plan::new(SERVER, transport);
        plan.config.family = family;
        let mut site = plan.build();
        let allocated = site.allocated();
        let (v4, v6) = (address(PEER), address(PEER_6));
        if family == Family::Ipv6 {
            assert!(allocated.relayed.is_ipv6() && allocated.additional.is_none());
            let refused = site.with(|driven, now| driven.send(v4, b"no", now));
            assert_eq!(refused, Err(SendError::Family(v4.ip())));
            assert_eq!(site.client_says(v6, b"yes")[1], Said::Peer(allocated.relayed, v6, b"yes".to_vec()));
            continue;
        }
        let additional = allocated.additional.unwrap();
        for (relayed, peer) in [(allocated.relayed, v4), (additional, v6)] {
            assert_eq!(site.client_says(peer, b"there")[1], Said::Peer(relayed, peer, b"there".to_vec()));
            assert_eq!(site.peer_says(peer, relayed, b"back"), [Said::Data(peer, b"back".to_vec())]);
        }
        site.pass(seconds(1500));
        for (relayed, peer) in [(allocated.relayed, v4), (additional, v6)] {
            assert_eq!(site.client_says(peer, b"later")[1], Said::Peer(relayed, peer, b"later".to_vec()));
        }
    }
}

#[test]
fn what_is_given_back_is_gone() {
    for (server, transport) in WAYS {
        let mut plan = Plan::new(server, transport);
        // One relayed address is all there is.
        plan.server = TurnServer { relay_ports: 50_000..=50_000, ..plan.server };
        let config = plan.config.clone();
        let mut site = plan.build();
        site.allocated();
        site.client_says(address(PEER), b"there");
        site.pass(seconds(100));
        site.with(|driven, now| driven.client.close(now));
        assert_eq!(site.pass(seconds(1)), [Said::Client(Event::Closed)]);
        assert!(site.client().is_over() && site.client().poll_timeout().is_none());
        assert_eq!(site.with(|driven, now| driven.send(address(PEER), b"", now)), Err(SendError::NotAllocated));
        site.start_anew(config);
        site.allocated();
    }
}

#[test]
fn a_server_at_its_limit_says_so() {
    let mut plan = Plan::new(SERVER, Transport::Udp);
    plan.server.relay_ports = 50_000..=50_000;
    let config = plan.config.clone();
    let mut site = plan.build();
    site.allocated();
    site.start_anew(config);
    let said = site.pass(seconds(2));
    let [Said::Client(Event::Failed(failure))] = &said[..] else { panic!("{said:?}") };
    assert_eq!((failure.code(), failure.retry_after()), (508, Some(seconds(60))));
    assert!(!failure.wants_fresh_port() && !failure.to_string().is_empty());
}

#[test]
fn closing_before_there_is_an_allocation_leaves_none() {
    for wait in 0..20 {
        for (server, transport) in WAYS {
            let mut plan = Plan::new(server, transport);
            plan.server.relay_ports = 50_000..=50_000;
            let config = plan.config.clone();
            let mut site = plan.build();
            site.pass(std::time::Duration::from_millis(wait * 10));
            site.with(|driven, now| driven.client.close(now));
            let said = site.pass(seconds(3));
            assert_eq!(said.last(), Some(&Said::Client(Event::Closed)), "{said:?}");
            assert!(site.client().is_over());
            site.start_anew(config);
            site.allocated();
        }
    }
}

#[test]
fn the_words_of_a_failure_are_those_of_w3c() {
    assert_eq!((Failure::NoAnswer.code(), Failure::NoAnswer.to_string().is_empty()), (701, false));
    assert!(!Loss::Unknown.to_string().is_empty());
    const { assert!(Client::MIN_BUFFER >= 1500) };
}
