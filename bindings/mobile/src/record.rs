//! The records, declared for uniffi.

use frazil_border::records;

macro_rules! declare {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, uniffi::Record)]
            pub struct $name {
                $( $(#[$field_doc])* pub $field: $($type)*, )*
            }

            impl From<frazil_border::$name> for $name {
                fn from(record: frazil_border::$name) -> Self {
                    Self { $( $field: record.$field, )* }
                }
            }

            impl From<$name> for frazil_border::$name {
                fn from(record: $name) -> Self {
                    Self { $( $field: record.$field, )* }
                }
            }
        )*
    };
}

records!(declare);

/// A certificate with its private key, to be kept for another peer.
#[derive(Clone, uniffi::Record)]
pub struct Certificate {
    /// The X.509 certificate in DER form.
    pub certificate: Vec<u8>,
    /// Its private key, ECDSA on P-256 or P-384, in DER form (PKCS#8 or SEC 1).
    pub private_key: Vec<u8>,
}

impl From<frazil_border::Certificate> for Certificate {
    fn from(record: frazil_border::Certificate) -> Self {
        Self { certificate: record.certificate, private_key: record.private_key }
    }
}

impl From<Certificate> for frazil_border::Certificate {
    fn from(record: Certificate) -> Self {
        Self { certificate: record.certificate, private_key: record.private_key }
    }
}
