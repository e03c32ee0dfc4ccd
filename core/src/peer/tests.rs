//! Two peers in virtual time over a link that loses nothing. Random networks are in `conformance`.

mod gathering;
mod pressure;
mod streams;

use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::*;
use crate::jsep::{Description, DescriptionKind, SignalingState, TrickledCandidate};
use crate::{Instant, Path, Protocol, ice};

/// A STUN server that never answers.
const SILENT_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 99)), 3478);

const DELAY: Duration = Duration::from_millis(10);

struct Pair {
    now: Instant,
    peers: [Peer; 2],
    flying: VecDeque<(Instant, usize, SocketAddr, Vec<u8>)>,
    /// Candidates on their way, if they trickle.
    trickles: bool,
    /// A side whose events nobody takes.
    deaf: Option<usize>,
    events: [Vec<Event>; 2],
}

fn address(side: usize) -> SocketAddr {
    [SocketAddr::from(([192, 0, 2, 1], 1000)), SocketAddr::from(([198, 51, 100, 1], 2000))][side]
}

impl Pair {
    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn with(config: &Config) -> Self {
        let now = Instant::from_millis(1);
        let peers = [1, 2].map(|seed| Peer::new(config.clone(), [seed; 32], now).unwrap());
        Self { now, peers, flying: VecDeque::new(), trickles: true, deaf: None, events: [vec![], vec![]] }
    }

    fn gathered() -> Self {
        let mut pair = Self::new();
        for side in 0..2 {
            pair.gather(side);
        }
        pair
    }

    fn gather(&mut self, side: usize) {
        self.peers[side].add_host_candidate(address(side), 1, self.now).unwrap();
        self.peers[side].end_of_candidates(self.now);
        self.drain();
    }

    fn offer(&mut self, side: usize) -> Description {
        let offer = self.peers[side].create_offer().unwrap();
        self.peers[side].set_local_description(&offer, self.now).unwrap();
        offer
    }

    fn answer(&mut self, side: usize, offer: &Description) -> Description {
        self.peers[side].set_remote_description(offer, self.now).unwrap();
        let answer = self.peers[side].create_answer().unwrap();
        self.peers[side].set_local_description(&answer, self.now).unwrap();
        answer
    }

    /// A whole exchange that `side` begins.
    fn negotiate(&mut self, side: usize) {
        let offer = self.offer(side);
        let answer = self.answer(1 - side, &offer);
        self.peers[side].set_remote_description(&answer, self.now).unwrap();
        self.drain();
    }

    fn channel(&mut self, side: usize, label: &str) -> ChannelId {
        let config = ChannelConfig { label: label.into(), ..ChannelConfig::default() };
        self.peers[side].create_data_channel(config, self.now).unwrap()
    }

    fn drain(&mut self) {
        let mut buf = [0; Peer::MIN_BUFFER];
        for side in 0..2 {
            while let Some(transmit) = self.peers[side].poll_transmit(&mut buf) {
                let path = self.peers[side].path(transmit.path).unwrap();
                if path.remote == SILENT_SERVER {
                    continue;
                }
                assert_eq!((path.local, path.remote), (address(side), address(1 - side)));
                self.flying.push_back((self.now + DELAY, 1 - side, path.local, buf[..transmit.len].to_vec()));
            }
            if self.deaf == Some(side) {
                continue;
            }
            let mut trickled = Vec::new();
            while let Some(event) = self.peers[side].poll_event() {
                if let Event::IceCandidate(candidate) = &event {
                    trickled.push(candidate.clone());
                }
                self.events[side].push(event);
            }
            for candidate in trickled.into_iter().filter(|_| self.trickles) {
                let _ = self.peers[1 - side].add_ice_candidate(&candidate, self.now);
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(end, |_| false);
        self.now = end;
    }

    fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) -> bool {
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let timeouts = self.peers.iter().filter_map(Peer::poll_timeout);
            let arrival = self.flying.front().map(|flying| flying.0);
            let Some(next) = timeouts.chain(arrival).min().filter(|&next| next <= end) else { return false };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                let (_, side, from, bytes) = self.flying.pop_front().unwrap();
                let path = Path { protocol: Protocol::Udp, local: address(side), remote: from };
                let path = self.peers[side].path_id(path);
                self.peers[side].handle_datagram(path, &bytes, self.now);
            } else {
                for peer in &mut self.peers {
                    if peer.poll_timeout().is_some_and(|at| at <= self.now) {
                        peer.handle_timeout(self.now);
                    }
                }
            }
        }
    }

    fn connected(&self) -> bool {
        self.peers.iter().all(|peer| peer.connection_state() == ConnectionState::Connected)
    }

    fn connect(&mut self) {
        let end = self.now + Duration::from_secs(5);
        assert!(self.run_until(end, Self::connected), "{:?}", self.peers);
    }

    fn echo(&mut self, channel: ChannelId, text: &str) {
        self.peers[0].send(channel, MessageKind::Text, text.as_bytes(), self.now).unwrap();
        let end = self.now + Duration::from_secs(2);
        let got = |pair: &Self| {
            pair.events[1].iter().any(|e| matches!(e, Event::Message { data, .. } if data == text.as_bytes()))
        };
        assert!(self.run_until(end, got), "{text:?} did not arrive");
    }
}

