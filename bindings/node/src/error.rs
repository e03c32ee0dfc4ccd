//! What is thrown: the core's message, with the reason as `code`.

use frazil_border as border;

pub(crate) type Result<T> = core::result::Result<T, Error>;

/// Why a call is refused.
pub struct Error(border::Error);

/// An argument cannot be.
pub(crate) fn argument(message: String) -> Error {
    Error(border::Error::new(border::Reason::InvalidArgument, message))
}

impl From<border::Error> for Error {
    fn from(error: border::Error) -> Self {
        Self(error)
    }
}

impl From<Error> for napi::JsError<&'static str> {
    fn from(Error(error): Error) -> Self {
        napi::Error::new(error.reason.as_str(), error.message).into()
    }
}
