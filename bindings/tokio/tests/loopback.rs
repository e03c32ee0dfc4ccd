//! Two peers in one process, over real sockets on the loopback interface.

mod common;

use bytes::Bytes;
use common::{Pair, builder, connect, incoming, ordered, soon};
use frazil::peer::ConnectionState;
use frazil_tokio::{Message, Peer, SendError, StartError, TrySendError};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn peers_connect_and_echo_messages() {
    let Pair { offerer, answerer, offered, answered, .. } = connect(builder(), builder()).await;
    assert_eq!((answered.label(), answered.protocol(), answered.is_ordered()), ("first", "", true));
    assert!(offerer.selected_pair().is_some() && answerer.selected_pair().is_some());
    let echo = tokio::spawn(async move {
        while let Some(message) = answered.recv().await {
            answered.send(message).await.unwrap();
        }
    });
    let messages = [
        Message::text("grüezi"),
        Message::text(""),
        Message::binary(vec![0, 159, 146, 150]),
        Message::binary(Vec::new()),
    ];
    for message in &messages {
        offered.send(message.clone()).await.unwrap();
    }
    for message in &messages {
        assert_eq!(soon(offered.recv()).await.as_ref(), Some(message));
    }
    soon(offered.flush()).await.unwrap();
    assert_eq!(offered.buffered_amount(), 0);
    soon(offerer.close()).await;
    soon(echo).await.unwrap();
    drop(answerer);
}

#[tokio::test]
async fn channels_open_either_way_at_any_time() {
    let mut pair = connect(builder(), builder()).await;
    let second = pair.answerer.create_data_channel(ordered("second")).await.unwrap();
    // Before it is open: sending waits, trying does not.
    assert!(matches!(second.try_send("too early"), Err(TrySendError::Opening)));
    let early = tokio::spawn({
        let second = second.clone();
        async move { second.send("as soon as it is open").await }
    });
    let received = incoming(&mut pair.offerer_events).await;
    assert_eq!(received.label(), "second");
    soon(early).await.unwrap().unwrap();
    assert_eq!(soon(received.recv()).await.unwrap().as_text(), Some("as soon as it is open"));

    soon(second.close()).await;
    soon(received.closed()).await;
    assert_eq!(soon(received.recv()).await, None);
    assert!(matches!(received.send("too late").await, Err(SendError::Closed)));
    // The first channel is not touched by that.
    pair.offered.send("still here").await.unwrap();
    assert_eq!(soon(pair.answered.recv()).await.unwrap().as_text(), Some("still here"));
}

/// `count` messages that differ, and the hash of all their bytes.
fn file(count: usize, len: usize) -> (Vec<Bytes>, [u8; 32]) {
    let mut hash = Sha256::new();
    let pieces = (0..count as u32).map(|n| {
        let piece: Vec<u8> =
            (0..len as u32).map(|at| (at.wrapping_mul(31) ^ n.wrapping_mul(2_654_435_761)) as u8).collect();
        hash.update(&piece);
        Bytes::from(piece)
    });
    let pieces = pieces.collect();
    (pieces, hash.finalize().into())
}

