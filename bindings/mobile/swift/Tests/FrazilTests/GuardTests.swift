import Foundation
import Testing

@testable @_spi(Testing) import Frazil

extension Everything {
    /// No call takes the process down, and each says why it is refused.
    @Suite struct Guards {
        /// Every method of `Peer` by its name, but `close`.
        static let methods: [(name: String, call: @Sendable (Peer) throws -> Void)] = [
            ("handleNetworkChange", { try $0.handleNetworkChange(sockets: [host("192.0.2.1", 4000)], now: 0) }),
            ("endOfCandidates", { try $0.endOfCandidates(now: 0) }),
            ("setServers", { try $0.setServers(servers: [], now: 0) }),
            ("handleSocketOpened", { try $0.handleSocketOpened(socket: 0, localIp: nil, localPort: 0, now: 0) }),
            ("handleResolved", { try $0.handleResolved(request: 0, addresses: [], now: 0) }),
            ("createOffer", { _ = try $0.createOffer() }),
            ("createAnswer", { _ = try $0.createAnswer() }),
            ("setLocalDescription", { try $0.setLocalDescription(Description(type: "rollback", sdp: ""), now: 0) }),
            ("setRemoteDescription", { try $0.setRemoteDescription(Description(type: "offer", sdp: ""), now: 0) }),
            ("localDescription", { _ = try $0.localDescription() }),
            ("remoteDescription", { _ = try $0.remoteDescription() }),
            ("addIceCandidate", { try $0.addIceCandidate(IceCandidate(candidate: "", sdpMid: "0"), now: 0) }),
            ("restartIce", { try $0.restartIce() }),
            ("pathId", { _ = try $0.pathId(udp(("192.0.2.1", 4000), ("192.0.2.2", 5000))) }),
            ("path", { _ = try $0.path(0) }),
            ("handleDatagram", { _ = try $0.handleDatagram(path: 0, datagram: [23], now: 0) }),
            ("handleDatagrams", { _ = try $0.handleDatagrams([UInt8](), now: 0) }),
            ("pollTransmit", { peer in _ = try withBuffer(Peer.minBuffer) { try peer.pollTransmit(into: $0) } }),
            ("pollTransmits", { peer in _ = try withBuffer(Peer.batchBuffer) { try peer.pollTransmits(into: $0) } }),
            ("handleStreamOpened", { try $0.handleStreamOpened(path: 0, now: 0) }),
            (
                "handleStreamAccepted",
                { _ = try $0.handleStreamAccepted(path: udp(("192.0.2.1", 4000), ("192.0.2.2", 5000)), now: 0) }
            ),
            ("handleStreamData", { try $0.handleStreamData(path: 0, bytes: [0], now: 0) }),
            ("handleStreamClosed", { try $0.handleStreamClosed(path: 0, now: 0) }),
            ("handleTimeout", { try $0.handleTimeout(now: 0) }),
            ("pollTimeout", { _ = try $0.pollTimeout() }),
            ("pollEvent", { _ = try $0.pollEvent() }),
            ("waiting", { _ = try $0.waiting() }),
            ("pollMessages", { peer in _ = try withBuffer(8) { try peer.pollMessages(into: $0) } }),
            ("createDataChannel", { _ = try $0.createDataChannel(ChannelConfig(label: ""), now: 0) }),
            ("send", { _ = try $0.send(channel: 0, message: [0], text: false, now: 0) }),
            ("release", { try $0.release(channel: 0, bytes: 0, now: 0) }),
            ("bufferedAmount", { _ = try $0.bufferedAmount(channel: 0) }),
            ("setBufferedAmountLowThreshold", { try $0.setBufferedAmountLowThreshold(channel: 0, bytes: 0) }),
            ("setEventBacklog", { try $0.setEventBacklog(waiting: 300, now: 0) }),
            ("closeChannel", { try $0.closeChannel(0, now: 0) }),
            ("leave", { try $0.leave(now: 0) }),
            ("signalingState", { _ = try $0.signalingState() }),
            ("iceConnectionState", { _ = try $0.iceConnectionState() }),
            ("iceGatheringState", { _ = try $0.iceGatheringState() }),
            ("connectionState", { _ = try $0.connectionState() }),
            ("failure", { _ = try $0.failure() }),
            ("selectedPair", { _ = try $0.selectedPair() }),
            ("certificate", { _ = try $0.certificate() }),
        ]

