//! What a peer reports.

use std::net::{IpAddr, SocketAddr};

use super::state::ConnectionState;
use crate::ice::{self, ResolveId};
use crate::jsep::{SignalingState, TrickledCandidate};
use crate::path::PathId;
use crate::session::{ChannelConfig, ChannelId, MessageKind};

/// Something happened, or something is asked of the driver. Events come in the order in which they happened.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// W3C `signalingstatechange`.
    SignalingStateChange(SignalingState),
    /// W3C `negotiationneeded`: make an offer.
    NegotiationNeeded,
    /// W3C `icecandidate`: tell the other side. It is not in any description that was created.
    /// An empty candidate says that there are no more.
    IceCandidate(TrickledCandidate),
    /// W3C `iceconnectionstatechange`.
    IceStateChange(ice::State),
    /// W3C `connectionstatechange`; on `Failed`, `Peer::failure` says why.
    ConnectionStateChange(ConnectionState),
    /// W3C `selectedcandidatepairchange`. It may name a pair again that has become the nominated one.
    SelectedPairChange(Box<ice::PairReport>),
    /// W3C `icegatheringstatechange`.
    IceGatheringStateChange(ice::GatheringState),
    /// W3C `icecandidateerror`: a STUN or TURN server gives us no candidate, or takes back what it gave.
    IceCandidateError(ice::GatheringError),
    /// An ICE restart has found no path, for this reason. The one from before it stays in use.
    IceRestartFailed(ice::Failure),
    /// The machine's addresses have changed, and this is what became of the path in use. Where it was lost, an ICE
    /// restart (`Peer::restart_ice`) tells the other side of the new addresses.
    NetworkChange(ice::NetworkChange),
    /// Resolve the name, by multicast DNS if it ends in `.local`, to addresses of both families, and answer with `Peer::handle_resolved`.
    Resolve {
        /// To be given with the answer.
        request: ResolveId,
        /// The host name.
        name: String,
    },
    /// Open a TCP stream from `local`, whose port is 0 where any will do, to `remote`. Answer with
    /// `Peer::handle_stream_opened`, or with `Peer::handle_stream_closed` if it cannot be opened. What comes in a stream of
    /// which `Peer::is_server_stream` is true goes to `Peer::handle_stream_data` as it is.
    OpenStream {
        /// The path that the stream is for: its only stream.
        path: PathId,
        /// What to bind to. For simultaneous-open, an address at which the driver listens too.
        local: SocketAddr,
        /// What to connect to.
        remote: SocketAddr,
        /// For a server that is to be spoken to in TLS, what its certificate must be for: a host name, or the text of an
        /// IP address.
        tls: Option<String>,
    },
    /// Bind a UDP socket on this address and any port, and answer with `Peer::handle_socket_opened`. A TURN server takes
    /// the socket of the base for one that it knows from before.
    OpenSocket {
        /// To be given with the answer.
        socket: ice::SocketId,
        /// The address to bind to.
        local: IpAddr,
    },
    /// Close the socket that was bound for [`Event::OpenSocket`].
    CloseSocket {
        /// The address that it is bound to.
        local: SocketAddr,
    },
    /// Close the stream of this path, or stop opening it. No answer is expected, and what was sent before is still
    /// to be delivered.
    CloseStream {
        /// The path of the stream.
        path: PathId,
    },
    /// Answer for this name by multicast DNS on the link that the address is on (RFC 6762), until it is withdrawn.
    /// It comes before the candidate that has the name.
    PublishName {
        /// A UUID below `.local`, which nobody else has.
        name: String,
        /// Its only address.
        address: IpAddr,
    },
    /// Say goodbye to a name that was published, and answer for it no more.
    WithdrawName {
        /// The name.
        name: String,
    },
    /// W3C `datachannel`: the other side opened a channel, and it is open.
    DataChannel {
        /// The channel.
        channel: ChannelId,
        /// What it was made with.
        config: ChannelConfig,
    },
    /// W3C `open`: a channel of ours is open.
    ChannelOpen(ChannelId),
    /// W3C `message`. Text is UTF-8.
    Message {
        /// The channel.
        channel: ChannelId,
        /// Text or bytes.
        kind: MessageKind,
        /// The whole message.
        data: Vec<u8>,
    },
    /// W3C `bufferedamountlow`; also comes when a message that was refused would fit by now.
    BufferedAmountLow(ChannelId),
    /// W3C `close`: a channel is closed, by whomever.
    ChannelClosed(ChannelId),
}
