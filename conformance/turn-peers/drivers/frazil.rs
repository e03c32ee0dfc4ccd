//! Drives frazil's `turn::Client`.

mod task;
mod wire;

use std::time::{Duration, Instant as Clock};

use frazil::Instant;
use frazil::stun::LongTermCredentials;
use frazil::turn::{Client, Config, Event, Family, PeerData, Sent, Transport};
use serde_json::json;
use task::{Command, Task, say, say_candidate};
use wire::{Came, Wire};

fn main() {
    let (task, commands) = Task::receive();
    let server = task.servers[0].clone();
    let transport = match server.transport() {
        "tls" => Transport::Tls,
        "tcp" => Transport::Tcp,
        _ => Transport::Udp,
    };
    let credentials = |username: &str, password: &str| LongTermCredentials::new(username, password).expect("a name");
    let mut config = Config::new(server.address(), transport, credentials(&server.username, &server.password));
    if task.wants_both_families {
        config.family = Family::Both;
    }
    let epoch = Clock::now();
    let now = || Instant::from_nanos(epoch.elapsed().as_nanos() as u64);
    let seed = random_seed();
    let mut client = Client::new(config, seed, now()).expect("a good configuration");
    let mut wire = match transport {
        Transport::Udp => Some(Wire::udp(task.local_for(server.address())).expect("a socket")),
        _ => None,
    };
    let mut buf = vec![0; 65_536];
    let mut pings = 0_u32;
    let mut ping_at = Clock::now();
    let mut end = None;
    loop {
        while let Some(transmit) = client.poll_transmit(&mut buf) {
            if let Some(wire) = &mut wire {
                wire.send(&buf[..transmit.len], transmit.to);
            }
        }
        while let Some(event) = client.poll_event() {
            match event {
                Event::OpenStream { server: to, domain } => {
                    let name = domain.unwrap_or_else(|| server.address().ip().to_string());
                    let opened = match transport {
                        Transport::Tls => name
                            .try_into()
                            .map_err(std::io::Error::other)
                            .and_then(|name| Wire::tls(to, name, task.tls())),
                        _ => Wire::tcp(to),
                    };
                    match opened {
                        Ok(opened) => {
                            wire = Some(opened);
                            client.handle_stream_opened(now());
                        }
                        Err(_) => client.handle_stream_closed(now()),
                    }
                }
                Event::CloseStream => wire = None,
                Event::Allocated(allocated) => {
                    say_candidate("srflx", allocated.mapped);
                    for relayed in std::iter::once(allocated.relayed).chain(allocated.additional) {
                        say_candidate("relay", relayed);
                    }
                    say("gathered", json!({}));
                }
                Event::Failed(failure) => {
                    say("error", json!({ "code": failure.code(), "text": failure.to_string() }));
                    say("gathered", json!({}));
                }
                Event::CredentialsRefused(refusal) | Event::PermissionRefused(_, refusal) => {
                    say("error", json!({ "code": refusal.code, "text": refusal.reason }));
                }
                Event::Lost(loss) => say("lost", json!({ "text": loss.to_string() })),
                Event::Closed => {
                    say("closed", json!({}));
                    end.get_or_insert(Clock::now());
                }
                _ => {}
            }
        }
        if end.is_some_and(|end| Clock::now() >= end) {
            return;
        }
        match commands.try_recv() {
            Ok(Command::Renew { username, password }) => {
                client.set_credentials(credentials(&username, &password), now())
            }
            Ok(Command::Close) if end.is_none() => {
                client.close(now());
                end = Some(Clock::now() + Duration::from_secs(if client.is_over() { 0 } else { 3 }));
            }
            _ => {}
        }
        if let Some(relayed) = client.relayed()
            && Clock::now() >= ping_at
        {
            ping_at = Clock::now() + Duration::from_millis(500);
            pings += 1;
            let peer = task.echo_for(relayed);
            if let Ok(Sent::Now(transmit)) = client.send(peer, &pings.to_be_bytes(), &mut buf, now())
                && let Some(wire) = &mut wire
            {
                wire.send(&buf[..transmit.len], transmit.to);
            }
        }
        let heard = |data: PeerData<'_>| say("echo", json!({ "n": data.data.last() }));
        match wire.as_mut().map(|wire| wire.receive(&mut buf)) {
            Some(Came::From(from, len)) if transport == Transport::Udp => {
                if let Some(data) = client.handle_datagram(from, &buf[..len], now()) {
                    heard(data);
                }
            }
            Some(Came::From(_, len)) => client.handle_stream_data(&buf[..len], now(), heard),
            Some(Came::Closed) => {
                wire = None;
                client.handle_stream_closed(now());
            }
            Some(Came::Nothing) => {}
            None => std::thread::sleep(Duration::from_millis(10)),
        }
        if client.poll_timeout().is_some_and(|at| at <= now()) {
            client.handle_timeout(now());
        }
    }
}

fn random_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let mut file = std::fs::File::open("/dev/urandom").expect("a source of randomness");
    std::io::Read::read_exact(&mut file, &mut seed).expect("32 bytes of it");
    seed
}