#[test]
fn offer_and_answer_without_trickling_connect_and_carry_messages() {
    let mut pair = Pair::gathered();
    pair.trickles = false;
    let channel = pair.channel(0, "chat");
    assert!(pair.peers[0].poll_event() == Some(Event::NegotiationNeeded));
    pair.negotiate(0);
    let began = pair.now;
    pair.connect();
    assert!(pair.now - began < Duration::from_millis(200), "{:?}", pair.now - began);
    pair.run(Duration::from_millis(200));
    assert!(pair.events[0].contains(&Event::ChannelOpen(channel)));
    assert!(pair.events[1].iter().any(|e| matches!(e, Event::DataChannel { config, .. } if config.label == "chat")));
    pair.echo(channel, "hello");
    let selected = [0, 1].map(|side| pair.peers[side].selected_pair().unwrap());
    assert_eq!(selected[0].local.candidate.address, selected[1].remote.address);
    assert!(selected[0].nominated && selected[0].stats.bytes_sent > 0);
    assert_eq!(pair.peers[0].ice_role(), ice::Role::Controlling);
}

#[test]
fn lite_peers_connect_with_full_ones_and_with_each_other() {
    for lite in [[true, false], [false, true], [true, true]] {
        let mut pair = Pair::new();
        let config = |lite| Config { ice: ice::Config { lite, ..ice::Config::default() }, ..Config::default() };
        pair.peers = [0, 1].map(|side| Peer::new(config(lite[side]), [side as u8 + 1; 32], pair.now).unwrap());
        pair.gather(0);
        pair.gather(1);
        let channel = pair.channel(0, "chat");
        pair.negotiate(0);
        pair.connect();
        pair.run(Duration::from_millis(200));
        pair.echo(channel, "hello");
        assert_eq!(pair.peers[0].ice_role() == ice::Role::Controlling, !lite[0] || lite[1], "{lite:?}");
    }
}

#[test]
fn candidates_that_come_later_trickle() {
    let mut pair = Pair::new();
    pair.channel(0, "chat");
    pair.negotiate(0);
    pair.run(Duration::from_secs(1));
    assert!(pair.events.iter().flatten().all(|e| !matches!(e, Event::IceCandidate(_))));
    pair.gather(0);
    pair.gather(1);
    pair.connect();
    let told = |side: usize| {
        let candidates = pair.events[side].iter().filter_map(|e| match e {
            Event::IceCandidate(candidate) => Some(candidate.candidate.clone()),
            _ => None,
        });
        candidates.collect::<Vec<_>>()
    };
    assert!(told(0)[0].starts_with("candidate:") && told(0)[0].contains("192.0.2.1 1000 typ host"));
    assert_eq!(told(0)[1], "", "the end of candidates");
    assert!(pair.peers[0].local_description().unwrap().sdp.contains("a=end-of-candidates"));
}

