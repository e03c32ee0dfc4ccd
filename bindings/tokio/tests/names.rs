//! Peers that hide their addresses behind names, over the loopback interface's multicast.

mod common;

use common::{builder, connect, soon};
use frazil::peer::Config;

#[tokio::test]
async fn two_peers_that_tell_only_names_find_each_other() {
    let mut config = Config::default();
    config.mdns_candidates = true;
    let pair = connect(builder().config(config.clone()), builder().config(config)).await;
    pair.offered.send("ping").await.unwrap();
    assert_eq!(soon(pair.answered.recv()).await.unwrap().as_text(), Some("ping"));
    let mut names = Vec::new();
    for peer in [&pair.offerer, &pair.answerer] {
        let sdp = peer.local_description().unwrap().sdp;
        assert!(!sdp.contains("127.0.0.1"), "{sdp}");
        let candidate = sdp.lines().find(|line| line.starts_with("a=candidate:")).unwrap();
        let name = candidate.split(' ').nth(4).unwrap();
        assert!(name.ends_with(".local"), "{candidate}");
        names.push(name.to_owned());
    }
    assert_ne!(names[0], names[1]);
    pair.offerer.close().await;
}
