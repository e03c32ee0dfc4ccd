//! frazil for Kotlin and Swift.
//!
//! uniffi makes the calls that are made now and then. What is called for each datagram takes and gives plain numbers, and
//! writes into the caller's buffer.

mod error;
mod event;
#[cfg(not(target_vendor = "apple"))]
mod jni;
mod packets;
mod peer;
mod record;

pub use error::FrazilError;
pub use event::Event;
pub use peer::Peer;

uniffi::setup_scaffolding!();

/// The version of the library.
#[uniffi::export]
#[must_use]
pub fn frazil_version() -> String {
    frazil_border::VERSION.to_owned()
}

/// The smallest buffer for one datagram to send, in bytes.
#[uniffi::export]
#[must_use]
pub fn min_buffer() -> u32 {
    frazil_border::Peer::MIN_BUFFER as u32
}

/// The smallest buffer for a whole batch of datagrams to send, in bytes.
#[uniffi::export]
#[must_use]
pub fn batch_buffer() -> u32 {
    frazil_border::Peer::BATCH_BUFFER as u32
}

/// The addresses to bind a UDP socket on, best first, with the port 0; see `Peer.handle_network_change`.
///
/// Loopback and IPv6 link-local addresses are among them if they are asked for or there is nothing else.
///
/// # Errors
/// If the system does not list its interfaces.
#[uniffi::export]
pub fn host_sockets(loopback: bool, link_local: bool) -> Result<Vec<record::HostSocket>, FrazilError> {
    let sockets = frazil_border::host_sockets(loopback, link_local)?;
    Ok(sockets.into_iter().map(Into::into).collect())
}

/// The configuration with which a driver of UDP sockets makes its peer, from what its user asks for: with everything filled in
/// that such a driver has to know, back-pressure among it, and without what takes more than such sockets.
///
/// # Errors
/// If the user asks for what takes more: streams, or answers for `.local` names.
#[uniffi::export]
pub fn udp_driver_config(config: record::Config) -> Result<record::Config, FrazilError> {
    let config: frazil_border::Config = config.into();
    Ok(config.for_udp_driver()?.into())
}

/// Makes the next call panic inside, to see what a program does then.
#[uniffi::export]
pub fn inject_panic() {
    frazil_border::inject_panic();
}
