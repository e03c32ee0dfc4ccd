//! TCP: listeners, the streams that were accepted or are opened, and what waits to be written to each.

use frazil::ice::{FrameReader, HostSocket};
use frazil::{Path, PathId, Protocol};
use socket2::{Domain, SockRef, Type};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::interfaces::{Interface, is_link_local};
use crate::socket::{in_range, scope_of, with_scope, without_scope};

/// What waits here while the system takes no more: as much as for a UDP socket. What comes above it is lost, whole
/// datagrams at a time, which slows SCTP down.
const MAX_BACKLOG: usize = 256 << 10;

/// How many streams that the core has done with may still have something to deliver.
const MAX_PARTING: usize = 8;

/// Connections that wait to be accepted.
const LISTEN_BACKLOG: i32 = 64;

/// Bytes read at once.
pub(crate) const READ: usize = 1 << 16;

/// A socket that others connect to.
#[derive(Debug)]
pub(crate) struct Listener {
    io: TcpListener,
    interface: Interface,
    local: SocketAddr,
}

impl Listener {
    /// Listens on the interface's address, on a port of `ports` or on one that the system chooses.
    ///
    /// # Errors
    /// When the system refuses, or when every port of the range is taken ([`ErrorKind::AddrInUse`]).
    ///
    /// # Panics
    /// Outside a tokio runtime whose I/O is enabled.
    pub(crate) fn bind(interface: &Interface, ports: Option<&RangeInclusive<u16>>) -> io::Result<Self> {
        let scope = scope_of(interface);
        let on = |port| listen(with_scope(SocketAddr::new(interface.address, port), scope));
        let bound = match ports {
            None => on(0)?,
            Some(range) => in_range(range, on)?,
        };
        let io = TcpListener::from_std(bound.into())?;
        let local = without_scope(io.local_addr()?);
        Ok(Self { io, interface: interface.clone(), local })
    }

    /// The address of the machine that it is on.
    pub(crate) fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The system says something else of the address now.
    pub(crate) fn set_interface(&mut self, interface: Interface) {
        self.interface = interface;
    }

    /// What the core is told of it.
    pub(crate) fn host(&self) -> HostSocket {
        self.interface.socket(self.local, Protocol::Tcp)
    }

