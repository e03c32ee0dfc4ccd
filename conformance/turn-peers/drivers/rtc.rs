//! Drives the TURN client of `rtc` (`rtc-turn`).

mod task;
mod wire;

use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc_turn::client::{Client, ClientConfig, Event};
use sansio::Protocol as _;
use serde_json::json;
use task::{Command, Task, say, say_candidate};
use wire::{Came, Wire};

fn main() {
    let (task, commands) = Task::receive();
    let server = task.servers[0].clone();
    let address = server.address();
    let (mut wire, transport_protocol) = match server.transport() {
        "tcp" => (Wire::tcp(address), TransportProtocol::TCP),
        "tls" => {
            say("no-api", json!({ "what": "TLS" }));
            return;
        }
        _ => (Wire::udp(task.local_for(address)), TransportProtocol::UDP),
    };
    let wire = wire.as_mut().expect("the server takes it");
    if task.wants_both_families {
        say("no-api", json!({ "what": "the family of the relayed address" }));
        return;
    }
    let local_addr = wire.local();
    let config = ClientConfig {
        stun_serv_addr: String::new(),
        turn_serv_addr: address.to_string(),
        local_addr,
        transport_protocol,
        username: server.username.clone(),
        password: server.password.clone(),
        ..ClientConfig::default()
    };
    let provider = rtc_crypto::default_provider().expect("a provider");
    let mut client = Client::new(config, provider).expect("a good configuration");
    client.allocate(Instant::now()).expect("a server");
    let context = TransportContext { local_addr, peer_addr: address, transport_protocol, ecn: None };
    let mut relayed = None;
    let mut buf = vec![0; 65_536];
    let mut partial = Vec::new();
    let mut ping_at = Instant::now();
    let mut may_ping = false;
    let mut end: Option<Instant> = None;
    loop {
        while let Some(transmit) = client.poll_write() {
            // In a stream channel data is padded (RFC 8656 section 12.5), which the client leaves to others.
            let mut message = transmit.message.to_vec();
            if transport_protocol == TransportProtocol::TCP {
                message.resize(message.len().next_multiple_of(4), 0);
            }
            wire.send(&message, transmit.transport.peer_addr);
        }
        while let Some(event) = client.poll_event() {
            match event {
                Event::AllocateResponse(_, address) => {
                    relayed = Some(address);
                    say_candidate("relay", address);
                    say("gathered", json!({}));
                    if let Ok(mut relay) = client.relay(address) {
                        let _ = relay.create_permission(Instant::now(), task.echo_for(address));
                    }
                }
                Event::AllocateError(_, error) => {
                    say("error", json!({ "text": error.to_string() }));
                    say("gathered", json!({}));
                }
                Event::CreatePermissionResponse(..) => may_ping = true,
                Event::CreatePermissionError(_, error) => {
                    say("error", json!({ "text": error.to_string() }));
                    // As an application would that has a permission to get: it asks once more.
                    if let Some(address) = relayed.filter(|_| !may_ping)
                        && let Ok(mut relay) = client.relay(address)
                    {
                        let _ = relay.create_permission(Instant::now(), task.echo_for(address));
                    }
                }
                Event::TransactionTimeout(_) => {
                    say("error", json!({ "text": "timeout" }));
                    if relayed.is_none() {
                        say("gathered", json!({}));
                    }
                }
                Event::DataIndicationOrChannelData(_, _, data) => say("echo", json!({ "n": data.last() })),
                _ => {}
            }
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            say("closed", json!({}));
            return;
        }
        match commands.try_recv() {
            Ok(Command::Renew { username, password }) => {
                let _ = client.update_credentials(username, password);
            }
            Ok(Command::Close) | Err(TryRecvError::Disconnected) if end.is_none() => {
                if let Some(address) = relayed
                    && let Ok(mut relay) = client.relay(address)
                {
                    let _ = relay.close(Instant::now());
                }
                end = Some(Instant::now() + Duration::from_secs(1));
            }
            _ => {}
        }
        if let Some(address) = relayed.filter(|_| may_ping && Instant::now() >= ping_at && end.is_none())
            && let Ok(mut relay) = client.relay(address)
        {
            ping_at = Instant::now() + Duration::from_millis(500);
            if let Err(error) = relay.send_to(Instant::now(), b"ping", task.echo_for(address)) {
                say("error", json!({ "text": error.to_string() }));
            }
        }
        let mut messages = Vec::new();
        match wire.receive(&mut buf) {
            Came::From(_, len) if transport_protocol == TransportProtocol::UDP => messages.push(buf[..len].to_vec()),
            // The client takes whole messages: whoever reads the stream cuts it.
            Came::From(_, len) => {
                partial.extend_from_slice(&buf[..len]);
                while let Some(len) = message_len(&partial).filter(|len| *len <= partial.len()) {
                    let rest = partial.split_off(len);
                    messages.push(std::mem::replace(&mut partial, rest));
                }
            }
            Came::Nothing => {}
            Came::Closed => {
                // There is no call that would tell it.
                say("stream-closed", json!({}));
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        for message in messages {
            let message = BytesMut::from(&message[..]);
            if let Err(error) =
                client.handle_read(TransportMessage { now: Instant::now(), transport: context, message })
            {
                say("error", json!({ "text": error.to_string() }));
            }
        }
        if client.poll_timeout().is_some_and(|at| at <= Instant::now()) {
            let _ = client.handle_timeout(Instant::now());
        }
    }
}

/// How long the message is that starts here, padding included.
fn message_len(bytes: &[u8]) -> Option<usize> {
    let [first, _, high, low] = *bytes.first_chunk()?;
    let stated = usize::from(u16::from_be_bytes([high, low]));
    Some(if first >> 6 == 1 { (4 + stated).next_multiple_of(4) } else { 20 + stated })
}
