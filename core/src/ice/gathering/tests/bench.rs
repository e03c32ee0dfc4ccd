//! An agent, and all servers that it asks.

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::ice::{
    Agent, CandidateKind, Config, Event, GatheringError, GatheringState, LocalCandidate, Role, Server, ServerOutcome,
    SocketId,
};
use crate::stun::{
    AttributeType, Class, ErrorCode, IntegrityKey, LongTermCredentials, Message, MessageWriter, Method,
    PasswordAlgorithm,
};
use crate::{Instant, Path, PathId, Protocol};

pub(super) const BASE: &str = "192.0.2.1:1000";
pub(super) const REALM: &[u8] = b"here";

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn alice(password: &str) -> LongTermCredentials {
    LongTermCredentials::new("alice", password).unwrap()
}

/// A server by its URI; one that relays knows Alice.
pub(super) fn server(uri: &str) -> Server {
    Server::new(uri.parse().unwrap(), Some(alice("secret"))).unwrap()
}

pub(super) fn servers(uris: &[&str]) -> Vec<Server> {
    uris.iter().map(|uri| server(uri)).collect()
}

/// What the agent has sent and nobody has answered yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) path: Path,
    pub(super) bytes: Vec<u8>,
}

impl Asked {
    pub(super) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }
}

pub(super) struct Bench {
    pub(super) agent: Agent,
    pub(super) now: Instant,
    pub(super) asked: Vec<Asked>,
    pub(super) events: Vec<Event>,
    /// What the driver has open: streams of paths, and sockets.
    pub(super) streams: BTreeSet<PathId>,
    pub(super) sockets: BTreeSet<SocketAddr>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let now = Instant::from_millis(1000);
        let agent = Agent::new(config, Role::Controlling, [7; 32], now);
        let (asked, events, streams, sockets) = Default::default();
        Self { agent, now, asked, events, streams, sockets }
    }

    /// An agent with one base that has begun to ask these.
    pub(super) fn asking(uris: &[&str]) -> Self {
        let mut bench = Self::new();
        bench.call(|agent, now| agent.set_servers(servers(uris), now));
        bench.add_base(BASE, 1000);
        bench.call(Agent::end_of_local_candidates);
        bench
    }

    pub(super) fn add_base(&mut self, base: &str, preference: u16) {
        let local = LocalCandidate::host(Protocol::Udp, address(base), preference);
        self.call(|agent, now| agent.add_local_candidate(local, now)).unwrap();
    }

    pub(super) fn call<R>(&mut self, call: impl FnOnce(&mut Agent, Instant) -> R) -> R {
        let result = call(&mut self.agent, self.now);
        self.drain();
        result
    }

    fn drain(&mut self) {
        let mut buf = [0; Agent::MIN_BUFFER];
        while let Some(transmit) = self.agent.poll_transmit(&mut buf) {
            let path = self.agent.path(transmit.path).unwrap();
            let is_open = path.protocol == Protocol::Udp || self.streams.contains(&transmit.path);
            assert!(is_open, "nothing is sent in a stream that is not open: {path:?}");
            self.asked.push(Asked { at: self.now, path, bytes: buf[..transmit.len].to_vec() });
        }
        while let Some(event) = self.agent.poll_event() {
            match &event {
                Event::OpenStream { path, .. } => assert!(self.streams.insert(*path), "it is open already: {event:?}"),
                Event::CloseStream { path } => assert!(self.streams.remove(path), "it is not open: {event:?}"),
                Event::CloseSocket { local } => assert!(self.sockets.remove(local), "it is not open: {event:?}"),
                _ => {}
            }
            self.events.push(event);
        }
    }

    /// Lets time pass, and sees to it that it does.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut idle = 0;
        while let Some(next) = self.agent.poll_timeout().filter(|next| *next <= until) {
            idle = if next > self.now { 0 } else { idle + 1 };
            assert!(idle < 100, "time stands still at {next:?}");
            self.now = self.now.max(next);
            self.call(Agent::handle_timeout);
        }
        self.now = until;
    }

    pub(super) fn millis(&mut self, millis: u64) {
        self.pass(Duration::from_millis(millis));
    }

    pub(super) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// Takes out what was sent to a server, without what only repeats it.
    pub(super) fn take(&mut self, server: &str) -> Vec<Asked> {
        let server = address(server);
        let (taken, kept): (Vec<Asked>, Vec<Asked>) =
            core::mem::take(&mut self.asked).into_iter().partition(|asked| asked.path.remote == server);
        self.asked = kept;
        let mut seen = BTreeSet::new();
        taken.into_iter().filter(|asked| seen.insert(asked.bytes.clone())).collect()
    }

    /// Takes out the one request that a server has been sent. Where a relay is asked for, a question for our own address is
    /// left there.
    pub(super) fn take_one(&mut self, server: &str) -> Asked {
        let (bindings, mut taken): (Vec<Asked>, Vec<Asked>) =
            self.take(server).into_iter().partition(|asked| asked.bytes.starts_with(&[0, 1]));
        if taken.is_empty() {
            taken = bindings;
        } else {
            self.asked.extend(bindings);
        }
        assert_eq!(taken.len(), 1, "{taken:#?}");
        taken.remove(0)
    }

    pub(super) fn hear(&mut self, path: Path, bytes: &[u8]) {
        self.call(|agent, now| {
            let id = agent.path_id(path);
            match path.protocol {
                Protocol::Udp => drop(agent.handle_datagram(id, bytes, now)),
                Protocol::Tcp => agent.handle_stream_data(id, bytes, now, |data| panic!("{data:?}")),
            }
        });
    }

    pub(super) fn answer(&mut self, asked: &Asked, class: Class, write: impl FnOnce(&mut MessageWriter<'_>)) {
        self.hear(asked.path, &answer_to(asked, class, write));
    }

    pub(super) fn refuse(&mut self, asked: &Asked, code: u16) {
        self.answer(asked, Class::Error, |writer| {
            writer.error_code(ErrorCode { code, reason: "No" });
            sign(writer, asked);
        });
    }

    /// As a server does that wants to know who asks.
    pub(super) fn challenge(&mut self, asked: &Asked) {
        self.answer(asked, Class::Error, |writer| {
            writer.error_code(ErrorCode::UNAUTHENTICATED);
            writer.attribute(AttributeType::REALM, REALM).attribute(AttributeType::NONCE, b"one");
        });
    }

    /// Answers a Binding request.
    pub(super) fn reflect(&mut self, asked: &Asked, mapped: &str) {
        assert_eq!(asked.message().method(), Method::BINDING);
        self.answer(asked, Class::Success, |writer| {
            writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, address(mapped));
        });
    }

    pub(super) fn grant(&mut self, asked: &Asked, relayed: &str, mapped: &str) {
        assert_eq!(asked.message().method(), Method::ALLOCATE);
        self.answer(asked, Class::Success, |writer| {
            writer
                .xor_address(AttributeType::XOR_RELAYED_ADDRESS, address(relayed))
                .xor_address(AttributeType::XOR_MAPPED_ADDRESS, address(mapped))
                .attribute(AttributeType::LIFETIME, &600u32.to_be_bytes());
            sign(writer, asked);
        });
    }

    pub(super) fn grant_permission(&mut self, asked: &Asked) {
        assert_eq!(asked.message().method(), Method::CREATE_PERMISSION);
        self.answer(asked, Class::Success, |writer| sign(writer, asked));
    }

    /// Lets an allocation be made by the next who asks for one.
    pub(super) fn allocate(&mut self, server: &str, relayed: &str, mapped: &str) {
        let asked = self.take_one(server);
        self.challenge(&asked);
        let asked = self.take_one(server);
        self.grant(&asked, relayed, mapped);
    }

    /// The stream to a server that the agent has asked for last is open.
    pub(super) fn open(&mut self, server: &str) -> PathId {
        let path = self.stream_to(server);
        self.call(|agent, now| agent.handle_stream_opened(path, now));
        path
    }

    /// A stream breaks, or does not open.
    pub(super) fn break_stream(&mut self, path: PathId) {
        assert!(self.streams.remove(&path));
        self.call(|agent, now| agent.handle_stream_closed(path, now));
    }

    pub(super) fn stream_to(&self, server: &str) -> PathId {
        let to = |path: &PathId| self.agent.path(*path).is_some_and(|path| path.remote == address(server));
        let mut streams = self.streams.iter().copied().filter(to);
        let stream = streams.next().expect("the stream was asked for");
        assert_eq!(streams.next(), None);
        stream
    }

    /// The driver has bound what [`Event::OpenSocket`] has asked for.
    pub(super) fn open_socket(&mut self, socket: SocketId, local: Option<&str>) {
        let local = local.map(address);
        self.sockets.extend(local);
        self.call(|agent, now| agent.handle_socket_opened(socket, local, now));
    }

    pub(super) fn resolve(&mut self, addresses: &[&str]) {
        let place = self.events.iter().position(|event| matches!(event, Event::Resolve { .. }));
        let Event::Resolve { request, .. } = self.events.remove(place.expect("a name is asked for")) else { return };
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.call(|agent, now| agent.handle_resolved(request, &addresses, now));
    }

    /// The events of one kind that there were, which are forgotten.
    pub(super) fn told<T>(&mut self, read: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        let told = self.events.iter().filter_map(&read).collect();
        self.events.retain(|event| read(event).is_none());
        told
    }

    pub(super) fn errors(&mut self) -> Vec<GatheringError> {
        self.told(|event| match event {
            Event::GatheringError(error) => Some(error.clone()),
            _ => None,
        })
    }

    pub(super) fn codes(&mut self) -> Vec<u16> {
        self.errors().into_iter().map(|error| error.code).collect()
    }

    pub(super) fn sockets_wanted(&mut self) -> Vec<SocketId> {
        self.told(|event| match event {
            Event::OpenSocket { socket, .. } => Some(*socket),
            _ => None,
        })
    }

    pub(super) fn states(&mut self) -> Vec<GatheringState> {
        self.told(|event| match event {
            Event::GatheringStateChange(state) => Some(*state),
            _ => None,
        })
    }

    /// The addresses of our candidates of a kind.
    pub(super) fn candidates(&self, kind: CandidateKind) -> Vec<SocketAddr> {
        let locals = self.agent.local_candidates().iter().map(|local| local.candidate);
        locals.filter(|candidate| candidate.kind == kind).map(|candidate| candidate.address).collect()
    }

    pub(super) fn outcome(&self, uri: &str) -> ServerOutcome {
        let mut reports = self.agent.server_reports().filter(|report| report.uri.to_string() == uri);
        let report = reports.next().expect("it was asked");
        assert!(reports.next().is_none(), "it is asked once");
        report.outcome
    }
}

pub(super) fn answer_to(asked: &Asked, class: Class, write: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
    let request = asked.message();
    let mut buf = vec![0; 1024];
    let mut writer = MessageWriter::new(&mut buf, class, request.method(), request.transaction_id());
    write(&mut writer);
    let len = writer.finish_with_fingerprint().unwrap();
    buf.truncate(len);
    buf
}

/// Signs the answer to a request that is signed.
fn sign(writer: &mut MessageWriter<'_>, asked: &Asked) {
    if asked.message().has_integrity() {
        writer.integrity(&IntegrityKey::new(&PasswordAlgorithm::Md5.key(&alice("secret"), REALM)));
    }
}