#[test]
fn an_answer_that_comes_late_finds_the_session_waiting() {
    let mut pair = Pair::gathered();
    let channel = pair.channel(0, "chat");
    let offer = pair.offer(0);
    let answer = pair.answer(1, &offer);
    // The answerer's checks are answered all the while: it has a path, and nobody to shake hands with.
    pair.run(Duration::from_secs(100));
    assert!(pair.peers[1].selected_pair().is_some());
    pair.peers[0].set_remote_description(&answer, pair.now).unwrap();
    pair.connect();
    pair.run(Duration::from_secs(1));
    pair.echo(channel, "at last");
}

#[test]
fn a_restart_is_hidden_from_the_channels() {
    let mut pair = Pair::gathered();
    let channel = pair.channel(0, "chat");
    pair.negotiate(0);
    pair.connect();
    pair.run(Duration::from_millis(500));
    pair.echo(channel, "before");
    for side in [0, 1] {
        pair.events = [vec![], vec![]];
        let before = pair.peers[side].local_description().unwrap().sdp;
        pair.peers[side].restart_ice();
        assert_eq!(pair.peers[side].poll_event(), Some(Event::NegotiationNeeded));
        let offer = pair.offer(side);
        let ufrag = |sdp: &str| sdp.lines().find(|line| line.starts_with("a=ice-ufrag")).unwrap().to_owned();
        assert_ne!(ufrag(&before), ufrag(&offer.sdp));
        pair.echo(channel, "between offer and answer");
        let answer = pair.answer(1 - side, &offer);
        pair.echo(channel, "one side has restarted");
        pair.peers[side].set_remote_description(&answer, pair.now).unwrap();
        pair.echo(channel, "both have");
        pair.run(Duration::from_secs(60));
        pair.echo(channel, "after");
        assert!(pair.connected());
        let moved = pair.events[side].iter().any(|e| matches!(e, Event::SelectedPairChange(_)));
        assert!(moved, "the new generation took over");
        let lost = |e: &Event| matches!(e, Event::ConnectionStateChange(_) | Event::ChannelClosed(_));
        assert!(!pair.events.iter().flatten().any(lost), "{:?}", pair.events);
    }
}

#[test]
fn glare_is_settled_by_the_polite_side() {
    let mut pair = Pair::gathered();
    pair.channel(0, "from the impolite");
    pair.channel(1, "from the polite");
    let impolite = pair.offer(0);
    pair.offer(1);
    let answer = pair.answer(1, &impolite);
    pair.peers[0].set_remote_description(&answer, pair.now).unwrap();
    pair.connect();
    pair.run(Duration::from_secs(1));
    for side in 0..2 {
        assert_eq!(pair.events[side].iter().filter(|e| matches!(e, Event::DataChannel { .. })).count(), 1);
        assert_eq!(pair.peers[side].signaling_state(), SignalingState::Stable);
    }
}

#[test]
fn a_name_is_resolved_by_the_driver() {
    let mut pair = Pair::gathered();
    pair.trickles = false;
    pair.channel(0, "chat");
    let offer = pair.offer(0);
    let named = offer.sdp.replace("192.0.2.1 1000 typ", "ab-c.local 1000 typ");
    assert_ne!(named, offer.sdp);
    let answer = pair.answer(1, &Description { sdp: named, ..offer });
    let request = core::iter::from_fn(|| pair.peers[1].poll_event()).find_map(|event| match event {
        Event::Resolve { request, name } => {
            assert_eq!(name, "ab-c.local");
            Some(request)
        }
        _ => None,
    });
    assert_eq!(pair.peers[1].pairs().count(), 0);
    pair.peers[1].handle_resolved(request.unwrap(), &[address(0).ip()], pair.now);
    assert_eq!(pair.peers[1].pairs().count(), 1);
    pair.peers[0].set_remote_description(&answer, pair.now).unwrap();
    pair.connect();
}

