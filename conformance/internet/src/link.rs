//! What a packet crosses, and what that does to it.

use std::time::Duration;

use frazil::Instant;

use crate::drops::Dropped;

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

/// What one direction of a link does to packets. By default nothing at all: they are there at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conditions {
    /// How long each packet is under way at least.
    pub delay: Duration,
    /// How much longer it may be, evenly spread. Larger than the gap between two packets, it brings them out of order.
    pub jitter: Duration,
    /// How many are lost, each on its own.
    pub loss: PerMille,
    /// How many arrive twice, each copy with a jitter of its own.
    pub duplication: PerMille,
    /// How many are overtaken by later ones.
    pub reorder: Reorder,
    /// How many bits go through in a second; without one there is no limit.
    pub rate: Option<u64>,
    /// How many bytes may wait to go through, where there is a rate; packets that find no room are dropped.
    pub queue: u32,
    /// The largest packet with its IP header in bytes; larger ones are dropped, as if none may be fragmented.
    pub mtu: Option<u16>,
}

/// Packets that are held up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reorder {
    /// How many.
    pub chance: PerMille,
    /// For how long.
    pub extra_delay: Duration,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: PerMille::NEVER,
            duplication: PerMille::NEVER,
            reorder: Reorder::default(),
            rate: None,
            queue: 64 * 1024,
            mtu: None,
        }
    }
}

impl Conditions {
    /// Nothing but a delay.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    fn one_delay(&self, rng: &mut fastrand::Rng) -> Duration {
        let mut delay = self.delay;
        if !self.jitter.is_zero() {
            delay += self.jitter.mul_f64(rng.f64());
        }
        if self.reorder.chance.happens(rng) {
            delay += self.reorder.extra_delay;
        }
        delay
    }
}

/// The link between a machine and the realm that it is attached to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// From the machine into the realm.
    pub up: Conditions,
    /// From the realm to the machine.
    pub down: Conditions,
}

impl Access {
    /// The same both ways.
    #[must_use]
    pub fn symmetric(conditions: Conditions) -> Self {
        Self { up: conditions, down: conditions }
    }

    /// Nothing but a delay, the same both ways.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self::symmetric(Conditions::delay(delay))
    }
}

/// A direction of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// From a wire's first end to its second; up an access.
    There,
    /// The other way.
    Back,
}

pub(crate) struct Link {
    pub(crate) up: bool,
    there: Lane,
    back: Lane,
}

struct Lane {
    conditions: Conditions,
    /// When the last byte that waits has gone through, where there is a rate.
    free: Instant,
}

impl Link {
    pub(crate) fn new(there: Conditions, back: Conditions) -> Self {
        let [there, back] = [there, back].map(|conditions| Lane { conditions, free: Instant::ZERO });
        Self { up: true, there, back }
    }

    pub(crate) fn calm(&mut self) {
        for Lane { conditions, .. } in [&mut self.there, &mut self.back] {
            conditions.duplication = PerMille::NEVER;
            conditions.reorder.chance = PerMille::NEVER;
            if conditions.loss < PerMille::ALWAYS {
                conditions.loss = PerMille::NEVER;
            }
        }
    }

    pub(crate) fn change(&mut self, there: Conditions, back: Conditions) {
        (self.there.conditions, self.back.conditions) = (there, back);
    }

    /// How long a packet of `size` bytes is under way, and its copy if it gets one.
    pub(crate) fn carry(
        &mut self,
        direction: Direction,
        size: usize,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Result<(Duration, Option<Duration>), Dropped> {
        let lane = if direction == Direction::There { &mut self.there } else { &mut self.back };
        if !self.up {
            return Err(Dropped::Down);
        }
        if lane.conditions.mtu.is_some_and(|mtu| size > usize::from(mtu)) {
            return Err(Dropped::TooBig);
        }
        let waits = lane.wait(size, now)?;
        if lane.conditions.loss.happens(rng) {
            return Err(Dropped::Loss);
        }
        let first = waits + lane.conditions.one_delay(rng);
        let copy = lane.conditions.duplication.happens(rng).then(|| waits + lane.conditions.one_delay(rng));
        Ok((first, copy))
    }
}

impl Lane {
    /// How long it takes until a packet has gone through a limited rate.
    fn wait(&mut self, size: usize, now: Instant) -> Result<Duration, Dropped> {
        let Some(rate) = self.conditions.rate else { return Ok(Duration::ZERO) };
        let takes = |bytes: u64| Duration::from_nanos(bytes.saturating_mul(8_000_000_000) / rate.max(1));
        let ahead = self.free.saturating_duration_since(now);
        // The packet that is going through right now does not wait any more, so an empty queue takes one of any size.
        if !ahead.is_zero() && ahead + takes(size as u64) > takes(u64::from(self.conditions.queue)) {
            return Err(Dropped::QueueFull);
        }
        self.free = now + ahead + takes(size as u64);
        Ok(self.free - now)
    }
}
