//! The STUN and TURN servers that the page and the native peer use, as W3C's `RTCConfiguration` names them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use frazil_tokio::IceServer;
use frazil_turn_server::Server;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a demo that runs elsewhere may take to name its servers, and how long its answer may be.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER: u64 = 64 << 10;

/// An `RTCIceServer`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Named {
    urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

/// What `turn` can be asked for.
pub(crate) fn of(turn: &Server) -> Vec<Named> {
    let address = turn.address();
    vec![
        Named { urls: vec![format!("stun:{address}")], username: None, credential: None },
        Named {
            urls: vec![format!("turn:{address}?transport=udp"), format!("turn:{address}?transport=tcp")],
            username: Some(Server::USER.to_owned()),
            credential: Some(turn.password().to_owned()),
        },
    ]
}

/// What the page of another demo is told, which is at `host`: an address or a name, perhaps with a port.
pub(crate) async fn of_page(host: &str) -> io::Result<Vec<Named>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        ice_servers: Vec<Named>,
    }
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let answer = timeout(PATIENCE, get(host, "/config.json")).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| invalid("no answer to HTTP".to_owned()))?;
    if !head.lines().next().is_some_and(|status| status.contains(" 200 ")) {
        return Err(invalid("there is no demo".to_owned()));
    }
    let config: Config = serde_json::from_str(body).map_err(|error| invalid(error.to_string()))?;
    Ok(config.ice_servers)
}

async fn get(host: &str, path: &str) -> io::Result<String> {
    let with_port = if host.rsplit(']').next().is_some_and(|end| end.contains(':')) { "" } else { ":80" };
    let mut stream = TcpStream::connect(format!("{host}{with_port}")).await?;
    // Without HTTP/1.1 there are no chunks, and the answer ends where the stream does.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).await?;
    Ok(answer)
}

impl From<Named> for IceServer {
    fn from(named: Named) -> Self {
        let server = Self::new(named.urls);
        match (named.username, named.credential) {
            (Some(username), Some(credential)) => server.credentials(username, credential),
            _ => server,
        }
    }
}

/// Whether one of them is on the loopback interface, and so can be asked from there only.
pub(crate) fn any_on_loopback(servers: &[Named]) -> bool {
    let is_loopback = |url: &String| {
        let rest = url.split_once(':').map_or("", |(_, rest)| rest);
        let host = rest.split('?').next().unwrap_or(rest);
        let with_port = host.parse::<SocketAddr>().map(|address| address.ip());
        with_port.or_else(|_| host.parse::<IpAddr>()).is_ok_and(|ip| ip.is_loopback())
    };
    servers.iter().flat_map(|server| &server.urls).any(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use frazil_turn_server as turn;

    #[tokio::test]
    async fn the_page_and_a_native_peer_from_elsewhere_are_told_of_the_same_servers() {
        let turn = turn::Server::start(turn::Config::default()).await.unwrap();
        let servers = of(&turn);
        assert!(any_on_loopback(&servers));
        let config = serde_json::json!({ "room": "demo", "iceServers": servers });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let served = tokio::spawn(async move { axum::serve(listener, crate::page::router(config)).await });
        assert_eq!(of_page(&host).await.unwrap(), servers);
        served.abort();
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        let named = |url: &str| [Named { urls: vec![url.to_owned()], username: None, credential: None }];
        for near in ["stun:127.0.0.1", "turn:127.0.0.1:3478?transport=tcp", "turns:[::1]:5349"] {
            assert!(any_on_loopback(&named(near)), "{near}");
        }
        for far in ["stun:192.0.2.1", "turn:example.org:3478", "stun:[2001:db8::1]:3478", "127.0.0.1", ""] {
            assert!(!any_on_loopback(&named(far)), "{far}");
        }
    }
}
