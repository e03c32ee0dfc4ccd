//! Whatever one client sends, the others notice nothing, and every text it sends is answered.

mod support;

use frazil_signaling::{Limits, Rate};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use support::{Client, Received, Server};
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message as Frame;

fn valid() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "join", "room": "junkyard", "name": "n", "info": {"a": [1, {"b": null}]}}),
        json!({"type": "description", "description": {"type": "offer", "sdp": "v=0\r\n"}}),
        json!({"type": "description", "to": "0123456789abcdef", "description": {"type": "answer", "sdp": ""}}),
        json!({"type": "candidate", "candidate": {"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0}}),
        json!({"type": "leave"}),
    ])
}

/// A valid message in which bytes are replaced, removed or repeated.
fn mangled() -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<char>()), 0..6);
    (valid(), edits).prop_map(|(message, edits)| {
        let mut text: Vec<char> = message.to_string().chars().collect();
        for (at, how, with) in edits {
            let at = at.index(text.len());
            match how {
                0 => text[at] = with,
                1 if text.len() > 1 => drop(text.remove(at)),
                _ => text.insert(at, text[at]),
            }
        }
        text.into_iter().collect()
    })
}

fn junk() -> impl Strategy<Value = Frame> {
    prop_oneof![
        4 => mangled().prop_map(Frame::text),
        2 => ".{0,200}".prop_map(Frame::text),
        1 => (1usize..2000).prop_map(|depth| Frame::text("[".repeat(depth))),
        1 => (1usize..2000).prop_map(|depth| Frame::text(r#"{"type":"#.repeat(depth))),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Frame::binary),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| Frame::Ping(bytes.into())),
    ]
}

#[test]
fn junk_is_answered_and_hurts_no_one_else() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rate = Rate { per_second: 1e9, burst: 1e9 };
    let (server, neighbours) = runtime.block_on(async {
        let server = Server::start(Limits { messages: rate, ..Limits::default() }).await;
        let (mut a, _) = server.member("quiet").await;
        let (b, _) = server.member("quiet").await;
        a.expect("peer-joined").await;
        (server, Mutex::new((a, b)))
    });
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(junk(), 1..40), |frames| {
        runtime.block_on(async {
            let mut vandal = server.client().await;
            for (seq, frame) in frames.into_iter().enumerate() {
                vandal.send_frame(frame.clone()).await;
                // A message of our own behind it: its answer is the sign that the junk before it was digested.
                vandal.send(json!({"type": "leave", "seq": seq})).await;
                let answers = until_answered(&mut vandal, seq).await;
                let (least, most) = match &frame {
                    Frame::Text(text) if serde_json::from_str::<Value>(text).is_err() => (1, 1),
                    Frame::Text(_) => (0, 1),
                    Frame::Binary(_) => (1, 1),
                    _ => (0, 0),
                };
                prop_assert!((least..=most).contains(&answers), "{frame:?}: {answers} answers");
            }
            let (a, b) = &mut *neighbours.lock().await;
            a.send(json!({"type": "candidate", "candidate": {"candidate": "still here"}})).await;
            prop_assert_eq!(&b.expect("candidate").await["candidate"]["candidate"], "still here");
            Ok(())
        })
    });
    outcome.unwrap();
    runtime.block_on(server.stop());
}

async fn until_answered(client: &mut Client, seq: usize) -> usize {
    let mut others = 0;
    loop {
        match client.next().await {
            Received::Message(message) if message["seq"] == seq => return others,
            Received::Message(_) => others += 1,
            Received::Closed(frame) => panic!("closed: {frame:?}"),
        }
    }
}
