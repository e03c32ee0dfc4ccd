//! Sending where the datagram stands already.

use proptest::prelude::*;

use super::*;

/// What one client has to send, and when the server answers.
#[derive(Clone, Debug)]
enum Step {
    Send { peer: usize, len: usize, room: usize },
    Answer { is_granted: bool },
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let send = (0..3_usize, 0..200_usize, prop_oneof![9 => Just(Client::TAILROOM), 1 => 0..Client::TAILROOM])
        .prop_map(|(peer, len, room)| Step::Send { peer, len, room });
    let step = prop_oneof![
        8 => send,
        3 => prop::bool::weighted(0.9).prop_map(|is_granted| Step::Answer { is_granted }),
        1 => (0..200_u64).prop_map(Step::Pass)
    ];
    prop::collection::vec(step, 1..80)
}

fn allocated(transport: Transport) -> Bench {
    let config = Config { family: Family::Both, ..Config::new(address(SERVER), transport, alice()) };
    let mut bench = Bench { nonce: "one", algorithms: None, ..Bench::with(config) };
    bench.allocate();
    bench
}

/// What the client wants to send by itself; its requests are answered.
fn answered(bench: &mut Bench, is_granted: bool) -> Vec<Vec<u8>> {
    let sent = bench.sent();
    for request in &sent {
        match Message::parse(request).map(|message| message.class()) {
            Ok(Class::Request) if is_granted => bench.grant(request, 600),
            Ok(Class::Request) => bench.refuse(request, 403),
            _ => {}
        }
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of two clients with the same history one sends from elsewhere and one in place: they send the same, whatever the
    /// headroom, and with the right one the datagram stays where it was.
    #[test]
    fn a_datagram_in_place_is_sent_as_any_other(
        steps in steps(),
        is_stream: bool,
        misplaced in prop::option::of(0..70_usize),
    ) {
        let peers = [PEER, "198.51.100.1:1001", "[2001:db8::2]:1000"].map(address);
        let transport = if is_stream { Transport::Tcp } else { Transport::Udp };
        let (mut copying, mut placing) = (allocated(transport), allocated(transport));
        for step in steps {
            match step {
                Step::Send { peer, len, room } => {
                    let (peer, now) = (peers[peer], placing.now);
                    let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
                    let headroom = placing.client.headroom(peer, now);
                    let at = misplaced.unwrap_or(headroom);
                    let size = at.max(headroom) + len + room;
                    let mut copied = vec![0xEE; size];
                    let mut placed = vec![0xEE; size];
                    placed[at..][..len].copy_from_slice(&data);
                    let expected = copying.client.send(peer, &data, &mut copied, now);
                    let result = placing.client.send_in_place(peer, &mut placed, at, len, now);
                    prop_assert_eq!(result, expected);
                    match result {
                        Ok(Sent::Now(transmit)) => {
                            let in_indication = if peer.is_ipv4() { 36 } else { 48 };
                            prop_assert!(headroom == 4 || headroom == in_indication);
                            prop_assert_eq!(&placed[..transmit.len], &copied[..transmit.len]);
                            prop_assert_eq!(&placed[headroom..][..len], &data[..]);
                            prop_assert!(transmit.len <= headroom + len + Client::TAILROOM);
                        }
                        Err(SendError::Buffer(error)) => {
                            prop_assert!(room < Client::TAILROOM && error.needed > error.room);
                        }
                        Ok(Sent::Later) | Err(_) => prop_assert_eq!(headroom, 0),
                    }
                }
                Step::Answer { is_granted } => {
                    prop_assert_eq!(answered(&mut copying, is_granted), answered(&mut placing, is_granted));
                }
                Step::Pass(seconds) => {
                    copying.pass(seconds);
                    placing.pass(seconds);
                }
            }
            prop_assert_eq!(copying.events(), placing.events());
        }
        prop_assert_eq!(copying.sent(), placing.sent());
        prop_assert_eq!(copying.client.counters(), placing.client.counters());
    }
}

#[test]
fn a_datagram_that_is_not_in_the_buffer_is_an_error() {
    let mut bench = allocated(Transport::Udp);
    let peer = address(PEER);
    for (headroom, len) in [(100, 1), (0, 101), (usize::MAX, 1), (1, usize::MAX)] {
        let sent = bench.client.send_in_place(peer, &mut [0; 100], headroom, len, bench.now);
        assert!(matches!(sent, Err(SendError::Buffer(_))), "{sent:?}");
    }
    let mut buf = vec![0; 70_000];
    let long = bench.client.send_in_place(peer, &mut buf, 48, 65_505, bench.now);
    assert_eq!(long, Err(SendError::TooLong(65_505)));
    assert_eq!(bench.sent().len(), 0);
    // The longest that may go fits, to either family.
    for peer in [PEER, "[2001:db8::2]:1000"].map(address) {
        assert_eq!(bench.client.send(peer, b"", &mut [], bench.now), Ok(Sent::Later));
        answered(&mut bench, true);
        let headroom = bench.client.headroom(peer, bench.now);
        let sent = bench.client.send_in_place(peer, &mut buf, headroom, 65_504, bench.now);
        assert_eq!(sent, Ok(Sent::Now(Transmit { to: address(SERVER), len: headroom + 65_504 })));
        assert_eq!(Message::parse(&buf[..headroom + 65_504]).unwrap().get(AttributeType::DATA).unwrap().len(), 65_504);
    }
}
