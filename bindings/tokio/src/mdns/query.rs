//! The querier: looks `.local` names up while they are wanted (RFC 6762 section 5.1).
//!
//! Queries leave from a port of our own, so that a responder that follows the RFC answers to that port
//! alone (section 6.7). Browsers answer to the group whatever they are asked from, so the group's port is
//! listened on as well, where the system lets us share it. Each question goes in a message of its own and
//! without the bit that asks for a unicast answer: Chromium drops anything else, and from a port of our own
//! the bit would add nothing.

use simple_dns::{Name, TYPE};
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

use super::link::{Link, ready};
use super::{GROUP_V4, GROUP_V6, MAX_MESSAGE, PORT, message};
use crate::resolve::MAX_ADDRESSES;
use frazil_interfaces::{Interface, is_link_local};

/// When a query is sent again: the pauses begin with a second and double (section 5.2).
const REPEAT_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// How long the last query is given.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// How long the other family is waited for when one is known.
const GRACE: Duration = Duration::from_millis(200);

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
                    Ok(name) => wanted.push(Wanted::new(id, name.into_owned(), Instant::now())),
                    Err(_) => drop(answers.send((id, Vec::new()))),
                }
            }
            () = sleep_until(next_due) => {
                let sockets = sockets.get_or_insert_with(|| Sockets::open(&interfaces));
                let now = Instant::now();
                for given_up in wanted.extract_if(.., |wanted| wanted.due <= now && !wanted.ask(sockets, now)) {
                    let _ = answers.send((given_up.id, given_up.found));
                }
            }
            len = recv(sockets.as_ref(), &interfaces, &mut message) => {
                for answered in answered(&mut wanted, &message[..len], Instant::now()) {
                    let _ = answers.send((answered.id, answered.found));
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
    found: Vec<IpAddr>,
    /// The types of record of which nothing is known yet.
    open: Vec<TYPE>,
    sent: usize,
    due: Instant,
}

impl<Id> Wanted<Id> {
    fn new(id: Id, name: Name<'static>, now: Instant) -> Self {
        Self { id, name, found: Vec::new(), open: vec![TYPE::A, TYPE::AAAA], sent: 0, due: now }
    }

    /// Asks, if it was not asked often enough and nothing is known; gives whether it goes on.
    fn ask(&mut self, sockets: &Sockets, now: Instant) -> bool {
        if self.sent > REPEAT_AFTER.len() || !self.found.is_empty() {
            return false;
        }
        for kind in &self.open {
            if let Some(query) = message::query(&self.name, *kind) {
                sockets.send(&query);
            }
        }
        self.due = now + REPEAT_AFTER.get(self.sent).copied().unwrap_or(LAST_WAIT);
        self.sent += 1;
        true
    }

    /// Takes what a response says; gives whether nothing more is to be learnt.
    fn learn(&mut self, response: &simple_dns::Packet<'_>, now: Instant) -> bool {
        let knew = !self.found.is_empty();
        for address in message::addresses(response, &self.name, MAX_ADDRESSES) {
            if self.found.len() < MAX_ADDRESSES && !self.found.contains(&address) {
                self.found.push(address);
            }
            self.open.retain(|kind| *kind != message::type_of(address));
        }
        self.open.retain(|kind| !message::denies(response, &self.name, *kind));
        if !knew && !self.found.is_empty() {
            self.due = self.due.min(now + GRACE);
        }
        self.open.is_empty()
    }
}

pub(super) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Takes the names off `wanted` of which all is known now.
fn answered<Id>(wanted: &mut Vec<Wanted<Id>>, message: &[u8], now: Instant) -> Vec<Wanted<Id>> {
    let Some(response) = message::response(message) else { return Vec::new() };
    wanted.extract_if(.., |wanted| wanted.learn(&response, now)).collect()
}

/// Where queries leave and answers come in. What the system refuses is done without.
struct Sockets {
    v4: Option<(UdpSocket, Vec<Ipv4Addr>)>,
    v6: Option<(UdpSocket, Vec<u32>)>,
    /// On the groups' port.
    groups: Vec<Link>,
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
        Self {
            v4: query_socket_v4().ok().filter(|_| !v4.is_empty()).map(|socket| (socket, v4)),
            v6: query_socket_v6().ok().filter(|_| !v6.is_empty()).map(|socket| (socket, v6)),
            groups: Link::open_all(interfaces),
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
        let own = self.v4.iter().map(|(socket, _)| socket).chain(self.v6.iter().map(|(socket, _)| socket));
        for socket in own {
            let mut buffer = ReadBuf::new(message);
            // An error here is about an earlier query; a few in a row are passed over.
            for _ in 0..8 {
                match socket.poll_recv_from(cx, &mut buffer) {
                    Poll::Ready(Ok(sender)) => return Poll::Ready((buffer.filled().len(), sender, false)),
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
        }
        for link in &self.groups {
            if let Poll::Ready((len, sender)) = link.poll_recv(cx, message) {
                return Poll::Ready((len, sender, link.hears_the_group_only()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdns::message::tests::as_chromium_answers;
    use simple_dns::{Packet, PacketFlag, QTYPE, Question};

    const BOUND: Duration = Duration::from_secs(60);

    fn loopback(address: &str, prefix_len: u8) -> Interface {
        Interface::new("lo", frazil::ice::InterfaceKind::Loopback, 1, address.parse().unwrap(), prefix_len)
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
    fn a_name_is_wanted_until_both_families_are_known() {
        let now = Instant::now();
        let wanted = || {
            let mut wanted = Wanted::new((), Name::new("name.local").unwrap().into_owned(), now);
            wanted.due = now + LAST_WAIT;
            vec![wanted]
        };
        let label = b"\x04name\x05local\x00";
        let record = |kind: u8, data: &[u8]| {
            let mut record = label.to_vec();
            record.extend([0, kind, 0x80, 1, 0, 0, 0, 120, 0, data.len() as u8]);
            record.extend(data);
            record
        };
        let message = |records: &[Vec<u8>]| {
            let header = [0, 0, 0x84, 0, 0, 0, 0, records.len() as u8, 0, 0, 0, 0];
            [&header[..], &records.concat()].concat()
        };
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        let (a, aaaa) = (record(1, &[192, 0, 2, 7]), record(28, &v6));
        let denial = |bitmap: &[u8]| record(47, &[&[0xc0, 12, 0, bitmap.len() as u8][..], bitmap].concat());
        let found = |answered: Vec<Wanted<()>>| answered.into_iter().map(|wanted| wanted.found).collect::<Vec<_>>();

        // What a browser sends is all there is.
        let all = as_chromium_answers(b"name", [192, 0, 2, 7]);
        assert_eq!(found(answered(&mut wanted(), &all, now)), [["192.0.2.7".parse::<IpAddr>().unwrap()]]);
        // Two messages, or one.
        let both: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let mut one = wanted();
        assert!(answered(&mut one, &message(std::slice::from_ref(&a)), now).is_empty());
        assert_eq!(one[0].due, now + GRACE, "not waited for long");
        assert!(answered(&mut one, &message(&[record(1, &[192, 0, 2, 7])]), now + GRACE / 2).is_empty());
        assert_eq!(one[0].due, now + GRACE, "nor longer for each answer");
        assert_eq!(found(answered(&mut one, &message(std::slice::from_ref(&aaaa)), now)), [both]);
        assert_eq!(found(answered(&mut wanted(), &message(&[a, aaaa]), now)), [both]);
        // A name that has no address at all.
        let nothing: [[IpAddr; 0]; 1] = [[]];
        assert_eq!(found(answered(&mut wanted(), &message(&[denial(&[0])]), now)), nothing);
        // One that says that it has both, and not which.
        let mut one = wanted();
        assert!(answered(&mut one, &message(&[denial(&[0x40, 0, 0, 0x08])]), now).is_empty());
        assert_eq!(one[0].due, now + LAST_WAIT);
    }

    #[tokio::test]
    async fn a_name_is_asked_for_again_after_one_second_and_after_two_more() {
        let sockets = Sockets::open(&[]);
        let mut now = Instant::now();
        let mut wanted = Wanted::new((), Name::new("name.local").unwrap().into_owned(), now);
        for pause in [1, 2, 2].map(Duration::from_secs) {
            assert!(wanted.ask(&sockets, now));
            assert_eq!(wanted.due, now + pause);
            now = wanted.due;
        }
        assert!(!wanted.ask(&sockets, now), "three times are enough");
    }

    /// A responder on the loopback interface that answers to the group, as browsers do, after `ignore`
    /// questions for A.
    async fn responder(name: &'static str, ignore: usize) {
        let links = Link::open_all(&[loopback("127.0.0.1", 8)]);
        let [link] = &links[..] else { panic!("the port of multicast DNS can be shared") };
        let mut message = [0; MAX_MESSAGE];
        let mut ignored = 0;
        loop {
            let (len, _) = poll_fn(|cx| link.poll_recv(cx, &mut message)).await;
            let Ok(packet) = Packet::parse(&message[..len]) else { continue };
            assert!(packet.questions.len() <= 1, "one question for each message");
            let asks = |q: &Question<'_>| q.qname == Name::new(name).unwrap() && q.qtype == QTYPE::TYPE(TYPE::A);
            if packet.has_flags(PacketFlag::RESPONSE) || !packet.questions.iter().any(asks) {
                continue;
            }
            if ignored == ignore {
                let label = name.strip_suffix(".local").unwrap().as_bytes();
                return link.send_to_group(&as_chromium_answers(label, [127, 0, 0, 9]));
            }
            ignored += 1;
        }
    }

    #[tokio::test]
    async fn names_are_found_over_the_loopback_interface() {
        let (names, names_rx) = mpsc::unbounded_channel();
        let (answers_tx, mut answers) = mpsc::unbounded_channel();
        let interfaces = vec![loopback("127.0.0.1", 8), loopback("::1", 128)];
        let querier = tokio::spawn(run(interfaces, names_rx, answers_tx));
        let responder = tokio::spawn(responder("frazil-test-9d41.local", 1));
        names.send((1, "Frazil-Test-9D41.local".to_owned())).unwrap();
        names.send((2, "frazil-nobody-77aa.local".to_owned())).unwrap();
        let found = tokio::time::timeout(BOUND, answers.recv()).await.unwrap().unwrap();
        assert_eq!(found, (1, vec!["127.0.0.9".parse().unwrap()]));
        responder.await.unwrap();
        let missing = tokio::time::timeout(BOUND, answers.recv()).await.unwrap().unwrap();
        assert_eq!(missing, (2, vec![]));
        drop(names);
        tokio::time::timeout(BOUND, querier).await.unwrap().unwrap();
    }
}
