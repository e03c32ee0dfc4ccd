//! Certificate fingerprints (RFC 8122 section 5).

use core::fmt;
use core::str::FromStr;

use super::clip;

/// The hash of a certificate, and the function it was made with.
///
/// As text: `sha-256 AB:CD:…`. A hash of a known function has that function's length; others are kept
/// as they are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// In lower case.
    function: String,
    bytes: Vec<u8>,
}

impl Fingerprint {
    /// The fingerprint whose SHA-256 is `digest`.
    #[must_use]
    pub fn sha256(digest: [u8; 32]) -> Self {
        Self { function: "sha-256".to_owned(), bytes: digest.to_vec() }
    }

    /// The name of the hash function, in lower case.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }

    /// The hash.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The hash, if the function is SHA-256.
    #[must_use]
    pub fn as_sha256(&self) -> Option<&[u8; 32]> {
        (self.function == "sha-256").then(|| self.bytes.as_slice().try_into().expect("the length was checked"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        for (i, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let mut words = text.split_ascii_whitespace();
        let (Some(function), Some(hex), None) = (words.next(), words.next(), words.next()) else {
            return Err(InvalidFingerprint::NotTwoWords(clip(text)));
        };
        let function = function.to_ascii_lowercase();
        let bytes = hex.split(':').map(byte).collect::<Result<Vec<u8>, _>>()?;
        match hash_length(&function) {
            Some(expected) if expected != bytes.len() => {
                Err(InvalidFingerprint::Length { function, expected, found: bytes.len() })
            }
            _ => Ok(Self { function, bytes }),
        }
    }
}

fn byte(pair: &str) -> Result<u8, InvalidFingerprint> {
    // `from_str_radix` alone would take a sign.
    let valid = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = valid.then(|| u8::from_str_radix(pair, 16).ok()).flatten();
    byte.ok_or_else(|| InvalidFingerprint::NotHex(clip(pair)))
}

/// The bytes that the hash functions of RFC 8122 give.
fn hash_length(function: &str) -> Option<usize> {
    Some(match function {
        "md2" | "md5" => 16,
        "sha-1" => 20,
        "sha-224" => 28,
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => return None,
    })
}

/// Why a text is no fingerprint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InvalidFingerprint {
    /// It is not a function and a hash with a space between.
    NotTwoWords(String),
    /// A piece between two colons is not two hexadecimal digits.
    NotHex(String),
    /// The hash is longer or shorter than the function makes it.
    Length {
        /// The hash function.
        function: String,
        /// How many bytes it gives.
        expected: usize,
        /// How many there were.
        found: usize,
    },
}

impl fmt::Display for InvalidFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTwoWords(text) => write!(f, "fingerprint {text:?} is not a hash function and a hash"),
            Self::NotHex(pair) => write!(f, "fingerprint has {pair:?} where two hexadecimal digits belong"),
            Self::Length { function, expected, found } => {
                write!(f, "{function} fingerprint has {found} bytes instead of {expected}")
            }
        }
    }
}

impl std::error::Error for InvalidFingerprint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_is_read_and_one_is_written() {
        let digest: [u8; 32] = core::array::from_fn(|i| (i * 8) as u8);
        let text = Fingerprint::sha256(digest).to_string();
        assert!(text.starts_with("sha-256 00:08:10:18:"));
        for text in [text.clone(), text.to_lowercase(), text.to_uppercase(), text.replace(' ', "  ")] {
            let read: Fingerprint = text.parse().unwrap();
            assert_eq!(read.as_sha256(), Some(&digest));
        }
        let unknown: Fingerprint = "sha3-512 0a:0b".parse().unwrap();
        assert_eq!((unknown.to_string().as_str(), unknown.as_sha256()), ("sha3-512 0A:0B", None));
    }

    #[test]
    fn what_is_no_hash_is_refused_by_reason() {
        let parse = |text: &str| text.parse::<Fingerprint>().unwrap_err();
        assert!(matches!(parse(""), InvalidFingerprint::NotTwoWords(_)));
        assert!(matches!(parse("sha-256"), InvalidFingerprint::NotTwoWords(_)));
        assert!(matches!(parse("sha-256 AA BB"), InvalidFingerprint::NotTwoWords(_)));
        assert_eq!(parse("sha-1 AA:+B"), InvalidFingerprint::NotHex("+B".to_owned()));
        assert_eq!(parse("sha-1 AA:"), InvalidFingerprint::NotHex(String::new()));
        assert_eq!(parse("sha-1 é"), InvalidFingerprint::NotHex("é".to_owned()));
        assert_eq!(
            parse("SHA-256 AA:BB"),
            InvalidFingerprint::Length { function: "sha-256".to_owned(), expected: 32, found: 2 }
        );
    }
}
