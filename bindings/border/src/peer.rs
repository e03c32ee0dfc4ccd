//! The peer: every call that crosses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use frazil::ice::{self, ResolveId, SocketId};
use frazil::peer::{self, ChannelId, MessageKind, SendError};
use frazil::{Instant, PathId};

use crate::batch;
use crate::clock::Clock;
use crate::config::{read_address, read_ip, read_servers};
use crate::error::{Error, Reason};
use crate::event::Event;
use crate::guard::guarded;
use crate::record::{Certificate, ChannelConfig, Config, Description, HostSocket, IceCandidate, IceServer, Pair, Path};

/// One end of a connection.
///
/// After every call that takes `now`, take out all transmits ([`poll_transmit`](Self::poll_transmit) or
/// [`poll_transmits`](Self::poll_transmits)), then all events ([`poll_event`](Self::poll_event)), until there are neither;
/// then call [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout) at the latest.
///
/// All methods fail after [`close`](Self::close) and after a panic in the core. `now` is in nanoseconds.
pub struct Peer {
    slot: Mutex<Slot>,
}

enum Slot {
    Open(Box<Open>),
    Closed,
    Broken,
}

struct Open {
    core: peer::Peer,
    clock: Clock,
    /// An event that was taken out of the core and not handed on yet.
    ahead: Option<peer::Event>,
}

/// What waits to be taken out by [`Peer::poll_event`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// Nothing.
    Nothing,
    /// A message, which [`Peer::poll_messages`] takes out too.
    Message,
    /// Another event.
    Event,
}

impl Waiting {
    /// The number that stands for it where plain numbers cross: nothing 0, a message 1, another event 2.
    #[must_use]
    pub const fn as_u32(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Message => 1,
            Self::Event => 2,
        }
    }
}

/// A message that was written into the caller's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// The number of its channel.
    pub channel: u32,
    /// How many bytes of the buffer it takes.
    pub len: usize,
    /// Whether it is text, in UTF-8.
    pub text: bool,
}

/// A message that was taken out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedMessage {
    /// The number of its channel.
    pub channel: u32,
    /// Whether it is text, in UTF-8.
    pub text: bool,
    /// The whole message.
    pub data: Vec<u8>,
}

impl Peer {
    /// The smallest buffer that [`poll_transmit`](Self::poll_transmit) takes, in bytes.
    pub const MIN_BUFFER: usize = peer::Peer::MIN_BUFFER;

    /// The smallest buffer that [`poll_transmits`](Self::poll_transmits) can fill with [`batch::MAX_ENTRIES`] datagrams.
    pub const BATCH_BUFFER: usize = batch::MAX_ENTRIES * (batch::HEADER + Self::MIN_BUFFER);

    /// Makes a peer. `seed` is 32 bytes from the operating system's generator; without a certificate a new one is made.
    ///
    /// # Errors
    /// If an argument cannot be.
    pub fn new(
        config: Config,
        servers: Vec<IceServer>,
        certificate: Option<Certificate>,
        seed: &[u8],
        now: u64,
    ) -> Result<Self, Error> {
        guarded(|| {
            let seed = seed
                .try_into()
                .map_err(|_| Error::argument(format!("the seed has {} bytes in place of 32", seed.len())))?;
            let config = config.read(servers, certificate)?;
            let core = peer::Peer::new(config, seed, Instant::from_nanos(now))?;
            let open = Open { core, clock: Clock::start(now), ahead: None };
            Ok(Self { slot: Mutex::new(Slot::Open(Box::new(open))) })
        })
    }

