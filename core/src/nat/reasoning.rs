//! What follows from the answers that are there, and what must be asked to know the rest.
//!
//! Each conclusion is written as if all outcomes were known. Where one is not, its request is noted as needed and the
//! conclusion is put off; so what is asked, and in which order, follows from what the conclusions look at.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::address::{is_plausible, is_same};
use super::ask::{Ask, Change, Expected, Outcome, Request, Way};
use super::{Config, Filtering, Hairpinning, Mapping, Observation, Unknown};

/// Something that was to be found out: none while it is not known yet.
pub(super) type Finding<T> = Option<Result<T, Unknown>>;

pub(super) struct Reasoning<'a> {
    config: &'a Config,
    outcomes: &'a BTreeMap<Ask, Outcome>,
    /// What was looked at and is not there.
    needs: BTreeMap<Ask, Request>,
}

/// Why there is no conclusion.
enum Halt {
    /// Not yet.
    Pending,
    /// Never.
    Unknown(Unknown),
}

impl From<Unknown> for Halt {
    fn from(unknown: Unknown) -> Self {
        Self::Unknown(unknown)
    }
}

impl<'a> Reasoning<'a> {
    pub(super) fn new(config: &'a Config, outcomes: &'a BTreeMap<Ask, Outcome>) -> Self {
        Self { config, outcomes, needs: BTreeMap::new() }
    }

    /// RFC 5780 section 4.3.
    pub(super) fn mapping(&mut self) -> Finding<Mapping> {
        conclude(self.find_mapping())
    }

    /// RFC 5780 section 4.4.
    pub(super) fn filtering(&mut self) -> Finding<Filtering> {
        conclude(self.find_filtering())
    }

    /// RFC 5780 section 4.5.
    pub(super) fn hairpinning(&mut self) -> Finding<Hairpinning> {
        conclude(self.find_hairpinning())
    }

    /// Where the first base was seen by whom.
    pub(super) fn observations(&mut self) -> Vec<Observation> {
        let others = [Change::Port, Change::Address, Change::Both].map(Ask::Other);
        let asks = others.into_iter().chain([Ask::Base, Ask::SecondServer]);
        let mut observations = Vec::new();
        for ask in asks.filter(|ask| self.outcomes.contains_key(ask)) {
            if let (Ok(mapped), Ok(request)) = (self.seen(ask), self.request(ask)) {
                observations.push(Observation { server: request.remote, mapped });
            }
        }
        observations
    }

    /// What must be asked for the conclusions that were put off.
    pub(super) fn into_needs(self) -> BTreeMap<Ask, Request> {
        self.needs
    }

    fn find_mapping(&mut self) -> Result<Mapping, Halt> {
        let Config { base, server, .. } = *self.config;
        let first = settled(self.seen(Ask::Base))?;
        if first.as_ref().is_ok_and(|first| is_same(*first, base)) {
            return Ok(Mapping::None);
        }
        let visited = settled(self.visit_other())?;
        let mut mapping = Mapping::observed(base, &self.observations());
        if mapping.is_none_or(|mapping| mapping == Mapping::EndpointDependent) {
            let _ = settled(self.seen(Ask::SecondServer))?;
            mapping = Mapping::observed(base, &self.observations());
        }
        let Some(mapping) = mapping else {
            return Err(first.err().or(visited.err()).unwrap_or(Unknown::NoOtherAddress(server)).into());
        };
        if let (false, Ok(before)) = (mapping.is_endpoint_independent(), first) {
            self.check_stable(before)?;
        }
        Ok(mapping)
    }

    /// Whether the server still sees the base where it did at first.
    fn check_stable(&mut self, before: SocketAddr) -> Result<(), Halt> {
        let after = self.seen(Ask::Again)?;
        if is_same(before, after) { Ok(()) } else { Err(Unknown::Unstable { before, after }.into()) }
    }

