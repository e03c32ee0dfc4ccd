//! The timer of one request (RFC 8489 section 6.2).

use core::time::Duration;

use crate::time::Instant;

/// How a request is repeated and when it is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetransmissionConfig {
    /// RTO: from the first sending to the second; it doubles each time.
    pub rto: Duration,
    /// Rc: how often the request is sent at the most.
    pub rc: u32,
    /// Rm: how many RTOs after the last sending the request has failed.
    pub rm: u32,
}

impl Default for RetransmissionConfig {
    /// The RFC's values: sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, failed at 39.5 s.
    fn default() -> Self {
        Self { rto: Duration::from_millis(500), rc: 7, rm: 16 }
    }
}

impl RetransmissionConfig {
    /// Sent as often as fits before `last`, and failed after about `lifetime`, rounded up to a whole RTO.
    #[must_use]
    pub fn within(rto: Duration, last: Duration, lifetime: Duration) -> Self {
        let rto = rto.max(Duration::from_millis(1));
        let mut config = Self { rto, rc: 1, rm: 0 };
        while config.rc < 16 && config.lifetime() + rto * (1 << (config.rc - 1)) <= last {
            config.rc += 1;
        }
        let rest = lifetime.saturating_sub(config.lifetime());
        config.rm = u32::try_from(rest.as_millis().div_ceil(rto.as_millis().max(1))).unwrap_or(u32::MAX);
        config
    }

    /// Sent once, over a transport that loses nothing, and failed after `timeout`: Ti (RFC 8489 section 6.2.2).
    #[must_use]
    pub const fn reliable(timeout: Duration) -> Self {
        Self { rto: timeout, rc: 1, rm: 1 }
    }

    /// From the first sending to the failure.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        let doublings = (1u32 << self.rc.clamp(1, 31).saturating_sub(1)) - 1;
        self.rto.saturating_mul(doublings.saturating_add(self.rm))
    }
}

/// The timer of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retransmission {
    config: RetransmissionConfig,
    sent: u32,
    deadline: Instant,
}

/// What a request's timer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// Send the same bytes again.
    Again,
    /// No response came in time.
    Failed,
}

impl Retransmission {
    /// The timer of a request that is sent for the first time at `now`.
    #[must_use]
    pub fn new(config: RetransmissionConfig, now: Instant) -> Self {
        let mut timer = Self { config, sent: 0, deadline: now };
        timer.sent_at(now);
        timer
    }

    /// How often the request was sent.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to say.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.deadline
    }

    /// What is due at `now`. However late the call, one sending at a time is due, and its successor waits
    /// its full interval: a machine that wakes from sleep neither bursts nor gives up at once.
    pub fn handle_timeout(&mut self, now: Instant) -> Due {
        if now < self.deadline {
            Due::Nothing
        } else if self.sent < self.config.rc {
            self.sent_at(now);
            Due::Again
        } else {
            Due::Failed
        }
    }

    fn sent_at(&mut self, now: Instant) {
        self.sent += 1;
        let intervals = if self.sent < self.config.rc { 1 << (self.sent - 1).min(30) } else { self.config.rm };
        self.deadline = now + self.config.rto.saturating_mul(intervals);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_schedule_is_that_of_the_rfc() {
        let mut timer = Retransmission::new(RetransmissionConfig::default(), Instant::ZERO);
        let mut sent_at = vec![0];
        let failed_at = loop {
            let now = timer.poll_timeout();
            match timer.handle_timeout(now) {
                Due::Again => sent_at.push(now.as_nanos() / 1_000_000),
                Due::Failed => break now,
                Due::Nothing => panic!("nothing is due at its own deadline"),
            }
        };
        assert_eq!(sent_at, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(failed_at, Instant::from_millis(39_500));
        assert_eq!(RetransmissionConfig::default().lifetime(), Duration::from_millis(39_500));
    }

    #[test]
    fn a_late_call_sends_once() {
        let mut timer = Retransmission::new(RetransmissionConfig::default(), Instant::ZERO);
        let late = Instant::from_millis(600_000);
        assert_eq!(timer.handle_timeout(late), Due::Again);
        assert_eq!(timer.handle_timeout(late), Due::Nothing);
        assert_eq!(timer.poll_timeout(), late + Duration::from_secs(1));
    }

    #[test]
    fn over_a_reliable_transport_a_request_is_sent_once() {
        let mut timer =
            Retransmission::new(RetransmissionConfig::reliable(Duration::from_millis(39_500)), Instant::ZERO);
        assert_eq!(timer.poll_timeout(), Instant::from_millis(39_500));
        assert_eq!(timer.handle_timeout(Instant::from_millis(39_499)), Due::Nothing);
        assert_eq!(timer.handle_timeout(Instant::from_millis(39_500)), Due::Failed);
        assert_eq!(timer.sent(), 1);
    }

    #[test]
    fn within_sends_no_later_than_asked_and_waits_for_the_rest() {
        let (last, lifetime) = (Duration::from_secs(4), Duration::from_secs(30));
        let config = RetransmissionConfig::within(Duration::from_millis(500), last, lifetime);
        assert_eq!((config.rc, config.lifetime()), (4, lifetime));
        let slow = RetransmissionConfig::within(Duration::from_secs(7), last, lifetime);
        assert_eq!((slow.rc, slow.lifetime()), (1, Duration::from_secs(35)));
        let mut timer = Retransmission::new(slow, Instant::ZERO);
        assert_eq!(timer.handle_timeout(Instant::from_millis(34_999)), Due::Nothing);
        assert_eq!(timer.handle_timeout(Instant::from_millis(35_000)), Due::Failed);
    }
}
