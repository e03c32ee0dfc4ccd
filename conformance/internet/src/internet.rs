//! The internet itself: what is in it, and what happens next.

mod machine;
mod schedule;
mod streaming;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::{Instant, Path, Protocol};

use crate::clock::Clock;
use crate::drops::Drops;
use crate::endpoint::Endpoint;
use crate::fabric::{Chance, Fabric, Moving, PUBLIC, RealmId};
use crate::host::{Counters, Host, Node};
use crate::link::{Access, Conditions};
use crate::packet::Packet;
use crate::queue::Queue;
use crate::router::RouterConfig;
use crate::server::{Server, TurnServer};
use crate::streams::{StreamKey, Streams};

pub use schedule::Scheduled;

/// Room for one datagram, or for as much as is written to a stream at once, as every driver offers it.
const MAX_TRANSMIT: usize = 2048;

/// One of the hosts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HostId(pub(crate) usize);

/// One of the wires, or the access of an interface or a router.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LinkId(pub(crate) usize);

/// What attaches a machine to a realm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct InterfaceId(pub(crate) usize);

/// One of the routers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RouterId(pub(crate) usize);

/// One of the servers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ServerId(pub(crate) usize);

/// What [`Internet::next`] gives to the test.
#[derive(Debug)]
pub enum Step<Event, A> {
    /// An endpoint has said something.
    Event(HostId, Event),
    /// A [`Scheduled::Alarm`] has come up.
    Alarm(A),
}

/// What an endpoint gave out, before anything was done to it: a datagram, or what it wrote to a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// In virtual time.
    pub at: Instant,
    /// Whose endpoint sent it.
    pub host: HostId,
    /// From where to where.
    pub path: Path,
    /// Its payload.
    pub datagram: Vec<u8>,
}

enum Happening<A> {
    Arrival(Moving),
    Timer(HostId),
    ServerTimer(ServerId),
    StreamTimer(StreamKey),
    Scheduled(Scheduled<A>),
}

/// The internet; see the [crate](crate).
pub struct Internet<E: Endpoint, A = ()> {
    now: Instant,
    queue: Queue<Happening<A>>,
    fabric: Fabric,
    hosts: Vec<Host<E>>,
    servers: Vec<Server>,
    sockets: BTreeSet<(SocketAddr, HostId)>,
    streams: Streams,
    slack: fastrand::Rng,
    server_chance: fastrand::Rng,
    said: VecDeque<(HostId, E::Event)>,
    record: Option<Vec<Sent>>,
    buffer: Box<[u8]>,
}

impl<E: Endpoint, A> Internet<E, A> {
    /// An internet without hosts, at [`Instant::ZERO`]. All chance in it comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let [stun, others, slack, segments, routers, sequences, servers] = std::array::from_fn(|_| rng.fork());
        Self {
            now: Instant::ZERO,
            queue: Queue::new(),
            fabric: Fabric::new(Chance { stun, others, segments, routers }),
            hosts: Vec::new(),
            servers: Vec::new(),
            sockets: BTreeSet::new(),
            streams: Streams::new(sequences),
            slack,
            server_chance: servers,
            said: VecDeque::new(),
            record: None,
            buffer: vec![0; MAX_TRANSMIT].into_boxed_slice(),
        }
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The realm that all others are behind.
    #[must_use]
    pub fn public(&self) -> RealmId {
        PUBLIC
    }

    /// Adds a host. `clock` is what its clock shows now, and `make` is given that reading.
    pub fn add_host(&mut self, clock: Instant, make: impl FnOnce(Instant) -> E) -> HostId {
        let id = HostId(self.hosts.len());
        self.hosts.push(Host::new(Clock::showing(clock, self.now), make(clock)));
        self.attend(id);
        id
    }

