//! The events: a class for each.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::bytes::bytes_of;
use crate::class::{declare, match_args, replace, show};

frazil_border::events!(declare);

macro_rules! convert {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: [$($type:tt)*], )* } )*) => {
        /// The event as an object of its class.
        pub(crate) fn to_object(py: Python<'_>, event: frazil_border::Event) -> PyResult<Py<PyAny>> {
            Ok(match event {
                $( frazil_border::Event::$name { $($field),* } => Py::new(py, $name { $($field),* })?.into_any(), )*
                frazil_border::Event::Message { channel, text, data } => {
                    Py::new(py, Message::new(py, channel, text, &data))?.into_any()
                }
            })
        }

        pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $( module.add_class::<$name>()?; )*
            module.add_class::<Message>()?;
            let py = module.py();
            let all: [Bound<'_, PyType>; _] = [$( py.get_type::<$name>(), )* py.get_type::<Message>()];
            module.add("_EVENTS", PyTuple::new(py, all)?)
        }
    };
}

frazil_border::events!(convert);

/// W3C `message`.
#[pyclass(frozen, module = "frazil")]
pub(crate) struct Message {
    /// The number of its channel.
    #[pyo3(get)]
    channel: u32,
    /// The whole message: `str` if it is text, `bytes` if it is binary.
    #[pyo3(get)]
    data: Py<PyAny>,
}

impl Message {
    pub(crate) fn new(py: Python<'_>, channel: u32, text: bool, data: &[u8]) -> Self {
        let data = if text {
            PyString::new(py, &String::from_utf8_lossy(data)).into_any()
        } else {
            PyBytes::new(py, data).into_any()
        };
        Self { channel, data: data.unbind() }
    }
}

#[pymethods]
impl Message {
    #[new]
    #[pyo3(signature = (*, channel, data))]
    fn construct(py: Python<'_>, channel: u32, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let data = match data.cast::<PyString>() {
            Ok(text) => text.clone().into_any(),
            Err(_) => PyBytes::new(py, &bytes_of(data)?).into_any(),
        };
        Ok(Self { channel, data: data.unbind() })
    }

    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        Ok(self.channel == other.channel && self.data.bind(py).eq(&other.data)?)
    }

    #[classattr]
    fn __match_args__(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        match_args(py, &["channel", "data"])
    }

    #[pyo3(signature = (**changes))]
    fn __replace__<'py>(slf: &Bound<'py, Self>, changes: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        replace(slf, changes)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        show(slf)
    }
}
