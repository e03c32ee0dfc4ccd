//! The events that cross.

use frazil::ice::PathAfterChange;
use frazil::peer::{self, ChannelConfig, MessageKind, Reliability};

/// Hands every event but [`Event::Message`](crate::Event) to the macro `$callback`, as `Name { field: [type], … }` with docs.
///
/// `Message` has bytes, which each language holds in its own way.
#[macro_export]
macro_rules! events {
    ($callback:ident) => {
        $callback! {
            /// W3C `signalingstatechange`.
            SignalingStateChange {
                /// `stable`, `have-local-offer`, `have-remote-offer`, `have-local-pranswer`, `have-remote-pranswer` or `closed`.
                state: [String],
            }
            /// W3C `negotiationneeded`: make an offer.
            NegotiationNeeded {}
            /// W3C `icecandidate`: tell the other side. It is not in any description that was created.
            LocalIceCandidate {
                /// `candidate:…`, or empty: there are no more.
                candidate: [String],
                /// The media section that it is for.
                sdp_mid: [Option<String>],
                /// The number of that section, counted from 0.
                sdp_m_line_index: [Option<u16>],
                /// The credentials that it belongs to.
                username_fragment: [Option<String>],
            }
            /// W3C `iceconnectionstatechange`.
            IceConnectionStateChange {
                /// `new`, `checking`, `connected`, `completed`, `disconnected`, `failed` or `closed`.
                state: [String],
            }
            /// W3C `icegatheringstatechange`.
            IceGatheringStateChange {
                /// `new`, `gathering` or `complete`.
                state: [String],
            }
            /// W3C `connectionstatechange`.
            ConnectionStateChange {
                /// `new`, `connecting`, `connected`, `disconnected`, `failed` or `closed`.
                state: [String],
                /// Why it failed, if it did.
                failure: [Option<String>],
            }
            /// W3C `selectedcandidatepairchange`; `selected_pair` says which it is.
            SelectedPairChange {
                /// The number of its path.
                path: [u32],
            }
            /// W3C `icecandidateerror`: a STUN or TURN server gives us no candidate, or takes back what it gave.
            IceCandidateError {
                /// The server.
                url: [String],
                /// The IP address that it was asked from.
                address: [Option<String>],
                /// The port that it was asked from.
                port: [Option<u16>],
                /// The code of a STUN error, or 701 where the server was not reached.
                error_code: [u16],
                /// What happened.
                error_text: [String],
            }
            /// An ICE restart has found no path. The one from before it stays in use.
            IceRestartFailed {
                /// Why.
                failure: [String],
            }
            /// The machine's addresses have changed.
            NetworkChange {
                /// What became of the path in use: `none` (there was none), `kept`, `moved` to another pair, or `lost`: an ICE
                /// restart tells the other side of the new addresses.
                path: [String],
            }
            /// Resolve the name, by multicast DNS if it ends in `.local`, and answer with `handle_resolved`.
            Resolve {
                /// To be given with the answer.
                request: [u32],
                /// The host name.
                name: [String],
            }
            /// Open a TCP stream, and answer with `handle_stream_opened`, or with `handle_stream_closed` if it cannot be opened.
            OpenStream {
                /// The number of its path.
                path: [u32],
                /// The IP address to bind to.
                local_ip: [String],
                /// The port to bind to, 0 where any will do.
                local_port: [u16],
                /// The IP address to connect to.
                remote_ip: [String],
                /// The port to connect to.
                remote_port: [u16],
                /// For a server that is to be spoken to in TLS, what its certificate must be for: a host name or an IP address.
                tls: [Option<String>],
            }
            /// Close the stream of this path, or stop opening it.
            CloseStream {
                /// The number of its path.
                path: [u32],
            }
            /// Bind a UDP socket on this address and any port, and answer with `handle_socket_opened`.
            OpenSocket {
                /// To be given with the answer.
                socket: [u32],
                /// The IP address to bind to.
                local_ip: [String],
            }
            /// Close the socket that was bound for `OpenSocket`.
            CloseSocket {
                /// The IP address that it is bound to.
                local_ip: [String],
                /// The port that it is bound to.
                local_port: [u16],
            }
            /// Answer for this name by multicast DNS until it is withdrawn.
            PublishName {
                /// A name below `.local`.
                name: [String],
                /// Its only IP address.
                address: [String],
            }
            /// Answer for this name no more.
            WithdrawName {
                /// The name.
                name: [String],
            }
            /// W3C `datachannel`: the other side opened a channel, and it is open.
            DataChannel {
                /// Its number.
                channel: [u32],
                /// A name for the application's use.
                label: [String],
                /// The subprotocol's name; empty for none.
                protocol: [String],
                /// Whether messages arrive in the order in which they were sent.
                ordered: [bool],
                /// How often a message is sent again before it is given up.
                max_retransmits: [Option<u16>],
                /// For how many milliseconds the other side tries to send a message.
                max_packet_life_time: [Option<u16>],
            }
            /// W3C `open`: a channel of ours is open.
            ChannelOpen {
                /// Its number.
                channel: [u32],
            }
            /// W3C `bufferedamountlow`; also comes when a message that was refused would fit by now.
            BufferedAmountLow {
                /// The channel's number.
                channel: [u32],
            }
            /// W3C `close`: a channel is closed, by whomever.
            ChannelClosed {
                /// Its number.
                channel: [u32],
            }
        }
    };
}

