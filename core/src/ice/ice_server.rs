//! STUN and TURN servers as an application names them.

use core::fmt;

use super::server::{InvalidServerUri, NoCredentials, Server, ServerUri};
use crate::stun::{InvalidLongTermCredentials, LongTermCredentials};

/// One or several URIs of STUN and TURN servers with the same credentials, as W3C's `RTCIceServer` has them. A STUN server
/// needs no credentials, and can be named by its URI alone.
///
/// ```
/// use frazil::ice::IceServer;
///
/// let relay = IceServer::new(["turn:turn.example.org", "turns:turn.example.org"]).credentials("user", "password");
/// let servers = IceServer::read_all([IceServer::from("stun:stun.example.org"), relay])?;
/// assert_eq!(servers.len(), 3);
/// # Ok::<(), frazil::ice::InvalidServer>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct IceServer {
    uris: Vec<String>,
    credentials: Option<(String, String)>,
}

impl IceServer {
    /// The servers that these URIs name: `stun:`, `stuns:`, `turn:` or `turns:`, a host, perhaps a port and
    /// `?transport=udp` or `tcp` (RFC 7064, RFC 7065).
    pub fn new<U: Into<String>>(uris: impl IntoIterator<Item = U>) -> Self {
        Self { uris: uris.into_iter().map(Into::into).collect(), credentials: None }
    }

    /// As whom to ask, which TURN servers want to know.
    pub fn credentials(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((username.into(), password.into()));
        self
    }

    /// One server for each URI of the list, in its order.
    ///
    /// # Errors
    /// If a URI cannot be read, or credentials are missing or of no use.
    pub fn read_all<S: Into<Self>>(servers: impl IntoIterator<Item = S>) -> Result<Vec<Server>, InvalidServer> {
        let mut all = Vec::new();
        for server in servers {
            all.extend(server.into().read()?);
        }
        Ok(all)
    }

    fn read(self) -> Result<Vec<Server>, InvalidServer> {
        let credentials = self.credentials.map(|(username, password)| LongTermCredentials::new(username, password));
        let credentials = credentials.transpose().map_err(InvalidServer::Credentials)?;
        let read = |text: String| {
            let uri: ServerUri = text.parse().map_err(|error| InvalidServer::Uri { text, error })?;
            Server::new(uri, credentials.clone()).map_err(InvalidServer::NoCredentials)
        };
        self.uris.into_iter().map(read).collect()
    }
}

/// Without the password.
impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let username = self.credentials.as_ref().map(|(username, _)| username);
        f.debug_struct("IceServer").field("uris", &self.uris).field("username", &username).finish_non_exhaustive()
    }
}

impl From<&str> for IceServer {
    fn from(uri: &str) -> Self {
        Self::new([uri])
    }
}

impl From<String> for IceServer {
    fn from(uri: String) -> Self {
        Self::new([uri])
    }
}

impl From<Server> for IceServer {
    fn from(server: Server) -> Self {
        let named = Self::new([server.uri().to_string()]);
        match server.credentials() {
            Some(who) => named.credentials(who.username(), who.password()),
            None => named,
        }
    }
}

/// What is wrong with a server that was named.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidServer {
    /// Its URI.
    Uri {
        /// What was given.
        text: String,
        /// What is wrong with it.
        error: InvalidServerUri,
    },
    /// It is a TURN server and there are no credentials.
    NoCredentials(NoCredentials),
    /// The user's name.
    Credentials(InvalidLongTermCredentials),
}

impl fmt::Display for InvalidServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri { text, error } => write!(f, "{text:?} names no server: {error}"),
            Self::NoCredentials(error) => error.fmt(f),
            Self::Credentials(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InvalidServer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Uri { error, .. } => Some(error),
            Self::NoCredentials(error) => Some(error),
            Self::Credentials(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_one_for_each_uri_and_come_back_as_they_were() {
        let turn = IceServer::new(["turn:turn.example.org?transport=tcp", "turns:[2001:db8::1]"]);
        let servers =
            IceServer::read_all([IceServer::from("stun:192.0.2.1"), turn.clone().credentials("user", "secret")])
                .unwrap();
        let uris: Vec<String> = servers.iter().map(|server| server.uri().to_string()).collect();
        assert_eq!(uris, ["stun:192.0.2.1", "turn:turn.example.org?transport=tcp", "turns:[2001:db8::1]"]);
        assert_eq!(servers[2].credentials().unwrap().password(), "secret");
        assert_eq!(IceServer::read_all(servers.clone()).unwrap(), servers);

        let shown = format!("{:?}", turn.clone().credentials("user", "secret"));
        assert!(shown.contains("turns:") && shown.contains("user") && !shown.contains("secret"), "{shown}");

        assert!(matches!(IceServer::read_all([turn.clone()]), Err(InvalidServer::NoCredentials(_))));
        assert!(matches!(IceServer::read_all([turn.credentials("", "secret")]), Err(InvalidServer::Credentials(_))));
        let error = IceServer::read_all(["stun:192.0.2.1", "192.0.2.2"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""192.0.2.2" names no server: "192.0.2.2" does not begin with stun:, stuns:, turn: or turns:"#
        );
    }
}
