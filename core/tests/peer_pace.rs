//! What a peer does with the paces that descriptions tell, and with grants.

#![cfg(feature = "session")]

use core::time::Duration;
use std::collections::BTreeSet;

use frazil::Instant;
use frazil::ice::Pace;
use frazil::jsep::TrickledCandidate;
use frazil::peer::{ChannelConfig, Config, Peer};
use frazil::stun::{Class, Message};

/// A peer whose offer the other has answered, with candidates to check that nothing answers.
fn negotiated(ours: Config, theirs: Config) -> (Peer, Instant) {
    let now = Instant::from_millis(1);
    let [mut peer, mut other] = [(ours, 1), (theirs, 2)].map(|(config, seed)| {
        let mut peer = Peer::new(config, [seed; 32], now).expect("a peer");
        peer.add_host_candidate(([192, 0, 2, seed], 1000).into(), 1, now).expect("a candidate");
        peer
    });
    peer.create_data_channel(ChannelConfig::default(), now).expect("a channel");
    let offer = peer.create_offer().expect("an offer");
    peer.set_local_description(&offer, now).expect("it is ours");
    other.set_remote_description(&offer, now).expect("a good offer");
    let answer = other.create_answer().expect("an answer");
    other.set_local_description(&answer, now).expect("it is theirs");
    peer.set_remote_description(&answer, now).expect("a good answer");
    for n in 0..40 {
        let candidate = TrickledCandidate {
            candidate: format!("candidate:x{n} 1 udp 1 198.51.100.{n} 9 typ host"),
            mid: Some("0".into()),
            m_line_index: None,
            ufrag: None,
        };
        peer.add_ice_candidate(&candidate, now).expect("a good candidate");
    }
    (peer, now)
}

/// How many checks the peer sends for the first time until `end`.
fn checks(peer: &mut Peer, end: Instant) -> usize {
    let mut seen = BTreeSet::new();
    let mut buf = [0; Peer::MIN_BUFFER];
    loop {
        while let Some(transmit) = peer.poll_transmit(&mut buf) {
            let message = Message::parse(&buf[..transmit.len]).expect("there is nothing but checks to send");
            assert_eq!(message.class(), Class::Request);
            seen.insert(message.transaction_id().0);
        }
        while peer.poll_event().is_some() {}
        let Some(next) = peer.poll_timeout().filter(|&next| next <= end) else { return seen.len() };
        peer.handle_timeout(next);
    }
}

fn paced(pacing: u64) -> Config {
    let mut config = Config::default();
    config.ice.pacing = Duration::from_millis(pacing);
    config
}

#[test]
fn both_sides_use_the_longer_pace() {
    for (ours, theirs, used) in [(5, 50, 50), (20, 25, 25), (100, 50, 100), (50, 50, 50), (5, 5, 5)] {
        let (mut peer, start) = negotiated(paced(ours), paced(theirs));
        let sent = checks(&mut peer, start + Duration::from_millis(10 * used) + Duration::from_millis(1));
        assert_eq!(sent, 11, "{ours} ms here and {theirs} ms there");
    }
}

#[test]
fn a_peer_that_waits_for_grants_checks_once_for_each() {
    let mut config = paced(20);
    config.ice.pace = Pace::Granted;
    let (mut peer, start) = negotiated(config, paced(20));
    assert_eq!(checks(&mut peer, start + Duration::from_millis(100)), 0);
    let mut now = start + Duration::from_millis(100);
    for _ in 0..10 {
        assert!(peer.wants_check().is_some_and(|from| from <= now));
        assert!(peer.grant_check(now));
        assert_eq!(checks(&mut peer, now), 1);
        assert!(!peer.grant_check(now), "its own pace holds");
        now += Duration::from_millis(20);
        assert_eq!(peer.wants_check(), Some(now));
    }
}
