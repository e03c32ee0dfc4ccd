//! Sockets that come and go while the agent runs, and room for what takes their place.

use std::net::SocketAddr;

use super::{Agent, MAX_LOCAL_CANDIDATES, Occupant};
use crate::ice::interface::rank;
use crate::ice::pair::PairKey;
use crate::ice::{
    CandidateKind, Event, HostSocket, LocalCandidate, NetworkChange, PairFate, PairState, PathAfterChange, State,
    TcpType, Transport,
};
use crate::path::Protocol;
use crate::time::Instant;

impl Agent {
    /// Takes the list of all sockets that there are now: what is new becomes a host candidate, what is gone is
    /// withdrawn. The first list begins the agent's gathering as well.
    ///
    /// The path in use stays if its socket does. If it does not, another pair that is known to work takes over at
    /// once; else every pair is tried again, those of the new sockets included. [`Event::NetworkChange`] says which,
    /// unless nothing has changed.
    pub fn handle_network_change(&mut self, sockets: &[HostSocket], now: Instant) {
        let now = self.line.advance(now);
        if self.state == State::Closed {
            return;
        }
        let is_there = |transport: Transport, base: SocketAddr| {
            sockets.iter().any(|socket| match transport {
                // Its streams have sockets of their own.
                Transport::Tcp(TcpType::Active) => socket.base.ip() == base.ip(),
                _ => socket.base == base && socket.protocol == transport.protocol(),
            })
        };
        let hosts = self.host_bases();
        let gone = hosts.iter().filter(|&&(transport, base)| !is_there(transport, base));
        let gone: Vec<(Protocol, SocketAddr)> = gone.map(|(transport, base)| (transport.protocol(), *base)).collect();
        let known = |socket: &HostSocket| {
            hosts.iter().any(|(transport, base)| (transport.protocol(), *base) == (socket.protocol, socket.base))
        };
        // Where relays alone may be used, servers are asked from a UDP socket, and a listener is of no use.
        let is_of_use = |socket: &HostSocket| socket.protocol == Protocol::Udp || self.may_use(CandidateKind::Host);
        let new = rank(sockets).into_iter().filter(|(socket, _)| !known(socket) && is_of_use(socket));
        let new: Vec<(HostSocket, u16)> = new.collect();
        let before = self.in_use();
        // The new ones first: then there is something to try when the path goes with its base.
        let mut added = Vec::new();
        for (socket, preference) in new {
            let local = self.distinct(preference, |preference| {
                // Those that are there were ranked among others.
                LocalCandidate::host(socket.protocol, socket.base, preference)
            });
            if self.add_local(local, socket.cost, socket.index, now).is_ok() {
                added.push(socket.base);
                self.try_if_cheaper(&local, socket.cost);
            }
        }
        let removed: Vec<SocketAddr> = gone.iter().map(|&(_, base)| base).collect();
        for (protocol, base) in gone {
            self.withdraw_base(protocol, base);
        }
        if added.is_empty() && removed.is_empty() {
            return;
        }
        self.settle(now);
        let path = match (before, self.in_use()) {
            (None, _) => PathAfterChange::None,
            (Some(before), Some(after)) if before == after => PathAfterChange::Kept,
            (Some(_), Some(_)) => PathAfterChange::Moved,
            (Some(_), None) => PathAfterChange::Lost,
        };
        self.events.push_back(Event::NetworkChange(NetworkChange { added, removed, path }));
    }

    /// Has the pairs of a new socket tried although another pair is nominated, if it costs less to use than that one's:
    /// its priority is below those that were there before.
    fn try_if_cheaper(&mut self, local: &LocalCandidate, cost: u16) {
        let Some(in_use) = self.selected_of_current() else { return };
        let paid = self.costs[self.current.list.get(in_use.pair).local];
        if paid.is_none_or(|paid| cost >= paid) {
            return;
        }
        let new = self.current.list.pairs().filter(|(_, pair)| self.locals[pair.local] == *local);
        let put_aside: Vec<PairKey> =
            new.filter(|(_, pair)| pair.state == PairState::Pruned).map(|(key, _)| key).collect();
        for key in put_aside {
            self.current.list.set_state(key, PairState::Waiting);
        }
    }

    /// The sockets that the driver has named, whether their candidates may be used or not.
    fn host_bases(&self) -> Vec<(Transport, SocketAddr)> {
        let hosts = self.present.iter().filter(|local| local.candidate.kind == CandidateKind::Host);
        let mut bases: Vec<_> = hosts.map(|local| (local.candidate.transport, local.base)).collect();
        for base in self.gathering.bases() {
            if !bases.contains(&(Transport::Udp, base.address)) {
                bases.push((Transport::Udp, base.address));
            }
        }
        bases
    }

