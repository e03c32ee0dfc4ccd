//! A socket on each address of the machine that is to be used, as addresses come and go.

use std::io;
use std::ops::RangeInclusive;

use crate::socket::Socket;
use crate::stream::Listener;
use frazil_interfaces::{Interface, InterfacePolicy, MAX_SOCKETS, interfaces};

/// Where sockets are to be bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathering {
    pub(crate) policy: InterfacePolicy,
    /// On these ports only.
    pub(crate) ports: Option<RangeInclusive<u16>>,
    /// For TCP streams too.
    pub(crate) listens: bool,
}

/// What was bound when the peer started.
pub(crate) struct Gathered {
    pub(crate) sockets: Vec<Socket>,
    pub(crate) listeners: Vec<Listener>,
}

/// Addresses with their new sockets, or with why there is none.
pub(crate) type Bound<S> = Vec<(Interface, io::Result<S>)>;

impl Gathering {
    /// Binds sockets on what is worth it among `listed` and has none yet; `taken` says which have one.
    pub(crate) fn bind_new(&self, listed: Vec<Interface>, taken: &[&Interface]) -> Bound<Socket> {
        self.on_new(listed, taken, |interface| Socket::bind(interface, self.ports.as_ref()))
    }

    /// The same for sockets that listen for streams, if there are to be any.
    pub(crate) fn listen_new(&self, listed: Vec<Interface>, taken: &[&Interface]) -> Bound<Listener> {
        if !self.listens {
            return Vec::new();
        }
        self.on_new(listed, taken, |interface| Listener::bind(interface, self.ports.as_ref()))
    }

    /// Binds one more socket on the address that one is bound on already.
    pub(crate) fn bind_beside(&self, socket: &Socket) -> io::Result<Socket> {
        Socket::bind(socket.interface(), self.ports.as_ref())
    }

    fn on_new<S>(
        &self,
        listed: Vec<Interface>,
        taken: &[&Interface],
        bind: impl Fn(&Interface) -> io::Result<S>,
    ) -> Bound<S> {
        let mut new = self.policy.select(listed);
        new.retain(|interface| !taken.iter().any(|taken| is_same(taken, interface)));
        new.truncate(MAX_SOCKETS.saturating_sub(taken.len()));
        let bind = |interface: Interface| {
            let socket = bind(&interface);
            (interface, socket)
        };
        new.into_iter().map(bind).collect()
    }

    /// Lists the machine's addresses anew. A loopback interface that had no socket, and that nobody asked for, is not
    /// fallen back to: a machine that is left with it will get better addresses again.
    pub(crate) fn list(&self, taken: &[&Interface]) -> io::Result<Vec<Interface>> {
        let mut listed = interfaces()?;
        let is_taken = |interface: &Interface| taken.iter().any(|taken| is_same(taken, interface));
        listed.retain(|interface| self.policy.loopback || !interface.is_loopback() || is_taken(interface));
        Ok(listed)
    }

    /// What is said of `interface` among `listed`, if the machine still has the address. It need not be worth a
    /// new socket: what uses an address that has become worse may go on.
    pub(crate) fn find<'l>(&self, interface: &Interface, listed: &'l [Interface]) -> Option<&'l Interface> {
        listed.iter().find(|listed| is_same(listed, interface))
    }
}

fn is_same(one: &Interface, other: &Interface) -> bool {
    one.address == other.address && one.index == other.index
}
