//! Flat values, and what is wrong with those that cannot be.

use frazil_border::{
    ChannelConfig, Config, Description, Error, HostSocket, IceCandidate, IceServer, Path, Peer, Reason, host_sockets,
};

use crate::{peer, socket};

fn refusal<T: core::fmt::Debug>(result: Result<T, Error>) -> (Reason, String) {
    let error = result.unwrap_err();
    (error.reason, error.message)
}

fn with(config: Config, servers: Vec<IceServer>, seed: &[u8]) -> (Reason, String) {
    refusal(Peer::new(config, servers, None, seed, 0))
}

#[test]
fn what_cannot_be_is_refused_with_the_value() {
    use Reason::{InvalidArgument, InvalidCandidate, InvalidDescription, InvalidState};
    let is = |(reason, message): (Reason, String), wanted: Reason, part: &str| {
        assert_eq!(reason, wanted, "{message}");
        assert!(message.contains(part), "{message}");
    };
    let config = Config::default;
    is(with(config(), Vec::new(), &[0; 31]), InvalidArgument, "31 bytes");
    let policy = Config { ice_transport_policy: Some("some".to_owned()), ..config() };
    is(with(policy, Vec::new(), &[0; 32]), InvalidArgument, "\"some\"");
    is(with(Config { mtu: Some(9000), ..config() }, Vec::new(), &[0; 32]), InvalidArgument, "9000");
    let server = |url: &str| vec![IceServer { urls: vec![url.to_owned()], ..IceServer::default() }];
    is(with(config(), server("http:x"), &[0; 32]), InvalidArgument, "http:x");
    is(with(config(), server("turn:x"), &[0; 32]), InvalidArgument, "password");

    let peer = peer(1);
    is(refusal(peer.handle_network_change(&[socket("192.0.2", 1)], 0)), InvalidArgument, "\"192.0.2\"");
    let odd = HostSocket { interface: "token ring".to_owned(), ..socket("192.0.2.1", 1) };
    is(refusal(peer.handle_network_change(&[odd], 0)), InvalidArgument, "token ring");
    is(refusal(peer.handle_resolved(0, &["example.org".to_owned()], 0)), InvalidArgument, "example.org");
    is(refusal(peer.path_id(&Path::default())), InvalidArgument, "protocol");
    is(refusal(peer.poll_transmit(&mut [0; 100])), InvalidArgument, "100");
    is(refusal(peer.poll_transmits(&mut [0; Peer::MIN_BUFFER])), InvalidArgument, "needed");
    is(refusal(peer.handle_datagrams(&[0, 0, 0, 0, 9, 0, 0, 0, 1], 0)), InvalidArgument, "byte 0");

    is(refusal(peer.create_answer()), InvalidState, "stable");
    let description = |kind: &str, sdp: &str| Description { r#type: kind.to_owned(), sdp: sdp.to_owned() };
    is(refusal(peer.set_remote_description(description("proposal", ""), 0)), InvalidArgument, "proposal");
    is(refusal(peer.set_remote_description(description("offer", "v=1"), 0)), InvalidDescription, "");
    is(refusal(peer.add_ice_candidate(IceCandidate::default(), 0)), InvalidState, "");
    let other = crate::peer(2);
    other.create_data_channel(ChannelConfig::default(), 0).unwrap();
    peer.set_remote_description(other.create_offer().unwrap(), 0).unwrap();
    let candidate = IceCandidate { candidate: "candidate:x".to_owned(), ..IceCandidate::default() };
    is(refusal(peer.add_ice_candidate(candidate, 0)), InvalidCandidate, "");
    let both = ChannelConfig { max_retransmits: Some(3), max_packet_life_time: Some(70), ..ChannelConfig::default() };
    is(refusal(peer.create_data_channel(both, 0)), InvalidArgument, "(3)");
    let reserved = ChannelConfig { negotiated: Some(65535), ..ChannelConfig::default() };
    is(refusal(peer.create_data_channel(reserved, 0)), Reason::InvalidChannel, "65535");
    is(refusal(peer.send(7, b"x", false, 0)), Reason::Closed, "7");
    let unopened = peer.create_data_channel(ChannelConfig::default(), 0).unwrap();
    is(refusal(peer.send(unopened, b"x", false, 0)), Reason::NotSent, "not open");
}

#[test]
fn what_a_udp_driver_cannot_do_is_not_asked_of_it() {
    let asked = Config { receive_buffer: Some(5), mtu: Some(600), ..Config::default() };
    let filled = asked.for_udp_driver().unwrap();
    assert_eq!((filled.receive_buffer, filled.mtu, filled.active_tcp), (Some(5), Some(600), Some(false)));
    let filled = Config { active_tcp: Some(false), ..Config::default() }.for_udp_driver().unwrap();
    assert_eq!((filled.receive_buffer, filled.max_message_size), (Some(1 << 20), Some(262_144)));
    assert_eq!(filled.clone().for_udp_driver(), Ok(filled));
    let streams = Config { active_tcp: Some(true), ..Config::default() };
    let names = Config { mdns_candidates: Some(true), ..Config::default() };
    for (asked, what) in [(streams, "active_tcp"), (names, "mdns_candidates")] {
        let (reason, message) = refusal(asked.for_udp_driver());
        assert!(reason == Reason::InvalidArgument && message.starts_with(what), "{message}");
    }
}

#[test]
fn paths_are_numbers_and_come_back() {
    let peer = peer(3);
    let path = Path {
        protocol: "udp".to_owned(),
        local_ip: "fe80::1%eth0".to_owned(),
        local_port: 1,
        remote_ip: "2001:db8::1".to_owned(),
        remote_port: 2,
    };
    let number = peer.path_id(&path).unwrap();
    assert_eq!(peer.path_id(&path), Ok(number));
    assert_eq!(peer.path(number), Ok(Some(Path { local_ip: "fe80::1".to_owned(), ..path })));
    assert_eq!(peer.path(number + 1), Ok(None));
    assert_eq!(peer.handle_datagram(number + 1, b"x", 0), Ok(false));
    assert_eq!(peer.handle_datagram(number, b"x", 0), Ok(true));
}

#[test]
fn the_machine_has_an_address_to_bind() {
    let sockets = host_sockets(true, false).unwrap();
    let loopback: Vec<&HostSocket> = sockets.iter().filter(|socket| socket.interface == "loopback").collect();
    assert!(loopback.iter().any(|socket| socket.ip == "127.0.0.1"), "{sockets:?}");
    assert!(sockets.iter().all(|socket| socket.port == 0 && socket.protocol == "udp"));
    peer(4)
        .handle_network_change(&sockets.into_iter().map(|s| HostSocket { port: 9, ..s }).collect::<Vec<_>>(), 0)
        .unwrap();
}

#[test]
fn passwords_are_not_shown() {
    let server = IceServer { credential: Some("secret".to_owned()), ..IceServer::default() };
    assert!(!format!("{server:?}").contains("secret"));
}

#[test]
fn a_certificate_can_be_kept() {
    let kept = peer(5).certificate().unwrap();
    let again = Peer::new(Config::default(), Vec::new(), Some(kept.clone()), &[6; 32], 0).unwrap();
    assert!(again.certificate().unwrap() == kept);
}
