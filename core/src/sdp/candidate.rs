//! The candidate attribute (RFC 8839 section 5.1, RFC 6544 section 4.5, RFC 8838 section 4).

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{MAX_LINE_BYTES, clip};
use crate::ice::{Candidate, CandidateKind, Foundation, TcpType, Transport};

/// A candidate as it stands in a description, or travels alone while trickling.
///
/// It is read from `candidate:…` as well as from `a=candidate:…`, and written as the former. Transports
/// and types that nobody here knows are no error: RFC 8839 wants such candidates ignored, not the whole
/// description refused. [`to_candidate`](Self::to_candidate) says whether one can be used.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CandidateAttribute {
    foundation: Foundation,
    component: u16,
    transport: CandidateTransport,
    priority: u32,
    host: Host,
    port: u16,
    kind: CandidateType,
    related_host: Option<Host>,
    related_port: Option<u16>,
    tcp_type: Option<TcpType>,
    generation: Option<u32>,
    ufrag: Option<String>,
    network_id: Option<u32>,
    network_cost: Option<u32>,
    /// Pairs of name and value that are none of the above, in order.
    extensions: Vec<(String, String)>,
}

/// The transport of a candidate.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CandidateTransport {
    /// `udp`
    Udp,
    /// `tcp`
    Tcp,
    /// Another one, as written.
    Other(String),
}

/// The type of a candidate.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CandidateType {
    /// One of the four of RFC 8445.
    Known(CandidateKind),
    /// Another one, as written.
    Other(String),
}

/// Where a candidate lives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name to look up: under `.local` by multicast DNS, as browsers use to hide addresses, or any other.
    Name(String),
}

impl CandidateAttribute {
    /// How `candidate` is told to the other side.
    #[must_use]
    pub fn new(candidate: &Candidate) -> Self {
        Self {
            foundation: candidate.foundation,
            component: 1,
            transport: match candidate.transport {
                Transport::Udp => CandidateTransport::Udp,
                Transport::Tcp(_) => CandidateTransport::Tcp,
            },
            priority: candidate.priority,
            host: Host::Address(candidate.address.ip()),
            port: candidate.address.port(),
            kind: CandidateType::Known(candidate.kind),
            related_host: candidate.related.map(|related| Host::Address(related.ip())),
            related_port: candidate.related.map(|related| related.port()),
            tcp_type: candidate.transport.tcp_type(),
            generation: None,
            ufrag: None,
            network_id: None,
            network_cost: None,
            extensions: Vec::new(),
        }
    }

    /// The same, and which credentials it belongs to.
    #[must_use]
    pub fn with_ufrag(self, credentials: &crate::ice::Credentials) -> Self {
        Self { ufrag: Some(credentials.ufrag().to_owned()), ..self }
    }

    /// The same under another foundation.
    #[must_use]
    pub fn with_foundation(self, foundation: Foundation) -> Self {
        Self { foundation, ..self }
    }

