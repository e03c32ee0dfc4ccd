//! Bytes on their way across.

use std::borrow::Cow;
use std::cell::Cell;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

/// The bytes of an object: those of `bytes` as they lie there, others as one copy.
pub(crate) fn bytes_of<'o>(object: &'o Bound<'_, PyAny>) -> PyResult<Cow<'o, [u8]>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        Ok(Cow::Borrowed(bytes.as_bytes()))
    } else if let Ok(array) = object.cast::<PyByteArray>() {
        Ok(Cow::Owned(array.to_vec()))
    } else {
        Ok(Cow::Owned(PyBuffer::get(object)?.to_vec(object.py())?))
    }
}

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends this thread's buffer, which has `len` bytes at the least. Who asks while it is lent, as a finalizer may, gets another.
pub(crate) fn with_buffer<R>(len: usize, call: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = BUFFER.take();
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    let result = call(&mut buffer);
    BUFFER.set(buffer);
    result
}