    /// The next who connects, with the path that the stream is.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<(TcpStream, Path)> {
        match self.io.poll_accept(cx) {
            Poll::Ready(Ok((io, remote))) => {
                let remote = without_scope(remote);
                Poll::Ready((io, Path { protocol: Protocol::Tcp, local: self.local, remote }))
            }
            // Who has gone again, or the system has no more handles: the next turn will tell.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

/// The streams of one peer.
#[derive(Default)]
pub(crate) struct Streams {
    by_path: BTreeMap<PathId, Stream>,
    opening: BTreeMap<PathId, Opening>,
    /// Closed by the core, and still flushing.
    parting: VecDeque<Stream>,
}

type Opening = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// What became of a stream.
pub(crate) enum News {
    Opened(PathId),
    /// It could not be opened, or it ended or broke.
    Closed(PathId),
}

impl Streams {
    /// Begins to open a stream. `scope` is that of the interface, of use where the addresses are link-local.
    pub(crate) fn open(&mut self, path: PathId, local: SocketAddr, remote: SocketAddr, scope: u32) {
        self.opening.insert(path, Box::pin(connect(local, remote, scope)));
    }

    /// Takes a stream that was accepted.
    pub(crate) fn insert(&mut self, path: PathId, io: TcpStream) {
        self.by_path.insert(path, Stream::new(io));
    }

    /// Closes a stream once what was written is on its way.
    pub(crate) fn close(&mut self, path: PathId) {
        self.opening.remove(&path);
        if let Some(stream) = self.by_path.remove(&path) {
            if self.parting.len() == MAX_PARTING {
                self.parting.pop_front();
            }
            self.parting.push_back(stream);
        }
    }

    /// Writes a frame to the stream of `path`, now or later, or loses it where too much waits. False if there is no
    /// such stream.
    pub(crate) fn write(&mut self, path: PathId, frame: &[u8]) -> bool {
        let Some(stream) = self.by_path.get_mut(&path) else { return false };
        if stream.backlog.len() + frame.len() <= MAX_BACKLOG {
            stream.backlog.extend(frame);
        }
        true
    }

    /// Writes what waits, as far as the system takes it at once.
    pub(crate) fn flush(&mut self) {
        for stream in self.by_path.values_mut() {
            stream.flush();
        }
    }

    /// What became of the streams, and those that have something to read.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, news: &mut Vec<News>, readable: &mut Vec<PathId>) {
        self.opening.retain(|&path, opening| {
            let Poll::Ready(opened) = opening.as_mut().poll(cx) else { return true };
            match opened {
                Ok(io) => {
                    self.by_path.insert(path, Stream::new(io));
                    news.push(News::Opened(path));
                }
                Err(_) => news.push(News::Closed(path)),
            }
            false
        });
        self.by_path.retain(|&path, stream| {
            stream.poll_flush(cx);
            if !stream.broken && stream.io.poll_read_ready(cx).is_ready() {
                readable.push(path);
            }
            if stream.broken {
                news.push(News::Closed(path));
            }
            !stream.broken
        });
        let _ = self.poll_parted(cx);
    }

    /// Reads what is there. `None` if there is nothing more at present, or nothing ever: then [`Self::poll`] will say so.
    pub(crate) fn read(&mut self, path: PathId, buffer: &mut [u8]) -> Option<usize> {
        let stream = self.by_path.get_mut(&path)?;
        match stream.io.try_read(buffer) {
            Ok(0) => stream.broken = true,
            Ok(len) => return Some(len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => stream.broken = true,
        }
        None
    }

    /// Lends out what finds the datagrams in a stream, to be given back with [`Self::give_back`].
    pub(crate) fn lend_reader(&mut self, path: PathId) -> FrameReader {
        self.by_path.get_mut(&path).map(|stream| std::mem::take(&mut stream.reader)).unwrap_or_default()
    }

    pub(crate) fn give_back(&mut self, path: PathId, reader: FrameReader) {
        if let Some(stream) = self.by_path.get_mut(&path) {
            stream.reader = reader;
        }
    }

    pub(crate) fn contains(&self, path: PathId) -> bool {
        self.by_path.contains_key(&path)
    }

    /// Whether some stream broke since [`Self::poll`] last told.
    pub(crate) fn any_broken(&self) -> bool {
        self.by_path.values().any(|stream| stream.broken)
    }

    /// Flushes the streams that the core has done with; ready when none is left.
    pub(crate) fn poll_parted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.parting.retain_mut(|stream| stream.poll_part(cx).is_pending());
        if self.parting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

struct Stream {
    io: TcpStream,
    reader: FrameReader,
    /// Frames that the system did not take yet; the first may have gone in part.
    backlog: VecDeque<u8>,
    broken: bool,
    /// The other side knows that no more comes.
    shut: bool,
}

impl Stream {
    fn new(io: TcpStream) -> Self {
        // Datagrams do not wait for one another. Where the system refuses, they do.
        let _ = io.set_nodelay(true);
        Self { io, reader: FrameReader::default(), backlog: VecDeque::new(), broken: false, shut: false }
    }

    fn flush(&mut self) {
        while !self.broken && !self.backlog.is_empty() {
            match self.io.try_write(self.backlog.as_slices().0) {
                Ok(written) => drop(self.backlog.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.broken = true,
            }
        }
    }

    /// Sees to it that the task is woken when the system takes more of what waits.
    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        self.flush();
        while !self.broken && !self.backlog.is_empty() && self.io.poll_write_ready(cx).is_ready() {
            self.flush();
        }
    }

    /// Ready when all is delivered and the other side has closed too. To close with something left to read would have
    /// the system take back what the other side has not read yet.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_flush(cx);
        if self.broken {
            return Poll::Ready(());
        }
        if !self.backlog.is_empty() {
            return Poll::Pending;
        }
        if !self.shut {
            self.shut = true;
            let _ = SockRef::from(&self.io).shutdown(Shutdown::Write);
        }
        let mut ignored = [0; 4096];
        loop {
            if self.io.poll_read_ready(cx).is_pending() {
                return Poll::Pending;
            }
            match self.io.try_read(&mut ignored) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}

async fn connect(local: SocketAddr, remote: SocketAddr, scope: u32) -> io::Result<TcpStream> {
    let scoped = |address: SocketAddr| if is_link_local(address.ip()) { with_scope(address, scope) } else { address };
    let socket = if local.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if local.port() != 0 {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(scoped(local))?;
    socket.connect(scoped(remote)).await
}

fn listen(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(socket2::Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket)
}
