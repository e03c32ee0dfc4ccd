//! What a message is answered with.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use frazil::stun::{
    AttributeType, Class, ErrorCode, IntegrityKey, IntegrityKeySha256, LongTermCredentials, Message, MessageWriter,
    Method, PasswordAlgorithm, userhash, xor_address,
};

use super::relay::{Allocation, LIFETIME};
use super::transport::Client;
use super::{Algorithms, Answer, Inner, Seen, State};

const REALM: &str = "turn-peers";
const SHA256_AND_MD5: &[u8] = &[0, 2, 0, 0, 0, 1, 0, 0];

/// What a request has proved.
enum Key {
    Sha1(IntegrityKey),
    Sha256(IntegrityKeySha256),
}

/// What is sent back.
enum Reply {
    Allocated(Vec<SocketAddr>),
    Refreshed(u32),
    Done,
    Mapped,
    Refused(u16, &'static str),
    /// 300.
    Elsewhere(SocketAddr),
    Nothing,
}

/// Does what a message asks for, as far as the script lets it, and remembers it.
pub(super) async fn handle(state: &Arc<State>, client: &Client, bytes: &[u8]) {
    if bytes.first().is_some_and(|first| first >> 6 == 1) {
        return channel_data(state, client, bytes);
    }
    let Ok(message) = Message::parse(bytes) else { return };
    let mut seen = Seen {
        at: Instant::now(),
        method: message.method(),
        is_signed: message.has_integrity() || message.has_integrity_sha256(),
        has_sha256: message.has_integrity_sha256()
            || message.get(AttributeType::PASSWORD_ALGORITHM).is_some_and(|value| value.starts_with(&[0, 2])),
        has_userhash: message.get(AttributeType::USERHASH).is_some(),
        user: message.get(AttributeType::USERNAME).map(|name| String::from_utf8_lossy(name).into_owned()),
        is_release: message.method() == Method::REFRESH
            && message.get(AttributeType::LIFETIME).is_some_and(|value| value == [0; 4]),
        answer: Answer::None,
    };
    if state.is_silent() {
        state.lock().seen.push(seen);
        return;
    }
    if state.lock().script.is_garbage {
        // Datagrams that look like STUN and are not, and those that do not even.
        client.send([&bytes[..4], &[0xFF; 40]].concat());
        client.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec());
        seen.answer = Answer::Garbage;
        state.lock().seen.push(seen);
        return;
    }
    // An allocation that nobody has prolonged is no more.
    state.lock().allocations.retain(|_, allocation| !allocation.is_expired());
    let (reply, key) = match message.class() {
        Class::Indication if message.method() == Method::SEND => {
            seen.answer = send_indication(state, client, &message);
            (Reply::Nothing, None)
        }
        Class::Request if message.method() == Method::BINDING => (Reply::Mapped, None),
        Class::Request => {
            let proof = authenticate(&mut state.lock(), &message, &seen);
            match proof {
                Ok(key) => (serve(state, client, &message).await, Some(key)),
                Err((code, reason)) => (Reply::Refused(code, reason), None),
            }
        }
        _ => (Reply::Nothing, None),
    };
    let mut inner = state.lock();
    match reply {
        Reply::Nothing => {}
        Reply::Refused(code, _) => seen.answer = Answer::Error(code),
        Reply::Elsewhere(_) => seen.answer = Answer::Error(300),
        _ => seen.answer = Answer::Success,
    }
    inner.seen.push(seen);
    if !matches!(reply, Reply::Nothing) {
        client.send(write(&inner, client, &message, &reply, key.as_ref()));
    }
}

fn channel_data(state: &State, client: &Client, bytes: &[u8]) {
    let Some((header, rest)) = bytes.split_first_chunk::<4>() else { return };
    let number = u16::from_be_bytes([header[0], header[1]]);
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let mut inner = state.lock();
    if !inner.script.is_silent
        && let Some(data) = rest.get(..len)
        && let Some(allocation) = inner.allocations.get(&client.address)
        && let Some(peer) = allocation.peer_on(number)
        && allocation.send(peer, data)
    {
        inner.relayed += 1;
    }
}

