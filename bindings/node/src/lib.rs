//! The native part of frazil's npm package: the calls of [`frazil_border`] as Node sees them, and nothing else.
//!
//! - Numbers are JavaScript's; what must be a whole number in some range is held against it. Time is in milliseconds.
//! - Bytes are borrowed for the call: a datagram from the caller's `Uint8Array`, what comes out into the caller's `Uint8Array`.
//! - What goes wrong is thrown with the reason as `code`. A panic is caught by the border, and by `catch_unwind` once more, as
//!   Node would end the process.

#![deny(unsafe_op_in_unsafe_fn)]

mod crossing;
mod error;
mod event;
mod peer;
mod record;
mod time;

use frazil_border as border;
use napi_derive::napi;

use crossing::Crossing as _;
use error::Result;
use record::{Config, HostSocket};

/// How many bytes the buffer for `pollTransmit` has at least.
#[napi]
pub const MIN_BUFFER: u32 = border::Peer::MIN_BUFFER as u32;

/// How many bytes the buffer for `pollTransmits` has so that a whole batch fits.
#[napi]
pub const BATCH_BUFFER: u32 = border::Peer::BATCH_BUFFER as u32;

/// How many datagrams or messages one call gives at the most.
#[napi]
pub const MAX_ENTRIES: u32 = border::batch::MAX_ENTRIES as u32;

/// What stands before the bytes of each entry of a batch: a number and the length, 4 bytes each with the low byte first.
#[napi]
pub const HEADER: u32 = border::batch::HEADER as u32;

/// The bit of a message's length in a batch that says that it is text.
#[napi]
pub const TEXT: u32 = border::batch::TEXT;

/// The addresses that a driver binds a UDP socket on, best first, with the port 0: in place of it goes the port that the system
/// gives, and what was bound goes to `handleNetworkChange`. Loopback and IPv6 link-local addresses are among them if they are
/// asked for or there is nothing else.
#[napi(catch_unwind)]
pub fn host_sockets(loopback: bool, link_local: bool) -> Result<Vec<HostSocket>> {
    Ok(crossing::give(border::host_sockets(loopback, link_local)?))
}

/// The configuration with which a driver of UDP sockets makes its peer, from what its user asks for: with everything filled in
/// that such a driver has to know, back-pressure among it, and without what takes more than such sockets. What the user asks
/// for that takes more, streams or answers for `.local` names, is refused.
#[napi(catch_unwind)]
pub fn udp_driver_config(config: Config) -> Result<Config> {
    let config: border::Config = config.take("")?;
    Ok(crossing::give(config.for_udp_driver()?))
}

/// The version of this package.
#[napi(catch_unwind)]
pub fn version() -> Result<&'static str> {
    Ok(border::guarded(|| Ok(border::VERSION))?)
}

/// Makes the next call panic, to see what a program does then.
#[napi(js_name = "_injectPanic", catch_unwind)]
pub fn inject_panic() {
    border::inject_panic();
}