    /// Has the base seen by the server at its other address. That opens filters, so they are tested before.
    fn visit_other(&mut self) -> Result<(), Halt> {
        self.other()?;
        // Where the filter test needs the other port of the first address as well, that tells something too.
        let changes = match self.filter_tests()? {
            (Outcome::Unanswered, Some(Outcome::Unanswered)) => &[Change::Address, Change::Both, Change::Port][..],
            _ => &[Change::Address, Change::Both][..],
        };
        let seen: Vec<_> = changes.iter().map(|change| settled(self.seen(Ask::Other(*change)))).collect();
        let seen: Vec<_> = seen.into_iter().collect::<Result<_, Halt>>()?;
        Ok(seen.into_iter().try_for_each(|seen| seen.map(drop))?)
    }

    fn find_filtering(&mut self) -> Result<Filtering, Halt> {
        let server = self.config.server;
        let (filtering, silent) = match self.filter_tests()? {
            (Outcome::Arrived { .. }, _) => return Ok(Filtering::EndpointIndependent),
            (Outcome::Unanswered, Some(Outcome::Arrived { .. })) => (Filtering::AddressDependent, &[Change::Both][..]),
            (Outcome::Unanswered, None | Some(Outcome::Unanswered)) => {
                (Filtering::AddressAndPortDependent, &[Change::Both, Change::Port][..])
            }
            (Outcome::Unanswered, Some(odd)) | (odd, _) => return Err(why(odd, server).into()),
        };
        // Silence tells something only about somebody who speaks.
        let there: Vec<_> = silent.iter().map(|change| self.seen(Ask::Other(*change))).collect();
        let first = self.seen(Ask::Base)?;
        let mut controls = Vec::new();
        for (change, there) in silent.iter().zip(there) {
            if is_same(there?, first) {
                // The NAT gives the same address towards both, so the filter has been opened just now.
                controls.push(self.get(Ask::Control(*change)));
            } else {
                self.check_stable(first)?;
            }
        }
        for control in controls {
            match control? {
                Outcome::Arrived { .. } => {}
                Outcome::Unanswered => return Err(Unknown::ChangeUnanswered(server).into()),
                odd => return Err(why(odd, server).into()),
            }
        }
        Ok(filtering)
    }

    /// Whether both address and port may be others, and otherwise whether the port may.
    fn filter_tests(&mut self) -> Result<(&'a Outcome, Option<&'a Outcome>), Halt> {
        let both = self.get(Ask::Filter(Change::Both));
        if let Ok(both @ Outcome::Arrived { .. }) = both {
            return Ok((both, None));
        }
        let port = self.get(Ask::Filter(Change::Port));
        Ok((both?, Some(port?)))
    }

    fn find_hairpinning(&mut self) -> Result<Hairpinning, Halt> {
        let Config { base, server, .. } = *self.config;
        let second_base = self.second_base()?;
        let [first, second] = [Ask::Base, Ask::SecondBase].map(|ask| self.seen(ask));
        let (first, _) = (first?, second?);
        if is_same(first, base) {
            return Err(Unknown::NoNat.into());
        }
        let outcomes = [Way::ToSecond, Way::ToFirst].map(|way| self.get(Ask::Hairpin(way)));
        for outcome in &outcomes {
            if let Ok(Outcome::Arrived { from, .. }) = outcome {
                let is_outside = is_plausible(*from, server, &[base.ip(), second_base.ip()]);
                return Ok(if is_outside { Hairpinning::ExternalSource } else { Hairpinning::InternalSource });
            }
        }
        for outcome in outcomes {
            outcome?;
        }
        // Both bases have sent to where the other is seen. That opens all filters if it is also where they send from.
        let mapping = settled(self.find_mapping())?;
        let filtering = settled(self.find_filtering())?;
        match (mapping, filtering) {
            (Ok(Mapping::EndpointIndependent), _) | (_, Ok(Filtering::EndpointIndependent)) => Ok(Hairpinning::None),
            _ => Err(Unknown::Filtered.into()),
        }
    }

