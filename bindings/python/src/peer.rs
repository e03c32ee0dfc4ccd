//! The peer: every call of `frazil_border::Peer`.
//!
//! Nothing of Python's happens within a call of the core's: a finalizer, which may run whenever Python allocates, would find
//! the core locked.

use frazil_border::batch::{self, MAX_ENTRIES};
use frazil_border::{Error, OwnedMessage};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::bytes::{bytes_of, with_buffer};
use crate::error::{protected, raise};
use crate::event::{self, Message};
use crate::record::{Certificate, ChannelConfig, Config, Description, HostSocket, IceCandidate, IceServer, Pair, Path};

/// One end of a connection, without sockets, clock or threads.
///
/// After every call that takes `now`, take out all transmits (poll_transmit or poll_transmits), then all events (poll_event),
/// until there are neither; then call handle_timeout at poll_timeout at the latest.
///
/// `now` is in nanoseconds of a monotonic clock, such as time.monotonic_ns(). `seed` is 32 bytes from the operating system's
/// generator, such as os.urandom(32); without a certificate a new one is made.
///
/// All methods raise an Error after close and after the core has broken down. Any thread may call.
#[pyclass(frozen, module = "frazil")]
pub(crate) struct Peer {
    core: frazil_border::Peer,
}

/// What `Peer.poll_event` would give.
#[pyclass(frozen, eq, hash, module = "frazil", rename_all = "SCREAMING_SNAKE_CASE")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Waiting {
    /// Nothing.
    Nothing,
    /// A message.
    Message,
    /// Another event.
    Event,
}

impl Peer {
    fn call<R>(&self, call: impl FnOnce(&frazil_border::Peer) -> Result<R, Error>) -> PyResult<R> {
        protected(|| call(&self.core).map_err(raise))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // That the core breaks down over it, nobody can be told.
        let _ = self.core.close();
    }
}

fn all<T, U: From<T>>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(U::from).collect()
}

#[pymethods]
impl Peer {
    #[new]
    #[pyo3(signature = (*, config = None, servers = Vec::new(), certificate = None, seed, now))]
    fn new(
        config: Option<Config>,
        servers: Vec<IceServer>,
        certificate: Option<Certificate>,
        seed: &Bound<'_, PyAny>,
        now: u64,
    ) -> PyResult<Self> {
        let config = config.map(Into::into).unwrap_or_default();
        let (servers, certificate) = (all(servers), certificate.map(Into::into));
        let seed_bytes = bytes_of(seed)?;
        // To make a certificate takes long enough for others to go on meanwhile.
        let core = protected(|| {
            seed.py().detach(|| frazil_border::Peer::new(config, servers, certificate, &seed_bytes, now)).map_err(raise)
        })?;
        Ok(Self { core })
    }

    /// Frees what the peer holds, without a word to the other side: leave says it. To close twice is no error.
    fn close(&self) -> PyResult<()> {
        self.call(frazil_border::Peer::close)
    }

    /// Takes the list of all sockets that the driver has now, such as host_sockets gave to bind.
    ///
    /// The first list begins the gathering; each later one that differs leads to NetworkChange.
    fn handle_network_change(&self, sockets: Vec<HostSocket>, now: u64) -> PyResult<()> {
        let sockets: Vec<_> = all(sockets);
        self.call(|core| core.handle_network_change(&sockets, now))
    }

    /// Says that all sockets were named.
    ///
    /// Once the servers have answered as well, the other side is told that there are no more candidates.
    fn end_of_candidates(&self, now: u64) -> PyResult<()> {
        self.call(|core| core.end_of_candidates(now))
    }

    /// W3C setConfiguration, of the servers. With credentials that were renewed, what was lent with the old ones is kept.
    fn set_servers(&self, servers: Vec<IceServer>, now: u64) -> PyResult<()> {
        self.call(|core| core.set_servers(all(servers), now))
    }

    /// The address of the socket that OpenSocket has asked for; without an IP address there is none.
    fn handle_socket_opened(&self, socket: u32, local_ip: Option<&str>, local_port: u16, now: u64) -> PyResult<()> {
        self.call(|core| core.handle_socket_opened(socket, local_ip, local_port, now))
    }

    /// The IP addresses of a name that Resolve asked for; none if it has none.
    fn handle_resolved(&self, request: u32, addresses: Vec<String>, now: u64) -> PyResult<()> {
        self.call(|core| core.handle_resolved(request, &addresses, now))
    }

    /// W3C createOffer. It has all candidates known by now.
    fn create_offer(&self) -> PyResult<Description> {
        self.call(frazil_border::Peer::create_offer).map(Into::into)
    }

    /// W3C createAnswer. It has all candidates known by now.
    fn create_answer(&self) -> PyResult<Description> {
        self.call(frazil_border::Peer::create_answer).map(Into::into)
    }

    /// W3C setLocalDescription: sets what was created last, or takes an offer back.
    fn set_local_description(&self, description: Description, now: u64) -> PyResult<()> {
        self.call(|core| core.set_local_description(description.into(), now))
    }

