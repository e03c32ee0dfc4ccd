//! One connection of the native peer with one other member.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::{Duration, Instant};

use frazil::jsep::{self, TrickledCandidate};
use frazil::peer::{ChannelConfig, ConnectionState};
use frazil_signaling::message::{Candidate, Description, DescriptionKind};
use frazil_signaling::names::MemberId;
use frazil_tokio::{Channel, Error, Event, Events, InterfacePolicy, Message, Peer, StartError};
use tokio::sync::{broadcast, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::file::{self, TransferError, Verified};
use crate::native::Narrate;
use crate::protocol::{CHAT, ChatMessage, FILE, MAX_FILE, MAX_TEXT, text};
use crate::servers::{Named, any_on_loopback};
use crate::signal::Signal;

/// How long the last word may take to be on its way.
pub(crate) const FAREWELL: Duration = Duration::from_millis(300);
/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many messages may wait to be said.
const QUEUE: usize = 64;
/// How many files may be on their way at once.
const MAX_TRANSFERS: usize = 8;
/// How many of our own words may wait for their echo.
const MAX_UNANSWERED: usize = 256;

/// Something to do, from whoever sits at the terminal.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Say something.
    Say(String),
    /// Send a file of that many random bytes.
    SendFile(u64),
    /// Ask the other side for such a file.
    AskForFile(u64),
}

/// What the other side says by signalling.
#[derive(Debug)]
pub(crate) enum Inbound {
    Description(Description),
    Candidate(Candidate),
    /// It has left the room.
    Left,
}

/// A connection to be made.
pub(crate) struct Session {
    pub(crate) member: MemberId,
    /// What the other side calls itself.
    pub(crate) name: String,
    /// What we call ourselves.
    pub(crate) us: String,
    pub(crate) signal: Signal,
    pub(crate) servers: Vec<Named>,
    pub(crate) narrate: Narrate,
}

/// How a session ended.
enum End {
    Us,
    Them,
    Failed(String),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Closed => Self::Them,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Session {
    /// Connects, and stays until one side ends it.
    pub(crate) async fn run(
        self,
        offers: bool,
        inbound: mpsc::Receiver<Inbound>,
        commands: broadcast::Receiver<Command>,
        stop: CancellationToken,
    ) {
        self.tell(if offers { "connecting, we make the offer" } else { "connecting, the other side makes the offer" });
        let (peer, events) = match start(&self.servers) {
            Ok(started) => started,
            Err(error) => return self.tell(&error.to_string()),
        };
        let mut talk = Talk {
            session: &self,
            peer: &peer,
            chat: None,
            transfers: JoinSet::new(),
            unanswered: BTreeMap::new(),
            next_id: 1,
            connected: false,
        };
        let end = match talk.begin(offers).await {
            Ok(()) => talk.go_on(events, inbound, commands, stop).await,
            Err(end) => end,
        };
        if let (End::Us, Some(chat)) = (&end, talk.chat.take()) {
            // Where it cannot be said in time, closing says it.
            let _ = timeout(FAREWELL, chat.farewell()).await;
        }
        drop(talk);
        let _ = timeout(FAREWELL, peer.close()).await;
        let (by, why) = match end {
            End::Us => ("us", String::new()),
            End::Them => ("them", String::new()),
            End::Failed(why) => ("failure", why),
        };
        info!(member = %self.member, by, why, "session ended");
        match by {
            "us" => self.tell("we closed the connection"),
            "them" => self.tell("the other side closed the connection"),
            _ => self.tell(&format!("the connection failed: {why}")),
        }
    }

    fn tell(&self, what: &str) {
        (self.narrate)(&format!("{}: {what}", self.name));
    }
}

/// Binds on the machine's addresses; on loopback too, if a server is there or there is no other.
fn start(servers: &[Named]) -> Result<(Peer, Events), StartError> {
    let start = |loopback| {
        let interfaces = InterfacePolicy { loopback, ..InterfacePolicy::default() };
        Peer::builder().interfaces(interfaces).servers(servers.iter().cloned()).start()
    };
    match start(any_on_loopback(servers)) {
        Err(StartError::NoAddress) => start(true),
        started => started,
    }
}

/// The chat channel, with what waits to be said on it.
struct Chat {
    channel: Channel,
    queue: mpsc::Sender<String>,
    writer: JoinHandle<()>,
}

impl Chat {
    fn new(channel: Channel) -> Self {
        let (queue, mut waiting) = mpsc::channel::<String>(QUEUE);
        let out = channel.clone();
        let writer = tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                // It waits until the channel is open, and while the other side does not read.
                if out.send(message).await.is_err() {
                    return;
                }
            }
        });
        Self { channel, queue, writer }
    }

    /// Says something, or nothing to a side that does not listen: what waits is bounded.
    fn say(&self, message: &ChatMessage) {
        let _ = self.queue.try_send(text(message));
    }

    /// Says that we go, and waits until that has arrived.
    async fn farewell(self) {
        self.say(&ChatMessage::Bye);
        drop(self.queue);
        let _ = self.writer.await;
        let _ = self.channel.flush().await;
    }
}

