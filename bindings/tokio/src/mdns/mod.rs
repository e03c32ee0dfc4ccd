//! Multicast DNS (RFC 6762): [`query`] looks the other side's names up, [`respond`] answers for ours.
//!
//! Both run only while there are names, hear the group over the sockets of [`link`], and read and write what
//! [`message`] knows.

mod link;
mod message;
pub(crate) mod query;
mod respond;
mod zone;

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) use respond::Responder;

const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// No message is longer (section 17).
const MAX_MESSAGE: usize = 9_000;

/// Whether multicast DNS is the way to look `name` up (section 3).
pub(crate) fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() > ".local".len() && name.as_bytes()[name.len() - ".local".len()..].eq_ignore_ascii_case(b".local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_are_told_from_others() {
        for name in ["a.local", "A.LOCAL.", "x.y.Local"] {
            assert!(is_local(name), "{name}");
        }
        for name in ["local", ".local", "a.local.example", "alocal", "é.locál", ""] {
            assert!(!is_local(name), "{name}");
        }
    }
}
