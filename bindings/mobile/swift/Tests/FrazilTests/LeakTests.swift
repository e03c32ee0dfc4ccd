import Foundation
import Testing

@testable import Frazil

extension Everything {
    /// What is closed is given back.
    @Suite struct Leaks {
        /// The memory in use that is no file's, in bytes.
        private func memory() throws -> Int {
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8).split(separator: "\n")
            let words = try #require(status.first { $0.hasPrefix("RssAnon:") }).split(whereSeparator: \.isWhitespace)
            return try #require(Int(words[1])) * 1024
        }

        private func handles() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        }

        private let bound = 16 << 20

        /// What is never given back makes every one of several batches grow; what the allocator keeps does not.
        private func expectNoGrowth(_ batch: () async throws -> Void) async throws {
            let open = try handles()
            var growth: [Int] = []
            repeat {
                let before = try memory()
                try await batch()
                growth.append(try memory() - before)
            } while growth.count < 5 && growth.allSatisfy { $0 > bound }
            #expect(growth.contains { $0 <= bound }, "each batch grew: \(growth)")
            #expect(try handles() <= open)
        }

        @Test func peersAreFreed() async throws {
            func openAndClose(_ count: Int) throws {
                for round in 0..<count {
                    let peer = try makePeer(seed: UInt8(truncatingIfNeeded: round))
                    try peer.handleNetworkChange(sockets: [host("192.0.2.1", 4000)], now: 0)
                    _ = try peer.createDataChannel(ChannelConfig(label: "pond"), now: 0)
                    try peer.setLocalDescription(try peer.createOffer(), now: 0)
                    while try peer.pollEvent() != nil {}
                    // Half of them are closed, half of them only let go.
                    if round.isMultiple(of: 2) { try peer.close() }
                }
            }
            try openAndClose(100)
            try await expectNoGrowth { try openAndClose(1000) }
        }

        @Test func connectionsAreFreed() async throws {
            func openAndClose(_ count: Int) async throws {
                for _ in 0..<count {
                    let connection = try Connection(loopback: true)
                    _ = try await connection.createDataChannel("pond")
                    try await connection.setLocalDescription(try await connection.createOffer())
                    await connection.close()
                }
            }
            try await openAndClose(20)
            try await expectNoGrowth { try await openAndClose(200) }
        }

        @Test func anIdleProcessExits() async throws {
            let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
                .appendingPathComponent("Benchmark")
            let process = Process()
            process.executableURL = program
            process.arguments = ["--idle"]
            try process.run()
            for _ in 0..<1200 where process.isRunning { try await Task.sleep(for: .milliseconds(50)) }
            #expect(!process.isRunning)
            if process.isRunning { process.terminate() }
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
        }
    }
}
