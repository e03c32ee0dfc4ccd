//! What a test can have happen at a time of its choice.

use std::net::{IpAddr, SocketAddr};

use super::{HostId, InterfaceId, Internet, LinkId, RouterId, ServerId};
use crate::clock::Jump;
use crate::endpoint::Endpoint;
use crate::fabric::RealmId;
use crate::link::Conditions;

/// What a test can schedule. `A` is what it wants to be reminded of.
#[derive(Clone, Debug)]
pub enum Scheduled<A> {
    /// The link carries nothing from now on; what is under way is lost.
    LinkDown(LinkId),
    /// The link carries packets again.
    LinkUp(LinkId),
    /// The link loses, doubles and holds up nothing any more, except in a direction that lost everything.
    LinkCalms(LinkId),
    /// The link has other conditions from now on: from a wire's first end or up an access, and the other way.
    LinkChanges(LinkId, Conditions, Conditions),
    /// The interface goes: [`Internet::detach`].
    Detach(InterfaceId),
    /// The interface comes, or comes back, or changes its place, behind the access link that it was made with.
    Attach {
        /// Which one.
        interface: InterfaceId,
        /// To which realm.
        realm: RealmId,
        /// With which addresses.
        addresses: Vec<IpAddr>,
    },
    /// The router forgets all mappings; new ones get other ports.
    Rebind(RouterId),
    /// The router has other outside addresses from now on, and forgets all mappings.
    Renumber(RouterId, Vec<IpAddr>),
    /// The router forgets the mappings of one inside socket.
    DropMapping(RouterId, SocketAddr),
    /// The server hears and says nothing.
    ServerDown(ServerId),
    /// The server goes on where it was.
    ServerUp(ServerId),
    /// The server runs, without the allocations, nonces and streams that it had.
    ServerRestart(ServerId),
    /// The host's clock jumps.
    ClockJump(HostId, Jump),
    /// The machine is suspended: its endpoint gets no calls, and what is sent to it is lost.
    Suspend(HostId),
    /// The machine goes on. Timers that came due meanwhile fire now.
    Resume(HostId),
    /// [`Internet::next`] gives it to the test.
    Alarm(A),
}

impl<E: Endpoint, A> Internet<E, A> {
    pub(super) fn carry_out(&mut self, scheduled: Scheduled<A>) {
        match scheduled {
            Scheduled::LinkDown(link) => self.fabric.link_mut(link).up = false,
            Scheduled::LinkUp(link) => self.fabric.link_mut(link).up = true,
            Scheduled::LinkCalms(link) => self.fabric.link_mut(link).calm(),
            Scheduled::LinkChanges(link, there, back) => self.fabric.link_mut(link).change(there, back),
            Scheduled::Detach(interface) => self.fabric.detach(interface),
            Scheduled::Attach { interface, realm, addresses } => self.fabric.attach(interface, realm, &addresses),
            Scheduled::Rebind(router) => self.fabric.router_mut(router).rebind(),
            Scheduled::Renumber(router, outside) => self.fabric.renumber(router, &outside),
            Scheduled::DropMapping(router, inside) => self.fabric.router_mut(router).forget(inside),
            Scheduled::ServerDown(server) => self.stop_server(server),
            Scheduled::ServerUp(server) => self.start_server(server),
            Scheduled::ServerRestart(server) => self.restart_server(server),
            Scheduled::ClockJump(host, jump) => self.hosts[host.0].clock.jump(self.now, jump),
            Scheduled::Suspend(host) => self.hosts[host.0].suspended = true,
            Scheduled::Resume(host) => self.resume(host),
            Scheduled::Alarm(_) => unreachable!("an alarm is the test's"),
        }
    }
}
