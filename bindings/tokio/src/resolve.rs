//! Names of servers and in the other side's candidates, looked up within bounds: the other side chooses how many of the
//! latter there are.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use crate::mdns;
use frazil_interfaces::Interface;

/// How many addresses of one name are used.
pub(crate) const MAX_ADDRESSES: usize = 8;

/// How many names of one peer are looked up or wait for it; what comes above is not found.
const MAX_NAMES: usize = 64;

/// How many names of one peer the system looks up at a time.
const MAX_RUNNING: usize = 8;

/// How long the system is given for one name.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many threads of the runtime all peers of the process together may keep waiting for the system's
/// resolver. A lookup that was given up holds its place until the system lets go of it.
static THREADS: Semaphore = Semaphore::const_new(32);

/// A name's addresses; none if it was not found.
pub(crate) type Answer<Id> = (Id, Vec<IpAddr>);

/// Looks names up: `.local` by multicast DNS, others by the system's resolver. Dropping it gives all up.
pub(crate) struct Resolver<Id> {
    interfaces: Vec<Interface>,
    running: JoinSet<Answer<Id>>,
    waiting: VecDeque<(Id, String)>,
    settled: VecDeque<Answer<Id>>,
    local: Option<Local<Id>>,
}

/// The multicast querier and what it is busy with.
struct Local<Id> {
    names: mpsc::UnboundedSender<(Id, String)>,
    answers: mpsc::UnboundedReceiver<Answer<Id>>,
    outstanding: usize,
    querier: JoinHandle<()>,
}

impl<Id: Send + 'static> Resolver<Id> {
    /// `interfaces` are those on which multicast queries are sent.
    pub(crate) fn new(interfaces: Vec<Interface>) -> Self {
        Self { interfaces, running: JoinSet::new(), waiting: VecDeque::new(), settled: VecDeque::new(), local: None }
    }

    /// The machine's addresses have changed. A querier that is busy goes on as it was.
    pub(crate) fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.interfaces = interfaces;
    }

    /// Looks `name` up; the answer comes out of [`Self::poll_answer`].
    pub(crate) fn look_up(&mut self, id: Id, name: String) {
        let outstanding = self.local.as_ref().map_or(0, |local| local.outstanding);
        if let Ok(address) = name.parse::<IpAddr>() {
            self.settled.push_back((id, vec![address]));
        } else if self.running.len() + self.waiting.len() + outstanding >= MAX_NAMES {
            self.settled.push_back((id, Vec::new()));
        } else if mdns::is_local(&name) {
            self.local.get_or_insert_with(|| Local::start(self.interfaces.clone())).look_up(id, name);
        } else {
            self.waiting.push_back((id, name));
        }
    }

    /// The next answer. Pending as well when nothing was asked.
    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Answer<Id>> {
        if let Some(settled) = self.settled.pop_front() {
            return Poll::Ready(settled);
        }
        if let Some(local) = &mut self.local
            && let Poll::Ready(Some(answer)) = local.answers.poll_recv(cx)
        {
            local.outstanding -= 1;
            if local.outstanding == 0 {
                // Its sockets are not needed until the next name.
                self.local = None;
            }
            return Poll::Ready(answer);
        }
        loop {
            while self.running.len() < MAX_RUNNING
                && let Some((id, name)) = self.waiting.pop_front()
            {
                self.running.spawn(look_up(id, name));
            }
            match self.running.poll_join_next(cx) {
                Poll::Ready(Some(Ok(answer))) => return Poll::Ready(answer),
                // A lookup that panicked; its name stays unanswered, which is a lookup that never ends.
                Poll::Ready(Some(Err(_))) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<Id: Send + 'static> Local<Id> {
    fn start(interfaces: Vec<Interface>) -> Self {
        let (names, names_rx) = mpsc::unbounded_channel();
        let (answers_tx, answers) = mpsc::unbounded_channel();
        let querier = tokio::spawn(mdns::query::run(interfaces, names_rx, answers_tx));
        Self { names, answers, outstanding: 0, querier }
    }

    fn look_up(&mut self, id: Id, name: String) {
        self.outstanding += 1;
        // The querier ends no sooner than this sender does.
        let _ = self.names.send((id, name));
    }
}

impl<Id> Drop for Local<Id> {
    fn drop(&mut self) {
        self.querier.abort();
    }
}

async fn look_up<Id>(id: Id, name: String) -> Answer<Id> {
    let lookup = async {
        let place = THREADS.acquire().await.ok()?;
        // The system's resolver cannot be interrupted: its own task goes on and keeps the place.
        let lookup = tokio::spawn(async move {
            let found = tokio::net::lookup_host((name, 0)).await;
            drop(place);
            found
        });
        lookup.await.ok()?.ok()
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    if let Ok(Some(found)) = tokio::time::timeout(PATIENCE, lookup).await {
        for address in found {
            if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address.ip()) {
                addresses.push(address.ip());
            }
        }
    }
    (id, addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::future::poll_fn;

    async fn answers(resolver: &mut Resolver<usize>, count: usize) -> BTreeMap<usize, Vec<IpAddr>> {
        let mut all = BTreeMap::new();
        for _ in 0..count {
            let next = poll_fn(|cx| resolver.poll_answer(cx));
            let (id, found) = tokio::time::timeout(Duration::from_secs(30), next).await.unwrap();
            assert!(all.insert(id, found).is_none(), "each name is answered once");
        }
        all
    }

    #[tokio::test]
    async fn literals_and_the_systems_names_are_found() {
        let mut resolver = Resolver::new(Vec::new());
        resolver.look_up(1, "192.0.2.1".to_owned());
        resolver.look_up(2, "localhost".to_owned());
        let found = answers(&mut resolver, 2).await;
        assert_eq!(found[&1], ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert!(!found[&2].is_empty() && found[&2].iter().all(IpAddr::is_loopback), "{found:?}");
    }

    #[tokio::test]
    async fn every_name_of_a_flood_is_answered_and_few_are_looked_up() {
        let mut resolver = Resolver::new(Vec::new());
        for id in 0..10_000 {
            resolver.look_up(id, "localhost".to_owned());
        }
        assert!(resolver.waiting.len() <= MAX_NAMES);
        let found = answers(&mut resolver, 10_000).await;
        assert_eq!(found.values().filter(|addresses| !addresses.is_empty()).count(), MAX_NAMES);
    }

    #[tokio::test]
    async fn a_local_name_that_nobody_has_is_not_found() {
        // Without an interface nothing is sent; the querier still gives its answer in time.
        let mut resolver = Resolver::new(Vec::new());
        resolver.look_up(1, "nobody.local".to_owned());
        resolver.look_up(2, format!("{}.local", "x".repeat(64)));
        let found = answers(&mut resolver, 2).await;
        assert!(found.values().all(Vec::is_empty));
        assert!(resolver.local.is_none(), "the querier's sockets are closed when nothing is asked");
    }
}
