//! The names that are ours, and what is owed to whom: no sockets, no clock of its own.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, TYPE};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

use super::PORT;
use super::link::{LinkId, Place};
use super::message::{self, TTL};

/// How many names there may be. A peer has fewer addresses.
const MAX_NAMES: usize = 64;

/// How often a new name is told without being asked for, a second apart (section 8.3).
const ANNOUNCEMENTS: u8 = 2;

/// When it is told first: no sooner than if it had been probed for (section 8.1). Browsers ask within this time, and
/// are answered at once. Had the group just been told, it could not be told again for a second.
const BEFORE_FIRST: Duration = Duration::from_millis(750);

/// No record goes to the group more often (section 6).
const REST: Duration = Duration::from_secs(1);

/// Who asks to be answered alone is, if the group heard the answer this short a time ago (section 5.4).
const WELL_KNOWN: Duration = Duration::from_secs(TTL as u64 / 4);

/// How many answers go out in a second that are for one alone. Whoever asks for more may be somebody who gives
/// another one's address as his.
const MAX_UNICASTS: u32 = 100;

/// A message for one neighbour.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Reply {
    pub(super) to: SocketAddr,
    pub(super) message: Vec<u8>,
}

/// The names that are ours. Nobody else has them, so none is probed for.
#[derive(Default)]
pub(super) struct Zone {
    names: Vec<Published>,
    unicasts: Option<(Instant, u32)>,
}

struct Published {
    name: Name<'static>,
    address: IpAddr,
    links: BTreeMap<LinkId, Schedule>,
}

/// When a name is told on one link.
struct Schedule {
    last: Option<Instant>,
    due: Option<Instant>,
    announcements: u8,
}

impl Schedule {
    /// The group is to hear of the name, as soon as may be.
    fn tell(&mut self, now: Instant) {
        let earliest = self.last.map_or(now, |last| now.max(last + REST));
        self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
    }

    fn told(&mut self, now: Instant) {
        self.last = Some(now);
        self.announcements = self.announcements.saturating_sub(1);
        self.due = (self.announcements > 0).then_some(now + REST);
    }
}

impl Zone {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Takes a name; [`Self::review`] then has it announced.
    pub(super) fn publish(&mut self, name: &str, address: IpAddr) {
        if self.names.len() < MAX_NAMES
            && let Ok(name) = Name::new(name)
        {
            self.names.push(Published { name: name.into_owned(), address, links: BTreeMap::new() });
        }
    }

    /// Drops a name, and gives the goodbye with the links on which anybody has heard of it.
    pub(super) fn withdraw(&mut self, name: &str) -> Option<(Vec<LinkId>, Vec<u8>)> {
        let name = Name::new(name).ok()?;
        let place = self.names.iter().position(|published| published.name == name)?;
        let published = self.names.swap_remove(place);
        let told = published.links.iter().filter(|(_, schedule)| schedule.last.is_some());
        Some((told.map(|(id, _)| *id).collect(), message::goodbye(&published.name, published.address)?))
    }

    /// Drops all names, as [`Self::withdraw`] does one.
    pub(super) fn withdraw_all(&mut self) -> Vec<(Vec<LinkId>, Vec<u8>)> {
        let names: Vec<String> = self.names.iter().map(|published| published.name.to_string()).collect();
        names.iter().filter_map(|name| self.withdraw(name)).collect()
    }

