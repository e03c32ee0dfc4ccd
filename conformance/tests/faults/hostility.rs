//! Datagrams of somebody who hears what both sides send, can send as anybody, and does not know the passwords.

use std::net::{Ipv4Addr, SocketAddr};

use fastrand::Rng;
use frazil::{Path, Protocol};
use frazil_conformance::faults::Driver;

/// A datagram for `victim`, and the path on which it seems to come. None before there is an address to send to.
pub(crate) fn datagram(rng: &mut Rng, victim: &Driver, other: &Driver) -> Option<(Path, Vec<u8>)> {
    let local = pick(rng, victim.interfaces())?.socket.base;
    let heard = if rng.bool() { victim } else { other };
    let overheard = heard.overheard();
    let some = (!overheard.is_empty()).then(|| &overheard[rng.usize(..overheard.len())]);
    let remote = match (rng.u8(..4), some) {
        (0, _) | (_, None) => SocketAddr::new(Ipv4Addr::new(198, 51, 100, rng.u8(..)).into(), rng.u16(1..)),
        // Of the other side's sockets, or as one of its paths names the other end.
        (1, _) => pick(rng, other.interfaces())?.socket.base,
        (_, Some((path, _))) => path.remote,
    };
    let forged = Path { protocol: Protocol::Udp, local, remote };
    let is_open = |path: &Path| victim.interfaces().iter().any(|interface| interface.socket.base == path.local);
    let (path, mut bytes) = match some {
        Some((path, bytes)) if rng.u8(..4) > 0 => {
            // On the very path where it was heard, if that is one of the victim's.
            let same = is_open(path) && rng.bool();
            (if same { *path } else { forged }, bytes.clone())
        }
        _ => {
            let mut bytes: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
            if let Some(first) = bytes.first_mut().filter(|_| rng.bool()) {
                *first = 0;
            }
            (forged, bytes)
        }
    };
    match rng.u8(..4) {
        0 if !bytes.is_empty() => {
            for _ in 0..rng.usize(1..4) {
                let place = rng.usize(..bytes.len());
                bytes[place] ^= 1 << rng.u8(..8);
            }
        }
        1 => bytes.truncate(rng.usize(..=bytes.len())),
        2 if rng.bool() => bytes.extend((0..rng.usize(..40)).map(|_| rng.u8(..)).collect::<Vec<_>>()),
        _ => {}
    }
    Some((path, bytes))
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> Option<&'a T> {
    (!of.is_empty()).then(|| &of[rng.usize(..of.len())])
}
