//! What records and events have in common: a frozen class with a constructor that takes keywords, equality, a `repr`, and what
//! `match` and `copy.replace` need.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// What is never shown.
const SECRETS: [&str; 2] = ["credential", "private_key"];

/// Declares the classes of a table of `frazil-border`.
macro_rules! declare {
    ($( $(#[$doc:meta])* $name:ident { $($fields:tt)* } )*) => {
        $( $crate::class::class! { @begin { $(#[$doc])* $name { $($fields)* } } $($fields)* } )*
    };
}

/// Declares one class. First the constructor's signature is put together: what may be absent has a default.
macro_rules! class {
    (@begin { $($class:tt)* }) => {
        $crate::class::class! { @emit () $($class)* }
    };
    (@begin { $($class:tt)* } $($fields:tt)+) => {
        $crate::class::class! { @sign (*,) { $($class)* } $($fields)+ }
    };
    (@sign ($($signed:tt)*) $class:tt $(#[$doc:meta])* $field:ident: [Option<$type:ty>], $($fields:tt)*) => {
        $crate::class::class! { @sign ($($signed)* $field = None,) $class $($fields)* }
    };
    (@sign ($($signed:tt)*) $class:tt $(#[$doc:meta])* $field:ident: [$($type:tt)*], $($fields:tt)*) => {
        $crate::class::class! { @sign ($($signed)* $field,) $class $($fields)* }
    };
    (@sign $signature:tt { $($class:tt)* }) => {
        $crate::class::class! { @emit $signature $($class)* }
    };
    (@emit $signature:tt $(#[$doc:meta])* $name:ident {
        $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )*
    }) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, from_py_object, module = "frazil")]
        #[derive(Clone, PartialEq)]
        pub(crate) struct $name {
            $( $(#[$field_doc])* #[pyo3(get)] pub(crate) $field: $($type)*, )*
        }

        #[pymethods]
        #[allow(clippy::too_many_arguments, reason = "in Python they are keywords")]
        impl $name {
            #[new]
            #[pyo3(signature = $signature)]
            fn new($($field: $($type)*),*) -> Self {
                Self { $($field),* }
            }

            #[classattr]
            fn __match_args__(py: Python<'_>) -> PyResult<Py<PyTuple>> {
                $crate::class::match_args(py, &[$(stringify!($field)),*])
            }

            #[pyo3(signature = (**changes))]
            fn __replace__<'py>(
                slf: &Bound<'py, Self>,
                changes: Option<&Bound<'py, PyDict>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $crate::class::replace(slf, changes)
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                $crate::class::show(slf)
            }
        }
    };
}

pub(crate) use {class, declare};

/// The names of the fields in their order.
pub(crate) fn match_args(py: Python<'_>, fields: &[&str]) -> PyResult<Py<PyTuple>> {
    Ok(PyTuple::new(py, fields.iter().map(|field| field.trim_start_matches("r#")))?.unbind())
}

fn fields<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
    let names: Vec<String> = object.get_type().getattr("__match_args__")?.extract()?;
    names.into_iter().map(|name| object.getattr(name.as_str()).map(|value| (name, value))).collect()
}

/// `Name(field=value, …)`.
pub(crate) fn show(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let shown = fields(object)?.into_iter().map(|(name, value)| {
        let secret = SECRETS.contains(&name.as_str()) && !value.is_none();
        let value = if secret { "...".to_owned() } else { value.repr()?.to_string() };
        Ok(format!("{name}={value}"))
    });
    let shown = shown.collect::<PyResult<Vec<String>>>()?.join(", ");
    Ok(format!("{}({shown})", object.get_type().name()?))
}

/// The same object with some fields changed.
pub(crate) fn replace<'py>(
    object: &Bound<'py, PyAny>,
    changes: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let all = PyDict::new(object.py());
    for (name, value) in fields(object)? {
        all.set_item(name, value)?;
    }
    if let Some(changes) = changes {
        all.update(changes.as_mapping())?;
    }
    object.get_type().call((), Some(&all))
}
