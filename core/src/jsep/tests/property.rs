//! Two sides, everything that can happen between them, in any order.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::sdp::{Attribute, MediaSection};

/// What happens next. `bool` is whose turn it is: the impolite side's or the polite one's.
#[derive(Clone, Debug)]
enum Step {
    WantData(bool),
    Restart(bool),
    Gather(bool),
    EndGathering(bool),
    Offer(bool),
    CreateOnly(bool),
    Answer(bool),
    AnswerForNow(bool),
    TakeBack(bool),
    /// The next message to this side arrives.
    Deliver(bool),
    /// The middlebox puts a section into the next offer to the polite side.
    InsertSection,
    /// The middlebox makes the data section of the next offer to the polite side one that nobody knows.
    Estrange,
    /// Something that does not belong here is handed in.
    Disturb(bool, usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let side = any::<bool>;
    prop_oneof![
        3 => side().prop_map(Step::WantData),
        2 => side().prop_map(Step::Restart),
        2 => side().prop_map(Step::Gather),
        1 => side().prop_map(Step::EndGathering),
        6 => side().prop_map(Step::Offer),
        2 => side().prop_map(Step::CreateOnly),
        6 => side().prop_map(Step::Answer),
        1 => side().prop_map(Step::AnswerForNow),
        1 => side().prop_map(Step::TakeBack),
        12 => side().prop_map(Step::Deliver),
        1 => Just(Step::InsertSection),
        1 => Just(Step::Estrange),
        4 => (side(), any::<usize>(), any::<u8>()).prop_map(|(side, which, how)| Step::Disturb(side, which, how)),
    ]
}

#[derive(Clone, Debug)]
enum Message {
    Description(Description),
    Candidate(TrickledCandidate),
}

struct World {
    /// The impolite and the polite one.
    sides: [Side; 2],
    inbox: [VecDeque<Message>; 2],
    middlebox: Middlebox,
    /// All descriptions there have been.
    history: Vec<Description>,
    /// The last description that each side has written.
    written: [Option<SessionDescription>; 2],
}

/// Changes what passes between the sides, so that the polite one has sections the other knows nothing of.
#[derive(Default)]
struct Middlebox {
    insert: usize,
    estrange: bool,
    inserted: usize,
}

const STRANGE: &str = "UDP/STRANGE";

fn is_inserted(section: &MediaSection) -> bool {
    section.mid().is_some_and(|mid| mid.starts_with('x'))
}

impl Middlebox {
    /// `seen` has the sections that the polite side knows: those of an offer of its own that is to be
    /// answered, or else the current ones.
    fn pass_to_polite(&mut self, description: &Description, seen: &[MediaSection]) -> Description {
        let mut sdp = parse(description);
        if self.estrange && description.kind == Offer {
            self.estrange = false;
            for section in &mut sdp.media {
                section.protocol = STRANGE.to_owned();
            }
        }
        let mut own = std::mem::take(&mut sdp.media).into_iter();
        for section in seen {
            if is_inserted(section) {
                sdp.media.push(MediaSection { port: 0, ..section.clone() });
            } else if let Some(mut next) = own.next() {
                if description.kind != Offer {
                    next.protocol.clone_from(&section.protocol);
                }
                sdp.media.push(next);
            }
        }
        if description.kind == Offer {
            for _ in 0..std::mem::take(&mut self.insert) {
                self.inserted += 1;
                sdp.media.push(MediaSection {
                    kind: "audio".to_owned(),
                    port: 9,
                    port_count: None,
                    protocol: "UDP/TLS/RTP/SAVPF".to_owned(),
                    formats: vec!["111".to_owned()],
                    lines: Vec::new(),
                    attributes: vec![Attribute::Mid(format!("x{}", self.inserted))],
                });
            }
        }
        sdp.media.extend(own);
        Description { kind: description.kind, sdp: sdp.to_string() }
    }

    /// `offered` has the sections of the impolite side's offer, if one is to be answered.
    fn pass_to_impolite(&self, description: &Description, offered: Option<&[MediaSection]>) -> Description {
        let mut sdp = parse(description);
        sdp.media.retain(|section| !is_inserted(section));
        for (section, offered) in sdp.media.iter_mut().zip(offered.unwrap_or_default()) {
            section.protocol.clone_from(&offered.protocol);
        }
        Description { kind: description.kind, sdp: sdp.to_string() }
    }
}

impl World {
    fn new() -> Self {
        Self {
            sides: [Side::new("a"), Side::new("b")],
            inbox: Default::default(),
            middlebox: Middlebox::default(),
            history: Vec::new(),
            written: [None, None],
        }
    }

