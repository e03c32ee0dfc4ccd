//! What a case is played on: the networks, a server that always works, and who sends everything back.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::contestants::{Installed, Program};
use crate::coturn::Coturn;
use crate::place::{Place, Site};
use crate::running::Running;
use crate::server::{Authority, PASSWORD, Script, Server, USER};

/// The stage.
pub(crate) struct Stage {
    place: Place,
    pub(crate) authority: Authority,
    /// A file with its certificate.
    authority_file: PathBuf,
    folder: PathBuf,
    installed: Installed,
    echoes: Vec<SocketAddr>,
}

/// What a program is told.
pub(crate) struct Setting {
    /// The URLs of the servers, with user and password.
    pub(crate) servers: Vec<(String, String, String)>,
    pub(crate) is_open: bool,
    pub(crate) is_relay_only: bool,
    pub(crate) wants_both_families: bool,
    pub(crate) wants_sha256: bool,
}

impl Setting {
    /// One server, in the network where only it connects.
    pub(crate) fn one(url: String) -> Self {
        Self::several(vec![url])
    }

    pub(crate) fn several(urls: Vec<String>) -> Self {
        let servers = urls.into_iter().map(|url| (url, USER.to_owned(), PASSWORD.to_owned())).collect();
        Self { servers, is_open: false, is_relay_only: false, wants_both_families: false, wants_sha256: false }
    }
}

impl Stage {
    pub(crate) async fn new(installed: Installed, folder: PathBuf) -> Result<Self, Box<dyn std::error::Error>> {
        let place = Place::new()?;
        let authority = Authority::new()?;
        let authority_file = folder.join("authority.pem");
        std::fs::write(&authority_file, authority.pem())?;
        let mut echoes = Vec::new();
        for ip in [place.open.servers(), place.closed.servers()].concat() {
            let socket = UdpSocket::bind((ip, 0)).await?;
            echoes.push(socket.local_addr()?);
            tokio::spawn(echo(socket));
        }
        Ok(Self { place, authority, authority_file, folder, installed, echoes })
    }

    pub(crate) fn installed(&self) -> &Installed {
        &self.installed
    }

    fn site(&self, is_open: bool) -> &Site {
        if is_open { &self.place.open } else { &self.place.closed }
    }

    /// The addresses that servers can have, as clients see them.
    pub(crate) fn servers(&self, is_open: bool) -> [IpAddr; 2] {
        self.site(is_open).servers()
    }

    /// A server for the clients in the closed network.
    pub(crate) async fn server(&self, script: Script) -> io::Result<Server> {
        let [ip4, ip6] = self.servers(false);
        Server::start(ip4, ip6, false, &self.authority, script).await
    }

    /// A server for the clients in the open network.
    pub(crate) async fn open_server(&self, script: Script) -> io::Result<Server> {
        let [ip4, ip6] = self.servers(true);
        Server::start(ip4, ip6, false, &self.authority, script).await
    }

    /// A server that is reached over IPv6.
    pub(crate) async fn server_on_ipv6(&self, script: Script) -> io::Result<Server> {
        let [ip4, ip6] = self.servers(false);
        Server::start(ip4, ip6, true, &self.authority, script).await
    }

    /// The server that most people run, for the clients in the closed network.
    pub(crate) async fn coturn(&self, arguments: &[String]) -> io::Result<Coturn> {
        Coturn::start(self.servers(false)[0], &self.authority, &self.folder, arguments).await
    }

    /// Starts a program. The other agents that it may have need a STUN server: `helper` is one.
    pub(crate) fn start(&self, program: Program, setting: &Setting, helper: &Server) -> io::Result<Running> {
        let site = self.site(setting.is_open);
        let server = |(url, username, password): &(String, String, String)| json!({ "url": url, "username": username, "password": password });
        let servers: Vec<Value> = setting.servers.iter().map(server).collect();
        let echo: Vec<_> = self.echoes.iter().filter(|at| site.servers().contains(&at.ip())).collect();
        let task = json!({
            "servers": servers,
            "is_relay_only": setting.is_relay_only,
            "wants_both_families": setting.wants_both_families,
            "wants_sha256": setting.wants_sha256,
            "local": site.clients(),
            "echo": echo,
            "authority": self.authority_file,
            "stun": format!("stun:{}", helper.address()),
        });
        let words = program.words(&self.installed);
        let mut command = site.command(&words[0]);
        command.args(&words[1..]).arg(task.to_string());
        command.env("NODE_PATH", &self.installed.node_modules).env("CHROMIUM", &self.installed.chromium);
        command.env("SSL_CERT_FILE", &self.authority_file).env("NODE_EXTRA_CA_CERTS", &self.authority_file);
        Running::start(command)
    }
}

async fn echo(socket: UdpSocket) {
    let mut buf = vec![0; 65_536];
    loop {
        if let Ok((len, from)) = socket.recv_from(&mut buf).await {
            let _ = socket.send_to(&buf[..len], from).await;
        }
    }
}
