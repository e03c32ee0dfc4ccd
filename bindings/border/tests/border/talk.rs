//! Two peers that are joined by a loop.

use frazil_border::{ChannelConfig, Config, Description, Event, Peer, Waiting, batch};

use crate::{peer, socket};

/// Two peers, and the time.
pub(crate) struct Talk {
    pub(crate) peers: [Peer; 2],
    pub(crate) now: u64,
    pub(crate) events: [Vec<Event>; 2],
    /// Whether datagrams cross in batches.
    batched: bool,
}

const PORT: u16 = 4000;
const IPS: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

impl Talk {
    /// Two peers with a channel that is open.
    pub(crate) fn connected(batched: bool) -> Self {
        Self::of([peer(1), peer(2)], batched, |sdp| sdp)
    }

    /// These two; the first one hears what `told` makes of the second one's answer.
    fn of(peers: [Peer; 2], batched: bool, told: impl FnOnce(String) -> String) -> Self {
        let mut talk = Self { peers, now: 1_000, events: Default::default(), batched };
        let [a, b] = &talk.peers;
        assert_eq!(a.create_data_channel(ChannelConfig { label: "chat".into(), ..Default::default() }, 1), Ok(0));
        for (peer, ip) in talk.peers.iter().zip(IPS) {
            peer.handle_network_change(&[socket(ip, PORT)], 1).unwrap();
            peer.end_of_candidates(1).unwrap();
        }
        let offer = a.create_offer().unwrap();
        a.set_local_description(offer.clone(), 1).unwrap();
        b.set_remote_description(offer, 1).unwrap();
        let answer = b.create_answer().unwrap();
        b.set_local_description(answer.clone(), 1).unwrap();
        a.set_remote_description(Description { sdp: told(answer.sdp), ..answer }, 1).unwrap();
        talk.until("the channel is open", |talk| {
            talk.has(0, |event| *event == Event::ChannelOpen { channel: 0 })
                && talk.has(1, |event| matches!(event, Event::DataChannel { label, .. } if label == "chat"))
        });
        talk
    }

    pub(crate) fn has(&self, side: usize, is_it: impl Fn(&Event) -> bool) -> bool {
        self.events[side].iter().any(is_it)
    }

    /// Carries datagrams and lets time pass until `done`.
    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..20_000 {
            if done(self) {
                return;
            }
            if !self.carry() {
                let deadlines = self.peers.iter().filter_map(|peer| peer.poll_timeout().unwrap());
                self.now = deadlines.min().expect("somebody waits for something").max(self.now);
                for peer in &self.peers {
                    peer.handle_timeout(self.now).unwrap();
                }
            }
        }
        panic!("not within 20,000 rounds: {what}");
    }

    /// Carries what there is from each side to the other. False if there was nothing.
    fn carry(&mut self) -> bool {
        let mut buffer = vec![0; Peer::BATCH_BUFFER];
        let mut any = false;
        for from in [0, 1] {
            let (sender, receiver) = (&self.peers[from], &self.peers[1 - from]);
            let back = receiver.path_id(&frazil_border::Path {
                protocol: "udp".to_owned(),
                local_ip: IPS[1 - from].to_owned(),
                local_port: PORT,
                remote_ip: IPS[from].to_owned(),
                remote_port: PORT,
            });
            let back = back.unwrap();
            loop {
                if self.batched {
                    let used = sender.poll_transmits(&mut buffer).unwrap();
                    if used == 0 {
                        break;
                    }
                    let mut at = 0;
                    let mut count = 0;
                    while at < used {
                        buffer[at..at + 4].copy_from_slice(&back.to_le_bytes());
                        at += batch::HEADER + u32::from_le_bytes(buffer[at + 4..at + 8].try_into().unwrap()) as usize;
                        count += 1;
                    }
                    assert_eq!(receiver.handle_datagrams(&buffer[..used], self.now), Ok(count));
                } else {
                    let Some((_, len)) = sender.poll_transmit(&mut buffer).unwrap() else { break };
                    assert_eq!(receiver.handle_datagram(back, &buffer[..len], self.now), Ok(true));
                }
                any = true;
            }
        }
        for (peer, events) in self.peers.iter().zip(&mut self.events) {
            while let Some(event) = peer.poll_event().unwrap() {
                events.push(event);
                any = true;
            }
        }
        any
    }
}

#[test]
fn messages_cross_both_ways_singly_and_in_batches() {
    for batched in [false, true] {
        let mut talk = Talk::connected(batched);
        for (side, text) in [(0, "from a"), (1, "from b")] {
            assert_eq!(talk.peers[side].send(0, text.as_bytes(), true, talk.now), Ok(true));
            let wanted = Event::Message { channel: 0, text: true, data: text.as_bytes().to_vec() };
            talk.until("the message is there", |talk| talk.has(1 - side, |event| *event == wanted));
        }
        let pair = talk.peers[0].selected_pair().unwrap().unwrap();
        assert_eq!((pair.local_type.as_str(), pair.remote_ip.as_str()), ("host", IPS[1]));

        talk.peers[0].leave(talk.now).unwrap();
        let closed = |event: &Event| matches!(event, Event::ConnectionStateChange { state, .. } if state == "closed");
        talk.until("both are closed", |talk| talk.has(0, closed) && talk.has(1, closed));
        assert_eq!(talk.peers[1].connection_state(), Ok("closed"));
    }
}

