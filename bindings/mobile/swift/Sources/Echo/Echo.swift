// Two programs find each other in a room, connect, and one of them echoes what the other sends.
//
//     frazil-echo --signaling ws://127.0.0.1:8080/ws --room pond --part answerer
//     frazil-echo --signaling ws://127.0.0.1:8080/ws --room pond --part offerer
//
// The same program is there in other languages, and each works with each: `docs/language-matrix.md` says what it does.

import Foundation
import Frazil

@main
enum Echo {
    /// How long all of it may take, in seconds.
    static let limit = 120

    static func main() async {
        let arguments: Arguments
        do {
            arguments = try Arguments(CommandLine.arguments.dropFirst())
        } catch {
            FileHandle.standardError.write(Data("\(error)\n\(Arguments.usage)\n".utf8))
            exit(2)
        }
        Task {
            try await Task.sleep(for: .seconds(limit))
            end(arguments, Failure("not done within \(limit) s"))
        }
        do {
            let report = try await run(arguments)
            say(report)
        } catch {
            end(arguments, error)
        }
    }

    static func run(_ arguments: Arguments) async throws -> Report {
        let info = Room.Info(part: arguments.part.rawValue, language: Report.language)
        let room = try await Room.join(arguments.signaling, room: arguments.room, info: info)
        let report =
            switch arguments.part {
            case .offerer: try await offer(arguments, room)
            case .answerer: try await answer(arguments, room)
            }
        try await room.leave()
        return report
    }

    static func offer(_ arguments: Arguments, _ room: Room) async throws -> Report {
        let answerer = try await room.member(part: "answerer")
        let meeting = try Meeting(room, other: answerer, loopback: arguments.loopback)
        var config = ChannelConfig(label: "echo")
        config.protocol = "frazil-echo"
        let channel = try await meeting.connection.createDataChannel(config)
        try await meeting.describe(try await meeting.connection.createOffer())

        let (received, seen) = try await meeting.run { _ in
            let received = try await sendAndReceive(arguments.bytes, on: channel)
            await meeting.connection.close()
            return received
        }
        return meeting.report(.offerer, received, seen)
    }

    static func answer(_ arguments: Arguments, _ room: Room) async throws -> Report {
        let (offerer, offer) = try await room.offer()
        let meeting = try Meeting(room, other: offerer, loopback: arguments.loopback)
        try await meeting.connection.setRemoteDescription(offer)
        try await meeting.describe(try await meeting.connection.createAnswer())

        let (received, seen) = try await meeting.run { channels in
            for await channel in channels {
                return try await echo(channel)
            }
            throw Failure("the other side closed the connection without a channel")
        }
        return meeting.report(.answerer, received, seen)
    }

    /// Sends random bytes, and takes what comes back meanwhile. Who sends all before receiving would wait for ever:
    /// neither side keeps more than a buffer for the other.
    static func sendAndReceive(_ bytes: Int, on channel: Channel) async throws -> Received {
        async let sent = send(bytes, on: channel)
        var received = Received()
        while received.bytes < bytes {
            guard let message = await channel.receive() else {
                throw Failure("the channel was closed before all had come back")
            }
            received.take(message)
        }
        let hash = try await sent.hash.hex
        guard hash == received.hash.hex else {
            throw Failure("what came back has the SHA-256 \(received.hash.hex), what was sent had \(hash)")
        }
        return received
    }

    static func send(_ bytes: Int, on channel: Channel) async throws -> Received {
        var (sent, random) = (Received(), SystemRandomNumberGenerator())
        while sent.bytes < bytes {
            let count = min(bytes - sent.bytes, 16_384)
            let message = Channel.Message.binary(
                Data((0..<count).map { _ in .random(in: .min ... .max, using: &random) })
            )
            sent.take(message)
            // This waits while the buffer is full.
            try await channel.send(message)
        }
        return sent
    }

    /// Sends each message back, until the channel is closed.
    static func echo(_ channel: Channel) async throws -> Received {
        var received = Received()
        for await message in channel.messages {
            received.take(message)
            try await channel.send(message)
        }
        return received
    }

    static func say(_ line: some Encodable) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        guard let line = try? encoder.encode(line) else { return }
        FileHandle.standardOutput.write(line + Data("\n".utf8))
    }

    static func end(_ arguments: Arguments, _ error: any Error) -> Never {
        say(["part": arguments.part.rawValue, "language": Report.language, "error": "\(error)"])
        exit(1)
    }
}

/// A connection, and the member of the room that it is to.
struct Meeting {
    let connection: Connection
    private let room: Room
    private let other: String
    private let started = ContinuousClock.now

    /// What was seen of a connection.
    struct Seen {
        var connected: Duration?
        var isClosed = false
    }

