//! What is under way.

use std::net::SocketAddr;

use frazil::Protocol;

#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Datagram(Vec<u8>),
    Segment(Segment),
}

/// A TCP segment (RFC 9293 section 3.1). Sequence numbers do not wrap: they have 64 bits.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) flags: Flags,
    pub(crate) sequence: u64,
    /// The next one that the sender awaits, where the flags have `ack`.
    pub(crate) acknowledgment: u64,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

impl Packet {
    pub(crate) fn protocol(&self) -> Protocol {
        match self.body {
            Body::Datagram(_) => Protocol::Udp,
            Body::Segment(_) => Protocol::Tcp,
        }
    }

    /// In bytes, with the headers of IP and UDP or TCP.
    pub(crate) fn size(&self) -> usize {
        let ip = if self.from.is_ipv4() { 20 } else { 40 };
        match &self.body {
            Body::Datagram(payload) => ip + 8 + payload.len(),
            Body::Segment(segment) => ip + 20 + segment.data.len(),
        }
    }

    /// The refusal of this packet, if it asks for a connection.
    pub(crate) fn refusal(&self) -> Option<Self> {
        let Body::Segment(segment) = &self.body else { return None };
        let asks = segment.flags.syn && !segment.flags.ack;
        asks.then(|| Self { from: self.to, to: self.from, body: Body::Segment(segment.reset()) })
    }
}

impl Segment {
    /// What answers this segment where nobody knows its connection (RFC 9293 section 3.5.2).
    pub(crate) fn reset(&self) -> Self {
        let flags = Flags { rst: true, ..Flags::default() };
        if self.flags.ack {
            return Self { flags, sequence: self.acknowledgment, acknowledgment: 0, data: Vec::new() };
        }
        let flags = Flags { ack: true, ..flags };
        Self { flags, sequence: 0, acknowledgment: self.end(), data: Vec::new() }
    }

    /// The sequence number after this segment.
    pub(crate) fn end(&self) -> u64 {
        self.sequence + self.data.len() as u64 + u64::from(self.flags.syn) + u64::from(self.flags.fin)
    }
}
