//! What a channel has brought that the application has not read yet.
//!
//! SCTP's receive window does not know of it: a message leaves the association as soon as it is complete. So it is
//! counted here, and whoever owns the session lets less in while too much of it waits.

use std::collections::VecDeque;

/// How full the fullest channel is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Level {
    /// Everything may come.
    #[default]
    Free,
    /// Above its limit.
    Full,
    /// Far above its limit.
    Overfull,
}

impl Level {
    /// The level of a queue that was at this one and now holds `len`, so much above its limit being far. A
    /// queue must be read half empty before it counts as free, so that data flows in stretches.
    pub(crate) fn after(self, len: usize, limit: usize, far: usize) -> Self {
        if len > limit.saturating_add(far) || (self == Self::Overfull && len > limit.saturating_add(far / 2)) {
            Self::Overfull
        } else if len > limit || (self >= Self::Full && len > limit / 2) {
            Self::Full
        } else {
            Self::Free
        }
    }
}

/// What a message that waits counts beside its bytes, so that short ones are not free.
pub(crate) const MESSAGE_OVERHEAD: usize = 64;

/// What may come on top of the limit while only short records are let in: what SCTP had received already and could
/// not deliver in order yet, which is a receive window, and as much again.
const FAR: usize = 2 << 20;

/// The messages of one channel that the application has not read, as far as they have a limit.
#[derive(Debug)]
pub(super) struct Unread {
    limit: Option<usize>,
    /// How long each is, by age.
    messages: VecDeque<usize>,
    /// How much of the oldest was read.
    read: usize,
    /// What all of them count.
    weight: usize,
    level: Level,
}

impl Unread {
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self { limit, messages: VecDeque::new(), read: 0, weight: 0, level: Level::Free }
    }

    /// A message has come.
    pub(super) fn add(&mut self, len: usize) {
        let Some(limit) = self.limit else { return };
        self.messages.push_back(counted(len));
        self.weight += counted(len) + MESSAGE_OVERHEAD;
        self.level = self.level.after(self.weight, limit, FAR);
    }

    /// So many bytes were read, the oldest first. There are no more than those that have come.
    pub(super) fn release(&mut self, bytes: usize) {
        let Some(limit) = self.limit else { return };
        self.read = self.read.saturating_add(bytes);
        self.weight = self.weight.saturating_sub(bytes);
        while let Some(&oldest) = self.messages.front()
            && oldest <= self.read
        {
            self.messages.pop_front();
            self.read -= oldest;
            self.weight = self.weight.saturating_sub(MESSAGE_OVERHEAD);
        }
        if self.messages.is_empty() {
            (self.read, self.weight) = (0, 0);
        }
        self.level = self.level.after(self.weight, limit, FAR);
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }
}

/// An empty message is one byte on its way (RFC 8831 section 6.6), and here as well.
fn counted(len: usize) -> usize {
    len.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn levels_rise_at_the_limit_and_fall_at_half_of_it() {
        let mut level = Level::Free;
        let mut seen = Vec::new();
        for len in [100, 101, 200, 201, 150, 101, 100, 51, 50, 100] {
            level = level.after(len, 100, 100);
            seen.push(level);
        }
        use Level::{Free, Full, Overfull};
        assert_eq!(seen, [Free, Full, Full, Overfull, Full, Full, Full, Full, Free, Free]);
    }

    proptest! {
        /// However reading is told, in parts of messages or many at a time, what counts is what was not read; and to
        /// tell of more than has come does no harm to what comes later.
        #[test]
        fn what_counts_is_what_was_not_read(
            lens in prop::collection::vec(0..300_usize, 1..40),
            releases in prop::collection::vec(0..2_000_usize, 0..20),
        ) {
            let mut unread = Unread::new(Some(1_000));
            for &len in &lens {
                unread.add(len);
            }
            let mut read = 0;
            for bytes in releases {
                unread.release(bytes);
                read += bytes;
                let mut rest = read;
                let whole = lens.iter().take_while(|len| match rest.checked_sub(counted(**len)) {
                    Some(less) => { rest = less; true }
                    None => false,
                }).count();
                let waiting = &lens[whole..];
                let bytes: usize = waiting.iter().map(|len| counted(*len)).sum();
                let expected = if waiting.is_empty() { 0 } else { bytes + waiting.len() * MESSAGE_OVERHEAD - rest };
                prop_assert_eq!(unread.weight, expected);
            }
            unread.release(usize::MAX);
            prop_assert_eq!((unread.weight, unread.level()), (0, Level::Free));
            unread.add(1_000);
            prop_assert_eq!(unread.level(), Level::Full);
        }
    }

    #[test]
    fn empty_messages_count_and_without_a_limit_nothing_does() {
        let mut unread = Unread::new(Some(64 << 10));
        let mut unlimited = Unread::new(None);
        let mut came = 0;
        while unread.level() == Level::Free {
            unread.add(0);
            unlimited.add(1 << 20);
            came += 1;
        }
        assert_eq!(came, 1 + (64 << 10) / (1 + MESSAGE_OVERHEAD));
        unread.release(came / 2 + 1);
        assert_eq!(unread.level(), Level::Free);
        assert_eq!((unlimited.weight, unlimited.level()), (0, Level::Free));
        assert!(unlimited.messages.is_empty());
    }
}
