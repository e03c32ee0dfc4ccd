//! What a client talks through.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// How long a stream may take to open.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a reader waits at a time.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What a reader has found.
pub(crate) enum Read {
    /// Nothing within the moment that it waits.
    Nothing,
    /// A datagram: its length, and from where.
    Datagram(usize, SocketAddr),
    /// This many bytes of a stream.
    Bytes(usize),
    /// The stream is closed.
    End,
}

impl Socket {
    pub(crate) fn bind(local: SocketAddr) -> Self {
        let socket = UdpSocket::bind(local).unwrap();
        socket.set_read_timeout(Some(PAUSE)).unwrap();
        Self::Udp(socket)
    }

    pub(crate) fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = open(server)?;
        stream.set_read_timeout(Some(PAUSE))?;
        Ok(Self::Tcp(stream))
    }

    /// The server must show that it has this name.
    pub(crate) fn connect_tls(server: SocketAddr, trust: Arc<ClientConfig>, name: String) -> io::Result<Self> {
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let mut stream = open(server)?;
        let mut tls = ClientConnection::new(trust, name).map_err(io::Error::other)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        stream.set_read_timeout(Some(PAUSE))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(tls, stream))))
    }

    pub(crate) fn local(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(stream) => stream.local_addr(),
            Self::Tls(stream) => stream.sock.local_addr(),
        }
        .unwrap()
    }

    /// What cannot be written is lost; that a stream is closed the reader finds out.
    pub(crate) fn write(&mut self, bytes: &[u8], to: SocketAddr) {
        let _ = match self {
            Self::Udp(socket) => socket.send_to(bytes, to).map(drop),
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        };
    }

    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Read {
        let read = match self {
            // An error is that of a datagram that was sent.
            Self::Udp(socket) => match socket.recv_from(buf) {
                Ok((len, from)) => return Read::Datagram(len, from),
                Err(_) => return Read::Nothing,
            },
            Self::Tcp(stream) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
        };
        match read {
            Ok(0) => Read::End,
            Ok(len) => Read::Bytes(len),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Read::Nothing,
            Err(_) => Read::End,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

fn open(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
