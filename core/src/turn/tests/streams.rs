//! TCP allocations.

use super::*;
use crate::turn::client::DataTransmit;

const ID: [u8; 4] = [0xCA, 0xFE, 0, 1];

fn allocated() -> Bench {
    let config = Config { relay: Relay::Tcp, ..Config::new(address(SERVER), Transport::Tls, alice()) };
    let mut bench = Bench { nonce: "one", algorithms: None, ..Bench::with(config) };
    let [Event::OpenStream { .. }] = bench.events()[..] else { panic!() };
    bench.client.handle_stream_opened(bench.now);
    let request = bench.asked();
    assert_eq!(Message::parse(&request).unwrap().get(AttributeType::REQUESTED_TRANSPORT), Some(&[6, 0, 0, 0][..]));
    bench.challenge(&request, 401);
    let request = bench.asked();
    bench.grant(&request, 600);
    assert!(matches!(bench.events()[..], [Event::Allocated(_)]));
    bench
}

impl Bench {
    /// The server's answer to a Connect or a ConnectionBind that it grants.
    fn joins(&self, request: &[u8]) -> Vec<u8> {
        answer(request, Class::Success, Some(&self.key()), |writer| {
            writer.attribute(AttributeType::CONNECTION_ID, &ID);
        })
    }

    /// The one request that goes into a data stream now.
    fn asked_in(&mut self, stream: DataStream) -> Vec<u8> {
        let mut buf = [0; Client::MIN_BUFFER];
        let transmit = self.client.poll_data_transmit(&mut buf).expect("there is something");
        let DataTransmit { stream: into, len } = transmit;
        assert_eq!((into, self.client.poll_data_transmit(&mut [0; Client::MIN_BUFFER])), (stream, None));
        buf[..len].to_vec()
    }

    /// Has the server connect to the peer, and the driver open a stream.
    fn opening(&mut self) -> DataStream {
        let stream = self.client.connect(address(PEER), self.now).unwrap();
        let request = self.asked();
        assert_eq!(Message::parse(&request).unwrap().method(), Method::CONNECT);
        let joins = self.joins(&request);
        self.hear(&joins);
        let server = address(SERVER);
        assert_eq!(self.events(), [Event::OpenDataStream { stream, server, domain: None }]);
        stream
    }

    /// And open it.
    fn binding(&mut self) -> (DataStream, Vec<u8>) {
        let stream = self.opening();
        self.client.handle_data_stream_opened(stream, self.now);
        let request = self.asked_in(stream);
        let message = Message::parse(&request).unwrap();
        assert_eq!(
            (message.method(), message.get(AttributeType::CONNECTION_ID)),
            (Method::CONNECTION_BIND, Some(&ID[..]))
        );
        assert!(self.key().check(&message).is_ok());
        (stream, request)
    }

    fn attempt(&mut self, peer: &str) {
        let id = crate::stun::TransactionId([7; 12]);
        let mut buf = [0; 100];
        let mut writer = MessageWriter::new(&mut buf, Class::Indication, Method::CONNECTION_ATTEMPT, id);
        writer.xor_address(AttributeType::XOR_PEER_ADDRESS, address(peer)).attribute(AttributeType::CONNECTION_ID, &ID);
        let len = writer.finish().unwrap();
        self.hear(&buf[..len]);
    }
}

/// However the stream is cut, and with another nonce asked for or not: what is the server's stays here, and all that is
/// the peer's comes out.
#[test]
fn what_follows_the_servers_answer_in_a_data_stream_is_the_peers() {
    let from_peer = b"\x00\x01 this looks like \x40\x00\x00\x04 TURN and is not".repeat(5);
    for has_other_nonce in [false, true] {
        for cut in 1..200 {
            let mut bench = allocated();
            let (stream, mut request) = bench.binding();
            let mut came: Vec<u8> = Vec::new();
            if has_other_nonce {
                // Servers that count nonces by the stream.
                let stale = answer(&request, Class::Error, None, |writer| {
                    writer.error_code(ErrorCode { code: 438, reason: "Stale" });
                    writer.attribute(AttributeType::REALM, b"here").attribute(AttributeType::NONCE, b"two");
                });
                for piece in stale.chunks(cut) {
                    came.extend(bench.client.handle_data_stream_data(stream, piece, bench.now));
                }
                request = bench.asked_in(stream);
                assert_eq!(Message::parse(&request).unwrap().get(AttributeType::NONCE), Some(&b"two"[..]));
            }
            let all = [bench.joins(&request), from_peer.clone()].concat();
            for piece in all.chunks(cut) {
                came.extend(bench.client.handle_data_stream_data(stream, piece, bench.now));
            }
            assert_eq!(came, from_peer, "{cut}");
            assert_eq!(bench.events(), [Event::DataStreamReady(stream)]);
            // The other nonce is that stream's alone.
            bench.client.permit(address(PEER).ip(), bench.now).unwrap();
            let request = bench.asked();
            assert_eq!(Message::parse(&request).unwrap().get(AttributeType::NONCE), Some(&b"one"[..]));
            assert_eq!(bench.client.counters(), Counters::default());
        }
    }
}

