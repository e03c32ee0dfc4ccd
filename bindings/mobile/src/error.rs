//! Errors with the core's message.

use core::fmt;

use frazil_border::{Error, Reason, reasons};

macro_rules! declare {
    ($( $(#[$doc:meta])* $reason:ident = $word:literal, )*) => {
        /// Why a call is refused.
        #[derive(Clone, PartialEq, Eq, Debug, uniffi::Error)]
        #[uniffi(flat_error)]
        pub enum FrazilError {
            $(
                $(#[$doc])*
                $reason {
                    /// What is wrong, and with which value.
                    reason: String,
                },
            )*
        }

        impl From<Error> for FrazilError {
            fn from(error: Error) -> Self {
                let reason = error.message;
                match error.reason {
                    $( Reason::$reason => Self::$reason { reason }, )*
                }
            }
        }

        impl FrazilError {
            /// What the class of this error is called.
            #[cfg(not(target_vendor = "apple"))]
            pub(crate) const fn variant(&self) -> &'static str {
                match self {
                    $( Self::$reason { .. } => stringify!($reason), )*
                }
            }
        }

        impl fmt::Display for FrazilError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $( Self::$reason { reason } => f.write_str(reason), )*
                }
            }
        }
    };
}

reasons!(declare);

impl std::error::Error for FrazilError {}
