//! TCP: listeners, the streams that were accepted or are opened to peers and servers, and what waits to be written to
//! each.

use frazil::ice::HostSocket;
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

use crate::socket::{in_range, scope_of, with_scope, without_scope};
use crate::tls::{MAX_RECORD, Session, Trust};
use frazil_interfaces::{Interface, is_link_local};

/// What waits here while the system takes no more: as much as for a UDP socket. What comes above it is lost, whole
/// datagrams at a time, which slows SCTP down.
const MAX_BACKLOG: usize = 256 << 10;

/// How many streams that the core has done with may still have something to deliver.
const MAX_PARTING: usize = 8;

/// Connections that wait to be accepted.
const LISTEN_BACKLOG: i32 = 64;

/// Bytes read at once.
pub(crate) const READ: usize = 1 << 16;

/// Of a secured stream: they are opened into the rest of the same buffer.
const READ_SECURED: usize = 1 << 14;
const _: () = assert!(READ - READ_SECURED >= READ_SECURED + MAX_RECORD);

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

type Opening = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// A stream that is to be opened.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Where from; port 0 leaves the port to the system.
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// That of the interface, of use where the addresses are link-local.
    pub(crate) scope: u32,
    pub(crate) to: End,
}

/// Who is at the other end of a stream.
#[derive(Debug)]
pub(crate) enum End {
    /// The other peer: datagrams have their length before them (RFC 4571).
    Peer,
    /// A STUN or TURN server, whose messages tell their length themselves.
    Server {
        /// Over TLS: who it must be, and whom we believe that.
        tls: Option<(String, Trust)>,
    },
}

/// What became of a stream.
pub(crate) enum News {
    Opened(PathId),
    /// It could not be opened, or it ended or broke.
    Closed(PathId, io::Error),
}

impl Streams {
    /// Begins to open a stream.
    pub(crate) fn open(&mut self, path: PathId, wanted: Wanted) {
        self.opening.insert(path, Box::pin(open(wanted)));
    }

    /// Takes a stream that was accepted.
    pub(crate) fn insert(&mut self, path: PathId, io: TcpStream) {
        self.by_path.insert(path, Stream::new(io, false, None));
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

    /// Writes a frame or a message to the stream of `path`, now or later, or loses it where too much waits. False if
    /// there is no such stream.
    pub(crate) fn write(&mut self, path: PathId, frame: &[u8]) -> bool {
        let Some(stream) = self.by_path.get_mut(&path) else { return false };
        if stream.backlog.len() + frame.len() <= MAX_BACKLOG {
            stream.write(frame);
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
                Ok(stream) => {
                    self.by_path.insert(path, stream);
                    news.push(News::Opened(path));
                }
                Err(error) => news.push(News::Closed(path, error)),
            }
            false
        });
        self.by_path.retain(|&path, stream| {
            stream.poll_flush(cx);
            if stream.broken.is_none() && stream.io.poll_read_ready(cx).is_ready() {
                readable.push(path);
            }
            match stream.broken.take() {
                Some(error) => news.push(News::Closed(path, error)),
                None => return true,
            }
            false
        });
        let _ = self.poll_parted(cx);
    }

    /// Reads what is there: no bytes where records came that have none. `None` if there is nothing more at present, or
    /// nothing ever: then [`Self::poll`] will say so. The buffer has room for [`READ`] bytes.
    pub(crate) fn read(&mut self, path: PathId, buffer: &mut [u8]) -> Option<usize> {
        self.by_path.get_mut(&path)?.read(buffer)
    }

    /// Whether a server is at the other end.
    pub(crate) fn leads_to_server(&self, path: PathId) -> bool {
        self.by_path.get(&path).is_some_and(|stream| stream.to_server)
    }

    /// Whether some stream broke since [`Self::poll`] last told.
    pub(crate) fn any_broken(&self) -> bool {
        self.by_path.values().any(|stream| stream.broken.is_some())
    }

    /// Flushes the streams that the core has done with; ready when none is left.
    pub(crate) fn poll_parted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.parting.retain_mut(|stream| stream.poll_part(cx).is_pending());
        if self.parting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

struct Stream {
    io: TcpStream,
    tls: Option<Session>,
    to_server: bool,
    /// Bytes that the system did not take yet; the first frame of them may have gone in part.
    backlog: VecDeque<u8>,
    broken: Option<io::Error>,
    /// No more is to be written.
    parts: bool,
    /// The other side knows that no more comes.
    shut: bool,
}

