//! STUN and TURN servers, as users write them (RFC 7064, RFC 7065).

use core::fmt::{self, Display};
use core::num::NonZeroU16;
use core::str::FromStr;
use std::net::{IpAddr, Ipv6Addr};

use crate::stun::LongTermCredentials;
use crate::turn::Transport;

/// A server that candidates are gathered from, and as whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    uri: ServerUri,
    credentials: Option<LongTermCredentials>,
}

impl Server {
    /// A server. Credentials given for a STUN server are not used.
    ///
    /// # Errors
    /// If it is a TURN server and there are no credentials (W3C WebRTC section 4.2.2).
    pub fn new(uri: ServerUri, credentials: Option<LongTermCredentials>) -> Result<Self, NoCredentials> {
        if uri.relays() && credentials.is_none() {
            return Err(NoCredentials(uri));
        }
        Ok(Self { uri, credentials })
    }

    /// Which server.
    #[must_use]
    pub fn uri(&self) -> &ServerUri {
        &self.uri
    }

    /// As whom; a TURN server has some.
    #[must_use]
    pub fn credentials(&self) -> Option<&LongTermCredentials> {
        self.credentials.as_ref()
    }
}

/// A TURN server needs a user name and a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoCredentials(pub ServerUri);

impl Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs a user name and a password", self.0)
    }
}

impl std::error::Error for NoCredentials {}

/// What a server is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scheme {
    /// Our address as it sees it (RFC 7064).
    Stun,
    /// The same in a TLS stream.
    Stuns,
    /// An address of its own (RFC 7065).
    Turn,
    /// The same in a TLS stream.
    Turns,
}

impl Scheme {
    /// What the URI begins with.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Stuns => "stuns",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }

    const fn is_secure(self) -> bool {
        matches!(self, Self::Stuns | Self::Turns)
    }
}

/// Where a server is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ServerHost {
    /// A name, to be resolved; in lower case.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Without the brackets that an IPv6 address has in a URI.
impl Display for ServerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The URI of a STUN or TURN server: `stun:`, `stuns:`, `turn:` or `turns:`, a host, perhaps a port, and for TURN perhaps
/// `?transport=udp` or `tcp`.
///
/// `stuns` and `turns` go over TLS in TCP; TLS over UDP, which RFC 7350 has, is not offered. Nothing is looked up but the
/// host's addresses (of what RFC 5928 has, only that).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerUri {
    /// What it is asked for.
    pub scheme: Scheme,
    /// Where it is.
    pub host: ServerHost,
    /// Its port, 3478 or 5349 where the text has none.
    pub port: NonZeroU16,
    /// How it is reached.
    pub transport: Transport,
}

impl ServerUri {
    const PORT: NonZeroU16 = NonZeroU16::new(3478).expect("it is not zero");
    const SECURE_PORT: NonZeroU16 = NonZeroU16::new(5349).expect("it is not zero");

    /// Whether it is a TURN server.
    #[must_use]
    pub const fn relays(&self) -> bool {
        matches!(self.scheme, Scheme::Turn | Scheme::Turns)
    }

    const fn default_port(scheme: Scheme) -> NonZeroU16 {
        if scheme.is_secure() { Self::SECURE_PORT } else { Self::PORT }
    }

    const fn default_transport(scheme: Scheme) -> Transport {
        if scheme.is_secure() { Transport::Tls } else { Transport::Udp }
    }
}

impl Display for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.as_str())?;
        match &self.host {
            ServerHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            host => host.fmt(f)?,
        }
        if self.port != Self::default_port(self.scheme) {
            write!(f, ":{}", self.port)?;
        }
        if self.transport != Self::default_transport(self.scheme) {
            f.write_str("?transport=tcp")?;
        }
        Ok(())
    }
}

/// Why a text is no URI of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidServerUri {
    /// It begins with something else than `stun:`, `stuns:`, `turn:` or `turns:`.
    Scheme(String),
    /// The host is neither an address nor a name.
    Host(String),
    /// The port is no number from 1 to 65535.
    Port(String),
    /// What follows the question mark is not `transport=udp` or `transport=tcp`, or is said of a STUN server, or TLS
    /// is asked for over UDP.
    Query(String),
}

impl Display for InvalidServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(text) => write!(f, "{text:?} does not begin with stun:, stuns:, turn: or turns:"),
            Self::Host(text) => write!(f, "{text:?} is neither an address nor a host name"),
            Self::Port(text) => write!(f, "{text:?} is no port"),
            Self::Query(text) => write!(f, "?{text} says nothing of how such a server is reached"),
        }
    }
}

impl std::error::Error for InvalidServerUri {}

impl FromStr for ServerUri {
    type Err = InvalidServerUri;

