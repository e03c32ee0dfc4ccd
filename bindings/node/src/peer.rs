//! The peer as a class.

use frazil_border as border;
use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;

use crate::crossing::{Crossing, give};
use crate::error::Result;
use crate::event::Event;
use crate::record::{Certificate, ChannelConfig, Config, Description, HostSocket, IceCandidate, IceServer, Pair, Path};
use crate::time::{to_milliseconds, to_nanos};

/// How many paths are told apart in front of a length: `pollTransmit` gives `length + 65536 * path`.
const PATH_UNIT: f64 = 65_536.0;

/// What `pollTransmit` gives if there is nothing to send.
const NONE: f64 = -1.0;

/// One end of a connection, without sockets or a clock.
///
/// After every call that takes `now`, take out all transmits (`pollTransmit` or `pollTransmits`), then all events (`pollEvent`),
/// until there are neither; then call `handleTimeout` at `pollTimeout` at the latest. `now` is in milliseconds of a clock that
/// never goes back, such as `performance.now()`.
///
/// What goes wrong is thrown as a `FrazilError`. All methods throw after `close` and after a panic in the core.
#[napi]
pub struct Peer {
    inner: border::Peer,
}

#[napi]
impl Peer {
    /// Makes a peer. `seed` is 32 bytes from the operating system's generator, such as `crypto.randomBytes(32)`; without a
    /// certificate a new one is made.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        config: Config,
        servers: Vec<IceServer>,
        certificate: Option<Certificate>,
        seed: &[u8],
        now: f64,
    ) -> Result<Self> {
        let (config, servers, certificate) =
            (config.take("")?, servers.take("")?, certificate.map(|certificate| certificate.take("")).transpose()?);
        Ok(Self { inner: border::Peer::new(config, servers, certificate, seed, to_nanos(now)?)? })
    }

    /// Frees what the peer holds, without a word to the other side: `leave` says it. To close twice is no error.
    #[napi(catch_unwind)]
    pub fn close(&self) -> Result<()> {
        Ok(self.inner.close()?)
    }

    // What the machine has.

    /// Takes the list of all sockets that the driver has now, such as `hostSockets` gave to bind. The first list begins the
    /// gathering; each later one that differs leads to the event `NetworkChange`.
    #[napi(catch_unwind)]
    pub fn handle_network_change(&self, sockets: Vec<HostSocket>, now: f64) -> Result<()> {
        let sockets: Vec<border::HostSocket> = sockets.take("")?;
        Ok(self.inner.handle_network_change(&sockets, to_nanos(now)?)?)
    }

    /// Says that all sockets were named. Once the servers have answered as well, the other side is told that there are no more
    /// candidates.
    #[napi(catch_unwind)]
    pub fn end_of_candidates(&self, now: f64) -> Result<()> {
        Ok(self.inner.end_of_candidates(to_nanos(now)?)?)
    }

    /// W3C `setConfiguration`, of the servers. With credentials that were renewed, what was lent with the old ones is kept.
    #[napi(catch_unwind)]
    pub fn set_servers(&self, servers: Vec<IceServer>, now: f64) -> Result<()> {
        Ok(self.inner.set_servers(servers.take("")?, to_nanos(now)?)?)
    }

    /// The address of the socket that the event `OpenSocket` has asked for; without an IP address there is none.
    #[napi(catch_unwind)]
    pub fn handle_socket_opened(&self, socket: f64, local_ip: Option<String>, local_port: f64, now: f64) -> Result<()> {
        let (socket, local_port) = (socket.take("socket")?, local_port.take("localPort")?);
        Ok(self.inner.handle_socket_opened(socket, local_ip.as_deref(), local_port, to_nanos(now)?)?)
    }

    /// The IP addresses of a name that the event `Resolve` asked for; none if it has none.
    #[napi(catch_unwind)]
    pub fn handle_resolved(&self, request: f64, addresses: Vec<String>, now: f64) -> Result<()> {
        Ok(self.inner.handle_resolved(request.take("request")?, &addresses, to_nanos(now)?)?)
    }

    // Offer and answer.

    /// W3C `createOffer`. It has all candidates known by now.
    #[napi(catch_unwind)]
    pub fn create_offer(&self) -> Result<Description> {
        Ok(give(self.inner.create_offer()?))
    }

    /// W3C `createAnswer`. It has all candidates known by now.
    #[napi(catch_unwind)]
    pub fn create_answer(&self) -> Result<Description> {
        Ok(give(self.inner.create_answer()?))
    }

    /// W3C `setLocalDescription`: sets what was created last, or takes an offer back.
    #[napi(catch_unwind)]
    pub fn set_local_description(&self, description: Description, now: f64) -> Result<()> {
        Ok(self.inner.set_local_description(description.take("")?, to_nanos(now)?)?)
    }

    /// W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer.
    #[napi(catch_unwind)]
    pub fn set_remote_description(&self, description: Description, now: f64) -> Result<()> {
        Ok(self.inner.set_remote_description(description.take("")?, to_nanos(now)?)?)
    }

    /// W3C `localDescription`: the last one set, with all candidates known by now.
    #[napi(catch_unwind)]
    pub fn local_description(&self) -> Result<Option<Description>> {
        Ok(self.inner.local_description()?.map(give))
    }

    /// W3C `remoteDescription`: the last one set, with the candidates that came since.
    #[napi(catch_unwind)]
    pub fn remote_description(&self) -> Result<Option<Description>> {
        Ok(self.inner.remote_description()?.map(give))
    }

    /// W3C `addIceCandidate`.
    #[napi(catch_unwind)]
    pub fn add_ice_candidate(&self, candidate: IceCandidate, now: f64) -> Result<()> {
        Ok(self.inner.add_ice_candidate(candidate.take("")?, to_nanos(now)?)?)
    }

    /// W3C `restartIce`: the next offer restarts ICE.
    #[napi(catch_unwind)]
    pub fn restart_ice(&self) -> Result<()> {
        Ok(self.inner.restart_ice()?)
    }

    // Datagrams.

    /// The number of a path, to be used in `handleDatagram`.
    #[napi(catch_unwind)]
    pub fn path_id(&self, #[napi(ts_arg_type = "Path")] path: Path) -> Result<u32> {
        Ok(self.inner.path_id(&path.take("")?)?)
    }

    /// The path with this number, as `pollTransmit` gives it. A number means one path for as long as it means any; null if it
    /// means none.
    #[napi(catch_unwind, ts_return_type = "Path | null")]
    pub fn path(&self, path: f64) -> Result<Option<Path>> {
        Ok(self.inner.path(path.take("path")?)?.map(give))
    }

    /// Takes a datagram that the driver received. Whatever is wrong with it is counted and changes nothing.
    ///
    /// False if the number names no path any more: then ask for the path's number anew, and hand the datagram in again.
    #[napi(catch_unwind)]
    pub fn handle_datagram(&self, path: f64, datagram: &[u8], now: f64) -> Result<bool> {
        Ok(self.inner.handle_datagram(path.take("path")?, datagram, to_nanos(now)?)?)
    }

    /// Takes a batch of datagrams, in their order: of each the number of its path and its length, 4 bytes each with the low byte
    /// first, then its bytes. Gives how many were taken: fewer than all if the number of the next one names no path any more.
    #[napi(catch_unwind)]
    pub fn handle_datagrams(&self, batch: &[u8], now: f64) -> Result<u32> {
        Ok(self.inner.handle_datagrams(batch, to_nanos(now)?)?)
    }

    /// The next datagram to send, written into `buffer`, which has at least `MIN_BUFFER` bytes: `length + 65536 * path`, or -1
    /// if there is none.
    #[napi(catch_unwind)]
    pub fn poll_transmit(&self, mut buffer: Uint8ArraySlice<'_>) -> Result<f64> {
        let transmit = self.inner.poll_transmit(room(&mut buffer))?;
        Ok(transmit.map_or(NONE, |(path, len)| len as f64 + PATH_UNIT * f64::from(path)))
    }

    /// The next datagrams to send, as a batch in `buffer` like that of `handleDatagrams`: how many bytes of it they take. There
    /// may be more as long as that is not 0. `BATCH_BUFFER` bytes are room for as many as there may be in one.
    #[napi(catch_unwind)]
    pub fn poll_transmits(&self, mut buffer: Uint8ArraySlice<'_>) -> Result<f64> {
        Ok(self.inner.poll_transmits(room(&mut buffer))? as f64)
    }

    // Streams.

    /// Says that the stream that the event `OpenStream` asked for is open.
    #[napi(catch_unwind)]
    pub fn handle_stream_opened(&self, path: f64, now: f64) -> Result<()> {
        Ok(self.inner.handle_stream_opened(path.take("path")?, to_nanos(now)?)?)
    }

    /// Takes a stream that somebody opened to a socket of ours, and gives the number of its path. If it throws, the stream is of
    /// no use, and the driver closes it.
    #[napi(catch_unwind)]
    pub fn handle_stream_accepted(&self, #[napi(ts_arg_type = "Path")] path: Path, now: f64) -> Result<u32> {
        Ok(self.inner.handle_stream_accepted(&path.take("")?, to_nanos(now)?)?)
    }

    /// Takes bytes of a stream as they come, cut anywhere. Whatever is wrong with them is counted and changes nothing.
    #[napi(catch_unwind)]
    pub fn handle_stream_data(&self, path: f64, bytes: &[u8], now: f64) -> Result<()> {
        Ok(self.inner.handle_stream_data(path.take("path")?, bytes, to_nanos(now)?)?)
    }

    /// Says that a stream is closed, was broken, or could not be opened.
    #[napi(catch_unwind)]
    pub fn handle_stream_closed(&self, path: f64, now: f64) -> Result<()> {
        Ok(self.inner.handle_stream_closed(path.take("path")?, to_nanos(now)?)?)
    }

    // Time and events.

    /// Lets time pass.
    #[napi(catch_unwind)]
    pub fn handle_timeout(&self, now: f64) -> Result<()> {
        Ok(self.inner.handle_timeout(to_nanos(now)?)?)
    }

    /// When `handleTimeout` is to be called at the latest, in milliseconds; null if nothing is waited for.
    #[napi(catch_unwind)]
    pub fn poll_timeout(&self) -> Result<Option<f64>> {
        Ok(self.inner.poll_timeout()?.map(to_milliseconds))
    }

    /// The next thing that happened; null if nothing did.
    #[napi(catch_unwind, ts_return_type = "Event | null")]
    pub fn poll_event(&self) -> Result<Option<Event>> {
        Ok(self.inner.poll_event()?.map(Event))
    }

    /// What `pollEvent` would give: 0 for nothing, 1 for a message, which `pollMessages` takes out in a cheaper way, 2 for
    /// another event.
    #[napi(catch_unwind, ts_return_type = "0 | 1 | 2")]
    pub fn waiting(&self) -> Result<u32> {
        Ok(self.inner.waiting()?.as_u32())
    }

    /// The next messages, up to the next other event, as a batch in `buffer`: of each the number of its channel and its length,
    /// 4 bytes each with the low byte first, then its bytes; the bit `TEXT` of the length is set if it is text. Gives how many
    /// bytes of the buffer they take. There may be more messages as long as that is not 0.
    ///
    /// Throws if the buffer has no room for the first one, which is kept: `HEADER` and the configuration's `maxMessageSize` are
    /// always room enough.
    #[napi(catch_unwind)]
    pub fn poll_messages(&self, mut buffer: Uint8ArraySlice<'_>) -> Result<f64> {
        Ok(self.inner.poll_messages(room(&mut buffer))? as f64)
    }

    /// The next message, if one is next, written into `buffer`; null if none is.
    ///
    /// Throws if the buffer has no room for it, and it is kept: the configuration's `maxMessageSize` is always room enough.
    #[napi(catch_unwind)]
    pub fn poll_message(&self, mut buffer: Uint8ArraySlice<'_>) -> Result<Option<WrittenMessage>> {
        let message = self.inner.poll_message(room(&mut buffer))?;
        Ok(message.map(|border::Message { channel, len, text }| WrittenMessage { channel, length: len as f64, text }))
    }

    // Data channels.

    /// W3C `createDataChannel`, which gives the channel's number. It opens once the connection is there.
    #[napi(catch_unwind)]
    pub fn create_data_channel(&self, config: ChannelConfig, now: f64) -> Result<u32> {
        Ok(self.inner.create_data_channel(config.take("")?, to_nanos(now)?)?)
    }

    /// Sends a message; text is UTF-8. False if as much is buffered as may be: then the event `BufferedAmountLow` comes when
    /// there is room.
    #[napi(catch_unwind)]
    pub fn send(&self, channel: f64, message: &[u8], text: bool, now: f64) -> Result<bool> {
        Ok(self.inner.send(channel.take("channel")?, message, text, to_nanos(now)?)?)
    }

    /// Says that the application has read a message of so many bytes of a channel, where the configuration has a
    /// `receiveBuffer`. Several may be told in one call, an empty one being one byte then. It is soon enough whenever half of the
    /// `receiveBuffer` was read, and when nothing is left to read. Transmits and events may follow.
    #[napi(catch_unwind)]
    pub fn release(&self, channel: f64, bytes: f64, now: f64) -> Result<()> {
        Ok(self.inner.release(channel.take("channel")?, bytes.take("bytes")?, to_nanos(now)?)?)
    }

    /// Says how many events the driver keeps for an application that is slow to take them. The other side chooses how many
    /// channels it opens: when hundreds wait, its data is held back, until half of them are taken.
    #[napi(catch_unwind)]
    pub fn set_event_backlog(&self, waiting: f64, now: f64) -> Result<()> {
        Ok(self.inner.set_event_backlog(waiting.take("waiting")?, to_nanos(now)?)?)
    }

    /// W3C `bufferedAmount`: bytes that the other side has not acknowledged yet.
    #[napi(catch_unwind)]
    pub fn buffered_amount(&self, channel: f64) -> Result<u32> {
        Ok(self.inner.buffered_amount(channel.take("channel")?)?)
    }

    /// W3C `bufferedAmountLowThreshold`, in bytes. Zero at first.
    #[napi(catch_unwind)]
    pub fn set_buffered_amount_low_threshold(&self, channel: f64, bytes: f64) -> Result<()> {
        Ok(self.inner.set_buffered_amount_low_threshold(channel.take("channel")?, bytes.take("bytes")?)?)
    }

    /// Closes a channel once what was sent is delivered. The event `ChannelClosed` follows on both sides.
    #[napi(catch_unwind)]
    pub fn close_channel(&self, channel: f64, now: f64) -> Result<()> {
        Ok(self.inner.close_channel(channel.take("channel")?, to_nanos(now)?)?)
    }

    /// Leaves. All channels are gone at once, and the other side is told: go on taking out transmits and minding timeouts until
    /// there are no more, two seconds at the most, so that it is told again if the first word is lost, and servers get back what
    /// they lent; then `close`.
    #[napi(catch_unwind)]
    pub fn leave(&self, now: f64) -> Result<()> {
        Ok(self.inner.leave(to_nanos(now)?)?)
    }

    // What is going on.

    /// W3C `signalingState`.
    #[napi(catch_unwind)]
    pub fn signaling_state(&self) -> Result<&'static str> {
        Ok(self.inner.signaling_state()?)
    }

    /// W3C `iceConnectionState`.
    #[napi(catch_unwind)]
    pub fn ice_connection_state(&self) -> Result<&'static str> {
        Ok(self.inner.ice_connection_state()?)
    }

    /// W3C `iceGatheringState`.
    #[napi(catch_unwind)]
    pub fn ice_gathering_state(&self) -> Result<&'static str> {
        Ok(self.inner.ice_gathering_state()?)
    }

    /// W3C `connectionState`.
    #[napi(catch_unwind)]
    pub fn connection_state(&self) -> Result<&'static str> {
        Ok(self.inner.connection_state()?)
    }

    /// Why the connection failed; null if it did not.
    #[napi(catch_unwind)]
    pub fn failure(&self) -> Result<Option<String>> {
        Ok(self.inner.failure()?)
    }

    /// The pair that carries the traffic; null if there is none.
    #[napi(catch_unwind)]
    pub fn selected_pair(&self) -> Result<Option<Pair>> {
        Ok(self.inner.selected_pair()?.map(give))
    }

    /// Our certificate with its key, to be kept for another peer.
    #[napi(catch_unwind)]
    pub fn certificate(&self) -> Result<Certificate> {
        Ok(give(self.inner.certificate()?))
    }
}

/// A message that was written into the caller's buffer.
#[napi(object, object_from_js = false)]
pub struct WrittenMessage {
    /// The number of its channel.
    pub channel: u32,
    /// How many bytes of the buffer it takes.
    pub length: f64,
    /// Whether it is text, in UTF-8.
    pub text: bool,
}

fn room<'b>(buffer: &'b mut Uint8ArraySlice<'_>) -> &'b mut [u8] {
    // SAFETY: JavaScript stands still while it waits for the call to return, and nothing in the call runs any.
    unsafe { buffer.as_mut() }
}
