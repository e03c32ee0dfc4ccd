//! Errors with the core's message.

use core::fmt;
use frazil_border::{Error, Reason};

macro_rules! declare {
    ($( $(#[$doc:meta])* $reason:ident, )*) => {
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
                    // The border has learnt a new reason.
                    _ => Self::System { reason },
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

declare! {
    /// The peer is closed.
    Closed,
    /// The core has broken down, in this call or an earlier one.
    Panicked,
    /// An argument cannot be.
    InvalidArgument,
    /// The signalling state does not allow it.
    InvalidState,
    /// Something is wrong with the description.
    InvalidDescription,
    /// Something is wrong with the candidate.
    InvalidCandidate,
    /// The channel cannot be made.
    InvalidChannel,
    /// The message cannot be sent.
    NotSent,
    /// The operating system refuses what was asked of it.
    System,
}

impl std::error::Error for FrazilError {}
