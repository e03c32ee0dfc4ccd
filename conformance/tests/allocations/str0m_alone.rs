//! `str0m` without frazil, and as far as its public API allows without its own ICE: like `frazil::session`, this
//! makes its agent a lite one and shows it one check from an address that does not exist. What is left is DTLS,
//! SCTP and data channels.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant as StdInstant;

use frazil::Instant;
use str0m::change::SdpOffer;
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::crypto::from_feature_flags;
use str0m::ice::{StunMessage, TransId};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig};

use crate::talk::Talker;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1);
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 2);
const LOCAL_PASSWORD: &str = "password-of-the-local";

pub(crate) struct Alone {
    rtc: Rtc,
    base: StdInstant,
    began: Instant,
    now: Instant,
    deadline: Option<Instant>,
    channel: Option<ChannelId>,
    is_open: bool,
    messages: u32,
}

impl Alone {
    /// The DTLS client creates the channel.
    pub(crate) fn new(client: bool, now: Instant) -> Self {
        let base = StdInstant::now();
        let crypto = Arc::new(from_feature_flags());
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(crypto.clone())
            .set_local_ice_credentials(IceCreds { ufrag: "local".into(), pass: LOCAL_PASSWORD.into() })
            .set_fingerprint_verification(false)
            .set_sctp_max_message_size(262_144)
            .set_sctp_max_buffered_amount(usize::MAX)
            .set_mtu(1_200..=1_200)
            .clear_codecs()
            .build(base);
        rtc.direct_api().set_ice_lite(true);
        rtc.add_local_candidate(Candidate::host(LOCAL, Protocol::Udp).unwrap());
        let offer = SdpOffer::from_sdp_string(&offer(if client { "passive" } else { "active" })).unwrap();
        rtc.sdp_api().accept_offer(offer).unwrap();
        let check = StunMessage::binding_request("local:remote", TransId::new(), true, 0, 1, true);
        let mut bytes = [0; 256];
        let key = Some(LOCAL_PASSWORD.as_bytes());
        let len =
            check.to_bytes(key, &mut bytes, |key, parts| crypto.sha1_hmac_provider.sha1_hmac(key, parts)).unwrap();
        rtc.handle_input(Input::Receive(base, received(&bytes[..len]))).unwrap();
        let channel = client.then(|| rtc.direct_api().create_data_channel(ChannelConfig::default()));
        rtc.handle_input(Input::Timeout(base)).unwrap();
        Self { rtc, base, began: now, now, deadline: Some(now), channel, is_open: false, messages: 0 }
    }

    fn advance(&mut self, now: Instant) -> StdInstant {
        self.now = now;
        self.base + (now - self.began)
    }
}

impl Talker for Alone {
    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) {
        let at = self.advance(now);
        self.rtc.handle_input(Input::Receive(at, received(datagram))).unwrap();
    }

    fn handle_timeout(&mut self, now: Instant) {
        let at = self.advance(now);
        self.rtc.handle_input(Input::Timeout(at)).unwrap();
    }

    fn poll_transmit(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let mut overdue = false;
        loop {
            match self.rtc.poll_output().unwrap() {
                // Its agent's answer to the one check.
                Output::Transmit(transmit) if transmit.contents[0] < 2 => {}
                Output::Transmit(transmit) => {
                    buffer[..transmit.contents.len()].copy_from_slice(&transmit.contents);
                    return Some(transmit.contents.len());
                }
                Output::Event(Event::ChannelOpen(channel, _)) => {
                    (self.channel, self.is_open) = (Some(channel), true);
                }
                Output::Event(Event::ChannelData(_)) => self.messages += 1,
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    let now = self.base + (self.now - self.began);
                    if at <= now && !std::mem::replace(&mut overdue, true) {
                        self.rtc.handle_input(Input::Timeout(now)).unwrap();
                        continue;
                    }
                    // It says "never" with moments that are years away, and "now" for as long as it likes.
                    let ahead = at.saturating_duration_since(now).max(std::time::Duration::from_millis(1));
                    self.deadline = Some(self.now + ahead);
                    return None;
                }
            }
        }
    }

    fn poll_messages(&mut self) -> u32 {
        std::mem::take(&mut self.messages)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.deadline
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn say(&mut self, message: &[u8], now: Instant) {
        if now > self.now {
            self.handle_timeout(now);
        }
        let mut channel = self.rtc.channel(self.channel.expect("it is open")).expect("it is open");
        assert!(channel.write(true, message).unwrap());
    }
}

fn received(datagram: &[u8]) -> Receive<'_> {
    Receive::new(Protocol::Udp, REMOTE, LOCAL, datagram).unwrap()
}

fn offer(setup: &str) -> String {
    let fingerprint = ["00"; 32].join(":");
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=ice-ufrag:remote",
        "a=ice-pwd:password-of-the-remote",
        &format!("a=fingerprint:sha-256 {fingerprint}"),
        &format!("a=setup:{setup}"),
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "",
    ]
    .join("\r\n")
}