        @Test func noMethodIsForgotten() throws {
            func names(in file: String, behind word: String) throws -> Set<String> {
                let file = repository.appendingPathComponent("bindings/mobile/swift/Sources/\(file)")
                let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
                return Set(
                    lines.compactMap { line in
                        let words = line.trimmingCharacters(in: .whitespaces)
                        guard words.hasPrefix(word) else { return nil }
                        return String(words.dropFirst(word.count).prefix { $0 != "(" && $0 != "<" })
                    }
                )
            }
            let tried = Set(Self.methods.map(\.name))
            #expect(tried.count == Self.methods.count)
            #expect(try names(in: "Frazil/Peer.swift", behind: "public func ") == tried.union(["close"]))
            // What the native library can, by the names that it has here.
            let native = try names(in: "FrazilNative/FrazilNative.swift", behind: "open func ")
            let public_ = native.map { $0 == "shutdown" ? "close" : $0.hasSuffix("At") ? String($0.dropLast(2)) : $0 }
            #expect(Set(public_) == tried.union(["close"]))
        }

        @Test func aPanicIsAnError() throws {
            for (name, call) in Self.methods {
                let peer = try makePeer()
                injectPanic()
                #expect(refusal { try call(peer) }?.reason == .panicked, "\(name)")
                for (other, call) in Self.methods {
                    #expect(refusal { try call(peer) }?.reason == .panicked, "\(other) after \(name)")
                }
                try peer.close()
            }
            injectPanic()
            #expect(refusal { _ = try makePeer() }?.reason == .panicked)
            injectPanic()
            #expect(refusal { _ = try hostSockets() }?.reason == .panicked)
            injectPanic()
            #expect(refusal { _ = try udpDriverConfig(Config()) }?.reason == .panicked)
            let peer = try makePeer()
            injectPanic()
            #expect(refusal { try peer.close() }?.reason == .panicked)
            try peer.close()
        }

        @Test func aPanicWhileAPeerIsFreedIsNoneOfTheProcess() throws {
            var peer: Peer? = try makePeer()
            #expect(peer != nil)
            injectPanic()
            peer = nil
        }

        @Test func aClosedPeerRefusesEverything() throws {
            let peer = try makePeer()
            try peer.close()
            try peer.close()
            for (name, call) in Self.methods {
                let error = refusal { try call(peer) }
                #expect(error?.reason == .closed, "\(name)")
                #expect(error?.message == "the peer is closed", "\(name)")
            }
        }

