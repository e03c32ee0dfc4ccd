//! The task of one peer: moves datagrams, names and time between the system and the core.

use frazil::ice::{HostSocket, ResolveId};
use frazil::peer::{self, ConnectionState};
use frazil::{Instant, PathId, Protocol, Transmit};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

use crate::channel::{Channel, Line, Message};
use crate::event::{Event, Queue};
use crate::gathering::{Gathered, Gathering};
use crate::mdns::Responder;
use crate::network::Monitor;
use crate::pace::{Turn, Turns};
use crate::resolve::Resolver;
use crate::shared::{Keeper, Shared, State};
use crate::socket::{Inbound, Sent, Socket};
use crate::stream::{End, Listener, News, READ, Streams, Wanted};
use crate::tls::Trust;
use frazil_interfaces::Interface;

/// How many batches of each socket, and answers of names, are taken before others have their turn.
const TURN: usize = 4;

/// How long the last datagrams of a closed peer may wait for the system to take them.
const LAST_FLUSH: Duration = Duration::from_millis(250);

/// How much is collected before it goes to the system: one of its largest joined datagrams.
const OUTBOUND: usize = 1 << 16;

/// The largest payload of a UDP datagram, and so of several joined.
const MAX_JOINED: usize = 65_487;

thread_local! {
    /// Buffers are in use within one call only, so that all peers of a thread share them.
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        inbound: Inbound::new(),
        stream: vec![0; READ].into_boxed_slice(),
        outbound: Outbound { buffer: vec![0; OUTBOUND].into_boxed_slice(), len: 0, group: None },
    });
}

struct Buffers {
    inbound: Inbound,
    /// What was read from a stream.
    stream: Box<[u8]>,
    outbound: Outbound,
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    /// To give to the channels that the other side opens. Weak: the driver does not keep its own peer open.
    keeper: Weak<Keeper>,
    queue: Arc<Queue>,
    sockets: Vec<Bound>,
    listeners: Vec<Listener>,
    streams: Streams,
    resolver: Resolver<ResolveId>,
    /// None if the peer keeps its own pace.
    turns: Option<Turns>,
    responder: Responder,
    gathering: Gathering,
    trust: Trust,
    /// None if the peer keeps the sockets that it began with.
    monitor: Option<Monitor>,
    /// A socket was lost and the core does not know yet.
    lost: bool,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set to.
    deadline: Option<Instant>,
    /// What the core told, to be passed on when its lock is free.
    told: VecDeque<Told>,
}

/// A socket, and the number of the path on which it received last: a stranger to it seldom sends.
struct Bound {
    socket: Socket,
    last: Option<(SocketAddr, PathId)>,
    /// It was bound because the core asked for one more, and is no candidate.
    spare: bool,
}

impl Bound {
    fn new(socket: Socket) -> Self {
        Self { socket, last: None, spare: false }
    }
}

/// How a driver deals with what is around it.
pub(crate) struct Around {
    pub(crate) gathering: Gathering,
    pub(crate) monitor: Option<Monitor>,
    pub(crate) turns: Option<Turns>,
    pub(crate) trust: Trust,
}

