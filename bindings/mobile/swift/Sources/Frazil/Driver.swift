import Dispatch
import Foundation

/// Moves datagrams, names and time between the system and a peer. No decision about the protocol is made here.
///
/// All of it happens on one serial queue: what the application asks for, what its sockets receive, and its timer. After
/// each of these ``settle()`` sends what is to be sent, hands on what has happened, and sets the timer. A driver for
/// another kind of program does the same with other means.
final class Driver: @unchecked Sendable {
    private let peer: Peer
    private let queue = DispatchQueue(label: "frazil")
    /// Nil once all is told: what nobody has taken there holds channels, and they hold the driver.
    private var events: Inbox<Connection.Event>?
    /// How many channels are among them. The other side chooses how many it opens, so the peer is told.
    private var untaken = 0
    private let timer: any DispatchSourceTimer
    /// What the timer is set to.
    private var deadline: UInt64?
    private var phase = Phase.running
    /// Why calls are refused: the connection is closed, or the core has broken down.
    private var over: FrazilError?
    /// The addresses that sockets were bound on.
    private var hosts: [HostSocket] = []
    private var sockets: [Endpoint: Socket] = [:]
    /// Sockets that the system does not have back yet.
    private let bound = DispatchGroup()
    /// Where the paths lead that the peer has named.
    private var routes: [UInt32: Route] = [:]
    private var lines: [UInt32: Line] = [:]
    /// How many bytes the application has read when the peer hears of it.
    private let enough: Int

    /// Datagrams that have come, as a batch.
    private let inbound = Buffer(count: 2 * maxEntry)
    /// Datagrams to send, as a batch.
    private let outbound = Buffer(count: Peer.batchBuffer)
    /// Messages that have come, as a batch; longer ones come one by one.
    private let messages = Buffer(count: maxEntry)

    private enum Phase {
        case running
        /// The other side and the servers are being told.
        case leaving
        case ended
    }

    private struct Route {
        let socket: Socket
        let remote: Endpoint
    }

    /// The room that the largest datagram takes in a batch.
    private static let maxEntry = Batch.header + 65_535
    /// How many batches of a socket are taken before others have their turn.
    private static let turn = 4
    private static let maxRoutes = 512

    /// Binds sockets on those addresses that are `worth` it.
    init(
        config: Config,
        servers: [IceServer],
        certificate: Certificate?,
        worth: [HostSocket],
        events: Inbox<Connection.Event>
    ) throws(FrazilError) {
        let config = try udpDriverConfig(config)
        enough = Int(config.receiveBuffer ?? 0) / 2
        var random = SystemRandomNumberGenerator()
        let seed = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        peer = try Peer(config: config, servers: servers, certificate: certificate, seed: seed, now: clock())
        timer = DispatchSource.makeTimerSource(queue: queue)
        self.events = events
        // From here on the timer and the sockets hold the driver, until it ends.
        timer.setEventHandler { self.handleTimeout() }
        timer.activate()
        let refusal = queue.sync { gather(worth) }
        if let refusal { throw refusal }
    }

    // MARK: What the application asks for

