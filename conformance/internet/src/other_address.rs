//! A STUN server with two addresses and two ports, and its answers from any of them (RFC 5780 section 6).

use std::net::{IpAddr, SocketAddr};

use turn_server_proto::types::stun::attribute::{AttributeType, RawAttribute, XorMappedAddress};
use turn_server_proto::types::stun::message::{BINDING, Message, MessageClass, MessageWriteVec};
use turn_server_proto::types::stun::prelude::{MessageWrite, MessageWriteExt};

const CHANGE_REQUEST: u16 = 0x0003;
const RESPONSE_ORIGIN: u16 = 0x802B;
const OTHER_ADDRESS: u16 = 0x802C;

/// The answer to a Binding request that has come to `to`, and from where it goes; none if it is no such request, or
/// there are no other address and port.
pub(crate) fn answer(
    datagram: &[u8],
    from: SocketAddr,
    to: SocketAddr,
    addresses: &[IpAddr],
    ports: &[u16],
) -> Option<(SocketAddr, Vec<u8>)> {
    let request = Message::from_bytes(datagram).ok()?;
    if request.class() != MessageClass::Request || !request.has_method(BINDING) {
        return None;
    }
    let is_of_family = |ip: &&IpAddr| ip.is_ipv4() == to.is_ipv4();
    let other_ip = addresses.iter().filter(is_of_family).find(|ip| **ip != to.ip())?;
    let other_port = ports.iter().find(|port| **port != to.port())?;
    let other = SocketAddr::new(*other_ip, *other_port);
    let change = request.raw_attribute(AttributeType::new(CHANGE_REQUEST));
    let flags = change.and_then(|change| change.value.get(3).copied()).unwrap_or_default();
    let origin = SocketAddr::new(
        if flags & 4 == 0 { to.ip() } else { other.ip() },
        if flags & 2 == 0 { to.port() } else { other.port() },
    );
    let mut response = Message::builder_success(&request, MessageWriteVec::new());
    response.add_attribute(&XorMappedAddress::new(from, request.transaction_id())).ok()?;
    for (kind, address) in [(RESPONSE_ORIGIN, origin), (OTHER_ADDRESS, other)] {
        response.add_attribute(&RawAttribute::new(AttributeType::new(kind), &plain(address))).ok()?;
    }
    response.add_fingerprint().ok()?;
    Some((origin, response.finish()))
}

/// The form of MAPPED-ADDRESS.
fn plain(address: SocketAddr) -> Vec<u8> {
    let family = if address.is_ipv4() { 1 } else { 2 };
    let mut value = vec![0, family];
    value.extend(address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => value.extend(ip.octets()),
        IpAddr::V6(ip) => value.extend(ip.octets()),
    }
    value
}