enum Told {
    Event(Event),
    /// The other side opened a channel.
    Incoming(Arc<Line>),
    Opened(Arc<Line>),
    Received(Arc<Line>),
    Eased(Arc<Line>),
    Ended(Arc<Line>),
    Resolve(ResolveId, String),
    PublishName(String, IpAddr),
    WithdrawName(String),
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        keeper: Weak<Keeper>,
        queue: Arc<Queue>,
        Gathered { sockets, listeners }: Gathered,
        Around { gathering, monitor, turns, trust }: Around,
    ) -> Self {
        let gathered: Vec<Interface> = sockets.iter().map(|socket| socket.interface().clone()).collect();
        Self {
            shared,
            keeper,
            queue,
            sockets: sockets.into_iter().map(Bound::new).collect(),
            listeners,
            streams: Streams::default(),
            resolver: Resolver::new(gathered.clone()),
            responder: Responder::new(gathered),
            gathering,
            trust,
            monitor,
            lost: false,
            turns,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            deadline: None,
            told: VecDeque::new(),
        }
    }

    /// Runs until the peer is closed.
    pub(crate) async fn run(mut self) {
        loop {
            if self.settle() {
                break;
            }
            let more = poll_fn(|cx| self.poll_turn(cx)).await;
            if more {
                // There is more at once. Others have their turn first: the application's tasks most of all.
                tokio::task::yield_now().await;
            }
        }
        self.say_farewell().await;
    }

    /// Sends and tells all that the core wants, and sets the timer. Gives whether the peer is to be closed.
    fn settle(&mut self) -> bool {
        let closing = BUFFERS.with_borrow_mut(|buffers| {
            let shared = Arc::clone(&self.shared);
            let mut state = shared.lock();
            if let Some(waiting) = self.queue.backlog() {
                state.core.set_event_backlog(waiting, shared.clock.now());
            }
            if std::mem::take(&mut self.lost) {
                state.core.handle_network_change(&self.hosts(), shared.clock.now());
            }
            self.drain(&mut state, &mut buffers.outbound);
            let next_turn = self.take_turns(&mut state, &mut buffers.outbound);
            self.deadline = [state.core.poll_timeout(), next_turn].into_iter().flatten().min();
            // The other side may have closed the peer too: nothing can happen any more.
            let closing = state.closing || state.core.connection_state() == ConnectionState::Closed;
            drop(state);
            self.flush(&mut buffers.outbound);
            closing
        });
        match self.deadline.and_then(|deadline| self.shared.clock.to_tokio(deadline)) {
            Some(at) if at == self.timer.deadline() => {}
            Some(at) => self.timer.as_mut().reset(at),
            None => self.deadline = None,
        }
        self.tell();
        closing
    }

    /// Sends the checks that it is the peer's turn to send, and gives when to ask for the next turn.
    fn take_turns(&mut self, state: &mut State, outbound: &mut Outbound) -> Option<Instant> {
        loop {
            let now = self.shared.clock.now();
            let turns = self.turns.as_mut()?;
            let from = state.core.wants_check().map(|from| from.saturating_duration_since(now));
            match turns.poll(from) {
                Turn::Granted => {
                    if !state.core.grant_check(self.shared.clock.now()) {
                        turns.give_back();
                    }
                    self.drain(state, outbound);
                }
                Turn::Wait(wait) => return wait.map(|wait| now + wait),
            }
        }
    }

    /// Waits until there is something for the core, gives it, and gives whether there is more at once.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let shared = Arc::clone(&self.shared);
        let mut worked = shared.lock().was_stirred(cx.waker()) || self.lost;
        worked |= self.turns.as_mut().is_some_and(|turns| turns.was_stirred(cx.waker()));
        let mut more = false;

        BUFFERS.with_borrow_mut(|buffers| {
            for index in (0..self.sockets.len()).rev() {
                match self.poll_socket(index, cx, buffers) {
                    SocketTurn::Idle => {}
                    SocketTurn::Worked => worked = true,
                    SocketTurn::More => (worked, more) = (true, true),
                    SocketTurn::Dead(error) => {
                        worked = true;
                        self.lose(index, error);
                    }
                }
            }
            let streams = self.poll_streams(cx, buffers);
            worked |= streams.worked;
            more |= streams.more;
            if self.deadline.is_some() && self.timer.as_mut().poll(cx).is_ready() {
                worked = true;
                self.deadline = None;
                let mut state = shared.lock();
                state.core.handle_timeout(shared.clock.now());
                self.drain(&mut state, &mut buffers.outbound);
                drop(state);
                self.flush(&mut buffers.outbound);
            }
        });

        for answered in 0..=TURN {
            let Poll::Ready((request, addresses)) = self.resolver.poll_answer(cx) else { break };
            worked = true;
            more |= answered == TURN;
            let mut state = shared.lock();
            state.core.handle_resolved(request, &addresses, shared.clock.now());
        }

        if self.monitor.as_mut().is_some_and(|monitor| monitor.poll_changed(cx).is_ready()) {
            worked = true;
            self.follow_network();
        }

        if worked { Poll::Ready(more) } else { Poll::Pending }
    }

    /// Lists the machine's addresses, closes the sockets of those that are gone, binds new ones, and tells the core.
    fn follow_network(&mut self) {
        let taken: Vec<&Interface> = self.sockets.iter().map(|bound| bound.socket.interface()).collect();
        let Ok(listed) = self.gathering.list(&taken) else { return };
        self.sockets.retain_mut(|Bound { socket, .. }| match self.gathering.find(socket.interface(), &listed) {
            Some(interface) => {
                socket.set_interface(interface.clone());
                true
            }
            None => false,
        });
        let taken: Vec<&Interface> = self.named_sockets().map(Socket::interface).collect();
        let lost = |address, error| Told::Event(Event::SocketLost { local: SocketAddr::new(address, 0), error });
        for (Interface { address, .. }, bound) in self.gathering.bind_new(listed.clone(), &taken) {
            match bound {
                Ok(socket) => self.sockets.push(Bound::new(socket)),
                Err(error) => self.told.push_back(lost(address, error)),
            }
        }
        self.listeners.retain_mut(|listener| match self.gathering.find(listener.interface(), &listed) {
            Some(interface) => {
                listener.set_interface(interface.clone());
                true
            }
            None => false,
        });
        let taken: Vec<&Interface> = self.listeners.iter().map(Listener::interface).collect();
        for (Interface { address, .. }, bound) in self.gathering.listen_new(listed, &taken) {
            match bound {
                Ok(listener) => self.listeners.push(listener),
                Err(error) => self.told.push_back(lost(address, error)),
            }
        }
        let gathered: Vec<Interface> = self.named_sockets().map(Socket::interface).cloned().collect();
        self.resolver.set_interfaces(gathered.clone());
        self.responder.set_interfaces(gathered);
        let mut state = self.shared.lock();
        state.core.handle_network_change(&self.hosts(), self.shared.clock.now());
    }

    /// All sockets, as the core is told of them.
    fn hosts(&self) -> Vec<HostSocket> {
        self.named_sockets().map(Socket::host).chain(self.listeners.iter().map(Listener::host)).collect()
    }

    fn named_sockets(&self) -> impl Iterator<Item = &Socket> {
        self.sockets.iter().filter(|bound| !bound.spare).map(|bound| &bound.socket)
    }

    /// Takes a socket away that will carry nothing any more.
    fn lose(&mut self, index: usize, error: std::io::Error) {
        let Bound { socket, spare, .. } = self.sockets.swap_remove(index);
        if !spare {
            self.told.push_back(Told::Event(Event::SocketLost { local: socket.local(), error }));
            self.lost = true;
        }
    }

    fn poll_socket(&mut self, index: usize, cx: &mut Context<'_>, buffers: &mut Buffers) -> SocketTurn {
        let socket = &mut self.sockets[index].socket;
        if socket.has_backlog()
            && let Poll::Ready(Sent::Dead(error)) = socket.poll_flush(cx)
        {
            return SocketTurn::Dead(error);
        }
        for batch in 0..TURN {
            match self.sockets[index].socket.poll_recv(cx, &mut buffers.inbound) {
                Poll::Ready(Ok(())) => self.receive(index, buffers),
                Poll::Ready(Err(error)) => return SocketTurn::Dead(error),
                Poll::Pending if batch == 0 => return SocketTurn::Idle,
                Poll::Pending => return SocketTurn::Worked,
            }
        }
        SocketTurn::More
    }

    /// Takes who connects, tells the core what became of its streams, and gives it what they brought.
    fn poll_streams(
        &mut self,
        cx: &mut Context<'_>,
        Buffers { stream: buffer, outbound, .. }: &mut Buffers,
    ) -> StreamTurn {
        let shared = Arc::clone(&self.shared);
        let mut turn = StreamTurn::default();
        for index in 0..self.listeners.len() {
            for _ in 0..TURN {
                let Poll::Ready((io, path)) = self.listeners[index].poll_accept(cx) else { break };
                turn.worked = true;
                let mut state = shared.lock();
                // What the core does not want is closed by being dropped.
                if let Ok(id) = state.core.handle_stream_accepted(path, shared.clock.now()) {
                    self.streams.insert(id, io);
                }
                self.drain(&mut state, outbound);
            }
        }
        let (mut news, mut readable) = (Vec::new(), Vec::new());
        self.streams.poll(cx, &mut news, &mut readable);
        for news in news {
            turn.worked = true;
            let mut state = shared.lock();
            let ends =
                |state: &State, path| state.core.path(path).map(|path: frazil::Path| (path.local.ip(), path.remote));
            match news {
                News::Opened(path) => {
                    if let Some((local, server)) = ends(&state, path).filter(|_| self.streams.leads_to_server(path)) {
                        state.grounds.clear(local, server);
                    }
                    state.core.handle_stream_opened(path, shared.clock.now());
                }
                News::Closed(path, error) => {
                    if let Some((local, server)) = ends(&state, path).filter(|_| state.core.is_server_stream(path)) {
                        state.grounds.note(local, server, &error);
                    }
                    state.core.handle_stream_closed(path, shared.clock.now());
                }
            }
            self.drain(&mut state, outbound);
        }
        for path in readable {
            turn.worked = true;
            for batch in 0..=TURN {
                if batch == TURN {
                    turn.more = true;
                    break;
                }
                let Some(len) = self.streams.read(path, buffer) else { break };
                self.receive_from_stream(path, &buffer[..len], outbound);
            }
        }
        self.flush(outbound);
        turn.more |= self.streams.any_broken();
        StreamTurn { worked: turn.worked || turn.more, ..turn }
    }

    /// Gives the core what a stream brought.
    fn receive_from_stream(&mut self, path: PathId, bytes: &[u8], outbound: &mut Outbound) {
        if bytes.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.stats.datagrams_received += 1;
        state.stats.bytes_received += bytes.len() as u64;
        state.core.handle_stream_data(path, bytes, shared.clock.now());
        self.drain(&mut state, outbound);
    }

    /// Gives the core the batch that the socket received.
    fn receive(&mut self, index: usize, Buffers { inbound, outbound, .. }: &mut Buffers) {
        let shared = Arc::clone(&self.shared);
        let local = self.sockets[index].socket.local();
        let mut state = shared.lock();
        let now = shared.clock.now();
        for (remote, datagram) in inbound.datagrams() {
            let path = frazil::Path { protocol: Protocol::Udp, local, remote };
            // The number may have been taken back, and then is no path's or another one's.
            let known = self.sockets[index].last.filter(|(last, _)| *last == remote).map(|(_, id)| id);
            let id = match known {
                Some(id) if state.core.path(id) == Some(path) => id,
                _ => {
                    let id = state.core.path_id(path);
                    self.sockets[index].last = Some((remote, id));
                    id
                }
            };
            state.stats.datagrams_received += 1;
            state.stats.bytes_received += datagram.len() as u64;
            state.core.handle_datagram(id, datagram, now);
            self.drain(&mut state, outbound);
        }
        drop(state);
        self.flush(outbound);
    }

    /// Takes out of the core all transmits and all events, until there are neither. Transmits are sent when
    /// `outbound` is full, else by the next [`Self::flush`].
    fn drain(&mut self, state: &mut State, outbound: &mut Outbound) {
        loop {
            while let Some(transmit) = state.core.poll_transmit(outbound.room()) {
                self.post(transmit, state, outbound);
            }
            let Some(event) = state.core.poll_event() else { return };
            self.note(event, state);
            while let Some(event) = state.core.poll_event() {
                self.note(event, state);
            }
        }
    }

    /// Adds the datagram that was just written behind those collected.
    fn post(&mut self, transmit: Transmit, state: &mut State, outbound: &mut Outbound) {
        if self.streams.write(transmit.path, &outbound.buffer[outbound.len..][..transmit.len]) {
            state.stats.datagrams_sent += 1;
            state.stats.bytes_sent += transmit.len as u64;
            return;
        }
        let joins = outbound.group.as_ref().is_some_and(|group| group.takes(transmit, outbound.len));
        if !joins {
            let start = outbound.len;
            self.flush_group(outbound);
            // A path that is gone, or whose socket is: the datagram is lost like one on a broken wire.
            let over_udp = |path: &frazil::Path| path.protocol == Protocol::Udp;
            let Some(path) = state.core.path(transmit.path).filter(over_udp) else { return outbound.restart() };
            let Some(bound) = self.sockets.iter().position(|bound| bound.socket.local() == path.local) else {
                return outbound.restart();
            };
            let max_segments = self.sockets[bound].socket.max_segments();
            let group = Group {
                path: transmit.path,
                socket: path.local,
                remote: path.remote,
                start,
                segment_size: transmit.len,
                segments: 0,
                max_segments,
                closed: false,
            };
            outbound.group = Some(group);
        }
        let Some(group) = &mut outbound.group else { return };
        group.segments += 1;
        group.closed = transmit.len < group.segment_size;
        outbound.len += transmit.len;
        state.stats.datagrams_sent += 1;
        state.stats.bytes_sent += transmit.len as u64;
        if outbound.buffer.len() - outbound.len < peer::Peer::MIN_BUFFER {
            self.flush(outbound);
        }
    }

    /// Sends what was collected and begins the buffer anew.
    fn flush(&mut self, outbound: &mut Outbound) {
        self.flush_group(outbound);
        outbound.restart();
        self.streams.flush();
    }

    fn flush_group(&mut self, outbound: &mut Outbound) {
        let Some(group) = outbound.group.take() else { return };
        let Some(index) = self.sockets.iter().position(|bound| bound.socket.local() == group.socket) else { return };
        let contents = &outbound.buffer[group.start..outbound.len];
        match self.sockets[index].socket.send(group.remote, contents, group.segment_size) {
            Sent::Done | Sent::Waiting | Sent::Lost => {}
            Sent::Dead(error) => self.lose(index, error),
        }
    }

    /// Takes note of an event of the core, and keeps it for the application where it is one.
    fn note(&mut self, event: peer::Event, state: &mut State) {
        let told = match event {
            peer::Event::NegotiationNeeded => Told::Event(Event::NegotiationNeeded),
            peer::Event::IceGatheringStateChange(state) => Told::Event(Event::IceGatheringStateChange(state)),
            peer::Event::IceCandidateError(error) => {
                Told::Event(Event::IceCandidateError(state.grounds.complete(error)))
            }
            peer::Event::SignalingStateChange(state) => Told::Event(Event::SignalingStateChange(state)),
            peer::Event::IceCandidate(candidate) => Told::Event(Event::IceCandidate(candidate)),
            peer::Event::IceStateChange(state) => Told::Event(Event::IceStateChange(state)),
            peer::Event::ConnectionStateChange(state) => Told::Event(Event::ConnectionStateChange(state)),
            peer::Event::SelectedPairChange(pair) => Told::Event(Event::SelectedPairChange(pair)),
            peer::Event::IceRestartFailed(why) => Told::Event(Event::IceRestartFailed(why)),
            peer::Event::NetworkChange(change) => Told::Event(Event::NetworkChange(change)),
            peer::Event::Resolve { request, name } => Told::Resolve(request, name),
            peer::Event::OpenStream { path, local, remote, tls } => {
                let scope = self.socket_on(local.ip()).map_or(0, Socket::scope);
                let to = if state.core.is_server_stream(path) {
                    End::Server { tls: tls.map(|name| (name, self.trust.clone())) }
                } else {
                    End::Peer
                };
                self.streams.open(path, Wanted { local, remote, scope, to });
                return;
            }
            peer::Event::OpenSocket { socket, local } => {
                let bound = self.socket_on(local).and_then(|beside| self.gathering.bind_beside(beside).ok());
                let local = bound.as_ref().map(Socket::local);
                self.sockets.extend(bound.map(|socket| Bound { spare: true, ..Bound::new(socket) }));
                state.core.handle_socket_opened(socket, local, self.shared.clock.now());
                return;
            }
            peer::Event::CloseSocket { local } => {
                self.sockets.retain(|bound| !bound.spare || bound.socket.local() != local);
                return;
            }
            peer::Event::CloseStream { path } => {
                self.streams.close(path);
                return;
            }
            peer::Event::PublishName { name, address } => Told::PublishName(name, address),
            peer::Event::WithdrawName { name } => Told::WithdrawName(name),
            peer::Event::DataChannel { channel, config } => {
                let line = Arc::new(Line::new(channel, config, true));
                state.lines.insert(channel, Arc::clone(&line));
                Told::Incoming(line)
            }
            peer::Event::ChannelOpen(channel) => match state.lines.get(&channel) {
                Some(line) => Told::Opened(Arc::clone(line)),
                None => return,
            },
            peer::Event::Message { channel, kind, data } => {
                let Some(line) = state.lines.get(&channel) else { return };
                let read = line.deliver(Message { kind, data: data.into() });
                if read > 0 {
                    state.core.release(channel, read, self.shared.clock.now());
                }
                match self.told.back() {
                    Some(Told::Received(last)) if Arc::ptr_eq(last, line) => return,
                    _ => Told::Received(Arc::clone(line)),
                }
            }
            peer::Event::BufferedAmountLow(channel) => match state.lines.get(&channel) {
                Some(line) => Told::Eased(Arc::clone(line)),
                None => return,
            },
            peer::Event::ChannelClosed(channel) => match state.lines.remove(&channel) {
                Some(line) => Told::Ended(line),
                None => return,
            },
            _ => return,
        };
        self.told.push_back(told);
    }

    fn socket_on(&self, address: IpAddr) -> Option<&Socket> {
        self.named_sockets().find(|socket| socket.local().ip() == address)
    }

    /// Passes on what the core told. The core's lock must be free: whoever is woken may want it, and a channel
    /// that nobody takes is closed here.
    fn tell(&mut self) {
        while let Some(told) = self.told.pop_front() {
            match told {
                Told::Event(event) => {
                    match event {
                        Event::IceStateChange(state) => _ = self.shared.ice.send_replace(state),
                        Event::IceGatheringStateChange(state) => _ = self.shared.gathering.send_replace(state),
                        Event::ConnectionStateChange(state) => _ = self.shared.connection.send_replace(state),
                        _ => {}
                    }
                    self.queue.push(event);
                }
                Told::Incoming(line) => {
                    if let Some(keeper) = self.keeper.upgrade() {
                        self.queue.push(Event::Channel(Channel::new(line, keeper)));
                    }
                }
                Told::Opened(line) => line.open(),
                Told::Received(line) => line.wake_readers(),
                Told::Eased(line) => line.ease(),
                Told::Ended(line) => line.end(),
                Told::Resolve(request, name) => self.resolver.look_up(request, name),
                Told::PublishName(name, address) => self.responder.publish(name, address),
                Told::WithdrawName(name) => self.responder.withdraw(name),
            }
        }
    }

    /// Tells the application at once that all is over, then the other side as often as the core wants to, and gives
    /// back to servers what they lent, which may take an answer or two.
    async fn say_farewell(&mut self) {
        {
            let mut state = self.shared.lock();
            state.closing = true;
            let now = self.shared.clock.now();
            state.core.close(now);
        }
        self.settle();
        self.end();
        self.listeners.clear();
        self.monitor = None;
        let farewell = async {
            while self.deadline.is_some() {
                poll_fn(|cx| self.poll_turn(cx)).await;
                self.settle();
                // Others have their turn, whatever comes.
                tokio::task::yield_now().await;
            }
        };
        let _ = tokio::time::timeout(peer::Peer::FAREWELL, farewell).await;
        let flushed = poll_fn(|cx| {
            self.sockets.retain_mut(|bound| bound.socket.poll_flush(cx).is_pending());
            if self.sockets.is_empty() { self.streams.poll_parted(cx) } else { Poll::Pending }
        });
        let _ = tokio::time::timeout(LAST_FLUSH, flushed).await;
    }
}

