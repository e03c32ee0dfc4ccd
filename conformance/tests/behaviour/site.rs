//! A socket that wants to know what is before it, servers that may know, and what lies between.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::nat::{Config, Discovery, Event, Filtering, Hairpinning, Mapping, Unknown};
use frazil::{Instant, Path};
use frazil_internet::{Access, Endpoint, HostId, Internet, RealmId, RouterConfig, Sent, TurnServer};

use crate::liar::Liar;

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The server with its other address, and a second one that has none.
pub(crate) const SERVER: &str = "198.51.100.1";
pub(crate) const OTHER: &str = "198.51.100.2";
pub(crate) const SECOND: &str = "198.51.100.3";
pub(crate) const SERVER_6: &str = "2001:db8:1::1";
pub(crate) const OTHER_6: &str = "2001:db8:1::2";
pub(crate) const SECOND_6: &str = "2001:db8:1::3";

pub(crate) enum Machine {
    Prober(Box<Discovery>),
    Liar(Liar),
}

impl Machine {
    pub(crate) fn discovery(&self) -> &Discovery {
        match self {
            Self::Prober(discovery) => discovery,
            Self::Liar(_) => panic!("a liar discovers nothing"),
        }
    }
}

impl Endpoint for Machine {
    type Event = Event;

    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        match self {
            Self::Prober(discovery) => discovery.handle_datagram(path, datagram, now),
            Self::Liar(liar) => liar.handle_datagram(path, datagram),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Self::Prober(discovery) = self {
            discovery.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        match self {
            Self::Prober(discovery) => discovery.poll_transmit(buffer).map(|transmit| (transmit.path, transmit.len)),
            Self::Liar(liar) => liar.poll_transmit(buffer),
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        match self {
            Self::Prober(discovery) => discovery.poll_event(),
            Self::Liar(_) => None,
        }
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        match self {
            Self::Prober(discovery) => discovery.poll_timeout(),
            Self::Liar(_) => None,
        }
    }
}

/// What was found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) mapping: Result<Mapping, Unknown>,
    pub(crate) filtering: Result<Filtering, Unknown>,
    pub(crate) hairpinning: Result<Hairpinning, Unknown>,
}

/// A discovery, the end of it, and what it took.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) found: Found,
    /// From the beginning to the end.
    pub(crate) took: Duration,
    pub(crate) sent: Vec<Sent>,
}

impl Run {
    /// Where something was sent to.
    pub(crate) fn destinations(&self) -> BTreeSet<SocketAddr> {
        self.sent.iter().map(|sent| sent.path.remote).collect()
    }
}

pub(crate) struct Site {
    pub(crate) internet: Internet<Machine>,
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        Self { internet: Internet::new(seed) }
    }

    /// Servers of both families: one with another address, and a second one that has none.
    pub(crate) fn add_servers(&mut self, access: Access) {
        let public = self.internet.public();
        let addresses = [SERVER, OTHER, SERVER_6, OTHER_6].map(ip);
        self.internet.add_server(public, &addresses, access, TurnServer::with_other_address());
        self.internet.add_server(public, &[SECOND, SECOND_6].map(ip), access, TurnServer::default());
    }

    /// A router, and the realm behind it.
    pub(crate) fn add_router(
        &mut self,
        outer: RealmId,
        outside: &[IpAddr],
        access: Access,
        config: RouterConfig,
    ) -> RealmId {
        self.internet.add_router(outer, outside, access, config).1
    }

    /// Adds a host that begins its discovery now.
    pub(crate) fn add_prober(&mut self, realm: RealmId, access: Access, config: Config, seed: u8) -> HostId {
        let now = self.internet.now();
        let make = |now| Machine::Prober(Box::new(Discovery::new(config, [seed; 32], now).unwrap()));
        // It sends as soon as it is there, so its sockets must be.
        let mut discovery = None;
        let host = self.internet.add_host(now, |now| {
            discovery = Some(make(now));
            Machine::Liar(Liar::default())
        });
        self.internet.attach(host, realm, &[config.base.ip()], access);
        for base in [Some(config.base), config.second_base].into_iter().flatten() {
            self.internet.bind(host, base);
        }
        self.internet.with(host, |machine, _| *machine = discovery.take().expect("made above"));
        host
    }

    /// Until the discovery has finished, which it must within five times as long as a request may take.
    pub(crate) fn run(&mut self, prober: HostId) -> Run {
        let begin = self.internet.now();
        let lifetime = Config::new(address("10.0.0.1:1"), address("10.0.0.2:1")).retransmission.lifetime();
        let end = begin + lifetime * 5 + Duration::from_secs(1);
        let mut events = VecDeque::new();
        let mut finished = None;
        while let Some(step) = self.internet.next(end) {
            if let frazil_internet::Step::Event(host, event) = step
                && host == prober
            {
                assert_eq!(finished, None, "{event:?} after the end");
                if event == Event::Finished {
                    finished = Some(self.internet.now());
                }
                events.push_back(event);
            }
        }
        let took = finished.unwrap_or_else(|| panic!("{events:?}")) - begin;
        let discovery = self.internet.endpoint(prober).discovery();
        assert!(discovery.is_finished() && discovery.poll_timeout().is_none());
        let found = Found {
            mapping: discovery.mapping().expect("it has finished").map_err(Clone::clone),
            filtering: discovery.filtering().expect("it has finished").map_err(Clone::clone),
            hairpinning: discovery.hairpinning().expect("it has finished").map_err(Clone::clone),
        };
        // What is told is what there is, each once.
        let told =
            |event: Event| assert_eq!(events.iter().filter(|told| **told == event).count(), 1, "{event:?}: {events:?}");
        told(Event::Mapping(found.mapping.clone()));
        told(Event::Filtering(found.filtering.clone()));
        told(Event::Hairpinning(found.hairpinning.clone()));
        assert_eq!(events.len(), 4, "{events:?}");
        let sent =
            self.internet.record().iter().filter(|sent| sent.host == prober && sent.at >= begin).cloned().collect();
        Run { found, took, sent }
    }
}
