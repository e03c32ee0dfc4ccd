//! The plain WebSocket door: one JSON object per text frame.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::{interval_at, timeout};
use tokio_tungstenite::tungstenite::Error as ProtocolError;
use tokio_util::sync::CancellationToken;

use crate::hub::{ConnectionId, Hub, Outbox, Overflow, Parcel};
use crate::limits::Limits;
use crate::message::{LeaveReason, Message, Request};
use crate::refusal::Refusal;

/// How long a client may take to answer our close frame with its own.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Serves one client until it is gone.
pub(crate) async fn serve(socket: WebSocket, hub: Arc<Hub>) {
    let (sink, mut stream) = socket.split();
    let (queue, waiting) = mpsc::channel(hub.limits.queued_messages);
    let broken = CancellationToken::new();
    let outbox = Arc::new(Queue { queue, broken: broken.clone() });
    let mut writer = tokio::spawn(write(sink, waiting, hub.limits.clone()));
    let id = match hub.connect(outbox.clone()) {
        Ok(id) => id,
        Err(refusal) => {
            outbox.close(&refusal);
            drop(outbox);
            let _ = writer.await;
            return;
        }
    };
    let reason = tokio::select! {
        reason = read(&mut stream, &hub, id, &outbox) => reason,
        () = broken.cancelled() => LeaveReason::TooSlow,
        _ = &mut writer => {
            // The farewell is written, or could not be; the client may still have its own on the way.
            let _ = timeout(CLOSE_GRACE, async { while let Some(Ok(_)) = stream.next().await {} }).await;
            LeaveReason::Disconnected
        }
    };
    hub.disconnect(id, reason);
    drop(outbox);
    match reason {
        LeaveReason::TooSlow => writer.abort(),
        // With the last sender gone the writer ends when it has written what is queued.
        _ if !writer.is_finished() => drop(writer.await),
        _ => {}
    }
}

enum Outgoing {
    Text(Utf8Bytes),
    Farewell(Utf8Bytes, CloseFrame),
}

struct Queue {
    queue: mpsc::Sender<Outgoing>,
    broken: CancellationToken,
}

impl Queue {
    fn send(&self, outgoing: Outgoing) -> Result<(), Overflow> {
        match self.queue.try_send(outgoing) {
            // A writer that has ended will be noticed by the reader.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Overflow),
        }
    }
}

impl Outbox for Queue {
    fn push(&self, parcel: &Parcel<'_>) -> Result<(), Overflow> {
        self.send(Outgoing::Text(parcel.text()))
    }

    fn close(&self, why: &Refusal) {
        let code = match why {
            Refusal::ShuttingDown => close_code::AWAY,
            Refusal::TooManyConnections { .. } => close_code::AGAIN,
            Refusal::TooLarge { .. } => close_code::SIZE,
            _ => close_code::POLICY,
        };
        let frame = CloseFrame { code, reason: why.code().into() };
        let text = Parcel::new(&Message::Error(why.clone())).text();
        if self.send(Outgoing::Farewell(text, frame)).is_err() {
            self.broken.cancel();
        }
    }
}

async fn write(mut sink: SplitSink<WebSocket, Frame>, mut waiting: mpsc::Receiver<Outgoing>, limits: Limits) {
    let mut heartbeat = interval_at(tokio::time::Instant::now() + limits.heartbeat, limits.heartbeat);
    loop {
        let (frame, last) = tokio::select! {
            biased;
            outgoing = waiting.recv() => match outgoing {
                Some(Outgoing::Text(text)) => (Frame::Text(text), None),
                Some(Outgoing::Farewell(text, close)) => (Frame::Text(text), Some(close)),
                None => return,
            },
            _ = heartbeat.tick() => (Frame::Ping(Default::default()), None),
        };
        let sent = match timeout(limits.stall, sink.send(frame)).await {
            Ok(Ok(())) => true,
            Ok(Err(_)) | Err(_) => false,
        };
        match last {
            Some(close) if sent => {
                let _ = timeout(limits.stall, sink.send(Frame::Close(Some(close)))).await;
                return;
            }
            None if sent => {}
            _ => return,
        }
    }
}

async fn read(stream: &mut SplitStream<WebSocket>, hub: &Hub, id: ConnectionId, outbox: &Queue) -> LeaveReason {
    loop {
        let frame = match timeout(hub.limits.silence, stream.next()).await {
            Err(_) => {
                outbox.close(&Refusal::Timeout);
                return LeaveReason::Timeout;
            }
            Ok(None) => return LeaveReason::Disconnected,
            Ok(Some(Err(error))) => {
                if is_capacity(error) {
                    outbox.close(&Refusal::too_large(
                        "message",
                        hub.limits.hard_message_bytes(),
                        hub.limits.message_bytes,
                    ));
                }
                return LeaveReason::Disconnected;
            }
            Ok(Some(Ok(frame))) => frame,
        };
        match frame {
            Frame::Text(text) => receive(hub, id, outbox, &text),
            Frame::Binary(bytes) => {
                let refusal = Refusal::malformed(".", "a message is a text frame, this is a binary one");
                hub.receive(id, bytes.len(), || Err(refusal), |message| answer(outbox, message, None));
            }
            Frame::Ping(_) | Frame::Pong(_) => {
                hub.count_frame(id);
            }
            Frame::Close(_) => return LeaveReason::Disconnected,
        }
    }
}

fn receive(hub: &Hub, id: ConnectionId, outbox: &Queue, text: &str) {
    let seq = std::cell::Cell::new(None);
    let parse = || {
        let (number, kind, fields) = open(text);
        seq.set(number);
        Request::parse(&kind?, fields, hub.limits.info_bytes)
    };
    hub.receive(id, text.len(), parse, |message| answer(outbox, message, seq.get()));
}

/// Takes a message apart: the number the client gave it, its type, and its other fields.
fn open(text: &str) -> (Option<u64>, Result<String, Refusal>, Map<String, Value>) {
    let refuse = |field: &str, problem: &str| (None, Err(Refusal::malformed(field, problem)), Map::new());
    let mut fields = match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return refuse(".", "a message is a JSON object"),
        Err(error) => return refuse(".", &format!("not JSON: {error}")),
    };
    let seq = match fields.remove("seq") {
        None => None,
        Some(value) => match value.as_u64() {
            Some(number) => Some(number),
            None => return refuse("seq", "a whole number that is not negative"),
        },
    };
    let kind = match fields.remove("type") {
        Some(Value::String(kind)) => Ok(kind),
        Some(_) => Err(Refusal::malformed("type", "the type is a text")),
        None => Err(Refusal::malformed("type", "the type is missing")),
    };
    (seq, kind, fields)
}

/// Queues the answer to a message, with the number the client gave that message.
fn answer(outbox: &Queue, message: &Message, seq: Option<u64>) -> Result<(), Overflow> {
    let Some(seq) = seq else {
        return match message {
            // Nobody waits for it.
            Message::Ok => Ok(()),
            _ => outbox.push(&Parcel::new(message)),
        };
    };
    let mut answer = serde_json::to_value(message).unwrap_or_default();
    answer["seq"] = seq.into();
    outbox.send(Outgoing::Text(answer.to_string().into()))
}

fn is_capacity(error: axum::Error) -> bool {
    matches!(error.into_inner().downcast_ref(), Some(ProtocolError::Capacity(_)))
}
