//! Who is reached by way of the server: a plain socket on loopback.

use std::net::{SocketAddr, UdpSocket};

use crate::site::seconds;

pub(crate) struct Peer {
    socket: UdpSocket,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// At 127.0.0.1 or ::1.
    pub(crate) fn new(v4: bool) -> Self {
        Self::at(if v4 { "127.0.0.1:0" } else { "[::1]:0" })
    }

    pub(crate) fn at(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(seconds(60))).unwrap();
        Self { address: socket.local_addr().unwrap(), socket }
    }

    /// The next datagram that comes within a minute, and from where.
    pub(crate) fn receive(&self) -> (SocketAddr, Vec<u8>) {
        let mut buf = [0; 2000];
        let (len, from) = self.socket.recv_from(&mut buf).expect("a datagram");
        (from, buf[..len].to_vec())
    }

    pub(crate) fn send(&self, to: SocketAddr, data: &[u8]) {
        self.socket.send_to(data, to).unwrap();
    }
}
