//! The room model: who is in which room, and who is told what. It knows no sockets and no clock.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::message::{Candidate, Description, Info, LeaveReason, Member, Message, RoomClosedReason, Welcome};
use crate::names::{MemberId, MemberName, RoomName};
use crate::refusal::Refusal;

/// All rooms. After every call that changes something, [`poll_delivery`](Self::poll_delivery) until `None`.
#[derive(Debug)]
pub struct Rooms {
    max_rooms: usize,
    max_members: usize,
    // Members of a room in the order in which they came.
    rooms: BTreeMap<RoomName, Vec<Member>>,
    whereabouts: BTreeMap<MemberId, RoomName>,
    deliveries: VecDeque<Delivery>,
}

/// A message and the members it is for.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// The receivers, in the order in which they joined; never none.
    pub to: Vec<MemberId>,
    /// What they are told.
    pub message: Message,
}

/// What one member hands to another.
#[derive(Clone, PartialEq, Debug)]
pub enum Relayed {
    /// A session description.
    Description(Description),
    /// A candidate.
    Candidate(Candidate),
}

/// A room as its operator sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RoomReport {
    /// Its name.
    pub room: RoomName,
    /// How many members it has.
    pub members: usize,
}

impl Rooms {
    /// No rooms yet, and never more than `max_rooms` with `max_members` each.
    pub fn new(max_rooms: usize, max_members: usize) -> Self {
        Self {
            max_rooms,
            max_members,
            rooms: BTreeMap::new(),
            whereabouts: BTreeMap::new(),
            deliveries: VecDeque::new(),
        }
    }

    /// Puts a member into a room, which is made if need be. `id` must be in no room.
    ///
    /// # Errors
    /// [`Refusal::AlreadyJoined`], [`Refusal::RoomFull`] or [`Refusal::TooManyRooms`].
    pub fn join(&mut self, id: MemberId, room: RoomName, name: MemberName, info: Info) -> Result<Welcome, Refusal> {
        if let Some(room) = self.whereabouts.get(&id) {
            return Err(Refusal::AlreadyJoined { room: room.clone() });
        }
        let present = self.rooms.get(&room).map_or(0, Vec::len);
        if present == 0 && self.rooms.len() >= self.max_rooms {
            return Err(Refusal::TooManyRooms { limit: self.max_rooms });
        }
        if present >= self.max_members {
            return Err(Refusal::RoomFull { room, limit: self.max_members });
        }
        let member = Member { id, name, info };
        let others = self.rooms.entry(room.clone()).or_default();
        let welcome = Welcome { room: room.clone(), member: id, members: others.clone() };
        let to = others.iter().map(|other| other.id).collect();
        others.push(member.clone());
        self.whereabouts.insert(id, room);
        self.deliver(to, Message::PeerJoined { member });
        Ok(welcome)
    }

    /// Takes a member out of its room; a room that is empty then is gone. False if it was in none.
    pub fn leave(&mut self, id: MemberId, reason: LeaveReason) -> bool {
        let Some(room) = self.whereabouts.remove(&id) else { return false };
        if let Some(members) = self.rooms.get_mut(&room) {
            members.retain(|member| member.id != id);
            let to = members.iter().map(|member| member.id).collect::<Vec<_>>();
            if to.is_empty() {
                self.rooms.remove(&room);
            }
            self.deliver(to, Message::PeerLeft { member: id, reason });
        }
        true
    }

    /// Hands something from a member to another one of its room, or to all others.
    ///
    /// # Errors
    /// [`Refusal::NotJoined`] or [`Refusal::NoSuchMember`].
    pub fn relay(&mut self, from: MemberId, to: Option<MemberId>, what: Relayed) -> Result<(), Refusal> {
        let members = self.whereabouts.get(&from).and_then(|room| self.rooms.get(room)).ok_or(Refusal::NotJoined)?;
        let others = members.iter().map(|member| member.id).filter(|id| *id != from);
        let receivers: Vec<MemberId> = match to {
            Some(to) => others.filter(|id| *id == to).collect(),
            None => others.collect(),
        };
        match to {
            Some(to) if receivers.is_empty() => return Err(Refusal::NoSuchMember(to)),
            _ => {}
        }
        let message = match what {
            Relayed::Description(description) => Message::Description { from, description },
            Relayed::Candidate(candidate) => Message::Candidate { from, candidate },
        };
        self.deliver(receivers, message);
        Ok(())
    }