        @Test func errorsSayWhatIsWrong() throws {
            let peer = try makePeer()
            func expect(_ reason: FrazilError.Reason, _ part: String, _ call: () throws -> Void) {
                let error = refusal(call)
                #expect(error?.reason == reason)
                #expect(error?.message.contains(part) == true, "\(error?.message ?? "nothing")")
            }
            expect(.invalidArgument, "31 bytes") { _ = try Peer(seed: [UInt8](repeating: 0, count: 31), now: 0) }
            expect(.invalidState, "stable") { _ = try peer.createAnswer() }
            expect(.invalidDescription, "line 1") {
                try peer.setRemoteDescription(Description(type: "offer", sdp: "v=1"), now: 0)
            }
            expect(.invalidArgument, "bid") { try peer.setRemoteDescription(Description(type: "bid", sdp: ""), now: 0) }
            let candidate = IceCandidate(candidate: "candidate:nonsense", sdpMid: "0")
            expect(.invalidState, "before any remote") { try peer.addIceCandidate(candidate, now: 0) }
            let other = try makePeer(seed: 2)
            _ = try other.createDataChannel(ChannelConfig(label: "pond"), now: 0)
            try peer.setRemoteDescription(try other.createOffer(), now: 0)
            expect(.invalidCandidate, "ends before component") { try peer.addIceCandidate(candidate, now: 0) }
            try peer.setRemoteDescription(Description(type: "rollback", sdp: ""), now: 0)
            expect(.invalidArgument, "1 bytes") { _ = try withBuffer(1) { try peer.pollTransmit(into: $0) } }
            expect(.invalidArgument, "0 bytes") { _ = try peer.pollTransmits(into: .init(start: nil, count: 0)) }
            expect(.invalidArgument, "nowhere") { _ = try peer.pathId(udp(("nowhere", 1), ("192.0.2.2", 5000))) }
            expect(.invalidArgument, "behind the batch") {
                _ = try peer.handleDatagrams([0, 0, 0, 0, 9, 0, 0, 0], now: 0)
            }
            expect(.closed, "channel 7") { _ = try peer.send(channel: 7, message: [1], text: false, now: 0) }
            let unopened = try peer.createDataChannel(ChannelConfig(label: "pond"), now: 0)
            expect(.notSent, "not open") { _ = try peer.send(channel: unopened, message: [1], text: false, now: 0) }
            var config = Config()
            config.iceTransportPolicy = "some"
            expect(.invalidArgument, "some") { _ = try makePeer(config: config) }
            let servers = [IceServer(urls: ["http://192.0.2.1"])]
            expect(.invalidArgument, "http") { try peer.setServers(servers: servers, now: 0) }
            #expect(try peer.signalingState() == "stable")
            #expect(try peer.iceConnectionState() == "new")
            #expect(try peer.connectionState() == "new")
        }

        @Test func aServerIsShownWithoutItsPassword() {
            let server = IceServer(urls: ["turn:turn.example.org"], username: "alice", credential: "secret")
            #expect("\(server)".contains("alice"))
            #expect(!"\(server)".contains("secret"))
        }

        @Test func theReasonsAreThoseOfEveryLanguage() {
            let words = FrazilError.Reason.allCases.map(\.rawValue)
            #expect(
                words == [
                    "closed", "panicked", "invalid-argument", "invalid-state", "invalid-description",
                    "invalid-candidate",
                    "invalid-channel", "not-sent", "system",
                ]
            )
        }

        @Test func theLastMomentThereIsBreaksNothing() throws {
            let peer = try makePeer()
            try peer.handleNetworkChange(sockets: [host("192.0.2.1", 4000)], now: 1)
            _ = try peer.createDataChannel(ChannelConfig(label: "pond"), now: .max)
            try peer.setLocalDescription(try peer.createOffer(), now: 0)
            let other = try makePeer(seed: 2)
            try other.handleNetworkChange(sockets: [host("192.0.2.2", 5000)], now: .max)
            try other.setRemoteDescription(try #require(try peer.localDescription()), now: .max)
            try other.setLocalDescription(try other.createAnswer(), now: 0)
            try peer.setRemoteDescription(try #require(try other.localDescription()), now: .max - 1)
            for peer in [peer, other] {
                for now in [UInt64.max, 0, .max - 1, .max] {
                    try peer.handleTimeout(now: now)
                    while try withBuffer(Peer.minBuffer, { try peer.pollTransmit(into: $0) }) != nil {}
                    while try peer.pollEvent() != nil {}
                    _ = try peer.pollTimeout()
                }
                try peer.leave(now: .max)
                while try peer.pollEvent() != nil {}
            }
        }

        @Test func aNumberThatNamesNoPathIsSaid() throws {
            let peer = try makePeer()
            #expect(try peer.handleDatagram(path: 99, datagram: [23], now: 0) == false)
            let path = try peer.pathId(udp(("192.0.2.1", 4000), ("192.0.2.2", 5000)))
            #expect(try peer.handleDatagram(path: path, datagram: [UInt8](), now: 0))
            var batch: [UInt8] = []
            Batch.append([23, 1, 2], number: path, to: &batch)
            Batch.append([23], number: 99, to: &batch)
            #expect(try peer.handleDatagrams(batch, now: 0) == 1)
            #expect(
                batch.withUnsafeBytes { Batch($0).map { [$0.number, UInt32($0.bytes.count)] } } == [
                    [path, 3], [99, 1],
                ]
            )
        }
    }
}
