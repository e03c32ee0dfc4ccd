//! A STUN and TURN server on UDP, TCP and TLS, for the demo and for tests: the protocol is `turn-server-proto`'s, the
//! sockets are tokio's. It keeps its bounds, but is not meant for the Internet: one user, one address family.

mod shell;
mod streams;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
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
    /// Whether to listen for TLS too, and at which port; 0 leaves it to the system. The certificate is made for the
    /// occasion and says `localhost` and the address.
    pub tls_port: Option<u16>,
    /// The password of the only user; one is made if there is none.
    pub password: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        let ip = IpAddr::from([127, 0, 0, 1]);
        Self { ip, port: 0, relay: ip, tls_port: None, password: None }
    }
}

/// A running server. It stops soon after it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tls: Option<(SocketAddr, CertificateDer<'static>)>,
    password: String,
    tasks: JoinSet<()>,
}

impl Server {
    /// The only user.
    pub const USER: &str = "frazil";

    /// Starts a server.
    ///
    /// # Errors
    /// When an address cannot be bound, or the system gives no random numbers.
    pub async fn start(config: Config) -> io::Result<Self> {
        let (udp, tcp) = bind(config.ip, config.port).await?;
        let address = udp.local_addr()?;
        let password = match config.password {
            Some(password) => password,
            None => random_text()?,
        };
        let mut tasks = JoinSet::new();
        let shell = |transport, address, front| {
            let mut server = TurnServer::new(transport, address, REALM.to_owned());
            server.add_user(Self::USER.to_owned(), password.clone());
            Shell::new(server, address, front, config.relay)
        };

        let (inputs, queue) = mpsc::channel(QUEUE);
        let udp = Arc::new(udp);
        tasks.spawn(read_datagrams(udp.clone(), address, inputs.clone()));
        tasks.spawn(shell(TransportType::Udp, address, Front::Datagrams(udp)).run(inputs, queue));

        let streams = || Front::Streams(BTreeMap::new());
        let (inputs, queue) = mpsc::channel(QUEUE);
        tasks.spawn(streams::accept(tcp, None, inputs.clone()));
        tasks.spawn(shell(TransportType::Tcp, address, streams()).run(inputs, queue));

        let mut tls = None;
        if let Some(port) = config.tls_port {
            let listener = TcpListener::bind((config.ip, port)).await?;
            let address = listener.local_addr()?;
            let (acceptor, certificate) = identity(config.ip)?;
            let (inputs, queue) = mpsc::channel(QUEUE);
            tasks.spawn(streams::accept(listener, Some(acceptor), inputs.clone()));
            tasks.spawn(shell(TransportType::Tcp, address, streams()).run(inputs, queue));
            tls = Some((address, certificate));
        }
        Ok(Self { address, tls, password, tasks })
    }

    /// Where it listens for UDP and for TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS, and the certificate that vouches for it.
    #[must_use]
    pub fn tls(&self) -> Option<(SocketAddr, &CertificateDer<'static>)> {
        self.tls.as_ref().map(|(address, certificate)| (*address, certificate))
    }

    /// The user's password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
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

/// A certificate that vouches for itself.
fn identity(ip: IpAddr) -> io::Result<(TlsAcceptor, CertificateDer<'static>)> {
    let names = ["localhost".to_owned(), ip.to_string()];
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let config = versions.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key.into());
    Ok((TlsAcceptor::from(Arc::new(config.map_err(io::Error::other)?)), cert.der().clone()))
}