    /// W3C setRemoteDescription. An offer takes back an offer of ours that waits for its answer.
    fn set_remote_description(&self, description: Description, now: u64) -> PyResult<()> {
        self.call(|core| core.set_remote_description(description.into(), now))
    }

    /// W3C localDescription: the last one set, with all candidates known by now.
    fn local_description(&self) -> PyResult<Option<Description>> {
        Ok(self.call(frazil_border::Peer::local_description)?.map(Into::into))
    }

    /// W3C remoteDescription: the last one set, with the candidates that came since.
    fn remote_description(&self) -> PyResult<Option<Description>> {
        Ok(self.call(frazil_border::Peer::remote_description)?.map(Into::into))
    }

    /// W3C addIceCandidate.
    fn add_ice_candidate(&self, candidate: IceCandidate, now: u64) -> PyResult<()> {
        self.call(|core| core.add_ice_candidate(candidate.into(), now))
    }

    /// W3C restartIce: the next offer restarts ICE.
    fn restart_ice(&self) -> PyResult<()> {
        self.call(frazil_border::Peer::restart_ice)
    }

    /// The number of a path, to be used in handle_datagram.
    fn path_id(&self, path: Path) -> PyResult<u32> {
        self.call(|core| core.path_id(&path.into()))
    }

    /// The path with this number, as poll_transmit gives it; None if the number means none.
    ///
    /// A number means one path for as long as it means any.
    fn path(&self, path: u32) -> PyResult<Option<Path>> {
        Ok(self.call(|core| core.path(path))?.map(Into::into))
    }

    /// Takes a datagram that the driver received. Whatever is wrong with it is counted and changes nothing.
    ///
    /// False if the number names no path any more: then ask for the path's number anew, and hand the datagram in again.
    fn handle_datagram(&self, path: u32, datagram: &Bound<'_, PyAny>, now: u64) -> PyResult<bool> {
        let datagram = bytes_of(datagram)?;
        self.call(|core| core.handle_datagram(path, &datagram, now))
    }

    /// Takes datagrams in their order, each with the number of its path.
    ///
    /// Gives how many were taken: fewer than all if the number of the next one names no path any more.
    fn handle_datagrams(&self, batch: Vec<(u32, Bound<'_, PyAny>)>, now: u64) -> PyResult<u32> {
        let batch = batch.iter().map(|(path, datagram)| Ok((*path, bytes_of(datagram)?)));
        let batch = batch.collect::<PyResult<Vec<_>>>()?;
        self.call(|core| core.handle_each(batch.iter().map(|(path, datagram)| (*path, datagram.as_ref())), now))
    }

    /// The next datagram to send, and before it the number of its path.
    fn poll_transmit<'py>(&self, py: Python<'py>) -> PyResult<Option<(u32, Bound<'py, PyBytes>)>> {
        with_buffer(frazil_border::Peer::MIN_BUFFER, |buffer| {
            let transmit = self.call(|core| core.poll_transmit(buffer))?;
            Ok(transmit.map(|(path, len)| (path, PyBytes::new(py, &buffer[..len]))))
        })
    }

