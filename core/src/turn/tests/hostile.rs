//! Whoever sends what the server has not sent, and servers that mean no good.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::stun::TransactionId;

/// What happens to a client whose server is honest, while somebody else tries to pass for it.
#[derive(Clone, Debug)]
enum Step {
    /// The client sends to one of three peers.
    Send(u8),
    /// The server answers what it was asked, as it should.
    Answer,
    /// A peer's data comes, in whatever form the server would give it.
    Data(u8),
    Pass(u16),
    Forge(Forgery),
}

#[derive(Clone, Debug)]
enum Forgery {
    Garbage(Vec<u8>),
    /// The server's own answer, from elsewhere.
    WrongSource,
    /// Signed as the server does, to something that was not asked.
    WrongTransaction(u8),
    WrongMethod,
    /// To what was asked, with this code, or a success; signed by who does not have the key.
    WrongKey(Option<u16>),
    /// The same, not signed at all.
    Unsigned(Option<u16>),
    WrongFingerprint(u8),
    /// The server's own answer, cut off.
    Truncated(u16),
    /// The server's own answer, whose first attribute says that it is longer than the message.
    Oversized(u16),
    /// What the server has answered before, however long ago.
    Late(u8),
    Request,
    UnknownIndication,
    /// Data from whom nobody has permitted.
    Unpermitted,
    /// Data on a channel that is not bound.
    Unbound(u8),
}

fn forgeries() -> impl Strategy<Value = Forgery> {
    // 401 and 438 are never signed: a server cannot sign for who it does not know.
    let code = || prop::option::of((300..700_u16).prop_filter("is never signed", |code| !matches!(code, 401 | 438)));
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|mut bytes| {
            // No cookie, and so no message.
            if let Some(byte) = bytes.get_mut(4) {
                *byte = 0;
            }
            if bytes.first().is_some_and(|first| (0x40..0x50).contains(first)) {
                bytes[0] = 0x50;
            }
            Forgery::Garbage(bytes)
        }),
        Just(Forgery::WrongSource),
        (0..96_u8).prop_map(Forgery::WrongTransaction),
        Just(Forgery::WrongMethod),
        code().prop_map(Forgery::WrongKey),
        code().prop_map(Forgery::Unsigned),
        (0..32_u8).prop_map(Forgery::WrongFingerprint),
        any::<u16>().prop_map(Forgery::Truncated),
        (100..65_000_u16).prop_map(Forgery::Oversized),
        any::<u8>().prop_map(Forgery::Late),
        Just(Forgery::Request),
        Just(Forgery::UnknownIndication),
        Just(Forgery::Unpermitted),
        any::<u8>().prop_map(Forgery::Unbound),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3_u8).prop_map(Step::Send),
        5 => Just(Step::Answer),
        2 => (0..3_u8).prop_map(Step::Data),
        2 => (0..200_u16).prop_map(Step::Pass),
        10 => forgeries().prop_map(Step::Forge),
    ];
    prop::collection::vec(step, 20..120)
}

fn peer(nth: u8) -> SocketAddr {
    ([198, 51, 100, 1 + nth], 1000).into()
}

/// A client, what it has asked and was not answered, and what it was.
struct Side {
    bench: Bench,
    open: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
}

/// What a client lets be seen.
type Seen = (Vec<Vec<u8>>, Vec<Event>, Option<Instant>, Vec<(SocketAddr, Vec<u8>)>);

impl Side {
    fn new() -> Self {
        let config = Config { bind_after: Some(1), ..Config::new(address(SERVER), Transport::Udp, alice()) };
        Self { bench: Bench::with(config), open: Vec::new(), answers: Vec::new() }
    }

    fn hears(&mut self, from: &str, datagram: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let data = self.bench.client.handle_datagram(address(from), datagram, self.bench.now);
        data.map(|data| (data.peer, data.data.to_vec())).into_iter().collect()
    }

    /// The server's answer to what was asked first.
    fn genuine(&self) -> Option<Vec<u8>> {
        let request = self.open.first()?;
        let message = Message::parse(request).unwrap();
        let is_signed = message.has_integrity() || message.has_integrity_sha256();
        Some(if is_signed {
            answer(request, Class::Success, Some(&self.bench.key()), |writer| {
                writer
                    .xor_address(AttributeType::XOR_RELAYED_ADDRESS, address(RELAYED))
                    .xor_address(AttributeType::XOR_MAPPED_ADDRESS, address("203.0.113.1:9"))
                    .attribute(AttributeType::LIFETIME, &600_u32.to_be_bytes());
            })
        } else {
            answer(request, Class::Error, None, |writer| {
                writer
                    .error_code(ErrorCode::UNAUTHENTICATED)
                    .attribute(AttributeType::REALM, b"here")
                    .attribute(AttributeType::NONCE, self.bench.nonce.as_bytes())
                    .attribute(AttributeType::PASSWORD_ALGORITHMS, SHA256_AND_MD5);
            })
        })
    }

