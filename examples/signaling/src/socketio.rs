//! The socket.io door: the type of a message is the name of its event, the message itself the only argument.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde_json::{Map, Value};
use socketioxide::adapter::Adapter;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::handler::{ConnectHandler, DisconnectHandler, FromMessageParts, MessageHandler, Value as Packet};
use socketioxide::socket::{DisconnectReason, Socket};
use socketioxide::{ParserConfig, SendError, SocketError, SocketIo};

use crate::hub::{ConnectionId, Hub, Outbox, Overflow, Parcel};
use crate::limits::Limits;
use crate::message::{LeaveReason, Message, Request};
use crate::refusal::Refusal;

/// Where socket.io clients look for a server unless told otherwise.
const PATH: &str = "/socket.io/";

/// The door, and the handle by which it is closed.
pub(crate) fn door(hub: Arc<Hub>) -> (Router, SocketIo) {
    let Limits { queued_messages, heartbeat, silence, .. } = hub.limits;
    let hard = hub.limits.hard_message_bytes();
    let (service, io) = SocketIo::builder()
        .max_buffer_size(queued_messages)
        .max_payload(hard as u64)
        .ws_max_message_size(hard)
        .ws_max_frame_size(hard)
        .ping_interval(heartbeat)
        .ping_timeout(silence.saturating_sub(heartbeat))
        .connect_timeout(silence)
        .with_parser(ParserConfig::common().max_incoming_binaries(0).max_incoming_binary_buf_size(0))
        .build_svc();
    // All is set up before the client is told that it is connected, so that its first event finds a receiver.
    let admit = async move |socket: SocketRef| {
        let id = hub.connect(Arc::new(Client(socket.clone())))?;
        socket.on_fallback(Receiver { hub: hub.clone(), id });
        socket.on_disconnect(Receiver { hub, id });
        Ok::<(), Refusal>(())
    };
    io.ns("/", (async || {}).with(admit));
    (Router::new().route_service(PATH, service), io)
}

struct Client(SocketRef);

impl Outbox for Client {
    fn push(&self, parcel: &Parcel<'_>) -> Result<(), Overflow> {
        overflow(self.0.emit(parcel.message.kind(), parcel.message))
    }

    fn close(&self, why: &Refusal) {
        let _ = self.push(&Parcel::new(&Message::Error(why.clone())));
        let socket = self.0.clone();
        if socket.clone().disconnect().is_err() {
            // Its queue is full. The heartbeat will end it if nothing else does.
            tokio::spawn(async move {
                while socket.connected() && socket.clone().disconnect().is_err() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
        }
    }
}

fn overflow(sent: Result<(), SendError>) -> Result<(), Overflow> {
    match sent {
        Err(SendError::Socket(SocketError::InternalChannelFull)) => Err(Overflow),
        // A closed socket tells its disconnect handler.
        _ => Ok(()),
    }
}

/// Takes the events of one client. A closure would be run as a task per event, and tasks overtake one another: an
/// offer must stay ahead of its candidates.
struct Receiver {
    hub: Arc<Hub>,
    id: ConnectionId,
}

impl<A: Adapter> MessageHandler<A, ()> for Receiver {
    fn call(&self, socket: Arc<Socket<A>>, mut packet: Packet, ack: Option<i64>) {
        let text = packet.as_str().map(|text| text.to_string()).unwrap_or_default();
        let parse = || {
            let (kind, fields) = open(&text)?;
            Request::parse(&kind, fields, self.hub.limits.info_bytes)
        };
        self.hub.receive(self.id, text.len(), parse, |message| match (ack, message) {
            (Some(_), message) => {
                let Ok(ack) = AckSender::from_message_parts(&socket, &mut packet, &ack);
                overflow(ack.send(message))
            }
            (None, Message::Ok) => Ok(()),
            (None, message) => overflow(socket.emit(message.kind(), message)),
        });
    }
}

impl<A: Adapter> DisconnectHandler<A, ()> for Receiver {
    fn call_with_defer(&self, socket: Arc<Socket<A>>, reason: DisconnectReason, defer: fn(Arc<Socket<A>>)) {
        let reason = match reason {
            DisconnectReason::HeartbeatTimeout => LeaveReason::Timeout,
            _ => LeaveReason::Disconnected,
        };
        self.hub.disconnect(self.id, reason);
        defer(socket);
    }
}

/// Takes an event apart, which is a JSON array of its name and its arguments.
fn open(text: &str) -> Result<(String, Map<String, Value>), Refusal> {
    let parts: Vec<Value> =
        serde_json::from_str(text).map_err(|error| Refusal::malformed(".", &format!("not a JSON array: {error}")))?;
    let mut parts = parts.into_iter();
    let Some(Value::String(kind)) = parts.next() else {
        return Err(Refusal::malformed(".", "the name of the event is missing"));
    };
    match (parts.next(), parts.next()) {
        (None | Some(Value::Null), None) => Ok((kind, Map::new())),
        (Some(Value::Object(fields)), None) => Ok((kind, fields)),
        _ => Err(Refusal::malformed(".", "an event has one argument, a JSON object")),
    }
}
