// What it costs to hand in a datagram and take out what follows, alone and in a batch of 16, and what an empty call
// costs, in nanoseconds. With `--idle` it shows that a process ends whose connections are closed.

import Dispatch
import Frazil

@main
enum Benchmark {
    static let rounds = 20
    static let calls: UInt64 = 5000

    static func main() async throws {
        if CommandLine.arguments.contains("--idle") { return try await idle() }
        let peer = try Peer(seed: [UInt8](repeating: 7, count: 32), now: 0)
        let host = HostSocket(
            protocol: "udp",
            ip: "192.0.2.1",
            port: 4000,
            interface: "ethernet",
            index: 0,
            cost: 0,
            temporary: false,
            deprecated: false
        )
        try peer.handleNetworkChange(sockets: [host], now: 0)
        // What belongs to a session, from a path that has proven nothing: it is counted and dropped.
        let path = try peer.pathId(
            Path(protocol: "udp", localIp: "192.0.2.1", localPort: 4000, remoteIp: "192.0.2.2", remotePort: 5000)
        )
        var datagram = [UInt8](repeating: 0, count: 1200)
        datagram[0] = 23
        var batch: [UInt8] = []
        for _ in 0..<Batch.maxEntries {
            Batch.append(datagram, number: path, to: &batch)
        }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Peer.batchBuffer, alignment: 8)
        defer { room.deallocate() }

        let alone = try datagram.withUnsafeBytes { datagram in
            try best { now in
                _ = try peer.handleDatagram(path: path, datagram: datagram, now: now)
                try drain(peer, into: room)
            }
        }
        let together = try batch.withUnsafeBytes { batch in
            try best { now in
                _ = try peer.handleDatagrams(batch, now: now)
                try drain(peer, into: room)
            }
        }
        let empty = try best { _ in _ = try peer.waiting() }
        let costs = [("alone", alone), ("batch", together / Double(Batch.maxEntries)), ("empty", empty)]
        let fields = costs.map { name, cost in "\"\(name)\": \((cost * 10).rounded() / 10)" }
        print("{\"language\": \"swift\", \(fields.joined(separator: ", "))}")
    }

    /// Makes a connection, closes it, and is left with nothing to do.
    static func idle() async throws {
        let connection = try Connection(loopback: true)
        _ = try await connection.createDataChannel("pond")
        await connection.close()
    }

    static func drain(_ peer: Peer, into room: UnsafeMutableRawBufferPointer) throws {
        while try peer.pollTransmit(into: room) != nil {}
        while try peer.waiting() != .nothing { _ = try peer.pollEvent() }
        _ = try peer.pollTimeout()
    }

    /// The nanoseconds of a call, in the best of several rounds.
    static func best(_ call: (_ now: UInt64) throws -> Void) rethrows -> Double {
        var best = Double.infinity
        for _ in 0..<rounds {
            let start = DispatchTime.now().uptimeNanoseconds
            for now in 0..<calls { try call(now) }
            best = min(best, Double(DispatchTime.now().uptimeNanoseconds - start) / Double(calls))
        }
        return best
    }
}
