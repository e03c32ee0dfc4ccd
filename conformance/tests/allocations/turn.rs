//! What a TURN client does per datagram it does without the heap, once the peer is permitted.

use std::net::SocketAddr;

use frazil::Instant;
use frazil::stun::{AttributeType, Class, LongTermCredentials, Message, MessageWriter, Method};
use frazil::turn::{Client, Config, PeerData, Sent, Transport};
use frazil_conformance::allocations;

use crate::counted;

const DATAGRAMS: usize = 10_000;

/// As long as `Client::poll_transmit` asks for.
const BUFFER: usize = Client::MIN_BUFFER;

fn server() -> SocketAddr {
    ([192, 0, 2, 1], 3478).into()
}

fn peer() -> SocketAddr {
    ([198, 51, 100, 1], 1000).into()
}

/// A client whose server grants whatever it is asked for, and asks nobody for a password.
struct Granted {
    client: Client,
    now: Instant,
    /// Of the channel, where there is one.
    number: Option<[u8; 2]>,
    /// Blocks allocated for data.
    blocks: u64,
}

impl Granted {
    /// Has an allocation, a permission and, if it binds one, a channel.
    fn new(transport: Transport, binds: bool) -> Self {
        assert!(allocations::are_counted());
        let credentials = LongTermCredentials::new("alice", "secret").unwrap();
        let bind_after = binds.then_some(0);
        let config = Config { bind_after, ..Config::new(server(), transport, credentials) };
        let now = Instant::from_millis(1_000);
        let (mut blocks, client) = (0, Client::new(config, [1; 32], now).unwrap());
        let mut granted = Self { client, now, number: None, blocks: 0 };
        counted(&mut blocks, || {
            granted.client.handle_stream_opened(now);
            granted.grant();
            // The first one waits for the permission, the second one asks for the channel.
            for _ in 0..2 {
                granted.client.send(peer(), b"", &mut [0; BUFFER], now).unwrap();
                granted.grant();
            }
        });
        assert!(blocks > 0, "to come so far takes the heap, and the count sees it");
        assert_eq!((granted.client.has_channel(peer()), granted.number.is_some()), (binds, binds));
        granted
    }

    fn grant(&mut self) {
        let mut buffer = [0; BUFFER];
        while let Some(transmit) = self.client.poll_transmit(&mut buffer) {
            let request = Message::parse(&buffer[..transmit.len]).unwrap();
            if request.class() != Class::Request {
                continue;
            }
            if request.method() == Method::CHANNEL_BIND {
                let value = request.get(AttributeType::CHANNEL_NUMBER).unwrap();
                self.number = Some([value[0], value[1]]);
            }
            let mut answer = [0; 200];
            let id = request.transaction_id();
            let mut writer = MessageWriter::new(&mut answer, Class::Success, request.method(), id);
            writer
                .xor_address(AttributeType::XOR_RELAYED_ADDRESS, ([192, 0, 2, 1], 50_000).into())
                .xor_address(AttributeType::XOR_MAPPED_ADDRESS, ([203, 0, 113, 1], 9).into());
            let len = writer.finish().unwrap();
            self.receive(&answer[..len], usize::MAX);
        }
        while self.client.poll_event().is_some() {}
    }

    /// Takes what comes from the server, in pieces where it is a stream; gives how much of it is data of the peer's.
    fn receive(&mut self, bytes: &[u8], piece: usize) -> usize {
        let (mut received, now) = (0, self.now);
        let mut take = |data: PeerData<'_>| {
            assert_eq!(data.peer, peer());
            received += data.data.len();
        };
        if let Some(data) = self.client.handle_datagram(server(), bytes, now) {
            take(data);
        }
        for piece in bytes.chunks(piece) {
            self.client.handle_stream_data(piece, now, &mut take);
        }
        received
    }

    /// Data from the peer, as the server sends it.
    fn write_peer_data(&self, data: &[u8], buffer: &mut [u8; BUFFER]) -> usize {
        match self.number {
            Some(number) => {
                buffer[..2].copy_from_slice(&number);
                buffer[2..4].copy_from_slice(&(data.len() as u16).to_be_bytes());
                buffer[4..][..data.len()].copy_from_slice(data);
                (4 + data.len()).next_multiple_of(4)
            }
            None => {
                let id = frazil::stun::TransactionId([9; 12]);
                let mut writer = MessageWriter::new(buffer, Class::Indication, Method::DATA, id);
                writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer()).attribute(AttributeType::DATA, data);
                writer.finish().unwrap()
            }
        }
    }

    /// Each way of sending, each way of receiving, and all that a driver asks in between.
    fn round(&mut self, len: usize, piece: usize) {
        let (data, mut buffer) = ([0xAB; 1200], [0; BUFFER]);
        let (data, now) = (&data[..len], self.now);
        let Self { client, blocks, .. } = self;
        let overhead = counted(blocks, || {
            let Ok(Sent::Now(copied)) = client.send(peer(), data, &mut buffer, now) else { panic!() };
            let headroom = client.headroom(peer(), now);
            let Ok(Sent::Now(placed)) = client.send_in_place(peer(), &mut buffer, headroom, len, now) else { panic!() };
            assert_eq!(copied.len, placed.len);
            client.handle_timeout(now);
            (client.poll_timeout(), client.poll_event(), client.poll_transmit(&mut [])).0.unwrap();
            placed.len - len
        });
        let most = if self.number.is_some() { 4 } else { 36 } + Client::TAILROOM;
        assert!(overhead <= most, "{overhead}");
        let written = self.write_peer_data(data, &mut buffer);
        let mut blocks = 0;
        let received = counted(&mut blocks, || self.receive(&buffer[..written], piece));
        self.blocks += blocks;
        assert_eq!(received, len);
    }
}

#[test]
fn relayed_data_takes_no_heap() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        for binds in [true, false] {
            let mut granted = Granted::new(transport, binds);
            // Frames that come in pieces are put together in a buffer that has the length of the longest so far.
            granted.round(1200, 100);
            granted.blocks = 0;
            for nth in 0..DATAGRAMS {
                granted.round(nth % 1200, [usize::MAX, 1400, 100, 7][nth % 4]);
                granted.now += std::time::Duration::from_millis(5);
            }
            assert_eq!(granted.blocks, 0, "{transport:?}, {}", if binds { "on a channel" } else { "by indications" });
        }
    }
}
