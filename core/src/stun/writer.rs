//! Writing a message into the caller's buffer.

use core::fmt;
use std::net::SocketAddr;

use super::HEADER_LEN;
use super::MAGIC_COOKIE;
use super::attribute::{AttributeType, ErrorCode, to_xor_address};
use super::integrity::{IntegrityKey, IntegrityKeySha256};
use super::message::{Class, Method, TransactionId, fingerprint, join_type};

/// Writes one message, attribute by attribute, in the order of the calls.
///
/// A buffer that is too small is reported once, by [`finish`](Self::finish) or
/// [`finish_with_fingerprint`](Self::finish_with_fingerprint).
#[derive(Debug)]
pub struct MessageWriter<'b> {
    buf: &'b mut [u8],
    id: TransactionId,
    /// Bytes written, or that would have been.
    len: usize,
    #[cfg(test)]
    padding: u8,
}

impl<'b> MessageWriter<'b> {
    /// Starts a message.
    #[must_use]
    pub fn new(buf: &'b mut [u8], class: Class, method: Method, id: TransactionId) -> Self {
        if let Some(header) = buf.first_chunk_mut::<HEADER_LEN>() {
            header[..2].copy_from_slice(&join_type(class, method).to_be_bytes());
            header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            header[8..].copy_from_slice(&id.0);
        }
        Self {
            buf,
            id,
            len: HEADER_LEN,
            #[cfg(test)]
            padding: 0,
        }
    }

    /// Adds an attribute with this value.
    pub fn attribute(&mut self, kind: AttributeType, value: &[u8]) -> &mut Self {
        self.attribute_of_parts(kind, &[value])
    }

    /// Adds USERNAME made of two fragments joined by a colon (RFC 8445 section 7.2.2).
    pub fn username(&mut self, first: &str, second: &str) -> &mut Self {
        self.attribute_of_parts(AttributeType::USERNAME, &[first.as_bytes(), b":", second.as_bytes()])
    }

    fn attribute_of_parts(&mut self, kind: AttributeType, parts: &[&[u8]]) -> &mut Self {
        let value_len = parts.iter().map(|part| part.len()).sum::<usize>();
        let start = self.len;
        self.len = (start + 4 + value_len).next_multiple_of(4);
        if let (Some(room), Ok(len)) = (self.buf.get_mut(start..self.len), u16::try_from(value_len)) {
            room[..2].copy_from_slice(&kind.0.to_be_bytes());
            room[2..4].copy_from_slice(&len.to_be_bytes());
            let mut at = 4;
            for part in parts {
                room[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
            #[cfg(not(test))]
            room[at..].fill(0);
            #[cfg(test)]
            room[at..].fill(self.padding);
        }
        self
    }

    /// Adds an attribute whose value of `len` bytes is where it belongs already: 4 bytes behind what was written so far.
    pub fn attribute_in_place(&mut self, kind: AttributeType, len: usize) -> &mut Self {
        let start = self.len;
        self.len = (start + 4 + len).next_multiple_of(4);
        if let (Some(room), Ok(stated)) = (self.buf.get_mut(start..self.len), u16::try_from(len)) {
            room[..2].copy_from_slice(&kind.0.to_be_bytes());
            room[2..4].copy_from_slice(&stated.to_be_bytes());
            room[4 + len..].fill(0);
        }
        self
    }

    /// Adds an attribute of the form of XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).
    pub fn xor_address(&mut self, kind: AttributeType, address: SocketAddr) -> &mut Self {
        let (value, len) = to_xor_address(address, self.id);
        self.attribute(kind, &value[..len])
    }

    /// Adds ERROR-CODE (RFC 8489 section 14.8).
    pub fn error_code(&mut self, error: ErrorCode<'_>) -> &mut Self {
        let mut value = [0; 4 + 128];
        let reason = &error.reason.as_bytes()[..error.reason.len().min(128)];
        value[2] = (error.code / 100) as u8;
        value[3] = (error.code % 100) as u8;
        value[4..4 + reason.len()].copy_from_slice(reason);
        self.attribute(AttributeType::ERROR_CODE, &value[..4 + reason.len()])
    }

    /// Adds MESSAGE-INTEGRITY over what was written so far (RFC 8489 section 14.5).
    pub fn integrity(&mut self, key: &IntegrityKey) -> &mut Self {
        let value = self.buf.get(..self.len).map_or([0; 20], |message| key.sign(message));
        self.attribute(AttributeType::MESSAGE_INTEGRITY, &value)
    }

    /// Adds MESSAGE-INTEGRITY-SHA256 over what was written so far (RFC 8489 section 14.6).
    pub fn integrity_sha256(&mut self, key: &IntegrityKeySha256) -> &mut Self {
        let value = self.buf.get(..self.len).map_or([0; 32], |message| key.sign(message));
        self.attribute(AttributeType::MESSAGE_INTEGRITY_SHA256, &value)
    }

    /// Ends the message and gives its length in bytes.
    ///
    /// # Errors
    /// If the buffer was too small.
    pub fn finish(self) -> Result<usize, BufferTooSmall> {
        let len = self.len;
        self.write_length(len)?;
        Ok(len)
    }

    /// Ends the message with FINGERPRINT (RFC 8489 section 14.7) and gives its length in bytes.
    ///
    /// # Errors
    /// If the buffer was too small.
    pub fn finish_with_fingerprint(mut self) -> Result<usize, BufferTooSmall> {
        let start = self.len;
        let len = start + 8;
        self.attribute(AttributeType::FINGERPRINT, &[0; 4]);
        let buf = self.write_length(len)?;
        let crc = fingerprint(&buf[..start]);
        buf[start + 4..len].copy_from_slice(&crc.to_be_bytes());
        Ok(len)
    }

    /// The RFC 5769 vectors pad with spaces, which RFC 8489 section 14 no longer allows.
    #[cfg(test)]
    pub(super) fn pad_with(mut self, byte: u8) -> Self {
        self.padding = byte;
        self
    }

    fn write_length(self, len: usize) -> Result<&'b mut [u8], BufferTooSmall> {
        let room = self.buf.len();
        let attributes = u16::try_from(len - HEADER_LEN).ok().filter(|_| len <= room);
        let Some(attributes) = attributes else { return Err(BufferTooSmall { needed: len, room }) };
        self.buf[2..4].copy_from_slice(&attributes.to_be_bytes());
        Ok(self.buf)
    }
}

/// The message did not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferTooSmall {
    /// How many bytes the message takes.
    pub needed: usize,
    /// How many the buffer has.
    pub room: usize,
}

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message takes {} bytes, the buffer has {}", self.needed, self.room)
    }
}

impl std::error::Error for BufferTooSmall {}
