//! What a closed peer leaves behind: nothing. Alone in its process, since it counts the process's files.

#![cfg(target_os = "linux")]

mod common;

use common::{builder, connect, soon};
use std::time::Duration;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_peers_come_and_go_without_a_trace() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let (files, tasks) = (open_files(), metrics.num_alive_tasks());
    for round in 0..25 {
        let pair = connect(builder(), builder()).await;
        assert!(open_files() >= files + 2);
        pair.offered.send("hello").await.unwrap();
        assert_eq!(soon(pair.answered.recv()).await.unwrap().as_text(), Some("hello"));
        if round % 2 == 0 {
            soon(pair.offerer.close()).await;
        }
        // The rest by dropping.
    }
    // Dropping does not wait; the tasks end by themselves.
    soon(async {
        while open_files() > files || metrics.num_alive_tasks() > tasks {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
