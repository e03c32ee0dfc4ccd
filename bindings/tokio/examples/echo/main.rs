//! Two programs find each other in a room, connect, and one of them echoes what the other sends.
//!
//! ```sh
//! cargo run -p frazil-signaling -- --listen 127.0.0.1:8080
//! cargo run -p frazil-tokio --example echo -- --signaling ws://127.0.0.1:8080/ws --room pond --part answerer
//! cargo run -p frazil-tokio --example echo -- --signaling ws://127.0.0.1:8080/ws --room pond --part offerer
//! ```
//!
//! The same program is there in other languages, and each works with each: `docs/language-matrix.md` says what it does.

mod room;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use frazil::jsep::Description;
use frazil::peer::{ChannelConfig, ConnectionState};
use frazil_tokio::{Channel, Event, Events, InterfacePolicy, Message, Peer};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use room::{News, Room};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(120);
/// The bytes of a message.
const MESSAGE: usize = 16 * 1024;
const LANGUAGE: &str = "rust";

/// Connects to another program of the same room, and sends it bytes that it is to send back.
#[derive(Parser)]
struct Arguments {
    /// The signalling server's WebSocket door, such as ws://127.0.0.1:8080/ws
    #[arg(long)]
    signaling: String,
    /// Where the two meet
    #[arg(long)]
    room: String,
    /// Which of the two this one is
    #[arg(long)]
    part: Part,
    /// How many bytes the offerer sends
    #[arg(long, default_value_t = 1 << 20)]
    bytes: u64,
    /// Takes loopback addresses too
    #[arg(long)]
    loopback: bool,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Offerer,
    Answerer,
}

