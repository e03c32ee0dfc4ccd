//! A room of the signalling server, entered by its WebSocket door (`docs/signaling.md`).

use frazil::jsep::{Description, DescriptionKind, TrickledCandidate};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::Result;

/// A stay in a room.
pub(crate) struct Room {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Who was there before us.
    members: Vec<Member>,
}

/// What other members say and do.
pub(crate) enum News {
    /// Somebody came in.
    Joined(Member),
    /// One has sent us an offer or an answer.
    Description { from: String, description: Description },
    /// One has sent us a candidate.
    Candidate { from: String, candidate: TrickledCandidate },
}

/// Somebody in the room.
#[derive(Deserialize)]
pub(crate) struct Member {
    id: String,
    #[serde(default)]
    info: Value,
}

impl Room {
    /// Enters a room; the other members are told `info`.
    pub(crate) async fn join(url: &str, room: &str, info: Value) -> Result<Self> {
        let (socket, _) = connect_async(url).await?;
        let mut stay = Self { socket, members: Vec::new() };
        stay.say(json!({ "type": "join", "room": room, "info": info })).await?;
        loop {
            if let Message::Welcome { members } = stay.receive().await? {
                stay.members = members;
                return Ok(stay);
            }
        }
    }

    /// Waits for a member who says `value` under the name `key` of its info.
    pub(crate) async fn member_with(&mut self, key: &str, value: &str) -> Result<String> {
        let is_meant = |member: &Member| member.info[key] == value;
        if let Some(member) = self.members.iter().find(|member| is_meant(member)) {
            return Ok(member.id.clone());
        }
        loop {
            if let News::Joined(member) = self.next().await?
                && is_meant(&member)
            {
                return Ok(member.id);
            }
        }
    }

    /// Waits for an offer, from whomever.
    pub(crate) async fn offer(&mut self) -> Result<(String, Description)> {
        loop {
            if let News::Description { from, description } = self.next().await?
                && description.kind == DescriptionKind::Offer
            {
                return Ok((from, description));
            }
        }
    }

    /// The next news. Losing the race of a `select!` loses none.
    pub(crate) async fn next(&mut self) -> Result<News> {
        loop {
            return Ok(match self.receive().await? {
                Message::PeerJoined { member } => News::Joined(member),
                Message::Description { from, description: SessionDescription { kind, sdp } } => {
                    News::Description { from, description: Description { kind: kind.parse()?, sdp } }
                }
                Message::Candidate { from, candidate } => News::Candidate { from, candidate: candidate.into() },
                Message::Error { message } => return Err(format!("the signalling server refused: {message}").into()),
                Message::Welcome { .. } | Message::Other => continue,
            });
        }
    }

    /// Sends a member our description.
    pub(crate) async fn describe(&mut self, to: &str, description: &Description) -> Result<()> {
        let description = SessionDescription { kind: description.kind.to_string(), sdp: description.sdp.clone() };
        self.say(json!({ "type": "description", "to": to, "description": description })).await
    }

    /// Sends a member a candidate of ours.
    pub(crate) async fn trickle(&mut self, to: &str, candidate: &TrickledCandidate) -> Result<()> {
        let candidate = Candidate::from(candidate.clone());
        self.say(json!({ "type": "candidate", "to": to, "candidate": candidate })).await
    }

    /// Leaves, and waits until the server has closed the connection.
    pub(crate) async fn leave(mut self) -> Result<()> {
        self.say(json!({ "type": "leave" })).await?;
        self.socket.close(None).await?;
        while let Some(Ok(_)) = self.socket.next().await {}
        Ok(())
    }

    async fn say(&mut self, message: Value) -> Result<()> {
        Ok(self.socket.send(Frame::text(message.to_string())).await?)
    }

    async fn receive(&mut self) -> Result<Message> {
        loop {
            match self.socket.next().await.ok_or("the signalling server is gone")?? {
                Frame::Text(text) => return Ok(serde_json::from_str(&text)?),
                Frame::Close(_) => return Err("the signalling server closed the connection".into()),
                _ => {}
            }
        }
    }
}

/// What the server says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Message {
    Welcome {
        members: Vec<Member>,
    },
    PeerJoined {
        member: Member,
    },
    Description {
        from: String,
        description: SessionDescription,
    },
    Candidate {
        from: String,
        candidate: Candidate,
    },
    Error {
        message: String,
    },
    #[serde(other)]
    Other,
}

/// W3C's `RTCSessionDescriptionInit`.
#[derive(Serialize, Deserialize)]
struct SessionDescription {
    #[serde(rename = "type")]
    kind: String,
    sdp: String,
}

/// W3C's `RTCIceCandidateInit`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    candidate: String,
    sdp_mid: Option<String>,
    #[serde(rename = "sdpMLineIndex")]
    sdp_m_line_index: Option<u16>,
    username_fragment: Option<String>,
}

impl From<Candidate> for TrickledCandidate {
    fn from(candidate: Candidate) -> Self {
        Self {
            candidate: candidate.candidate,
            mid: candidate.sdp_mid,
            m_line_index: candidate.sdp_m_line_index,
            ufrag: candidate.username_fragment,
        }
    }
}

impl From<TrickledCandidate> for Candidate {
    fn from(candidate: TrickledCandidate) -> Self {
        Self {
            candidate: candidate.candidate,
            sdp_mid: candidate.mid,
            sdp_m_line_index: candidate.m_line_index,
            username_fragment: candidate.ufrag,
        }
    }
}
