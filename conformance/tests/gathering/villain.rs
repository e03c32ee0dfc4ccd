//! What answers where a server should, and does it badly.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use frazil::stun::{AttributeType, Class, ErrorCode, IntegrityKey, Message, MessageWriter, Method};
use frazil::{Instant, Path, Protocol};
use frazil_internet::{StreamInput, StreamRequest};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Vice {
    Silent,
    /// Answers after a minute.
    Late,
    Refuses(u16),
    /// Sends whoever asks to somebody else, or round in a circle.
    Redirects(SocketAddr),
    Noise,
    Truncates,
    /// Answers what was not asked, and names a server that nobody is to go to.
    OtherTransaction(SocketAddr),
    OtherSource,
    WrongFingerprint,
    Unsigned,
    WronglySigned,
    /// Is never content with who asks.
    Insatiable,
    /// Closes each stream at once.
    Closes,
}

/// A machine that plays a server, over UDP and TCP.
pub(crate) struct Villain {
    vice: Vice,
    rng: fastrand::Rng,
    outbox: VecDeque<(Instant, Path, Vec<u8>)>,
    streams: VecDeque<StreamRequest>,
    now: Instant,
}

impl Villain {
    pub(crate) fn new(vice: Vice, seed: u64) -> Self {
        let (outbox, streams) = Default::default();
        Self { vice, rng: fastrand::Rng::with_seed(seed), outbox, streams, now: Instant::ZERO }
    }

    pub(crate) fn handle(&mut self, path: Path, bytes: &[u8], now: Instant) {
        self.now = now;
        let Ok(request) = Message::parse(bytes) else { return };
        if request.class() != Class::Request {
            return;
        }
        let other_port = SocketAddr::new(path.local.ip(), path.local.port() + 1);
        let (at, from) = match self.vice {
            Vice::Silent | Vice::Closes => return,
            Vice::Late => (now + Duration::from_secs(60), path.local),
            Vice::OtherSource if path.protocol == Protocol::Udp => (now, other_port),
            _ => (now, path.local),
        };
        let answer = self.answer(&request);
        self.outbox.push_back((at, Path { local: from, ..path }, answer));
    }

    pub(crate) fn handle_stream(&mut self, path: Path, input: StreamInput<'_>, now: Instant) {
        match input {
            StreamInput::Opened if self.vice == Vice::Closes => self.streams.push_back(StreamRequest::Close(path)),
            StreamInput::Data(bytes) => self.handle(path, bytes, now),
            StreamInput::Closed => self.streams.push_back(StreamRequest::Close(path)),
            _ => {}
        }
    }

    pub(crate) fn poll_stream(&mut self) -> Option<StreamRequest> {
        self.streams.pop_front()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
    }

    pub(crate) fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let &(at, ..) = self.outbox.front()?;
        if at > self.now {
            return None;
        }
        let (_, path, bytes) = self.outbox.pop_front()?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Some((path, bytes.len()))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.outbox.front().map(|&(at, ..)| at)
    }

    fn answer(&mut self, request: &Message<'_>) -> Vec<u8> {
        let is_allocate = request.method() == Method::ALLOCATE;
        match self.vice {
            Vice::Refuses(code) => error(request, code, None),
            Vice::Redirects(to) => error(request, 300, Some(to)),
            Vice::Noise => {
                let mut noise = vec![0; self.rng.usize(1..200)];
                self.rng.fill(&mut noise);
                noise
            }
            Vice::Truncates => {
                let whole = success(request, |_| {});
                whole[..self.rng.usize(..whole.len())].to_vec()
            }
            Vice::OtherTransaction(to) => {
                let mut answer = error(request, 300, Some(to));
                answer[8..20].fill_with(|| self.rng.u8(..));
                refinger(&mut answer);
                answer
            }
            Vice::WrongFingerprint => {
                let mut answer = if is_allocate { challenge(request) } else { success(request, |_| {}) };
                let last = answer.len() - 1;
                answer[last] ^= 1;
                answer
            }
            Vice::Unsigned if request.has_integrity() => success(request, |_| {}),
            Vice::WronglySigned if request.has_integrity() => success(request, |writer| {
                writer.integrity(&IntegrityKey::new(b"another"));
            }),
            _ if is_allocate => challenge(request),
            _ => success(request, |_| {}),
        }
    }
}

fn write(request: &Message<'_>, class: Class, fill: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
    let mut buf = vec![0; 1024];
    let mut writer = MessageWriter::new(&mut buf, class, request.method(), request.transaction_id());
    fill(&mut writer);
    let len = writer.finish_with_fingerprint().expect("there is room");
    buf.truncate(len);
    buf
}

fn success(request: &Message<'_>, sign: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
    write(request, Class::Success, |writer| {
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, "203.0.113.99:9".parse().unwrap());
        writer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, "203.0.113.98:9".parse().unwrap());
        writer.attribute(AttributeType::LIFETIME, &600u32.to_be_bytes());
        sign(writer);
    })
}

fn challenge(request: &Message<'_>) -> Vec<u8> {
    write(request, Class::Error, |writer| {
        writer.error_code(ErrorCode::UNAUTHENTICATED);
        writer.attribute(AttributeType::REALM, b"nowhere").attribute(AttributeType::NONCE, b"one");
    })
}

fn error(request: &Message<'_>, code: u16, alternate: Option<SocketAddr>) -> Vec<u8> {
    write(request, Class::Error, |writer| {
        writer.error_code(ErrorCode { code, reason: "No" });
        if code == 420 {
            writer.attribute(AttributeType::UNKNOWN_ATTRIBUTES, &[0, 0x19]);
        }
        let value = alternate.map(|to| match to {
            SocketAddr::V4(v4) => [&[0, 1][..], &v4.port().to_be_bytes(), &v4.ip().octets()].concat(),
            SocketAddr::V6(v6) => [&[0, 2][..], &v6.port().to_be_bytes(), &v6.ip().octets()].concat(),
        });
        if let Some(value) = value {
            writer.attribute(AttributeType::ALTERNATE_SERVER, &value);
        }
    })
}

/// Makes the fingerprint right again, so that only the transaction is wrong.
fn refinger(answer: &mut Vec<u8>) {
    let again = {
        let message = Message::parse(answer).expect("only its transaction was changed");
        write(&message, message.class(), |writer| {
            for attribute in message.attributes().filter(|attribute| attribute.kind != AttributeType::FINGERPRINT) {
                writer.attribute(attribute.kind, attribute.value);
            }
        })
    };
    *answer = again;
}
