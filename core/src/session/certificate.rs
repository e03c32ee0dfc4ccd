//! Certificates and their fingerprints (RFC 8122).

use core::fmt;

use str0m::crypto::CryptoProvider;
use str0m::crypto::dtls::DtlsCert;

/// The one hash function in use. RFC 8122 section 5 obliges everyone to it, and browsers send no other.
const SHA_256: &str = "sha-256";

/// The length of a SHA-256 digest in bytes.
const SHA_256_LEN: usize = 32;

/// The fingerprint of a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    /// The hash function's name as in SDP, in small letters.
    pub hash: String,
    /// The digest of the certificate's DER form.
    pub bytes: Vec<u8>,
}

impl Fingerprint {
    pub(super) fn is_sha256(&self) -> bool {
        self.hash.eq_ignore_ascii_case(SHA_256)
    }

    pub(crate) fn from_sdp(fingerprint: &crate::sdp::Fingerprint) -> Self {
        Self { hash: fingerprint.function().to_owned(), bytes: fingerprint.bytes().to_vec() }
    }

    pub(crate) fn as_sdp(&self) -> crate::sdp::Fingerprint {
        crate::sdp::Fingerprint::sha256(self.bytes.as_slice().try_into().expect("ours is a SHA-256"))
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.is_sha256() || self.bytes.len() == SHA_256_LEN
    }
}

impl fmt::Display for Fingerprint {
    /// As in SDP: `sha-256 4A:AD:…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.hash)?;
        for (i, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

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

    pub(super) fn fingerprint(&self, crypto: &CryptoProvider) -> Fingerprint {
        Fingerprint { hash: SHA_256.into(), bytes: crypto.sha256_provider.sha256(&self.certificate).to_vec() }
    }

    pub(super) fn to_dtls(&self) -> DtlsCert {
        DtlsCert { certificate: self.certificate.clone(), private_key: self.private_key.clone() }
    }
}
