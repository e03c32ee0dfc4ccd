//! The responder: answers for our names while there are any (RFC 6762 section 6).

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::MAX_MESSAGE;
use super::link::{Link, LinkId, Place};
use super::query::sleep_until;
use super::zone::Zone;
use frazil_interfaces::Interface;

/// Answers for names. Its task runs while there are any; dropping this takes them all back.
#[derive(Debug)]
pub(crate) struct Responder {
    interfaces: Vec<Interface>,
    orders: Option<mpsc::UnboundedSender<Order>>,
}

#[derive(Debug)]
enum Order {
    Publish(String, IpAddr),
    Withdraw(String),
    Interfaces(Vec<Interface>),
}

impl Responder {
    /// `interfaces` are those on which names are answered for, each on the one that has its address.
    pub(crate) fn new(interfaces: Vec<Interface>) -> Self {
        Self { interfaces, orders: None }
    }

    /// Answers for `name` from now on, and announces it.
    pub(crate) fn publish(&mut self, name: String, address: IpAddr) {
        let orders = self.orders.get_or_insert_with(|| {
            let (orders, queue) = mpsc::unbounded_channel();
            tokio::spawn(run(self.interfaces.clone(), queue));
            orders
        });
        // The task ends no sooner than this sender does.
        let _ = orders.send(Order::Publish(name, address));
    }

    /// Says goodbye to `name`.
    pub(crate) fn withdraw(&mut self, name: String) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(Order::Withdraw(name));
        }
    }

    /// The machine's addresses have changed.
    pub(crate) fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(Order::Interfaces(interfaces.clone()));
        }
        self.interfaces = interfaces;
    }
}

async fn run(mut interfaces: Vec<Interface>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut zone = Zone::default();
    let mut links: Vec<Link> = Vec::new();
    let mut message = vec![0; MAX_MESSAGE].into_boxed_slice();
    loop {
        tokio::select! {
            order = orders.recv() => {
                match order {
                    None => break,
                    Some(Order::Publish(name, address)) => {
                        zone.publish(&name, address);
                        update(&mut links, &interfaces);
                    }
                    Some(Order::Withdraw(name)) => {
                        if let Some((to, goodbye)) = zone.withdraw(&name) {
                            tell(&links, &to, &goodbye);
                        }
                        if zone.is_empty() {
                            links.clear();
                        }
                    }
                    Some(Order::Interfaces(now_there)) => {
                        interfaces = now_there;
                        if !zone.is_empty() {
                            update(&mut links, &interfaces);
                        }
                    }
                }
                zone.review(links.iter().map(|link| &link.place), Instant::now());
            }
            () = sleep_until(zone.next_due()) => {}
            (index, len, from) = recv(&links, &mut message) => {
                let link = &links[index];
                for reply in zone.answer(&message[..len], from, &link.place, Instant::now()) {
                    link.send_to(&reply.message, reply.to);
                }
            }
        }
        while let Some((to, news)) = zone.poll_due(Instant::now()) {
            tell(&links, &[to], &news);
        }
    }
    for (to, goodbye) in zone.withdraw_all() {
        tell(&links, &to, &goodbye);
    }
}

/// Opens what is new, closes what is gone, and leaves alone what is as it was.
fn update(links: &mut Vec<Link>, interfaces: &[Interface]) {
    let mut places = Place::all_of(interfaces);
    links.retain(|link| places.contains(&link.place));
    places.retain(|place| !links.iter().any(|link| link.place == *place));
    links.extend(places.into_iter().filter_map(|place| Link::open(place).ok()));
}

fn tell(links: &[Link], to: &[LinkId], message: &[u8]) {
    for link in links.iter().filter(|link| to.contains(&link.place.id)) {
        link.send_to_group(message);
    }
}

/// The next message: the place of its link, its length and its sender.
async fn recv(links: &[Link], message: &mut [u8]) -> (usize, usize, SocketAddr) {
    poll_fn(|cx| {
        for (index, link) in links.iter().enumerate() {
            if let Poll::Ready((len, from)) = link.poll_recv(cx, message) {
                return Poll::Ready((index, len, from));
            }
        }
        Poll::Pending
    })
    .await
}
