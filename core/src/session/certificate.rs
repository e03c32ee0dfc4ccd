//! Certificates and their fingerprints (RFC 8122).

use core::fmt;

use str0m::crypto::CryptoProvider;
use str0m::crypto::dtls::DtlsCert;

use crate::sdp::Fingerprint;

/// A certificate with its private key, to be used by more than one session or kept across runs.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The X.509 certificate in DER form.
    pub certificate: Vec<u8>,
    /// Its private key, ECDSA on P-256 or P-384, in DER form (PKCS#8 or SEC 1).
    pub private_key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    /// Without the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} bytes)", self.certificate.len())
    }
}

impl Certificate {
    /// A new self-signed one, from the provider's own entropy and clock.
    pub(super) fn generate(crypto: &CryptoProvider) -> Option<Self> {
        let DtlsCert { certificate, private_key } = crypto.dtls_provider.generate_certificate()?;
        Some(Self { certificate, private_key })
    }

    /// Whether the private key is one that the provider can use. `str0m` would panic on another.
    pub(super) fn is_usable(&self) -> bool {
        !self.certificate.is_empty()
            && str0m_aws_lc_rs::dimpl_crypto_provider().key_provider.load_private_key(&self.private_key).is_ok()
    }

    /// SHA-256, to which RFC 8122 section 5 obliges everyone; browsers send no other.
    pub(super) fn fingerprint(&self, crypto: &CryptoProvider) -> Fingerprint {
        Fingerprint::sha256(crypto.sha256_provider.sha256(&self.certificate))
    }

    pub(super) fn to_dtls(&self) -> DtlsCert {
        DtlsCert { certificate: self.certificate.clone(), private_key: self.private_key.clone() }
    }
}
