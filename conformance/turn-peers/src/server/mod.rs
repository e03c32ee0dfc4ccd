//! A TURN server that does what a [`Script`] says, and remembers what it was asked (RFC 8656, RFC 8489).
//!
//! It is a real relay over UDP, TCP and TLS as far as the script lets it be one.

mod answer;
mod certificate;
mod relay;
mod script;
mod seen;
#[cfg(test)]
mod tests;
mod transport;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) use certificate::Authority;
use relay::Allocation;
pub(crate) use script::{Algorithms, PASSWORD, Script, USER};
pub(crate) use seen::{Answer, Seen};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use transport::Client;
pub(crate) use transport::Transport;

/// A running server. It is gone when this is dropped.
pub(crate) struct Server {
    state: Arc<State>,
    /// The same port over UDP and TCP.
    plain: SocketAddr,
    tls: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

struct State {
    /// Where it listens.
    ip: IpAddr,
    /// Where it relays from.
    ip4: IpAddr,
    ip6: IpAddr,
    inner: Mutex<Inner>,
    /// Counts up when the streams are to be dropped.
    drop_streams: watch::Sender<u32>,
}

struct Inner {
    script: Script,
    /// Which nonce is good.
    era: u32,
    /// Who was told 437 and is told so for ever.
    mismatched: Option<SocketAddr>,
    allocations: BTreeMap<SocketAddr, Allocation>,
    seen: Vec<Seen>,
    /// How many datagrams went through, either way.
    relayed: u64,
}

impl Server {
    /// Starts one that listens at one of these addresses, the one of IPv6 if told so, and relays from both.
    pub(crate) async fn start(
        ip4: IpAddr,
        ip6: IpAddr,
        on_ipv6: bool,
        authority: &Authority,
        script: Script,
    ) -> std::io::Result<Self> {
        let ip = if on_ipv6 { ip6 } else { ip4 };
        let inner =
            Inner { script, era: 0, mismatched: None, allocations: BTreeMap::new(), seen: Vec::new(), relayed: 0 };
        let state = Arc::new(State { ip, ip4, ip6, inner: Mutex::new(inner), drop_streams: watch::Sender::new(0) });
        let (plain, tls, tasks) = transport::listen(&state, authority).await?;
        Ok(Self { state, plain, tls, tasks })
    }

    /// Where it listens for UDP and TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.plain
    }

    /// A URL of it (RFC 7065).
    pub(crate) fn url(&self, transport: Transport) -> String {
        match transport {
            Transport::Udp => format!("turn:{}?transport=udp", self.plain),
            Transport::Tcp => format!("turn:{}?transport=tcp", self.plain),
            Transport::Tls => format!("turns:{}?transport=tcp", self.tls),
        }
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    /// How many datagrams it has relayed, either way.
    pub(crate) fn relayed(&self) -> u64 {
        self.state.lock().relayed
    }

    /// From now on it does something else.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.state.lock().script);
    }

    /// As if it were restarted: no allocation is known any more, no nonce is good, and no stream is open.
    pub(crate) fn restart(&self) {
        let mut inner = self.state.lock();
        inner.allocations.clear();
        inner.era += 1;
        drop(inner);
        self.state.drop_streams.send_modify(|times| *times += 1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.state.drop_streams.send_modify(|times| *times += 1);
        self.state.lock().allocations.clear();
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics with it")
    }

    fn is_silent(&self) -> bool {
        self.lock().script.is_silent
    }

    /// Whoever was at this stream is gone, and the allocation with it.
    fn gone(&self, client: &Client) {
        self.lock().allocations.remove(&client.address);
    }
}
