//! The discovery with coturn behind NATs of the kernel's, in network namespaces:
//! `cargo test -p frazil-conformance --test behaviour coturn -- --ignored`, where `turnserver` and `nft` are installed.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant as Clock};

use frazil::nat::{Config, Discovery, Filtering, Hairpinning, Mapping, Unknown};
use frazil::stun::RetransmissionConfig;
use frazil::{Instant, Path, Protocol};

use crate::answers::answers;
use crate::machine::Machine;
use crate::site::{Found, address};

const BASE: &str = "192.168.7.2:4000";
const SECOND_BASE: &str = "192.168.7.2:4001";
const SERVER: &str = "203.0.113.10:3478";
const OTHER: &str = "203.0.113.11:3479";

/// A client behind a router, and coturn with two addresses outside.
struct Lab {
    client: Machine,
    router: Machine,
    _server: Machine,
    coturn: Child,
}

impl Lab {
    fn new() -> Self {
        let [client, router, server] = std::array::from_fn(|_| Machine::new());
        router.wire(["lan", "eth"], &client, [&["192.168.7.1/24"], &["192.168.7.2/24"]]);
        router.wire(["wan", "eth"], &server, [&["203.0.113.1/24"], &["203.0.113.10/24", "203.0.113.11/24"]]);
        client.ip("route add default via 192.168.7.1");
        server.ip("route add default via 203.0.113.1");
        router.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
        let coturn = server.run(start_coturn);
        Self { client, router, _server: server, coturn }
    }

