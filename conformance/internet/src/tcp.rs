//! One end of a TCP connection: as much of RFC 9293 and RFC 6298 as a reliable stream over a bad network needs.
//!
//! Left out: congestion control and flow control (a fixed window stands for both), delayed acknowledgements, TIME-WAIT.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use frazil::Instant;

use crate::packet::{Flags, Segment};

/// The most bytes in one segment: what the least MTU of IPv6 leaves.
const SEGMENT: usize = 1_220;
/// The most bytes under way.
const WINDOW: u64 = 64 * 1024;
/// The most bytes that are kept out of order.
const OUT_OF_ORDER: usize = 2 * WINDOW as usize;
/// Before there is a round trip to go by (RFC 6298 section 2.1).
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
const LEAST_TIMEOUT: Duration = Duration::from_millis(200);
const MOST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an answer to the first segment is waited for.
const CONNECTING: Duration = Duration::from_secs(60);
/// How long an acknowledgement is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the other side may take to close too.
const LINGERING: Duration = Duration::from_secs(60);

/// What a connection tells the machine that it is on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Opened,
    Refused,
    Data(Vec<u8>),
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// We have sent a SYN.
    SynSent,
    /// We have received one too.
    SynReceived,
    Established,
    Over,
}

pub(crate) struct Connection {
    state: State,
    /// Who connects hears of a failure; who accepts has not heard of the connection yet.
    active: bool,
    /// The first byte, or SYN or FIN, that is not acknowledged.
    unacknowledged: u64,
    /// The next sequence number to be sent for the first time.
    next: u64,
    /// What stands from the first unacknowledged byte on.
    outgoing: VecDeque<u8>,
    /// Our user closes. Then the sequence number of the FIN, once it was sent.
    closing: bool,
    fin: Option<u64>,
    /// The sequence number that we await.
    awaited: u64,
    early: BTreeMap<u64, Vec<u8>>,
    early_bytes: usize,
    their_fin: Option<u64>,
    timeout: Duration,
    round_trip: Option<(Duration, Duration)>,
    /// An acknowledgement of this sequence number tells the round trip since then.
    timed: Option<(u64, Instant)>,
    /// Holes up to here are filled as soon as they are known.
    recover: u64,
    deadline: Option<Instant>,
    /// Since when nothing new was acknowledged.
    stuck_since: Option<Instant>,
    segments: VecDeque<Segment>,
    told: VecDeque<Told>,
}

impl Connection {
    /// We connect. `first` is our initial sequence number.
    pub(crate) fn connect(first: u64, now: Instant) -> Self {
        let mut connection = Self::new(State::SynSent, true, first, 0, now);
        connection.send_syn();
        connection
    }

    /// Somebody connects.
    pub(crate) fn accept(first: u64, syn: &Segment, now: Instant) -> Self {
        let mut connection = Self::new(State::SynReceived, false, first, syn.end(), now);
        connection.send_syn();
        connection
    }

