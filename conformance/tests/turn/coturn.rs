//! The client against coturn: `cargo xtask test coturn`, or
//! `cargo test -p frazil-conformance --test turn coturn:: -- --ignored` where `turnserver` is installed and the machine
//! lets us make network namespaces.

mod answers;
mod certificate;
mod credentials;
mod data;
mod driver;
mod figures;
mod in_namespaces;
mod lifetimes;
mod loss;
mod peer;
mod redirection;
mod refusals;
mod server;
mod socket;
mod tcp_relay;

use frazil::turn::{Config, Transport};

use crate::site::credentials;
use certificate::Authority;
use driver::Surroundings;
use peer::Peer;
use server::{Coturn, Plan};

const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// What the certificates of the servers say, and what their users call them.
const NAME: &str = "turn.test";

/// As Alice.
fn config(server: &Coturn, transport: Transport) -> Config {
    Config::new(server.address(transport), transport, credentials("secret"))
}

/// A server for all transports that is not started yet, and what its clients need.
fn of_all_transports() -> (Plan, Surroundings) {
    let authority = Authority::new();
    let plan = Plan::new().with_alice().with_loopback_peers().with_certificate(authority.certify(NAME));
    (plan, authority.surroundings(NAME))
}
