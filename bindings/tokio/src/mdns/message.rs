//! What goes over the wire: questions, addresses, and the word that there is no other.

use simple_dns::rdata::{A, AAAA, NSEC, RData};
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How long others may remember an address, in seconds (section 10).
pub(super) const TTL: u32 = 120;

/// As long as one may that is not known to hear us take it back (section 6.7).
const LEGACY_TTL: u32 = 10;

/// A message that is well formed and says that nothing went wrong. The sender is a stranger.
pub(super) fn parse(message: &[u8]) -> Option<Packet<'_>> {
    // The parser makes room for as many records as the header announces: no more than the message can hold.
    let header = message.get(..12)?;
    let announced: usize =
        header[4..].chunks(2).map(|count| usize::from(u16::from_be_bytes([count[0], count[1]]))).sum();
    if announced > message.len() / 5 {
        return None;
    }
    let packet = Packet::parse(message).ok()?;
    (packet.opcode() == OPCODE::StandardQuery && packet.rcode() == RCODE::NoError).then_some(packet)
}

/// As [`parse`], for answers.
pub(super) fn response(message: &[u8]) -> Option<Packet<'_>> {
    parse(message).filter(|packet| packet.has_flags(PacketFlag::RESPONSE))
}

/// Asks for one type of record of a name.
pub(super) fn query(name: &Name<'_>, kind: TYPE) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(0);
    packet.questions.push(Question::new(name.clone(), QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().ok()
}

/// What a response says about a name: its addresses, at most `most`.
pub(super) fn addresses(packet: &Packet<'_>, name: &Name<'_>, most: usize) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in records(packet, name).filter_map(|record| address_in(&record.rdata)) {
        if found.len() < most && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// Whether a response says that a name has no record of this type (section 6.1).
pub(super) fn denies(packet: &Packet<'_>, name: &Name<'_>, kind: TYPE) -> bool {
    records(packet, name).any(|record| matches!(&record.rdata, RData::NSEC(nsec) if !asserts(nsec, kind)))
}

/// The records of `name` that are still good. Names compare without regard to case.
fn records<'p>(packet: &'p Packet<'_>, name: &'p Name<'_>) -> impl Iterator<Item = &'p ResourceRecord<'p>> {
    let all = packet.answers.iter().chain(&packet.additional_records);
    // A lifetime of zero takes the record back (section 10.1).
    all.filter(move |record| record.name == *name && record.class == CLASS::IN && record.ttl != 0)
}

/// The address in a record.
pub(super) fn address_in(rdata: &RData<'_>) -> Option<IpAddr> {
    match rdata {
        RData::A(a) => Some(Ipv4Addr::from(a.address).into()),
        RData::AAAA(aaaa) => Some(Ipv6Addr::from(aaaa.address).into()),
        _ => None,
    }
}

fn asserts(nsec: &NSEC<'_>, kind: TYPE) -> bool {
    let kind = u16::from(kind);
    let [window, bit] = kind.to_be_bytes();
    nsec.type_bit_maps.iter().any(|map| {
        let byte = map.bitmap.get(usize::from(bit / 8)).copied().unwrap_or(0);
        map.window_block == window && byte & (0x80 >> (bit % 8)) != 0
    })
}

/// The type of record that holds an address.
pub(super) fn type_of(address: IpAddr) -> TYPE {
    if address.is_ipv6() { TYPE::AAAA } else { TYPE::A }
}

/// Tells a name's address, and that it has nothing else. Both are answers: whoever asked for the other family
/// need not ask again, and some read nothing but answers.
pub(super) fn answer(name: &Name<'_>, address: IpAddr) -> Option<Vec<u8>> {
    tell(name, address, TTL)
}

/// Takes back what [`answer`] told (section 10.1).
pub(super) fn goodbye(name: &Name<'_>, address: IpAddr) -> Option<Vec<u8>> {
    tell(name, address, 0)
}

fn tell(name: &Name<'_>, address: IpAddr, ttl: u32) -> Option<Vec<u8>> {
    let mut packet = Packet::new_reply(0);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet.answers.extend(both(name, address, ttl).map(|record| record.with_cache_flush(true)));
    packet.build_bytes_vec_compressed().ok()
}

/// The same to one who asks like any client of DNS: with its question and its number, and to be kept for a
/// short time only (section 6.7).
pub(super) fn legacy_answer(id: u16, question: &Question<'_>, address: IpAddr) -> Option<Vec<u8>> {
    let mut packet = Packet::new_reply(id);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    let question = Question { unicast_response: false, ..question.clone() };
    packet.answers.extend(both(&question.qname, address, LEGACY_TTL));
    packet.questions.push(question.clone());
    packet.build_bytes_vec_compressed().ok()
}

fn both<'n>(name: &Name<'n>, address: IpAddr, ttl: u32) -> [ResourceRecord<'n>; 2] {
    let rdata = match address {
        IpAddr::V4(v4) => RData::A(A { address: v4.to_bits() }),
        IpAddr::V6(v6) => RData::AAAA(AAAA { address: v6.to_bits() }),
    };
    let nothing_else = RData::NSEC(NSEC::from_types(name.clone(), &[type_of(address)]));
    [rdata, nothing_else].map(|rdata| ResourceRecord::new(name.clone(), CLASS::IN, ttl, rdata))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An answer as Chromium writes it: one A record with the bit that empties caches, and an NSEC record, with
    /// a compressed name in its data, that denies every other type.
    pub(crate) fn as_chromium_answers(label: &[u8], address: [u8; 4]) -> Vec<u8> {
        let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 1];
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label);
        message.extend(b"\x05local\x00");
        message.extend([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4]);
        message.extend(address);
        message.extend([0xc0, 12, 0, 47, 0x80, 1, 0, 0, 0, 120, 0, 5, 0xc0, 12, 0, 1, 0x40]);
        message
    }

    #[test]
    fn the_answer_of_a_browser_is_understood_whatever_its_case() {
        let label = b"7A5C1E2D-0c9b-4e1f-8a3d-6f2b1c0d9e8f";
        let message = as_chromium_answers(label, [192, 0, 2, 7]);
        let packet = response(&message).expect("an NSEC record with a compressed name is no fault");
        let name = Name::new("7a5c1e2d-0C9B-4e1f-8a3d-6f2b1c0d9e8f.LOCAL").unwrap();
        assert_eq!(addresses(&packet, &name, 8), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert!(denies(&packet, &name, TYPE::AAAA) && !denies(&packet, &name, TYPE::A));
        let other = Name::new("other.local").unwrap();
        assert!(addresses(&packet, &other, 8).is_empty() && !denies(&packet, &other, TYPE::AAAA));
    }

    #[test]
    fn what_is_no_answer_is_passed_over() {
        let good = as_chromium_answers(b"name", [192, 0, 2, 7]);
        let mut query = good.clone();
        query[2] = 0;
        let mut refused = good.clone();
        refused[3] = 5;
        let mut hungry = good.clone();
        hungry[6..12].fill(0xff);
        let mut taken_back = good.clone();
        let ttl = 12 + 12 + 4;
        taken_back[ttl..ttl + 4].fill(0);
        for bad in [&query[..], &refused, &hungry, &good[..20], &[]] {
            assert!(response(bad).is_none(), "{bad:?}");
        }
        let name = Name::new("name.local").unwrap();
        assert!(addresses(&response(&taken_back).unwrap(), &name, 8).is_empty());
        // Any damage to one byte: no panic, and no address that the message does not hold.
        for at in 0..good.len() {
            for value in [0, 1, 0x3f, 0xc0, 0xff] {
                let mut damaged = good.clone();
                damaged[at] = value;
                if let Some(packet) = response(&damaged) {
                    assert!(addresses(&packet, &name, 8).len() <= 2);
                    denies(&packet, &name, TYPE::A);
                }
            }
        }
    }

    #[test]
    fn our_answers_say_what_they_should_byte_for_byte() {
        let name = Name::new("name.local").unwrap();
        let told = answer(&name, "192.0.2.7".parse().unwrap()).unwrap();
        let mut expected = vec![0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0];
        expected.extend(b"\x04name\x05local\x00");
        expected.extend([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, 192, 0, 2, 7]);
        expected.extend([0xc0, 12, 0, 47, 0x80, 1, 0, 0, 0, 120, 0, 15]);
        expected.extend(b"\x04name\x05local\x00");
        expected.extend([0, 1, 0x40]);
        assert_eq!(told, expected);
        let packet = response(&told).unwrap();
        assert!(denies(&packet, &name, TYPE::AAAA) && !denies(&packet, &name, TYPE::A));

        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        let told = answer(&name, v6).unwrap();
        let packet = response(&told).unwrap();
        assert_eq!(addresses(&packet, &name, 8), [v6]);
        assert!(denies(&packet, &name, TYPE::A) && !denies(&packet, &name, TYPE::AAAA));
        assert!(packet.answers.iter().all(|record| record.cache_flush && record.ttl == TTL));

        let taken_back = goodbye(&name, v6).unwrap();
        let packet = response(&taken_back).unwrap();
        assert!(packet.answers.iter().all(|record| record.ttl == 0) && packet.answers.len() == 2);
    }
}
