//! What a network does, measured from inside it: how it maps, whom it lets in, and whether two machines of it meet.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use frazil::stun::{AttributeType, Class, Message, MessageWriter, Method, TransactionId, xor_address};
use frazil_internet::{Dependence, Hairpinning};

use crate::drawing::Behaviour;
use crate::error::LabError;
use crate::lab::{Lab, Machine, Site, address};
use crate::servers::{OTHER_PORT, PORT};

/// How long one answer is waited for, and how often it is asked for.
const ANSWER: Duration = Duration::from_secs(2);
const TRIES: usize = 3;

/// After how long without a datagram no more will come. What comes at all is under way already.
const SILENCE: Duration = Duration::from_millis(400);

/// Measures what is before one machine.
pub(crate) fn behaviour(lab: &Lab, machine: &Machine) -> Result<Behaviour, LabError> {
    let socket = socket_of(machine)?;
    let from = |address: Ipv4Addr| {
        let bound = lab.public().enter(|| UdpSocket::bind((address, 0)));
        bound.map_err(LabError::of("a socket on the public internet"))
    };
    let (neighbour, stranger) = (from(address::SERVER)?, from(address::STRANGER)?);

    let first = ask(&socket, (address::SERVER, PORT))?;
    let Some(mapped) = first else { return Ok(Behaviour::Blocked) };
    let other_port = ask(&socket, (address::SERVER, OTHER_PORT))?;
    let other_address = ask(&socket, (address::OTHER_SERVER, PORT))?;

    for (sender, word) in [(&neighbour, NEIGHBOUR), (&stranger, STRANGER)] {
        sender.send_to(word, mapped).map_err(LabError::of("to send to the mapped address"))?;
    }
    let came: BTreeSet<Vec<u8>> = receive(&socket)?.into_iter().map(|(word, _)| word).collect();
    let filtering = match (came.contains(STRANGER), came.contains(NEIGHBOUR)) {
        (true, _) => Dependence::EndpointIndependent,
        (false, true) => Dependence::AddressDependent,
        (false, false) => Dependence::AddressAndPortDependent,
    };
    if mapped == local(&socket)? && filtering == Dependence::EndpointIndependent {
        return Ok(Behaviour::Open);
    }
    let mapping = if other_port != first {
        Dependence::AddressAndPortDependent
    } else if other_address != first {
        Dependence::AddressDependent
    } else {
        Dependence::EndpointIndependent
    };
    Ok(Behaviour::Translates { mapping, filtering })
}

/// Whether the two machines of a site reach each other, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meeting {
    /// At their own addresses.
    pub(crate) inside: bool,
    /// At those that the NAT before both shows, once both have sent: from which address the datagrams then come.
    pub(crate) outside: Hairpinning,
}

/// Measures whether the two meet.
pub(crate) fn meeting(site: &Site) -> Result<Meeting, LabError> {
    let sockets = [socket_of(&site.machines[0])?, socket_of(&site.machines[1])?];
    let mut mapped = Vec::new();
    for socket in &sockets {
        mapped.extend(ask(socket, (address::SERVER, PORT))?);
    }
    let own = [local(&sockets[0])?, local(&sockets[1])?];
    let inside = meet(&sockets, own, b"inside")?.is_some();
    let outside = match mapped[..] {
        [a, b] => match meet(&sockets, [a, b], b"outside")? {
            Some(sources) if sources == [a, b] => Hairpinning::ExternalSource,
            Some(sources) if sources == own => Hairpinning::InternalSource,
            Some([a, b]) => return Err(LabError::Unserviceable(format!("datagrams turn back from {a} and {b}"))),
            None => Hairpinning::None,
        },
        _ => Hairpinning::None,
    };
    Ok(Meeting { inside, outside })
}

