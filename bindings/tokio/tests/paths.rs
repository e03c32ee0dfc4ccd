//! How peers find their way to each other: several addresses, candidates that come late, and a new way while
//! data flows.

mod common;

use common::{Pair, builder, connect, ordered, soon};
use frazil::ice::PairState;
use frazil::jsep::{Description, TrickledCandidate};
use frazil::peer::{ConnectionState, Failure, SessionFailure};
use frazil_tokio::{Channel, ConnectError, Event, Events, InterfacePolicy, Peer};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A peer with both of the loopback interface's addresses.
fn dual_stack() -> frazil_tokio::Builder {
    let filter = |interface: &frazil_tokio::Interface| {
        interface.address == Ipv4Addr::LOCALHOST || interface.address == Ipv6Addr::LOCALHOST
    };
    Peer::builder().interfaces(InterfacePolicy { loopback: true, link_local: false, filter: Some(Arc::new(filter)) })
}

/// How many of the two the machine has: not every one has IPv6.
fn families() -> usize {
    [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]
        .into_iter()
        .filter(|address| std::net::UdpSocket::bind((*address, 0)).is_ok())
        .count()
}

/// The description as one that trickles would have sent it, and what is to be trickled, the end at the end.
fn split(description: &Description) -> (Description, Vec<TrickledCandidate>) {
    let ufrag = description.sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap();
    let trickled = |candidate: &str| TrickledCandidate {
        candidate: candidate.to_owned(),
        mid: None,
        m_line_index: Some(0),
        ufrag: Some(ufrag.to_owned()),
    };
    let is_candidate = |line: &str| line.starts_with("a=candidate:") || line == "a=end-of-candidates";
    let (candidates, rest): (Vec<_>, Vec<_>) = description.sdp.lines().partition(|line| is_candidate(line));
    let sdp = rest.iter().map(|line| format!("{line}\r\n")).collect();
    let mut trickle: Vec<_> =
        candidates.iter().filter(|line| **line != "a=end-of-candidates").map(|line| trickled(&line[2..])).collect();
    assert!(!trickle.is_empty());
    trickle.push(trickled(""));
    (Description { kind: description.kind, sdp }, trickle)
}

async fn echo_once(from: &Channel, to: &Channel) {
    from.send("ping").await.unwrap();
    assert_eq!(soon(to.recv()).await.unwrap().as_text(), Some("ping"));
    to.send("pong").await.unwrap();
    assert_eq!(soon(from.recv()).await.unwrap().as_text(), Some("pong"));
}

#[tokio::test]
async fn of_two_families_pairs_are_formed_within_each_and_the_better_one_is_used() {
    let pair = connect(dual_stack(), dual_stack()).await;
    echo_once(&pair.offered, &pair.answered).await;
    for (peer, other) in [(&pair.offerer, &pair.answerer), (&pair.answerer, &pair.offerer)] {
        let addresses = |peer: &Peer| -> BTreeSet<SocketAddr> {
            peer.local_candidates().iter().map(|local| local.candidate.address).collect()
        };
        assert_eq!(addresses(peer).len(), families());
        let pairs = peer.pairs();
        assert_eq!(pairs.len(), families(), "{pairs:?}");
        for pair in &pairs {
            assert_eq!(pair.local.base.is_ipv6(), pair.remote.address.is_ipv6());
            assert!(addresses(other).contains(&pair.remote.address));
            assert!(!matches!(pair.state, PairState::Failed), "{pair:?}");
        }
        let selected = peer.selected_pair().unwrap();
        assert!(selected.selected.is_some() && selected.state == PairState::Succeeded);
        assert!(selected.stats.round_trip.is_some());
        assert!(selected.stats.bytes_sent > 0 && selected.stats.bytes_received > 0);
        assert_eq!(peer.stats().unused.session_rejected, 0);
    }
}

