//! A scenario in motion.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use frazil::jsep::{Description, DescriptionKind, SignalingState, TrickledCandidate};
use frazil::peer::{ChannelId, Config, ConnectionState, Event, MessageKind, Peer, Reliability, SendError};
use frazil::{Instant, Seed, ice};
use frazil_conformance::disturbance;
use frazil_conformance::peer::{Given, PeerEndpoint};
use frazil_internet::{Counters, HostId, Internet, LinkId, Scheduled, Sent, Step};

use crate::scenario::{self, Scenario, What};
use crate::talk::{self, End, Message, State};

pub(crate) struct Run<'a> {
    scenario: &'a Scenario,
    network: Internet<PeerEndpoint, Act>,
    hosts: [HostId; 2],
    links: Vec<LinkId>,
    /// For signalling.
    rng: fastrand::Rng,
    sides: [Side; 2],
    /// Both ends of each channel.
    pub(crate) ends: Vec<[End; 2]>,
    /// One side has left.
    pub(crate) left: bool,
}

#[derive(Default)]
struct Side {
    gathered: bool,
    /// A description waits until all candidates are known.
    unsent: bool,
    /// An offer is due as soon as there is none under way.
    wants_offer: bool,
    /// When the last description for it arrives.
    description: Instant,
    /// What is to be done when its machine wakes.
    asleep: VecDeque<Act>,
    channels: BTreeMap<ChannelId, usize>,
    reported: Reported,
}

/// What a side has reported, and when.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Reported {
    pub(crate) connection: Vec<(Instant, ConnectionState)>,
    pub(crate) ice: Vec<(Instant, ice::State)>,
    pub(crate) signaling: Vec<(Instant, SignalingState)>,
}

/// Something that a user, a driver or signalling does to a side.
#[derive(Clone, Debug)]
enum Act {
    Socket {
        side: usize,
        nth: usize,
    },
    Gathered(usize),
    Create {
        side: usize,
        channel: usize,
    },
    Burst {
        side: usize,
        channel: usize,
        nth: usize,
    },
    Close {
        side: usize,
        channel: usize,
    },
    Deed {
        side: usize,
        what: What,
    },
    Hear {
        side: usize,
        signal: Signal,
    },
    Answer {
        side: usize,
        kind: DescriptionKind,
    },
    /// The machine has woken up.
    Wake(usize),
}

#[derive(Clone, Debug)]
enum Signal {
    Description(Description),
    Candidate(TrickledCandidate),
}

impl Act {
    fn side(&self) -> usize {
        let (Self::Socket { side, .. }
        | Self::Gathered(side)
        | Self::Create { side, .. }
        | Self::Burst { side, .. }
        | Self::Close { side, .. }
        | Self::Deed { side, .. }
        | Self::Hear { side, .. }
        | Self::Answer { side, .. }
        | Self::Wake(side)) = *self;
        side
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let mut network = Internet::new(scenario.seed);
        let hosts = [0, 1].map(|side| {
            let of = &scenario.sides[side];
            let host = network.add_host(Instant::ZERO + of.clock, |now| {
                let mut config = Config::default();
                config.send_buffer = of.send_buffer;
                config.ice.watch_traffic = scenario.watches_traffic;
                PeerEndpoint::new(|| Peer::new(config, peer_seed(scenario.seed, side), now).expect("it is possible"))
            });
            network.set_timer_slack(host, of.timer_slack);
            host
        });
        let links = scenario.topology.build(&mut network, hosts);
        let mut at = |at: Duration, act| network.after(at, Scheduled::Alarm(act));
        for side in [0, 1] {
            for (nth, socket) in scenario.topology.sockets[side].iter().enumerate() {
                at(socket.known, Act::Socket { side, nth });
            }
            if let Some(gathered) = scenario.sides[side].gathered {
                at(gathered, Act::Gathered(side));
            }
        }
        for (channel, plan) in scenario.channels.iter().enumerate() {
            for side in [0, 1] {
                plan.created[side].into_iter().for_each(|created| at(created, Act::Create { side, channel }));
            }
            for (nth, burst) in plan.bursts.iter().enumerate() {
                at(burst.at, Act::Burst { side: burst.side, channel, nth });
            }
            if let Some((side, closed)) = plan.closed {
                at(closed, Act::Close { side, channel });
            }
        }
        for deed in &scenario.deeds {
            at(deed.at, Act::Deed { side: deed.side, what: deed.what });
        }
        scenario.disturbances.schedule(&mut network, hosts);
        for disturbance in &scenario.disturbances.0 {
            if let disturbance::What::Sleep { lasts, .. } = disturbance.what {
                network.after(disturbance.at + lasts, Scheduled::Alarm(Act::Wake(disturbance.side)));
            }
        }
        Self {
            scenario,
            network,
            hosts,
            links,
            rng: fastrand::Rng::with_seed(scenario.seed ^ 0x51_6E_A1),
            sides: Default::default(),
            ends: scenario.channels.iter().map(|_| Default::default()).collect(),
            left: false,
        }
    }

