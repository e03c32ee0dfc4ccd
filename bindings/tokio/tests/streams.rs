//! Peers whose datagrams do not get through: over TCP.

mod common;

use bytes::Bytes;
use common::{builder, incoming, ordered, soon};
use frazil::Protocol;
use frazil::ice::{TcpType, Transport};
use frazil::jsep::Description;
use frazil::peer::ConnectionState;
use frazil_tokio::{Builder, Channel, Events, Peer};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The description without its UDP candidates.
fn without_udp(description: &Description) -> Description {
    let is_udp = |line: &&str| line.starts_with("a=candidate:") && line.contains(" udp ");
    let sdp = description.sdp.lines().filter(|line| !is_udp(line)).map(|line| format!("{line}\r\n")).collect();
    Description { kind: description.kind, sdp }
}

struct Pair {
    offerer: Peer,
    answerer: Peer,
    offered: Channel,
    answered: Channel,
    _events: [Events; 2],
}

async fn connect(offerer: Builder, answerer: Builder) -> Pair {
    let (offerer, offerer_events) = offerer.start().unwrap();
    let (answerer, mut answerer_events) = answerer.start().unwrap();
    let offered = offerer.create_data_channel(ordered("first")).await.unwrap();
    let offer = without_udp(&offerer.offer().await.unwrap());
    let answer = without_udp(&answerer.answer(&offer).await.unwrap());
    offerer.set_remote_description(&answer).await.unwrap();
    soon(offerer.wait_connected()).await.unwrap();
    soon(answerer.wait_connected()).await.unwrap();
    soon(offered.opened()).await.unwrap();
    let answered = incoming(&mut answerer_events).await;
    Pair { offerer, answerer, offered, answered, _events: [offerer_events, answerer_events] }
}

/// Pieces that differ, and the hash of all their bytes.
fn file(pieces: u32, len: u32) -> (Vec<Bytes>, [u8; 32]) {
    let piece = |n: u32| -> Bytes { (0..len).map(|at| (at ^ n.wrapping_mul(2_654_435_761) >> 8) as u8).collect() };
    let pieces: Vec<Bytes> = (0..pieces).map(piece).collect();
    let hash = Sha256::digest(pieces.concat());
    (pieces, hash.into())
}

async fn send_all(channel: Channel, pieces: Vec<Bytes>) {
    for piece in pieces {
        channel.send(piece).await.unwrap();
    }
    channel.flush().await.unwrap();
}

async fn receive_all(channel: &Channel, pieces: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    for _ in 0..pieces {
        hash.update(soon(channel.recv()).await.expect("the file is not cut short").data);
    }
    hash.finalize().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_arrives_whole_each_way_whichever_side_listens() {
    for (offerer_listens, answerer_listens) in [(false, true), (true, false), (true, true)] {
        let pair = connect(builder().listen_tcp(offerer_listens), builder().listen_tcp(answerer_listens)).await;
        let (pieces, hash) = file(64, 16 << 10);
        let there = tokio::spawn(send_all(pair.offered.clone(), pieces.clone()));
        let back = tokio::spawn(send_all(pair.answered.clone(), pieces));
        let received = tokio::join!(receive_all(&pair.answered, 64), receive_all(&pair.offered, 64));
        assert_eq!(received, (hash, hash));
        soon(there).await.unwrap();
        soon(back).await.unwrap();

        for (peer, listens) in [(&pair.offerer, offerer_listens), (&pair.answerer, answerer_listens)] {
            let selected = peer.selected_pair().unwrap();
            let tcp_type = selected.local.candidate.transport.tcp_type().unwrap();
            if offerer_listens != answerer_listens {
                assert_eq!(tcp_type, if listens { TcpType::Passive } else { TcpType::Active });
            }
            assert_eq!(selected.remote.transport, Transport::Tcp(tcp_type.opposite()));
            assert!(selected.stats.round_trip.is_some());
            // Where both listen there are two streams, and data may begin on one and go on over the other.
            let pairs = peer.pairs();
            assert!(pairs.iter().all(|pair| pair.local.candidate.transport.protocol() == Protocol::Tcp));
            assert!(pairs.iter().map(|pair| pair.stats.bytes_received).sum::<u64>() > 1 << 20);
            assert_eq!(peer.stats().unused.session_rejected, 0);
        }

        // The other side is told over the same stream.
        soon(pair.offerer.close()).await;
        let mut state = pair.answerer.connection_state();
        soon(state.wait_for(|state| *state == ConnectionState::Closed)).await.unwrap();
        assert!(soon(pair.answered.recv()).await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_stream_too_who_does_not_read_can_send_and_loses_nothing() {
    let pair = connect(builder(), builder().listen_tcp(true).receive_limit(128 << 10)).await;
    let (pieces, hash) = file(256, 16 << 10);
    let sender = tokio::spawn(send_all(pair.offered.clone(), pieces));
    soon(async {
        while pair.answerer.stats().records_held == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    pair.answered.send("I am not reading yet").await.unwrap();
    assert_eq!(soon(pair.offered.recv()).await.unwrap().as_text(), Some("I am not reading yet"));
    soon(pair.answered.flush()).await.unwrap();
    assert_eq!(receive_all(&pair.answered, 256).await, hash);
    soon(sender).await.unwrap();
}

#[tokio::test]
async fn where_datagrams_get_through_they_are_used() {
    let pair = common::connect(builder().listen_tcp(true), builder().listen_tcp(true)).await;
    for peer in [&pair.offerer, &pair.answerer] {
        assert_eq!(peer.selected_pair().unwrap().local.candidate.transport.protocol(), Protocol::Udp);
    }
}

#[tokio::test]
async fn strangers_who_connect_are_few_at_a_time_and_do_not_disturb() {
    const STRANGERS: usize = 30;
    let pair = connect(builder(), builder().listen_tcp(true)).await;
    let listener: SocketAddr = pair.answerer.selected_pair().unwrap().local.base;
    let mut strangers = Vec::new();
    for n in 0..STRANGERS {
        let mut stranger = soon(TcpStream::connect(listener)).await.unwrap();
        // A datagram for nobody, and the beginning of one that never ends.
        stranger.write_all(&[0, 3, 23, 254, 253, 255]).await.unwrap();
        soon(async {
            while pair.answerer.stats().unused.ice.unknown_source <= n as u64 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        strangers.push(stranger);
    }
    // Sixteen stay for a while.
    for stranger in &mut strangers[..STRANGERS - 16] {
        let mut rest = Vec::new();
        let _ = soon(stranger.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
    }
    let mut byte = [0];
    assert!(strangers[STRANGERS - 1].try_read(&mut byte).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
    pair.offered.send("undisturbed").await.unwrap();
    assert_eq!(soon(pair.answered.recv()).await.unwrap().as_text(), Some("undisturbed"));
}

#[tokio::test]
async fn a_port_of_the_range_is_listened_at() {
    // Ports that were free a moment ago.
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().min(u16::MAX - 9);
    let (peer, _events) = builder().ports(probe..=probe + 9).listen_tcp(true).start().unwrap();
    let tcp: Vec<_> =
        peer.local_candidates().into_iter().filter(|local| local.candidate.transport.tcp_type().is_some()).collect();
    assert_eq!(tcp.len(), 1);
    assert!((probe..=probe + 9).contains(&tcp[0].base.port()));
    let _channel = peer.create_data_channel(ordered("first")).await.unwrap();
    let offer = peer.offer().await.unwrap();
    assert_eq!(offer.sdp.matches("typ host tcptype passive").count(), 1, "{}", offer.sdp);
}
