//! A client of the signalling server's WebSocket door (`docs/signaling.md`), for one stay with one other member.

use frazil::jsep::{self, TrickledCandidate};
use frazil_signaling::message::{Candidate, Description, DescriptionKind, Member};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A stay in a room.
pub(crate) struct Signal {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What is heard of the other side.
pub(crate) enum Heard {
    /// It is in the room.
    Present,
    /// Its description.
    Description(jsep::Description),
    /// A candidate of it.
    Candidate(TrickledCandidate),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum News {
    Welcome {
        members: Vec<Member>,
    },
    PeerJoined {},
    Description {
        description: Description,
    },
    Candidate {
        candidate: Candidate,
    },
    Error {
        message: String,
    },
    #[serde(other)]
    Other,
}

impl Signal {
    pub(crate) async fn join(url: &str, room: &str) -> Result<Self, String> {
        let (socket, _) = connect_async(url).await.map_err(|error| format!("signalling: {error}"))?;
        let mut signal = Self { socket };
        signal.say(json!({ "type": "join", "room": room })).await?;
        Ok(signal)
    }

    pub(crate) async fn describe(&mut self, description: &jsep::Description) -> Result<(), String> {
        let description = json!({ "type": description.kind.as_str(), "sdp": description.sdp });
        self.say(json!({ "type": "description", "description": description })).await
    }

    pub(crate) async fn trickle(&mut self, candidate: TrickledCandidate) -> Result<(), String> {
        let candidate = Candidate {
            candidate: candidate.candidate,
            sdp_mid: candidate.mid,
            sdp_m_line_index: candidate.m_line_index,
            username_fragment: candidate.ufrag,
        };
        self.say(json!({ "type": "candidate", "candidate": candidate })).await
    }

    /// What is heard next. Losing a race loses nothing.
    pub(crate) async fn hear(&mut self) -> Result<Heard, String> {
        loop {
            let text = match self.socket.next().await {
                Some(Ok(Frame::Text(text))) => text,
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(format!("signalling: {error}")),
                None => return Err("signalling has ended".to_owned()),
            };
            match serde_json::from_str(&text).map_err(|error| format!("signalling: {error} in {text}"))? {
                News::Welcome { members } if members.is_empty() => {}
                News::Welcome { .. } | News::PeerJoined {} => return Ok(Heard::Present),
                News::Description { description } => {
                    let kind = match description.kind {
                        DescriptionKind::Offer => jsep::DescriptionKind::Offer,
                        DescriptionKind::Answer => jsep::DescriptionKind::Answer,
                        other => return Err(format!("nobody asked for a description of kind {other:?}")),
                    };
                    return Ok(Heard::Description(jsep::Description { kind, sdp: description.sdp }));
                }
                News::Candidate { candidate } => {
                    return Ok(Heard::Candidate(TrickledCandidate {
                        candidate: candidate.candidate,
                        mid: candidate.sdp_mid,
                        m_line_index: candidate.sdp_m_line_index,
                        ufrag: candidate.username_fragment,
                    }));
                }
                News::Error { message } => return Err(format!("signalling: {message}")),
                News::Other => {}
            }
        }
    }

    async fn say(&mut self, message: Value) -> Result<(), String> {
        self.socket.send(Frame::text(message.to_string())).await.map_err(|error| format!("signalling: {error}"))
    }
}
