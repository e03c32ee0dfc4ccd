//! What a client is made with.

use core::fmt;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use crate::stun::{LongTermCredentials, RetransmissionConfig};

/// What carries messages between client and server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A TCP stream.
    Tcp,
    /// TLS in a TCP stream; the driver's, with its platform's trust store.
    Tls,
}

impl Transport {
    /// Whether messages travel in a stream that the driver opens.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp)
    }
}

/// The family of the relayed address (RFC 8656 sections 18.6 and 18.11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4. Nothing need be asked of the server for that, so that old ones understand.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Both, if the server has both: IPv4 and an additional one of IPv6. Otherwise the one that it has.
    Both,
}

/// What is relayed between the server and peers (RFC 8656 section 18.8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Relay {
    /// Datagrams: see [`Client::send`](super::Client::send).
    Udp,
    /// Streams, over a stream to the server only (RFC 6062): see [`Client::connect`](super::Client::connect).
    Tcp,
}

/// Which port the relayed address is to have (RFC 8656 sections 7.1, 18.7 and 18.10).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Port {
    /// Whichever.
    Any,
    /// An even one.
    Even,
    /// An even one, while the next is reserved for another allocation: [`Allocated::reservation`] has the token.
    ///
    /// [`Allocated::reservation`]: super::Allocated::reservation
    EvenAndNext,
    /// The one that this token stands for, of whatever family it is.
    Reserved(ReservationToken),
}

/// Stands for a port that a server has reserved, for half a minute at least (RFC 8656 section 7.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReservationToken(pub [u8; 8]);

/// A client's configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The server's address.
    pub server: SocketAddr,
    /// How the server is reached.
    pub transport: Transport,
    /// What is relayed.
    pub relay: Relay,
    /// As whom.
    pub credentials: LongTermCredentials,
    /// Which relayed address is wanted.
    pub family: Family,
    /// Which port is wanted.
    pub port: Port,
    /// For how long the allocation is asked for each time, in whole seconds; the server decides. None leaves it to the
    /// server altogether, which is 10 minutes.
    pub lifetime: Option<Duration>,
    /// What SOFTWARE says; at most 763 bytes. None sends none.
    pub software: Option<String>,
    /// How a request is repeated over UDP (RFC 8489 section 6.2.1).
    pub retransmission: RetransmissionConfig,
    /// How long an answer in a stream is waited for, and a stream to open (RFC 8489 section 6.2.2: Ti).
    pub stream_patience: Duration,
    /// After how many datagrams to a peer a channel is bound for it. None binds none.
    pub bind_after: Option<u32>,
    /// After how much silence over UDP a Binding indication keeps the mappings of NATs on the way to the server alive.
    /// None sends none.
    pub keepalive: Option<Duration>,
    /// How many redirections are followed. 0 follows none.
    pub max_redirects: u8,
}

impl Config {
    /// An IPv4 relay, the RFC's timers, a channel from the fifth datagram to a peer on, keepalives after 15 s.
    #[must_use]
    pub fn new(server: SocketAddr, transport: Transport, credentials: LongTermCredentials) -> Self {
        Self {
            server,
            transport,
            relay: Relay::Udp,
            credentials,
            family: Family::Ipv4,
            port: Port::Any,
            lifetime: None,
            software: None,
            retransmission: RetransmissionConfig::default(),
            stream_patience: Duration::from_millis(39_500),
            bind_after: Some(4),
            keepalive: Some(Duration::from_secs(15)),
            max_redirects: 4,
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        const MAX_SOFTWARE: usize = 763;
        if !is_reachable(self.server) {
            return Err(InvalidConfig::Server(self.server));
        }
        if self.relay == Relay::Tcp && !self.transport.is_stream() {
            return Err(InvalidConfig::TcpOverUdp);
        }
        if self.relay == Relay::Tcp && self.port != Port::Any {
            return Err(InvalidConfig::PortOfTcp(self.port));
        }
        if self.family == Family::Both && self.port == Port::EvenAndNext {
            return Err(InvalidConfig::ReservationOfBoth);
        }
        match &self.software {
            Some(software) if software.len() > MAX_SOFTWARE => Err(InvalidConfig::Software { len: software.len() }),
            _ => Ok(()),
        }
    }
}

/// Whether an address can be that of one host.
pub(super) fn is_reachable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

/// What is wrong with a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InvalidConfig {
    /// No server can be at this address.
    Server(SocketAddr),
    /// TCP is relayed over TCP or TLS only (RFC 6062 section 4.1).
    TcpOverUdp,
    /// Which port it is cannot be asked for where TCP is relayed (RFC 6062 section 4.1).
    PortOfTcp(Port),
    /// A port cannot be reserved where both families are wanted (RFC 8656 section 7.2).
    ReservationOfBoth,
    /// SOFTWARE is longer than 763 bytes.
    Software {
        /// How long.
        len: usize,
    },
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(address) => write!(f, "no server can be at {address}"),
            Self::TcpOverUdp => f.write_str("TCP is relayed over TCP or TLS only"),
            Self::PortOfTcp(port) => write!(f, "a port ({port:?}) is asked for, which cannot be where TCP is relayed"),
            Self::ReservationOfBoth => f.write_str("a port cannot be reserved where both families are wanted"),
            Self::Software { len } => write!(f, "SOFTWARE of {len} bytes; it may have 763"),
        }
    }
}

impl std::error::Error for InvalidConfig {}
