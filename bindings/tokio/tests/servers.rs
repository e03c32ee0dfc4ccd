//! Peers that gather from STUN and TURN servers, and go through those.

mod common;

use common::{Pair, builder, connect, soon};
use frazil::ice::{CandidateKind, GatheringError, GatheringState, ServerOutcome, ServerReport, TransportPolicy};
use frazil_tokio::rustls::pki_types::CertificateDer;
use frazil_tokio::{Builder, Event, Events, IceServer, InvalidServer, Peer, StartError};
use frazil_turn_server::{Config, Server};
use sha2::{Digest, Sha256};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

async fn server() -> Server {
    soon(Server::start(Config { tls_port: Some(0), ..Config::default() })).await.unwrap()
}

/// The ways to a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Udp,
    Tcp,
    Tls,
}

impl Way {
    const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    fn uri(self, server: &Server) -> String {
        match self {
            Self::Udp => format!("turn:{}", server.address()),
            Self::Tcp => format!("turn:{}?transport=tcp", server.address()),
            Self::Tls => format!("turns:{}", server.tls().expect("it speaks TLS").0),
        }
    }

    fn server(self, server: &Server) -> IceServer {
        IceServer::new([self.uri(server)]).credentials(Server::USER, server.password())
    }
}

fn certificate(server: &Server) -> [CertificateDer<'static>; 1] {
    [server.tls().expect("it speaks TLS").1.clone()]
}

/// A peer that goes through the server, by this way.
fn relayed(server: &Server, way: Way) -> Builder {
    builder()
        .servers([way.server(server)])
        .tls_roots(certificate(server))
        .transport_policy(TransportPolicy::Relay)
        // What the machine's addresses do is no part of these tests.
        .follow_network(false)
}

async fn error(events: &mut Events) -> GatheringError {
    soon(async {
        loop {
            if let Event::IceCandidateError(error) = events.next().await.expect("the peer stays open") {
                return error;
            }
        }
    })
    .await
}

/// The only report.
fn report(peer: &Peer) -> ServerReport {
    let mut reports = peer.server_reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports.remove(0)
}

fn kinds(peer: &Peer) -> Vec<CandidateKind> {
    peer.local_candidates().iter().map(|local| local.candidate.kind).collect()
}