    /// Frees what the peer holds, without a word to the other side: [`leave`](Self::leave) says it. To close twice is no error.
    ///
    /// # Errors
    /// If the core breaks down over it.
    pub fn close(&self) -> Result<(), Error> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*slot, Slot::Broken) {
            // It holds nothing, and what is called later is told why.
            return Ok(());
        }
        let last = std::mem::replace(&mut *slot, Slot::Closed);
        guarded(|| {
            drop(last);
            Ok(())
        })
    }

    /// Has the open peer do something.
    fn with<R>(&self, call: impl FnOnce(&mut Open) -> Result<R, Error>) -> Result<R, Error> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut *slot {
            Slot::Open(open) => open,
            Slot::Closed => return Err(Error::new(Reason::Closed, "the peer is closed")),
            Slot::Broken => return Err(Error::new(Reason::Panicked, "the core broke down in an earlier call")),
        };
        let result = guarded(|| call(open));
        if matches!(&result, Err(error) if error.reason == Reason::Panicked) {
            let broken = std::mem::replace(&mut *slot, Slot::Broken);
            // It may be in a state that it cannot even be dropped in.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(broken)));
        }
        result
    }

    fn change(&self, change: impl FnOnce(&mut peer::Peer)) -> Result<(), Error> {
        self.with(|open| {
            change(&mut open.core);
            Ok(())
        })
    }

    fn change_at(&self, now: u64, change: impl FnOnce(&mut peer::Peer, Instant)) -> Result<(), Error> {
        self.with(|open| {
            change(&mut open.core, open.clock.read(now));
            Ok(())
        })
    }

    fn ask<R>(&self, question: impl FnOnce(&mut peer::Peer) -> R) -> Result<R, Error> {
        self.with(|open| Ok(question(&mut open.core)))
    }

    // What the machine has.

    /// Takes the list of all sockets that the driver has now, such as [`host_sockets`](crate::host_sockets) gave to bind. The
    /// first list begins the gathering; each later one that differs leads to [`Event::NetworkChange`].
    ///
    /// # Errors
    /// If a socket of the list cannot be.
    pub fn handle_network_change(&self, sockets: &[HostSocket], now: u64) -> Result<(), Error> {
        self.with(|open| {
            let sockets = sockets.iter().map(HostSocket::read).collect::<Result<Vec<_>, _>>()?;
            open.core.handle_network_change(&sockets, open.clock.read(now));
            Ok(())
        })
    }

    /// Says that all sockets were named. Once the servers have answered as well, the other side is told that there are no
    /// more candidates.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn end_of_candidates(&self, now: u64) -> Result<(), Error> {
        self.change_at(now, |core, now| core.end_of_candidates(now))
    }

    /// W3C `setConfiguration`, of the servers. With credentials that were renewed, what was lent with the old ones is kept.
    ///
    /// # Errors
    /// If a server cannot be.
    pub fn set_servers(&self, servers: Vec<IceServer>, now: u64) -> Result<(), Error> {
        self.with(|open| {
            open.core.set_servers(read_servers(servers)?, open.clock.read(now));
            Ok(())
        })
    }

    /// The address of the socket that [`Event::OpenSocket`] has asked for; without an IP address there is none.
    ///
    /// # Errors
    /// If the IP address cannot be read.
    pub fn handle_socket_opened(
        &self,
        socket: u32,
        local_ip: Option<&str>,
        local_port: u16,
        now: u64,
    ) -> Result<(), Error> {
        self.with(|open| {
            let local = local_ip.map(|ip| read_address(ip, local_port)).transpose()?;
            open.core.handle_socket_opened(SocketId::from_u32(socket), local, open.clock.read(now));
            Ok(())
        })
    }

    /// The IP addresses of a name that [`Event::Resolve`] asked for; none if it has none.
    ///
    /// # Errors
    /// If an IP address cannot be read.
    pub fn handle_resolved(&self, request: u32, addresses: &[String], now: u64) -> Result<(), Error> {
        self.with(|open| {
            let addresses = addresses.iter().map(|ip| read_ip(ip)).collect::<Result<Vec<_>, _>>()?;
            open.core.handle_resolved(ResolveId::from_u32(request), &addresses, open.clock.read(now));
            Ok(())
        })
    }

    // Offer and answer.

    /// W3C `createOffer`. It has all candidates known by now.
    ///
    /// # Errors
    /// If the signalling state does not allow it.
    pub fn create_offer(&self) -> Result<Description, Error> {
        self.with(|open| Ok(Description::of(open.core.create_offer()?)))
    }

    /// W3C `createAnswer`. It has all candidates known by now.
    ///
    /// # Errors
    /// If the signalling state does not allow it.
    pub fn create_answer(&self) -> Result<Description, Error> {
        self.with(|open| Ok(Description::of(open.core.create_answer()?)))
    }

    /// W3C `setLocalDescription`: sets what was created last, or takes an offer back.
    ///
    /// # Errors
    /// If the signalling state does not allow it or the text is not what was created.
    pub fn set_local_description(&self, description: Description, now: u64) -> Result<(), Error> {
        self.with(|open| {
            open.core.set_local_description(&description.read()?, open.clock.read(now))?;
            Ok(())
        })
    }

    /// W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer.
    ///
    /// # Errors
    /// If the signalling state does not allow it or something is wrong with the description.
    pub fn set_remote_description(&self, description: Description, now: u64) -> Result<(), Error> {
        self.with(|open| {
            open.core.set_remote_description(&description.read()?, open.clock.read(now))?;
            Ok(())
        })
    }

    /// W3C `localDescription`: the last one set, with all candidates known by now.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn local_description(&self) -> Result<Option<Description>, Error> {
        self.ask(|core| core.local_description().map(Description::of))
    }

    /// W3C `remoteDescription`: the last one set, with the candidates that came since.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn remote_description(&self) -> Result<Option<Description>, Error> {
        self.ask(|core| core.remote_description().map(Description::of))
    }

    /// W3C `addIceCandidate`.
    ///
    /// # Errors
    /// If the candidate cannot be read, belongs to nothing that was described, or is over a limit.
    pub fn add_ice_candidate(&self, candidate: IceCandidate, now: u64) -> Result<(), Error> {
        self.with(|open| Ok(open.core.add_ice_candidate(&candidate.into(), open.clock.read(now))?))
    }

    /// W3C `restartIce`: the next offer restarts ICE.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn restart_ice(&self) -> Result<(), Error> {
        self.change(peer::Peer::restart_ice)
    }

    // Datagrams.

    /// The number of a path, to be used in [`handle_datagram`](Self::handle_datagram).
    ///
    /// # Errors
    /// If the path cannot be.
    pub fn path_id(&self, path: &Path) -> Result<u32, Error> {
        self.with(|open| Ok(open.core.path_id(path.read()?).as_u32()))
    }

    /// The path with this number, as [`poll_transmit`](Self::poll_transmit) gives it. A number means one path for as long as it
    /// means any; none if it means none.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn path(&self, path: u32) -> Result<Option<Path>, Error> {
        self.ask(|core| core.path(PathId::from_u32(path)).map(Path::of))
    }

    /// Takes a datagram that the driver received. Whatever is wrong with it is counted and changes nothing.
    ///
    /// False if the number names no path any more: then ask for the path's number anew, and hand the datagram in again.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_datagram(&self, path: u32, datagram: &[u8], now: u64) -> Result<bool, Error> {
        self.with(|open| {
            let now = open.clock.read(now);
            Ok(open.handle_datagram(PathId::from_u32(path), datagram, now))
        })
    }

    /// Takes a [`batch`] of datagrams, in their order. Gives how many were taken: fewer than all if the number of the next one
    /// names no path any more.
    ///
    /// # Errors
    /// If the batch is cut short; then nothing was taken.
    pub fn handle_datagrams(&self, batch: &[u8], now: u64) -> Result<u32, Error> {
        self.with(|open| {
            batch::entries(batch).try_for_each(|entry| entry.map(drop))?;
            Ok(open.handle_each(batch::entries(batch).flatten().map(|entry| (entry.number, entry.bytes)), now))
        })
    }

    /// Takes datagrams, each with the number of its path, as [`handle_datagrams`](Self::handle_datagrams) does, for languages
    /// that have them one by one.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_each<'d>(
        &self,
        datagrams: impl IntoIterator<Item = (u32, &'d [u8])>,
        now: u64,
    ) -> Result<u32, Error> {
        self.with(|open| Ok(open.handle_each(datagrams, now)))
    }

    /// The next datagram to send, written into `buf`: the number of its path and its length in bytes.
    ///
    /// # Errors
    /// If `buf` has fewer than [`MIN_BUFFER`](Self::MIN_BUFFER) bytes.
    pub fn poll_transmit(&self, buf: &mut [u8]) -> Result<Option<(u32, usize)>, Error> {
        self.with(|open| {
            check_room(buf, Self::MIN_BUFFER)?;
            Ok(open.core.poll_transmit(buf).map(|transmit| (transmit.path.as_u32(), transmit.len)))
        })
    }

    /// The next datagrams to send, as a [`batch`] in `buf`: how many bytes of it they take. There may be more as long as that is
    /// not 0.
    ///
    /// # Errors
    /// If `buf` has no room for one, which is [`MIN_BUFFER`](Self::MIN_BUFFER) and [`batch::HEADER`] bytes.
    pub fn poll_transmits(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.with(|open| {
            check_room(buf, batch::HEADER + Self::MIN_BUFFER)?;
            let mut end = 0;
            for _ in 0..batch::MAX_ENTRIES {
                let room = &mut buf[end..];
                if room.len() < batch::HEADER + Self::MIN_BUFFER {
                    break;
                }
                let Some(transmit) = open.core.poll_transmit(&mut room[batch::HEADER..]) else { break };
                batch::write_header(room, transmit.path.as_u32(), transmit.len, false);
                end += batch::HEADER + transmit.len;
            }
            Ok(end)
        })
    }

    // Streams.

    /// Says that the stream that [`Event::OpenStream`] asked for is open.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_stream_opened(&self, path: u32, now: u64) -> Result<(), Error> {
        self.change_at(now, |core, now| core.handle_stream_opened(PathId::from_u32(path), now))
    }

    /// Takes a stream that somebody opened to a socket of ours, and gives the number of its path.
    ///
    /// # Errors
    /// If the stream is of no use. The driver closes it.
    pub fn handle_stream_accepted(&self, path: &Path, now: u64) -> Result<u32, Error> {
        self.with(|open| Ok(open.core.handle_stream_accepted(path.read()?, open.clock.read(now))?.as_u32()))
    }

    /// Takes bytes of a stream as they come, cut anywhere. Whatever is wrong with them is counted and changes nothing.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_stream_data(&self, path: u32, bytes: &[u8], now: u64) -> Result<(), Error> {
        self.change_at(now, |core, now| core.handle_stream_data(PathId::from_u32(path), bytes, now))
    }

    /// Says that a stream is closed, was broken, or could not be opened.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_stream_closed(&self, path: u32, now: u64) -> Result<(), Error> {
        self.change_at(now, |core, now| core.handle_stream_closed(PathId::from_u32(path), now))
    }

    // Time and events.

    /// Lets time pass.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_timeout(&self, now: u64) -> Result<(), Error> {
        self.change_at(now, |core, now| core.handle_timeout(now))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn poll_timeout(&self) -> Result<Option<u64>, Error> {
        self.ask(|core| core.poll_timeout().map(Instant::as_nanos))
    }

    /// The next thing that happened.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn poll_event(&self) -> Result<Option<Event>, Error> {
        self.with(|open| {
            while let Some(event) = open.next_event() {
                let event = Event::of(event, || open.core.failure().map(|failure| failure.to_string()));
                if event.is_some() {
                    return Ok(event);
                }
            }
            Ok(None)
        })
    }

    /// What [`poll_event`](Self::poll_event) would give, so that a message can be taken out in a cheaper way.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn waiting(&self) -> Result<Waiting, Error> {
        self.with(|open| {
            Ok(match open.look_ahead() {
                None => Waiting::Nothing,
                Some(peer::Event::Message { .. }) => Waiting::Message,
                Some(_) => Waiting::Event,
            })
        })
    }

    /// The next messages, up to the next other event, as a [`batch`] in `buf`: how many bytes of it they take. There may be more
    /// messages as long as that is not 0.
    ///
    /// # Errors
    /// If `buf` has no room for the first one; it is kept. [`batch::HEADER`] and the configuration's `max_message_size` are
    /// always room enough.
    pub fn poll_messages(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.with(|open| {
            let mut end = 0;
            for _ in 0..batch::MAX_ENTRIES {
                let Some(peer::Event::Message { channel, kind, data }) = open.look_ahead() else { break };
                let room = &mut buf[end..];
                let needed = batch::HEADER + data.len();
                // What does not fit behind others comes with the next call.
                if end > 0 && room.len() < needed {
                    break;
                }
                check_room(room, needed)?;
                batch::write_header(room, channel.as_u32(), data.len(), *kind == MessageKind::Text);
                room[batch::HEADER..needed].copy_from_slice(data);
                end += needed;
                open.ahead = None;
            }
            Ok(end)
        })
    }

    /// The next message, if one is next, written into `buf`.
    ///
    /// # Errors
    /// If `buf` has no room for it; it is kept. The configuration's `max_message_size` is always room enough.
    pub fn poll_message(&self, buf: &mut [u8]) -> Result<Option<Message>, Error> {
        self.with(|open| {
            let Some(peer::Event::Message { channel, kind, data }) = open.look_ahead() else { return Ok(None) };
            check_room(buf, data.len())?;
            buf[..data.len()].copy_from_slice(data);
            let message = Message { channel: channel.as_u32(), len: data.len(), text: *kind == MessageKind::Text };
            open.ahead = None;
            Ok(Some(message))
        })
    }

    /// The next messages, up to the next other event and `limit` at the most, with bytes of their own, for languages that make
    /// objects of them.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn take_messages(&self, limit: usize) -> Result<Vec<OwnedMessage>, Error> {
        self.with(|open| {
            let mut taken = Vec::new();
            while taken.len() < limit {
                match open.next_event() {
                    Some(peer::Event::Message { channel, kind, data }) => {
                        let text = kind == MessageKind::Text;
                        taken.push(OwnedMessage { channel: channel.as_u32(), text, data });
                    }
                    other => {
                        open.ahead = other;
                        break;
                    }
                }
            }
            Ok(taken)
        })
    }

    // Data channels.

    /// W3C `createDataChannel`. It opens once the connection is there.
    ///
    /// # Errors
    /// If the connection is over, or the configuration is not possible.
    pub fn create_data_channel(&self, config: ChannelConfig, now: u64) -> Result<u32, Error> {
        self.with(|open| Ok(open.core.create_data_channel(config.read()?, open.clock.read(now))?.as_u32()))
    }

    /// Sends a message; text is UTF-8. False if as much is buffered as may be: then [`Event::BufferedAmountLow`] comes when
    /// there is room.
    ///
    /// # Errors
    /// If the channel is not open, or the message is too long for the other side, or text and not UTF-8.
    pub fn send(&self, channel: u32, message: &[u8], text: bool, now: u64) -> Result<bool, Error> {
        let kind = if text { MessageKind::Text } else { MessageKind::Binary };
        self.with(|open| match open.core.send(ChannelId::from_u32(channel), kind, message, open.clock.read(now)) {
            Ok(()) => Ok(true),
            Err(SendError::BufferFull { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        })
    }

    /// Says that the application has read a message of so many bytes of a channel, where the configuration has a
    /// `receive_buffer`. Several may be told in one call, an empty one being one byte then. It is soon enough whenever half of
    /// the `receive_buffer` was read, and when nothing is left to read. Transmits and events may follow.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn release(&self, channel: u32, bytes: u32, now: u64) -> Result<(), Error> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).max(1);
        self.change_at(now, |core, now| core.release(ChannelId::from_u32(channel), bytes, now))
    }

    /// Says how many events the driver keeps for an application that is slow to take them. The other side chooses how many
    /// channels it opens: when hundreds wait, its data is held back as by a channel that is full, until half of them are taken.
    /// A driver whose application takes each event as it comes need not say it. Transmits and events may follow.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn set_event_backlog(&self, waiting: u32, now: u64) -> Result<(), Error> {
        let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        self.change_at(now, |core, now| core.set_event_backlog(waiting, now))
    }

    /// W3C `bufferedAmount`: bytes that the other side has not acknowledged yet.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn buffered_amount(&self, channel: u32) -> Result<u32, Error> {
        let amount = self.ask(|core| core.buffered_amount(ChannelId::from_u32(channel)))?;
        Ok(u32::try_from(amount).unwrap_or(u32::MAX))
    }

    /// W3C `bufferedAmountLowThreshold`, in bytes. Zero at first.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn set_buffered_amount_low_threshold(&self, channel: u32, bytes: u32) -> Result<(), Error> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.change(|core| core.set_buffered_amount_low_threshold(ChannelId::from_u32(channel), bytes))
    }

    /// Closes a channel once what was sent is delivered. [`Event::ChannelClosed`] follows on both sides.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn close_channel(&self, channel: u32, now: u64) -> Result<(), Error> {
        self.change_at(now, |core, now| core.close_channel(ChannelId::from_u32(channel), now))
    }

    /// Leaves. All channels are gone at once, and the other side is told: go on taking out transmits and minding timeouts until
    /// there are no more, two seconds at the most, so that it is told again if the first word is lost, and servers get back what
    /// they lent; then [`close`](Self::close).
    ///
    /// # Errors
    /// Only those of every call.
    pub fn leave(&self, now: u64) -> Result<(), Error> {
        self.change_at(now, |core, now| core.close(now))
    }

    // What is going on.

    /// W3C `signalingState`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn signaling_state(&self) -> Result<&'static str, Error> {
        self.ask(|core| core.signaling_state().as_str())
    }

    /// W3C `iceConnectionState`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn ice_connection_state(&self) -> Result<&'static str, Error> {
        self.ask(|core| core.ice_state().as_str())
    }

    /// W3C `iceGatheringState`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn ice_gathering_state(&self) -> Result<&'static str, Error> {
        self.ask(|core| core.gathering_state().as_str())
    }

    /// W3C `connectionState`.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn connection_state(&self) -> Result<&'static str, Error> {
        self.ask(|core| core.connection_state().as_str())
    }

    /// Why the connection failed.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn failure(&self) -> Result<Option<String>, Error> {
        self.ask(|core| core.failure().map(|failure| failure.to_string()))
    }

    /// The pair that carries the traffic.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn selected_pair(&self) -> Result<Option<Pair>, Error> {
        self.ask(|core| core.selected_pair().map(|pair| Pair::of(&pair)))
    }

    /// Our certificate with its key, to be kept for another peer.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn certificate(&self) -> Result<Certificate, Error> {
        self.ask(|core| {
            let peer::Certificate { certificate, private_key } = core.certificate().clone();
            Certificate { certificate, private_key }
        })
    }
}

