//! The connection itself.

use std::future::pending;
use std::time::Duration;

use frazil::Protocol;
use frazil::ice::{self, Candidate, CandidateKind, LocalCandidate, PairReport, ServerOutcome, ServerReport};
use frazil::jsep;
use frazil::peer::{self, ChannelConfig, ConnectionState};
use frazil::stun::RetransmissionConfig;
use frazil::turn;
use frazil_conformance::contestant;
use frazil_tokio::{Channel, Event, Events, IceServer, Message, Peer};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::signal::{Heard, Signal};
use super::{CandidateReport, End, PathReport, Report, ServerError, Task};

/// How long a nominated path must have stood to be called the one in the end.
const SETTLING: Duration = Duration::from_secs(3);

/// How long the other side may take to be there: it may be a browser, which starts slowly on a busy machine.
const MEETING: Duration = Duration::from_secs(240);

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(20);

const LABEL: &str = "kernel";

// What is said on the channel. What is to come back, what has come back, and that the path stands.
const CALL: &str = "is anybody there?";
const ECHO: &str = "is anybody there? is anybody there?";
const SETTLED: &str = "settled";

/// Does the task.
pub(super) async fn run(task: &Task) -> Report {
    let nothing = |why: String| Report { end: End::Undecided { why }, candidates: Vec::new(), errors: Vec::new() };
    let met = timeout(MEETING, meet(task)).await;
    let signal = match met {
        Ok(Ok(signal)) => signal,
        Ok(Err(why)) => return nothing(why),
        Err(_) => return nothing("the other side never came".to_owned()),
    };
    let limit = Instant::now() + Duration::from_millis(task.limit_ms);
    let (peer, events) = match start(task) {
        Ok(started) => started,
        Err(why) => return nothing(why),
    };
    let mut talk = Talk {
        signal,
        peer,
        events,
        channel: None,
        since: Instant::now(),
        connected: None,
        echoed: None,
        path: None,
        stands_at: None,
        said_settled: false,
        heard_settled: false,
        errors: Vec::new(),
    };
    let end = match timeout_at(limit, talk.run(task.offers)).await {
        Ok(Ok(end)) => end,
        Ok(Err(why)) => End::Undecided { why },
        Err(_) => End::Undecided { why: talk.what_is_missing() },
    };
    let candidates = talk.peer.local_candidates().iter().map(|local| talk.report_of_own(local)).collect();
    let errors = std::mem::take(&mut talk.errors);
    talk.farewell().await;
    Report { end, candidates, errors }
}

/// Joins the room, and waits for the other side to be there if the offer is ours.
async fn meet(task: &Task) -> Result<Signal, String> {
    let mut signal = Signal::join(&task.signaling, &task.room).await?;
    loop {
        if let Heard::Present = signal.hear().await? {
            return Ok(signal);
        }
    }
}

fn start(task: &Task) -> Result<(Peer, Events), String> {
    let mut config = peer::Config::default();
    if let Some(patience) = task.patience_ms {
        let patience = Duration::from_millis(patience);
        config.ice.patience = patience;
        config.ice.gathering_patience = patience;
        // A check is repeated for as long, or it would be what is waited for.
        config.ice.retransmission = RetransmissionConfig::within(config.ice.retransmission.rto, patience / 2, patience);
    }
    let servers = task.servers.iter().map(|server| {
        let named = IceServer::new([server.uri.clone()]);
        match (&server.username, &server.password) {
            (Some(username), Some(password)) => named.credentials(username, password),
            _ => named,
        }
    });
    Peer::builder().config(config).servers(servers).start().map_err(text)
}

struct Talk {
    signal: Signal,
    peer: Peer,
    events: Events,
    channel: Option<Channel>,
    since: Instant,
    connected: Option<Duration>,
    echoed: Option<Duration>,
    path: Option<PairReport>,
    /// When the nominated path will have stood long enough.
    stands_at: Option<Instant>,
    said_settled: bool,
    heard_settled: bool,
    errors: Vec<ServerError>,
}

impl Talk {
    async fn run(&mut self, offers: bool) -> Result<End, String> {
        if offers {
            let config = ChannelConfig { label: LABEL.to_owned(), ..ChannelConfig::default() };
            self.channel = Some(self.peer.create_data_channel(config).await.map_err(text)?);
            let offer = self.peer.create_offer().await.map_err(text)?;
            self.describe(&offer).await?;
            self.call();
        }
        loop {
            let stands = self.stands_at.filter(|_| self.echoed.is_some() && !self.said_settled);
            tokio::select! {
                biased;
                message = receive(self.channel.as_ref()) => self.hear(message).await?,
                heard = self.signal.hear() => self.take(heard?).await?,
                event = self.events.next() => {
                    let Some(event) = event else { return self.over() };
                    if let Some(end) = self.see(event).await? {
                        return Ok(end);
                    }
                }
                () = until(stands) => self.settle().await?,
            }
            if self.said_settled && self.heard_settled {
                return self.over();
            }
        }
    }

    /// What signalling brings.
    async fn take(&mut self, heard: Heard) -> Result<(), String> {
        match heard {
            Heard::Present => {}
            Heard::Description(description) if description.kind == jsep::DescriptionKind::Offer => {
                self.peer.set_remote_description(&description).await.map_err(text)?;
                let answer = self.peer.create_answer().await.map_err(text)?;
                self.describe(&answer).await?;
            }
            Heard::Description(description) => {
                self.peer.set_remote_description(&description).await.map_err(text)?;
            }
            Heard::Candidate(candidate) => self.peer.add_ice_candidate(&candidate).await.map_err(text)?,
        }
        Ok(())
    }