    pub(crate) fn start_record(&mut self) {
        self.network.start_record();
    }

    /// From now on nothing is lost on links that are not one-way.
    pub(crate) fn calm_down(&mut self) {
        for &link in &self.links {
            self.network.after(Duration::ZERO, Scheduled::LinkCalms(link));
        }
    }

    /// Lets things happen until `until`.
    pub(crate) fn until(&mut self, until: Duration) {
        while let Some(step) = self.network.next(Instant::ZERO + until) {
            match step {
                Step::Event(host, event) => self.note(usize::from(host == self.hosts[1]), event),
                Step::Alarm(act) => self.act(act),
            }
        }
    }

    /// Lets things happen until `done`, but not for longer than `most`. Tells whether it is done.
    pub(crate) fn until_done(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now() + most;
        while !done(self) {
            if self.now() >= end {
                return false;
            }
            self.until(self.now() + Duration::from_millis(250));
        }
        true
    }

    pub(crate) fn now(&self) -> Duration {
        self.network.now() - Instant::ZERO
    }

    pub(crate) fn peer(&self, side: usize) -> &Peer {
        self.endpoint(side).peer()
    }

    pub(crate) fn endpoint(&self, side: usize) -> &PeerEndpoint {
        self.network.endpoint(self.hosts[side])
    }

    pub(crate) fn counters(&self, side: usize) -> Counters {
        self.network.counters(self.hosts[side])
    }

    /// What both peers sent since [`Run::start_record`], in order.
    pub(crate) fn record(&self) -> &[Sent] {
        self.network.record()
    }

    pub(crate) fn reported(&self, side: usize) -> &Reported {
        &self.sides[side].reported
    }

    /// Whether everything that was to be sent is sent and, where that is promised, has arrived.
    pub(crate) fn is_all_said(&self) -> bool {
        self.scenario.channels.iter().zip(&self.ends).all(|(plan, ends)| {
            let said = |from: &End, to: &End| {
                let arrived = plan.config.reliability != Reliability::Reliable || to.received.len() == from.sent.len();
                from.queue.is_empty() && arrived
            };
            let closed = ends.iter().all(|end| end.id.is_none() || end.state == State::Closed);
            closed || said(&ends[0], &ends[1]) && said(&ends[1], &ends[0])
        })
    }

    /// How far each channel is.
    pub(crate) fn progress(&mut self) -> String {
        let mut text = String::new();
        for nth in 0..self.ends.len() {
            let config = &self.scenario.channels[nth].config;
            let order = if config.ordered { "ordered" } else { "unordered" };
            text += &format!("channel {nth}, {:?}, {:?}, {order}:\n", config.negotiated, config.reliability);
            for side in [0, 1] {
                let buffered = self.ends[nth][side].id.map(|id| self.call(side, |peer, _| peer.buffered_amount(id)));
                let End { state, leaves, queue, sent, received, .. } = &self.ends[nth][side];
                text += &format!(
                    "  side {side} is {state:?}, leaves: {leaves}, {} to send, {} sent, {} received, {buffered:?} buffered\n",
                    queue.len(),
                    sent.len(),
                    received.len()
                );
            }
        }
        text
    }

    /// Closes a channel from one side.
    pub(crate) fn close_channel(&mut self, side: usize, channel: usize) {
        self.act(Act::Close { side, channel });
    }

    /// A side leaves.
    pub(crate) fn leave(&mut self, side: usize) {
        self.left = true;
        self.call(side, |peer, now| peer.close(now));
        self.sides[side].channels.clear();
    }