impl Open {
    fn handle_datagram(&mut self, path: PathId, datagram: &[u8], now: Instant) -> bool {
        let known = self.core.path(path).is_some();
        if known {
            self.core.handle_datagram(path, datagram, now);
        }
        known
    }

    fn handle_each<'d>(&mut self, datagrams: impl IntoIterator<Item = (u32, &'d [u8])>, now: u64) -> u32 {
        let now = self.clock.read(now);
        let mut taken = 0;
        for (path, datagram) in datagrams {
            if !self.handle_datagram(PathId::from_u32(path), datagram, now) {
                break;
            }
            taken += 1;
        }
        taken
    }

    fn next_event(&mut self) -> Option<peer::Event> {
        self.ahead.take().or_else(|| self.core.poll_event())
    }

    fn look_ahead(&mut self) -> Option<&peer::Event> {
        if self.ahead.is_none() {
            self.ahead = self.core.poll_event();
        }
        self.ahead.as_ref()
    }
}

impl Pair {
    fn of(pair: &ice::PairReport) -> Self {
        let (local, remote) = (&pair.local.candidate, &pair.remote);
        Self {
            path: pair.path.as_u32(),
            protocol: crate::config::word_of(local.transport.protocol()).to_owned(),
            local_type: local.kind.to_string(),
            local_ip: local.address.ip().to_string(),
            local_port: local.address.port(),
            remote_type: remote.kind.to_string(),
            remote_ip: remote.address.ip().to_string(),
            remote_port: remote.address.port(),
            round_trip: pair.stats.round_trip.map(|time| time.as_secs_f64() * 1e3),
        }
    }
}

fn check_room(buf: &[u8], needed: usize) -> Result<(), Error> {
    if buf.len() < needed {
        return Err(Error::argument(format!("a buffer of {} bytes, where {needed} are needed", buf.len())));
    }
    Ok(())
}

impl core::fmt::Debug for Peer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Peer")
    }
}