    init(_ room: Room, other: String, loopback: Bool) throws {
        self.room = room
        self.other = other
        connection = try Connection(loopback: loopback)
    }

    /// Takes an offer or an answer of ours into effect, and tells the other side.
    func describe(_ description: Description) async throws {
        try await connection.setLocalDescription(description)
        try await room.send(description, to: other)
    }

    /// Trickles candidates both ways until the connection is closed. Meanwhile `transfer` runs, which is given the
    /// channels that the other side opens.
    func run(
        _ transfer: @escaping @Sendable (AsyncStream<Channel>) async throws -> Received
    ) async throws -> (Received, Seen) {
        let (channels, tell) = AsyncStream.makeStream(of: Channel.self)
        let room = Task { try await closingOnFailure { try await followRoom() } }
        async let received = closingOnFailure { try await transfer(channels) }
        let seen = try await closingOnFailure { try await followConnection(tell) }
        room.cancel()
        try await room.value
        await connection.close()
        return (try await received, seen)
    }

    /// Whoever fails closes the connection, which ends what the others do.
    private func closingOnFailure<Done>(_ work: () async throws -> Done) async throws -> Done {
        do {
            return try await work()
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Hands in what the other member says.
    private func followRoom() async throws {
        for try await news in room.news {
            switch news {
            case .description(other, let description) where description.type != "offer":
                try await connection.setRemoteDescription(description)
            case .candidate(other, let candidate):
                // One candidate that is of no use does not end a connection.
                do {
                    try await connection.addIceCandidate(candidate)
                } catch {
                    FileHandle.standardError.write(Data("refused \(candidate.candidate): \(error)\n".utf8))
                }
            // A member who has left may still be connected: the connection itself says how it ends.
            default: break
            }
        }
    }

    /// Hands on what the connection says, until it is closed.
    private func followConnection(_ channels: AsyncStream<Channel>.Continuation) async throws -> Seen {
        defer { channels.finish() }
        var seen = Seen()
        for await event in connection.events {
            switch event {
            case .iceCandidate(let candidate): try await room.send(candidate, to: other)
            case .channel(let channel): channels.yield(channel)
            case .connectionStateChange(.connected, _): seen.connected = seen.connected ?? started.duration(to: .now)
            case .connectionStateChange(.failed, let why): throw Failure("the connection failed: \(why ?? "")")
            case .connectionStateChange(.closed, let why?): throw Failure("the connection broke down: \(why)")
            default: break
            }
        }
        seen.isClosed = true
        return seen
    }

    func report(_ part: Arguments.Part, _ received: Received, _ seen: Seen) -> Report {
        Report(
            part: part.rawValue,
            connected: seen.connected != nil,
            bytes: received.bytes,
            sha256: received.hash.hex,
            closed: seen.isClosed,
            connectMilliseconds: seen.connected.map { Int($0 / .milliseconds(1)) },
            milliseconds: Int(started.duration(to: .now) / .milliseconds(1))
        )
    }
}

/// All that has come, in order.
struct Received: Sendable {
    var bytes = 0
    var hash = SHA256()

    mutating func take(_ message: Channel.Message) {
        bytes += message.count
        switch message {
        case .text(let text): hash.update(text.utf8)
        case .binary(let data): hash.update(data)
        }
    }
}

/// What is told in the end.
struct Report: Encodable {
    static let language = "swift"

    let part: String
    let language = Self.language
    let connected: Bool
    let bytes: Int
    let sha256: String
    let closed: Bool
    let connectMilliseconds: Int?
    let milliseconds: Int
}

/// What the program is told.
struct Arguments {
    static let usage = "usage: frazil-echo --signaling URL --room ROOM --part offerer|answerer [--bytes N] [--loopback]"

    enum Part: String {
        case offerer, answerer
    }

    let signaling: String
    let room: String
    let part: Part
    let bytes: Int
    let loopback: Bool

    init(_ words: some Sequence<String>) throws {
        var (values, words, loopback): ([String: String], _, _) = ([:], Array(words)[...], false)
        while let option = words.popFirst() {
            switch option {
            case "--loopback": loopback = true
            case "--signaling", "--room", "--part", "--bytes":
                guard let value = words.popFirst() else { throw Failure("\(option) wants a value") }
                values[option] = value
            default: throw Failure("no option \(option)")
            }
        }
        guard let signaling = values["--signaling"], let room = values["--room"],
            let part = values["--part"].flatMap(Part.init), let bytes = Int(values["--bytes"] ?? "1048576"), bytes >= 0
        else { throw Failure("an option is missing or wrong") }
        (self.signaling, self.room, self.part, self.bytes, self.loopback) = (signaling, room, part, bytes, loopback)
    }
}

/// Why it did not work.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
