//! The peer's calls that are made now and then.

use std::sync::Arc;

use crate::error::FrazilError;
use crate::event::Event;
use crate::record::{Certificate, ChannelConfig, Config, Description, HostSocket, IceCandidate, IceServer, Pair, Path};

/// One end of a connection, without sockets, clocks or threads.
///
/// After every call that takes `now`, take out all transmits, then all events, until there are neither; then call
/// `handle_timeout` when `poll_timeout` says at the latest. `now` is in nanoseconds of a monotonic clock.
///
/// Every call fails after `shutdown`, and after the core has broken down.
#[derive(uniffi::Object)]
pub struct Peer(pub(crate) frazil_border::Peer);

#[uniffi::export]
impl Peer {
    /// Makes a peer. `seed` is 32 bytes from the operating system's generator; without a certificate a new one is made.
    ///
    /// # Errors
    /// If an argument cannot be.
    #[uniffi::constructor]
    pub fn new(
        config: Config,
        servers: Vec<IceServer>,
        certificate: Option<Certificate>,
        seed: &[u8],
        now: u64,
    ) -> Result<Arc<Self>, FrazilError> {
        let servers = servers.into_iter().map(Into::into).collect();
        let peer = frazil_border::Peer::new(config.into(), servers, certificate.map(Into::into), seed, now)?;
        Ok(Arc::new(Self(peer)))
    }

    /// Where the peer is, for the hand-written calls by JNI alone. It stays there for as long as this object is held.
    #[must_use]
    pub fn address(self: Arc<Self>) -> u64 {
        Arc::as_ptr(&self) as usize as u64
    }

    /// Frees what the peer holds, without a word to the other side: `leave` says it. To do it twice is no error.
    ///
    /// # Errors
    /// If the core breaks down over it.
    pub fn shutdown(&self) -> Result<(), FrazilError> {
        Ok(self.0.close()?)
    }

    /// Takes the list of all sockets that the driver has now, such as `host_sockets` gave to bind. The first list begins the
    /// gathering; each later one that differs leads to `Event.NetworkChange`.
    ///
    /// # Errors
    /// If a socket of the list cannot be.
    pub fn handle_network_change(&self, sockets: Vec<HostSocket>, now: u64) -> Result<(), FrazilError> {
        let sockets: Vec<frazil_border::HostSocket> = sockets.into_iter().map(Into::into).collect();
        Ok(self.0.handle_network_change(&sockets, now)?)
    }

