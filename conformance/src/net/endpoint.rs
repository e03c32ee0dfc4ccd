//! What runs on a host.

use frazil::{Instant, Path};

/// The contract of frazil's state machines, as a driver sees it.
pub trait Endpoint {
    /// What happened, and what the driver is asked to do.
    type Event;

    /// A datagram has arrived.
    fn handle_datagram(&mut self, path: Path, datagram: &[u8], now: Instant);

    /// The time that [`Endpoint::poll_timeout`] named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Writes the next datagram to send and gives its path and its length.
    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)>;

    /// The next event.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When to call [`Endpoint::handle_timeout`] at the latest.
    fn poll_timeout(&mut self) -> Option<Instant>;
}
