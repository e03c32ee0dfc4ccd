//! What every program is told and what it says: one JSON object as its argument, commands on its input, one JSON object per
//! line on its output.

#![allow(dead_code, reason = "each program uses its part of it")]

use std::io::{BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a program is to do.
#[derive(Deserialize, Debug)]
pub(crate) struct Task {
    pub(crate) servers: Vec<Server>,
    /// Only what is relayed may be used.
    pub(crate) is_relay_only: bool,
    /// Relayed addresses of both families are wanted.
    pub(crate) wants_both_families: bool,
    /// SHA-256 is wanted; asked for where that is a setting.
    pub(crate) wants_sha256: bool,
    /// This machine's addresses.
    pub(crate) local: Vec<IpAddr>,
    /// Where what is sent comes back, one address of each family.
    pub(crate) echo: Vec<SocketAddr>,
    /// A file with the certificate that vouches for the servers.
    pub(crate) authority: String,
}

/// A server as an application would name it.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

/// What a program is told later on.
#[derive(Deserialize, Debug)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Command {
    /// Other credentials for the same servers.
    Renew { username: String, password: String },
    /// To give back what it has, and to end.
    Close,
}

impl Task {
    /// The task, and what comes after it.
    pub(crate) fn receive() -> (Self, Receiver<Command>) {
        let text = std::env::args().nth(1).expect("a task as the argument");
        let task = serde_json::from_str(&text).expect("a task");
        let (sender, commands) = mpsc::channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if let Ok(command) = serde_json::from_str(&line) {
                    let _ = sender.send(command);
                }
            }
            let _ = sender.send(Command::Close);
        });
        (task, commands)
    }

    /// TLS that trusts the authority of the task.
    pub(crate) fn tls(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.authority).expect("a certificate")).expect("a good one");
        // Which cryptography must be said, since programs of one workspace bring more than one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(config.expect("the provider has them").with_root_certificates(roots).with_no_client_auth())
    }

    /// This machine's address of the same family.
    pub(crate) fn local_for(&self, server: SocketAddr) -> IpAddr {
        *self.local.iter().find(|ip| ip.is_ipv4() == server.is_ipv4()).expect("an address of both families")
    }

    /// Where to send what is to come back from this relayed address.
    pub(crate) fn echo_for(&self, relayed: SocketAddr) -> SocketAddr {
        *self.echo.iter().find(|at| at.is_ipv4() == relayed.is_ipv4()).expect("an address of both families")
    }
}

impl Server {
    /// `udp`, `tcp` or `tls`.
    pub(crate) fn transport(&self) -> &'static str {
        if self.url.starts_with("turns:") {
            "tls"
        } else if self.url.ends_with("transport=tcp") {
            "tcp"
        } else {
            "udp"
        }
    }

    pub(crate) fn is_stun(&self) -> bool {
        self.url.starts_with("stun:")
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        let place = self.url.split_once(':').expect("a URL").1.split('?').next().expect("a host and a port");
        place.to_socket_addrs().expect("an address").next().expect("an address")
    }
}

/// Says one thing.
pub(crate) fn say(is: &str, what: Value) {
    let mut line = json!({ "is": is });
    if let (Some(line), Value::Object(what)) = (line.as_object_mut(), what) {
        line.extend(what);
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

pub(crate) fn say_candidate(kind: &str, address: SocketAddr) {
    say("candidate", json!({ "kind": kind, "address": address.to_string() }));
}