    fn state(&self, i: usize) -> SignalingState {
        self.sides[i].negotiation.signaling_state()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::WantData(i) => self.sides[usize::from(i)].negotiation.want_data(),
            Step::Restart(i) => self.sides[usize::from(i)].restart(),
            Step::Gather(i) => {
                let side = &mut self.sides[usize::from(i)];
                if !side.complete {
                    side.gather();
                }
            }
            Step::EndGathering(i) => self.sides[usize::from(i)].complete = true,
            Step::Offer(i) => self.offer(usize::from(i)),
            Step::CreateOnly(i) => {
                let kind = if self.state(usize::from(i)) == SignalingState::Stable { Offer } else { Answer };
                drop(self.create(usize::from(i), kind));
            }
            Step::Answer(i) => self.answer(usize::from(i), Answer),
            Step::AnswerForNow(i) => self.answer(usize::from(i), ProvisionalAnswer),
            Step::TakeBack(i) => self.take_back(usize::from(i)),
            Step::Deliver(i) => self.deliver(usize::from(i)),
            Step::InsertSection => self.middlebox.insert += 1,
            Step::Estrange => self.middlebox.estrange = true,
            Step::Disturb(i, which, how) => self.disturb(usize::from(i), which, how),
        }
        for i in [0, 1] {
            self.announce(i);
        }
    }

    /// Creates and checks what holds for everything that is created.
    fn create(&mut self, i: usize, kind: DescriptionKind) -> Option<Description> {
        let before = self.sides[i].negotiation.clone();
        let description = match self.sides[i].create(kind) {
            Ok(description) => description,
            Err(error) => {
                assert!(matches!(error, Error::WrongState { .. }), "{error}");
                assert_eq!(self.sides[i].negotiation, before);
                return None;
            }
        };
        let new = parse(&description);
        assert_eq!(new.to_string(), description.sdp);
        let version = new.origin().version();
        match &self.written[i] {
            None => assert_eq!(version, 0),
            Some(old) if old.origin().version() == version => assert_eq!(*old, new),
            Some(old) => {
                assert_eq!(version, old.origin().version() + 1);
                let mut same = new.clone();
                same.origin.version = old.origin().version();
                assert_ne!(*old, same);
            }
        }
        if let Some(current) = &before.current_local_description(&self.ice(i)) {
            let current = parse(current);
            assert!(current.media().len() <= new.media().len(), "sections never go away");
        }
        self.written[i] = Some(new);
        self.history.push(description.clone());
        Some(description)
    }

