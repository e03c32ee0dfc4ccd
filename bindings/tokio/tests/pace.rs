//! Peers that share one pacing budget.

mod common;

use common::{builder, connect, ordered, soon};
use frazil::ice::State;
use frazil::jsep::TrickledCandidate;
use frazil_tokio::{Pace, Peer};
use std::time::Duration;

/// A peer that has more to check than it ever will: addresses of the loopback network where nobody answers.
async fn busy(pace: &Pace) -> (Peer, frazil_tokio::Events) {
    let (peer, events) = builder().pace(Some(pace.clone())).start().unwrap();
    let (other, _) = builder().pace(None).start().unwrap();
    let _channel = peer.create_data_channel(ordered("busy")).await.unwrap();
    let offer = peer.offer().await.unwrap();
    let mut answer = other.answer(&offer).await.unwrap();
    // The other side is never heard of again.
    answer.sdp = answer.sdp.lines().filter(|l| !l.contains("candidate")).map(|l| format!("{l}\r\n")).collect();
    peer.set_remote_description(&answer).await.unwrap();
    for n in 1..=60 {
        let candidate = TrickledCandidate {
            candidate: format!("candidate:x{n} 1 udp {} 127.7.7.{n} 9 typ host", 1_000_000 + n),
            mid: Some("0".into()),
            m_line_index: None,
            ufrag: None,
        };
        peer.add_ice_candidate(&candidate).await.unwrap();
    }
    (peer, events)
}

fn requests(peer: &Peer) -> u64 {
    peer.pairs().iter().map(|pair| pair.stats.requests_sent).sum()
}

#[tokio::test]
async fn one_grant_is_one_check_of_all_peers_together() {
    // After the first grant there is none for an hour. Answers need none.
    let pace = Pace::new(Duration::from_secs(3_600));
    let (first, _first_events) = builder().pace(Some(pace.clone())).start().unwrap();
    let (second, _second_events) = builder().pace(Some(pace)).start().unwrap();
    let _channel = first.create_data_channel(ordered("first")).await.unwrap();
    let offer = first.offer().await.unwrap();
    let answer = second.answer(&offer).await.unwrap();
    first.set_remote_description(&answer).await.unwrap();
    let mut states = [first.ice_state(), second.ice_state()];
    let [of_first, of_second] = &mut states;
    let connected = |state: &State| *state == State::Connected;
    soon(async {
        tokio::select! {
            state = of_first.wait_for(connected) => drop(state.unwrap()),
            state = of_second.wait_for(connected) => drop(state.unwrap()),
        }
    })
    .await;
    assert_eq!(requests(&first) + requests(&second), 1);
}

#[tokio::test]
async fn many_peers_of_a_process_connect_beside_busy_ones() {
    let mut busy_ones = Vec::new();
    for _ in 0..8 {
        busy_ones.push(busy(&Pace::process()).await);
    }
    let pairs: Vec<_> = (0..8).map(|_| tokio::spawn(connect(builder(), builder()))).collect();
    for pair in pairs {
        soon(pair).await.unwrap();
    }
    assert!(busy_ones.iter().all(|(peer, _)| requests(peer) > 0), "somebody starved");
}

#[tokio::test]
async fn a_runtime_that_ends_leaves_the_time_to_others() {
    let pace = Pace::new(Duration::from_millis(5));
    let (peer, _events) = in_another_runtime(&pace, End::ShutDown);
    soon(connect(builder().pace(Some(pace.clone())), builder().pace(Some(pace)))).await;
    drop(peer);
}

#[tokio::test]
async fn a_runtime_that_stands_still_leaves_the_time_to_others() {
    let pace = Pace::new(Duration::from_millis(5));
    let (peer, _events) = in_another_runtime(&pace, End::StandStill);
    soon(connect(builder().pace(Some(pace.clone())), builder().pace(Some(pace)))).await;
    drop(peer);
}

enum End {
    ShutDown,
    StandStill,
}

/// A busy peer that minds the time for all, in a runtime that then runs no more.
fn in_another_runtime(pace: &Pace, end: End) -> (Peer, frazil_tokio::Events) {
    let pace = pace.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let busy = runtime.block_on(async {
            let busy = busy(&pace).await;
            soon(async {
                while requests(&busy.0) == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            busy
        });
        match end {
            End::ShutDown => drop(runtime),
            // Its timers and sockets are left as they are.
            End::StandStill => std::mem::forget(runtime),
        }
        busy
    })
    .join()
    .unwrap()
}
