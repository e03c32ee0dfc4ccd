//! The messages, as `docs/signaling.md` describes them. Both doors speak these and no others.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::{MemberId, MemberName, RoomName};
use crate::refusal::Refusal;

/// A JSON object whose meaning is the application's.
pub type Info = Map<String, Value>;

/// The longest candidate line, in bytes. The longest that RFC 8839 can write with real addresses is far below.
pub const MAX_CANDIDATE_BYTES: usize = 2048;

/// What a client asks of the server.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// Enter a room.
    Join(Join),
    /// Hand a session description to another member.
    Description {
        /// The one it is for; without it, everyone else in the room.
        to: Option<MemberId>,
        /// The session description.
        description: Description,
    },
    /// Hand a candidate to another member.
    Candidate {
        /// The one it is for; without it, everyone else in the room.
        to: Option<MemberId>,
        /// The candidate.
        candidate: Candidate,
    },
    /// Leave the room and stay connected.
    Leave,
}

/// The fields of `join`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Join {
    /// The room to enter; made if it is not there.
    pub room: RoomName,
    /// What the member calls itself.
    #[serde(default)]
    pub name: MemberName,
    /// Whatever the application wants the other members to know.
    #[serde(default)]
    pub info: Info,
}

/// A session description, in the shape of the W3C `RTCSessionDescriptionInit`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Offer, answer and so on.
    #[serde(rename = "type")]
    pub kind: DescriptionKind,
    /// The description itself; the server does not look into it. Empty in a rollback.
    #[serde(default)]
    pub sdp: String,
}

/// The kinds of session description, with their W3C names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptionKind {
    /// An offer.
    Offer,
    /// A provisional answer.
    Pranswer,
    /// An answer.
    Answer,
    /// The offer made before is taken back.
    Rollback,
}

/// A candidate, in the shape of the W3C `RTCIceCandidateInit`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The candidate line without `a=`; the empty text says that no further candidate will come.
    pub candidate: String,
    /// The media section it belongs to, by its `a=mid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
    /// The media section it belongs to, by its place.
    #[serde(default, rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
    pub sdp_m_line_index: Option<u16>,
    /// The ICE generation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_fragment: Option<String>,
}

/// What the server says to a client.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// The answer to `join`.
    Welcome(Welcome),
    /// The answer to any other request that succeeded.
    Ok,
    /// The answer to a request that did not.
    Error(Refusal),
    /// Somebody came in.
    PeerJoined {
        /// Who.
        member: Member,
    },
    /// Somebody is gone.
    PeerLeft {
        /// Who.
        member: MemberId,
        /// Why.
        reason: LeaveReason,
    },
    /// A session description from another member.
    Description {
        /// Who sent it.
        from: MemberId,
        /// The session description.
        description: Description,
    },
    /// A candidate from another member.
    Candidate {
        /// Who sent it.
        from: MemberId,
        /// The candidate.
        candidate: Candidate,
    },
    /// The room is no more, and the receiver in no room.
    RoomClosed {
        /// Which room.
        room: RoomName,
        /// Why.
        reason: RoomClosedReason,
    },
}

impl Message {
    /// The value of `type`, which is also the name of the event on the socket.io door.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::Ok => "ok",
            Self::Error(_) => "error",
            Self::PeerJoined { .. } => "peer-joined",
            Self::PeerLeft { .. } => "peer-left",
            Self::Description { .. } => "description",
            Self::Candidate { .. } => "candidate",
            Self::RoomClosed { .. } => "room-closed",
        }
    }
}

/// The answer to `join`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The room entered.
    pub room: RoomName,
    /// Who the receiver is in it.
    pub member: MemberId,
    /// Who was there already, the longest-staying first.
    pub members: Vec<Member>,
}

/// A member as the others see it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// What it calls itself.
    pub name: MemberName,
    /// What else it said about itself.
    pub info: Info,
}

/// Why a member is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaveReason {
    /// It said `leave`.
    Left,
    /// Its connection closed.
    Disconnected,
    /// Its connection fell silent.
    Timeout,
    /// It read too slowly and was disconnected.
    TooSlow,
    /// It sent too much and was disconnected.
    RateLimited,
}

/// Why a room was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoomClosedReason {
    /// The operator closed it.
    Closed,
    /// The server is going down.
    Shutdown,
}