/// A connection that is under way.
struct Talk<'a> {
    session: &'a Session,
    peer: &'a Peer,
    chat: Option<Chat>,
    transfers: JoinSet<(&'static str, Result<Verified, TransferError>)>,
    /// When each message of ours was sent that was not echoed yet.
    unanswered: BTreeMap<u64, Instant>,
    next_id: u64,
    connected: bool,
}

impl Talk<'_> {
    async fn begin(&mut self, offers: bool) -> Result<(), End> {
        if offers {
            let config =
                ChannelConfig { label: "chat".to_owned(), protocol: CHAT.to_owned(), ..ChannelConfig::default() };
            let chat = self.peer.create_data_channel(config).await?;
            self.greet(chat);
            let offer = self.peer.create_offer().await?;
            self.describe(&offer).await?;
        }
        Ok(())
    }

    async fn go_on(
        &mut self,
        mut events: Events,
        mut inbound: mpsc::Receiver<Inbound>,
        mut commands: broadcast::Receiver<Command>,
        stop: CancellationToken,
    ) -> End {
        let mut signalling = true;
        let mut patience = std::pin::pin!(sleep(PATIENCE));
        loop {
            let channel = self.chat.as_ref().map(|chat| chat.channel.clone());
            let heard = async {
                match &channel {
                    Some(channel) => channel.recv().await,
                    None => pending().await,
                }
            };
            let step = tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.handle_event(event).await,
                    None => Err(End::Them),
                },
                message = heard => match message {
                    Some(message) => self.hear(&message).await,
                    None => Err(End::Them),
                },
                message = inbound.recv(), if signalling => match message {
                    Some(message) => self.handle_inbound(message).await,
                    None => {
                        // What works goes on without signalling.
                        signalling = false;
                        if self.connected { Ok(()) } else { Err(End::Them) }
                    }
                },
                // What is typed before there is a chat waits for it.
                Ok(command) = commands.recv(), if self.chat.is_some() => self.obey(command).await,
                Some(Ok((what, outcome))) = self.transfers.join_next() => {
                    self.tell_transfer(what, outcome);
                    Ok(())
                }
                () = &mut patience, if !self.connected => {
                    Err(End::Failed(format!("not connected within {} seconds", PATIENCE.as_secs())))
                }
                () = stop.cancelled() => Err(End::Us),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn handle_inbound(&mut self, message: Inbound) -> Result<(), End> {
        match message {
            Inbound::Left => Err(End::Them),
            Inbound::Candidate(candidate) => {
                let candidate = TrickledCandidate {
                    candidate: candidate.candidate,
                    mid: candidate.sdp_mid,
                    m_line_index: candidate.sdp_m_line_index,
                    ufrag: candidate.username_fragment,
                };
                if let Err(error) = self.peer.add_ice_candidate(&candidate).await {
                    // One candidate that is of no use does not end a connection.
                    info!(%error, candidate = candidate.candidate, "a candidate was refused");
                }
                Ok(())
            }
            Inbound::Description(Description { kind, sdp }) => {
                let kind = match kind {
                    DescriptionKind::Offer => jsep::DescriptionKind::Offer,
                    DescriptionKind::Pranswer => jsep::DescriptionKind::ProvisionalAnswer,
                    DescriptionKind::Answer => jsep::DescriptionKind::Answer,
                    DescriptionKind::Rollback => jsep::DescriptionKind::Rollback,
                };
                self.peer.set_remote_description(&jsep::Description { kind, sdp }).await?;
                if kind == jsep::DescriptionKind::Offer {
                    let answer = self.peer.create_answer().await?;
                    self.describe(&answer).await?;
                }
                Ok(())
            }
        }
    }

    async fn handle_event(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::IceCandidate(candidate) => {
                let candidate = Candidate {
                    candidate: candidate.candidate,
                    sdp_mid: candidate.mid,
                    sdp_m_line_index: candidate.m_line_index,
                    username_fragment: candidate.ufrag,
                };
                self.session.signal.trickle(self.session.member, &candidate).await;
            }
            Event::ConnectionStateChange(ConnectionState::Connected) => {
                self.connected = true;
                self.session.tell("connected");
            }
            Event::ConnectionStateChange(ConnectionState::Disconnected) => {
                self.session.tell("nothing is heard from the other side");
            }
            Event::ConnectionStateChange(ConnectionState::Failed) => {
                let why = self.peer.failure().map(|failure| failure.to_string());
                return Err(End::Failed(why.unwrap_or_default()));
            }
            Event::ConnectionStateChange(ConnectionState::Closed) => return Err(End::Them),
            Event::IceCandidateError(error) => self.session.tell(&format!("no candidate from {error}")),
            Event::SelectedPairChange(pair) => {
                let (local, remote) = (&pair.local.candidate, &pair.remote);
                let (ours, theirs) = (local.address, remote.address);
                let transport = local.transport;
                self.session.tell(&format!("path {} {ours} to {} {theirs}, {transport}", local.kind, remote.kind));
            }
            Event::Channel(channel) if channel.protocol() == FILE && self.transfers.len() < MAX_TRANSFERS => {
                self.transfers.spawn(async move { ("received", file::receive(&channel).await) });
            }
            Event::Channel(channel) if channel.protocol() == CHAT && self.chat.is_none() => self.greet(channel),
            // A channel that nobody takes is dropped, and so closed.
            _ => {}
        }
        Ok(())
    }

    async fn hear(&mut self, message: &Message) -> Result<(), End> {
        let Some(Ok(chat)) = message.as_text().map(serde_json::from_str::<ChatMessage>) else { return Ok(()) };
        match chat {
            ChatMessage::Hello { .. } => {}
            ChatMessage::Chat { id, text } => {
                let text = clip(&text);
                self.session.tell(&format!("says {text:?}"));
                self.say(&ChatMessage::Echo { id, text: text.to_owned() });
            }
            ChatMessage::Echo { id, .. } => {
                if let Some(sent) = self.unanswered.remove(&id) {
                    let ms = sent.elapsed().as_secs_f64() * 1000.0;
                    self.session.tell(&format!("echoed what we said after {ms:.1} ms"));
                }
            }
            ChatMessage::SendFile { size } if size > MAX_FILE => {
                self.say(&ChatMessage::Refused {
                    why: format!("a file of {size} bytes is more than is made ({MAX_FILE})"),
                });
            }
            ChatMessage::SendFile { size } => self.send_file(size).await?,
            ChatMessage::Refused { why } => self.session.tell(&format!("refused: {}", clip(&why))),
            ChatMessage::Close => return Err(End::Us),
            ChatMessage::Bye => return Err(End::Them),
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Result<(), End> {
        match command {
            Command::Say(text) => {
                let id = self.next_id;
                self.next_id += 1;
                if self.unanswered.len() < MAX_UNANSWERED {
                    self.unanswered.insert(id, Instant::now());
                }
                self.say(&ChatMessage::Chat { id, text });
            }
            Command::SendFile(size) => self.send_file(size).await?,
            Command::AskForFile(size) => self.say(&ChatMessage::SendFile { size }),
        }
        Ok(())
    }

    async fn send_file(&mut self, size: u64) -> Result<(), End> {
        if self.transfers.len() >= MAX_TRANSFERS {
            self.say(&ChatMessage::Refused { why: format!("{MAX_TRANSFERS} files are on their way already") });
            return Ok(());
        }
        let config = ChannelConfig { label: "file".to_owned(), protocol: FILE.to_owned(), ..ChannelConfig::default() };
        let channel = self.peer.create_data_channel(config).await?;
        self.transfers.spawn(async move { ("sent", file::send(&channel, size).await) });
        Ok(())
    }

    fn tell_transfer(&self, what: &str, outcome: Result<Verified, TransferError>) {
        match outcome {
            Ok(Verified { name, size, sha256, took }) => {
                let speed = size as f64 / took.as_secs_f64().max(1e-6) / f64::from(1 << 20);
                let seconds = took.as_secs_f64();
                self.session.tell(&format!(
                    "{what} {name}, {size} bytes in {seconds:.2} s ({speed:.1} MiB/s), SHA-256 {sha256}"
                ));
            }
            Err(error) => self.session.tell(&format!("a file was not {what}: {error}")),
        }
    }

    fn greet(&mut self, channel: Channel) {
        let chat = Chat::new(channel);
        chat.say(&ChatMessage::Hello { name: self.session.us.clone(), kind: "native".to_owned() });
        self.chat = Some(chat);
    }

    fn say(&self, message: &ChatMessage) {
        if let Some(chat) = &self.chat {
            chat.say(message);
        }
    }

    async fn describe(&self, description: &jsep::Description) -> Result<(), End> {
        self.peer.set_local_description(description).await?;
        let kind = match description.kind {
            jsep::DescriptionKind::Offer => DescriptionKind::Offer,
            jsep::DescriptionKind::ProvisionalAnswer => DescriptionKind::Pranswer,
            jsep::DescriptionKind::Answer => DescriptionKind::Answer,
            jsep::DescriptionKind::Rollback => DescriptionKind::Rollback,
        };
        let description = Description { kind, sdp: description.sdp.clone() };
        self.session.signal.describe(self.session.member, &description).await;
        Ok(())
    }
}

/// As much of a text as is repeated.
fn clip(text: &str) -> &str {
    match text.char_indices().find(|(at, c)| at + c.len_utf8() > MAX_TEXT) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}
