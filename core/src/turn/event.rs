//! What a client reports, and what it asks its driver to do.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use super::{DataStream, Failure, Loss, Refusal, ReservationToken};

/// Something happened. Events come in the order in which it happened.
///
/// [`Event::Failed`], [`Event::Lost`] and [`Event::Closed`] are final: after one of them nothing more is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The driver is asked to open a stream and to answer by `handle_stream_opened` or `handle_stream_closed`.
    OpenStream {
        /// To where.
        server: SocketAddr,
        /// Whose certificate the server must show: a name that a redirection gave. None means that of the server that
        /// was configured (RFC 8489 section 10).
        domain: Option<String>,
    },
    /// The driver is asked to close the stream, once what was written to it has gone. It is not told of afterwards.
    CloseStream,
    /// The server has sent us to another one (300). Over UDP the client goes on there by itself; for a stream
    /// [`Event::CloseStream`] and [`Event::OpenStream`] follow.
    Redirected {
        /// From where.
        from: SocketAddr,
        /// To where.
        to: SocketAddr,
    },
    /// There is an allocation.
    Allocated(Allocated),
    /// There will be none.
    Failed(Failure),
    /// This peer may send to the relayed address, and be sent to.
    Permitted(IpAddr),
    /// The server does not let this peer be reached, for instance by 403.
    PermissionRefused(IpAddr, Refusal),
    /// Data to and from this peer costs 4 bytes from now on.
    ChannelBound(SocketAddr),
    /// The server gives no channel for this peer; data goes on without.
    ChannelRefused(SocketAddr, Refusal),
    /// The server does not take the credentials any more. The allocation lasts until its lifetime is over;
    /// `set_credentials` can prolong it.
    CredentialsRefused(Refusal),
    /// A peer has connected to the relayed address of a TCP allocation. `accept` takes it up, within half a minute.
    PeerConnected {
        /// What the connection is called from now on.
        stream: DataStream,
        /// Who.
        peer: SocketAddr,
    },
    /// The driver is asked to open a data stream, of the kind that the one to the server is, and to answer by
    /// `handle_data_stream_opened` or `handle_data_stream_closed`.
    OpenDataStream {
        /// For what.
        stream: DataStream,
        /// To where.
        server: SocketAddr,
        /// Whose certificate the server must show, as with [`Event::OpenStream`].
        domain: Option<String>,
    },
    /// What is written into this stream from now on goes to the peer as it is, and what comes is the peer's.
    DataStreamReady(DataStream),
    /// This stream will not lead to the peer: the server has refused, for instance because there is a connection to the
    /// peer already (446) or the peer could not be reached (447), or it could not be opened.
    DataStreamFailed(DataStream, Failure),
    /// The driver is asked to close this stream. It is not told of afterwards.
    CloseDataStream(DataStream),
    /// The allocation is no more.
    Lost(Loss),
    /// The allocation was given back, as `close` has asked.
    Closed,
}

/// An allocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allocated {
    /// The relayed address. It is of IPv6 if only that was asked for, or if the server has nothing else.
    pub relayed: SocketAddr,
    /// The one of IPv6, where both families were asked for.
    pub additional: Option<SocketAddr>,
    /// Why there is only one address, where both families were asked for (ADDRESS-ERROR-CODE, or 440).
    pub additional_refused: Option<Refusal>,
    /// What stands for the next port, if that was to be reserved.
    pub reservation: Option<ReservationToken>,
    /// Our own address as the server sees it.
    pub mapped: SocketAddr,
    /// For how long it is ours without a refresh. The client refreshes it in time.
    pub lifetime: Duration,
}
