//! Many agents in one process share one pace (RFC 8445 section 14.2).
//!
//! A single agent keeps its own pace. A thousand of them that start together would still send a thousand
//! checks at once. [`Pacer`] says whose turn it is: an agent whose [`Config::pace`](crate::ice::Config::pace) is
//! [`Pace::Granted`](crate::ice::Pace::Granted) sends no new check by its own clock. Its holder passes on what
//! it [wants](crate::ice::Agent::wants_check), and gives it each
//! [grant](crate::ice::Agent::grant_check).

mod pacer;
#[cfg(test)]
mod tests;

pub use pacer::{MemberId, Pacer};
