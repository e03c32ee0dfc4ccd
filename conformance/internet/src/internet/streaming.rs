//! TCP on the machines.

use frazil::{Path, Protocol};

use super::{Happening, HostId, Internet};
use crate::drops::Dropped;
use crate::endpoint::{Endpoint, StreamInput, StreamRequest};
use crate::host::Node;
use crate::packet::{Body, Packet, Segment};
use crate::streams::StreamKey;
use crate::tcp::{Connection, Told};

impl<E: Endpoint, A> Internet<E, A> {
    pub(super) fn deliver_segment(&mut self, key: StreamKey, segment: &Segment) {
        if let Some(stream) = self.streams.get(key) {
            stream.connection.handle_segment(segment, self.now);
            return self.settle(key);
        }
        if segment.flags.syn && !segment.flags.ack && self.accepts(key) {
            let first = self.streams.draw_sequence();
            self.streams.insert(key, Connection::accept(first, segment, self.now));
            return self.settle(key);
        }
        self.fabric.drops.count(Dropped::NoSocket);
        if !segment.flags.rst {
            self.emit_segment(key, segment.reset());
        }
    }

    fn accepts(&self, key: StreamKey) -> bool {
        match key.node {
            Node::Host(_) => self.streams.listens(key.node, key.local),
            Node::Server(server) => self.servers[server.0].listens(key.local),
        }
    }

    pub(super) fn request_stream(&mut self, host: HostId, request: StreamRequest) {
        let node = Node::Host(host);
        let (local, remote) = match request {
            StreamRequest::Close(Path { local, remote, .. }) => return self.close(StreamKey { node, local, remote }),
            StreamRequest::Connect { local, remote } => (local, remote),
        };
        let local = match local.port() {
            0 => self.streams.ephemeral(node, local).expect("there are not that many connections"),
            _ => local,
        };
        let key = StreamKey { node, local, remote };
        match self.streams.get(key) {
            // The other side was faster.
            Some(stream) => stream.connection.connect_too(),
            None => {
                let first = self.streams.draw_sequence();
                self.streams.insert(key, Connection::connect(first, self.now));
                self.settle(key);
            }
        }
    }

    pub(super) fn write(&mut self, key: StreamKey, data: &[u8]) {
        match self.streams.get(key).filter(|stream| stream.connection.is_open()) {
            Some(stream) => stream.connection.write(data, self.now),
            None => return self.fabric.drops.count(Dropped::NoSocket),
        }
        self.settle(key);
    }

    pub(super) fn close(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key) {
            stream.connection.close(self.now);
            self.settle(key);
        }
    }

    pub(super) fn fire_stream(&mut self, key: StreamKey) {
        let runs = self.runs(key.node);
        let Some(stream) = self.streams.get(key) else { return };
        stream.timer = None;
        if !runs {
            return self.streams.miss(key);
        }
        stream.connection.handle_timeout(self.now);
        self.settle(key);
    }

    pub(super) fn resume_streams(&mut self, node: Node) {
        for key in self.streams.take_missed(node) {
            self.fire_stream(key);
        }
    }

    /// Does what a connection wants after every call: sends, sets its timer, tells the machine, and goes.
    fn settle(&mut self, key: StreamKey) {
        while let Some(segment) = self.streams.get(key).and_then(|stream| stream.connection.poll_segment()) {
            self.emit_segment(key, segment);
        }
        let Some(stream) = self.streams.get(key) else { return };
        if let Some(timer) = stream.timer.take() {
            self.queue.cancel(timer);
        }
        stream.timer = stream.connection.deadline().map(|at| self.queue.push(at, Happening::StreamTimer(key)));
        while let Some(told) = self.streams.get(key).and_then(|stream| stream.connection.poll_told()) {
            self.tell(key, told);
        }
        if self.streams.get(key).is_some_and(|stream| stream.connection.is_over()) {
            self.streams.remove(key);
        }
    }

    fn tell(&mut self, key: StreamKey, told: Told) {
        match key.node {
            Node::Host(host) => {
                let input = match &told {
                    Told::Opened => StreamInput::Opened,
                    Told::Refused => StreamInput::Refused,
                    Told::Data(data) => StreamInput::Data(data),
                    Told::Closed => StreamInput::Closed,
                };
                let path = Path { protocol: Protocol::Tcp, local: key.local, remote: key.remote };
                let h = &mut self.hosts[host.0];
                h.counters.received += u64::from(matches!(told, Told::Data(_)));
                h.endpoint.handle_stream(path, input, h.clock.read(self.now));
                self.attend(host);
            }
            Node::Server(server) => {
                let engine = &mut self.servers[server.0];
                match told {
                    Told::Data(data) => engine.handle_stream(key.remote, key.local, &data, self.now),
                    Told::Closed => engine.handle_closed(key.remote, key.local, self.now),
                    Told::Opened | Told::Refused => return,
                }
                self.attend_server(server);
            }
        }
    }

    fn emit_segment(&mut self, key: StreamKey, segment: Segment) {
        self.emit(key.node, Packet { from: key.local, to: key.remote, body: Body::Segment(segment) });
    }
}