#[test]
fn a_full_buffer_says_so_and_says_when_there_is_room() {
    let mut talk = Talk::connected(true);
    let message = vec![7; 200_000];
    let mut sent = 0;
    while talk.peers[0].send(0, &message, false, talk.now).unwrap() {
        sent += 1;
    }
    assert!((3..=6).contains(&sent), "{sent} messages fit 1 MiB");
    assert!(talk.peers[0].buffered_amount(0).unwrap() > 500_000);
    talk.until("there is room", |talk| talk.has(0, |event| *event == Event::BufferedAmountLow { channel: 0 }));
    assert_eq!(talk.peers[0].send(0, &message, false, talk.now), Ok(true));
}

#[test]
fn messages_come_out_in_one_buffer_up_to_the_next_other_event() {
    let mut talk = Talk::connected(true);
    let [a, b] = &talk.peers;
    for n in 0..20_u8 {
        let text = n % 2 == 1;
        assert_eq!(a.send(0, &vec![b'a' + n; usize::from(n)], text, talk.now), Ok(true));
    }
    a.close_channel(0, talk.now).unwrap();
    // Carried by hand, so that the messages stay in the peer.
    let mut buffer = vec![0; 4096];
    let mut out = Vec::new();
    let mut rounds = 0;
    while b.waiting() != Ok(Waiting::Event) || out.len() < 20 {
        rounds += 1;
        assert!(rounds < 10_000, "{} messages came", out.len());
        for from in [0, 1] {
            let (sender, receiver) = (&talk.peers[from], &talk.peers[1 - from]);
            let back = receiver.selected_pair().unwrap().unwrap().path;
            let mut datagram = [0; Peer::MIN_BUFFER];
            while let Some((_, len)) = sender.poll_transmit(&mut datagram).unwrap() {
                receiver.handle_datagram(back, &datagram[..len], talk.now).unwrap();
            }
        }
        if b.waiting() == Ok(Waiting::Message) {
            let used = b.poll_messages(&mut buffer).unwrap();
            let entries = batch::entries(&buffer[..used]).map(Result::unwrap);
            out.extend(entries.map(|entry| (entry.number, entry.text, entry.bytes.to_vec())));
        } else if b.waiting() == Ok(Waiting::Nothing) {
            let deadlines = talk.peers.iter().filter_map(|peer| peer.poll_timeout().unwrap());
            talk.now = deadlines.min().unwrap().max(talk.now);
            talk.peers.iter().for_each(|peer| peer.handle_timeout(talk.now).unwrap());
        }
    }
    for (n, (channel, text, bytes)) in out.into_iter().enumerate() {
        assert_eq!((channel, text, bytes), (0, n % 2 == 1, vec![b'a' + n as u8; n]));
    }
    assert_eq!(b.poll_messages(&mut buffer), Ok(0));
    assert_eq!(b.poll_event(), Ok(Some(Event::ChannelClosed { channel: 0 })));
}

#[test]
fn a_message_that_finds_no_room_is_kept() {
    let mut talk = Talk::connected(false);
    assert_eq!(talk.peers[0].send(0, &[7; 100], false, talk.now), Ok(true));
    let [a, b] = &talk.peers;
    for _ in 0..100 {
        if b.waiting() == Ok(Waiting::Message) {
            break;
        }
        let mut datagram = [0; Peer::MIN_BUFFER];
        let back = b.selected_pair().unwrap().unwrap().path;
        while let Some((_, len)) = a.poll_transmit(&mut datagram).unwrap() {
            b.handle_datagram(back, &datagram[..len], talk.now).unwrap();
        }
        talk.now += 1_000_000;
        a.handle_timeout(talk.now).unwrap();
    }
    assert!(b.poll_messages(&mut [0; 107]).unwrap_err().message.contains("108"));
    assert!(b.poll_message(&mut [0; 99]).is_err());
    let mut buffer = [0; 108];
    let message = b.poll_message(&mut buffer).unwrap().unwrap();
    assert_eq!((message.channel, message.len, message.text), (0, 100, false));
    assert_eq!(buffer[..100], [7; 100]);
}

#[test]
fn a_message_longer_than_the_configuration_allows_never_comes() {
    for (max, len) in [(100, 101), (100, 1_500), (2_000, 2_001), (2_000, 100_000)] {
        let config = Config { max_message_size: Some(max), ..Config::default() };
        let b = Peer::new(config, Vec::new(), None, &[2; 32], 0).unwrap();
        // The other side does not keep to what it was told.
        let told = |sdp: String| sdp.replace(&format!("size:{max}\r"), "size:200000\r");
        let mut talk = Talk::of([peer(1), b], true, told);
        assert_eq!(talk.peers[0].send(0, &vec![7; max as usize], false, talk.now), Ok(true));
        assert_eq!(talk.peers[0].send(0, &vec![7; len], false, talk.now), Ok(true));
        talk.until("the channel is closed", |talk| talk.has(1, |event| *event == Event::ChannelClosed { channel: 0 }));
        let lens = talk.events[1].iter().filter_map(|event| match event {
            Event::Message { data, .. } => Some(data.len()),
            _ => None,
        });
        assert_eq!(lens.collect::<Vec<_>>(), [max as usize], "{len} bytes");
    }
}
