//! Permissions and channels (RFC 8656 sections 9, 10 and 12).

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::frames::CHANNELS;
use super::request::Purpose;
use crate::Instant;

/// More peers than this are not sent to at a time.
const MAX_PEERS: usize = 256;

/// RFC 8656 section 9.
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// A minute is left for the renewal.
const PERMISSION_RENEWAL: Duration = Duration::from_secs(240);
/// After how long a peer that was refused may be asked for again.
const PERMISSION_REFUSAL: Duration = Duration::from_secs(60);
/// RFC 8656 section 12.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// A minute is left for the renewal.
const CHANNEL_RENEWAL: Duration = Duration::from_secs(540);
/// For so long after its end a channel must not be bound to another peer, nor the peer to another channel.
const CHANNEL_REST: Duration = Duration::from_secs(300);

/// What the server was asked to let through, and what it lets through.
#[derive(Debug)]
pub(super) struct Peers {
    permissions: BTreeMap<IpAddr, Permission>,
    contacts: BTreeMap<SocketAddr, Contact>,
    /// Peers by their channels' numbers.
    channels: BTreeMap<u16, SocketAddr>,
    next_number: u16,
    latest: Option<Latest>,
    /// Something was used late in its life, and is to be prolonged now.
    is_due: bool,
}

#[derive(Debug)]
struct Permission {
    state: PermissionState,
    /// When data last went to or came from the peer, or a permission was asked for.
    used_at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PermissionState {
    /// The server was asked.
    Asked,
    /// There is one.
    Granted { since: Instant },
    /// There is one, and the server was asked to prolong it.
    Renewing { since: Instant },
    /// The server has refused.
    Refused { at: Instant },
}

/// The channel that was used last. That it is in use, and its permission too, has been noted since they were last
/// prolonged, so that to use it again changes nothing: until one of them is to be prolonged, or an answer comes.
#[derive(Clone, Copy, Debug)]
struct Latest {
    number: u16,
    peer: SocketAddr,
    until: Instant,
}

/// A peer that was sent to.
#[derive(Debug)]
struct Contact {
    /// Datagrams sent without a channel.
    sent: u32,
    channel: Option<Channel>,
}

#[derive(Debug)]
struct Channel {
    number: u16,
    state: ChannelState,
    used_at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ChannelState {
    /// The server was asked.
    Asked,
    /// It is bound.
    Bound { since: Instant },
    /// It is bound, and the server was asked to prolong it.
    Renewing { since: Instant },
    /// It is not bound any more, or perhaps; nobody else may have the number before this.
    Resting { until: Instant },
    /// The server has refused, and is not asked again before this.
    Refused { until: Instant },
}

/// Whether data may go to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// On this channel.
    Channel(u16),
    /// By a Send indication.
    Indication,
    /// The server has not answered yet.
    Waiting,
    /// Nobody has asked the server yet.
    Unknown,
    /// The server has refused.
    Refused,
    /// There are too many peers.
    Full,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self {
            permissions: BTreeMap::new(),
            contacts: BTreeMap::new(),
            channels: BTreeMap::new(),
            next_number: *CHANNELS.start(),
            latest: None,
            is_due: false,
        }
    }

    /// The way to this peer.
    pub(super) fn way_to(&self, peer: SocketAddr, now: Instant) -> Way {
        if let Some(latest) = self.latest(|latest| latest.peer == peer, now) {
            return Way::Channel(latest.number);
        }
        let permitted = self.permission_way(peer.ip(), now);
        let channel = self.contacts.get(&peer).and_then(|contact| contact.channel.as_ref());
        match channel {
            Some(channel) if permitted == Way::Indication && channel.state.is_bound(now) => {
                Way::Channel(channel.number)
            }
            _ => permitted,
        }
    }

    /// The way to this peer; notes that it is used.
    pub(super) fn use_way_to(&mut self, peer: SocketAddr, now: Instant) -> Way {
        if let Some(latest) = self.latest(|latest| latest.peer == peer, now) {
            return Way::Channel(latest.number);
        }
        match self.permit(peer.ip(), now) {
            Way::Indication => {}
            other => return other,
        }
        let room = self.contacts.len() < MAX_PEERS;
        let Some(contact) = self.contacts.get_mut(&peer) else {
            if room {
                self.contacts.insert(peer, Contact { sent: 0, channel: None });
            }
            return Way::Indication;
        };
        match &mut contact.channel {
            Some(channel) if channel.state.is_bound(now) => {
                channel.used_at = now;
                self.is_due |= channel.state.is_late(now);
                let number = channel.number;
                self.remember(number, peer);
                Way::Channel(number)
            }
            _ => Way::Indication,
        }
    }

