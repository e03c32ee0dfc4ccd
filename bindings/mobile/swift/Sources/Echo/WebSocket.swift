import Dispatch
import Foundation

/// A WebSocket client (RFC 6455) for text over plain TCP, as much of one as the signalling server asks for.
///
/// Foundation has a whole one on Apple's systems; on Linux it does not connect with every libcurl.
final class WebSocket: Sendable {
    /// What the server says; it ends when the server closes the connection.
    let texts: AsyncThrowingStream<String, any Error>

    private let descriptor: Int32
    /// Frames leave one after the other.
    private let writing = DispatchQueue(label: "websocket")

    private enum Opcode {
        static let text: UInt8 = 1
        static let close: UInt8 = 8
        static let ping: UInt8 = 9
        static let pong: UInt8 = 10
    }

    init(_ url: String) throws {
        guard let parts = URLComponents(string: url), parts.scheme == "ws", let host = parts.host else {
            throw Failure("\(url) is no address of the kind ws://host:port/path")
        }
        let port = parts.port ?? 80
        descriptor = try connectStream(to: host.trimmingCharacters(in: ["[", "]"]), port: port)
        let (texts, tell) = AsyncThrowingStream.makeStream(of: String.self)
        self.texts = texts

        let key = Data((0..<16).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString()
        let request = [
            "GET \(parts.path.isEmpty ? "/" : parts.path) HTTP/1.1", "Host: \(host):\(port)", "Upgrade: websocket",
            "Connection: Upgrade", "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13", "", "",
        ]
        try write(Data(request.joined(separator: "\r\n").utf8))
        let answer = try readHead()
        guard answer.hasPrefix("HTTP/1.1 101 ") else {
            throw Failure("\(url) answers \(answer.prefix { $0 != "\r\n" })")
        }
        Thread.detachNewThread { self.read(tell) }
    }

    deinit {
        Foundation.close(descriptor)
    }

    func send(_ text: String) async throws {
        try await sendFrame(Opcode.text, Data(text.utf8))
    }

    /// Says that we close the connection, and waits until the server has closed it.
    func close() async {
        try? await sendFrame(Opcode.close, Data([0x03, 0xe8]))
        do { for try await _ in texts {} } catch {}
    }

    private func sendFrame(_ opcode: UInt8, _ payload: Data) async throws {
        try await withCheckedThrowingContinuation { (sent: CheckedContinuation<Void, any Error>) in
            writing.async { sent.resume(with: Result { try self.write(Self.frame(opcode, payload)) }) }
        }
    }

    /// A frame of a client: masked, in one piece.
    private static func frame(_ opcode: UInt8, _ payload: Data) -> Data {
        // The length takes 7 bits, or 16 or 64 behind a 126 or 127.
        let count = payload.count
        let (short, long) = count < 126 ? (count, 0) : count < 65_536 ? (126, 2) : (127, 8)
        var frame = Data([0x80 | opcode, 0x80 | UInt8(short)])
        frame.append(contentsOf: (0..<long).reversed().map { UInt8(count >> ($0 * 8) & 0xff) })
        let mask = (0..<4).map { _ in UInt8.random(in: .min ... .max) }
        frame.append(contentsOf: mask)
        frame.append(contentsOf: payload.enumerated().map { $1 ^ mask[$0 % 4] })
        return frame
    }

    private func write(_ bytes: Data) throws {
        #if canImport(Darwin)
            let quietly: Int32 = 0
        #else
            let quietly = Int32(MSG_NOSIGNAL)
        #endif
        var start = 0
        while start < bytes.count {
            let sent = bytes.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
                Foundation.send(descriptor, bytes.baseAddress! + start, bytes.count - start, quietly)
            }
            guard sent > 0 else { throw Failure("the signalling server is gone") }
            start += sent
        }
    }

    // MARK: Reading, on a thread of its own

    private func read(_ tell: AsyncThrowingStream<String, any Error>.Continuation) {
        do {
            var message = Data()
            while let (isLast, opcode, payload) = try readFrame() {
                switch opcode {
                case Opcode.close:
                    return tell.finish()
                case Opcode.ping:
                    writing.async { try? self.write(Self.frame(Opcode.pong, payload)) }
                case Opcode.pong:
                    break
                default:
                    message.append(payload)
                    if isLast {
                        tell.yield(String(decoding: message, as: UTF8.self))
                        message.removeAll()
                    }
                }
            }
            tell.finish()
        } catch {
            tell.finish(throwing: error)
        }
    }

    private func readFrame() throws -> (isLast: Bool, opcode: UInt8, payload: Data)? {
        guard let head = try readExactly(2) else { return nil }
        var count = Int(head[1] & 0x7f)
        if count >= 126 {
            guard let length = try readExactly(count == 126 ? 2 : 8) else { return nil }
            count = length.reduce(0) { $0 << 8 | Int($1) }
        }
        // The server's limit is 64 KiB; nothing it says is ten times as long.
        guard (0..<1 << 20).contains(count) else { throw Failure("a message of \(count) bytes") }
        guard let payload = try readExactly(count) else { return nil }
        return (head[0] & 0x80 != 0, head[0] & 0x0f, payload)
    }

    /// So many bytes; nil if the connection ends before them.
    private func readExactly(_ count: Int) throws -> Data? {
        var bytes = Data(count: count)
        var start = 0
        while start < count {
            let came = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + start, count - start, 0) }
            if came < 0 { throw Failure("the signalling server is gone") }
            if came == 0 { return nil }
            start += came
        }
        return bytes
    }

    private func readHead() throws -> String {
        var head = Data()
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard head.count < 8192, let byte = try readExactly(1) else { throw Failure("that is no WebSocket server") }
            head.append(byte)
        }
        return String(decoding: head, as: UTF8.self)
    }
}

private func connectStream(to host: String, port: Int) throws -> Int32 {
    var hints = addrinfo()
    #if canImport(Darwin)
        hints.ai_socktype = SOCK_STREAM
    #else
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &list) == 0 else { throw Failure("\(host) has no address") }
    defer { freeaddrinfo(list) }
    for entry in sequence(first: list, next: { $0?.pointee.ai_next }) {
        guard let entry = entry?.pointee else { continue }
        let descriptor = socket(entry.ai_family, entry.ai_socktype, entry.ai_protocol)
        if descriptor >= 0, connect(descriptor, entry.ai_addr, entry.ai_addrlen) == 0 { return descriptor }
        if descriptor >= 0 { close(descriptor) }
    }
    throw Failure("\(host) does not answer on port \(port)")
}