    /// The next datagrams to send, sixteen at the most. There may be more as long as the list is not empty.
    fn poll_transmits<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u32, Bound<'py, PyBytes>)>> {
        with_buffer(frazil_border::Peer::BATCH_BUFFER, |buffer| {
            let len = self.call(|core| core.poll_transmits(buffer))?;
            let entries = batch::entries(&buffer[..len]).flatten();
            Ok(entries.map(|entry| (entry.number, PyBytes::new(py, entry.bytes))).collect())
        })
    }

    /// Says that the stream that OpenStream asked for is open.
    fn handle_stream_opened(&self, path: u32, now: u64) -> PyResult<()> {
        self.call(|core| core.handle_stream_opened(path, now))
    }

    /// Takes a stream that somebody opened to a socket of ours, and gives the number of its path.
    ///
    /// If the stream is of no use that is an error; the driver closes it.
    fn handle_stream_accepted(&self, path: Path, now: u64) -> PyResult<u32> {
        self.call(|core| core.handle_stream_accepted(&path.into(), now))
    }

    /// Takes bytes of a stream as they come, cut anywhere. Whatever is wrong with them is counted and changes nothing.
    fn handle_stream_data(&self, path: u32, data: &Bound<'_, PyAny>, now: u64) -> PyResult<()> {
        let data = bytes_of(data)?;
        self.call(|core| core.handle_stream_data(path, &data, now))
    }

    /// Says that a stream is closed, was broken, or could not be opened.
    fn handle_stream_closed(&self, path: u32, now: u64) -> PyResult<()> {
        self.call(|core| core.handle_stream_closed(path, now))
    }

    /// Lets time pass.
    fn handle_timeout(&self, now: u64) -> PyResult<()> {
        self.call(|core| core.handle_timeout(now))
    }

    /// When handle_timeout is to be called at the latest; None if nothing waits for time to pass.
    fn poll_timeout(&self) -> PyResult<Option<u64>> {
        self.call(frazil_border::Peer::poll_timeout)
    }

    /// The next thing that happened; None if there is nothing more.
    fn poll_event(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let event = self.call(frazil_border::Peer::poll_event)?;
        event.map(|event| event::to_object(py, event)).transpose()
    }

    /// What poll_event would give.
    fn waiting(&self) -> PyResult<Waiting> {
        Ok(match self.call(frazil_border::Peer::waiting)? {
            frazil_border::Waiting::Nothing => Waiting::Nothing,
            frazil_border::Waiting::Message => Waiting::Message,
            frazil_border::Waiting::Event => Waiting::Event,
        })
    }

    /// The next messages up to the next other event, sixteen at the most.
    fn poll_messages(&self, py: Python<'_>) -> PyResult<Vec<Message>> {
        let messages = self.call(|core| core.take_messages(MAX_ENTRIES))?;
        let of = |OwnedMessage { channel, text, data }| Message::new(py, channel, text, &data);
        Ok(messages.into_iter().map(of).collect())
    }

    /// The next message, if one is next.
    fn poll_message(&self, py: Python<'_>) -> PyResult<Option<Message>> {
        let message = self.call(|core| core.take_messages(1))?.pop();
        Ok(message.map(|OwnedMessage { channel, text, data }| Message::new(py, channel, text, &data)))
    }

    /// W3C createDataChannel. It opens once the connection is there.
    fn create_data_channel(&self, config: ChannelConfig, now: u64) -> PyResult<u32> {
        self.call(|core| core.create_data_channel(config.into(), now))
    }

    /// Sends a message: text if it is a str, else binary.
    ///
    /// False if as much is buffered as may be: then BufferedAmountLow comes when there is room.
    fn send(&self, channel: u32, message: &Bound<'_, PyAny>, now: u64) -> PyResult<bool> {
        match message.cast::<PyString>() {
            Ok(text) => {
                let text = text.to_str()?;
                self.call(|core| core.send(channel, text.as_bytes(), true, now))
            }
            Err(_) => {
                let bytes = bytes_of(message)?;
                self.call(|core| core.send(channel, &bytes, false, now))
            }
        }
    }

    /// Says that the application has read that many bytes of the messages of a channel, where the configuration has a
    /// receive_buffer.
    fn release(&self, channel: u32, bytes: u32, now: u64) -> PyResult<()> {
        self.call(|core| core.release(channel, bytes, now))
    }

    /// Says how many events the driver keeps for an application that is slow to take them.
    ///
    /// The other side chooses how many channels it opens: when hundreds wait, its data is held back, until half of them are
    /// taken.
    fn set_event_backlog(&self, waiting: u32, now: u64) -> PyResult<()> {
        self.call(|core| core.set_event_backlog(waiting, now))
    }

    /// W3C bufferedAmount: bytes that the other side has not acknowledged yet.
    fn buffered_amount(&self, channel: u32) -> PyResult<u32> {
        self.call(|core| core.buffered_amount(channel))
    }

    /// W3C bufferedAmountLowThreshold, in bytes. Zero at first.
    fn set_buffered_amount_low_threshold(&self, channel: u32, bytes: u32) -> PyResult<()> {
        self.call(|core| core.set_buffered_amount_low_threshold(channel, bytes))
    }

    /// Closes a channel once what was sent is delivered. ChannelClosed follows on both sides.
    fn close_channel(&self, channel: u32, now: u64) -> PyResult<()> {
        self.call(|core| core.close_channel(channel, now))
    }

    /// Leaves. All channels are gone at once, and the other side is told.
    ///
    /// Go on taking out transmits and minding timeouts until there are no more, two seconds at the most, so that it is told
    /// again if the first word is lost, and servers get back what they lent; then close.
    fn leave(&self, now: u64) -> PyResult<()> {
        self.call(|core| core.leave(now))
    }

    /// W3C signalingState.
    fn signaling_state(&self) -> PyResult<&'static str> {
        self.call(frazil_border::Peer::signaling_state)
    }

    /// W3C iceConnectionState.
    fn ice_connection_state(&self) -> PyResult<&'static str> {
        self.call(frazil_border::Peer::ice_connection_state)
    }

    /// W3C iceGatheringState.
    fn ice_gathering_state(&self) -> PyResult<&'static str> {
        self.call(frazil_border::Peer::ice_gathering_state)
    }

    /// W3C connectionState.
    fn connection_state(&self) -> PyResult<&'static str> {
        self.call(frazil_border::Peer::connection_state)
    }

    /// Why the connection failed; None if it did not.
    fn failure(&self) -> PyResult<Option<String>> {
        self.call(frazil_border::Peer::failure)
    }

    /// The pair that carries the traffic; None if there is none.
    fn selected_pair(&self) -> PyResult<Option<Pair>> {
        Ok(self.call(frazil_border::Peer::selected_pair)?.map(Into::into))
    }

    /// Our certificate with its key, to be kept for another peer.
    fn certificate(&self) -> PyResult<Certificate> {
        self.call(frazil_border::Peer::certificate).map(Into::into)
    }
}
