//! One UDP socket of one of the machine's addresses: batches in, batches out, and what errors mean.

use frazil::ice::HostSocket;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;

use frazil_interfaces::{Interface, is_link_local};

/// Room asked of the system for datagrams in each direction: what 100 Mbit/s deliver in 80 ms. The system
/// may grant less.
const SYSTEM_BUFFER: usize = 1 << 20;

/// What waits here while the system takes no more: as much again as a congestion window may hold.
const MAX_BACKLOG: usize = 256 << 10;

/// Errors in a row, without one success, after which a socket counts as dead.
const MAX_ERRORS_IN_ROW: u32 = 64;

/// A bound socket.
///
/// Its addresses are without IPv6 scopes: the scope is the socket's own, and is put on again where a
/// link-local address is sent to.
#[derive(Debug)]
pub(crate) struct Socket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    interface: Interface,
    local: SocketAddr,
    scope: u32,
    backlog: VecDeque<Waiting>,
    backlog_len: usize,
    errors_in_row: u32,
}

/// Datagrams that the system did not take yet.
#[derive(Debug)]
struct Waiting {
    remote: SocketAddr,
    segment_size: usize,
    contents: Box<[u8]>,
}

/// What became of a datagram, or of several of one size to one destination.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The system took them.
    Done,
    /// They wait for the system; poll [`Socket::poll_flush`].
    Waiting,
    /// They, or some of them, are lost, as any datagram may be. The socket is well.
    Lost,
    /// The socket will carry nothing any more.
    Dead(io::Error),
}

impl Socket {
    /// Binds a socket on the interface's address, on a port of `ports` or on one that the system chooses.
    ///
    /// # Errors
    /// When the system refuses, or when every port of the range is taken ([`ErrorKind::AddrInUse`]).
    ///
    /// # Panics
    /// Outside a tokio runtime whose I/O is enabled.
    pub(crate) fn bind(interface: &Interface, ports: Option<&RangeInclusive<u16>>) -> io::Result<Self> {
        let scope = scope_of(interface);
        let on = |port| bind(with_scope(SocketAddr::new(interface.address, port), scope));
        let bound = match ports {
            None => on(0)?,
            Some(range) => in_range(range, on)?,
        };
        // The defaults of some systems lose the tail of a burst; a refusal to change them is no failure.
        let _ = bound.set_recv_buffer_size(SYSTEM_BUFFER);
        let _ = bound.set_send_buffer_size(SYSTEM_BUFFER);
        let state = UdpSocketState::new((&bound).into())?;
        let io = tokio::net::UdpSocket::from_std(bound.into())?;
        let local = without_scope(io.local_addr()?);
        let interface = interface.clone();
        Ok(Self { io, state, interface, local, scope, backlog: VecDeque::new(), backlog_len: 0, errors_in_row: 0 })
    }

    /// The address it is bound to.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The scope of the interface, 0 unless its address is link-local.
    pub(crate) fn scope(&self) -> u32 {
        self.scope
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
        self.interface.socket(self.local, frazil::Protocol::Udp)
    }