    /// Takes a step that is nobody's forgery.
    fn step(&mut self, step: &Step) -> Seen {
        let now = self.bench.now;
        let mut data = Vec::new();
        match step {
            Step::Send(nth) => drop(self.bench.client.send(peer(*nth), b"there", &mut [0; 100], now)),
            Step::Answer => {
                if let Some(genuine) = self.genuine() {
                    self.open.remove(0);
                    data = self.hears(SERVER, &genuine);
                    self.answers.push(genuine);
                }
            }
            Step::Data(nth) => {
                let indication = indication(Method::DATA, |writer| {
                    writer
                        .xor_address(AttributeType::XOR_PEER_ADDRESS, peer(*nth))
                        .attribute(AttributeType::DATA, b"back");
                });
                data = self.hears(SERVER, &indication);
            }
            Step::Pass(seconds) => self.bench.pass((*seconds).into()),
            Step::Forge(_) => {}
        }
        self.seen(data)
    }

    fn seen(&mut self, data: Vec<(SocketAddr, Vec<u8>)>) -> Seen {
        let sent = self.bench.sent();
        for request in &sent {
            // Each once, however often it was repeated.
            if Message::parse(request).is_ok_and(|message| message.class() == Class::Request)
                && !self.open.contains(request)
            {
                self.open.push(request.clone());
            }
        }
        let mut events = self.bench.events();
        for event in &mut events {
            // Where no answer came, that somebody else's did is said instead.
            match event {
                Event::Lost(loss @ Loss::Integrity) => *loss = Loss::NoAnswer,
                Event::Failed(failure @ Failure::Integrity) => *failure = Failure::NoAnswer,
                _ => {}
            }
        }
        (sent, events, self.bench.client.poll_timeout(), data)
    }

    /// A forgery; none where the moment has nothing that could be forged.
    fn forged(&self, forgery: &Forgery) -> Option<(&'static str, Vec<u8>)> {
        let asked = self.open.last();
        let signed = asked.filter(|request| {
            let message = Message::parse(request).unwrap();
            message.has_integrity() || message.has_integrity_sha256()
        });
        let with = |request: &[u8], code: &Option<u16>, key: Option<&LongTermKey>| {
            let class = if code.is_some() { Class::Error } else { Class::Success };
            answer(request, class, key, |writer| {
                if let Some(code) = *code {
                    writer.error_code(ErrorCode { code, reason: "No" });
                }
                let elsewhere = [0, 1, 13, 150, 192, 0, 2, 66];
                writer
                    .attribute(AttributeType::ALTERNATE_SERVER, &elsewhere)
                    .xor_address(AttributeType::XOR_RELAYED_ADDRESS, address("192.0.2.66:1"))
                    .xor_address(AttributeType::XOR_MAPPED_ADDRESS, address("192.0.2.66:2"))
                    .attribute(AttributeType::LIFETIME, &[0; 4]);
            })
        };
        let datagram = match forgery {
            Forgery::Garbage(bytes) => bytes.clone(),
            Forgery::WrongSource => return Some((OTHER, self.genuine()?)),
            Forgery::WrongTransaction(bit) => {
                let mut request = asked?.clone();
                request[8 + usize::from(bit / 8)] ^= 1 << (bit % 8);
                with(&request, &None, Some(&self.bench.key()))
            }
            Forgery::WrongMethod => {
                let mut request = asked?.clone();
                request[..2].copy_from_slice(&[0, 1]);
                with(&request, &None, Some(&self.bench.key()))
            }
            Forgery::WrongKey(code) => {
                with(signed?, code, Some(&LongTermKey::Sha256(IntegrityKeySha256::new(b"wrong"))))
            }
            Forgery::Unsigned(code) => with(signed?, code, None),
            Forgery::WrongFingerprint(bit) => {
                let mut genuine = self.genuine()?;
                let at = genuine.len() - 4 + usize::from(bit / 8);
                genuine[at] ^= 1 << (bit % 8);
                genuine
            }
            Forgery::Truncated(len) => {
                let mut genuine = self.genuine()?;
                genuine.truncate(usize::from(*len) % genuine.len());
                genuine
            }
            Forgery::Oversized(len) => {
                let mut genuine = self.genuine()?;
                let len = (genuine.len() as u16).max(*len);
                genuine[22..24].copy_from_slice(&len.to_be_bytes());
                genuine
            }
            Forgery::Late(nth) => self.answers.get(usize::from(*nth) % self.answers.len().max(1))?.clone(),
            Forgery::Request => asked?.clone(),
            Forgery::UnknownIndication => indication(Method::SEND, |_| ()),
            Forgery::Unpermitted => indication(Method::DATA, |writer| {
                writer
                    .xor_address(AttributeType::XOR_PEER_ADDRESS, address("203.0.113.66:1000"))
                    .attribute(AttributeType::DATA, b"x");
            }),
            // The client binds the first numbers first.
            Forgery::Unbound(number) => vec![0x4F, *number, 0, 1, b'x', 0, 0, 0],
        };
        Some((SERVER, datagram))
    }
}

