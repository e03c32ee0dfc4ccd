//! No panic gets out, whatever is called; and what is closed stays closed.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use frazil_border::{
    ChannelConfig, Config, Description, Error, IceCandidate, Path, Peer, Reason, host_sockets, inject_panic,
};

use crate::{peer, socket};

/// The injected panic hits the next call of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

type Call = fn(&Peer) -> Result<(), Error>;

fn path() -> Path {
    Path {
        protocol: "udp".to_owned(),
        local_ip: "192.0.2.1".to_owned(),
        local_port: 4000,
        remote_ip: "192.0.2.2".to_owned(),
        remote_port: 4000,
    }
}

fn rollback() -> Description {
    Description { r#type: "rollback".to_owned(), sdp: String::new() }
}

/// Every method but `new` and `close`.
const CALLS: &[(&str, Call)] = &[
    ("handle_network_change", |peer| peer.handle_network_change(&[socket("192.0.2.1", 1)], 0)),
    ("end_of_candidates", |peer| peer.end_of_candidates(0)),
    ("set_servers", |peer| peer.set_servers(Vec::new(), 0)),
    ("handle_socket_opened", |peer| peer.handle_socket_opened(0, None, 0, 0)),
    ("handle_resolved", |peer| peer.handle_resolved(0, &[], 0)),
    ("create_offer", |peer| peer.create_offer().map(drop)),
    ("create_answer", |peer| peer.create_answer().map(drop)),
    ("set_local_description", |peer| peer.set_local_description(rollback(), 0)),
    ("set_remote_description", |peer| peer.set_remote_description(rollback(), 0)),
    ("local_description", |peer| peer.local_description().map(drop)),
    ("remote_description", |peer| peer.remote_description().map(drop)),
    ("add_ice_candidate", |peer| peer.add_ice_candidate(IceCandidate::default(), 0)),
    ("restart_ice", Peer::restart_ice),
    ("path_id", |peer| peer.path_id(&path()).map(drop)),
    ("path", |peer| peer.path(0).map(drop)),
    ("handle_datagram", |peer| peer.handle_datagram(0, &[], 0).map(drop)),
    ("handle_datagrams", |peer| peer.handle_datagrams(&[], 0).map(drop)),
    ("handle_each", |peer| peer.handle_each([], 0).map(drop)),
    ("poll_transmit", |peer| peer.poll_transmit(&mut [0; Peer::MIN_BUFFER]).map(drop)),
    ("poll_transmits", |peer| peer.poll_transmits(&mut [0; Peer::BATCH_BUFFER]).map(drop)),
    ("handle_stream_opened", |peer| peer.handle_stream_opened(0, 0)),
    ("handle_stream_accepted", |peer| peer.handle_stream_accepted(&path(), 0).map(drop)),
    ("handle_stream_data", |peer| peer.handle_stream_data(0, &[], 0)),
    ("handle_stream_closed", |peer| peer.handle_stream_closed(0, 0)),
    ("handle_timeout", |peer| peer.handle_timeout(0)),
    ("poll_timeout", |peer| peer.poll_timeout().map(drop)),
    ("poll_event", |peer| peer.poll_event().map(drop)),
    ("waiting", |peer| peer.waiting().map(drop)),
    ("poll_messages", |peer| peer.poll_messages(&mut []).map(drop)),
    ("take_messages", |peer| peer.take_messages(1).map(drop)),
    ("create_data_channel", |peer| peer.create_data_channel(ChannelConfig::default(), 0).map(drop)),
    ("send", |peer| peer.send(0, &[], false, 0).map(drop)),
    ("release", |peer| peer.release(0, 0, 0)),
    ("set_event_backlog", |peer| peer.set_event_backlog(0, 0)),
    ("buffered_amount", |peer| peer.buffered_amount(0).map(drop)),
    ("set_buffered_amount_low_threshold", |peer| peer.set_buffered_amount_low_threshold(0, 0)),
    ("close_channel", |peer| peer.close_channel(0, 0)),
    ("leave", |peer| peer.leave(0)),
    ("signaling_state", |peer| peer.signaling_state().map(drop)),
    ("ice_connection_state", |peer| peer.ice_connection_state().map(drop)),
    ("ice_gathering_state", |peer| peer.ice_gathering_state().map(drop)),
    ("connection_state", |peer| peer.connection_state().map(drop)),
    ("failure", |peer| peer.failure().map(drop)),
    ("selected_pair", |peer| peer.selected_pair().map(drop)),
    ("certificate", |peer| peer.certificate().map(drop)),
    ("poll_message", |peer| peer.poll_message(&mut []).map(drop)),
];

fn reason<T>(result: Result<T, Error>) -> Option<Reason> {
    result.err().map(|error| error.reason)
}

#[test]
fn every_method_is_in_the_table() {
    let source = include_str!("../../src/peer.rs");
    let methods = source.lines().filter_map(|line| line.strip_prefix("    pub fn ")?.split(['(', '<']).next());
    let mut listed: BTreeSet<&str> = CALLS.iter().map(|&(name, _)| name).collect();
    listed.extend(["new", "close"]);
    assert_eq!(methods.collect::<BTreeSet<_>>(), listed);
}

#[test]
fn a_panic_in_any_call_is_an_error_and_breaks_only_that_peer() {
    let _alone = alone();
    let other = peer(1);
    for &(name, call) in CALLS {
        let broken = peer(2);
        inject_panic();
        let error = call(&broken).unwrap_err();
        assert_eq!(error.reason, Reason::Panicked, "{name}");
        assert!(error.message.contains("injected"), "{error}");
        for &(again, call) in CALLS {
            assert_eq!(reason(call(&broken)), Some(Reason::Panicked), "{again} after {name}");
        }
        assert_eq!(broken.close(), Ok(()));
        assert_eq!(reason(call(&broken)), Some(Reason::Panicked), "{name} after all");
        assert_eq!(reason(other.create_offer()), None, "{name}");
    }
    inject_panic();
    assert_eq!(reason(Peer::new(Config::default(), Vec::new(), None, &[0; 32], 0)), Some(Reason::Panicked));
    inject_panic();
    assert_eq!(reason(host_sockets(true, true)), Some(Reason::Panicked));
    inject_panic();
    assert_eq!(reason(Config::default().for_udp_driver()), Some(Reason::Panicked));
    inject_panic();
    assert_eq!(reason(other.close()), Some(Reason::Panicked));
    assert_eq!(reason(other.create_offer()), Some(Reason::Closed));
}

#[test]
fn what_is_closed_refuses_every_call_and_may_be_closed_again() {
    let _alone = alone();
    let closed = peer(3);
    assert_eq!(closed.close(), Ok(()));
    for &(name, call) in CALLS {
        assert_eq!(reason(call(&closed)), Some(Reason::Closed), "{name}");
    }
    assert_eq!(closed.close(), Ok(()));
}

#[test]
fn a_peer_may_be_called_from_any_thread() {
    let _alone = alone();
    let shared = peer(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for now in 0..1_000 {
                    shared.handle_timeout(now).unwrap();
                    assert_eq!(shared.poll_event(), Ok(None));
                }
            });
        }
    });
}
