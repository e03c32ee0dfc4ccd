//! The native part of the Python package `frazil`: the peer, its records and its events, as `frazil-border` has them.
//!
//! It decides nothing. What a call does is said there, and what the package offers, in `python/frazil`.

#![forbid(unsafe_code)]

mod bytes;
mod class;
mod error;
mod event;
mod peer;
mod record;

use pyo3::prelude::*;

use crate::error::{protected, raise};
use crate::record::{Config, HostSocket};

// Bytes of Python are borrowed, which its lock makes safe.
#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::find_exceptions(module.py())?;
    record::register(module)?;
    event::register(module)?;
    module.add_class::<peer::Peer>()?;
    module.add_class::<peer::Waiting>()?;
    module.add_function(wrap_pyfunction!(host_sockets, module)?)?;
    module.add_function(wrap_pyfunction!(udp_driver_config, module)?)?;
    module.add_function(wrap_pyfunction!(version, module)?)?;
    module.add_function(wrap_pyfunction!(inject_panic, module)?)?;
    // The package says what is public.
    module.delattr("__all__")
}

/// The addresses of this machine that are worth a UDP socket, best first, with the port 0.
///
/// In place of that goes the port that the system gives; what was bound goes to `Peer.handle_network_change`. Loopback and
/// IPv6 link-local addresses are among them if they are asked for or there is nothing else.
#[pyfunction]
#[pyo3(signature = (*, loopback = false, link_local = false))]
fn host_sockets(py: Python<'_>, loopback: bool, link_local: bool) -> PyResult<Vec<HostSocket>> {
    let sockets = protected(|| py.detach(|| frazil_border::host_sockets(loopback, link_local)).map_err(raise))?;
    Ok(sockets.into_iter().map(HostSocket::from).collect())
}

/// The configuration with which a driver of UDP sockets makes its peer, from what its user asks for.
///
/// Everything is filled in that such a driver has to know, back-pressure among it. What the user asks for that takes more than
/// such sockets, streams or answers for `.local` names, is refused.
#[pyfunction]
fn udp_driver_config(config: Config) -> PyResult<Config> {
    let config: frazil_border::Config = config.into();
    Ok(protected(|| config.for_udp_driver().map_err(raise))?.into())
}

/// The version of the package.
#[pyfunction]
fn version() -> PyResult<&'static str> {
    protected(|| frazil_border::guarded(|| Ok(frazil_border::VERSION)).map_err(raise))
}

/// Makes the next call break down, for tests.
#[pyfunction(name = "_inject_panic")]
fn inject_panic() {
    frazil_border::inject_panic();
}
