//! One file on one data channel.

use std::fmt;
use std::time::{Duration, Instant};

use frazil::peer::MessageKind;
use frazil_tokio::{Channel, Message, SendError};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::protocol::{FileMessage, MAX_FILE, text};

/// Small enough for every browser; large enough to cost little.
const CHUNK: usize = 32 * 1024;
/// How long a transfer may make no progress.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file that arrived whole, by the word of both sides.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Verified {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) took: Duration,
}

/// Why a transfer came to nothing.
#[derive(Debug)]
pub(crate) enum TransferError {
    /// The channel closed before the end.
    Closed,
    /// Nothing happened for too long.
    Stalled,
    /// The other side gave up, and why.
    Cancelled(String),
    /// The other side did what the protocol does not say.
    Protocol(String),
    /// More bytes than are taken.
    TooLarge(u64),
    /// The bytes that arrived are not those that were sent.
    Different { sent: String, received: String },
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "the channel was closed before the end"),
            Self::Stalled => write!(f, "nothing happened for {} seconds", PATIENCE.as_secs()),
            Self::Cancelled(why) => write!(f, "the other side gave up: {why}"),
            Self::Protocol(what) => write!(f, "{what}"),
            Self::TooLarge(size) => write!(f, "a file of {size} bytes is more than is taken ({MAX_FILE})"),
            Self::Different { sent, received } => write!(f, "SHA-256 {sent} was sent and {received} received"),
        }
    }
}

impl std::error::Error for TransferError {}

impl From<SendError> for TransferError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::Closed,
            other => Self::Protocol(other.to_string()),
        }
    }
}

/// Sends `size` random bytes over a channel opened for it.
pub(crate) async fn send(channel: &Channel, size: u64) -> Result<Verified, TransferError> {
    let sent = tell_failure(channel, send_all(channel, size).await).await;
    channel.close().await;
    sent
}

/// Receives a file; its bytes are only hashed. The sender closes the channel.
pub(crate) async fn receive(channel: &Channel) -> Result<Verified, TransferError> {
    let received = tell_failure(channel, receive_all(channel).await).await;
    match received {
        // The channel is closed by whoever knows that all is said.
        Ok(_) => drop(timeout(PATIENCE, channel.closed()).await),
        Err(_) => channel.close().await,
    }
    received
}

async fn send_all(channel: &Channel, size: u64) -> Result<Verified, TransferError> {
    let name = format!("random-{size}-bytes.bin");
    put(channel, Message::text(text(&FileMessage::File { name: name.clone(), size }))).await?;
    let started = Instant::now();
    let mut hash = Sha256::new();
    let mut left = size;
    while left > 0 {
        if let Some(early) = channel.try_recv() {
            return Err(unexpected(&early));
        }
        let mut chunk = vec![0; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
        getrandom::fill(&mut chunk).map_err(|error| TransferError::Protocol(error.to_string()))?;
        hash.update(&chunk);
        left -= chunk.len() as u64;
        put(channel, Message::binary(chunk)).await?;
    }
    let sha256 = hex(hash);
    put(channel, Message::text(text(&FileMessage::End { sha256: sha256.clone() }))).await?;
    let answer = take(channel).await?;
    match answer.as_text().map(serde_json::from_str) {
        Some(Ok(FileMessage::Received { sha256: received, .. })) if received == sha256 => {
            Ok(Verified { name, size, sha256, took: started.elapsed() })
        }
        Some(Ok(FileMessage::Received { sha256: received, .. })) => {
            Err(TransferError::Different { sent: sha256, received })
        }
        _ => Err(unexpected(&answer)),
    }
}

async fn receive_all(channel: &Channel) -> Result<Verified, TransferError> {
    let first = take(channel).await?;
    let Some(Ok(FileMessage::File { name, size })) = first.as_text().map(serde_json::from_str) else {
        return Err(unexpected(&first));
    };
    if size > MAX_FILE {
        return Err(TransferError::TooLarge(size));
    }
    let started = Instant::now();
    let mut hash = Sha256::new();
    let mut done = 0;
    let sent = loop {
        let message = take(channel).await?;
        match message.kind {
            MessageKind::Binary => {
                done += message.data.len() as u64;
                if done > size {
                    return Err(TransferError::Protocol("more bytes came than were announced".to_owned()));
                }
                hash.update(&message.data);
            }
            MessageKind::Text => match message.as_text().map(serde_json::from_str) {
                Some(Ok(FileMessage::End { sha256 })) => break sha256,
                _ => return Err(unexpected(&message)),
            },
        }
    };
    if done < size {
        return Err(TransferError::Protocol(format!("{done} bytes came, not {size}")));
    }
    let received = hex(hash);
    put(channel, Message::text(text(&FileMessage::Received { size, sha256: received.clone() }))).await?;
    match received == sent {
        true => Ok(Verified { name, size, sha256: received, took: started.elapsed() }),
        false => Err(TransferError::Different { sent, received }),
    }
}

async fn take(channel: &Channel) -> Result<Message, TransferError> {
    timeout(PATIENCE, channel.recv()).await.map_err(|_| TransferError::Stalled)?.ok_or(TransferError::Closed)
}

async fn put(channel: &Channel, message: Message) -> Result<(), TransferError> {
    Ok(timeout(PATIENCE, channel.send(message)).await.map_err(|_| TransferError::Stalled)??)
}

fn unexpected(message: &Message) -> TransferError {
    match message.as_text().map(serde_json::from_str) {
        Some(Ok(FileMessage::Cancel { why })) => TransferError::Cancelled(why),
        Some(_) => TransferError::Protocol("a text came that was not due".to_owned()),
        None => TransferError::Protocol("bytes came where a text was due".to_owned()),
    }
}

async fn tell_failure(channel: &Channel, outcome: Result<Verified, TransferError>) -> Result<Verified, TransferError> {
    if let Err(error) = &outcome {
        let cancel = text(&FileMessage::Cancel { why: error.to_string() });
        // The channel may be what has failed.
        let _ = channel.try_send(cancel);
    }
    outcome
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