    fn new(state: State, active: bool, first: u64, awaited: u64, now: Instant) -> Self {
        Self {
            state,
            active,
            unacknowledged: first,
            next: first + 1,
            outgoing: VecDeque::new(),
            closing: false,
            fin: None,
            awaited,
            early: BTreeMap::new(),
            early_bytes: 0,
            their_fin: None,
            timeout: FIRST_TIMEOUT,
            round_trip: None,
            timed: Some((first + 1, now)),
            recover: first,
            deadline: Some(now + FIRST_TIMEOUT),
            stuck_since: Some(now),
            segments: VecDeque::new(),
            told: VecDeque::new(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over && self.segments.is_empty() && self.told.is_empty()
    }

    /// Whether what is written is sent.
    pub(crate) fn is_open(&self) -> bool {
        self.state != State::Over && !self.closing && self.their_fin.is_none()
    }

    pub(crate) fn poll_segment(&mut self) -> Option<Segment> {
        self.segments.pop_front()
    }

    pub(crate) fn poll_told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn write(&mut self, data: &[u8], now: Instant) {
        if self.is_open() {
            self.outgoing.extend(data);
            self.send_new(now);
        }
    }

    /// Our user connects, while the other side's connection is being accepted.
    pub(crate) fn connect_too(&mut self) {
        self.active = true;
    }

    pub(crate) fn close(&mut self, now: Instant) {
        if self.state == State::SynSent {
            self.state = State::Over;
            self.deadline = None;
        }
        if self.state != State::Over && !self.closing {
            self.closing = true;
            self.send_new(now);
        }
    }

    pub(crate) fn handle_segment(&mut self, segment: &Segment, now: Instant) {
        match self.state {
            State::SynSent => self.handle_answer(segment, now),
            State::SynReceived | State::Established => self.handle_established(segment, now),
            State::Over => {}
        }
    }

    /// RFC 9293 section 3.10.7.3.
    fn handle_answer(&mut self, segment: &Segment, now: Instant) {
        let Flags { syn, ack, rst, .. } = segment.flags;
        let ours = ack && segment.acknowledgment == self.next;
        if ack && !ours {
            if !rst {
                // Something old: a connection that the other side still knows of.
                self.segments.push_back(segment.reset());
            }
            return;
        }
        if rst {
            return if ours {
                self.end()
            };
        }
        if !syn {
            return;
        }
        self.awaited = segment.end();
        if ours {
            self.establish();
            self.acknowledge(segment.acknowledgment, now);
            self.send_acknowledgement();
        } else {
            // Simultaneous open.
            self.state = State::SynReceived;
            self.send_syn();
        }
    }

    /// RFC 9293 section 3.10.7.4.
    fn handle_established(&mut self, segment: &Segment, now: Instant) {
        let Flags { syn, ack, fin, rst } = segment.flags;
        if rst {
            return if segment.sequence == self.awaited {
                self.end()
            };
        }
        if syn && self.state == State::Established {
            // Again, or of a new connection that does not know of this one (RFC 5961 section 4.2).
            return self.send_acknowledgement();
        }
        if ack && segment.acknowledgment > self.unacknowledged && segment.acknowledgment <= self.next {
            if self.state == State::SynReceived {
                self.establish();
            }
            self.acknowledge(segment.acknowledgment, now);
        }
        if self.state != State::Established {
            // Their SYN again: they have not seen our answer.
            return if syn && !ack {
                self.send_syn()
            };
        }
        if fin {
            self.their_fin.get_or_insert(segment.sequence + segment.data.len() as u64);
        }
        if segment.data.is_empty() && !fin {
            return;
        }
        self.take(segment.sequence, &segment.data);
        self.send_acknowledgement();
        self.finish(now);
    }

    /// Our SYN has arrived.
    fn establish(&mut self) {
        self.state = State::Established;
        self.unacknowledged += 1;
        if !self.closing {
            self.told.push_back(Told::Opened);
        }
    }

    /// All before `up_to` has arrived.
    fn acknowledge(&mut self, up_to: u64, now: Instant) {
        let bytes = (up_to - self.unacknowledged).min(self.outgoing.len() as u64);
        self.outgoing.drain(..bytes as usize);
        self.unacknowledged = up_to;
        if let Some((awaited, since)) = self.timed
            && up_to >= awaited
        {
            self.timed = None;
            self.measure(now - since);
        }
        self.stuck_since = None;
        if self.unacknowledged < self.next {
            self.stuck_since = Some(now);
            self.deadline = Some(now + self.timeout);
            if self.unacknowledged < self.recover {
                self.send_first_again();
            }
        } else {
            self.deadline = None;
        }
        self.send_new(now);
        self.finish(now);
    }

    /// RFC 6298 section 2.
    fn measure(&mut self, sample: Duration) {
        let (smoothed, variation) = match self.round_trip {
            None => (sample, sample / 2),
            Some((smoothed, variation)) => {
                (smoothed * 7 / 8 + sample / 8, variation * 3 / 4 + smoothed.abs_diff(sample) / 4)
            }
        };
        self.round_trip = Some((smoothed, variation));
        self.timeout = (smoothed + 4 * variation).clamp(LEAST_TIMEOUT, MOST_TIMEOUT);
    }

    /// Data of theirs, from a sequence number on.
    fn take(&mut self, sequence: u64, data: &[u8]) {
        if sequence > self.awaited {
            if self.early_bytes + data.len() <= OUT_OF_ORDER && !self.early.contains_key(&sequence) {
                self.early_bytes += data.len();
                self.early.insert(sequence, data.to_vec());
            }
            return;
        }
        self.take_next(sequence, data);
        while let Some(entry) = self.early.first_entry().filter(|entry| *entry.key() <= self.awaited) {
            let (sequence, data) = entry.remove_entry();
            self.early_bytes -= data.len();
            self.take_next(sequence, &data);
        }
        if self.their_fin == Some(self.awaited) {
            self.awaited += 1;
            if !self.closing {
                self.told.push_back(Told::Closed);
                // Half-open connections are of no use to anybody here.
                self.closing = true;
            }
        }
    }

    fn take_next(&mut self, sequence: u64, data: &[u8]) {
        let known = (self.awaited - sequence) as usize;
        if known < data.len() {
            self.awaited += (data.len() - known) as u64;
            if !self.closing {
                self.told.push_back(Told::Data(data[known..].to_vec()));
            }
        }
    }

    /// Sends our FIN if it is time to, and is over when both have closed.
    fn finish(&mut self, now: Instant) {
        if self.state != State::Established || !self.closing {
            return;
        }
        self.send_new(now);
        let ours_arrived = self.fin.is_some_and(|fin| self.unacknowledged > fin);
        let theirs_arrived = self.their_fin.is_some_and(|fin| self.awaited > fin);
        if ours_arrived && theirs_arrived {
            (self.state, self.deadline) = (State::Over, None);
        } else if ours_arrived {
            self.deadline.get_or_insert(now + LINGERING);
        }
    }

    /// The connection is gone, without a farewell.
    fn end(&mut self) {
        match self.state {
            State::SynSent => self.told.push_back(Told::Refused),
            State::SynReceived if self.active => self.told.push_back(Told::Refused),
            State::Established if !self.closing => self.told.push_back(Told::Closed),
            _ => {}
        }
        (self.state, self.deadline) = (State::Over, None);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        let patience = if self.state == State::Established { PATIENCE } else { CONNECTING };
        match self.stuck_since {
            // Their FIN has not come.
            None => return self.end(),
            Some(since) if now - since >= patience => return self.end(),
            Some(_) => {}
        }
        self.timeout = (self.timeout * 2).min(MOST_TIMEOUT);
        self.deadline = Some(now + self.timeout);
        // What is sent again tells nothing of the round trip (RFC 6298 section 3).
        self.timed = None;
        self.recover = self.next;
        match self.state {
            State::SynSent | State::SynReceived => self.send_syn(),
            _ => self.send_first_again(),
        }
    }

    fn send_syn(&mut self) {
        let flags = Flags { syn: true, ack: self.state == State::SynReceived, ..Flags::default() };
        self.push(flags, self.unacknowledged, Vec::new());
    }

    fn send_acknowledgement(&mut self) {
        self.push(Flags { ack: true, ..Flags::default() }, self.next, Vec::new());
    }

    fn send_first_again(&mut self) {
        let end = self.fin.unwrap_or(self.next);
        let many = (SEGMENT as u64).min(end.saturating_sub(self.unacknowledged)) as usize;
        let data = self.outgoing.iter().take(many).copied().collect();
        let fin = self.fin == Some(self.unacknowledged + many as u64);
        self.push(Flags { ack: true, fin, ..Flags::default() }, self.unacknowledged, data);
    }

    /// Sends what has not been sent yet, as far as the window goes.
    fn send_new(&mut self, now: Instant) {
        if self.state != State::Established {
            return;
        }
        while self.fin.is_none() {
            let under_way = self.next - self.unacknowledged;
            let unsent = self.outgoing.len() as u64 - under_way;
            let many = unsent.min(SEGMENT as u64).min(WINDOW.saturating_sub(under_way));
            let fin = self.closing && many == unsent;
            if many == 0 && !fin {
                break;
            }
            let from = under_way as usize;
            let data = self.outgoing.range(from..from + many as usize).copied().collect();
            self.push(Flags { ack: true, fin, ..Flags::default() }, self.next, data);
            self.next += many;
            if fin {
                self.fin = Some(self.next);
                self.next += 1;
            }
            self.timed.get_or_insert((self.next, now));
            if self.stuck_since.is_none() {
                self.stuck_since = Some(now);
                self.deadline = Some(now + self.timeout);
            }
        }
    }

    fn push(&mut self, flags: Flags, sequence: u64, data: Vec<u8>) {
        let acknowledgment = if flags.ack { self.awaited } else { 0 };
        self.segments.push_back(Segment { flags, sequence, acknowledgment, data });
    }
}
