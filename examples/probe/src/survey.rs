//! What there is to be found out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::ice::{LocalCandidate, Scheme, ServerHost, ServerOutcome, ServerReport, ServerUri};
use frazil::nat::Mapping;
use frazil::turn::Transport;
use frazil_tokio::{IceServer, Interface, InterfacePolicy, Peer, StartError, interfaces};

use crate::behaviour::{self, Behaviour};

/// All that was found out.
pub(crate) struct Survey {
    pub(crate) interfaces: Vec<Listed>,
    pub(crate) servers: Vec<ServerReport>,
    /// Those that none of the machine's addresses could ask: theirs are of another family, or no server's.
    pub(crate) unasked: Vec<ServerUri>,
    /// The best first.
    pub(crate) candidates: Vec<Found>,
    pub(crate) nats: Vec<Nat>,
}

/// An address of the machine, and why it is not used.
pub(crate) struct Listed {
    pub(crate) interface: Interface,
    pub(crate) unused: Option<&'static str>,
}

/// A candidate, and what it comes from.
pub(crate) struct Found {
    pub(crate) candidate: LocalCandidate,
    pub(crate) source: Source,
}

pub(crate) enum Source {
    /// A socket on this interface.
    Interface(String),
    /// This server.
    Server(ServerUri),
    /// Something else.
    Unknown,
}

/// What is known of the NATs before one of the machine's addresses.
pub(crate) struct Nat {
    pub(crate) address: IpAddr,
    /// What all servers' answers tell together.
    pub(crate) seen: Option<Mapping>,
    /// What one server has told by RFC 5780.
    pub(crate) behaviour: Option<Behaviour>,
}

impl Survey {
    /// Looks around, and asks `servers`, which `uris` names as well.
    pub(crate) async fn make(uris: &[String], servers: IceServer, patience: Duration) -> Result<Self, StartError> {
        let policy = InterfacePolicy { loopback: uris.iter().any(|uri| is_near(uri)), ..InterfacePolicy::default() };
        let listed = interfaces().map_err(StartError::Interfaces)?;
        let used = policy.select(listed.clone());
        let listed = listed.into_iter().map(|interface| Listed { unused: why_unused(&interface, &used), interface });

        let mut config = frazil::peer::Config::default();
        config.ice.gathering_patience = patience;
        let builder = Peer::builder().config(config).interfaces(policy).follow_network(false);
        let (peer, _events) = match builder.servers([servers]).start() {
            Ok(started) => started,
            Err(StartError::NoAddress) => {
                let (unasked, interfaces) = (unasked(uris, &[]), listed.collect());
                return Ok(Self { interfaces, servers: Vec::new(), unasked, candidates: Vec::new(), nats: Vec::new() });
            }
            Err(error) => return Err(error),
        };
        peer.wait_gathered().await;
        let servers = peer.server_reports();
        let mut candidates = peer.local_candidates();
        candidates.sort_by_key(|local| std::cmp::Reverse(local.candidate.priority));
        let candidates = candidates
            .into_iter()
            .map(|candidate| Found { source: source(&candidate, &servers, &used), candidate })
            .collect();
        let seen = |report: &ServerReport| (report.local, peer.mapping(report.local));
        let mut seen: Vec<(SocketAddr, Option<Mapping>)> = servers.iter().map(seen).collect();
        seen.dedup();
        peer.close().await;

        let mut nats = Vec::new();
        for (base, seen) in seen {
            let answering = stun_servers(base, &servers);
            let behaviour = match answering.first() {
                Some(&server) => behaviour::discover(base.ip(), server, answering.get(1).copied()).await,
                None => None,
            };
            if seen.is_some() || behaviour.is_some() {
                nats.push(Nat { address: base.ip(), seen, behaviour });
            }
        }
        let unasked = unasked(uris, &servers);
        Ok(Self { interfaces: listed.collect(), servers, unasked, candidates, nats })
    }

    /// Whether there is a candidate, and every server gave what it was asked for, from somewhere.
    pub(crate) fn is_whole(&self) -> bool {
        let failed =
            |report: &&ServerReport| matches!(report.outcome, ServerOutcome::Failed(_) | ServerOutcome::Waiting);
        let answered = |uri: &ServerUri| {
            let mut of_uri = self.servers.iter().filter(|report| report.uri == *uri);
            of_uri.any(|report| matches!(report.outcome, ServerOutcome::Answered { .. }))
        };
        let all_answered = self.servers.iter().filter(failed).all(|report| answered(&report.uri));
        all_answered && self.unasked.is_empty() && !self.candidates.is_empty()
    }
}

/// The servers that nothing is reported of. The core says nothing of those that it has nothing to ask from.
fn unasked(uris: &[String], servers: &[ServerReport]) -> Vec<ServerUri> {
    let mut named: Vec<ServerUri> = uris.iter().filter_map(|uri| uri.parse().ok()).collect();
    named.retain(|uri| !servers.iter().any(|report| report.uri == *uri));
    named
}

/// Whether the server is on this machine, and to be asked over its loopback interface.
fn is_near(uri: &str) -> bool {
    match uri.parse::<ServerUri>().map(|uri| uri.host) {
        Ok(ServerHost::Address(address)) => address.is_loopback(),
        Ok(ServerHost::Name(name)) => name == "localhost",
        Err(_) => false,
    }
}

fn why_unused(interface: &Interface, used: &[Interface]) -> Option<&'static str> {
    if used.contains(interface) {
        None
    } else if interface.is_loopback() {
        Some("reaches this machine only")
    } else if interface.is_link_local() {
        Some("reaches this link only")
    } else if interface.deprecated {
        Some("deprecated")
    } else {
        Some("there is a better one")
    }
}

fn source(local: &LocalCandidate, servers: &[ServerReport], used: &[Interface]) -> Source {
    let gave = |report: &&ServerReport| match &report.outcome {
        ServerOutcome::Answered { mapped, relayed, .. } => {
            relayed.contains(&local.candidate.address)
                || (*mapped == local.candidate.address && report.local == local.base)
        }
        _ => false,
    };
    let interface = used.iter().find(|interface| interface.address == local.candidate.address.ip());
    match (interface, servers.iter().find(gave)) {
        (Some(interface), _) if local.candidate.related.is_none() => Source::Interface(interface.name.clone()),
        (_, Some(report)) => Source::Server(report.uri.clone()),
        (Some(interface), None) => Source::Interface(interface.name.clone()),
        (None, None) => Source::Unknown,
    }
}

/// Those that have answered datagrams from `base`, at one address each. STUN servers first: they may know RFC 5780.
fn stun_servers(base: SocketAddr, servers: &[ServerReport]) -> Vec<SocketAddr> {
    let answers = |report: &&ServerReport| {
        report.local == base
            && report.uri.transport == Transport::Udp
            && matches!(report.outcome, ServerOutcome::Answered { .. })
    };
    let mut answering: Vec<&ServerReport> = servers.iter().filter(answers).collect();
    answering.sort_by_key(|report| report.uri.scheme != Scheme::Stun);
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in answering.into_iter().filter_map(|report| report.server) {
        if !addresses.iter().any(|known| known.ip() == address.ip()) {
            addresses.push(address);
        }
    }
    addresses
}
