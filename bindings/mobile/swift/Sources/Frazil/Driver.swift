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
    private var tell: AsyncStream<Connection.Event>.Continuation?
    private let timer: any DispatchSourceTimer
    /// What the timer is set to.
    private var deadline: UInt64?
    private var phase = Phase.running
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

    private enum Phase: Equatable {
        case running
        /// The other side is being told, until then at the latest.
        case leaving(until: UInt64)
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
    private static let farewell: UInt64 = 1_000_000_000
    private static let closed = FrazilError(.closed, "the connection is closed")

    init(
        config: Config,
        servers: [IceServer],
        certificate: Certificate?,
        loopback: Bool,
        tell: AsyncStream<Connection.Event>.Continuation
    ) throws(FrazilError) {
        if config.mdnsCandidates == true {
            throw FrazilError(.invalidArgument, "mdnsCandidates: this driver does not publish names")
        }
        var config = config
        config.activeTcp = config.activeTcp ?? false
        let receiveBuffer = config.receiveBuffer ?? 1 << 20
        config.receiveBuffer = receiveBuffer
        enough = Int(receiveBuffer / 2)
        var random = SystemRandomNumberGenerator()
        let seed = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        peer = try Peer(config: config, servers: servers, certificate: certificate, seed: seed, now: clock())
        let worth = try hostSockets(loopback: loopback)
        timer = DispatchSource.makeTimerSource(queue: queue)
        self.tell = tell
        // From here on the timer and the sockets hold the driver, until it ends.
        timer.setEventHandler { self.handleTimeout() }
        timer.activate()
        queue.sync { gather(worth) }
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

    func createDataChannel(_ config: ChannelConfig) async throws(FrazilError) -> Channel {
        let result: Result<Channel, FrazilError> = await withCheckedContinuation { continuation in
            queue.async {
                let result = self.whileOpen { () throws(FrazilError) in
                    let line = Line(number: try self.peer.createDataChannel(config, now: clock()), isOpen: false)
                    self.lines[line.number] = line
                    let (label, `protocol`) = (config.label, config.protocol ?? "")
                    let isOrdered = config.ordered ?? true
                    return Channel(label: label, protocol: `protocol`, isOrdered: isOrdered, driver: self, line: line)
                }
                self.settle()
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    func opened(_ line: Line) async throws {
        try await wait(on: line) { (waiter: Waiter<Void>) in line.wait(toOpen: waiter) }
    }

    func send(_ bytes: Data, isText: Bool, on line: Line) async throws {
        try await wait(on: line) { (waiter: Waiter<Void>) in
            if let end = line.end { return waiter.resume(throwing: end) }
            line.senders.append(.init(waiter: waiter, bytes: bytes, isText: isText))
            self.sendWaiting(on: line)
            self.settle()
        }
    }

    func receive(on line: Line) async -> Channel.Message? {
        let received = try? await wait(on: line) { (waiter: Waiter<Channel.Message?>) in
            guard let message = line.inbox.popFirst() else { return line.wait(toReceive: waiter) }
            waiter.resume(returning: message)
            if self.release(message, on: line) { self.settle() }
        }
        return received ?? nil
    }

    func closeChannel(_ line: Line) async throws {
        try await wait(on: line) { (waiter: Waiter<Void>) in
            line.wait(toClose: waiter)
            if line.end == nil {
                self.orFail { () throws(FrazilError) in try self.peer.closeChannel(line.number, now: clock()) }
                self.settle()
            }
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
        phase == .running ? Result(catching: call) : .failure(Self.closed)
    }

    /// Waits until what is begun here, on the queue, is done, or the task is cancelled.
    private func wait<Value: Sendable>(
        on line: Line,
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
                line.cancel(ticket)
            }
        }
    }

    // MARK: Sockets

    /// Binds a socket on each address, and names them to the peer.
    private func gather(_ worth: [HostSocket]) {
        for host in worth {
            guard let socket = bind(ip: host.ip, index: host.index) else { continue }
            var host = host
            host.port = socket.local.port
            hosts.append(host)
        }
        orFail { () throws(FrazilError) in
            try peer.handleNetworkChange(sockets: hosts, now: clock())
            try peer.endOfCandidates(now: clock())
        }
        settle()
    }

    private func bind(ip: String, index: UInt32) -> Socket? {
        bound.enter()
        let whenReadable: @Sendable (Endpoint) -> Void = { self.receive(on: $0) }
        let whenClosed: @Sendable () -> Void = { [bound] in bound.leave() }
        let socket = Socket(ip: ip, index: index, queue: queue, whenReadable: whenReadable, whenClosed: whenClosed)
        guard let socket else {
            bound.leave()
            return nil
        }
        sockets[socket.local] = socket
        return socket
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
        if line.deliver(message) {
            release(message, on: line)
        }
    }

    private func setTimer() throws(FrazilError) {
        var next = try peer.pollTimeout()
        if case .leaving(let until) = phase {
            guard let wanted = next, clock() < until else { return end() }
            next = min(wanted, until)
        }
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
            let local = bind(ip: localIp, index: index)?.local
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
            if case .enqueued? = tell?.yield(.channel(channel)) { break }
            try peer.closeChannel(number, now: clock())
        case .channelOpen(let number):
            guard let line = lines[number] else { break }
            line.open()
            sendWaiting(on: line)
        case .bufferedAmountLow(let number):
            if let line = lines[number] { sendWaiting(on: line) }
        case .channelClosed(let number):
            lines.removeValue(forKey: number)?.close(FrazilError(.notSent, "the channel is closed"))
        case .message(let number, let isText, let bytes):
            deliver(bytes, isText: isText, on: number)
        case .connectionStateChange("closed", _):
            tell?.yield(.connectionStateChange(.closed, failure: nil))
            leave()
        default:
            if let event = Connection.Event(event, peer: peer) {
                tell?.yield(event)
            }
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
        guard line.end == nil else { return false }
        line.unreleased += max(message.count, 1)
        // The peer need not hear of each one.
        guard line.inbox.isEmpty || line.unreleased >= enough else { return false }
        let bytes = UInt32(clamping: line.unreleased)
        line.unreleased = 0
        orFail { () throws(FrazilError) in try peer.release(channel: line.number, bytes: bytes, now: clock()) }
        return true
    }

    // MARK: The end

    private func leave() {
        guard phase == .running else { return }
        phase = .leaving(until: clock() + Self.farewell)
        orFail { () throws(FrazilError) in try peer.leave(now: clock()) }
        endEvents()
        closeLines(Self.closed)
    }

    private func endEvents() {
        tell?.finish()
        tell = nil
    }

    private func closeLines(_ why: FrazilError) {
        for line in lines.values {
            line.close(why)
        }
        lines.removeAll()
    }

    private func end() {
        phase = .ended
        timer.cancel()
        for socket in sockets.values {
            socket.close()
        }
        sockets.removeAll()
        routes.removeAll()
        closeLines(Self.closed)
        endEvents()
        try? peer.close()
    }

    /// Does what fails only if the core has broken down, and ends the connection then.
    private func orFail(_ call: () throws(FrazilError) -> Void) {
        guard phase != .ended else { return }
        do {
            try call()
        } catch {
            tell?.yield(.connectionStateChange(.failed, failure: error.message))
            closeLines(error)
            end()
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
                .iceCandidateError(url: url, address: address, port: port, code: code, text: text)
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
