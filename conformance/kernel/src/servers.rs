//! The servers on the public internet: coturn, and the signalling server of the examples.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use frazil_signaling::{Config, Signaling, serve};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::error::LabError;
use crate::lab::{Lab, address};
use crate::namespace::search_path;
use crate::peer::ServerAccess;
use crate::probe;

/// Where coturn listens for UDP and TCP.
pub(crate) const PORT: u16 = 3478;
/// Its other port, for questions about NATs (RFC 5780).
pub(crate) const OTHER_PORT: u16 = 3479;
const TLS_PORT: u16 = 5349;

const USER: &str = "someone";
const PASSWORD: &str = "a long term secret";

/// How long a server may take to listen, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The servers, which run until this is dropped.
pub(crate) struct Servers {
    coturn: Child,
    signaling: SocketAddr,
    authority: PathBuf,
}

impl Servers {
    /// Starts them. What they write goes to `scratch`.
    pub(crate) fn start(lab: &Lab, scratch: &Path) -> Result<Self, LabError> {
        let authority = certify(scratch)?;
        let signaling = signal(lab)?;
        let mut servers = Self { coturn: start_coturn(lab, scratch)?, signaling, authority };
        servers.wait_until_all_answer(lab, scratch)?;
        Ok(servers)
    }

    /// It opens its sockets one after the other, those for UDP not before those for TCP.
    fn wait_until_all_answer(&mut self, lab: &Lab, scratch: &Path) -> Result<(), LabError> {
        let end = Instant::now() + PATIENCE;
        let mut is_late = |at: (Ipv4Addr, u16)| {
            let has_ended = self.coturn.try_wait().is_ok_and(|status| status.is_some());
            if !has_ended && Instant::now() <= end {
                return Ok(());
            }
            let log = fs::read_to_string(scratch.join("coturn.log")).unwrap_or_default();
            Err(LabError::Unserviceable(format!("coturn does not listen at {}: {log}", SocketAddr::from(at))))
        };
        for at in [(address::SERVER, PORT), (address::SERVER, TLS_PORT)] {
            while lab.public().enter(|| TcpStream::connect(at)).is_err() {
                is_late(at)?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        let socket = lab.public().enter(|| UdpSocket::bind((address::SERVER, 0)));
        let socket = socket.map_err(LabError::of("a socket beside the servers"))?;
        for ip in [address::SERVER, address::OTHER_SERVER] {
            for at in [(ip, PORT), (ip, OTHER_PORT)] {
                while !probe::answers(&socket, at)? {
                    is_late(at)?;
                }
            }
        }
        Ok(())
    }

    /// The signalling server's WebSocket door.
    pub(crate) fn signaling(&self) -> String {
        format!("ws://{}/ws", self.signaling)
    }

    /// The certificate of whoever vouches for the TURN server, as a file.
    pub(crate) fn authority(&self) -> &Path {
        &self.authority
    }

    /// What the peers of a cell are told of them.
    pub(crate) fn access(servers: crate::drawing::Servers) -> Vec<ServerAccess> {
        use crate::drawing::Servers as Given;
        let server = address::SERVER;
        let turn = match servers {
            Given::None => return Vec::new(),
            Given::Stun => None,
            Given::TurnUdp => Some(format!("turn:{server}:{PORT}?transport=udp")),
            Given::TurnTcp => Some(format!("turn:{server}:{PORT}?transport=tcp")),
            Given::TurnTls => Some(format!("turns:{server}:{TLS_PORT}?transport=tcp")),
        };
        let stun = ServerAccess { uri: format!("stun:{server}:{PORT}"), username: None, password: None };
        let turn =
            turn.map(|uri| ServerAccess { uri, username: Some(USER.to_owned()), password: Some(PASSWORD.to_owned()) });
        [stun].into_iter().chain(turn).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.coturn.kill();
        let _ = self.coturn.wait();
    }
}

fn start_coturn(lab: &Lab, scratch: &Path) -> Result<Child, LabError> {
    let file = |name: &str| scratch.join(name).display().to_string();
    let log = File::create(scratch.join("coturn.log")).map_err(LabError::of("coturn's log"))?;
    let [server, other, relay] = [address::SERVER, address::OTHER_SERVER, address::RELAY].map(|ip| ip.to_string());
    let [port, other_port, tls_port] = [PORT, OTHER_PORT, TLS_PORT].map(|port| port.to_string());
    let mut command = Command::new("turnserver");
    command
        .args(["-n", "--listening-ip", &server, "--listening-ip", &other, "--relay-ip", &relay])
        .args(["--listening-port", &port, "--alt-listening-port", &other_port, "--tls-listening-port", &tls_port])
        .args(["--fingerprint", "--lt-cred-mech", "--realm", "kernel.example"])
        .args(["--user", &format!("{USER}:{PASSWORD}"), "--no-cli", "--no-dtls", "--log-file", "stdout"])
        .args(["--cert", &file("server.pem"), "--pkey", &file("server.key")])
        .args(["--pidfile", &file("coturn.pid"), "--userdb", &file("coturn.sqlite")])
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::null());
    lab.public().enter(|| command.spawn()).map_err(LabError::of("turnserver"))
}

/// Runs the signalling server, and gives where.
fn signal(lab: &Lab) -> Result<SocketAddr, LabError> {
    let (told, listening) = mpsc::channel();
    lab.public().enter(|| {
        // A thread that is started inside stays inside.
        thread::spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(told.send(Err(error))),
            };
            runtime.block_on(async {
                let signaling = Signaling::start(Config::default());
                match tokio::net::TcpListener::bind((address::SIGNALING, 80)).await {
                    Ok(listener) => {
                        let _ = told.send(listener.local_addr());
                        let router = signaling.router();
                        // It ends with the program.
                        let _ = serve(listener, router, signaling, std::future::pending()).await;
                    }
                    Err(error) => drop(told.send(Err(error))),
                }
            });
        });
    });
    let listening = listening.recv_timeout(PATIENCE);
    let listening =
        listening.map_err(|_| LabError::Unserviceable("the signalling server does not start".to_owned()))?;
    listening.map_err(LabError::of("the signalling server"))
}

/// Writes a certificate for the server and gives the file with that of its authority.
fn certify(scratch: &Path) -> Result<PathBuf, LabError> {
    let made = || -> Result<_, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "frazil kernel lab");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names: Vec<String> = [address::SERVER, address::OTHER_SERVER].iter().map(Ipv4Addr::to_string).collect();
        let server = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        Ok((authority.as_ref().pem(), server.pem(), key.serialize_pem()))
    };
    let (authority, server, key) =
        made().map_err(|error| LabError::Unserviceable(format!("no certificate for the TURN server: {error}")))?;
    let file = |name: &str, content: &str| {
        let path = scratch.join(name);
        fs::write(&path, content).map_err(LabError::of(name)).map(|()| path)
    };
    file("server.pem", &server)?;
    file("server.key", &key)?;
    file("authority.pem", &authority)
}
