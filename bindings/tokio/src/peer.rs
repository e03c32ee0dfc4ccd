//! The handle that an application holds.

use frazil::Seed;
use frazil::ice::{self, GatheringState, HostSocket, LocalCandidate, PairReport, ServerReport, TransportPolicy};
use frazil::jsep::{Description, SignalingState, TrickledCandidate};
use frazil::nat::Mapping;
use frazil::peer::{self, Certificate, ChannelConfig, ConnectionState, Counters, Failure};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::sync::watch;

use crate::channel::{Channel, Line};
use crate::clock::Clock;
use crate::driver::{Around, Driver};
use crate::error::{ConnectError, Error, StartError};
use crate::event::{Event, Events};
use crate::gathering::{Gathered, Gathering};
use crate::network::Monitor;
use crate::pace::Pace;
use crate::shared::{Keeper, Shared, State};
use crate::socket::Socket;
use crate::stream::Listener;
use crate::tls::Trust;
use frazil::ice::{IceServer, InvalidServer};
use frazil_interfaces::{Interface, InterfacePolicy, interfaces};

/// What a peer is made with.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    config: peer::Config,
    gathering: Gathering,
    follow_network: bool,
    pace: Option<Pace>,
    /// Or what was wrong with what was said of servers first.
    invalid_server: Option<InvalidServer>,
    trust: Result<Trust, rustls::Error>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            config: peer::Config::default(),
            gathering: Gathering::default(),
            follow_network: true,
            pace: Some(Pace::process()),
            invalid_server: None,
            trust: Ok(Trust::default()),
        }
    }
}

impl Builder {
    /// The core's configuration, instead of all that was said of it before.
    pub fn config(mut self, config: peer::Config) -> Self {
        self.config = config;
        self
    }

    /// STUN and TURN servers to gather candidates from, beside those named before. Names are looked up by the system.
    /// What is wrong with one is told by [`Self::start`].
    pub fn servers<S: Into<IceServer>>(mut self, servers: impl IntoIterator<Item = S>) -> Self {
        match IceServer::read_all(servers) {
            Ok(servers) => self.config.servers.extend(servers),
            Err(error) => self.invalid_server = self.invalid_server.or(Some(error)),
        }
        self
    }

    /// Which candidates may be used (W3C `iceTransportPolicy`): all unless set, or relayed ones alone.
    pub fn transport_policy(mut self, policy: TransportPolicy) -> Self {
        self.config.ice.transport_policy = policy;
        self
    }

