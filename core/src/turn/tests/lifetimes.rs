//! How long permissions, channels and the allocation last, and what prolongs them.

use std::net::IpAddr;

use super::*;

/// A client with an allocation of an hour, so that nothing of the allocation's own comes between.
fn allocated() -> Bench {
    let mut bench = Bench { nonce: "one", algorithms: None, ..Bench::new(Transport::Udp) };
    let request = bench.asked();
    bench.challenge(&request, 401);
    let request = bench.asked();
    bench.grant(&request, 3600);
    bench.events();
    bench
}

impl Bench {
    fn says(&mut self, peer: &str) -> Result<Sent, SendError> {
        self.client.send(address(peer), b"there", &mut [0; 100], self.now)
    }

    /// Sends until a channel is bound; gives its number.
    fn bound(&mut self, peer: &str) -> u16 {
        for _ in 0..7 {
            self.says(peer).unwrap();
            for request in self.sent() {
                let message = Message::parse(&request).unwrap();
                match message.method() {
                    Method::CREATE_PERMISSION => self.grant(&request, 600),
                    Method::CHANNEL_BIND => {
                        let number = channel_in(&request);
                        self.grant(&request, 600);
                        assert!(self.client.has_channel(address(peer)));
                        self.events();
                        return number;
                    }
                    _ => {}
                }
            }
        }
        panic!("no channel was asked for");
    }

    /// Goes on until then, with data to the peer each ten seconds if there is one; gives what was asked, and when in
    /// seconds from the beginning. All of it is granted.
    fn goes_on(&mut self, seconds: u64, peer: Option<&str>) -> Vec<(u64, Method)> {
        let (start, mut asked) = (self.now, Vec::new());
        for _ in 0..seconds / 10 {
            if let Some(peer) = peer {
                assert!(matches!(self.says(peer), Ok(Sent::Now(_))), "there is no gap");
            }
            for _ in 0..10 {
                self.pass(1);
                for request in self.sent() {
                    let message = Message::parse(&request).unwrap();
                    if message.class() == Class::Request {
                        asked.push(((self.now - start).as_secs(), message.method()));
                        self.grant(&request, 600);
                    }
                }
            }
        }
        asked
    }
}

fn channel_in(request: &[u8]) -> u16 {
    let value = Message::parse(request).unwrap().get(AttributeType::CHANNEL_NUMBER).unwrap();
    u16::from_be_bytes([value[0], value[1]])
}

#[test]
fn what_is_used_is_prolonged_before_it_ends_and_what_is_not_ends() {
    let mut bench = allocated();
    let number = bench.bound(PEER);
    assert!((0x4000..=0x4FFF).contains(&number));
    let asked = bench.goes_on(1300, Some(PEER));
    let times = |method| asked.iter().filter(|asked| asked.1 == method).map(|asked| asked.0).collect::<Vec<_>>();
    // Every permission ends after 300 s and every channel after 600 s, but for a renewal; that of a channel renews the
    // permission too.
    let bound = times(Method::CHANNEL_BIND);
    let renewed: Vec<u64> = [times(Method::CREATE_PERMISSION), bound.clone()].concat();
    assert_eq!(bound.len(), 2, "{bound:?}");
    assert!([0].iter().chain(&bound).zip(&bound).all(|(last, next)| (500..600).contains(&(next - last))), "{bound:?}");
    let mut renewed = renewed;
    renewed.sort_unstable();
    assert!([0].iter().chain(&renewed).zip(&renewed).all(|(last, next)| next - last < 300), "{renewed:?}");
    assert!([0].iter().chain(&renewed).zip(&renewed).all(|(last, next)| next - last >= 30), "{renewed:?}");

    // What was used at the moment when it was granted is prolonged once, and a channel brings its permission.
    let mut bench = allocated();
    bench.bound(PEER);
    let asked = bench.goes_on(1200, None);
    assert!(asked.len() <= 3 && asked.iter().all(|(at, _)| *at < 900), "{asked:?}");
    assert!(!bench.client.has_channel(address(PEER)));
    assert_eq!(bench.says(PEER), Ok(Sent::Later), "nor is there a permission");
}

/// RFC 8656 section 12: for five minutes after a channel has ended, its number and its peer belong together.
#[test]
fn a_channels_number_is_nobody_elses_for_five_minutes_after_its_end() {
    let mut bench = allocated();
    let first = bench.bound(PEER);
    bench.goes_on(1200, None);
    assert!(!bench.client.has_channel(address(PEER)));
    let mut numbers = vec![first];
    for n in 0..40 {
        let other = bench.bound(&format!("198.51.100.9:{}", 1000 + n));
        assert!(!numbers.contains(&other));
        numbers.push(other);
    }
    assert_eq!(bench.bound(PEER), first, "who had it has it again");
    // And of all that there are, none is taken twice.
    let distinct: std::collections::BTreeSet<u16> = numbers.iter().copied().collect();
    assert_eq!(distinct.len(), numbers.len());
}

