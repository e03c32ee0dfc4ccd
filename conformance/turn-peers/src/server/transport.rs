//! Datagrams and streams, cut into messages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinHandle;

use super::{Authority, State, answer};

/// What carries messages between client and server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// Who has asked, and how he is reached.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
    to: UnboundedSender<(SocketAddr, Vec<u8>)>,
}

impl Client {
    /// Sends him a message. If he is gone, nobody gets it.
    pub(super) fn send(&self, mut message: Vec<u8>) {
        if self.transport != Transport::Udp {
            message.resize(message.len().next_multiple_of(4), 0);
        }
        let _ = self.to.send((self.address, message));
    }
}

type Listening = (SocketAddr, SocketAddr, Vec<JoinHandle<()>>);

/// Listens on one port for UDP and TCP, and on another one for TLS.
pub(super) async fn listen(state: &Arc<State>, authority: &Authority) -> io::Result<Listening> {
    let (udp, tcp) = loop {
        let tcp = TcpListener::bind((state.ip, 0)).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => break (udp, tcp),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    };
    let tls = TcpListener::bind((state.ip, 0)).await?;
    let acceptor = authority.acceptor(state.ip).map_err(io::Error::other)?;
    let addresses = (tcp.local_addr()?, tls.local_addr()?);
    let (udp_state, tcp_state, tls_state) = (state.clone(), state.clone(), state.clone());
    let tasks = vec![
        tokio::spawn(datagrams(udp_state, udp)),
        tokio::spawn(async move {
            while let Ok((stream, from)) = tcp.accept().await {
                tokio::spawn(messages(tcp_state.clone(), stream, from, Transport::Tcp));
            }
        }),
        tokio::spawn(async move {
            while let Ok((stream, from)) = tls.accept().await {
                let (state, acceptor) = (tls_state.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        messages(state, stream, from, Transport::Tls).await;
                    }
                });
            }
        }),
    ];
    Ok((addresses.0, addresses.1, tasks))
}

async fn datagrams(state: Arc<State>, socket: UdpSocket) {
    let (to, mut outbox) = mpsc::unbounded_channel::<(SocketAddr, Vec<u8>)>();
    let mut buf = vec![0; 65_536];
    loop {
        tokio::select! {
            Some((to, message)) = outbox.recv() => drop(socket.send_to(&message, to).await),
            received = socket.recv_from(&mut buf) => {
                let Ok((len, from)) = received else { continue };
                let client = Client { address: from, transport: Transport::Udp, to: to.clone() };
                answer::handle(&state, &client, &buf[..len]).await;
            }
        }
    }
}

/// Serves one stream until it ends or the server drops it.
async fn messages(state: Arc<State>, stream: impl AsyncRead + AsyncWrite, from: SocketAddr, transport: Transport) {
    let (to, mut outbox) = mpsc::unbounded_channel();
    let client = Client { address: from, transport, to };
    let mut dropped = state.drop_streams.subscribe();
    let stream = std::pin::pin!(stream);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut kept = Vec::new();
    let mut buf = vec![0; 65_536];
    loop {
        tokio::select! {
            _ = dropped.changed() => break,
            Some((_, message)) = outbox.recv() => {
                if writer.write_all(&message).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
            }
            read = reader.read(&mut buf) => {
                let Ok(len @ 1..) = read else { break };
                kept.extend_from_slice(&buf[..len]);
                while let Some(len) = message_len(&kept).filter(|len| *len <= kept.len()) {
                    let rest = kept.split_off(len);
                    answer::handle(&state, &client, &std::mem::replace(&mut kept, rest)).await;
                }
            }
        }
    }
    state.gone(&client);
}

/// How long the message is that starts here, padding included.
fn message_len(bytes: &[u8]) -> Option<usize> {
    let [first, _, high, low] = *bytes.first_chunk()?;
    let stated = usize::from(u16::from_be_bytes([high, low]));
    Some(if first >> 6 == 1 { (4 + stated).next_multiple_of(4) } else { 20 + stated })
}