async fn hash_each_way(pair: &Pair, pieces: u32) {
    for (from, to) in [(&pair.offered, &pair.answered), (&pair.answered, &pair.offered)] {
        let sender = from.clone();
        let sent = tokio::spawn(async move {
            let mut hash = Sha256::new();
            for n in 0..pieces {
                let piece: Vec<u8> = (0..8_000_u32).map(|at| (at ^ n.wrapping_mul(2_654_435_761) >> 8) as u8).collect();
                hash.update(&piece);
                sender.send(piece).await.unwrap();
            }
            hash.finalize()
        });
        let mut hash = Sha256::new();
        for _ in 0..pieces {
            hash.update(soon(to.recv()).await.expect("nothing is cut short").data);
        }
        assert_eq!(soon(sent).await.unwrap(), hash.finalize());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_server_by_every_way_data_arrives_whole_and_what_was_lent_is_given_back() {
    let server = server().await;
    for ways in [[Way::Udp; 2], [Way::Tcp; 2], [Way::Tls; 2], [Way::Udp, Way::Tls], [Way::Tls, Way::Tcp]] {
        let pair = connect(relayed(&server, ways[0]), relayed(&server, ways[1])).await;
        hash_each_way(&pair, 60).await;
        for (peer, way) in [(&pair.offerer, ways[0]), (&pair.answerer, ways[1])] {
            let selected = peer.selected_pair().unwrap();
            assert_eq!(selected.local.candidate.kind, CandidateKind::Relayed, "{ways:?}");
            let told = peer.local_description().unwrap().sdp;
            let candidates: Vec<&str> = told.lines().filter(|line| line.starts_with("a=candidate:")).collect();
            assert!(!candidates.is_empty() && candidates.iter().all(|line| line.contains("typ relay")), "{told}");
            let report = report(peer);
            assert_eq!(report.uri.to_string(), way.uri(&server));
            let ServerOutcome::Answered { relayed, .. } = report.outcome else { panic!("{report:?}") };
            assert_eq!(relayed, [selected.local.candidate.address]);
            assert_eq!(peer.stats().unused.session_rejected, 0);
        }
        let mut lent = server.allocations();
        assert_eq!(*lent.borrow(), 2);
        soon(pair.offerer.close()).await;
        soon(pair.answerer.close()).await;
        soon(lent.wait_for(|lent| *lent == 0)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_server_too_who_does_not_read_can_send_and_loses_nothing() {
    const PIECES: u32 = 400;
    let server = server().await;
    for way in Way::ALL {
        let pair = connect(relayed(&server, way), relayed(&server, way).receive_limit(128 << 10)).await;
        let sender = pair.offered.clone();
        let sent = tokio::spawn(async move {
            for n in 0..PIECES {
                sender.send(vec![n as u8; 16 << 10]).await.unwrap();
            }
        });
        soon(async {
            while pair.answerer.stats().records_held == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        pair.answered.send("I am not reading yet").await.unwrap();
        assert_eq!(soon(pair.offered.recv()).await.unwrap().as_text(), Some("I am not reading yet"), "{way:?}");
        soon(pair.answered.flush()).await.unwrap();
        for n in 0..PIECES {
            assert_eq!(soon(pair.answered.recv()).await.unwrap().data, vec![n as u8; 16 << 10]);
        }
        soon(sent).await.unwrap();
    }
}

#[tokio::test]
async fn servers_that_are_dead_delay_nobody() {
    // One that never answers, one that hangs in TLS, one that is not there, and a name that nobody answers for.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = frazil::peer::Config::default();
    // Far longer than the test may take: what it waits for does not wait for them.
    config.ice.gathering_patience = Duration::from_secs(3_600);
    let live = server().await;
    let dead = [
        format!("stun:{}", silent.local_addr().unwrap()),
        format!("turn:{}", silent.local_addr().unwrap()),
        format!("turns:{}", hangs.local_addr().unwrap()),
        "turn:127.0.0.1:1?transport=tcp".to_owned(),
        "stun:nobody.local".to_owned(),
    ];
    let start = || {
        let dead = IceServer::new(dead.clone()).credentials("user", "password");
        builder().config(config.clone()).servers([dead, Way::Udp.server(&live)]).follow_network(false).start().unwrap()
    };
    let (offerer, mut offerer_events) = start();
    let (answerer, mut answerer_events) = start();
    let _channel = offerer.create_data_channel(common::ordered("first")).await.unwrap();
    let offer = offerer.create_offer().await.unwrap();
    offerer.set_local_description(&offer).await.unwrap();
    answerer.set_remote_description(&offer).await.unwrap();
    let answer = answerer.create_answer().await.unwrap();
    answerer.set_local_description(&answer).await.unwrap();
    offerer.set_remote_description(&answer).await.unwrap();
    soon(offerer.wait_connected()).await.unwrap();
    soon(answerer.wait_connected()).await.unwrap();
    for (peer, events) in [(&offerer, &mut offerer_events), (&answerer, &mut answerer_events)] {
        soon(async {
            while !kinds(peer).contains(&CandidateKind::Relayed) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(*peer.gathering_state().borrow(), GatheringState::Gathering);
        let mut failed = [error(events).await, error(events).await];
        failed.sort_by_key(|error| error.uri.to_string());
        assert_eq!(failed[0].uri.to_string(), "stun:nobody.local");
        assert_eq!(failed[1].uri.to_string(), "turn:127.0.0.1:1?transport=tcp");
        assert!(failed[1].text.contains("refused"), "{}", failed[1]);
        assert!(failed.iter().all(|error| error.code == GatheringError::UNREACHABLE), "{failed:?}");
    }
    // Nor does closing wait for them.
    soon(offerer.close()).await;
}

#[tokio::test]
async fn a_wrong_password_and_a_server_that_is_not_believed_are_told_with_the_url() {
    let server = server().await;
    for way in Way::ALL {
        let wrong = IceServer::new([way.uri(&server)]).credentials(Server::USER, "guess");
        let start = |servers: [IceServer; 1]| builder().servers(servers).tls_roots(certificate(&server)).start();
        let (peer, mut events) = start([wrong]).unwrap();
        let told = error(&mut events).await;
        assert_eq!((told.uri.to_string(), told.code), (way.uri(&server), 401), "{told}");
        assert!(told.local.is_some_and(|local| local.ip().is_loopback()), "{told:?}");
        soon(peer.wait_gathered()).await;
        assert_eq!(report(&peer).outcome, ServerOutcome::Failed(told));
        // The right one comes later.
        peer.set_servers([way.server(&server)]).unwrap();
        soon(async {
            while !matches!(report(&peer).outcome, ServerOutcome::Answered { .. }) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(kinds(&peer).contains(&CandidateKind::Relayed));
    }

    let stranger = self::server().await;
    let (peer, mut events) =
        builder().servers([Way::Tls.server(&server)]).tls_roots(certificate(&stranger)).start().unwrap();
    let told = error(&mut events).await;
    assert_eq!((told.uri.to_string(), told.code), (Way::Tls.uri(&server), GatheringError::UNREACHABLE));
    assert!(told.text.contains("certificate"), "{told}");
    soon(peer.wait_gathered()).await;
    assert_eq!(report(&peer).outcome, ServerOutcome::Failed(told));
}

#[tokio::test]
async fn what_is_no_server_is_refused() {
    let refused = builder().servers(["stun:192.0.2.1", "example.org"]).start();
    let Err(StartError::Server(InvalidServer::Uri { text, .. })) = refused else { panic!("it has started") };
    assert_eq!(text, "example.org");
    let refused = builder().servers(["turn:192.0.2.1"]).start();
    assert!(matches!(refused, Err(StartError::Server(InvalidServer::NoCredentials(_)))));
    let refused = builder().tls_roots([CertificateDer::from_slice(b"no certificate")]).start();
    assert!(matches!(refused, Err(StartError::Tls(_))));
    let (peer, _events) = builder().start().unwrap();
    assert!(matches!(peer.set_servers(["nonsense"]), Err(frazil_tokio::Error::Server(_))));
    assert!(peer.server_reports().is_empty());
}

/// Waits until a server lends the peer another address than it did.
async fn other_relay(peer: &Peer, before: SocketAddr) -> SocketAddr {
    loop {
        let relayed = peer.local_candidates().into_iter().map(|local| local.candidate);
        let mut relayed = relayed.filter(|candidate| candidate.kind == CandidateKind::Relayed);
        if let Some(candidate) = relayed.find(|candidate| candidate.address != before) {
            return candidate.address;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The address that a server lends the peer.
async fn relay(peer: &Peer) -> SocketAddr {
    other_relay(peer, SocketAddr::from(([0; 4], 0))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_its_server_and_takes_the_one_that_is_started_again() {
    // Over UDP nothing tells that a server is gone but its silence, which takes as long as consent does.
    for (way, policy) in
        [(Way::Tcp, TransportPolicy::All), (Way::Tls, TransportPolicy::All), (Way::Tcp, TransportPolicy::Relay)]
    {
        let server = server().await;
        let start = || relayed(&server, way).transport_policy(policy);
        let mut pair = connect(start(), start()).await;
        let peers = [&pair.offerer, &pair.answerer];
        let before = [soon(relay(peers[0])).await, soon(relay(peers[1])).await];
        let (uri, again) = (way.uri(&server), server.config());
        soon(server.stop()).await;
        let lost = error(&mut pair.offerer_events).await;
        assert_eq!((lost.uri.to_string(), lost.code), (uri, GatheringError::UNREACHABLE), "{lost}");
        if policy == TransportPolicy::All {
            // There is a direct path besides.
            pair.offered.send("without a server").await.unwrap();
            assert_eq!(soon(pair.answered.recv()).await.unwrap().as_text(), Some("without a server"));
        }

        let server = soon(Server::start(again)).await.unwrap();
        for (peer, before) in peers.into_iter().zip(before) {
            soon(other_relay(peer, before)).await;
        }
        assert_eq!(*server.allocations().borrow(), 2);
        let spoken = async {
            if policy == TransportPolicy::Relay {
                // They have told each other that there are no more candidates, and begin again with those that are new.
                peers[0].restart_ice().unwrap();
                let answer = peers[1].answer(&peers[0].offer().await.unwrap()).await.unwrap();
                peers[0].set_remote_description(&answer).await.unwrap();
            }
            pair.offered.send("with a server").await.unwrap();
            pair.answered.recv().await
        };
        assert_eq!(soon(spoken).await.unwrap().as_text(), Some("with a server"), "{way:?}, {policy:?}");
    }
}

/// One thread: between the call and the waiting nobody else has a turn.
#[tokio::test]
async fn who_waits_after_naming_servers_anew_waits_for_these() {
    let server = server().await;
    let (peer, _events) = builder().follow_network(false).start().unwrap();
    soon(peer.wait_gathered()).await;
    assert!(peer.server_reports().is_empty());
    peer.set_servers([Way::Udp.server(&server)]).unwrap();
    soon(peer.wait_gathered()).await;
    let report = report(&peer);
    assert!(matches!(report.outcome, ServerOutcome::Answered { .. }), "{report:?}");
    // Who waits while it is closed is let go.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_servers([format!("stun:{}", silent.local_addr().unwrap())]).unwrap();
    let waits = tokio::spawn({
        let peer = peer.clone();
        async move { peer.wait_gathered().await }
    });
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    soon(peer.close()).await;
    soon(waits).await.unwrap();
    soon(peer.wait_gathered()).await;
}
