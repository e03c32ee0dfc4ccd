//! What a discovery is made with.

use core::fmt;
use std::net::SocketAddr;

use super::address::{is_host, is_same};
use crate::stun::RetransmissionConfig;

/// A discovery's configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// The address of the UDP socket that it is about. Nothing else may be sent from there before and meanwhile: a
    /// filter lets in whoever was sent to.
    pub base: SocketAddr,
    /// A STUN server.
    pub server: SocketAddr,
    /// A STUN server at another address, which is asked for the mapping where the first one does not suffice.
    pub second_server: Option<SocketAddr>,
    /// Another UDP socket behind the same NATs. Without one nothing is found out about hairpinning.
    pub second_base: Option<SocketAddr>,
    /// How a request is repeated, and when there is no answer. That nobody answers is what tells a filter, so requests
    /// that are given up too early make filters out of losses; and it bounds the time that a discovery takes, which is
    /// five times the lifetime of a request at the most.
    pub retransmission: RetransmissionConfig,
}

impl Config {
    /// One socket, one server, and the timers of RFC 8489, as RFC 5780 has it: 7 requests in 39.5 s.
    #[must_use]
    pub fn new(base: SocketAddr, server: SocketAddr) -> Self {
        Self { base, server, second_server: None, second_base: None, retransmission: RetransmissionConfig::default() }
    }

    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        let bases = [Some(self.base), self.second_base];
        let servers = [Some(self.server), self.second_server];
        if let Some(nobody) = bases.iter().flatten().find(|base| !is_host(**base)) {
            return Err(InvalidConfig::Base(*nobody));
        }
        if let Some(nobody) = servers.iter().flatten().find(|server| !is_host(**server)) {
            return Err(InvalidConfig::Server(*nobody));
        }
        if let Some(other) = self
            .second_base
            .iter()
            .chain(servers.iter().flatten())
            .find(|address| address.is_ipv4() != self.base.is_ipv4() || is_same(**address, self.base))
        {
            return Err(InvalidConfig::Pair(self.base, *other));
        }
        match self.second_server {
            Some(second) if is_same(second, self.server) => Err(InvalidConfig::Pair(self.server, second)),
            _ => Ok(()),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InvalidConfig {
    /// No socket can be known by this address: one that is bound to all addresses must be given with one of them.
    Base(SocketAddr),
    /// No server can be at this address.
    Server(SocketAddr),
    /// The two are the same, or not of the same family.
    Pair(SocketAddr, SocketAddr),
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(address) => write!(f, "no socket is known by {address}"),
            Self::Server(address) => write!(f, "no server can be at {address}"),
            Self::Pair(one, other) => write!(f, "{one} and {other} do not go together"),
        }
    }
}

impl std::error::Error for InvalidConfig {}
