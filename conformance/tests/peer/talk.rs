//! What is said over a channel, and whether it arrives as it should.

use std::collections::VecDeque;

use frazil::peer::{ChannelConfig, ChannelId, MessageKind, Reliability};

use crate::scenario::text;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Message {
    pub(crate) text: bool,
    pub(crate) data: Vec<u8>,
}

/// One end of a channel.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) id: Option<ChannelId>,
    pub(crate) state: State,
    /// Whether this end was the one to close.
    pub(crate) leaves: bool,
    /// What is still to be sent.
    pub(crate) queue: VecDeque<Message>,
    pub(crate) sent: Vec<Message>,
    pub(crate) received: Vec<Message>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum State {
    #[default]
    Connecting,
    Open,
    Closed,
}

impl Message {
    pub(crate) fn random(kind: MessageKind, len: usize, rng: &mut fastrand::Rng) -> Self {
        match kind {
            MessageKind::Text => Self { text: true, data: text(len, rng).into_bytes() },
            MessageKind::Binary => Self { text: false, data: (0..len).map(|_| rng.u8(..)).collect() },
        }
    }

    pub(crate) fn kind(&self) -> MessageKind {
        if self.text { MessageKind::Text } else { MessageKind::Binary }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.text { "text" } else { "bytes" };
        write!(f, "{} {kind} {:02x?}", self.data.len(), &self.data[..self.data.len().min(8)])
    }
}

/// Panics unless what `to` received is what a channel like this may make of what `from` sent: nothing invented,
/// changed or doubled, and in order where there is one.
pub(crate) fn check_honest(config: &ChannelConfig, from: &End, to: &End) {
    let wrong = |what: &str| panic!("{what}\nsent: {:#?}\nreceived: {:#?}", from.sent, to.received);
    if config.ordered {
        let mut sent = from.sent.iter();
        // A reliable channel leaves no gap.
        let in_order = match config.reliability {
            Reliability::Reliable => from.sent.starts_with(&to.received),
            _ => to.received.iter().all(|received| sent.any(|sent| sent == received)),
        };
        if !in_order {
            wrong("an ordered channel delivers something else or in another order");
        }
    } else {
        let sorted = |end: &[Message]| {
            let mut sorted = end.to_vec();
            sorted.sort_unstable();
            sorted
        };
        let mut sent = sorted(&from.sent).into_iter();
        if !sorted(&to.received).iter().all(|received| sent.any(|sent| sent == *received)) {
            wrong("a channel delivers what was not sent, or twice");
        }
    }
}

/// Panics unless a reliable channel has delivered everything.
pub(crate) fn check_complete(config: &ChannelConfig, from: &End, to: &End) {
    if config.reliability == Reliability::Reliable {
        assert_eq!(to.received.len(), from.sent.len(), "a reliable channel has not delivered everything");
    }
}
