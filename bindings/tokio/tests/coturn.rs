//! What only a server that keeps to the letter does: coturn, where it is installed.

mod common;

use common::{builder, soon};
use frazil::ice::CandidateKind;
use frazil_tokio::{IceServer, Peer};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server of this test's own, on loopback.
struct Coturn {
    child: Child,
    address: SocketAddr,
}

impl Coturn {
    async fn start() -> Self {
        let address = free_address();
        let pid_file = std::env::temp_dir().join(format!("frazil-coturn-{}.pid", address.port()));
        let mut command = Command::new("turnserver");
        command.args(["-n", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers", "--log-file", "stdout"]);
        command.args(["-L", "127.0.0.1", "-p", &address.port().to_string(), "--pidfile"]).arg(pid_file);
        command.args(["-a", "-r", "frazil", "-u", "frazil:secret"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("turnserver is installed");
        let server = Self { child, address };
        soon(server.answers()).await;
        server
    }

    /// Asks until there is an answer.
    async fn answers(&self) {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        loop {
            let _ = socket.send_to(&request, self.address).await;
            let answer = tokio::time::timeout(Duration::from_millis(50), socket.recv_from(&mut [0; 512])).await;
            if matches!(answer, Ok(Ok(_))) {
                return;
            }
        }
    }

    fn server(&self) -> IceServer {
        IceServer::new([format!("turn:{}", self.address)]).credentials("frazil", "secret")
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that the server lends the peer.
async fn relay(peer: &Peer) -> SocketAddr {
    loop {
        let relayed = peer.local_candidates().into_iter().map(|local| local.candidate);
        if let Some(candidate) = relayed.into_iter().find(|candidate| candidate.kind == CandidateKind::Relayed) {
            return candidate.address;
        }
        tokio::task::yield_now().await;
    }
}

/// With a port that the system gives nobody by itself, so that nobody else has it before the server does.
fn free_address() -> SocketAddr {
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let mut ports = (first..30_000).chain(20_000..first).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let is_free = |at: &SocketAddr| UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok();
    ports.find(is_free).expect("a port is free")
}

/// Two ports of UDP that follow one another and are free.
fn two_ports() -> (UdpSocket, UdpSocket) {
    loop {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let next = one.local_addr().unwrap().port().checked_add(1);
        if let Some(Ok(other)) = next.map(|port| UdpSocket::bind(("127.0.0.1", port))) {
            return (one, other);
        }
    }
}

mod coturn {
    use super::*;

    // On one thread: the peer does nothing before the second port is free for it.
    #[tokio::test]
    #[ignore = "runs coturn"]
    async fn a_server_that_knows_our_port_from_before_is_asked_from_another() {
        let server = Coturn::start().await;
        let (one, other) = two_ports();
        let (first, second) = (one.local_addr().unwrap().port(), other.local_addr().unwrap().port());
        drop(one);
        // A peer that dies without a word: the server goes on lending what it had.
        let dying = builder().servers([server.server()]).ports(first..=first);
        let died = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (peer, _events) = dying.start().unwrap();
                soon(relay(&peer)).await
            })
        });
        let before = tokio::task::spawn_blocking(|| died.join().unwrap()).await.unwrap();

        let (peer, _events) = builder().servers([server.server()]).ports(first..=second).start().unwrap();
        drop(other);
        assert_ne!(soon(relay(&peer)).await, before);
        let candidates = peer.local_candidates();
        let hosts = candidates.iter().filter(|local| local.candidate.kind == CandidateKind::Host);
        assert_eq!(hosts.map(|local| local.base.port()).collect::<Vec<_>>(), [first], "the other is no candidate");
        assert!(UdpSocket::bind(("127.0.0.1", second)).is_err(), "it is in use");
        soon(peer.close()).await;
        UdpSocket::bind(("127.0.0.1", second)).expect("it is closed");
    }
}
