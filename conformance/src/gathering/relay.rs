//! An allocation on a TURN server, held by `turn-client-proto`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::{Instant, Path, Protocol};
use frazil_internet::StreamRequest;
use turn_client_proto::api::{Transmit, TurnClientApi as _, TurnConfig, TurnEvent};
use turn_client_proto::api::{TurnPollRet, TurnRecvRet};
use turn_client_proto::client::TurnClient;
use turn_client_proto::prelude::DelayedTransmitBuild as _;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::{self, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::{LIMIT, RelayServer};

/// How many datagrams wait for one permission.
const MAX_WAITING: usize = 16;

pub(crate) struct Relay {
    access: RelayServer,
    /// Over TCP there is none before the stream is open.
    client: Option<TurnClient>,
    progress: Progress,
    /// Who opens streams is asked once.
    wants_stream: bool,
    deadline: Instant,
    /// When the client wants to be polled.
    wake: Option<Instant>,
    outgoing: VecDeque<Vec<u8>>,
    /// Whom the server is to let through: every address that the other side has named (RFC 8656 section 9).
    named: BTreeSet<IpAddr>,
    /// Datagrams for addresses that the server was asked to let through and does not yet.
    waiting: BTreeMap<IpAddr, Vec<(SocketAddr, Vec<u8>)>>,
    received: VecDeque<(SocketAddr, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Opening,
    /// The address is known and was not yet taken.
    Opened(SocketAddr),
    Open(SocketAddr),
    Failed,
}

impl Relay {
    pub(crate) fn new(access: RelayServer, now: Instant) -> Self {
        let over_udp = access.protocol == Protocol::Udp;
        let mut relay = Self {
            client: None,
            progress: Progress::Opening,
            wants_stream: !over_udp,
            deadline: now + LIMIT,
            wake: None,
            outgoing: VecDeque::new(),
            named: BTreeSet::new(),
            waiting: BTreeMap::new(),
            received: VecDeque::new(),
            access,
        };
        if over_udp {
            let client = TurnClientUdp::allocate(relay.access.local, relay.access.server, relay.config());
            relay.client = Some(client.into());
            relay.advance(now);
        }
        relay
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.access.server
    }

    /// Where the client talks from.
    pub(crate) fn local(&self) -> SocketAddr {
        self.access.local
    }

    /// Whether an address may still come.
    pub(crate) fn is_opening(&self) -> bool {
        self.progress == Progress::Opening
    }

    /// The relayed address.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self.progress {
            Progress::Opened(address) | Progress::Open(address) => Some(address),
            Progress::Opening | Progress::Failed => None,
        }
    }

    /// The relayed address and the client's own, once.
    pub(crate) fn take_address(&mut self) -> Option<(SocketAddr, SocketAddr)> {
        let Progress::Opened(address) = self.progress else { return None };
        self.progress = Progress::Open(address);
        Some((address, self.access.local))
    }

    /// The next datagram that has come to the relayed address, and from whom.
    pub(crate) fn receive(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.received.pop_front()
    }

    /// Sends a datagram from the relayed address.
    pub(crate) fn send(&mut self, to: SocketAddr, datagram: &[u8], now: Instant) {
        let Some(client) = &mut self.client else { return };
        if client.have_permission(TransportType::Udp, to.ip()) {
            if let Ok(Some(transmit)) = client.send_to(TransportType::Udp, to, datagram, stun_time(now)) {
                self.outgoing.push_back(transmit.data.build());
            }
            return;
        }
        self.ask(to.ip(), now);
        let waiting = self.waiting.entry(to.ip()).or_default();
        if waiting.len() < MAX_WAITING {
            waiting.push((to, datagram.to_vec()));
        }
    }

    /// Has the server let an address through that the other side has named, before the first check goes there: what
    /// comes from there meanwhile would be lost.
    pub(super) fn permit(&mut self, ip: IpAddr, now: Instant) {
        if self.named.insert(ip) && self.address().is_some() {
            self.ask(ip, now);
        }
    }

    fn ask(&mut self, ip: IpAddr, now: Instant) {
        let Some(relayed) = self.address() else { return };
        let Some(client) = &mut self.client else { return };
        let of_its_family = relayed.is_ipv4() == ip.is_ipv4();
        if !of_its_family || client.have_permission(TransportType::Udp, ip) || self.waiting.contains_key(&ip) {
            return;
        }
        self.waiting.insert(ip, Vec::new());
        // One that is being made is no error; one that cannot be made says so later.
        let _ = client.create_permission(TransportType::Udp, ip, stun_time(now));
        self.advance(now);
    }

    /// Takes what has come from the server, and says whether it was for the client.
    pub(crate) fn handle(&mut self, path: Path, bytes: &[u8], now: Instant) -> bool {
        if path.local != self.access.local || path.remote != self.access.server {
            return false;
        }
        let Some(client) = &mut self.client else { return false };
        let transport = transport(self.access.protocol);
        let mut next = match client.recv(Transmit::new(bytes, transport, path.remote, path.local), stun_time(now)) {
            TurnRecvRet::PeerData(data) => Some((data.peer, data.data().to_vec())),
            _ => None,
        };
        // A piece of a stream may hold several messages.
        while let Some(received) = next {
            self.received.push_back(received);
            next = client.poll_recv(stun_time(now)).map(|data| (data.peer, data.data().to_vec()));
        }
        self.advance(now);
        true
    }

    pub(crate) fn handle_opened(&mut self, path: Path, now: Instant) {
        self.access.local = path.local;
        self.client = Some(TurnClientTcp::allocate(path.local, self.access.server, self.config()).into());
        self.advance(now);
    }

    pub(crate) fn handle_closed(&mut self) {
        self.progress = Progress::Failed;
        self.client = None;
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.wake.is_some_and(|at| at <= now) {
            self.advance(now);
        }
        if self.is_opening() && now >= self.deadline {
            self.handle_closed();
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = Some(self.deadline).filter(|_| self.is_opening());
        [deadline, self.wake.filter(|_| self.client.is_some())].into_iter().flatten().min()
    }

    pub(crate) fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let bytes = self.outgoing.pop_front()?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        let RelayServer { protocol, local, server, .. } = self.access;
        Some((Path { protocol, local, remote: server }, bytes.len()))
    }

    pub(crate) fn poll_stream(&mut self) -> Option<StreamRequest> {
        let wanted = std::mem::take(&mut self.wants_stream);
        wanted.then_some(StreamRequest::Connect { local: self.access.local, remote: self.access.server })
    }

    /// Lets the client work until it waits.
    fn advance(&mut self, now: Instant) {
        loop {
            let Some(client) = &mut self.client else { return };
            let next = client.poll(stun_time(now));
            let mut worked = false;
            while let Some(transmit) = client.poll_transmit(stun_time(now)) {
                self.outgoing.push_back(transmit.data.to_vec());
                worked = true;
            }
            let events: Vec<TurnEvent> = std::iter::from_fn(|| client.poll_event()).collect();
            worked |= !events.is_empty();
            for event in events {
                self.handle_event(event, now);
            }
            match next {
                TurnPollRet::WaitUntil(at) if !worked => {
                    // A client that waits for a moment that is over is asked again at the next occasion.
                    let at = Instant::from_nanos(at.as_nanos().try_into().unwrap_or(0));
                    self.wake = Some(at.max(now + Duration::from_millis(1)));
                    return;
                }
                TurnPollRet::Closed => return self.handle_closed(),
                _ => {}
            }
        }
    }

    fn handle_event(&mut self, event: TurnEvent, now: Instant) {
        match event {
            TurnEvent::AllocationCreated(_, address) => {
                self.progress = Progress::Opened(address);
                self.named.clone().into_iter().for_each(|ip| self.ask(ip, now));
            }
            TurnEvent::AllocationCreateFailed(_) => self.progress = Progress::Failed,
            TurnEvent::PermissionCreated(_, ip) => {
                for (to, datagram) in self.waiting.remove(&ip).unwrap_or_default() {
                    self.send(to, &datagram, now);
                }
            }
            TurnEvent::PermissionCreateFailed(_, ip) => {
                self.waiting.remove(&ip);
            }
            _ => {}
        }
    }

    fn config(&self) -> TurnConfig {
        let mut config = TurnConfig::new(TurnCredentials::new(&self.access.username, &self.access.password));
        // As the STUN requests beside it.
        config.set_request_retransmits(Duration::from_millis(500), LIMIT, 4, Duration::from_millis(1500));
        config
    }
}

fn transport(protocol: Protocol) -> TransportType {
    match protocol {
        Protocol::Tcp => TransportType::Tcp,
        _ => TransportType::Udp,
    }
}

fn stun_time(now: Instant) -> types::Instant {
    types::Instant::from_nanos(now.as_nanos() as i64)
}
