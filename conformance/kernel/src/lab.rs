//! The lab: a public internet that is one bridge, with the servers on it, and what a drawing lays before it.

use std::net::{IpAddr, Ipv4Addr};

use frazil_conformance::matrix::topology::{PUBLIC, Realm};

use crate::drawing::Drawing;
use crate::error::LabError;
use crate::namespace::{Namespace, fresh_link};
use crate::nat::{LAN, WAN, rules};

/// What the servers and the prober have of the public internet, 198.18.0.0/16 (RFC 2544).
pub(crate) mod address {
    use std::net::Ipv4Addr;

    /// The server's first address, the one that everybody is told.
    pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 10);
    /// Its second one.
    pub(crate) const OTHER_SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 11);
    /// The one whose ports it lends.
    pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 12);
    /// One that nobody has ever sent to.
    pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 13);
    /// The signalling server's.
    pub(crate) const SIGNALING: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 14);
    /// A gateway to the rest of the world, which swallows everything. Without it a datagram to another home's inside address
    /// would be refused at once, which happens nowhere.
    pub(super) const NOWHERE: Ipv4Addr = Ipv4Addr::new(198, 18, 255, 254);
}

/// The bridge that is the public internet.
const BRIDGE: &str = "internet";

/// The public internet.
pub(crate) struct Lab {
    public: Namespace,
}

/// Two machines, and all that is between them and the public internet. It is gone when this is dropped.
pub(crate) struct Site {
    pub(crate) machines: [Machine; 2],
    _routers: Vec<Namespace>,
}

/// A machine.
pub(crate) struct Machine {
    pub(crate) namespace: Namespace,
    pub(crate) address: Ipv4Addr,
}

impl Lab {
    /// The public internet with the servers' addresses, and nobody on it yet.
    pub(crate) fn new() -> Result<Self, LabError> {
        let public = Namespace::new()?;
        let mut lines = new_bridge(BRIDGE);
        use address::{OTHER_SERVER, RELAY, SERVER, SIGNALING, STRANGER};
        for address in [SERVER, OTHER_SERVER, RELAY, STRANGER, SIGNALING] {
            lines += &format!("addr add {address}/16 dev {BRIDGE}\n");
        }
        public.ip(&lines)?;
        let lab = Self { public };
        bridges_only(&lab.public)?;
        lab.lead_nowhere(&lab.public, BRIDGE)?;
        Ok(lab)
    }

    /// Where the servers are.
    pub(crate) fn public(&self) -> &Namespace {
        &self.public
    }

    /// Lays a drawing. No two that are there at a time may have the same number.
    pub(crate) fn lay(&self, drawing: &Drawing, number: u8) -> Result<Site, LabError> {
        let topology = &drawing.topology;
        let mut routers: Vec<Namespace> = Vec::new();
        for router in &topology.routers {
            let outside = here(router.outer, ipv4(router.outside.first())?, number);
            let namespace = Namespace::new()?;
            namespace.set("net/ipv4/ip_forward", "1")?;
            // It would tell a machine that the one beside it could be reached without it.
            namespace.set("net/ipv4/conf/all/send_redirects", "0")?;
            namespace.set("net/ipv4/conf/default/send_redirects", "0")?;
            self.attach(&namespace, WAN, router.outer, outside, routers.as_slice(), false)?;
            namespace.ip(&new_bridge(LAN))?;
            bridges_only(&namespace)?;
            namespace.nft(&rules(&router.config, outside)?)?;
            routers.push(namespace);
        }
        let machine = |side: usize| {
            let drawn = &topology.machines[side];
            let address = here(drawn.realm, ipv4(drawn.addresses.first())?, number);
            let namespace = Namespace::new()?;
            self.attach(&namespace, "eth0", drawn.realm, address, &routers, drawing.isolated)?;
            Ok(Machine { namespace, address })
        };
        let machines = [machine(0)?, machine(1)?];
        Ok(Site { machines, _routers: routers })
    }

    /// Gives `namespace` a link into a realm, with this address and the way out.
    fn attach(
        &self,
        namespace: &Namespace,
        link: &str,
        realm: Realm,
        address: Ipv4Addr,
        routers: &[Namespace],
        isolated: bool,
    ) -> Result<(), LabError> {
        let (owner, bridge) = match realm.checked_sub(1) {
            Some(router) => (&routers[router], LAN),
            None => (&self.public, BRIDGE),
        };
        let port = fresh_link();
        let prefix = if realm == PUBLIC { 16 } else { 24 };
        namespace.ip(&format!(
            "link add {link} type veth peer name {port} netns {}\n\
             addr add {address}/{prefix} dev {link}\nlink set {link} up\n",
            owner.path()
        ))?;
        let isolate = if isolated { format!("link set {port} type bridge_slave isolated on\n") } else { String::new() };
        owner.ip(&format!("link set {port} master {bridge}\n{isolate}link set {port} up\n"))?;
        if realm == PUBLIC {
            return self.lead_nowhere(namespace, link);
        }
        let [a, b, c, _] = address.octets();
        let gateway = Ipv4Addr::new(a, b, c, 1);
        owner.ip(&format!("addr replace {gateway}/24 dev {bridge}\n"))?;
        namespace.ip(&format!("route add default via {gateway}\n"))
    }

    fn lead_nowhere(&self, namespace: &Namespace, link: &str) -> Result<(), LabError> {
        let nowhere = address::NOWHERE;
        namespace.ip(&format!(
            "neigh add {nowhere} lladdr 02:00:00:00:00:fe dev {link} nud permanent\nroute add default via {nowhere}\n"
        ))
    }
}

/// A bridge that is up. It must be given its hardware address: of itself it takes the least of its ports' addresses, and
/// changes it as ports come and go, after which nobody who has asked for it reaches it any more.
fn new_bridge(name: &str) -> String {
    format!("link add {name} address 02:00:00:00:00:01 type bridge\nlink set {name} up\n")
}

/// What goes from one port of a bridge to another is not routed, and no business of the NAT's.
fn bridges_only(namespace: &Namespace) -> Result<(), LabError> {
    ["iptables", "ip6tables", "arptables"]
        .into_iter()
        .try_for_each(|tables| namespace.set(&format!("net/bridge/bridge-nf-call-{tables}"), "0"))
}

/// A drawn address where it is laid. On the public internet each drawing has a network of its own.
fn here(realm: Realm, drawn: Ipv4Addr, number: u8) -> Ipv4Addr {
    if realm != PUBLIC {
        return drawn;
    }
    // 0 is the servers'.
    Ipv4Addr::new(198, 18, number.max(1), drawn.octets()[3])
}

fn ipv4(drawn: Option<&IpAddr>) -> Result<Ipv4Addr, LabError> {
    match drawn {
        Some(IpAddr::V4(v4)) => Ok(*v4),
        other => Err(LabError::NotOfThisKernel(format!("at {other:?}: the lab is IPv4 only"))),
    }
}
