//! Names that hide our addresses from the other side (draft-ietf-mmusic-mdns-ice-candidates section 3.1).

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::ice::{Candidate, CandidateKind, Foundation};
use crate::rng::{Rng, Seed};
use crate::sdp::CandidateAttribute;

/// How our candidates are told: as they are, or with a name in place of each address of the machine.
#[derive(Debug)]
pub(super) struct Concealment {
    rng: Rng,
    enabled: bool,
    /// One for each address, for as long as the machine has it.
    names: BTreeMap<IpAddr, String>,
    /// A foundation is a hash of addresses, from which they could be guessed. Each is told as its place here.
    foundations: Vec<Foundation>,
}

impl Concealment {
    pub(super) fn new(enabled: bool, seed: Seed) -> Self {
        Self { rng: Rng::new(seed), enabled, names: BTreeMap::new(), foundations: Vec::new() }
    }

    /// Prepares what is needed to tell `candidate`, and gives the name that is to be published for it, if it is
    /// a new one.
    pub(super) fn admit(&mut self, candidate: &Candidate) -> Option<String> {
        if !self.enabled {
            return None;
        }
        if !self.foundations.contains(&candidate.foundation) {
            self.foundations.push(candidate.foundation);
        }
        let address = candidate.address.ip();
        if candidate.kind != CandidateKind::Host || self.names.contains_key(&address) {
            return None;
        }
        let name = uuid_name(&mut self.rng);
        self.names.insert(address, name.clone());
        Some(name)
    }

    /// How an admitted candidate is told. Where addresses are hidden, of one that was not admitted nothing is.
    pub(super) fn tell(&self, candidate: &Candidate) -> Option<CandidateAttribute> {
        let attribute = CandidateAttribute::new(candidate);
        if !self.enabled {
            return Some(attribute);
        }
        let place = self.foundations.iter().position(|known| *known == candidate.foundation)?;
        let foundation = (place + 1).to_string().parse().expect("a number is a foundation");
        let attribute = attribute.with_foundation(foundation);
        Some(match candidate.kind {
            CandidateKind::Host => attribute.with_name(self.names.get(&candidate.address.ip())?),
            // What is behind a reflexive candidate is an address of the machine, and behind a relayed one it may be.
            _ => attribute.without_related_address(),
        })
    }

    /// Keeps the names of these addresses and gives the others, which are to be withdrawn.
    pub(super) fn keep_only(&mut self, addresses: &BTreeSet<IpAddr>) -> Vec<String> {
        let mut withdrawn = Vec::new();
        self.names.retain(|address, name| {
            let kept = addresses.contains(address);
            if !kept {
                withdrawn.push(core::mem::take(name));
            }
            kept
        });
        withdrawn
    }
}

/// A random UUID, version 4 (RFC 9562 section 5.4), as a name of multicast DNS.
fn uuid_name(rng: &mut Rng) -> String {
    let mut bytes: [u8; 16] = rng.array();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut name = String::with_capacity(42);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            name.push('-');
        }
        write!(name, "{byte:02x}").expect("a String takes everything");
    }
    name + ".local"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ice::LocalCandidate;
    use crate::path::Protocol;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use std::net::SocketAddr;

    fn host(address: SocketAddr) -> Candidate {
        LocalCandidate::host(Protocol::Udp, address, 65535).candidate
    }

    proptest! {
        #[test]
        fn a_concealed_candidate_says_nothing_of_the_machines_addresses(
            bits in any::<u128>(), v6 in any::<bool>(), port in 1..u16::MAX, seed in any::<[u8; 32]>(),
        ) {
            let ip: IpAddr = if v6 { std::net::Ipv6Addr::from_bits(bits).into() }
                else { std::net::Ipv4Addr::from_bits(bits as u32).into() };
            let base = SocketAddr::new(ip, port);
            let local = host(base);
            let mut seen = local;
            seen.kind = CandidateKind::ServerReflexive;
            seen.address = "203.0.113.9:4000".parse().unwrap();
            seen.foundation = Foundation::of(seen.kind, ip, Some("203.0.113.1".parse().unwrap()), Protocol::Udp.into());
            seen.related = Some(base);

            let mut concealment = Concealment::new(true, seed);
            prop_assert_eq!(concealment.tell(&local), None, "not before it has a name");
            let name = concealment.admit(&local).unwrap();
            prop_assert_eq!(concealment.admit(&local), None, "one name for each address");
            prop_assert_eq!(concealment.admit(&seen), None, "no name for what a server saw");
            // The texts do not depend on the address: those of another machine are the same.
            let texts = [local, seen].map(|c| concealment.tell(&c).unwrap().to_string());
            let priority = local.priority;
            let host_text = format!("candidate:1 1 udp {priority} {name} {port} typ host");
            prop_assert_eq!(&texts[0], &host_text);
            prop_assert_eq!(
                &texts[1],
                &format!("candidate:2 1 udp {priority} 203.0.113.9 4000 typ srflx raddr 0.0.0.0 rport 9")
            );
            prop_assert_eq!(concealment.keep_only(&BTreeSet::from([ip])), Vec::<String>::new());
            prop_assert_eq!(concealment.keep_only(&BTreeSet::new()), vec![name]);
            prop_assert_eq!(concealment.tell(&local), None);
        }
    }

    #[test]
    fn names_are_version_4_uuids_and_differ() {
        let mut rng = Rng::new([1; 32]);
        let names: BTreeSet<String> = (0..1000).map(|_| uuid_name(&mut rng)).collect();
        assert_eq!(names.len(), 1000);
        for name in names {
            let uuid = name.strip_suffix(".local").unwrap();
            let groups: Vec<&str> = uuid.split('-').collect();
            assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(groups.concat().bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{name}");
            assert!(groups[2].starts_with('4') && groups[3].starts_with(['8', '9', 'a', 'b']), "{name}");
        }
    }

    #[test]
    fn without_concealment_all_is_told() {
        let mut plain = Concealment::new(false, [0; 32]);
        let candidate = host("192.0.2.1:4000".parse().unwrap());
        assert_eq!(plain.admit(&candidate), None);
        assert_eq!(plain.tell(&candidate), Some(CandidateAttribute::new(&candidate)));
        assert!(plain.keep_only(&BTreeSet::new()).is_empty());
    }
}
