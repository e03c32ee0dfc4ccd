//! The records of the border as objects.

use frazil_border as border;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::crossing::Crossing;
use crate::error::Result;

macro_rules! declare_all {
    ($( $(#[$doc:meta])* $name:ident { $($fields:tt)* } )*) => {
        $( declare! { { $(#[$doc])* $name } {} $($fields)* } )*
    };
}

/// Takes the fields one by one: numbers of any size are JavaScript's, and what may be absent may be null too, as in the JSON
/// that browsers write, for which napi wants two options.
macro_rules! declare {
    ($head:tt { $($done:tt)* } $(#[$doc:meta])* $field:ident: [u16], $($rest:tt)*) => {
        declare! { $head { $($done)* $(#[$doc])* $field: [f64], } $($rest)* }
    };
    ($head:tt { $($done:tt)* } $(#[$doc:meta])* $field:ident: [u32], $($rest:tt)*) => {
        declare! { $head { $($done)* $(#[$doc])* $field: [f64], } $($rest)* }
    };
    ($head:tt { $($done:tt)* } $(#[$doc:meta])* $field:ident: [Option<u16>], $($rest:tt)*) => {
        declare! { $head { $($done)* $(#[$doc])* $field: [Option<Option<f64>>], } $($rest)* }
    };
    ($head:tt { $($done:tt)* } $(#[$doc:meta])* $field:ident: [Option<u32>], $($rest:tt)*) => {
        declare! { $head { $($done)* $(#[$doc])* $field: [Option<Option<f64>>], } $($rest)* }
    };
    ($head:tt { $($done:tt)* } $(#[$doc:meta])* $field:ident: [Option<$type:ident>], $($rest:tt)*) => {
        declare! { $head { $($done)* $(#[$doc])* $field: [Option<Option<$type>>], } $($rest)* }
    };
    ($head:tt { $($done:tt)* } $(#[$doc:meta])* $field:ident: [$($type:tt)*], $($rest:tt)*) => {
        declare! { $head { $($done)* $(#[$doc])* $field: [$($type)*], } $($rest)* }
    };
    (
        { $(#[$doc:meta])* $name:ident }
        { $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )* }
    ) => {
        $(#[$doc])*
        #[napi(object)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $($type)*, )*
        }

        impl Crossing<border::$name> for $name {
            fn give(value: border::$name) -> Self {
                Self { $( $field: Crossing::give(value.$field), )* }
            }

            fn take(self, _what: &str) -> Result<border::$name> {
                Ok(border::$name { $( $field: self.$field.take(stringify!($field))?, )* })
            }
        }
    };
}

border::records!(declare_all);

/// A certificate with its private key, to be kept for another peer.
#[napi(object)]
pub struct Certificate {
    /// The X.509 certificate in DER form.
    pub certificate: Uint8Array,
    /// Its private key, ECDSA on P-256 or P-384, in DER form (PKCS#8 or SEC 1).
    pub private_key: Uint8Array,
}

impl Crossing<border::Certificate> for Certificate {
    fn give(border::Certificate { certificate, private_key }: border::Certificate) -> Self {
        Self { certificate: certificate.into(), private_key: private_key.into() }
    }

    fn take(self, _what: &str) -> Result<border::Certificate> {
        Ok(border::Certificate { certificate: self.certificate.to_vec(), private_key: self.private_key.to_vec() })
    }
}
