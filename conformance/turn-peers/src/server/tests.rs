//! The server, asked by frazil's own client: what the comparison stands on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant as Clock};

use frazil::Instant;
use frazil::stun::{LongTermCredentials, Method};
use frazil::turn::{Client, Config, Event, Failure, Loss, Sent, Transport as Carrier};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{Algorithms, Answer, Authority, PASSWORD, Script, Server, USER};

/// No answer takes as long.
const PATIENCE: Duration = Duration::from_secs(30);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn server(script: Script) -> Server {
    let authority = Authority::new().unwrap();
    Server::start(HERE, IpAddr::V6(Ipv6Addr::LOCALHOST), false, &authority, script).await.unwrap()
}

/// A client on a real socket.
struct Driven {
    client: Client,
    socket: UdpSocket,
    epoch: Clock,
}

impl Driven {
    async fn new(server: SocketAddr) -> Self {
        let credentials = LongTermCredentials::new(USER, PASSWORD).unwrap();
        let client = Client::new(Config::new(server, Carrier::Udp, credentials), [3; 32], Instant::ZERO).unwrap();
        Self { client, socket: UdpSocket::bind((HERE, 0)).await.unwrap(), epoch: Clock::now() }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.epoch.elapsed().as_nanos() as u64)
    }

    /// Drives until the client says something.
    async fn event(&mut self) -> Event {
        let mut buf = vec![0; 4096];
        let end = Clock::now() + PATIENCE;
        while Clock::now() < end {
            while let Some(transmit) = self.client.poll_transmit(&mut buf) {
                self.socket.send_to(&buf[..transmit.len], transmit.to).await.unwrap();
            }
            if let Some(event) = self.client.poll_event() {
                return event;
            }
            let received = timeout(Duration::from_millis(20), self.socket.recv_from(&mut buf)).await;
            let now = self.now();
            if let Ok(Ok((len, from))) = received {
                assert_eq!(self.client.handle_datagram(from, &buf[..len], now), None);
            }
            self.client.handle_timeout(now);
        }
        panic!("nothing happens: {:?}", self.client.counters());
    }
}

#[tokio::test]
async fn it_relays_both_ways_and_remembers_what_it_was_asked() {
    for algorithms in [Algorithms::None, Algorithms::Offered] {
        let server = server(Script { algorithms, ..Script::default() }).await;
        let mut driven = Driven::new(server.address()).await;
        let Event::Allocated(allocated) = driven.event().await else { panic!("no allocation") };
        let peer = UdpSocket::bind((HERE, 0)).await.unwrap();
        let (to, now) = (peer.local_addr().unwrap(), driven.now());
        driven.client.permit(to.ip(), now).unwrap();
        assert_eq!(driven.event().await, Event::Permitted(HERE));

        let mut buf = [0; 200];
        let Ok(Sent::Now(transmit)) = driven.client.send(to, b"there", &mut buf, now) else { panic!("not sent") };
        driven.socket.send_to(&buf[..transmit.len], transmit.to).await.unwrap();
        let (len, from) = timeout(PATIENCE, peer.recv_from(&mut buf)).await.unwrap().unwrap();
        assert_eq!((&buf[..len], from), (&b"there"[..], allocated.relayed));
        peer.send_to(b"back", from).await.unwrap();
        let (len, from) = timeout(PATIENCE, driven.socket.recv_from(&mut buf)).await.unwrap().unwrap();
        let data = driven.client.handle_datagram(from, &buf[..len], now).expect("data");
        assert_eq!((data.peer, data.data), (to, &b"back"[..]));
        assert_eq!(server.relayed(), 2);

        driven.client.close(driven.now());
        assert_eq!(driven.event().await, Event::Closed);
        let seen = server.seen();
        let has = |method, answer| seen.iter().any(|seen| seen.method == method && seen.answer == answer);
        assert!(has(Method::ALLOCATE, Answer::Error(401)) && has(Method::ALLOCATE, Answer::Success), "{seen:?}");
        assert!(seen.iter().any(|seen| seen.is_release && seen.answer == Answer::Success), "{seen:?}");
        assert_eq!(seen.iter().any(|seen| seen.has_sha256), algorithms == Algorithms::Offered);
        assert_eq!(seen.iter().any(|seen| seen.has_userhash), algorithms == Algorithms::Offered);
    }
}

#[tokio::test]
async fn it_refuses_as_it_is_told() {
    let quota = server(Script { refuse: Some((486, "Allocation Quota Reached")), ..Script::default() }).await;
    let mismatch = server(Script { has_mismatch: true, ..Script::default() }).await;
    let elsewhere = server(Script { redirect: Some(quota.address()), ..Script::default() }).await;
    let stranger = server(Script { user: ("bob".to_owned(), PASSWORD.to_owned()), ..Script::default() }).await;
    let stripped = server(Script { algorithms: Algorithms::Stripped, ..Script::default() }).await;
    for (server, code) in [(&quota, 486), (&mismatch, 437), (&stranger, 401), (&stripped, 401)] {
        let event = Driven::new(server.address()).await.event().await;
        assert!(matches!(&event, Event::Failed(failure) if failure.code() == code), "{code}: {event:?}");
    }
    // The second port is welcome.
    assert!(matches!(Driven::new(mismatch.address()).await.event().await, Event::Allocated(_)));
    let mut sent_on = Driven::new(elsewhere.address()).await;
    let to = quota.address();
    assert_eq!(sent_on.event().await, Event::Redirected { from: elsewhere.address(), to });
    assert!(matches!(sent_on.event().await, Event::Failed(Failure::Refused(refusal)) if refusal.code == 486));
}

#[tokio::test]
async fn a_restart_forgets_allocations_and_nonces() {
    let server = server(Script::default()).await;
    let mut driven = Driven::new(server.address()).await;
    assert!(matches!(driven.event().await, Event::Allocated(_)));
    server.restart();
    let now = driven.now();
    driven.client.permit(HERE, now).unwrap();
    assert_eq!(driven.event().await, Event::Lost(Loss::Unknown));
    let answers: Vec<Answer> = server.seen().iter().map(|seen| seen.answer).collect();
    assert_eq!(answers[2..], [Answer::Error(438), Answer::Error(437)]);
}