    fn latest(&self, is_it: impl FnOnce(&Latest) -> bool, now: Instant) -> Option<&Latest> {
        self.latest.as_ref().filter(|latest| is_it(latest) && now < latest.until)
    }

    /// This channel was used just now, and so was its permission.
    fn remember(&mut self, number: u16, peer: SocketAddr) {
        let permission = self.permissions.get(&peer.ip()).map(|permission| permission.state);
        let channel =
            self.contacts.get(&peer).and_then(|contact| contact.channel.as_ref()).map(|channel| channel.state);
        self.latest = match (permission, channel) {
            (Some(PermissionState::Granted { since: permitted }), Some(ChannelState::Bound { since: bound })) => {
                let until = (permitted + PERMISSION_RENEWAL).min(bound + CHANNEL_RENEWAL);
                Some(Latest { number, peer, until })
            }
            _ => None,
        };
    }

    /// Whether a bound channel leads to this peer.
    pub(super) fn has_channel(&self, peer: SocketAddr, now: Instant) -> bool {
        let channel = self.contacts.get(&peer).and_then(|contact| contact.channel.as_ref());
        channel.is_some_and(|channel| channel.state.is_bound(now))
    }

    /// Whether a peer is permitted, by an indication at least; notes that it is used.
    pub(super) fn permit(&mut self, peer: IpAddr, now: Instant) -> Way {
        let Some(permission) = self.permissions.get_mut(&peer) else { return self.permission_way(peer, now) };
        permission.used_at = now;
        self.is_due |= permission.state.is_late(now);
        permission.state.way(now)
    }

    fn permission_way(&self, peer: IpAddr, now: Instant) -> Way {
        match self.permissions.get(&peer) {
            Some(permission) => permission.state.way(now),
            None if self.permissions.len() < MAX_PEERS => Way::Unknown,
            None => Way::Full,
        }
    }

    /// Notes that the server was asked to permit a peer.
    pub(super) fn permission_asked(&mut self, peer: IpAddr, now: Instant) {
        self.latest = None;
        let permission =
            self.permissions.entry(peer).or_insert(Permission { state: PermissionState::Asked, used_at: now });
        permission.state = match permission.state {
            PermissionState::Granted { since } if now < since + PERMISSION_LIFETIME => {
                PermissionState::Renewing { since }
            }
            _ => PermissionState::Asked,
        };
    }

    /// The server permits the peer. Says whether that is news.
    pub(super) fn permission_granted(&mut self, peer: IpAddr, now: Instant) -> bool {
        self.latest = None;
        let state = PermissionState::Granted { since: now };
        match self.permissions.get_mut(&peer) {
            Some(permission) => {
                let before = core::mem::replace(&mut permission.state, state);
                matches!(before, PermissionState::Asked | PermissionState::Refused { .. })
            }
            None => {
                self.permissions.insert(peer, Permission { state, used_at: now });
                true
            }
        }
    }

    /// The server does not permit the peer.
    pub(super) fn permission_refused(&mut self, peer: IpAddr, now: Instant) {
        self.latest = None;
        if let Some(permission) = self.permissions.get_mut(&peer) {
            permission.state = PermissionState::Refused { at: now };
        }
    }

    /// The server has not answered, or does not know us any more: asked anew when somebody wants to send.
    pub(super) fn permission_unanswered(&mut self, peer: IpAddr) {
        self.latest = None;
        self.permissions.remove(&peer);
    }

    /// Counts a datagram that goes to a peer without a channel, and gives the request to bind one if `after` have gone.
    pub(super) fn count(&mut self, peer: SocketAddr, after: u32, now: Instant) -> Option<Purpose> {
        let contact = self.contacts.get_mut(&peer)?;
        contact.sent = contact.sent.saturating_add(1);
        if contact.sent <= after {
            return None;
        }
        match &mut contact.channel {
            Some(channel) => {
                let may_ask = match channel.state {
                    ChannelState::Bound { since } => now >= since + CHANNEL_LIFETIME,
                    ChannelState::Resting { .. } => true,
                    ChannelState::Refused { until } => now >= until,
                    ChannelState::Asked | ChannelState::Renewing { .. } => false,
                };
                may_ask.then(|| {
                    channel.state = ChannelState::Asked;
                    channel.used_at = now;
                    Purpose::Bind(channel.number, peer)
                })
            }
            None => {
                let number = free_number(&self.channels, &mut self.next_number)?;
                contact.channel = Some(Channel { number, state: ChannelState::Asked, used_at: now });
                self.channels.insert(number, peer);
                Some(Purpose::Bind(number, peer))
            }
        }
    }

