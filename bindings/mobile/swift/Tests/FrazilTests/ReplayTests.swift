import Foundation
import Testing

@testable import Frazil

extension Everything {
    /// What was recorded once comes out again, byte for byte, in every language.
    @Suite struct Replays {
        @Test func recordedSchedulesComeOutTheSame() throws {
            let folder = repository.appendingPathComponent("conformance/schedules")
            let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            let schedules = files.filter { $0.pathExtension == "txt" }
            #expect(!schedules.isEmpty)
            for schedule in schedules {
                let differs = try Replay.difference(from: try String(contentsOf: schedule, encoding: .utf8))
                #expect(differs == nil, "\(schedule.lastPathComponent)")
            }
        }

        @Test func whatDiffersIsSeen() throws {
            let schedule = """
                frazil schedule 1
                seed \(String(repeating: "07", count: 32))
                new 5
                # A comment.
                sockets 5 udp,192.0.2.1,4000,ethernet,1,0,false,false
                > event IceGatheringStateChange
                > deadline -
                path udp 192.0.2.1 4000 192.0.2.2 5000
                > path 1
                """
            let path = "path udp 192.0.2.1 4000 192.0.2.2 5000"
            #expect(try Replay.difference(from: schedule) == "after \(path)\n> path 0\nand not\n> path 1")
            let right = schedule.replacingOccurrences(of: "> path 1", with: "> path 0")
            #expect(try Replay.difference(from: right) == nil)
            let tooMuch = right + "\n> deadline -"
            #expect(try Replay.difference(from: tooMuch) == "after \(path)\n> path 0\nand not\n> path 0\n> deadline -")
        }
    }
}

/// Does what the lines of a schedule say, and holds what comes out against its other lines.
private struct Replay {
    private var seed = Data()
    private var certificate: Certificate?
    private var config = Config()
    private var servers: [IceServer] = []
    private var peer: Peer?
    private var lines: [String] = []

    /// The first place where something else comes out; nil if there is none.
    static func difference(from schedule: String) throws -> String? {
        var replay = Replay()
        let lines = schedule.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
        try #require(lines.first == "frazil schedule 1")
        var at = 1
        while at < lines.count {
            let input = lines[at]
            at += 1
            var expected: [String] = []
            while at < lines.count, lines[at].hasPrefix("> ") {
                expected.append(lines[at])
                at += 1
            }
            replay.lines = []
            try replay.take(input.split(separator: " ").map(String.init))
            if replay.lines != expected {
                let (came, wanted) = (replay.lines.joined(separator: "\n"), expected.joined(separator: "\n"))
                return "after \(input)\n\(came)\nand not\n\(wanted)"
            }
        }
        return nil
    }