macro_rules! declare {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )* } )*) => {
        /// Something happened, or something is asked of the driver. Events come in the order in which they happened.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Event {
            $(
                $(#[$doc])*
                $name { $( $(#[$field_doc])* $field: $($type)*, )* },
            )*
            /// W3C `message`.
            Message {
                /// The number of its channel.
                channel: u32,
                /// Whether it is text, in UTF-8.
                text: bool,
                /// The whole message.
                data: Vec<u8>,
            },
        }

        impl Event {
            /// What it is called in every language.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $( Self::$name { .. } => stringify!($name), )*
                    Self::Message { .. } => "Message",
                }
            }
        }
    };
}

events!(declare);

impl Event {
    /// The flat form of an event; none if it is of a kind that this version does not carry.
    pub(crate) fn of(event: peer::Event, failure: impl FnOnce() -> Option<String>) -> Option<Self> {
        Some(match event {
            peer::Event::SignalingStateChange(state) => Self::SignalingStateChange { state: state.to_string() },
            peer::Event::NegotiationNeeded => Self::NegotiationNeeded {},
            peer::Event::IceCandidate(candidate) => Self::LocalIceCandidate {
                candidate: candidate.candidate,
                sdp_mid: candidate.mid,
                sdp_m_line_index: candidate.m_line_index,
                username_fragment: candidate.ufrag,
            },
            peer::Event::IceStateChange(state) => Self::IceConnectionStateChange { state: state.to_string() },
            peer::Event::IceGatheringStateChange(state) => Self::IceGatheringStateChange { state: state.to_string() },
            peer::Event::ConnectionStateChange(state) => {
                let failure = if state == peer::ConnectionState::Failed { failure() } else { None };
                Self::ConnectionStateChange { state: state.to_string(), failure }
            }
            peer::Event::SelectedPairChange(pair) => Self::SelectedPairChange { path: pair.path.as_u32() },
            peer::Event::IceCandidateError(error) => Self::IceCandidateError {
                url: error.uri.to_string(),
                address: error.local.map(|local| local.ip().to_string()),
                port: error.local.map(|local| local.port()),
                error_code: error.code,
                error_text: error.text,
            },
            peer::Event::IceRestartFailed(why) => Self::IceRestartFailed { failure: why.to_string() },
            peer::Event::NetworkChange(change) => Self::NetworkChange {
                path: match change.path {
                    PathAfterChange::None => "none",
                    PathAfterChange::Kept => "kept",
                    PathAfterChange::Moved => "moved",
                    PathAfterChange::Lost => "lost",
                }
                .to_owned(),
            },
            peer::Event::Resolve { request, name } => Self::Resolve { request: request.as_u32(), name },
            peer::Event::OpenStream { path, local, remote, tls } => Self::OpenStream {
                path: path.as_u32(),
                local_ip: local.ip().to_string(),
                local_port: local.port(),
                remote_ip: remote.ip().to_string(),
                remote_port: remote.port(),
                tls,
            },
            peer::Event::CloseStream { path } => Self::CloseStream { path: path.as_u32() },
            peer::Event::OpenSocket { socket, local } => {
                Self::OpenSocket { socket: socket.as_u32(), local_ip: local.to_string() }
            }
            peer::Event::CloseSocket { local } => {
                Self::CloseSocket { local_ip: local.ip().to_string(), local_port: local.port() }
            }
            peer::Event::PublishName { name, address } => Self::PublishName { name, address: address.to_string() },
            peer::Event::WithdrawName { name } => Self::WithdrawName { name },
            peer::Event::DataChannel { channel, config } => {
                let (max_retransmits, max_packet_life_time) = limits(&config);
                let ChannelConfig { label, protocol, ordered, .. } = config;
                let channel = channel.as_u32();
                Self::DataChannel { channel, label, protocol, ordered, max_retransmits, max_packet_life_time }
            }
            peer::Event::ChannelOpen(channel) => Self::ChannelOpen { channel: channel.as_u32() },
            peer::Event::Message { channel, kind, data } => {
                Self::Message { channel: channel.as_u32(), text: kind == MessageKind::Text, data }
            }
            peer::Event::BufferedAmountLow(channel) => Self::BufferedAmountLow { channel: channel.as_u32() },
            peer::Event::ChannelClosed(channel) => Self::ChannelClosed { channel: channel.as_u32() },
            _ => return None,
        })
    }
}

fn limits(config: &ChannelConfig) -> (Option<u16>, Option<u16>) {
    match config.reliability {
        Reliability::Reliable => (None, None),
        Reliability::MaxRetransmits(times) => (Some(times), None),
        Reliability::MaxPacketLifeTime(milliseconds) => (None, Some(milliseconds)),
    }
}