    /// Who may vouch for `stuns:` and `turns:` servers: these and nobody else, such as the authority of a private network.
    /// Unless this or [`Self::tls_config`] is called, it is whom the machine trusts.
    pub fn tls_roots<'r>(mut self, roots: impl IntoIterator<Item = CertificateDer<'r>>) -> Self {
        self.trust = Trust::roots(roots);
        self
    }

    /// How to speak TLS with `stuns:` and `turns:` servers, in every respect: for a client's certificate, a verifier of
    /// one's own, or a machine whose trust cannot be read as files or system store.
    pub fn tls_config(mut self, config: Arc<ClientConfig>) -> Self {
        self.trust = Ok(Trust::Given(config));
        self
    }

    /// Which interfaces' addresses become host candidates.
    pub fn interfaces(mut self, policy: InterfacePolicy) -> Self {
        self.gathering.policy = policy;
        self
    }

    /// Binds on ports of this range only. Each address of the machine takes one port of it for each peer.
    pub fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.gathering.ports = Some(ports);
        self
    }

    /// Whether the peer follows the machine's addresses as they come and go, see [`Event::NetworkChange`]. It does
    /// unless told otherwise.
    pub fn follow_network(mut self, follow: bool) -> Self {
        self.follow_network = follow;
        self
    }

    /// Listens for TCP streams too, on each address: passive candidates (RFC 6544), for peers behind firewalls that let
    /// no UDP through. Off unless set, as few can be connected to. To who listens we connect in any case, unless the
    /// configuration forbids it (`active_tcp`).
    pub fn listen_tcp(mut self, listens: bool) -> Self {
        self.gathering.listens = listens;
        self
    }

    /// The budget of checks that the peer shares with others, [that of the process](Pace::process) unless set. With
    /// `None` it shares none. It decides on the `pace` of the ICE configuration.
    pub fn pace(mut self, pace: Option<Pace>) -> Self {
        self.pace = pace;
        self
    }

    /// How many bytes received on one channel may wait for the application, 1 MiB unless set. Above it the
    /// other side's data is held back. Some may still come in above: of long messages about one SCTP receive
    /// window, of short ones 2 MiB, and then a megabyte in a day at most. It is the `receive_buffer` of the
    /// configuration.
    pub fn receive_limit(mut self, bytes: usize) -> Self {
        self.config.receive_buffer = Some(bytes);
        self
    }

    /// How many bytes sent on one channel may wait to be acknowledged before `send` waits, 1 MiB unless set. It
    /// is the `send_buffer` of the configuration.
    pub fn send_limit(mut self, bytes: usize) -> Self {
        self.config.send_buffer = bytes;
        self
    }

    /// Binds the sockets and starts the peer's task. What could not be bound is told as
    /// [`Event::SocketLost`], as long as something could.
    ///
    /// # Errors
    /// When there is no runtime, no address or no seed, or the configuration is refused.
    ///
    /// # Panics
    /// When the runtime's I/O or time is not enabled.
    pub fn start(mut self) -> Result<(Peer, Events), StartError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        if let Some(error) = self.invalid_server {
            return Err(StartError::Server(error));
        }
        let trust = self.trust.map_err(StartError::Tls)?;
        let listed = interfaces().map_err(StartError::Interfaces)?;
        let (sockets, mut failures) = bind(&self.gathering, listed.clone())?;
        let listeners = listen(&self.gathering, listed, &mut failures);

        let mut seed = Seed::default();
        getrandom::fill(&mut seed).map_err(StartError::Seed)?;
        let clock = Clock::new();
        let now = clock.now();
        self.config.ice.pace = if self.pace.is_some() { ice::Pace::Granted } else { ice::Pace::Own };
        let receive_limit = *self.config.receive_buffer.get_or_insert(peer::Config::RECEIVE_BUFFER);
        let mut core = peer::Peer::new(self.config, seed, now).map_err(StartError::Setup)?;
        let hosts = sockets.iter().map(Socket::host).chain(listeners.iter().map(Listener::host));
        let hosts: Vec<HostSocket> = hosts.collect();
        core.handle_network_change(&hosts, now);
        core.end_of_candidates(now);

        let shared = Arc::new(Shared::new(core, clock, receive_limit));
        let keeper = Arc::new(Keeper { shared: Arc::clone(&shared) });
        let (events, queue) = Events::new(Arc::clone(&shared));
        for event in failures {
            queue.push(event);
        }
        let monitor = self.follow_network.then(Monitor::new);
        let turns = self.pace.as_ref().map(Pace::join);
        let gathered = Gathered { sockets, listeners };
        let around = Around { gathering: self.gathering, monitor, turns, trust };
        let driver = Driver::new(shared, Arc::downgrade(&keeper), queue, gathered, around);
        runtime.spawn(driver.run());
        Ok((Peer { keeper }, events))
    }
}

/// Binds all sockets, or as many as can be.
fn bind(gathering: &Gathering, listed: Vec<Interface>) -> Result<(Vec<Socket>, Vec<Event>), StartError> {
    let mut sockets = Vec::new();
    let mut failures = Vec::new();
    let mut last = StartError::NoAddress;
    for (Interface { address, .. }, bound) in gathering.bind_new(listed, &[]) {
        match bound {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                let again = error.raw_os_error().map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error);
                failures.push(Event::SocketLost { local: SocketAddr::new(address, 0), error: again });
                last = StartError::Bind { address, error };
            }
        }
    }
    if sockets.is_empty() { Err(last) } else { Ok((sockets, failures)) }
}

/// Listens where it can.
fn listen(gathering: &Gathering, listed: Vec<Interface>, failures: &mut Vec<Event>) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for (Interface { address, .. }, bound) in gathering.listen_new(listed, &[]) {
        match bound {
            Ok(listener) => listeners.push(listener),
            Err(error) => failures.push(Event::SocketLost { local: SocketAddr::new(address, 0), error }),
        }
    }
    listeners
}

/// One peer of a connection. Clones are the same peer.
///
/// The peer stays open while a `Peer` or a [`Channel`] of it is held, or until [`Peer::close`]. When the last
/// of them is dropped, the other side is told and the sockets are closed, both by the peer's own task soon
/// after: dropping does not wait.
///
/// Calls take effect at once. Those that are `async` do not wait for the other side unless they say so.
#[derive(Clone)]
pub struct Peer {
    keeper: Arc<Keeper>,
}

impl Peer {
    /// A builder with the default configuration.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Makes an offer (W3C `createOffer`).
    ///
    /// # Errors
    /// When the signalling state forbids it or the peer is closed.
    pub async fn create_offer(&self) -> Result<Description, Error> {
        Ok(self.call(|state, _| state.core.create_offer())??)
    }

    /// Makes an answer to the other side's offer (W3C `createAnswer`).
    ///
    /// # Errors
    /// When there is no offer or the peer is closed.
    pub async fn create_answer(&self) -> Result<Description, Error> {
        Ok(self.call(|state, _| state.core.create_answer())??)
    }

