//! Servers that lie.

use std::collections::VecDeque;

use frazil::Path;

#[derive(Default)]
pub(crate) struct Liar {
    outbox: VecDeque<(Path, Vec<u8>)>,
}

impl Liar {
    pub(crate) fn handle_datagram(&mut self, _path: Path, _datagram: &[u8]) {}

    pub(crate) fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let (path, datagram) = self.outbox.pop_front()?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Some((path, datagram.len()))
    }
}