    /// Takes our description into effect and tells it, with the candidates that are known by now. Others follow alone.
    async fn describe(&mut self, description: &jsep::Description) -> Result<(), String> {
        self.peer.set_local_description(description).await.map_err(text)?;
        let told = self.peer.local_description();
        self.signal.describe(told.as_ref().unwrap_or(description)).await
    }

    /// What the peer tells.
    async fn see(&mut self, event: Event) -> Result<Option<End>, String> {
        match event {
            Event::IceCandidate(candidate) => self.signal.trickle(candidate).await?,
            Event::Channel(channel) if channel.label() == LABEL => {
                self.channel = Some(channel);
                self.call();
            }
            Event::SelectedPairChange(pair) => {
                self.stands_at = pair.nominated.then(|| Instant::now() + SETTLING);
                self.path = Some(*pair);
            }
            Event::IceCandidateError(error) => {
                let (uri, after_ms) = (error.uri.to_string(), millis(self.since.elapsed()));
                self.errors.push(ServerError { uri, code: error.code, text: error.text, after_ms });
            }
            Event::ConnectionStateChange(ConnectionState::Connected) => {
                self.connected.get_or_insert(self.since.elapsed());
            }
            Event::ConnectionStateChange(ConnectionState::Failed) => {
                if let Some(failure) = self.peer.failure() {
                    let after_ms = millis(self.since.elapsed());
                    let reason = reason_of(&failure).to_string();
                    return Ok(Some(End::Failed { after_ms, reason, why: failure.to_string() }));
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// Asks to be echoed. Sending waits until the channel is open, and this does not.
    fn call(&self) {
        if let Some(channel) = self.channel.clone() {
            tokio::spawn(async move { channel.send(CALL).await });
        }
    }

    async fn hear(&mut self, message: Option<Message>) -> Result<(), String> {
        let Some(message) = message else {
            // The events tell why.
            self.channel = None;
            return Ok(());
        };
        match message.as_text() {
            Some(CALL) => self.say(ECHO).await?,
            Some(ECHO) => {
                self.echoed.get_or_insert(self.since.elapsed());
            }
            Some(SETTLED) => self.heard_settled = true,
            other => return Err(format!("nobody says {other:?}")),
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), String> {
        self.path = self.peer.selected_pair();
        self.said_settled = true;
        self.say(SETTLED).await
    }

    async fn say(&self, word: &str) -> Result<(), String> {
        match &self.channel {
            Some(channel) => channel.send(word).await.map_err(text),
            None => Err("the channel is gone".to_owned()),
        }
    }

    /// Both have said all that there is to say; or the other side has closed, which it does not before.
    fn over(&self) -> Result<End, String> {
        match (self.connected, self.echoed, &self.path) {
            (Some(connected), Some(echoed), Some(path)) if self.said_settled => Ok(End::Connected {
                connected_ms: millis(connected),
                echoed_ms: millis(echoed),
                path: PathReport {
                    local: self.report_of_own(&path.local),
                    remote: report_of(&path.remote),
                    nominated: path.nominated,
                },
            }),
            _ => Err(format!("the other side has closed: {}", self.what_is_missing())),
        }
    }

    /// A candidate of our own. What a relay lends is told with how we talk to it.
    fn report_of_own(&self, local: &LocalCandidate) -> CandidateReport {
        let lends = |report: &ServerReport| match &report.outcome {
            ServerOutcome::Answered { relayed, .. } => relayed.contains(&local.candidate.address),
            _ => false,
        };
        let is_relayed = local.candidate.kind == CandidateKind::Relayed;
        let lender = self.peer.server_reports().into_iter().find(|report| is_relayed && lends(report));
        let relay_protocol = lender.map(|report| match report.uri.transport {
            turn::Transport::Udp => "udp".to_owned(),
            turn::Transport::Tcp => "tcp".to_owned(),
            turn::Transport::Tls => "tls".to_owned(),
        });
        CandidateReport { relay_protocol, ..report_of(&local.candidate) }
    }

    fn what_is_missing(&self) -> String {
        let missing = match (self.connected, self.echoed, &self.path) {
            (None, _, _) => "no connection yet, and no failure",
            (_, None, _) => "nothing was echoed",
            (_, _, Some(path)) if !path.nominated => "the path is not nominated",
            _ if !self.said_settled => "the path does not stand still",
            _ => "the other side's path does not stand still",
        };
        missing.to_owned()
    }

    async fn farewell(self) {
        if let Some(channel) = self.channel {
            let _ = timeout(FAREWELL, channel.flush()).await;
        }
        let _ = timeout(FAREWELL, self.peer.close()).await;
    }
}

async fn receive(channel: Option<&Channel>) -> Option<Message> {
    match channel {
        Some(channel) => channel.recv().await,
        None => pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

fn report_of(candidate: &Candidate) -> CandidateReport {
    CandidateReport {
        kind: candidate.kind.to_string(),
        address: Some(candidate.address),
        protocol: if candidate.transport.protocol() == Protocol::Udp { "udp" } else { "tcp" }.to_owned(),
        relay_protocol: None,
    }
}

/// The reason in the words of the virtual internet.
fn reason_of(failure: &peer::Failure) -> contestant::Failure {
    match failure {
        peer::Failure::Path(ice::Failure::NoPairs) => contestant::Failure::NoPairs,
        peer::Failure::Path(ice::Failure::NoPairSucceeded) => contestant::Failure::NoPairSucceeded,
        other => contestant::Failure::Other(other.to_string()),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
