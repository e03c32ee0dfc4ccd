//! How well a pair answers.

use core::time::Duration;

/// Fewer measurements than this say nothing.
const ENOUGH: u32 = 3;

/// Round trip and loss, smoothed over the requests that were sent on a pair.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Quality {
    round_trip: Option<Duration>,
    /// It was measured; until then it is what it is at most.
    is_measured: bool,
    /// Requests that were not answered, in a thousand.
    loss: u32,
    samples: u32,
}

impl Quality {
    /// A request was answered this long after it had first been sent. Only the answer to one that was sent once tells
    /// the round trip (Karn's algorithm, RFC 6298 section 3); until there is one, the others say what it is at most.
    pub(super) fn answered(&mut self, round_trip: Duration, sent: u32) {
        for _ in 1..sent {
            self.note_loss(1000);
        }
        self.note_loss(0);
        self.samples = self.samples.saturating_add(1);
        if sent == 1 {
            let measured = self.round_trip.filter(|_| self.is_measured);
            self.round_trip = Some(measured.map_or(round_trip, |smoothed| (smoothed * 7 + round_trip) / 8));
            self.is_measured = true;
        } else {
            self.round_trip.get_or_insert(round_trip);
        }
    }

    /// A request was never answered, though it was sent so often.
    pub(super) fn unanswered(&mut self, sent: u32) {
        for _ in 0..sent {
            self.note_loss(1000);
        }
    }

    /// The smoothed round trip, once one was measured.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether the other is so much better that a move pays: the time in which a request can be expected to be
    /// answered is less than half of ours, by 20 ms at least.
    pub(super) fn is_far_worse_than(&self, other: &Self) -> bool {
        match (self.cost(), other.cost()) {
            (Some(ours), Some(theirs)) => ours > theirs * 2 + Duration::from_millis(20),
            _ => false,
        }
    }

    /// The time from the first sending of a request to its answer, losses included: a round trip for each time that
    /// request and answer can be expected to be sent.
    fn cost(&self) -> Option<Duration> {
        let round_trip = self.round_trip.filter(|_| self.samples >= ENOUGH)?;
        let arrives = 1000 - self.loss.min(900);
        Some(round_trip * 1000 / arrives)
    }

    fn note_loss(&mut self, sample: u32) {
        self.loss = (self.loss * 7 + sample) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(millis: u64, sent: u32) -> Quality {
        let mut quality = Quality::default();
        for _ in 0..8 {
            quality.answered(Duration::from_millis(millis), 1);
            quality.unanswered(sent - 1);
        }
        quality
    }

    #[test]
    fn a_move_pays_only_for_much() {
        assert!(!measured(50, 1).is_far_worse_than(&measured(30, 1)));
        assert!(measured(100, 1).is_far_worse_than(&measured(30, 1)));
        assert!(!measured(15, 1).is_far_worse_than(&measured(1, 1)), "what is fast is fast enough");
        assert!(measured(50, 4).is_far_worse_than(&measured(30, 1)), "loss counts as time");
    }

    #[test]
    fn what_a_repeated_request_took_counts_until_there_is_a_measurement() {
        let mut quality = Quality::default();
        quality.answered(Duration::from_millis(600), 2);
        assert_eq!(quality.round_trip(), Some(Duration::from_millis(600)));
        quality.answered(Duration::from_millis(100), 1);
        quality.answered(Duration::from_millis(600), 2);
        assert_eq!(quality.round_trip(), Some(Duration::from_millis(100)));
    }

    #[test]
    fn two_measurements_are_not_enough() {
        let mut young = Quality::default();
        young.answered(Duration::from_secs(9), 1);
        young.answered(Duration::from_secs(9), 1);
        assert!(!young.is_far_worse_than(&measured(1, 1)));
        assert_eq!(young.round_trip(), Some(Duration::from_secs(9)));
    }
}
