//! `.local` names by multicast DNS: a querier that runs while names are wanted (RFC 6762 section 5.1).
//!
//! Queries leave from a port of our own, so that a responder that follows the RFC answers to that port
//! alone (section 6.7). Browsers answer to the group whatever they are asked from, so the group's port is
//! listened on as well, where the system lets us share it. Each question goes in a message of its own and
//! without the bit that asks for a unicast answer: Chromium drops anything else, and from a port of our own
//! the bit would add nothing.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use socket2::{Domain, Protocol, Type};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::interfaces::{Interface, is_link_local};
use crate::resolve::MAX_ADDRESSES;

const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// When a query is sent again: the pauses begin with a second and double (section 5.2).
const REPEAT_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// How long the last query is given.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// No message is longer (section 17).
const MAX_MESSAGE: usize = 9_000;

/// Whether multicast DNS is the way to look `name` up (section 3).
pub(crate) fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() > ".local".len() && name.as_bytes()[name.len() - ".local".len()..].eq_ignore_ascii_case(b".local")
}

/// Looks names up until `names` is closed. Every name is answered once, with no address if none was found.
pub(crate) async fn run<Id>(
    interfaces: Vec<Interface>,
    mut names: mpsc::UnboundedReceiver<(Id, String)>,
    answers: mpsc::UnboundedSender<(Id, Vec<IpAddr>)>,
) {
    let mut wanted: Vec<Wanted<Id>> = Vec::new();
    let mut sockets: Option<Sockets> = None;
    let mut message = vec![0; MAX_MESSAGE].into_boxed_slice();
    loop {
        let next_due = wanted.iter().map(|wanted| wanted.due).min();
        tokio::select! {
            name = names.recv() => {
                let Some((id, name)) = name else { return };
                match Name::new(&name) {
                    Ok(name) => wanted.push(Wanted { id, name: name.into_owned(), sent: 0, due: Instant::now() }),
                    Err(_) => drop(answers.send((id, Vec::new()))),
                }
            }
            () = sleep_until(next_due) => {
                let sockets = sockets.get_or_insert_with(|| Sockets::open(&interfaces));
                let now = Instant::now();
                for given_up in wanted.extract_if(.., |wanted| wanted.due <= now && !wanted.ask(sockets, now)) {
                    let _ = answers.send((given_up.id, Vec::new()));
                }
            }
            len = recv(sockets.as_ref(), &interfaces, &mut message) => {
                for (answered, found) in answered(&mut wanted, &message[..len]) {
                    let _ = answers.send((answered.id, found));
                }
            }
        }
        if wanted.is_empty() {
            sockets = None;
        }
    }
}

/// A name that is being asked for.
struct Wanted<Id> {
    id: Id,
    name: Name<'static>,
    sent: usize,
    due: Instant,
}

