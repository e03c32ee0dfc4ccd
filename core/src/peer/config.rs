//! What a peer is told when it is made.

use crate::ice;
use crate::session::{self, Certificate};

/// How a peer works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Its ICE agent.
    pub ice: ice::Config,
    /// The STUN and TURN servers that candidates are gathered from: W3C's `iceServers`. None.
    pub servers: Vec<ice::Server>,
    /// Whether to connect over TCP where the other side waits for that, from each address of ours. It needs a driver
    /// that opens streams; where there is none, nothing is lost but that failure may be told a little later. Yes.
    pub active_tcp: bool,
    /// Whether host candidates are told under `.local` names in place of the machine's addresses, and nothing else
    /// that is told gives those away (draft-ietf-mmusic-mdns-ice-candidates). The driver has to answer for the
    /// names: [`Event::PublishName`](super::Event::PublishName). Only peers on the same link can look them up. No.
    pub mdns_candidates: bool,
    /// Its certificate; a new one is made if there is none.
    pub certificate: Option<Certificate>,
    /// The largest message in bytes that is received, told as `a=max-message-size`. 262,144.
    pub max_message_size: u32,
    /// The largest datagram in bytes that is sent, 576 to 1500. 1,200.
    pub mtu: usize,
    /// Whether to offer and take DTLS 1.3 besides 1.2. It saves a round trip. No.
    pub dtls_1_3: bool,
    /// How many data channels there may be at a time. 1,024.
    pub max_channels: usize,
    /// How many bytes each channel buffers before it refuses a message. 1,048,576.
    pub send_buffer: usize,
    /// How many bytes of messages may wait in each channel to be read by the application, before the other side's bulk
    /// data is held back: see [`Peer::release`](super::Peer::release). A message that waits counts
    /// [`Peer::MESSAGE_OVERHEAD`](super::Peer::MESSAGE_OVERHEAD) bytes more than it has. With `None`, nothing is ever
    /// held back, and what was read need not be told. None; drivers that tell it have
    /// [`RECEIVE_BUFFER`](Self::RECEIVE_BUFFER).
    pub receive_buffer: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        let session = session::Config::default();
        Self {
            ice: ice::Config::default(),
            servers: Vec::new(),
            active_tcp: true,
            mdns_candidates: false,
            certificate: session.certificate,
            max_message_size: session.max_message_size,
            mtu: session.mtu,
            dtls_1_3: session.dtls_1_3,
            max_channels: session.max_channels,
            send_buffer: session.send_buffer,
            receive_buffer: session.receive_buffer,
        }
    }
}

impl Config {
    /// How many bytes may wait in each channel with a driver that tells what was read, unless it is asked for another
    /// [`receive_buffer`](Self::receive_buffer).
    pub const RECEIVE_BUFFER: usize = 1 << 20;

    pub(super) fn session(&self) -> session::Config {
        session::Config {
            certificate: self.certificate.clone(),
            max_message_size: self.max_message_size,
            mtu: self.mtu,
            dtls_1_3: self.dtls_1_3,
            max_channels: self.max_channels,
            send_buffer: self.send_buffer,
            receive_buffer: self.receive_buffer,
        }
    }
}
