//! The machine's addresses that are worth a socket.

use frazil::ice::{self, InterfaceKind};
use frazil_interfaces::{InterfacePolicy, MAX_SOCKETS, interfaces};

use crate::config::{read_address, read_protocol, word_of};
use crate::error::Error;
use crate::guard::guarded;
use crate::record::HostSocket;

/// The addresses that a driver binds a UDP socket on, best first, with the port 0: in place of it goes the port that the
/// system gives, and what was bound goes to [`Peer::handle_network_change`](crate::Peer::handle_network_change). Loopback
/// and IPv6 link-local addresses are among them if they are asked for or there is nothing else.
///
/// # Errors
/// If the system does not list its interfaces.
pub fn host_sockets(loopback: bool, link_local: bool) -> Result<Vec<HostSocket>, Error> {
    guarded(|| {
        let policy = InterfacePolicy { loopback, link_local, filter: None };
        let worth = policy.select(interfaces()?).into_iter().take(MAX_SOCKETS);
        Ok(worth.map(|interface| HostSocket::of(&interface.unbound())).collect())
    })
}

const KINDS: [(InterfaceKind, &str); 6] = [
    (InterfaceKind::Ethernet, "ethernet"),
    (InterfaceKind::Wifi, "wifi"),
    (InterfaceKind::Unknown, "unknown"),
    (InterfaceKind::Cellular, "cellular"),
    (InterfaceKind::Vpn, "vpn"),
    (InterfaceKind::Loopback, "loopback"),
];

impl HostSocket {
    fn of(socket: &ice::HostSocket) -> Self {
        let kind = KINDS.iter().find(|(kind, _)| *kind == socket.interface).map_or("unknown", |(_, word)| *word);
        Self {
            protocol: word_of(socket.protocol).to_owned(),
            ip: socket.base.ip().to_string(),
            port: socket.base.port(),
            interface: kind.to_owned(),
            index: socket.index,
            cost: socket.cost,
            temporary: socket.temporary,
            deprecated: socket.deprecated,
        }
    }

    pub(crate) fn read(&self) -> Result<ice::HostSocket, Error> {
        let kind = KINDS.iter().find(|(_, word)| *word == self.interface).map(|(kind, _)| *kind);
        Ok(ice::HostSocket {
            base: read_address(&self.ip, self.port)?,
            protocol: read_protocol(&self.protocol)?,
            interface: kind.ok_or_else(|| Error::argument(format!("{:?} is no kind of interface", self.interface)))?,
            index: self.index,
            cost: self.cost,
            temporary: self.temporary,
            deprecated: self.deprecated,
        })
    }
}