impl Request {
    /// Reads the request of that type from its other fields. Fields that are not known are passed over.
    ///
    /// # Errors
    /// [`Refusal::UnknownType`], [`Refusal::Malformed`] with the path of the offending field, or
    /// [`Refusal::TooLarge`] for a candidate or info object over its own limit.
    pub fn parse(kind: &str, fields: Map<String, Value>, max_info_bytes: usize) -> Result<Self, Refusal> {
        match kind {
            "join" => {
                let join: Join = read(fields)?;
                let size = written_size(&join.info);
                match size > max_info_bytes {
                    true => Err(Refusal::too_large("info", size, max_info_bytes)),
                    false => Ok(Self::Join(join)),
                }
            }
            "description" => {
                #[derive(Deserialize)]
                struct Fields {
                    to: Option<MemberId>,
                    description: Description,
                }
                let Fields { to, description } = read(fields)?;
                Ok(Self::Description { to, description })
            }
            "candidate" => {
                #[derive(Deserialize)]
                struct Fields {
                    to: Option<MemberId>,
                    candidate: Candidate,
                }
                let Fields { to, candidate } = read(fields)?;
                let size = candidate.candidate.len();
                match size > MAX_CANDIDATE_BYTES {
                    true => Err(Refusal::too_large("candidate.candidate", size, MAX_CANDIDATE_BYTES)),
                    false => Ok(Self::Candidate { to, candidate }),
                }
            }
            "leave" => Ok(Self::Leave),
            _ => Err(Refusal::unknown_type(kind)),
        }
    }
}

/// The size of a value written as JSON, in bytes, without writing it anywhere.
pub(crate) fn written_size(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Neither a JSON value nor the counter can fail to be written.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(Value::Object(fields))
        .map_err(|e| Refusal::malformed(&e.path().to_string(), &e.inner().to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(kind: &str, fields: Value) -> Result<Request, Refusal> {
        let Value::Object(fields) = fields else { panic!("not an object: {fields}") };
        Request::parse(kind, fields, 1024)
    }

    #[test]
    fn a_wrong_field_is_named() {
        let cases = [
            ("join", json!({}), ".", "room"),
            ("join", json!({"room": 7}), "room", "integer `7`"),
            ("join", json!({"room": "a b"}), "room", "' '"),
            ("join", json!({"room": "a", "info": []}), "info", "map"),
            ("description", json!({"description": {"type": "offfer", "sdp": ""}}), "description.type", "offfer"),
            ("description", json!({"to": "x", "description": {"type": "offer"}}), "to", "16 hexadecimal"),
            ("candidate", json!({"candidate": null}), "candidate", "null"),
            ("candidate", json!({"candidate": {"candidate": "", "sdpMLineIndex": -1}}), "sdpMLineIndex", "-1"),
        ];
        for (kind, fields, field, problem) in cases {
            match parse(kind, fields.clone()) {
                Err(Refusal::Malformed { field: f, problem: p }) => {
                    assert!(f.contains(field) && p.contains(problem), "{kind} {fields}: {f}: {p}");
                }
                other => panic!("{kind} {fields}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_relayed_keeps_its_w3c_shape() {
        let init = json!({"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0,
            "usernameFragment": "abcd"});
        let Ok(Request::Candidate { to: None, candidate }) = parse("candidate", json!({"candidate": init})) else {
            panic!("not a candidate: {init}")
        };
        let message = Message::Candidate { from: MemberId::new(1), candidate };
        let written = serde_json::to_value(&message).unwrap();
        assert_eq!(written, json!({"type": "candidate", "from": "0000000000000001", "candidate": init}));
    }

    #[test]
    fn the_event_name_is_the_type() {
        let messages = [
            Message::Ok,
            Message::Error(Refusal::NotJoined),
            Message::PeerLeft { member: MemberId::new(1), reason: LeaveReason::TooSlow },
            Message::RoomClosed { room: "r".parse().unwrap(), reason: RoomClosedReason::Shutdown },
            Message::Welcome(Welcome { room: "r".parse().unwrap(), member: MemberId::new(2), members: vec![] }),
        ];
        for message in messages {
            assert_eq!(serde_json::to_value(&message).unwrap()["type"], message.kind());
        }
    }

    #[test]
    fn the_written_size_is_the_size_written() {
        let value = json!({"a": [1, 2.5, null, "é\n"], "b": {"c": true}});
        assert_eq!(written_size(&value), value.to_string().len());
    }
}