#[test]
fn a_peer_that_connects_is_taken_up_or_not() {
    let mut bench = allocated();
    bench.attempt(PEER);
    assert_eq!((bench.events(), bench.client.counters().unpermitted), (vec![], 1));
    bench.client.permit(address(PEER).ip(), bench.now).unwrap();
    let request = bench.asked();
    bench.grant(&request, 600);
    bench.events();
    bench.attempt(PEER);
    let [Event::PeerConnected { stream, peer }] = bench.events()[..] else { panic!() };
    assert_eq!(peer, address(PEER));
    assert_eq!(bench.client.connect(peer, bench.now), Err(SendError::Connected(peer)));
    bench.client.accept(stream, bench.now);
    assert!(matches!(bench.events()[..], [Event::OpenDataStream { .. }]));
    bench.client.handle_data_stream_opened(stream, bench.now);
    let request = bench.asked_in(stream);
    let joins = bench.joins(&request);
    assert_eq!(bench.client.handle_data_stream_data(stream, &joins, bench.now), b"");
    assert_eq!(bench.events(), [Event::DataStreamReady(stream)]);
    // One that nobody wants is forgotten when the server has, and so many are kept.
    for port in 2000..2100 {
        bench.attempt(&format!("198.51.100.1:{port}"));
    }
    assert_eq!((bench.events().len(), bench.client.counters().dropped), (64, 36));
    bench.pass(29);
    assert_eq!(bench.events(), []);
    bench.pass(1);
    let events = bench.events();
    assert!(events.iter().all(|event| matches!(event, Event::DataStreamFailed(_, Failure::NotOpened))));
    assert_eq!(events.len(), 64);
    bench.attempt("198.51.100.1:3000");
    assert!(matches!(bench.events()[..], [Event::PeerConnected { .. }]));
}

#[test]
fn a_data_stream_that_comes_to_nothing_says_why_and_the_allocation_stays() {
    let peer = address(PEER);
    for code in [403, 446, 447] {
        let mut bench = allocated();
        let stream = bench.client.connect(peer, bench.now).unwrap();
        let request = bench.asked();
        bench.refuse(&request, code);
        assert_eq!(bench.events(), [Event::DataStreamFailed(stream, Failure::Refused(refusal(code)))]);
        assert!(bench.client.connect(peer, bench.now).is_ok(), "it may be tried again");
    }
    // A server may take half a minute to find out that a peer does not answer.
    let mut bench = allocated();
    let stream = bench.client.connect(peer, bench.now).unwrap();
    bench.pass(35);
    assert_eq!(bench.events(), []);
    bench.pass(5);
    assert_eq!(bench.events(), [Event::DataStreamFailed(stream, Failure::NoAnswer)]);

    let fails = |expected: Failure, is_closed: bool, act: &dyn Fn(&mut Bench, DataStream, &[u8])| {
        let mut bench = allocated();
        let (stream, request) = bench.binding();
        act(&mut bench, stream, &request);
        let failed = Event::DataStreamFailed(stream, expected);
        let expected = if is_closed { vec![Event::CloseDataStream(stream), failed] } else { vec![failed] };
        assert_eq!(bench.events(), expected);
        assert!(bench.client.relayed().is_some());
        assert_eq!(bench.client.handle_data_stream_data(stream, b"late", bench.now), b"");
    };
    fails(Failure::StreamClosed, false, &|bench, stream, _| {
        bench.client.handle_data_stream_closed(stream, bench.now);
    });
    fails(Failure::Garbage, true, &|bench, stream, _| {
        assert_eq!(bench.client.handle_data_stream_data(stream, b"SSH-2.0-server\r\n", bench.now), b"");
    });
    fails(Failure::NoAnswer, true, &|bench, _, _| bench.pass(40));
    fails(Failure::Refused(refusal(400)), true, &|bench, stream, request| {
        let refused = answer(request, Class::Error, Some(&bench.key()), |writer| {
            writer.error_code(ErrorCode { code: 400, reason: "No" });
        });
        bench.client.handle_data_stream_data(stream, &refused, bench.now);
    });
    fails(Failure::Integrity, true, &|bench, stream, request| {
        let unsigned = answer(request, Class::Success, None, |_| ());
        bench.client.handle_data_stream_data(stream, &unsigned, bench.now);
    });
    // 437 here is about the stream's own five-tuple.
    fails(Failure::Refused(refusal(437)), true, &|bench, stream, request| {
        let refused = answer(request, Class::Error, Some(&bench.key()), |writer| {
            writer.error_code(ErrorCode { code: 437, reason: "No" });
        });
        bench.client.handle_data_stream_data(stream, &refused, bench.now);
    });

    let mut bench = allocated();
    let stream = bench.opening();
    bench.client.handle_data_stream_closed(stream, bench.now);
    assert_eq!(bench.events(), [Event::DataStreamFailed(stream, Failure::NotOpened)]);
    let stream = bench.opening();
    bench.pass(40);
    assert_eq!(bench.events(), [Event::CloseDataStream(stream), Event::DataStreamFailed(stream, Failure::NotOpened)]);
}

