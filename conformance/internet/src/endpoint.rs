//! What runs on a host.

use std::net::SocketAddr;

use frazil::{Instant, Path};

/// The contract of frazil's state machines, as a driver sees it.
///
/// What has to do with streams has a default: an endpoint that uses datagrams only need not know of them.
pub trait Endpoint {
    /// What happened, and what the driver is asked to do.
    type Event;

    /// A datagram has arrived.
    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant);

    /// The time that [`Endpoint::poll_timeout`] named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Writes what is to be sent next and gives its path and its length: a datagram, or bytes of a stream if the path's
    /// protocol is TCP. Bytes for a stream that is not open are lost.
    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)>;

    /// The next event.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When to call [`Endpoint::handle_timeout`] at the latest.
    fn poll_timeout(&mut self) -> Option<Instant>;

    /// Something has happened to a TCP stream. `path.local` is the stream's own address: that of the listener which
    /// accepted it, or the one that it was connected from.
    fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        let _ = (path, input, now);
    }

    /// What is to be done next about streams.
    fn poll_stream(&mut self) -> Option<StreamRequest> {
        None
    }
}

/// What happens to a TCP stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamInput<'a> {
    /// It is open: a [`StreamRequest::Connect`] of ours has succeeded, or somebody has connected to a listener of ours.
    Opened,
    /// A [`StreamRequest::Connect`] has failed: by a reset, or because nobody answered for a minute.
    Refused,
    /// Bytes have arrived, in order.
    Data(&'a [u8]),
    /// The other side has closed it, or it was reset, or what we wrote was not acknowledged for two minutes. Not told
    /// of a stream that we have closed.
    Closed,
}

/// What a driver is asked to do about streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamRequest {
    /// Connect. Answered by [`StreamInput::Opened`] or [`StreamInput::Refused`].
    Connect {
        /// From where; port 0 stands for any that is free. A listener may have the same address and port, which is how
        /// two sides open a stream simultaneously.
        local: SocketAddr,
        /// To where.
        remote: SocketAddr,
    },
    /// Close the stream once everything that was written to it has been acknowledged.
    Close(Path),
}