    /// The same with a name in place of its address, which then has to be looked up.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        Self { host: Host::Name(name.to_owned()), ..self }
    }

    /// The same without the address behind it: where one has to stand, it is the unspecified one of the
    /// candidate's family, with the discard port (RFC 8839 section 5.1).
    #[must_use]
    pub fn without_related_address(self) -> Self {
        let unspecified: IpAddr = match self.host {
            Host::Address(IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
            Host::Address(IpAddr::V4(_)) | Host::Name(_) => Ipv4Addr::UNSPECIFIED.into(),
        };
        let related_host = self.related_host.is_some().then_some(Host::Address(unspecified));
        Self { related_port: related_host.is_some().then_some(9), related_host, ..self }
    }

    /// The candidate for our agent, if it can use one like this.
    ///
    /// `resolved` is the address behind the name, where the host is a name.
    ///
    /// # Errors
    /// The first reason why the agent cannot use it. None of them is a fault of the session: such a
    /// candidate is to be ignored.
    pub fn to_candidate(&self, resolved: Option<IpAddr>) -> Result<Candidate, Unusable> {
        if self.component != 1 {
            return Err(Unusable::Component(self.component));
        }
        let transport = match (&self.transport, self.tcp_type) {
            (CandidateTransport::Udp, _) => Transport::Udp,
            (CandidateTransport::Tcp, Some(tcp_type)) => Transport::Tcp(tcp_type),
            (CandidateTransport::Tcp, None) => return Err(Unusable::NoTcpType),
            (CandidateTransport::Other(name), _) => return Err(Unusable::Transport(name.clone())),
        };
        let kind = match &self.kind {
            CandidateType::Known(kind) => *kind,
            CandidateType::Other(name) => return Err(Unusable::Type(name.clone())),
        };
        if !matches!(self.priority, 1..=0x7fff_ffff) {
            return Err(Unusable::Priority(self.priority));
        }
        let ip = match (&self.host, resolved) {
            (Host::Address(ip), _) => *ip,
            (Host::Name(_), Some(ip)) => ip,
            (Host::Name(name), None) => return Err(Unusable::Unresolved(name.clone())),
        };
        if !is_destination(ip) {
            return Err(Unusable::Address(ip));
        }
        let address = transport.told(SocketAddr::new(ip, self.port));
        if address.port() == 0 {
            return Err(Unusable::Port);
        }
        let related = match (&self.related_host, self.related_port) {
            (Some(Host::Address(ip)), port) => Some(SocketAddr::new(*ip, port.unwrap_or(0))),
            _ => None,
        };
        Ok(Candidate { kind, transport, address, priority: self.priority, foundation: self.foundation, related })
    }

    /// Groups candidates that share a fate (RFC 8445 section 5.1.1.3).
    #[must_use]
    pub fn foundation(&self) -> Foundation {
        self.foundation
    }

    /// 1 to 999 by the grammar; only 1 is used here.
    #[must_use]
    pub fn component(&self) -> u16 {
        self.component
    }

    /// The transport.
    #[must_use]
    pub fn transport(&self) -> &CandidateTransport {
        &self.transport
    }

    /// The priority as sent; RFC 8445 wants 1 to 2^31 - 1.
    #[must_use]
    pub fn priority(&self) -> u32 {
        self.priority
    }

    /// The address or the name.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> &CandidateType {
        &self.kind
    }

    /// `raddr`: the address behind a reflexive or relayed candidate.
    #[must_use]
    pub fn related_host(&self) -> Option<&Host> {
        self.related_host.as_ref()
    }

    /// `rport`: the port that goes with `raddr`.
    #[must_use]
    pub fn related_port(&self) -> Option<u16> {
        self.related_port
    }

    /// `tcptype` of a TCP candidate.
    #[must_use]
    pub fn tcp_type(&self) -> Option<TcpType> {
        self.tcp_type
    }

    /// `generation`: counts restarts, in a browser's words.
    #[must_use]
    pub fn generation(&self) -> Option<u32> {
        self.generation
    }

    /// `ufrag`: which credentials the candidate belongs to.
    #[must_use]
    pub fn ufrag(&self) -> Option<&str> {
        self.ufrag.as_deref()
    }

    /// `network-id`: a browser's number for the interface.
    #[must_use]
    pub fn network_id(&self) -> Option<u32> {
        self.network_id
    }

    /// `network-cost`: a browser's idea of what the interface costs, 0 to 999.
    #[must_use]
    pub fn network_cost(&self) -> Option<u32> {
        self.network_cost
    }

    /// The value of another extension.
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Whether a datagram sent to `ip` can reach one host. Mapped addresses are out by RFC 8445 section
/// 5.1.1.1, the others because one host cannot own them.
fn is_destination(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast() && v6.to_ipv4_mapped().is_none(),
    }
}

impl FromStr for CandidateAttribute {
    type Err = InvalidCandidate;

    fn from_str(text: &str) -> Result<Self, InvalidCandidate> {
        use CandidateField as F;

        if text.len() > MAX_LINE_BYTES {
            return Err(InvalidCandidate::TooLong(text.len()));
        }
        let text = text.trim_end_matches(['\r', '\n']);
        if let Some(bad) = text.chars().find(|c| c.is_control()) {
            return Err(InvalidCandidate::ControlCharacter(bad));
        }
        let body = text.strip_prefix("a=").unwrap_or(text).strip_prefix("candidate:");
        let body = body.ok_or_else(|| InvalidCandidate::NoPrefix(clip(text)))?;
        let mut words = Words(body.split(' ').filter(|word| !word.is_empty()));

        let foundation = words.next(F::Foundation)?;
        let component = words.next(F::Component)?;
        let transport = words.next(F::Transport)?;
        let priority = words.next(F::Priority)?;
        let host = words.next(F::Address)?;
        let port = words.next(F::Port)?;
        let typ = words.next(F::Typ)?;
        if typ != "typ" {
            return Err(F::Typ.invalid(typ));
        }
        let kind = words.next(F::Type)?;

        let mut candidate = Self {
            foundation: foundation.parse().map_err(|_| F::Foundation.invalid(foundation))?,
            component: number(component, 999).filter(|&n| n != 0).ok_or_else(|| F::Component.invalid(component))?
                as u16,
            transport: CandidateTransport::read(transport),
            priority: number(priority, u32::MAX).ok_or_else(|| F::Priority.invalid(priority))?,
            host: Host::read(host).ok_or_else(|| F::Address.invalid(host))?,
            port: number(port, 65_535).ok_or_else(|| F::Port.invalid(port))? as u16,
            kind: CandidateType::read(kind),
            related_host: None,
            related_port: None,
            tcp_type: None,
            generation: None,
            ufrag: None,
            network_id: None,
            network_cost: None,
            extensions: Vec::new(),
        };
        while let Some(name) = words.0.next() {
            let value = words.0.next().ok_or_else(|| InvalidCandidate::NoValue(clip(name)))?;
            candidate.extend(name, value)?;
        }
        Ok(candidate)
    }
}

