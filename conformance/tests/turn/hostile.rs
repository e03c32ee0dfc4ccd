//! A server, or somebody on the way, that means no good.

use std::cell::Cell;

use frazil::turn::{Client, Config, Transport};
use frazil::{Instant, Seed};
use frazil_conformance::seeds;

use crate::site::*;

/// The driver of [`Site`] holds that nothing is sent anywhere else and that timers lead forward.
#[test]
fn answers_that_were_changed_on_the_way_do_no_harm() {
    let survived = Cell::new(0);
    seeds::check("turn", "answers_that_were_changed_on_the_way_do_no_harm", 300, |seed| {
        let transport = if seed % 4 == 0 { Transport::Tcp } else { Transport::Udp };
        let mut plan = Plan::new(SERVER, transport);
        plan.seed = seed;
        // A changed error code can be 300, and a redirection is followed.
        plan.config.max_redirects = 0;
        let mut site = plan.build();
        site.with(|driven, _| driven.tamper = Some(fastrand::Rng::with_seed(seed)));
        for n in 0..100_u32 {
            site.pass(seconds(9));
            let peer = address(if n % 3 == 0 { PEER } else { STRANGER });
            let sent = site.with(|driven, now| driven.send(peer, &n.to_be_bytes(), now));
            survived.set(survived.get() + usize::from(sent.is_ok()));
        }
        site.with(|driven, now| driven.client.close(now));
        site.pass(seconds(60));
        assert!(site.client().is_over(), "seed {seed}");
        assert_eq!(site.client().poll_timeout(), None);
    });
    assert!(survived.get() > 1000, "{survived:?}: tampering is to leave something to test");
}

/// Bytes that no server has sent, on every entrance, in every state that can be reached without one.
#[test]
fn random_bytes_do_no_harm() {
    const SEED: Seed = [3; 32];
    let server = address(SERVER);
    seeds::check("turn", "random_bytes_do_no_harm", 200, |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let transport = [Transport::Udp, Transport::Tcp][rng.usize(..2)];
        let mut now = Instant::ZERO;
        let mut client = Client::new(Config::new(server, transport, credentials("secret")), SEED, now).unwrap();
        let mut buf = vec![0; Client::MIN_BUFFER];
        for _ in 0..200 {
            now += std::time::Duration::from_millis(rng.u64(..500));
            let mut bytes = vec![0; rng.usize(..80)];
            rng.fill(&mut bytes);
            if rng.bool() && bytes.len() >= 20 {
                bytes[0] &= 1;
                let len = (bytes.len() - 20) as u16 & !3;
                bytes.truncate(20 + usize::from(len));
                bytes[2..4].copy_from_slice(&len.to_be_bytes());
                bytes[4..8].copy_from_slice(&frazil::stun::MAGIC_COOKIE.to_be_bytes());
            }
            match rng.u8(..8) {
                0 => client.handle_timeout(now),
                1 => client.handle_stream_opened(now),
                2 if rng.u8(..20) == 0 => client.handle_stream_closed(now),
                3 => assert_eq!(client.handle_datagram(address(STRANGER), &bytes, now), None),
                4..6 => assert_eq!(client.handle_datagram(server, &bytes, now), None),
                _ => client.handle_stream_data(&bytes, now, |data| panic!("{data:?}")),
            }
            while let Some(transmit) = client.poll_transmit(&mut buf) {
                assert_eq!(transmit.to, server);
            }
            while client.poll_event().is_some() {}
        }
    });
}
