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
    /// It throws a ``FrazilError`` if the message cannot be sent: `closed` if the channel is closed or closing, now or
    /// while it waits, and `notSent` if the message is too long. It throws `CancellationError` if the task is cancelled
    /// before the message was sent.
    public func send(_ message: Message) async throws {
        switch message {
        case .text(let text): try await send(text)
        case .binary(let bytes): try await send(bytes)
        }
    }

    /// The next message; nil if the channel is closed and all were received, or if the task is cancelled. A task that is
    /// cancelled takes no message from another.
    public func receive() async -> Message? {
        await driver.receive(on: line)
    }

    /// The messages as they come, until the channel is closed. What waits to be received holds the other side back.
    public var messages: Messages { Messages(channel: self) }

    /// W3C `bufferedAmount`: bytes that the other side has not acknowledged yet; 0 of a channel that is closed. It throws
    /// only if the core has broken down.
    public func bufferedAmount() async throws(FrazilError) -> Int {
        try await driver.bufferedAmount(of: line)
    }

    /// Closes the channel once the other side has acknowledged all that was sent, and waits for that; from now on nothing
    /// more can be sent. It is closed too if the connection is. To close it twice is no error.
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
    let inbox = Inbox<Channel.Message>()
    /// What the application has read and the peer does not know of, in bytes.
    var unreleased = 0
    var senders = Fifo<Sender>()
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
        guard end == nil else { return }
        isOpen = true
        while let opener = openers.popFirst() { opener.resume(returning: ()) }
    }

    /// Nothing can be sent any more; what was sent may still be on its way.
    func shut(_ why: FrazilError) {
        guard end == nil else { return }
        end = why
        isOpen = false
        while let opener = openers.popFirst() { opener.resume(throwing: why) }
        while let sender = senders.popFirst() { sender.waiter.resume(throwing: why) }
    }

    /// Nothing comes any more either.
    func close(_ why: FrazilError) {
        shut(why)
        inbox.end()
        while let closer = closers.popFirst() {
            if why.reason == .closed { closer.resume(returning: ()) } else { closer.resume(throwing: why) }
        }
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
        if inbox.isEnded { waiter.resume(returning: ()) } else { closers.append(waiter) }
    }

    /// Ends the waiting of a task that was cancelled.
    func cancel(_ ticket: Ticket) {
        let cancelled = CancellationError()
        openers.remove { $0.ticket === ticket }?.resume(throwing: cancelled)
        senders.remove { $0.waiter.ticket === ticket }?.waiter.resume(throwing: cancelled)
        closers.remove { $0.ticket === ticket }?.resume(throwing: cancelled)
        inbox.cancel(ticket)
    }
}
