//! The other side that `str0m`'s own ICE agent believes in.
//!
//! `str0m` cannot be run without its agent, and ours does the work. So its agent is a lite one with one
//! candidate, and the one check that it ever sees comes from here: it validates and nominates the pair
//! at once, and from then on everything that `str0m` sends leaves for [`REMOTE`]. Nothing of this is ever
//! on the wire, so addresses and credentials may be the same in every session.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use str0m::crypto::CryptoProvider;
use str0m::ice::{StunMessage, TransId};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, IceCreds};

/// Where `str0m` believes to be. Both addresses are of the kind kept for documentation (RFC 5737).
pub(super) const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1);

/// Where `str0m` believes the other side to be.
pub(super) const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 2);

/// The other side's credentials as in `a=ice-ufrag` and `a=ice-pwd`.
pub(super) const REMOTE_UFRAG: &str = "remote";
pub(super) const REMOTE_PASSWORD: &str = "password-of-the-remote";

const LOCAL_UFRAG: &str = "local";
const LOCAL_PASSWORD: &str = "password-of-the-local";

/// `str0m`'s credentials.
pub(super) fn local_credentials() -> IceCreds {
    IceCreds { ufrag: LOCAL_UFRAG.into(), pass: LOCAL_PASSWORD.into() }
}

/// `str0m`'s only candidate.
pub(super) fn local_candidate() -> Candidate {
    Candidate::host(LOCAL, Protocol::Udp).expect("a plain IPv4 address and UDP make a host candidate")
}

/// Whether a datagram is one of the agent's own. They go nowhere.
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|&first| first < 2)
}

/// The one check that nominates the one pair. Draws a transaction id.
pub(super) fn nominating_check(crypto: &CryptoProvider) -> Vec<u8> {
    let username = format!("{LOCAL_UFRAG}:{REMOTE_UFRAG}");
    // The agent on the other end is a controlled one, so there is no tie to break.
    let check = StunMessage::binding_request(&username, TransId::new(), true, 0, 1, true);
    let mut bytes = vec![0; 256];
    let len = check
        .to_bytes(Some(LOCAL_PASSWORD.as_bytes()), &mut bytes, |key, parts| {
            crypto.sha1_hmac_provider.sha1_hmac(key, parts)
        })
        .expect("a check with these names takes about 100 bytes");
    bytes.truncate(len);
    bytes
}

/// A datagram as if it came over the virtual pair; `None` if `str0m` knows no such thing.
pub(super) fn received(datagram: &[u8]) -> Option<Receive<'_>> {
    Receive::new(Protocol::Udp, REMOTE, LOCAL, datagram).ok()
}
