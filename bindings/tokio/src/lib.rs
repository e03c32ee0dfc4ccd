//! frazil on [tokio]: everything around a WebRTC peer that only an operating system can do.
//!
//! A [`Peer`] binds a UDP socket on each address of the machine, opens TCP streams where the other side listens for
//! them and TCP and TLS streams to servers, looks names up, keeps time, and offers the connection as plain async Rust. What
//! goes over the wire, and when, is decided by [`frazil`] alone.
//!
//! How the two sides' descriptions travel is the application's business: a server, a QR code, or, as
//! here, a variable.
//!
//! ```
//! use frazil::peer::ChannelConfig;
//! use frazil_tokio::{Event, InterfacePolicy, Message, Peer};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! # tokio::time::timeout(std::time::Duration::from_secs(60), async {
//! // Both peers are in this process, so the loopback interface will do.
//! let loopback = InterfacePolicy { loopback: true, ..InterfacePolicy::default() };
//! let (alice, _alice_events) = Peer::builder().interfaces(loopback.clone()).start()?;
//! let (bob, mut bob_events) = Peer::builder().interfaces(loopback).start()?;
//!
//! let chat = alice.create_data_channel(ChannelConfig { label: "chat".into(), ..Default::default() }).await?;
//! let offer = alice.offer().await?;
//! let answer = bob.answer(&offer).await?;
//! alice.set_remote_description(&answer).await?;
//!
//! // Sending waits until the channel is open.
//! chat.send("hello").await?;
//!
//! let chat_at_bob = loop {
//!     match bob_events.next().await.ok_or("closed")? {
//!         Event::Channel(channel) => break channel,
//!         _ => {}
//!     }
//! };
//! assert_eq!(chat_at_bob.recv().await, Some(Message::text("hello")));
//!
//! // Bob is told.
//! alice.close().await;
//! assert_eq!(chat_at_bob.recv().await, None);
//! # Ok(()) }).await? }) }
//! ```
//!
//! The sockets are bound when the peer starts, and [`Peer::offer`] and [`Peer::answer`] wait for the servers, so that
//! descriptions name all candidates: one message each way is enough. Where the other side trickles its candidates, hand
//! them to [`Peer::add_ice_candidate`]; for one that wants ours alone, there is [`Event::IceCandidate`], which comes for
//! what no description told.
//!
//! As the machine's addresses come and go, sockets come and go with them, and [`Event::NetworkChange`] says what
//! became of the path in use; an ICE restart tells the other side of all addresses anew. With
//! [`mdns_candidates`](frazil::peer::Config::mdns_candidates) the other side is told names instead of addresses, and
//! the peer answers for them on its links.
//!
//! When it does not work, [`Peer::failure`] says why.
//!
//! # STUN and TURN servers
//!
//! ```
//! use frazil::ice::TransportPolicy;
//! use frazil_tokio::{IceServer, Peer};
//!
//! let builder = Peer::builder()
//!     .servers(["stun:stun.example.org"])
//!     .servers([
//!         IceServer::new(["turn:turn.example.org", "turn:turn.example.org?transport=tcp", "turns:turn.example.org"])
//!             .credentials("user", "password"),
//!     ])
//!     // Relayed candidates alone: the other side does not learn where we are.
//!     .transport_policy(TransportPolicy::Relay);
//! ```
//!
//! [`Builder::servers`] names those that candidates are gathered from, from each address of the machine;
//! [`Peer::set_servers`] renews credentials that expire. Candidates come as [`Event::IceCandidate`] while the servers answer:
//! one that is dead delays nobody, and [`Event::IceCandidateError`] says why it gave nothing: `401` where the password is
//! wrong, and for a stream what the system or TLS has said. [`Peer::server_reports`] has all of that, with the time that
//! each answer took. With [`Builder::transport_policy`] everything goes through TURN servers.
//!
//! `stuns:` and `turns:` servers must have a certificate that the machine trusts, or one of [`Builder::tls_roots`]. Where
//! the machine's trust cannot be read, as on Android, those must be given. When the peer is closed, what TURN servers have
//! lent is given back; [`Peer::close`] waits for that, two seconds at the most.
//!
//! `cargo xtask probe` shows what servers, candidates and NATs there are from a machine.
//!
//! # What waits, and what that causes
//!
//! - **Sending**: [`Channel::send`] waits while the message would make more than [`Builder::send_limit`] bytes
//!   wait to be acknowledged.
//! - **Receiving**: messages wait in their channel until they are received. Above [`Builder::receive_limit`]
//!   the core holds bulk data back ([`frazil::peer::Peer::release`]), which the other side takes for loss and slows
//!   down for, on all channels of this peer. Connectivity goes on, and so does our own sending: an application may
//!   wait to send before it receives more. Nothing is lost on reliable channels; on others, messages may be, as they
//!   may anywhere. So receive from every channel, or drop it.
//! - **Events** are never lost, see [`Events`].
//!
//! # TCP
//!
//! Where no datagram gets through, a stream may: if the other side listens, it is connected to, and
//! [`Builder::listen_tcp`] listens on each address ourselves. Datagrams go over streams with their length before them
//! (RFC 4571), and are preferred as they are where they get through.
//!
//! What waits for a slow stream is bounded: above 256 KiB datagrams are lost, as in a socket's full buffer, and SCTP
//! slows down. A stream never holds up the peer. Strangers who connect get ten seconds, and are sixteen at the most.
//! Which streams there are is the core's decision: the driver does what `OpenStream` and `CloseStream` ask for, and
//! answers with `handle_stream_opened`, `handle_stream_accepted`, and `handle_stream_closed`.
//!
//! # Fairness and cost
//!
//! However many peers of a process look for a path at the same time, together they send one connectivity check in
//! 5 ms, in turn; see [`Pace`].
//!
//! A peer is one task. It takes a bounded number of datagrams from each socket, in batches where the system
//! can (`recvmmsg`, GRO, GSO), then lets other tasks run. Nothing is allocated per datagram; buffers belong to
//! the runtime's threads, not to peers.

#![forbid(unsafe_code)]

mod channel;
mod clock;
mod driver;
mod error;
mod event;
mod gathering;
mod grounds;
mod mdns;
mod network;
mod pace;
mod peer;
mod resolve;
mod shared;
mod socket;
mod stream;
mod tls;

pub use channel::{Channel, Message};
pub use error::{ConnectError, Error, SendError, StartError, TrySendError};
pub use event::{Event, Events};
pub use frazil;
pub use frazil::ice::{IceServer, InvalidServer};
pub use frazil_interfaces::{Interface, InterfaceFilter, InterfacePolicy, interfaces};
pub use pace::Pace;
pub use peer::{Builder, Peer, Stats};
pub use rustls;