    /// Gives a host these addresses in a realm, behind an access link.
    ///
    /// # Panics
    /// When the host has one of the addresses already, or somebody else in the realm has.
    pub fn attach(&mut self, host: HostId, realm: RealmId, addresses: &[IpAddr], access: Access) -> InterfaceId {
        let id = self.fabric.add_interface(Node::Host(host), access);
        self.fabric.attach(id, realm, addresses);
        id
    }

    /// The interface goes. Sockets bound to its addresses stay bound and fall silent; [`Scheduled::Attach`] brings it
    /// back.
    pub fn detach(&mut self, interface: InterfaceId) {
        self.fabric.detach(interface);
    }

    /// Opens a UDP socket on a host. Datagrams to its address go to the host's endpoint.
    ///
    /// # Panics
    /// When the host has bound it already.
    pub fn bind(&mut self, host: HostId, socket: SocketAddr) {
        assert!(self.sockets.insert((socket, host)), "{socket} is bound already");
    }

    /// Closes a UDP socket.
    pub fn unbind(&mut self, host: HostId, socket: SocketAddr) {
        self.sockets.remove(&(socket, host));
    }

    /// Opens a TCP listener on a host.
    ///
    /// # Panics
    /// When the host listens there already.
    pub fn listen(&mut self, host: HostId, address: SocketAddr) {
        assert!(self.streams.listen(Node::Host(host), address), "{address} has a listener already");
    }

    /// Closes a TCP listener. Streams that it has accepted stay open.
    pub fn unlisten(&mut self, host: HostId, address: SocketAddr) {
        self.streams.unlisten(Node::Host(host), address);
    }

    /// Joins two addresses outside of all realms: what is sent from one to the other goes this way, even if a realm
    /// has them too. `there` holds from `a` to `b`, `back` from `b` to `a`.
    ///
    /// # Panics
    /// When they are joined already.
    pub fn wire(&mut self, a: IpAddr, b: IpAddr, there: Conditions, back: Conditions) -> LinkId {
        self.fabric.wire(a, b, there, back)
    }

    /// Adds a router with these addresses in the realm `outer`, and the realm behind it. Routers can be behind routers.
    ///
    /// # Panics
    /// When somebody else in the outer realm has one of the addresses.
    pub fn add_router(
        &mut self,
        outer: RealmId,
        outside: &[IpAddr],
        access: Access,
        config: RouterConfig,
    ) -> (RouterId, RealmId) {
        self.fabric.add_router(outer, outside, access, config)
    }

    /// Adds a STUN and TURN server.
    ///
    /// # Panics
    /// When somebody else in the realm has one of the addresses.
    pub fn add_server(&mut self, realm: RealmId, addresses: &[IpAddr], access: Access, config: TurnServer) -> ServerId {
        let id = ServerId(self.servers.len());
        let interface = self.fabric.add_interface(Node::Server(id), access);
        self.fabric.attach(interface, realm, &config.addresses(addresses));
        self.servers.push(Server::new(config, addresses, self.server_chance.fork(), interface));
        id
    }

    /// The access link of an interface, for [`Scheduled::LinkDown`] and its like.
    #[must_use]
    pub fn access(&self, interface: InterfaceId) -> LinkId {
        self.fabric.access(interface)
    }

    /// The access link of a router, between it and the outer realm.
    #[must_use]
    pub fn uplink(&self, router: RouterId) -> LinkId {
        self.fabric.uplink(router)
    }

    /// The access link of a server.
    #[must_use]
    pub fn server_access(&self, server: ServerId) -> LinkId {
        self.fabric.access(self.servers[server.0].interface)
    }

    /// Has timers of a host fire up to `slack` late, as those of a busy machine do.
    pub fn set_timer_slack(&mut self, host: HostId, slack: Duration) {
        self.hosts[host.0].timer_slack = slack;
    }

    /// Has `what` happen in virtual time `at`, or now if that is over.
    pub fn at(&mut self, at: Instant, what: Scheduled<A>) {
        self.queue.push(at.max(self.now), Happening::Scheduled(what));
    }

    /// Has `what` happen `after` from now.
    pub fn after(&mut self, after: Duration, what: Scheduled<A>) {
        self.at(self.now + after, what);
    }

