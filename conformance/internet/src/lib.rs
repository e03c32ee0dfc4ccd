//! An internet in virtual time.
//!
//! Machines in address realms, routers with NATs and firewalls between the realms, links that delay and lose, STUN and
//! TURN servers; everything that can happen stands in one queue, and everything that is left to chance comes from one
//! seed, so that a run can be repeated bit for bit. On each host runs an [`Endpoint`], anything with the contract of
//! frazil's state machines, with a [`Clock`] of its own that can jump and a machine below it that can be suspended.
//!
//! The way of a packet, here from a host behind a home router to a server:
//!
//! ```text
//!   Endpoint ── Host ── socket                                             socket ── Server
//!                 │        │                                                  │
//!               Clock      │ Access.up                            Access.down │
//!                          ▼                                                  │
//!                     inner realm ─▶ Router ─────────────────────────▶ public realm
//!                   who has the      Firewall, Nat      Access.up      who has the
//!                   destination?     of its family                     destination?
//!
//!   Access, wire: Conditions each way (delay, jitter, loss, duplication, reordering, rate and queue, MTU); up or down
//! ```
//!
//! In each realm the destination is looked up once: the machine that has it, or the router that leads to it, gets the
//! packet down its access. What nobody has goes out by the realm's own router. Addresses inside a router that does not
//! translate are known outside of it. Besides, [`Internet::wire`] joins two addresses directly, outside of all realms.
//! A packet that does not arrive is counted under its reason ([`Internet::drops`]).
//!
//! TCP is there as far as it matters to whoever uses a stream: segments travel as datagrams do, are acknowledged and
//! sent again, open connections simultaneously, are refused and reset.
//!
//! A test makes the [`Internet`], schedules what is to happen ([`Scheduled`]), and calls [`Internet::next`] until the
//! time that it is interested in. What it does itself to an endpoint (the user's calls, what signalling brings) it does
//! through [`Internet::with`], when an alarm that it has set comes up.
//!
//! Left out: ICMP, fragments, congestion and flow control of TCP, routing other than by the tree of realms, names.

#![forbid(unsafe_code)]

mod clock;
mod drops;
mod endpoint;
mod fabric;
mod frames;
mod host;
mod ice;
mod internet;
mod link;
mod nat;
mod nonces;
mod other_address;
mod packet;
mod queue;
mod router;
mod server;
mod streams;
mod tcp;
mod translator;

pub use clock::{Clock, Jump};
pub use drops::{Dropped, Drops};
pub use endpoint::{Endpoint, StreamInput, StreamRequest};
pub use fabric::RealmId;
pub use host::Counters;
pub use ice::{IceEndpoint, IceEvent, are_mirror_images};
pub use internet::{HostId, InterfaceId, Internet, LinkId, RouterId, Scheduled, Sent, ServerId, Step};
pub use link::{Access, Conditions, PerMille, Reorder};
pub use nat::{Dependence, Hairpinning, Nat, Pooling, PortAssignment, Refusal, TcpNat};
pub use router::{Family, Firewall, RouterConfig, Tcp, Udp, WELL_KNOWN_PREFIX, synthesise};
pub use server::TurnServer;

/// Whether a datagram is STUN, by its first byte (RFC 7983).
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|&first| first < 4)
}

#[cfg(test)]
mod tests;
