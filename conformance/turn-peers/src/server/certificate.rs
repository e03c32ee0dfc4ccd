//! Who vouches for the servers.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate authority that exists for one run.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "frazil turn-peers");
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// What clients are to trust.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// TLS with a certificate for this address.
    pub(super) fn acceptor(&self, ip: IpAddr) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
        let (certificate, key) = self.vouch_for(ip)?;
        // Which cryptography must be said, since programs of one workspace bring more than one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_no_client_auth().with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// A certificate for this address, and its key, as text.
    pub(crate) fn pems_for(&self, ip: IpAddr) -> Result<(String, String), rcgen::Error> {
        let (certificate, key) = self.vouch_for(ip)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn vouch_for(&self, ip: IpAddr) -> Result<(Certificate, KeyPair), rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([ip.to_string()])?;
        params.distinguished_name.push(DnType::CommonName, "turn");
        Ok((params.signed_by(&key, &self.0)?, key))
    }
}
