//! Consent to send on the selected path, and whether it is alive (RFC 7675).

use core::time::Duration;

use super::Config;
use crate::rng::Rng;
use crate::time::Instant;

/// The timers of the path in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consent {
    /// When the next consent check is due; never on a lite agent, which sends none.
    pub(super) next_check: Option<Instant>,
    /// Until when the last answer lets us send. On a lite agent the other side's checks stand for answers.
    pub(super) expires: Instant,
    /// The last time that anything proved the other side alive.
    last_heard: Instant,
    /// The last answer to a request of ours.
    last_answer: Instant,
}

impl Consent {
    /// Consent that an answer at `answer` gave.
    pub(super) fn new(config: &Config, rng: &mut Rng, answer: Instant, now: Instant) -> Self {
        Self {
            next_check: (!config.lite).then(|| now + interval(config, rng)),
            expires: answer + config.consent_lifetime,
            last_heard: now,
            last_answer: answer,
        }
    }

    /// Where both sides are lite nobody asks and nobody answers.
    pub(super) fn of_nobody() -> Self {
        let never = Instant::from_nanos(u64::MAX);
        Self { next_check: None, expires: never, last_heard: never, last_answer: never }
    }

    /// Draws the time of the check after the one that is sent at `now`.
    pub(super) fn check_sent(&mut self, config: &Config, rng: &mut Rng, now: Instant) {
        self.next_check = Some(now + interval(config, rng));
    }

    /// An answer to a request of ours arrived. Nothing else extends consent.
    pub(super) fn answered(&mut self, config: &Config, now: Instant) {
        self.last_answer = now;
        self.last_heard = now;
        self.expires = now + config.consent_lifetime;
    }

    /// Something arrived over the path. It shows life, not consent.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = self.last_heard.max(now);
    }

    /// When there is something to do for consent.
    pub(super) fn deadline(&self) -> Instant {
        self.next_check.map_or(self.expires, |at| at.min(self.expires))
    }

    /// When the path counts as disconnected if nothing happens: after silence, or after answers have been
    /// missing for three consent checks although other datagrams arrive.
    pub(super) fn silent_from(&self, config: &Config) -> Instant {
        let unanswered = self.last_answer + config.consent_interval * 3 + Duration::from_secs(1);
        (self.last_heard + config.silence).min(unanswered)
    }
}

/// 0.8 to 1.2 of the configured interval, so that checks of many peers do not fall into step.
fn interval(config: &Config, rng: &mut Rng) -> Duration {
    let base = config.consent_interval * 4 / 5;
    let spread = config.consent_interval * 2 / 5;
    let micros = u32::try_from(spread.as_micros()).unwrap_or(u32::MAX);
    base + Duration::from_micros(u64::from(rng.below(micros)))
}