/// Trickled and described, before and after: everything that one side tells the other.
#[test]
fn names_stand_in_for_addresses_and_the_driver_publishes_them() {
    let mut pair = Pair::with(&Config { mdns_candidates: true, ..Config::default() });
    pair.trickles = false;
    let mut told = String::new();
    pair.gather(0);
    pair.channel(0, "chat");
    let offer = pair.offer(0);
    let answer = pair.answer(1, &offer);
    pair.peers[0].set_remote_description(&answer, pair.now).unwrap();
    pair.gather(1);
    pair.drain();
    for side in 0..2 {
        let mut published = Vec::new();
        for event in core::mem::take(&mut pair.events[side]) {
            match event {
                Event::PublishName { name, address } => published.push((name, address)),
                Event::IceCandidate(candidate) => {
                    assert_eq!(published.len(), 1, "a name is published before it is told");
                    told += &candidate.candidate;
                    pair.peers[1 - side].add_ice_candidate(&candidate, pair.now).unwrap();
                }
                _ => {}
            }
        }
        let [(name, ip)] = &published[..] else { panic!("{published:?}") };
        assert_eq!(*ip, address(side).ip());
        let described = pair.peers[side].local_description().unwrap().sdp;
        let line = format!(" {name} {} typ host", address(side).port());
        assert!(described.contains(&line), "{described}");
        assert!(described.contains("m=application 9 ") && described.contains("c=IN IP4 0.0.0.0"), "{described}");
        told += &described;

        // The other side looks the name up, which is all that it has.
        let asked = core::iter::from_fn(|| pair.peers[1 - side].poll_event()).find_map(|event| match event {
            Event::Resolve { request, name } => Some((request, name)),
            other => {
                pair.events[1 - side].push(other);
                None
            }
        });
        let asked = asked.or_else(|| {
            let place = pair.events[1 - side].iter().position(|event| matches!(event, Event::Resolve { .. }))?;
            let Event::Resolve { request, name } = pair.events[1 - side].remove(place) else { return None };
            Some((request, name))
        });
        let (request, asked) = asked.expect("the name is looked up");
        assert_eq!(asked, *name);
        pair.peers[1 - side].handle_resolved(request, &[*ip], pair.now);
    }
    pair.connect();
    for side in 0..2 {
        let ip = address(side).ip().to_string();
        assert!(!told.contains(&ip), "{ip} is told: {told}");
    }
    assert!(!told.contains(pair.peers[0].local_candidates()[0].candidate.foundation.as_str()));

    pair.peers[0].close(pair.now);
    pair.run(Duration::from_secs(2));
    for side in 0..2 {
        let withdrawn = pair.events[side].iter().filter(|event| matches!(event, Event::WithdrawName { .. }));
        assert_eq!(withdrawn.count(), 1, "side {side} answers for its name no more");
    }
}

/// The list of sockets is all that a driver tells.
#[test]
fn names_and_candidates_follow_the_machines_addresses() {
    let mut pair = Pair::with(&Config { mdns_candidates: true, ..Config::default() });
    let sockets = ["192.0.2.1:1000", "192.0.2.1:1001", "192.0.2.9:1000"]
        .map(|base| ice::HostSocket::new(base.parse().unwrap(), Protocol::Udp));
    let news = |pair: &mut Pair| {
        pair.drain();
        pair.events[0].retain(|event| !matches!(event, Event::IceGatheringStateChange(_)));
        core::mem::take(&mut pair.events[0])
    };
    let peer = |pair: &mut Pair, sockets: &[ice::HostSocket]| pair.peers[0].handle_network_change(sockets, pair.now);
    peer(&mut pair, &sockets[..2]);
    let [Event::PublishName { name, address }] = &news(&mut pair)[..] else { panic!("the first list is no change") };
    assert_eq!(*address, sockets[0].base.ip());
    let first = name.clone();

    peer(&mut pair, &sockets[..2]);
    assert_eq!(news(&mut pair), []);

    // One of the sockets of an address goes, and another address comes.
    peer(&mut pair, &sockets[1..]);
    let [Event::PublishName { name, .. }, Event::NetworkChange(change)] = &news(&mut pair)[..] else { panic!() };
    let second = name.clone();
    assert_ne!(first, second);
    assert_eq!((&change.added[..], &change.removed[..]), (&[sockets[2].base][..], &[sockets[0].base][..]));
    assert_eq!(change.path, ice::PathAfterChange::None);
    pair.channel(0, "chat");
    let described = pair.offer(0).sdp;
    assert!(described.contains(&format!("{first} 1001 ")) && described.contains(&format!("{second} 1000 ")));
    news(&mut pair);

    peer(&mut pair, &sockets[2..]);
    let [Event::NetworkChange(_), Event::WithdrawName { name }] = &news(&mut pair)[..] else { panic!() };
    assert_eq!(*name, first);
    assert!(!pair.peers[0].local_description().unwrap().sdp.contains(&first));
    peer(&mut pair, &[]);
    let [Event::NetworkChange(_), Event::WithdrawName { name }] = &news(&mut pair)[..] else { panic!() };
    assert_eq!(*name, second);
}

