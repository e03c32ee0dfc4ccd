//! Names that the driver is to resolve: of servers, and of candidates that name a host instead of an address.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::ice::ResolveId;
use crate::sdp::CandidateAttribute;

/// How many names of the other side are asked for at a time.
const MAX_PENDING: usize = 16;

/// How many candidates may share a name that is being asked for.
const MAX_PER_NAME: usize = 4;

/// The questions that are open.
#[derive(Debug, Default)]
pub(super) struct Names {
    next: u32,
    pending: BTreeMap<ResolveId, Pending>,
    /// The agent's own questions, by the numbers that they have here.
    servers: BTreeMap<ResolveId, ResolveId>,
    questions: VecDeque<(ResolveId, String)>,
    /// The other side has no more candidates; the agent is told once every name is answered.
    pub(super) gathered: bool,
}

#[derive(Debug)]
struct Pending {
    name: String,
    candidates: Vec<CandidateAttribute>,
}

/// There are as many open questions as there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooManyNames;

impl Names {
    /// Keeps a candidate until its name is resolved.
    pub(super) fn ask(&mut self, name: &str, candidate: CandidateAttribute) -> Result<(), TooManyNames> {
        if let Some(pending) = self.pending.values_mut().find(|pending| pending.name.eq_ignore_ascii_case(name)) {
            if pending.candidates.len() >= MAX_PER_NAME {
                return Err(TooManyNames);
            }
            pending.candidates.push(candidate);
            return Ok(());
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(TooManyNames);
        }
        let id = ResolveId::from_u32(self.next);
        self.next += 1;
        self.questions.push_back((id, name.to_owned()));
        self.pending.insert(id, Pending { name: name.to_owned(), candidates: vec![candidate] });
        Ok(())
    }

    /// Has the name of a server resolved.
    pub(super) fn ask_for_server(&mut self, request: ResolveId, name: String) {
        let id = ResolveId::from_u32(self.next);
        self.next += 1;
        self.questions.push_back((id, name));
        self.servers.insert(id, request);
    }

    /// The agent's question that this answers, if it is one.
    pub(super) fn answer_of_server(&mut self, id: ResolveId) -> Option<ResolveId> {
        self.servers.remove(&id)
    }

    /// The next question to put to the driver.
    pub(super) fn poll_question(&mut self) -> Option<(ResolveId, String)> {
        self.questions.pop_front()
    }

    /// The candidates whose name has these addresses. Both families are wanted, but not more than one address
    /// of each: a name that stands for many machines is no candidate (RFC 8839 section 5.1).
    pub(super) fn answer(&mut self, id: ResolveId, addresses: &[IpAddr]) -> Vec<(CandidateAttribute, IpAddr)> {
        let Some(pending) = self.pending.remove(&id) else { return Vec::new() };
        let v4 = addresses.iter().find(|address| address.is_ipv4());
        let v6 = addresses.iter().find(|address| address.is_ipv6());
        let found = v6.into_iter().chain(v4);
        found.flat_map(|&ip| pending.candidates.iter().map(move |candidate| (candidate.clone(), ip))).collect()
    }

    /// Whether every question is answered.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Forgets all questions for candidates: they belonged to a generation that is over.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.questions.retain(|(id, _)| self.servers.contains_key(id));
        self.gathered = false;
    }
}