/// The answer to what was asked in one stream does not count in another.
#[test]
fn an_answer_counts_in_its_own_stream() {
    let mut bench = allocated();
    let (stream, request) = bench.binding();
    let joins = bench.joins(&request);
    bench.hear(&joins);
    assert_eq!((bench.events(), bench.client.counters().unmatched), (vec![], 1));
    bench.client.permit(address(PEER).ip(), bench.now).unwrap();
    let permit = bench.asked();
    let granted = answer(&permit, Class::Success, Some(&bench.key()), |_| ());
    assert_eq!(bench.client.handle_data_stream_data(stream, &granted, bench.now), b"");
    assert_eq!((bench.events(), bench.client.counters().unmatched), (vec![], 2));
    assert_eq!(bench.client.handle_data_stream_data(stream, &joins, bench.now), b"");
    assert_eq!(bench.events(), [Event::DataStreamReady(stream)]);
}

#[test]
fn with_the_allocation_go_its_data_streams() {
    type End = fn(&mut Bench);
    let ends: [(End, Option<Event>); 3] = [
        (|bench| bench.client.close(bench.now), None),
        (|bench| bench.client.handle_stream_closed(bench.now), Some(Event::Lost(Loss::StreamClosed))),
        (
            |bench| bench.client.handle_stream_data(b"SSH-2.0-server\r\n", bench.now, |_| ()),
            Some(Event::Lost(Loss::Garbage)),
        ),
    ];
    for (end, last) in ends {
        let mut bench = allocated();
        let (stream, request) = bench.binding();
        let joins = bench.joins(&request);
        bench.client.handle_data_stream_data(stream, &joins, bench.now);
        let other = bench.client.connect(address("198.51.100.1:7"), bench.now).unwrap();
        bench.events();
        end(&mut bench);
        let events = bench.events();
        assert_eq!(events.iter().filter(|event| **event == Event::CloseDataStream(stream)).count(), 1);
        assert!(!events.contains(&Event::CloseDataStream(other)), "there was none");
        assert!(last.is_none() || events.last() == last.as_ref(), "{events:?}");
        assert_eq!(bench.client.handle_data_stream_data(stream, b"late", bench.now), b"");
    }
}

#[test]
fn streams_and_datagrams_are_not_mixed() {
    let peer = address(PEER);
    let mut bench = allocated();
    assert_eq!(bench.client.send(peer, b"x", &mut [0; 100], bench.now), Err(SendError::OfStreams));
    assert_eq!(bench.client.headroom(peer, bench.now), 0);
    bench.client.permit(peer.ip(), bench.now).unwrap();
    let id = crate::stun::TransactionId([7; 12]);
    let mut buf = [0; 100];
    let mut writer = MessageWriter::new(&mut buf, Class::Indication, Method::DATA, id);
    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer).attribute(AttributeType::DATA, b"x");
    let len = writer.finish().unwrap();
    bench.hear(&buf[..len]);
    assert_eq!(bench.client.counters().unexpected, 1);

    let mut bench = Bench::plain(Transport::Tcp);
    bench.allocate();
    assert_eq!(bench.client.connect(peer, bench.now), Err(SendError::OfDatagrams));
    bench.attempt(PEER);
    assert_eq!((bench.events(), bench.client.counters().unexpected), (vec![], 1));

    let tcp = |transport| Config { relay: Relay::Tcp, ..Config::new(address(SERVER), transport, alice()) };
    let new = |config| Client::new(config, [0; 32], Instant::ZERO).err();
    assert_eq!(new(tcp(Transport::Udp)), Some(InvalidConfig::TcpOverUdp));
    let even = Config { port: Port::Even, ..tcp(Transport::Tcp) };
    assert_eq!(new(even), Some(InvalidConfig::PortOfTcp(Port::Even)));
}
