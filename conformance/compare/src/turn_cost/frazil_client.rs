//! frazil's client.

use frazil::Instant;
use frazil::stun::LongTermCredentials;
use frazil::turn::{self, Config, Sent};

use crate::client::{Client, Polls};
use crate::server::{Form, PASSWORD, PEER, SERVER, Server, Transport, USER};

pub(crate) struct Frazil {
    client: turn::Client,
    is_stream: bool,
    channel: u16,
}

impl Frazil {
    /// Has the server answer until nothing more is asked.
    fn settle(&mut self, server: &mut Server, now: Instant) {
        let mut buf = [0; turn::Client::MIN_BUFFER];
        while let Some(transmit) = self.client.poll_transmit(&mut buf) {
            if let Some(answer) = server.answer(&buf[..transmit.len]) {
                self.receive(&answer, Polls::Left, now);
            }
        }
        while self.client.poll_event().is_some() {}
    }

    fn poll(&mut self, buf: &mut [u8]) {
        assert!(self.client.poll_transmit(buf).is_none() && self.client.poll_event().is_none());
        std::hint::black_box(self.client.poll_timeout());
    }
}

impl Client for Frazil {
    fn open(transport: Transport, form: Form, now: &mut Instant) -> Self {
        let now = *now;
        let is_stream = transport == Transport::Tcp;
        let carrier = if is_stream { turn::Transport::Tcp } else { turn::Transport::Udp };
        let credentials = LongTermCredentials::new(USER, PASSWORD).expect("a name");
        let mut config = Config::new(SERVER, carrier, credentials);
        config.bind_after = (form == Form::Channel).then_some(0);
        let client = turn::Client::new(config, [1; 32], now).expect("a configuration");
        let mut server = Server::new();
        let mut opened = Self { client, is_stream, channel: 0 };
        if is_stream {
            opened.client.handle_stream_opened(now);
        }
        opened.settle(&mut server, now);
        opened.client.permit(PEER.ip(), now).expect("an allocation");
        opened.settle(&mut server, now);
        opened.send(b"first", &mut [0; 100], Polls::Left, now);
        opened.settle(&mut server, now);
        assert_eq!(opened.client.has_channel(PEER), form == Form::Channel);
        opened.channel = server.channel;
        opened
    }

    fn channel(&self) -> u16 {
        self.channel
    }

    fn send(&mut self, data: &[u8], buf: &mut [u8], polls: Polls, now: Instant) -> usize {
        let Ok(Sent::Now(transmit)) = self.client.send(PEER, data, buf, now) else { return 0 };
        if polls == Polls::Made {
            self.poll(&mut buf[transmit.len..]);
        }
        transmit.len
    }

    fn receive(&mut self, frame: &[u8], polls: Polls, now: Instant) -> usize {
        let mut len = 0;
        if self.is_stream {
            self.client.handle_stream_data(frame, now, |data| len += data.data.len());
        } else if let Some(data) = self.client.handle_datagram(SERVER, frame, now) {
            len = data.data.len();
        }
        if polls == Polls::Made {
            self.poll(&mut []);
        }
        len
    }
}