impl<Id> Wanted<Id> {
    /// Asks, if it was not asked often enough; gives whether it goes on.
    fn ask(&mut self, sockets: &Sockets, now: Instant) -> bool {
        if self.sent > REPEAT_AFTER.len() {
            return false;
        }
        for kind in [TYPE::A, TYPE::AAAA] {
            if let Some(query) = query(&self.name, kind) {
                sockets.send(&query);
            }
        }
        self.due = now + REPEAT_AFTER.get(self.sent).copied().unwrap_or(LAST_WAIT);
        self.sent += 1;
        true
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn query(name: &Name<'_>, kind: TYPE) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(0);
    packet.questions.push(Question::new(name.clone(), QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().ok()
}

/// Takes the names that `message` answers off `wanted`.
fn answered<Id>(wanted: &mut Vec<Wanted<Id>>, message: &[u8]) -> Vec<(Wanted<Id>, Vec<IpAddr>)> {
    let Some(packet) = response(message) else { return Vec::new() };
    let mut answered = Vec::new();
    for index in (0..wanted.len()).rev() {
        let found = addresses(&packet, &wanted[index].name);
        if !found.is_empty() {
            answered.push((wanted.swap_remove(index), found));
        }
    }
    answered
}

fn response(message: &[u8]) -> Option<Packet<'_>> {
    // The parser makes room for as many records as the header announces: no more than the message can hold.
    let header = message.get(..12)?;
    let announced: usize =
        header[4..].chunks(2).map(|count| usize::from(u16::from_be_bytes([count[0], count[1]]))).sum();
    if announced > message.len() / 5 {
        return None;
    }
    let packet = Packet::parse(message).ok()?;
    let plain = packet.opcode() == OPCODE::StandardQuery && packet.rcode() == RCODE::NoError;
    (plain && packet.has_flags(PacketFlag::RESPONSE)).then_some(packet)
}

/// The addresses of `name` that the response tells. Names compare without regard to case.
fn addresses(packet: &Packet<'_>, name: &Name<'_>) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for record in packet.answers.iter().chain(&packet.additional_records) {
        // A lifetime of zero takes the record back (section 10.1).
        if record.name != *name || record.class != CLASS::IN || record.ttl == 0 {
            continue;
        }
        let address = match &record.rdata {
            RData::A(a) => IpAddr::from(Ipv4Addr::from(a.address)),
            RData::AAAA(aaaa) => IpAddr::from(Ipv6Addr::from(aaaa.address)),
            _ => continue,
        };
        if found.len() < MAX_ADDRESSES && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// Where queries leave and answers come in. What the system refuses is done without.
struct Sockets {
    v4: Option<(UdpSocket, Vec<Ipv4Addr>)>,
    v6: Option<(UdpSocket, Vec<u32>)>,
    /// On the groups' port.
    groups: Vec<UdpSocket>,
}

impl Sockets {
    fn open(interfaces: &[Interface]) -> Self {
        // One address for each interface is enough to name it.
        let mut seen = BTreeSet::new();
        let v4: Vec<Ipv4Addr> = interfaces
            .iter()
            .filter_map(|interface| match interface.address {
                IpAddr::V4(v4) if seen.insert(interface.name.as_str()) => Some(v4),
                _ => None,
            })
            .collect();
        let v6: BTreeSet<u32> =
            interfaces.iter().filter(|interface| interface.address.is_ipv6()).filter_map(|i| i.index).collect();
        let v6: Vec<u32> = v6.into_iter().collect();
        let groups = group_v4(&v4).into_iter().chain(groups_v6(&v6)).collect();
        Self {
            v4: query_socket_v4().ok().filter(|_| !v4.is_empty()).map(|socket| (socket, v4)),
            v6: query_socket_v6().ok().filter(|_| !v6.is_empty()).map(|socket| (socket, v6)),
            groups,
        }
    }

    /// Sends a query on every interface. A datagram that is lost is asked again anyway.
    fn send(&self, query: &[u8]) {
        if let Some((socket, interfaces)) = &self.v4 {
            for interface in interfaces {
                if socket2::SockRef::from(socket).set_multicast_if_v4(interface).is_ok() {
                    let _ = send_now(socket, query, SocketAddrV4::new(GROUP_V4, PORT).into());
                }
            }
        }
        if let Some((socket, interfaces)) = &self.v6 {
            for &interface in interfaces {
                if socket2::SockRef::from(socket).set_multicast_if_v6(interface).is_ok() {
                    let _ = send_now(socket, query, SocketAddrV6::new(GROUP_V6, PORT, 0, interface).into());
                }
            }
        }
    }

    /// A message, its sender, and whether it was sent to the group.
    fn poll_recv(&self, cx: &mut Context<'_>, message: &mut [u8]) -> Poll<(usize, SocketAddr, bool)> {
        let queries = self.v4.iter().map(|(socket, _)| socket).chain(self.v6.iter().map(|(socket, _)| socket));
        for (socket, to_group) in
            queries.map(|socket| (socket, false)).chain(self.groups.iter().map(|socket| (socket, BINDS_TO_GROUP)))
        {
            let mut buffer = ReadBuf::new(message);
            // An error here is about an earlier query; a few in a row are passed over.
            for _ in 0..8 {
                match socket.poll_recv_from(cx, &mut buffer) {
                    Poll::Ready(Ok(sender)) => return Poll::Ready((buffer.filled().len(), sender, to_group)),
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }
}

/// The next message that may be believed.
async fn recv(sockets: Option<&Sockets>, interfaces: &[Interface], message: &mut [u8]) -> usize {
    let Some(sockets) = sockets else { return std::future::pending().await };
    loop {
        let (len, sender, to_group) = poll_fn(|cx| sockets.poll_recv(cx, message)).await;
        if is_credible(sender, to_group, interfaces) {
            return len;
        }
    }
}

/// Answers come from the port of multicast DNS (section 6). One to the group was on the link by that; one to
/// us alone must come from a subnet of ours (section 11).
fn is_credible(sender: SocketAddr, to_group: bool, interfaces: &[Interface]) -> bool {
    sender.port() == PORT
        && (to_group || is_link_local(sender.ip()) || interfaces.iter().any(|i| i.contains(sender.ip())))
}

/// Not waiting: the socket's outgoing interface is set for this one message.
fn send_now(socket: &UdpSocket, query: &[u8], group: SocketAddr) -> io::Result<usize> {
    socket2::SockRef::from(socket).send_to(query, &group.into())
}

fn query_socket_v4() -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_multicast_loop_v4(true)?;
    ready(socket, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into())
}

fn query_socket_v6() -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_multicast_loop_v6(true)?;
    ready(socket, SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0).into())
}

/// Where the system can bind a socket to a group, it gets nothing else: it takes no unicast datagram from
/// another program's socket on the same port, and what it gets was sent to the group.
const BINDS_TO_GROUP: bool = cfg!(unix);

fn group_v4(interfaces: &[Ipv4Addr]) -> Option<UdpSocket> {
    let socket = shared_socket(Domain::IPV4).ok()?;
    let joined = interfaces.iter().filter(|interface| socket.join_multicast_v4(&GROUP_V4, interface).is_ok()).count();
    let address = if BINDS_TO_GROUP { GROUP_V4 } else { Ipv4Addr::UNSPECIFIED };
    ready(socket, SocketAddrV4::new(address, PORT).into()).ok().filter(|_| joined > 0)
}

/// A group of the link's scope is bound on one link, so there is one socket for each.
fn groups_v6(interfaces: &[u32]) -> Vec<UdpSocket> {
    let bind = |address: Ipv6Addr, scope: u32, joined: &[u32]| {
        let socket = shared_socket(Domain::IPV6).ok()?;
        socket.set_only_v6(true).ok()?;
        let joined = joined.iter().filter(|&&index| socket.join_multicast_v6(&GROUP_V6, index).is_ok()).count();
        ready(socket, SocketAddrV6::new(address, PORT, 0, scope).into()).ok().filter(|_| joined > 0)
    };
    if BINDS_TO_GROUP {
        interfaces.iter().filter_map(|&index| bind(GROUP_V6, index, &[index])).collect()
    } else {
        bind(Ipv6Addr::UNSPECIFIED, 0, interfaces).into_iter().collect()
    }
}

fn shared_socket(domain: Domain) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    Ok(socket)
}

fn ready(socket: socket2::Socket, address: SocketAddr) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn loopback(address: &str, prefix_len: u8) -> Interface {
        Interface {
            name: "lo".to_owned(),
            index: Some(1),
            address: address.parse().unwrap(),
            prefix_len,
            point_to_point: false,
            running: true,
            temporary: false,
            deprecated: false,
        }
    }

    /// An answer as Chromium writes it: one A record with the bit that empties caches, and an NSEC record, with
    /// a compressed name in its data, that denies every other type.
    fn as_chromium_answers(name_len: u8, label: &[u8], address: [u8; 4]) -> Vec<u8> {
        assert_eq!(label.len(), usize::from(name_len));
        let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 1];
        message.push(name_len);
        message.extend(label);
        message.extend(b"\x05local\x00");
        message.extend([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4]);
        message.extend(address);
        message.extend([0xc0, 12, 0, 47, 0x80, 1, 0, 0, 0, 120, 0, 5, 0xc0, 12, 0, 1, 0x40]);
        message
    }

    #[test]
    fn the_answer_of_a_browser_is_understood_whatever_its_case() {
        let label = b"7A5C1E2D-0c9b-4e1f-8a3d-6f2b1c0d9e8f";
        let message = as_chromium_answers(36, label, [192, 0, 2, 7]);
        let packet = response(&message).expect("an NSEC record with a compressed name is no fault");
        let name = Name::new("7a5c1e2d-0C9B-4e1f-8a3d-6f2b1c0d9e8f.LOCAL").unwrap();
        assert_eq!(addresses(&packet, &name), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert!(addresses(&packet, &Name::new("other.local").unwrap()).is_empty());
    }

    #[test]
    fn what_is_no_answer_is_passed_over() {
        let good = as_chromium_answers(4, b"name", [192, 0, 2, 7]);
        let mut query = good.clone();
        query[2] = 0;
        let mut refused = good.clone();
        refused[3] = 5;
        let mut hungry = good.clone();
        hungry[6..12].fill(0xff);
        let mut taken_back = good.clone();
        let ttl = 12 + 12 + 4;
        taken_back[ttl..ttl + 4].fill(0);
        for bad in [&query[..], &refused, &hungry, &good[..20], &[]] {
            assert!(response(bad).is_none(), "{bad:?}");
        }
        let name = Name::new("name.local").unwrap();
        assert!(addresses(&response(&taken_back).unwrap(), &name).is_empty());
        // Any damage to one byte: no panic, and no address that the message does not hold.
        for at in 0..good.len() {
            for value in [0, 1, 0x3f, 0xc0, 0xff] {
                let mut damaged = good.clone();
                damaged[at] = value;
                if let Some(packet) = response(&damaged) {
                    assert!(addresses(&packet, &name).len() <= 2);
                }
            }
        }
    }

    #[test]
    fn only_the_link_is_believed() {
        let interfaces = [loopback("192.0.2.1", 24)];
        let from = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(is_credible(from("192.0.2.9:5353"), false, &interfaces));
        assert!(is_credible(from("[fe80::9]:5353"), false, &interfaces));
        assert!(is_credible(from("198.51.100.9:5353"), true, &interfaces));
        assert!(!is_credible(from("198.51.100.9:5353"), false, &interfaces));
        assert!(!is_credible(from("192.0.2.9:5354"), false, &interfaces));
        assert!(!is_credible(from("192.0.2.9:5354"), true, &interfaces));
    }

    #[test]
    fn local_names_are_told_from_others() {
        for name in ["a.local", "A.LOCAL.", "x.y.Local"] {
            assert!(is_local(name), "{name}");
        }
        for name in ["local", ".local", "a.local.example", "alocal", "é.locál", ""] {
            assert!(!is_local(name), "{name}");
        }
    }

    /// A responder on the loopback interface that answers to the group, as browsers do, after `ignore`
    /// questions for A.
    async fn responder(name: &'static str, ignore: usize, asked: oneshot::Sender<Vec<Instant>>) {
        let socket = group_v4(&[Ipv4Addr::LOCALHOST]).expect("the port of multicast DNS can be shared");
        socket.set_multicast_loop_v4(true).unwrap();
        socket2::SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        // Bound to the group it cannot send from its own port; this one can.
        let reply = shared_socket(Domain::IPV4).unwrap();
        reply.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        let reply = ready(reply, SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT).into()).unwrap();
        let mut message = [0; MAX_MESSAGE];
        let mut times = Vec::new();
        loop {
            let (len, _) = socket.recv_from(&mut message).await.unwrap();
            let Ok(packet) = Packet::parse(&message[..len]) else { continue };
            assert!(packet.questions.len() <= 1, "one question for each message");
            let asks = |q: &Question<'_>| q.qname == Name::new(name).unwrap() && q.qtype == QTYPE::TYPE(TYPE::A);
            if packet.has_flags(PacketFlag::RESPONSE) || !packet.questions.iter().any(asks) {
                continue;
            }
            times.push(Instant::now());
            if times.len() > ignore {
                let label = name.strip_suffix(".local").unwrap().as_bytes();
                let answer = as_chromium_answers(label.len() as u8, label, [127, 0, 0, 9]);
                reply.send_to(&answer, (GROUP_V4, PORT)).await.unwrap();
                asked.send(times).unwrap();
                return;
            }
        }
    }

    #[tokio::test]
    async fn names_are_found_over_the_loopback_interface() {
        let (names, names_rx) = mpsc::unbounded_channel();
        let (answers_tx, mut answers) = mpsc::unbounded_channel();
        let interfaces = vec![loopback("127.0.0.1", 8), loopback("::1", 128)];
        let querier = tokio::spawn(run(interfaces, names_rx, answers_tx));
        let (asked_tx, asked) = oneshot::channel();
        let responder = tokio::spawn(responder("frazil-test-9d41.local", 1, asked_tx));
        names.send((1, "Frazil-Test-9D41.local".to_owned())).unwrap();
        names.send((2, "frazil-nobody-77aa.local".to_owned())).unwrap();
        let found = tokio::time::timeout(Duration::from_secs(20), answers.recv()).await.unwrap().unwrap();
        assert_eq!(found, (1, vec!["127.0.0.9".parse().unwrap()]));
        let times = asked.await.unwrap();
        assert!(times[1] - times[0] >= Duration::from_millis(990), "asked again no sooner than a second later");
        let missing = tokio::time::timeout(Duration::from_secs(20), answers.recv()).await.unwrap().unwrap();
        assert_eq!(missing, (2, vec![]));
        drop(names);
        tokio::time::timeout(Duration::from_secs(20), querier).await.unwrap().unwrap();
        responder.await.unwrap();
    }
}
