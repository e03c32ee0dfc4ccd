//! The border as a binding sees it.

mod batches;
mod guard;
mod talk;
mod values;

use frazil_border::{Config, HostSocket, Peer};

/// The seeds of tests need not be unguessable.
fn peer(seed: u8) -> Peer {
    Peer::new(Config::default(), Vec::new(), None, &[seed; 32], 0).unwrap()
}

fn socket(ip: &str, port: u16) -> HostSocket {
    HostSocket {
        protocol: "udp".to_owned(),
        ip: ip.to_owned(),
        port,
        interface: "ethernet".to_owned(),
        index: 2,
        ..HostSocket::default()
    }
}
