import Foundation
import Frazil

/// A stay in a room of the signalling server (`docs/signaling.md`).
final class Room: Sendable {
    private let socket: WebSocket
    /// Who was there before us.
    private let members: [Member]

    /// What a member tells the others of itself.
    struct Info: Codable {
        let part: String
        let language: String
    }

    struct Member: Decodable {
        let id: String
        /// Nil if it tells something else.
        let info: Info?

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: Field.self)
            id = try fields.decode(String.self, forKey: .id)
            info = try? fields.decode(Info.self, forKey: .info)
        }

        private enum Field: CodingKey { case id, info }
    }

    /// What other members say and do.
    enum News: Sendable {
        case joined(id: String, part: String?)
        case description(from: String, Description)
        case candidate(from: String, IceCandidate)
    }

    private init(socket: WebSocket, members: [Member]) {
        self.socket = socket
        self.members = members
    }

    /// Enters a room; the other members are told `info`.
    static func join(_ url: String, room: String, info: Info) async throws -> Room {
        let socket = try WebSocket(url)
        try await socket.send(encode(Request(type: "join", room: room, info: info)))
        for try await text in socket.texts {
            if case .welcome(let members) = try decode(text) { return Room(socket: socket, members: members) }
        }
        throw Failure("the signalling server closed the connection")
    }

    /// Waits for the member who plays this part.
    func member(part: String) async throws -> String {
        if let member = members.first(where: { $0.info?.part == part }) { return member.id }
        for try await news in news {
            if case .joined(let id, part) = news { return id }
        }
        throw Failure("the signalling server closed the connection")
    }

    /// Waits for an offer, from whomever.
    func offer() async throws -> (from: String, offer: Description) {
        for try await news in news {
            if case .description(let from, let description) = news { return (from, description) }
        }
        throw Failure("the signalling server closed the connection")
    }

    /// What other members say and do, from now on. One task at a time may iterate over it.
    var news: AsyncThrowingCompactMapSequence<AsyncThrowingStream<String, any Error>, News> {
        socket.texts.compactMap { text in
            switch try Self.decode(text) {
            case .joined(let member): .joined(id: member.id, part: member.info?.part)
            case .description(let from, let said):
                .description(from: from, Description(type: said.type, sdp: said.sdp ?? ""))
            case .candidate(let from, let said):
                .candidate(
                    from: from,
                    IceCandidate(
                        candidate: said.candidate,
                        sdpMid: said.sdpMid,
                        sdpMLineIndex: said.sdpMLineIndex,
                        usernameFragment: said.usernameFragment
                    )
                )
            case .refused(let why): throw Failure("the signalling server refused: \(why)")
            case .welcome, .other: nil
            }
        }
    }

    /// Sends a member our description.
    func send(_ description: Description, to member: String) async throws {
        let said = SessionDescription(type: description.type, sdp: description.sdp)
        try await socket.send(Self.encode(Request(type: "description", to: member, description: said)))
    }

    /// Sends a member a candidate of ours.
    func send(_ candidate: IceCandidate, to member: String) async throws {
        let said = Candidate(
            candidate: candidate.candidate,
            sdpMid: candidate.sdpMid,
            sdpMLineIndex: candidate.sdpMLineIndex,
            usernameFragment: candidate.usernameFragment
        )
        try await socket.send(Self.encode(Request(type: "candidate", to: member, candidate: said)))
    }

    /// Leaves, and waits until the server has closed the connection.
    func leave() async throws {
        try await socket.send(Self.encode(Request(type: "leave")))
        await socket.close()
    }

    private static func encode(_ request: Request) throws -> String {
        String(decoding: try JSONEncoder().encode(request), as: UTF8.self)
    }

    private static func decode(_ text: String) throws -> Answer {
        try JSONDecoder().decode(Answer.self, from: Data(text.utf8))
    }
}

/// W3C's `RTCSessionDescriptionInit`.
private struct SessionDescription: Codable {
    let type: String
    let sdp: String?
}

/// W3C's `RTCIceCandidateInit`.
private struct Candidate: Codable {
    let candidate: String
    let sdpMid: String?
    let sdpMLineIndex: UInt16?
    let usernameFragment: String?
}

/// What we say to the server.
private struct Request: Encodable {
    let type: String
    var room: String?
    var info: Room.Info?
    var to: String?
    var description: SessionDescription?
    var candidate: Candidate?
}

/// What the server says.
private enum Answer: Decodable {
    case welcome([Room.Member])
    case joined(Room.Member)
    case description(from: String, SessionDescription)
    case candidate(from: String, Candidate)
    case refused(String)
    case other

    private enum Field: CodingKey { case type, members, member, from, description, candidate, message }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Field.self)
        self =
            switch try fields.decode(String.self, forKey: .type) {
            case "welcome": .welcome(try fields.decode([Room.Member].self, forKey: .members))
            case "peer-joined": .joined(try fields.decode(Room.Member.self, forKey: .member))
            case "description":
                .description(
                    from: try fields.decode(String.self, forKey: .from),
                    try fields.decode(SessionDescription.self, forKey: .description)
                )
            case "candidate":
                .candidate(
                    from: try fields.decode(String.self, forKey: .from),
                    try fields.decode(Candidate.self, forKey: .candidate)
                )
            case "error": .refused(try fields.decode(String.self, forKey: .message))
            default: .other
            }
    }
}
