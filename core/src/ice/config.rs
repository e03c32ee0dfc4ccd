//! What an agent is told when it is made.

use core::time::Duration;

use super::Pace;
use crate::stun::RetransmissionConfig;

/// Which agent decides on the pair (RFC 8445 section 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Nominates.
    Controlling,
    /// Follows.
    Controlled,
}

impl Role {
    /// The other role.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

/// Which candidates may be used: W3C's `RTCIceTransportPolicy`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TransportPolicy {
    /// All.
    #[default]
    All,
    /// Relayed ones only: the other side learns no address of ours, and sends nothing to one.
    Relay,
}

/// How an agent works. The defaults are those of the RFCs where they name any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Ta: the least time between two checks (RFC 8445 section 14.2, which allows no less than 5 ms). The other side may
    /// make it longer, and one that announces nothing makes it 50 ms (`Agent::set_remote_pacing`). 20 ms: with it ten
    /// candidates a side of which only the relays get through have a path after 140 ms, with 50 ms after 290; less saves
    /// little more and doubles the checks (`docs/ice.md`).
    pub pacing: Duration,
    /// Whether the agent keeps this pace alone or together with others. Alone.
    pub pace: Pace,
    /// How a check is repeated; its RTO grows with the number of pairs (RFC 8445 section 14.3).
    pub retransmission: RetransmissionConfig,
    /// Which candidates may be used. All.
    pub transport_policy: TransportPolicy,
    /// How long a STUN or TURN server may take to give us a candidate. Gathering is complete after this at the latest, if
    /// no base comes in addition. 10 s.
    pub gathering_patience: Duration,
    /// How many pairs are on the check list at the most (RFC 8445 section 6.1.2.5). 100.
    pub max_pairs: usize,
    /// How many candidates of the other side are kept, peer-reflexive ones included. 64.
    pub max_remote_candidates: usize,
    /// How long the controlling agent waits for a better pair after the first success, while the best pair
    /// so far already carries traffic. 500 ms.
    pub nomination_patience: Duration,
    /// How long an agent waits at least before it reports failure (RFC 8863 section 4). 39.5 s.
    pub patience: Duration,
    /// The mean time between two consent checks; each is drawn from 0.8 to 1.2 of it (RFC 7675
    /// section 5.1). 5 s.
    pub consent_interval: Duration,
    /// How long an answer allows us to send (RFC 7675 section 5.1). 30 s.
    pub consent_lifetime: Duration,
    /// How long the selected path may be silent before it is called disconnected. Each side sends a check
    /// every 4 to 6 s, so that one lost datagram does not show. 7 s.
    pub silence: Duration,
    /// Whether application datagrams count as signs of life, and the path in use is doubted, and others asked, as soon as
    /// they break off; otherwise only checks and their answers count. It saves seconds when a path dies. It also makes what
    /// ICE sends and says depend on when application datagrams come and go, which matters to who replays a session
    /// without them. True.
    pub watch_traffic: bool,
    /// Only answer checks and send none (RFC 8445 section 2.5): for a server with a public address. The other side
    /// must be told.
    pub lite: bool,
    /// How many valid pairs beside the one in use are kept ready, so that there is one to go to when that dies. If
    /// none of them is on another interface, pairs that are get tried, one a second. 1.
    pub backups: usize,
    /// The time between two checks of such a pair. Less than `consent_lifetime`, as consent to use it must not
    /// expire, and than the shortest life of a NAT mapping that is worth holding open. 10 s.
    pub backup_interval: Duration,
    /// The least time between two moves to a pair that is better while the one in use works; it doubles with each
    /// move that comes soon after another, up to five minutes. 5 s.
    pub renomination_interval: Duration,
}

impl Config {
    /// With times that an agent can live by: none so short that it would never rest, or so long that no sum holds it.
    /// Ta is 5 ms at least (RFC 8445 section 14.2).
    pub(super) fn bounded(mut self) -> Self {
        const MILLISECOND: Duration = Duration::from_millis(1);
        const SECOND: Duration = Duration::from_secs(1);
        const DAY: Duration = Duration::from_secs(86_400);
        let times = [
            (&mut self.pacing, MILLISECOND * 5),
            (&mut self.gathering_patience, MILLISECOND * 100),
            (&mut self.nomination_patience, Duration::ZERO),
            (&mut self.patience, Duration::ZERO),
            (&mut self.consent_interval, MILLISECOND * 100),
            (&mut self.consent_lifetime, SECOND),
            (&mut self.silence, MILLISECOND * 100),
            (&mut self.backup_interval, MILLISECOND * 100),
            (&mut self.renomination_interval, MILLISECOND * 100),
        ];
        for (time, least) in times {
            *time = (*time).clamp(least, DAY);
        }
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        let retransmission = RetransmissionConfig::default();
        Self {
            pacing: Duration::from_millis(20),
            pace: Pace::default(),
            retransmission,
            transport_policy: TransportPolicy::All,
            gathering_patience: Duration::from_secs(10),
            max_pairs: 100,
            max_remote_candidates: 64,
            nomination_patience: Duration::from_millis(500),
            patience: retransmission.lifetime(),
            consent_interval: Duration::from_secs(5),
            consent_lifetime: Duration::from_secs(30),
            silence: Duration::from_secs(7),
            watch_traffic: true,
            lite: false,
            backups: 1,
            backup_interval: Duration::from_secs(10),
            renomination_interval: Duration::from_secs(5),
        }
    }
}
