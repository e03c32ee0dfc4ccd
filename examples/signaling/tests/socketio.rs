//! The socket.io door, by engine.io packets over a real WebSocket: `0` open, `2` ping, `3` pong, `40` connect,
//! `41` disconnect, `42` event, `43` acknowledgement, `44` refused. What the npm client makes of it is tested in
//! `conformance/browser`.

mod support;

use frazil_signaling::{Limits, Rate};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::{BOUND, Server};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    async fn open(server: &Server) -> Self {
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", server.address);
        let (socket, _) = connect_async(url).await.unwrap();
        let mut client = Self { socket };
        assert!(client.next().await.starts_with('0'));
        client.send("40").await;
        client
    }

    async fn connect(server: &Server) -> Self {
        let mut client = Self::open(server).await;
        assert!(client.next().await.starts_with("40"));
        client
    }

    async fn send(&mut self, packet: &str) {
        self.socket.send(Frame::text(packet)).await.unwrap();
    }

    async fn next(&mut self) -> String {
        loop {
            match timeout(BOUND, self.socket.next()).await.expect("something comes in time") {
                Some(Ok(Frame::Text(text))) if text.as_str() == "2" => self.send("3").await,
                Some(Ok(Frame::Text(text))) => return text.to_string(),
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                other => return format!("closed: {other:?}"),
            }
        }
    }

    async fn ask(&mut self, event: Value) -> Value {
        self.send(&format!("427{event}")).await;
        let packet = self.next().await;
        let answer = packet.strip_prefix("437").unwrap_or_else(|| panic!("no acknowledgement: {packet}"));
        let Value::Array(mut arguments) = serde_json::from_str(answer).unwrap() else { panic!("{answer}") };
        assert_eq!(arguments.len(), 1);
        arguments.remove(0)
    }

    async fn expect(&mut self, kind: &str) -> Value {
        let packet = self.next().await;
        let event = packet.strip_prefix("42").unwrap_or_else(|| panic!("expected {kind}: {packet}"));
        let Value::Array(mut parts) = serde_json::from_str(event).unwrap() else { panic!("{event}") };
        assert_eq!((parts.len(), parts[0].as_str()), (2, Some(kind)), "{event}");
        let message = parts.remove(1);
        assert_eq!(message["type"], kind);
        message
    }
}

#[tokio::test]
async fn members_of_both_doors_share_a_room() {
    let server = Server::start(Limits::default()).await;
    let (mut ws, ws_id) = server.member("r").await;
    let mut sio = Client::connect(&server).await;
    let welcome = sio.ask(json!(["join", {"room": "r", "name": "sio"}])).await;
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["members"][0]["id"], ws_id);
    assert_eq!(ws.expect("peer-joined").await["member"]["name"], "sio");

    let offer = json!({"type": "offer", "sdp": "v=0"});
    sio.send(&format!("42{}", json!(["description", {"description": offer}]))).await;
    for n in 0..50 {
        sio.send(&format!("42{}", json!(["candidate", {"to": ws_id, "candidate": {"candidate": n.to_string()}}])))
            .await;
    }
    assert_eq!(ws.expect("description").await["from"], welcome["member"]);
    for n in 0..50 {
        assert_eq!(ws.expect("candidate").await["candidate"]["candidate"], n.to_string(), "events keep their order");
    }

    ws.send(json!({"type": "description", "to": welcome["member"], "description": {"type": "answer", "sdp": ""}}))
        .await;
    let answer = sio.expect("description").await;
    assert_eq!((&answer["from"], &answer["description"]["type"]), (&json!(ws_id), &json!("answer")));

    assert_eq!(sio.ask(json!(["leave"])).await, json!({"type": "ok"}));
    assert_eq!(ws.expect("peer-left").await["reason"], "left");
    sio.ask(json!(["join", {"room": "r"}])).await;
    ws.expect("peer-joined").await;
    sio.send("41").await;
    assert_eq!(ws.expect("peer-left").await["reason"], "disconnected");
}

#[tokio::test]
async fn errors_come_as_acknowledgement_or_as_event() {
    let server = Server::start(Limits { message_bytes: 500, ..Limits::default() }).await;
    let mut client = Client::connect(&server).await;
    assert_eq!(client.ask(json!(["join", {"room": ""}])).await["code"], "malformed");
    assert_eq!(client.ask(json!(["join", "r"])).await["code"], "malformed");
    assert_eq!(client.ask(json!(["join", {"room": "r"}, 2])).await["code"], "malformed");
    assert_eq!(client.ask(json!(["shout", {}])).await["code"], "unknown-type");
    assert_eq!(client.ask(json!(["join", {"room": "r".repeat(500)}])).await["code"], "too-large");
    client.send(r#"42["leave"]"#).await;
    assert_eq!(client.expect("error").await["code"], "not-joined");
}

#[tokio::test]
async fn who_sends_too_much_is_disconnected() {
    let limits = Limits {
        messages: Rate { per_second: 0.001, burst: 2.0 },
        patience: Rate { per_second: 0.001, burst: 1.0 },
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut client = Client::connect(&server).await;
    for _ in 0..4 {
        client.send(r#"42["leave",{}]"#).await;
    }
    for code in ["not-joined", "not-joined", "rate-limited", "rate-limited", "rate-limited"] {
        assert_eq!(client.expect("error").await["code"], code);
    }
    assert_eq!(client.next().await, "41");
}

#[tokio::test]
async fn one_connection_too_many_is_refused() {
    let server = Server::start(Limits { connections: 1, ..Limits::default() }).await;
    let _first = Client::connect(&server).await;
    let mut second = Client::open(&server).await;
    let refused = second.next().await;
    assert!(refused.starts_with("44") && refused.contains("1 connections"), "{refused}");
}

#[tokio::test]
async fn a_shutdown_and_a_closed_room_are_told() {
    let server = Server::start(Limits::default()).await;
    let mut client = Client::connect(&server).await;
    client.ask(json!(["join", {"room": "r"}])).await;
    server.signaling.close_room(&"r".parse().unwrap());
    assert_eq!(client.expect("room-closed").await["reason"], "closed");
    client.ask(json!(["join", {"room": "r"}])).await;
    let told = async {
        assert_eq!(client.expect("room-closed").await["reason"], "shutdown");
        assert_eq!(client.expect("error").await["code"], "shutting-down");
    };
    tokio::join!(told, server.stop());
}
