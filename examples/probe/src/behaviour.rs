//! Asks a STUN server how the NATs on the way to it behave (RFC 5780), from sockets made for that.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use frazil::nat::{Config, Discovery, Filtering, Hairpinning, Mapping, Unknown};
use frazil::stun::RetransmissionConfig;
use frazil::{Instant, Path, Protocol, Seed};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// What was found out, or why it was not.
pub(crate) struct Behaviour {
    pub(crate) server: SocketAddr,
    pub(crate) mapping: Result<Mapping, Unknown>,
    pub(crate) filtering: Result<Filtering, Unknown>,
    pub(crate) hairpinning: Result<Hairpinning, Unknown>,
}

/// That nobody answers is an answer here, so it must be waited for: 5 requests and 3 s for each test.
const PATIENCE: RetransmissionConfig = RetransmissionConfig { rto: Duration::from_millis(150), rc: 5, rm: 5 };

/// Finds out what there is to find out before `address`; none if no sockets can be had.
pub(crate) async fn discover(address: IpAddr, server: SocketAddr, second: Option<SocketAddr>) -> Option<Behaviour> {
    let sockets = [bind(address).await.ok()?, bind(address).await.ok()?];
    let bases = [sockets[0].local_addr().ok()?, sockets[1].local_addr().ok()?];
    let mut config = Config::new(bases[0], server);
    config.second_base = Some(bases[1]);
    config.second_server = second;
    config.retransmission = PATIENCE;
    let mut seed = Seed::default();
    getrandom::fill(&mut seed).ok()?;

    let epoch = tokio::time::Instant::now();
    let now = || Instant::ZERO + epoch.elapsed();
    let mut discovery = Discovery::new(config, seed, now()).ok()?;
    let mut out = [0; Discovery::MIN_BUFFER];
    let mut buffer = vec![0; 1 << 16];
    while !discovery.is_finished() {
        while let Some(transmit) = discovery.poll_transmit(&mut out) {
            let from = usize::from(transmit.path.local == bases[1]);
            // What the system does not take is lost, as it may be on the way.
            let _ = sockets[from].send_to(&out[..transmit.len], transmit.path.remote).await;
        }
        let Some(due) = discovery.poll_timeout() else { break };
        let wait = tokio::time::sleep(due.saturating_duration_since(now()));
        tokio::select! {
            (place, len, remote) = receive(&sockets, &mut buffer) => {
                let path = Path { protocol: Protocol::Udp, local: bases[place], remote };
                discovery.handle_datagram(path, &buffer[..len], now());
            }
            () = wait => discovery.handle_timeout(now()),
        }
    }
    let owned = |unknown: &Unknown| unknown.clone();
    Some(Behaviour {
        server,
        mapping: discovery.mapping()?.map_err(owned),
        filtering: discovery.filtering()?.map_err(owned),
        hairpinning: discovery.hairpinning()?.map_err(owned),
    })
}

async fn bind(address: IpAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind((address, 0)).await
}

/// The next datagram of either socket: whose it is, its length and where it comes from.
async fn receive(sockets: &[UdpSocket; 2], buffer: &mut [u8]) -> (usize, usize, SocketAddr) {
    poll_fn(|cx| {
        for (place, socket) in sockets.iter().enumerate() {
            let mut read = ReadBuf::new(buffer);
            // An error tells of an earlier datagram that did not arrive.
            while let Poll::Ready(received) = socket.poll_recv_from(cx, &mut read) {
                if let Ok(remote) = received {
                    return Poll::Ready((place, read.filled().len(), remote));
                }
            }
        }
        Poll::Pending
    })
    .await
}
