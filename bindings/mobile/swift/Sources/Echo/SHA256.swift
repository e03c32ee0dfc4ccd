import Foundation

/// SHA-256 (FIPS 180-4), as Foundation has none on Linux.
struct SHA256 {
    private var state = roots(of: 8) { $0.squareRoot() }
    private var block: [UInt8] = []
    private var count: UInt64 = 0

    private static let constants = roots(of: 64) { cbrt($0) }

    /// The first 32 bits behind the point of a root of each of the first primes.
    private static func roots(of count: Int, _ root: (Double) -> Double) -> [UInt32] {
        let primes = (2...).lazy.filter { number in !(2..<number).contains { number % $0 == 0 } }
        return primes.prefix(count).map { prime in
            let root = root(Double(prime))
            return UInt32((root - root.rounded(.down)) * 0x1p32)
        }
    }

    mutating func update(_ bytes: some Sequence<UInt8>) {
        for byte in bytes {
            block.append(byte)
            count += 8
            if block.count == 64 { compress() }
        }
    }

    /// The hash of all bytes so far, in hexadecimal digits.
    var hex: String {
        var last = self
        let bits = count
        last.update([0x80])
        while last.block.count != 56 { last.update([0]) }
        last.update((0..<8).reversed().map { UInt8(bits >> ($0 * 8) & 0xff) })
        return last.state.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    private mutating func compress() {
        var words = stride(from: 0, to: 64, by: 4).map { at in
            block[at..<at + 4].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        }
        for at in 16..<64 {
            let (a, b) = (words[at - 15], words[at - 2])
            let s0 = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3
            let s1 = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10
            words.append(words[at - 16] &+ s0 &+ words[at - 7] &+ s1)
        }
        var v = state
        for at in 0..<64 {
            let choice = v[4] & v[5] ^ ~v[4] & v[6]
            let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2]
            let s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)
            let s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)
            let first = v[7] &+ s1 &+ choice &+ Self.constants[at] &+ words[at]
            v = [first &+ s0 &+ majority, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
        }
        state = zip(state, v).map { $0 &+ $1 }
        block.removeAll(keepingCapacity: true)
    }
}

private func rotate(_ word: UInt32, _ by: UInt32) -> UInt32 {
    word >> by | word << (32 - by)
}