    /// Closes a room: its members are told, and are in no room then. `None` if there is no such room.
    pub fn close(&mut self, room: &RoomName, reason: RoomClosedReason) -> Option<Vec<MemberId>> {
        let members: Vec<MemberId> = self.rooms.remove(room)?.into_iter().map(|member| member.id).collect();
        for id in &members {
            self.whereabouts.remove(id);
        }
        self.deliver(members.clone(), Message::RoomClosed { room: room.clone(), reason });
        Some(members)
    }

    /// The rooms there are, by name.
    pub fn report(&self) -> Vec<RoomReport> {
        self.rooms.iter().map(|(room, members)| RoomReport { room: room.clone(), members: members.len() }).collect()
    }

    /// The next message that is to be delivered, in order.
    pub fn poll_delivery(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    fn deliver(&mut self, to: Vec<MemberId>, message: Message) {
        if !to.is_empty() {
            self.deliveries.push_back(Delivery { to, message });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::message::DescriptionKind;

    fn id(number: u64) -> MemberId {
        MemberId::new(number)
    }

    fn room(name: &str) -> RoomName {
        name.parse().unwrap()
    }

    fn join(rooms: &mut Rooms, number: u64, name: &str) -> Result<Welcome, Refusal> {
        rooms.join(id(number), room(name), MemberName::default(), Info::new())
    }

    fn drain(rooms: &mut Rooms) -> Vec<Delivery> {
        std::iter::from_fn(|| rooms.poll_delivery()).collect()
    }

    fn offer() -> Relayed {
        Relayed::Description(Description { kind: DescriptionKind::Offer, sdp: "v=0".to_owned() })
    }

    #[test]
    fn a_newcomer_is_told_who_is_there_and_they_are_told_of_it() {
        let mut rooms = Rooms::new(8, 8);
        join(&mut rooms, 1, "a").unwrap();
        join(&mut rooms, 2, "a").unwrap();
        drain(&mut rooms);
        let welcome = join(&mut rooms, 3, "a").unwrap();
        assert_eq!(welcome.members.iter().map(|member| member.id).collect::<Vec<_>>(), [id(1), id(2)]);
        let told = drain(&mut rooms);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].to, [id(1), id(2)]);
        assert!(matches!(&told[0].message, Message::PeerJoined { member } if member.id == id(3)));
    }

    #[test]
    fn limits_hold_and_say_what_they_are() {
        let mut rooms = Rooms::new(1, 2);
        join(&mut rooms, 1, "a").unwrap();
        assert_eq!(join(&mut rooms, 1, "a"), Err(Refusal::AlreadyJoined { room: room("a") }));
        assert_eq!(join(&mut rooms, 2, "b"), Err(Refusal::TooManyRooms { limit: 1 }));
        join(&mut rooms, 2, "a").unwrap();
        assert_eq!(join(&mut rooms, 3, "a"), Err(Refusal::RoomFull { room: room("a"), limit: 2 }));
        rooms.leave(id(1), LeaveReason::Left);
        rooms.leave(id(2), LeaveReason::Left);
        join(&mut rooms, 3, "b").unwrap();
    }

    #[test]
    fn a_message_goes_to_the_one_named_or_to_all_others_of_the_room_only() {
        let mut rooms = Rooms::new(8, 8);
        for (member, name) in [(1, "a"), (2, "a"), (3, "a"), (4, "b")] {
            join(&mut rooms, member, name).unwrap();
        }
        drain(&mut rooms);
        rooms.relay(id(1), None, offer()).unwrap();
        rooms.relay(id(1), Some(id(3)), offer()).unwrap();
        assert_eq!(rooms.relay(id(1), Some(id(4)), offer()), Err(Refusal::NoSuchMember(id(4))));
        assert_eq!(rooms.relay(id(1), Some(id(1)), offer()), Err(Refusal::NoSuchMember(id(1))));
        assert_eq!(rooms.relay(id(5), None, offer()), Err(Refusal::NotJoined));
        assert_eq!(drain(&mut rooms).into_iter().map(|d| d.to).collect::<Vec<_>>(), [vec![id(2), id(3)], vec![id(3)]]);
    }

    #[test]
    fn closing_a_room_tells_its_members_and_frees_them() {
        let mut rooms = Rooms::new(8, 8);
        for (member, name) in [(1, "a"), (2, "a"), (3, "b")] {
            join(&mut rooms, member, name).unwrap();
        }
        drain(&mut rooms);
        assert_eq!(rooms.close(&room("a"), RoomClosedReason::Closed), Some(vec![id(1), id(2)]));
        assert_eq!(rooms.close(&room("a"), RoomClosedReason::Closed), None);
        let told = drain(&mut rooms);
        assert_eq!(told[0].to, [id(1), id(2)]);
        assert!(matches!(told[0].message, Message::RoomClosed { reason: RoomClosedReason::Closed, .. }));
        join(&mut rooms, 1, "b").unwrap();
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join(u64, u8),
        Leave(u64),
        Tell(u64, Option<u64>),
        Close(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let member = 0u64..12;
        let step = prop_oneof![
            4 => (member.clone(), 0u8..4).prop_map(|(m, r)| Step::Join(m, r)),
            2 => member.clone().prop_map(Step::Leave),
            3 => (member.clone(), prop::option::of(member)).prop_map(|(m, to)| Step::Tell(m, to)),
            1 => (0u8..4).prop_map(Step::Close),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        // A second model, as dull as can be, walks beside the first: a map from member to room.
        #[test]
        fn every_delivery_stays_within_the_room_and_no_one_hears_from_themselves(steps in steps()) {
            let mut rooms = Rooms::new(3, 4);
            let mut model: BTreeMap<u64, u8> = BTreeMap::new();
            for step in steps {
                let mates = |model: &BTreeMap<u64, u8>, member: u64| -> BTreeSet<MemberId> {
                    let room = model.get(&member);
                    model.iter().filter(|(m, r)| **m != member && Some(*r) == room).map(|(m, _)| id(*m)).collect()
                };
                let expected: BTreeSet<MemberId> = match step {
                    Step::Join(member, r) => {
                        let crowd = model.values().filter(|other| **other == r).count();
                        let open: BTreeSet<u8> = model.values().copied().collect();
                        let fits = !model.contains_key(&member) && crowd < 4 && (crowd > 0 || open.len() < 3);
                        prop_assert_eq!(join(&mut rooms, member, &format!("r{r}")).is_ok(), fits);
                        if fits { model.insert(member, r); mates(&model, member) } else { BTreeSet::new() }
                    }
                    Step::Leave(member) => {
                        let left = mates(&model, member);
                        let was_in = model.contains_key(&member);
                        prop_assert_eq!(rooms.leave(id(member), LeaveReason::Left), was_in);
                        model.remove(&member);
                        if was_in { left } else { BTreeSet::new() }
                    }
                    Step::Tell(member, to) => {
                        let others = if model.contains_key(&member) { mates(&model, member) } else { BTreeSet::new() };
                        let told = rooms.relay(id(member), to.map(id), offer());
                        match to.map(id) {
                            None => { prop_assert_eq!(told.is_ok(), model.contains_key(&member)); others }
                            Some(to) if others.contains(&to) => { prop_assert!(told.is_ok()); BTreeSet::from([to]) }
                            Some(_) => { prop_assert!(told.is_err()); BTreeSet::new() }
                        }
                    }
                    Step::Close(r) => {
                        let inside = model.iter().filter(|(_, room)| **room == r).map(|(m, _)| id(*m)).collect();
                        model.retain(|_, room| *room != r);
                        rooms.close(&room(&format!("r{r}")), RoomClosedReason::Closed);
                        inside
                    }
                };
                let delivered: Vec<MemberId> = drain(&mut rooms).into_iter().flat_map(|d| d.to).collect();
                let distinct: BTreeSet<MemberId> = delivered.iter().copied().collect();
                prop_assert_eq!(delivered.len(), distinct.len());
                prop_assert_eq!(distinct, expected);
                let open: BTreeSet<u8> = model.values().copied().collect();
                prop_assert_eq!(rooms.report().len(), open.len());
                prop_assert_eq!(rooms.report().iter().map(|r| r.members).sum::<usize>(), model.len());
            }
        }
    }
}
