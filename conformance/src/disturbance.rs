//! What happens to the machines below two endpoints, drawn at random.

use std::time::Duration;

use frazil::Instant;

use crate::draw::millis;
use frazil_internet::{Endpoint, HostId, Internet, Jump, Scheduled};

/// Disturbances in the order of their times. Those of one side do not overlap.
#[derive(Clone, Debug, Default)]
pub struct Disturbances(pub Vec<Disturbance>);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    /// Whose machine.
    pub side: usize,
    /// When, in virtual time.
    pub at: Duration,
    /// What happens.
    pub what: What,
}

/// What happens to a machine.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// Its clock jumps.
    Jump(Jump),
    /// It sleeps for a while.
    Sleep {
        /// For how long.
        lasts: Duration,
        /// Whether its clock sleeps too.
        clock_stops: bool,
    },
}

impl Disturbances {
    /// In one of three cases there are some, within 20 s, and most of them are no longer than `bearable`.
    pub fn random(rng: &mut fastrand::Rng, bearable: Duration) -> Self {
        let many = if rng.u8(..3) == 0 { rng.usize(1..4) } else { 0 };
        let one = |_| {
            let lasts = if rng.u8(..4) == 0 { millis(rng, 100_000) } else { millis(rng, bearable.as_millis() as u64) };
            let what = match rng.u8(..3) {
                0 => What::Jump(Jump::Forward(lasts)),
                1 => What::Jump(Jump::Backward(millis(rng, 100_000))),
                _ => What::Sleep { lasts, clock_stops: rng.bool() },
            };
            Disturbance { side: rng.usize(..2), at: millis(rng, 20_000), what }
        };
        let mut all: Vec<Disturbance> = (0..many).map(one).collect();
        all.sort_by_key(|disturbance| disturbance.at);
        let mut free_from = [Duration::ZERO; 2];
        all.retain(|disturbance| {
            let free = free_from[disturbance.side] <= disturbance.at;
            if free {
                free_from[disturbance.side] = disturbance.over();
            }
            free
        });
        Self(all)
    }

    /// Has them happen.
    pub fn schedule<E: Endpoint, A>(&self, network: &mut Internet<E, A>, hosts: [HostId; 2]) {
        for disturbance in &self.0 {
            let (host, at) = (hosts[disturbance.side], Instant::ZERO + disturbance.at);
            match disturbance.what {
                What::Jump(jump) => network.at(at, Scheduled::ClockJump(host, jump)),
                What::Sleep { lasts, clock_stops } => {
                    network.at(at, Scheduled::Suspend(host));
                    if clock_stops {
                        network.at(at + lasts, Scheduled::ClockJump(host, Jump::Backward(lasts)));
                    }
                    network.at(at + lasts, Scheduled::Resume(host));
                }
            }
        }
    }

    /// Whether both clocks run evenly and both machines stay awake.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the last one is over.
    #[must_use]
    pub fn over(&self) -> Duration {
        self.0.iter().map(Disturbance::over).max().unwrap_or_default()
    }

    /// How long a side's machine sleeps in sum.
    #[must_use]
    pub fn asleep(&self, side: usize) -> Duration {
        self.0.iter().filter(|disturbance| disturbance.side == side).map(Disturbance::asleep).sum()
    }

    /// How much time the two lose in sum, by their clocks or by that of the world.
    #[must_use]
    pub fn pauses(&self) -> Duration {
        let lost = |disturbance: &Disturbance| match disturbance.what {
            What::Jump(Jump::Forward(by)) => by,
            What::Jump(Jump::Backward(_)) => Duration::ZERO,
            What::Sleep { lasts, .. } => lasts,
        };
        self.0.iter().map(lost).sum()
    }

    /// How often a clock steps back. Each time the sleep that is under way can be for nothing: its end shows a time
    /// at which nothing is due.
    #[must_use]
    pub fn steps_back(&self) -> u32 {
        let back = |disturbance: &&Disturbance| {
            matches!(disturbance.what, What::Jump(Jump::Backward(_)) | What::Sleep { clock_stops: true, .. })
        };
        self.0.iter().filter(back).count() as u32
    }
}

impl Disturbance {
    fn asleep(&self) -> Duration {
        if let What::Sleep { lasts, .. } = self.what { lasts } else { Duration::ZERO }
    }

    fn over(&self) -> Duration {
        self.at + self.asleep()
    }
}
