//! The records, declared for uniffi.

use core::fmt;

use frazil_border::records;

macro_rules! declare {
    ($( $(#[$doc:meta])* $name:ident { $($fields:tt)* } )*) => {
        $( named! { [$(#[$doc])*] $name $($fields)* } )*
    };
}

/// An `IceServer` is shown without its password.
macro_rules! named {
    ([$($docs:tt)*] IceServer $($fields:tt)*) => {
        record! { [$($docs)* #[uniffi::export(Display)]] IceServer [] $($fields)* }
    };
    ($docs:tt $name:ident $($fields:tt)*) => {
        record! { $docs $name [] $($fields)* }
    };
}

/// Declares one record, field by field: one that may be left out has a default.
macro_rules! record {
    ($docs:tt $name:ident [$($done:tt)*] $(#[$doc:meta])* $field:ident: [Option<$type:ty>], $($rest:tt)*) => {
        record! { $docs $name [$($done)* { $(#[$doc])* #[uniffi(default)] } $field: [Option<$type>],] $($rest)* }
    };
    ($docs:tt $name:ident [$($done:tt)*] $(#[$doc:meta])* $field:ident: [$type:ty], $($rest:tt)*) => {
        record! { $docs $name [$($done)* { $(#[$doc])* } $field: [$type],] $($rest)* }
    };
    ([$($docs:tt)*] $name:ident [$( { $($attributes:tt)* } $field:ident: [$type:ty], )*]) => {
        $($docs)*
        #[derive(Clone, uniffi::Record)]
        pub struct $name {
            $( $($attributes)* pub $field: $type, )*
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
    };
}

records!(declare);

impl fmt::Display for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { urls, username, credential: _ } = self;
        write!(f, "IceServer(urls={urls:?}, username={})", username.as_deref().unwrap_or_default())
    }
}

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