    /// What the client finds out.
    fn discover(&self) -> Found {
        self.client.run(|| {
            // Nothing is lost here, so fewer requests do.
            let retransmission = RetransmissionConfig { rto: Duration::from_millis(500), rc: 4, rm: 8 };
            let config = Config {
                second_base: Some(address(SECOND_BASE)),
                retransmission,
                ..Config::new(address(BASE), address(SERVER))
            };
            discover(config)
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.coturn.kill();
        let _ = self.coturn.wait();
    }
}

fn start_coturn() -> Child {
    let file = |name: &str| {
        let name = format!("frazil-behaviour-{}.{name}", std::process::id());
        std::env::temp_dir().join(name).display().to_string()
    };
    let ip = |socket: &str| address(socket).ip().to_string();
    let coturn = Command::new("turnserver")
        .args(["-n", "--listening-ip", &ip(SERVER), "--listening-ip", &ip(OTHER), "--relay-ip", &ip(SERVER)])
        .args(["--listening-port", "3478", "--alt-listening-port", "3479"])
        .args(["--lt-cred-mech", "--realm", "here", "--user", "alice:secret"])
        .args(["--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout", "--pidfile", &file("pid")])
        .args(["--userdb", &file("sqlite")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("turnserver is installed");
    // Its log comes late through a pipe; it is there when each of its sockets answers.
    let end = Clock::now() + Duration::from_secs(60);
    let [server, other] = [SERVER, OTHER].map(address);
    for ip in [server.ip(), other.ip()] {
        for at in [server.port(), other.port()].map(|port| SocketAddr::new(ip, port)) {
            while !answers(at) {
                assert!(Clock::now() < end, "turnserver does not listen at {at}");
                thread::yield_now();
            }
        }
    }
    coturn
}

/// Drives a discovery on the sockets that it is about.
fn discover(config: Config) -> Found {
    let sockets = [Some(config.base), config.second_base].map(|base| {
        let socket = UdpSocket::bind(base.expect("both are configured")).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        socket
    });
    let epoch = Clock::now();
    let now = || Instant::from_nanos(epoch.elapsed().as_nanos() as u64);
    let socket_at = |local: SocketAddr| sockets.iter().find(|socket| socket.local_addr().unwrap() == local).unwrap();
    let mut discovery = Discovery::new(config, [7; 32], now()).unwrap();
    let mut buf = [0; 2000];
    let bound = config.retransmission.lifetime() * 5 + Duration::from_secs(30);
    while !discovery.is_finished() {
        assert!(epoch.elapsed() < bound, "{discovery:?}");
        while let Some(transmit) = discovery.poll_transmit(&mut buf) {
            // What a router refuses counts as lost.
            let _ = socket_at(transmit.path.local).send_to(&buf[..transmit.len], transmit.path.remote);
        }
        for socket in &sockets {
            if let Ok((len, remote)) = socket.recv_from(&mut buf) {
                let path = Path { protocol: Protocol::Udp, local: socket.local_addr().unwrap(), remote };
                discovery.handle_datagram(path, &buf[..len], now());
            }
        }
        discovery.handle_timeout(now());
    }
    Found {
        mapping: discovery.mapping().expect("it has finished").map_err(Clone::clone),
        filtering: discovery.filtering().expect("it has finished").map_err(Clone::clone),
        hairpinning: discovery.hairpinning().expect("it has finished").map_err(Clone::clone),
    }
}

/// Outside comes in only what answers.
const STATEFUL: &str = "table ip filter {
    chain input { type filter hook input priority 0; iifname wan ct state new drop; }
    chain forward { type filter hook forward priority 0; iifname wan ct state new drop; }
}";

/// Outside comes in what is translated.
const OPEN: &str = "table ip filter {
    chain input { type filter hook input priority 0; iifname wan ct state new drop; }
}";

/// No datagram goes through.
const BLOCKED: &str = "table ip filter {
    chain forward { type filter hook forward priority 0; meta l4proto udp drop; }
}";

#[test]
#[ignore = "needs turnserver, nft and the right to make network namespaces"]
fn nats_of_the_kernel_are_what_they_were_made() {
    let behind = |before: &str, after: &str| {
        format!(
            "table ip nat {{
                chain before {{ type nat hook prerouting priority -100; {before} }}
                chain after {{ type nat hook postrouting priority 100; {after} }}
            }}"
        )
    };
    let cone = "oifname wan masquerade;";
    let forward = "iifname wan udp dport 1024-65535 dnat to 192.168.7.2;";
    let turn_round = "ip daddr 203.0.113.1 udp dport 1024-65535 dnat to 192.168.7.2;";
    let seen = "table ip nat {
        set seen { type ipv4_addr; flags dynamic, timeout; timeout 60s; }
        chain note { type filter hook forward priority -10; oifname wan meta l4proto udp add @seen { ip daddr }; }
        chain before { type nat hook prerouting priority -100;
            iifname wan ip saddr @seen udp dport 1024-65535 dnat to 192.168.7.2; }
        chain after { type nat hook postrouting priority 100; oifname wan masquerade; }
    }";
    use Filtering as F;
    use Hairpinning as H;
    use Mapping as M;
    let kinds = [
        ("none", String::new(), Ok(M::None), Ok(F::EndpointIndependent), Err(Unknown::NoNat)),
        ("firewall", STATEFUL.to_owned(), Ok(M::None), Ok(F::AddressAndPortDependent), Err(Unknown::NoNat)),
        (
            "full cone",
            [OPEN, &behind(forward, cone)].join("\n"),
            Ok(M::EndpointIndependent),
            Ok(F::EndpointIndependent),
            Ok(H::None),
        ),
        (
            "full cone, hairpinning",
            [OPEN, &behind(turn_round, &format!("{cone} iifname lan oifname lan snat to 203.0.113.1;"))].join("\n"),
            Ok(M::EndpointIndependent),
            Ok(F::EndpointIndependent),
            Ok(H::ExternalSource),
        ),
        (
            "full cone, hairpinning from inside",
            [OPEN, &behind(turn_round, &format!("{cone} iifname lan oifname lan masquerade;"))].join("\n"),
            Ok(M::EndpointIndependent),
            Ok(F::EndpointIndependent),
            Ok(H::InternalSource),
        ),
        (
            "address-restricted",
            [OPEN, seen].join("\n"),
            Ok(M::EndpointIndependent),
            Ok(F::AddressDependent),
            Ok(H::None),
        ),
        (
            "port-restricted",
            [STATEFUL, &behind("", cone)].join("\n"),
            Ok(M::EndpointIndependent),
            Ok(F::AddressAndPortDependent),
            Ok(H::None),
        ),
        (
            "symmetric",
            [STATEFUL, &behind("", "oifname wan masquerade random,fully-random;")].join("\n"),
            Ok(M::AddressAndPortDependent),
            Ok(F::AddressAndPortDependent),
            Err(Unknown::Filtered),
        ),
        (
            "blocked",
            BLOCKED.to_owned(),
            Err(Unknown::NoAnswer(address(SERVER))),
            Err(Unknown::NoAnswer(address(SERVER))),
            Err(Unknown::NoAnswer(address(SERVER))),
        ),
    ];
    for (name, rules, mapping, filtering, hairpinning) in kinds {
        // A new one each time: the kernel remembers what has gone through.
        let lab = Lab::new();
        lab.router.rules(&rules);
        let found = lab.discover();
        println!("{name}: {found:?}");
        assert_eq!(found, Found { mapping, filtering, hairpinning }, "{name}");
    }
}