    private mutating func take(_ words: [String]) throws {
        let rest = Array(words.dropFirst())
        switch words[0] {
        case "seed": seed = try bytes(rest[0])
        case "certificate": certificate = Certificate(certificate: try bytes(rest[0]), privateKey: try bytes(rest[1]))
        case "config": for setting in rest { try set(setting) }
        case "server":
            servers.append(IceServer(urls: [rest[0]], username: given(rest[1]), credential: given(rest[2])))
        case "new":
            peer = try Peer(
                config: config,
                servers: servers,
                certificate: certificate,
                seed: seed,
                now: try number(rest[0])
            )
        default: try hand(words[0], rest, to: try #require(peer))
        }
    }

    private mutating func hand(_ word: String, _ words: [String], to peer: Peer) throws {
        switch word {
        case "offer": return say(try peer.createOffer())
        case "answer": return say(try peer.createAnswer())
        case "restart": return try peer.restartIce()
        case "path":
            let local = (words[1], try number(words[2]) as UInt16)
            let path = Path(
                protocol: words[0],
                localIp: local.0,
                localPort: local.1,
                remoteIp: words[3],
                remotePort: try number(words[4])
            )
            return lines.append("> path \(try peer.pathId(path))")
        default: break
        }
        let now: UInt64 = try number(words[0])
        switch word {
        case "sockets": try peer.handleNetworkChange(sockets: try words.dropFirst().map(socket), now: now)
        case "end": try peer.endOfCandidates(now: now)
        case "channel":
            lines.append("> channel \(try peer.createDataChannel(ChannelConfig(label: words[1]), now: now))")
        case "local": try peer.setLocalDescription(try description(words), now: now)
        case "remote": try peer.setRemoteDescription(try description(words), now: now)
        case "candidate":
            let candidate = IceCandidate(
                candidate: try text(words[3]),
                sdpMid: given(words[1]),
                sdpMLineIndex: nil,
                usernameFragment: given(words[2])
            )
            try peer.addIceCandidate(candidate, now: now)
        case "resolved":
            let addresses = given(words[2])?.split(separator: ",").map(String.init) ?? []
            try peer.handleResolved(request: try number(words[1]), addresses: addresses, now: now)
        case "datagram":
            #expect(try peer.handleDatagram(path: try number(words[1]), datagram: try bytes(words[2]), now: now))
        case "batch":
            var batch: [UInt8] = []
            for entry in words.dropFirst() {
                let parts = entry.split(separator: ":").map(String.init)
                Batch.append(try bytes(parts[1]), number: try number(parts[0]), to: &batch)
            }
            #expect(try peer.handleDatagrams(batch, now: now) == words.count - 1)
        case "opened": try peer.handleStreamOpened(path: try number(words[1]), now: now)
        case "closed": try peer.handleStreamClosed(path: try number(words[1]), now: now)
        case "stream": try peer.handleStreamData(path: try number(words[1]), bytes: try bytes(words[2]), now: now)
        case "timeout": try peer.handleTimeout(now: now)
        case "leave": try peer.leave(now: now)
        default: Issue.record("no input \(word)")
        }
        try drain(peer)
    }

    /// All transmits, then all events, until there are neither; then the deadline.
    private mutating func drain(_ peer: Peer) throws {
        var before = -1
        while before != lines.count {
            before = lines.count
            try withBuffer(Peer.minBuffer) { buffer in
                while let transmit = try peer.pollTransmit(into: buffer) {
                    lines.append("> transmit \(transmit.path) \(hex(buffer[..<transmit.count]))")
                }
            }
            while let event = try peer.pollEvent() {
                var line = "> event \(name(event))"
                if case .localIceCandidate(let candidate, _, _, _) = event { line += " \(hex(candidate.utf8))" }
                lines.append(line)
            }
        }
        lines.append("> deadline \(try peer.pollTimeout().map(String.init) ?? "-")")
    }

    private mutating func say(_ description: Description) {
        lines.append("> description \(description.type) \(hex(description.sdp.utf8))")
    }

    private mutating func set(_ setting: String) throws {
        let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
        let (name, value) = (parts[0], parts[1])
        switch name {
        case "ice_transport_policy": config.iceTransportPolicy = value
        case "mdns_candidates": config.mdnsCandidates = value == "true"
        case "active_tcp": config.activeTcp = value == "true"
        case "max_message_size": config.maxMessageSize = try number(value)
        case "mtu": config.mtu = try number(value)
        case "dtls_1_3": config.dtls13 = value == "true"
        case "max_channels": config.maxChannels = try number(value)
        case "send_buffer": config.sendBuffer = try number(value)
        case "receive_buffer": config.receiveBuffer = try number(value)
        default: Issue.record("no setting \(name)")
        }
    }

    private func socket(_ word: String) throws -> HostSocket {
        let parts = word.split(separator: ",").map(String.init)
        return HostSocket(
            protocol: parts[0],
            ip: parts[1],
            port: try number(parts[2]),
            interface: parts[3],
            index: try number(parts[4]),
            cost: try number(parts[5]),
            temporary: parts[6] == "true",
            deprecated: parts[7] == "true"
        )
    }

    private func description(_ words: [String]) throws -> Description {
        Description(type: words[1], sdp: words.count > 2 ? try text(words[2]) : "")
    }

    /// An event's name in every language.
    private func name(_ event: Event) -> String {
        let name = String(describing: event).prefix { $0 != "(" }
        return name.prefix(1).uppercased() + name.dropFirst()
    }
}

private func number<Number: FixedWidthInteger>(_ word: String) throws -> Number {
    try #require(Number(word), "\(word) is no number")
}

private func given(_ word: String) -> String? {
    word == "-" ? nil : word
}

private func text(_ hex: String) throws -> String {
    String(decoding: try bytes(hex), as: UTF8.self)
}

private func bytes(_ hex: String) throws -> Data {
    if hex == "-" { return Data() }
    let digits = Array(hex.utf8)
    try #require(digits.count % 2 == 0)
    return Data(
        try stride(from: 0, to: digits.count, by: 2).map { at in
            try #require(UInt8(String(decoding: digits[at..<at + 2], as: UTF8.self), radix: 16))
        }
    )
}

private func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let text = String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    return text.isEmpty ? "-" : text
}