#[test]
fn what_is_refused_says_why_and_harms_nothing() {
    let mut pair = Pair::gathered();
    pair.channel(0, "chat");
    let offer = pair.offer(0);
    let without = |prefix: &str| {
        let lines = offer.sdp.lines().filter(|line| !line.starts_with(prefix)).map(|line| format!("{line}\r\n"));
        lines.collect::<String>()
    };
    let pwd = offer.sdp.lines().find(|line| line.starts_with("a=ice-pwd:")).unwrap();
    let cases = [
        (without("a=fingerprint"), "fingerprint"),
        (without("a=ice-ufrag"), "ice-ufrag"),
        (without("a=ice-pwd"), "ice-pwd"),
        (offer.sdp.replace(pwd, "a=ice-pwd:short"), "ice-pwd has 5 characters"),
        (offer.sdp.replace("v=0", "v=1"), "line 1"),
        ("nonsense".to_owned(), "line 1"),
    ];
    for (sdp, reason) in cases {
        let refused =
            pair.peers[1].set_remote_description(&Description { kind: DescriptionKind::Offer, sdp }, pair.now);
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(reason), "{text:?} does not name {reason:?}");
        assert_eq!(pair.peers[1].signaling_state(), SignalingState::Stable);
    }
    for bad in ["candidate:1 1 udp 1 192.0.2.1", "x", "candidate:1 1 udp 1 192.0.2.1 99999 typ host"] {
        let candidate = TrickledCandidate { candidate: bad.into(), ..TrickledCandidate::default() };
        assert!(pair.peers[1].add_ice_candidate(&candidate, pair.now).is_err());
    }
    let answer = pair.answer(1, &offer);
    for bad in ["candidate:1 1 udp 1 192.0.2.1", "x", "candidate:1 1 udp 1 192.0.2.1 99999 typ host"] {
        let candidate = TrickledCandidate { candidate: bad.into(), ..TrickledCandidate::default() };
        assert!(pair.peers[1].add_ice_candidate(&candidate, pair.now).is_err());
    }
    pair.peers[0].set_remote_description(&answer, pair.now).unwrap();
    pair.connect();
}

#[test]
fn a_rejected_data_section_ends_it_with_a_reason() {
    let mut pair = Pair::gathered();
    let channel = pair.channel(0, "chat");
    let offer = pair.offer(0);
    let answer = pair.answer(1, &offer);
    let rejected = answer.sdp.replace("m=application 9 ", "m=application 0 ");
    let port = rejected.lines().find(|line| line.starts_with("m=application")).unwrap().to_owned();
    let fields: Vec<&str> = port.split(' ').collect();
    let rejected = rejected.replace(&port, &format!("{} 0 {}", fields[0], fields[2..].join(" ")));
    pair.peers[0].set_remote_description(&Description { sdp: rejected, ..answer }, pair.now).unwrap();
    pair.drain();
    assert_eq!(pair.peers[0].connection_state(), ConnectionState::Failed);
    assert!(matches!(pair.peers[0].failure(), Some(Failure::Rejected(_))));
    assert!(pair.events[0].contains(&Event::ChannelClosed(channel)));
}

