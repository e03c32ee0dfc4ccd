//! A client as the loop sees it.

use frazil::Instant;

use crate::server::{Form, Transport};

/// Whether a driver asks the client, after each datagram, for what else there is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polls {
    Left,
    Made,
}

pub(crate) trait Client: Sized {
    /// With an allocation, and a permission or a channel for [`crate::server::PEER`].
    /// Time may pass meanwhile.
    fn open(transport: Transport, form: Form, now: &mut Instant) -> Self;

    /// The number of the channel.
    fn channel(&self) -> u16;

    /// Writes into `buf` what goes to the server for a datagram to the peer, and gives its length.
    fn send(&mut self, data: &[u8], buf: &mut [u8], polls: Polls, now: Instant) -> usize;

    /// Takes a frame from the server, and gives the length of the peer's data in it.
    fn receive(&mut self, frame: &[u8], polls: Polls, now: Instant) -> usize;
}