    /// Announces each name on the links that its address is on and where it was not announced before.
    pub(super) fn review<'p>(&mut self, places: impl Iterator<Item = &'p Place> + Clone, now: Instant) {
        for Published { address, links, .. } in &mut self.names {
            let here = places.clone().filter(|place| place.has(*address));
            links.retain(|id, _| here.clone().any(|place| place.id == *id));
            for place in here {
                let due = Some(now + BEFORE_FIRST);
                links.entry(place.id).or_insert(Schedule { last: None, due, announcements: ANNOUNCEMENTS });
            }
        }
    }

    /// When [`Self::poll_due`] has something.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.names.iter().flat_map(|published| published.links.values()).filter_map(|schedule| schedule.due).min()
    }

    /// What a group is to be told by now.
    pub(super) fn poll_due(&mut self, now: Instant) -> Option<(LinkId, Vec<u8>)> {
        for Published { name, address, links } in &mut self.names {
            let due = links.iter_mut().find(|(_, schedule)| schedule.due.is_some_and(|due| due <= now));
            if let Some((id, schedule)) = due {
                schedule.told(now);
                return message::answer(name, *address).map(|message| (*id, message));
            }
        }
        None
    }

    /// Takes a message that `from` sent to the group on a link, and gives what is for the sender alone. What is
    /// for all becomes due.
    pub(super) fn answer(&mut self, message: &[u8], from: SocketAddr, place: &Place, now: Instant) -> Vec<Reply> {
        let Some(query) = message::parse(message).filter(|packet| !packet.has_flags(PacketFlag::RESPONSE)) else {
            return Vec::new();
        };
        let alone = from.port() != 0 && place.reaches(from.ip());
        let mut replies = Vec::new();
        for published in &mut self.names {
            let Some(question) = query.questions.iter().find(|question| published.is_asked(question)) else { continue };
            if published.is_known(&query) {
                continue;
            }
            // Not on this link.
            let Some(schedule) = published.links.get_mut(&place.id) else { continue };
            let reply = if from.port() != PORT {
                message::legacy_answer(query.id(), question, published.address)
            } else if question.unicast_response && schedule.last.is_some_and(|last| now < last + WELL_KNOWN) {
                message::answer(&published.name, published.address)
            } else {
                schedule.tell(now);
                None
            };
            replies.extend(reply.filter(|_| alone).map(|message| Reply { to: from, message }));
        }
        replies.truncate(self.allowance(now, replies.len()));
        replies
    }

    /// How many of `wanted` messages may go out now.
    fn allowance(&mut self, now: Instant, wanted: usize) -> usize {
        let (since, sent) = self.unicasts.filter(|(since, _)| now < *since + REST).unwrap_or((now, 0));
        let allowed = u32::try_from(wanted).unwrap_or(u32::MAX).min(MAX_UNICASTS - sent);
        self.unicasts = Some((since, sent + allowed));
        allowed as usize
    }
}

