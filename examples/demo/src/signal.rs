//! A client of the signalling server's WebSocket door (`docs/signaling.md`) that comes back when it is cut off.

use std::time::Duration;

use frazil_signaling::message::{Candidate, Description, LeaveReason, Member};
use frazil_signaling::names::MemberId;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const QUEUE: usize = 64;

/// Which room, and what its members are told of us.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The server, as `ws://host:port/ws`.
    pub(crate) url: String,
    pub(crate) room: String,
    pub(crate) name: String,
    /// When we come to somebody who waits, we make the offer.
    pub(crate) offers: bool,
}

/// What the server says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum News {
    /// We are in the room, as `member`, with `members` that were there before.
    Welcome {
        member: MemberId,
        members: Vec<Member>,
    },
    PeerJoined {
        member: Member,
    },
    PeerLeft {
        member: MemberId,
        reason: LeaveReason,
    },
    Description {
        from: MemberId,
        description: Description,
    },
    Candidate {
        from: MemberId,
        candidate: Candidate,
    },
    RoomClosed {},
    Error {
        code: String,
        message: String,
    },
    /// Not from the server: it cannot be reached, and why. It is tried again.
    #[serde(skip)]
    Lost(String),
    #[serde(other)]
    Other,
}

/// What is said to other members. What is said while the server cannot be reached is lost: it was for members of a
/// stay that is over.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    outgoing: mpsc::Sender<Value>,
}

impl Signal {
    /// Joins a room, and joins it again whenever the connection is lost. Ends when the news are dropped.
    pub(crate) fn join(place: Place) -> (Self, mpsc::Receiver<News>) {
        let (outgoing, said) = mpsc::channel(QUEUE);
        let (news, received) = mpsc::channel(QUEUE);
        tokio::spawn(stay(place, said, news));
        (Self { outgoing }, received)
    }

    pub(crate) async fn describe(&self, to: MemberId, description: &Description) {
        self.say(json!({ "type": "description", "to": to, "description": description })).await;
    }

    pub(crate) async fn trickle(&self, to: MemberId, candidate: &Candidate) {
        self.say(json!({ "type": "candidate", "to": to, "candidate": candidate })).await;
    }

    pub(crate) async fn leave(&self) {
        self.say(json!({ "type": "leave" })).await;
    }

    async fn say(&self, message: Value) {
        // It fails when the stay is over, and then nobody is there to hear.
        let _ = self.outgoing.send(message).await;
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn stay(place: Place, mut said: mpsc::Receiver<Value>, news: mpsc::Sender<News>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let why = match connect_async(&place.url).await {
            Ok((socket, _)) => {
                pause = FIRST_PAUSE;
                match talk(socket, &place, &mut said, &news).await {
                    Some(why) => why,
                    None => return,
                }
            }
            Err(error) => error.to_string(),
        };
        if news.send(News::Lost(why)).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = news.closed() => return,
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
        while said.try_recv().is_ok() {}
    }
}

/// Talks until the connection is lost, and says why it was; `None` when nobody listens any more.
async fn talk(
    mut socket: Socket,
    place: &Place,
    said: &mut mpsc::Receiver<Value>,
    news: &mpsc::Sender<News>,
) -> Option<String> {
    let info = json!({ "kind": "native", "offers": place.offers });
    let join = json!({ "type": "join", "room": place.room, "name": place.name, "info": info });
    if let Err(error) = socket.send(Frame::text(join.to_string())).await {
        return Some(error.to_string());
    }
    loop {
        tokio::select! {
            biased;
            () = news.closed() => {
                while let Ok(message) = said.try_recv() {
                    let _ = socket.feed(Frame::text(message.to_string())).await;
                }
                let _ = socket.close(None).await;
                return None;
            }
            message = said.recv() => {
                let Some(message) = message else { continue };
                if let Err(error) = socket.send(Frame::text(message.to_string())).await {
                    return Some(error.to_string());
                }
            }
            frame = socket.next() => match frame {
                Some(Ok(Frame::Text(text))) => match serde_json::from_str(&text) {
                    Ok(message) => {
                        if news.send(message).await.is_err() {
                            continue;
                        }
                    }
                    Err(error) => return Some(format!("the server said something that it should not: {error}")),
                },
                Some(Ok(Frame::Close(frame))) => {
                    return Some(frame.map_or_else(|| "closed".to_owned(), |frame| frame.reason.to_string()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Some(error.to_string()),
                None => return Some("closed".to_owned()),
            },
        }
    }
}
