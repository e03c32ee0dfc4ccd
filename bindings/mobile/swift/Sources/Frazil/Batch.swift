import Foundation

/// Several datagrams or messages in one buffer, so that one call carries them all.
///
/// An entry is a number and the length of what follows, 4 bytes each with the low byte first, then the bytes
/// themselves; the next entry comes right behind. For datagrams the number is that of the path. For messages it is that
/// of the channel, and the top bit of the length is set if the message is text.
public struct Batch: Sequence {
    /// How many datagrams or messages one call gives at the most.
    public static let maxEntries = 16
    /// What stands before the bytes of each entry, in bytes.
    public static let header = 8
    /// The bit of a message's length that says that it is text.
    static let textBit: UInt32 = 1 << 31

    /// One datagram or message.
    public struct Entry {
        /// The path or the channel.
        public let number: UInt32
        /// Whether it is text.
        public let isText: Bool
        /// The bytes, in the buffer that the batch is in.
        public let bytes: UnsafeRawBufferPointer
    }

    private let buffer: UnsafeRawBufferPointer

    /// The entries of a batch that a ``Peer`` wrote. An entry that is cut short is left out.
    public init(_ buffer: UnsafeRawBufferPointer) {
        self.buffer = buffer
    }

    public func makeIterator() -> Iterator {
        Iterator(rest: buffer)
    }

    /// Walks over the entries.
    public struct Iterator: IteratorProtocol {
        var rest: UnsafeRawBufferPointer

        public mutating func next() -> Entry? {
            guard rest.count >= Batch.header else { return nil }
            let number = UInt32(littleEndian: rest.loadUnaligned(as: UInt32.self))
            let length = UInt32(littleEndian: rest.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            let end = Batch.header + Int(length & ~Batch.textBit)
            guard rest.count >= end else { return nil }
            let bytes = UnsafeRawBufferPointer(rebasing: rest[Batch.header..<end])
            rest = UnsafeRawBufferPointer(rebasing: rest[end...])
            return Entry(number: number, isText: length & Batch.textBit != 0, bytes: bytes)
        }
    }

    /// Appends an entry to a batch, such as ``Peer/handleDatagrams(_:now:)`` takes.
    public static func append(_ bytes: some ContiguousBytes, number: UInt32, to batch: inout [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            let start = batch.count
            batch.append(contentsOf: repeatElement(0, count: header))
            batch.append(contentsOf: bytes)
            batch.withUnsafeMutableBytes { batch in
                writeHeader(into: .init(rebasing: batch[start...]), number: number, count: bytes.count)
            }
        }
    }

    /// Writes what stands before an entry of `count` bytes at the beginning of a buffer, which has room for it.
    static func writeHeader(into buffer: UnsafeMutableRawBufferPointer, number: UInt32, count: Int) {
        buffer.storeBytes(of: number.littleEndian, as: UInt32.self)
        buffer.storeBytes(of: UInt32(truncatingIfNeeded: count).littleEndian, toByteOffset: 4, as: UInt32.self)
    }
}
