//! The records that cross: numbers, text, and lists of these.

/// Hands every record to the macro `$callback`, as `Name { field: [type], … }` with docs.
///
/// A binding's own macro declares them for its language, with conversions from and to the types of this crate.
#[macro_export]
macro_rules! records {
    ($callback:ident) => {
        $callback! {
            /// How a peer works. What is not given is as the core has it.
            Config {
                /// Which candidates may be used: `all`, or `relay` for those of TURN servers alone. `all`.
                ice_transport_policy: [Option<String>],
                /// Whether host candidates are told under `.local` names in place of addresses. No.
                mdns_candidates: [Option<bool>],
                /// Whether to connect over TCP where the other side waits for that. Only of use if the driver opens streams. Yes.
                active_tcp: [Option<bool>],
                /// The largest message in bytes that is received. 262,144.
                max_message_size: [Option<u32>],
                /// The largest datagram in bytes that is sent, 576 to 1500. 1,200.
                mtu: [Option<u32>],
                /// Whether to offer and take DTLS 1.3 besides 1.2. No.
                dtls_1_3: [Option<bool>],
                /// How many data channels there may be at a time. 1,024.
                max_channels: [Option<u32>],
                /// How many bytes each channel buffers before it refuses a message. 1,048,576.
                send_buffer: [Option<u32>],
                /// How many bytes of messages may wait in each channel to be read before bulk data is held back: what is read
                /// must then be told by `release`. Not given, nothing is ever held back.
                receive_buffer: [Option<u32>],
            }
            /// STUN or TURN servers with the same credentials (W3C `RTCIceServer`).
            IceServer {
                /// `stun:`, `stuns:`, `turn:` or `turns:`, a host, perhaps a port and `?transport=udp` or `tcp`.
                urls: [Vec<String>],
                /// As whom to ask, which TURN servers want to know.
                username: [Option<String>],
                /// The password.
                credential: [Option<String>],
            }
            /// A socket on one of the machine's addresses; before it is bound, the address alone with the port 0.
            HostSocket {
                /// What it carries: `udp`, or `tcp` for one that listens for streams.
                protocol: [String],
                /// The IP address that it is bound to.
                ip: [String],
                /// The port.
                port: [u16],
                /// The kind of interface: `ethernet`, `wifi`, `unknown`, `cellular`, `vpn` or `loopback`.
                interface: [String],
                /// The system's number for the interface, 0 if it has none.
                index: [u32],
                /// What it costs to use the interface: 0 for nothing, 999 at the most.
                cost: [u16],
                /// An IPv6 address that is changed often (RFC 8981).
                temporary: [bool],
                /// An address that nothing new ought to use (RFC 4862).
                deprecated: [bool],
            }
            /// A session description (W3C `RTCSessionDescription`).
            Description {
                /// `offer`, `pranswer`, `answer` or `rollback`.
                r#type: [String],
                /// The text; empty in a rollback.
                sdp: [String],
            }
            /// A candidate on its way through signalling (W3C `RTCIceCandidateInit`).
            IceCandidate {
                /// `candidate:…`, or empty: there are no more.
                candidate: [String],
                /// The media section that it is for.
                sdp_mid: [Option<String>],
                /// The number of that section, counted from 0.
                sdp_m_line_index: [Option<u16>],
                /// The credentials that it belongs to.
                username_fragment: [Option<String>],
            }
            /// Where datagrams come from and go to, as the driver's sockets see it.
            Path {
                /// `udp` or `tcp`.
                protocol: [String],
                /// The IP address that our socket is bound to.
                local_ip: [String],
                /// Its port.
                local_port: [u16],
                /// The IP address of the other side.
                remote_ip: [String],
                /// Its port.
                remote_port: [u16],
            }
            /// What a data channel is made with (W3C `RTCDataChannelInit`).
            ChannelConfig {
                /// A name for the application's use. It need not be unique.
                label: [String],
                /// The subprotocol's name; empty for none.
                protocol: [Option<String>],
                /// Whether messages arrive in the order in which they were sent. Yes.
                ordered: [Option<bool>],
                /// How often to send a message again before it is given up; not together with `max_packet_life_time`.
                max_retransmits: [Option<u16>],
                /// For how many milliseconds to try to send a message.
                max_packet_life_time: [Option<u16>],
                /// The stream id that both sides agreed on by other means, 0 to 65534. Not given, the channel is announced to the
                /// other side.
                negotiated: [Option<u16>],
            }
            /// The candidate pair that carries the traffic.
            Pair {
                /// The number of its path.
                path: [u32],
                /// `udp` or `tcp`, between our base and the other side or the relay.
                protocol: [String],
                /// Our candidate: `host`, `srflx`, `prflx` or `relay`.
                local_type: [String],
                /// Its IP address.
                local_ip: [String],
                /// Its port.
                local_port: [u16],
                /// The other side's candidate: `host`, `srflx`, `prflx` or `relay`.
                remote_type: [String],
                /// Its IP address.
                remote_ip: [String],
                /// Its port.
                remote_port: [u16],
                /// The last measured round trip in milliseconds.
                round_trip: [Option<f64>],
            }
        }
    };
}

macro_rules! declare {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Default)]
            pub struct $name {
                $( $(#[$field_doc])* pub $field: $($type)*, )*
            }
        )*
    };
}

records!(declare);

macro_rules! show {
    ($($name:ident { $($field:ident),* })*) => {
        $(impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        })*
    };
}

// An `IceServer` is shown without its password.
show! {
    Config { ice_transport_policy, mdns_candidates, max_message_size, mtu }
    IceServer { urls, username }
    HostSocket { protocol, ip, port, interface }
    Description { r#type, sdp }
    IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment }
    Path { protocol, local_ip, local_port, remote_ip, remote_port }
    ChannelConfig { label, protocol, ordered, max_retransmits, max_packet_life_time, negotiated }
    Pair { path, local_type, local_ip, local_port, remote_type, remote_ip, remote_port }
}

/// A certificate with its private key, to be kept for another peer.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The X.509 certificate in DER form.
    pub certificate: Vec<u8>,
    /// Its private key, ECDSA on P-256 or P-384, in DER form (PKCS#8 or SEC 1).
    pub private_key: Vec<u8>,
}