fn send_indication(state: &State, client: &Client, message: &Message<'_>) -> Answer {
    let mut inner = state.lock();
    match (inner.allocations.get(&client.address), peer_in(message), message.get(AttributeType::DATA)) {
        (Some(allocation), Some(peer), Some(data)) if allocation.send(peer, data) => {
            inner.relayed += 1;
            Answer::Relayed
        }
        _ => Answer::None,
    }
}

fn peer_in(message: &Message<'_>) -> Option<SocketAddr> {
    let kind = AttributeType::XOR_PEER_ADDRESS;
    xor_address(kind, message.get(kind)?, message.transaction_id()).ok()
}

/// Checks who asks (RFC 8489 section 9.2.4).
fn authenticate(inner: &mut Inner, message: &Message<'_>, seen: &Seen) -> Result<Key, (u16, &'static str)> {
    const UNAUTHENTICATED: (u16, &str) = (401, "Unauthenticated");
    if !seen.is_signed {
        return Err(UNAUTHENTICATED);
    }
    if inner.script.stale_at.take_if(|method| *method == message.method()).is_some() {
        inner.era += 1;
    }
    let is_for_data = matches!(message.method(), Method::CREATE_PERMISSION | Method::CHANNEL_BIND);
    if is_for_data && std::mem::take(&mut inner.script.is_stale_for_data) {
        inner.era += 1;
    }
    if message.get(AttributeType::NONCE) != Some(nonce(inner).as_bytes()) {
        return Err((438, "Stale Nonce"));
    }
    let (user, password) = inner.script.user.clone();
    let is_known = match message.get(AttributeType::USERHASH) {
        Some(hash) => hash == userhash(&user, REALM.as_bytes()),
        None => message.get(AttributeType::USERNAME) == Some(user.as_bytes()),
    };
    if !is_known {
        return Err(UNAUTHENTICATED);
    }
    let algorithm = match message.get(AttributeType::PASSWORD_ALGORITHM) {
        Some([0, 2, ..]) => PasswordAlgorithm::Sha256,
        _ => PasswordAlgorithm::Md5,
    };
    let credentials = LongTermCredentials::new(user, password).map_err(|_| UNAUTHENTICATED)?;
    let bytes = algorithm.key(&credentials, REALM.as_bytes());
    if message.has_integrity_sha256() {
        let key = IntegrityKeySha256::new(&bytes);
        message.check_integrity_sha256(&key).map(|()| Key::Sha256(key)).map_err(|_| UNAUTHENTICATED)
    } else {
        let key = IntegrityKey::new(&bytes);
        message.check_integrity(&key).map(|()| Key::Sha1(key)).map_err(|_| UNAUTHENTICATED)
    }
}

fn nonce(inner: &Inner) -> String {
    match inner.script.algorithms {
        Algorithms::None => format!("nonce-{}", inner.era),
        // The 24 bits after the cookie: password algorithms, and user name anonymity (RFC 8489 section 9.2).
        Algorithms::Offered | Algorithms::Stripped => format!("obMatJos2wAAA-{}", inner.era),
    }
}

async fn serve(state: &Arc<State>, client: &Client, message: &Message<'_>) -> Reply {
    match message.method() {
        Method::ALLOCATE => allocate(state, client, message).await,
        Method::REFRESH => refresh(state, client, message),
        Method::CREATE_PERMISSION | Method::CHANNEL_BIND => {
            let mut inner = state.lock();
            let Some(allocation) = inner.allocations.get_mut(&client.address) else {
                return Reply::Refused(437, "Allocation Mismatch");
            };
            let Some(peer) = peer_in(message) else { return Reply::Refused(400, "Bad Request") };
            if !allocation.addresses().iter().any(|relayed| relayed.is_ipv4() == peer.is_ipv4()) {
                return Reply::Refused(443, "Peer Address Family Mismatch");
            }
            match message.get(AttributeType::CHANNEL_NUMBER) {
                Some([high, low, ..]) => allocation.bind(u16::from_be_bytes([*high, *low]), peer),
                _ => allocation.permit(peer.ip()),
            }
            Reply::Done
        }
        _ => Reply::Refused(400, "Bad Request"),
    }
}