#[tokio::test]
async fn candidates_that_come_after_the_descriptions_connect_and_dead_ones_do_no_harm() {
    let (offerer, _offerer_events) = dual_stack().start().unwrap();
    let (answerer, mut answerer_events) = dual_stack().start().unwrap();
    let offered = offerer.create_data_channel(ordered("first")).await.unwrap();
    let (offer, from_offerer) = split(&offerer.offer().await.unwrap());
    let (answer, from_answerer) = split(&answerer.answer(&offer).await.unwrap());
    offerer.set_remote_description(&answer).await.unwrap();
    assert!(offerer.pairs().is_empty() && answerer.pairs().is_empty());

    // A candidate with nobody behind it, better than all others: a port that was free a moment ago.
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dead = TrickledCandidate {
        candidate: format!("candidate:dead 1 udp 2147483647 127.0.0.1 {dead} typ host"),
        ..from_answerer[0].clone()
    };
    offerer.add_ice_candidate(&dead).await.unwrap();
    // Only when that one is being checked do the others come.
    soon(async {
        while !offerer.pairs().iter().any(|pair| pair.stats.requests_sent > 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_ne!(*offerer.connection_state().borrow(), ConnectionState::Connected);
    for (peer, candidates) in [(&offerer, &from_answerer), (&answerer, &from_offerer)] {
        for candidate in candidates {
            peer.add_ice_candidate(candidate).await.unwrap();
        }
    }
    soon(offerer.wait_connected()).await.unwrap();
    soon(answerer.wait_connected()).await.unwrap();
    let answered = common::incoming(&mut answerer_events).await;
    echo_once(&offered, &answered).await;
    let known = offerer.remote_description().unwrap().sdp;
    assert!(from_answerer.iter().all(|trickled| known.contains(&trickled.candidate)));

    // What makes no sense is refused and changes nothing.
    let nonsense = TrickledCandidate { candidate: "candidate:1 1 udp".to_owned(), ..dead };
    assert!(matches!(offerer.add_ice_candidate(&nonsense).await, Err(frazil_tokio::Error::Peer(_))));
    echo_once(&offered, &answered).await;
}

/// Sends numbers until it is told to stop, and checks that those that come are the next ones.
fn chatter(channel: &Channel, stop: &Arc<AtomicBool>) -> (tokio::task::JoinHandle<u32>, Arc<AtomicU32>) {
    let received = Arc::new(AtomicU32::new(0));
    let sender = tokio::spawn({
        let (channel, stop) = (channel.clone(), Arc::clone(stop));
        async move {
            let mut sent = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let mut message = vec![0; 4_000];
                message[..4].copy_from_slice(&sent.to_be_bytes());
                channel.send(message).await.unwrap();
                sent += 1;
            }
            sent
        }
    });
    tokio::spawn({
        let (channel, received) = (channel.clone(), Arc::clone(&received));
        async move {
            while let Some(message) = channel.recv().await {
                let next = received.load(Ordering::Relaxed);
                assert_eq!(message.data[..4], next.to_be_bytes());
                received.store(next + 1, Ordering::Relaxed);
            }
        }
    });
    (sender, received)
}

async fn reaches(count: &AtomicU32, least: u32) {
    soon(async {
        while count.load(Ordering::Relaxed) < least {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits for a new pair; no state on the way may say that data stopped.
async fn next_pair(events: &mut Events) {
    soon(async {
        loop {
            match events.next().await.expect("the peer stays open") {
                Event::SelectedPairChange(_) => return,
                Event::ConnectionStateChange(state) => assert_eq!(state, ConnectionState::Connected),
                _ => {}
            }
        }
    })
    .await;
}

#[tokio::test]
async fn ice_restarts_while_data_flows_both_ways() {
    let small = || dual_stack().send_limit(64 << 10);
    let Pair { offerer, answerer, offered, answered, mut offerer_events, mut answerer_events } =
        connect(small(), small()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (offerer_sends, offerer_received) = chatter(&offered, &stop);
    let (answerer_sends, answerer_received) = chatter(&answered, &stop);
    reaches(&offerer_received, 10).await;
    reaches(&answerer_received, 10).await;

    for (round, restarts) in [(1, &offerer), (2, &answerer)] {
        let other = if round == 1 { &answerer } else { &offerer };
        // The first nomination may have come late.
        while offerer_events.try_next().is_some() {}
        while answerer_events.try_next().is_some() {}
        let before = [&offerer, &answerer].map(|peer| split(&peer.local_description().unwrap()).1[0].ufrag.clone());
        restarts.restart_ice().unwrap();
        let (wanting, waiting) = if round == 1 {
            (&mut offerer_events, &mut answerer_events)
        } else {
            (&mut answerer_events, &mut offerer_events)
        };
        while !matches!(soon(wanting.next()).await.unwrap(), Event::NegotiationNeeded) {}
        let answer = other.answer(&restarts.offer().await.unwrap()).await.unwrap();
        restarts.set_remote_description(&answer).await.unwrap();
        next_pair(wanting).await;
        next_pair(waiting).await;
        let after = [&offerer, &answerer].map(|peer| split(&peer.local_description().unwrap()).1[0].ufrag.clone());
        assert!(before.iter().zip(&after).all(|(before, after)| before != after));
        for count in [&offerer_received, &answerer_received] {
            reaches(count, count.load(Ordering::Relaxed) + 100).await;
        }
    }

    stop.store(true, Ordering::Relaxed);
    let (from_offerer, from_answerer) = (soon(offerer_sends).await.unwrap(), soon(answerer_sends).await.unwrap());
    reaches(&answerer_received, from_offerer).await;
    reaches(&offerer_received, from_answerer).await;
    assert_eq!(offerer.failure(), None);
    assert_eq!(answerer.failure(), None);
}

#[tokio::test]
async fn who_is_not_who_the_description_says_is_the_reason_of_the_failure() {
    let (offerer, _offerer_events) = builder().start().unwrap();
    let (answerer, _answerer_events) = builder().start().unwrap();
    let channel = offerer.create_data_channel(ordered("first")).await.unwrap();
    let mut offer = offerer.offer().await.unwrap();
    let at = offer.sdp.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
    let other = if &offer.sdp[at..at + 2] == "00" { "01" } else { "00" };
    offer.sdp.replace_range(at..at + 2, other);
    let answer = answerer.answer(&offer).await.unwrap();
    offerer.set_remote_description(&answer).await.unwrap();
    let failed = soon(answerer.wait_connected()).await.unwrap_err();
    let ConnectError::Failed(Failure::Session(SessionFailure::Fingerprint { presented: Some(presented) })) = &failed
    else {
        panic!("{failed}");
    };
    assert!(offerer.local_description().unwrap().sdp.contains(&presented.to_string()));
    assert_eq!(*answerer.connection_state().borrow(), ConnectionState::Failed);
    // Its farewell ends the other side as well.
    soon(channel.closed()).await;
}
