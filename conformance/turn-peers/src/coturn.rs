//! The server that most people run.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::server::{Authority, PASSWORD, Transport, USER};

/// A running coturn. It is killed when this is dropped.
pub(crate) struct Coturn {
    process: Child,
    plain: SocketAddr,
    tls: SocketAddr,
}

impl Coturn {
    /// Starts one with more arguments, and waits until it listens.
    pub(crate) async fn start(
        ip: IpAddr,
        authority: &Authority,
        folder: &Path,
        arguments: &[String],
    ) -> io::Result<Self> {
        let (plain, tls) = (free_address(ip).await?, free_address(ip).await?);
        let file = |name: &str| folder.join(format!("coturn-{}.{name}", plain.port())).display().to_string();
        let (certificate, key) = authority.pems_for(ip).map_err(io::Error::other)?;
        std::fs::write(file("cert"), certificate)?;
        std::fs::write(file("key"), key)?;
        let process = Command::new("turnserver")
            .args(["-n", "--listening-ip", &ip.to_string(), "--relay-ip", &ip.to_string()])
            .args(["--listening-port", &plain.port().to_string(), "--tls-listening-port", &tls.port().to_string()])
            .args(["--lt-cred-mech", "--realm", "turn-peers", "--user", &format!("{USER}:{PASSWORD}")])
            .args(["--cert", &file("cert"), "--pkey", &file("key"), "--no-dtls", "--no-cli", "--log-file", "stdout"])
            .args(["--userdb", &file("sqlite"), "--pidfile", &file("pid")])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let coturn = Self { process, plain, tls };
        let listens = async {
            while TcpStream::connect(plain).await.is_err() || TcpStream::connect(tls).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(30), listens).await.map_err(|_| io::Error::other("coturn does not listen"))?;
        Ok(coturn)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.plain
    }

    /// A URL of it.
    pub(crate) fn url(&self, transport: Transport) -> String {
        match transport {
            Transport::Udp => format!("turn:{}?transport=udp", self.plain),
            Transport::Tcp => format!("turn:{}?transport=tcp", self.plain),
            Transport::Tls => format!("turns:{}?transport=tcp", self.tls),
        }
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn free_address(ip: IpAddr) -> io::Result<SocketAddr> {
    TcpListener::bind((ip, 0)).await?.local_addr()
}
