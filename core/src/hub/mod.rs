//! Many agents in one process share one pace (RFC 8445 section 14.2).
//!
//! A single agent keeps its own pace. A thousand of them that start together would still send a thousand
//! checks at once. [`Pacer`] says whose turn it is: an agent whose [`Config::pace`](crate::ice::Config::pace) is
//! [`Pace::Granted`](crate::ice::Pace::Granted) sends no new check by its own clock. Its holder passes on what
//! it [wants](crate::ice::Agent::wants_check), and gives it each
//! [grant](crate::ice::Agent::grant_check).
//!
//! ```
//! use frazil::Instant;
//! use frazil::hub::{MemberId, Pacer};
//! use frazil::ice::Agent;
//!
//! /// Sends the checks that are due, and gives when to come again.
//! fn pace(pacer: &mut Pacer, agents: &mut [(MemberId, Agent)], now: Instant) -> Option<Instant> {
//!     for (member, agent) in agents.iter() {
//!         // A driver of many tells of those only that it has just called.
//!         pacer.set_demand(*member, agent.wants_check(), now);
//!     }
//!     pacer.handle_timeout(now);
//!     while let Some(granted) = pacer.poll_grant() {
//!         let Some((_, agent)) = agents.iter_mut().find(|(member, _)| *member == granted) else { continue };
//!         if !agent.grant_check(now) {
//!             pacer.return_grant(granted);
//!         }
//!         // Here the driver drains the agent.
//!         pacer.set_demand(granted, agent.wants_check(), now);
//!     }
//!     pacer.poll_timeout()
//! }
//! # let now = Instant::ZERO;
//! # let mut config = frazil::ice::Config::default();
//! # config.pace = frazil::ice::Pace::Granted;
//! # let mut pacer = Pacer::new(Pacer::LEAST_PACING, now);
//! # let agent = Agent::new(config, frazil::ice::Role::Controlling, [1; 32], now);
//! # let mut agents = [(pacer.join(), agent)];
//! # let (_, agent) = &mut agents[0];
//! # let local = frazil::ice::LocalCandidate::host(frazil::Protocol::Udp, ([192, 0, 2, 1], 1).into(), 1);
//! # agent.add_local_candidate(local, now).unwrap();
//! # let remote = frazil::ice::LocalCandidate::host(frazil::Protocol::Udp, ([192, 0, 2, 2], 1).into(), 1);
//! # agent.add_remote_candidate(remote.candidate, now).unwrap();
//! # let credentials = agent.draw_credentials();
//! # agent.set_remote_credentials(credentials, now);
//! # pace(&mut pacer, &mut agents, now);
//! # let sent = agents[0].1.poll_transmit(&mut [0; Agent::MIN_BUFFER]);
//! # assert!(sent.is_some(), "the check that was granted");
//! ```

mod pacer;
#[cfg(test)]
mod tests;

pub use pacer::{MemberId, Pacer};