    /// How many datagrams of one size can go to the system at once.
    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Receives a batch, to be read by [`Inbound::datagrams`].
    ///
    /// # Errors
    /// The socket is dead. What the network says about one destination is no error here.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>, inbound: &mut Inbound) -> Poll<io::Result<()>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let received = self.io.try_io(Interest::READABLE, || inbound.receive(&self.io, &self.state));
            match received {
                Ok(()) => {
                    self.errors_in_row = 0;
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.errors_in_row += 1;
                    if self.errors_in_row >= MAX_ERRORS_IN_ROW || self.is_gone(&error) {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }

    /// Sends `contents`, datagrams of `segment_size` bytes each of which only the last may be shorter.
    pub(crate) fn send(&mut self, remote: SocketAddr, contents: &[u8], segment_size: usize) -> Sent {
        if !self.backlog.is_empty() {
            return self.wait(remote, contents, segment_size);
        }
        match self.try_send(remote, contents, segment_size) {
            Ok(()) => {
                self.errors_in_row = 0;
                Sent::Done
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(remote, contents, segment_size),
            Err(_) if contents.len() > segment_size => self.send_one_by_one(remote, contents, segment_size),
            Err(error) => self.judge(error),
        }
    }

    /// Sends what waits, as far as the system takes it. Pending while something still waits.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Sent> {
        let mut outcome = Sent::Done;
        while let Some(next) = self.backlog.pop_front() {
            match self.io.poll_send_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Sent::Dead(error)),
                Poll::Pending => {
                    self.backlog.push_front(next);
                    return Poll::Pending;
                }
            }
            let attempt =
                self.io.try_io(Interest::WRITABLE, || try_send(&self.io, &self.state, self.scope, next.as_transmit()));
            match attempt {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.backlog.push_front(next);
                    continue;
                }
                _ => self.backlog_len -= next.contents.len(),
            }
            if let Err(error) = attempt {
                match self.judge(error) {
                    Sent::Dead(error) => return Poll::Ready(Sent::Dead(error)),
                    judged => outcome = judged,
                }
            }
        }
        Poll::Ready(outcome)
    }

    /// Whether datagrams wait for the system.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    fn try_send(&self, remote: SocketAddr, contents: &[u8], segment_size: usize) -> io::Result<()> {
        try_send(&self.io, &self.state, self.scope, (remote, contents, segment_size))
    }

    /// What the system refuses together it may take apart: not every device can cut, and only one of several
    /// may be too long.
    fn send_one_by_one(&mut self, remote: SocketAddr, contents: &[u8], segment_size: usize) -> Sent {
        let mut outcome = Sent::Done;
        for datagram in contents.chunks(segment_size) {
            match self.send(remote, datagram, segment_size) {
                Sent::Done => {}
                Sent::Dead(error) => return Sent::Dead(error),
                other => outcome = other,
            }
        }
        outcome
    }

    fn wait(&mut self, remote: SocketAddr, contents: &[u8], segment_size: usize) -> Sent {
        if self.backlog_len + contents.len() > MAX_BACKLOG {
            return Sent::Lost;
        }
        self.backlog_len += contents.len();
        self.backlog.push_back(Waiting { remote, segment_size, contents: contents.into() });
        Sent::Waiting
    }

    fn judge(&mut self, error: io::Error) -> Sent {
        if is_about_the_way(&error) {
            return Sent::Lost;
        }
        self.errors_in_row += 1;
        if self.errors_in_row >= MAX_ERRORS_IN_ROW || self.is_gone(&error) { Sent::Dead(error) } else { Sent::Lost }
    }

    /// Whether the machine has lost the socket's address. Systems report it by different errors, so the
    /// address itself is tried, on the first error of a row only.
    fn is_gone(&self, error: &io::Error) -> bool {
        if is_about_the_way(error) || self.errors_in_row != 1 {
            return false;
        }
        let again = std::net::UdpSocket::bind(with_scope(SocketAddr::new(self.local.ip(), 0), self.scope));
        again.is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
    }
}

impl Waiting {
    fn as_transmit(&self) -> (SocketAddr, &[u8], usize) {
        (self.remote, &self.contents, self.segment_size)
    }
}

fn try_send(
    io: &tokio::net::UdpSocket,
    state: &UdpSocketState,
    scope: u32,
    (remote, contents, segment_size): (SocketAddr, &[u8], usize),
) -> io::Result<()> {
    let destination = if is_link_local(remote.ip()) { with_scope(remote, scope) } else { remote };
    let segment_size = (contents.len() > segment_size).then_some(segment_size);
    let transmit = quinn_udp::Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
    state.try_send(io.into(), &transmit)
}

/// What the network or the system says about one destination or one moment: the datagram is lost, and the
/// next may arrive.
fn is_about_the_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::PermissionDenied
            | ErrorKind::Interrupted
            | ErrorKind::OutOfMemory
    ) || quinn_udp::is_msg_size_err(error)
}

