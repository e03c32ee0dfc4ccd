//! The native peer: it sits in a room and connects to whoever comes, as the page does.
//!
//! It echoes what is said, hashes the files it gets, sends files when asked, and offers or answers as the other
//! side wishes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use frazil_signaling::message::{Info, LeaveReason, Member};
use frazil_signaling::names::{MemberId, MemberName};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::servers::Named;
use crate::session::{Command, FAREWELL, Inbound, Session};
use crate::signal::{News, Place, Signal};

const QUEUE: usize = 64;

/// How the native peer tells what happens.
pub(crate) type Narrate = Arc<dyn Fn(&str) + Send + Sync>;

/// A native peer in a room.
pub(crate) struct Native {
    commands: broadcast::Sender<Command>,
    stop: CancellationToken,
    joined: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Native {
    /// Joins the room and stays there.
    pub(crate) fn start(place: Place, servers: Vec<Named>, narrate: Narrate) -> Self {
        let (commands, _) = broadcast::channel(QUEUE);
        let (joining, joined) = watch::channel(false);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(place, servers, commands.clone(), stop.clone(), joining, narrate));
        Self { commands, stop, joined, task }
    }

    /// Waits until it is in the room for the first time; false if that takes longer than `limit`.
    pub(crate) async fn joined(&self, limit: Duration) -> bool {
        let mut joined = self.joined.clone();
        matches!(timeout(limit, joined.wait_for(|joined| *joined)).await, Ok(Ok(_)))
    }

    /// Does something in all sessions.
    pub(crate) fn command(&self, command: Command) {
        // Without sessions nobody is there to do it.
        let _ = self.commands.send(command);
    }

    /// Says farewell to all and leaves the room.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _ = timeout(4 * FAREWELL, self.task).await;
    }
}

async fn run(
    place: Place,
    servers: Vec<Named>,
    commands: broadcast::Sender<Command>,
    stop: CancellationToken,
    joined: watch::Sender<bool>,
    narrate: Narrate,
) {
    let (signal, mut news) = Signal::join(place.clone());
    let mut room = Room::default();
    let mut sessions = JoinSet::new();
    loop {
        let message = tokio::select! {
            message = news.recv() => message,
            Some(_) = sessions.join_next() => continue,
            () = stop.cancelled() => None,
        };
        let begun = match message {
            None => break,
            Some(News::Welcome { member, members }) => {
                narrate(&format!("in the room {}", place.room));
                let other = counterpart(&members).cloned();
                room.enter(member, members);
                joined.send_replace(true);
                // The page decides who offers; between two native peers, the newcomer, which is us.
                other.map(|other| {
                    let offers = if is_native(&other) { place.offers } else { !offers(&other) };
                    (other, offers)
                })
            }
            Some(News::PeerJoined { member }) => {
                let ours = room.is_ours(&member);
                room.members.push(member.clone());
                ours.then(|| {
                    let we_offer = !offers(&member);
                    (member, we_offer)
                })
            }
            Some(other) => {
                room.handle(other, &narrate);
                None
            }
        };
        if let Some((member, offers)) = begun {
            let (inbox, inbound) = mpsc::channel(QUEUE);
            room.sessions.insert(member.id, inbox);
            let session = Session {
                member: member.id,
                name: name_of(&member),
                us: place.name.clone(),
                signal: signal.clone(),
                servers: servers.clone(),
                narrate: narrate.clone(),
            };
            sessions.spawn(session.run(offers, inbound, commands.subscribe(), stop.clone()));
        }
    }
    while sessions.join_next().await.is_some() {}
    signal.leave().await;
}

#[derive(Default)]
struct Room {
    us: Option<MemberId>,
    /// Who is in the room, the longest-staying first, ourselves included.
    members: Vec<Member>,
    sessions: BTreeMap<MemberId, mpsc::Sender<Inbound>>,
    /// Whether the last that was heard is that the server is lost.
    lost: bool,
}

impl Room {
    fn enter(&mut self, us: MemberId, members: Vec<Member>) {
        let info = Info::from_iter([("kind".to_owned(), "native".into())]);
        self.us = Some(us);
        self.members = members;
        self.members.push(Member { id: us, name: MemberName::default(), info });
        self.lost = false;
    }

    /// Whether a newcomer connects to us.
    fn is_ours(&self, newcomer: &Member) -> bool {
        Some(newcomer.id) != self.us && counterpart(&self.members).map(|member| member.id) == self.us
    }

    fn handle(&mut self, news: News, narrate: &Narrate) {
        match news {
            News::PeerLeft { member, reason } => {
                self.members.retain(|other| other.id != member);
                // Whoever said nothing may still be there; without signalling a connection goes on.
                let inbox = self.sessions.remove(&member);
                if let (LeaveReason::Left, Some(inbox)) = (reason, inbox) {
                    let _ = inbox.try_send(Inbound::Left);
                }
            }
            News::Description { from, description } => self.pass(from, Inbound::Description(description)),
            News::Candidate { from, candidate } => self.pass(from, Inbound::Candidate(candidate)),
            News::Error { code, message } => narrate(&format!("the signalling server refused ({code}): {message}")),
            News::RoomClosed {} => narrate("the room was closed"),
            News::Lost(why) if !self.lost => {
                self.lost = true;
                self.sessions.clear();
                narrate(&format!("the signalling server cannot be reached, trying again: {why}"));
            }
            News::Lost(_) | News::Other | News::Welcome { .. } | News::PeerJoined { .. } => {}
        }
    }

    fn pass(&mut self, from: MemberId, inbound: Inbound) {
        // A session that is over takes nothing more, and one that is flooded is not waited for.
        if self.sessions.get(&from).is_some_and(|inbox| inbox.try_send(inbound).is_err()) {
            self.sessions.remove(&from);
        }
    }
}

/// Whom a newcomer connects to: the native peer that is there longest, or else the page.
fn counterpart(members: &[Member]) -> Option<&Member> {
    members.iter().find(|member| is_native(member)).or(members.first())
}

fn is_native(member: &Member) -> bool {
    member.info.get("kind").is_some_and(|kind| kind == "native")
}

fn offers(member: &Member) -> bool {
    member.info.get("offers").is_none_or(|offers| offers != false)
}

fn name_of(member: &Member) -> String {
    match member.name.as_str() {
        "" => format!("member {}", member.id),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, kind: &str) -> Member {
        let info = Info::from_iter([("kind".to_owned(), kind.into())]);
        Member { id: MemberId::new(id), name: MemberName::default(), info }
    }

    #[test]
    fn a_newcomer_connects_to_the_native_peer_that_is_there_longest_or_to_the_page() {
        let pick = |members: &[Member]| counterpart(members).map(|member| member.id);
        assert_eq!(pick(&[]), None);
        assert_eq!(pick(&[member(1, "page"), member(2, "page")]), Some(MemberId::new(1)));
        assert_eq!(pick(&[member(1, "page"), member(2, "native"), member(3, "native")]), Some(MemberId::new(2)));
        let mut room = Room::default();
        room.enter(MemberId::new(5), vec![member(1, "page")]);
        assert!(room.is_ours(&member(6, "page")));
        room.enter(MemberId::new(5), vec![member(1, "native")]);
        assert!(!room.is_ours(&member(6, "page")));
    }
}