impl Published {
    /// Whether the question is about this name and one that we have an answer to: for another type it is that
    /// there is no such record.
    fn is_asked(&self, question: &Question<'_>) -> bool {
        question.qname == self.name
            && matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY)
            && matches!(question.qtype, QTYPE::TYPE(_) | QTYPE::ANY)
    }

    /// Whether who asks has the whole answer still, and will have it for a while (section 7.1).
    fn is_known(&self, query: &Packet<'_>) -> bool {
        let knows = |wanted: &dyn Fn(&RData<'_>) -> bool| {
            let mut fresh = query.answers.iter().filter(|record| record.ttl >= TTL / 2 && record.name == self.name);
            fresh.any(|record| wanted(&record.rdata))
        };
        let own = message::type_of(self.address);
        let asks = |kind: &dyn Fn(TYPE) -> bool| {
            let questions = query.questions.iter().filter(|question| self.is_asked(question));
            questions.into_iter().any(|question| match question.qtype {
                QTYPE::TYPE(asked) => kind(asked),
                _ => kind(own),
            })
        };
        let address_known = knows(&|rdata| message::address_in(rdata) == Some(self.address));
        let denial_known = knows(&|rdata| matches!(rdata, RData::NSEC(_)));
        (address_known || !asks(&|kind| kind == own)) && (denial_known || !asks(&|kind| kind != own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frazil::ice::InterfaceKind;
    use frazil_interfaces::Interface;

    fn interface(index: u32, address: &str, prefix_len: u8) -> Interface {
        Interface::new(&format!("eth{index}"), InterfaceKind::Ethernet, index, address.parse().unwrap(), prefix_len)
    }

    fn places() -> Vec<Place> {
        Place::all_of(&[
            interface(2, "192.0.2.1", 24),
            interface(2, "2001:db8::1", 64),
            interface(3, "198.51.100.1", 24),
        ])
    }

    struct World {
        zone: Zone,
        places: Vec<Place>,
        now: Instant,
    }

    const NAME: &str = "0b5f2a5e-3f0e-4c1e-9f6c-2d0c7a7d9b11.local";
    const NEIGHBOUR: &str = "192.0.2.9:5353";

    impl World {
        fn new() -> Self {
            let mut world = Self { zone: Zone::default(), places: places(), now: Instant::now() };
            world.zone.publish(NAME, "192.0.2.1".parse().unwrap());
            world.zone.review(world.places.iter(), world.now);
            world
        }

        /// After the announcements, and after the group had its rest.
        fn settled() -> Self {
            let mut world = Self::new();
            for _ in 0..5 {
                world.tell();
                world.now += REST;
            }
            world
        }

        fn tell(&mut self) -> Vec<(LinkId, Vec<u8>)> {
            std::iter::from_fn(|| self.zone.poll_due(self.now)).collect()
        }

        fn ask(&mut self, query: &[u8], from: &str, link: usize) -> Vec<Reply> {
            self.zone.answer(query, from.parse().unwrap(), &self.places[link], self.now)
        }
    }

    /// A question written by hand: header, the name's labels, type and class.
    fn question(name: &str, kind: u16, class: u16) -> Vec<u8> {
        let mut message = vec![0, 77, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend(label.as_bytes());
        }
        message.push(0);
        message.extend(kind.to_be_bytes());
        message.extend(class.to_be_bytes());
        message
    }

    const ON_V4: LinkId = LinkId { index: 2, v6: false };
    const ON_V6: LinkId = LinkId { index: 2, v6: true };

    #[test]
    fn a_name_is_announced_twice_on_the_links_of_its_interface() {
        let mut world = World::new();
        let links = |told: Vec<(LinkId, Vec<u8>)>| told.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(links(world.tell()), []);
        world.now += BEFORE_FIRST;
        assert_eq!(links(world.tell()), [ON_V4, ON_V6]);
        assert_eq!(links(world.tell()), []);
        world.now += REST;
        assert_eq!(world.zone.next_due(), Some(world.now));
        assert_eq!(links(world.tell()), [ON_V4, ON_V6]);
        assert_eq!(world.zone.next_due(), None);
        // The address comes back on another link.
        world.places[2] = Place { id: world.places[2].id, addresses: vec![interface(3, "192.0.2.1", 24)] };
        world.places[..2].iter_mut().for_each(|place| place.addresses.clear());
        world.zone.review(world.places.iter(), world.now);
        world.now += BEFORE_FIRST;
        assert_eq!(links(world.tell()), [LinkId { index: 3, v6: false }]);
        let (said_to, _) = world.zone.withdraw(NAME).unwrap();
        assert_eq!(said_to, [LinkId { index: 3, v6: false }]);
        assert!(world.zone.is_empty() && world.zone.withdraw(NAME).is_none());
    }

    #[test]
    fn who_asks_before_a_name_is_announced_does_not_wait() {
        let mut world = World::new();
        assert_eq!(world.ask(&question(NAME, 1, 1), NEIGHBOUR, 0), []);
        assert_eq!(world.tell().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ON_V4]);
        // The answer was the first announcement there.
        world.now += BEFORE_FIRST;
        assert_eq!(world.tell().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ON_V6]);
        let unheard = world.zone.withdraw(NAME).unwrap();
        assert_eq!(unheard.0, [ON_V4, ON_V6]);
        let mut world = World::new();
        assert_eq!(world.zone.withdraw(NAME).unwrap().0, [], "nobody has heard of it");
    }

    #[test]
    fn questions_for_either_family_are_answered_to_the_group_once_a_second() {
        let mut world = World::settled();
        for kind in [1, 28, 255, 16] {
            for name in [NAME.to_owned(), NAME.to_uppercase()] {
                assert_eq!(world.ask(&question(&name, kind, 1), NEIGHBOUR, 0), []);
                let told = world.tell();
                assert_eq!(told.len(), 1, "{kind}");
                assert_eq!(told[0].0, ON_V4);
                // Again at once: it waits for its time.
                assert_eq!(world.ask(&question(&name, kind, 1), NEIGHBOUR, 0), []);
                assert_eq!(world.tell(), []);
                world.now += REST;
                assert_eq!(world.tell().len(), 1);
                world.now += REST;
            }
        }
        for (query, link) in [
            (question("other.local", 1, 1), 0),
            (question(NAME, 1, 3), 0),
            // Not the link that the address is on.
            (question(NAME, 1, 1), 2),
        ] {
            assert_eq!(world.ask(&query, NEIGHBOUR, link), []);
            assert_eq!(world.tell(), []);
        }
    }

    #[test]
    fn who_asks_for_an_answer_alone_gets_it_if_the_group_knows() {
        const UNICAST: u16 = 0x8001;
        let mut world = World::settled();
        let [reply] = &world.ask(&question(NAME, 1, UNICAST), NEIGHBOUR, 0)[..] else { panic!() };
        assert_eq!(reply.to, NEIGHBOUR.parse().unwrap());
        assert_eq!(world.tell(), []);
        world.now += WELL_KNOWN;
        assert_eq!(world.ask(&question(NAME, 1, UNICAST), NEIGHBOUR, 0), []);
        assert_eq!(world.tell().len(), 1, "the group has not heard of it for long");
    }

    #[test]
    fn a_plain_client_gets_its_question_back_and_a_short_lifetime() {
        let mut world = World::settled();
        let [reply] = &world.ask(&question(NAME, 28, 1), "192.0.2.9:40000", 0)[..] else { panic!() };
        assert_eq!(world.tell(), []);
        assert_eq!(reply.to, "192.0.2.9:40000".parse().unwrap());
        let packet = message::response(&reply.message).unwrap();
        assert_eq!((packet.id(), packet.questions.len()), (77, 1));
        assert!(packet.answers.iter().all(|record| record.ttl == 10 && !record.cache_flush));
        let name = Name::new(NAME).unwrap();
        assert!(message::denies(&packet, &name, TYPE::AAAA), "it asked for what there is not");
        // A stranger's address is not written to, nor one without a port.
        for from in ["203.0.113.9:40000", "192.0.2.9:0"] {
            assert_eq!(world.ask(&question(NAME, 1, 1), from, 0), []);
        }
        // Nor is anybody flooded.
        let flood = (0..10 * MAX_UNICASTS).map(|_| world.ask(&question(NAME, 1, 1), "192.0.2.9:40000", 0).len());
        assert_eq!(flood.sum::<usize>(), MAX_UNICASTS as usize - 1);
        world.now += REST;
        assert_eq!(world.ask(&question(NAME, 1, 1), "192.0.2.9:40000", 0).len(), 1);
    }

    #[test]
    fn what_is_known_is_not_told_again() {
        let mut world = World::settled();
        let mut query = question(NAME, 1, 1);
        // One known answer, its name a pointer to that of the question: an A record with half its life left.
        query[7] = 1;
        query.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        let ttl = query.len() - 7;
        assert_eq!((world.ask(&query, NEIGHBOUR, 0), world.tell()), (vec![], vec![]));
        query[ttl] = 59;
        assert_eq!((world.ask(&query, NEIGHBOUR, 0), world.tell().len()), (vec![], 1));
        world.now += REST;
        query[ttl] = 60;
        let address = query.len() - 1;
        query[address] = 2;
        assert_eq!((world.ask(&query, NEIGHBOUR, 0), world.tell().len()), (vec![], 1), "that is not the address");
    }

    #[test]
    fn hostile_messages_do_no_harm() {
        let mut world = World::settled();
        let good = question(NAME, 1, 1);
        // Our own answers come back to us, as responses.
        let own = message::answer(&Name::new(NAME).unwrap(), "192.0.2.1".parse().unwrap()).unwrap();
        let mut other_operation = good.clone();
        other_operation[2] = 0x28;
        let mut hungry = good.clone();
        hungry[4..12].fill(0xff);
        // A name that points to itself.
        let loops = [&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1][..]].concat();
        for bad in [&own, &other_operation, &hungry, &loops, &good[..20].to_vec(), &Vec::new()] {
            assert_eq!((world.ask(bad, NEIGHBOUR, 0), world.tell()), (vec![], vec![]), "{bad:?}");
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x3f, 0xc0, 0xff] {
                let mut damaged = good.clone();
                damaged[at] = value;
                assert!(world.ask(&damaged, "192.0.2.9:40000", 0).len() <= 1);
            }
        }
        for n in 0..1_000 {
            world.zone.publish(&format!("{n}.local"), "192.0.2.1".parse().unwrap());
        }
        assert_eq!(world.zone.names.len(), MAX_NAMES);
    }
}