fn bind(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The scope that addresses on this interface need.
pub(crate) fn scope_of(interface: &Interface) -> u32 {
    match interface.address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => interface.index.unwrap_or(0),
        _ => 0,
    }
}

/// Binds on a port of the range. Begins anywhere in it, so that a stranger cannot tell which port comes next.
pub(crate) fn in_range<T>(range: &RangeInclusive<u16>, bind: impl Fn(u16) -> io::Result<T>) -> io::Result<T> {
    let count = u32::from(*range.end()).saturating_sub(u32::from(*range.start())) + 1;
    let first = getrandom::u32().map_err(io::Error::other)? % count;
    for step in 0..count {
        let port = range.start() + ((first + step) % count) as u16;
        match bind(port) {
            Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {}
            done => return done,
        }
    }
    Err(ErrorKind::AddrInUse.into())
}

pub(crate) fn with_scope(address: SocketAddr, scope: u32) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope).into(),
        v4 => v4,
    }
}

pub(crate) fn without_scope(address: SocketAddr) -> SocketAddr {
    with_scope(address, 0)
}

/// How many buffers the system fills at once. Each may hold as many datagrams as fit when it can join them.
const SLOTS: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };
/// The longest that the system joins.
const JOINED: usize = 1 << 16;
/// The longest datagram that we expect where the system does not join: no path carries more.
const SINGLE: usize = 2_048;

/// Where a batch of datagrams is received. One for a thread is enough: it is read before anything else runs.
pub(crate) struct Inbound {
    buffer: Box<[u8]>,
    slot_len: usize,
    meta: [RecvMeta; SLOTS],
    filled: usize,
}

impl Inbound {
    pub(crate) fn new() -> Self {
        let buffer = vec![0; SLOTS * JOINED].into_boxed_slice();
        Self { buffer, slot_len: JOINED, meta: [RecvMeta::default(); SLOTS], filled: 0 }
    }

