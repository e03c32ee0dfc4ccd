//! What travels over the data channels, as `docs/demo-protocol.md` describes it.

use serde::{Deserialize, Serialize};

/// The subprotocol of the channel on which everything is said.
pub(crate) const CHAT: &str = "frazil-demo-chat";
/// The subprotocol of a channel that carries one file.
pub(crate) const FILE: &str = "frazil-demo-file";
/// The largest file that is taken or made, in bytes.
pub(crate) const MAX_FILE: u64 = 256 * 1024 * 1024;
/// The longest text of a chat message that is echoed, in bytes.
pub(crate) const MAX_TEXT: usize = 16 * 1024;

/// A message on the chat channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum ChatMessage {
    /// The first message of each side.
    Hello {
        name: String,
        #[serde(default)]
        kind: String,
    },
    /// A person says something.
    Chat { id: u64, text: String },
    /// The same words back.
    Echo { id: u64, text: String },
    /// Asks for a file of that many bytes.
    SendFile { size: u64 },
    /// Asks the other side to close the connection.
    Close,
    /// What was asked for is not done.
    Refused { why: String },
    /// The sender closes the connection.
    Bye,
}

/// A text message on a file's channel; the file itself comes in binary messages between the first two.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum FileMessage {
    /// First: what comes.
    File { name: String, size: u64 },
    /// All of it was sent.
    End { sha256: String },
    /// The receiver's answer.
    Received { size: u64, sha256: String },
    /// Either side gives up.
    Cancel { why: String },
}

/// A message as the text that travels.
pub(crate) fn text(message: &impl Serialize) -> String {
    // The messages have text keys only, so this cannot fail.
    serde_json::to_string(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_the_page_reads_them() {
        assert_eq!(text(&ChatMessage::SendFile { size: 7 }), r#"{"type":"send-file","size":7}"#);
        assert_eq!(text(&ChatMessage::Bye), r#"{"type":"bye"}"#);
        assert_eq!(text(&FileMessage::End { sha256: "ab".to_owned() }), r#"{"type":"end","sha256":"ab"}"#);
        let chat = r#"{"type":"chat","id":1,"text":"hé","later":true}"#;
        assert_eq!(
            serde_json::from_str::<ChatMessage>(chat).unwrap(),
            ChatMessage::Chat { id: 1, text: "hé".to_owned() }
        );
        for junk in ["", "{}", "[]", r#"{"type":"shout"}"#, r#"{"type":"chat","id":-1,"text":""}"#] {
            assert!(serde_json::from_str::<ChatMessage>(junk).is_err(), "{junk}");
        }
    }
}
