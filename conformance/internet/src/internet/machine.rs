//! What a driver and an operating system do for an endpoint, and what runs a server.

use frazil::{Path, Protocol};

use super::{Happening, HostId, Internet, Sent, ServerId};
use crate::drops::Dropped;
use crate::endpoint::Endpoint;
use crate::fabric::Place;
use crate::host::Node;
use crate::packet::{Body, Packet};
use crate::server::Act;
use crate::streams::StreamKey;

impl<E: Endpoint, A> Internet<E, A> {
    /// A packet is at a machine.
    pub(super) fn deliver(&mut self, place: Place, packet: Packet) {
        let node = match place {
            Place::Node(node) => node,
            // A wire leads to whoever has its end; without a socket or a listener nobody has.
            _ => match self.at_the_end_of_a_wire(&packet) {
                Some(host) => Node::Host(host),
                None => return self.fabric.drops.count(Dropped::NoSocket),
            },
        };
        if !self.runs(node) {
            return self.fabric.drops.count(Dropped::Down);
        }
        match (packet.body, node) {
            (Body::Segment(segment), _) => {
                self.deliver_segment(StreamKey { node, local: packet.to, remote: packet.from }, &segment);
            }
            (Body::Datagram(datagram), Node::Host(host)) => {
                if !self.sockets.contains(&(packet.to, host)) {
                    return self.fabric.drops.count(Dropped::NoSocket);
                }
                let h = &mut self.hosts[host.0];
                h.counters.received += 1;
                let path = Path { protocol: Protocol::Udp, local: packet.to, remote: packet.from };
                h.endpoint.handle_datagram(path, &datagram, h.clock.read(self.now));
                self.attend(host);
            }
            (Body::Datagram(datagram), Node::Server(server)) => {
                if !self.servers[server.0].has_socket(packet.to) {
                    return self.fabric.drops.count(Dropped::NoSocket);
                }
                self.servers[server.0].handle_datagram(packet.from, packet.to, datagram, self.now);
                self.attend_server(server);
            }
        }
    }

    fn at_the_end_of_a_wire(&self, packet: &Packet) -> Option<HostId> {
        match packet.body {
            Body::Datagram(_) => {
                let (socket, host) = self.sockets.range((packet.to, HostId(0))..).next()?;
                (*socket == packet.to).then_some(*host)
            }
            Body::Segment(_) => self.streams.host_at(packet.to),
        }
    }

    /// Whether a machine is there to hear anything.
    pub(super) fn runs(&self, node: Node) -> bool {
        match node {
            Node::Host(host) => !self.hosts[host.0].suspended,
            Node::Server(server) => self.servers[server.0].up,
        }
    }

    pub(super) fn fire(&mut self, host: HostId) {
        let h = &mut self.hosts[host.0];
        h.timer = None;
        if h.suspended {
            h.missed_timer = true;
            return;
        }
        h.count_wake(self.now);
        let now = h.clock.read(self.now);
        h.endpoint.handle_timeout(now);
        let worked = self.attend(host);
        let h = &mut self.hosts[host.0];
        if !worked && h.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now) {
            h.counters.spins += 1;
        }
    }

    pub(super) fn resume(&mut self, host: HostId) {
        let h = &mut self.hosts[host.0];
        h.suspended = false;
        if std::mem::take(&mut h.missed_timer) {
            self.queue.push(self.now, Happening::Timer(host));
        }
        self.resume_streams(Node::Host(host));
    }

    /// What a driver does after every call: all transmits, then all requests about streams, then all events, until
    /// there is none of them, then the timer. Tells whether there was anything.
    pub(super) fn attend(&mut self, host: HostId) -> bool {
        let mut worked = false;
        while self.drain(host) {
            worked = true;
        }
        let h = &mut self.hosts[host.0];
        if let Some(timer) = h.timer.take() {
            self.queue.cancel(timer);
        }
        if !h.missed_timer
            && let Some(deadline) = h.endpoint.poll_timeout()
        {
            // A driver sleeps for a while, not until its clock shows something: a clock that jumps
            // meanwhile does not move the end of the sleep.
            let sleep = deadline.saturating_duration_since(h.clock.read(self.now));
            let late = h.timer_slack.mul_f64(self.slack.f64());
            h.timer = Some(self.queue.push(self.now + sleep + late, Happening::Timer(host)));
        }
        worked
    }

    fn drain(&mut self, host: HostId) -> bool {
        let mut any = false;
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some((path, len)) = self.hosts[host.0].endpoint.poll_transmit(&mut buffer) {
            self.send(host, path, &buffer[..len]);
            any = true;
        }
        self.buffer = buffer;
        while let Some(request) = self.hosts[host.0].endpoint.poll_stream() {
            self.request_stream(host, request);
            any = true;
        }
        while let Some(event) = self.hosts[host.0].endpoint.poll_event() {
            self.said.push_back((host, event));
            any = true;
        }
        any
    }

    fn send(&mut self, host: HostId, path: Path, datagram: &[u8]) {
        self.hosts[host.0].counters.sent += 1;
        if let Some(record) = &mut self.record {
            record.push(Sent { at: self.now, host, path, datagram: datagram.to_vec() });
        }
        if path.protocol == Protocol::Tcp {
            return self.write(StreamKey { node: Node::Host(host), local: path.local, remote: path.remote }, datagram);
        }
        let has_socket = self.sockets.contains(&(path.local, host));
        assert!(has_socket, "{host:?} sends from {}, where it has no socket", path.local);
        let body = Body::Datagram(datagram.to_vec());
        self.emit(Node::Host(host), Packet { from: path.local, to: path.remote, body });
    }

    pub(super) fn fire_server(&mut self, server: ServerId) {
        self.servers[server.0].timer = None;
        if self.servers[server.0].up {
            self.attend_server(server);
        }
    }

    pub(super) fn attend_server(&mut self, server: ServerId) {
        let next = self.servers[server.0].poll(self.now);
        while let Some(act) = self.servers[server.0].poll_act() {
            let node = Node::Server(server);
            match act {
                Act::Send { from, to, datagram } => {
                    self.emit(node, Packet { from, to, body: Body::Datagram(datagram) });
                }
                Act::Write { local, remote, data } => self.write(StreamKey { node, local, remote }, &data),
                Act::Close { local, remote } => self.close(StreamKey { node, local, remote }),
            }
        }
        let timer = self.queue.push(next, Happening::ServerTimer(server));
        if let Some(before) = self.servers[server.0].timer.replace(timer) {
            self.queue.cancel(before);
        }
    }

    pub(super) fn stop_server(&mut self, server: ServerId) {
        self.servers[server.0].up = false;
    }

    pub(super) fn start_server(&mut self, server: ServerId) {
        self.servers[server.0].up = true;
        self.attend_server(server);
        self.resume_streams(Node::Server(server));
    }

    pub(super) fn restart_server(&mut self, server: ServerId) {
        for timer in self.streams.forget(Node::Server(server)) {
            self.queue.cancel(timer);
        }
        self.servers[server.0].restart();
        if let Some(timer) = self.servers[server.0].timer.take() {
            self.queue.cancel(timer);
        }
    }
}
