import Foundation
import Testing

@testable @_spi(Testing) import Frazil

/// Has two connections agree on what the first one offers.
private func negotiate(_ a: Connection, _ b: Connection) async throws {
    try await a.setLocalDescription(try await a.createOffer())
    try await b.setRemoteDescription(try #require(try await a.localDescription()))
    try await b.setLocalDescription(try await b.createAnswer())
    try await a.setRemoteDescription(try #require(try await b.localDescription()))
}

/// Two connections of one process, with a channel that the first has opened.
private struct Linked {
    let connections: [Connection]
    let channels: [Channel]
    /// How each connection ended, in its own words.
    let ends: [Task<ConnectionState?, Never>]

    init(config: Config = Config()) async throws {
        let (a, b) = (try Connection(config: config, loopback: true), try Connection(config: config, loopback: true))
        let ours = try await a.createDataChannel("pond")
        try await negotiate(a, b)
        let (incoming, tell) = AsyncStream.makeStream(of: Channel.self)
        func follow(_ one: Connection, _ other: Connection) -> Task<ConnectionState?, Never> {
            let events = one.events
            return Task { [weak other] in
                var last: ConnectionState?
                for await event in events {
                    switch event {
                    case .iceCandidate(let candidate): try? await other?.addIceCandidate(candidate)
                    case .channel(let channel): tell.yield(channel)
                    case .connectionStateChange(let state, _): last = state
                    default: break
                    }
                }
                return last
            }
        }
        connections = [a, b]
        ends = [follow(a, b), follow(b, a)]
        try await ours.opened()
        let theirs = try #require(await incoming.first { _ in true })
        channels = [ours, theirs]
    }

    func close() async {
        for connection in connections { await connection.close() }
    }
}

extension Everything {
    /// The driver over the loopback interface.
    @Suite struct Drivers {
        @Test func aMebibyteIsEchoedWithBackPressure() async throws {
            var config = Config()
            config.sendBuffer = 65_536
            config.receiveBuffer = 65_536
            let linked = try await Linked(config: config)
            let (ours, theirs) = (linked.channels[0], linked.channels[1])
            #expect(theirs.label == "pond")
            #expect(theirs.isOrdered)

            let echo = Task {
                for await message in theirs.messages { try await theirs.send(message) }
            }
            let whole = Data((0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) })
            let send = Task {
                for start in stride(from: 0, to: whole.count, by: 16_384) {
                    try await ours.send(whole[start..<start + 16_384])
                }
                try await ours.send("that was all")
            }
            var came = Data()
            loop: for await message in ours.messages {
                switch message {
                case .binary(let bytes): came.append(bytes)
                case .text(let text):
                    #expect(text == "that was all")
                    break loop
                }
            }
            #expect(came == whole)
            try await send.value
            #expect(try await linked.connections[0].selectedPair() != nil)

            // The first one closes; the second one sees it, and all that its channel is asked for ends.
            await linked.connections[0].close()
            #expect(await linked.ends[1].value == .closed)
            _ = await echo.result
            #expect(await theirs.receive() == nil)
            await linked.close()
        }

        @Test func aSenderThatIsCancelledStops() async throws {
            var config = Config()
            config.sendBuffer = 65_536
            let linked = try await Linked(config: config)
            let message = Data(count: 16_384)
            // Many times what both sides have room for.
            let (progress, tell) = AsyncStream.makeStream(of: Int.self)
            let sender = Task {
                for count in 1...2000 {
                    try await linked.channels[0].send(message)
                    tell.yield(count)
                }
            }
            // Until it has got so far that nothing but a receiver can help.
            var sent = 0
            for await count in progress {
                sent = count
                if sent * message.count > 1 << 20 { break }
            }
            #expect(await linked.channels[1].receive() == .binary(message))
            sender.cancel()
            let result = await sender.result
            #expect(throws: CancellationError.self) { try result.get() }
            await linked.close()
        }

        @Test func closingIsSeenByWhoeverWaits() async throws {
            let linked = try await Linked()
            let waiting = Task { await linked.channels[0].receive() }
            try await linked.channels[1].send("one")
            #expect(await waiting.value == .text("one"))
            // One that no batch has room for.
            let long = Data(repeating: 7, count: 200_000)
            try await linked.channels[1].send(long)
            #expect(await linked.channels[0].receive() == .binary(long))
            let more = Task { await linked.channels[0].receive() }
            try await linked.channels[1].close()
            #expect(await more.value == nil)
            try await linked.channels[0].close()
            await #expect(throws: FrazilError(.closed, "the channel is closed")) {
                try await linked.channels[0].send("two")
            }
            #expect(try await linked.channels[0].bufferedAmount() == 0)
            let unused = try await linked.connections[0].createDataChannel("unused")
            try await unused.opened()
            try await unused.close()
            await linked.close()
        }

        @Test func aChannelThatClosesTakesNothingMoreAndDeliversTheRest() async throws {
            var config = Config()
            config.sendBuffer = 524_288
            let linked = try await Linked(config: config)
            let (ours, theirs) = (linked.channels[0], linked.channels[1])
            // The other side does nothing for a while, so that what is sent fills the buffer.
            let (steps, tell) = AsyncStream.makeStream(of: Void.self)
            let goOn = DispatchSemaphore(value: 0)
            let pause = Task {
                try await linked.connections[1].driver.perform { _, _ in
                    tell.yield()
                    goOn.wait()
                }
            }
            var iterator = steps.makeAsyncIterator()
            await iterator.next()
            let message = Data(count: 16_384)
            let senders = (0..<64).map { _ in
                Task {
                    tell.yield()
                    try await ours.send(message)
                }
            }
            for _ in senders { await iterator.next() }
            #expect(try await ours.bufferedAmount() <= 524_288)

            let closing = Task { try await ours.close() }
            let closed = FrazilError(.closed, "the channel is closed")
            var sent = 0
            for sender in senders {
                switch await sender.result {
                case .success: sent += 1
                case .failure(let error): #expect(error as? FrazilError == closed)
                }
            }
            #expect(sent < senders.count)
            goOn.signal()
            try await pause.value
            await #expect(throws: closed) { try await ours.send("late") }
            await #expect(throws: closed) { try await ours.opened() }
            // Once it is closed nothing is lost, whatever comes next.
            try await closing.value
            try await ours.close()
            await linked.close()
            var received = 0
            for await message in theirs.messages { received += message.count }
            #expect(received == sent * message.count)
        }

        @Test func messagesOfEveryLengthArrive() async throws {
            var config = Config()
            config.receiveBuffer = 4096
            let linked = try await Linked(config: config)
            let (ours, theirs) = (linked.channels[0], linked.channels[1])
            // More empty ones than the other side has room for.
            let empty = 6000
            let send = Task {
                for count in 0..<empty { try await ours.send(count.isMultiple(of: 2) ? .text("") : .binary(Data())) }
                try await ours.send(Data(count: 262_144))
            }
            for count in 0..<empty {
                #expect(await theirs.receive() == (count.isMultiple(of: 2) ? .text("") : .binary(Data())))
            }
            #expect(await theirs.receive()?.count == 262_144)
            try await send.value
            let tooLong = await Task { try await ours.send(Data(count: 262_145)) }.result
            #expect(refusal { try tooLong.get() }?.reason == .notSent)
            await linked.close()
        }

        @Test func whatHasComeIsThereAfterTheEnd() async throws {
            let (a, b) = (try Connection(loopback: true), try Connection(loopback: true))
            let ours = try await a.createDataChannel("pond")
            try await negotiate(a, b)
            try await ours.opened()
            #expect(await a.connectionState == .connected)
            var theirs: Channel?
            for await case .channel(let channel) in b.events {
                theirs = channel
                break
            }
            let channel = try #require(theirs)
            try await ours.send("one")
            try await ours.send("two")
            #expect(await channel.receive() == .text("one"))
            // Once this is done, the message is there, and so is the end of the channel.
            try await ours.close()
            try await channel.close()
            await b.close()
            #expect(await b.connectionState == .closed)
            #expect(await channel.receive() == .text("two"))
            #expect(await channel.receive() == nil)
            var states: [ConnectionState] = []
            for await case .connectionStateChange(let state, let failure) in b.events {
                states.append(state)
                #expect(failure == nil)
            }
            #expect(states.last == .closed)
            // It sees the end by itself, and tells it in the same way.
            states = []
            for await case .connectionStateChange(let state, _) in a.events { states.append(state) }
            #expect(states == [.connecting, .connected, .closed])
            #expect(await a.connectionState == .closed)
            await a.close()
        }

        @Test func whoWaitsIsToldOfTheEnd() async throws {
            let connection = try Connection(loopback: true)
            let channel = try await connection.createDataChannel("pond")
            let (opened, sent) = (Task { try await channel.opened() }, Task { try await channel.send("never") })
            let received = Task { await channel.receive() }
            let last = Task {
                var last: Connection.Event?
                for await event in connection.events { last = event }
                return last
            }
            #expect(await connection.connectionState == .new)
            await connection.close()
            for task in [opened, sent] {
                let result = await task.result
                #expect(throws: FrazilError(.closed, "the connection is closed")) { try result.get() }
            }
            #expect(await received.value == nil)
            guard case .connectionStateChange(.closed, nil)? = await last.value else {
                Issue.record("the last event was \(String(describing: await last.value))")
                return
            }
        }

        @Test func aChannelThatNeverOpenedCloses() async throws {
            let connection = try Connection(loopback: true)
            let channel = try await connection.createDataChannel("pond")
            let (opened, sent) = (Task { try await channel.opened() }, Task { try await channel.send("never") })
            let received = Task { await channel.receive() }
            try await channel.close()
            for task in [opened, sent] {
                let result = await task.result
                #expect(throws: FrazilError(.closed, "the channel is closed")) { try result.get() }
            }
            #expect(await received.value == nil)
            #expect(try await channel.bufferedAmount() == 0)
            await connection.close()
        }

        @Test func aClosedConnectionRefusesEverything() async throws {
            let connection = try Connection(loopback: true)
            let channel = try await connection.createDataChannel("pond")
            await connection.close()
            await connection.close()
            #expect(await connection.connectionState == .closed)
            #expect(try await channel.bufferedAmount() == 0)
            try await channel.close()
            let closed = FrazilError(.closed, "the connection is closed")
            await #expect(throws: closed) { try await connection.createOffer() }
            await #expect(throws: closed) { try await connection.createAnswer() }
            await #expect(throws: closed) { try await connection.createDataChannel("more") }
            await #expect(throws: closed) { try await connection.localDescription() }
            await #expect(throws: closed) { try await connection.remoteDescription() }
            await #expect(throws: closed) { try await connection.restartIce() }
            await #expect(throws: closed) { try await connection.setServers([]) }
            await #expect(throws: closed) { try await connection.selectedPair() }
            await #expect(throws: closed) { try await connection.certificate() }
            let rollback = Description(type: "rollback", sdp: "")
            await #expect(throws: closed) { try await connection.setLocalDescription(rollback) }
            await #expect(throws: closed) { try await connection.setRemoteDescription(rollback) }
            await #expect(throws: closed) {
                try await connection.addIceCandidate(IceCandidate(candidate: "", sdpMid: nil))
            }
            await #expect(throws: closed) { try await channel.opened() }
            await #expect(throws: closed) { try await channel.send("late") }
            #expect(await channel.receive() == nil)
            for await _ in connection.events {}
        }

        @Test func errorsOfTheCoreArriveWithTheirMessage() async throws {
            let connection = try Connection(loopback: true)
            do {
                _ = try await connection.createAnswer()
                Issue.record("an answer without an offer")
            } catch {
                #expect(error.reason == .invalidState)
                #expect(!error.message.isEmpty)
            }
            await connection.close()
        }

        @Test func aCoreThatBreaksDownEndsTheConnection() async throws {
            let connection = try Connection(loopback: true)
            let channel = try await connection.createDataChannel("pond")
            let received = Task { await channel.receive() }
            let (opened, sent) = (Task { try await channel.opened() }, Task { try await channel.send("never") })
            injectPanic()
            await #expect(throws: FrazilError.self) { try await connection.createOffer() }
            var (last, why): (ConnectionState?, String?)
            for await case .connectionStateChange(let state, let failure) in connection.events {
                (last, why) = (state, failure)
            }
            #expect(last == .closed)
            #expect(why?.contains("broke down") == true)
            #expect(await received.value == nil)
            for task in [opened, sent] {
                let result = await task.result
                #expect(refusal { try result.get() }?.reason == .panicked)
            }
            #expect(await connection.connectionState == .closed)
            let broken = FrazilError(.panicked, try #require(why))
            await #expect(throws: broken) { try await connection.createOffer() }
            await #expect(throws: broken) { try await connection.createDataChannel("more") }
            await #expect(throws: broken) { try await channel.opened() }
            await #expect(throws: broken) { try await channel.send("late") }
            await #expect(throws: broken) { try await channel.bufferedAmount() }
            await #expect(throws: broken) { try await channel.close() }
            #expect(await channel.receive() == nil)
            await connection.close()
            await #expect(throws: broken) { try await connection.createOffer() }
        }

        @Test func aConnectionWithoutASocketIsNone() async throws {
            @discardableResult
            func start(_ ips: String...) throws -> Driver {
                var worth = ips.map { host($0, 0) }
                for index in worth.indices { worth[index].index = 0 }
                return try Driver(config: Config(), servers: [], certificate: nil, worth: worth, events: Inbox())
            }
            let none = refusal { try start() }
            #expect(none == FrazilError(.system, "the machine has no address that may be used"))
            // Without a link, no system binds what means something on one link only.
            let refused = refusal { try start("fe80::1", "fe80::2") }
            #expect(refused?.reason == .system)
            #expect(refused?.message.contains("no address could be bound, the last being fe80::2: ") == true)
            // One that can be is enough.
            let driver = try start("fe80::1", "127.0.0.1")
            await driver.close()
        }

        @Test func whatTheDriverCannotDoIsRefused() async throws {
            var streams = Config()
            streams.activeTcp = true
            var names = Config()
            names.mdnsCandidates = true
            for (config, what) in [(streams, "active_tcp"), (names, "mdns_candidates")] {
                let refused = refusal { _ = try Connection(config: config, loopback: true) }
                #expect(refused?.reason == .invalidArgument)
                #expect(refused?.message.hasPrefix(what) == true)
            }
        }

        @Test func aServerThatIsNotThereIsTold() async throws {
            // This driver opens no streams.
            let url = "turn:127.0.0.1?transport=tcp"
            let server = IceServer(urls: [url], username: "alice", credential: "secret")
            let connection = try Connection(servers: [server], loopback: true)
            _ = try await connection.createDataChannel("pond")
            try await connection.setLocalDescription(try await connection.createOffer())
            for await case .iceCandidateError(let of, _, _, let errorCode, let errorText) in connection.events {
                #expect(of == url)
                #expect(errorCode == 701)
                #expect(!errorText.isEmpty)
                break
            }
            await connection.close()
        }

        @Test func whoStopsTakingEventsTakesNoneAway() async throws {
            let connection = try Connection(loopback: true)
            let stopped = Task { for await _ in connection.events {} }
            stopped.cancel()
            await stopped.value
            _ = try await connection.createDataChannel("pond")
            #expect(await connection.events.contains { if case .negotiationNeeded = $0 { true } else { false } })
            await connection.close()
        }

        @Test func whoOpensChannelsThatNobodyTakesIsHeldBack() async throws {
            let (a, b) = (try Connection(loopback: true), try Connection(loopback: true))
            var last = try await a.createDataChannel("0")
            try await negotiate(a, b)
            try await last.opened()
            var opened = 1
            while opened < 3000 {
                last = try await a.createDataChannel("\(opened)")
                // The first ones have to open. Of the others, one will not.
                guard try await opens(last, within: opened <= 256 ? .seconds(100) : .seconds(2)) else { break }
                opened += 1
            }
            #expect(opened > 256)
            #expect(opened < 3000)

            // Once they are taken things move again, and all are there.
            let expected = Set((0...opened).map(String.init))
            let labels = Task {
                var labels: Set<String> = []
                for await case .channel(let channel) in b.events {
                    labels.insert(channel.label)
                    if labels.count == expected.count { break }
                }
                return labels
            }
            try await last.opened()
            #expect(await labels.value == expected)
            await a.close()
            await b.close()
        }

        private func opens(_ channel: Channel, within limit: Duration) async throws -> Bool {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    try await channel.opened()
                    return true
                }
                group.addTask {
                    try await Task.sleep(for: limit)
                    return false
                }
                defer { group.cancelAll() }
                return try await group.next() ?? false
            }
        }

        @Test func ofManyStatesTheLatestIsKept() async throws {
            let inbox = Inbox<Connection.Event>()
            for _ in 0..<256 { inbox.tell(.iceConnectionStateChange(.checking)) }
            for _ in 0..<10 {
                inbox.tell(.negotiationNeeded)
                inbox.tell(.iceConnectionStateChange(.disconnected))
                inbox.tell(.connectionStateChange(.disconnected, failure: nil))
            }
            inbox.tell(.iceConnectionStateChange(.connected))
            inbox.end()
            // What asks for something is kept, and a state of each kind.
            #expect(inbox.count == 256 + 10 + 1)
            var events: [Connection.Event] = []
            while true {
                let event = try await withCheckedThrowingContinuation { continuation in
                    _ = inbox.take(Waiter(ticket: Ticket(), continuation: continuation))
                }
                guard let event else { break }
                events.append(event)
            }
            let asked = events.filter { if case .negotiationNeeded = $0 { true } else { false } }
            #expect(asked.count == 10)
            guard case .iceConnectionStateChange(.connected)? = events.last else {
                Issue.record("the last event was \(String(describing: events.last))")
                return
            }
        }

        @Test func aTaskThatIsCancelledWaitsNoMore() async throws {
            let connection = try Connection(loopback: true)
            let channel = try await connection.createDataChannel("pond")
            let opened = Task { try await channel.opened() }
            let sent = Task { try await channel.send("never") }
            let received = Task { await channel.receive() }
            for task in [opened, sent] { task.cancel() }
            received.cancel()
            for task in [opened, sent] {
                let result = await task.result
                #expect(throws: CancellationError.self) { try result.get() }
            }
            #expect(await received.value == nil)
            await connection.close()
        }

        @Test func garbageDoesNoHarm() async throws {
            let linked = try await Linked()
            var random = SystemRandomNumberGenerator()
            let stranger = openDatagramSocket(AF_INET)
            defer { close(stranger) }
            for connection in linked.connections {
                let sdp = try #require(try await connection.localDescription()).sdp
                let candidates = sdp.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("a=candidate:") }
                let ours = candidates.map { $0.split(separator: " ") }.filter { $0[4] == "127.0.0.1" }
                let first = try #require(ours.first)
                let port = try #require(UInt16(first[5]))
                let remote = try #require(Endpoint(ip: "127.0.0.1", port: port))
                for length in 0..<200 {
                    // Among them what looks like STUN, DTLS and nothing at all.
                    var garbage = (0..<length * 7).map { _ in UInt8.random(in: .min ... .max, using: &random) }
                    if !garbage.isEmpty { garbage[0] = [0, 1, 20, 22, 23, 64, 128, 255][length % 8] }
                    let sent = garbage.withUnsafeBytes { bytes in
                        remote.withSockaddr(scope: 0) { sendto(stranger, bytes.baseAddress, bytes.count, 0, $0, $1) }
                    }
                    #expect(sent == garbage.count)
                }
            }
            try await linked.channels[0].send("still here")
            #expect(await linked.channels[1].receive() == .text("still here"))
            await linked.close()
        }

        @Test func aConnectionThatNobodyHoldsEnds() async throws {
            let linked = try await Linked()
            weak var forgotten: Connection?
            let events: Connection.Events
            do {
                let connection = try Connection(loopback: true)
                (forgotten, events) = (connection, connection.events)
            }
            #expect(forgotten == nil)
            // It ends, and with it its events.
            for await _ in events {}
            await linked.close()
        }

        @Test func aChannelThatNobodyTookHoldsNothing() async throws {
            weak var driver = try await driverThatWasOfferedAChannel()
            // What its timer held goes on the queue.
            for _ in 0..<6000 where driver != nil { try await Task.sleep(for: .milliseconds(10)) }
            #expect(driver == nil)
        }

        /// That of a closed connection whose events nobody has taken.
        private func driverThatWasOfferedAChannel() async throws -> Driver {
            let (a, b) = (try Connection(loopback: true), try Connection(loopback: true))
            let channel = try await a.createDataChannel("pond")
            try await negotiate(a, b)
            try await channel.opened()
            await a.close()
            await b.close()
            return b.driver
        }

        @Test func namesAreResolved() async throws {
            #expect(await resolve("127.0.0.1") == ["127.0.0.1"])
            // No server can be asked for it: a label has 63 bytes at the most.
            #expect(await resolve(String(repeating: "x", count: 64) + ".invalid") == [])
        }

        @Test func addressesAreReadAndWritten() throws {
            for text in ["192.0.2.7", "::1", "fe80::1", "2001:db8::7:0:1"] {
                let address = try #require(Endpoint(ip: text, port: 4711))
                #expect(address.ip == text)
                var storage = sockaddr_storage()
                address.withSockaddr(scope: 3) { pointer, length in
                    withUnsafeMutableBytes(of: &storage) {
                        $0.copyMemory(from: .init(start: pointer, count: Int(length)))
                    }
                }
                #expect(Endpoint(storage) == address)
                #expect(address.isLinkLocal == (text == "fe80::1"))
            }
            #expect(Endpoint(ip: "fe80::1%eth0", port: 1) == Endpoint(ip: "fe80::1", port: 1))
            #expect(Endpoint(ip: "frazil.example", port: 1) == nil)
        }
    }
}
