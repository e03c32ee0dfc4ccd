//! The records.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::bytes::bytes_of;
use crate::class::{declare, match_args, replace, show};

frazil_border::records!(declare);

macro_rules! convert {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )* } )*) => {
        $(
            impl From<$name> for frazil_border::$name {
                fn from($name { $($field),* }: $name) -> Self {
                    Self { $($field),* }
                }
            }

            impl From<frazil_border::$name> for $name {
                fn from(frazil_border::$name { $($field),* }: frazil_border::$name) -> Self {
                    Self { $($field),* }
                }
            }
        )*

        pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $( module.add_class::<$name>()?; )*
            module.add_class::<Certificate>()
        }
    };
}

frazil_border::records!(convert);

/// A certificate with its private key, to be kept for another peer.
#[pyclass(frozen, eq, from_py_object, module = "frazil")]
#[derive(Clone, PartialEq)]
pub(crate) struct Certificate {
    pub(crate) certificate: Vec<u8>,
    pub(crate) private_key: Vec<u8>,
}

#[pymethods]
impl Certificate {
    #[new]
    #[pyo3(signature = (*, certificate, private_key))]
    fn new(certificate: &Bound<'_, PyAny>, private_key: &Bound<'_, PyAny>) -> PyResult<Self> {
        let [certificate, private_key] =
            [bytes_of(certificate)?, bytes_of(private_key)?].map(|bytes| bytes.into_owned());
        Ok(Self { certificate, private_key })
    }

    /// The X.509 certificate in DER form.
    #[getter]
    fn certificate<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.certificate)
    }

    /// Its private key, ECDSA on P-256 or P-384, in DER form (PKCS#8 or SEC 1).
    #[getter]
    fn private_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.private_key)
    }

    #[classattr]
    fn __match_args__(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        match_args(py, &["certificate", "private_key"])
    }

    #[pyo3(signature = (**changes))]
    fn __replace__<'py>(slf: &Bound<'py, Self>, changes: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        replace(slf, changes)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        show(slf)
    }
}

impl From<Certificate> for frazil_border::Certificate {
    fn from(Certificate { certificate, private_key }: Certificate) -> Self {
        Self { certificate, private_key }
    }
}

impl From<frazil_border::Certificate> for Certificate {
    fn from(frazil_border::Certificate { certificate, private_key }: frazil_border::Certificate) -> Self {
        Self { certificate, private_key }
    }
}