impl CandidateAttribute {
    fn extend(&mut self, name: &str, value: &str) -> Result<(), InvalidCandidate> {
        use CandidateField as F;

        fn set<T>(slot: &mut Option<T>, field: F, text: &str, value: Option<T>) -> Result<(), InvalidCandidate> {
            let value = value.ok_or_else(|| field.invalid(text))?;
            match slot.replace(value) {
                None => Ok(()),
                Some(_) => Err(InvalidCandidate::Repeated(field)),
            }
        }

        match name {
            "raddr" => set(&mut self.related_host, F::RelatedAddress, value, Host::read(value)),
            "rport" => {
                let port = number(value, 65_535).map(|port| port as u16);
                set(&mut self.related_port, F::RelatedPort, value, port)
            }
            "tcptype" => set(&mut self.tcp_type, F::TcpType, value, tcp_type(value)),
            "generation" => set(&mut self.generation, F::Generation, value, number(value, u32::MAX)),
            "ufrag" => set(&mut self.ufrag, F::Ufrag, value, Some(value.to_owned())),
            "network-id" => set(&mut self.network_id, F::NetworkId, value, number(value, u32::MAX)),
            "network-cost" => set(&mut self.network_cost, F::NetworkCost, value, number(value, u32::MAX)),
            _ => {
                self.extensions.push((name.to_owned(), value.to_owned()));
                Ok(())
            }
        }
    }
}

/// The words of a candidate; the next one is always expected.
struct Words<I>(I);

impl<'a, I: Iterator<Item = &'a str>> Words<I> {
    fn next(&mut self, field: CandidateField) -> Result<&'a str, InvalidCandidate> {
        self.0.next().ok_or(InvalidCandidate::Missing(field))
    }
}

/// A decimal number without sign. Leading zeros are read as other implementations read them.
fn number(text: &str, max: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse::<u32>().ok()).flatten();
    number.filter(|&n| n <= max)
}

impl CandidateTransport {
    fn read(word: &str) -> Self {
        match word {
            _ if word.eq_ignore_ascii_case("udp") => Self::Udp,
            _ if word.eq_ignore_ascii_case("tcp") => Self::Tcp,
            _ => Self::Other(word.to_owned()),
        }
    }
}

impl CandidateType {
    fn read(word: &str) -> Self {
        use CandidateKind::{Host, PeerReflexive, Relayed, ServerReflexive};

        let known = [Host, ServerReflexive, PeerReflexive, Relayed];
        match known.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word)) {
            Some(kind) => Self::Known(kind),
            None => Self::Other(word.to_owned()),
        }
    }
}

impl Host {
    fn read(word: &str) -> Option<Self> {
        if let Ok(address) = word.parse() {
            return Some(Self::Address(address));
        }
        let characters = word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        let labels = word.strip_suffix('.').unwrap_or(word).split('.');
        let lengths = word.len() <= 253 && labels.clone().all(|label| matches!(label.len(), 1..=63));
        // A name that ends in a number would be an address to some resolvers.
        let numeric = labels.clone().next_back().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        (characters && lengths && !numeric).then(|| Self::Name(word.to_owned()))
    }
}

fn tcp_type(word: &str) -> Option<TcpType> {
    [TcpType::Active, TcpType::Passive, TcpType::SimultaneousOpen].into_iter().find(|t| t.as_str() == word)
}

impl fmt::Display for CandidateAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, component, transport, priority, host, port, kind, .. } = self;
        write!(f, "candidate:{foundation} {component} {transport} {priority} {host} {port} typ {kind}")?;
        if let Some(host) = &self.related_host {
            write!(f, " raddr {host}")?;
        }
        if let Some(port) = self.related_port {
            write!(f, " rport {port}")?;
        }
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " tcptype {tcp_type}")?;
        }
        if let Some(generation) = self.generation {
            write!(f, " generation {generation}")?;
        }
        if let Some(ufrag) = &self.ufrag {
            write!(f, " ufrag {ufrag}")?;
        }
        if let Some(id) = self.network_id {
            write!(f, " network-id {id}")?;
        }
        if let Some(cost) = self.network_cost {
            write!(f, " network-cost {cost}")?;
        }
        self.extensions.iter().try_for_each(|(name, value)| write!(f, " {name} {value}"))
    }
}