    fn from_str(text: &str) -> Result<Self, InvalidServerUri> {
        let invalid_scheme = || InvalidServerUri::Scheme(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(invalid_scheme)?;
        let schemes = [Scheme::Stun, Scheme::Stuns, Scheme::Turn, Scheme::Turns];
        let known = schemes.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(scheme));
        let scheme = known.ok_or_else(invalid_scheme)?;
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let (host, port) = split_port(authority)?;
        let port = match port {
            // A number may have a sign, a port has none.
            Some(port) if port.starts_with('+') => return Err(InvalidServerUri::Port(port.to_owned())),
            Some(port) => port.parse().map_err(|_| InvalidServerUri::Port(port.to_owned()))?,
            None => Self::default_port(scheme),
        };
        let relays = matches!(scheme, Scheme::Turn | Scheme::Turns);
        let transport = match query.map(str::to_ascii_lowercase).as_deref() {
            None => Self::default_transport(scheme),
            Some("transport=udp") if relays && !scheme.is_secure() => Transport::Udp,
            Some("transport=tcp") if relays && scheme.is_secure() => Transport::Tls,
            Some("transport=tcp") if relays => Transport::Tcp,
            Some(_) => return Err(InvalidServerUri::Query(query.unwrap_or_default().to_owned())),
        };
        Ok(Self { scheme, host, port, transport })
    }
}

/// Splits host and port; an IPv6 address is in brackets.
fn split_port(authority: &str) -> Result<(ServerHost, Option<&str>), InvalidServerUri> {
    let invalid = || InvalidServerUri::Host(authority.to_owned());
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or_else(invalid)?;
        let address: Ipv6Addr = address.parse().map_err(|_| invalid())?;
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':').ok_or_else(invalid)?),
        };
        return Ok((ServerHost::Address(address.into()), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if let Ok(address) = host.parse() {
        return Ok((ServerHost::Address(IpAddr::V4(address)), port));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if !is_name(name) {
        return Err(invalid());
    }
    Ok((ServerHost::Name(name.to_ascii_lowercase()), port))
}

/// Whether a text can be looked up: labels of letters, digits, hyphens and underscores, the last of them no number.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last_is_number = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(is_label) && !last_is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfcs_are_read_and_written() {
        let read = [
            ("stun:example.org", "stun:example.org", 3478, Transport::Udp),
            ("stuns:example.org", "stuns:example.org", 5349, Transport::Tls),
            ("stun:example.org:8000", "stun:example.org:8000", 8000, Transport::Udp),
            ("turn:example.org", "turn:example.org", 3478, Transport::Udp),
            ("turns:example.org", "turns:example.org", 5349, Transport::Tls),
            ("turn:example.org:8000", "turn:example.org:8000", 8000, Transport::Udp),
            ("turn:example.org?transport=udp", "turn:example.org", 3478, Transport::Udp),
            ("turn:example.org?transport=tcp", "turn:example.org?transport=tcp", 3478, Transport::Tcp),
            ("turns:example.org?transport=tcp", "turns:example.org", 5349, Transport::Tls),
            ("TURN:192.0.2.1:19302?TRANSPORT=TCP", "turn:192.0.2.1:19302?transport=tcp", 19302, Transport::Tcp),
            ("stun:[2001:db8::1]:99", "stun:[2001:db8::1]:99", 99, Transport::Udp),
            ("turns:[2001:db8::1]", "turns:[2001:db8::1]", 5349, Transport::Tls),
            ("stun:Relay-1.Example.org.", "stun:relay-1.example.org", 3478, Transport::Udp),
        ];
        for (text, written, port, transport) in read {
            let uri: ServerUri = text.parse().unwrap();
            assert_eq!((uri.port.get(), uri.transport), (port, transport), "{text}");
            assert_eq!(uri.to_string(), written);
            assert_eq!(written.parse::<ServerUri>().unwrap(), uri);
        }
    }

    #[test]
    fn what_is_no_uri_is_refused_with_what_is_wrong() {
        use InvalidServerUri::{Host, Port, Query, Scheme};
        let refused = [
            ("example.org", Scheme("example.org".into())),
            ("http:example.org", Scheme("http:example.org".into())),
            ("stun:", Host(String::new())),
            ("stun://example.org", Host("//example.org".into())),
            ("stun:user@example.org", Host("user@example.org".into())),
            ("stun:a..b", Host("a..b".into())),
            ("stun:192.0.2.256", Host("192.0.2.256".into())),
            ("stun:2001:db8::1", Host("2001:db8::1".into())),
            ("stun:[2001:db8::1", Host("[2001:db8::1".into())),
            ("stun:example.org:0", Port("0".into())),
            ("stun:example.org:65536", Port("65536".into())),
            ("stun:example.org:+80", Port("+80".into())),
            ("stun:example.org?transport=udp", Query("transport=udp".into())),
            ("turn:example.org?transport=sctp", Query("transport=sctp".into())),
            ("turns:example.org?transport=udp", Query("transport=udp".into())),
        ];
        for (text, error) in refused {
            assert_eq!(text.parse::<ServerUri>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_turn_server_needs_credentials() {
        let turn: ServerUri = "turn:example.org".parse().unwrap();
        assert_eq!(Server::new(turn.clone(), None), Err(NoCredentials(turn)));
        assert!(Server::new("stun:example.org".parse().unwrap(), None).is_ok());
    }
}