#[test]
fn data_may_overtake_the_answer_that_allows_it() {
    let mut bench = allocated();
    let peer = address(PEER);
    let data = |bench: &mut Bench| {
        let mut buf = [0; 100];
        let id = crate::stun::TransactionId([1; 12]);
        let mut writer = MessageWriter::new(&mut buf, Class::Indication, Method::DATA, id);
        writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer).attribute(AttributeType::DATA, b"x");
        let len = writer.finish().unwrap();
        bench.client.handle_datagram(address(SERVER), &buf[..len], bench.now).is_some()
    };
    assert!(!data(&mut bench));
    bench.client.permit(peer.ip(), bench.now).unwrap();
    let request = bench.asked();
    assert!(data(&mut bench));
    bench.grant(&request, 600);
    for _ in 0..5 {
        bench.says(PEER).unwrap();
    }
    let request = bench.sent().pop().unwrap();
    let [high, low] = channel_in(&request).to_be_bytes();
    let frame = [high, low, 0, 3, b'y', b'e', b's'];
    let from = address(SERVER);
    let data = bench.client.handle_datagram(from, &frame, bench.now);
    assert_eq!(data, Some(PeerData { peer, data: b"yes" }));
    // Over UDP padding is optional, and what is cut off is dropped.
    let padded = [high, low, 0, 3, b'y', b'e', b's', 0xFF];
    assert_eq!(bench.client.handle_datagram(from, &padded, bench.now), Some(PeerData { peer, data: b"yes" }));
    for len in 0..7 {
        assert_eq!(bench.client.handle_datagram(from, &frame[..len], bench.now), None);
    }
    assert_eq!(bench.client.counters().malformed, 7);
}

#[test]
fn what_the_server_has_forgotten_is_given_back_all_the_same() {
    for code in [437, 403, 500] {
        let mut bench = allocated();
        bench.client.close(bench.now);
        let request = bench.asked();
        assert_eq!(Message::parse(&request).unwrap().get(AttributeType::LIFETIME), Some(&[0; 4][..]));
        bench.refuse(&request, code);
        assert_eq!((bench.events(), bench.client.is_over()), (vec![Event::Closed], true));
    }
}

/// RFC 8656 section 7.3.
#[test]
fn an_allocation_that_is_not_what_was_asked_for_is_given_back() {
    for family in [Family::Ipv4, Family::Ipv6] {
        for wrong in ["[2001:db8::1]:50001", "192.0.2.1:50000", "0.0.0.0:1", "192.0.2.1:0"] {
            let config = Config { family, ..Config::new(address(SERVER), Transport::Udp, alice()) };
            let mut bench = Bench { nonce: "one", algorithms: None, ..Bench::with(config) };
            let request = bench.asked();
            bench.challenge(&request, 401);
            let request = bench.asked();
            let wrong = address(wrong);
            bench.hear(&answer(&request, Class::Success, Some(&bench.key()), |writer| {
                writer
                    .xor_address(AttributeType::XOR_RELAYED_ADDRESS, wrong)
                    .xor_address(AttributeType::XOR_MAPPED_ADDRESS, address("203.0.113.1:9"));
            }));
            let is_usable = wrong.port() != 0 && !wrong.ip().is_unspecified();
            if is_usable && wrong.is_ipv4() == (family == Family::Ipv4) {
                assert!(matches!(bench.events()[..], [Event::Allocated(_)]));
                continue;
            }
            let failure = if is_usable { Failure::Family(wrong) } else { Failure::Malformed };
            assert_eq!(bench.events(), [Event::Failed(failure)]);
            let request = bench.asked();
            let message = Message::parse(&request).unwrap();
            assert_eq!((message.method(), message.get(AttributeType::LIFETIME)), (Method::REFRESH, Some(&[0; 4][..])));
            bench.grant(&request, 0);
            assert_eq!((bench.events(), bench.client.is_over()), (vec![], true));
        }
    }
}

/// Whoever is not permitted gets nothing through, and who was not asked for is not permitted.
#[test]
fn a_permission_is_for_an_address_whatever_its_ports() {
    let mut bench = allocated();
    let peer: IpAddr = "198.51.100.1".parse().unwrap();
    bench.client.permit(peer, bench.now).unwrap();
    let request = bench.asked();
    let message = Message::parse(&request).unwrap();
    assert_eq!(message.attributes().filter(|a| a.kind == AttributeType::XOR_PEER_ADDRESS).count(), 1);
    bench.grant(&request, 600);
    assert_eq!(bench.events(), [Event::Permitted(peer)]);
    for port in [1, 1000, 65_535] {
        let peer = format!("198.51.100.1:{port}");
        assert!(matches!(bench.says(&peer), Ok(Sent::Now(_))), "{port}");
    }
    assert_eq!(bench.says("198.51.100.2:1000"), Ok(Sent::Later));
    assert_eq!(bench.says("[2001:db8::2]:1000"), Err(SendError::Family("2001:db8::2".parse().unwrap())));
}
