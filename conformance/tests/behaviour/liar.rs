//! A server that does not do what it should.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use frazil::stun::{AttributeType, Class, ErrorCode, Message, MessageWriter, Method};
use frazil::{Path, Protocol};

/// How it answers Binding requests.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// What it says in XOR-MAPPED-ADDRESS in place of the truth.
    pub(crate) mapped: Mapped,
    /// What it says in OTHER-ADDRESS.
    pub(crate) other: Option<SocketAddr>,
    /// What it does with CHANGE-REQUEST.
    pub(crate) change: Obedience,
    /// Where it neither hears nor speaks.
    pub(crate) dead: Vec<SocketAddr>,
    /// It answers with this code.
    pub(crate) error: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Mapped {
    Truth,
    Nothing,
    Lie(SocketAddr),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Obedience {
    /// It answers from where it should.
    Obeys,
    /// It answers from where it was asked.
    Ignores,
    /// It does not answer.
    Falls,
    /// It says that it does not know the attribute.
    Refuses,
}

/// A server with its manners, or one that draws them anew for each request.
#[derive(Default)]
pub(crate) struct Liar {
    pub(crate) manners: Option<Manners>,
    pub(crate) whims: Option<Whims>,
    outbox: VecDeque<(Path, Vec<u8>)>,
}

pub(crate) struct Whims {
    pub(crate) rng: fastrand::Rng,
    /// What it names.
    pub(crate) names: Vec<SocketAddr>,
}

impl Liar {
    pub(crate) fn with_manners(manners: Manners) -> Self {
        Self { manners: Some(manners), ..Self::default() }
    }

    pub(crate) fn with_whims(whims: Whims) -> Self {
        Self { whims: Some(whims), ..Self::default() }
    }

    pub(crate) fn handle_datagram(&mut self, path: Path, datagram: &[u8]) {
        if let Some(manners) = self.manners.clone() {
            self.answer(path, datagram, &manners);
        }
        if let Some(mut whims) = self.whims.take() {
            for _ in 0..whims.rng.u8(..3) {
                let manners = whims.manners();
                self.answer(path, datagram, &manners);
                if let Some((_, answer)) = self.outbox.back_mut() {
                    whims.spoil(answer);
                }
            }
            self.whims = Some(whims);
        }
    }

    pub(crate) fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let (path, datagram) = self.outbox.pop_front()?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Some((path, datagram.len()))
    }

    fn answer(&mut self, path: Path, datagram: &[u8], manners: &Manners) {
        let request = Message::parse(datagram).unwrap();
        assert!(
            (request.class(), request.method()) == (Class::Request, Method::BINDING) && request.has_valid_fingerprint()
        );
        if manners.dead.contains(&path.local) {
            return;
        }
        let flags = request.get(AttributeType::CHANGE_REQUEST).map_or(0, |value| value[3]);
        let mut local = path.local;
        let mut error = manners.error;
        match manners.change {
            Obedience::Falls if flags != 0 => return,
            Obedience::Refuses if flags != 0 => error = Some(420),
            Obedience::Obeys => {
                let other = other_than(path.local);
                if flags & 4 != 0 {
                    local.set_ip(other.ip());
                }
                if flags & 2 != 0 {
                    local.set_port(other.port());
                }
            }
            _ => {}
        }
        if manners.dead.contains(&local) {
            return;
        }
        let mut buffer = [0; 200];
        let class = if error.is_some() { Class::Error } else { Class::Success };
        let mut writer = MessageWriter::new(&mut buffer, class, Method::BINDING, request.transaction_id());
        match (error, manners.mapped) {
            (Some(code), _) => drop(writer.error_code(ErrorCode { code, reason: "as it likes" })),
            (None, Mapped::Nothing) => {}
            (None, Mapped::Truth) => drop(writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, path.remote)),
            (None, Mapped::Lie(lie)) => drop(writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, lie)),
        }
        if let Some(other) = manners.other {
            writer.attribute(AttributeType::OTHER_ADDRESS, &plain(other));
        }
        let len = writer.finish_with_fingerprint().unwrap();
        let path = Path { protocol: Protocol::Udp, local, remote: path.remote };
        self.outbox.push_back((path, buffer[..len].to_vec()));
    }
}

impl Whims {
    fn manners(&mut self) -> Manners {
        let rng = &mut self.rng;
        let name = self.names[rng.usize(..self.names.len())];
        let other = self.names[rng.usize(..self.names.len())];
        Manners {
            mapped: [Mapped::Truth, Mapped::Nothing, Mapped::Lie(name)][rng.usize(..3)],
            other: rng.bool().then_some(other),
            change: [Obedience::Obeys, Obedience::Ignores, Obedience::Falls, Obedience::Refuses][rng.usize(..4)],
            dead: Vec::new(),
            error: (rng.u8(..8) == 0).then(|| rng.u16(300..700)),
        }
    }

    fn spoil(&mut self, answer: &mut Vec<u8>) {
        let rng = &mut self.rng;
        match rng.u8(..12) {
            0 => answer.truncate(rng.usize(..=answer.len())),
            1 => {
                let at = rng.usize(..answer.len());
                answer[at] ^= 1 << rng.u8(..8);
            }
            2 => answer.iter_mut().for_each(|byte| *byte = rng.u8(..)),
            _ => {}
        }
    }
}

/// A liar has the addresses of a server that keeps the rules.
fn other_than(asked: SocketAddr) -> SocketAddr {
    let ip: IpAddr =
        if asked.ip() == crate::site::ip(crate::site::SERVER) { crate::site::OTHER } else { crate::site::SERVER }
            .parse()
            .unwrap();
    SocketAddr::new(ip, if asked.port() == 3478 { 3479 } else { 3478 })
}

fn plain(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => [&[0, 1], &port[..], &ip.octets()].concat(),
        IpAddr::V6(ip) => [&[0, 2], &port[..], &ip.octets()].concat(),
    }
}
