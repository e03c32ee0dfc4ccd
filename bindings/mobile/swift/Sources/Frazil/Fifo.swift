/// What comes first goes first.
struct Fifo<Element> {
    private var elements: [Element?] = []
    private var start = 0

    var isEmpty: Bool { start == elements.count }
    var count: Int { elements.count - start }
    var first: Element? { isEmpty ? nil : elements[start] }

    mutating func append(_ element: Element) {
        elements.append(element)
    }

    mutating func popFirst() -> Element? {
        guard let first else { return nil }
        elements[start] = nil
        start += 1
        // What was taken out is given back from time to time, so that taking out costs the same however many wait.
        if start == elements.count || start > 32 && start > elements.count / 2 {
            elements.removeFirst(start)
            start = 0
        }
        return first
    }

    /// Takes out the first one that is meant.
    mutating func remove(where isMeant: (Element) -> Bool) -> Element? {
        guard let index = elements.indices.first(where: { elements[$0].map(isMeant) ?? false }) else { return nil }
        return elements.remove(at: index)
    }
}
