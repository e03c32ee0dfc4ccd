//! TLS to servers: who is trusted, the handshake, and what makes records of bytes and bytes of records.
//!
//! The certificates that the machine trusts are read by `rustls-native-certs`. `rustls-platform-verifier`, which has
//! macOS and Windows judge by themselves, brings three times as many crates and one with another licence, does on other
//! systems what is done here, and on Android ends the process unless it was given a Java machine. Whoever wants it gives a
//! client configuration that has it.

use rustls::client::ClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;

/// Whom to believe that he is the server that he says he is.
#[derive(Clone, Default, Debug)]
pub(crate) enum Trust {
    /// Whoever the machine believes. That is read when it is first needed, once in a process.
    #[default]
    Machine,
    /// As this says.
    Given(Arc<ClientConfig>),
}

impl Trust {
    /// Whoever one of `roots` vouches for, and nobody else.
    ///
    /// # Errors
    /// When one of them is no certificate.
    pub(crate) fn roots<'r>(roots: impl IntoIterator<Item = CertificateDer<'r>>) -> Result<Self, rustls::Error> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root.into_owned())?;
        }
        Ok(Self::Given(client(store)?))
    }

    /// Shakes hands with the server at the other end of `io`, which must be `name`: a host name, or an address as text.
    ///
    /// # Errors
    /// When the stream ends, the server is not who it should be, or the machine trusts nobody.
    pub(crate) async fn shake_hands(self, io: TcpStream, name: &str) -> io::Result<(TcpStream, Session)> {
        let config = match self {
            Self::Given(config) => config,
            Self::Machine => tokio::task::spawn_blocking(of_machine).await.map_err(io::Error::other)??,
        };
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| io::Error::new(ErrorKind::InvalidInput, format!("a certificate cannot name {name:?}")))?;
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while connection.is_handshaking() || connection.wants_write() {
            let step = if connection.wants_write() {
                io.writable().await?;
                connection.write_tls(&mut Unwaiting(&io)).map(drop)
            } else {
                io.readable().await?;
                read_records(&mut connection, &io)
            };
            match step {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                step => step?,
            }
        }
        Ok((io, Session(Box::new(connection))))
    }
}

fn read_records(connection: &mut ClientConnection, io: &TcpStream) -> io::Result<()> {
    if connection.read_tls(&mut Unwaiting(io))? == 0 {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server left while hands were shaken for TLS"));
    }
    connection.process_new_packets().map(drop).map_err(|refused| {
        // The other side is told why, if it can be at once.
        let _ = connection.write_tls(&mut Unwaiting(io));
        io::Error::new(ErrorKind::InvalidData, refused)
    })
}

fn of_machine() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let mut found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.pop().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(io::Error::new(ErrorKind::NotFound, format!("this machine trusts no certificates{why}")));
    }
    let config = client(store).map_err(io::Error::other)?;
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

/// The cryptography is what DTLS uses, so that nothing is built twice.
fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(versions.with_root_certificates(roots).with_no_client_auth()))
}

/// One secured stream, once hands are shaken.
#[derive(Debug)]
pub(crate) struct Session(Box<ClientConnection>);

/// How many more bytes than it is given [`Session::open`] may give back: a record that had come in part.
pub(crate) const MAX_RECORD: usize = (1 << 14) + 2048;

impl Session {
    /// Adds `bytes` as records to what is to be sent.
    pub(crate) fn seal(&mut self, bytes: &[u8], sealed: &mut VecDeque<u8>) -> io::Result<()> {
        self.0.writer().write_all(bytes)?;
        self.write_records(sealed)
    }

    /// Adds the word that nothing more comes.
    pub(crate) fn seal_end(&mut self, sealed: &mut VecDeque<u8>) -> io::Result<()> {
        self.0.send_close_notify();
        self.write_records(sealed)
    }

    /// Takes what came, writes what is in it to the front of `bytes`, which has room for [`MAX_RECORD`] more than that,
    /// and gives how much that is. There may be something to be sent then. It fails, beside what it gives, when the
    /// records were tampered with or the other side has ended the stream.
    pub(crate) fn open(
        &mut self,
        mut records: &[u8],
        bytes: &mut [u8],
        sealed: &mut VecDeque<u8>,
    ) -> (usize, io::Result<()>) {
        let mut len = 0;
        let mut open = || {
            self.read(bytes, &mut len)?;
            while !records.is_empty() {
                self.0.read_tls(&mut records)?;
                let processed = self.0.process_new_packets();
                self.write_records(sealed)?;
                processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
                self.read(bytes, &mut len)?;
            }
            Ok(())
        };
        let opened = open();
        (len, opened)
    }

    fn read(&mut self, bytes: &mut [u8], len: &mut usize) -> io::Result<()> {
        loop {
            match self.0.reader().read(&mut bytes[*len..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the other side has ended it")),
                Ok(more) => *len += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn write_records(&mut self, sealed: &mut VecDeque<u8>) -> io::Result<()> {
        while self.0.wants_write() {
            self.0.write_tls(sealed)?;
        }
        Ok(())
    }
}

/// What the system does at once, or does not.
struct Unwaiting<'a>(&'a TcpStream);

impl Read for Unwaiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Unwaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
