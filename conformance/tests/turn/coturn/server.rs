//! A coturn of a test's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant as Clock};

use frazil::turn::Transport;

use super::answers::answers;
use super::certificate::Certificate;

/// How long coturn may take to start on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What it says of each allocation that is no more.
pub(crate) const RELEASED: &str = ": delete: realm=";

/// What a coturn is started with. It can be started again, at the same addresses.
#[derive(Clone)]
pub(crate) struct Plan {
    listening: Vec<IpAddr>,
    port: u16,
    tls_port: u16,
    certificate: Option<Certificate>,
    arguments: Vec<String>,
}

impl Plan {
    /// On loopback of both families, without users, and without peers that could be reached there.
    pub(crate) fn new() -> Self {
        Self::on(&[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    /// At these addresses, relayed ones too, without users.
    pub(crate) fn on(addresses: &[IpAddr]) -> Self {
        let [port, tls_port] = [(); 2].map(|()| free_port());
        Self { listening: addresses.to_vec(), port, tls_port, certificate: None, arguments: Vec::new() }
    }

    /// With the user `alice`, whose password is `secret`.
    pub(crate) fn with_alice(self) -> Self {
        self.with(&["--lt-cred-mech", "--user", "alice:secret"])
    }

    /// With peers on loopback that may be reached.
    pub(crate) fn with_loopback_peers(self) -> Self {
        self.with(&["--allow-loopback-peers"])
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// With TLS.
    pub(crate) fn with_certificate(self, certificate: Certificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// Where it will listen, in this family.
    pub(crate) fn address(&self, transport: Transport, v4: bool) -> SocketAddr {
        let ip = self.listening.iter().find(|ip| ip.is_ipv4() == v4).expect("no address of this family");
        SocketAddr::new(*ip, if transport == Transport::Tls { self.tls_port } else { self.port })
    }

    pub(crate) fn start(self) -> Coturn {
        let folder = std::env::temp_dir().join(format!("frazil-coturn-{}-{}", std::process::id(), self.port));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        // The log of an earlier one in its place is not this one's.
        let _ = std::fs::remove_file(file("log"));
        let mut command = Command::new("turnserver");
        command
            .args(["-n", "--verbose", "--realm", "here", "--no-cli", "--no-dtls", "--no-rfc5780"])
            .args(["--listening-port", &self.port.to_string(), "--tls-listening-port", &self.tls_port.to_string()])
            .args(["--log-file", &file("log"), "--simple-log", "--no-stdout-log"])
            .args(["--pidfile", &file("pid"), "--userdb", &file("sqlite")]);
        for ip in &self.listening {
            command.args(["--listening-ip", &ip.to_string(), "--relay-ip", &ip.to_string()]);
        }
        match &self.certificate {
            Some(Certificate { chain, key }) => {
                for (name, pem) in [("cert", chain), ("pkey", key)] {
                    std::fs::write(folder.join(name), pem).unwrap();
                    command.args([format!("--{name}"), file(name)]);
                }
            }
            None => drop(command.arg("--no-tls")),
        }
        let process = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("turnserver is installed");
        let coturn = Coturn { process, folder, plan: self };
        coturn.wait_until_it_listens();
        coturn
    }
}

/// Killed when it is dropped.
pub(crate) struct Coturn {
    process: Child,
    folder: PathBuf,
    plan: Plan,
}

impl Coturn {
    /// With Alice, peers on loopback, and these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Plan::new().with_alice().with_loopback_peers().with(arguments).start()
    }

    /// Where it listens, in IPv4.
    pub(crate) fn address(&self, transport: Transport) -> SocketAddr {
        self.plan.address(transport, true)
    }

    /// Where it listens, in IPv6.
    pub(crate) fn address_6(&self, transport: Transport) -> SocketAddr {
        self.plan.address(transport, false)
    }

    /// Kills it, and gives what it takes to start it again in its place.
    pub(crate) fn kill(self) -> Plan {
        self.plan.clone()
    }

    /// What it has written into its log so far.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// How many lines of its log have this text.
    pub(crate) fn says(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until so many lines of its log have this text.
    pub(crate) fn wait_until_it_says(&self, text: &str, count: usize) {
        let end = Clock::now() + PATIENCE;
        while self.says(text) < count {
            assert!(Clock::now() < end, "turnserver does not say {text:?}");
            // Nobody tells when a file grows.
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn wait_until_it_listens(&self) {
        let end = Clock::now() + PATIENCE;
        let is_late = || assert!(Clock::now() < end, "turnserver does not listen:\n{}", self.log());
        for &ip in &self.plan.listening {
            let at = SocketAddr::new(ip, self.plan.port);
            while !answers(at) {
                is_late();
            }
            let tls = self.plan.certificate.as_ref().map(|_| SocketAddr::new(ip, self.plan.tls_port));
            for at in [at].into_iter().chain(tls) {
                while TcpStream::connect(at).is_err() {
                    is_late();
                    std::thread::yield_now();
                }
            }
        }
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let of_sessions: Vec<String> =
                self.log().lines().filter(|line| line.contains("session")).map(str::to_owned).collect();
            eprintln!("coturn at port {} said:\n{}", self.plan.port, of_sessions.join("\n"));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The unspecified address of a family.
pub(crate) fn any(v4: bool) -> IpAddr {
    if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// A port that the system gives nobody by itself: who connects to one that it does give, before anybody listens there,
/// may be given that port and meet itself.
fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let mut ports = std::iter::repeat_with(|| first + GIVEN.fetch_add(1, Ordering::Relaxed) % 1_000);
    let is_free = |port: &u16| {
        [any(true), any(false)].into_iter().all(|ip| {
            let at = SocketAddr::new(ip, *port);
            UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok()
        })
    };
    ports.by_ref().take(1_000).find(is_free).expect("a port is free")
}
