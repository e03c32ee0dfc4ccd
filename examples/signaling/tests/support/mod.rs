//! A server on a port of its own, and a client that waits for what it expects.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::time::Duration;

use frazil_signaling::{Config, Limits, Signaling, serve};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything here takes, on the slowest machine.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) signaling: Signaling,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::start_with(Config { limits, admin_token: Some("secret".to_owned()) }).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let signaling = Signaling::start(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn({
            let signaling = signaling.clone();
            async move {
                let stop = async { stopped.await.unwrap_or(()) };
                serve(listener, signaling.router(), signaling, stop).await
            }
        });
        Self { signaling, address, stop: Some(stop), served }
    }

    pub(crate) async fn client(&self) -> Client {
        let (socket, _) = connect_async(format!("ws://{}/ws", self.address)).await.unwrap();
        Client { socket }
    }

    /// A client that is in the room already, and its member id.
    pub(crate) async fn member(&self, room: &str) -> (Client, String) {
        let mut client = self.client().await;
        client.send(json!({"type": "join", "room": room})).await;
        let welcome = client.expect("welcome").await;
        (client, welcome["member"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(BOUND, self.served).await.expect("the server stops in time").unwrap().unwrap();
    }
}

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) async fn send(&mut self, message: Value) {
        self.send_frame(Frame::text(message.to_string())).await;
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame) {
        self.socket.send(frame).await.unwrap();
    }

    /// The next message or the close frame; pings are answered on the way.
    pub(crate) async fn next(&mut self) -> Received {
        loop {
            match timeout(BOUND, self.socket.next()).await.expect("something comes in time") {
                Some(Ok(Frame::Text(text))) => return Received::Message(serde_json::from_str(&text).unwrap()),
                Some(Ok(Frame::Close(frame))) => return Received::Closed(frame),
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return Received::Closed(None),
            }
        }
    }

    /// The next message, which must be of that type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        match self.next().await {
            Received::Message(message) if message["type"] == kind => message,
            other => panic!("expected {kind}, got {other:?}"),
        }
    }

    /// The next message, which must be an error with that code.
    pub(crate) async fn expect_error(&mut self, code: &str) -> Value {
        let error = self.expect("error").await;
        assert_eq!(error["code"], code, "{error}");
        error
    }

    /// The close frame, after whatever else may come.
    pub(crate) async fn expect_close(&mut self) -> CloseFrame {
        loop {
            match self.next().await {
                Received::Message(_) => {}
                Received::Closed(frame) => return frame.expect("a close frame"),
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum Received {
    Message(Value),
    Closed(Option<CloseFrame>),
}
