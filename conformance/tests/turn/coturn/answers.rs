//! Whether a STUN server is there.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use frazil::stun::{Class, MessageWriter, Method, TransactionId};

/// Whether it answers there within 50 ms.
pub(crate) fn answers(at: SocketAddr) -> bool {
    let mut buf = [0; 100];
    let any = if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let len = MessageWriter::new(&mut buf, Class::Request, Method::BINDING, TransactionId([7; 12])).finish().unwrap();
    socket.send_to(&buf[..len], at).is_ok() && socket.recv_from(&mut buf).is_ok()
}