impl Driver {
    /// Nothing comes any more for anyone who waits.
    fn end(&self) {
        let mut state = self.shared.lock();
        state.closing = true;
        let lines = std::mem::take(&mut state.lines);
        drop(state);
        for line in lines.into_values() {
            line.end();
        }
        let closed = |state: &mut ConnectionState| {
            let changes = *state != ConnectionState::Closed;
            *state = ConnectionState::Closed;
            changes
        };
        self.shared.connection.send_if_modified(closed);
        self.shared.ice.send_replace(frazil::ice::State::Closed);
        self.shared.gathering.send_replace(frazil::ice::GatheringState::Complete);
        self.queue.end();
    }
}

/// Whichever way the driver ends, by closing, with its runtime, or by a panic, nobody waits for it any more.
impl Drop for Driver {
    fn drop(&mut self) {
        self.sockets.clear();
        self.end();
        self.shared.ended.send_replace(true);
    }
}

/// What the streams had.
#[derive(Clone, Copy, Default)]
struct StreamTurn {
    worked: bool,
    /// There is more at once.
    more: bool,
}

enum SocketTurn {
    Idle,
    Worked,
    /// There is more at once.
    More,
    Dead(std::io::Error),
}

/// Datagrams on their way to the system. Those that follow each other on one path, all of one size but the
/// last, lie behind one another and go together.
struct Outbound {
    buffer: Box<[u8]>,
    len: usize,
    group: Option<Group>,
}

struct Group {
    path: PathId,
    socket: SocketAddr,
    remote: SocketAddr,
    start: usize,
    segment_size: usize,
    segments: usize,
    max_segments: usize,
    /// A shorter one was the last.
    closed: bool,
}

impl Outbound {
    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.len..]
    }

    fn restart(&mut self) {
        self.len = 0;
        self.group = None;
    }
}

impl Group {
    fn takes(&self, transmit: Transmit, end: usize) -> bool {
        self.path == transmit.path
            && !self.closed
            && transmit.len <= self.segment_size
            && self.segments < self.max_segments
            && end + transmit.len - self.start <= MAX_JOINED
    }
}