    fn receive(&mut self, io: &tokio::net::UdpSocket, state: &UdpSocketState) -> io::Result<()> {
        self.filled = 0;
        self.slot_len = if state.gro_segments() > 1 { JOINED } else { SINGLE };
        let mut slots = self.buffer.chunks_exact_mut(self.slot_len);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().expect("the buffer holds all slots")));
        self.filled = state.recv(io.into(), &mut slots, &mut self.meta)?;
        Ok(())
    }

    /// The datagrams received last, each with its sender.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.meta[..self.filled].iter().zip(self.buffer.chunks_exact(self.slot_len)).flat_map(|(meta, slot)| {
            let remote = without_scope(meta.addr);
            slot[..meta.len].chunks(meta.stride.max(1)).map(move |datagram| (remote, datagram))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    fn loopback(address: &str) -> Interface {
        Interface {
            name: "lo".to_owned(),
            index: Some(1),
            kind: frazil::ice::InterfaceKind::Loopback,
            address: address.parse().unwrap(),
            prefix_len: 8,
            point_to_point: false,
            running: true,
            temporary: false,
            deprecated: false,
        }
    }

    async fn recv_all(socket: &mut Socket, bytes: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut inbound = Inbound::new();
        let mut all = Vec::new();
        let mut seen = 0;
        let everything = async {
            while seen < bytes {
                poll_fn(|cx| socket.poll_recv(cx, &mut inbound)).await.unwrap();
                for (remote, datagram) in inbound.datagrams() {
                    seen += datagram.len();
                    all.push((remote, datagram.to_vec()));
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), everything).await.expect("all datagrams arrive");
        all
    }

    #[tokio::test]
    async fn datagrams_of_one_size_go_together_and_arrive_apart() {
        for address in ["127.0.0.1", "::1"] {
            let Ok(mut from) = Socket::bind(&loopback(address), None) else {
                assert_eq!(address, "::1", "only IPv6 may be missing");
                continue;
            };
            let mut to = Socket::bind(&loopback(address), None).unwrap();
            let count = from.max_segments().min(20);
            let mut contents = Vec::new();
            for n in 0..count {
                contents.extend(std::iter::repeat_n(n as u8, 1_000));
            }
            contents.extend([0xff; 77]);
            // With the short one at the end, `count` whole ones and one more.
            let batch = if count == 1 { &contents[..1_000] } else { &contents[1_000..] };
            assert!(matches!(from.send(to.local(), batch, 1_000), Sent::Done));
            let got = recv_all(&mut to, batch.len()).await;
            let sent: Vec<_> = batch.chunks(1_000).map(|datagram| (from.local(), datagram.to_vec())).collect();
            assert_eq!(got, sent);
        }
    }

    #[tokio::test]
    async fn nobody_at_the_other_end_is_no_failure() {
        let mut socket = Socket::bind(&loopback("127.0.0.1"), None).unwrap();
        let gone = Socket::bind(&loopback("127.0.0.1"), None).unwrap().local();
        for _ in 0..MAX_ERRORS_IN_ROW * 2 {
            assert!(matches!(socket.send(gone, b"anyone?", 7), Sent::Done | Sent::Lost));
        }
        // Nor is a destination without a way.
        assert!(!matches!(socket.send("240.0.0.1:9".parse().unwrap(), b"x", 1), Sent::Dead(_)));
        let mut other = Socket::bind(&loopback("127.0.0.1"), None).unwrap();
        assert!(matches!(socket.send(other.local(), b"still well", 10), Sent::Done));
        assert_eq!(recv_all(&mut other, 10).await, [(socket.local(), b"still well".to_vec())]);
    }

    #[tokio::test]
    async fn a_port_of_the_range_is_taken_until_none_is_left() {
        // Four ports that were free a moment ago.
        let probe = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().min(u16::MAX - 3);
        let range = probe..=probe + 3;
        let mut bound = Vec::new();
        let last = loop {
            match Socket::bind(&loopback("127.0.0.1"), Some(&range)) {
                Ok(socket) => bound.push(socket),
                Err(error) => break error,
            }
        };
        assert!(bound.iter().all(|socket| range.contains(&socket.local().port())));
        assert!(!bound.is_empty() && bound.len() <= 4);
        assert_eq!(last.kind(), ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_socket_whose_address_the_machine_lost_is_dead() {
        let mut socket = Socket::bind(&loopback("127.0.0.1"), None).unwrap();
        // Stands for an address taken off its interface: the system now gives EINVAL on sending.
        socket.local = "240.0.0.2:1000".parse().unwrap();
        let invalid = || io::Error::from(ErrorKind::InvalidInput);
        assert!(matches!(socket.judge(invalid()), Sent::Dead(_)));
        let mut well = Socket::bind(&loopback("127.0.0.1"), None).unwrap();
        for _ in 1..MAX_ERRORS_IN_ROW {
            assert!(matches!(well.judge(invalid()), Sent::Lost));
        }
        assert!(matches!(well.judge(invalid()), Sent::Dead(_)));
    }

    #[tokio::test]
    async fn what_the_system_does_not_take_waits_in_order_and_within_bounds() {
        let mut from = Socket::bind(&loopback("127.0.0.1"), None).unwrap();
        let mut to = Socket::bind(&loopback("127.0.0.1"), None).unwrap();
        // As if the system had just refused one.
        assert!(matches!(from.wait(to.local(), &[0; 100], 100), Sent::Waiting));
        let mut waiting = 1;
        while matches!(from.send(to.local(), &[waiting as u8; 1_000], 1_000), Sent::Waiting) {
            waiting += 1;
        }
        assert!(from.backlog_len <= MAX_BACKLOG && waiting > 100);
        assert!(from.has_backlog());
        assert!(matches!(poll_fn(|cx| from.poll_flush(cx)).await, Sent::Done));
        assert_eq!(from.backlog_len, 0);
        let got = recv_all(&mut to, 100 + 20 * 1_000).await;
        assert!(got.iter().zip(0_usize..).all(|((_, datagram), n)| datagram[0] == n as u8));
    }
}
