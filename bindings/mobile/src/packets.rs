//! The calls that are made for each datagram: plain numbers, borrowed bytes, and the caller's buffer by its address.
//!
//! A buffer's address comes as a number, as uniffi 0.32 has no buffers that can be written to. These calls are for the
//! hand-written wrappers beside the generated code alone, which own the buffers and do not show addresses to anyone.

use crate::error::FrazilError;
use crate::peer::Peer;

/// No deadline.
const NEVER: u64 = u64::MAX;

#[uniffi::export]
impl Peer {
    /// Takes a datagram that the driver received. Whatever is wrong with it is counted and changes nothing.
    ///
    /// False if the number names no path any more: then ask for the path's number anew, and hand the datagram in again.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_datagram(&self, path: u32, datagram: &[u8], now: u64) -> Result<bool, FrazilError> {
        Ok(self.0.handle_datagram(path, datagram, now)?)
    }

    /// Takes a batch of datagrams, in their order. Gives how many were taken: fewer than all if the number of the next one names no
    /// path any more.
    ///
    /// # Errors
    /// If the batch is cut short; then nothing was taken.
    pub fn handle_datagrams(&self, batch: &[u8], now: u64) -> Result<u32, FrazilError> {
        Ok(self.0.handle_datagrams(batch, now)?)
    }

    /// The next datagram to send, written into the buffer: its length, and the number of its path times 2^32; 0 if there is none.
    ///
    /// # Errors
    /// If the buffer is too small.
    pub fn poll_transmit_at(&self, address: u64, capacity: u64) -> Result<u64, FrazilError> {
        // SAFETY: the wrapper that calls owns the buffer and keeps it for as long as the call lasts.
        let buf = unsafe { buffer(address, capacity) };
        self.transmit_into(buf)
    }

    /// The next datagrams to send, as a batch in the buffer: how many bytes of it they take.
    ///
    /// # Errors
    /// If the buffer is too small.
    pub fn poll_transmits_at(&self, address: u64, capacity: u64) -> Result<u64, FrazilError> {
        // SAFETY: as in `poll_transmit_at`.
        let buf = unsafe { buffer(address, capacity) };
        Ok(self.0.poll_transmits(buf)? as u64)
    }

    /// The next messages, as a batch in the buffer: how many bytes of it they take.
    ///
    /// # Errors
    /// If the buffer has no room for the first one; it is kept.
    pub fn poll_messages_at(&self, address: u64, capacity: u64) -> Result<u64, FrazilError> {
        // SAFETY: as in `poll_transmit_at`.
        let buf = unsafe { buffer(address, capacity) };
        Ok(self.0.poll_messages(buf)? as u64)
    }

    /// What waits to be taken out: nothing (0), messages (1), or another event (2).
    ///
    /// # Errors
    /// Only those of every call.
    pub fn waiting(&self) -> Result<u32, FrazilError> {
        Ok(self.0.waiting()?.as_u32())
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn handle_timeout(&self, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.handle_timeout(now)?)
    }

    /// When `handle_timeout` is to be called at the latest; 2^64 - 1 if it need not be.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn poll_timeout(&self) -> Result<u64, FrazilError> {
        Ok(self.0.poll_timeout()?.unwrap_or(NEVER))
    }

    /// Sends a message; text is UTF-8. False if as much is buffered as may be: then `Event.BufferedAmountLow` comes when there is
    /// room.
    ///
    /// # Errors
    /// If the channel is not open, or the message is too long for the other side, or text and not UTF-8.
    pub fn send(&self, channel: u32, message: &[u8], text: bool, now: u64) -> Result<bool, FrazilError> {
        Ok(self.0.send(channel, message, text, now)?)
    }

    /// Says that the application has read that many bytes of the messages of a channel.
    ///
    /// # Errors
    /// Only those of every call.
    pub fn release(&self, channel: u32, bytes: u32, now: u64) -> Result<(), FrazilError> {
        Ok(self.0.release(channel, bytes, now)?)
    }
}

impl Peer {
    /// The next datagram to send, as one number: its length, and the number of its path times 2^32; 0 if there is none.
    pub(crate) fn transmit_into(&self, buf: &mut [u8]) -> Result<u64, FrazilError> {
        Ok(self.0.poll_transmit(buf)?.map_or(0, |(path, len)| u64::from(path) << 32 | len as u64))
    }
}

/// The buffer of `capacity` bytes at this address; an empty one where there is none.
///
/// # Safety
/// The bytes are the caller's, initialised, and nobody else's while the buffer is used.
unsafe fn buffer<'b>(address: u64, capacity: u64) -> &'b mut [u8] {
    if address == 0 || capacity == 0 {
        return &mut [];
    }
    // SAFETY: what this function asks of its caller.
    unsafe { std::slice::from_raw_parts_mut(address as usize as *mut u8, capacity as usize) }
}