    /// Has the peer do something.
    func perform<Success: Sendable>(
        _ call: @escaping @Sendable (Peer, _ now: UInt64) throws(FrazilError) -> Success
    ) async throws(FrazilError) -> Success {
        let result: Result<Success, FrazilError> = await withCheckedContinuation { continuation in
            queue.async {
                let result = self.whileOpen { () throws(FrazilError) in try call(self.peer, clock()) }
                self.settle()
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    func connectionState() async -> ConnectionState {
        let word = try? await perform { peer, _ throws(FrazilError) in try peer.connectionState() }
        return word.flatMap(ConnectionState.init) ?? .closed
    }

    func createDataChannel(_ config: ChannelConfig) async throws(FrazilError) -> Channel {
        try await perform { peer, now throws(FrazilError) in
            let line = Line(number: try peer.createDataChannel(config, now: now), isOpen: false)
            self.lines[line.number] = line
            let (label, `protocol`) = (config.label, config.protocol ?? "")
            let isOrdered = config.ordered ?? true
            return Channel(label: label, protocol: `protocol`, isOrdered: isOrdered, driver: self, line: line)
        }
    }

    func bufferedAmount(of line: Line) async throws(FrazilError) -> Int {
        do {
            return try await perform { peer, _ throws(FrazilError) in
                line.inbox.isEnded ? 0 : Int(try peer.bufferedAmount(channel: line.number))
            }
        } catch {
            guard error.reason == .closed else { throw error }
            return 0
        }
    }

    /// Waits for the next thing that happened.
    func next(of events: Inbox<Connection.Event>) async -> Connection.Event? {
        let taken = try? await wait(orCancel: events.cancel) { (waiter: Waiter<Connection.Event?>) in
            guard case .channel? = events.take(waiter) else { return }
            self.countUntaken(-1)
            self.settle()
        }
        return taken ?? nil
    }

    func opened(_ line: Line) async throws {
        try await wait(orCancel: line.cancel) { (waiter: Waiter<Void>) in
            if let failure = self.failure { return waiter.resume(throwing: failure) }
            line.wait(toOpen: waiter)
        }
    }

    func send(_ bytes: Data, isText: Bool, on line: Line) async throws {
        try await wait(orCancel: line.cancel) { (waiter: Waiter<Void>) in
            if let end = self.failure ?? line.end { return waiter.resume(throwing: end) }
            line.senders.append(.init(waiter: waiter, bytes: bytes, isText: isText))
            self.sendWaiting(on: line)
            self.settle()
        }
    }

    func receive(on line: Line) async -> Channel.Message? {
        let received = try? await wait(orCancel: line.cancel) { (waiter: Waiter<Channel.Message?>) in
            if let message = line.inbox.take(waiter), self.release(message, on: line) { self.settle() }
        }
        return received ?? nil
    }

    func closeChannel(_ line: Line) async throws {
        try await wait(orCancel: line.cancel) { (waiter: Waiter<Void>) in
            if let failure = self.failure { return waiter.resume(throwing: failure) }
            line.wait(toClose: waiter)
            guard line.end == nil else { return }
            line.shut(Self.channelClosed)
            self.orFail { () throws(FrazilError) in try self.peer.closeChannel(line.number, now: clock()) }
            self.settle()
        }
    }

    /// Says farewell, and waits until all is over.
    func close() async {
        await withCheckedContinuation { continuation in
            queue.async {
                self.leave()
                self.settle()
                self.bound.notify(queue: self.queue) { continuation.resume() }
            }
        }
    }

    /// Says farewell, as nobody holds the connection any more.
    func abandon() {
        queue.async {
            self.leave()
            self.settle()
        }
    }

    private func whileOpen<Success>(_ call: () throws(FrazilError) -> Success) -> Result<Success, FrazilError> {
        if let over { .failure(over) } else { Result(catching: call) }
    }

    /// Why everything is refused, also what needs no connection: the core has broken down.
    private var failure: FrazilError? {
        over == Self.closed ? nil : over
    }

    /// Waits until what is begun here, on the queue, is done, or the task is cancelled.
    private func wait<Value: Sendable>(
        orCancel cancel: @escaping @Sendable (Ticket) -> Void,
        _ begin: @escaping @Sendable (Waiter<Value>) -> Void
    ) async throws -> Value {
        let ticket = Ticket()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                queue.async {
                    if ticket.isCancelled {
                        continuation.resume(throwing: CancellationError())
                    } else {
                        begin(Waiter(ticket: ticket, continuation: continuation))
                    }
                }
            }
        } onCancel: {
            queue.async {
                ticket.isCancelled = true
                cancel(ticket)
            }
        }
    }

    // MARK: Sockets

    /// Binds a socket on each address, or as many as can be, and names them to the peer. Gives why it cannot begin.
    private func gather(_ worth: [HostSocket]) -> FrazilError? {
        var refusal = FrazilError(.system, "the machine has no address that may be used")
        for var host in worth {
            do {
                host.port = try bind(ip: host.ip, index: host.index).port
                hosts.append(host)
            } catch {
                refusal = FrazilError(.system, "no address could be bound, the last being \(host.ip): \(error)")
            }
        }
        guard !hosts.isEmpty else {
            end(refusal)
            return refusal
        }
        orFail { () throws(FrazilError) in
            try peer.handleNetworkChange(sockets: hosts, now: clock())
            try peer.endOfCandidates(now: clock())
        }
        settle()
        return over
    }

    private func bind(ip: String, index: UInt32) throws(FrazilError) -> Endpoint {
        let whenReadable: @Sendable (Endpoint) -> Void = { self.receive(on: $0) }
        let whenClosed: @Sendable () -> Void = { [bound] in bound.leave() }
        let socket = try Socket(ip: ip, index: index, queue: queue, whenReadable: whenReadable, whenClosed: whenClosed)
        bound.enter()
        sockets[socket.local] = socket
        return socket.local
    }

    /// Hands in what a socket has received.
    private func receive(on local: Endpoint) {
        guard let socket = sockets[local] else { return }
        orFail { () throws(FrazilError) in
            for _ in 0..<Self.turn {
                guard try receiveBatch(socket) else { break }
            }
        }
        settle()
    }

    /// Hands in as many datagrams as one call takes. Gives whether there may be more.
    private func receiveBatch(_ socket: Socket) throws(FrazilError) -> Bool {
        var remotes: [Endpoint] = []
        var end = 0
        while remotes.count < Batch.maxEntries, inbound.bytes.count - end >= Self.maxEntry {
            let entry = UnsafeMutableRawBufferPointer(rebasing: inbound.bytes[end...])
            let room = UnsafeMutableRawBufferPointer(rebasing: entry[Batch.header...])
            guard let (remote, count) = socket.receive(into: room) else { break }
            let path = try path(from: socket, to: remote)
            Batch.writeHeader(into: entry, number: path, count: count)
            remotes.append(remote)
            end += Batch.header + count
        }
        try handIn(UnsafeMutableRawBufferPointer(rebasing: inbound.bytes[..<end]), from: remotes, on: socket)
        return end > 0
    }

    private func handIn(
        _ batch: UnsafeMutableRawBufferPointer,
        from remotes: [Endpoint],
        on socket: Socket
    ) throws(FrazilError) {
        var (rest, first) = (batch, 0)
        var asked: Int?
        while !rest.isEmpty {
            let taken = try peer.handleDatagrams(rest, now: clock())
            for entry in Batch(.init(rest)).prefix(taken) {
                rest = .init(rebasing: rest[(Batch.header + entry.bytes.count)...])
            }
            first += taken
            guard !rest.isEmpty, let entry = Batch(.init(rest)).first(where: { _ in true }) else { break }
            // The peer has forgotten the path, and perhaps others too.
            if asked == first { break }
            asked = first
            socket.forgetPaths()
            let path = try path(from: socket, to: remotes[first])
            Batch.writeHeader(into: rest, number: path, count: entry.bytes.count)
        }
    }

    private func path(from socket: Socket, to remote: Endpoint) throws(FrazilError) -> UInt32 {
        try guarded {
            try socket.path(to: remote) {
                let local = socket.local
                return try peer.pathId(
                    Path(
                        protocol: "udp",
                        localIp: local.ip,
                        localPort: local.port,
                        remoteIp: remote.ip,
                        remotePort: remote.port
                    )
                )
            }
        }
    }

    private func route(_ path: UInt32) throws(FrazilError) -> Route? {
        if let known = routes[path] { return known }
        guard let ends = try peer.path(path), ends.protocol == "udp",
            let local = Endpoint(ip: ends.localIp, port: ends.localPort), let socket = sockets[local],
            let remote = Endpoint(ip: ends.remoteIp, port: ends.remotePort)
        else { return nil }
        if routes.count >= Self.maxRoutes {
            routes.removeAll()
        }
        let route = Route(socket: socket, remote: remote)
        routes[path] = route
        return route
    }

    // MARK: After each input

    private func handleTimeout() {
        guard phase != .ended else { return }
        deadline = nil
        orFail { () throws(FrazilError) in try peer.handleTimeout(now: clock()) }
        settle()
    }

    /// Sends all that is to be sent, hands on all that has happened, and sets the timer.
    private func settle() {
        guard phase != .ended else { return }
        orFail { () throws(FrazilError) in
            var more = true
            while more {
                try sendTransmits()
                switch try peer.waiting() {
                case .nothing: more = false
                case .message: try takeMessages()
                case .event: if let event = try peer.pollEvent() { try handle(event) }
                }
            }
            if phase == .leaving { endEvents(nil) }
            try setTimer()
        }
    }

    private func sendTransmits() throws(FrazilError) {
        while true {
            let count = try peer.pollTransmits(into: outbound.bytes)
            if count == 0 { return }
            for entry in Batch(.init(rebasing: outbound.bytes[..<count])) {
                if let route = try route(entry.number) {
                    route.socket.send(entry.bytes, to: route.remote)
                }
            }
        }
    }

    private func takeMessages() throws(FrazilError) {
        let count: Int
        do {
            count = try peer.pollMessages(into: messages.bytes)
        } catch {
            // There is no room for the first one.
            guard error.reason == .invalidArgument, let event = try peer.pollEvent() else { throw error }
            return try handle(event)
        }
        for entry in Batch(.init(rebasing: messages.bytes[..<count])) {
            deliver(Data(entry.bytes), isText: entry.isText, on: entry.number)
        }
    }

    private func deliver(_ bytes: Data, isText: Bool, on number: UInt32) {
        guard let line = lines[number] else { return }
        let message: Channel.Message = isText ? .text(String(decoding: bytes, as: UTF8.self)) : .binary(bytes)
        if line.inbox.deliver(message) {
            release(message, on: line)
        }
    }

    private func setTimer() throws(FrazilError) {
        let next = try peer.pollTimeout()
        if phase == .leaving, next == nil { return end(Self.closed) }
        if next == deadline { return }
        deadline = next
        timer.schedule(
            deadline: next.map { DispatchTime(uptimeNanoseconds: $0) } ?? .distantFuture,
            leeway: .nanoseconds(0)
        )
    }

    private func handle(_ event: Event) throws(FrazilError) {
        switch event {
        case .resolve(let request, let name):
            Task { handleResolved(request, await resolve(name)) }
        case .openSocket(let socket, let localIp):
            let index = hosts.first { $0.ip == localIp }?.index ?? 0
            let local = try? bind(ip: localIp, index: index)
            try peer.handleSocketOpened(socket: socket, localIp: local?.ip, localPort: local?.port ?? 0, now: clock())
        case .closeSocket(let localIp, let localPort):
            if let local = Endpoint(ip: localIp, port: localPort), let socket = sockets.removeValue(forKey: local) {
                routes.removeAll()
                socket.close()
            }
        case .openStream(let path, _, _, _, _, _):
            try peer.handleStreamClosed(path: path, now: clock())
        case .dataChannel(let number, let label, let `protocol`, let isOrdered, _, _):
            let line = Line(number: number, isOpen: true)
            lines[number] = line
            let channel = Channel(label: label, protocol: `protocol`, isOrdered: isOrdered, driver: self, line: line)
            tell(.channel(channel))
        case .channelOpen(let number):
            guard let line = lines[number] else { break }
            line.open()
            sendWaiting(on: line)
        case .bufferedAmountLow(let number):
            if let line = lines[number] { sendWaiting(on: line) }
        case .channelClosed(let number):
            lines.removeValue(forKey: number)?.close(Self.channelClosed)
        case .message(let number, let isText, let bytes):
            deliver(bytes, isText: isText, on: number)
        case .connectionStateChange("closed", _):
            leave()
        default:
            if let event = Connection.Event(event, peer: peer) {
                tell(event)
            }
        }
    }

    private func tell(_ event: Connection.Event) {
        guard let events else { return }
        if !events.tell(event), case .channel = event {
            countUntaken(1)
        }
    }

    private func countUntaken(_ more: Int) {
        untaken += more
        orFail { () throws(FrazilError) in
            try peer.setEventBacklog(waiting: UInt32(clamping: untaken), now: clock())
        }
    }

    private func handleResolved(_ request: UInt32, _ addresses: [String]) {
        queue.async { [self] in
            guard phase != .ended else { return }
            orFail { () throws(FrazilError) in
                try peer.handleResolved(request: request, addresses: addresses, now: clock())
            }
            settle()
        }
    }

    // MARK: Messages

    /// Sends what waits, as far as the channel's buffer has room.
    private func sendWaiting(on line: Line) {
        while line.isOpen, let sender = line.senders.first {
            let result = Result { () throws(FrazilError) in
                try peer.send(channel: line.number, message: sender.bytes, text: sender.isText, now: clock())
            }
            if case .success(false) = result { return }
            _ = line.senders.popFirst()
            switch result {
            case .success: sender.waiter.resume(returning: ())
            case .failure(let error): sender.waiter.resume(throwing: error)
            }
        }
    }

    /// Tells the peer that the application has a message, so that the other side may send more. Gives whether anything may
    /// follow.
    @discardableResult
    private func release(_ message: Channel.Message, on line: Line) -> Bool {
        guard !line.inbox.isEnded else { return false }
        line.unreleased += max(message.count, 1)
        // The peer need not hear of each one.
        guard line.inbox.count == 0 || line.unreleased >= enough else { return false }
        let bytes = UInt32(clamping: line.unreleased)
        line.unreleased = 0
        orFail { () throws(FrazilError) in try peer.release(channel: line.number, bytes: bytes, now: clock()) }
        return true
    }

    // MARK: The end

    private static let closed = FrazilError(.closed, "the connection is closed")
    private static let channelClosed = FrazilError(.closed, "the channel is closed")

    /// For the application all is over. What that leads to is told before ``settle()`` ends the events.
    private func leave() {
        guard phase == .running else { return }
        phase = .leaving
        over = Self.closed
        orFail { () throws(FrazilError) in try peer.leave(now: clock()) }
        closeLines(Self.closed)
    }

    private func endEvents(_ failure: String?) {
        events?.tell(.connectionStateChange(.closed, failure: failure))
        events?.end()
        events = nil
    }

    private func closeLines(_ why: FrazilError) {
        for line in lines.values {
            line.close(why)
        }
        lines.removeAll()
    }

    private func end(_ why: FrazilError) {
        phase = .ended
        over = why
        timer.cancel()
        for socket in sockets.values {
            socket.close()
        }
        sockets.removeAll()
        routes.removeAll()
        closeLines(why)
        endEvents(failure?.message)
        try? peer.close()
    }

    /// Does what fails only if the core has broken down, and ends the connection then.
    private func orFail(_ call: () throws(FrazilError) -> Void) {
        guard phase != .ended else { return }
        do {
            try call()
        } catch {
            // What it has called may have ended the connection, which then refuses the rest of it.
            if phase != .ended { end(error) }
        }
    }
}

/// Bytes that stay where they are.
private final class Buffer {
    let bytes: UnsafeMutableRawBufferPointer

