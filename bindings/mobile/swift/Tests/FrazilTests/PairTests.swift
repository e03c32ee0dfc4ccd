import Foundation
import Testing

@testable import Frazil

/// Two peers whose datagrams are carried by hand, in a time of their own.
private final class VirtualPair {
    let peers: [Peer]
    var events: [[Event]] = [[], []]
    private var now: UInt64 = 0
    private let isBatched: Bool
    private static let addresses = [("192.0.2.1", UInt16(4000)), ("192.0.2.2", UInt16(5000))]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 8)

    init(isBatched: Bool, config: Config) throws {
        self.isBatched = isBatched
        peers = try [makePeer(seed: 1, config: config), makePeer(seed: 2, config: config)]
        for (peer, address) in zip(peers, Self.addresses) {
            try peer.handleNetworkChange(sockets: [host(address.0, address.1)], now: now)
            try peer.endOfCandidates(now: now)
        }
    }

    deinit { buffer.deallocate() }

    func negotiate() throws {
        try peers[0].setLocalDescription(try peers[0].createOffer(), now: now)
        try peers[1].setRemoteDescription(try #require(try peers[0].localDescription()), now: now)
        try peers[1].setLocalDescription(try peers[1].createAnswer(), now: now)
        try peers[0].setRemoteDescription(try #require(try peers[1].localDescription()), now: now)
    }

    func createChannel() throws -> UInt32 {
        try peers[0].createDataChannel(ChannelConfig(label: "pond"), now: now)
    }

    func send(_ side: Int, _ channel: UInt32, _ bytes: [UInt8], text: Bool = false) throws -> Bool {
        try peers[side].send(channel: channel, message: bytes, text: text, now: now)
    }

    func release(_ side: Int, _ channel: UInt32, _ bytes: UInt32) throws {
        try peers[side].release(channel: channel, bytes: bytes, now: now)
    }

    func closeChannel(_ side: Int, _ channel: UInt32) throws {
        try peers[side].closeChannel(channel, now: now)
    }

    func leave(_ side: Int) throws {
        try peers[side].leave(now: now)
    }

    /// The first event of a side for which `pick` gives something, once it has come; within a minute.
    func next<Found>(_ side: Int, _ pick: (Event) -> Found?) throws -> Found? {
        let limit = now + 60_000_000_000
        while true {
            try settle()
            if let at = events[side].firstIndex(where: { pick($0) != nil }) {
                return pick(events[side].remove(at: at))
            }
            let deadlines = try peers.compactMap { try $0.pollTimeout() }
            guard let next = deadlines.min(), next < limit else { return nil }
            now = max(now, next)
            for peer in peers { try peer.handleTimeout(now: now) }
        }
    }

    private func settle() throws {
        var moved = true
        while moved {
            moved = false
            for side in 0..<2 {
                while try carry(from: side) { moved = true }
                while try takeEvent(side) { moved = true }
            }
        }
    }

    private func carry(from side: Int) throws -> Bool {
        guard isBatched else {
            guard let transmit = try peers[side].pollTransmit(into: buffer) else { return false }
            let bytes = [UInt8](buffer[..<transmit.count])
            let path = try path(at: 1 - side, for: transmit.path, of: side)
            #expect(try peers[1 - side].handleDatagram(path: path, datagram: bytes, now: now))
            return true
        }
        let count = try peers[side].pollTransmits(into: buffer)
        var batch: [UInt8] = []
        var entries = 0
        for entry in Batch(.init(rebasing: buffer[..<count])) {
            Batch.append(entry.bytes, number: try path(at: 1 - side, for: entry.number, of: side), to: &batch)
            entries += 1
        }
        #expect(try peers[1 - side].handleDatagrams(batch, now: now) == entries)
        return count > 0
    }

    private func path(at receiver: Int, for number: UInt32, of sender: Int) throws -> UInt32 {
        let path = try #require(try peers[sender].path(number))
        return try peers[receiver].pathId(udp((path.remoteIp, path.remotePort), (path.localIp, path.localPort)))
    }

    private func takeEvent(_ side: Int) throws -> Bool {
        switch try peers[side].waiting() {
        case .nothing: return false
        case .message where isBatched:
            let count = try peers[side].pollMessages(into: buffer)
            for entry in Batch(.init(rebasing: buffer[..<count])) {
                events[side].append(.message(channel: entry.number, text: entry.isText, data: Data(entry.bytes)))
            }
        default:
            events[side].append(try #require(try peers[side].pollEvent()))
        }
        return true
    }
}

private func isOpen(_ event: Event) -> UInt32? {
    if case .channelOpen(let channel) = event { channel } else { nil }
}

private func isIncoming(_ event: Event) -> UInt32? {
    if case .dataChannel(let channel, "pond", "", true, nil, nil) = event { channel } else { nil }
}

private func isMessage(_ event: Event) -> (text: Bool, data: Data)? {
    if case .message(_, let text, let data) = event { (text, data) } else { nil }
}

private func isLow(_ event: Event) -> Bool? {
    if case .bufferedAmountLow = event { true } else { nil }
}

private func isChannelClosed(_ event: Event) -> Bool? {
    if case .channelClosed = event { true } else { nil }
}

private func isClosed(_ event: Event) -> Bool? {
    if case .connectionStateChange("closed", _) = event { true } else { nil }
}

extension Everything {
    @Suite struct Pairs {
        @Test(arguments: [false, true]) func twoPeersTalk(isBatched: Bool) throws {
            var config = Config()
            config.sendBuffer = 65_536
            let pair = try VirtualPair(isBatched: isBatched, config: config)
            let ours = try pair.createChannel()
            try pair.negotiate()
            #expect(try pair.next(0, isOpen) == ours)
            let theirs = try #require(try pair.next(1, isIncoming))

            #expect(try pair.send(0, ours, Array("Grüße".utf8), text: true))
            let text = try #require(try pair.next(1, isMessage))
            #expect(text.text)
            #expect(text.data == Data("Grüße".utf8))
            #expect(try pair.send(1, theirs, [0, 1, 2, 255]))
            let binary = try #require(try pair.next(0, isMessage))
            #expect(!binary.text)
            #expect(binary.data == Data([0, 1, 2, 255]))
            #expect(try pair.send(1, theirs, []))
            #expect(try #require(try pair.next(0, isMessage)).data.isEmpty)

            // Until the buffer is full, and again when there is room.
            let message = [UInt8](repeating: 7, count: 16_384)
            var sent = 0
            while try pair.send(0, ours, message) {
                sent += 1
                try #require(sent < 100)
            }
            #expect(sent >= 3)
            #expect(try pair.peers[0].bufferedAmount(channel: ours) > 0)
            #expect(try pair.next(0, isLow) == true)
            #expect(try pair.send(0, ours, message))
            for _ in 0...sent {
                #expect(try #require(try pair.next(1, isMessage)).data.count == message.count)
            }
            #expect(try pair.peers[0].selectedPair()?.remoteIp == "192.0.2.2")
            #expect(try pair.peers[1].connectionState() == "connected")

            try pair.closeChannel(0, ours)
            #expect(try pair.next(1, isChannelClosed) == true)
            #expect(try pair.next(0, isChannelClosed) == true)
            #expect(refusal { _ = try pair.send(0, ours, [1]) }?.reason == .closed)
            try pair.leave(0)
            #expect(try pair.next(1, isClosed) == true)
        }

        @Test func whatIsNotReleasedHoldsTheSenderBack() throws {
            var config = Config()
            config.sendBuffer = 65_536
            config.receiveBuffer = 65_536
            let pair = try VirtualPair(isBatched: true, config: config)
            let ours = try pair.createChannel()
            try pair.negotiate()
            #expect(try pair.next(0, isOpen) == ours)
            let theirs = try #require(try pair.next(1, isIncoming))
            let message = [UInt8](repeating: 7, count: 16_384)
            // Nobody reads: it ends, and a minute later there is still no room.
            var sent = 0
            repeat {
                while try pair.send(0, ours, message) {
                    sent += 1
                    try #require(sent < 1000)
                }
            } while try pair.next(0, isLow) == true
            // One who reads has it go on.
            var received = 0
            while try pair.next(1, isMessage) != nil {
                try pair.release(1, theirs, UInt32(message.count))
                received += 1
                if received == sent { break }
            }
            #expect(received == sent)
            #expect(try pair.next(0, isLow) == true)
            #expect(try pair.send(0, ours, message))
        }
    }
}