/// Both send to the other's address, and once more, since the first opens the way for the second. Gives from where what
/// each of the two sends comes, if both arrive.
fn meet(
    sockets: &[UdpSocket; 2],
    at: [SocketAddr; 2],
    word: &'static [u8],
) -> Result<Option<[SocketAddr; 2]>, LabError> {
    for _ in 0..2 {
        for side in [0, 1] {
            // What cannot be sent does not arrive either.
            let _ = sockets[side].send_to(word, at[1 - side]);
        }
    }
    let source = |receiver: usize| -> Result<Option<SocketAddr>, LabError> {
        let came = receive(&sockets[receiver])?;
        Ok(came.into_iter().find(|(what, _)| what == word).map(|(_, from)| from))
    };
    let (of_second, of_first) = (source(0)?, source(1)?);
    Ok(of_first.zip(of_second).map(|(first, second)| [first, second]))
}

const NEIGHBOUR: &[u8] = b"from an address that was sent to";
const STRANGER: &[u8] = b"from an address that was never sent to";

fn socket_of(machine: &Machine) -> Result<UdpSocket, LabError> {
    let bound = machine.namespace.enter(|| UdpSocket::bind((machine.address, 0)));
    let socket = bound.map_err(LabError::of("a socket on the machine"))?;
    socket.set_read_timeout(Some(SILENCE)).map_err(LabError::of("a time limit for a socket"))?;
    Ok(socket)
}

fn local(socket: &UdpSocket) -> Result<SocketAddr, LabError> {
    socket.local_addr().map_err(LabError::of("a socket's own address"))
}

/// Whether a STUN server answers at once.
pub(crate) fn answers(socket: &UdpSocket, server: (Ipv4Addr, u16)) -> Result<bool, LabError> {
    socket.set_read_timeout(Some(SILENCE)).map_err(LabError::of("a time limit for a socket"))?;
    Ok(ask_once(socket, server, SILENCE)?.is_some())
}

/// The address that a STUN server sees the socket at, if it answers.
fn ask(socket: &UdpSocket, server: (Ipv4Addr, u16)) -> Result<Option<SocketAddr>, LabError> {
    for _ in 0..TRIES {
        if let Some(seen) = ask_once(socket, server, ANSWER)? {
            return Ok(Some(seen));
        }
    }
    Ok(None)
}

fn ask_once(socket: &UdpSocket, server: (Ipv4Addr, u16), wait: Duration) -> Result<Option<SocketAddr>, LabError> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let server = SocketAddr::from(server);
    let mut id = TransactionId([0; 12]);
    id.0[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let mut request = [0; 64];
    let writer = MessageWriter::new(&mut request, Class::Request, Method::BINDING, id);
    let len = writer.finish_with_fingerprint().expect("the buffer holds a header and a fingerprint");
    let mut buffer = [0; 1500];
    socket.send_to(&request[..len], server).map_err(LabError::of("to send to the STUN server"))?;
    let end = Instant::now() + wait;
    while Instant::now() < end {
        let Some((len, from)) = next(socket, &mut buffer)? else { continue };
        let Ok(message) = Message::parse(&buffer[..len]) else { continue };
        if from == server && message.transaction_id() == id && message.class() == Class::Success {
            let value = message.get(AttributeType::XOR_MAPPED_ADDRESS);
            return Ok(value.and_then(|value| xor_address(AttributeType::XOR_MAPPED_ADDRESS, value, id).ok()));
        }
    }
    Ok(None)
}

/// All that comes until nothing more does, and from where.
fn receive(socket: &UdpSocket) -> Result<BTreeSet<(Vec<u8>, SocketAddr)>, LabError> {
    let mut came = BTreeSet::new();
    let mut buffer = [0; 1500];
    while let Some((len, from)) = next(socket, &mut buffer)? {
        came.insert((buffer[..len].to_vec(), from));
    }
    Ok(came)
}

fn next(socket: &UdpSocket, buffer: &mut [u8]) -> Result<Option<(usize, SocketAddr)>, LabError> {
    match socket.recv_from(buffer) {
        Ok(received) => Ok(Some(received)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(LabError::of("to receive")(error)),
    }
}
