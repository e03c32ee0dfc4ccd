import Foundation
import Testing

@testable @_spi(Testing) import Frazil

/// Two connections of one process, with a channel that the first has opened.
private struct Linked {
    let connections: [Connection]
    let channels: [Channel]
    /// How each connection ended, in its own words.
    let ends: [Task<ConnectionState?, Never>]

    init(config: Config = Config()) async throws {
        let (a, b) = (try Connection(config: config, loopback: true), try Connection(config: config, loopback: true))
        let ours = try await a.createDataChannel("pond")
        try await a.setLocalDescription(try await a.createOffer())
        try await b.setRemoteDescription(try #require(try await a.localDescription()))
        try await b.setLocalDescription(try await b.createAnswer())
        try await a.setRemoteDescription(try #require(try await b.localDescription()))
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
            await #expect(throws: FrazilError(.notSent, "the channel is closed")) {
                try await linked.channels[0].send("two")
            }
            await linked.close()
        }

        @Test func aClosedConnectionRefusesEverything() async throws {
            let connection = try Connection(loopback: true)
            let channel = try await connection.createDataChannel("pond")
            await connection.close()
            await connection.close()
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
            await #expect(throws: closed) { try await channel.bufferedAmount() }
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
            injectPanic()
            await #expect(throws: FrazilError.self) { try await connection.createOffer() }
            var why: String?
            for await event in connection.events {
                if case .connectionStateChange(.failed, let failure) = event { why = failure }
            }
            #expect(why?.contains("broke down") == true)
            #expect(await received.value == nil)
            let closed = FrazilError(.closed, "the connection is closed")
            await #expect(throws: closed) { try await connection.createOffer() }
            await connection.close()
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
            let events: AsyncStream<Connection.Event>
            do {
                let connection = try Connection(loopback: true)
                (forgotten, events) = (connection, connection.events)
            }
            #expect(forgotten == nil)
            // It ends, and with it its events.
            for await _ in events {}
            await linked.close()
        }

        @Test func namesAreResolved() async throws {
            #expect(await resolve("127.0.0.1") == ["127.0.0.1"])
            #expect(await resolve("nowhere.invalid") == [])
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