/// What is told in the end.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    part: Part,
    language: &'static str,
    connected: bool,
    bytes: u64,
    sha256: String,
    closed: bool,
    connect_milliseconds: Option<u128>,
    milliseconds: u128,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = timeout(LIMIT, run(&arguments)).await;
    match outcome.unwrap_or_else(|_| Err(format!("not done within {} s", LIMIT.as_secs()).into())) {
        Ok(report) => {
            println!("{}", json!(report));
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{}", json!({ "part": arguments.part, "language": LANGUAGE, "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Report> {
    let info = json!({ "part": arguments.part, "language": LANGUAGE });
    let mut room = Room::join(&arguments.signaling, &arguments.room, info).await?;
    let report = match arguments.part {
        Part::Offerer => offer(arguments, &mut room).await?,
        Part::Answerer => answer(arguments, &mut room).await?,
    };
    room.leave().await?;
    Ok(report)
}

async fn offer(arguments: &Arguments, room: &mut Room) -> Result<Report> {
    let answerer = room.member_with("part", "answerer").await?;
    let mut connection = Connection::start(room, answerer, arguments.loopback)?;
    let config =
        ChannelConfig { label: "echo".to_owned(), protocol: "frazil-echo".to_owned(), ..ChannelConfig::default() };
    let channel = connection.peer.create_data_channel(config).await?;
    let offer = connection.peer.create_offer().await?;
    connection.describe(&offer).await?;

    let received = tokio::select! {
        received = send_and_receive(&channel, arguments.bytes) => received?,
        end = connection.run_until_closed() => {
            end?;
            return Err("the other side closed the connection before all had come back".into());
        }
    };
    // This waits until the other side was told and the sockets are closed.
    connection.peer.close().await;
    Ok(connection.report(Part::Offerer, received))
}

async fn answer(arguments: &Arguments, room: &mut Room) -> Result<Report> {
    let (offerer, offer) = room.offer().await?;
    let mut connection = Connection::start(room, offerer, arguments.loopback)?;
    connection.peer.set_remote_description(&offer).await?;
    let answer = connection.peer.create_answer().await?;
    connection.describe(&answer).await?;

    let Some(channel) = connection.run_until_channel().await? else {
        return Err("the other side closed the connection without a channel".into());
    };
    // That the channel closes is not enough: the connection must.
    let (received, ()) = tokio::try_join!(echo(channel), connection.run_until_closed())?;
    connection.peer.close().await;
    Ok(connection.report(Part::Answerer, received))
}

/// Sends random bytes, and takes what comes back meanwhile. Who sends all before receiving would wait for ever: neither
/// side keeps more than a buffer for the other.
async fn send_and_receive(channel: &Channel, bytes: u64) -> Result<Received> {
    channel.opened().await?;
    let mut sent = Received::default();
    let mut received = Received::default();
    let send = async {
        while sent.bytes < bytes {
            let mut message = vec![0; (bytes - sent.bytes).min(MESSAGE as u64) as usize];
            getrandom::fill(&mut message).map_err(|error| error.to_string())?;
            sent.take(&message);
            // This waits while the buffer is full.
            channel.send(message).await?;
        }
        Ok(())
    };
    let receive = async {
        while received.bytes < bytes {
            let message = channel.recv().await.ok_or("the channel was closed before all had come back")?;
            received.take(&message.data);
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    tokio::try_join!(send, receive)?;
    let (sent, came) = (sent.sha256(), received.sha256());
    if sent != came {
        return Err(format!("what came back has the SHA-256 {came}, what was sent had {sent}").into());
    }
    Ok(received)
}

/// Sends each message back, until the channel is closed.
async fn echo(channel: Channel) -> Result<Received> {
    let mut received = Received::default();
    while let Some(Message { kind, data }) = channel.recv().await {
        received.take(&data);
        channel.send(Message { kind, data }).await?;
    }
    Ok(received)
}

/// All that has come, in order.
#[derive(Default)]
struct Received {
    bytes: u64,
    hash: Sha256,
}

impl Received {
    fn take(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.hash.update(data);
    }

    fn sha256(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A peer, and the member of the room that it connects to.
struct Connection<'a> {
    peer: Peer,
    events: Events,
    room: &'a mut Room,
    other: String,
    started: Instant,
    connected: Option<Duration>,
}

impl<'a> Connection<'a> {
    fn start(room: &'a mut Room, other: String, loopback: bool) -> Result<Self> {
        let started = Instant::now();
        let interfaces = InterfacePolicy { loopback, ..InterfacePolicy::default() };
        let (peer, events) = Peer::builder().interfaces(interfaces).start()?;
        Ok(Self { peer, events, room, other, started, connected: None })
    }

    /// Takes an offer or an answer of ours into effect, and tells the other side.
    async fn describe(&mut self, description: &Description) -> Result<()> {
        self.peer.set_local_description(description).await?;
        self.room.describe(&self.other, description).await
    }

    /// Does what there is to be done until the other side opens a channel; none if it closes the connection instead.
    async fn run_until_channel(&mut self) -> Result<Option<Channel>> {
        loop {
            match self.step().await? {
                Step::Done => {}
                Step::Channel(channel) => return Ok(Some(channel)),
                Step::Closed => return Ok(None),
            }
        }
    }

    /// Does what there is to be done until the connection is closed.
    async fn run_until_closed(&mut self) -> Result<()> {
        while !matches!(self.step().await?, Step::Closed) {}
        Ok(())
    }

    /// Takes the next thing that the peer or the room has to tell.
    async fn step(&mut self) -> Result<Step> {
        tokio::select! {
            event = self.events.next() => match event {
                Some(event) => self.handle_event(event).await,
                None => Ok(Step::Closed),
            },
            news = self.room.next() => {
                self.handle_news(news?).await?;
                Ok(Step::Done)
            }
        }
    }

    async fn handle_event(&mut self, event: Event) -> Result<Step> {
        match event {
            Event::IceCandidate(candidate) => self.room.trickle(&self.other, &candidate).await?,
            Event::Channel(channel) => return Ok(Step::Channel(channel)),
            Event::ConnectionStateChange(ConnectionState::Connected) => {
                self.connected.get_or_insert(self.started.elapsed());
            }
            Event::ConnectionStateChange(ConnectionState::Failed) => {
                let why = self.peer.failure().map_or_else(String::new, |failure| failure.to_string());
                return Err(format!("the connection failed: {why}").into());
            }
            Event::ConnectionStateChange(ConnectionState::Closed) => return Ok(Step::Closed),
            _ => {}
        }
        Ok(Step::Done)
    }

    async fn handle_news(&mut self, news: News) -> Result<()> {
        match news {
            News::Description { from, description } if from == self.other => {
                self.peer.set_remote_description(&description).await?;
            }
            News::Candidate { from, candidate } if from == self.other => {
                // One candidate that is of no use does not end a connection.
                if let Err(error) = self.peer.add_ice_candidate(&candidate).await {
                    eprintln!("refused {:?}: {error}", candidate.candidate);
                }
            }
            // A member who has left may still be connected: the connection itself says how it ends.
            _ => {}
        }
        Ok(())
    }

    fn report(&self, part: Part, received: Received) -> Report {
        Report {
            part,
            language: LANGUAGE,
            connected: self.connected.is_some(),
            bytes: received.bytes,
            sha256: received.sha256(),
            closed: *self.peer.connection_state().borrow() == ConnectionState::Closed,
            connect_milliseconds: self.connected.map(|connected| connected.as_millis()),
            milliseconds: self.started.elapsed().as_millis(),
        }
    }
}

/// What came of a step.
enum Step {
    /// It is done.
    Done,
    /// The other side has opened a channel.
    Channel(Channel),
    /// The connection is closed.
    Closed,
}
