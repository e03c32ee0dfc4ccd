//! What a closed peer leaves behind: nothing. Alone in its process, since it counts the process's files.

#![cfg(target_os = "linux")]

mod common;

use common::{builder, connect, soon};

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_peers_come_and_go_without_a_trace() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let (files, tasks) = (open_files(), metrics.num_alive_tasks());
    let mut closing = tokio::task::JoinSet::new();
    for round in 0..25 {
        // Those that listen are connected to as well, and the streams given up.
        let pair = connect(builder(), builder().listen_tcp(round % 3 == 0)).await;
        assert!(open_files() >= files + 2);
        pair.offered.send("hello").await.unwrap();
        assert_eq!(soon(pair.answered.recv()).await.unwrap().as_text(), Some("hello"));
        // Some by closing, which others need not wait for; the rest by dropping.
        if round % 2 == 0 {
            closing.spawn(async move { soon(pair.offerer.close()).await });
        }
    }
    closing.join_all().await;
    // Dropping does not wait; the tasks end by themselves.
    soon(async {
        while open_files() > files || metrics.num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
