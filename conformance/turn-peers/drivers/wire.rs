//! A socket or a stream that is waited for only a little.

#![allow(dead_code, reason = "each program uses its part of it")]

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

const PATIENCE: Duration = Duration::from_millis(10);

pub(crate) enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What came.
pub(crate) enum Came {
    From(SocketAddr, usize),
    Nothing,
    Closed,
}

impl Wire {
    pub(crate) fn udp(local: IpAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((local, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::Udp(socket))
    }

    pub(crate) fn tcp(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::Tcp(stream))
    }

    pub(crate) fn tls(server: SocketAddr, name: ServerName<'static>, config: Arc<ClientConfig>) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(session, stream);
        tls.flush()?;
        tls.sock.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::Tls(Box::new(tls)))
    }

    pub(crate) fn local(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(stream) => stream.local_addr(),
            Self::Tls(tls) => tls.sock.local_addr(),
        }
        .expect("it is bound")
    }

    /// What cannot be sent is lost.
    pub(crate) fn send(&mut self, bytes: &[u8], to: SocketAddr) {
        let _ = match self {
            Self::Udp(socket) => socket.send_to(bytes, to).map(drop),
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
    }

    pub(crate) fn receive(&mut self, buf: &mut [u8]) -> Came {
        let came = match self {
            Self::Udp(socket) => socket.recv_from(buf).map(|(len, from)| (from, len)),
            Self::Tcp(stream) => stream.read(buf).and_then(|len| Ok((stream.peer_addr()?, len))),
            Self::Tls(tls) => tls.read(buf).and_then(|len| Ok((tls.sock.peer_addr()?, len))),
        };
        match came {
            Ok((_, 0)) if !matches!(self, Self::Udp(_)) => Came::Closed,
            Ok((from, len)) => Came::From(from, len),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Came::Nothing,
            // Nobody is at the port: more may come all the same.
            Err(_) if matches!(self, Self::Udp(_)) => Came::Nothing,
            Err(_) => Came::Closed,
        }
    }
}
