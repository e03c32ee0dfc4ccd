//! The WebSocket door, driven by a real client over a real socket.

mod support;

use std::time::{Duration, Instant};

use frazil_signaling::{Limits, Rate};
use serde_json::json;
use support::{BOUND, Received, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;

#[tokio::test]
async fn two_members_exchange_an_offer_an_answer_and_candidates_in_order() {
    let server = Server::start(Limits::default()).await;
    let (mut a, id_a) = server.member("r").await;
    let mut b = server.client().await;
    b.send(json!({"type": "join", "room": "r", "name": "Zoë", "info": {"offers": true}, "seq": 1})).await;
    let welcome = b.expect("welcome").await;
    assert_eq!(welcome["seq"], 1);
    assert_eq!(welcome["members"], json!([{"id": id_a, "name": "", "info": {}}]));
    let joined = a.expect("peer-joined").await;
    assert_eq!(joined["member"], json!({"id": welcome["member"], "name": "Zoë", "info": {"offers": true}}));

    let offer = json!({"type": "offer", "sdp": "v=0\r\n"});
    b.send(json!({"type": "description", "to": id_a, "description": offer, "seq": 2})).await;
    for n in 0..20 {
        b.send(json!({"type": "candidate", "candidate": {"candidate": format!("candidate:{n}"), "sdpMid": "0"}})).await;
    }
    b.send(json!({"type": "candidate", "candidate": {"candidate": "", "sdpMid": "0"}})).await;
    assert_eq!(b.expect("ok").await["seq"], 2);
    let got = a.expect("description").await;
    assert_eq!((&got["from"], &got["description"]), (&welcome["member"], &offer));
    for n in 0..20 {
        assert_eq!(a.expect("candidate").await["candidate"]["candidate"], format!("candidate:{n}"));
    }
    assert_eq!(a.expect("candidate").await["candidate"], json!({"candidate": "", "sdpMid": "0"}));

    a.send(
        json!({"type": "description", "to": welcome["member"], "description": {"type": "answer", "sdp": "v=0\r\n"}}),
    )
    .await;
    assert_eq!(b.expect("description").await["description"]["type"], "answer");

    b.send(json!({"type": "leave", "seq": 3})).await;
    assert_eq!(b.expect("ok").await["seq"], 3);
    assert_eq!(
        a.expect("peer-left").await,
        json!({"type": "peer-left", "member": welcome["member"], "reason": "left"})
    );

    b.send(json!({"type": "join", "room": "r"})).await;
    let again = b.expect("welcome").await;
    assert_ne!(again["member"], welcome["member"], "a new stay has a new id");
    a.expect("peer-joined").await;
    drop(b);
    assert_eq!(a.expect("peer-left").await["reason"], "disconnected");
}

#[tokio::test]
async fn every_refusal_has_its_code_and_hurts_no_one_else() {
    let limits = Limits { rooms: 1, room_members: 2, message_bytes: 2000, ..Limits::default() };
    let server = Server::start(limits).await;
    let (mut bystander, _) = server.member("r").await;
    let mut c = server.client().await;
    let big = json!({"type": "join", "room": "r", "name": "x".repeat(2000)});
    let cases = [
        (json!(7), "malformed", "."),
        (json!({}), "malformed", "type"),
        (json!({"type": 1}), "malformed", "type"),
        (json!({"type": "join", "room": "r", "seq": "x"}), "malformed", "seq"),
        (json!({"type": "join"}), "malformed", "."),
        (json!({"type": "join", "room": "no/slash"}), "malformed", "room"),
        (json!({"type": "join", "room": "r", "info": {"x": "y".repeat(1100)}}), "too-large", "info"),
        (json!({"type": "shout"}), "unknown-type", "type"),
        (big, "too-large", "message"),
        (json!({"type": "leave"}), "not-joined", ""),
        (json!({"type": "candidate", "candidate": {"candidate": ""}}), "not-joined", ""),
        (json!({"type": "join", "room": "other"}), "too-many-rooms", ""),
    ];
    for (message, code, field) in cases {
        c.send(message.clone()).await;
        let error = c.expect_error(code).await;
        assert_eq!(error["field"].as_str().unwrap_or_default(), field, "{message} -> {error}");
    }
    c.send_frame(Frame::text("{not json")).await;
    c.expect_error("malformed").await;
    c.send_frame(Frame::binary(vec![1, 2, 3])).await;
    c.expect_error("malformed").await;

    c.send(json!({"type": "join", "room": "r"})).await;
    c.expect("welcome").await;
    c.send(json!({"type": "join", "room": "r", "seq": 9})).await;
    assert_eq!(c.expect_error("already-joined").await["seq"], 9);
    c.send(json!({"type": "candidate", "to": "0000000000000000", "candidate": {"candidate": ""}})).await;
    assert_eq!(c.expect_error("no-such-member").await["field"], "to");
    let mut third = server.client().await;
    third.send(json!({"type": "join", "room": "r"})).await;
    third.expect_error("room-full").await;

    // All the bystander has noticed is the one who came in.
    bystander.expect("peer-joined").await;
    c.send(json!({"type": "candidate", "candidate": {"candidate": ""}})).await;
    bystander.expect("candidate").await;
}

#[tokio::test]
async fn a_message_far_too_large_closes_the_connection_and_says_so() {
    let server = Server::start(Limits { message_bytes: 1000, ..Limits::default() }).await;
    let mut client = server.client().await;
    client.send_frame(Frame::text("x".repeat(4001))).await;
    client.expect_error("too-large").await;
    assert_eq!(u16::from(client.expect_close().await.code), 1009);
}

#[tokio::test]
async fn who_sends_too_much_is_warned_and_then_disconnected() {
    let limits = Limits {
        messages: Rate { per_second: 0.001, burst: 5.0 },
        patience: Rate { per_second: 0.001, burst: 3.0 },
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let (mut bystander, _) = server.member("r").await;
    let (mut flood, _) = server.member("r").await;
    bystander.expect("peer-joined").await;
    for _ in 0..30 {
        // The last of them may find the connection closed.
        let _ = futures_util::SinkExt::send(&mut flood.socket, Frame::text(r#"{"type":"leave","seq":1}"#)).await;
    }
    flood.expect("ok").await;
    for _ in 0..3 {
        flood.expect_error("not-joined").await;
    }
    for _ in 0..5 {
        flood.expect_error("rate-limited").await;
    }
    let close = flood.expect_close().await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "rate-limited"));
    assert_eq!(bystander.expect("peer-left").await["reason"], "left");
}

#[tokio::test]
async fn who_does_not_read_is_disconnected_and_the_others_are_told() {
    let limits = Limits {
        queued_messages: 8,
        messages: Rate { per_second: 1e6, burst: 1e6 },
        stall: Duration::from_millis(500),
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let (mut talker, _) = server.member("r").await;
    let (sleeper, id) = server.member("r").await;
    talker.expect("peer-joined").await;
    let sdp = "x".repeat(60_000);
    let description = json!({"type": "description", "description": {"type": "offer", "sdp": sdp}}).to_string();
    // The sockets' own buffers take a few megabytes; the server must not take more than its queue.
    let left = tokio::time::timeout(BOUND, async {
        loop {
            talker.send_frame(Frame::text(description.clone())).await;
            if let Ok(Received::Message(message)) = tokio::time::timeout(Duration::ZERO, talker.next()).await {
                break message;
            }
        }
    })
    .await
    .expect("the sleeper is disconnected");
    assert_eq!(left["type"], "peer-left");
    assert_eq!(left["member"], id);
    assert!(left["reason"] == "too-slow" || left["reason"] == "disconnected", "{left}");
    drop(sleeper);
}

#[tokio::test]
async fn who_does_not_answer_pings_is_gone() {
    // The one that is alive is not polled either while the other comes in, and must not be gone by then.
    let limits = Limits { heartbeat: Duration::from_millis(50), silence: Duration::from_secs(5), ..Limits::default() };
    let server = Server::start(limits).await;
    let (mut alive, _) = server.member("r").await;
    // This client answers pings only while it is polled, and nobody polls it.
    let (_dead, id) = server.member("r").await;
    alive.expect("peer-joined").await;
    assert_eq!(alive.expect("peer-left").await, json!({"type": "peer-left", "member": id, "reason": "timeout"}));
}

#[tokio::test]
async fn who_enters_no_room_is_sent_away() {
    let server = Server::start(Limits { idle: Duration::from_millis(50), ..Limits::default() }).await;
    let mut client = server.client().await;
    client.expect_error("idle").await;
    assert_eq!(client.expect_close().await.reason.as_str(), "idle");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = Server::start(Limits { connections: 1, ..Limits::default() }).await;
    let (_first, _) = server.member("r").await;
    let mut second = server.client().await;
    second.expect_error("too-many-connections").await;
    assert_eq!(u16::from(second.expect_close().await.code), 1013);
}

#[tokio::test]
async fn a_room_can_be_closed_by_call_and_by_http() {
    let server = Server::start(Limits::default()).await;
    let (mut a, _) = server.member("r").await;
    assert_eq!(server.signaling.rooms().len(), 1);
    assert_eq!(server.signaling.close_room(&"r".parse().unwrap()), Some(1));
    assert_eq!(server.signaling.close_room(&"r".parse().unwrap()), None);
    assert_eq!(a.expect("room-closed").await, json!({"type": "room-closed", "room": "r", "reason": "closed"}));
    a.send(json!({"type": "join", "room": "s"})).await;
    a.expect("welcome").await;

    let ask = async |method: &str, path: &str, token: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse::<u16>().unwrap(), body.to_owned())
    };
    for wrong in ["", "Bearer wrong!", "Bearer secrets", "secret"] {
        assert_eq!(ask("DELETE", "/admin/rooms/s", wrong).await.0, 401, "{wrong:?}");
    }
    assert_eq!(
        ask("GET", "/admin/rooms", "Bearer secret").await,
        (200, r#"{"rooms":[{"members":1,"room":"s"}]}"#.into())
    );
    assert_eq!(ask("DELETE", "/admin/rooms/a%20b", "Bearer secret").await.0, 400);
    assert_eq!(ask("DELETE", "/admin/rooms/none", "Bearer secret").await.0, 404);
    assert_eq!(ask("DELETE", "/admin/rooms/s", "Bearer secret").await, (200, r#"{"members":1,"room":"s"}"#.into()));
    a.expect("room-closed").await;
}

#[tokio::test]
async fn a_shutdown_tells_everyone_and_ends_in_time() {
    let limits = Limits { shutdown: Duration::from_secs(5), ..Limits::default() };
    let server = Server::start(limits).await;
    let (mut member, _) = server.member("r").await;
    let mut stander = server.client().await;
    // Neither a client that says nothing nor one that does not read may hold the server up.
    let _mute = TcpStream::connect(server.address).await.unwrap();
    let (_deaf, _) = server.member("other").await;
    let started = Instant::now();
    let told = async {
        assert_eq!(member.expect("room-closed").await["reason"], "shutdown");
        member.expect_error("shutting-down").await;
        assert_eq!(u16::from(member.expect_close().await.code), 1001);
        stander.expect_error("shutting-down").await;
        assert_eq!(u16::from(stander.expect_close().await.code), 1001);
    };
    tokio::join!(told, server.stop());
    assert!(started.elapsed() < BOUND);
}