    /// Takes an offer or an answer of our own into effect (W3C `setLocalDescription`).
    ///
    /// # Errors
    /// When the description is refused or the peer is closed.
    pub async fn set_local_description(&self, description: &Description) -> Result<(), Error> {
        Ok(self.call(|state, now| state.core.set_local_description(description, now))??)
    }

    /// Takes the other side's offer or answer into effect (W3C `setRemoteDescription`).
    ///
    /// # Errors
    /// When the description is refused or the peer is closed.
    pub async fn set_remote_description(&self, description: &Description) -> Result<(), Error> {
        Ok(self.call(|state, now| state.core.set_remote_description(description, now))??)
    }

    /// Our description in effect or proposed, with the candidates gathered so far.
    #[must_use]
    pub fn local_description(&self) -> Option<Description> {
        self.shared().lock().core.local_description()
    }

    /// The other side's description in effect or proposed, with the candidates that came since.
    #[must_use]
    pub fn remote_description(&self) -> Option<Description> {
        self.shared().lock().core.remote_description()
    }

    /// Our candidates: those of the sockets, and what servers have told so far.
    #[must_use]
    pub fn local_candidates(&self) -> Vec<LocalCandidate> {
        self.shared().lock().core.local_candidates().to_vec()
    }

    /// Our certificate with its key, to be kept for another peer (`certificate` of the configuration).
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        self.shared().lock().core.certificate().clone()
    }

    /// Makes an offer, takes it into effect and gives it with all candidates: for signalling that carries one message
    /// each way. Without servers they are known at once; else this waits for the servers, as long as the `gathering_patience`
    /// of the configuration allows.
    ///
    /// # Errors
    /// As [`Peer::create_offer`] and [`Peer::set_local_description`].
    pub async fn offer(&self) -> Result<Description, Error> {
        let offer = self.create_offer().await?;
        self.set_local_description(&offer).await?;
        self.wait_gathered().await;
        Ok(self.local_description().unwrap_or(offer))
    }

    /// Takes an offer, makes an answer, takes it into effect and gives it with all candidates, for which it waits as
    /// [`Peer::offer`] does.
    ///
    /// # Errors
    /// As [`Peer::set_remote_description`], [`Peer::create_answer`] and [`Peer::set_local_description`].
    pub async fn answer(&self, offer: &Description) -> Result<Description, Error> {
        self.set_remote_description(offer).await?;
        let answer = self.create_answer().await?;
        self.set_local_description(&answer).await?;
        self.wait_gathered().await;
        Ok(self.local_description().unwrap_or(answer))
    }

    /// Adds a candidate of the other side, or with an empty one the end of its candidates (W3C
    /// `addIceCandidate`). Its description must have been set before.
    ///
    /// # Errors
    /// When the candidate is refused or the peer is closed.
    pub async fn add_ice_candidate(&self, candidate: &TrickledCandidate) -> Result<(), Error> {
        Ok(self.call(|state, now| state.core.add_ice_candidate(candidate, now))??)
    }

    /// Gathers from these servers from now on (W3C `setConfiguration`). One that is known already goes on with the
    /// credentials that are named now, which is how those are renewed that expire; the candidates of one that is not named
    /// any more stay until they are lost.
    ///
    /// # Errors
    /// When one of them is no server, and then nothing has changed, or the peer is closed.
    pub fn set_servers<S: Into<IceServer>>(&self, servers: impl IntoIterator<Item = S>) -> Result<(), Error> {
        let servers = IceServer::read_all(servers)?;
        self.call(|state, now| state.core.set_servers(servers, now))
    }

    /// Lets the next offer restart ICE (W3C `restartIce`).
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn restart_ice(&self) -> Result<(), Error> {
        self.call(|state, _| state.core.restart_ice())
    }

    /// Makes a data channel. It can be sent on at once: [`Channel::send`] waits until it is open.
    ///
    /// # Errors
    /// When the configuration is refused or the peer is closed.
    pub async fn create_data_channel(&self, config: ChannelConfig) -> Result<Channel, Error> {
        let line = self.call(|state, now| {
            let channel = state.core.create_data_channel(config.clone(), now)?;
            let line = Arc::new(Line::new(channel, config, false));
            state.lines.insert(channel, Arc::clone(&line));
            Ok::<_, Error>(line)
        })??;
        Ok(Channel::new(line, Arc::clone(&self.keeper)))
    }

    /// Closes the peer. For the application all is over at once: channels and events end. This waits until
    /// the other side was told, several times since the network may lose a word, servers have back what they lent, and
    /// the sockets are closed, which takes two seconds at the most; it goes on if this is not waited for. Messages
    /// not yet acknowledged may be lost; [`Channel::flush`] waits for them.
    ///
    /// If the other side closes its peer, this one closes by itself.
    pub async fn close(&self) {
        self.shared().close();
        // The sender lives as long as `self`.
        let _ = self.shared().ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// The state of the whole connection, now and as it changes (W3C `connectionState`).
    #[must_use]
    pub fn connection_state(&self) -> watch::Receiver<ConnectionState> {
        self.shared().connection.subscribe()
    }

    /// The state of ICE, now and as it changes (W3C `iceConnectionState`).
    #[must_use]
    pub fn ice_state(&self) -> watch::Receiver<ice::State> {
        self.shared().ice.subscribe()
    }

    /// How far the gathering of candidates is, now and as it changes (W3C `iceGatheringState`).
    #[must_use]
    pub fn gathering_state(&self) -> watch::Receiver<GatheringState> {
        self.shared().gathering.subscribe()
    }

    /// Waits until all candidates are known: until every server has answered, failed or run out of time.
    pub async fn wait_gathered(&self) {
        let mut told = self.gathering_state();
        loop {
            told.mark_unchanged();
            {
                // What was told may be from before a call that has begun to gather anew.
                let state = self.shared().lock();
                if state.closing || state.core.gathering_state() == GatheringState::Complete {
                    return;
                }
            }
            // The sender lives as long as `self`.
            let _ = told.changed().await;
        }
    }

    /// The signalling state (W3C `signalingState`).
    #[must_use]
    pub fn signaling_state(&self) -> SignalingState {
        self.shared().lock().core.signaling_state()
    }

    /// Waits until the peer is connected.
    ///
    /// # Errors
    /// When it fails or is closed instead.
    pub async fn wait_connected(&self) -> Result<(), ConnectError> {
        let mut state = self.connection_state();
        loop {
            match *state.borrow_and_update() {
                ConnectionState::Connected => return Ok(()),
                ConnectionState::Closed => return Err(ConnectError::Closed),
                ConnectionState::Failed => {
                    // If there is no failure any more, a restart was begun.
                    if let Some(failure) = self.failure() {
                        return Err(ConnectError::Failed(failure));
                    }
                }
                _ => {}
            }
            state.changed().await.map_err(|_| ConnectError::Closed)?;
        }
    }

    /// Why the connection failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.shared().lock().core.failure()
    }

    /// The pair of candidates that data goes over, with its round trip and what was counted on it.
    #[must_use]
    pub fn selected_pair(&self) -> Option<PairReport> {
        self.shared().lock().core.selected_pair()
    }

    /// All pairs of candidates, with what happened to each.
    #[must_use]
    pub fn pairs(&self) -> Vec<PairReport> {
        self.shared().lock().core.pairs().collect()
    }

    /// What became of asking each STUN and TURN server from each socket, how long it took, and why it failed.
    #[must_use]
    pub fn server_reports(&self) -> Vec<ServerReport> {
        let state = self.shared().lock();
        state.core.server_reports().map(|report| state.grounds.complete_report(report)).collect()
    }

    /// What the servers tell of the NATs before the socket that is bound to `base`; none if too few have answered to tell.
    #[must_use]
    pub fn mapping(&self, base: SocketAddr) -> Option<Mapping> {
        self.shared().lock().core.mapping(base)
    }

    /// What went through the peer's sockets.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.shared().lock();
        let unused = state.core.counters();
        Stats { records_held: unused.records_held, unused, ..state.stats }
    }

    fn call<T>(&self, call: impl FnOnce(&mut State, frazil::Instant) -> T) -> Result<T, Error> {
        self.shared().call(call).ok_or(Error::Closed)
    }

    fn shared(&self) -> &Shared {
        &self.keeper.shared
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("connection", &*self.shared().connection.borrow()).finish_non_exhaustive()
    }
}

/// What went through the sockets of one peer since it was started.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams received, from anyone. Of a stream, what is read at once counts as one.
    pub datagrams_received: u64,
    /// Their bytes, without headers of UDP, TCP and IP.
    pub bytes_received: u64,
    /// Datagrams sent, or tried to be.
    pub datagrams_sent: u64,
    /// Their bytes, without UDP and IP headers.
    pub bytes_sent: u64,
    /// DTLS records received that were held back because the application does not read.
    pub records_held: u64,
    /// What the core received or wrote and did not use, by reason.
    pub unused: Counters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_go_from_thread_to_thread() {
        fn assert<T: Send + Sync + 'static>() {}
        assert::<Peer>();
        assert::<Channel>();
        assert::<Events>();
        assert::<Builder>();
        assert::<Error>();
    }
}