impl Stream {
    fn new(io: TcpStream, to_server: bool, tls: Option<Session>) -> Self {
        // Datagrams do not wait for one another. Where the system refuses, they do.
        let _ = io.set_nodelay(true);
        Self { io, tls, to_server, backlog: VecDeque::new(), broken: None, parts: false, shut: false }
    }

    fn write(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            None => self.backlog.extend(bytes),
            Some(session) => self.broken = self.broken.take().or(session.seal(bytes, &mut self.backlog).err()),
        }
    }

    fn flush(&mut self) {
        while self.broken.is_none() && !self.backlog.is_empty() {
            match self.io.try_write(self.backlog.as_slices().0) {
                Ok(written) => drop(self.backlog.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.broken = Some(error),
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.broken.is_some() {
            return None;
        }
        let Some(session) = &mut self.tls else {
            return read_once(&self.io, buffer, &mut self.broken);
        };
        let (bytes, records) = buffer.split_at_mut(READ - READ_SECURED);
        let read = read_once(&self.io, records, &mut self.broken)?;
        let (len, opened) = session.open(&records[..read], bytes, &mut self.backlog);
        self.broken = opened.err();
        Some(len)
    }

    /// Sees to it that the task is woken when the system takes more of what waits.
    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        self.flush();
        while self.broken.is_none() && !self.backlog.is_empty() && self.io.poll_write_ready(cx).is_ready() {
            self.flush();
        }
    }

    /// Ready when all is delivered and the other side has closed too. To close with something left to read would have
    /// the system take back what the other side has not read yet.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(session) = self.tls.as_mut().filter(|_| !self.parts) {
            // Where that fails, the end of the stream says it.
            let _ = session.seal_end(&mut self.backlog);
        }
        self.parts = true;
        self.poll_flush(cx);
        if self.broken.is_some() {
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

/// Reads what is there, or takes note that nothing comes any more.
fn read_once(io: &TcpStream, buffer: &mut [u8], broken: &mut Option<io::Error>) -> Option<usize> {
    match io.try_read(buffer) {
        Ok(0) => *broken = Some(io::Error::new(ErrorKind::UnexpectedEof, "the other side has ended it")),
        Ok(len) => return Some(len),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => *broken = Some(error),
    }
    None
}

async fn open(Wanted { local, remote, scope, to }: Wanted) -> io::Result<Stream> {
    let io = connect(local, remote, scope).await?;
    Ok(match to {
        End::Peer => Stream::new(io, false, None),
        End::Server { tls: None } => Stream::new(io, true, None),
        End::Server { tls: Some((name, trust)) } => {
            let (io, session) = trust.shake_hands(io, &name).await?;
            Stream::new(io, true, Some(session))
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::sync::Arc;
    use std::thread::JoinHandle;
    use std::time::Duration;

    const PATH: PathId = PathId::from_u32(7);

    /// A server that repeats what it is told, and gives what it was told when the stream ends.
    struct Echo {
        address: SocketAddr,
        certificate: CertificateDer<'static>,
        heard: JoinHandle<io::Result<Vec<u8>>>,
    }

    impl Echo {
        fn start(name: &str) -> Self {
            Self::with_tickets(name, 1)
        }

        /// One that has this many tickets to give once hands are shaken: records with no data in them.
        fn with_tickets(name: &str, tickets: usize) -> Self {
            let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.into()]).unwrap();
            let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            let chain = vec![cert.der().clone()];
            let mut config = versions.with_no_client_auth().with_single_cert(chain, key.into()).unwrap();
            config.send_tls13_tickets = tickets;
            let config = Arc::new(config);
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let heard = std::thread::spawn(move || {
                let (io, _) = listener.accept()?;
                let mut stream = StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, io);
                let (mut heard, mut buffer) = (Vec::new(), [0; 5_000]);
                loop {
                    // An end without a word about it is an error.
                    let len = stream.read(&mut buffer)?;
                    if len == 0 {
                        return Ok(heard);
                    }
                    heard.extend(&buffer[..len]);
                    stream.write_all(&buffer[..len])?;
                }
            });
            Self { address, certificate: cert.der().clone(), heard }
        }
    }

    fn wanted(echo: &Echo, name: &str, trust: Trust) -> Wanted {
        let to = End::Server { tls: Some((name.to_owned(), trust)) };
        Wanted { local: "127.0.0.1:0".parse().unwrap(), remote: echo.address, scope: 0, to }
    }

    /// What comes next of a stream: news, or that it has something to read.
    async fn next(streams: &mut Streams) -> Option<News> {
        let next = poll_fn(|cx| {
            let (mut news, mut readable) = (Vec::new(), Vec::new());
            streams.poll(cx, &mut news, &mut readable);
            if news.is_empty() && readable.is_empty() { Poll::Pending } else { Poll::Ready(news.pop()) }
        });
        tokio::time::timeout(Duration::from_secs(30), next).await.expect("something comes of it")
    }

    #[tokio::test]
    async fn over_tls_bytes_arrive_as_they_were_sent_and_the_end_is_told() {
        let echo = Echo::start("127.0.0.1");
        let mut streams = Streams::default();
        streams.open(PATH, wanted(&echo, "127.0.0.1", Trust::roots([echo.certificate.clone()]).unwrap()));
        assert!(matches!(next(&mut streams).await, Some(News::Opened(PATH))));
        assert!(streams.leads_to_server(PATH));
        let mut sent = Vec::new();
        for n in 0..150_u32 {
            let message = vec![n as u8; 1 + (n * 7 % 1_200) as usize];
            assert!(streams.write(PATH, &message));
            sent.extend(message);
        }
        let (mut got, mut buffer) = (Vec::new(), vec![0; READ]);
        while got.len() < sent.len() {
            assert!(next(&mut streams).await.is_none(), "the stream is well");
            while let Some(len) = streams.read(PATH, &mut buffer) {
                got.extend_from_slice(&buffer[..len]);
            }
        }
        assert_eq!(got, sent);
        // What is written last arrives, too.
        streams.write(PATH, b"last words");
        streams.close(PATH);
        tokio::time::timeout(Duration::from_secs(30), poll_fn(|cx| streams.poll_parted(cx))).await.unwrap();
        assert_eq!(echo.heard.join().unwrap().unwrap(), [&sent[..], b"last words"].concat());
    }

    #[tokio::test]
    async fn records_without_data_take_turns_with_the_rest() {
        let echo = Echo::with_tickets("127.0.0.1", 200);
        let mut streams = Streams::default();
        streams.open(PATH, wanted(&echo, "127.0.0.1", Trust::roots([echo.certificate.clone()]).unwrap()));
        assert!(matches!(next(&mut streams).await, Some(News::Opened(PATH))));
        streams.write(PATH, b"a word");
        let (mut empty, mut buffer) = (0, vec![0; READ]);
        let len = loop {
            if let Some(News::Closed(_, error)) = next(&mut streams).await {
                panic!("the stream is not well: {error}");
            }
            match streams.read(PATH, &mut buffer) {
                Some(0) => empty += 1,
                Some(len) => break len,
                None => {}
            }
        };
        assert_eq!(&buffer[..len], b"a word");
        assert!(empty > 0, "all was read at once, however much it is");
    }

    #[tokio::test]
    async fn who_is_not_who_he_should_be_is_not_talked_to_and_it_is_said_why() {
        let stranger = Echo::start("relay.example").certificate;
        let refused = [
            ("relay.example", "other.example", None, "not valid for name"),
            ("relay.example", "127.0.0.1", None, "not valid for name"),
            ("relay.example", "relay.example", Some(stranger), "invalid peer certificate"),
            ("relay.example", "not a name", None, "cannot name \"not a name\""),
        ];
        for (name, expected, trusted, why) in refused {
            let echo = Echo::start(name);
            let mut streams = Streams::default();
            let trust = Trust::roots([trusted.unwrap_or(echo.certificate.clone())]).unwrap();
            streams.open(PATH, wanted(&echo, expected, trust));
            let Some(News::Closed(PATH, error)) = next(&mut streams).await else { panic!("{expected} is believed") };
            let error = error.to_string();
            assert!(error.contains(why), "{expected}: {error}");
            assert!(!streams.by_path.contains_key(&PATH));
            assert!(!echo.heard.join().unwrap().is_ok_and(|heard| !heard.is_empty()), "nothing was said");
        }
    }
}