    /// Says that all sockets were named. Once the servers have answered as well, the other side is told that there are no more
    /// candidates.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn end_of_candidates(&self, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.end_of_candidates(now)?)
    }

    /// W3C `setConfiguration`, of the servers.
    ///
    /// # Errors
    /// If a server cannot be.
    pub fn set_servers(&self, servers: Vec<IceServer>, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.set_servers(servers.into_iter().map(Into::into).collect(), now)?)
    }

    /// The address of the socket that `Event.OpenSocket` has asked for; without an IP address there is none.
    ///
    /// # Errors
    /// If the IP address cannot be read.
    pub fn handle_socket_opened(
        &self,
        socket: u32,
        local_ip: Option<String>,
        local_port: u16,
        now: u64,
    ) -> Result<(), FrazilError> {
        Ok(self.0.handle_socket_opened(socket, local_ip.as_deref(), local_port, now)?)
    }

    /// The IP addresses of a name that `Event.Resolve` asked for; none if it has none.
    ///
    /// # Errors
    /// If an IP address cannot be read.
    pub fn handle_resolved(&self, request: u32, addresses: Vec<String>, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.handle_resolved(request, &addresses, now)?)
    }

    /// W3C `createOffer`. It has all candidates known by now.
    ///
    /// # Errors
    /// If the signalling state does not allow it.
    pub fn create_offer(&self) -> Result<Description, FrazilError> {
        Ok(self.0.create_offer()?.into())
    }

    /// W3C `createAnswer`. It has all candidates known by now.
    ///
    /// # Errors
    /// If the signalling state does not allow it.
    pub fn create_answer(&self) -> Result<Description, FrazilError> {
        Ok(self.0.create_answer()?.into())
    }

    /// W3C `setLocalDescription`: sets what was created last, or takes an offer back.
    ///
    /// # Errors
    /// If the signalling state does not allow it or the text is not what was created.
    pub fn set_local_description(&self, description: Description, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.set_local_description(description.into(), now)?)
    }

    /// W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer.
    ///
    /// # Errors
    /// If the signalling state does not allow it or something is wrong with the description.
    pub fn set_remote_description(&self, description: Description, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.set_remote_description(description.into(), now)?)
    }

    /// W3C `localDescription`: the last one set, with all candidates known by now.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn local_description(&self) -> Result<Option<Description>, FrazilError> {
        Ok(self.0.local_description()?.map(Into::into))
    }

    /// W3C `remoteDescription`: the last one set, with the candidates that came since.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn remote_description(&self) -> Result<Option<Description>, FrazilError> {
        Ok(self.0.remote_description()?.map(Into::into))
    }

    /// W3C `addIceCandidate`.
    ///
    /// # Errors
    /// If the candidate cannot be read, belongs to nothing that was described, or is over a limit.
    pub fn add_ice_candidate(&self, candidate: IceCandidate, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.add_ice_candidate(candidate.into(), now)?)
    }

    /// W3C `restartIce`: the next offer restarts ICE.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn restart_ice(&self) -> Result<(), FrazilError> {
        Ok(self.0.restart_ice()?)
    }

    /// The number of a path, to be used in `handle_datagram`.
    ///
    /// # Errors
    /// If the path cannot be.
    pub fn path_id(&self, path: Path) -> Result<u32, FrazilError> {
        Ok(self.0.path_id(&path.into())?)
    }

    /// The path with this number, as `poll_transmits` gives it. A number means one path for as long as it means any.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn path(&self, path: u32) -> Result<Option<Path>, FrazilError> {
        Ok(self.0.path(path)?.map(Into::into))
    }

    /// Says that the stream that `Event.OpenStream` asked for is open.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_stream_opened(&self, path: u32, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.handle_stream_opened(path, now)?)
    }

    /// Takes a stream that somebody opened to a socket of ours, and gives the number of its path.
    ///
    /// # Errors
    /// If the stream is of no use. The driver closes it.
    pub fn handle_stream_accepted(&self, path: Path, now: u64) -> Result<u32, FrazilError> {
        Ok(self.0.handle_stream_accepted(&path.into(), now)?)
    }

    /// Takes bytes of a stream as they come, cut anywhere.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_stream_data(&self, path: u32, bytes: &[u8], now: u64) -> Result<(), FrazilError> {
        Ok(self.0.handle_stream_data(path, bytes, now)?)
    }

    /// Says that a stream is closed, was broken, or could not be opened.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_stream_closed(&self, path: u32, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.handle_stream_closed(path, now)?)
    }

    /// The next thing that happened.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn poll_event(&self) -> Result<Option<Event>, FrazilError> {
        Ok(self.0.poll_event()?.map(Into::into))
    }

    /// W3C `createDataChannel`. It opens once the connection is there.
    ///
    /// # Errors
    /// If the connection is over, or the configuration is not possible.
    pub fn create_data_channel(&self, config: ChannelConfig, now: u64) -> Result<u32, FrazilError> {
        Ok(self.0.create_data_channel(config.into(), now)?)
    }

    /// W3C `bufferedAmount`: bytes that the other side has not acknowledged yet.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn buffered_amount(&self, channel: u32) -> Result<u32, FrazilError> {
        Ok(self.0.buffered_amount(channel)?)
    }

    /// W3C `bufferedAmountLowThreshold`, in bytes. Zero at first.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn set_buffered_amount_low_threshold(&self, channel: u32, bytes: u32) -> Result<(), FrazilError> {
        Ok(self.0.set_buffered_amount_low_threshold(channel, bytes)?)
    }

    /// Says how many events wait for the application to take them: with very many, bulk data is held back as with messages that
    /// are not released.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn set_event_backlog(&self, waiting: u32, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.set_event_backlog(waiting, now)?)
    }

    /// Closes a channel once what was sent is delivered. `Event.ChannelClosed` follows on both sides.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn close_channel(&self, channel: u32, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.close_channel(channel, now)?)
    }

    /// Leaves: all channels are gone at once, and the other side is told. Go on taking out transmits and minding timeouts until
    /// there are no more, two seconds at the most, so that servers get back what they lent; then `shutdown`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn leave(&self, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.leave(now)?)
    }

    /// W3C `signalingState`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn signaling_state(&self) -> Result<String, FrazilError> {
        Ok(self.0.signaling_state()?.to_owned())
    }

    /// W3C `iceConnectionState`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn ice_connection_state(&self) -> Result<String, FrazilError> {
        Ok(self.0.ice_connection_state()?.to_owned())
    }

    /// W3C `iceGatheringState`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn ice_gathering_state(&self) -> Result<String, FrazilError> {
        Ok(self.0.ice_gathering_state()?.to_owned())
    }

    /// W3C `connectionState`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn connection_state(&self) -> Result<String, FrazilError> {
        Ok(self.0.connection_state()?.to_owned())
    }

    /// Why the connection failed.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn failure(&self) -> Result<Option<String>, FrazilError> {
        Ok(self.0.failure()?)
    }

    /// The pair that carries the traffic.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn selected_pair(&self) -> Result<Option<Pair>, FrazilError> {
        Ok(self.0.selected_pair()?.map(Into::into))
    }

    /// Our certificate with its key, to be kept for another peer.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn certificate(&self) -> Result<Certificate, FrazilError> {
        Ok(self.0.certificate()?.into())
    }
}
