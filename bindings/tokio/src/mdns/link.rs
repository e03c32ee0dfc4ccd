//! Where the group is heard and spoken to: a socket for each interface and family, on the group's port.

use socket2::{Domain, Protocol, SockRef, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::task::{Context, Poll};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::{GROUP_V4, GROUP_V6, PORT};
use frazil_interfaces::{Interface, is_link_local};

/// Where the system can bind a socket to a group, it gets nothing else: it takes no unicast datagram from
/// another program's socket on the same port, and what it gets was sent to the group.
const BINDS_TO_GROUP: bool = cfg!(unix);

/// Whether what is sent from a socket that is bound to a group bears the machine's address all the same.
const SENDS_FROM_GROUP: bool = cfg!(any(target_os = "linux", target_os = "android", not(unix)));

/// One interface, in one family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct LinkId {
    /// The interface's number.
    pub(super) index: u32,
    pub(super) v6: bool,
}

/// A link, and which addresses of the machine are on it, of both families.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) id: LinkId,
    pub(super) addresses: Vec<Interface>,
}

impl Place {
    /// The links that these addresses are on.
    pub(super) fn all_of(interfaces: &[Interface]) -> Vec<Self> {
        let mut places: Vec<Self> = Vec::new();
        for interface in interfaces {
            let id = LinkId { index: interface.index.unwrap_or(0), v6: interface.address.is_ipv6() };
            if !places.iter().any(|place| place.id == id) {
                let addresses = interfaces.iter().filter(|other| other.index.unwrap_or(0) == id.index);
                places.push(Self { id, addresses: addresses.cloned().collect() });
            }
        }
        places
    }

    /// Whether the machine has this address here.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|interface| interface.address == address)
    }

    /// Whether a sender with this address is a neighbour (section 11).
    pub(super) fn reaches(&self, sender: IpAddr) -> bool {
        is_link_local(sender) || self.addresses.iter().any(|interface| interface.contains(sender))
    }

    fn group(&self) -> SocketAddr {
        if self.id.v6 {
            SocketAddrV6::new(GROUP_V6, PORT, 0, self.id.index).into()
        } else {
            SocketAddrV4::new(GROUP_V4, PORT).into()
        }
    }

    fn v4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|interface| match interface.address {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        })
    }
}

/// A link with its socket. What its socket gets was sent to the group where the system can tell.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) place: Place,
    group: UdpSocket,
    /// Where the other cannot send.
    sender: Option<UdpSocket>,
}

impl Link {
    /// Opens a socket on each of the places. What the system refuses is done without.
    pub(super) fn open_all(interfaces: &[Interface]) -> Vec<Self> {
        Place::all_of(interfaces).into_iter().filter_map(|place| Self::open(place).ok()).collect()
    }

    pub(super) fn open(place: Place) -> io::Result<Self> {
        let bound_to = match (BINDS_TO_GROUP, place.id.v6) {
            (true, _) => place.group(),
            (false, true) => SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, PORT, 0, 0).into(),
            (false, false) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into(),
        };
        let group = shared_socket(&place)?;
        if place.id.v6 {
            group.join_multicast_v6(&GROUP_V6, place.id.index)?;
        } else {
            group.join_multicast_v4(&GROUP_V4, &place.v4().ok_or(io::ErrorKind::AddrNotAvailable)?)?;
            // Linux gives a socket what any socket of the machine has joined for, unless it is asked not to.
            #[cfg(target_os = "linux")]
            group.set_multicast_all_v4(false)?;
        }
        let group = ready(group, bound_to)?;
        let sender = if SENDS_FROM_GROUP { None } else { Some(sender(&place)?) };
        Ok(Self { place, group, sender })
    }

    /// A message and its sender. Errors are about what was sent earlier; a few in a row are passed over.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>, message: &mut [u8]) -> Poll<(usize, SocketAddr)> {
        for _ in 0..8 {
            let mut buffer = ReadBuf::new(message);
            match self.group.poll_recv_from(cx, &mut buffer) {
                Poll::Ready(Ok(sender)) => return Poll::Ready((buffer.filled().len(), sender)),
                Poll::Ready(Err(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether what comes out of here was sent to the group.
    pub(super) fn hears_the_group_only(&self) -> bool {
        BINDS_TO_GROUP
    }

    /// Sends to all on the link, ourselves included. A message that the system does not take at once is lost.
    pub(super) fn send_to_group(&self, message: &[u8]) {
        self.send_to(message, self.place.group());
    }

    /// Sends to one on the link.
    pub(super) fn send_to(&self, message: &[u8], to: SocketAddr) {
        let socket = self.sender.as_ref().unwrap_or(&self.group);
        let _ = SockRef::from(socket).send_to(message, &to.into());
    }
}

fn sender(place: &Place) -> io::Result<UdpSocket> {
    let own = place.addresses.iter().find(|interface| interface.address.is_ipv6() == place.id.v6);
    let address = match own.map(|interface| interface.address) {
        Some(IpAddr::V6(v6)) => SocketAddrV6::new(v6, PORT, 0, place.id.index).into(),
        Some(IpAddr::V4(v4)) => SocketAddrV4::new(v4, PORT).into(),
        None => return Err(io::ErrorKind::AddrNotAvailable.into()),
    };
    ready(shared_socket(place)?, address)
}

/// A socket that shares its port with other programs and sends to the group over the link.
fn shared_socket(place: &Place) -> io::Result<socket2::Socket> {
    let domain = if place.id.v6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    if place.id.v6 {
        socket.set_only_v6(true)?;
        socket.set_multicast_if_v6(place.id.index)?;
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_loop_v6(true)?;
    } else {
        socket.set_multicast_if_v4(&place.v4().ok_or(io::ErrorKind::AddrNotAvailable)?)?;
        socket.set_multicast_ttl_v4(255)?;
        socket.set_multicast_loop_v4(true)?;
    }
    Ok(socket)
}

/// Binds the socket and hands it to the runtime.
pub(super) fn ready(socket: socket2::Socket, address: SocketAddr) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}
