/// What waits for the application, and the tasks that wait for it. It is used on the driver's queue alone.
final class Inbox<Element: Sendable>: @unchecked Sendable {
    private var elements = Fifo<Element>()
    private var takers = Fifo<Waiter<Element?>>()
    /// Nothing comes any more.
    private(set) var isEnded = false

    /// How much waits.
    var count: Int { elements.count }

    /// Gives it to the task that has waited longest, or keeps it. Gives whether it was taken.
    @discardableResult
    func deliver(_ element: Element) -> Bool {
        if let taker = takers.popFirst() {
            taker.resume(returning: element)
            return true
        }
        elements.append(element)
        return false
    }

    /// Gives a task what comes first, at once or when it comes; nil after the last. Gives what it was given at once.
    @discardableResult
    func take(_ waiter: Waiter<Element?>) -> Element? {
        let first = elements.popFirst()
        if first == nil, !isEnded {
            takers.append(waiter)
        } else {
            waiter.resume(returning: first)
        }
        return first
    }

    /// Takes out the oldest one that is meant, if one waits.
    func forget(where isMeant: (Element) -> Bool) {
        _ = elements.remove(where: isMeant)
    }

    /// Nothing comes behind what waits.
    func end() {
        isEnded = true
        while let taker = takers.popFirst() { taker.resume(returning: nil) }
    }

    /// Ends the waiting of a task that was cancelled.
    func cancel(_ ticket: Ticket) {
        takers.remove { $0.ticket === ticket }?.resume(returning: nil)
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