    /// The server's other address.
    fn other(&mut self) -> Result<SocketAddr, Halt> {
        let Config { base, server, second_base, .. } = *self.config;
        let (mapped, other) = match self.get(Ask::Base)? {
            Outcome::Arrived { mapped, other, .. } => (*mapped, other.ok_or(Unknown::NoOtherAddress(server))?),
            odd => return Err(why(odd, server).into()),
        };
        let ours: Vec<IpAddr> = [Some(base), second_base, mapped].iter().flatten().map(SocketAddr::ip).collect();
        let differs = other.ip() != server.ip() && other.port() != server.port();
        if differs && is_plausible(other, server, &ours) { Ok(other) } else { Err(Unknown::Implausible(other).into()) }
    }

    /// Where a base is seen, if that is where somebody can send to.
    fn outside(&mut self, ask: Ask) -> Result<SocketAddr, Halt> {
        let Config { base, server, second_base, .. } = *self.config;
        let outside = self.seen(ask)?;
        let ours: Vec<IpAddr> = [Some(base), second_base].iter().flatten().map(SocketAddr::ip).collect();
        if is_plausible(outside, server, &ours) { Ok(outside) } else { Err(Unknown::Implausible(outside).into()) }
    }

    /// The address that a server has seen.
    fn seen(&mut self, ask: Ask) -> Result<SocketAddr, Halt> {
        let outcome = self.get(ask)?;
        let asked = self.request(ask)?.remote;
        match outcome {
            Outcome::Arrived { mapped: Some(mapped), .. } => Ok(*mapped),
            odd => Err(why(odd, asked).into()),
        }
    }

    /// What has become of a request; it is needed if nothing has yet.
    fn get(&mut self, ask: Ask) -> Result<&'a Outcome, Halt> {
        let request = self.request(ask)?;
        match self.outcomes.get(&ask) {
            Some(outcome) => Ok(outcome),
            None => {
                self.needs.insert(ask, request);
                Err(Halt::Pending)
            }
        }
    }

    fn request(&mut self, ask: Ask) -> Result<Request, Halt> {
        let Config { base, server, .. } = *self.config;
        let plain = |local, remote| Request { local, remote, change: None, expected: Expected::Response(remote) };
        Ok(match ask {
            Ask::Base | Ask::Again => plain(base, server),
            Ask::SecondBase => plain(self.second_base()?, server),
            Ask::SecondServer => plain(base, self.config.second_server.ok_or(Unknown::NoOtherAddress(server))?),
            Ask::Other(change) => plain(base, change.apply(server, self.other()?)),
            Ask::Filter(change) | Ask::Control(change) => {
                let expected = Expected::Response(change.apply(server, self.other()?));
                Request { local: base, remote: server, change: Some(change), expected }
            }
            Ask::Hairpin(way) => {
                let second_base = self.second_base()?;
                let (local, expected, remote) = match way {
                    Way::ToSecond => (base, second_base, self.outside(Ask::SecondBase)?),
                    Way::ToFirst => (second_base, base, self.outside(Ask::Base)?),
                };
                Request { local, remote, change: None, expected: Expected::Itself(expected) }
            }
        })
    }

    fn second_base(&self) -> Result<SocketAddr, Unknown> {
        self.config.second_base.ok_or(Unknown::NoSecondBase)
    }
}

/// Why an outcome does not tell what it should.
fn why(outcome: &Outcome, asked: SocketAddr) -> Unknown {
    match outcome {
        Outcome::Arrived { .. } => Unknown::Malformed(asked),
        Outcome::Ignored => Unknown::ChangeIgnored(asked),
        Outcome::Refused { code, reason } => Unknown::Refused { server: asked, code: *code, reason: reason.clone() },
        Outcome::Unanswered => Unknown::NoAnswer(asked),
    }
}

fn conclude<T>(result: Result<T, Halt>) -> Finding<T> {
    settled(result).ok()
}

/// Puts off what is pending, and goes on with what will never be known.
fn settled<T>(result: Result<T, Halt>) -> Result<Result<T, Unknown>, Halt> {
    match result {
        Ok(known) => Ok(Ok(known)),
        Err(Halt::Unknown(unknown)) => Ok(Err(unknown)),
        Err(Halt::Pending) => Err(Halt::Pending),
    }
}
