//! Pairs of peers over the loopback interface.

#![allow(dead_code, reason = "each test program uses a part")]

use frazil::peer::{ChannelConfig, Reliability};
use frazil_tokio::{Builder, Channel, Event, Events, InterfacePolicy, Peer};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// A peer that is gathered on 127.0.0.1 alone.
pub(crate) fn builder() -> Builder {
    let filter = |interface: &frazil_tokio::Interface| interface.address == std::net::Ipv4Addr::LOCALHOST;
    Peer::builder().interfaces(InterfacePolicy { loopback: true, link_local: false, filter: Some(Arc::new(filter)) })
}

pub(crate) fn ordered(label: &str) -> ChannelConfig {
    ChannelConfig {
        label: label.to_owned(),
        protocol: String::new(),
        ordered: true,
        reliability: Reliability::Reliable,
        negotiated: None,
    }
}

/// Two peers, a channel between them, and each one's events.
pub(crate) struct Pair {
    pub(crate) offerer: Peer,
    pub(crate) answerer: Peer,
    pub(crate) offered: Channel,
    pub(crate) answered: Channel,
    pub(crate) offerer_events: Events,
    pub(crate) answerer_events: Events,
}

/// Connects two peers and waits until the channel that one of them makes is open on both sides.
pub(crate) async fn connect(offerer: Builder, answerer: Builder) -> Pair {
    let (offerer, offerer_events) = offerer.start().unwrap();
    let (answerer, mut answerer_events) = answerer.start().unwrap();
    let offered = offerer.create_data_channel(ordered("first")).await.unwrap();
    let offer = offerer.offer().await.unwrap();
    let answer = answerer.answer(&offer).await.unwrap();
    offerer.set_remote_description(&answer).await.unwrap();
    soon(offerer.wait_connected()).await.unwrap();
    soon(answerer.wait_connected()).await.unwrap();
    soon(offered.opened()).await.unwrap();
    let answered = incoming(&mut answerer_events).await;
    Pair { offerer, answerer, offered, answered, offerer_events, answerer_events }
}

/// The next channel that the other side opened.
pub(crate) async fn incoming(events: &mut Events) -> Channel {
    soon(async {
        loop {
            match events.next().await {
                Some(Event::Channel(channel)) => return channel,
                Some(_) => {}
                None => panic!("closed before a channel came"),
            }
        }
    })
    .await
}

/// What happens within a bound that is far beyond what it takes.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), event).await.expect("happens within a minute")
}