    /// The channel is bound. Says whether that is news. It permits the peer too (RFC 8656 section 12.2).
    pub(super) fn channel_bound(&mut self, peer: SocketAddr, now: Instant) -> bool {
        self.permission_granted(peer.ip(), now);
        let Some(channel) = self.channel_mut(peer) else { return false };
        let before = core::mem::replace(&mut channel.state, ChannelState::Bound { since: now });
        before == ChannelState::Asked
    }

    /// The server does not bind the channel.
    pub(super) fn channel_refused(&mut self, peer: SocketAddr, now: Instant) {
        if let Some(channel) = self.channel_mut(peer) {
            channel.state = ChannelState::Refused { until: now + CHANNEL_LIFETIME };
        }
    }

    /// Nobody knows whether the channel is bound.
    pub(super) fn channel_unanswered(&mut self, peer: SocketAddr, now: Instant) {
        if let Some(channel) = self.channel_mut(peer) {
            channel.state = ChannelState::Resting { until: now + CHANNEL_LIFETIME + CHANNEL_REST };
        }
    }

    /// For a change of its state.
    fn channel_mut(&mut self, peer: SocketAddr) -> Option<&mut Channel> {
        self.latest = None;
        self.contacts.get_mut(&peer)?.channel.as_mut()
    }

    /// From whom data on this channel comes; notes that it is used.
    pub(super) fn peer_on(&mut self, number: u16, now: Instant) -> Option<SocketAddr> {
        if let Some(latest) = self.latest(|latest| latest.number == number, now) {
            return Some(latest.peer);
        }
        let peer = *self.channels.get(&number)?;
        let channel = self.channel_mut(peer)?;
        // The server may have bound it already, and its answer be late.
        if channel.state != ChannelState::Asked && !channel.state.is_bound(now) {
            return None;
        }
        channel.used_at = now;
        let is_late = channel.state.is_late(now);
        self.is_due |= is_late;
        self.permit(peer.ip(), now);
        self.remember(number, peer);
        Some(peer)
    }

    /// Whether data may come from this peer; notes that it is used.
    pub(super) fn is_permitted(&mut self, peer: IpAddr, now: Instant) -> bool {
        // The server may have granted what it was asked for already, and its answer be late.
        self.permissions.contains_key(&peer) && matches!(self.permit(peer, now), Way::Indication | Way::Waiting)
    }

    /// Whether [`Peers::due`] has a request to give at once, if requests may be made.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Forgets what is over, and gives one request that is due, if requests may be made.
    pub(super) fn due(&mut self, may_ask: bool, now: Instant) -> Option<Purpose> {
        self.latest = None;
        self.permissions.retain(|_, permission| match permission.state {
            PermissionState::Granted { since } => now < since + PERMISSION_LIFETIME,
            PermissionState::Refused { at } => now < at + PERMISSION_REFUSAL,
            _ => true,
        });
        let (permissions, channels) = (&self.permissions, &mut self.channels);
        self.contacts.retain(|peer, contact| {
            if let Some(channel) = &mut contact.channel {
                if let ChannelState::Bound { since } = channel.state
                    && now >= since + CHANNEL_LIFETIME
                {
                    channel.state = ChannelState::Resting { until: since + CHANNEL_LIFETIME + CHANNEL_REST };
                }
                if let ChannelState::Resting { until } | ChannelState::Refused { until } = channel.state
                    && now >= until
                {
                    channels.remove(&channel.number);
                    contact.channel = None;
                    contact.sent = 0;
                }
            }
            contact.channel.is_some() || permissions.contains_key(&peer.ip())
        });
        if !may_ask {
            return None;
        }
        for (&peer, permission) in &mut self.permissions {
            if let PermissionState::Granted { since } = permission.state
                && now >= since + PERMISSION_RENEWAL
                && permission.used_at >= since
            {
                permission.state = PermissionState::Renewing { since };
                return Some(Purpose::Permit(peer));
            }
        }
        for (&peer, contact) in &mut self.contacts {
            if let Some(channel) = &mut contact.channel
                && let ChannelState::Bound { since } = channel.state
                && now >= since + CHANNEL_RENEWAL
                && channel.used_at >= since
            {
                channel.state = ChannelState::Renewing { since };
                return Some(Purpose::Bind(channel.number, peer));
            }
        }
        self.is_due = false;
        None
    }

    /// When [`Peers::due`] has something to do or to give.
    pub(super) fn poll_timeout(&self, may_ask: bool, now: Instant) -> Option<Instant> {
        let of = |since: Instant, renewal: Duration, lifetime: Duration| {
            if may_ask && now < since + renewal { since + renewal } else { since + lifetime }
        };
        let permissions = self.permissions.values().filter_map(|permission| match permission.state {
            PermissionState::Granted { since } => Some(of(since, PERMISSION_RENEWAL, PERMISSION_LIFETIME)),
            PermissionState::Refused { at } => Some(at + PERMISSION_REFUSAL),
            _ => None,
        });
        let channels = self.contacts.values().filter_map(|contact| match contact.channel.as_ref()?.state {
            ChannelState::Bound { since } => Some(of(since, CHANNEL_RENEWAL, CHANNEL_LIFETIME)),
            ChannelState::Resting { until } | ChannelState::Refused { until } => Some(until),
            _ => None,
        });
        permissions.chain(channels).min()
    }
}