    /// Withdraws the candidates of a base: its socket is closed. Tells whether there were any.
    pub fn remove_local_base(&mut self, protocol: Protocol, base: SocketAddr, now: Instant) -> bool {
        let now = self.line.advance(now);
        if self.state == State::Closed {
            return false;
        }
        let any = self.withdraw_base(protocol, base);
        self.settle(now);
        any
    }

    pub(super) fn withdraw_base(&mut self, protocol: Protocol, base: SocketAddr) -> bool {
        let mut was_base = false;
        if protocol == Protocol::Udp {
            was_base = self.gathering.bases().iter().any(|known| known.address == base);
            self.gathering.remove_base(base, &mut self.paths, self.line.now());
        }
        let of_base = |local: &LocalCandidate| local.base == base && local.candidate.transport.protocol() == protocol;
        self.withdraw(of_base) || was_base
    }

    /// Withdraws candidates of ours. Tells whether there were any.
    pub(super) fn withdraw(&mut self, is_gone: impl Fn(&LocalCandidate) -> bool) -> bool {
        if !self.present.iter().any(&is_gone) {
            return false;
        }
        self.present.retain(|local| !is_gone(local));
        for place in 0..self.locals.len() {
            if self.costs[place].is_some() && is_gone(&self.locals[place]) {
                self.costs[place] = None;
                self.fail_pairs_of(place);
            }
        }
        true
    }

    fn fail_pairs_of(&mut self, local: usize) {
        let numbers = [Some(self.current.number), self.previous.as_ref().map(|previous| previous.number)];
        for number in numbers.into_iter().flatten() {
            let Some(of) = self.generation(number) else { continue };
            let gone = of.list.pairs().filter(|(_, pair)| pair.local == local && pair.fate != Some(PairFate::BaseGone));
            let gone: Vec<PairKey> = gone.map(|(key, _)| key).collect();
            self.checks.retain(|check| check.generation != number || !gone.contains(&check.pair));
            for key in gone {
                self.leave_path(number, key);
                self.fail_pair(number, key, PairFate::BaseGone);
                if let Some(of) = self.generation_mut(number) {
                    of.list.take_back_trigger(key);
                }
            }
        }
    }

    /// Takes a pair off its path, which another pair may come to be on.
    fn leave_path(&mut self, generation: u32, key: PairKey) {
        let is_current = generation == self.current.number;
        let Some(path) = self.generation(generation).map(|of| of.list.get(key).path) else { return };
        let Some(&occupant) = self.paths.occupant(path) else { return };
        let Occupant { current, previous } = occupant;
        let mine = |other: &PairKey| *other != key;
        let left = if is_current {
            Occupant { current: current.filter(mine), previous }
        } else {
            Occupant { current, previous: previous.filter(mine) }
        };
        self.paths.occupy(path, left.if_any());
    }

    /// Where among our candidates there is room for another.
    pub(super) fn place_for_local(&mut self) -> Option<usize> {
        if self.locals.len() < MAX_LOCAL_CANDIDATES {
            return Some(self.locals.len());
        }
        let place = self.costs.iter().position(Option::is_none)?;
        self.forget_pairs(|pair_local, _| pair_local == place);
        Some(place)
    }

    /// Where among the other side's candidates there is room for one that was learnt from a check: one like it whose
    /// pairs are given up makes room once there was a path, so that a session can live through any number of changes of
    /// address.
    pub(super) fn place_for_peer_reflexive(&mut self) -> Option<usize> {
        if self.current.remotes.len() < self.config.max_remote_candidates {
            return Some(self.current.remotes.len());
        }
        if !self.current.was_used {
            // Two NATs may show another address for each check, for ever, and let none of the answers in.
            return None;
        }
        let given_up = |place: usize| {
            let mut pairs = self.current.list.pairs().filter(|(_, pair)| pair.remote == place);
            pairs.all(|(_, pair)| matches!(pair.state, PairState::Failed | PairState::Pruned))
        };
        let reflexive = |&place: &usize| self.current.remotes[place].kind == CandidateKind::PeerReflexive;
        let place = (0..self.current.remotes.len()).filter(reflexive).find(|&place| given_up(place))?;
        self.forget_pairs(|_, pair_remote| pair_remote == place);
        Some(place)
    }

    /// Forgets pairs of the current generation, by the places of their candidates.
    fn forget_pairs(&mut self, forgets: impl Fn(usize, usize) -> bool) {
        let keys = self.current.list.pairs().filter(|(_, pair)| forgets(pair.local, pair.remote));
        let keys: Vec<PairKey> = keys.map(|(key, _)| key).collect();
        let number = self.current.number;
        self.checks.retain(|check| check.generation != number || !keys.contains(&check.pair));
        if let Some(selected) = &mut self.selected {
            selected.elsewhere = selected.elsewhere.filter(|(key, _)| !keys.contains(key));
        }
        self.current.nominating = self.current.nominating.filter(|key| !keys.contains(key));
        for key in keys {
            self.leave_path(number, key);
            self.current.list.forget(key);
        }
    }
}