async fn receive_file(channel: &frazil_tokio::Channel, count: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    for _ in 0..count {
        hash.update(soon(channel.recv()).await.expect("the file is not cut short").data);
    }
    hash.finalize().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_arrive_whole_in_both_directions_at_once() {
    let Pair { offerer, answerer, offered, answered, .. } = connect(builder(), builder()).await;
    let (pieces, hash) = file(256, 64 << 10);
    let send = |channel: frazil_tokio::Channel, pieces: Vec<Bytes>| async move {
        for piece in pieces {
            channel.send(piece).await.unwrap();
        }
        channel.flush().await
    };
    let there = tokio::spawn(send(offered.clone(), pieces.clone()));
    let back = tokio::spawn(send(answered.clone(), pieces.clone()));
    let (at_answerer, at_offerer) = tokio::join!(receive_file(&answered, 256), receive_file(&offered, 256));
    assert_eq!((at_answerer, at_offerer), (hash, hash));
    soon(there).await.unwrap().unwrap();
    soon(back).await.unwrap().unwrap();
    drop((offerer, answerer));
}

#[tokio::test]
async fn a_channel_that_is_not_read_costs_bounded_memory_and_then_goes_on() {
    const LIMIT: usize = 256 << 10;
    // What the other side may have sent before it notices: one receive window of SCTP.
    const WINDOW: usize = 1 << 20;
    const PIECES: usize = 512;
    let Pair { answerer, offered, answered, .. } = connect(builder(), builder().receive_limit(LIMIT)).await;
    let (pieces, hash) = file(PIECES, 16 << 10);
    let sender = tokio::spawn({
        let offered = offered.clone();
        async move {
            for piece in pieces {
                offered.send(piece).await.unwrap();
            }
            offered.flush().await
        }
    });
    soon(async {
        while answerer.stats().records_held == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Who does not read can still send, and is told what arrived.
    for _ in 0..4 {
        answered.send(vec![1; 50_000]).await.unwrap();
        assert_eq!(soon(offered.recv()).await.unwrap().data.len(), 50_000);
    }
    soon(answered.flush()).await.unwrap();
    assert!(!sender.is_finished());
    // Nothing else runs between these: it is what waited in the queue.
    let mut seen = Sha256::new();
    let (mut waited, mut count) = (0, 0);
    while let Some(message) = answered.try_recv() {
        waited += message.data.len();
        count += 1;
        seen.update(message.data);
    }
    assert!((LIMIT..=LIMIT + WINDOW).contains(&waited), "{waited} bytes waited");
    for _ in count..PIECES {
        seen.update(soon(answered.recv()).await.expect("the other side goes on").data);
    }
    assert_eq!(<[u8; 32]>::from(seen.finalize()), hash);
    soon(sender).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_echo_that_waits_to_send_is_not_locked_by_its_own_full_queue() {
    // Queues far smaller than what goes round, and a sender that reads nothing until all is sent.
    let small = || builder().receive_limit(64 << 10).send_limit(64 << 10);
    let Pair { offered, answered, offerer, answerer, .. } = connect(small(), small().send_limit(32 << 10)).await;
    let echo = tokio::spawn(async move {
        while let Some(message) = answered.recv().await {
            if answered.send(message).await.is_err() {
                break;
            }
        }
    });
    let (pieces, hash) = file(128, 16 << 10);
    let sender = tokio::spawn({
        let offered = offered.clone();
        async move {
            for piece in pieces {
                offered.send(piece).await.unwrap();
            }
        }
    });
    assert_eq!(receive_file(&offered, 128).await, hash);
    soon(sender).await.unwrap();
    drop((offered, offerer));
    soon(echo).await.unwrap();
    drop(answerer);
}

#[tokio::test]
async fn an_echo_of_very_many_short_messages_comes_to_its_end() {
    // Enough to fill the queue so far that acknowledgements are held back too.
    const COUNT: u32 = 13_000;
    let Pair { offered, answered, answerer, .. } =
        connect(builder(), builder().receive_limit(64 << 10).send_limit(32 << 10)).await;
    let sleepy = answerer.clone();
    let echo = tokio::spawn(async move {
        while sleepy.stats().records_held == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..COUNT {
            let message = answered.recv().await.unwrap();
            answered.send(message).await.unwrap();
        }
        answered
    });
    let sender = tokio::spawn({
        let offered = offered.clone();
        async move {
            for n in 0..COUNT {
                offered.send(n.to_be_bytes().repeat(30)).await.unwrap();
                // Each in a record of its own.
                tokio::task::yield_now().await;
            }
        }
    });
    for n in 0..COUNT {
        assert_eq!(soon(offered.recv()).await.unwrap().data[..], n.to_be_bytes().repeat(30));
    }
    soon(sender).await.unwrap();
    soon(echo).await.unwrap();
}

#[tokio::test]
async fn try_send_says_when_too_much_waits() {
    let Pair { offered, answered, .. } = connect(builder().send_limit(100_000), builder()).await;
    offered.send("the channel's announcement, which counts too, is acknowledged with this").await.unwrap();
    soon(offered.flush()).await.unwrap();
    assert!(soon(answered.recv()).await.is_some());
    // The driver does not run in between.
    let sent = (0..1_000).take_while(|_| match offered.try_send(vec![7; 10_000]) {
        Ok(()) => true,
        Err(TrySendError::Full) => false,
        Err(error) => panic!("{error}"),
    });
    let sent = sent.count();
    assert_eq!(sent, 10);
    for _ in 0..sent {
        assert_eq!(soon(answered.recv()).await.unwrap().data.len(), 10_000);
    }
    soon(offered.flush()).await.unwrap();
    offered.try_send("room again").unwrap();
}

#[tokio::test]
async fn the_other_side_sees_a_close_at_once() {
    let Pair { offerer, answerer, offered, answered, mut offerer_events, mut answerer_events } =
        connect(builder(), builder()).await;
    let mut state = answerer.connection_state();
    offered.try_send("too late to be waited for").unwrap();
    let close = tokio::spawn({
        let offerer = offerer.clone();
        async move { offerer.close().await }
    });
    // On this side it is over at once, also for what was not acknowledged.
    assert_eq!(soon(offered.recv()).await, None);
    assert!(matches!(offered.flush().await, Err(SendError::Closed)));
    // Told, and not found out by silence: that would be `Disconnected` at first.
    soon(async {
        while answered.recv().await.is_some() {}
        answered.closed().await;
        let ended = |state: &ConnectionState| *state != ConnectionState::Connected;
        assert_eq!(*state.wait_for(ended).await.unwrap(), ConnectionState::Closed);
    })
    .await;
    // So it closes too.
    while soon(answerer_events.next()).await.is_some() {}
    assert!(matches!(answerer.create_offer().await, Err(frazil_tokio::Error::Closed)));
    assert!(matches!(answered.send("too late").await, Err(SendError::Closed)));
    assert!(matches!(offerer.create_offer().await, Err(frazil_tokio::Error::Closed)));
    assert_eq!(*offerer.connection_state().borrow(), ConnectionState::Closed);
    soon(close).await.unwrap();
    while soon(offerer_events.next()).await.is_some() {}
    // Closing twice is no fault.
    soon(offerer.close()).await;
}

#[tokio::test]
async fn dropping_the_last_handle_closes() {
    let Pair { offerer, answerer, offered, answered, mut offerer_events, .. } = connect(builder(), builder()).await;
    drop(offerer);
    // A channel is a handle too.
    offered.send("still here").await.unwrap();
    assert_eq!(soon(answered.recv()).await.unwrap().as_text(), Some("still here"));
    soon(offered.flush()).await.unwrap();
    drop(offered);
    soon(answered.closed()).await;
    assert_eq!(answered.recv().await, None);
    assert_eq!(*answerer.connection_state().borrow(), ConnectionState::Closed);
    while soon(offerer_events.next()).await.is_some() {}
}

#[tokio::test]
async fn the_end_of_the_runtime_ends_all_waiting() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pair = runtime.spawn(connect(builder(), builder()));
    let pair = soon(pair).await.unwrap();
    runtime.shutdown_background();
    assert_eq!(soon(pair.answered.recv()).await, None);
    assert!(matches!(soon(pair.answered.send("x")).await, Err(SendError::Closed)));
    soon(pair.answerer.close()).await;
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    assert!(matches!(Peer::builder().start(), Err(StartError::NoRuntime)));
}

#[tokio::test]
async fn without_an_address_there_is_an_error() {
    let none = frazil_tokio::InterfacePolicy {
        filter: Some(Arc::new(|_: &frazil_tokio::Interface| false)),
        ..Default::default()
    };
    assert!(matches!(Peer::builder().interfaces(none).start(), Err(StartError::NoAddress)));
}

/// The addresses in a description's candidates.
fn addresses(sdp: &str) -> Vec<SocketAddr> {
    let candidates = sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    candidates
        .map(|candidate| {
            let fields: Vec<_> = candidate.split(' ').collect();
            SocketAddr::new(fields[4].parse().unwrap(), fields[5].parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn strangers_that_flood_a_peer_do_not_stop_it() {
    let Pair { answerer, offered, answered, .. } = connect(builder(), builder()).await;
    let target = addresses(&answerer.local_description().unwrap().sdp)[0];
    let stop = Arc::new(AtomicBool::new(false));
    let before = answerer.stats().datagrams_received;
    let flood = std::thread::spawn({
        let (stop, answerer) = (Arc::clone(&stop), answerer.clone());
        move || {
            let junk = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                // The socket always has some waiting, and never so many that the system drops the other side's.
                if sent > answerer.stats().datagrams_received - before + 100 {
                    std::thread::yield_now();
                    continue;
                }
                // STUN by its first byte, DTLS by its first byte, and nothing at all.
                for first in [0, 22, 255] {
                    sent += u64::from(junk.send_to(&[first; 300], target).is_ok());
                }
            }
        }
    });
    let flooded = |least| {
        let answerer = answerer.clone();
        soon(async move {
            while answerer.stats().datagrams_received < before + least {
                tokio::task::yield_now().await;
            }
        })
    };
    flooded(1_000).await;
    // The application's tasks run on the same thread as the flooded driver.
    for n in 0..20 {
        offered.send(n.to_string()).await.unwrap();
        assert_eq!(soon(answered.recv()).await.unwrap().as_text(), Some(n.to_string().as_str()));
    }
    flooded(2_000).await;
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
}
