//! What the core makes of flat records.

use std::net::{IpAddr, SocketAddr};

use frazil::Protocol;
use frazil::ice::{self, TransportPolicy};
use frazil::jsep;
use frazil::peer::{self, Reliability};

use crate::error::Error;
use crate::guard::guarded;
use crate::record::{Certificate, ChannelConfig, Config, Description, IceCandidate, IceServer, Path};

impl Config {
    /// The configuration with which a driver of UDP sockets makes its peer, from what its user asks for: with everything filled in
    /// that such a driver has to know, back-pressure among it, and without what takes more than such sockets.
    ///
    /// # Errors
    /// If the user asks for what takes more: streams, or answers for `.local` names.
    pub fn for_udp_driver(self) -> Result<Self, Error> {
        guarded(|| {
            let unable = |what: &str, why: &str| Err(Error::argument(format!("{what}: this driver {why}")));
            if self.active_tcp == Some(true) {
                return unable("active_tcp", "opens no streams");
            }
            if self.mdns_candidates == Some(true) {
                return unable("mdns_candidates", "publishes no names");
            }
            let core = peer::Config::default();
            let bytes = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
            Ok(Self {
                active_tcp: Some(false),
                mdns_candidates: Some(false),
                max_message_size: self.max_message_size.or(Some(core.max_message_size)),
                receive_buffer: self.receive_buffer.or(Some(bytes(peer::Config::RECEIVE_BUFFER))),
                ..self
            })
        })
    }

    pub(crate) fn read(self, servers: Vec<IceServer>, certificate: Option<Certificate>) -> Result<peer::Config, Error> {
        let mut config = peer::Config::default();
        let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        if let Some(policy) = self.ice_transport_policy {
            config.ice.transport_policy = match policy.as_str() {
                "all" => TransportPolicy::All,
                "relay" => TransportPolicy::Relay,
                _ => {
                    return Err(Error::argument(format!(
                        "the transport policy {policy:?} is not \"all\" or \"relay\""
                    )));
                }
            };
        }
        config.servers = read_servers(servers)?;
        config.certificate =
            certificate.map(|Certificate { certificate, private_key }| peer::Certificate { certificate, private_key });
        set(&mut config.mdns_candidates, self.mdns_candidates);
        set(&mut config.active_tcp, self.active_tcp);
        set(&mut config.max_message_size, self.max_message_size);
        set(&mut config.mtu, self.mtu.map(size));
        set(&mut config.dtls_1_3, self.dtls_1_3);
        set(&mut config.max_channels, self.max_channels.map(size));
        set(&mut config.send_buffer, self.send_buffer.map(size));
        config.receive_buffer = self.receive_buffer.map(size);
        Ok(config)
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

pub(crate) fn read_servers(servers: Vec<IceServer>) -> Result<Vec<ice::Server>, Error> {
    Ok(ice::IceServer::read_all(servers.into_iter().map(|server| {
        let named = ice::IceServer::new(server.urls);
        match (server.username, server.credential) {
            (None, None) => named,
            (username, credential) => named.credentials(username.unwrap_or_default(), credential.unwrap_or_default()),
        }
    }))?)
}

impl ChannelConfig {
    pub(crate) fn read(self) -> Result<peer::ChannelConfig, Error> {
        let reliability = match (self.max_retransmits, self.max_packet_life_time) {
            (None, None) => Reliability::Reliable,
            (Some(times), None) => Reliability::MaxRetransmits(times),
            (None, Some(milliseconds)) => Reliability::MaxPacketLifeTime(milliseconds),
            (Some(times), Some(milliseconds)) => {
                return Err(Error::argument(format!(
                    "a channel has a limit of retransmissions ({times}) or of time ({milliseconds} ms), not both"
                )));
            }
        };
        Ok(peer::ChannelConfig {
            label: self.label,
            protocol: self.protocol.unwrap_or_default(),
            ordered: self.ordered.unwrap_or(true),
            reliability,
            negotiated: self.negotiated,
        })
    }
}

impl Description {
    pub(crate) fn read(self) -> Result<jsep::Description, Error> {
        let kind = self.r#type.parse().map_err(|error: jsep::UnknownKind| Error::argument(error.to_string()))?;
        Ok(jsep::Description { kind, sdp: self.sdp })
    }

    pub(crate) fn of(description: jsep::Description) -> Self {
        Self { r#type: description.kind.to_string(), sdp: description.sdp }
    }
}

impl From<IceCandidate> for jsep::TrickledCandidate {
    fn from(candidate: IceCandidate) -> Self {
        let IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment } = candidate;
        Self { candidate, mid: sdp_mid, m_line_index: sdp_m_line_index, ufrag: username_fragment }
    }
}

impl Path {
    pub(crate) fn of(path: frazil::Path) -> Self {
        Self {
            protocol: word_of(path.protocol).to_owned(),
            local_ip: path.local.ip().to_string(),
            local_port: path.local.port(),
            remote_ip: path.remote.ip().to_string(),
            remote_port: path.remote.port(),
        }
    }

    pub(crate) fn read(&self) -> Result<frazil::Path, Error> {
        Ok(frazil::Path {
            protocol: read_protocol(&self.protocol)?,
            local: read_address(&self.local_ip, self.local_port)?,
            remote: read_address(&self.remote_ip, self.remote_port)?,
        })
    }
}

pub(crate) fn word_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        _ => "udp",
    }
}

pub(crate) fn read_protocol(word: &str) -> Result<Protocol, Error> {
    match word {
        "udp" => Ok(Protocol::Udp),
        "tcp" => Ok(Protocol::Tcp),
        _ => Err(Error::argument(format!("the protocol {word:?} is not \"udp\" or \"tcp\""))),
    }
}

pub(crate) fn read_address(ip: &str, port: u16) -> Result<SocketAddr, Error> {
    Ok(SocketAddr::new(read_ip(ip)?, port))
}

/// An IP address; systems write the scope of an IPv6 address behind it.
pub(crate) fn read_ip(text: &str) -> Result<IpAddr, Error> {
    let address = text.split_once('%').map_or(text, |(address, _scope)| address);
    address.parse().map_err(|_| Error::argument(format!("{text:?} is no IP address")))
}