    fn ice(&self, i: usize) -> LocalIce<'_> {
        let side = &self.sides[i];
        LocalIce { credentials: &side.credentials, candidates: &side.candidates, complete: side.complete }
    }

    fn offer(&mut self, i: usize) {
        if self.state(i) == SignalingState::Stable
            && let Some(offer) = self.create(i, Offer)
        {
            let _ = self.sides[i].set_local(&offer);
            self.inbox[1 - i].push_back(Message::Description(offer));
        }
    }

    fn answer(&mut self, i: usize, kind: DescriptionKind) {
        if let Some(answer) = self.create(i, kind) {
            let _ = self.sides[i].set_local(&answer);
            self.inbox[1 - i].push_back(Message::Description(answer));
        }
    }

    /// Takes an offer back on both sides at once, as a signalling protocol has to see to, while nothing comes
    /// from the other side that knows of the offer.
    fn take_back(&mut self, i: usize) {
        if self.state(i) != SignalingState::HaveLocalOffer || !self.inbox[i].is_empty() {
            return;
        }
        let rollback = description(Rollback, "");
        let arrived = self.inbox[1 - i].is_empty() && self.state(1 - i) == SignalingState::HaveRemoteOffer;
        let is_offer = |m: &Message| matches!(m, Message::Description(d) if d.kind == Offer);
        if arrived {
            assert!(self.sides[1 - i].set_remote(&rollback).rolled_back);
        } else if let Some(at) = self.inbox[1 - i].iter().rposition(is_offer) {
            self.inbox[1 - i].remove(at);
        } else {
            return;
        }
        assert!(self.sides[i].set_local(&rollback).rolled_back);
    }

    fn announce(&mut self, i: usize) {
        let news = self.sides[i].announce();
        // The numbers of sections differ between the two sides of the middlebox; the names do not.
        let news = news.into_iter().map(|n| Message::Candidate(TrickledCandidate { m_line_index: None, ..n }));
        self.inbox[1 - i].extend(news);
    }

    /// W3C's "perfect negotiation".
    fn deliver(&mut self, i: usize) {
        match self.inbox[i].pop_front() {
            None => {}
            Some(Message::Candidate(candidate)) => {
                let before = self.sides[i].negotiation.clone();
                if let Err(error) = self.sides[i].take(&candidate) {
                    // Of an offer that was ignored or taken back, or of a section that ended.
                    let known =
                        matches!(error, Error::NoRemoteDescription | Error::UnknownUfrag(_) | Error::UnknownMid(_));
                    assert!(known, "{error}");
                    assert_eq!(self.sides[i].negotiation, before);
                }
            }
            Some(Message::Description(description)) => {
                let polite = i == 1;
                if description.kind == Offer && !polite && self.state(i) != SignalingState::Stable {
                    return;
                }
                let description = self.pass(i, &description);
                self.history.push(description.clone());
                let _ = self.sides[i].set_remote(&description);
            }
        }
    }

    /// `description`, on its way to side `i`, as the middlebox lets it through.
    fn pass(&mut self, i: usize, description: &Description) -> Description {
        let ice = self.ice(i);
        let negotiation = &self.sides[i].negotiation;
        let pending = negotiation.pending_local_description(&ice).filter(|_| description.kind != Offer);
        if i == 0 {
            let offered = pending.map(|d| parse(&d).media);
            return self.middlebox.pass_to_impolite(description, offered.as_deref());
        }
        let seen = pending.or_else(|| negotiation.current_local_description(&ice)).map(|d| parse(&d).media);
        self.middlebox.pass_to_polite(description, seen.as_deref().unwrap_or_default())
    }

    /// Hands in an old description as it is or damaged. Whatever comes of it, nothing panics, and a refusal
    /// changes nothing.
    fn disturb(&mut self, i: usize, which: usize, how: u8) {
        if self.history.is_empty() {
            return;
        }
        let mut description = self.history[which % self.history.len()].clone();
        description.kind = [Offer, ProvisionalAnswer, Answer, Rollback][usize::from(how % 4)];
        let mut lines: Vec<&str> = description.sdp.lines().collect();
        let at = which % lines.len();
        match how / 4 % 4 {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[(which / 7) % lines.len()]),
            2 => lines[at] = "a=ice-pwd:short",
            _ => {}
        }
        description.sdp = lines.join("\r\n");
        let before = &self.sides[i].negotiation;
        let (mut local, mut remote) = (before.clone(), before.clone());
        if let Err(error) = local.set_local(&description) {
            assert_eq!(&local, before, "{error}");
        }
        if let Err(error) = remote.set_remote(&description) {
            assert_eq!(&remote, before, "{error}");
        }
    }

    /// Lets both sides finish what they have begun and what they still want.
    fn settle(&mut self) {
        for _ in 0..100 {
            for i in [0, 1] {
                self.announce(i);
                while !self.inbox[i].is_empty() {
                    self.deliver(i);
                }
                match self.state(i) {
                    SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer => self.answer(i, Answer),
                    SignalingState::Stable if self.sides[i].negotiation.negotiation_needed() => self.offer(i),
                    // The other side has ignored our offer and taken its own back.
                    SignalingState::HaveLocalOffer if self.is_quiet() => {
                        let _ = self.sides[i].set_local(&description(Rollback, ""));
                    }
                    _ => {}
                }
            }
            let stable = [0, 1]
                .map(|i| &self.sides[i].negotiation)
                .iter()
                .all(|n| n.signaling_state() == SignalingState::Stable && !n.negotiation_needed());
            if stable && self.is_quiet() {
                return;
            }
        }
        panic!("no end: {:?} {:?}", self.state(0), self.state(1));
    }

    /// Nothing is under way, and nobody has an offer to answer.
    fn is_quiet(&self) -> bool {
        let answering = [SignalingState::HaveRemoteOffer, SignalingState::HaveLocalPranswer];
        self.inbox.iter().all(VecDeque::is_empty) && [0, 1].iter().all(|&i| !answering.contains(&self.state(i)))
    }

    fn check_agreement(&self) {
        let [a, b] = &self.sides;
        assert_eq!(a.started.is_some(), b.started.is_some());
        assert_eq!(a.transport.is_some(), b.transport.is_some());
        let (Some(ice_a), Some(ice_b)) = (&a.started, &b.started) else { return };
        let (Some(transport_a), Some(transport_b)) = (&a.transport, &b.transport) else { panic!("ICE for nothing") };
        assert_eq!((&ice_a.local, &ice_a.remote), (&ice_b.remote, &ice_b.local));
        assert_ne!(ice_a.controlling, ice_b.controlling);
        assert_ne!(transport_a.role, transport_b.role);
        for (side, transport) in [(a, transport_b), (b, transport_a)] {
            assert_eq!(transport.fingerprints, [Fingerprint::sha256([side.name.as_bytes()[0]; 32])]);
        }
        for (side, other) in [(a, b), (b, a)] {
            // As a trickled one comes, but for the credentials that it names.
            let plain = |c: &CandidateAttribute| CandidateAttribute::new(&c.to_candidate(None).unwrap());
            let mut told: Vec<_> = side.received.iter().map(plain).collect();
            told.sort_by_key(CandidateAttribute::port);
            assert_eq!((&told, side.received_all), (&other.candidates, other.complete), "{} was told", side.name);
        }
        let mids = [0, 1].map(|i| {
            let sdp = parse(&self.sides[i].negotiation.local_description(&self.ice(i)).unwrap());
            let live = |s: &&MediaSection| s.port() != 0 && s.kind() == "application";
            sdp.media().iter().find(live).and_then(MediaSection::mid).map(str::to_owned)
        });
        assert_eq!(mids[0], mids[1]);
        assert!(mids[0].is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        rng_seed: RngSeed::Fixed(0x1ce),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Default::default()
    })]

    #[test]
    fn two_sides_agree_whatever_happens_on_the_way(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.check_agreement();
    }
}
