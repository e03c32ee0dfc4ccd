//! Offer and answer (RFC 9429) for one data section.
//!
//! [`Negotiation`] is the state machine behind W3C's `createOffer`, `setLocalDescription` and their kin.
//! It holds no ICE agent and no DTLS association: it is given what they say about themselves
//! ([`LocalParameters`], [`LocalIce`]), and each description that is set gives an [`Applied`], the list of
//! what the holder has to do with them. A call that is refused changes nothing.
//!
//! How one side uses it, `agent` being its ICE agent:
//!
//! - Offer: `want_data`, `create_offer(agent's ice)`, `set_local(offer)`; the offer and the candidates that
//!   `announce` gives go to the other side. Its answer goes to `set_remote`, whose [`Applied`] has `ice`
//!   (start the agent) and [`Data::Accepted`] (start DTLS and SCTP).
//! - Answer: `set_remote(offer)`, `create_answer(agent's ice)`, `set_local(answer)`, whose [`Applied`] has
//!   the same.
//! - Restart: `restart_ice`, then offer as above. Before every `create_…`, ask `fresh_credentials_wanted`:
//!   if so, pass credentials that were never used and keep the agent on its old ones until an [`Applied`]
//!   has `ice` with `restart`. If the offer is rolled back, it stays as it is.
//! - Glare (W3C "perfect negotiation"): the polite side calls `set_remote(offer)` while its own offer is
//!   out. That takes its offer back; [`Applied::rolled_back`] says so.
//! - [`Data::Rejected`]: there is no data section; what had been running over it ends.

mod applied;
mod description;
mod error;
mod local;
mod negotiation;
mod remote;
#[cfg(test)]
mod tests;
mod trickle;

pub use applied::{Applied, Data, DtlsRole, IceStart, Rejection, Transport};
pub use description::{Description, DescriptionKind, SignalingState, UnknownKind};
pub use error::{Error, Operation, SectionField, SectionProblem};
pub use local::{LocalIce, LocalParameters};
pub use negotiation::Negotiation;
pub use trickle::{MAX_REMOTE_CANDIDATES, RemoteCandidate, TrickledCandidate};
