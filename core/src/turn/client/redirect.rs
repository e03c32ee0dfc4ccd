//! The ALTERNATE-SERVER mechanism (RFC 8489 section 10).

use core::time::Duration;
use std::net::SocketAddr;

use super::{Client, Event};
use crate::Instant;
use crate::stun::{AttributeType, Message, plain_address};
use crate::turn::config::is_reachable;
use crate::turn::frames::Frames;
use crate::turn::{Failure, Transport};

impl Client {
    /// The server has sent us to another one.
    pub(super) fn redirect(&mut self, answer: &Message<'_>, now: Instant) {
        /// RFC 8489 section 10: a server is not asked again within this.
        const MEMORY: Duration = Duration::from_secs(300);
        let Some(to) = self.alternate(answer) else {
            return self.end_with_stream(Event::Failed(Failure::NoAlternate));
        };
        self.left.push((self.server, now));
        let is_loop = self.left.iter().any(|&(server, at)| server == to && now < at + MEMORY);
        if is_loop || self.left.len() > usize::from(self.config.max_redirects) {
            return self.end_with_stream(Event::Failed(Failure::Redirects(to)));
        }
        self.events.push_back(Event::Redirected { from: self.server, to });
        if self.config.transport.is_stream() {
            self.events.push_back(Event::CloseStream);
        }
        if let (Transport::Tls, Some(domain)) = (self.config.transport, domain_in(answer)) {
            self.domain = Some(domain.to_owned());
        }
        self.server = to;
        // The same user, but the realm and the nonce are the other server's to give.
        self.authentication = None;
        self.transactions.clear();
        self.outbox.clear();
        self.frames = Frames::default();
        self.begin(now);
    }

    /// The first server named that we can ask from where we are: of the same family, and not on this machine unless
    /// the one that names it is.
    fn alternate(&self, answer: &Message<'_>) -> Option<SocketAddr> {
        let kind = AttributeType::ALTERNATE_SERVER;
        let named = answer.attributes().filter(|attribute| attribute.kind == kind);
        let mut addresses = named.filter_map(|attribute| plain_address(kind, attribute.value).ok());
        addresses.find(|address| {
            address.is_ipv4() == self.server.is_ipv4()
                && is_reachable(*address)
                && (!address.ip().is_loopback() || self.server.ip().is_loopback())
        })
    }
}

/// ALTERNATE-DOMAIN, if it is a name (RFC 8489 section 14.16).
fn domain_in<'a>(answer: &Message<'a>) -> Option<&'a str> {
    let name = core::str::from_utf8(answer.get(AttributeType::ALTERNATE_DOMAIN)?).ok()?;
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    (name.len() <= 255 && name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)).then_some(name)
}