    /// Keeps all that endpoints send from now on; see [`Internet::record`].
    pub fn start_record(&mut self) {
        self.record = Some(Vec::new());
    }

    /// What the endpoints have sent since [`Internet::start_record`].
    #[must_use]
    pub fn record(&self) -> &[Sent] {
        self.record.as_deref().unwrap_or_default()
    }

    /// A look at an endpoint.
    #[must_use]
    pub fn endpoint(&self, host: HostId) -> &E {
        &self.hosts[host.0].endpoint
    }

    /// What has been counted on a host.
    #[must_use]
    pub fn counters(&self, host: HostId) -> Counters {
        self.hosts[host.0].counters
    }

    /// Packets that did not arrive, by the reason.
    #[must_use]
    pub fn drops(&self) -> &Drops {
        &self.fabric.drops
    }

    /// The streams that a host has open or is opening.
    #[must_use]
    pub fn streams_of(&self, host: HostId) -> Vec<Path> {
        let keys = self.streams.of(Node::Host(host));
        keys.map(|key| Path { protocol: Protocol::Tcp, local: key.local, remote: key.remote }).collect()
    }

    /// The addresses that a server lends at present.
    #[must_use]
    pub fn relayed(&self, server: ServerId) -> Vec<SocketAddr> {
        self.servers[server.0].relayed().collect()
    }

    /// Whether the host's machine is suspended, so that nobody can call its endpoint.
    #[must_use]
    pub fn is_suspended(&self, host: HostId) -> bool {
        self.hosts[host.0].suspended
    }

    /// Calls an endpoint with the time of its host's clock, then drains it as a driver does.
    ///
    /// # Panics
    /// When the host is suspended.
    pub fn with<R>(&mut self, host: HostId, call: impl FnOnce(&mut E, Instant) -> R) -> R {
        let h = &mut self.hosts[host.0];
        assert!(!h.suspended, "nobody can call an endpoint on a suspended machine");
        let result = call(&mut h.endpoint, h.clock.read(self.now));
        self.attend(host);
        result
    }

    /// Lets things happen until there is something for the test, or until virtual time is `until`.
    pub fn next(&mut self, until: Instant) -> Option<Step<E::Event, A>> {
        loop {
            if let Some((host, event)) = self.said.pop_front() {
                return Some(Step::Event(host, event));
            }
            let Some((at, happening)) = self.queue.pop_until(until) else {
                self.now = self.now.max(until);
                return None;
            };
            self.now = at;
            match happening {
                Happening::Arrival(moving) => self.arrive(moving),
                Happening::Timer(host) => self.fire(host),
                Happening::ServerTimer(server) => self.fire_server(server),
                Happening::StreamTimer(key) => self.fire_stream(key),
                Happening::Scheduled(Scheduled::Alarm(alarm)) => return Some(Step::Alarm(alarm)),
                Happening::Scheduled(scheduled) => self.carry_out(scheduled),
            }
        }
    }

    /// [`Internet::next`] for a test that has no alarms: `on_event` is given each event.
    pub fn run(&mut self, until: Instant, mut on_event: impl FnMut(HostId, E::Event)) {
        while let Some(step) = self.next(until) {
            if let Step::Event(host, event) = step {
                on_event(host, event);
            }
        }
    }

    /// A machine sends a packet.
    fn emit(&mut self, node: Node, packet: Packet) {
        let queue = &mut self.queue;
        self.fabric.emit(node, packet, self.now, &mut |at, moving| {
            queue.push(at, Happening::Arrival(moving));
        });
    }

    fn arrive(&mut self, moving: Moving) {
        let queue = &mut self.queue;
        let arrived = self.fabric.arrive(moving, self.now, &mut |at, moving| {
            queue.push(at, Happening::Arrival(moving));
        });
        if let Some((place, packet)) = arrived {
            self.deliver(place, packet);
        }
    }
}