fn indication(method: Method, write: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
    let mut buf = [0; 200];
    let mut writer = MessageWriter::new(&mut buf, Class::Indication, method, TransactionId([5; 12]));
    write(&mut writer);
    let len = writer.finish().unwrap();
    buf[..len].to_vec()
}

/// All that was ignored.
fn ignored(counters: Counters) -> u64 {
    let Counters { wrong_source, malformed, bad_fingerprint, unmatched, bad_integrity, .. } = counters;
    let Counters { bid_down, unexpected, unpermitted, unbound, icmp, .. } = counters;
    wrong_source
        + malformed
        + bad_fingerprint
        + unmatched
        + bad_integrity
        + bid_down
        + unexpected
        + unpermitted
        + unbound
        + icmp
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of two clients with the same server one is beset by forgeries: it sends the same, says the same, delivers the same
    /// and wakes at the same times as the other, and has counted each forgery once.
    #[test]
    fn forgeries_are_counted_and_change_nothing(steps in steps()) {
        let (mut alone, mut beset) = (Side::new(), Side::new());
        prop_assert_eq!(alone.seen(vec![]), beset.seen(vec![]));
        let mut forged = 0;
        for step in &steps {
            if let Step::Forge(forgery) = step
                && let Some((from, datagram)) = beset.forged(forgery)
            {
                forged += 1;
                let data = beset.hears(from, &datagram);
                prop_assert_eq!(data, vec![], "{:?}", forgery);
                let before = ignored(alone.bench.client.counters());
                prop_assert_eq!(ignored(beset.bench.client.counters()), before + forged, "{:?}", forgery);
            }
            prop_assert_eq!(alone.step(step), beset.step(step), "{:?}", step);
        }
    }
}

/// What a server that has the password says, whatever it may mean.
#[derive(Clone, Debug)]
struct Said {
    code: Option<u16>,
    is_signed: bool,
    /// An attribute's number among those of [`Said::write`], and what makes its value.
    attributes: Vec<(u8, u64)>,
    seconds: u16,
}

fn said() -> impl Strategy<Value = Said> {
    const CODES: [u16; 18] = [300, 300, 300, 400, 401, 403, 420, 437, 438, 440, 441, 442, 446, 447, 486, 500, 508, 699];
    let code = prop_oneof![4 => prop::sample::select(&CODES[..]).prop_map(Some), 3 => Just(None)];
    let attributes = prop::collection::vec((0..14_u8, any::<u64>()), 0..9);
    (code, prop::bool::weighted(0.7), attributes, 0..400_u16).prop_map(|(code, is_signed, attributes, seconds)| Said {
        code,
        is_signed,
        attributes,
        seconds,
    })
}

