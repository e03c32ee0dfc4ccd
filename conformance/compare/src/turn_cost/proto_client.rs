//! `turn-client-proto`, driven as its documentation says; what it sends is written into the caller's buffer.

use std::time::Duration;

use frazil::Instant;
use turn_client_proto::api::{Transmit, TurnClientApi as _, TurnConfig, TurnPollRet, TurnRecvRet};
use turn_client_proto::client::TurnClient;
use turn_client_proto::prelude::DelayedTransmitBuild as _;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::{self, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use crate::client::{Client, Polls};
use crate::server::{Form, LOCAL, PASSWORD, PEER, SERVER, Server, Transport, USER};

pub(crate) struct Proto {
    client: TurnClient,
    transport: TransportType,
    channel: u16,
}

impl Proto {
    /// Has the server answer until nothing more is asked. The client leaves some time between its requests.
    fn settle(&mut self, server: &mut Server, now: &mut Instant) {
        for _ in 0..10 {
            *now += Duration::from_millis(100);
            let _ = self.client.poll(on_its_clock(*now));
            while let Some(transmit) = self.client.poll_transmit(on_its_clock(*now)) {
                if let Some(answer) = server.answer(&transmit.data) {
                    self.receive(&answer, Polls::Left, *now);
                }
            }
            while self.client.poll_event().is_some() {}
        }
    }

    fn poll(&mut self, now: Instant) {
        let now = on_its_clock(now);
        assert!(matches!(self.client.poll(now), TurnPollRet::WaitUntil(_)));
        assert!(self.client.poll_transmit(now).is_none() && self.client.poll_event().is_none());
    }
}

impl Client for Proto {
    fn open(transport: Transport, form: Form, now: &mut Instant) -> Self {
        let config = TurnConfig::new(TurnCredentials::new(USER, PASSWORD));
        let (client, transport) = match transport {
            Transport::Udp => (TurnClientUdp::allocate(LOCAL, SERVER, config).into(), TransportType::Udp),
            Transport::Tcp => (TurnClientTcp::allocate(LOCAL, SERVER, config).into(), TransportType::Tcp),
        };
        let mut server = Server::new();
        let mut opened = Self { client, transport, channel: 0 };
        opened.settle(&mut server, now);
        opened.client.create_permission(TransportType::Udp, PEER.ip(), on_its_clock(*now)).expect("an allocation");
        opened.settle(&mut server, now);
        if form == Form::Channel {
            opened.client.bind_channel(TransportType::Udp, PEER, on_its_clock(*now)).expect("an allocation");
            opened.settle(&mut server, now);
        }
        opened.channel = server.channel;
        opened
    }

    fn channel(&self) -> u16 {
        self.channel
    }

    fn send(&mut self, data: &[u8], buf: &mut [u8], polls: Polls, now: Instant) -> usize {
        let sent = self.client.send_to(TransportType::Udp, PEER, data, on_its_clock(now));
        let Ok(Some(transmit)) = sent else { return 0 };
        let len = transmit.data.len();
        transmit.data.write_into(&mut buf[..len]);
        if polls == Polls::Made {
            self.poll(now);
        }
        len
    }

    fn receive(&mut self, frame: &[u8], polls: Polls, now: Instant) -> usize {
        let transmit = Transmit::new(frame, self.transport, SERVER, LOCAL);
        let mut len = match self.client.recv(transmit, on_its_clock(now)) {
            TurnRecvRet::PeerData(data) => data.data().len(),
            _ => 0,
        };
        // A piece of a stream may hold several datagrams.
        if self.transport == TransportType::Tcp {
            while let Some(data) = self.client.poll_recv(on_its_clock(now)) {
                len += data.data().len();
            }
        }
        if polls == Polls::Made {
            self.poll(now);
        }
        len
    }
}

fn on_its_clock(now: Instant) -> types::Instant {
    types::Instant::from_nanos(now.as_nanos() as i64)
}