impl PermissionState {
    fn way(self, now: Instant) -> Way {
        match self {
            Self::Asked => Way::Waiting,
            Self::Granted { since } if now < since + PERMISSION_LIFETIME => Way::Indication,
            Self::Granted { .. } => Way::Unknown,
            Self::Renewing { since } if now < since + PERMISSION_LIFETIME => Way::Indication,
            Self::Renewing { .. } => Way::Waiting,
            Self::Refused { at } if now < at + PERMISSION_REFUSAL => Way::Refused,
            Self::Refused { .. } => Way::Unknown,
        }
    }

    /// Whether it is to be prolonged if it is used.
    fn is_late(self, now: Instant) -> bool {
        matches!(self, Self::Granted { since } if (since + PERMISSION_RENEWAL..since + PERMISSION_LIFETIME).contains(&now))
    }
}

impl ChannelState {
    fn is_bound(self, now: Instant) -> bool {
        match self {
            Self::Bound { since } | Self::Renewing { since } => now < since + CHANNEL_LIFETIME,
            _ => false,
        }
    }

    /// Whether it is to be prolonged if it is used.
    fn is_late(self, now: Instant) -> bool {
        matches!(self, Self::Bound { since } if now >= since + CHANNEL_RENEWAL)
    }
}

/// A channel number that nobody has. They are used in turn.
fn free_number(taken: &BTreeMap<u16, SocketAddr>, next: &mut u16) -> Option<u16> {
    for _ in CHANNELS {
        let number = *next;
        *next = if number == *CHANNELS.end() { *CHANNELS.start() } else { number + 1 };
        if !taken.contains_key(&number) {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// To remember the channel that was used last is a short cut and nothing else: who forgets it says the same.
    #[test]
    fn what_is_remembered_changes_nothing() {
        let peers = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "[2001:db8::1]:1"];
        let peers: [SocketAddr; 4] = peers.map(|peer| peer.parse().unwrap());
        let mut shortened = 0;
        for seed in 0..100 {
            let mut rng = Rng::new([seed; 32]);
            let mut now = Instant::from_millis(1000);
            let (mut quick, mut slow) = (Peers::new(), Peers::new());
            for _ in 0..2_000 {
                let pause = rng.below(18);
                now += Duration::from_millis(rng.below(1 << pause).into());
                // The first ones most of the time.
                let peer = peers[(rng.below(4) & rng.below(4)) as usize];
                let number = CHANNELS.start() + rng.below(4) as u16;
                let (what, is_rare) = (rng.below(40), rng.below(4) == 0);
                shortened += u32::from(quick.latest(|_| true, now).is_some());
                let step = |peers: &mut Peers| match what {
                    0..=11 => format!("{:?}", peers.use_way_to(peer, now)),
                    12..=20 => format!("{:?}", peers.peer_on(number, now)),
                    21..=23 => format!("{:?}", peers.way_to(peer, now)),
                    24..=25 => format!("{:?}", peers.permit(peer.ip(), now)),
                    26 => format!("{:?}", peers.is_permitted(peer.ip(), now)),
                    27 => format!("{:?}", peers.permission_asked(peer.ip(), now)),
                    28..=30 => format!("{:?}", peers.permission_granted(peer.ip(), now)),
                    31 if is_rare => format!("{:?}", peers.permission_refused(peer.ip(), now)),
                    32 if is_rare => format!("{:?}", peers.permission_unanswered(peer.ip())),
                    33 => format!("{:?}", peers.count(peer, 0, now)),
                    34..=35 => format!("{:?}", peers.channel_bound(peer, now)),
                    36 if is_rare => format!("{:?}", peers.channel_refused(peer, now)),
                    37 if is_rare => format!("{:?}", peers.channel_unanswered(peer, now)),
                    _ => format!("{:?}", peers.due(true, now)),
                };
                slow.latest = None;
                assert_eq!(step(&mut quick), step(&mut slow), "{what} of seed {seed}");
                assert_eq!(quick.is_due(), slow.is_due(), "{what} of seed {seed}");
                assert_eq!(quick.poll_timeout(true, now), slow.poll_timeout(true, now), "{what} of seed {seed}");
            }
        }
        assert!(shortened > 1000, "it is hardly ever of use: {shortened}");
    }
}
