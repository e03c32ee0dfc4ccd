//! Packets that did not arrive, by the reason.

/// Why a packet was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Dropped {
    /// Nobody has its destination, or nothing leads there from its source.
    NoRoute,
    /// A NAT or a stateful firewall does not let it in, or a NAT does not send it back inside.
    Filtered,
    /// A firewall lets nothing of its kind through.
    Blocked,
    /// A NAT has no port left for it.
    NoPort,
    /// It found no room before a link of limited rate.
    QueueFull,
    /// It is larger than the link's MTU.
    TooBig,
    /// By chance.
    Loss,
    /// The link or the machine at its end was down.
    Down,
    /// No socket is bound to its destination.
    NoSocket,
}

impl Dropped {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::NoRoute,
        Self::Filtered,
        Self::Blocked,
        Self::NoPort,
        Self::QueueFull,
        Self::TooBig,
        Self::Loss,
        Self::Down,
        Self::NoSocket,
    ];
}

/// How many packets were dropped for each reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drops([u64; Dropped::ALL.len()]);

impl Drops {
    /// How many for one reason.
    #[must_use]
    pub fn of(&self, reason: Dropped) -> u64 {
        self.0[reason as usize]
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons for which there were some, with how many.
    pub fn iter(&self) -> impl Iterator<Item = (Dropped, u64)> + '_ {
        Dropped::ALL.into_iter().map(|reason| (reason, self.of(reason))).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn count(&mut self, reason: Dropped) {
        self.0[reason as usize] += 1;
    }
}
