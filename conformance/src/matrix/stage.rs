//! A cell, built in the virtual internet.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil::{Instant, Protocol};
use frazil_internet::{Access, HostId, Internet, TurnServer, synthesise};

use super::topology::{RELAY, SERVER, SERVER_PORT, Topology};
use crate::contestant::Role;
use crate::gathering::{Party, RelayServer, Setup, Socket};

/// From a machine into its realm, or from a realm through a router: 10 ms, so that two machines on the public
/// internet are 20 ms apart.
const HOP: Duration = Duration::from_millis(10);

/// The port of the agent's sockets.
const AGENT_PORT: u16 = 50_000;

/// The port of the TURN client's socket.
const RELAY_CLIENT_PORT: u16 = 50_001;

const USERS: [(&str, &str); 2] = [("controlling", "first secret"), ("controlled", "second secret")];

/// Builds the cell and gives its two machines, the controlling one first.
pub(super) fn build<P: Party, A>(topology: &Topology, seed: u64) -> (Internet<P, A>, [HostId; 2]) {
    let mut internet = Internet::new(seed);
    let mut realms = vec![internet.public()];
    for router in &topology.routers {
        let (_, inner) =
            internet.add_router(realms[router.outer], &router.outside, Access::delay(HOP), router.config.clone());
        realms.push(inner);
    }
    if topology.stun {
        let users = USERS.map(|(name, password)| (name.to_owned(), password.to_owned())).into();
        let server = TurnServer { users, relay: Some(RELAY), lends_ipv6: false, ..TurnServer::default() };
        internet.add_server(realms[0], &SERVER, Access::delay(HOP), server);
    }
    let hosts = [0, 1].map(|side| {
        let machine = &topology.machines[side];
        let setup = setup(topology, side, seed);
        let sockets: Vec<SocketAddr> = setup.sockets.iter().map(|socket| socket.address).collect();
        let relay = setup.relay.as_ref().filter(|relay| relay.protocol == Protocol::Udp).map(|relay| relay.local);
        let host = internet.add_host(Instant::ZERO, |now| P::new(setup, now));
        internet.attach(host, realms[machine.realm], &machine.addresses, Access::delay(HOP));
        for socket in sockets.into_iter().chain(relay) {
            internet.bind(host, socket);
        }
        host
    });
    (internet, hosts)
}

/// What a side has, and how it reaches the servers.
fn setup(topology: &Topology, side: usize, seed: u64) -> Setup {
    let machine = &topology.machines[side];
    let server_for = |address: IpAddr| {
        let server = match (topology.prefix(machine), SERVER[0]) {
            // The server is known by its IPv4 address, as most are.
            (Some(prefix), IpAddr::V4(v4)) => synthesise(prefix, v4).into(),
            _ if address.is_ipv4() => SERVER[0],
            _ => SERVER[1],
        };
        SocketAddr::new(server, SERVER_PORT)
    };
    let socket = |&address: &IpAddr| Socket {
        address: SocketAddr::new(address, AGENT_PORT),
        stun: topology.stun.then(|| server_for(address)),
    };
    let (username, password) = USERS[side];
    Setup {
        role: [Role::Controlling, Role::Controlled][side],
        seed: seed.wrapping_mul(2).wrapping_add(side as u64),
        sockets: machine.addresses.iter().map(socket).collect(),
        relay: topology.turn.map(|protocol| RelayServer {
            protocol,
            local: SocketAddr::new(machine.addresses[0], if protocol == Protocol::Tcp { 0 } else { RELAY_CLIENT_PORT }),
            server: server_for(machine.addresses[0]),
            username: username.to_owned(),
            password: password.to_owned(),
        }),
    }
}