impl fmt::Display for CandidateTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Other(word) => word,
        })
    }
}

impl fmt::Display for CandidateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(kind) => kind.fmt(f),
            Self::Other(word) => f.write_str(word),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A field of the candidate attribute, by its name in the grammar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CandidateField {
    /// `foundation`
    Foundation,
    /// `component-id`
    Component,
    /// `transport`
    Transport,
    /// `priority`
    Priority,
    /// `connection-address`
    Address,
    /// `port`
    Port,
    /// The word `typ`.
    Typ,
    /// `candidate-types`
    Type,
    /// `raddr`
    RelatedAddress,
    /// `rport`
    RelatedPort,
    /// `tcptype`
    TcpType,
    /// `generation`
    Generation,
    /// `ufrag`
    Ufrag,
    /// `network-id`
    NetworkId,
    /// `network-cost`
    NetworkCost,
}

impl CandidateField {
    fn invalid(self, value: &str) -> InvalidCandidate {
        InvalidCandidate::Invalid { field: self, value: clip(value) }
    }
}

impl fmt::Display for CandidateField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foundation => "foundation",
            Self::Component => "component",
            Self::Transport => "transport",
            Self::Priority => "priority",
            Self::Address => "address",
            Self::Port => "port",
            Self::Typ => "typ",
            Self::Type => "type",
            Self::RelatedAddress => "raddr",
            Self::RelatedPort => "rport",
            Self::TcpType => "tcptype",
            Self::Generation => "generation",
            Self::Ufrag => "ufrag",
            Self::NetworkId => "network-id",
            Self::NetworkCost => "network-cost",
        })
    }
}

/// Why a text is no candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InvalidCandidate {
    /// It does not begin with `candidate:`.
    NoPrefix(String),
    /// It has this many bytes, more than [`MAX_LINE_BYTES`].
    TooLong(usize),
    /// It has a control character within.
    ControlCharacter(char),
    /// It ends before this field.
    Missing(CandidateField),
    /// The field has a value that it cannot have.
    Invalid {
        /// The field.
        field: CandidateField,
        /// The value, clipped.
        value: String,
    },
    /// An extension of this name comes without a value.
    NoValue(String),
    /// The field comes twice.
    Repeated(CandidateField),
}

impl fmt::Display for InvalidCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrefix(text) => write!(f, "{text:?} does not begin with \"candidate:\""),
            Self::TooLong(bytes) => write!(f, "candidate has {bytes} bytes, at most {MAX_LINE_BYTES} are read"),
            Self::ControlCharacter(c) => write!(f, "candidate has the control character {c:?}"),
            Self::Missing(field) => write!(f, "candidate ends before {field}"),
            Self::Invalid { field, value } => write!(f, "candidate has the {field} {value:?}, which it cannot be"),
            Self::NoValue(name) => write!(f, "candidate has the extension {name:?} without a value"),
            Self::Repeated(field) => write!(f, "candidate has {field} twice"),
        }
    }
}

impl std::error::Error for InvalidCandidate {}

/// Why our agent cannot use a well-formed candidate. It is ignored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// It is for this component; everything here runs over component 1.
    Component(u16),
    /// It is for this transport.
    Transport(String),
    /// A TCP candidate that does not say who opens the connection.
    NoTcpType,
    /// It is of this type.
    Type(String),
    /// Its priority is outside of 1 to 2^31 - 1.
    Priority(u32),
    /// Its port is 0.
    Port,
    /// Its name stands for no address.
    Unresolved(String),
    /// Its address is not that of one host: unspecified, multicast, broadcast, or IPv4 mapped into IPv6.
    Address(IpAddr),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(n) => write!(f, "candidate is for component {n}"),
            Self::Transport(word) => write!(f, "candidate is for the transport {word:?}"),
            Self::NoTcpType => f.write_str("TCP candidate has no tcptype"),
            Self::Type(word) => write!(f, "candidate is of the type {word:?}"),
            Self::Priority(n) => write!(f, "candidate has priority {n}, outside of 1 to 2147483647"),
            Self::Port => f.write_str("candidate has port 0"),
            Self::Unresolved(name) => write!(f, "candidate has the name {name:?}, which stands for no address"),
            Self::Address(ip) => write!(f, "candidate has the address {ip}, which is not that of one host"),
        }
    }
}

impl std::error::Error for Unusable {}
