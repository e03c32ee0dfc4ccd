import Foundation

/// A data channel (W3C `RTCDataChannel`). Any task may use it; calls that wait at the same time are served in turn.
public final class Channel: Sendable {
    /// A message.
    public enum Message: Equatable, Sendable {
        /// Text.
        case text(String)
        /// Bytes.
        case binary(Data)

        /// Its length in bytes.
        public var count: Int {
            switch self {
            case .text(let text): text.utf8.count
            case .binary(let bytes): bytes.count
            }
        }
    }

    /// A name for the application's use.
    public let label: String
    /// The subprotocol's name; empty for none.
    public let `protocol`: String
    /// Whether messages arrive in the order in which they were sent.
    public let isOrdered: Bool

    private let driver: Driver
    private let line: Line

    init(label: String, protocol: String, isOrdered: Bool, driver: Driver, line: Line) {
        self.label = label
        self.protocol = `protocol`
        self.isOrdered = isOrdered
        self.driver = driver
        self.line = line
    }

    /// Waits until the channel is open. It throws a ``FrazilError`` if it never will be, and `CancellationError` if the
    /// task is cancelled.
    public func opened() async throws {
        try await driver.opened(line)
    }

    /// Sends a text; see ``send(_:)-(Message)``.
    public func send(_ text: String) async throws {
        try await driver.send(Data(text.utf8), isText: true, on: line)
    }

    /// Sends bytes; see ``send(_:)-(Message)``.
    public func send(_ bytes: Data) async throws {
        try await driver.send(bytes, isText: false, on: line)
    }

    /// Sends a message, as soon as the channel is open and its buffer has room.
    ///
    /// It throws a ``FrazilError`` if the message cannot be sent, and `CancellationError` if the task is cancelled
    /// before it was.
    public func send(_ message: Message) async throws {
        switch message {
        case .text(let text): try await send(text)
        case .binary(let bytes): try await send(bytes)
        }
    }

    /// The next message; nil if the channel is closed and all were received, or if the task is cancelled.
    public func receive() async -> Message? {
        await driver.receive(on: line)
    }

    /// The messages as they come, until the channel is closed. What waits to be received holds the other side back.
    public var messages: Messages { Messages(channel: self) }

    /// W3C `bufferedAmount`: bytes that the other side has not acknowledged yet.
    public func bufferedAmount() async throws(FrazilError) -> Int {
        let number = line.number
        return try await driver.perform { peer, _ throws(FrazilError) in Int(try peer.bufferedAmount(channel: number)) }
    }

    /// Closes the channel once what was sent is delivered, and waits for that. To close it twice is no error.
    public func close() async throws {
        try await driver.closeChannel(line)
    }

    /// The messages of a channel as they come.
    public struct Messages: AsyncSequence, Sendable {
        public typealias Element = Message
        let channel: Channel

        public func makeAsyncIterator() -> Iterator { Iterator(channel: channel) }

        /// Takes one message after the other.
        public struct Iterator: AsyncIteratorProtocol {
            let channel: Channel

            public mutating func next() async -> Message? { await channel.receive() }
        }
    }
}

/// What the driver knows of a channel. It is used on the driver's queue alone.
final class Line: @unchecked Sendable {
    let number: UInt32
    private(set) var isOpen: Bool
    /// Why nothing can be sent any more.
    private(set) var end: FrazilError?
    var inbox = Fifo<Channel.Message>()
    /// What the application has read and the peer does not know of, in bytes.
    var unreleased = 0
    var senders = Fifo<Sender>()
    private var receivers = Fifo<Waiter<Channel.Message?>>()
    private var openers = Fifo<Waiter<Void>>()
    private var closers = Fifo<Waiter<Void>>()

    struct Sender: Sendable {
        let waiter: Waiter<Void>
        let bytes: Data
        let isText: Bool
    }

    init(number: UInt32, isOpen: Bool) {
        self.number = number
        self.isOpen = isOpen
    }

    func open() {
        isOpen = true
        while let opener = openers.popFirst() { opener.resume(returning: ()) }
    }

    /// Nothing comes any more, and nothing can be sent.
    func close(_ why: FrazilError) {
        guard end == nil else { return }
        end = why
        isOpen = false
        while let opener = openers.popFirst() { opener.resume(throwing: why) }
        while let sender = senders.popFirst() { sender.waiter.resume(throwing: why) }
        while let receiver = receivers.popFirst() { receiver.resume(returning: nil) }
        while let closer = closers.popFirst() { closer.resume(returning: ()) }
    }

    /// Gives a message to who waits for one, or keeps it. Gives whether it was received.
    func deliver(_ message: Channel.Message) -> Bool {
        if let receiver = receivers.popFirst() {
            receiver.resume(returning: message)
            return true
        }
        inbox.append(message)
        return false
    }

    func wait(toOpen waiter: Waiter<Void>) {
        if let end {
            waiter.resume(throwing: end)
        } else if isOpen {
            waiter.resume(returning: ())
        } else {
            openers.append(waiter)
        }
    }

    func wait(toClose waiter: Waiter<Void>) {
        if end == nil { closers.append(waiter) } else { waiter.resume(returning: ()) }
    }

    func wait(toReceive waiter: Waiter<Channel.Message?>) {
        if end == nil { receivers.append(waiter) } else { waiter.resume(returning: nil) }
    }

    /// Ends the waiting of a task that was cancelled.
    func cancel(_ ticket: Ticket) {
        let cancelled = CancellationError()
        openers.remove { $0.ticket === ticket }?.resume(throwing: cancelled)
        senders.remove { $0.waiter.ticket === ticket }?.waiter.resume(throwing: cancelled)
        receivers.remove { $0.ticket === ticket }?.resume(returning: nil)
        closers.remove { $0.ticket === ticket }?.resume(throwing: cancelled)
    }
}

/// Tells one waiting task from another. It is used on the driver's queue alone.
final class Ticket: @unchecked Sendable {
    var isCancelled = false
}

/// A task that waits.
struct Waiter<Value: Sendable>: Sendable {
    let ticket: Ticket
    let continuation: CheckedContinuation<Value, any Error>

    func resume(returning value: Value) {
        continuation.resume(returning: value)
    }

    func resume(throwing error: any Error) {
        continuation.resume(throwing: error)
    }
}
