//! What is wrong, as one of Python's exceptions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use frazil_border::{Error, Reason};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

/// The exception of each reason, which the package declares in Python.
static EXCEPTIONS: PyOnceLock<Vec<(Reason, Py<PyType>)>> = PyOnceLock::new();

/// Looks the exceptions up, once.
pub(crate) fn find_exceptions(py: Python<'_>) -> PyResult<()> {
    let declared = py.import("frazil._errors")?.getattr("BY_REASON")?.cast_into::<PyDict>()?;
    let exceptions = Reason::ALL.iter().map(|&reason| {
        let missing = || PyImportError::new_err(format!("the package has no exception for the reason {reason}"));
        let exception = declared.get_item(reason.as_str())?.ok_or_else(missing)?;
        Ok((reason, exception.cast_into::<PyType>()?.unbind()))
    });
    let exceptions = exceptions.collect::<PyResult<Vec<_>>>()?;
    EXCEPTIONS.get_or_init(py, || exceptions);
    Ok(())
}

/// The exception for an error.
pub(crate) fn raise(Error { reason, message, .. }: Error) -> PyErr {
    Python::attach(|py| {
        let exceptions = EXCEPTIONS.get(py).into_iter().flatten();
        let exception = exceptions.filter(|(of, _)| *of == reason).map(|(_, exception)| exception.bind(py)).next();
        match exception {
            Some(exception) => PyErr::from_type(exception.clone(), (message,)),
            None => PyImportError::new_err(message),
        }
    })
}

/// Lets no panic pass. What is in the core was caught before; this is for what surrounds it.
pub(crate) fn protected<R>(call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(raise(Error::new(Reason::Panicked, "the binding broke down"))))
}
