//! How a scenario is laid in the virtual internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use frazil::Protocol;
use frazil::ice::HostSocket;
use frazil_conformance::faults::{Driver, Interface};
use frazil_conformance::gathering::RelayServer;
use frazil_conformance::matrix::topology::{RELAY, SERVER, SERVER_PORT};
use frazil_conformance::matrix::{Kind, Servers};
use frazil_internet::{
    Access, HostId, InterfaceId, Internet, RealmId, RouterId, ServerId, TurnServer, WELL_KNOWN_PREFIX, synthesise,
};

use crate::scenario::Scenario;

/// The port of the agent's socket on the first address of a machine's first network; others have the next ones.
const AGENT_PORT: u16 = 50_000;

/// The port of the TURN client's socket.
const RELAY_CLIENT_PORT: u16 = 40_000;

const USERS: [(&str, &str); 2] = [("one", "first secret"), ("other", "second secret")];

/// Where one interface of a machine is.
pub(crate) struct Place {
    pub(crate) nth: usize,
    pub(crate) interface: InterfaceId,
    pub(crate) realm: RealmId,
    /// From the public internet inwards.
    pub(crate) routers: Vec<RouterId>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) is_there: bool,
    pub(crate) readdressed: u32,
    pub(crate) renumbered: u32,
}

/// Lays networks and servers, and attaches the machines.
pub(crate) fn lay<A>(
    internet: &mut Internet<Driver, A>,
    hosts: [HostId; 2],
    scenario: &Scenario,
) -> ([Vec<Place>; 2], Vec<ServerId>) {
    let mut servers = Vec::new();
    if scenario.servers != Servers::None {
        let users = USERS.map(|(name, password)| (name.to_owned(), password.to_owned())).into();
        let server = TurnServer { users, relay: Some(RELAY), ..TurnServer::default() };
        servers.push(internet.add_server(internet.public(), &SERVER, Access::default(), server));
    }
    let mut places = [Vec::new(), Vec::new()];
    for (side, host) in hosts.into_iter().enumerate() {
        for (nth, network) in scenario.networks(side).iter().enumerate() {
            let mut realm = internet.public();
            let mut routers = Vec::new();
            if is_shared(scenario, side, nth) {
                let shared: &Place = &places[0][0];
                realm = shared.realm;
            } else {
                for (depth, config) in network.kind.routers().into_iter().enumerate() {
                    let address = if depth == 0 { outside(side, nth, 0) } else { between(side, nth) };
                    let (router, inner) = internet.add_router(realm, &[address], Access::delay(network.hop), config);
                    routers.push(router);
                    realm = inner;
                }
            }
            let addresses = addresses(scenario, side, nth, 0);
            let interface = internet.attach(host, realm, &addresses, network.access);
            let (is_there, readdressed, renumbered) = (true, 0, 0);
            places[side].push(Place { nth, interface, realm, routers, addresses, is_there, readdressed, renumbered });
        }
    }
    (places, servers)
}

fn is_shared(scenario: &Scenario, side: usize, nth: usize) -> bool {
    scenario.together && side == 1 && nth == 0
}

/// The kind of a network, which is that of the other side's if both are in one.
pub(crate) fn kind(scenario: &Scenario, side: usize, nth: usize) -> Kind {
    let side = if is_shared(scenario, side, nth) { 0 } else { side };
    scenario.networks(side)[nth].kind
}

/// The addresses of a machine in a network, after it has got others so often.
pub(crate) fn addresses(scenario: &Scenario, side: usize, nth: usize, readdressed: u32) -> Vec<IpAddr> {
    let kind = kind(scenario, side, nth);
    let net = (10 * side + nth) as u8;
    let shared = u8::from(is_shared(scenario, side, nth));
    let number = 10 + 100 * shared + readdressed as u8;
    let mut addresses: Vec<IpAddr> = Vec::new();
    if kind.has_ipv6() {
        let net = if shared == 1 { 0 } else { u16::from(net) };
        addresses.push(Ipv6Addr::new(0x2001, 0xdb8, 0xA, net, 0, 0, 0, u16::from(number)).into());
    }
    if kind.has_ipv4() {
        addresses.push(match kind.routers().is_empty() {
            true => Ipv4Addr::new(203, 0, 113 + net, number).into(),
            false => Ipv4Addr::new(192, 168, if shared == 1 { 0 } else { net }, number).into(),
        });
    }
    addresses
}

/// The address of a network's outermost router on the public internet, after it has got others so often.
pub(crate) fn outside(side: usize, nth: usize, renumbered: u32) -> IpAddr {
    Ipv4Addr::new(192, 0, 2 + (10 * side + nth) as u8, 1 + renumbered as u8).into()
}

/// The address of a home's router inside the carrier's network (RFC 6598).
fn between(side: usize, nth: usize) -> IpAddr {
    Ipv4Addr::new(100, 64, (10 * side + nth) as u8, 10).into()
}

/// The sockets of a machine that has these networks.
pub(crate) fn interfaces(scenario: &Scenario, side: usize, places: &[&Place]) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    for place in places {
        let kind = kind(scenario, side, place.nth);
        for (which, &address) in place.addresses.iter().enumerate() {
            let port = AGENT_PORT + (100 * side + 10 * place.nth + which) as u16;
            let base = SocketAddr::new(address, port);
            let index = place.nth as u32 + 1;
            let server = SocketAddr::new(server_for(kind, address), SERVER_PORT);
            let (username, password) = USERS[side];
            let has_relay = scenario.servers == Servers::TurnUdp && which == 0;
            interfaces.push(Interface {
                socket: HostSocket::on(scenario.networks(side)[place.nth].interface, index, base, Protocol::Udp),
                stun: (scenario.servers != Servers::None).then_some(server),
                relay: has_relay.then(|| RelayServer {
                    protocol: Protocol::Udp,
                    local: SocketAddr::new(address, RELAY_CLIENT_PORT),
                    server,
                    username: username.to_owned(),
                    password: password.to_owned(),
                }),
            });
        }
    }
    interfaces
}

fn server_for(kind: Kind, address: IpAddr) -> IpAddr {
    match (kind, SERVER[0]) {
        // The server is known by its IPv4 address, as most are.
        (Kind::Nat64, IpAddr::V4(v4)) => synthesise(WELL_KNOWN_PREFIX, v4).into(),
        _ if address.is_ipv4() => SERVER[0],
        _ => SERVER[1],
    }
}