#[test]
fn a_close_is_seen_by_the_other_side_at_once_even_if_its_first_word_is_lost() {
    for lost in [false, true] {
        let mut pair = Pair::gathered();
        let channel = pair.channel(0, "chat");
        pair.negotiate(0);
        pair.connect();
        pair.run(Duration::from_millis(500));
        pair.echo(channel, "hello");
        pair.run(Duration::from_millis(500));
        let closed = pair.now;
        pair.peers[0].close(closed);
        assert_eq!(pair.peers[0].connection_state(), ConnectionState::Closed);
        pair.drain();
        assert!(!pair.flying.is_empty());
        if lost {
            pair.flying.clear();
        }
        let end = closed + Duration::from_secs(1);
        assert!(pair.run_until(end, |pair| pair.peers[1].connection_state() == ConnectionState::Closed));
        assert!(pair.events[1].iter().any(|e| matches!(e, Event::ChannelClosed(_))));
        pair.run(closed + Peer::FAREWELL - pair.now);
        assert!(pair.peers.iter().all(|peer| peer.poll_timeout().is_none()), "nothing goes on");
        assert_eq!(pair.peers[0].ice_state(), ice::State::Closed);
    }
}

#[test]
fn strangers_neither_move_the_path_nor_wake_the_session() {
    let mut pair = Pair::gathered();
    let channel = pair.channel(0, "chat");
    pair.negotiate(0);
    pair.connect();
    pair.run(Duration::from_secs(3));
    let now = pair.now;
    let before = (pair.peers[0].selected_pair(), pair.peers[0].poll_timeout(), pair.peers[0].counters());
    let stranger = Path { protocol: Protocol::Udp, local: address(0), remote: "203.0.113.9:9".parse().unwrap() };
    let stranger = pair.peers[0].path_id(stranger);
    // Each first byte: STUN, DTLS, SRTP and everything between.
    for first in 0..=255 {
        pair.peers[0].handle_datagram(stranger, &[first; 60], now);
    }
    assert_eq!(pair.peers[0].poll_transmit(&mut [0; Peer::MIN_BUFFER]), None);
    assert_eq!(pair.peers[0].poll_event(), None);
    let after = (pair.peers[0].selected_pair(), pair.peers[0].poll_timeout());
    assert_eq!((before.0, before.1), after);
    let counters = pair.peers[0].counters();
    assert_eq!(counters.session_rejected, before.2.session_rejected);
    assert_eq!(counters.ice.unknown_source - before.2.ice.unknown_source, 256);
    pair.echo(channel, "still here");
}

/// W3C: the end of the candidates is told once the servers have answered as well, or have had their time.
#[test]
fn the_end_of_candidates_comes_after_the_servers() {
    let server = |uri: &str| ice::Server::new(uri.parse().unwrap(), None).unwrap();
    let silent = format!("stun:{}", SILENT_SERVER.ip());
    let config = Config { servers: vec![server(&silent), server("stun:nobody.example")], ..Config::default() };
    let mut pair = Pair::with(&config);
    pair.peers[0].add_host_candidate(address(0), 65535, pair.now).unwrap();
    pair.peers[0].end_of_candidates(pair.now);
    pair.channel(0, "chat");
    let offer = pair.peers[0].create_offer().unwrap();
    pair.peers[0].set_local_description(&offer, pair.now).unwrap();
    pair.drain();
    let ends = |pair: &Pair| {
        let told = pair.events[0].iter();
        told.filter(|event| matches!(event, Event::IceCandidate(told) if told.candidate.is_empty())).count()
    };
    assert_eq!((ends(&pair), pair.peers[0].gathering_state()), (0, ice::GatheringState::Gathering));
    let asked = pair.events[0].iter().find_map(|event| match event {
        Event::Resolve { request, name } if name == "nobody.example" => Some(*request),
        _ => None,
    });
    pair.peers[0].handle_resolved(asked.unwrap(), &[], pair.now);
    pair.run(Duration::from_secs(11));
    assert_eq!((ends(&pair), pair.peers[0].gathering_state()), (1, ice::GatheringState::Complete));
    let errors: Vec<(String, u16)> = pair.events[0]
        .iter()
        .filter_map(|event| match event {
            Event::IceCandidateError(error) => Some((error.uri.to_string(), error.code)),
            _ => None,
        })
        .collect();
    assert_eq!(errors, [("stun:nobody.example".to_owned(), 701), (silent, 701)]);
}