    fn call<R: Given>(&mut self, side: usize, call: impl FnOnce(&mut Peer, Instant) -> R) -> R {
        self.network.with(self.hosts[side], |endpoint, now| endpoint.call(|peer| call(peer, now)))
    }

    fn plan(&self, side: usize) -> &'a scenario::Side {
        &self.scenario.sides[side]
    }

    fn act(&mut self, act: Act) {
        let side = act.side();
        if self.network.is_suspended(self.hosts[side]) {
            self.sides[side].asleep.push_back(act);
            return;
        }
        match act {
            Act::Socket { nth, .. } => {
                let address = self.scenario.topology.sockets[side][nth].address;
                let result = self.call(side, |peer, now| peer.add_host_candidate(address, u16::MAX - nth as u16, now));
                assert!(result.is_ok() || self.peer(side).ice_state() == ice::State::Failed, "{result:?}");
            }
            Act::Gathered(_) => {
                self.call(side, |peer, now| peer.end_of_candidates(now));
                self.sides[side].gathered = true;
                if std::mem::take(&mut self.sides[side].unsent) {
                    let description = self.peer(side).local_description().expect("one was set");
                    self.send(side, description);
                    self.offer_if_wanted(side);
                }
            }
            Act::Create { channel, .. } => self.create(side, channel),
            Act::Burst { channel, nth, .. } => {
                let plan = &self.scenario.channels[channel].bursts[nth];
                let mut rng = fastrand::Rng::with_seed(self.scenario.seed ^ (channel << 8 | nth) as u64);
                let end = &mut self.ends[channel][side];
                if !end.leaves && end.state != State::Closed {
                    let messages = plan.messages.iter().map(|&(kind, len)| Message::random(kind, len, &mut rng));
                    end.queue.extend(messages);
                    self.say(side, channel);
                }
            }
            Act::Close { channel, .. } => {
                let negotiated = self.scenario.channels[channel].config.negotiated.is_some();
                if negotiated && self.ends[channel].iter().any(|end| end.state == State::Connecting) {
                    // The other side would never hear of it.
                    return;
                }
                let end = &mut self.ends[channel][side];
                if let (Some(id), State::Connecting | State::Open) = (end.id, end.state) {
                    end.leaves = true;
                    end.queue.clear();
                    self.call(side, |peer, now| peer.close_channel(id, now));
                }
            }
            Act::Deed { what: What::Offer, .. } => {
                self.sides[side].wants_offer = true;
                self.offer_if_wanted(side);
            }
            Act::Deed { what: What::Restart, .. } => self.call(side, |peer, _| peer.restart_ice()),
            Act::Hear { signal: Signal::Description(description), .. } => self.hear(side, &description),
            Act::Hear { signal: Signal::Candidate(candidate), .. } => self.hear_candidate(side, &candidate),
            Act::Answer { kind, .. } => self.answer(side, kind),
            Act::Wake(_) => {
                std::mem::take(&mut self.sides[side].asleep).into_iter().for_each(|act| self.act(act));
                (0..self.ends.len()).for_each(|channel| self.say(side, channel));
            }
        }
    }

    fn create(&mut self, side: usize, channel: usize) {
        let config = self.scenario.channels[channel].config.clone();
        let id = self.call(side, |peer, now| peer.create_data_channel(config, now));
        let id = match id {
            Ok(id) => id,
            Err(_) if self.is_over(side) => return,
            Err(error) => panic!("channel {channel} of side {side} is refused: {error}"),
        };
        self.sides[side].channels.insert(id, channel);
        self.ends[channel][side].id = Some(id);
        // What is said over a negotiated channel before the other side has its end of it is said to nobody.
        self.say(1 - side, channel);
    }

    /// Sends what the channel takes.
    fn say(&mut self, side: usize, channel: usize) {
        let [here, there] = [side, 1 - side].map(|side| &self.ends[channel][side]);
        let negotiated = self.scenario.channels[channel].config.negotiated.is_some();
        let (Some(id), State::Open, false) = (here.id, here.state, here.leaves) else { return };
        if negotiated && there.id.is_none() || self.network.is_suspended(self.hosts[side]) {
            return;
        }
        let mut queue = std::mem::take(&mut self.ends[channel][side].queue);
        let mut sent = Vec::new();
        let refused = self.network.with(self.hosts[side], |endpoint, now| {
            while let Some(message) = queue.front() {
                let said = endpoint.call(|peer| peer.send(id, message.kind(), &message.data, now));
                if let Err(error) = said {
                    return Some(error);
                }
                sent.extend(queue.pop_front());
            }
            None
        });
        let end = &mut self.ends[channel][side];
        end.sent.extend(sent);
        end.queue = queue;
        match refused {
            // The rest goes when the peer says that there is room.
            None | Some(SendError::BufferFull { .. }) => {}
            Some(error) => {
                let over = self.ends[channel][1 - side].leaves || self.is_over(side);
                assert!(over, "channel {channel} of side {side} refuses a message: {error}");
            }
        }
    }

    fn offer_if_wanted(&mut self, side: usize) {
        let stable = self.peer(side).signaling_state() == SignalingState::Stable;
        if self.sides[side].wants_offer && stable && !self.sides[side].unsent {
            self.sides[side].wants_offer = false;
            let offer = self.call(side, |peer, now| {
                let offer = peer.create_offer()?;
                peer.set_local_description(&offer, now)?;
                Ok::<_, frazil::peer::Error>(offer)
            });
            self.send(side, offer.expect("the state allows it"));
        }
    }

    fn answer(&mut self, side: usize, kind: DescriptionKind) {
        let pending = [SignalingState::HaveRemoteOffer, SignalingState::HaveLocalPranswer];
        if !pending.contains(&self.peer(side).signaling_state()) {
            // It was taken back, or it is all over.
            return;
        }
        let answer = self.call(side, |peer, now| {
            let answer = Description { kind, ..peer.create_answer()? };
            peer.set_local_description(&answer, now)?;
            Ok::<_, frazil::peer::Error>(answer)
        });
        self.send(side, answer.expect("the state allows it"));
        if kind == DescriptionKind::ProvisionalAnswer {
            self.think(side, DescriptionKind::Answer);
        }
    }

    fn think(&mut self, side: usize, kind: DescriptionKind) {
        let after = self.plan(side).thinking.mul_f64(self.rng.f64());
        self.network.after(after, Scheduled::Alarm(Act::Answer { side, kind }));
    }

    /// Has the other side be told of a description, now or when it is complete.
    fn send(&mut self, from: usize, description: Description) {
        if !self.plan(from).trickles && !self.sides[from].gathered {
            self.sides[from].unsent = true;
            return;
        }
        let to = 1 - from;
        let delay = self.plan(to).signalling.mul_f64(self.rng.f64());
        let arrival = (self.network.now() + delay).max(self.sides[to].description);
        self.sides[to].description = arrival;
        let signal = Signal::Description(description);
        self.network.at(arrival, Scheduled::Alarm(Act::Hear { side: to, signal }));
    }

    /// Has the other side be told of a candidate, once it has the description that the candidate belongs to.
    fn send_candidate(&mut self, from: usize, candidate: &TrickledCandidate) {
        if !self.plan(from).trickles {
            return;
        }
        let to = 1 - from;
        for _ in 0..=u32::from(self.plan(from).repeats) {
            let delay = self.plan(to).signalling.mul_f64(self.rng.f64());
            let arrival = self.network.now().max(self.sides[to].description) + delay;
            let signal = Signal::Candidate(candidate.clone());
            self.network.at(arrival, Scheduled::Alarm(Act::Hear { side: to, signal }));
        }
    }

    fn hear(&mut self, side: usize, description: &Description) {
        let state = self.peer(side).signaling_state();
        let offers = description.kind == DescriptionKind::Offer;
        if state == SignalingState::Closed {
            return;
        }
        if offers && state != SignalingState::Stable {
            if side != self.scenario.polite {
                return;
            }
            assert_eq!(state, SignalingState::HaveLocalOffer);
            // It may not even have been sent.
            self.sides[side].unsent = false;
            if self.plan(side).rolls_back {
                let rollback = Description { kind: DescriptionKind::Rollback, sdp: String::new() };
                let back = self.call(side, |peer, now| peer.set_local_description(&rollback, now));
                back.expect("there is something to take back");
            }
        }
        let set = self.call(side, |peer, now| peer.set_remote_description(description, now));
        set.unwrap_or_else(|error| panic!("side {side} refuses in {state}: {error}\n{}", description.sdp));
        if offers {
            let twice = self.plan(side).answers_twice;
            self.think(side, if twice { DescriptionKind::ProvisionalAnswer } else { DescriptionKind::Answer });
        }
    }

    fn hear_candidate(&mut self, side: usize, candidate: &TrickledCandidate) {
        let taken = self.call(side, |peer, now| peer.add_ice_candidate(candidate, now));
        if let Err(error) = taken {
            // It belongs to a description that was ignored or is out of date; otherwise there is no excuse.
            let ufrag = format!("a=ice-ufrag:{}\r\n", candidate.ufrag.as_deref().expect("we say so"));
            let described = self.peer(side).remote_description().is_some_and(|remote| remote.sdp.contains(&ufrag));
            assert!(!described || self.is_over(side), "side {side} refuses {candidate:?}: {error}");
        }
    }

    /// Whether a side has nothing to hope for, so that it may refuse things.
    fn is_over(&self, side: usize) -> bool {
        matches!(self.peer(side).connection_state(), ConnectionState::Failed | ConnectionState::Closed)
    }

    fn note(&mut self, side: usize, event: Event) {
        let now = self.network.now();
        let reported = &mut self.sides[side].reported;
        match event {
            Event::ConnectionStateChange(state) => reported.connection.push((now, state)),
            Event::IceStateChange(state) => reported.ice.push((now, state)),
            Event::SignalingStateChange(state) => {
                reported.signaling.push((now, state));
                self.offer_if_wanted(side);
            }
            Event::NegotiationNeeded => {
                self.sides[side].wants_offer = true;
                self.offer_if_wanted(side);
            }
            Event::IceCandidate(candidate) => self.send_candidate(side, &candidate),
            Event::DataChannel { channel: id, config } => {
                let nth: usize = config.label.split(' ').next().and_then(|nth| nth.parse().ok()).expect("our label");
                let plan = &self.scenario.channels[nth];
                assert_eq!(plan.created[side], None, "it was to come from the other side");
                assert_eq!(config, plan.config, "the channel has other parameters than it was made with");
                assert!(self.sides[side].channels.insert(id, nth).is_none());
                let end = &mut self.ends[nth][side];
                assert_eq!((end.id, end.state), (None, State::Connecting), "channel {nth} comes twice");
                (end.id, end.state) = (Some(id), State::Open);
                self.say(side, nth);
            }
            Event::ChannelOpen(id) => {
                let nth = self.sides[side].channels[&id];
                let end = &mut self.ends[nth][side];
                assert_eq!(end.state, State::Connecting, "channel {nth} opens twice");
                end.state = State::Open;
                self.say(side, nth);
            }
            Event::Message { channel, kind, data } => {
                let nth = self.sides[side].channels[&channel];
                let end = &mut self.ends[nth][side];
                assert_eq!((end.state, end.leaves), (State::Open, false), "a message on a closed channel");
                end.received.push(Message { text: kind == MessageKind::Text, data });
            }
            Event::BufferedAmountLow(channel) => {
                let nth = self.sides[side].channels[&channel];
                self.say(side, nth);
            }
            Event::ChannelClosed(channel) => self.note_closed(side, channel),
            Event::SelectedPairChange(_) | Event::Resolve { .. } | Event::IceGatheringStateChange(_) => {}
            event => panic!("an event that nobody knows: {event:?}"),
        }
    }

    fn note_closed(&mut self, side: usize, channel: ChannelId) {
        let nth = self.sides[side].channels[&channel];
        let over = self.is_over(side) || self.left;
        let [here, there] = &mut self.ends[nth];
        let (here, there) = if side == 0 { (here, there) } else { (there, here) };
        assert_ne!(here.state, State::Closed, "channel {nth} closes twice");
        here.state = State::Closed;
        here.queue.clear();
        if over {
            return;
        }
        assert!(here.leaves || there.leaves, "channel {nth} closes and nobody wanted that");
        if !here.leaves {
            talk::check_complete(&self.scenario.channels[nth].config, there, here);
        }
    }
}

/// No two peers share one.
fn peer_seed(seed: u64, side: usize) -> Seed {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = side as u8 + 1;
    bytes
}
