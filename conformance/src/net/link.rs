//! What joins two addresses, and what it does to a datagram.

use std::net::IpAddr;
use std::time::Duration;

/// How often something happens, in a thousand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct PerMille(pub u16);

impl PerMille {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1000);

    fn happens(self, rng: &mut fastrand::Rng) -> bool {
        // Nothing is drawn for what never happens.
        self.0 > 0 && rng.u16(..1000) < self.0
    }
}

/// What one direction of a link does to datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// How long each datagram is under way at least.
    pub delay: Duration,
    /// How much longer it may be, evenly spread: what brings datagrams out of order.
    pub jitter: Duration,
    /// How many are lost, each on its own.
    pub loss: PerMille,
    /// How many arrive twice, each copy with a jitter of its own.
    pub duplication: PerMille,
}

impl Conditions {
    fn one_delay(self, rng: &mut fastrand::Rng) -> Duration {
        if self.jitter.is_zero() {
            return self.delay;
        }
        self.delay + self.jitter.mul_f64(rng.f64())
    }
}

pub(super) struct Link {
    pub(super) up: bool,
    /// The end that `there` leads away from.
    a: IpAddr,
    there: Conditions,
    back: Conditions,
}

impl Link {
    pub(super) fn new(a: IpAddr, there: Conditions, back: Conditions) -> Self {
        Self { up: true, a, there, back }
    }

    pub(super) fn calm(&mut self) {
        for direction in [&mut self.there, &mut self.back] {
            direction.duplication = PerMille::NEVER;
            if direction.loss < PerMille::ALWAYS {
                direction.loss = PerMille::NEVER;
            }
        }
    }

    /// How long the copies of a datagram that leaves `from` are under way; none if it is lost.
    pub(super) fn carry(&self, from: IpAddr, rng: &mut fastrand::Rng) -> [Option<Duration>; 2] {
        let conditions = if from == self.a { self.there } else { self.back };
        if !self.up || conditions.loss.happens(rng) {
            return [None, None];
        }
        let first = conditions.one_delay(rng);
        let copy = conditions.duplication.happens(rng).then(|| conditions.one_delay(rng));
        [Some(first), copy]
    }
}
