//! Streams: who connects, and where a message ends.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::QUEUE;
use crate::shell::Input;

/// How many clients there may be.
const MAX_STREAMS: usize = 64;
/// How long a client may say nothing; an allocation is refreshed more often.
const STREAM_SILENCE: Duration = Duration::from_secs(900);
/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Takes who connects, over TLS if there is an acceptor.
pub(crate) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, inputs: mpsc::Sender<Input>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) if clients.len() < MAX_STREAMS => {
                    let _ = stream.set_nodelay(true);
                    clients.spawn(serve(stream, tls.clone(), client, inputs.clone()));
                }
                Ok(_) => {}
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, client: SocketAddr, inputs: mpsc::Sender<Input>) {
    let Some(tls) = tls else { return carry(stream, client, inputs).await };
    if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
        carry(stream, client, inputs).await;
    }
}

async fn carry(stream: impl AsyncRead + AsyncWrite + Send + 'static, client: SocketAddr, inputs: mpsc::Sender<Input>) {
    let (read, write) = tokio::io::split(stream);
    let (writer, queue) = mpsc::channel(QUEUE);
    // The shell must know the stream before its first bytes.
    let (ready, opened) = oneshot::channel::<()>();
    let mut halves = JoinSet::new();
    let reader = halves.spawn(read_stream(read, client, inputs.clone(), opened));
    halves.spawn(write_stream(write, queue));
    if inputs.send(Input::StreamOpened { client, writer, reader }).await.is_ok() {
        let _ = ready.send(());
    }
    while halves.join_next().await.is_some() {}
}

async fn read_stream(
    stream: impl AsyncRead + Unpin,
    client: SocketAddr,
    inputs: mpsc::Sender<Input>,
    opened: oneshot::Receiver<()>,
) {
    if opened.await.is_err() {
        return;
    }
    let mut stream = BufReader::new(stream);
    while let Ok(Ok(data)) = timeout(STREAM_SILENCE, read_frame(&mut stream)).await {
        if inputs.send(Input::StreamData { client, data }).await.is_err() {
            return;
        }
    }
    let _ = inputs.send(Input::StreamClosed { client }).await;
}

/// Reads one STUN message or one piece of channel data. On a stream the latter is filled up to a multiple of four
/// bytes (RFC 8656, section 12.5), of which `turn-server-proto` 0.7 takes no account in either direction: it would
/// lose its place at the first one of another size. So it is given whole messages without the filling.
async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let (size, filled) = match head[0] >> 6 {
        0b00 => (20 + length, 20 + length),
        0b01 => (4 + length, 4 + length.next_multiple_of(4)),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut data = vec![0; filled];
    data[..4].copy_from_slice(&head);
    stream.read_exact(&mut data[4..]).await?;
    data.truncate(size);
    Ok(data)
}

/// The reverse of [`read_frame`].
pub(crate) fn fill(mut data: Vec<u8>) -> Vec<u8> {
    if data.first().is_some_and(|first| first >> 6 == 0b01) {
        data.resize(data.len().next_multiple_of(4), 0);
    }
    data
}

async fn write_stream(mut stream: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(data) = queue.recv().await {
        if stream.write_all(&data).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_as_they_went_in() {
        let stun = |length: usize| [vec![0, 1, 0, length as u8], vec![7; 16 + length]].concat();
        let channel = |length: usize| [vec![0x40, 0, 0, length as u8], vec![7; length]].concat();
        let frames: Vec<_> = (0..40).map(channel).chain([stun(0), stun(8)]).chain((0..5).map(channel)).collect();
        let stream: Vec<u8> = frames.iter().cloned().flat_map(fill).collect();
        let mut rest = stream.as_slice();
        for frame in &frames {
            assert_eq!(&read_frame(&mut rest).await.unwrap(), frame);
        }
        assert_eq!(read_frame(&mut rest).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_frame(&mut &b"GET / HTTP/1.1"[..]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_frame(&mut &[0x80; 40][..]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