impl Said {
    /// Writes the attributes; gives the servers that they name.
    fn write(&self, writer: &mut MessageWriter<'_>) -> Vec<SocketAddr> {
        let mut named = Vec::new();
        if let Some(code) = self.code {
            writer.error_code(ErrorCode { code, reason: "Because" });
        }
        for &(kind, value) in &self.attributes {
            let bytes = value.to_be_bytes();
            let socket = SocketAddr::from(([bytes[0], bytes[1], bytes[2], bytes[3]], u16::from(bytes[4] % 4)));
            match kind {
                0..4 => {
                    let [a, b, c, d, port, ..] = bytes;
                    writer.attribute(AttributeType::ALTERNATE_SERVER, &[0, 1, 0, port % 4, a, b, c, d]);
                    named.push(socket);
                }
                4 => drop(
                    writer.attribute(AttributeType::REALM, [&b"here"[..], b"there", b""][usize::from(bytes[0] % 3)]),
                ),
                5 => drop(writer.attribute(
                    AttributeType::NONCE,
                    [&b"one"[..], b"obMatJos2wAAAone", b""][usize::from(bytes[0] % 3)],
                )),
                6 => drop(writer.attribute(AttributeType::PASSWORD_ALGORITHMS, &[0, bytes[0] % 4, 0, bytes[1] % 2])),
                7 => drop(writer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, socket)),
                8 => drop(writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, socket)),
                9 => drop(
                    writer.attribute(AttributeType::LIFETIME, &(u32::from(bytes[0]) << (bytes[1] % 25)).to_be_bytes()),
                ),
                10 => drop(
                    writer.attribute(AttributeType::UNKNOWN_ATTRIBUTES, &[0, bytes[0] % 0x30, 0x80, bytes[1] % 0x30]),
                ),
                11 => drop(writer.attribute(AttributeType::CONNECTION_ID, &bytes[..usize::from(bytes[7] % 8)])),
                12 => drop(writer.attribute(AttributeType::ALTERNATE_DOMAIN, b"turn.example.net")),
                _ => drop(writer.attribute(AttributeType(u16::from_be_bytes([bytes[0], bytes[1]])), &bytes[2..])),
            }
        }
        named
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a server answers, even one that has the password: nothing is sent or opened to where no server has sent
    /// us by a redirection, there is no storm of requests, and whoever wants to stop can.
    #[test]
    fn a_server_that_says_anything_has_no_power_but_over_its_own_allocation(
        replies in prop::collection::vec(said(), 1..60),
        kind in 0..3_u8,
    ) {
        let transport = if kind == 0 { Transport::Udp } else { Transport::Tls };
        let relay = if kind == 2 { Relay::Tcp } else { Relay::Udp };
        let family = Family::Both;
        let mut bench = Bench::with(Config { relay, family, ..Config::new(address(SERVER), transport, alice()) });
        let mut allowed = BTreeSet::from([address(SERVER)]);
        let mut redirections = 0;
        for reply in replies {
            let mut requests = Vec::new();
            let mut buf = [0; Client::MIN_BUFFER];
            while let Some(transmit) = bench.client.poll_transmit(&mut buf) {
                prop_assert!(allowed.contains(&transmit.to), "{:?}", transmit);
                requests.push(buf[..transmit.len].to_vec());
            }
            for event in bench.events() {
                match event {
                    Event::OpenStream { server, .. } => {
                        prop_assert!(allowed.contains(&server));
                        bench.client.handle_stream_opened(bench.now);
                    }
                    Event::OpenDataStream { stream, server, .. } => {
                        prop_assert!(allowed.contains(&server));
                        bench.client.handle_data_stream_opened(stream, bench.now);
                    }
                    Event::Redirected { to, .. } => {
                        prop_assert!(allowed.contains(&to));
                        redirections += 1;
                    }
                    _ => {}
                }
            }
            prop_assert!(redirections <= 4);
            if !bench.is_stream {
                requests.retain(|request| Message::parse(request).unwrap().class() == Class::Request);
            }
            prop_assert!(requests.len() <= 32, "{}", requests.len());
            bench.realm = ["here", "there"][usize::from(reply.seconds % 2)];
            bench.algorithms = [Some(SHA256_AND_MD5), None][usize::from(reply.seconds / 2 % 2)];
            for request in requests {
                let class = if reply.code.is_some() { Class::Error } else { Class::Success };
                let key = reply.is_signed.then(|| bench.key());
                let is_allocate = Message::parse(&request).unwrap().method() == Method::ALLOCATE;
                let mut named = Vec::new();
                let answer = answer(&request, class, key.as_ref(), |writer| named = reply.write(writer));
                if reply.code == Some(300) && is_allocate {
                    allowed.extend(named.iter().filter(|to| to.port() != 0 && !to.ip().is_multicast()));
                }
                bench.hear(&answer);
            }
            for nth in 0..3 {
                let _ = bench.client.send(peer(nth), b"there", &mut [0; 100], bench.now);
                let _ = bench.client.connect(peer(nth), bench.now);
            }
            bench.pass(reply.seconds.into());
        }
        bench.client.close(bench.now);
        bench.events();
        bench.pass(80);
        prop_assert!(bench.client.is_over());
        prop_assert_eq!(bench.client.poll_timeout(), None);
    }
}