    init(count: Int) {
        bytes = .allocate(byteCount: count, alignment: 8)
    }

    deinit {
        bytes.deallocate()
    }
}

/// The time in nanoseconds of the system's monotonic clock, the same that timers go by.
private func clock() -> UInt64 {
    DispatchTime.now().uptimeNanoseconds
}

extension Connection.Event {
    /// What the application is told of; nil for what is the driver's.
    fileprivate init?(_ event: Event, peer: Peer) {
        func state<State: RawRepresentable<String>>(_ word: String, _ event: (State) -> Self) -> Self? {
            State(rawValue: word).map(event)
        }
        let told: Self? =
            switch event {
            case .negotiationNeeded: .negotiationNeeded
            case .localIceCandidate(let candidate, let mid, let index, let ufrag):
                .iceCandidate(
                    IceCandidate(candidate: candidate, sdpMid: mid, sdpMLineIndex: index, usernameFragment: ufrag)
                )
            case .iceCandidateError(let url, let address, let port, let code, let text):
                .iceCandidateError(url: url, address: address, port: port, errorCode: code, errorText: text)
            case .signalingStateChange(let word): state(word, Self.signalingStateChange)
            case .iceConnectionStateChange(let word): state(word, Self.iceConnectionStateChange)
            case .iceGatheringStateChange(let word): state(word, Self.iceGatheringStateChange)
            case .connectionStateChange(let word, let failure):
                state(word) { .connectionStateChange($0, failure: failure) }
            case .selectedPairChange: (try? peer.selectedPair()).flatMap { $0 }.map(Self.selectedPairChange)
            case .iceRestartFailed(let why): .iceRestartFailed(why)
            default: nil
            }
        guard let told else { return nil }
        self = told
    }
}

extension Inbox<Connection.Event> {
    /// How many events wait before states are overtaken.
    private static var limit: Int { 256 }

    /// Gives the application an event, or keeps it. Gives whether it was taken.
    ///
    /// The other side can change some states as often as it likes: so many wait, and then of each kind the latest alone.
    @discardableResult
    func tell(_ event: Connection.Event) -> Bool {
        if count >= Self.limit, let state = event.state {
            forget { $0.state == state }
        }
        return deliver(event)
    }
}

extension Connection.Event {
    fileprivate enum State {
        case signaling, iceConnection, iceGathering, connection, selectedPair
    }

    /// The state of which a later event says all that this one does.
    fileprivate var state: State? {
        switch self {
        case .signalingStateChange: .signaling
        case .iceConnectionStateChange: .iceConnection
        case .iceGatheringStateChange: .iceGathering
        case .connectionStateChange: .connection
        case .selectedPairChange: .selectedPair
        case .negotiationNeeded, .iceCandidate, .iceCandidateError, .iceRestartFailed, .channel: nil
        }
    }
}