async fn allocate(state: &Arc<State>, client: &Client, message: &Message<'_>) -> Reply {
    let has_ipv6;
    {
        let mut inner = state.lock();
        if let Some(server) = inner.script.redirect {
            return Reply::Elsewhere(server);
        }
        if let Some((code, reason)) = inner.script.refuse {
            return Reply::Refused(code, reason);
        }
        let is_mismatch =
            inner.script.has_mismatch && *inner.mismatched.get_or_insert(client.address) == client.address;
        if is_mismatch || inner.allocations.contains_key(&client.address) {
            return Reply::Refused(437, "Allocation Mismatch");
        }
        has_ipv6 = !inner.script.is_ipv4_only;
    }
    let is_ipv6 = |value: Option<&[u8]>| value.is_some_and(|value| value.first() == Some(&2));
    let wanted = if is_ipv6(message.get(AttributeType::REQUESTED_ADDRESS_FAMILY)) {
        vec![state.ip6]
    } else if is_ipv6(message.get(AttributeType::ADDITIONAL_ADDRESS_FAMILY)) && has_ipv6 {
        vec![state.ip4, state.ip6]
    } else {
        vec![state.ip4]
    };
    if wanted == [state.ip6] && !has_ipv6 {
        return Reply::Refused(440, "Address Family not Supported");
    }
    match Allocation::open(state, client, &wanted).await {
        Ok(allocation) => {
            let relayed = allocation.addresses();
            state.lock().allocations.insert(client.address, allocation);
            Reply::Allocated(relayed)
        }
        Err(_) => Reply::Refused(508, "Insufficient Capacity"),
    }
}

fn refresh(state: &State, client: &Client, message: &Message<'_>) -> Reply {
    let mut inner = state.lock();
    let is_release = message.get(AttributeType::LIFETIME).is_some_and(|value| value == [0; 4]);
    if !inner.allocations.contains_key(&client.address) {
        return Reply::Refused(437, "Allocation Mismatch");
    }
    if is_release {
        inner.allocations.remove(&client.address);
        return Reply::Refreshed(0);
    }
    if let Some(allocation) = inner.allocations.get_mut(&client.address) {
        allocation.prolong();
    }
    Reply::Refreshed(LIFETIME.as_secs() as u32)
}

fn write(inner: &Inner, client: &Client, request: &Message<'_>, reply: &Reply, key: Option<&Key>) -> Vec<u8> {
    let mut buf = vec![0; 1024];
    let is_error = matches!(reply, Reply::Refused(..) | Reply::Elsewhere(_));
    let class = if is_error { Class::Error } else { Class::Success };
    let mut writer = MessageWriter::new(&mut buf, class, request.method(), request.transaction_id());
    match reply {
        Reply::Allocated(relayed) => {
            for address in relayed {
                writer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, *address);
            }
            writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, client.address);
            writer.attribute(AttributeType::LIFETIME, &(LIFETIME.as_secs() as u32).to_be_bytes());
        }
        Reply::Refreshed(seconds) => {
            writer.attribute(AttributeType::LIFETIME, &seconds.to_be_bytes());
        }
        Reply::Mapped => {
            writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, client.address);
        }
        Reply::Refused(code @ (401 | 438), reason) => {
            writer.error_code(ErrorCode { code: *code, reason });
            writer.attribute(AttributeType::REALM, REALM.as_bytes());
            writer.attribute(AttributeType::NONCE, nonce(inner).as_bytes());
            if inner.script.algorithms == Algorithms::Offered {
                writer.attribute(AttributeType::PASSWORD_ALGORITHMS, SHA256_AND_MD5);
            }
        }
        Reply::Refused(code, reason) => {
            writer.error_code(ErrorCode { code: *code, reason });
        }
        Reply::Elsewhere(server) => {
            writer.error_code(ErrorCode { code: 300, reason: "Try Alternate" });
            writer.attribute(AttributeType::ALTERNATE_SERVER, &plain(*server));
        }
        Reply::Done | Reply::Nothing => {}
    }
    match key {
        Some(Key::Sha1(key)) => drop(writer.integrity(key)),
        Some(Key::Sha256(key)) => drop(writer.integrity_sha256(key)),
        None => {}
    }
    let len = writer.finish_with_fingerprint().expect("no answer is longer");
    buf.truncate(len);
    buf
}

/// An address as MAPPED-ADDRESS has it (RFC 8489 section 14.1).
fn plain(address: SocketAddr) -> Vec<u8> {
    let (family, ip) = match address.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    [&[0, family][..], &address.port().to_be_bytes(), &ip].concat()
}
