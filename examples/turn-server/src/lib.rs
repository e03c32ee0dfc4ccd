//! A STUN and TURN server on UDP, TCP and TLS, for the demo and for tests: the protocol is `turn-server-proto`'s, the
//! sockets are tokio's. It keeps its bounds, but is not meant for the Internet: one user, one address family.

mod shell;
mod streams;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use turn_server_proto::api::TurnServerApi;
use turn_server_proto::server::TurnServer;
use turn_server_proto::types::TransportType;

use crate::shell::{Front, Shell, read_datagrams};

const REALM: &str = "frazil";
/// How many packets may wait to be handled, or to be read by one client in a stream. One more is lost, as UDP packets are.
const QUEUE: usize = 256;

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens: an address of this machine. 127.0.0.1.
    pub ip: IpAddr,
    /// The port for UDP and for TCP. 0 leaves it to the system.
    pub port: u16,
    /// Where relayed addresses are: an address of this machine. Where it is not a loopback address, nothing is relayed to
    /// those. 127.0.0.1.
    pub relay: IpAddr,
    /// Whether to listen for TLS too, and at which port; 0 leaves it to the system.
    pub tls_port: Option<u16>,
    /// Who it is in TLS. One is made if there is none, which says `localhost` and the address.
    pub identity: Option<Identity>,
    /// The password of the only user; one is made if there is none.
    pub password: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        let ip = IpAddr::from([127, 0, 0, 1]);
        Self { ip, port: 0, relay: ip, tls_port: None, identity: None, password: None }
    }
}

/// A certificate that vouches for itself, with its key.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { certificate: self.certificate.clone(), key: self.key.clone_key() }
    }
}

/// A running server. It stops soon after it is dropped.
#[derive(Debug)]
pub struct Server {
    /// As it is, with the ports that it has and what was made for it.
    config: Config,
    password: String,
    allocations: watch::Receiver<usize>,
    tasks: JoinSet<()>,
}

impl Server {
    /// The only user.
    pub const USER: &str = "frazil";

    /// Starts a server.
    ///
    /// # Errors
    /// When an address cannot be bound, or the system gives no random numbers.
    pub async fn start(mut config: Config) -> io::Result<Self> {
        let (udp, tcp) = bind(config.ip, config.port).await?;
        let address = udp.local_addr()?;
        config.port = address.port();
        let password = match &config.password {
            Some(password) => password.clone(),
            None => config.password.insert(random_text()?).clone(),
        };
        let mut tasks = JoinSet::new();
        let (count, allocations) = watch::channel(0);
        let shell = |transport, address, front| {
            let mut server = TurnServer::new(transport, address, REALM.to_owned());
            server.add_user(Self::USER.to_owned(), password.clone());
            Shell::new(server, address, front, config.relay, count.clone())
        };

        let (inputs, queue) = mpsc::channel(QUEUE);
        let udp = Arc::new(udp);
        tasks.spawn(read_datagrams(udp.clone(), address, inputs.clone()));
        tasks.spawn(shell(TransportType::Udp, address, Front::Datagrams(udp)).run(inputs, queue));

        let streams = || Front::Streams(BTreeMap::new());
        let (inputs, queue) = mpsc::channel(QUEUE);
        tasks.spawn(streams::accept(tcp, None, inputs.clone()));
        tasks.spawn(shell(TransportType::Tcp, address, streams()).run(inputs, queue));

        if let Some(port) = &mut config.tls_port {
            let listener = TcpListener::bind((config.ip, *port)).await?;
            let address = listener.local_addr()?;
            *port = address.port();
            let identity = match &config.identity {
                Some(identity) => identity,
                None => config.identity.insert(Identity::of(config.ip)?),
            };
            let acceptor = identity.acceptor()?;
            let (inputs, queue) = mpsc::channel(QUEUE);
            tasks.spawn(streams::accept(listener, Some(acceptor), inputs.clone()));
            tasks.spawn(shell(TransportType::Tcp, address, streams()).run(inputs, queue));
        }
        Ok(Self { config, password, allocations, tasks })
    }

    /// Where it listens for UDP and for TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.config.ip, self.config.port)
    }

    /// Where it listens for TLS, and the certificate that vouches for it.
    #[must_use]
    pub fn tls(&self) -> Option<(SocketAddr, &CertificateDer<'static>)> {
        let identity = self.config.identity.as_ref()?;
        Some((SocketAddr::new(self.config.ip, self.config.tls_port?), &identity.certificate))
    }

    /// What starts the same server again, at the same ports, once it has stopped.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// The user's password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// How many relayed addresses are lent now, and as that changes.
    #[must_use]
    pub fn allocations(&self) -> watch::Receiver<usize> {
        self.allocations.clone()
    }

    /// Stops it, and waits until its ports are free again.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn bind(ip: IpAddr, port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let mut attempts = 0;
    loop {
        let udp = UdpSocket::bind((ip, port)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            // Another program's TCP port has the number that the system chose for UDP.
            Err(error) if port == 0 && attempts < 16 && error.kind() == io::ErrorKind::AddrInUse => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}

fn random_text() -> io::Result<String> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    Ok(secret.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Identity {
    fn of(ip: IpAddr) -> io::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), ip.to_string()]);
        let rcgen::CertifiedKey { cert, signing_key } = made.map_err(io::Error::other)?;
        Ok(Self { certificate: cert.der().clone(), key: signing_key.serialize_der().into() })
    }

    fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let Self { certificate, key } = self.clone();
        let config = versions
            .and_then(|versions| versions.with_no_client_auth().with_single_cert(vec![certificate], key.into()))
            .map_err(io::Error::other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn who_asks_for_his_address_is_answered() {
        let server = Server::start(Config::default()).await.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        socket.send_to(&request, server.address()).await.unwrap();
        let mut answer = [0; 512];
        let received = timeout(Duration::from_secs(30), socket.recv_from(&mut answer)).await.expect("an answer comes");
        assert_eq!(received.unwrap().1, server.address());
        assert_eq!((&answer[..2], &answer[8..20]), (&[1, 1][..], &[7; 12][..]));
    }
}
